"""Takes the stations of an audit through steps of which nothing is reported but their findings."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Protocol

import pytest

from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.running.protocol import Runner, Trip
from pytest_choochoo.running.reads import Reads, ReadWatch
from pytest_choochoo.running.settled import tear_down_leftovers
from pytest_choochoo.running.station_item import StationItem
from pytest_choochoo.settings import runs_items

MakeTrip = Callable[[StationItem, Journey], Trip]
#: Takes a station, by its key, on a trip; returns the error that ended that, None if none did.
Take = Callable[[str, MakeTrip], BaseException | None]


class Auditor(Protocol):
    """The part of the command that decides which steps are taken."""

    #: The trip to take next; None where stations are reported.
    next_trip: MakeTrip | None
    watch: ReadWatch

    def go_forward(self, key: str, journey: Journey, take: Take) -> bool:
        """Take the station *key* forward; return whether it was found at fault."""

    def go_backward(self, key: str, journey: Journey, take: Take) -> None:
        """Undo the station *key*, if it was made."""

    def note_error(self, key: str, error: str) -> None:
        """Note that fixtures could not be torn down after the station *key*."""

    def reads_of(self, fixture: pytest.FixtureDef[Any]) -> Reads:
        """Return where the reads of *fixture* are noted."""


class AuditHooks:
    """The hooks that take all stations forward, and each of them backward before its report."""

    def __init__(self, runner: Runner, auditor: Auditor) -> None:
        self._runner = runner
        self._auditor = auditor
        #: The errors of the phases of the step under way.
        self._errors: list[BaseException] = []
        self._last: pytest.Item | None = None

    @pytest.hookimpl(wrapper=True, trylast=True)  # inside of those that show and stop the run
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        option = session.config.option
        if session.testsfailed or not runs_items(session.config):
            return (yield)
        self._go_forward(session)
        limit, option.maxfail = option.maxfail, 0  # whatever is found, the rest is undone as well
        try:
            return (yield)
        finally:
            option.maxfail = limit

    def _go_forward(self, session: pytest.Session) -> None:
        faults, limit = 0, session.config.option.maxfail
        items = {item.nodeid: item for item in session.items}
        for key in self._runner.journey.route.order:
            if key not in items:
                continue
            journey = self._runner.journey
            if self._auditor.go_forward(key, journey, partial(self._take, items)):
                faults += 1
            if session.shouldstop:
                raise session.Interrupted(str(session.shouldstop))
            if limit and faults >= limit:
                return

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        if self._auditor.next_trip is None:  # it is reported in the usual way
            items = {item.nodeid: item}
            take = partial(self._take, items)
            self._auditor.go_backward(item.nodeid, self._runner.journey, take)
            self._move_to(item)
            return None
        assert isinstance(item, pytest.Function)
        self._runner.start(item)
        if not self._fails(item, "setup"):
            self._fails(item, "call")
        self._fails(item, "teardown", nextitem=_sibling(item))
        return True

    def _take(
        self, items: dict[str, pytest.Item], key: str, make_trip: MakeTrip
    ) -> BaseException | None:
        """Take the station *key* through pytest's phases on the trip that *make_trip* returns.

        Raises `Interrupted` instead where the user has stopped the run.
        """
        item = items[key]
        if item.session.shouldstop:
            raise item.session.Interrupted(str(item.session.shouldstop))
        self._move_to(item)
        self._errors.clear()
        self._auditor.next_trip = make_trip
        try:
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        finally:
            self._auditor.next_trip = None
        return self._errors[0] if self._errors else None

    def _fails(self, item: pytest.Item, when: Any, **facts: Any) -> bool:
        """Return whether a phase of *item* raised an error, which its station is told of."""
        hook = getattr(item.ihook, f"pytest_runtest_{when}")
        call = pytest.CallInfo.from_call(
            partial(hook, item=item, **facts),
            when=when,
            reraise=(pytest.exit.Exception, KeyboardInterrupt),
        )
        report = item.ihook.pytest_runtest_makereport(item=item, call=call)
        current = self._runner.current
        assert current is not None and current.station is not None
        current.station.observer.observe(report)
        if call.excinfo is not None:
            self._errors.append(call.excinfo.value)
        return call.excinfo is not None

    def _move_to(self, item: pytest.Item) -> None:
        """Tear down the fixtures of the last item's module that *item* does not share."""
        last, self._last = self._last, item
        if last is None or last.parent is item.parent:
            return
        report = tear_down_leftovers(last, _sibling(item))
        if report is not None:
            self._auditor.note_error(last.nodeid, report.longreprtext.strip().splitlines()[-1])

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        with self._auditor.watch.noting(self._auditor.reads_of(fixturedef)):
            return (yield)


def _sibling(item: pytest.Item) -> pytest.Item:
    """Return an item that shares the fixtures of the module of *item*, and not its own."""
    parent = item.parent
    assert parent is not None
    sibling: pytest.Item = _NextItem.from_parent(parent, name="next step of an audit")
    return sibling


class _NextItem(pytest.Item):
    """An item that is never run: it shares all fixtures with its siblings but their own."""

    def runtest(self) -> None:
        raise NotImplementedError("it only stands for what comes next")
