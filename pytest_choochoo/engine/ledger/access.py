"""Access to a ledger: modes that follow a folder for a group, and errors that name the file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from pytest_choochoo.engine.errors import ForbiddenLedger, LostLedger
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


def make_folder(path: Path, modes: Modes) -> None:
    """Make the folder *path*, if there is none."""
    try:
        path.mkdir(mode=modes.folder)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        if modes.is_shared:  # whatever the umask of this account
            path.chmod(modes.folder)


def make_directory(path: Path, modes: Modes) -> Path:
    """Make the directory of a station at *path*, and the folders above it; return it."""
    path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_folder(path.parent, modes)
    make_folder(path, modes)
    return path


def make_file(path: str | Path, modes: Modes) -> None:
    """Make the file *path*, if there is none."""
    try:
        made = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, modes.file)
    except FileExistsError:
        os.close(os.open(path, os.O_RDWR))
        return
    if modes.is_shared:
        os.fchmod(made, modes.file)
    os.close(made)


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
    cause = f"{path} belongs to {_owner(found.st_uid)}, with mode {mode}"
    return ForbiddenLedger(str(location.file), cause)


def _owner(number: int) -> str:
    try:
        import pwd  # Windows has none

        return pwd.getpwuid(number).pw_name
    except (ImportError, KeyError):
        return f"user {number}"
