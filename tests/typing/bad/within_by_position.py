"""`within` is a keyword-only argument."""

from pytest_choochoo import station


@station
def serve() -> int:
    return 80


@serve.check(30)  # error: mypy call-overload, pyright reportArgumentType
def answers() -> None: ...
