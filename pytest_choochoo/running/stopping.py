"""What stops a run: Ctrl-C or SIGTERM, after the visits under way or now, and a lost ledger."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_choochoo.engine.errors import UnusableLedger
from pytest_choochoo.reporting.notices import notify
from pytest_choochoo.running.protocol import Runner

if TYPE_CHECKING:
    from pytest_choochoo.parallel.controller import Controller

# In which a worker that was interrupted has left its visit, in seconds.
_MOMENT = 1.0


@contextmanager
def _first_interrupt(
    answer: Callable[[], bool], interrupt_workers: Callable[[], object]
) -> Iterator[None]:
    """Call *answer* on the first Ctrl-C or SIGTERM, and interrupt unless it returns True.

    The second interrupts, and *interrupt_workers* is called: for workers that have not got it, as only this
    process did. Who has a handler of his own, or is in a thread, keeps what he has.
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
        # Perhaps the workers are told as well: they are looked at when they have had their time.
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


@contextmanager
def stopping_without_ledger(session: pytest.Session) -> Iterator[None]:
    """Have *session* stop, and say why, where the ledger cannot be used any more."""
    try:
        yield
    except UnusableLedger as error:
        session.shouldfail = str(error)


@contextmanager
def failing_without_ledger(session: pytest.Session) -> Iterator[None]:
    """Have *session* fail where no item is at fault that the ledger cannot be used any more."""
    try:
        yield
    except UnusableLedger as error:
        session.shouldfail = str(error)
        raise session.Failed(session.shouldfail) from None


class Stopping:
    """The hook around all items; *stop* is called on the first interrupt.

    It says whether there is something to be finished first; *interrupt_workers* has that end, too.
    """

    def __init__(
        self,
        stop: Callable[[pytest.Session], bool],
        interrupt_workers: Callable[[], object] = lambda: None,
    ) -> None:
        self._stop = stop
        self._interrupt_workers = interrupt_workers
        self._watch = ExitStack()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Begin before a worker says that it is ready: others may be visiting by then."""
        self._watch.enter_context(
            _first_interrupt(partial(self._stop, session), self._interrupt_workers)
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        if not session.items:  # a controller collects nothing
            self.pytest_collection_finish(session)
        with self._watch, failing_without_ledger(session):
            return (yield)


def after_the_visit(line: Runner, session: pytest.Session) -> bool:
    """StationInstance after the visit under way, if there is one."""
    is_worker = hasattr(session.config, "workerinput")
    if is_worker and line.item is None:
        return True  # its controller will send it home
    passage, route = line.journey.passage, line.journey.route
    if passage is None or not passage.is_visiting:
        return False
    name = route[passage.key].name
    session.shouldstop = f"stopped after the visit of {name}"
    if not is_worker:
        _say_what_is_finished(session, [name])
    return True


def after_the_visits(controller: Controller, session: pytest.Session) -> bool:
    """StationInstance after the visits that workers are busy with, if there are any."""
    names = controller.stop()
    if names:
        _say_what_is_finished(session, names)
    return bool(names)


def _say_what_is_finished(session: pytest.Session, names: list[str]) -> None:
    verb, them = ("is", "it") if len(names) == 1 else ("are", "them")
    text = f"{', '.join(names)} {verb} finished first; Ctrl-C again stops {them} now"
    notify(session.config, text)
