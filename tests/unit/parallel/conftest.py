"""The fixtures of these tests: a run that has begun, with a ledger of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.opening import open_ledger
from pytest_choochoo.engine.ledger.protocol import Ledger
from pytest_choochoo.engine.route import StationInfo
from pytest_choochoo.parallel.run import ParallelRun
from pytest_choochoo.parallel.workers import Workers

from .stand_ins import ConnectedNode


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = open_ledger(LedgerLocation(tmp_path, "default"), warn=pytest.fail)
    yield ledger
    ledger.close()


@pytest.fixture
def workers() -> Workers:
    return Workers({})


@pytest.fixture
def station() -> StationInfo:
    return StationInfo(
        key="stations.py::boil", name="boil", title="Boil", upstream=(), needs=(), line=0
    )


@pytest.fixture
def run(ledger: Ledger, workers: Workers, station: StationInfo) -> ParallelRun:
    """A run of one station, with one worker, whose process has the number 7."""
    workers.connect(ConnectedNode("gw0"))
    [worker] = workers
    worker.pid = 7
    run = ParallelRun(ledger, workers, began=time.time())
    run.stations = [station]
    return run
