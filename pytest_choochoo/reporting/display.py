"""The display of a run while it goes on: fed with events, and ended in time."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import msgspec
import pytest

from pytest_choochoo.engine.events import Event, LocalEvent, VisitEnded
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.reporting.progress import RunProgress, UnderWay
from pytest_choochoo.reporting.terminal import RUN_FACTS

# The phases of an item; the report of a crash belongs to none of them.
_PHASES = {"setup", "call", "teardown"}


class TerminalStream:
    """A stream to where pytest's output goes, which no capture of output interrupts.

    To be made while pytest is configured: until then, nothing is captured. Nothing is buffered, so
    that any thread and any signal handler may write. A terminal that is gone takes nothing.
    """

    def __init__(self) -> None:
        self._out = sys.stdout
        self._number: int | None = None
        # Without a file of the operating system, nothing can take its place.
        with suppress(AttributeError, OSError, ValueError):
            self._number = os.dup(self._out.fileno())

    def fileno(self) -> int:
        """Return the number of the file. Raises `OSError` where there is none."""
        if self._number is None:
            raise OSError("no file of the operating system")
        return self._number

    def write(self, text: str) -> None:
        if self._number is None:
            self._out.write(text)
            self._out.flush()
            return
        left = text.encode(self._out.encoding or "utf-8", errors="backslashreplace")
        with suppress(OSError):
            while left:
                try:
                    left = left[os.write(self._number, left) :]
                except BlockingIOError:  # another program has made the terminal so
                    select.select([], [self._number], [], 1.0)

    def close(self) -> None:
        number, self._number = self._number, None
        if number is not None:
            os.close(number)


class Display:
    """The hooks of a display, in the process that has the terminal.

    *period*: the seconds between two calls of `tick`, in a thread of its own while visits are
    under way.
    """

    period = 1.0
    #: Whether only the main thread may call `tick` while it may itself write to the terminal.
    ticks_in_main = True

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.progress = RunProgress()
        self._stream = TerminalStream()
        self._is_planned = False
        self._is_running = False
        self._ticker: _Ticker | None = None
        #: Wakes the main thread, which then calls `tick`; None where the ticker's thread calls it.
        self.wake: Callable[[], object] | None = None

    # --- for the two displays

    def visit_started(self, visit: UnderWay) -> None:
        """Show that *visit* has started."""

    def station_ended(self, result: Result, visit: UnderWay | None) -> None:
        """Show that a station ended with *result*, and so did its *visit*, if there was one."""

    def tick(self) -> None:
        """Show that time has passed."""

    def pause(self) -> None:
        """Leave the terminal to the debugger, which has written one line."""

    def running(self) -> AbstractContextManager[object]:
        """Return what is entered while items run."""
        return nullcontext()

    # --- events

    def take(self, event: Event | LocalEvent, worker: str = "") -> None:
        """Take an event of a visit, in this process or in a *worker*."""
        if not self._is_running:
            return
        self._plan()
        if isinstance(event, VisitEnded):
            self._end(event.result)
            return
        started = self.progress.take(event, worker)
        if started is not None:
            self._start_ticker()
            self.visit_started(started)

    def _end(self, result: Result) -> None:
        visit = self.progress.visit(result.key)
        if self.progress.end(result):
            self.station_ended(result, visit)

    def _plan(self) -> None:
        run = self._config.stash.get(RUN_FACTS, None)
        if not self._is_planned and run is not None and run.stations:
            self._is_planned = True
            self.progress.plan(run.stations, run.durations, run.workers)

    @property
    def is_active(self) -> bool:
        """Whether a run with stations goes on."""
        if self._is_running:
            self._plan()
        return self._is_running and self._is_planned

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        with self.running():
            self._is_running = True
            try:
                return (yield)
            finally:
                self._is_running = False
                if self._ticker is not None:
                    self._ticker.stop()
                self._ticker = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the result of a station that was not visited, or whose visit broke off."""
        facts: dict[str, Any] | None = getattr(report, "choochoo", None)
        if facts is None or not facts["is_station"] or not self.is_active:
            return
        if report.when == "setup" and report.passed:
            return
        is_over = report.when not in _PHASES or (report.when == "teardown" and report.failed)
        if self.progress.visit(report.nodeid) and not is_over:
            return  # its end is an event
        if str(report.outcome) == "rerun":
            return
        self._end(msgspec.convert(facts, Result))

    def pytest_enter_pdb(self) -> None:
        self._is_running = False
        self.pause()

    def pytest_leave_pdb(self) -> None:
        self._is_running = True

    def pytest_unconfigure(self) -> None:
        self._stream.close()

    # --- time

    def _start_ticker(self) -> None:
        if self._ticker is None:
            self._ticker = _Ticker(self.period, self._on_tick)
            self._ticker.start()

    def _on_tick(self) -> None:
        if self._is_running:
            (self.wake or self.tick)()


class _Ticker(threading.Thread):
    """Calls *tick* every *period* seconds until it is stopped."""

    def __init__(self, period: float, tick: Callable[[], object]) -> None:
        super().__init__(name="choochoo-display", daemon=True)
        self._period = period
        self._tick = tick
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(self._period):
            self._tick()

    def stop(self) -> None:
        self._over.set()
        self.join()
