"""Checks and cleans, with and without the outcome; they stay plain functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import assert_type

import pytest

from pytest_choochoo import Visit, station


@dataclass
class Upload:
    url: str
    sha256: str


class Server:
    def sha256(self, name: str) -> str:
        return name


@pytest.fixture
def artifact_server(tmp_path: Path) -> Iterator[Server]:
    yield Server()
    tmp_path.rmdir()


@station(files=["app.zip"])
def upload_app(artifact_server: Server, visit: Visit) -> Upload:
    return Upload("http://localhost/app.zip", artifact_server.sha256("app.zip"))


@upload_app.check
def is_on_the_server(artifact_server: Server, upload_app: Upload) -> None:
    assert artifact_server.sha256("app.zip") == upload_app.sha256


@upload_app.check
def says_so(upload_app: Upload) -> bool:
    return upload_app.url.startswith("http")


@upload_app.check(within=30)
def answers_soon(upload_app: Upload) -> None:
    assert upload_app.url


@upload_app.check(within=timedelta(minutes=1))
async def answers_later() -> bool | None:
    return True


@upload_app.check(warn=True)
def answers_in_time(upload_app: Upload) -> bool:
    return bool(upload_app.sha256)


@upload_app.check(within=5, warn=True)
async def answers_in_time_at_last(upload_app: Upload) -> None:
    assert upload_app.sha256


@upload_app.find
def uploaded(artifact_server: Server) -> Upload | None:
    digest = artifact_server.sha256("app.zip")
    return Upload("http://localhost/app.zip", digest) if digest else None


assert_type(uploaded(Server()), Upload | None)


@upload_app.clean
def remove_from_server(artifact_server: Server, upload_app: Upload | None, visit: Visit) -> None:
    assert upload_app is None or upload_app.url


@station
def download_app(upload_app: Upload, tmp_path: Path) -> Path:
    return tmp_path / upload_app.sha256


@download_app.clean
async def remove_download(download_app: Path | None) -> None:
    if download_app is not None:
        download_app.unlink()


async def called(server: Server, visit: Visit) -> None:
    upload = upload_app(server, visit)
    assert_type(is_on_the_server(server, upload), None)
    assert_type(says_so(upload), bool)
    assert_type(answers_soon(upload_app=upload), None)
    assert_type(await answers_later(), bool | None)
    assert_type(answers_in_time(upload), bool)
    assert_type(await answers_in_time_at_last(upload), None)
    assert_type(remove_from_server(server, None, visit), None)
    await remove_download(None)
