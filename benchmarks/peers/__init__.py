"""The cost of the same workflow with pytest-choochoo and with its peers."""
