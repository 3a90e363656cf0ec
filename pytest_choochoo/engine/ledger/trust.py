"""Whether a ledger may be used: by this account, and as nobody else can have written it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from pytest_choochoo.engine.errors import ForbiddenLedger, ForeignLedger
from pytest_choochoo.engine.ledger.access import IS_ROOT, make_folder, make_parents, modes_in
from pytest_choochoo.engine.ledger.location import LedgerLocation


class Trust:
    """The accounts that files in a ledger's folder may belong to, and that may write them.

    They are this account, root, and for root the owner of the project, whose code it runs
    anyway. *is_shared*: every member of the folder's group. *is_complete*: everybody.
    """

    def __init__(self, root: str, *, is_shared: bool, is_complete: bool) -> None:
        self._root = root
        self._is_shared = is_shared
        self._is_complete = is_complete or not hasattr(os, "geteuid")

    @property
    def is_for_all_readers(self) -> bool:
        """Whether a file counts although others may read it."""
        return self._is_shared or self._is_complete

    @cached_property
    def _owners(self) -> frozenset[int]:
        found = {0, os.geteuid()}
        if IS_ROOT:
            with suppress(OSError, ValueError):
                found.add(int(os.environ.get("SUDO_UID", "0")))
            with suppress(OSError, ValueError):
                found.add(os.stat(self._root).st_uid)
        return frozenset(found)

    def problem_with(self, path: str | Path) -> str | None:
        """Return why the file or folder at *path* cannot be trusted, None if it can or is not."""
        if self._is_complete:
            return None
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        others = stat.S_IWOTH | (0 if self._may_write_with_group(found) else stat.S_IWGRP)
        if not self._is_shared and found.st_uid not in self._owners:
            return f"{path} belongs to {owner_name(found.st_uid)}"
        if found.st_mode & others and not stat.S_ISLNK(found.st_mode):
            mode = f"{stat.S_IMODE(found.st_mode):04o}"
            return f"others may write {path}, which has mode {mode}"
        if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
            return f"{path} has {found.st_nlink} names, as hard links"
        return None

    def _may_write_with_group(self, found: os.stat_result) -> bool:
        return self._is_shared or (
            bool(found.st_mode & stat.S_IWGRP) and _is_private_group(found.st_gid, found.st_uid)
        )


def _is_private_group(group: int, user: int) -> bool:
    """Return whether *user* is the only member of *group*, as many systems set up accounts."""
    try:
        import grp
        import pwd

        entry, account = grp.getgrgid(group), pwd.getpwuid(user)
    except (ImportError, KeyError):
        return False
    return account.pw_gid == group and set(entry.gr_mem) <= {account.pw_name}


def trust_in(location: LedgerLocation) -> Trust:
    """Return the accounts that files at *location* may belong to."""
    root = location.place.path if location.place is not None else str(location.folder)
    is_shared = location.is_given and modes_in(location.folder).is_shared
    return Trust(root, is_shared=is_shared, is_complete=location.is_trusted)


def make_directory(location: LedgerLocation, path: Path) -> Path:
    """Make the directory of a station at *path*, and the folders above it; return it.

    Raises `OSError` for a link, and for a directory that others may write.
    """
    trust, modes = trust_in(location), modes_in(location.folder)
    make_parents(location.data_dir)
    for folder in (path.parent, path):
        make_folder(folder, modes)
        problem = trust.problem_with(folder)
        if problem is not None:
            raise PermissionError(errno.EPERM, problem)
    return path


def foreign(location: LedgerLocation) -> ForeignLedger | None:
    """Return the error if the ledger at *location* cannot be believed, else None."""
    trust = trust_in(location)
    whole, *parts = _parts(location, writes=True)
    for path in (Path(os.path.realpath(whole)), *parts, location.data_dir / "stations"):
        problem = trust.problem_with(path)
        if problem is not None:
            return ForeignLedger(str(location.file), problem)
    return None


# --- what this account may do


def forbidden(location: LedgerLocation, *, writes: bool) -> ForbiddenLedger | None:
    """Return the error if this account may not use the ledger at *location*, else None."""
    wanted = os.R_OK | (os.W_OK if writes else 0)
    for path in _parts(location, writes=writes):
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError:
            return _error(location, next(each for each in path.parents if os.path.exists(each)))
        may = wanted | (os.X_OK if stat.S_ISDIR(found.st_mode) else 0)
        if not os.access(path, may) and not _is_on_read_only_disk(path):
            return _error(location, path)
    return None


def _is_on_read_only_disk(path: Path) -> bool:
    return hasattr(os, "statvfs") and bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _parts(location: LedgerLocation, *, writes: bool) -> Iterator[Path]:
    yield location.folder
    if writes:
        yield from (location.data_dir, location.data_dir / "locks")
        yield location.data_dir / "locks" / "ledger.lock"
    for suffix in ("", "-wal", "-shm"):
        yield Path(f"{location.file}{suffix}")


def _error(location: LedgerLocation, path: Path) -> ForbiddenLedger:
    found = os.stat(path)
    mode = f"{stat.S_IMODE(found.st_mode):04o}"
    cause = f"{path} belongs to {owner_name(found.st_uid)}, with mode {mode}"
    return ForbiddenLedger(str(location.file), cause)


def owner_name(number: int) -> str:
    """Return the name of the account *number*."""
    try:
        import pwd  # Windows has none

        return pwd.getpwuid(number).pw_name
    except (ImportError, KeyError):
        return f"user {number}"
