"""The ledger in one SQLite file, with a folder of locks and directories data_dir it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from secrets import token_bytes
from typing import Any

import msgspec
from filelock import FileLock, Timeout

from pytest_choochoo.engine.ledger.location import LedgerLocation, short
from pytest_choochoo.engine.ledger.protocol import (
    DurableMapping,
    LockBusy,
    LostLedger,
    SnapshotMixin,
    as_text,
)
from pytest_choochoo.engine.ledger.record import (
    AttemptRecord,
    Record,
    from_text,
    spelt_out,
    to_text,
)
from pytest_choochoo.engine.ledger.schema import checksum

_KEEP_RESULTS = 14 * 86400  # seconds
# How much completed work, in seconds, a power cut may take back.
_AT_STAKE = 1.0
_INTERRUPT = "update attempts set status = 'interrupted' where key = ? and status = 'visiting'"


class SqliteLedger(SnapshotMixin):
    """A `Ledger` in one SQLite file, with a folder of locks and directories data_dir it."""

    def __init__(
        self,
        location: LedgerLocation,
        connection: sqlite3.Connection,
        *,
        is_read_only: bool = False,
    ) -> None:
        self._location = location
        self._connection = connection
        self._is_read_only = is_read_only
        self._mutex = threading.RLock()
        self._outlives_power_cut = True
        self._synced = time.monotonic()
        self._path = str(location.file)
        self._file = None if is_read_only else _file_at(self._path)
        #: The stations whose visit was begun here, and has not been finished: since when.
        self._begun: dict[str, float] = {}

    @contextmanager
    def _told(self, path: object) -> Iterator[None]:
        """Have *path* named by the error, where the disk or the ledger does not do its part."""
        try:
            yield
        except (OSError, NotImplementedError, sqlite3.Error) as error:
            raise LostLedger(str(path), in_words(error)) from None

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._mutex:
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise LostLedger(self._path, in_words(error)) from None

    @contextmanager
    def _transaction(self, *, outlives_power_cut: bool = True) -> Iterator[sqlite3.Connection]:
        """Commit what is executed, all or nothing; a killed process never undoes it.

        To outlive a power cut as well costs most of what a transaction costs; so
        does all that was committed before. Raises `LostLedger`.
        """
        with self._mutex, self._told(self._path):
            if outlives_power_cut is not self._outlives_power_cut:
                level = "full" if outlives_power_cut else "normal"
                self._connection.execute(f"pragma synchronous = {level}")
                self._outlives_power_cut = outlives_power_cut
            try:
                self._connection.execute("begin immediate")
                if _file_at(self._path) != self._file:  # what is written would be nowhere
                    raise LostLedger(self._path, "it was removed, or replaced")
                yield self._connection
                self._connection.execute("commit")
                if outlives_power_cut:
                    self._synced = time.monotonic()
            finally:
                # Not where SQLite has done so, nor where it has not even begun.
                if self._connection.in_transaction:
                    self._connection.execute("rollback")

    def _write_through(self) -> None:
        """Have the ledger itself say what so far only its journal says.

        A journal that is lost takes the ledger back in time: never to a moment
        at which something was complete that is so no more.
        """
        with self._mutex, self._told(self._path):
            self._connection.execute("pragma wal_checkpoint(full)").fetchall()

    def record(self, key: str) -> Record | None:
        if self._seen is not None:
            return self._seen.get(key)
        rows = self._rows("select key, record, seal from records where key = ?", key)
        return _verified(*rows[0]) if rows else None

    def records(self, having: str = "") -> dict[str, Record]:
        query = "select key, record, seal from records where instr(record, ?)"
        rows = self._rows(query, having)
        return {row[0]: _verified(*row) for row in rows}

    def begin(self, key: str, record: Record, reasons: tuple[str, ...]) -> None:
        # Where nothing was complete before, losing this loses nothing: it is due either way.
        was_complete = record.outcome is not None
        with self._transaction(outlives_power_cut=was_complete) as connection:
            connection.execute("replace into records values (?, ?, ?)", _with_checksum(key, record))
            # Who is about to visit holds the lock: an attempt that has not ended never will.
            connection.execute(_INTERRUPT, (key,))
            connection.execute(
                "replace into attempts values (?, ?, null, 'visiting', '', ?)",
                (key, record.since, to_text(reasons)),
            )
        self._begun[key] = time.monotonic()
        if was_complete:
            self._write_through()

    def finish(self, key: str, record: Record, told: tuple[str, str] | None = None) -> None:
        now = time.monotonic()
        is_at_stake = now - min(self._begun.get(key, now), self._synced) >= _AT_STAKE
        with self._transaction(outlives_power_cut=is_at_stake) as connection:
            connection.execute("replace into records values (?, ?, ?)", _with_checksum(key, record))
            if record.is_complete and key not in self._begun:  # by its checks, not by a visit
                connection.execute(_INTERRUPT, (key,))
            connection.execute(
                "update attempts set ended = ?, status = ?, error = ?"
                " where key = ? and status = 'visiting'",
                (time.time(), record.status, spelt_out(record.error), key),
            )
            if told is not None:
                row = told[0], key, told[1]
                connection.execute("replace into results values (?, ?, ?)", row)
        self._begun.pop(key, None)

    def cancel(self, key: str, before: Record | None) -> None:
        with self._transaction() as connection:
            connection.execute("delete from records where key = ?", (key,))
            if before is not None:
                connection.execute(
                    "insert into records values (?, ?, ?)", _with_checksum(key, before)
                )
            connection.execute("delete from attempts where key = ? and status = 'visiting'", (key,))
        self._begun.pop(key, None)

    def forget(self, key: str, *, resources: bool) -> None:
        with self._transaction() as connection:
            connection.execute("delete from records where key = ?", (key,))
            connection.execute("delete from attempts where key = ?", (key,))
            if resources:
                connection.execute("delete from resources where key = ?", (key,))
        self._write_through()
        if resources:
            shutil.rmtree(self._location.directory(key), ignore_errors=True)

    def attempts(self, key: str) -> tuple[AttemptRecord, ...]:
        rows = self._rows(
            "select began, ended, status, error, reasons from attempts"
            " where key = ? order by began",
            key,
        )
        return tuple(_attempt(*row) for row in rows)

    def resources(self, key: str) -> MutableMapping[str, Any]:
        return Resources(self, key)

    def has_traces(self, key: str) -> bool:
        query = (
            "select 1 from records where key = ? union all select 1 from resources where key = ?"
        )
        return bool(self._rows(query, key, key)) or self._location.directory(key).exists()

    def directory(self, key: str) -> Path:
        if self._is_read_only:
            return self._location.directory(key)
        with self._told(self._location.directory(key)):
            return self._location.make_directory(key)

    def prepare_locks(self, keys: Iterable[str]) -> None:
        if self._is_read_only:
            return
        locks = self._location.data_dir / "locks"
        with self._told(locks):
            present = set(os.listdir(locks))
            for path in map(self._lock_file, keys):
                if os.path.basename(path) not in present:
                    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))

    def _lock_file(self, key: str) -> str:
        return f"{self._location.data_dir}/locks/{short(key)}.lock"

    def lock(self, key: str, timeout: float) -> Any:
        path = self._lock_file(key)
        lock = FileLock(path, mode=0o600, thread_local=False)
        with self._told(path):
            try:
                lock.acquire(timeout=timeout, poll_interval=0.05)
            except Timeout as error:
                raise LockBusy from error
        return lock

    def is_locked(self, key: str) -> bool:
        if not os.path.exists(self._lock_file(key)):  # to take the lock would make the file
            return False
        try:
            self.lock(key, 0).release()
        except LockBusy:
            return True
        except LostLedger:  # a file that may not be opened: nobody here can tell
            return False
        return False

    def start_run(self, run: str) -> None:
        # No run outlives a power cut, and its results are read only while it is under way.
        with self._transaction(outlives_power_cut=False) as connection:
            connection.execute("insert or ignore into runs values (?, ?)", (run, time.time()))
            old = "(select run from runs where began < ?)"
            for table in ("results", "runs"):
                connection.execute(
                    f"delete from {table} where run in {old}", (time.time() - _KEEP_RESULTS,)
                )

    def write_result(self, run: str, key: str, result: str) -> None:
        with self._transaction(outlives_power_cut=False) as connection:
            connection.execute("replace into results values (?, ?, ?)", (run, key, result))

    def result(self, run: str, key: str) -> str | None:
        rows = self._rows("select result from results where run = ? and key = ?", run, key)
        return rows[0][0] if rows else None

    def put_if_absent(self, run: str, name: str, value: str) -> str:
        with self._transaction(outlives_power_cut=False) as connection:
            connection.execute("insert or ignore into results values (?, ?, ?)", (run, name, value))
        # No node id looks like a name that is agreed on: it would have a '::' in it.
        return str(self.result(run, name))

    def secret_key(self) -> bytes:
        path = self._location.data_dir / "secret.key"
        lock = self.lock(path.name, -1)
        try:
            known = path.read_bytes() if path.exists() else b""
            if not known:  # nor in one that was just being made when its process died
                known = token_bytes(32)
                with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
                    file.write(known)
        finally:
            lock.release()
        return known

    def source_cache(self) -> MutableMapping[str, str]:
        return SourceCache(self)

    def close(self) -> None:
        with self._mutex:
            self._connection.close()


def _file_at(path: str) -> tuple[int, int] | None:
    """Return what tells the file at *path* from any other, None where there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def in_words(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def _with_checksum(key: str, record: Record) -> tuple[str, str, str]:
    text = to_text(record)
    return key, text, checksum(key, text)


def _verified(key: str, text: str, found: str) -> Record:
    if checksum(key, text) != found:
        return Record(status="unreadable", since=0.0, error="it was altered")
    return from_text(text)


def _attempt(began: Any, ended: Any, status: Any, error: Any, reasons: Any) -> AttemptRecord:
    """Return the attempt of a row; what can be read of it where it is damaged."""
    try:
        plain = {"began": began, "ended": ended, "status": status, "error": error}
        return msgspec.convert(plain | {"reasons": msgspec.json.decode(reasons)}, AttemptRecord)
    except (msgspec.MsgspecError, TypeError) as problem:
        when = began if isinstance(began, float) else 0.0
        return AttemptRecord(
            began=when, ended=None, status="unreadable", error=str(problem), reasons=()
        )


class Resources(DurableMapping):
    """The ids of things that one station created; values are JSON-like data."""

    def __init__(self, ledger: SqliteLedger, key: str) -> None:
        self._ledger = ledger
        self._key = key

    def _all(self) -> dict[str, Any]:
        rows = self._ledger._rows(
            "select id, value, seal from resources where key = ? order by id", self._key
        )
        # Of what was altered the user was told when the ledger was opened.
        return {
            name: msgspec.json.decode(value)
            for name, value, found in rows
            if checksum(self._key, name, value) == found
        }

    def __setitem__(self, name: str, value: Any) -> None:
        text = as_text(self._key, name, value)
        with self._ledger._transaction() as connection:
            row = self._key, name, text, checksum(self._key, name, text)
            connection.execute("replace into resources values (?, ?, ?, ?)", row)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        with self._ledger._transaction() as connection:
            connection.execute("delete from resources where key = ? and id = ?", (self._key, name))


class SourceCache(DurableMapping):
    """What was read of source files, by a key made of their content."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self._ledger = ledger

    def _all(self) -> dict[str, str]:
        return dict(self._ledger._rows("select key, reading from readings"))

    def __getitem__(self, key: str) -> str:
        rows = self._ledger._rows("select reading from readings where key = ?", key)
        if not rows:
            raise KeyError(key)
        return str(rows[0][0])

    def __setitem__(self, key: str, reading: str) -> None:
        with self._ledger._transaction(outlives_power_cut=False) as connection:
            connection.execute("replace into readings values (?, ?)", (key, reading))

    def __delitem__(self, key: str) -> None:
        with self._ledger._transaction() as connection:
            connection.execute("delete from readings where key = ?", (key,))
