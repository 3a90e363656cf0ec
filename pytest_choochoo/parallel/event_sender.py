"""Sends the events of a worker's visits to its controller; looks at progress ten times a second."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from pytest_choochoo.engine.events import Event, LocalEvent, VisitEnded, progress_to_show
from pytest_choochoo.engine.visit import Progressed, ProgressReport

# Seconds between two looks at the progress of a visit.
_PAUSE = 0.1


class EventSender:
    """Sends events through *send*, and what a report of progress says whenever that has changed.

    A thread looks at the report while its visit goes on.
    """

    def __init__(self, send: Callable[[Event], object], pause: float = _PAUSE) -> None:
        self._send = send
        self._pause = pause
        self._lock = threading.Lock()
        self._report: ProgressReport | None = None
        self._sent: Progressed | None = None
        self._has_report = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, event: LocalEvent) -> None:
        """Take an event of a visit in this worker."""
        if isinstance(event, ProgressReport):
            self._report = event
            self._has_report.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, daemon=True)
                self._thread.start()
            return
        with suppress(OSError):  # the controller is gone, which others notice
            self._send_progress()
            self._send(event)
        if isinstance(event, VisitEnded):
            self._has_report.clear()
            with self._lock:
                self._report = self._sent = None

    def _watch(self) -> None:
        with suppress(OSError):
            while self._has_report.wait():
                self._send_progress()
                threading.Event().wait(self._pause)

    def _send_progress(self) -> None:
        """Send the progress of the visit under way, if it has changed since the last time."""
        with self._lock:
            report = self._report
            state = None if report is None else report.state
            if state is not None and state != self._sent:
                self._sent = state
                self._send(progress_to_show(state))
