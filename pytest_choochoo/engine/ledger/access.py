"""The door to a ledger's files: made, opened and trusted here, and errors that name the file."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

import msgspec

from pytest_choochoo.engine.errors import ForbiddenLedger, ForeignLedger, LostLedger, UnusableKey
from pytest_choochoo.engine.ledger.location import LedgerLocation


@contextmanager
def naming(path: object, *others: type[Exception]) -> Iterator[None]:
    """Turn an `OSError`, or one of the *others*, into `LostLedger`, which names *path*."""
    kinds: tuple[type[Exception], ...] = (OSError, *others)
    try:
        yield
    except kinds as error:
        raise LostLedger(str(path), cause_of(error)) from None


def cause_of(error: BaseException) -> str:
    """Return the cause of *error*, without the path and the number that an `OSError` adds."""
    return (getattr(error, "strerror", None) or str(error)).lower()


class Modes(msgspec.Struct, frozen=True):
    """The modes of what is made in a ledger's folder; *is_shared*: with the folder's group."""

    folder: int = 0o700
    file: int = 0o600
    is_shared: bool = False


def modes_in(folder: Path) -> Modes:
    """Return the modes for *folder*: its own if its files are to belong to its group (setgid)."""
    try:
        mode = stat.S_IMODE(os.stat(folder).st_mode)
    except OSError:
        return Modes()
    return Modes(mode, mode & 0o666, is_shared=True) if mode & stat.S_ISGID else Modes()


# --- the door: every file and folder below the ledger's folder is made and opened here

# A link is never followed, and opening a pipe never waits for its other end.
_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def is_file(path: str | Path) -> bool:
    """Return whether *path* is a file itself, not a link to one."""
    return _is_kind(path, stat.S_ISREG)


def is_folder(path: str | Path) -> bool:
    """Return whether *path* is a folder itself, not a link to one."""
    return _is_kind(path, stat.S_ISDIR)


def _is_kind(path: str | Path, is_it: Callable[[int], bool]) -> bool:
    try:
        return is_it(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def make_folder(path: Path, modes: Modes) -> None:
    """Make the folder *path*, if there is none. Raises `OSError` for a link."""
    try:
        path.mkdir(mode=modes.folder)
    except FileExistsError:
        if not is_folder(path):
            raise
        return
    if modes.is_shared:  # whatever the umask of this account
        path.chmod(modes.folder)
    _give_to_owner_of_parent(path)


def make_parents(folder: Path) -> None:
    """Make *folder* and what is missing above it, for this account alone."""
    if not folder.parent.exists():
        make_parents(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        _give_to_owner_of_parent(folder)


def make_directory(path: Path, modes: Modes, trust: Trust) -> Path:
    """Make the directory of a station at *path*, and the folders above it; return it.

    Raises `OSError` for a link, and for a directory that others may write.
    """
    make_parents(path.parent.parent)
    for folder in (path.parent, path):
        make_folder(folder, modes)
        problem = trust.problem_with(folder)
        if problem is not None:
            raise PermissionError(errno.EPERM, problem)
    return path


def make_file(path: str | Path, modes: Modes) -> None:
    """Make the file *path*, if there is none."""
    try:
        made = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | _SAFELY, modes.file)
    except FileExistsError:
        os.close(open_file(path, os.O_RDWR))
        return
    if modes.is_shared:
        os.fchmod(made, modes.file)
    os.close(made)
    _give_to_owner_of_parent(path)


def open_file(path: str | Path, flags: int) -> int:
    """Return a descriptor of the file *path*. Raises `OSError` for a link, a pipe or a device."""
    opened = os.open(path, flags | _SAFELY)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return opened


def _give_to_owner_of_parent(path: str | Path) -> None:
    """Give what root has made to the owner of its folder: else the next run would be locked out."""
    if _IS_ROOT:
        above = os.stat(os.path.dirname(path) or ".")
        if above.st_uid:
            os.chown(path, above.st_uid, above.st_gid, follow_symlinks=False)


def require_locks(opened: int) -> None:
    """Raise `OSError` where the file system of the descriptor *opened* has no locks.

    A library might then take the existence of a file for a lock, which a dead process keeps.
    """
    try:
        import fcntl
    except ImportError:  # Windows has others, which always work
        return
    try:
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(opened, fcntl.LOCK_UN)
    except BlockingIOError:
        return
    except OSError as error:
        error.strerror = f"locks do not work here ({(error.strerror or '').lower()})"
        raise


_KEY_SIZE = 32


def read_key(path: Path, trust: Trust) -> bytes:
    """Return the key at *path*, b"" if there is none yet. Raises `UnusableKey`."""
    try:
        opened = open_file(path, os.O_RDONLY)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise UnusableKey(str(path), cause_of(error)) from None
    with open(opened, "rb") as file:
        found, content = os.fstat(opened), file.read(_KEY_SIZE + 1)
    problem = trust.problem_with(path)
    if problem is None and found.st_mode & 0o077 and not trust.is_for_all_readers:
        problem = f"others may read it, which has mode {stat.S_IMODE(found.st_mode):04o}"
    # An empty file was left by an earlier version that died while it made the key.
    if problem is None and len(content) not in (0, _KEY_SIZE):
        problem = f"it has {found.st_size} bytes, not {_KEY_SIZE}"
    if problem is not None:
        raise UnusableKey(str(path), problem)
    return content


def make_key(path: Path, modes: Modes) -> bytes:
    """Make a key at *path*, whole or not at all, and return it."""
    key, aside = os.urandom(_KEY_SIZE), f"{path}.{os.getpid()}"
    with suppress(FileNotFoundError):
        os.unlink(aside)
    make_file(aside, modes)
    with open(open_file(aside, os.O_WRONLY), "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    return key


# --- the owners of a ledger


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
        if _IS_ROOT:
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
