"""Station files found, and stations registered as fixtures and made items."""

from __future__ import annotations

import inspect
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_choochoo.collection.files import adopt, is_name_taken, load, stations_in, tell_why
from pytest_choochoo.collection.functions import (
    ReturnValue,
    call_as_it_is,
    item_function,
    one_backend,
    parameters_of,
)
from pytest_choochoo.engine.errors import ChoochooError
from pytest_choochoo.engine.faults import (
    DuplicateName,
    ReservedName,
    StationInClass,
    StationInConftest,
    StationOutside,
)
from pytest_choochoo.engine.route import StationInstance
from pytest_choochoo.engine.station import Station
from pytest_choochoo.engine.wording import error_line
from pytest_choochoo.settings import Settings, is_python

RESERVED = frozenset({"request", "visit"})


class StationRegistry:
    """The stations found while pytest collects, their items, and the faults in them."""

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        directories: Mapping[Path, pytest.Directory],
    ) -> None:
        self._config = config
        self._settings = settings
        self._mark = pytest.mark.station.mark
        self.fixture_value: Callable[[Station[Any]], Any] = _too_early
        self.faults: list[ChoochooError] = []
        #: What station files raised when they were imported.
        self.broken: dict[pytest.Module, BaseException] = {}
        #: The item of each station instance by node id, in definition order.
        self.items: dict[str, pytest.Function] = {}
        #: Where a visit leaves what it returned.
        self.return_value = ReturnValue()
        #: The fixture functions that hand out outcomes.
        self.providers: dict[Callable[..., Any], Station[Any]] = {}
        self.registered: dict[str, list[tuple[pytest.Collector, Station[Any]]]] = {}
        self._stations: dict[object, Station[Any]] = {}
        self.instances: dict[object, list[str]] = {}
        self.stops: dict[str, StationInstance] = {}
        self._conftests: dict[Path, ModuleType] = {}
        self._directories = directories
        self._modules: dict[Path, pytest.Module] = {}
        #: The files of which the stations are known.
        self.read: set[Path] = set()
        #: The stations that are imported, each with the file that does so.
        self.imported: list[tuple[Path, Station[Any]]] = []

    @property
    def has_stations(self) -> bool:
        return bool(self.registered)

    # --- while pytest collects

    def add_conftest(self, module: ModuleType) -> None:
        """Take note of a conftest, which may import stations but not declare them."""
        path = Path(module.__file__ or "")
        self._conftests[path.parent] = module
        for station in stations_in(module).values():
            if station.home == str(path):
                self.faults.append(StationInConftest(station.name, station.location))

    def add_directory(self, directory: pytest.Directory, files: Sequence[pytest.Module]) -> None:
        """Register the stations of the station *files* in *directory*, whatever is selected."""
        conftest = self._conftests.get(directory.path)
        if conftest is not None:
            for name, station in stations_in(conftest).items():
                path = Path(conftest.__file__ or "")
                if station.home != str(path):
                    self._register(name, station, directory)
                    self.imported.append((path, station))
        for node in files:
            self._modules.setdefault(node.path, node)
            try:
                stations = stations_in(load(node))
            except (Exception, pytest.skip.Exception, pytest.fail.Exception, SystemExit) as error:
                # Told as an error when the file itself is collected, see `gather`.
                self.broken[node] = error.__cause__ or error
                continue
            for name, station in stations.items():
                self._register(name, station, directory)

    def is_named(self, path: Path) -> bool:
        named = (each.partition("::")[0] for each in self._config.args)
        return path in {Path(os.path.abspath(each)) for each in named}

    def is_left_alone(self, node: pytest.Item | pytest.Collector) -> bool:
        """Say whether plain pytest passes over *node*, a broken station file, and warn of it.

        Unless it was named by the user, who may not even know that its name makes it one.
        """
        error = self.broken.get(node) if isinstance(node, pytest.Module) else None
        if error is None or isinstance(error, pytest.skip.Exception):
            return False
        if self._settings.mode.collects or self.is_named(node.path):
            return False
        text = f"{node.path.name} could not be imported, and stations of it are not known: "
        try:
            # `node.warn` would import the file once more, to say where it is.
            said = pytest.PytestWarning(text + error_line(error))
            warnings.warn_explicit(said, None, str(node.path), lineno=1)
        except pytest.PytestWarning:  # the user wants all warnings to be errors
            return False
        return True

    def add_module(self, module: pytest.Module, report: pytest.CollectReport) -> None:
        """Take the station items out of *report*, after other plugins made them their own."""
        self._modules.setdefault(module.path, module)
        error = self.broken.get(module)
        if error is not None and is_name_taken(module):
            tell_why(report, module, error)
        if report.result or not report.passed:  # else --lf may have left it out
            self.read.add(module.path)
        for item in report.result:
            if item.nodeid in self.stops and isinstance(item, pytest.Function):
                if self.items.setdefault(item.nodeid, item) is item:
                    call_as_it_is(item, self.stops[item.nodeid].station, self.return_value)
        if not self._settings.mode.collects:
            report.result = [node for node in report.result if node.nodeid not in self.stops]

    def make_items(
        self, collector: pytest.Module | pytest.Class, name: str, station: Station[Any]
    ) -> list[pytest.Item | pytest.Collector]:
        """Return the items of *station*; none where it is only imported."""
        if isinstance(collector, pytest.Class):
            self.add_class(collector.obj)
            return []
        node = collector.parent if self._settings.is_station_file(collector.path) else collector
        assert isinstance(node, pytest.Collector)
        self._register(name, station, node)
        if station.home != str(collector.path):
            self.imported.append((collector.path, station))
            return []
        path, root = collector.path, self._config.rootpath
        if not path.is_relative_to(root) and collector.nodeid != path.as_posix():
            self.fault(StationOutside(station.name, station.location, str(root)))
            return []
        # It may have been imported before, under another name of its module.
        station = self.known(station)
        if station.identity in self.instances and name != self._home_name(station):
            return []  # a second name for the same station in its own file
        if station.shadowed is not None:
            self.fault(DuplicateName(station.name, station.shadowed.location, station.location))
        faults = station.faults()
        for fault in faults:
            self.fault(fault)
        if faults:
            return []
        made = self._made(collector, name, station)
        self._note_stops(station, made)
        return list(made)

    def known(self, station: Station[Any]) -> Station[Any]:
        return self._stations.get(station.identity, station)

    def add_class(self, kind: type) -> None:
        """Take note of a class with stations, which would be methods; it may refer to others."""
        for value in vars(kind).values():
            if issubclass(type(value), Station):
                home = sys.modules.get(value.function.__module__)
                if home is None or value not in stations_in(home).values():
                    self.fault(StationInClass(value.name, value.location))

    def _home_name(self, station: Station[Any]) -> str:
        key = self.instances[station.identity][0]
        return self.stops[key].name.partition("[")[0]

    def _made(
        self, collector: pytest.Module, name: str, station: Station[Any]
    ) -> list[pytest.Function]:
        function = item_function(station, self.return_value)
        # What decides whether a function is a test of pytest's: the name would not do.
        function.__test__ = True
        if station.pytestmark:  # parametrised, or using fixtures: to be known while making them
            function.pytestmark = list(station.pytestmark)
        if not any(mark.name == "station" for mark in station.pytestmark):
            station.pytestmark = [*station.pytestmark, self._mark]
        # Pytest's own way of making items knows parametrisation and all plugins.
        made = collector.ihook.pytest_pycollect_makeitem(
            collector=collector, name=name, obj=function
        )
        del function.__test__  # else -k test would select every station
        items = [item for item in made or () if isinstance(item, pytest.Function)]
        for item in items:
            item.obj = function
            # Pytest would read the source to find out.
            item.location = (item.nodeid.partition("::")[0], station.line - 1, item.name)
        return one_backend(items)

    def _note_stops(self, station: Station[Any], made: Sequence[pytest.Function]) -> None:
        keys = self.instances.setdefault(station.identity, [])
        for item in made:
            parameters = parameters_of(item)
            stop = StationInstance(
                key=item.nodeid,
                name=item.name,
                station=station,
                parameters=parameters,
                parameter_id=item.callspec.id if parameters else "",
            )
            if item.nodeid not in self.stops:
                keys.append(item.nodeid)
            self.stops[item.nodeid] = stop

    def _register(self, name: str, station: Station[Any], node: pytest.Collector) -> None:
        station = self._stations.setdefault(station.identity, station)
        registered = self.registered.setdefault(name, [])
        if any(other is node and known is station for other, known in registered):
            return
        if name in RESERVED:
            self.fault(ReservedName(name, station.location))
            return
        registered.append((node, station))
        provider = _provider(self, station)
        self.providers[provider] = station
        pytest.register_fixture(name=name, func=provider, node=node, scope="session")

    def fault(self, fault: ChoochooError) -> None:
        if str(fault) not in map(str, self.faults):
            self.faults.append(fault)

    # --- when pytest has collected

    def gather(self, session: pytest.Session) -> None:
        """Collect the files of stations that are needed and not among the arguments."""
        seen: set[Path] = set()
        while True:
            wanted = {
                path
                for path in (
                    *(path for path in self._modules if self._settings.is_station_file(path)),
                    *(
                        Path(station.home)
                        for key, station in self._stations.items()
                        if key not in self.instances
                    ),
                )
                if path not in seen | self.read
            }
            if not wanted:
                return
            for path in sorted(wanted):
                seen.add(path)
                self.collect_file(session, path)

    def collect_file(self, session: pytest.Session, path: Path) -> None:
        module = self._modules.get(path) or self._module_at(session, path)
        if module is None or (module in self.broken and not self._settings.mode.collects):
            return  # plain pytest is not stopped by a station file that it was not asked for
        # --lf leaves out files without failures; stations that are needed may stand there.
        skipper = self._config.pluginmanager.get_plugin("lfplugin-collskip")
        make_report = self._config.pluginmanager.subset_hook_caller(
            "pytest_make_collect_report", [] if skipper is None else [skipper]
        )
        adopt(module, self._stations.values())
        report = make_report(collector=module)
        if report.failed and self._settings.mode.collects:
            self._config.hook.pytest_collectreport(report=report)

    def _module_at(self, session: pytest.Session, path: Path) -> pytest.Module | None:
        """Return the node of a module outside of what was collected."""
        if not path.is_relative_to(session.config.rootpath):
            # Its folders are nobody's to collect.
            return pytest.Module.from_parent(session, path=path, nodeid=path.as_posix())
        missing = []
        folder = path.parent
        while folder not in self._directories:
            missing.append(folder)
            if folder == session.config.rootpath:
                break
            folder = folder.parent
        parent: pytest.Collector = self._directories.get(folder, session)
        for folder in reversed(missing):
            node = session.gethookproxy(folder).pytest_collect_directory(path=folder, parent=parent)
            if node is None:
                return None
            parent = node
            node.ihook.pytest_make_collect_report(collector=node)
        if path not in self._modules:
            found = session.gethookproxy(path).pytest_collect_file(file_path=path, parent=parent)
            modules = [node for node in found if is_python(node)]
            return modules[0] if modules else pytest.Module.from_parent(parent, path=path)
        return self._modules[path]


def _too_early(station: Station[Any]) -> Any:
    raise AssertionError(f"{station} is requested before the session is built")


# Requesting nothing of what the station requests, which is what --fixtures shows of it.
_ASKS_NOTHING = inspect.Signature()


def _provider(registry: StationRegistry, station: Station[Any]) -> Callable[..., Any]:
    """Return the fixture function that hands out the outcome of *station*."""

    def provider() -> Any:
        __tracebackhide__ = True
        return registry.fixture_value(station)

    provider.__doc__ = station.declaration.title or station.function.__doc__
    provider.__name__ = station.name
    provider.__module__ = station.function.__module__
    provider.__wrapped__ = station.function  # type: ignore[attr-defined]
    provider.__signature__ = _ASKS_NOTHING  # type: ignore[attr-defined]
    return provider
