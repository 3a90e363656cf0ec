"""Marks above and below `@station`; a parametrized station fans in, or matches by argument name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import assert_type

import pytest

from pytest_choochoo import Station, Visit, station


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
@pytest.mark.timeout(30)
@station
def above() -> int:
    return 1


@station
@pytest.mark.xfail(reason="not yet")
@pytest.mark.usefixtures("tmp_path")
@pytest.mark.flaky(reruns=2)
def below() -> int:
    return 2


@pytest.mark.xdist_group("database")
@station(files=["app.zip"])
@pytest.mark.parametrize("region", ["eu", "us"])
def replicate(region: str, above: int) -> Path:
    return Path(region)


@pytest.mark.parametrize(("region", "size"), [("eu", 1), pytest.param("us", 2, id="big")])
@station
def grow(region: str, size: int, replicate: Path) -> tuple[str, int]:
    return str(replicate), size


@station
def announce(replicate: dict[str, Path], grow: dict[str, tuple[str, int]]) -> list[str]:
    return [str(path) for path in replicate.values()] + [name for name, _ in grow.values()]


@announce.check
def names_all(announce: list[str], replicate: dict[str, Path]) -> None:
    assert len(announce) == len(replicate)


assert_type(above, Station[int])
assert_type(below, Station[int])
assert_type(replicate, Station[Path])
assert_type(grow, Station[tuple[str, int]])
assert_type(announce, Station[list[str]])


@pytest.mark.parametrize("region", ["eu", "us"])
def test_region_is_there(region: str, replicate: Path) -> None:
    assert replicate.name == region


def called(visit: Visit) -> None:
    assert_type(replicate("eu", 1), Path)
    assert_type(announce({"eu": Path("eu")}, {}), list[str])
