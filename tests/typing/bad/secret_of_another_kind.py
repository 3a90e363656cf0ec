"""A secret of one kind is no secret of another."""

from pytest_choochoo import Secret, station


@station
def log_in() -> Secret[str]:
    return Secret(b"open sesame")  # error: mypy arg-type, pyright reportReturnType
