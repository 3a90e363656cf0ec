"""All that knows xdist and execnet."""
