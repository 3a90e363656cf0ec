"""The record and the report of an item that a dying worker was running."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pytest_choochoo.engine.ledger.record import Fingerprint, Record
from pytest_choochoo.engine.route import StationInfo
from pytest_choochoo.parallel.crashes import DIED, record_crash, report_crash
from pytest_choochoo.parallel.run import ParallelRun

REASONS = ("never visited",)


def report_of(nodeid: str) -> Any:
    """Return xdist's report of a crash."""
    return pytest.TestReport(
        nodeid=nodeid,
        location=("stations.py", None, "stations.py"),
        keywords={},
        outcome="failed",
        longrepr=f"worker 'gw0' crashed while running {nodeid!r}",
        when="???",  # type: ignore[arg-type] # as xdist has it
    )


def visiting(**facts: Any) -> Record:
    return Record(status="visiting", since=time.time(), pid=7, **facts)


def test_visit_under_way_is_recorded_as_failed(run: ParallelRun, station: StationInfo) -> None:
    """The record of the failed visit has the cause, and keeps the last outcome."""
    run.ledger.begin(station.key, visiting(outcome="100"), REASONS)

    result = record_crash(run, station)

    cause = "the worker process 7 died while it visited the station"
    assert result == station.result("failed", cause=cause, reasons=REASONS)
    record = run.ledger.record(station.key)
    assert record is not None
    assert (record.status, record.error, record.pid, record.outcome) == ("failed", cause, 0, "100")
    run.ledger.lock(station.key, 0).release()


def test_cause_that_the_worker_recorded_stays(run: ParallelRun, station: StationInfo) -> None:
    """A worker may record why it is about to be killed, and that cause is kept."""
    run.ledger.begin(station.key, visiting(), REASONS)
    run.ledger.finish(station.key, Record(status="failed", since=time.time(), error="Timeout"))

    assert record_crash(run, station) == station.result("failed", cause="Timeout", reasons=REASONS)


def test_record_of_an_earlier_run_is_left_alone(run: ParallelRun, station: StationInfo) -> None:
    """A worker that died before the visit leaves the record of an earlier run as it was."""
    earlier = Record(status="failed", since=run.began - 60, error="cold")
    run.ledger.finish(station.key, earlier)

    assert record_crash(run, station) == station.result("failed", cause=DIED)
    assert run.ledger.record(station.key) == earlier


def test_station_that_was_never_visited_gets_no_record(
    run: ParallelRun, station: StationInfo
) -> None:
    """If the visit had not begun, no record is made."""
    assert record_crash(run, station) == station.result("failed", cause=DIED)
    assert run.ledger.record(station.key) is None


def test_record_of_a_locked_station_is_left_alone(
    run: ParallelRun, station: StationInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of a station that another process visits is not changed."""
    monkeypatch.setattr("pytest_choochoo.parallel.crashes._GRACE", 0)
    lock = run.ledger.lock(station.key, 0)
    run.ledger.begin(station.key, visiting(), REASONS)

    assert record_crash(run, station) == station.result("failed", cause=DIED)
    record = run.ledger.record(station.key)
    assert record is not None and record.is_visiting
    lock.release()


def test_report_has_the_facts_of_the_station(run: ParallelRun, station: StationInfo) -> None:
    """The report has the facts of the station, and downstream in other workers sees the result."""
    run.ledger.begin(station.key, visiting(), REASONS)
    report = report_of(station.key)

    report_crash(run, report, profile="tea", at_work=True, is_rerun=False)

    assert "crashed while running" in report.longrepr
    assert (report.choochoo["result"], report.choochoo["reasons"]) == ("failed", REASONS)
    assert ("choochoo.result", "failed") in report.user_properties
    shared = run.results.shared(station.key)
    assert shared is not None and shared.word == "failed"


def test_item_that_runs_again_shares_no_failure(run: ParallelRun, station: StationInfo) -> None:
    """The result of an item that is rerun is the one of its last attempt."""
    report = report_of(station.key)

    report_crash(run, report, profile="tea", at_work=True, is_rerun=True)

    assert report.choochoo["result"] == "failed"
    assert run.results.shared(station.key) is None


def test_station_that_was_recorded_stays_complete(run: ParallelRun, station: StationInfo) -> None:
    """A result that the worker shared before it died stands, and the report says so."""
    run.ledger.begin(station.key, visiting(), REASONS)
    run.ledger.finish(
        station.key,
        Record(status="complete", since=time.time(), fingerprint=Fingerprint(), outcome="null"),
    )
    run.results.share(station.result("visited"))
    report = report_of(station.key)

    report_crash(run, report, profile="tea", at_work=True, is_rerun=False)

    assert report.longrepr == "the worker process died after boil was recorded"
    assert report.choochoo["result"] == "visited"
    record = run.ledger.record(station.key)
    assert record is not None and record.is_complete


ENDED = "worker gw0 was ended, as it sent 7"


def test_rejection_of_the_worker_is_the_cause(run: ParallelRun, station: StationInfo) -> None:
    """Report, result and record of the station name why the controller ended its worker."""
    run.ledger.begin(station.key, visiting(), REASONS)
    report = report_of(station.key)

    report_crash(run, report, profile="tea", at_work=True, is_rerun=False, rejection=ENDED)

    assert (report.longrepr, report.choochoo["cause"]) == (ENDED, ENDED)
    record = run.ledger.record(station.key)
    assert record is not None and (record.status, record.error) == ("failed", ENDED)


@pytest.mark.parametrize("at_work", [True, False])
def test_rejection_is_reported_with_a_test(run: ParallelRun, at_work: bool) -> None:
    """The report of a test names why its worker was ended, at work or after it."""
    report = report_of("test_it.py::test_it")

    report_crash(run, report, profile="tea", at_work=at_work, is_rerun=False, rejection=ENDED)

    assert report.longrepr == ENDED


def test_rejection_after_the_record_is_written(run: ParallelRun, station: StationInfo) -> None:
    """A result that the worker shared before it was ended stands, and the report says so."""
    run.results.share(station.result("visited"))
    report = report_of(station.key)

    report_crash(run, report, profile="tea", at_work=True, is_rerun=False, rejection=ENDED)

    assert report.longrepr == f"{ENDED}; after boil was recorded"
    assert report.choochoo["result"] == "visited"


@pytest.mark.parametrize("key", ["stations.py::boil", "test_it.py::test_it"])
def test_death_after_the_last_item_is_reported_as_such(run: ParallelRun, key: str) -> None:
    """A worker that died in a late teardown is reported with its last item."""
    report = report_of(key)

    report_crash(run, report, profile="tea", at_work=False, is_rerun=False)

    assert report.longrepr == f"the worker process died after finishing {key}, before teardown"


def test_report_of_a_test_is_unchanged(run: ParallelRun) -> None:
    """The report of a test that is not a station is xdist's own."""
    report = report_of("test_it.py::test_it")

    report_crash(run, report, profile="tea", at_work=True, is_rerun=False)

    assert "crashed while running" in report.longrepr
    assert not hasattr(report, "choochoo")
