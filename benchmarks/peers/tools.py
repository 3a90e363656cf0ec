"""The tools: their packages, their commands, and what makes them run a step again."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata

from benchmarks.measuring import PLUGIN
from benchmarks.peers import projects
from benchmarks.peers.workflow import Workflow

WORKERS = 4
YARDSTICK, OURS = "pytest", "pytest-choochoo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One way to run a workflow.

    *packages* must be installed, and those of *engine* if there are workers. *alone* and
    *together* are its commands without and with workers. *rerun* says what makes a step run again.
    """

    name: str
    packages: tuple[str, ...]
    engine: tuple[str, ...] = ()
    write: Callable[[Workflow], Mapping[str, str]]
    alone: tuple[str, ...]
    together: tuple[str, ...]
    rerun: str
    remembers: bool = True

    def command(self, workers: int) -> tuple[str, ...]:
        return self.together if workers > 1 else self.alone

    def missing(self, workers: int) -> tuple[str, ...]:
        """Return the packages that are not installed and would be needed."""
        needed = (*self.packages, *(self.engine if workers > 1 else ()))
        return tuple(name for name in needed if version(name) is None)


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)


_PYTEST = _python("pytest")
_XDIST = ("-p", "xdist", "-n", str(WORKERS))

TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            name=YARDSTICK,
            packages=("pytest",),
            engine=("pytest-xdist",),
            write=projects.empty_tests,
            alone=_PYTEST,
            together=(*_PYTEST, *_XDIST),
            rerun="always runs everything, in no guaranteed order",
            remembers=False,
        ),
        Tool(
            name=OURS,
            packages=("pytest-choochoo",),
            engine=("pytest-xdist",),
            write=projects.stations,
            alone=(*_PYTEST, *PLUGIN, "--cc-run"),
            together=(*_PYTEST, *PLUGIN, "--cc-run", *_XDIST),
            rerun="content: outcomes, files, reached code",
        ),
        Tool(
            name="pytask",
            packages=("pytask",),
            engine=("pytask-parallel",),
            write=projects.pytask,
            alone=_python("pytask"),
            # As its documentation recommends for steps that wait.
            together=_python("pytask", "-n", str(WORKERS), "--parallel-backend", "threads"),
            rerun="content: files, the whole task file",
        ),
        Tool(
            name="doit",
            packages=("doit",),
            write=projects.dodo,
            alone=_python("doit"),
            together=_python("doit", "-n", str(WORKERS)),
            rerun="content: files",
        ),
        Tool(
            name="snakemake",
            packages=("snakemake",),
            write=projects.snakefile,
            alone=_python("snakemake", "--cores", "1"),
            together=_python("snakemake", "--cores", str(WORKERS)),
            rerun="content of small files, time stamps of others, the rule; then all that follow",
        ),
        Tool(
            name="make",
            packages=("GNU make",),
            write=projects.makefile,
            alone=("make",),
            together=("make", f"-j{WORKERS}"),
            rerun="time stamps; then all that follow",
        ),
    )
}


def version(package: str) -> str | None:
    """Return the version of *package*, or None where it is not installed."""
    if package == "GNU make":
        return _version_of_make()
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _version_of_make() -> str | None:
    if not shutil.which("make"):
        return None
    said = subprocess.run(["make", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"GNU Make (\S+)", said)
    return found[1] if found else None
