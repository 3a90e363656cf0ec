"""From pytest's items to stations and the edges between them."""
