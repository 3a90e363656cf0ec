"""Is a station due, and why: the facts, and the verdict on them."""
