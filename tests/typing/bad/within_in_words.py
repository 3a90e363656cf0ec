"""`within` is a timedelta or a number of seconds."""

from pytest_choochoo import station


@station
def serve() -> int:
    return 80


@serve.check(within="30 s")  # error: mypy call-overload, pyright reportArgumentType
def answers() -> None: ...
