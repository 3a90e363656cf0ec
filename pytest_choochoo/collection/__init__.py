"""Pytest's items become stations, and fixture requests the edges between them."""
