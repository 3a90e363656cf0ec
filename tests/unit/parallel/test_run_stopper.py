"""The early end of a parallel run."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_choochoo.engine.ledger.record import Record
from pytest_choochoo.engine.route import StationInfo
from pytest_choochoo.engine.timetable import Batch
from pytest_choochoo.parallel.run import ParallelRun
from pytest_choochoo.parallel.run_stopper import RunStopper
from pytest_choochoo.parallel.scheduler import RouteScheduling

from .stand_ins import RememberingNode

ITEMS = ["stations.py::boil", "stations.py::pour"]


class Session:
    """The part of xdist's own session that is used."""

    def __init__(self) -> None:
        self.shouldstop: Any = False


@pytest.fixture
def xdist() -> Session:
    return Session()


@pytest.fixture
def worker() -> RememberingNode:
    return RememberingNode()


@pytest.fixture
def scheduler(worker: RememberingNode) -> RouteScheduling:
    """A scheduler with one worker that has both items; the second item waits for the first."""
    config: Any = SimpleNamespace()
    scheduler = RouteScheduling(
        config,
        workers=1,
        looks_ahead=True,
        begin=lambda items: [
            Batch(items=(0,), seconds=0.01),
            Batch(items=(1,), waits=(0,), seconds=0.01),
        ],
        read_messages=lambda: None,
        reject=lambda node, text: None,
        end_worker=lambda node, text: None,
        notify=lambda text: None,
    )
    scheduler.add_node(worker)
    scheduler.add_node_collection(worker, ITEMS)
    scheduler.schedule()
    worker.sent()
    return scheduler


@pytest.fixture
def stopper(run: ParallelRun, scheduler: RouteScheduling, xdist: Session) -> RunStopper:
    config: Any = SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin={"dsession": xdist}.get))
    return RunStopper(config, run, scheduler)


def visit(run: ParallelRun, station: StationInfo, pid: int) -> None:
    record = Record(status="visiting", since=time.time(), pid=pid)
    run.ledger.begin(station.key, record, ())


def test_visit_under_way_is_finished(
    run: ParallelRun,
    stopper: RunStopper,
    station: StationInfo,
    scheduler: RouteScheduling,
    worker: RememberingNode,
    xdist: Session,
) -> None:
    """The item behind the visit is taken back, and the session ends after the visit."""
    visit(run, station, pid=7)

    assert stopper.finish_visits() == ["boil"]
    assert worker.asked_back == []

    name, said = worker.event()
    assert name == "runtest_protocol_complete"
    scheduler.mark_test_complete(said["node"], said["item_index"])

    assert worker.asked_back == [[1]]
    scheduler.remove_pending_tests_from_node(worker, [1])
    assert not xdist.shouldstop
    scheduler.mark_test_complete(worker, 0)
    assert xdist.shouldstop == "stopped after the visits under way"


@pytest.mark.parametrize("pid", [None, 8], ids=["none", "of-another-run"])
def test_nothing_is_finished_without_a_visit(
    run: ParallelRun,
    stopper: RunStopper,
    station: StationInfo,
    scheduler: RouteScheduling,
    pid: int | None,
) -> None:
    """A test under way, or a station that waits for another run, may be interrupted."""
    if pid is not None:
        visit(run, station, pid)

    assert stopper.finish_visits() == []
    assert not scheduler.is_stopped


def test_failure_stops_items_that_were_sent_ahead(
    stopper: RunStopper, scheduler: RouteScheduling, worker: RememberingNode, xdist: Session
) -> None:
    """Items are taken back; xdist, which counts failures, ends the session itself."""
    stopper.stop_for_failures()

    assert worker.asked_back == [[1]]
    scheduler.remove_pending_tests_from_node(worker, [1])
    scheduler.mark_test_complete(worker, 0)
    assert not xdist.shouldstop
    assert scheduler.left == 1


def test_interrupt_without_a_visit_sends_no_signal(
    stopper: RunStopper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that runs a test, or waits, gets no signal."""
    monkeypatch.setattr("os.kill", lambda *arguments: pytest.fail("a signal was sent"))

    stopper.interrupt_workers()


def test_visits_under_way_are_interrupted(
    run: ParallelRun,
    stopper: RunStopper,
    station: StationInfo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only living workers on this machine get the signals."""
    sent: list[int] = []
    monkeypatch.setattr("os.kill", lambda pid, number: sent.append(pid))
    visit(run, station, pid=7)

    stopper.interrupt_workers()
    assert sent == [7, 7]
    [worker] = run.workers
    worker.is_local = False
    stopper.interrupt_workers()
    worker.is_local, worker.is_gone = True, True
    stopper.interrupt_workers()
    assert sent == [7, 7]


def test_interrupt_with_a_lost_ledger_is_not_an_error(
    run: ParallelRun, stopper: RunStopper
) -> None:
    """The session may already be over, and the ledger closed."""
    run.ledger.close()

    stopper.interrupt_workers()
