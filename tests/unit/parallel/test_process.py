"""How a process takes part in a run: alone, or as a worker, near its ledger or far from it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.opening import open_ledger
from pytest_choochoo.engine.ledger.remote import RemoteLedger
from pytest_choochoo.parallel import process_of
from pytest_choochoo.parallel.messages import BEGUN, CONTROLLER, Notice, encode
from pytest_choochoo.parallel.worker_input import WorkerInput, write_input


class Channel:
    """A channel that remembers what is sent."""

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
    return SimpleNamespace(workerinput=workerinput, stash=pytest.Stash())


def test_process_of_its_own_shares_nothing() -> None:
    """It has the terminal, its own ledger, and its own secrets."""
    config: Any = SimpleNamespace(stash=pytest.Stash())

    process = process_of(config)

    assert (process.is_worker, process.run, process.notify) == (False, None, None)
    assert process.secrets == {}
    assert CONTROLLER not in config.stash


def test_worker_of_plain_pytest_shares_nothing() -> None:
    """Its controller opened no channel."""
    process = process_of(worker())

    assert (process.is_worker, process.run, process.notify) == (True, None, None)


def test_worker_speaks_through_its_controller() -> None:
    """It knows the run and its beginning, and what it says is sent."""
    channel = Channel()
    config = worker(WorkerInput(channel, 7.0, "run"))

    process = process_of(config)

    assert (process.is_worker, process.run, process.began) == (True, "run", 7.0)
    assert process.notify is not None
    process.notify("hello")
    assert channel.sent == [encode(Notice("hello"))]
    assert process.secrets is config.stash[CONTROLLER].secrets


@pytest.mark.parametrize("run", [None, "run"])
def test_worker_that_sees_the_ledger_opens_it_itself(tmp_path: Path, run: str | None) -> None:
    """The beginning of the run is on its disk, or nothing is shared at all."""
    location = LedgerLocation(tmp_path, "default")
    ledger = open_ledger(location, warn=pytest.fail)
    ledger.start_run("run")
    ledger.write_result("run", BEGUN, "")
    ledger.close()

    process = process_of(worker(WorkerInput(Channel(), 7.0, run)))

    assert process.ledger(location) is None


def test_worker_that_does_not_see_the_ledger_asks_for_it(tmp_path: Path) -> None:
    """Where no such run has begun in what lies on its disk, it has a remote ledger."""
    process = process_of(worker(WorkerInput(Channel(), 7.0, "run")))

    assert isinstance(process.ledger(LedgerLocation(tmp_path, "default")), RemoteLedger)
