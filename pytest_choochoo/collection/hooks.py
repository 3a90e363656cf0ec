"""The hooks that run while pytest collects."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeGuard

import pytest

from pytest_choochoo.collection.pytest_internals import is_python_module
from pytest_choochoo.engine.shown import shown

# Every run of pytest imports this module, and most runs have no station: modules that only
# stations need are imported when the first one is met.
if TYPE_CHECKING:
    from pytest_choochoo.collection.files import StationFiles
    from pytest_choochoo.engine.station import Station
    from pytest_choochoo.settings import Settings


class CollectionHooks:
    """The hooks that pass the stations and station files that pytest meets to `files`."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._directories: dict[Path, pytest.Directory] = {}
        self._files: StationFiles | None = None
        self._without_tests: dict[Path, bool] = {}
        self._makes_items = False

    @property
    def has_met_stations(self) -> bool:
        """Whether a station or a station file was met."""
        return self._files is not None

    @property
    def files(self) -> StationFiles:
        """The station files of the session, and with them the registry of its stations."""
        if self._files is None:
            from pytest_choochoo.collection.files import StationFiles
            from pytest_choochoo.collection.registry import StationRegistry

            registry = StationRegistry()
            self._config.pluginmanager.register(registry.multiplied)
            self._files = StationFiles(registry, self._config, self._settings, self._directories)
        return self._files

    def pytest_plugin_registered(self, plugin: object) -> None:
        file = getattr(plugin, "__file__", None)
        if isinstance(plugin, ModuleType) and os.path.basename(file or "") == "conftest.py":
            if any(map(_is_station, vars(plugin).values())):
                self.files.add_conftest(plugin)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        if isinstance(collector, pytest.Directory):
            self._directories[collector.path] = collector
            if self.has_met_stations or any(map(self._is_station_file, report.result)):
                self.files.add_directory(collector, report)
        elif self.has_met_stations and is_python_module(collector):
            self.files.add_module(collector, report)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
        """Drop the files that pytest collects for their name, and that are no station files."""
        found = yield
        read = self._settings
        if not found or not read.is_named_like_station_file(file_path):
            return found
        if read.is_station_file(file_path) or read.is_test_file(file_path):
            return found
        if parent.session.isinitpath(file_path):
            return found
        return [node for node in found if not is_python_module(node)]

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(
        self, collector: pytest.Module | pytest.Class, name: str, obj: object
    ) -> list[pytest.Function] | None:
        if _is_station(obj):
            self._makes_items = True  # which comes back here with the function of the station
            try:
                return self.files.make_items(collector, name, obj)
            finally:
                self._makes_items = False
        if isinstance(obj, type) and any(map(_is_station, vars(obj).values())):
            self.files.registry.add_class(obj)
        if self._makes_items or not self.has_met_stations:
            return None
        return [] if self._has_no_tests(collector.path) else None

    def _has_no_tests(self, path: Path) -> bool:
        """Return whether the file at *path* is a station file, and no test file by its name."""
        known = self._without_tests.get(path)  # asked for each name in the file
        if known is None:
            read = self._settings
            known = read.is_station_file(path) and not read.is_test_file(path)
            self._without_tests[path] = known
        return known

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """Say how to run stations, if plain pytest does not find those that the user named."""
        try:
            return (yield)
        except pytest.UsageError as error:
            hint = None
            if self.has_met_stations and not self._settings.mode.collects:
                from pytest_choochoo.collection.hints import about_stations

                hint = about_stations(session.config, self._settings, self.files.registry)
            if hint is None:
                raise
            hint = shown(hint)
            if self._settings.process.is_worker:  # xdist shows no other error of a worker
                report = pytest.CollectReport("stations", "failed", longrepr=hint, result=[])
                session.config.hook.pytest_collectreport(report=report)
            raise pytest.UsageError(*error.args, hint) from None

    def pytest_report_collectionfinish(
        self, config: pytest.Config, items: Sequence[pytest.Item]
    ) -> str | None:
        if items or not self.has_met_stations or self._settings.mode.collects:
            return None
        from pytest_choochoo.collection.hints import about_files

        hint = about_files(config, self._settings, self.files.registry)
        return None if hint is None else shown(f"choochoo: {hint}")

    def _is_station_file(self, node: object) -> bool:
        return is_python_module(node) and self._settings.is_station_file(node.path)


def _is_station(value: object) -> TypeGuard[Station[Any]]:
    # If the module was never imported, no value can be a station.
    module = sys.modules.get("pytest_choochoo.engine.station")
    # By its type: some objects raise when they are asked for their class.
    return module is not None and issubclass(type(value), module.Station)
