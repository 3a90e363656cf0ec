"""A secret is not the string that it holds."""

from pytest_choochoo import Secret, station


@station
def log_in() -> Secret[str]:
    return Secret("open sesame")


token: str = log_in()  # error: mypy assignment, pyright reportAssignmentType
