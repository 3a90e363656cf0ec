"""The engine, which knows no pytest: stations, verdicts and records."""
