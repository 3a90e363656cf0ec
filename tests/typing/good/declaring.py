"""Stations with and without keywords, outcomes of each type; a call returns the outcome."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import NamedTuple, TypedDict, assert_type

from attrs import frozen

from pytest_choochoo import Station, Visit, station


@dataclass
class Upload:
    url: str
    sha256: str


@frozen
class Database:
    path: Path


class Address(NamedTuple):
    host: str
    port: int


class Domain(TypedDict):
    name: str
    costs: Decimal


class Colour(Enum):
    BLUE = "blue"
    GREEN = "green"


@station
def upload_app(artifact_server: str, visit: Visit) -> Upload:
    """📤 Upload App"""
    return Upload(artifact_server, visit.profile)


@station()
def create_db() -> Database:
    return Database(Path("db"))


@station(
    title="🌐 Find an address",
    files=["app.zip", "config/*.toml", Path("app.ini")],
    env=["HOST"],
    values=["port"],
    products=("address.txt", Path("port.txt")),
    max_age=timedelta(days=1),
    version="2",
    protect=True,
)
def find_address(port: int) -> Address:
    return Address("localhost", port)


@station(max_age=90, was="find_domain")
def allocate_domain() -> Domain:
    return {"name": "guestbook.example", "costs": Decimal("9.90")}


@station(files=(f"{name}.csv" for name in ("a", "b")), env={"HOME": "of keys"}, was=("a", "b"))
def paint() -> Colour:
    return Colour.BLUE


@station
def notify(upload_app: Upload) -> None:
    """📣 Notify"""


@station
def count() -> dict[str, list[int | None]]:
    return {"one": [1, None]}


assert_type(upload_app, Station[Upload])
assert_type(create_db, Station[Database])
assert_type(find_address, Station[Address])
assert_type(allocate_domain, Station[Domain])
assert_type(paint, Station[Colour])
assert_type(notify, Station[None])
assert_type(count, Station[dict[str, list[int | None]]])


def called(visit: Visit) -> None:
    """Unit-test a station without a run."""
    upload = upload_app("http://localhost", visit)
    assert_type(upload, Upload)
    assert_type(upload.url, str)
    assert_type(upload_app(artifact_server="http://localhost", visit=visit), Upload)
    assert_type(create_db().path, Path)
    assert_type(find_address(80).port, int)
    assert_type(allocate_domain()["costs"], Decimal)
    assert_type(count()["one"], list[int | None])
    notify(upload)


def described(any_station: Station[object]) -> str:
    """A station of any type is a station of objects."""
    return f"{any_station.name}: {any_station.title} ({any_station.__name__})"


texts: list[str] = [described(upload_app), described(notify), described(count)]
