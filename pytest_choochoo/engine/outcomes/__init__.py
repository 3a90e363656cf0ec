"""The outcomes of visits: encoded, recorded, and decoded for each consumer."""
