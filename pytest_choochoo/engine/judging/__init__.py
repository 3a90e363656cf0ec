"""The verdict on a station, with all reasons, and the facts that it depends on."""
