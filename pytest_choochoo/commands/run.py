"""`--cc-run` and `--cc-replay`: visit the stations that are due, then run the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_choochoo import commands, selection
from pytest_choochoo.collection.dependencies import Dependency
from pytest_choochoo.collection.functions import VisitCall
from pytest_choochoo.engine.attempt import Attempt, Ending, NotReached, Settled
from pytest_choochoo.engine.errors import NoRecord, NotSetUp, NotWaitedFor, StationDue
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.results import RunStopped
from pytest_choochoo.running.hook_calls import call_hook
from pytest_choochoo.running.protocol import Trip, result_of_item
from pytest_choochoo.selection import Selection

if TYPE_CHECKING:
    from pytest_choochoo.running.station_item import StationItem

# Pytest evaluates these marks before anything else, so an item that has one is always run.
_MARKS_OF_PYTEST = frozenset({"skip", "skipif", "xfail"})


class Command(commands.Command):
    """Visits every selected station that is due, and runs the tests after them."""

    settles_early = True

    def select(self, config: pytest.Config, items: list[pytest.Item]) -> Selection:
        return selection.select_to_run(self.workflow, self.judge, items)

    def settle(self, item: pytest.Item, journey: Journey) -> Result | None:
        key = item.nodeid
        if key not in journey.route:
            return self._settle_test(item, journey)
        result = journey.settle(key)
        if result is not None and result.is_complete:
            if any(mark.name in _MARKS_OF_PYTEST for mark in item.iter_markers()):
                return None
        return result

    def _settle_test(self, item: pytest.Item, journey: Journey) -> Result | None:
        keys = self.workflow.dependencies.upstream_of(item)
        try:
            blocked = journey.blocked(keys) if keys else None
        except RunStopped:
            return result_of_item(journey, item, "not reached")
        return result_of_item(journey, item, "blocked", by=blocked.by) if blocked else None

    def trip(self, item: StationItem, journey: Journey) -> Trip:
        return VisitTrip(item, journey, self.workflow.registry.call)

    def before_use(self, dependency: Dependency, item: pytest.Item) -> None:
        """Warn of outcomes that are due, and that *item* requests only while it is run.

        The stations that its parameters name have been judged before.
        """
        known = self.workflow.dependencies.upstream_of(item)
        route = self.workflow.route
        for key in dependency.keys:
            if key in known or key in route.upstream.get(item.nodeid, ()):
                continue
            try:
                reasons = self.judge.why_stale(key, may_change=True)
            except NoRecord as missing:
                raise NotWaitedFor(missing.name, missing.cause) from None
            if reasons:
                due = StationDue(route[key].name, reasons)
                way_out = "request it as a parameter, so that it is visited first"
                commands.warn_once(item, key, f"{due}; its recorded outcome is used; {way_out}")

    def why_unknown(self, key: str) -> Exception | None:
        name, cause = self.workflow.route[key].name, self.judge.why_incomplete(key)
        if self.workflow.settings.only_sets_up:
            return NotSetUp(name, cause)
        return NotWaitedFor(name, cause)


class VisitTrip:
    """A station that is judged in set-up, visited when called, and recorded after its protocol."""

    def __init__(self, item: StationItem, journey: Journey, call: VisitCall) -> None:
        self._item = item
        self._journey = journey
        self._call = call
        self._attempt = Attempt(item.key)

    @property
    def has_begun(self) -> bool:
        return self._attempt.has_begun

    def set_up(self) -> None:
        """Judge the station, its checks included; set up its fixtures if it must be visited."""
        item, attempt = self._item, self._attempt
        self._journey.raise_hook_error(item.key)
        self._journey.begin(attempt, item.set_up_values(), item.ask, item.find)
        if isinstance(attempt.stage, NotReached):
            pytest.skip("the run was stopped before it was reached")
        if isinstance(attempt.stage, Settled):
            item.ignore_xfail()
            item.call_nothing()
            return
        item.reasons = attempt.stage.reasons
        config, name = item.item.config, "pytest_choochoo_visit_started"
        call_hook(config, name, node_id=item.key, reasons=item.reasons)
        item.set_up(item.names)
        item.item.obj = item.function

    def after_call(self) -> None:
        """Keep what the visit returned, and ask the checks again."""
        if self._attempt.has_begun:
            entered = self._call.pop_entered()
            value = self._call.pop()
            failures = self._journey.complete(self._attempt, value, self._item.ask, entered)
            self._item.warn_of(failures)

    def result(self, ending: Ending) -> Result:
        return self._journey.so_far(self._attempt, ending)

    def finish(self, ending: Ending) -> Result:
        was_visited = self._attempt.has_begun
        result = self._journey.finish(self._attempt, ending)
        if was_visited:
            config, name = self._item.item.config, "pytest_choochoo_visit_finished"
            call_hook(config, name, node_id=self._item.key, result=result)
        return result

    def note_failure(self, error: str) -> None:
        self._journey.note_failure(self._attempt, error)
