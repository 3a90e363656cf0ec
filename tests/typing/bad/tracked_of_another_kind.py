"""Tracked items keep their type."""

from pytest_choochoo import Visit, station


@station
def add(visit: Visit) -> int:
    for number in visit.track(["1", "2"]):
        last: int = number  # error: mypy assignment, pyright reportAssignmentType
    return 2
