"""An age is a timedelta, or seconds."""

from pytest_choochoo import station


@station(max_age="one day")  # error: mypy call-overload, pyright reportArgumentType
def upload_app() -> int:
    return 1
