"""Asks the checks or the finds of stations that are not run; nothing is reported."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from functools import partial

import pytest

from pytest_choochoo.engine.attempt import Ending, Find
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.running.protocol import Runner
from pytest_choochoo.running.station_item import StationItem
from pytest_choochoo.settings import runs_items


class LookHooks:
    """The hook that asks finds and checks of *items*, and calls *tell* with those that are there.

    *keep* asks a find, and keeps what it returns.
    """

    def __init__(
        self,
        runner: Runner,
        items: Sequence[pytest.Function],
        keep: Callable[[str, Find], bool],
        tell: Callable[[Sequence[str]], None],
    ) -> None:
        self._runner = runner
        self._items = items
        self._look = partial(Look, keep=keep)
        self._tell = tell

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        answer = yield
        if runs_items(session.config) and not session.shouldstop:
            found = [item.nodeid for item in self._items if _look(self._runner, item, self._look)]
            if found:
                self._tell(found)
        return answer


class FindHooks:
    """The hook that asks the finds of the stations that *to_find* returns, before any item.

    *keep* asks a find, and keeps what it returns.
    """

    def __init__(
        self,
        runner: Runner,
        to_find: Callable[[Sequence[pytest.Item]], Iterable[pytest.Function]],
        keep: Callable[[str, Find], bool],
    ) -> None:
        self._runner = runner
        self._to_find = to_find
        self._keep = keep

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        if runs_items(session.config) and not session.shouldstop:
            for item in self._to_find(session.items):
                _look(self._runner, item, partial(FindLook, keep=self._keep))
        return (yield)


def _look(runner: Runner, item: pytest.Function, look: Callable[[StationItem], Look]) -> bool:
    """Return whether *look* finds the station *item*; what cannot be asked finds nothing."""
    runner.start(item)
    assert runner.current is not None and runner.current.station is not None
    station = runner.current.station
    made = station.trip = look(station.item)
    try:
        with suppress(Exception, pytest.skip.Exception):
            item.ihook.pytest_runtest_setup(item=item)
        with suppress(Exception, pytest.skip.Exception):
            item.ihook.pytest_runtest_teardown(item=item, nextitem=None)
    finally:
        runner.finish()
    return made.is_there


class Look:
    """The trip of a station whose find and checks are asked in set-up, and which is not called.

    *keep* asks the find, and keeps what it returns.
    """

    has_begun = False

    def __init__(self, item: StationItem, keep: Callable[[str, Find], bool]) -> None:
        self.is_there = False
        self._item = item
        self._keep = keep

    def set_up(self) -> None:
        item, station = self._item, self._item.station
        is_found = station.find_function is not None and self._keep(item.key, item.find)
        self.is_there = not item.ask(station.checks) if station.checks else is_found

    def after_call(self) -> None: ...

    def result(self, ending: Ending) -> Result:
        item = self._item.item
        return Result(key=item.nodeid, name=item.name, title=item.name, word="not reached")

    def finish(self, ending: Ending) -> Result:
        return self.result(ending)

    def note_failure(self, error: str) -> None:
        """Do nothing: nothing is recorded."""


class FindLook(Look):
    """The trip of a station whose find alone is asked in set-up."""

    def set_up(self) -> None:
        self.is_there = self._keep(self._item.key, self._item.find)
