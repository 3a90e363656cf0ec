"""Ledgers opened, read with suspicion: what cannot be read is set aside, never overwritten."""

from __future__ import annotations

import os
import sqlite3
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from filelock import FileLock

from pytest_choochoo.railway.errors import UnusableLedger
from pytest_choochoo.railway.place import Place
from pytest_choochoo.railway.sqlite import SqliteLedger

FORMAT = 1
_SCHEMA = """
create table records (key text primary key, record text not null) without rowid;
create table attempts (
    key text not null, began real not null, ended real,
    status text not null, error text not null, reasons text not null,
    primary key (key, began)
) without rowid;
create table resources (
    key text not null, id text not null, value text not null, primary key (key, id)
) without rowid;
create table results (
    run text not null, key text not null, result text not null, primary key (run, key)
) without rowid;
create table runs (run text primary key, began real not null) without rowid;
create table readings (key text primary key, reading text not null) without rowid;
"""


def open_ledger(place: Place, *, warn: Callable[[str], object] = warnings.warn) -> SqliteLedger:
    """Return the ledger at *place*, made when it is not there.

    One that cannot be read is set aside under another name, and *warn* is
    called with a sentence that says so. Raises `UnusableLedger`.
    """
    try:
        for folder in (place.folder, place.beside, place.beside / "locks"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Under a lock: a file of length zero may be one that is just being made.
        with FileLock(place.beside / "locks" / "ledger.lock", mode=0o600):
            os.close(os.open(place.file, os.O_CREAT | os.O_RDWR, 0o600))
            problem = _problem(place.file)
            if problem is not None:
                warn(_set_aside(place.file, problem))
                os.close(os.open(place.file, os.O_CREAT | os.O_RDWR, 0o600))
            return SqliteLedger(place, _prepared(_connect(str(place.file))))
    except (OSError, sqlite3.Error, NotImplementedError) as error:
        raise UnusableLedger(str(place.file), _in_words(error)) from error


def read_ledger(place: Place | None) -> SqliteLedger:
    """Return the ledger at *place* for reading only: nothing is written, not even a journal.

    Where there is none, or none that can be read, an empty one is returned.
    """
    if place is None:
        place = Place(Path(), "none")
    if not place.file.exists() or place.file.stat().st_size == 0 or _problem(place.file):
        return SqliteLedger(place, _prepared(_connect(":memory:")), is_read_only=True)
    return SqliteLedger(place, _connect_to_read(place.file), is_read_only=True)


def forget_complete(place: Place) -> None:
    """Forget all records at *place*, but for visits under way; resources and locks stay."""
    with closing(read_ledger(place)) as ledger:
        keys = [key for key, record in ledger.records().items() if record.status != "visiting"]
    if not keys:
        return
    with closing(open_ledger(place, warn=lambda text: None)) as writable:
        for key in keys:
            writable.forget(key, resources=not writable.resources(key))


def _in_words(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def _connect(target: str) -> sqlite3.Connection:
    # A visit may write resources from a thread of its own; `SqliteLedger` serialises.
    return sqlite3.connect(
        target, timeout=60, isolation_level=None, check_same_thread=False, uri=target[:5] == "file:"
    )


def _connect_to_read(file: Path) -> sqlite3.Connection:
    # In WAL mode even a reader makes files, unless it is told that nobody writes;
    # and somebody who writes has a journal there.
    is_written = Path(f"{file}-wal").exists()
    return _connect(f"{file.absolute().as_uri()}?{'mode=ro' if is_written else 'immutable=1'}")


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    try:
        connection.execute("pragma journal_mode = wal")
        # Full: what was said to be complete is so even after a power cut.
        connection.execute("pragma synchronous = full")
        if connection.execute("pragma user_version").fetchone()[0] == 0:
            connection.executescript(f"begin; {_SCHEMA} pragma user_version = {FORMAT}; commit;")
    except BaseException:
        connection.close()
        raise
    return connection


def _problem(file: Path) -> str | None:
    """Return why *file* is no ledger that this version can use, or None."""
    if file.stat().st_size == 0:
        return None
    connection = _connect_to_read(file)
    try:
        found = connection.execute("pragma user_version").fetchone()[0]
        if found > FORMAT:
            return f"it has format {found}, and this version reads {FORMAT}"
        if connection.execute("pragma quick_check(1)").fetchone()[0] != "ok":
            return "it is damaged"
        for table in ("records", "attempts", "resources", "results", "readings"):
            connection.execute(f"select * from {table} limit 1").fetchall()
    except sqlite3.OperationalError as error:
        return f"it is damaged ({error})" if found_no_table(error) else None
    except sqlite3.DatabaseError as error:
        return f"it is damaged ({error})"
    finally:
        connection.close()
    return None


def found_no_table(error: sqlite3.OperationalError) -> bool:
    return "no such" in str(error) or "malformed" in str(error)


def _set_aside(file: Path, problem: str) -> str:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = file.with_name(f"{file.stem}-set-aside-{stamp}-{os.getpid()}.sqlite")
    file.replace(aside)
    for suffix in ("-wal", "-shm"):
        journal = Path(f"{file}{suffix}")
        if journal.exists():
            journal.replace(f"{aside}{suffix}")
    return (
        f"the ledger {file} could not be read: {problem}; "
        f"it was set aside as {aside.name}, and every station is judged anew"
    )
