"""Figures of parallel runs: how close they come to the bound that no scheduler beats."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.figures import MANY, RUN, Figure, run_unchanged, visit_all
from benchmarks.measuring import cost, spread
from benchmarks.projects import edges, forget_all, sleepers, stations, timed
from pytest_choochoo.engine.timetable import Job, batches
from pytest_choochoo.parallel.scheduler import RouteScheduling
from pytest_choochoo.parallel.xdist_internals import Event

XDIST = ("-p", "xdist.plugin")
MILLISECONDS = 1000


def parallel(folder: Path, count: int) -> Iterator[Figure]:
    """From the first start to the last end, against the bound; and a chain of empty stations."""
    above = edges("layers", 200, width=10)
    layers = sleepers(folder / "layers", [(0.05, each) for each in above])
    yield from _spans(layers, count, 4, 2.5, "200 × 0.05 s in 20 layers, -n 4")
    chain = [(0.2, (number - 1,) if number else ()) for number in range(10)]
    mixed = sleepers(folder / "mixed", [*chain, *([(0.1, ())] * 40)])
    yield from _spans(mixed, count, 2, 3.0, "10 × 0.2 s in a chain beside 40 × 0.1 s, -n 2")
    empty = timed(stations(folder / "empty", 500, "chain"))
    for word, spans in _measured(empty, count, 2).items():
        each = [span / 500 * MILLISECONDS for span in spans]
        name = f"chain of 500 empty stations, -n 2, {word}: wall per station"
        yield Figure(name=name, measured=spread(each), goal=1.5, unit="ms")


def _spans(project: Path, count: int, workers: int, bound: float, name: str) -> Iterator[Figure]:
    for word, spans in _measured(project, count, workers).items():
        measured = spread([span / bound for span in spans])
        yield Figure(name=f"{name}, {word}: wall / bound", measured=measured, goal=1.1)


def _measured(project: Path, count: int, workers: int) -> dict[str, list[float]]:
    """Return the seconds from first start to last end, of first runs and of repeated ones."""
    found: dict[str, list[float]] = {"durations unknown": [], "durations known": []}
    options = (*RUN, *XDIST, "-n", str(workers))
    for _ in range(count):
        forget_all(project)
        for spans, more in zip(found.values(), ((), ("--cc-replay", "all"))):
            log = project / "log.txt"
            log.unlink(missing_ok=True)
            cost(project, *options, *more, says=" visited in")
            times = [float(word) for word in log.read_text().split()]
            spans.append(max(times) - min(times))
    return found


def idle(folder: Path, count: int) -> Iterator[Figure]:
    """A run with nothing to do under -n 4, against the serial one and what workers cost."""
    project = stations(folder / "project", MANY, "apart")
    visit_all(project, MANY)
    workers = (*RUN, *XDIST, "-n", "4")
    ratios = []
    for _ in range(count):
        serial = run_unchanged(project, MANY)
        for_nothing = cost(project, *workers, "-k", "nothing_at_all", says="no tests", exits=5)
        taken = cost(project, *workers, says=f"choochoo: {MANY} unchanged")
        ratios.append(taken.seconds / (serial.seconds + for_nothing.seconds))
    name = f"{MANY:,} unchanged stations, -n 4 / serial and start of workers: CPU"
    yield Figure(name=name, measured=spread(ratios), goal=1.0)


def scheduling(folder: Path, count: int) -> Iterator[Figure]:
    """The cost of the controller's scheduler alone, for 10,000 stations."""
    for shape in ("chain", "wide", "layers"):
        seconds = [scheduled(shape, 10_000) for _ in range(count)]
        name = f"scheduling 10,000 stations ({shape}): CPU"
        yield Figure(name=name, measured=spread(seconds), goal=1.0, unit="s")
        ratios = [scheduled(shape, 40_000) / scheduled(shape, 10_000) for _ in range(count)]
        name = f"scheduling 40,000 / 10,000 stations ({shape}): CPU"
        yield Figure(name=name, measured=spread(ratios), goal=5.0)


class _Worker:
    """A worker that finishes each item as soon as it receives it."""

    shutting_down = False

    def __init__(self, number: int, size: int) -> None:
        self.gateway = SimpleNamespace(id=f"gw{number}")
        self.workerinput: dict[str, Any] = {}
        self.putevent: Callable[[Event], object] = lambda event: None
        self._placeholder = size
        self.sent: list[int] = []

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        self.sent += [item for item in indices if item != self._placeholder]

    def send_steal(self, indices: Sequence[int]) -> None:
        raise NotImplementedError

    def shutdown(self) -> None:
        raise NotImplementedError


def scheduled(shape: str, size: int) -> float:
    began = time.process_time()
    jobs = {
        number: Job(key=str(number), waits=tuple(map(str, above)), seconds=0.01)
        for number, above in enumerate(edges(shape, size))
    }
    route = batches(jobs, 4)
    config: Any = SimpleNamespace()
    scheduler = RouteScheduling(
        config,
        workers=4,
        looks_ahead=True,
        begin=lambda items: route,
        read_messages=lambda: None,
        reject=lambda node, text: None,
        end_worker=lambda node, text: None,
        notify=lambda text: None,
    )
    workers = [_Worker(number, size) for number in range(4)]
    ids = list(map(str, range(size)))
    for worker in workers:
        scheduler.add_node(worker)
        scheduler.add_node_collection(worker, ids)
    scheduler.schedule()
    while not scheduler.tests_finished:
        for worker in workers:
            done, worker.sent = worker.sent, []
            for item in done:
                scheduler.mark_test_complete(worker, item)
    return time.process_time() - began


FIGURES = {"parallel": parallel, "idle": idle, "scheduling": scheduling}
