"""The hooks while pytest collects: every run of pytest imports this file, registry only some."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeGuard

import pytest

from pytest_choochoo.settings import Settings, is_python

if TYPE_CHECKING:
    from pytest_choochoo.collection.registry import StationRegistry
    from pytest_choochoo.engine.station import Station


def _is_station(value: object) -> TypeGuard[Station[Any]]:
    # Where the module was never imported, nothing can be one.
    module = sys.modules.get("pytest_choochoo.engine.station")
    # By its type: some objects raise when they are asked for their class.
    return module is not None and issubclass(type(value), module.Station)


class CollectionHooks:
    """The hooks while pytest collects."""

    def __init__(self, config: pytest.Config, read: Settings) -> None:
        self._config = config
        self._settings = read
        self._directories: dict[Path, pytest.Directory] = {}
        self._registry: StationRegistry | None = None

    @property
    def has_met_stations(self) -> bool:
        return self._registry is not None

    @property
    def registry(self) -> StationRegistry:
        """What was collected, made when the first station is met."""
        if self._registry is None:
            from pytest_choochoo.collection.registry import StationRegistry

            self._registry = StationRegistry(self._config, self._settings, self._directories)
        return self._registry

    def pytest_plugin_registered(self, plugin: object) -> None:
        name = getattr(plugin, "__file__", None)
        if isinstance(plugin, ModuleType) and name and Path(name).name == "conftest.py":
            if any(_is_station(value) for value in vars(plugin).values()):
                self.registry.add_conftest(plugin)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        if isinstance(collector, pytest.Directory):
            self._directories[collector.path] = collector
            files = [
                node
                for node in report.result
                if is_python(node) and self._settings.is_station_file(node.path)
            ]
            if files or self.has_met_stations:
                self.registry.add_directory(collector, files)
                is_left_alone = self.registry.is_left_alone
                report.result = [node for node in report.result if not is_left_alone(node)]
        elif self.has_met_stations and is_python(collector):
            self.registry.add_module(collector, report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(
        self, collector: pytest.Module | pytest.Class, name: str, obj: object
    ) -> list[pytest.Item | pytest.Collector] | None:
        if _is_station(obj):
            return self.registry.make_items(collector, name, obj)
        if isinstance(obj, type) and any(map(_is_station, vars(obj).values())):
            self.registry.add_class(obj)
        return None
