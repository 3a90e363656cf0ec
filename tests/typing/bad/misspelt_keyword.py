"""A keyword that there is not."""

from pytest_choochoo import station


@station(file=["app.zip"])  # error: mypy call-overload, pyright reportCallIssue
def upload_app() -> int:
    return 1
