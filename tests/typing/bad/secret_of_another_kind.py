"""A secret of one type is not a secret of another."""

from pytest_choochoo import Secret, station


@station
def log_in() -> Secret[str]:
    return Secret(b"open sesame")  # error: mypy arg-type, pyright reportReturnType
