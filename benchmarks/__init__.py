"""What stations cost, in CPU time and memory, against plain pytest."""
