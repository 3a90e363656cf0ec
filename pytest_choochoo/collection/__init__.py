"""The collection of stations: pytest's items become stations and the edges between them."""
