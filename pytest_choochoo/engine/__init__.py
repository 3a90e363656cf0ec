"""The ground floor: stations, verdicts and records, without pytest."""
