"""A ledger asked by messages does what the ledger itself does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pytest_choochoo.engine.errors import UnusableLedger
from pytest_choochoo.engine.judging.fingerprint import Fingerprint
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.opening import open_ledger
from pytest_choochoo.engine.ledger.protocol import Ledger, LockBusy
from pytest_choochoo.engine.ledger.record import Record
from pytest_choochoo.engine.ledger.remote import LedgerServer, RemoteLedger

KEY = "stations.py::boil"


@pytest.fixture
def near(tmp_path: Path) -> Ledger:
    return open_ledger(LedgerLocation(tmp_path / "near", "default"), warn=pytest.fail)


@pytest.fixture
def window(near: Ledger) -> LedgerServer:
    return LedgerServer(near)


@pytest.fixture
def far(window: LedgerServer, tmp_path: Path) -> Ledger:
    return RemoteLedger(window.answer, LedgerLocation(tmp_path / "far", "default"))


def test_records_and_attempts_are_the_same(near: Ledger, far: Ledger) -> None:
    record = Record(status="visiting", since=time.time(), pid=7, host="kettle")
    far.begin(KEY, record, ("never visited",))
    assert near.record(KEY) == far.record(KEY) == record
    done = record.with_(
        status="complete", fingerprint=Fingerprint(), outcome="100", products={"a": "b"}
    )
    far.finish(KEY, done)
    assert near.records() == far.records() == {KEY: done}
    assert near.attempts(KEY) == far.attempts(KEY)
    assert [attempt.reasons for attempt in far.attempts(KEY)] == [("never visited",)]
    far.finish(KEY, done, ("run", "well"))
    assert (near.result("run", KEY), far.result("run", KEY)) == ("well", "well")
    far.cancel(KEY, None)
    assert far.record(KEY) is near.record(KEY) is None


def test_resources_are_written_at_once(near: Ledger, far: Ledger) -> None:
    resources = far.resources(KEY)
    resources["kettle"] = {"id": [1, None, "é"]}
    resources["cup"] = 2
    del resources["cup"]
    assert dict(near.resources(KEY)) == dict(resources) == {"kettle": {"id": [1, None, "é"]}}
    assert (len(resources), "cup" in resources, far.has_traces(KEY)) == (1, False, True)
    with pytest.raises(KeyError, match="cup"):
        del resources["cup"]
    with pytest.raises(KeyError, match="cup"):
        resources["cup"]
    far.forget(KEY, resources=True)
    assert (dict(near.resources(KEY)), far.has_traces(KEY)) == ({}, False)


def test_results_of_a_run_are_shared(near: Ledger, far: Ledger) -> None:
    far.start_run("run")
    assert far.result("run", KEY) is None
    far.write_result("run", KEY, "{}")
    assert near.result("run", KEY) == far.result("run", KEY) == "{}"
    assert (near.put_if_absent("run", "plan", "a"), far.put_if_absent("run", "plan", "b")) == (
        "a",
        "a",
    )


def test_key_of_secrets_is_one(near: Ledger, far: Ledger) -> None:
    assert far.secret_key() == near.secret_key() == far.secret_key()
    assert len(far.secret_key()) == 32


def test_lock_is_held_in_the_other_process(near: Ledger, far: Ledger, window: LedgerServer) -> None:
    far.prepare_locks([KEY])
    lock = far.lock(KEY, -1)
    with pytest.raises(LockBusy):
        near.lock(KEY, 0)
    lock.release()

    held = near.lock(KEY, 0)
    with pytest.raises(LockBusy):
        far.lock(KEY, 0.1)
    held.release()

    far.lock(KEY, 0)
    window.close()  # the process that asked is gone
    near.lock(KEY, 0).release()


def test_directories_and_readings_stay_where_they_are_used(far: Ledger, tmp_path: Path) -> None:
    assert far.directory(KEY).is_relative_to(tmp_path / "far") and far.directory(KEY).is_dir()
    far.source_cache()["a"] = "b"
    assert dict(far.source_cache()) == {"a": "b"}


def test_error_there_is_an_error_here(near: Ledger, far: Ledger) -> None:
    near.close()
    with pytest.raises(UnusableLedger) as caught:
        far.record(KEY)
    assert str(caught.value) == (
        "the ledger of the controller cannot be written: cannot operate on a"
        " closed database.; make the folder writable, or name another with --cc-state"
    )
    far.close()
