"""Opens SQLite ledgers; an unreadable one is moved aside, never overwritten."""

from __future__ import annotations

import os
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from pytest_choochoo.engine.errors import ProfileBusy, UnusableLedger
from pytest_choochoo.engine.ledger.access import (
    cause_of,
    is_file,
    is_folder,
    make_file,
    make_folder,
    make_parents,
    modes_in,
    open_file,
)
from pytest_choochoo.engine.ledger.connecting import connect, copied
from pytest_choochoo.engine.ledger.location import (
    LedgerLocation,
    is_directory_name,
    is_lock_name,
)
from pytest_choochoo.engine.ledger.os_locks import require_locks
from pytest_choochoo.engine.ledger.profile_lock import hold_profile
from pytest_choochoo.engine.ledger.schema import (
    bring_up_to_date,
    is_intact,
    is_up_to_date,
    problem_with,
)
from pytest_choochoo.engine.ledger.sqlite import SqliteLedger
from pytest_choochoo.engine.ledger.trust import forbidden, foreign
from pytest_choochoo.engine.place import FIRST

# The types of a row of the places.
_PLACE = (int, str, str, str, str, float)
# The types of a row of the directories.
_HOME = (str, int, str)
_JOURNALS = ("-wal", "-shm")
_ASIDE = "-set-aside-"
# A function that is called with a sentence for the user.
Warn = Callable[[str], object]


def open_ledger(location: LedgerLocation, *, warn: Warn = warnings.warn) -> SqliteLedger:
    """Return the ledger at *location*, created if it does not exist.

    One that cannot be read is moved aside, and *warn* is called with a sentence
    that says so. Raises `UnusableLedger`.
    """
    try:
        # A sound ledger needs no lock to be opened: most runs then take none at all.
        connection = _open_if_sound(location) or _open_under_lock(location, warn)
        for name in _damaged_resources(connection):
            warn(
                f"the ledger {location.file} is damaged: ignoring resource {name} "
                "(checksum mismatch); check by hand what it refers to"
            )
        return SqliteLedger(location, connection)
    except (OSError, sqlite3.Error, NotImplementedError) as error:
        _raise_if_forbidden(location, writes=True)
        raise UnusableLedger(str(location.file), cause_of(error)) from error


def read_ledger(location: LedgerLocation, *, warn: Warn = lambda text: None) -> SqliteLedger:
    """Return the ledger at *location*, read-only: nothing is written, not even a journal.

    If there is none, or it cannot be read, an empty one is returned; in the second case
    *warn* is called with a sentence that says so.
    """
    connection, problem = None, None
    try:
        _raise_if_forbidden(location, writes=False)
        _raise_if_foreign(location)
        if _is_wrong_kind(location.file):
            problem = "it is not a file"
        elif is_file(location.file) and not _is_new(location):
            problem = _problem(location)
            connection = None if problem else _connect_to_file_or_copy(location.file)
    except (OSError, sqlite3.Error) as error:
        problem = cause_of(error)
    if problem is not None:
        warn(
            f"the ledger {location.file} could not be read: {problem}; "
            "treating it as empty; 'pytest --cc-run' will deal with it"
        )
    if connection is None:
        return empty_ledger(location)
    return SqliteLedger(location, connection, is_read_only=True)


def _raise_if_forbidden(location: LedgerLocation, *, writes: bool) -> None:
    error = forbidden(location, writes=writes)
    if error is not None:
        raise error


def _raise_if_foreign(location: LedgerLocation) -> None:
    error = foreign(location)
    if error is not None:
        raise error


def empty_ledger(location: LedgerLocation | None = None) -> SqliteLedger:
    """Return a ledger without a record, read-only; *location*: of one that cannot be read."""
    location = location or LedgerLocation(Path(), "none")
    return SqliteLedger(location, _connect_to_write(":memory:"), is_read_only=True)


def forget_complete(location: LedgerLocation, *, warn: Warn) -> None:
    """Forget that the stations at *location* are complete, wherever they were made.

    All that cleans need stays known. Where another command holds the profile, its stations are
    left as they are, and *warn* is called with a sentence that says so.
    """
    with closing(read_ledger(location)) as ledger:
        if not ledger.remembered():
            return
    try:
        with (
            closing(open_ledger(location, warn=warn)) as writable,
            hold_profile(location, "--cache-clear", is_shared=False, timeout=0, notify=warn),
        ):
            writable.forget_all()
    except ProfileBusy as error:
        warn(
            f"--cache-clear forgets no station of profile {location.profile!r}: "
            f"{error.holders}, is under way"
        )


# --- connections


def _connect_to_write(target: str) -> sqlite3.Connection:
    connection = connect(target)
    try:
        _prepare(connection)
        bring_up_to_date(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("pragma journal_mode = wal")
    # Full: what was reported as complete survives even a power cut.
    connection.execute("pragma synchronous = full")
    # Deleted content leaves the file as well, however SQLite was built.
    connection.execute("pragma secure_delete = on")


def _connect_to_read(file: Path, *, has_journal: bool) -> sqlite3.Connection:
    # In WAL mode even a reader creates files, unless it declares that no process writes.
    return connect(f"{file.absolute().as_uri()}?{'mode=ro' if has_journal else 'immutable=1'}")


def _connect_to_file_or_copy(file: Path) -> sqlite3.Connection:
    """Return a connection to the ledger in *file*, or to a copy of it in memory.

    The copy serves if no process writes yet, since one may begin to, and if the tables
    have to be brought up to date.
    """
    has_journal = _has_journal(file)
    connection = _connect_to_read(file, has_journal=has_journal)
    if has_journal and is_up_to_date(connection):
        return connection
    with closing(connection):
        copy = copied(connection)
    bring_up_to_date(copy)
    return copy


def _has_journal(file: Path) -> bool:
    """Return whether a process may be writing to the ledger in *file*."""
    return Path(f"{file}-wal").exists()


def _open_if_sound(location: LedgerLocation) -> sqlite3.Connection | None:
    """Return a connection to the ledger at *location* if nothing there needs to be changed."""
    try:
        if not is_file(location.file) or not location.file.stat().st_size:
            return None
        if any(map(_is_wrong_kind, (location.data_dir, location.data_dir / "locks"), (True, True))):
            return None
        if foreign(location) or any(_wrong_kinds(location)) or _problem(location) is not None:
            return None
        os.close(open_file(location.file, os.O_RDWR))  # both must be there, and writable
        require_locks(location.data_dir / "locks" / "ledger.lock")
        return _connect_if_up_to_date(location.file)
    except (OSError, sqlite3.Error):
        return None  # opening it under the lock fails as well, and says why


def _connect_if_up_to_date(file: Path) -> sqlite3.Connection | None:
    # SQLite must create no file where another process has just moved it aside.
    connection = connect(f"{file.absolute().as_uri()}?mode=rw")
    try:
        if is_up_to_date(connection):
            _prepare(connection)
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def _open_under_lock(location: LedgerLocation, warn: Warn) -> sqlite3.Connection:
    """Return a connection to the ledger at *location*, made, upgraded or replaced as needed."""
    locks = location.data_dir / "locks"
    make_parents(location.folder)
    _raise_if_forbidden(location, writes=True)
    _raise_if_foreign(location)
    modes = modes_in(location.folder)
    for folder in (location.data_dir, locks):
        _set_aside_if_wrong_kind(folder, warn, is_folder=True)
        make_folder(folder, modes)
    _set_aside_if_wrong_kind(locks / "ledger.lock", warn)
    make_file(locks / "ledger.lock", modes)
    require_locks(locks / "ledger.lock")
    from filelock import FileLock  # few runs make a ledger or change its format

    # Under a lock, since another process may just be making an empty file into a ledger.
    with FileLock(locks / "ledger.lock", mode=modes.file, thread_local=False):
        for path, is_folder in [*_wrong_kinds(location)]:
            _set_aside_if_wrong_kind(path, warn, is_folder=is_folder)
        return _open_or_replace(location, warn)


# --- what is wrong with a ledger


def _is_new(location: LedgerLocation) -> bool:
    """Return whether the ledger is empty because nothing was ever written to it."""
    locks = location.data_dir / "locks"
    if not is_file(location.file) or location.file.stat().st_size:
        return False
    return not is_folder(locks) or {*os.listdir(locks)} <= {"ledger.lock", "profile.lock"}


def _problem(location: LedgerLocation) -> str | None:
    """Return why this version cannot use the ledger at *location*, or None if it can.

    Raises `sqlite3.OperationalError` where the file cannot be opened.
    """
    if location.file.stat().st_size == 0:
        return None if _is_new(location) else "it is empty, although stations were visited"
    connection = _connect_to_read(location.file, has_journal=_has_journal(location.file))
    with closing(connection):
        return problem_with(connection)


def _resources(connection: sqlite3.Connection) -> list[tuple[str, int, str, str, str]]:
    """Return the rows of the resources, also of an earlier format that knows no places."""
    columns = {row[1] for row in connection.execute("pragma table_info(resources)")}
    place = "place" if "place" in columns else str(FIRST)
    return connection.execute(f"select key, {place}, id, value, seal from resources").fetchall()


def _places(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """Return the rows of the places that can be read, none of an earlier format."""
    with suppress(sqlite3.Error, UnicodeDecodeError):
        rows = connection.execute("select * from places").fetchall()
        return [row for row in rows if tuple(map(type, row)) == _PLACE]
    return []


def _homes(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """Return the rows of the directories that can be read, none of an earlier format."""
    with suppress(sqlite3.Error, UnicodeDecodeError):
        rows = connection.execute("select * from directories").fetchall()
        return [row for row in rows if tuple(map(type, row)) == _HOME]
    return []


def _damaged_resources(connection: sqlite3.Connection) -> list[str]:
    """Return the name of each resource that does not match its checksum."""
    return [f"{row[2]!r} of {row[0]}" for row in _resources(connection) if not is_intact(row)]


# --- moving aside


def _open_or_replace(location: LedgerLocation, warn: Warn) -> sqlite3.Connection:
    """Return a connection to the ledger at *location*, moved aside first if unreadable."""
    was_there, modes = is_file(location.file), modes_in(location.folder)
    make_file(location.file, modes)
    problem = _problem(location) if was_there else None
    if problem is None:
        return _connect_to_write(str(location.file))
    aside = _set_aside_with_journals(location.file)
    make_file(location.file, modes)
    connection = _connect_to_write(str(location.file))
    kept = _copy_resources(aside, connection)
    also = f"; resource ids saved from it: {kept}" if kept else ""
    warn(
        f"the ledger {location.file} could not be read: {problem}; "
        f"moved it to {aside.name}; every station will be judged again{also}"
    )
    return connection


def _copy_resources(aside: Path, connection: sqlite3.Connection) -> int:
    """Copy the readable resources of the ledger *aside* to *connection*; return how many."""
    damaged = _connect_to_read(aside, has_journal=_has_journal(aside))
    try:
        rows = [row for row in _resources(damaged) if is_intact(row)]
        places, homes = _places(damaged), _homes(damaged)
    except (sqlite3.Error, UnicodeDecodeError):
        return 0  # the resources stay in the file that was moved aside
    finally:
        damaged.close()
    connection.executemany("insert or ignore into resources values (?, ?, ?, ?, ?)", rows)
    connection.executemany("replace into places values (?, ?, ?, ?, ?, ?)", places)
    connection.executemany("insert or ignore into directories values (?, ?, ?)", homes)
    return len(rows)


def _wrong_kinds(location: LedgerLocation) -> Iterator[tuple[Path, bool]]:
    """Yield each folder in the place of a file, and each file in that of a folder.

    With each, whether a folder belongs there.
    """
    files = (location.file, *(Path(f"{location.file}{suffix}") for suffix in _JOURNALS))
    yield from ((file, False) for file in files if _is_wrong_kind(file))
    stations, locks = location.data_dir / "stations", location.data_dir / "locks"
    yield from ((path, False) for path in _not(locks, os.DirEntry.is_file, is_lock_name))
    if _is_wrong_kind(stations, of_folder=True):
        yield stations, True
    elif is_folder(stations):
        found = _not(stations, os.DirEntry.is_dir, is_directory_name)
        yield from ((path, True) for path in found)


def _not(
    folder: Path, is_right: Callable[..., bool], is_ours: Callable[[str], bool]
) -> Iterator[Path]:
    """Yield what is in *folder*, has a name of ours, and is not of the right kind itself."""
    with os.scandir(folder) as entries:
        for each in entries:
            if not is_right(each, follow_symlinks=False) and is_ours(each.name):
                yield Path(each)


def _is_wrong_kind(path: Path, of_folder: bool = False) -> bool:
    is_right = is_folder(path) if of_folder else is_file(path)
    return not is_right and os.path.lexists(path)


def _set_aside_if_wrong_kind(path: Path, warn: Warn, *, is_folder: bool = False) -> None:
    if not _is_wrong_kind(path, of_folder=is_folder):
        return
    aside = _path_aside(path)
    path.replace(aside)
    wanted = "folder" if is_folder else "file"
    warn(f"{path} should be a {wanted}; moved it to {aside.name}")


def _set_aside_with_journals(file: Path) -> Path:
    aside = _path_aside(file)
    # The journals first: if this process dies in between, they never meet another ledger.
    for suffix in _JOURNALS:
        journal = Path(f"{file}{suffix}")
        if os.path.lexists(journal):
            journal.replace(f"{aside}{suffix}")
    file.replace(aside)
    return aside


def _path_aside(path: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return path.with_name(f"{path.stem}{_ASIDE}{stamp}-{os.getpid()}{path.suffix}")
