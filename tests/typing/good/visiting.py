"""The attributes of a visit: progress, directory, resources, and the previous outcome."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import assert_type

from pytest_choochoo import ChoochooError, Station, Visit, station


@station
def download(visit: Visit) -> Path:
    with visit.progress(total=100, unit="B", description="app.zip") as progress:
        progress.update()
        progress.update(n=99)
        progress.update(0.5)
    by_itself = visit.progress()
    by_itself.update(1)
    visit.resources["download"] = {"id": 17}
    del visit.resources["download"]
    for name in visit.resources:
        assert_type(name, str)
    assert_type(visit.dir / "app.zip", Path)
    return visit.dir / "app.zip"


@station
def unpack(download: Path, visit: Visit) -> list[str]:
    lines = download.read_text().splitlines()
    for line in visit.track(lines, unit="line", description="unpack"):
        assert_type(line, str)
    endless: Iterator[int] = iter(range(3))
    for number, _ in visit.track(zip(endless, lines, strict=False), total=3):
        assert_type(number, int)
    return list(visit.track(lines))


@station
def remember(visit: Visit) -> int:
    assert_type(visit.station, str)
    assert_type(visit.profile, str)
    assert_type(visit.reasons, tuple[str, ...])
    before: int = visit.previous or 0
    return before + 1


@remember.check
def knows_its_directory(visit: Visit) -> bool:
    return visit.dir.is_dir()


def unit_tested(visit: Visit) -> str:
    try:
        assert_type(download(visit), Path)
        each: list[Station[object]] = [download, unpack, remember]
    except ChoochooError as error:
        return str(error)
    return ", ".join(one.name for one in each)
