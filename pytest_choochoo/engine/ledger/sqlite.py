"""The ledger in one SQLite file, with a folder of locks and station directories beside it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_choochoo.engine import clock
from pytest_choochoo.engine.errors import LostLedger
from pytest_choochoo.engine.ledger.access import (
    cause_of,
    is_folder,
    make_file,
    modes_in,
    naming,
)
from pytest_choochoo.engine.ledger.connecting import copied
from pytest_choochoo.engine.ledger.location import LedgerLocation, short
from pytest_choochoo.engine.ledger.os_locks import wait_for_lock
from pytest_choochoo.engine.ledger.places import PLACES, by_number, note
from pytest_choochoo.engine.ledger.protocol import (
    HeldLock,
    LockBusy,
    SnapshotMixin,
)
from pytest_choochoo.engine.ledger.record import (
    OUTPUT_LIMIT,
    AttemptRecord,
    Forgotten,
    PastRun,
    Record,
    from_text,
    spelt_out,
    to_text,
)
from pytest_choochoo.engine.ledger.schema import is_intact, with_checksum
from pytest_choochoo.engine.ledger.trust import make_directory, trust_in
from pytest_choochoo.engine.place import FIRST, Believed, Elsewhere, Place, Scope, number_of

if TYPE_CHECKING:
    from pytest_choochoo.engine.ledger.durable import DurableMapping
    from pytest_choochoo.engine.ledger.names import NewNames

# Seconds that the results of a run are kept.
_KEEP_RESULTS = 14 * 86400
# The number of past runs that are kept.
_KEEP_RUNS = 100
# Seconds of completed work that a power cut may take back.
_AT_STAKE = 1.0
_INTERRUPT = "update attempts set status = 'interrupted' where status = 'visiting' and "


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
        self._modes = modes_in(location.folder)
        self._file = None if is_read_only else _file_at(self._path)
        self.believed = Believed(location.place, self._place_number(), self._places)
        #: The moment at which this process began each visit that it has not finished.
        self._begun: dict[str, float] = {}

    def rows(self, query: str, *values: object) -> list[Any]:
        with self._mutex:
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise LostLedger(self._path, cause_of(error)) from None

    @contextmanager
    def transaction(self, *, outlives_power_cut: bool = True) -> Iterator[sqlite3.Connection]:
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
                # A write would be lost with the old file.
                if not self._is_read_only and _file_at(self._path) != self._file:
                    raise LostLedger(self._path, "it was removed, or replaced")
                yield self._connection
                self._connection.execute("commit")
                if outlives_power_cut:
                    self._synced = clock.monotonic()
            finally:
                # SQLite may have rolled back by itself, or not even begun.
                if self._connection.in_transaction:
                    self._connection.execute("rollback")

    def checkpoint(self) -> None:
        """Checkpoint the write-ahead log into the database file.

        A log that is lost takes the ledger back in time, but never to a moment at
        which a station was complete that no longer is.
        """
        with self._mutex, _naming(self._path):
            self._connection.execute("pragma wal_checkpoint(full)").fetchall()

    # --- places

    def _places(self) -> dict[int, Place]:
        return by_number(self.rows(PLACES))

    def _place_number(self) -> int:
        """Return the number of this place, which is noted; 0 if it has none and cannot be."""
        here = self._location.place
        if here is None:
            return FIRST
        known = self._places()
        found = number_of(here, known)
        if self._is_read_only or (found is not None and known[found] == here):
            return found or 0
        return note(self._connection, here)

    @cached_property
    def _has_other_places(self) -> bool:
        return not {self.believed.number}.issuperset(self._places())

    def declare_places(self, places: Mapping[str, Scope]) -> None:
        self.believed.declare(places)

    def elsewhere(self, key: str) -> Elsewhere | None:
        if not self._has_other_places:
            return None
        here = _in_one_of(self.believed.numbers(key))
        rows = self.rows(f"select * from records where key = ? and not {here}", key)
        places, found = self._places(), []
        for row in rows:
            record, place = verified(row), places.get(row[1])
            if place is not None and not record.is_forgotten:
                found.append(Elsewhere(place.path, place.host, record.visited or record.since))
        return max(found, key=lambda each: each.when, default=None)

    def of(self, key: str) -> str:
        """Return the SQL condition for all rows of a station that count here, but for its key."""
        return f"key = ? and {_in_one_of(self.believed.numbers(key))}"

    # --- records and attempts

    def _read_record(self, key: str) -> Record | None:
        rows = self.rows(f"select * from records where {self.of(key)}", key)
        return self._best(rows) if rows else None

    def _best(self, rows: Sequence[tuple[str, int, str, str]]) -> Record:
        """Return the record that counts of a station's *rows*: that of here, or the last one."""
        if len(rows) == 1:
            return verified(rows[0])
        own = [row for row in rows if row[1] == self.believed.number]
        return max(map(verified, own or rows), key=lambda record: record.since)

    def records(self, having: str = "") -> dict[str, Record]:
        query, values = "select * from records where instr(record, ?)", (having,)
        if self.believed.is_only_here:
            rows = self.rows(f"{query} and place = ?", *values, self.believed.number)
            return {row[0]: verified(row) for row in rows}
        by_key: dict[str, list[Any]] = {}
        for row in self.rows(query, *values):
            if row[1] in self.believed.numbers(row[0]):
                by_key.setdefault(row[0], []).append(row)
        return {key: self._best(rows) for key, rows in by_key.items()}

    def begin(self, key: str, record: Record, reasons: tuple[str, ...]) -> None:
        # This may be lost if nothing was complete before: the station is due either way.
        was_complete = record.outcome is not None
        with self.transaction(outlives_power_cut=was_complete) as connection:
            self._put_record(connection, key, record)
            # This process holds the lock, so an attempt that has not ended never will.
            connection.execute(f"{_INTERRUPT}{self.of(key)}", (key,))
            connection.execute(
                "replace into attempts values (?, ?, ?, null, 'visiting', '', ?)",
                (key, self.believed.number, record.since, to_text(reasons)),
            )
        self._begun[key] = clock.monotonic()
        if was_complete:
            self.checkpoint()

    def finish(self, key: str, record: Record, shared: tuple[str, str] | None = None) -> None:
        now = clock.monotonic()
        is_at_stake = now - min(self._begun.get(key, now), self._synced) >= _AT_STAKE
        with self.transaction(outlives_power_cut=is_at_stake) as connection:
            self._put_record(connection, key, record)
            if record.is_complete and key not in self._begun:  # by its checks, not by a visit
                connection.execute(f"{_INTERRUPT}{self.of(key)}", (key,))
            connection.execute(
                "update attempts set ended = ?, status = ?, error = ?"
                f" where {self.of(key)} and status = 'visiting'",
                (time.time(), record.status, spelt_out(record.error), key),
            )
            if shared is not None:
                run, result = shared
                _put_result(connection, run, key, result)
        self._begun.pop(key, None)

    def keep_output(self, key: str, output: str) -> None:
        with self.transaction(outlives_power_cut=False) as connection:
            connection.execute(
                "replace into outputs select key, place, began, ? from attempts"
                f" where {self.of(key)} order by began desc limit 1",
                (spelt_out(output[-OUTPUT_LIMIT:]), key),
            )

    def output(self, key: str) -> str:
        last = f"(select max(began) from attempts where {self.of(key)})"
        query = f"select output from outputs where {self.of(key)} and began = {last}"
        rows = self.rows(query, key, key)
        return str(rows[0][0]) if rows else ""

    def cancel(self, key: str, before: Record | None) -> None:
        with self.transaction() as connection:
            if before is None:
                connection.execute(f"delete from records where {self.of(key)}", (key,))
            else:
                self._put_record(connection, key, before)
            connection.execute(
                f"delete from attempts where {self.of(key)} and status = 'visiting'", (key,)
            )
        self._begun.pop(key, None)

    def forget(self, key: str, status: Forgotten) -> None:
        is_cleaned = status == "cleaned"
        directories = self._directories(key) if is_cleaned else []
        with self.transaction() as connection:
            record = self._read_record(key)
            if record is not None or is_cleaned:
                before = record or Record(status=status, since=0.0)
                self._put_record(connection, key, before.forgotten(status))
            connection.execute(f"{_INTERRUPT}{self.of(key)}", (key,))
            if is_cleaned:
                for table in ("attempts", "resources", "outputs", "directories"):
                    connection.execute(f"delete from {table} where {self.of(key)}", (key,))
        self.checkpoint()
        for path in directories:
            shutil.rmtree(path, ignore_errors=True)

    def remembered(self) -> list[tuple[str, int, Record]]:
        """Return the records of all places that were not forgotten, with their keys and places."""
        found = [(row[0], row[1], verified(row)) for row in self.rows("select * from records")]
        return [each for each in found if not each[2].is_forgotten]

    def forget_all(self) -> None:
        """Forget that stations are complete: each record stays where it was made, for cleans.

        No station is being visited.
        """
        with self.transaction() as connection:
            for key, place, record in self.remembered():
                row = with_checksum(key, place, to_text(record.forgotten("forgotten")))
                connection.execute("replace into records values (?, ?, ?, ?)", row)
            connection.execute(f"{_INTERRUPT}1")
        self.checkpoint()

    def _put_record(self, connection: sqlite3.Connection, key: str, record: Record) -> None:
        if len(self.believed.numbers(key)) > 1:
            others = f"{self.of(key)} and place <> ?"
            connection.execute(f"delete from records where {others}", (key, self.believed.number))
        row = with_checksum(key, self.believed.number, to_text(record))
        connection.execute("replace into records values (?, ?, ?, ?)", row)

    def attempts(self, key: str) -> tuple[AttemptRecord, ...]:
        rows = self.rows(
            "select began, ended, status, error, reasons from attempts"
            f" where {self.of(key)} order by began",
            key,
        )
        return tuple(_attempt(*row) for row in rows)

    def resources(self, key: str) -> DurableMapping:
        from pytest_choochoo.engine.ledger.sqlite_resources import SqliteResources  # for visits

        return SqliteResources(self, key)

    def has_traces(self, key: str) -> bool:
        record = self._read_record(key)
        if record is not None and record.status != "cleaned":
            return True
        query = f"select 1 from resources where {self.of(key)}"
        return bool(self.rows(query, key)) or bool(self._directories(key))

    def directory(self, key: str) -> Path:
        own = self._location.directory(self.directory_key(key), self.believed.number)
        path = next(iter(self._directories(key)), own)
        if not self._is_read_only:
            with _naming(path):
                make_directory(self._location, path)
        return path

    def _directories(self, key: str) -> list[Path]:
        """Return the directories of *key* that exist and count here, that of here first."""
        numbers = self.believed.numbers(key)
        paths = (self._location.directory(self.home(key, each), each) for each in numbers)
        return [path for path in paths if is_folder(path)]

    def directory_key(self, key: str) -> str:
        here = self.believed.number
        home = self.home(key, here)
        if home != key and not self._is_read_only:  # it must not change when others are renamed
            with self.transaction() as connection:
                connection.execute(
                    "insert or ignore into directories values (?, ?, ?)", (key, here, home)
                )
        return home

    def home(self, key: str, place: int) -> str:
        """Return the key after which the directory of *key* at *place* is called."""
        rows = self.rows("select home from directories where key = ? and place = ?", key, place)
        if rows:
            return str(rows[0][0])
        taken = "select 1 from directories where home = ? and place = ?"
        while self.rows(taken, key, place):  # by a station that was called so before
            key += "'"
        return key

    def move(
        self, moves: Mapping[str, str], names: Mapping[str, NewNames], lasts: bool = True
    ) -> tuple[str, ...]:
        from pytest_choochoo.engine.ledger.sqlite_moving import move  # few runs rename anything

        if not lasts:
            before, self._is_read_only = self._connection, True
            self._connection = copied(before)
            before.close()
        return move(self, moves, names)

    def prepare_locks(self, keys: Iterable[str]) -> None:
        if self._is_read_only:
            return
        locks = self._location.data_dir / "locks"
        with _naming(locks):
            present = set(os.listdir(locks))
            for path in map(self._lock_file, keys):
                if os.path.basename(path) not in present:
                    make_file(path, self._modes)

    def _lock_file(self, key: str) -> str:
        place = self.believed.number_of_lock(key)
        return f"{self._location.data_dir}/locks/{short(key, place)}.lock"

    def lock(self, key: str, timeout: float) -> HeldLock:
        path = self._lock_file(key)
        with _naming(path):
            return wait_for_lock(path, timeout, self._modes)

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
        with self.transaction(outlives_power_cut=False) as connection:
            connection.execute("insert or ignore into runs values (?, ?)", (run, time.time()))
            old = "(select run from runs where began < ?)"
            for table in ("results", "runs"):
                connection.execute(
                    f"delete from {table} where run in {old}", (time.time() - _KEEP_RESULTS,)
                )

    def write_result(self, run: str, key: str, result: str) -> None:
        with self.transaction(outlives_power_cut=False) as connection:
            _put_result(connection, run, key, result)

    def result(self, run: str, key: str) -> str | None:
        rows = self.rows("select result from results where run = ? and key = ?", run, key)
        return rows[0][0] if rows else None

    def put_if_absent(self, run: str, name: str, value: str) -> str:
        with self.transaction(outlives_power_cut=False) as connection:
            connection.execute("insert or ignore into results values (?, ?, ?)", (run, name, value))
        # A name never equals a node id, which has a '::' in it.
        return str(self.result(run, name))

    def add_run(self, run: PastRun) -> None:
        with self.transaction(outlives_power_cut=False) as connection:
            row = run.began, self.believed.number, to_text(run)
            connection.execute("insert or replace into history values (?, ?, ?)", row)
            kept = f"(select began from history order by began desc limit {_KEEP_RUNS})"
            connection.execute(f"delete from history where began not in {kept}")

    def history(self) -> tuple[PastRun, ...]:
        rows = self.rows("select run from history order by began desc")
        found = []
        for (text,) in rows:
            with suppress(msgspec.MsgspecError):  # a damaged row is of no account
                found.append(msgspec.json.decode(text, type=PastRun))
        return tuple(found)

    def secret_key(self) -> bytes:
        # Few runs have secrets, env, files or products.
        from pytest_choochoo.engine.ledger.key_file import make_key, read_key

        path, trust = self._location.data_dir / "secret.key", trust_in(self._location)
        with naming(path):
            found = read_key(path, trust)  # without a lock, as it is made whole or not at all
        if found or self._is_read_only:
            return found
        with self.lock(path.name, -1), naming(path):
            return read_key(path, trust) or make_key(path, self._modes)

    def source_cache(self) -> MutableMapping[str, str]:
        return _SourceCache(self)

    def close(self) -> None:
        with self._mutex:
            self._connection.close()


@cache
def _in_one_of(places: tuple[int, ...]) -> str:
    """Return the SQL condition for the rows of *places*."""
    return f"place in ({', '.join(map(str, places))})"


def _naming(path: object) -> AbstractContextManager[None]:
    return naming(path, NotImplementedError, sqlite3.Error)


def _file_at(path: str) -> tuple[int, int] | None:
    """Return what identifies the file at *path*, or None where there is none."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _put_result(connection: sqlite3.Connection, run: str, key: str, result: str) -> None:
    connection.execute("replace into results values (?, ?, ?)", (run, key, result))


def verified(row: tuple[str, int, str, str]) -> Record:
    """Return the record of *row*, an unreadable one if the row is damaged."""
    if not is_intact(row):
        return Record(status="unreadable", since=0.0, error="checksum mismatch")
    return from_text(row[2])


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


class _SourceCache(MutableMapping[str, str]):
    """The cache of parsed source files, by a key made of their content."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self._ledger = ledger

    def __iter__(self) -> Iterator[str]:
        return (row[0] for row in self._ledger.rows("select key from readings"))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, key: str) -> str:
        rows = self._ledger.rows("select reading from readings where key = ?", key)
        if not rows:
            raise KeyError(key)
        return str(rows[0][0])

    def __setitem__(self, key: str, source: str) -> None:
        with self._ledger.transaction(outlives_power_cut=False) as connection:
            connection.execute("replace into readings values (?, ?)", (key, source))

    def __delitem__(self, key: str) -> None:
        with self._ledger.transaction() as connection:
            connection.execute("delete from readings where key = ?", (key,))
