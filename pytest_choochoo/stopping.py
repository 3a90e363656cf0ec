"""The first Ctrl-C lets the visit under way finish, the second does not."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from types import FrameType

import pytest

from pytest_choochoo.departing import say
from pytest_choochoo.items import Line


class Stopping:
    """The hook around all items of a session that has no other process to stop."""

    def __init__(self, config: pytest.Config, line: Line) -> None:
        self._config = config
        self._line = line

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        before = signal.getsignal(signal.SIGINT)
        # Who has a handler of his own, or is in a thread, keeps what he has.
        is_ours = threading.current_thread() is threading.main_thread()
        if not is_ours or before is not signal.default_int_handler:
            return (yield)

        def interrupt(number: int, frame: FrameType | None) -> None:
            signal.signal(signal.SIGINT, before)
            passage, route = self._line.journey.passage, self._line.journey.route
            if passage is None or not passage.is_visiting:
                raise KeyboardInterrupt
            name = route[passage.key].name
            session.shouldstop = f"interrupted, after the visit of {name}"
            say(self._config, f"{name} is finished first; Ctrl-C again stops it now")

        signal.signal(signal.SIGINT, interrupt)
        try:
            return (yield)
        finally:
            signal.signal(signal.SIGINT, before)
