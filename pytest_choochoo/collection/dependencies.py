"""Which stations an item asks for, by fixtures of any depth, and which of their instances."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from pytest_choochoo.collection.functions import (
    arguments_of,
    asks_for_fixtures,
    attached,
    parameters_of,
)
from pytest_choochoo.collection.registry import RESERVED, StationRegistry
from pytest_choochoo.engine.errors import ChoochooError
from pytest_choochoo.engine.faults import DuplicateName, NoSuchInstance, ParametrisedFixture
from pytest_choochoo.engine.route import Route, StationInstance
from pytest_choochoo.engine.station import Station


# One a request is kept to the end: nothing that the garbage collector need look at.
class Dependency(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A station that a consumer asks for as *name*, and which of its instances it receives.

    *is_fan_in*: it receives a dict of outcomes by parameter id. *is_direct*: no
    ordinary fixture of the same name stands between. *fault*: why it receives nothing.
    """

    name: str
    station: Station[Any]
    keys: tuple[str, ...]
    is_fan_in: bool
    is_direct: bool = True
    fault: ChoochooError | None = None


class Dependencies:
    """Answers who needs whom, once everything is collected."""

    def __init__(self, collected: StationRegistry) -> None:
        self._collected = collected
        self._visible: dict[tuple[pytest.Collector, str], Station[Any] | None] = {}
        self._extra_names: dict[object, tuple[str, ...]] = {}
        self._index: dict[object, dict[object, list[StationInstance]]] = {}
        self._keys_of_item: dict[str, tuple[str, ...]] = {}

    def route(self) -> Route:
        """Return the route of all stations that were collected; faults are added to `faults`."""
        self._find_duplicates()
        stops = {key: self._collected.stops[key] for key in self._collected.items}
        upstream = {}
        for key, item in self._collected.items.items():
            keys = self._keys(item, (*item.fixturenames, *self._names_of_attached(item)))
            asks_itself = stops[key].station.name in item.fixturenames
            upstream[key] = tuple(each for each in keys if each != key or asks_itself)
        route = Route(stops, upstream)
        for cycle in route.cycles(self._fixture_between):
            self._collected.fault(cycle)
        return route

    def _fixture_between(self, key: str, needed: str) -> str:
        """Return the ordinary fixture through which *key* needs *needed*, if it is one."""
        item, stop = self._collected.items[key], self._collected.stops[key]
        functions = (stop.station.function, *attached(stop.station))
        asked = [name for function in functions for name in arguments_of(function)]
        names = dict.fromkeys((*asked, *stop.station.declaration.values))
        for name in names:
            if any(needed in need.keys and need.is_direct for need in self.among(item, [name])):
                return ""
        # Those that nobody named, like an autouse fixture, come with the item.
        unasked = [name for name in item.fixturenames if self.visible(item, name) is None]
        for name in (*names, *unasked):
            if needed in self.keys_through(item, name):
                return name
        return ""

    def _find_duplicates(self) -> None:
        for name, registered in self._collected.registered.items():
            for position, (node, station) in enumerate(registered):
                for other, before in registered[:position]:
                    near = node in other.listchain() or other in node.listchain()
                    if before is not station and near:
                        self._collected.fault(
                            DuplicateName(name, before.location, station.location)
                        )

    def _names_of_attached(self, item: pytest.Function) -> tuple[str, ...]:
        """Return the fixtures that checks, clean and `values` of a station ask for, all the way."""
        station = self._collected.stops[item.nodeid].station
        if station.identity not in self._extra_names:
            self._extra_names[station.identity] = ()
            names = _asked_beside(station, attached(station))
            if names:
                probe = _probe(item, names)
                self._extra_names[station.identity] = tuple(probe.fixturenames)
                self._find_parametrised(item, definitions_of(probe))
        return self._extra_names[station.identity]

    def _find_parametrised(self, item: pytest.Function, asked: Mapping[str, Sequence[Any]]) -> None:
        """Find fixtures that an item would be made for each of, had the visit *asked* for them."""
        callspec = getattr(item, "callspec", None)
        given = {"anyio_backend", *(callspec.params if callspec is not None else ())}
        station = self._collected.stops[item.nodeid].station
        for name, definitions in asked.items():
            if name not in given and definitions[-1].params is not None:
                self._collected.fault(ParametrisedFixture(station.name, name, station.location))

    def visible(self, item: pytest.Item, name: str) -> Station[Any] | None:
        """Return the station that *name* means for *item*, the nearest one."""
        if name not in self._collected.registered:
            return None
        node = item.parent
        assert isinstance(node, pytest.Collector)
        place = (node, name)
        if place not in self._visible:
            chain = node.listchain()
            depths = [
                (chain.index(owner), station)
                for owner, station in self._collected.registered[name]
                if owner in chain
            ]
            self._visible[place] = max(depths, key=lambda pair: pair[0])[1] if depths else None
        return self._visible[place]

    def keys_of(self, item: pytest.Item) -> tuple[str, ...]:
        """Return the keys of the stations that *item* asks for."""
        if not asks_for_fixtures(item):
            return ()
        if item.nodeid not in self._keys_of_item:
            self._keys_of_item[item.nodeid] = self._keys(item, item.fixturenames)
        return self._keys_of_item[item.nodeid]

    def keys_of_checks(self, item: pytest.Function) -> tuple[str, ...]:
        """Return the keys of the stations without which nobody can say how *item* is doing.

        Those that its checks ask for, and the fixtures whose values are its inputs.
        """
        station = self._collected.stops[item.nodeid].station
        names = _asked_beside(station, (check.function for check in station.checks))
        keys = self._keys(item, _closure(item, names)) if names else ()
        return tuple(key for key in keys if key != item.nodeid)

    def keys_through(self, item: pytest.Function, fixture: str) -> tuple[str, ...]:
        """Return the keys of the stations that *item* asks for through *fixture*."""
        known = definitions_of(_probe(item, [fixture]))
        requested = _requested(_reached(fixture, known.get(fixture, ())), known)
        return self._keys(item, [fixture, *sorted(requested)])

    def _keys(self, item: pytest.Function, names: Sequence[str]) -> tuple[str, ...]:
        """Return the keys of all stations that are to be complete before *names* are set up."""
        needs = self.among(item, names)
        keys = dict.fromkeys(key for need in needs for key in need.keys)
        instances = self._collected.instances
        partial = {
            need.name: all_of
            for need in needs
            if len(all_of := instances.get(need.station.identity, ())) > len(need.keys)
        }
        for name in self._outliving(item, names).intersection(partial) if partial else ():
            keys |= dict.fromkeys(partial[name])
        return tuple(keys)

    def _outliving(self, item: pytest.Function, names: Sequence[str]) -> set[str]:
        """Return what is requested by fixtures that outlive *item*: they receive all instances."""
        known = definitions_of(_probe(item, names))
        outliving = [
            definition
            for name, definitions in known.items()
            for definition in _reached(name, definitions)
            if definition.scope != "function" and definition.func not in self._collected.providers
        ]
        return _requested(outliving, known)

    def among(self, item: pytest.Function, names: Iterable[str]) -> tuple[Dependency, ...]:
        """Return the stations that *item* asks for by *names*."""
        if self._collected.registered.keys().isdisjoint(names):
            return ()
        parameters = parameters_of(item)
        found = {}
        for name in names:
            if name in parameters or name in found:
                continue
            station, is_direct = self._meant(item, name)
            if station is not None:
                need = self.need(name, station, parameters, item.nodeid)
                found[name] = need if is_direct else msgspec.structs.replace(need, is_direct=False)
        return tuple(found.values())

    def _meant(self, item: pytest.Function, name: str) -> tuple[Station[Any] | None, bool]:
        """Return the station that *item* receives as *name*, and whether without detour.

        An ordinary fixture of that name may stand nearer, and may itself ask
        for the station that it overrides.
        """
        station = self.visible(item, name)
        if station is None:
            return None, False
        definitions = definitions_of(item).get(name, ())
        for position, definition in enumerate(reversed(definitions)):
            if definition.func in self._collected.providers:
                return self._collected.providers[definition.func], position == 0
            if name not in definition.argnames:
                return None, False
        return station, not definitions

    def need(
        self, name: str, station: Station[Any], parameters: Mapping[str, object], consumer: str
    ) -> Dependency:
        """Return which instances of *station* a consumer with *parameters* receives."""
        stops = [
            self._collected.stops[key]
            for key in self._collected.instances.get(station.identity, ())
        ]
        shared = tuple(p for p in (stops[0].parameters if stops else ()) if p in parameters)
        matching = self._matching(station, stops, shared, parameters) if shared else stops
        fault = None
        if stops and not matching:
            wanted = ", ".join(f"{p}={parameters[p]!r}" for p in shared)
            fault = NoSuchInstance(name, consumer, wanted)
            if consumer in self._collected.stops:
                self._collected.fault(fault)
        is_one = bool(stops) and len(shared) == len(stops[0].parameters)
        return Dependency(
            name=name,
            station=station,
            keys=tuple(stop.key for stop in matching),
            is_fan_in=not is_one,
            fault=fault,
        )

    def _matching(
        self,
        station: Station[Any],
        stops: Sequence[StationInstance],
        shared: tuple[str, ...],
        parameters: Mapping[str, object],
    ) -> Sequence[StationInstance]:
        """Return the stops whose *shared* parameters have the values of *parameters*."""
        try:
            place = (station.identity, shared)
            if place not in self._index:
                index: dict[object, list[StationInstance]] = {}
                for stop in stops:
                    index.setdefault(_values(stop.parameters, shared), []).append(stop)
                self._index[place] = index  # whole, or not at all
            return self._index[place].get(_values(parameters, shared), [])
        except TypeError:  # a value without a hash
            return [
                stop
                for stop in stops
                if all(_equal(stop.parameters[p], parameters[p]) for p in shared)
            ]

    def ordinary_fixtures(self) -> dict[str, tuple[Callable[..., Any], ...]]:
        """Return the functions of the ordinary fixtures that each station requests."""
        return {
            key: tuple(
                definition.func
                for name, definitions in definitions_of(item).items()
                if name not in self._collected.registered
                for definition in _reached(name, definitions)
            )
            for key, item in self._collected.items.items()
        }


def _asked_beside(station: Station[Any], functions: Iterable[Callable[..., Any]]) -> list[str]:
    """Return what *functions* and the `values` of *station* ask for, beside the station itself."""
    asked = (name for function in functions for name in arguments_of(function))
    names = dict.fromkeys((*station.declaration.values, *asked))
    return [name for name in names if name not in {station.name, *RESERVED}]


def definitions_of(item: pytest.Function) -> Mapping[str, Sequence[Any]]:
    """Return by name the fixtures that *item* may request, the nearest one last."""
    # There is no public way from an item to the functions of its fixtures.
    return item._fixtureinfo.name2fixturedefs


def _values(parameters: Mapping[str, object], names: tuple[str, ...]) -> object:
    return tuple((type(parameters[name]), parameters[name]) for name in names)


def _equal(one: object, other: object) -> bool:
    with suppress(Exception):  # of arrays, for example, it cannot be said
        return one is other or (type(one) is type(other) and bool(one == other))
    return False


def _reached(name: str, definitions: Sequence[Any]) -> Iterator[Any]:
    """Yield the nearest fixture called *name*, and those that it overrides and asks for."""
    for definition in reversed(definitions):
        yield definition
        if name not in definition.argnames:
            return


def _requested(definitions: Iterable[Any], known: Mapping[str, Sequence[Any]]) -> set[str]:
    """Return the names of the *known* fixtures that *definitions* request, at any depth."""
    waiting, found = list(definitions), set[str]()
    while waiting:
        for name in waiting.pop().argnames:
            if name not in found:
                found.add(name)
                waiting += _reached(name, known.get(name, ()))
    return found


def _closure(item: pytest.Function, names: Sequence[str]) -> tuple[str, ...]:
    """Return *names* and the fixtures that they request, as pytest resolves them for *item*."""
    return tuple(_probe(item, names).fixturenames)


def _probe(item: pytest.Function, names: Sequence[str]) -> pytest.Function:
    """Return an item like *item* that asks for *names*, and is never run."""

    def asks() -> None: ...

    # By a mark, as no parameter may be called like some fixtures.
    asks = pytest.mark.usefixtures(*names)(asks)
    # What an item requests is public, how it is found is not.
    return pytest.Function.from_parent(item.parent, name=item.originalname, callobj=asks)
