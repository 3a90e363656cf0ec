"""The result of calling an async station must be awaited before it is used."""

from pathlib import Path

from pytest_choochoo import station


@station
async def download_app() -> Path:
    return Path("app.zip")


async def called() -> str:
    return download_app().name  # error: mypy attr-defined, pyright reportAttributeAccessIssue
