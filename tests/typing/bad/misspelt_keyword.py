"""An unknown keyword is an error."""

from pytest_choochoo import station


@station(file=["app.zip"])  # error: mypy call-overload, pyright reportCallIssue
def upload_app() -> int:
    return 1
