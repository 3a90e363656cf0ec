"""The modules of station files, imported side by side though they share a name."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_choochoo.engine.station import Station


def stations_in(module: ModuleType) -> dict[str, Station[Any]]:
    # By its type: some objects raise when they are asked for their class.
    return {n: value for n, value in vars(module).items() if issubclass(type(value), Station)}


def adopt(module: pytest.Module, stations: Iterable[Station[Any]]) -> None:
    """Have *module* be the one that its *stations* were imported from, if it was imported."""
    for station in stations:
        loaded = sys.modules.get(station.function.__module__)
        if station.home == str(module.path) == getattr(loaded, "__file__", None):
            module.obj = loaded
            return


def load(module: pytest.Module) -> ModuleType:
    """Return the module of a station file, imported.

    Like conftest files, station files share a name; where pytest would import
    the second one under the name of the first and refuse, it gets a name of its own.
    """
    if is_name_taken(module):
        module.obj = _import_apart(module.path, module.config.rootpath)
        for mark in getattr(module.obj, "pytestmark", ()):
            module.add_marker(mark)
    loaded: ModuleType = module.obj
    return loaded


def is_name_taken(module: pytest.Module) -> bool:
    """Say whether pytest would import *module* under a name that another file has."""
    path = module.path
    other = sys.modules.get(path.stem)
    in_package = (path.parent / "__init__.py").exists()
    is_taken = other is not None and Path(getattr(other, "__file__", None) or "") != path
    return is_taken and not in_package and module.config.getoption("importmode") != "importlib"


def tell_why(report: pytest.CollectReport, module: pytest.Module, error: BaseException) -> None:
    """Put into the *report* on *module* what its import raised, where pytest's own would fail."""
    shown = pytest.ExceptionInfo.from_exception(error)
    shown.traceback = shown.traceback.filter(lambda entry: Path(entry.path) == module.path)
    if isinstance(error, pytest.skip.Exception) and error.allow_module_level:
        lines = [entry.lineno for entry in shown.traceback]
        report.outcome = "skipped"
        report.longrepr = (str(module.path), lines[0] + 1 if lines else 0, f"Skipped: {error}")
    else:
        report.outcome = "failed"
        report.longrepr = shown.getrepr(style="short")


def _import_apart(path: Path, root: Path) -> ModuleType:
    plain = path.with_suffix("")
    parts = plain.relative_to(root).parts if path.is_relative_to(root) else plain.parts[1:]
    name = ".".join(("_choochoo_stations", *(part.replace(".", "_") for part in parts)))
    if name in sys.modules:
        return sys.modules[name]
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    # By way of the finders, so that asserts are rewritten as in any test file.
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
