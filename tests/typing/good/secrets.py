"""Secrets inside outcomes: their values have types, which downstream knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type

from pytest_choochoo import Secret, station


@dataclass
class Login:
    user: str
    token: Secret[str]
    old: Secret[bytes] | None = None


@station
def log_in() -> Login:
    return Login("ann", Secret("open sesame"))


@log_in.check
def is_valid(log_in: Login) -> bool:
    return log_in.token != Secret("")


@station
def pour(log_in: Login) -> dict[str, Secret[int]]:
    assert_type(log_in.token.reveal(), str)
    return {"length": Secret(len(log_in.token.reveal()))}


@station
def serve(pour: dict[str, Secret[int]]) -> Any:
    object_like: Secret[object] = pour["length"]
    return {"length": object_like, "text": f"{object_like}"}


async def called() -> None:
    assert_type(log_in().token, Secret[str])
    assert_type(Secret([1]).reveal(), list[int])
    assert {Secret(1): 1}
