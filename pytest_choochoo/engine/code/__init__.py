"""The project's source as digests: what a function reaches by name."""
