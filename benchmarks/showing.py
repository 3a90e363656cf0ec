"""Figures of what is shown: before a run, while it goes on, and as a page after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.figures import MANY, RUN, Figure, run_unchanged, visit_all
from benchmarks.measuring import PLUGIN, Cost, cost, pairs, spread
from benchmarks.projects import reporters, stations

STATIONS, REPORTS = 20, 1000
MEGABYTE = 1_000_000


def before(folder: Path, count: int) -> Iterator[Figure]:
    """A plan and the status, against the run in which nothing is left to do."""
    project = stations(folder / "layers", MANY, "layers")
    visit_all(project, MANY)
    for command, says in (("plan", f"{MANY} unchanged"), ("status", f"{MANY} complete")):
        ratios = [
            shown.seconds / run.seconds
            for run, shown in pairs(
                count,
                partial(run_unchanged, project, MANY, "-q"),
                partial(cost, project, *PLUGIN, f"--cc-{command}", "-q", says=f"choochoo: {says}"),
            )
        ]
        name = f"--cc-{command} of {MANY:,} stations / the unchanged run: CPU"
        yield Figure(name=name, measured=spread(ratios), goal=0.7)


def live(folder: Path, count: int) -> Iterator[Figure]:
    """A run on a terminal whose visits report their progress, shown and not shown."""
    project = reporters(folder / "reporters", STATIONS, REPORTS)
    visit_all(project, STATIONS)

    def replayed(kind: str) -> Cost:
        options = ("--cc-replay=all", f"--cc-progress={kind}")
        return cost(project, *PLUGIN, *options, says=f"{STATIONS} passed", on_terminal=True)

    ratios = [
        shown.seconds / hidden.seconds
        for hidden, shown in pairs(3 * count, partial(replayed, "off"), partial(replayed, "live"))
    ]
    name = f"{STATIONS} visits with {REPORTS:,} reports each: CPU of the run, live / not shown"
    yield Figure(name=name, measured=spread(ratios), goal=1.03)


def page(folder: Path, count: int) -> Iterator[Figure]:
    """The page of many stations."""
    project = stations(folder / "layers", MANY, "layers")
    visit_all(project, MANY)
    file = folder / "run.html"
    cost(project, *RUN, f"--cc-report={file}", says=f"choochoo: {MANY} unchanged")
    size = [file.stat().st_size / MEGABYTE]
    yield Figure(name=f"page of {MANY:,} stations", measured=spread(size), goal=3.0, unit="MB")


FIGURES: dict[str, Callable[[Path, int], Iterator[Figure]]] = {
    "before": before,
    "live": live,
    "page": page,
}
