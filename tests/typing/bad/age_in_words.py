"""A maximum age is a timedelta or a number of seconds."""

from pytest_choochoo import station


@station(max_age="one day")  # error: mypy call-overload, pyright reportArgumentType
def upload_app() -> int:
    return 1
