"""The part of a process in a run: alone, or as a worker, with or without access to the ledger."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.opening import open_ledger
from pytest_choochoo.engine.ledger.remote import RemoteLedger
from pytest_choochoo.engine.place import Place
from pytest_choochoo.parallel import process_of
from pytest_choochoo.parallel.messages import BEGUN, CONTROLLER, Notice, Refusal, encode
from pytest_choochoo.parallel.worker import refuse
from pytest_choochoo.parallel.worker_input import WorkerInput, write_input

PLACE = ("m1", "kettle", "/srv/tea", "7")


class Channel:
    """A channel that remembers its messages."""

    def __init__(self) -> None:
        self.sent: list[object] = []

    def send(self, item: object) -> None:
        self.sent.append(item)

    def setcallback(self, callback: object, endmarker: object = ...) -> None: ...


def worker(given: WorkerInput | None = None) -> Any:
    """Return the config of a worker whose controller knows stations, or does not."""
    workerinput: dict[str, Any] = {"workerid": "gw0"}
    if given is not None:
        write_input(workerinput, given)
    reports: list[pytest.CollectReport] = []

    def collected(report: pytest.CollectReport) -> None:
        reports.append(report)

    hook = SimpleNamespace(reports=reports, pytest_collectreport=collected)
    return SimpleNamespace(workerinput=workerinput, stash=pytest.Stash(), hook=hook)


def test_serial_process_shares_nothing() -> None:
    """A serial process has the terminal, its own ledger, and its own secrets."""
    config: Any = SimpleNamespace(stash=pytest.Stash())

    process = process_of(config)

    assert (process.is_worker, process.run, process.notify) == (False, None, None)
    assert process.secrets == {}
    assert CONTROLLER not in config.stash


def test_worker_of_plain_pytest_shares_nothing() -> None:
    """Its controller opened no channel."""
    process = process_of(worker())

    assert (process.is_worker, process.run, process.notify) == (True, None, None)


def test_worker_sends_notices_to_its_controller() -> None:
    """A worker knows the run, its beginning and its place, and sends notices to its controller."""
    channel = Channel()
    config = worker(WorkerInput(channel, 7.0, "run", PLACE))

    process = process_of(config)

    assert (process.is_worker, process.run, process.began) == (True, "run", 7.0)
    assert process.place == Place(*PLACE)
    assert process.notify is not None
    process.notify("hello")
    assert channel.sent == [encode(Notice("hello"))]
    assert process.secrets is config.stash[CONTROLLER].secrets


@pytest.mark.parametrize("run", [None, "run"])
def test_worker_that_sees_the_ledger_opens_it_itself(tmp_path: Path, run: str | None) -> None:
    """A worker opens the ledger itself if it finds the run there, or if there is no run."""
    location = LedgerLocation(tmp_path, "default")
    ledger = open_ledger(location, warn=pytest.fail)
    ledger.start_run("run")
    ledger.write_result("run", BEGUN, "")
    ledger.close()

    process = process_of(worker(WorkerInput(Channel(), 7.0, run, PLACE)))

    assert process.ledger(location) is None


def test_worker_that_does_not_see_the_ledger_asks_for_it(tmp_path: Path) -> None:
    """Where no such run has begun in what lies on its disk, it has a remote ledger."""
    process = process_of(worker(WorkerInput(Channel(), 7.0, "run", PLACE)))

    assert isinstance(process.ledger(LedgerLocation(tmp_path, "default")), RemoteLedger)


def test_worker_that_refuses_leaves_it_to_its_controller(request: pytest.FixtureRequest) -> None:
    """It runs nothing, and the controller ends the run with the sentence."""
    channel, items = Channel(), [request.node]
    config = worker(WorkerInput(channel, 7.0, "run", PLACE))
    process_of(config)

    refuse(config, ValueError("no such station"), items)

    assert items == []
    assert channel.sent == [encode(Refusal("no such station"))]


def test_worker_of_plain_pytest_refuses_with_a_collection_error(
    request: pytest.FixtureRequest,
) -> None:
    """So the run fails, whose controller knows nothing of stations."""
    items = [request.node]
    config = worker()
    process_of(config)

    refuse(config, ValueError("the ledger is damaged"), items)

    assert items == []
    [report] = config.hook.reports
    assert (report.failed, report.longrepr) == (True, "the ledger is damaged")
