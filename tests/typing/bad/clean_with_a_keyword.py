"""A clean takes no keywords."""

from pytest_choochoo import station


@station
def serve() -> int:
    return 80


@serve.clean(within=30)  # error: mypy call-arg, pyright reportCallIssue
def stop() -> None: ...
