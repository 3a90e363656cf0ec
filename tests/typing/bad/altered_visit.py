"""The attributes of a visit cannot be changed."""

from pathlib import Path

from pytest_choochoo import Visit, station


@station
def download(visit: Visit) -> Path:
    visit.dir = Path("elsewhere")  # error: mypy misc, pyright reportAttributeAccessIssue
    return visit.dir
