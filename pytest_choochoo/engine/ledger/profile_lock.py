"""The lock on a profile: runs hold it together, a clean holds it alone."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from pytest_choochoo.engine import clock
from pytest_choochoo.engine.errors import ProfileBusy
from pytest_choochoo.engine.ledger.access import make_file, modes_in, naming
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.protocol import HeldLock, LockBusy
from pytest_choochoo.engine.place import host_name

# Seconds in which another process may only be looking who holds the lock.
_GLANCE = 0.2
# Seconds between two attempts to take the lock.
_PAUSE = 0.05
#: The descriptors of the locks that this process holds.
_HELD: set[int] = set()


class Holder(msgspec.Struct, frozen=True):
    """A process that holds the lock for *command*, *since* a time in seconds since the epoch."""

    pid: int
    host: str
    since: float
    command: str

    def __str__(self) -> str:
        since = time.strftime("%H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} on {self.host} (since {since})"

    @property
    def in_words(self) -> str:
        return f"{self}, which runs {self.command}"

    @property
    def is_alive(self) -> bool:
        """Whether the process may still exist; nothing is known of other machines."""
        if self.host != host_name() or os.name == "nt":
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
        return True


class ProfileLock(HeldLock):
    """The lock, held; the operating system releases it when the process dies.

    *is_shared*: other processes may hold it as well. Raises `LockBusy` at once, if it is held.
    """

    def __init__(self, location: LedgerLocation, command: str, *, is_shared: bool) -> None:
        self._path = _path(location)
        self._holder = Holder(os.getpid(), host_name(), time.time(), command)
        with naming(self._path):
            try:
                self._file = os.open(self._path, _FLAGS)
            except FileNotFoundError:
                make_file(self._path, modes_in(location.folder))
                self._file = os.open(self._path, _FLAGS)
            try:
                self._take(is_shared=is_shared)
            except BaseException:
                os.close(self._file)
                raise
        if not _HELD:
            _close_in_children()
        _HELD.add(self._file)

    def _take(self, *, is_shared: bool) -> None:
        is_alone = _try_lock(self._file, is_shared=False)
        if is_alone:
            os.ftruncate(self._file, 0)  # the holders named in it are gone
        if not (_try_lock(self._file, is_shared=True) if is_shared else is_alone):
            raise LockBusy
        found = os.stat(self._path, follow_symlinks=False)
        if not os.path.samestat(found, os.fstat(self._file)):  # it was removed meanwhile
            raise LockBusy
        self._write("+")

    def _write(self, sign: str) -> None:
        own = self._holder
        line = f"{sign}\t{own.pid}\t{own.host}\t{own.since!r}\t{own.command}\n"
        os.write(self._file, line.encode(errors="replace"))

    def release(self) -> None:
        _HELD.discard(self._file)
        with suppress(OSError):
            self._write("-")
            _unlock(self._file)  # for children that were forked as well
        os.close(self._file)


def hold_profile(
    location: LedgerLocation,
    command: str,
    *,
    is_shared: bool,
    timeout: float,
    notify: Callable[[str], object],
) -> HeldLock:
    """Return the lock on the profile at *location*, held for *command*; wait for the others.

    *timeout*: seconds, -1 for no limit. Raises `ProfileBusy` after it.
    """
    began, is_told = clock.monotonic(), False
    while True:
        try:
            return ProfileLock(location, command, is_shared=is_shared)
        except LockBusy:
            waited = clock.monotonic() - began
        if waited > _GLANCE:
            others = _in_words(_noted(location))
            if 0 <= timeout <= waited:
                raise ProfileBusy(others, timeout)
            if not is_told:
                notify(f"waiting for {others}")
                is_told = True
        time.sleep(_PAUSE)


def holders(location: LedgerLocation) -> tuple[Holder, ...]:
    """Return the processes that hold the lock right now, as far as known; write nothing."""
    try:
        file = os.open(_path(location), os.O_RDONLY | _NO_LINK)
    except OSError:
        return ()  # no process has ever held it, or this one may not look
    try:
        return () if _try_lock(file, is_shared=False) else _noted(location)
    except OSError:
        return ()
    finally:
        os.close(file)


def _noted(location: LedgerLocation) -> tuple[Holder, ...]:
    """Return the holders that are noted in the file and may still exist."""
    found: dict[Holder, None] = {}
    with suppress(OSError, ValueError), open(_path(location), encoding="utf-8") as file:
        for line in file:
            sign, pid, host, since, command = line.rstrip("\n").split("\t")
            holder = Holder(int(pid), host, float(since), command)
            if sign == "+":
                found[holder] = None
            else:
                found.pop(holder, None)
    return tuple(holder for holder in found if holder.is_alive)


def _in_words(found: tuple[Holder, ...]) -> str:
    return " and ".join(holder.in_words for holder in found) or "another process"


# --- the file, and the operating system

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FLAGS = os.O_RDWR | os.O_APPEND | _NO_LINK


def _path(location: LedgerLocation) -> str:
    return str(location.data_dir / "locks" / "profile.lock")


def _close_in_children() -> None:
    """Let no forked child hold the lock, which would outlive this process."""

    def close() -> None:
        while _HELD:
            os.close(_HELD.pop())

    if hasattr(os, "register_at_fork") and not _REGISTERED:
        _REGISTERED.append(close)
        os.register_at_fork(after_in_child=close)


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

    def _try_lock(file: int, *, is_shared: bool) -> bool:
        _unlock(file)
        if not is_shared:
            return _lock_bytes(file, msvcrt.LK_NBLCK, _FIRST, _BYTES)
        places = range(_FIRST, _FIRST + _BYTES)
        return any(_lock_bytes(file, msvcrt.LK_NBLCK, place, 1) for place in places)

    def _unlock(file: int) -> None:
        _lock_bytes(file, msvcrt.LK_UNLCK, _FIRST, _BYTES)
        for place in range(_FIRST, _FIRST + _BYTES):
            _lock_bytes(file, msvcrt.LK_UNLCK, place, 1)

else:
    import fcntl

    def _try_lock(file: int, *, is_shared: bool) -> bool:
        """Lock *file*, instead of any lock on it that is held; return False if it is taken."""
        kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
