"""Ledgers opened, read with suspicion: what cannot be read is set aside, never overwritten."""

from __future__ import annotations

import os
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from filelock import FileLock

from pytest_choochoo.engine.errors import UnusableLedger
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.schema import (
    bring_up_to_date,
    checksum,
    is_up_to_date,
    problem_with,
)
from pytest_choochoo.engine.ledger.sqlite import SqliteLedger, in_words

_JOURNALS = ("-wal", "-shm")
# Called with a sentence for the user.
Warn = Callable[[str], object]


def open_ledger(location: LedgerLocation, *, warn: Warn = warnings.warn) -> SqliteLedger:
    """Return the ledger at *location*, made when it is not there.

    One that cannot be read is set aside under another name, and *warn* is
    called with a sentence that says so. Raises `UnusableLedger`.
    """
    locks = location.data_dir / "locks"
    try:
        location.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (location.data_dir, locks):
            _make_way(folder, warn, is_folder=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        _make_way(locks / "ledger.lock", warn)
        # Under a lock: a file of length zero may be one that is just being made.
        with FileLock(locks / "ledger.lock", mode=0o600):
            _make_ways(location, warn)
            connection = _opened(location, warn)
            for name in _altered(connection):
                warn(
                    f"the ledger {location.file} is damaged: resource {name}; it is left out, "
                    "so see by hand to the thing that it stands for"
                )
            return SqliteLedger(location, connection)
    except (OSError, sqlite3.Error, NotImplementedError) as error:
        raise UnusableLedger(str(location.file), in_words(error)) from error


def read_ledger(location: LedgerLocation | None, *, warn: Warn = lambda text: None) -> SqliteLedger:
    """Return the ledger at *location* for reading only: nothing is written, not even a journal.

    Where there is none, or none that can be read, an empty one is returned; in
    the second case *warn* is called with a sentence that says so.
    """
    if location is None:
        location = LedgerLocation(Path(), "none")
    connection, problem = None, None
    try:
        if location.file.exists() and not _is_new(location):
            problem = _problem(location)
            connection = None if problem else _connected_to_read(location.file)
    except (OSError, sqlite3.Error) as error:
        problem = in_words(error)
    if problem is not None:
        warn(
            f"the ledger {location.file} could not be read: {problem}; "
            "it is taken for empty here, and 'pytest --cc-run' says what becomes of it"
        )
    return SqliteLedger(location, connection or _prepared(":memory:"), is_read_only=True)


def forget_complete(location: LedgerLocation, *, warn: Warn) -> None:
    """Forget all records at *location*, but for visits under way; what is needed to clean stays.

    That is resources, directories and locks.
    """
    with closing(read_ledger(location)) as ledger:
        keys = [key for key, record in ledger.records().items() if not record.is_visiting]
    if not keys:
        return
    with closing(open_ledger(location, warn=warn)) as writable:
        for key in keys:
            writable.forget(key, resources=False)


def _connect(target: str) -> sqlite3.Connection:
    # A visit may write resources from a thread of its own; `SqliteLedger` serialises.
    connection = sqlite3.connect(
        target, timeout=60, isolation_level=None, check_same_thread=False, uri=target[:5] == "file:"
    )
    # What is no text any more must not keep us from the rest; its checksum will tell.
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    return connection


def _is_written(file: Path) -> bool:
    """Say whether somebody may be writing to the ledger in *file*: then it has a journal."""
    return Path(f"{file}-wal").exists()


def _connect_to_read(file: Path, *, is_written: bool) -> sqlite3.Connection:
    # In WAL mode even a reader makes files, unless it is told that nobody writes.
    return _connect(f"{file.absolute().as_uri()}?{'mode=ro' if is_written else 'immutable=1'}")


def _connected_to_read(file: Path) -> sqlite3.Connection:
    """Return a connection to the ledger in *file*, or to a copy of it in memory.

    To a copy where nobody writes as yet, since somebody may begin to; and where it
    has to be brought up to date.
    """
    is_written = _is_written(file)
    connection = _connect_to_read(file, is_written=is_written)
    if is_written and is_up_to_date(connection):
        return connection
    copy = _connect(":memory:")
    with closing(connection):
        connection.backup(copy)
    bring_up_to_date(copy)
    return copy


def _prepared(target: str) -> sqlite3.Connection:
    connection = _connect(target)
    try:
        connection.execute("pragma journal_mode = wal")
        # Full: what was said to be complete is so even after a power cut.
        connection.execute("pragma synchronous = full")
        bring_up_to_date(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _opened(location: LedgerLocation, warn: Warn) -> sqlite3.Connection:
    """Return a connection to the ledger at *location*, which is set aside if it has to be."""
    was_there = location.file.exists()
    os.close(os.open(location.file, os.O_CREAT | os.O_RDWR, 0o600))
    problem = _problem(location) if was_there else None
    if problem is None:
        return _prepared(str(location.file))
    aside = _set_aside(location.file)
    os.close(os.open(location.file, os.O_CREAT | os.O_RDWR, 0o600))
    connection = _prepared(str(location.file))
    kept = _take_over_resources(aside, connection)
    also = f"; ids of resources that were saved from it: {kept}" if kept else ""
    warn(
        f"the ledger {location.file} could not be read: {problem}; "
        f"it was set aside as {aside.name}, and every station is judged anew{also}"
    )
    return connection


def _is_new(location: LedgerLocation) -> bool:
    """Say whether the ledger is empty, as one is that nothing was ever written to."""
    locks = location.data_dir / "locks"
    if not location.file.is_file() or location.file.stat().st_size:
        return False
    return not locks.is_dir() or os.listdir(locks) in ([], ["ledger.lock"])


def _problem(location: LedgerLocation) -> str | None:
    """Return why there is no ledger at *location* that this version can use, or None.

    Raises `sqlite3.OperationalError` where it cannot be opened.
    """
    if location.file.stat().st_size == 0:
        return None if _is_new(location) else "it is empty, and stations were visited"
    connection = _connect_to_read(location.file, is_written=_is_written(location.file))
    with closing(connection):
        return problem_with(connection)


# --- what is in the way


def _make_ways(location: LedgerLocation, warn: Warn) -> None:
    """Set aside what is no file, or no folder, where one should be."""
    _make_way(location.file, warn)
    for suffix in _JOURNALS:
        _make_way(Path(f"{location.file}{suffix}"), warn)
    stations = location.data_dir / "stations"
    _make_way(stations, warn, is_folder=True)
    with os.scandir(location.data_dir / "locks") as locks:
        for lock in [Path(lock) for lock in locks if lock.is_dir()]:
            _make_way(lock, warn)
    if stations.is_dir():
        with os.scandir(stations) as folders:
            for folder in [Path(folder) for folder in folders if not folder.is_dir()]:
                if "-set-aside-" not in folder.name:
                    _make_way(folder, warn, is_folder=True)


def _make_way(path: Path, warn: Warn, *, is_folder: bool = False) -> None:
    is_right = path.is_dir() if is_folder else path.is_file()
    if is_right or not path.exists() or "-set-aside-" in path.name:
        return
    aside = _aside(path)
    path.replace(aside)
    wanted = "folder" if is_folder else "file"
    warn(f"{path} is no {wanted}, as it should be; it was set aside as {aside.name}")


def _aside(path: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return path.with_name(f"{path.stem}-set-aside-{stamp}-{os.getpid()}{path.suffix}")


def _set_aside(file: Path) -> Path:
    aside = _aside(file)
    # The journals first: whatever dies in between, they never meet a ledger that is not theirs.
    for suffix in _JOURNALS:
        journal = Path(f"{file}{suffix}")
        if journal.exists():
            journal.replace(f"{aside}{suffix}")
    file.replace(aside)
    return aside


def _take_over_resources(aside: Path, connection: sqlite3.Connection) -> int:
    """Write into *connection* the resources that can still be read in *aside*; return how many."""
    damaged = _connect_to_read(aside, is_written=_is_written(aside))
    try:
        rows = list(_unaltered(damaged))
    except sqlite3.Error:
        return 0  # they stay in the file, which was set aside for that
    finally:
        damaged.close()
    connection.executemany("insert into resources values (?, ?, ?, ?)", rows)
    return len(rows)


def _resources(connection: sqlite3.Connection) -> Iterator[tuple[str, str, str, str]]:
    yield from connection.execute("select key, id, value, seal from resources")


def _unaltered(connection: sqlite3.Connection) -> Iterator[tuple[str, str, str, str]]:
    for row in _resources(connection):
        if checksum(*row[:3]) == row[3]:
            yield row


def _altered(connection: sqlite3.Connection) -> Iterator[str]:
    for row in _resources(connection):
        if checksum(*row[:3]) != row[3]:
            yield f"{row[1]!r} of {row[0]}"
