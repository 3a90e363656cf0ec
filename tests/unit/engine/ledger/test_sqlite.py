"""SQLite ledgers against a model of them, and what survives kills and power cuts."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pytest_choochoo.engine import clock
from pytest_choochoo.engine.ledger import sqlite_moving
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.names import NewNames
from pytest_choochoo.engine.ledger.opening import forget_complete, open_ledger, read_ledger
from pytest_choochoo.engine.ledger.record import Fingerprint, Forgotten, Record
from pytest_choochoo.engine.ledger.sqlite import SqliteLedger

# Without surrogates, since pytest's node ids can be written to a terminal.
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
KEYS = st.sampled_from(["stations.py::a", "stations.py::b[1]", "süd/stations.py::c['\x00']"])
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def _warn(text: str) -> None:
    raise AssertionError(text)


def _complete(outcome: str) -> Record:
    return Record(
        status="complete", since=1.0, fingerprint=Fingerprint(), outcome=outcome, visited=1.0
    )


class Ledgers(RuleBasedStateMachine):
    """A ledger, and plain dicts with the content that it must have."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.location = LedgerLocation(Path(self.folder), "default")
        self.ledger: SqliteLedger = open_ledger(self.location, warn=_warn)
        self.records: dict[str, Record] = {}
        self.attempts: dict[str, list[tuple[float, str, str, tuple[str, ...]]]] = {}
        self.resources: dict[str, dict[str, Any]] = {}
        self.results: dict[tuple[str, str], str] = {}
        self.source_cache: dict[str, str] = {}
        self.begun: set[str] = set()
        self.before: dict[str, Record] = {}
        self.clock = 0.0

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            shutil.rmtree(self.folder)

    def _end(self, key: str, status: str, error: str) -> None:
        self.attempts[key] = [
            (began, status, error, reasons) if was == "visiting" else (began, was, old, reasons)
            for began, was, old, reasons in self.attempts.get(key, [])
        ]

    @rule(key=KEYS, reasons=st.lists(TEXT, max_size=2).map(tuple))
    def begin(self, key: str, reasons: tuple[str, ...]) -> None:
        self.clock += 1.0
        before = self.records.get(key) or Record(status="failed", since=0.0)
        record = before.with_(status="visiting", since=self.clock, pid=7, host="kettle", error="")
        self.before.pop(key, None)
        if key in self.records:
            self.before[key] = self.records[key]
        self.ledger.begin(key, record, reasons)
        self.records[key] = record
        self._end(key, "interrupted", "")
        self.attempts[key].append((self.clock, "visiting", "", reasons))
        self.begun.add(key)

    @rule(key=KEYS, outcome=PLAIN.map(repr))
    def complete(self, key: str, outcome: str) -> None:
        self.ledger.finish(key, _complete(outcome))
        self.records[key] = _complete(outcome)
        self._end(key, "complete" if key in self.begun else "interrupted", "")
        self.begun.discard(key)

    @rule(key=KEYS, error=TEXT, status=st.sampled_from(["failed", "interrupted"]))
    def fail(self, key: str, error: str, status: Any) -> None:
        record = Record(status=status, since=2.0, error=error)
        self.ledger.finish(key, record)
        self.records[key] = record
        self._end(key, status, error)
        self.begun.discard(key)

    @rule(key=KEYS)
    def cancel(self, key: str) -> None:
        before = self.before.get(key)
        self.ledger.cancel(key, before)
        self.records.pop(key, None)
        if before is not None:
            self.records[key] = before
        self.attempts[key] = [
            attempt for attempt in self.attempts.get(key, []) if attempt[1] != "visiting"
        ]
        self.begun.discard(key)

    @rule(key=KEYS, status=st.sampled_from(get_args(Forgotten)))
    def forget(self, key: str, status: Forgotten) -> None:
        own = self.ledger.directory(key) / "kept"
        own.touch()
        self.ledger.forget(key, status)
        self._forget(key, status)
        if status == "cleaned":
            self.attempts.pop(key, None)
            self.resources.pop(key, None)
        assert own.exists() is (status != "cleaned")

    def _forget(self, key: str, status: Forgotten) -> None:
        self._end(key, "interrupted", "")
        if key in self.records or status == "cleaned":
            before = self.records.get(key) or Record(status=status, since=0.0)
            record = self.ledger.record(key)
            assert record is not None
            self.records[key] = before.forgotten(status).with_(since=record.since)

    @rule(key=KEYS, name=TEXT, value=PLAIN)
    def keep(self, key: str, name: str, value: Any) -> None:
        self.ledger.resources(key)[name] = value
        self.resources.setdefault(key, {})[name] = value

    @rule(key=KEYS, name=TEXT)
    def drop(self, key: str, name: str) -> None:
        known = self.resources.get(key, {})
        assert self.ledger.resources(key).pop(name, "none") == known.pop(name, "none")

    @rule(run=st.sampled_from(["one", "two"]), key=KEYS, result=TEXT, is_agreed=st.booleans())
    def tell(self, run: str, key: str, result: str, is_agreed: bool) -> None:
        self.ledger.start_run(run)
        if is_agreed:
            first = self.results.setdefault((run, key), result)
            assert self.ledger.put_if_absent(run, key, result) == first
        else:
            self.ledger.write_result(run, key, result)
            self.results[run, key] = result

    @rule(key=TEXT, reading=TEXT)
    def read(self, key: str, reading: str) -> None:
        self.ledger.source_cache()[key] = reading
        self.source_cache[key] = reading

    @rule()
    def reopen(self) -> None:
        self.ledger.close()
        self.ledger = open_ledger(self.location, warn=_warn)
        self.begun.clear()

    @rule()
    def open_a_copy_of_what_a_killed_process_leaves(self) -> None:
        """Continue with a copy of the files as they are on the disk now."""
        copy = tempfile.mkdtemp()
        shutil.copytree(self.folder, copy, dirs_exist_ok=True)
        self.teardown()
        self.folder, self.location = copy, LedgerLocation(Path(copy), "default")
        self.ledger = open_ledger(self.location, warn=_warn)
        self.begun.clear()

    @precondition(lambda self: not self.begun)
    @rule()
    def clear(self) -> None:
        forget_complete(self.location, warn=_warn)
        for key, record in self.records.items():
            if not record.is_forgotten:
                self._forget(key, "forgotten")

    def _has_the_content_of_the_model(self, ledger: SqliteLedger) -> None:
        assert ledger.records() == self.records
        for key in ("stations.py::a", "stations.py::b[1]", "süd/stations.py::c['\x00']"):
            assert ledger.record(key) == self.records.get(key)
            assert dict(ledger.resources(key)) == self.resources.get(key, {})
            assert [
                (each.began, each.status, each.error, each.reasons) for each in ledger.attempts(key)
            ] == self.attempts.get(key, [])
            assert ledger.has_traces(key) == (
                (key in self.records and self.records[key].status != "cleaned")
                or bool(self.resources.get(key, {}))
                or self.location.directory(key).exists()
            )
            for run in ("one", "two"):
                assert ledger.result(run, key) == self.results.get((run, key))
        assert dict(ledger.source_cache()) == self.source_cache

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "ledger"):
            self._has_the_content_of_the_model(self.ledger)

    @rule()
    def read_only(self) -> None:
        reading = read_ledger(self.location, warn=_warn)
        try:
            self._has_the_content_of_the_model(reading)
        finally:
            reading.close()


def test_ledger_has_the_written_content() -> None:
    """Used, closed, killed and opened in any order, it has the same content as plain dicts."""
    run_state_machine_as_test(
        Ledgers, settings=settings(max_examples=30, stateful_step_count=25, deadline=None)
    )


def test_attempt_of_a_dead_process_stays_interrupted(tmp_path: Path) -> None:
    """Neither a later visit nor a check ends an attempt of a process that died."""
    location, visiting = LedgerLocation(tmp_path, "default"), Record(status="visiting", since=1.0)
    dead = open_ledger(location, warn=_warn)
    dead.begin("a", visiting, ())
    dead.begin("b", visiting, ())
    dead.close()

    ledger = open_ledger(location, warn=_warn)
    ledger.begin("a", visiting.with_(since=2.0), ())
    ledger.finish("a", _complete("1"))
    ledger.finish("b", _complete("1"))  # its checks pass
    statuses = [[attempt.status for attempt in ledger.attempts(key)] for key in ("a", "b")]
    ledger.close()

    assert statuses == [["interrupted", "complete"], ["interrupted"]]


def test_power_cut_loses_a_second_of_work_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record is synced when a power cut could lose a second of work, and not more often."""
    now = 1000.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    ledger = open_ledger(LedgerLocation(tmp_path, "default"), warn=_warn)
    is_synced = []

    for key, seconds in (("a", 0.4), ("b", 0.4), ("c", 0.4), ("d", 7200), ("e", 0.4)):
        ledger.begin(key, Record(status="visiting", since=1.0), ())
        now += seconds
        if key == "d":
            ledger.resources(key)["server"] = "i-4711"  # synced itself, the work before it is not
        ledger.finish(key, _complete("1"))
        # The level that SQLite used for the last transaction: 2 is full, 1 is normal.
        is_synced.append(ledger.rows("pragma synchronous")[0][0] == 2)

    ledger.close()
    assert is_synced == [False, False, True, True, False]


def test_failed_write_leaves_the_ledger_usable(tmp_path: Path) -> None:
    """A write that fails is undone completely, and the next one succeeds."""
    ledger = open_ledger(LedgerLocation(tmp_path, "default"), warn=_warn)
    resources = ledger.resources("a")

    with pytest.raises(UnicodeEncodeError):
        resources["lone \udcff"] = 1

    def write_half() -> None:
        with ledger.transaction() as connection:
            connection.execute("insert into runs values ('one', 1.0)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    resources["pot"] = 2
    kept, runs = dict(resources), ledger.rows("select * from runs")
    ledger.close()

    assert (kept, runs) == ({"pot": 2}, [])


def test_record_and_result_are_written_together(tmp_path: Path) -> None:
    """If the result of a run cannot be written, its record is not written either."""
    ledger = open_ledger(LedgerLocation(tmp_path, "default"), warn=_warn)

    with pytest.raises(UnicodeEncodeError):
        ledger.finish("a", _complete("1"), ("run", "lone \udcff"))
    written = ledger.record("a"), ledger.result("run", "a")
    ledger.close()

    assert written == (None, None)


def test_threads_of_a_visit_write_at_once(tmp_path: Path) -> None:
    """A visit may write its resources from many threads."""
    ledger = open_ledger(LedgerLocation(tmp_path, "default"), warn=_warn)

    def write(number: int) -> None:
        for n in range(10):
            ledger.resources("a")[f"{number}-{n}"] = n

    threads = [threading.Thread(target=write, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = dict(ledger.resources("a"))
    ledger.close()

    assert written == {f"{number}-{n}": n for number in range(5) for n in range(10)}


def test_move_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A move that fails half-way leaves everything where it was."""

    def fail(record: Record, names: NewNames) -> Record:
        raise KeyboardInterrupt

    with closing(open_ledger(LedgerLocation(tmp_path, "default"))) as ledger:
        ledger.begin("a.py::old", Record(status="visiting", since=1.0), ())
        ledger.resources("a.py::old")["id"] = 1
        directory = ledger.directory("a.py::old")
        monkeypatch.setattr(sqlite_moving, "renamed", fail)

        with pytest.raises(KeyboardInterrupt):
            ledger.move({"a.py::new": "a.py::old"}, {"a.py::new": NewNames(upstream={"a": "b"})})

        assert list(ledger.records()) == ["a.py::old"]
        assert dict(ledger.resources("a.py::old")) == {"id": 1}
        assert len(ledger.attempts("a.py::old")) == 1
        assert ledger.directory("a.py::old") == directory
        assert not ledger.has_traces("a.py::new")


def test_damaged_rows_stay_damaged_when_they_move(tmp_path: Path) -> None:
    """A new checksum must not make a row whole that was altered."""
    location = LedgerLocation(tmp_path, "default")
    with closing(open_ledger(location)) as ledger:
        ledger.finish("a.py::old", Record(status="failed", since=1.0, error="before"))
    with closing(sqlite3.connect(location.file)) as connection, connection:
        connection.execute("update records set record = replace(record, 'before', 'after')")

    with closing(open_ledger(location)) as ledger:
        assert ledger.move({"a.py::new": "a.py::old"}, {}) == ("a.py::new",)
        record = ledger.record("a.py::new")

    assert record is not None
    assert (record.status, record.error) == ("unreadable", "checksum mismatch")
