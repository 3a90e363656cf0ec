"""A check stays the plain function that it was, with its parameters."""

from pytest_choochoo import station


@station
def serve() -> int:
    return 80


@serve.check
def answers(serve: int) -> None: ...


answers("80")  # error: mypy arg-type, pyright reportArgumentType
