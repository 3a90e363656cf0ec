"""The run of one item under pytest's protocol."""
