"""The cost of stations, in CPU time and memory, against plain pytest."""
