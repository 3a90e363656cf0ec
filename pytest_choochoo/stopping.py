"""What stops a run: Ctrl-C or SIGTERM, after the visits under way or now, and a lost ledger."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_choochoo.controller import Controller
from pytest_choochoo.items import Line
from pytest_choochoo.railway.errors import UnusableLedger
from pytest_choochoo.speaking import say


@contextmanager
def _first_interrupt(answer: Callable[[], bool]) -> Iterator[None]:
    """Call *answer* on the first Ctrl-C or SIGTERM, and interrupt unless it returns True.

    The second interrupts. Who has a handler of his own, or is in a thread, keeps what he has.
    """
    usual: dict[int, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
    }
    is_main = threading.current_thread() is threading.main_thread()
    ours = [number for number, handler in usual.items() if signal.getsignal(number) == handler]

    def interrupt(number: int, frame: object) -> None:
        for each in ours:
            signal.signal(each, signal.default_int_handler)
        if not answer():
            raise KeyboardInterrupt

    for number in ours if is_main else ():
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in ours if is_main else ():
            signal.signal(number, usual[number])


@contextmanager
def stopping_without_ledger(session: pytest.Session) -> Iterator[None]:
    """Have *session* stop, and say why, where the ledger cannot be used any more."""
    try:
        yield
    except UnusableLedger as error:
        session.shouldfail = str(error)


class Stopping:
    """The hook around all items of a process that visits stations."""

    def __init__(self, config: pytest.Config, line: Line) -> None:
        self._config = config
        self._line = line
        self._is_worker = hasattr(config, "workerinput")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        with _first_interrupt(lambda: self._stop(session)):
            return (yield)

    def _stop(self, session: pytest.Session) -> bool:
        if self._is_worker and self._line.item is None:
            return True  # its controller will send it home
        passage, route = self._line.journey.passage, self._line.journey.route
        if passage is None or not passage.is_visiting:
            return False
        name = route[passage.key].name
        session.shouldstop = f"interrupted, after the visit of {name}"
        if not self._is_worker:
            say(self._config, _finished_first([name]))
        return True


class StoppingWorkers:
    """The same hook in xdist's controller."""

    def __init__(self, config: pytest.Config, controller: Controller) -> None:
        self._config = config
        self._controller = controller

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        try:
            with _first_interrupt(self._stop):
                return (yield)
        except UnusableLedger as error:  # a worker died, and that cannot be written
            session.shouldfail = str(error)
            raise session.Failed(session.shouldfail) from None

    def _stop(self) -> bool:
        names = self._controller.stop()
        if names:
            say(self._config, _finished_first(names))
        return bool(names)


def _finished_first(names: list[str]) -> str:
    verb, them = ("is", "it") if len(names) == 1 else ("are", "them")
    return f"{', '.join(names)} {verb} finished first; Ctrl-C again stops {them} now"
