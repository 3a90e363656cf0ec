"""The plan that the workers of a run agree on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

import msgspec
import pytest

from pytest_choochoo.collection.functions import requests_fixtures
from pytest_choochoo.collection.pytest_internals import definitions_of
from pytest_choochoo.engine.errors import ChoochooError
from pytest_choochoo.engine.ledger.record import Record, Result
from pytest_choochoo.engine.route import StationInfo
from pytest_choochoo.engine.timetable import Batch, Job

#: The name of the plan among the results of a run, and of the lock on it.
PLAN = "plan"


class RunPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The selected stations, the lines about the selection, and the work to distribute.

    *settled*: the results of stations that need not be run; *batches*: the other items, by their
    numbers in the collection.
    """

    stations: list[StationInfo]
    header: tuple[str, ...]
    settled: list[Result]
    batches: list[Batch]


class IncompletePlan(ChoochooError):
    """*missing*: the items that are neither settled nor in a batch."""

    missing: tuple[str, ...]

    def sentence(self, command: str = "") -> str:
        names = ", ".join(self.missing[:3]) + (", …" if self.missing[3:] else "")
        return f"the plan of the workers leaves out {names}: nothing was run; run again"


class DamagedPlan(ChoochooError):
    cause: str
    template = "the plan of the workers is damaged ({cause}): nothing was run; run again"


def read_plan(text: str) -> RunPlan:
    """Return the plan in *text*. Raises `DamagedPlan`."""
    try:
        return msgspec.json.decode(text, type=RunPlan)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise DamagedPlan(str(error)) from None


def require_complete(plan: RunPlan, items: Sequence[str]) -> None:
    """Raise an error unless *plan* settles, or has in a batch, each of the *items* of all workers.

    Raises `IncompletePlan` or `DamagedPlan`.
    """
    settled = {result.key for result in plan.settled}
    times = Counter(number for batch in plan.batches for number in batch.items)
    missing = tuple(
        key for number, key in enumerate(items) if number not in times and key not in settled
    )
    if missing:
        raise IncompletePlan(missing)
    for number, count in times.items():
        if not 0 <= number < len(items):
            raise DamagedPlan(f"it has item {number} of {len(items)}")
        if count > 1 or items[number] in settled:
            raise DamagedPlan(f"it has {items[number]} twice")
    waits = {number: batch.waits for number, batch in enumerate(plan.batches)}
    if any(each not in waits for needed in waits.values() for each in needed):
        raise DamagedPlan("a batch waits for one that does not exist")
    try:
        TopologicalSorter(waits).prepare()
    except CycleError:
        raise DamagedPlan("batches wait for each other") from None
    known = {each.key for each in plan.stations}
    if strange := settled - known:
        raise DamagedPlan(f"it settles {min(strange)}, which is no station")


def job_of_station(item: pytest.Item, waits: tuple[str, ...], record: Record | None) -> Job:
    """Return the job of a station, which *waits* for others; *record*: its last one."""
    seconds = record.seconds if record is not None and record.seconds else None
    return Job(key=item.nodeid, waits=waits, seconds=seconds, groups=_groups(item))


def job_of_test(item: pytest.Item, waits: tuple[str, ...]) -> Job:
    """Return the job of a test, which *waits* for stations."""
    return Job(
        key=item.nodeid,
        waits=waits,
        module=module_of(item.nodeid),
        groups=_groups(item),
        shares=shares(item),
    )


def module_of(key: str) -> str:
    """Return the module that an item belongs to, by its node id *key*."""
    return key.partition("::")[0]


def _scope_of(key: str) -> str:
    return key.rpartition("::")[0]


#: By --dist, the functions from a node id to the name of all items that one worker must run, where
#: no station decides.
UNITS = {"loadfile": module_of, "loadscope": _scope_of}


def shares(item: pytest.Item) -> bool:
    """Return whether a fixture of *item* is set up once for its whole module or class."""
    if not requests_fixtures(item):
        return True  # nothing is known of its set-up
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
