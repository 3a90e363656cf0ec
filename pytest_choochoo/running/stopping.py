"""Stops a run: Ctrl-C or SIGTERM, time-outs of pytest-timeout, a ledger that is lost."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import msgspec
import pytest

from pytest_choochoo.engine import clock
from pytest_choochoo.engine.errors import UnusableLedger
from pytest_choochoo.engine.wording import it_or_them
from pytest_choochoo.reporting.notices import notify

# Seconds an interrupted worker gets to leave its visit.
_MOMENT = 1.0
# Seconds by which the record of a time-out precedes the end of the process; at most a tenth.
_AHEAD = 0.2


# --- Ctrl-C and SIGTERM


class StopAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the run *waits* before it stops, and the *names* of the visits to show."""

    waits: bool
    names: Sequence[str] = ()


class StopHooks:
    """The hooks around all items; *stop* is called on the first interrupt.

    On the second one, *interrupt_workers* ends the visits that are under way elsewhere.
    """

    def __init__(
        self,
        stop: Callable[[pytest.Session], StopAnswer],
        interrupt_workers: Callable[[], object] = lambda: None,
    ) -> None:
        self._stop = stop
        self._interrupt_workers = interrupt_workers
        self._watch = ExitStack()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Begin before a worker reports that it is ready: others may be visiting by then."""
        answer = partial(self._answer, session)
        self._watch.enter_context(_first_interrupt(answer, self._interrupt_workers))

    def _answer(self, session: pytest.Session) -> bool:
        answer = self._stop(session)
        if answer.names:
            names = answer.names
            them = it_or_them(len(names))
            text = (
                f"waiting for {', '.join(names)} to finish; press Ctrl-C again to stop {them} now"
            )
            notify(session.config, text)
        return answer.waits

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        if not session.items:  # xdist's controller collects nothing
            self.pytest_collection_finish(session)
        with self._watch, failing_without_ledger(session):
            return (yield)


@contextmanager
def _first_interrupt(
    answer: Callable[[], bool], interrupt_workers: Callable[[], object]
) -> Iterator[None]:
    """Call *answer* on the first Ctrl-C or SIGTERM, and interrupt unless it returns True.

    The second one interrupts, and *interrupt_workers* is called, as the signal may have
    reached this process only. Handlers that others have installed stay; so do all handlers
    where this is not the main thread.
    """
    usual: dict[int, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
    }
    is_main = threading.current_thread() is threading.main_thread()
    ours = [number for number, handler in usual.items() if signal.getsignal(number) == handler]

    def interrupt(number: int, frame: object) -> None:
        for each in ours:
            signal.signal(each, interrupt_now)
        if not answer():
            raise KeyboardInterrupt

    def interrupt_now(number: int, frame: object) -> None:
        # The workers may have received the signal as well: give them time to leave their visits.
        later = threading.Timer(_MOMENT, interrupt_workers)
        later.daemon = True
        later.start()
        raise KeyboardInterrupt

    for number in ours if is_main else ():
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in ours if is_main else ():
            signal.signal(number, usual[number])


# --- a ledger that is lost


@contextmanager
def stopping_without_ledger(session: pytest.Session) -> Iterator[None]:
    """Stop *session*, and say why, if the ledger cannot be used any more."""
    try:
        yield
    except UnusableLedger as error:
        session.shouldfail = str(error)


@contextmanager
def failing_without_ledger(session: pytest.Session) -> Iterator[None]:
    """Fail *session* if the ledger cannot be used any more, outside of any item."""
    try:
        yield
    except UnusableLedger as error:
        session.shouldfail = str(error)
        raise session.Failed(session.shouldfail) from None


# --- time-outs


class Deadline:
    """The end of the time that pytest-timeout allows the item under way."""

    def __init__(self) -> None:
        #: The moment at which pytest-timeout stops the item, on the clock of
        #: `clock.monotonic`; infinity without one.
        self.at = math.inf

    @property
    def is_over(self) -> bool:
        return clock.monotonic() >= self.at


class TimeoutHooks:
    """The hooks around the timers of pytest-timeout.

    *note_failure* records the failure of a visit, given the key of its station and the cause,
    in case pytest-timeout ends the process before anything else can record it.
    """

    def __init__(self, deadline: Deadline, note_failure: Callable[[str, str], object]) -> None:
        self._deadline = deadline
        self._note_failure = note_failure
        self._timer: threading.Timer | None = None

    @pytest.hookimpl(wrapper=True, optionalhook=True)
    def pytest_timeout_set_timer(
        self, item: pytest.Item, settings: Any
    ) -> Generator[None, object, object]:
        started = yield
        self._deadline.at = clock.monotonic() + settings.timeout
        is_main = threading.current_thread() is threading.main_thread()
        if settings.method == "thread" or not is_main:  # pytest-timeout ends the process
            cause = f"Timeout (>{settings.timeout}s) from pytest-timeout, which ended the process"
            ahead = min(_AHEAD, settings.timeout / 10)
            # A visit that still ends in time overwrites this with its own record.
            facts = (item.nodeid, cause)
            self._timer = threading.Timer(settings.timeout - ahead, self._note_failure, facts)
            self._timer.daemon = True
            self._timer.start()
        return started

    @pytest.hookimpl(wrapper=True, optionalhook=True)
    def pytest_timeout_cancel_timer(self) -> Generator[None, object, object]:
        cancelled = yield
        self._deadline.at = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
            self._timer = None
        return cancelled
