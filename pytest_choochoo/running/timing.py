"""What pytest-timeout stops: no answer of a check, and recorded before the process ends."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Generator
from typing import Any

import pytest

from pytest_choochoo.engine.journey import Journey

# How long before the process is ended it is recorded, in seconds; at most a tenth of all.
_AHEAD = 0.2


class Timing:
    """The hooks around the timers of pytest-timeout."""

    def __init__(self, journey: Journey) -> None:
        self._journey = journey
        self._timer: threading.Timer | None = None

    @pytest.hookimpl(wrapper=True, optionalhook=True)
    def pytest_timeout_set_timer(
        self, item: pytest.Item, settings: Any
    ) -> Generator[None, object, object]:
        started = yield
        self._journey.deadline = time.monotonic() + settings.timeout
        is_main = threading.current_thread() is threading.main_thread()
        if settings.method == "thread" or not is_main:  # which ends the process without a word
            told = f"Timeout (>{settings.timeout}s) from pytest-timeout, which ended the process"
            ahead = min(_AHEAD, settings.timeout / 10)
            # If the visit makes it after all, its own record follows.
            note, facts = self._journey.note_failure, (item.nodeid, told)
            self._timer = threading.Timer(settings.timeout - ahead, note, facts)
            self._timer.daemon = True
            self._timer.start()
        return started

    @pytest.hookimpl(wrapper=True, optionalhook=True)
    def pytest_timeout_cancel_timer(self) -> Generator[None, object, object]:
        cancelled = yield
        self._journey.deadline = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
            self._timer = None
        return cancelled
