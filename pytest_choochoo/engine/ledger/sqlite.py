"""The ledger in one SQLite file, with a folder of locks and station directories beside it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from pytest_choochoo.engine import clock
from pytest_choochoo.engine.errors import LostLedger
from pytest_choochoo.engine.ledger.durable import DurableMapping, as_text
from pytest_choochoo.engine.ledger.location import LedgerLocation, short
from pytest_choochoo.engine.ledger.protocol import (
    HeldLock,
    LockBusy,
    SnapshotMixin,
)
from pytest_choochoo.engine.ledger.record import (
    AttemptRecord,
    Forgotten,
    Record,
    from_text,
    spelt_out,
    to_text,
)
from pytest_choochoo.engine.ledger.schema import is_intact, with_checksum

# Seconds that the results of a run are kept.
_KEEP_RESULTS = 14 * 86400
# Seconds of completed work that a power cut may take back.
_AT_STAKE = 1.0
_INTERRUPT = "update attempts set status = 'interrupted' where key = ? and status = 'visiting'"


class SqliteLedger(SnapshotMixin):
    """A `Ledger` in the SQLite file at *location*, which *connection* has open."""

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
        self._synced = clock.monotonic()
        self._path = str(location.file)
        self._file = None if is_read_only else _file_at(self._path)
        #: The moment at which this process began each visit that it has not finished.
        self._begun: dict[str, float] = {}

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._mutex:
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise LostLedger(self._path, cause_of(error)) from None

    @contextmanager
    def _transaction(self, *, outlives_power_cut: bool = True) -> Iterator[sqlite3.Connection]:
        """Commit what is executed, all or nothing; a killed process never undoes it.

        With *outlives_power_cut*, this transaction and all earlier ones are synced to the
        disk, which is most of the cost of a transaction. Raises `LostLedger`.
        """
        with self._mutex, _naming(self._path):
            if outlives_power_cut is not self._outlives_power_cut:
                level = "full" if outlives_power_cut else "normal"
                self._connection.execute(f"pragma synchronous = {level}")
                self._outlives_power_cut = outlives_power_cut
            try:
                self._connection.execute("begin immediate")
                if _file_at(self._path) != self._file:  # a write would be lost with the old file
                    raise LostLedger(self._path, "it was removed, or replaced")
                yield self._connection
                self._connection.execute("commit")
                if outlives_power_cut:
                    self._synced = clock.monotonic()
            finally:
                # SQLite may have rolled back by itself, or not even begun.
                if self._connection.in_transaction:
                    self._connection.execute("rollback")

    def _checkpoint(self) -> None:
        """Checkpoint the write-ahead log into the database file.

        A log that is lost takes the ledger back in time, but never to a moment at
        which a station was complete that no longer is.
        """
        with self._mutex, _naming(self._path):
            self._connection.execute("pragma wal_checkpoint(full)").fetchall()

    def _read_record(self, key: str) -> Record | None:
        rows = self._rows("select key, record, seal from records where key = ?", key)
        return _verified(rows[0]) if rows else None

    def records(self, having: str = "") -> dict[str, Record]:
        query = "select key, record, seal from records where instr(record, ?)"
        return {row[0]: _verified(row) for row in self._rows(query, having)}

    def begin(self, key: str, record: Record, reasons: tuple[str, ...]) -> None:
        # This may be lost if nothing was complete before: the station is due either way.
        was_complete = record.outcome is not None
        with self._transaction(outlives_power_cut=was_complete) as connection:
            _put_record(connection, key, record)
            # This process holds the lock, so an attempt that has not ended never will.
            connection.execute(_INTERRUPT, (key,))
            connection.execute(
                "replace into attempts values (?, ?, null, 'visiting', '', ?)",
                (key, record.since, to_text(reasons)),
            )
        self._begun[key] = clock.monotonic()
        if was_complete:
            self._checkpoint()

    def finish(self, key: str, record: Record, shared: tuple[str, str] | None = None) -> None:
        now = clock.monotonic()
        is_at_stake = now - min(self._begun.get(key, now), self._synced) >= _AT_STAKE
        with self._transaction(outlives_power_cut=is_at_stake) as connection:
            _put_record(connection, key, record)
            if record.is_complete and key not in self._begun:  # by its checks, not by a visit
                connection.execute(_INTERRUPT, (key,))
            connection.execute(
                "update attempts set ended = ?, status = ?, error = ?"
                " where key = ? and status = 'visiting'",
                (time.time(), record.status, spelt_out(record.error), key),
            )
            if shared is not None:
                run, result = shared
                _put_result(connection, run, key, result)
        self._begun.pop(key, None)

    def cancel(self, key: str, before: Record | None) -> None:
        with self._transaction() as connection:
            if before is None:
                connection.execute("delete from records where key = ?", (key,))
            else:
                _put_record(connection, key, before)
            connection.execute("delete from attempts where key = ? and status = 'visiting'", (key,))
        self._begun.pop(key, None)

    def forget(self, key: str, status: Forgotten) -> None:
        is_cleaned = status == "cleaned"
        with self._transaction() as connection:
            record = self._read_record(key)
            if record is not None or is_cleaned:
                before = record or Record(status=status, since=0.0)
                _put_record(connection, key, before.forgotten(status))
            connection.execute(_INTERRUPT, (key,))
            if is_cleaned:
                connection.execute("delete from attempts where key = ?", (key,))
                connection.execute("delete from resources where key = ?", (key,))
        self._checkpoint()
        if is_cleaned:
            shutil.rmtree(self._location.directory(key), ignore_errors=True)

    def attempts(self, key: str) -> tuple[AttemptRecord, ...]:
        rows = self._rows(
            "select began, ended, status, error, reasons from attempts"
            " where key = ? order by began",
            key,
        )
        return tuple(_attempt(*row) for row in rows)

    def resources(self, key: str) -> MutableMapping[str, Any]:
        return _Resources(self, key)

    def has_traces(self, key: str) -> bool:
        record = self._read_record(key)
        if record is not None and record.status != "cleaned":
            return True
        has_resources = bool(self._rows("select 1 from resources where key = ?", key))
        return has_resources or self._location.directory(key).exists()

    def directory(self, key: str) -> Path:
        if self._is_read_only:
            return self._location.directory(key)
        with _naming(self._location.directory(key)):
            return self._location.make_directory(key)

    def prepare_locks(self, keys: Iterable[str]) -> None:
        if self._is_read_only:
            return
        locks = self._location.data_dir / "locks"
        with _naming(locks):
            present = set(os.listdir(locks))
            for path in map(self._lock_file, keys):
                if os.path.basename(path) not in present:
                    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))

    def _lock_file(self, key: str) -> str:
        return f"{self._location.data_dir}/locks/{short(key)}.lock"

    def lock(self, key: str, timeout: float) -> HeldLock:
        path = self._lock_file(key)
        with _naming(path):
            return LockFile(path, timeout)

    def is_locked(self, key: str) -> bool:
        if not os.path.exists(self._lock_file(key)):  # taking the lock would make the file
            return False
        try:
            self.lock(key, 0).release()
        except LockBusy:
            return True
        except LostLedger:  # this process may not open the file, so it cannot know
            return False
        return False

    def start_run(self, run: str) -> None:
        # No run outlives a power cut, and its results are read only while it goes on.
        with self._transaction(outlives_power_cut=False) as connection:
            connection.execute("insert or ignore into runs values (?, ?)", (run, time.time()))
            old = "(select run from runs where began < ?)"
            for table in ("results", "runs"):
                connection.execute(
                    f"delete from {table} where run in {old}", (time.time() - _KEEP_RESULTS,)
                )

    def write_result(self, run: str, key: str, result: str) -> None:
        with self._transaction(outlives_power_cut=False) as connection:
            _put_result(connection, run, key, result)

    def result(self, run: str, key: str) -> str | None:
        rows = self._rows("select result from results where run = ? and key = ?", run, key)
        return rows[0][0] if rows else None

    def put_if_absent(self, run: str, name: str, value: str) -> str:
        with self._transaction(outlives_power_cut=False) as connection:
            connection.execute("insert or ignore into results values (?, ?, ?)", (run, name, value))
        # A name never equals a node id, which has a '::' in it.
        return str(self.result(run, name))

    def secret_key(self) -> bytes:
        path = self._location.data_dir / "secret.key"
        with self.lock(path.name, -1):
            known = path.read_bytes() if path.exists() else b""
            if not known:  # an empty file is left by a process that died while it made the key
                known = os.urandom(32)
                with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
                    file.write(known)
        return known

    def source_cache(self) -> MutableMapping[str, str]:
        return _SourceCache(self)

    def close(self) -> None:
        with self._mutex:
            self._connection.close()


class LockFile(HeldLock):
    """The lock on a file, held; the operating system releases it when the process dies."""

    def __init__(self, path: str, timeout: float) -> None:
        # Imported here, since processes that only read take no lock.
        from filelock import FileLock, Timeout

        self._lock = FileLock(path, mode=0o600, thread_local=False)
        try:
            self._lock.acquire(timeout=timeout, poll_interval=0.05)
        except Timeout as error:
            raise LockBusy from error

    def release(self) -> None:
        self._lock.release()


@contextmanager
def _naming(path: object) -> Iterator[None]:
    """Turn an OS or SQLite error into `LostLedger`, which names *path*."""
    try:
        yield
    except (OSError, NotImplementedError, sqlite3.Error) as error:
        raise LostLedger(str(path), cause_of(error)) from None


def cause_of(error: BaseException) -> str:
    """Return the cause of *error*, without the path and the number that an `OSError` adds."""
    return (getattr(error, "strerror", None) or str(error)).lower()


def _file_at(path: str) -> tuple[int, int] | None:
    """Return what identifies the file at *path*, or None where there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _put_record(connection: sqlite3.Connection, key: str, record: Record) -> None:
    row = with_checksum(key, to_text(record))
    connection.execute("replace into records values (?, ?, ?)", row)


def _put_result(connection: sqlite3.Connection, run: str, key: str, result: str) -> None:
    connection.execute("replace into results values (?, ?, ?)", (run, key, result))


def _verified(row: tuple[str, str, str]) -> Record:
    """Return the record of *row*, an unreadable one if the row is damaged."""
    if not is_intact(row):
        return Record(status="unreadable", since=0.0, error="checksum mismatch")
    return from_text(row[1])


def _attempt(began: Any, ended: Any, status: Any, error: Any, reasons: Any) -> AttemptRecord:
    """Return the attempt of a row, or the readable part of a damaged one."""
    try:
        plain = {"began": began, "ended": ended, "status": status, "error": error}
        return msgspec.convert(plain | {"reasons": msgspec.json.decode(reasons)}, AttemptRecord)
    except (msgspec.MsgspecError, TypeError) as problem:
        when = began if isinstance(began, float) else 0.0
        return AttemptRecord(
            began=when, ended=None, status="unreadable", error=str(problem), reasons=()
        )


class _Resources(DurableMapping):
    """The resources of one station; their values are JSON."""

    def __init__(self, ledger: SqliteLedger, key: str) -> None:
        self._ledger = ledger
        self._key = key

    def _all(self) -> dict[str, Any]:
        rows = self._ledger._rows(
            "select key, id, value, seal from resources where key = ? order by id", self._key
        )
        # The user was warned of damaged rows when the ledger was opened.
        return {row[1]: msgspec.json.decode(row[2]) for row in rows if is_intact(row)}

    def __setitem__(self, name: str, value: Any) -> None:
        row = with_checksum(self._key, name, as_text(self._key, name, value))
        with self._ledger._transaction() as connection:
            connection.execute("replace into resources values (?, ?, ?, ?)", row)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        with self._ledger._transaction() as connection:
            connection.execute("delete from resources where key = ? and id = ?", (self._key, name))


class _SourceCache(DurableMapping):
    """The cache of parsed source files, by a key made of their content."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self._ledger = ledger

    def _all(self) -> dict[str, str]:
        return dict(self._ledger._rows("select key, reading from readings"))

    def __getitem__(self, key: str) -> str:
        rows = self._ledger._rows("select reading from readings where key = ?", key)
        if not rows:
            raise KeyError(key)
        return str(rows[0][0])

    def __setitem__(self, key: str, source: str) -> None:
        with self._ledger._transaction(outlives_power_cut=False) as connection:
            connection.execute("replace into readings values (?, ?)", (key, source))

    def __delitem__(self, key: str) -> None:
        with self._ledger._transaction() as connection:
            connection.execute("delete from readings where key = ?", (key,))
