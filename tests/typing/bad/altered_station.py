"""A station's title cannot be changed afterwards."""

from pytest_choochoo import station


@station
def serve() -> int:
    return 80


serve.title = "Serve"  # error: mypy misc, pyright reportAttributeAccessIssue
