"""Locks on files, held alone or together; the operating system releases them with the process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pytest_choochoo.engine import clock
from pytest_choochoo.engine.errors import LostLedger
from pytest_choochoo.engine.ledger.access import Modes, make_file, open_file
from pytest_choochoo.engine.ledger.protocol import HeldLock, LockBusy

# Seconds between two attempts to take a lock.
_PAUSE = 0.05
#: The descriptors of the locks that this process holds.
_HELD: set[int] = set()


class StationLock(HeldLock):
    """The lock on the file at *path*, held alone. Raises `LockBusy` at once, if it is held."""

    def __init__(self, path: str, modes: Modes) -> None:
        self._path = path
        try:
            self._file = open_file(path, os.O_RDWR)
        except FileNotFoundError:
            make_file(path, modes)
            self._file = open_file(path, os.O_RDWR)
        try:
            if not try_lock(self._file, is_shared=False) or not is_at(path, self._file):
                raise LockBusy
        except BaseException:
            os.close(self._file)
            raise
        hold(self._file)

    def require(self) -> None:
        if not is_at(self._path, self._file):
            cause = "the lock was removed, so that another process may have visited as well"
            raise LostLedger(self._path, cause)

    def release(self) -> None:
        release(self._file)


def wait_for_lock(path: str, timeout: float, modes: Modes) -> StationLock:
    """Return the lock on the file at *path*, held; wait for the process that holds it.

    *timeout*: seconds, -1 for no limit. Raises `LockBusy` after it.
    """
    end = clock.monotonic() + timeout
    while True:
        try:
            return StationLock(path, modes)
        except LockBusy:
            if timeout >= 0 and clock.monotonic() >= end:
                raise
        time.sleep(_PAUSE)


def require_locks(path: Path) -> None:
    """Raise `OSError` where the file system of the file *path* has no locks.

    A library might then take the existence of a file for a lock, which a dead process keeps.
    """
    file = open_file(path, os.O_RDWR)
    try:
        if try_lock(file, is_shared=True):
            unlock(file)
    except OSError as error:
        error.strerror = f"locks do not work here ({(error.strerror or '').lower()})"
        raise
    finally:
        os.close(file)


def is_at(path: str, file: int) -> bool:
    """Return whether the open *file* is still the one at *path*: it may have been removed."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(file))
    except (FileNotFoundError, NotADirectoryError):
        return False


# --- locks, and children that are forked while one is held


def hold(file: int) -> None:
    """Note that this process holds the lock on *file*: a forked child closes it.

    The child would hold the lock as well, and outlive this process.
    """
    if not _HELD and hasattr(os, "register_at_fork") and not _REGISTERED:
        _REGISTERED.append(_close_all)
        os.register_at_fork(after_in_child=_close_all)
    _HELD.add(file)


def release(file: int) -> None:
    """Release the lock on *file*, which this process holds, and close it."""
    _HELD.discard(file)
    try:
        unlock(file)  # for children that were forked as well
    finally:
        os.close(file)


def _close_all() -> None:
    while _HELD:
        os.close(_HELD.pop())


_REGISTERED: list[Callable[[], None]] = []


if sys.platform == "win32":
    import msvcrt

    # Locks on Windows are exclusive: one byte for each that shares, all bytes for one alone.
    _FIRST, _BYTES = 1 << 30, 64

    def _lock_bytes(file: int, mode: int, first: int, count: int) -> bool:
        os.lseek(file, first, os.SEEK_SET)
        try:
            msvcrt.locking(file, mode, count)
        except OSError:
            return False
        return True

    def try_lock(file: int, *, is_shared: bool) -> bool:
        unlock(file)
        if not is_shared:
            return _lock_bytes(file, msvcrt.LK_NBLCK, _FIRST, _BYTES)
        places = range(_FIRST, _FIRST + _BYTES)
        return any(_lock_bytes(file, msvcrt.LK_NBLCK, place, 1) for place in places)

    def unlock(file: int) -> None:
        _lock_bytes(file, msvcrt.LK_UNLCK, _FIRST, _BYTES)
        for place in range(_FIRST, _FIRST + _BYTES):
            _lock_bytes(file, msvcrt.LK_UNLCK, place, 1)

else:
    import fcntl

    def try_lock(file: int, *, is_shared: bool) -> bool:
        """Lock *file*, instead of any lock on it that is held; return False if it is taken."""
        kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(file: int) -> None:
        """Give up the lock on *file*."""
        fcntl.flock(file, fcntl.LOCK_UN)
