"""Asks the checks of stations that are not run, after all items; nothing is reported."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress

import pytest

from pytest_choochoo.engine.attempt import Ending
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.running.protocol import Runner
from pytest_choochoo.running.station_item import StationItem


class LookHooks:
    """The hook that asks the checks of *items*, and calls *tell* with those that are there."""

    def __init__(
        self,
        runner: Runner,
        items: Sequence[pytest.Function],
        tell: Callable[[Sequence[str]], None],
    ) -> None:
        self._runner = runner
        self._items = items
        self._tell = tell

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        answer = yield
        option = session.config.option
        if not (option.collectonly or option.setuponly or session.shouldstop):
            found = [item.nodeid for item in self._items if _is_there(self._runner, item)]
            if found:
                self._tell(found)
        return answer


def _is_there(runner: Runner, item: pytest.Function) -> bool:
    """Return whether the checks of the station *item* pass; one that cannot be asked does not."""
    runner.start(item)
    assert runner.current is not None and runner.current.station is not None
    station = runner.current.station
    look = Look(station.item)
    station.trip = look
    try:
        with suppress(Exception, pytest.skip.Exception):
            item.ihook.pytest_runtest_setup(item=item)
        with suppress(Exception, pytest.skip.Exception):
            item.ihook.pytest_runtest_teardown(item=item, nextitem=None)
    finally:
        runner.finish()
    return look.is_there


class Look:
    """The trip of a station whose checks are asked in set-up, and which is not called."""

    has_begun = False

    def __init__(self, item: StationItem) -> None:
        self.is_there = False
        self._item = item

    def set_up(self) -> None:
        self.is_there = not self._item.ask(self._item.station.checks)

    def after_call(self) -> None: ...

    def result(self, ending: Ending) -> Result:
        item = self._item.item
        return Result(key=item.nodeid, name=item.name, title=item.name, word="not reached")

    def finish(self, ending: Ending) -> Result:
        return self.result(ending)

    def note_failure(self, error: str) -> None:
        """Do nothing: nothing is recorded."""
