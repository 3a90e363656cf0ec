"""Each room of the railway by itself, without pytest."""
