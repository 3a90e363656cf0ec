"""The promised figures, each measured and compared with its goal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.measuring import PLUGIN, Cost, Spread, cost, pairs, spread
from benchmarks.projects import caller, empty_tests, forget_all, stations

MANY, SOME, FOURFOLD, LONG = 2000, 1000, 4000, 3000
CALLS = 20_000_000
RUN = (*PLUGIN, "--cc-run")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table; smaller is better."""

    name: str
    measured: Spread
    goal: float
    unit: str = "×"

    @property
    def is_met(self) -> bool:
        return self.measured.middle <= self.goal


def unchanged(folder: Path, count: int) -> Iterator[Figure]:
    """A run in which nothing is left to do, against as many empty tests."""
    tests = empty_tests(folder / "tests", MANY)
    for shape in ("apart", "layers"):
        project = stations(folder / shape, MANY, shape)
        visit_all(project, MANY)
        measured = list(
            pairs(
                count,
                partial(cost, tests, says=f"{MANY} passed"),
                partial(run_unchanged, project, MANY),
            )
        )
        name = f"{MANY:,} unchanged stations ({shape}) / empty tests:"
        seconds = [station.seconds / test.seconds for test, station in measured]
        memory = [station.memory / test.memory for test, station in measured]
        yield Figure(name=f"{name} CPU", measured=spread(seconds), goal=1.0)
        yield Figure(name=f"{name} peak memory", measured=spread(memory), goal=1.5)


def first(folder: Path, count: int) -> Iterator[Figure]:
    """A first run, in which every station is visited."""
    tests = empty_tests(folder / "tests", MANY)
    for shape in ("apart", "layers"):
        project = stations(folder / shape, MANY, shape)
        extra = [
            (station.seconds - test.seconds) / MANY * 1000
            for test, station in pairs(
                count,
                partial(cost, tests, says=f"{MANY} passed"),
                partial(visit_all, project, MANY),
            )
        ]
        name = f"first run of {MANY:,} stations ({shape}): CPU per station over an empty test"
        yield Figure(name=name, measured=spread(extra), goal=1.0, unit="ms")


def growth(folder: Path, count: int) -> Iterator[Figure]:
    """Four times the stations take four times as long, in every shape."""
    start = stations(folder / "start", 1, "apart")
    for shape in ("chain", "wide", "layers"):
        small = stations(folder / f"{shape}-{SOME}", SOME, shape)
        large = stations(folder / f"{shape}-{FOURFOLD}", FOURFOLD, shape)
        runs: dict[str, Callable[[Path, int], Cost]] = {
            "first": visit_all,
            "unchanged": run_unchanged,
        }
        for word, run in runs.items():
            base = min(run(start, 1).seconds for _ in range(3))
            ratios = [
                (big.seconds - base) / (little.seconds - base)
                for little, big in pairs(
                    count,
                    partial(run, small, SOME),
                    partial(run, large, FOURFOLD),
                )
            ]
            name = f"{shape}, {word} run: CPU for {FOURFOLD:,} / {SOME:,} stations, start-up aside"
            yield Figure(name=name, measured=spread(ratios), goal=4.4)


def long_chain(folder: Path, count: int) -> Iterator[Figure]:
    """A chain that is longer than Python's stack is deep."""
    chain = stations(folder / "chain", LONG, "chain")
    took = [cost_per_station(visit_all(chain, LONG)), cost_per_station(run_unchanged(chain, LONG))]
    for word, milliseconds in zip(("first", "unchanged"), took, strict=True):
        name = f"chain of {LONG:,}, {word} run: CPU per station, start-up included"
        yield Figure(name=name, measured=spread([milliseconds]), goal=2.0, unit="ms")


def bystander(folder: Path, count: int) -> Iterator[Figure]:
    """A project without stations, with the plugin and without."""
    tests = empty_tests(folder / "tests", SOME)
    ratios = [
        on.seconds / off.seconds
        for off, on in pairs(
            3 * count,
            partial(cost, tests, says=f"{SOME} passed"),
            partial(cost, tests, *PLUGIN, says=f"{SOME} passed"),
        )
    ]
    name = f"{SOME:,} empty tests: CPU with the plugin / without"
    yield Figure(name=name, measured=spread(ratios), goal=1.03)


def watched(folder: Path, count: int) -> Iterator[Figure]:
    """A visit that does nothing but call the project's code, watched and unwatched."""
    for calls in (CALLS // 100, CALLS):
        project = caller(folder / str(calls), calls)
        ratios = [
            on.seconds / off.seconds
            for off, on in pairs(
                count,
                partial(visit_all, project, 1, "-o", "cc_trace=false"),
                partial(visit_all, project, 1),
            )
        ]
        name = f"one visit of {calls:,} calls: CPU of the run, watched / unwatched"
        yield Figure(name=name, measured=spread(ratios), goal=1.03)


FIGURES: dict[str, Callable[[Path, int], Iterator[Figure]]] = {
    "unchanged": unchanged,
    "first": first,
    "growth": growth,
    "chain": long_chain,
    "bystander": bystander,
    "watched": watched,
}


def visit_all(project: Path, count: int, *options: str) -> Cost:
    """Return the cost of a first run of *project*."""
    forget_all(project)
    return cost(project, *RUN, *options, says=f"choochoo: {count} visited")


def run_unchanged(project: Path, count: int, *options: str) -> Cost:
    """Return the cost of a run of *project* after it was visited."""
    return cost(project, *RUN, *options, says=f"choochoo: {count} unchanged")


def cost_per_station(taken: Cost) -> float:
    """Return the milliseconds of CPU time per station of the long chain."""
    return taken.seconds / LONG * 1000
