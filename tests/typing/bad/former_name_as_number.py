"""A former name is a string, or several of them."""

from pytest_choochoo import station


@station(was=3)  # error: mypy call-overload, pyright reportArgumentType
def upload_app() -> int:
    return 1
