"""What visits return: encoded, kept, and decoded for each consumer."""
