"""Former names of stations: the keys that they mean, and the faults in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from pytest_choochoo import station
from pytest_choochoo.engine.errors import (
    FormerNameCycle,
    FormerNameInUse,
    FormerNameShared,
    OwnFormerName,
)
from pytest_choochoo.engine.former_names import all_former_keys, faults, former_keys, takeovers
from pytest_choochoo.engine.ledger.record import Record
from pytest_choochoo.engine.route import Route, StationInstance
from unit.memory_ledger import MemoryLedger

RECORD = Record(status="failed", since=1.0)


def _route(stations: Mapping[str, str | Sequence[str]], parameters: Sequence[str] = ("",)) -> Route:
    """Return the route of *stations*, node ids with their `was`, an instance for each parameter."""
    stops = {}
    for node_id, was in stations.items():

        def function() -> None: ...

        function.__name__ = node_id.partition("::")[2]
        made = station(was=was)(function)
        for each in parameters:
            key = node_id + each
            stops[key] = StationInstance(key=key, name=key.partition("::")[2], station=made)
    return Route(stops, dict.fromkeys(stops, ()))


def _at(route: Route, key: str) -> str:
    return route[key].station.location


# --- keys


@pytest.mark.parametrize(
    ("key", "was", "former"),
    [
        ("a/b.py::new", "old", ["a/b.py::old"]),
        ("a/b.py::new", "c.py::old", ["c.py::old"]),
        ("a/b.py::new", ["older", "c.py::old"], ["a/b.py::older", "c.py::old"]),
        ("a[1]/b.py::new[x::y[z]]", "old", ["a[1]/b.py::old[x::y[z]]"]),
        ("a/b.py::new[1]", "c.py::old", ["c.py::old[1]"]),
        ("a/b.py::new", "old[1]", ["a/b.py::old[1]"]),
        ("a/b.py::new", (), []),
    ],
)
def test_key_of_a_former_name(key: str, was: str | Sequence[str], former: list[str]) -> None:
    """A name is one in the same file; each instance had its parameters under any name."""
    node_id, bracket, parameters = key.rpartition("new")[0] + "new", "", key.rpartition("new")[2]
    route = _route({node_id: was}, (bracket + parameters,))

    assert list(former_keys(route[key])) == former
    assert all_former_keys(route) == ({key: former_keys(route[key])} if former else {})


def test_latest_former_name_with_a_record_counts() -> None:
    """Of several former names, the first one in the list that has a record is taken over."""
    route = _route({"a.py::new": ["b", "c", "d"]})
    ledger = MemoryLedger()
    assert takeovers(route, ledger) == {}

    ledger.finish("a.py::d", RECORD)
    ledger.finish("a.py::c", RECORD)

    assert takeovers(route, ledger) == {"a.py::new": "a.py::c"}


def test_station_with_a_record_takes_nothing_over() -> None:
    """Its own record counts, unless it says only that the station was cleaned."""
    route, ledger = _route({"a.py::new": "old"}), MemoryLedger()
    ledger.finish("a.py::old", RECORD)
    ledger.forget("a.py::new", "cleaned")
    assert takeovers(route, ledger) == {"a.py::new": "a.py::old"}

    ledger.finish("a.py::new", RECORD)

    assert takeovers(route, ledger) == {}


def test_only_instances_with_a_record_take_over() -> None:
    """An instance that was added with the new name is visited as any other."""
    route, ledger = _route({"a.py::new": "old"}, ("[1]", "[2]")), MemoryLedger()
    ledger.finish("a.py::old[2]", RECORD)

    assert takeovers(route, ledger) == {"a.py::new[2]": "a.py::old[2]"}


# --- faults


def test_sound_names_have_no_fault() -> None:
    """Names that nobody has are fine, in this file and in others."""
    assert [*faults(_route({"a.py::x": "old", "a.py::y": "b.py::old", "c.py::z": ()}))] == []


@pytest.mark.parametrize("was", ["x", "a.py::x", ["old", "x"]])
def test_own_name(was: str | Sequence[str]) -> None:
    """A station cannot have been called as it is called now; in another file it can."""
    route = _route({"a.py::x": was})
    given = was if isinstance(was, str) else "x"

    assert [fault.args for fault in faults(route)] == [("x", _at(route, "a.py::x"), given)]
    assert all(isinstance(fault, OwnFormerName) for fault in faults(route))
    assert [*faults(_route({"a.py::x": "b.py::x"}))] == []


@pytest.mark.parametrize("was", ["y", "a.py::y", "y[1]"])
@pytest.mark.parametrize("parameters", [("",), ("[1]", "[2]")])
def test_name_in_use(was: str, parameters: Sequence[str]) -> None:
    """A former name that another station has is a fault, once for all instances."""
    route = _route({"a.py::x": was, "a.py::y": ()}, parameters)
    [fault] = faults(route)

    assert isinstance(fault, FormerNameInUse)
    x, y = (next(_at(route, key) for key in route.stops if f"::{name}" in key) for name in "xy")
    assert fault.args == ("x", x, was, y)
    assert fault.concerns("x")


def test_shared_name() -> None:
    """Only one station can take a record over; what all of them say is told once."""
    route = _route({"a.py::x": "old", "a.py::y": ["a.py::old", "older"], "a.py::z": "old"})
    [fault] = faults(route)

    assert isinstance(fault, FormerNameShared)
    steps = tuple(f"{name} ({_at(route, f'a.py::{name}')})" for name in "xyz")
    assert fault.args == (("x", "y", "z"), "old", steps)


@pytest.mark.parametrize(
    ("stations", "cycle"),
    [
        ({"a.py::x": "y", "a.py::y": "x"}, "xy"),
        ({"a.py::w": "old", "a.py::x": "y", "a.py::y": ["z"], "a.py::z": "a.py::x"}, "xyz"),
    ],
)
def test_cycle(stations: Mapping[str, str | Sequence[str]], cycle: str) -> None:
    """Stations that were each other are one fault."""
    route = _route(stations)
    [fault] = faults(route)

    assert isinstance(fault, FormerNameCycle)
    steps = tuple(f"{name} ({_at(route, f'a.py::{name}')})" for name in cycle)
    assert fault.args == (tuple(cycle), steps)
