"""The lock on a profile: runs hold it together, a clean holds it alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from pytest_choochoo.engine import clock
from pytest_choochoo.engine.errors import ProfileBusy
from pytest_choochoo.engine.ledger.access import make_file, modes_in, naming, open_file
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.os_locks import hold, is_at, release, try_lock
from pytest_choochoo.engine.ledger.protocol import HeldLock, LockBusy
from pytest_choochoo.engine.place import host_name

# Seconds in which another process may only be looking who holds the lock.
_GLANCE = 0.2
# Seconds between two attempts to take the lock.
_PAUSE = 0.05


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
                self._file = open_file(self._path, os.O_RDWR | os.O_APPEND)
            except FileNotFoundError:
                make_file(self._path, modes_in(location.folder))
                self._file = open_file(self._path, os.O_RDWR | os.O_APPEND)
            try:
                self._take(is_shared=is_shared)
            except BaseException:
                os.close(self._file)
                raise
        hold(self._file)

    def _take(self, *, is_shared: bool) -> None:
        is_alone = try_lock(self._file, is_shared=False)
        if is_alone:
            os.ftruncate(self._file, 0)  # the holders named in it are gone
        if not (try_lock(self._file, is_shared=True) if is_shared else is_alone):
            raise LockBusy
        if not is_at(self._path, self._file):  # it was removed meanwhile
            raise LockBusy
        self._write("+")

    def _write(self, sign: str) -> None:
        own = self._holder
        line = f"{sign}\t{own.pid}\t{own.host}\t{own.since!r}\t{own.command}\n"
        os.write(self._file, line.encode(errors="replace"))

    def release(self) -> None:
        with suppress(OSError):
            self._write("-")
        with suppress(OSError):
            release(self._file)


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
        file = open_file(_path(location), os.O_RDONLY)
    except OSError:
        return ()  # no process has ever held it, or this one may not look
    try:
        return () if try_lock(file, is_shared=False) else _noted(location)
    except OSError:
        return ()
    finally:
        os.close(file)


def _noted(location: LedgerLocation) -> tuple[Holder, ...]:
    """Return the holders that are noted in the file and may still exist."""
    found: dict[Holder, None] = {}
    with (
        suppress(OSError, ValueError),
        open(open_file(_path(location), os.O_RDONLY), encoding="utf-8") as file,
    ):
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


def _path(location: LedgerLocation) -> str:
    return str(location.data_dir / "locks" / "profile.lock")
