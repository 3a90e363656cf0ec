"""A clock for durations, which goes on where a library for tests stops or sets the time."""

from __future__ import annotations

import time


class _Real:
    # Such libraries replace the functions of `time`, and the names for them in every module.
    # In a class they find none; and none of them has a hold on `perf_counter` itself.
    read = staticmethod(time.perf_counter)


def monotonic() -> float:
    """Return the seconds since a moment that stays the same in this process."""
    return _Real.read()
