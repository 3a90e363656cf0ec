"""The code of functions, as digests of the source that they reach by name."""
