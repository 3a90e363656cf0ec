"""Station files: found, imported side by side though they share a name, and selected."""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import pytest

from pytest_choochoo.collection.functions import arguments_of, attached
from pytest_choochoo.collection.pytest_internals import (
    call_of_collection,
    collect_whole,
    is_python_module,
    replace_call,
)
from pytest_choochoo.collection.registry import StationRegistry, stations_in
from pytest_choochoo.engine.code.namespaces import namespace_of
from pytest_choochoo.engine.errors import StationInConftest, error_line
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.engine.station import Station
from pytest_choochoo.settings import Settings


class StationFiles:
    """The files that define or import stations, as pytest collects them.

    *directories*: a live view of the directories that pytest has collected, by path.
    """

    def __init__(
        self,
        registry: StationRegistry,
        config: pytest.Config,
        settings: Settings,
        directories: Mapping[Path, pytest.Directory],
    ) -> None:
        self.registry = registry
        self._config = config
        self._settings = settings
        self._directories = directories
        self._conftests: dict[Path, ModuleType] = {}
        self._modules: dict[Path, pytest.Module] = {}
        self._broken: dict[pytest.Module, BaseException] = {}
        self._visible: dict[pytest.Module, pytest.Collector] = {}
        #: The modules whose items are known.
        self._collected: set[Path] = set()
        #: The stations that are imported, each with the file that imports it.
        self._imports: list[tuple[Path, Station[Any]]] = []

    @property
    def broken(self) -> Mapping[pytest.Module, BaseException]:
        """The errors that station files raised when they were imported."""
        return MappingProxyType(self._broken)

    # --- while pytest collects

    def add_conftest(self, module: ModuleType) -> None:
        """Add a conftest, which may import stations but not define them."""
        path = Path(module.__file__ or "")
        self._conftests[path.parent] = module
        for station in stations_in(module).values():
            if station.home == str(path):
                self.registry.add_fault(StationInConftest(station.name, station.location))

    def add_directory(self, directory: pytest.Directory, report: pytest.CollectReport) -> None:
        """Register the stations of all station files in *directory*, whatever is selected.

        Broken station files that plain pytest passes over are removed from *report*.
        """
        conftest = self._conftests.get(directory.path)
        if conftest is not None:
            path = Path(conftest.__file__ or "")
            for name, station in stations_in(conftest).items():
                if station.home != str(path):
                    self.registry.add_station(name, station, directory)
                    self._imports.append((path, station))
        modules = [
            node
            for node in report.result
            if is_python_module(node) and self._settings.is_station_file(node.path)
        ]
        for module in modules:
            self._modules.setdefault(module.path, module)
            try:
                stations = stations_in(_imported(module))
            except (Exception, pytest.skip.Exception, pytest.fail.Exception, SystemExit) as error:
                # Reported when the file itself is collected.
                self._broken[module] = error.__cause__ or error
                self.registry.add_not_imported(module)
                continue
            for name, station in stations.items():
                self.registry.add_station(name, station, directory)
        ignored = [module for module in modules if self._is_ignored(module)]
        report.result = [node for node in report.result if node not in ignored]

    def add_module(self, module: pytest.Module, report: pytest.CollectReport) -> None:
        """Add the station items in *report*, after other plugins have adapted them.

        Plain pytest does not show them: they are removed from *report*.
        """
        self._modules.setdefault(module.path, module)
        error = self._broken.get(module)
        if error is not None and _is_name_taken(module):
            _report_import_error(report, module, error)
        if report.result or not report.passed:  # else --lf may have left it out
            self._collected.add(module.path)
        instances = self.registry.instances
        for item in report.result:
            if item.nodeid in instances and isinstance(item, pytest.Function):
                self.registry.add_item(item)
        if not self._settings.mode.collects:
            report.result = [node for node in report.result if node.nodeid not in instances]

    def make_items(
        self, collector: pytest.Module | pytest.Class, name: str, station: Station[Any]
    ) -> list[pytest.Function]:
        """Return the items of *station*, which *collector* has as *name*; none if imported."""
        if isinstance(collector, pytest.Class):
            self.registry.add_class(collector.obj)
            return []
        self.registry.add_station(name, station, self._visible_below(collector))
        if station.home != str(collector.path):
            self._imports.append((collector.path, station))
            return []
        return self.registry.make_items(collector, name, station)

    def _visible_below(self, module: pytest.Module) -> pytest.Collector:
        """Return the node below which the stations of *module* can be requested."""
        if module not in self._visible:  # asked for each station
            is_station_file = self._settings.is_station_file(module.path)
            node = module.parent if is_station_file else module
            assert isinstance(node, pytest.Collector)
            self._visible[module] = node
        return self._visible[module]

    def _is_ignored(self, module: pytest.Module) -> bool:
        """Return whether plain pytest passes over *module*, a station file; if so, warn.

        It passes over a file that cannot be imported, unless the user named the file. The
        authors of other files may not even know that a name makes a station file.
        """
        error = self._broken.get(module)
        if error is None or isinstance(error, pytest.skip.Exception):
            return False
        if self._settings.mode.collects or self._is_named(module.path):
            return False
        text = f"{module.path.name} could not be imported, so its stations are unknown: "
        warning = pytest.PytestWarning(shown(text + error_line(error)))
        try:
            # `module.warn` would import the file once more to find its line.
            warnings.warn_explicit(warning, None, str(module.path), lineno=1)
        except pytest.PytestWarning:  # warnings are errors here
            return False
        return True

    def _is_named(self, path: Path) -> bool:
        """Return whether the user named *path*, or something in it, on the command line."""
        named = (argument.partition("::")[0] for argument in self._config.args)
        return path in {Path(os.path.abspath(each)) for each in named}

    # --- when pytest has collected

    def add_imported_stations(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Append to *items* the stations imported from elsewhere, and what they request there.

        A test file that the user named selects nothing but its own items: the stations
        that it imports are visited when something selected requests them. All other
        files that pytest collects select the stations that they import as well.
        """
        known, homes = frozenset(self._collected), set[Path]()
        added: dict[str, pytest.Function] = {}
        waiting = deque(
            station
            for importer, station in self._imports
            if self._settings.is_station_file(importer) or not self._is_named(importer)
        )
        while waiting:
            station = waiting.popleft()
            home = Path(station.home)
            if home in known or self._is_left_out(home):
                continue
            homes.add(home)
            if home not in self._collected:
                seen = len(self._imports)
                self._collect(session, home)
                waiting += [imported for _, imported in self._imports[seen:]]
            for instance in self.registry.instances_of(station):
                item = self.registry.items.get(instance.key)
                if item is not None and instance.key not in added:
                    added[instance.key] = item
                    requested = self._requested_by(item, station)
                    waiting += [each for each in requested if Path(each.home) in homes]
        there = {item.nodeid for item in items}
        items += [item for key, item in added.items() if key not in there]

    def collect_missing(self, session: pytest.Session) -> None:
        """Collect the files of stations that are visible and not among the arguments."""
        tried: set[Path] = set()
        while missing := self._homes() - self._collected - tried:
            for path in sorted(missing):
                self._collect(session, path)
            tried |= missing

    def find_clashes(self) -> None:
        """Find the files of stations that import another module than the one beside them."""
        if self._config.getoption("importmode") == "importlib":
            return  # nothing is imported from beside a file
        homes = self._homes() | _paths_of({station.home for station in self.registry.stations})
        names: dict[Path, list[str]] = {path: [] for path in self._modules if path in homes}
        if not _may_clash({path.parent for path in names}):
            return
        from pytest_choochoo.collection.clashes import module_clashes  # rarely needed

        for station in self.registry.stations:
            names.get(Path(station.home), []).append(station.name)
        for clash in module_clashes(names):
            self.registry.add_fault(clash)

    def _homes(self) -> set[Path]:
        """Return the station files, and the files of the stations that have no item so far.

        And the files that `was` names: only they tell whether the station there still exists.
        """
        files = {path for path in self._modules if self._settings.is_station_file(path)}
        files |= _paths_of({station.home for station in self.registry.without_items()})
        return files | set(self._former_homes())

    def _former_homes(self) -> Iterator[Path]:
        """Yield the files that stations name as those in which they stood before."""
        declared = (station.declaration.was for station in self.registry.stations)
        files = {was.partition("::")[0] for names in declared for was in names if "::" in was}
        for path in (self._config.rootpath / file for file in files):
            is_ours = self._settings.is_station_file(path) or self._settings.is_test_file(path)
            if is_ours and path.is_file():
                yield path

    def _is_left_out(self, home: Path) -> bool:
        """Return whether the user named files, but not *home*, which pytest would collect."""
        if self._config.args_source is not pytest.Config.ArgsSource.ARGS:
            return False
        return any(fnmatch(home.name, each) for each in self._config.getini("python_files"))

    def _requested_by(self, item: pytest.Function, station: Station[Any]) -> Iterator[Station[Any]]:
        """Yield the stations that *item* of *station* may request, by name alone."""
        names = [*item.fixturenames, *station.declaration.values]
        for function in attached(station):
            names += arguments_of(function)
        for name in names:
            for _, requested in self.registry.registrations.get(name, ()):
                yield requested

    def _collect(self, session: pytest.Session, path: Path) -> None:
        """Collect the module *path* as pytest would if it were among the arguments."""
        module = self._modules.get(path) or self._module_at(session, path)
        if module is None or (module in self._broken and not self._settings.mode.collects):
            return  # a broken station file that nobody named does not stop plain pytest
        self._adopt_imported(module)
        report = collect_whole(module)  # its stations are needed, whatever has failed before
        call = call_of_collection(report)
        if report.failed and self._settings.mode.collects:
            if call is not None:  # editors take errors from this hook
                module.ihook.pytest_exception_interact(node=module, call=call, report=report)
            self._config.hook.pytest_collectreport(report=report)

    def _adopt_imported(self, module: pytest.Module) -> None:
        """Give *module* the Python module that its stations were imported from, if it was."""
        for station in self.registry.stations:
            loaded = sys.modules.get(station.function.__module__)
            if station.home == str(module.path) == getattr(loaded, "__file__", None):
                module.obj = loaded
                return

    def _module_at(self, session: pytest.Session, path: Path) -> pytest.Module | None:
        """Return the node of a module that pytest has not collected, None where it would not."""
        root = session.config.rootpath
        if not path.is_relative_to(root):
            # The folders outside of rootdir belong to no project that could collect them.
            return pytest.Module.from_parent(session, path=path, nodeid=path.as_posix())
        missing: list[Path] = []
        folder = path.parent
        while folder not in self._directories:
            missing.append(folder)
            if folder == root:
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
            modules = [node for node in found if is_python_module(node)]
            return modules[0] if modules else pytest.Module.from_parent(parent, path=path)
        return self._modules[path]


def _paths_of(homes: set[str]) -> set[Path]:
    # Made once a file, not once a station.
    return set(map(Path, homes))


def _may_clash(folders: set[Path]) -> bool:
    """Return whether modules in *folders* may have the name of a module elsewhere."""
    seen: set[str] = set()
    for folder in folders:
        with suppress(OSError):
            for entry in os.listdir(folder):
                name, _, suffix = entry.partition(".")
                if suffix in ("py", "") and name not in _OFTEN_THERE:
                    if name in seen or not _loaded_file(name).startswith(
                        (f"{folder}{os.sep}", "?")
                    ):
                        return True
                    seen.add(name)
    return False


def _loaded_file(name: str) -> str:
    """Return the file of the module *name*, "?" where none is loaded."""
    return namespace_of(sys.modules.get(name)).get("__file__") or "?"


# Files and folders that many folders have, and that no station file imports by that name.
_OFTEN_THERE = frozenset({"__init__", "__pycache__", "conftest"})


# --- importing


def _imported(module: pytest.Module) -> ModuleType:
    """Return the Python module of a station file.

    Like conftest files, station files share a name. Where pytest would import the
    second one under the name of the first and refuse, it gets a name of its own.
    """
    if _is_name_taken(module):
        module.obj = _import_apart(module.path, module.config.rootpath)
        for mark in getattr(module.obj, "pytestmark", ()):
            module.add_marker(mark)
    loaded: ModuleType = module.obj
    return loaded


def _is_name_taken(module: pytest.Module) -> bool:
    """Return whether pytest would import *module* under a name that another file has."""
    path = module.path
    other = sys.modules.get(path.stem)
    in_package = (path.parent / "__init__.py").exists()
    is_taken = other is not None and Path(getattr(other, "__file__", None) or "") != path
    return is_taken and not in_package and module.config.getoption("importmode") != "importlib"


def _import_apart(path: Path, root: Path) -> ModuleType:
    """Import *path* under a name that is made of its whole way from *root*."""
    plain = path.with_suffix("")
    parts = plain.relative_to(root).parts if path.is_relative_to(root) else plain.parts[1:]
    name = ".".join(("_choochoo_stations", *(part.replace(".", "_") for part in parts)))
    if name in sys.modules:
        return sys.modules[name]
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    # Through the finders, so that asserts are rewritten as in any test file.
    specs = (finder.find_spec(name, [str(path.parent)]) for finder in sys.meta_path)
    spec = next((s for s in specs if s is not None and s.origin == str(path)), None)
    assert spec is not None and spec.loader is not None, path
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[name]
        raise
    return loaded


def _report_import_error(
    report: pytest.CollectReport, module: pytest.Module, error: BaseException
) -> None:
    """Put into *report* what the import of *module* raised; pytest's own name clash hides it."""
    info = pytest.ExceptionInfo.from_exception(error)
    info.traceback = info.traceback.filter(lambda entry: Path(entry.path) == module.path)
    if isinstance(error, pytest.skip.Exception) and error.allow_module_level:
        lines = [entry.lineno for entry in info.traceback]
        report.outcome = "skipped"
        reason = f"Skipped: {shown(str(error))}"
        report.longrepr = (str(module.path), lines[0] + 1 if lines else 0, reason)
    else:
        report.outcome = "failed"
        report.longrepr = info.getrepr(style="short")
    replace_call(report, error)
