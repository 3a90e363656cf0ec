"""A parallel run, as its controller knows it."""

from __future__ import annotations

import time

from pytest_choochoo.engine.ledger.protocol import Ledger
from pytest_choochoo.engine.ledger.record import Record, to_text
from pytest_choochoo.engine.route import StationInfo
from pytest_choochoo.engine.wording import INTERRUPTED
from pytest_choochoo.parallel.messages import BEGUN
from pytest_choochoo.parallel.run import ParallelRun
from pytest_choochoo.parallel.run_plan import PLAN, RunPlan
from pytest_choochoo.parallel.workers import Workers


def visiting(ledger: Ledger, key: str, pid: int) -> None:
    ledger.begin(key, Record(status="visiting", since=time.time(), pid=pid), ("never visited",))


def test_beginning_of_the_run_is_in_the_ledger(run: ParallelRun) -> None:
    """A worker that finds the beginning of the run knows that it sees the same ledger."""
    assert run.ledger.result(run.name, BEGUN) == ""


def test_runs_of_one_ledger_have_different_names(ledger: Ledger, workers: Workers) -> None:
    """Each run has a name of its own."""
    one, other = (ParallelRun(ledger, workers, began=0.0) for _ in range(2))

    assert one.name != other.name


def test_run_without_a_plan_has_no_stations(run: ParallelRun) -> None:
    """There is no plan if the workers collected no station."""
    assert run.plan() is None


def test_plan_of_the_workers_names_the_stations(run: ParallelRun, station: StationInfo) -> None:
    """The plan that the first worker put into the ledger names the stations."""
    plan = RunPlan(stations=[station, station], header=(), settled=[], batches=[])
    run.ledger.put_if_absent(run.name, PLAN, to_text(plan))

    assert run.plan() == plan
    assert run.stations == [station, station]


def test_station_is_found_by_its_key(run: ParallelRun, station: StationInfo) -> None:
    """`station` returns a station by its key, and None for a test."""
    assert run.station(station.key) == station
    assert run.station("test_it.py::test_it") is None


def test_visit_of_another_process_does_not_count(run: ParallelRun, station: StationInfo) -> None:
    """A station counts as visited now only if a worker of this run visits it."""
    assert not run.is_visited_now(station.key)
    visiting(run.ledger, station.key, pid=8)
    assert not run.is_visited_now(station.key)
    visiting(run.ledger, station.key, pid=7)
    assert run.is_visited_now(station.key)
    run.ledger.finish(station.key, Record(status="failed", since=time.time()))
    assert not run.is_visited_now(station.key)


def test_station_without_a_result_was_not_reached(run: ParallelRun, station: StationInfo) -> None:
    """A station that no worker began with has no result."""
    assert run.unreported(station) is None


def test_station_whose_worker_was_killed_was_interrupted(
    run: ParallelRun, station: StationInfo
) -> None:
    """A station whose record still says `visiting` was interrupted."""
    visiting(run.ledger, station.key, pid=7)

    assert run.unreported(station) == station.result("failed", cause=INTERRUPTED)


def test_shared_result_counts_if_the_report_came_too_late(
    run: ParallelRun, station: StationInfo
) -> None:
    """A shared result is used if its report did not arrive in time."""
    shared = run.results.share(station.result("visited", seconds=1.0))

    assert run.unreported(station) == shared
