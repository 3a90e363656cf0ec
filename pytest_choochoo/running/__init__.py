"""One item under pytest's protocol."""
