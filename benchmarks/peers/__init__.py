"""What the same workflow costs with pytest-choochoo and with its peers."""
