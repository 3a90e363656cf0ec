"""The result of a call has the fields of its outcome, and no others."""

from dataclasses import dataclass

from pytest_choochoo import station


@dataclass
class Upload:
    url: str


@station
def upload_app() -> Upload:
    return Upload("http://localhost/app.zip")


print(upload_app().size)  # error: mypy attr-defined, pyright reportAttributeAccessIssue
