"""The ledger in one SQLite file, with a folder of locks and directories beside it."""

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

from pytest_choochoo.railway.ledger import LockBusy, Table
from pytest_choochoo.railway.place import Place, short
from pytest_choochoo.railway.record import Attempt, Record, from_text, to_text

_KEEP_RESULTS = 14 * 86400  # seconds


class SqliteLedger:
    """A `Ledger` in one SQLite file, with a folder of locks and directories beside it."""

    def __init__(
        self, place: Place, connection: sqlite3.Connection, *, is_read_only: bool = False
    ) -> None:
        self._place = place
        self._connection = connection
        self._is_read_only = is_read_only
        self._mutex = threading.RLock()
        self._outlives_power_cut = True

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._mutex:
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self, *, outlives_power_cut: bool = True) -> Iterator[sqlite3.Connection]:
        """Commit what is executed, all or nothing; a killed process never undoes it.

        To outlive a power cut as well costs most of what a transaction costs.
        """
        with self._mutex:
            if outlives_power_cut is not self._outlives_power_cut:
                level = "full" if outlives_power_cut else "normal"
                self._connection.execute(f"pragma synchronous = {level}")
                self._outlives_power_cut = outlives_power_cut
            self._connection.execute("begin immediate")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("rollback")
                raise
            self._connection.execute("commit")

    def record(self, key: str) -> Record | None:
        rows = self._rows("select record from records where key = ?", key)
        return from_text(rows[0][0]) if rows else None

    def records(self) -> dict[str, Record]:
        return {key: from_text(text) for key, text in self._rows("select * from records")}

    def begin(self, key: str, record: Record, reasons: tuple[str, ...]) -> None:
        # Where nothing was complete before, losing this loses nothing: it is due either way.
        was_complete = record.outcome is not None
        with self._transaction(outlives_power_cut=was_complete) as connection:
            connection.execute("replace into records values (?, ?)", (key, to_text(record)))
            connection.execute(
                "replace into attempts values (?, ?, null, 'visiting', '', ?)",
                (key, record.since, msgspec.json.encode(reasons).decode()),
            )

    def finish(self, key: str, record: Record | None) -> None:
        with self._transaction() as connection:
            if record is None:
                connection.execute("delete from records where key = ?", (key,))
                connection.execute("delete from attempts where key = ?", (key,))
                return
            connection.execute("replace into records values (?, ?)", (key, to_text(record)))
            connection.execute(
                "update attempts set ended = ?, status = ?, error = ?"
                " where key = ? and status = 'visiting'",
                (time.time(), record.status, record.error, key),
            )

    def forget(self, key: str, *, resources: bool) -> None:
        with self._transaction() as connection:
            connection.execute("delete from records where key = ?", (key,))
            connection.execute("delete from attempts where key = ?", (key,))
            if resources:
                connection.execute("delete from resources where key = ?", (key,))
        if resources:
            shutil.rmtree(self._place.directory(key), ignore_errors=True)

    def attempts(self, key: str) -> tuple[Attempt, ...]:
        rows = self._rows(
            "select began, ended, status, error, reasons from attempts"
            " where key = ? order by began",
            key,
        )
        return tuple(
            Attempt(
                began=began,
                ended=ended,
                status=status,
                error=error,
                reasons=tuple(msgspec.json.decode(reasons)),
            )
            for began, ended, status, error, reasons in rows
        )

    def resources(self, key: str) -> MutableMapping[str, Any]:
        return Resources(self, key)

    def has_traces(self, key: str) -> bool:
        query = (
            "select 1 from records where key = ? union all select 1 from resources where key = ?"
        )
        return bool(self._rows(query, key, key))

    def directory(self, key: str) -> Path:
        make = self._place.directory if self._is_read_only else self._place.make_directory
        return make(key)

    def expect(self, keys: Iterable[str]) -> None:
        if self._is_read_only:
            return
        present = set(os.listdir(self._place.beside / "locks"))
        for path in map(self._lock_file, keys):
            if os.path.basename(path) not in present:
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))

    def _lock_file(self, key: str) -> str:
        return f"{self._place.beside}/locks/{short(key)}.lock"

    def lock(self, key: str, timeout: float) -> Any:
        lock = FileLock(self._lock_file(key), mode=0o600, thread_local=False)
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
        except OSError:  # a file that may not be opened: nobody here can tell
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

    def agreed(self, run: str, name: str, value: str) -> str:
        with self._transaction(outlives_power_cut=False) as connection:
            connection.execute("insert or ignore into results values (?, ?, ?)", (run, name, value))
        # No node id looks like a name that is agreed on: it would have a '::' in it.
        return str(self.result(run, name))

    def key(self) -> bytes:
        path = self._place.beside / "secret.key"
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

    def readings(self) -> MutableMapping[str, str]:
        return Readings(self)

    def close(self) -> None:
        with self._mutex:
            self._connection.close()


class Resources(Table):
    """The ids of things that one station created; values are JSON-like data."""

    def __init__(self, ledger: SqliteLedger, key: str) -> None:
        self._ledger = ledger
        self._key = key

    def _all(self) -> dict[str, Any]:
        rows = self._ledger._rows(
            "select id, value from resources where key = ? order by id", self._key
        )
        return {name: msgspec.json.decode(value) for name, value in rows}

    def __setitem__(self, name: str, value: Any) -> None:
        text = msgspec.json.encode(value).decode()
        with self._ledger._transaction() as connection:
            connection.execute("replace into resources values (?, ?, ?)", (self._key, name, text))

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        with self._ledger._transaction() as connection:
            connection.execute("delete from resources where key = ? and id = ?", (self._key, name))


class Readings(Table):
    """What was read of source files, by a key made of their content."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self._ledger = ledger

    def _all(self) -> dict[str, str]:
        return dict(self._ledger._rows("select key, reading from readings"))

    def __contains__(self, key: object) -> bool:
        return bool(self._ledger._rows("select 1 from readings where key = ?", key))

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
