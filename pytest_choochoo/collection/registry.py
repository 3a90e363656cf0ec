"""The stations of a session: their fixtures, their items, and the faults in them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Any, Literal

import pytest

from pytest_choochoo.collection.functions import (
    VisitCall,
    adapt_async_item,
    is_left_to_trio,
    item_function,
    parameters_of,
    without_second_backend,
)
from pytest_choochoo.collection.multiplied import MultipliedHooks
from pytest_choochoo.engine.errors import (
    ChoochooError,
    DuplicateName,
    LeftToTrio,
    ReservedName,
    StationInClass,
    StationOutside,
    UnshowablePath,
)
from pytest_choochoo.engine.route import StationInstance
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.engine.station import Station

#: Names of fixtures that no station may take.
RESERVED = frozenset({"request", "visit"})

_NO_PARAMETERS = inspect.Signature()


class StationRegistry:
    """The stations that pytest has collected, their instances and items, and their faults.

    It is filled while pytest collects (`add_station`, `make_items`, `add_item`,
    `add_class`, `add_fault`) and read afterwards.
    """

    def __init__(self) -> None:
        #: Returns the value of a station's fixture; the session sets it before anything is run.
        self.fixture_value: Callable[[Station[Any]], Any] = _no_value_yet
        #: To be registered as a plugin before any item is made.
        self.multiplied = MultipliedHooks()
        self._call = VisitCall()
        self._faults: dict[str, ChoochooError] = {}
        self._stations: dict[object, Station[Any]] = {}
        self._registrations: dict[str, list[tuple[pytest.Collector, Station[Any]]]] = {}
        self._providers: dict[Callable[..., Any], Station[Any]] = {}
        self._item_names: dict[object, str] = {}
        self._instances: dict[str, StationInstance] = {}
        self._instances_of: dict[object, list[StationInstance]] = {}
        self._items: dict[str, pytest.Function] = {}
        self._not_imported: list[pytest.Module] = []
        self._places: dict[pytest.Module, Literal["inside", "outside", "unshowable"]] = {}
        #: The item of each station instance by node id, in definition order.
        self.items: Mapping[str, pytest.Function] = MappingProxyType(self._items)
        #: The station instances by node id, also those whose items were left out.
        self.instances: Mapping[str, StationInstance] = MappingProxyType(self._instances)
        #: By name, the stations that can be requested, each with the node it is visible below.
        self.registrations: Mapping[str, Sequence[tuple[pytest.Collector, Station[Any]]]] = (
            MappingProxyType(self._registrations)
        )
        #: The stations by the functions of their fixtures.
        self.providers: Mapping[Callable[..., Any], Station[Any]] = MappingProxyType(
            self._providers
        )

    # --- reading

    @property
    def faults(self) -> tuple[ChoochooError, ...]:
        """The faults of the stations themselves, in the order in which they were found."""
        return tuple(self._faults.values())

    @property
    def has_stations(self) -> bool:
        """Whether a station is visible anywhere, with or without an item."""
        return bool(self._registrations)

    @property
    def stations(self) -> Iterable[Station[Any]]:
        """The stations that can be requested; one object even if a file was imported twice."""
        return self._stations.values()

    @property
    def call(self) -> VisitCall:
        """The call of the visit under way, kept by its item."""
        return self._call

    def instances_of(self, station: Station[Any]) -> Sequence[StationInstance]:
        """Return the instances of *station*, one for each set of its parameters."""
        return self._instances_of.get(station.identity, ())

    def without_items(self) -> Iterable[Station[Any]]:
        """Return the stations that can be requested and whose items were not made so far."""
        return [
            station
            for identity, station in self._stations.items()
            if identity not in self._instances_of
        ]

    def may_lack(self, name: str, item: pytest.Item) -> bool:
        """Return whether a station *name* may be missing above *item* because of another fault."""
        if any(fault.concerns(name) for fault in self._faults.values()):
            return True
        return any(module.parent in item.listchain() for module in self._not_imported)

    # --- filling

    def add_not_imported(self, module: pytest.Module) -> None:
        """Add a station file that could not be imported: its stations are unknown."""
        self._not_imported.append(module)

    def add_fault(self, fault: ChoochooError) -> None:
        """Add a fault of a station; one with the same sentence is added once."""
        self._faults.setdefault(str(fault), fault)

    def add_class(self, kind: type) -> None:
        """Add a class; a station that is defined in it, not only referred to, is a fault."""
        for value in vars(kind).values():
            if issubclass(type(value), Station):
                home = sys.modules.get(value.function.__module__)
                if home is None or value not in stations_in(home).values():
                    self.add_fault(StationInClass(value.name, value.location))

    def add_station(self, name: str, station: Station[Any], node: pytest.Collector) -> None:
        """Register *station* as the fixture *name* of everything below *node*."""
        station = self._stations.setdefault(station.identity, station)
        registered = self._registrations.setdefault(name, [])
        if any(other is node and known is station for other, known in registered):
            return
        if name in RESERVED:
            self.add_fault(ReservedName(name, station.location))
            return
        for other, known in registered:
            is_in_sight = node in other.listchain() or other in node.listchain()
            if known is not station and is_in_sight:
                self.add_fault(DuplicateName(name, known.location, station.location))
        registered.append((node, station))
        provider = self._provider(station)
        self._providers[provider] = station
        pytest.register_fixture(name=name, func=provider, node=node, scope="session")

    def make_items(
        self, module: pytest.Module, name: str, station: Station[Any]
    ) -> list[pytest.Function]:
        """Return the items of *station*, called *name* in the *module* that defines it.

        There are none where the station has items under another name, or a fault.
        """
        place = self._place_of(module)
        if place == "outside":
            root = str(module.config.rootpath)
            self.add_fault(StationOutside(station.name, station.location, root))
            return []
        if place == "unshowable":
            self.add_fault(UnshowablePath(station.name, station.location))
            return []
        # Its file may have been imported before, under another module name.
        identity = station.identity
        station = self._stations.get(identity, station)
        if self._item_names.setdefault(identity, name) != name:
            return []
        if station.shadowed is not None:
            before = station.shadowed.location
            self.add_fault(DuplicateName(station.name, before, station.location))
        faults = station.faults()
        for fault in faults:
            self.add_fault(fault)
        if faults:
            return []
        self.multiplied.is_making_station = True
        try:
            items = _made_items(module, name, station, item_function(station, self._call))
        finally:
            self.multiplied.is_making_station = False
        instances = self._instances_of.setdefault(identity, [])
        for item in items:
            key = item.nodeid
            if key not in self._instances:
                instance = self._instances[key] = _instance(item, key, station)
                instances.append(instance)
                for fault in instance.faults():
                    self.add_fault(fault)
        return items

    def _place_of(self, module: pytest.Module) -> Literal["inside", "outside", "unshowable"]:
        """Return where *module* lies: outside of rootdir, its node ids may be those of others."""
        if module not in self._places:  # asked for each station
            path, key = module.path, module.nodeid
            is_inside = path.is_relative_to(module.config.rootpath) or key == path.as_posix()
            self._places[module] = "inside" if is_inside else "outside"
            if shown(key) != key:  # pytest and its reporters show it as it is
                self._places[module] = "unshowable"
        return self._places[module]

    def add_item(self, item: pytest.Function) -> None:
        """Add the item of a station instance, after other plugins have adapted it."""
        key = item.nodeid
        if self._items.setdefault(key, item) is item:
            station = self._instances[key].station
            if is_left_to_trio(item, station):
                self.add_fault(LeftToTrio(station.name, station.location))
            adapt_async_item(item, station, self._call)

    def _provider(self, station: Station[Any]) -> Callable[..., Any]:
        """Return the fixture function of *station*."""

        def provider() -> Any:
            __tracebackhide__ = True
            return self.fixture_value(station)

        provider.__doc__ = station.declaration.title or station.function.__doc__
        provider.__name__ = station.name
        provider.__module__ = station.function.__module__
        # `--fixtures` shows where the station is defined; its arguments are not the fixture's.
        vars(provider).update(__wrapped__=station.function, __signature__=_NO_PARAMETERS)
        return provider


def stations_in(module: ModuleType) -> dict[str, Station[Any]]:
    """Return the stations in the namespace of *module*, defined there or imported."""
    # By its type: some objects raise when they are asked for their class.
    return {n: value for n, value in vars(module).items() if issubclass(type(value), Station)}


def _no_value_yet(station: Station[Any]) -> Any:
    raise RuntimeError(
        f"internal error: the fixture of station {station.name!r} was set up "
        "before the session set `StationRegistry.fixture_value`"
    )


def _made_items(
    module: pytest.Module, name: str, station: Station[Any], function: Any
) -> list[pytest.Function]:
    """Return the items that pytest makes of *station*, which call *function*."""
    # Pytest recognizes a test function by its name, or by this attribute.
    function.__test__ = True
    # Marks can parametrize, and request fixtures: they must be known while items are made.
    own_marks = station.pytestmark
    # Pytest takes the marks of items from the module's attribute, which is the station.
    station.pytestmark = function.pytestmark = [*own_marks, _station_mark()]
    # Pytest's own way of making items knows parametrization and all plugins.
    try:
        made = module.ihook.pytest_pycollect_makeitem(collector=module, name=name, obj=function)
    finally:
        station.pytestmark = own_marks
    del function.__test__  # else -k test would select every station
    items = [item for item in made or () if isinstance(item, pytest.Function)]
    for item in items:
        item.obj = function  # pytest took that from the module's attribute too
        # Pytest would read the source to find out.
        item.location = (item.nodeid.partition("::")[0], station.line - 1, item.name)
    return without_second_backend(items)


@cache
def _station_mark() -> pytest.Mark:
    return pytest.mark.station.mark  # only now, as pytest knows it once the plugin is configured


def _instance(item: pytest.Function, key: str, station: Station[Any]) -> StationInstance:
    parameters = parameters_of(item)
    return StationInstance(
        key=key,
        name=item.name,
        station=station,
        parameters=parameters,
        parameter_id=item.callspec.id if parameters else "",
    )
