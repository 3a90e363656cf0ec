"""Unit tests of each room, without a pytest inside a pytest."""
