"""Waits for the lock on a station, and names the process that holds it."""

from __future__ import annotations

import math
from collections.abc import Callable

from pytest_choochoo.engine import clock
from pytest_choochoo.engine.errors import LockTimeout
from pytest_choochoo.engine.ledger.protocol import HeldLock, Ledger, LockBusy

# Seconds to wait for a lock that a probe (`is_locked`) may hold briefly.
_PROBE = 0.1
# Seconds between two calls of *look*.
_LOOK = 0.5


def lock_station(
    ledger: Ledger,
    key: str,
    *,
    name: str,
    timeout: float,
    notify: Callable[[str], None],
    look: Callable[[], object] = lambda: None,
) -> HeldLock:
    """Return the lock on *key*, held; wait for the process that is visiting the station.

    *name*: that of the station, for people. *timeout*: seconds, -1 for no limit. *notify* is
    called with a line that names that process, *look* now and then meanwhile; what that
    raises ends the wait. Raises `LockTimeout`.
    """
    try:
        return ledger.lock(key, _PROBE)
    except LockBusy:
        pass
    record = ledger.record(key)
    visitor = "another process" if record is None else record.visitor
    notify(f"{name}: waiting for {visitor}, which is visiting it")
    end = math.inf if timeout < 0 else clock.monotonic() + timeout
    while True:
        left = end - clock.monotonic()
        try:
            return ledger.lock(key, max(min(left, _LOOK), 0))
        except LockBusy:
            if left <= _LOOK:
                raise LockTimeout(name, timeout, visitor) from None
        look()
