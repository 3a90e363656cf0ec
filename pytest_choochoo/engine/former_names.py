"""Former names of stations, `was=`: the keys that they had, and faults in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_choochoo.engine.errors import (
    ChoochooError,
    FormerNameCycle,
    FormerNameInUse,
    FormerNameShared,
    OwnFormerName,
)
from pytest_choochoo.engine.ledger.protocol import Records
from pytest_choochoo.engine.route import Route, StationInstance
from pytest_choochoo.engine.station import Station


def former_keys(instance: StationInstance) -> dict[str, str]:
    """Return the keys that *instance* had, the latest first, each with what `was` says.

    An instance of a parametrized station had the same parameters under its former name.
    """
    was = instance.station.declaration.was
    if not was:
        return {}
    _, bracket, parameters = instance.key.partition("::")[2].partition("[")
    return {f"{_node_id(each, instance.key)}{bracket}{parameters}": each for each in was}


def all_former_keys(route: Route) -> dict[str, dict[str, str]]:
    """Return the `former_keys` of each instance that has any."""
    stops = route.stops.values()
    return {stop.key: former_keys(stop) for stop in stops if stop.station.declaration.was}


def takeovers(route: Route, ledger: Records) -> dict[str, str]:
    """Return the keys that may take over a record, each with its latest former key that has any."""
    former = all_former_keys(route)
    records = ledger.records() if former else {}
    found = {}
    for key, names in former.items():
        own = records.get(key)
        if own is None or own.status == "cleaned":
            latest = next(filter(ledger.has_traces, names), None)
            if latest is not None:
                found[key] = latest
    return found


def _node_id(was: str, key: str) -> str:
    """Return the node id that *was* means for the station *key*: of its own file, if a name."""
    return was if "::" in was else f"{key.partition('::')[0]}::{was}"


def station_key(key: str) -> str:
    """Return *key* without parameters: the node id of a station."""
    file, separator, name = key.partition("::")
    return f"{file}{separator}{name.partition('[')[0]}"


# --- faults


def faults(route: Route) -> Iterator[ChoochooError]:
    """Yield the faults in the former names of the stations of *route*."""
    stations = {station_key(key): stop.station for key, stop in route.stops.items()}
    former = {
        key: {_node_id(was, key): was for was in station.declaration.was}
        for key, station in stations.items()
        if station.declaration.was
    }
    cycles = [*_cycles(former)]
    yield from (_cycle(stations, cycle) for cycle in cycles)
    in_cycles = {key for cycle in cycles for key in cycle}
    users: dict[str, list[str]] = {}
    for key, names in former.items():
        station = stations[key]
        for node_id, was in names.items():
            users.setdefault(node_id, []).append(key)
            there = station_key(node_id)
            if node_id == key:
                yield OwnFormerName(station.name, station.location, was)
            elif there in stations and there != key and not in_cycles.issuperset((key, there)):
                other = stations[there].location
                yield FormerNameInUse(station.name, station.location, was, other)
    for node_id, keys in users.items():
        if len(keys) > 1:
            names_of = tuple(stations[key].name for key in keys)
            was = former[keys[0]][node_id]
            yield FormerNameShared(names_of, was, tuple(_steps(stations, keys)))


def _cycles(former: Mapping[str, Iterable[str]]) -> Iterator[Sequence[str]]:
    """Yield each cycle in *former*, which has for each station the names that it had."""
    seen: set[str] = set()
    for start in former:
        path: list[str] = []
        key: str | None = start
        while key is not None and key not in path and key not in seen:
            path.append(key)
            others = (each for each in former[key] if each in former and each != path[-1])
            key = next(others, None)
        seen.update(path)
        if key in path:
            yield path[path.index(key) :]


def _cycle(stations: Mapping[str, Station[Any]], keys: Sequence[str]) -> FormerNameCycle:
    return FormerNameCycle(tuple(stations[key].name for key in keys), tuple(_steps(stations, keys)))


def _steps(stations: Mapping[str, Station[Any]], keys: Iterable[str]) -> Iterator[str]:
    return (f"{stations[key].name} ({stations[key].location})" for key in keys)
