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

from pytest_choochoo.railway.errors import UnusableLedger
from pytest_choochoo.railway.formats import bring_up_to_date, is_up_to_date, problem_with, seal
from pytest_choochoo.railway.place import Place
from pytest_choochoo.railway.sqlite import SqliteLedger, in_words

_JOURNALS = ("-wal", "-shm")
# Called with a sentence for the user.
Warn = Callable[[str], object]


def open_ledger(place: Place, *, warn: Warn = warnings.warn) -> SqliteLedger:
    """Return the ledger at *place*, made when it is not there.

    One that cannot be read is set aside under another name, and *warn* is
    called with a sentence that says so. Raises `UnusableLedger`.
    """
    locks = place.beside / "locks"
    try:
        place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (place.beside, locks):
            _make_way(folder, warn, is_folder=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        _make_way(locks / "ledger.lock", warn)
        # Under a lock: a file of length zero may be one that is just being made.
        with FileLock(locks / "ledger.lock", mode=0o600):
            _make_ways(place, warn)
            connection = _opened(place, warn)
            for name in _altered(connection):
                warn(
                    f"the ledger {place.file} is damaged: resource {name}; it is left out, "
                    "so see by hand to the thing that it stands for"
                )
            return SqliteLedger(place, connection)
    except (OSError, sqlite3.Error, NotImplementedError) as error:
        raise UnusableLedger(str(place.file), in_words(error)) from error


def read_ledger(place: Place | None, *, warn: Warn = lambda text: None) -> SqliteLedger:
    """Return the ledger at *place* for reading only: nothing is written, not even a journal.

    Where there is none, or none that can be read, an empty one is returned; in
    the second case *warn* is called with a sentence that says so.
    """
    if place is None:
        place = Place(Path(), "none")
    connection, problem = None, None
    try:
        if place.file.exists() and not _is_new(place):
            problem = _problem(place)
            connection = None if problem else _connected_to_read(place.file)
    except (OSError, sqlite3.Error) as error:
        problem = in_words(error)
    if problem is not None:
        warn(
            f"the ledger {place.file} could not be read: {problem}; "
            "it is taken for empty here, and 'pytest --cc-run' says what becomes of it"
        )
    return SqliteLedger(place, connection or _prepared(":memory:"), is_read_only=True)


def forget_complete(place: Place, *, warn: Warn) -> None:
    """Forget all records at *place*, but for visits under way; what is needed to clean stays.

    That is resources, directories and locks.
    """
    with closing(read_ledger(place)) as ledger:
        keys = [key for key, record in ledger.records().items() if not record.is_visiting]
    if not keys:
        return
    with closing(open_ledger(place, warn=warn)) as writable:
        for key in keys:
            writable.forget(key, resources=False)


def _connect(target: str) -> sqlite3.Connection:
    # A visit may write resources from a thread of its own; `SqliteLedger` serialises.
    connection = sqlite3.connect(
        target, timeout=60, isolation_level=None, check_same_thread=False, uri=target[:5] == "file:"
    )
    # What is no text any more must not keep us from the rest; its seal will tell.
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


def _opened(place: Place, warn: Warn) -> sqlite3.Connection:
    """Return a connection to the ledger at *place*, which is set aside if it has to be."""
    was_there = place.file.exists()
    os.close(os.open(place.file, os.O_CREAT | os.O_RDWR, 0o600))
    problem = _problem(place) if was_there else None
    if problem is None:
        return _prepared(str(place.file))
    aside = _set_aside(place.file)
    os.close(os.open(place.file, os.O_CREAT | os.O_RDWR, 0o600))
    connection = _prepared(str(place.file))
    kept = _take_over_resources(aside, connection)
    also = f"; ids of resources that were saved from it: {kept}" if kept else ""
    warn(
        f"the ledger {place.file} could not be read: {problem}; "
        f"it was set aside as {aside.name}, and every station is judged anew{also}"
    )
    return connection


def _is_new(place: Place) -> bool:
    """Say whether the ledger is empty, as one is that nothing was ever written to."""
    locks = place.beside / "locks"
    if not place.file.is_file() or place.file.stat().st_size:
        return False
    return not locks.is_dir() or os.listdir(locks) in ([], ["ledger.lock"])


def _problem(place: Place) -> str | None:
    """Return why there is no ledger at *place* that this version can use, or None.

    Raises `sqlite3.OperationalError` where it cannot be opened.
    """
    if place.file.stat().st_size == 0:
        return None if _is_new(place) else "it is empty, and stations were visited"
    connection = _connect_to_read(place.file, is_written=_is_written(place.file))
    with closing(connection):
        return problem_with(connection)


# --- what is in the way


def _make_ways(place: Place, warn: Warn) -> None:
    """Set aside what is no file, or no folder, where one should be."""
    _make_way(place.file, warn)
    for suffix in _JOURNALS:
        _make_way(Path(f"{place.file}{suffix}"), warn)
    stations = place.beside / "stations"
    _make_way(stations, warn, is_folder=True)
    with os.scandir(place.beside / "locks") as locks:
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
        if seal(*row[:3]) == row[3]:
            yield row


def _altered(connection: sqlite3.Connection) -> Iterator[str]:
    for row in _resources(connection):
        if seal(*row[:3]) != row[3]:
            yield f"{row[1]!r} of {row[0]}"
