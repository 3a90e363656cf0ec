"""Figures of short runs, which consist of start-up: the package as a user has installed it."""

from __future__ import annotations

import compileall
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distribution, entry_points
from pathlib import Path

import pytest_choochoo
from benchmarks.figures import Figure
from benchmarks.measuring import Cost, cost, pairs, spread
from benchmarks.projects import empty_tests, stations

FEW = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortRun:
    """A situation in which a short run takes place.

    *variables* are added to its environment; *plugins*: the names of the plugins that it loads
    beside ours; *options* are added to its command line.
    """

    name: str
    goal: float
    variables: Mapping[str, str]
    plugins: frozenset[str] = frozenset()
    options: tuple[str, ...] = ()


# As in a container: pip has compiled the package, and nothing that pytest compiles is kept.
_NOTHING_WRITTEN = {"PYTHONDONTWRITEBYTECODE": "1"}
XDIST = frozenset({"xdist", "xdist.looponfail"})
WORKERS = ("-n", "2")
CACHED = ShortRun(name="cached byte code", goal=1.2, variables={})
UNWRITABLE = ShortRun(name="byte code not writable", goal=1.25, variables=_NOTHING_WRITTEN)
SHORT_RUNS = (
    CACHED,
    UNWRITABLE,
    ShortRun(name="cached byte code, -n 2", goal=1.2, variables={}, plugins=XDIST, options=WORKERS),
    ShortRun(
        name="byte code not writable, -n 2",
        goal=1.25,
        variables=_NOTHING_WRITTEN,
        plugins=XDIST,
        options=WORKERS,
    ),
)


def start_up(folder: Path, count: int) -> Iterator[Figure]:
    """Ten unchanged stations, against ten empty tests without the plugin."""
    for number, short in enumerate(SHORT_RUNS):
        room = folder / str(number)
        room.mkdir()
        ratios = [ours.seconds / tests.seconds for tests, ours in measured(room, short, 3 * count)]
        name = f"{FEW} unchanged stations / empty tests, {short.name}: CPU"
        yield Figure(name=name, measured=spread(ratios), goal=short.goal)


def measured(folder: Path, short: ShortRun, count: int) -> Iterator[tuple[Cost, Cost]]:
    """Yield the costs of ten empty tests and of ten unchanged stations, in turn.

    Pytest finds the plugin by its entry point, as it does for a user: if the plugin is named on
    the command line, pytest would rewrite only one module of it.
    """
    site = install(folder / "site")
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    finding = {"PYTHONPATH": os.pathsep.join(paths), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": ""}
    others = {each.name for each in entry_points(group="pytest11")} - short.plugins
    without = [f"-pno:{name}" for name in sorted(others - {"choochoo"})]
    run = partial(cost, variables={**finding, **short.variables})

    tests = empty_tests(folder / "tests", FEW)
    plain = (*short.options, *without, "-pno:choochoo")
    project = stations(folder / "project", FEW, "apart")
    ours = (*short.options, *without, "--cc-run")
    run(project, *ours, says=f"choochoo: {FEW} visited")
    yield from pairs(
        count,
        partial(run, tests, *plain, says=f"{FEW} passed"),
        partial(run, project, *ours, says=f"choochoo: {FEW} unchanged"),
    )


def install(folder: Path) -> Path:
    """Put the package into *folder* as pip does: copied, compiled, and with its entry point."""
    package = Path(pytest_choochoo.__file__).parent
    copy = folder / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(copy, quiet=1)
    installed = distribution("pytest-choochoo")
    information = folder / f"{package.name}-{installed.version}.dist-info"
    information.mkdir()
    for name in ("METADATA", "entry_points.txt"):
        (information / name).write_text(installed.read_text(name) or "", encoding="utf-8")
    # Pytest reads there which modules belong to a plugin, and rewrites them.
    files = sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    (information / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    return folder


FIGURES = {"start-up": start_up}
