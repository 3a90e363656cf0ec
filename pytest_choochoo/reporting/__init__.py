"""The output for people and machines."""
