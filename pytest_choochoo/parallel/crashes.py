"""Reports and records the item that a dying worker was running."""

from __future__ import annotations

import time

import pytest

from pytest_choochoo.engine.ledger.protocol import LockBusy
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.route import StationInfo
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.parallel.run import ParallelRun
from pytest_choochoo.reporting.reports import facts, properties, put_facts

#: The cause of a failure with its worker.
DIED = "the worker process died"
# Seconds to wait for the lock of a dead worker to be released.
_GRACE = 2.0


def report_crash(
    run: ParallelRun,
    report: pytest.TestReport,
    *,
    profile: str | None,
    at_work: bool,
    is_rerun: bool,
    rejection: str | None = None,
) -> None:
    """Complete xdist's *report* of an item that a dying worker was running; record it as failed.

    *at_work*: the worker had not finished the item. *is_rerun*: the item runs again.
    *rejection*: why the controller ended the worker, None if it died by itself.
    """
    if rejection is not None:
        report.longrepr = shown(rejection)
    elif not at_work:
        report.longrepr = shown(f"{DIED} after finishing {report.nodeid}, before teardown")
    station = run.station(report.nodeid)
    if station is None:
        return
    result = record_crash(run, station, rejection)
    if not is_rerun:
        # A result that the worker shared before it died stands.
        result = run.results.shared(station.key) or run.results.share(result)
    if result.is_complete and at_work:
        cause = DIED if rejection is None else f"{rejection};"
        report.longrepr = shown(f"{cause} after {station.name} was recorded")
    put_facts(report, facts(result))
    report.user_properties = properties(result, profile)


def record_crash(run: ParallelRun, station: StationInfo, rejection: str | None = None) -> Result:
    """Record that the visit of *station* failed, if it was being visited; return the result."""
    cause, reasons = rejection or DIED, tuple[str, ...]()
    ledger = run.ledger
    try:
        lock = ledger.lock(station.key, _GRACE)
    except LockBusy:  # another process visits it, perhaps once more
        return station.result("failed", cause=cause)
    with lock:
        record = ledger.record(station.key)
        if record is None or record.since < run.began:
            return station.result("failed", cause=cause)  # it was not visited in this run
        reasons = next((each.reasons for each in ledger.attempts(station.key)[-1:]), ())
        if record.status == "failed":  # the worker recorded why it was about to die
            cause = record.error
        elif record.is_visiting:
            died = f"the worker process {record.pid} died while it visited the station"
            cause = rejection or died
            failed = record.with_(status="failed", since=time.time(), error=cause, pid=0)
            ledger.finish(station.key, failed)
    return station.result("failed", cause=cause, reasons=reasons)
