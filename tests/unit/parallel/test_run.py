"""A run as its controller knows it."""

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


def test_run_has_begun_for_all_that_see_the_ledger(run: ParallelRun) -> None:
    """A worker recognizes by it whether it sees the same ledger."""
    assert run.ledger.result(run.name, BEGUN) == ""


def test_runs_of_one_ledger_are_apart(ledger: Ledger, workers: Workers) -> None:
    """Each has a name of its own."""
    one, other = (ParallelRun(ledger, workers, began=0.0) for _ in range(2))

    assert one.name != other.name


def test_run_without_a_plan_has_no_stations(run: ParallelRun) -> None:
    """Workers make none where they collected no station."""
    assert run.plan() is None


def test_plan_of_the_workers_names_the_stations(run: ParallelRun, station: StationInfo) -> None:
    """It is what the first of them put into the ledger."""
    plan = RunPlan(stations=[station, station], header=(), settled=[], batches=[])
    run.ledger.put_if_absent(run.name, PLAN, to_text(plan))

    assert run.plan() == plan
    assert run.stations == [station, station]


def test_station_is_found_by_its_key(run: ParallelRun, station: StationInfo) -> None:
    """A test is none."""
    assert run.station(station.key) == station
    assert run.station("test_it.py::test_it") is None


def test_visit_of_another_run_is_not_ours(run: ParallelRun, station: StationInfo) -> None:
    """Its process is none of the workers."""
    assert not run.is_visited_now(station.key)
    visiting(run.ledger, station.key, pid=8)
    assert not run.is_visited_now(station.key)
    visiting(run.ledger, station.key, pid=7)
    assert run.is_visited_now(station.key)
    run.ledger.finish(station.key, Record(status="failed", since=time.time()))
    assert not run.is_visited_now(station.key)


def test_station_that_nothing_is_known_of_was_not_reached(
    run: ParallelRun, station: StationInfo
) -> None:
    """No worker began with it."""
    assert run.unreported(station) is None


def test_station_whose_worker_was_killed_was_interrupted(
    run: ParallelRun, station: StationInfo
) -> None:
    """Its record still says that it is being visited."""
    visiting(run.ledger, station.key, pid=7)

    assert run.unreported(station) == station.result("failed", cause=INTERRUPTED)


def test_shared_result_counts_where_the_report_came_too_late(
    run: ParallelRun, station: StationInfo
) -> None:
    """A worker shares it as soon as it is recorded."""
    shared = run.results.share(station.result("visited", seconds=1.0))

    assert run.unreported(station) == shared
