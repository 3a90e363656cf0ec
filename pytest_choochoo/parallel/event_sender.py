"""Sends the events of a worker's visits to its controller: progress at most ten times a second."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from pytest_choochoo.engine.events import Event, progress_to_show
from pytest_choochoo.engine.visit import Progressed

# Seconds between two messages about progress.
_PAUSE = 0.1


class EventSender:
    """Sends events through *send*; of progress that comes too fast, the last is sent in time.

    A visit may report progress millions of times: it only leaves it here, and a thread sends it.
    """

    def __init__(self, send: Callable[[Event], object], pause: float = _PAUSE) -> None:
        self._send = send
        self._pause = pause
        self._last: Progressed | None = None
        self._has_news = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, event: Event) -> None:
        """Take an event of a visit in this worker."""
        if isinstance(event, Progressed):
            self._last = event
            self._has_news.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._go_on, daemon=True)
                self._thread.start()
            return
        last, self._last = self._last, None
        with suppress(OSError):  # the controller is gone, which others notice
            if last is not None:
                self._send(progress_to_show(last))
            self._send(event)

    def _go_on(self) -> None:
        with suppress(OSError):
            while self._has_news.wait():
                self._has_news.clear()
                event = self._last
                if event is not None:
                    self._send(progress_to_show(event))
                    threading.Event().wait(self._pause)
