"""The door to a ledger's files: they are made and opened here, with errors that name them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from pytest_choochoo.engine.errors import LostLedger


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
#: Whether this process has the rights of root.
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


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
    if IS_ROOT:
        above = os.stat(os.path.dirname(path) or ".")
        if above.st_uid:
            os.chown(path, above.st_uid, above.st_gid, follow_symlinks=False)
