"""What each option does with the stations of a session."""
