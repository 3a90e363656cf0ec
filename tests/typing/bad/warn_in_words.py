"""`warn` is true or false."""

from pytest_choochoo import station


@station
def serve() -> int:
    return 80


@serve.check(warn="yes")  # error: mypy call-overload, pyright reportArgumentType
def answers() -> None: ...
