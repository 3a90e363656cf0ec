"""Async stations: a call returns an awaitable, and downstream receives the outcome."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import assert_type

from pytest_choochoo import Visit, station


@dataclass
class Upload:
    url: str


@station
async def upload_app(visit: Visit) -> Upload:
    await asyncio.sleep(0)
    return Upload(visit.station)


@upload_app.check(within=5)
async def is_there(upload_app: Upload) -> bool:
    return bool(upload_app.url)


@upload_app.clean
async def remove(upload_app: Upload | None) -> None: ...


@station(version="1")
async def download_app(upload_app: Upload) -> str:
    assert_type(upload_app, Upload)
    return upload_app.url


@station
async def notify() -> None: ...


async def called(visit: Visit) -> None:
    upload = await upload_app(visit)
    assert_type(upload, Upload)
    assert_type(await download_app(upload), str)
    await notify()
    await asyncio.gather(asyncio.create_task(coroutine()), notify())


async def coroutine() -> None: ...
