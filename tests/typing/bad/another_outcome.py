"""A station of one outcome type is not a station of another."""

from pytest_choochoo import Station, station


@station
def count() -> int:
    return 1


texts: Station[str] = count  # error: mypy assignment, pyright reportAssignmentType
