"""The stations that an item requests, through fixtures of any depth, and their instances."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from pytest_choochoo.collection.functions import (
    arguments_of,
    attached,
    parameters_of,
    requests_fixtures,
)
from pytest_choochoo.collection.pytest_internals import definitions_of
from pytest_choochoo.collection.registry import RESERVED, StationRegistry
from pytest_choochoo.engine.errors import ChoochooError, NoSuchInstance, ParametrizedFixture
from pytest_choochoo.engine.graph import reachable
from pytest_choochoo.engine.route import Route, StationInstance
from pytest_choochoo.engine.station import Station

Definition = pytest.FixtureDef[Any]


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """A station that an item requests as *name*, with the *keys* of the instances it receives.

    *is_fan_in*: it receives a dict of their outcomes by parameter id. *is_partial*: there are
    more instances. *is_direct*: no ordinary fixture of that name comes in between. *fault*: why
    it receives nothing.
    """

    name: str
    station: Station[Any]
    keys: tuple[str, ...]
    is_fan_in: bool
    is_partial: bool = False
    is_direct: bool = True
    fault: ChoochooError | None = None


class Dependencies:
    """The stations that the items of a session depend on, known once all are collected.

    *Upstream* of an item are the keys of the station instances that must be complete
    before its fixtures are set up.
    """

    def __init__(self, registry: StationRegistry) -> None:
        self._registry = registry
        self._faults: dict[str, ChoochooError] = {}
        self._visible: dict[tuple[pytest.Collector, str], Station[Any] | None] = {}
        self._names_of_attached: dict[object, tuple[str, ...]] = {}
        self._by_values: dict[object, dict[object, list[StationInstance]]] = {}
        self._upstream: dict[str, tuple[str, ...]] = {}
        #: By node and name, whether nothing provides a fixture of that name there.
        self._unprovided: dict[tuple[pytest.Collector | None, str], bool] = {}

    @property
    def faults(self) -> tuple[ChoochooError, ...]:
        """The faults between stations that were found so far; those of the route after `route`."""
        return tuple(self._faults.values())

    def route(self) -> Route:
        """Return the route of all collected stations, and add its faults to `faults`."""
        items = self._registry.items
        instances = {key: self._registry.instances[key] for key in items}
        upstream = {}
        for key, item in items.items():
            self._find_unknown(item, item)
            names = (*item.fixturenames, *self._requested_by_attached(item))
            requests_itself = instances[key].station.name in item.fixturenames
            upstream[key] = tuple(
                each for each in self._keys(item, names) if each != key or requests_itself
            )
        for earlier, later in self._in_order():
            upstream[later] = (*upstream[later], earlier)
        route = Route(instances, upstream)
        for fault in route.cycles(self._fixture_between):
            self._add_fault(fault)
        if route.has_former_names:
            from pytest_choochoo.engine import former_names  # few stations were renamed

            for named in former_names.faults(route):
                self._add_fault(named)
        return route

    def _in_order(self) -> Iterator[tuple[str, str]]:
        """Yield the keys of instances that wait for each other by `in_order`, pair by pair."""
        for station in self._registry.stations:
            if station.declaration.in_order:
                instances = self._registry.instances_of(station)
                keys = [each.key for each in instances if each.key in self._registry.items]
                yield from pairwise(keys)

    # --- upstream of an item

    def upstream_of(self, item: pytest.Item) -> tuple[str, ...]:
        """Return the keys of the stations that *item* requests."""
        if not requests_fixtures(item):
            return ()
        key = item.nodeid
        if key not in self._upstream:
            self._upstream[key] = self._keys(item, item.fixturenames)
        return self._upstream[key]

    def upstream_of_checks(self, item: pytest.Function) -> tuple[str, ...]:
        """Return the keys of the stations without which a station's *item* cannot be judged.

        Its checks and its find request them, or the fixtures whose values are its inputs.
        """
        station = self._registry.instances[item.nodeid].station
        asked = [check.function for check in station.checks]
        if station.find_function is not None:
            asked.append(station.find_function)
        names = _requested_beside(station, asked)
        keys = self._keys(item, _item_requesting(item, names).fixturenames) if names else ()
        return tuple(key for key in keys if key != item.nodeid)

    def upstream_through(self, item: pytest.Function, fixture: str) -> tuple[str, ...]:
        """Return the keys of the stations that *item* requests through *fixture*."""
        known = definitions_of(_item_requesting(item, [fixture]))
        requested = _requested_at_any_depth(_overridden(fixture, known), known)
        return self._keys(item, [fixture, *sorted(requested)])

    def _keys(self, item: pytest.Function, names: Sequence[str]) -> tuple[str, ...]:
        """Return the keys of the stations that must be complete before *names* are set up."""
        dependencies = self.requested_by(item, names)
        keys = dict.fromkeys(key for each in dependencies for key in each.keys)
        partial = [each for each in dependencies if each.is_partial]
        # A fixture that outlives the item cannot follow its parameters: it receives them all.
        outliving = self._requested_by_outliving(item, names) if partial else ()
        for each in partial:
            if each.name in outliving:
                instances = self._registry.instances_of(each.station)
                keys |= dict.fromkeys(instance.key for instance in instances)
        return tuple(keys)

    def _requested_by_outliving(
        self, item: pytest.Function, names: Sequence[str]
    ) -> Collection[str]:
        """Return what fixtures of a wider scope than *item* request, where it requests *names*."""
        known = definitions_of(_item_requesting(item, names))
        outliving = [
            definition
            for name in known
            for definition in _overridden(name, known)
            if definition.scope != "function" and definition.func not in self._registry.providers
        ]
        return _requested_at_any_depth(outliving, known)

    # --- the stations behind names, and their instances

    def requested_by(self, item: pytest.Function, names: Iterable[str]) -> tuple[Dependency, ...]:
        """Return the stations that *item* receives as *names*, or fixtures of these names do."""
        if self._registry.registrations.keys().isdisjoint(names):
            return ()
        parameters, consumer = parameters_of(item), item.nodeid
        found: dict[str, Dependency] = {}
        for name in names:
            if name in parameters or name in found:
                continue
            station, is_direct = self._resolved(item, name)
            if station is not None:
                dependency = self.instances_for(name, station, parameters, consumer)
                if not is_direct:
                    dependency = msgspec.structs.replace(dependency, is_direct=False)
                found[name] = dependency
        return tuple(found.values())

    def instances_for(
        self, name: str, station: Station[Any], parameters: Mapping[str, object], consumer: str
    ) -> Dependency:
        """Return the instances of *station*, requested as *name*, that fit *parameters*.

        They fit where the values of the shared parameters are equal. A parameter of the
        station that *consumer* does not share makes it a fan-in.
        """
        instances: Sequence[StationInstance] = self._registry.instances_of(station)
        own = instances[0].parameters if instances else {}
        shared = tuple(each for each in own if each in parameters)
        matching = self._matching(station, instances, shared, parameters) if shared else instances
        fault = None
        if instances and not matching:
            wanted = ", ".join(f"{each}={parameters[each]!r}" for each in shared)
            fault = NoSuchInstance(name, consumer, wanted)
            if consumer in self._registry.instances:
                self._add_fault(fault)
        return Dependency(
            name=name,
            station=station,
            keys=tuple([instance.key for instance in matching]),
            is_fan_in=not instances or len(shared) < len(own),
            is_partial=len(matching) < len(instances),
            fault=fault,
        )

    def ordinary_fixtures(self) -> dict[str, tuple[Callable[..., Any], ...]]:
        """Return by key the functions of the ordinary fixtures that each station requests."""
        return {
            key: tuple(
                definition.func
                for name in definitions_of(item)
                if name not in self._registry.registrations
                for definition in _overridden(name, definitions_of(item))
            )
            for key, item in self._registry.items.items()
        }

    def _resolved(self, item: pytest.Function, name: str) -> tuple[Station[Any] | None, bool]:
        """Return the station that *item* receives as *name*, and whether directly.

        An ordinary fixture of that name may stand nearer, and may itself request the
        station that it overrides.
        """
        station = self._visible_station(item, name)
        if station is None:
            return None, False
        definitions = definitions_of(item).get(name, ())
        for position, definition in enumerate(reversed(definitions)):
            if definition.func in self._registry.providers:
                return self._registry.providers[definition.func], position == 0
            if name not in definition.argnames:
                return None, False
        return station, not definitions

    def _visible_station(self, item: pytest.Item, name: str) -> Station[Any] | None:
        """Return the nearest station that is registered as *name* above *item*."""
        if name not in self._registry.registrations:
            return None
        parent = item.parent
        assert isinstance(parent, pytest.Collector)
        if (parent, name) not in self._visible:
            chain = parent.listchain()
            depths = [
                (chain.index(node), station)
                for node, station in self._registry.registrations[name]
                if node in chain
            ]
            nearest = max(depths, key=lambda pair: pair[0], default=(0, None))
            self._visible[parent, name] = nearest[1]
        return self._visible[parent, name]

    def _matching(
        self,
        station: Station[Any],
        instances: Sequence[StationInstance],
        shared: tuple[str, ...],
        parameters: Mapping[str, object],
    ) -> Sequence[StationInstance]:
        """Return the *instances* whose *shared* parameters have the values in *parameters*."""
        try:
            place = (station.identity, shared)
            if place not in self._by_values:
                by_values: dict[object, list[StationInstance]] = {}
                for instance in instances:
                    by_values.setdefault(_values(instance.parameters, shared), []).append(instance)
                self._by_values[place] = by_values  # whole, or not at all
            return self._by_values[place].get(_values(parameters, shared), [])
        except TypeError:  # a value has no hash
            return [
                instance
                for instance in instances
                if all(_are_equal(instance.parameters[each], parameters[each]) for each in shared)
            ]

    # --- checks, cleans and `values`, and faults

    def _requested_by_attached(self, item: pytest.Function) -> tuple[str, ...]:
        """Return the fixtures that checks, clean and `values` of *item* request, at any depth."""
        station = self._registry.instances[item.nodeid].station
        functions = attached(station)
        if not functions and not station.declaration.values:
            return ()
        identity = station.identity
        if identity not in self._names_of_attached:
            self._names_of_attached[identity] = ()
            names = _requested_beside(station, functions)
            if names:
                probe = _item_requesting(item, names)
                self._names_of_attached[identity] = tuple(probe.fixturenames)
                self._find_parametrized(item, definitions_of(probe))
                self._find_unknown(item, probe)
        return self._names_of_attached[identity]

    def _find_parametrized(
        self, item: pytest.Function, requested: Mapping[str, Sequence[Definition]]
    ) -> None:
        """Find parametrized fixtures that are *requested* beside the visit.

        If the visit requested them, there would be an instance for each parameter.
        """
        callspec = getattr(item, "callspec", None)
        given = {"anyio_backend", *(callspec.params if callspec is not None else ())}
        station = self._registry.instances[item.nodeid].station
        for name, definitions in requested.items():
            if name not in given and definitions[-1].params is not None:
                self._add_fault(ParametrizedFixture(station.name, name, station.location))

    def _find_unknown(self, item: pytest.Function, requested: pytest.Function) -> None:
        """Find what *requested*, *item* or a probe beside it, requests and nothing provides."""
        known = definitions_of(requested)
        for name in requested.fixturenames:
            if name not in known and name not in RESERVED and self._is_unprovided(item, name):
                # Only now, because most signatures have no fault.
                from pytest_choochoo.collection.signatures import may_be_skipped, unknown_parameter

                if not may_be_skipped(item):
                    station = self._registry.instances[item.nodeid].station
                    self._add_fault(unknown_parameter(item, station, name, requested))

    def _is_unprovided(self, item: pytest.Function, name: str) -> bool:
        """Return whether nothing provides *name* for *item* after all, as far as that is known."""
        if name in parameters_of(item) or name in definitions_of(item):
            return False
        if (item.parent, name) not in self._unprovided:
            # Fixtures, those of stations included, may be registered after the item was made.
            is_provided = self._visible_station(item, name) is not None or (
                name in definitions_of(_item_requesting(item, [name]))
            )
            is_excused = is_provided or self._registry.may_lack(name, item)
            self._unprovided[item.parent, name] = not is_excused
        return self._unprovided[item.parent, name]

    def _fixture_between(self, key: str, needed: str) -> str:
        """Return the ordinary fixture through which *key* needs *needed*, empty if directly."""
        item, station = self._registry.items[key], self._registry.instances[key].station
        functions = (station.function, *attached(station))
        requested = (name for function in functions for name in arguments_of(function))
        names = dict.fromkeys((*requested, *station.declaration.values))
        for dependency in self.requested_by(item, names):
            if needed in dependency.keys and dependency.is_direct:
                return ""
        # Fixtures without a request, like autouse fixtures, come with the item.
        unnamed = [name for name in item.fixturenames if self._visible_station(item, name) is None]
        for name in (*names, *unnamed):
            if needed in self.upstream_through(item, name):
                return name
        return ""

    def _add_fault(self, fault: ChoochooError) -> None:
        self._faults.setdefault(str(fault), fault)


def _requested_beside(station: Station[Any], functions: Iterable[Callable[..., Any]]) -> list[str]:
    """Return what *functions* and the `values` of *station* request beside the station itself."""
    requested = (name for function in functions for name in arguments_of(function))
    names = dict.fromkeys((*station.declaration.values, *requested))
    return [name for name in names if name not in {station.name, *RESERVED}]


def _values(parameters: Mapping[str, object], names: tuple[str, ...]) -> object:
    """Return the values of *names*, with their types: 1, True and 1.0 differ."""
    return tuple((type(parameters[name]), parameters[name]) for name in names)


def _are_equal(one: object, other: object) -> bool:
    with suppress(Exception):  # arrays, for example, refuse to be compared as a whole
        return one is other or (type(one) is type(other) and bool(one == other))
    return False


def _overridden(name: str, known: Mapping[str, Sequence[Definition]]) -> Iterator[Definition]:
    """Yield the nearest fixture called *name*, and those that it overrides and requests."""
    for definition in reversed(known.get(name, ())):
        yield definition
        if name not in definition.argnames:
            return


def _requested_at_any_depth(
    definitions: Iterable[Definition], known: Mapping[str, Sequence[Definition]]
) -> Collection[str]:
    """Return the names of the *known* fixtures that *definitions* request, at any depth."""
    return reachable(_argnames(definitions), lambda name: _argnames(_overridden(name, known)))


def _argnames(definitions: Iterable[Definition]) -> Iterator[str]:
    for definition in definitions:
        yield from definition.argnames


def _item_requesting(item: pytest.Function, names: Sequence[str]) -> pytest.Function:
    """Return a new item beside *item* that requests *names*; it is never run.

    Pytest resolves for it the fixtures of these names, and all that they request.
    """

    def request() -> None: ...

    # By a mark, because a parameter cannot have every name that a fixture can.
    request = pytest.mark.usefixtures(*names)(request)
    return pytest.Function.from_parent(item.parent, name=item.originalname, callobj=request)
