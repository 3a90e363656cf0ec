"""Results shared between the processes of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_choochoo.engine import results
from pytest_choochoo.engine.errors import LostLedger
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.opening import open_ledger
from pytest_choochoo.engine.ledger.record import Record, Result, Word
from pytest_choochoo.engine.results import Results, RunStopped
from unit.memory_ledger import MemoryLedger

KEY = "stations.py::boil"


def _result(word: Word) -> Result:
    return Result(key=KEY, name="boil", title="Boil", word=word)


def test_result_is_shared_with_the_other_processes() -> None:
    """A result that one process shares is awaited by another one, which then knows it."""
    ledger = MemoryLedger()
    mine, others = Results(ledger, "run"), Results(ledger, "run")
    before = others.shared(KEY)

    mine.share(_result("visited"))

    assert before is None
    assert others.awaited(KEY) == others.shared(KEY) == _result("visited")
    assert mine == others == {KEY: _result("visited")}


def test_result_is_shared_with_its_record() -> None:
    """`record` writes the record of a station and shares its result."""
    ledger, record = MemoryLedger(), Record(status="failed", since=1.0)

    Results(ledger, "run").record(_result("failed"), record)

    assert ledger.record(KEY) == record
    assert Results(ledger, "run").awaited(KEY) == _result("failed")


def test_result_of_another_run_is_not_shared() -> None:
    """Each run has its own results."""
    ledger = MemoryLedger()
    Results(ledger, "run").share(_result("visited"))

    assert Results(ledger, "other").shared(KEY) is None


def test_process_on_its_own_waits_for_nothing() -> None:
    """Without a run, results stay in the process, and nothing is awaited."""
    ledger = MemoryLedger()
    alone = Results(ledger, None)
    unknown = alone.awaited(KEY)

    alone.share(_result("visited"))
    alone.record(_result("unchanged"), Record(status="failed", since=1.0))
    alone.stop()

    assert unknown is None
    assert (alone.awaited(KEY), alone.shared(KEY)) == (_result("unchanged"), None)
    assert not alone.have_stopped()


def test_stop_reaches_processes_that_wait() -> None:
    """If one process stops a run, all processes stop, and none waits for a result any more."""
    ledger = MemoryLedger()
    mine, others = Results(ledger, "run"), Results(ledger, "run")
    others.raise_if_stopped()

    mine.stop()

    for each in (mine, others):
        with pytest.raises(RunStopped):
            each.awaited(KEY)
        with pytest.raises(RunStopped):
            each.raise_if_stopped()


def test_lost_ledger_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that waits for a result notices that the ledger cannot be written any more."""
    monkeypatch.setattr(results, "_PATIENCE", 0.0)
    location = LedgerLocation(tmp_path, "default")
    ledger = open_ledger(location)
    ledger.start_run("run")
    location.file.rename(tmp_path / "moved.sqlite")

    with pytest.raises(LostLedger):
        Results(ledger, "run").awaited(KEY)

    ledger.close()
