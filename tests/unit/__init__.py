"""Each room by itself: without a pytest inside a pytest."""
