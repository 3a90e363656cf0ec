"""What a run consists of, as plain data: for the summary, and for xdist's controller."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pytest_choochoo.collection.functions import requests_fixtures
from pytest_choochoo.collection.pytest_internals import definitions_of
from pytest_choochoo.engine.ledger.record import Result, Word
from pytest_choochoo.engine.route import Route
from pytest_choochoo.engine.timetable import Batch, Job, batches

if TYPE_CHECKING:
    from pytest_choochoo.session import Session


class StationInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A station that is to be run, for who never sees it.

    *upstream*: the keys of what it needs, *needs* the names; *line* counts from zero.
    """

    key: str
    name: str
    title: str
    upstream: tuple[str, ...]
    needs: tuple[str, ...]
    line: int

    def result(self, word: Word, **facts: Any) -> Result:
        """Return the result *word* of the station, with more *facts*."""
        return Result(
            key=self.key, name=self.name, title=self.title, word=word, upstream=self.needs, **facts
        )


class RunPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The stations of a run, what is said of their selection, what is settled, the rest in batches.

    The items of the batches are numbered as in the collection.
    """

    stations: list[StationInfo]
    header: tuple[str, ...]
    settled: list[Result]
    batches: list[Batch]


def station_infos(route: Route, selected: Collection[str]) -> list[StationInfo]:
    """Return the stations that are to be run, in running order."""
    return [
        StationInfo(
            key=key,
            name=route[key].name,
            title=route[key].station.title,
            upstream=route.upstream[key],
            needs=route.names(route.upstream[key]),
            line=route[key].station.line - 1,
        )
        for key in route.order
        if key in selected
    ]


def manifest_of(line: Session, items: Sequence[pytest.Item], workers: int) -> RunPlan:
    """Settle the stations that are fresh, and return who is left to be run by *workers*."""
    line.judge.read_ahead()
    settled = {item.nodeid: result for item, result in line.runner.settle_early(items)}
    records = line.journey.ledger.records()
    jobs = {}
    for number, item in enumerate(items):
        key = item.nodeid
        if key in settled:
            continue
        is_station = line.runner.is_station(item)
        record = records.get(key)
        waits = (
            line.journey.route.upstream[key]
            if is_station
            else line.workflow.dependencies.upstream_of(item)
        )
        jobs[number] = Job(
            key=key,
            waits=waits,
            module=None if is_station else key.partition("::")[0],
            seconds=record.seconds if record is not None and record.seconds else None,
            groups=_groups(item),
            shares=not is_station and shares(item),
        )
    return RunPlan(
        stations=line.stations,
        header=line.header,
        settled=list(settled.values()),
        batches=batches(jobs, workers),
    )


def shares(item: pytest.Item) -> bool:
    """Say whether something is set up for *item* that its module or class has once."""
    if not requests_fixtures(item):
        return True  # nobody knows
    return any(
        definition.scope in {"class", "module"}
        for definitions in definitions_of(item).values()
        for definition in definitions
    )


def _groups(item: pytest.Item) -> tuple[str, ...]:
    """Return the names that the marks `xdist_group` give, as xdist reads them."""
    marks = item.iter_markers("xdist_group")
    names = (mark.args[0] if mark.args else mark.kwargs.get("name", "default") for mark in marks)
    return tuple(dict.fromkeys(map(str, names)))
