"""`--cc-clean`: undo the stations, downstream first, and forget them."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

from pytest_choochoo import commands, selection
from pytest_choochoo.collection.dependencies import Dependency
from pytest_choochoo.collection.functions import is_coroutine
from pytest_choochoo.engine.attempt import Ending
from pytest_choochoo.engine.errors import CheckNotAsked, StillThere
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.ledger.protocol import HeldLock
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.running.protocol import Trip
from pytest_choochoo.running.station_item import StationItem
from pytest_choochoo.selection import Selection, Workflow


class Command(commands.Command):
    """Cleans the selected stations and their downstream."""

    succeeds_without_items = True

    def __init__(self, workflow: Workflow, judge: Judge) -> None:
        super().__init__(workflow, judge)
        #: The stations that must stay, each with the names of those downstream that did.
        self._kept: dict[str, dict[str, None]] = {}

    def select(self, config: pytest.Config, items: list[pytest.Item]) -> Selection:
        selection.select_to_clean(self.workflow, config, items)
        return Selection(selected=self.workflow.among(items))

    def settle(self, item: pytest.Item, journey: Journey) -> Result | None:
        """Return the result of a station that must stay because something downstream stays."""
        by = self._kept.get(item.nodeid)
        return journey.result(item.nodeid, "blocked", by=tuple(by)) if by else None

    def trip(self, item: StationItem, journey: Journey) -> Trip:
        return CleanTrip(item, journey, self._keep_upstream)

    def _keep_upstream(self, result: Result) -> None:
        upstream = self.workflow.route.upstream
        for kept in self.workflow.route.closure(upstream[result.key], upstream):
            self._kept.setdefault(kept, {})[result.name] = None

    def before_use(self, dependency: Dependency, item: pytest.Item) -> None:
        """Do nothing: a clean may follow a visit that was never completed."""

    def why_unknown(self, key: str) -> Exception | None:
        return None


class CleanTrip:
    """A station whose clean is called, and whose checks must then fail."""

    has_begun = False

    def __init__(
        self, item: StationItem, journey: Journey, keep_upstream: Callable[[Result], None]
    ) -> None:
        self._item = item
        self._journey = journey
        self._keep_upstream = keep_upstream
        self._lock: HeldLock | None = None
        item.ignore_xfail()

    def set_up(self) -> None:
        item, function = self._item, self._item.station.clean_function
        if self._lock is None:  # another plugin may rerun the item
            self._lock = self._journey.lock(item.key)  # a station being visited is not cleaned
        if function is None or not self._journey.ledger.has_traces(item.key):
            item.call_nothing()
            return
        item.set_up_for(function)
        arguments = item.arguments(function)

        async def clean() -> None:
            __tracebackhide__ = True
            answer = function(**arguments)
            if inspect.isawaitable(answer):
                await answer

        item.call(clean, awaits=is_coroutine(function))

    def after_call(self) -> None:
        """Ask the checks of the station, of which none may pass any more."""
        item = self._item
        if item.station.clean_function is None:
            return
        failures = item.ask(item.station.checks)
        for error in failures.values():
            if isinstance(error, CheckNotAsked):
                raise error
        for check in item.station.checks:
            if check.name not in failures or check.name in item.broken_teardowns:
                raise StillThere(item.item.name, check.name)

    def result(self, ending: Ending) -> Result:
        key = self._item.key
        if ending.skipped:
            return self._journey.result(key, "skipped", cause=ending.skipped)
        if ending.error:
            return self._journey.result(key, "failed", cause=ending.error)
        has_clean = self._item.station.clean_function is not None
        return self._journey.result(key, "cleaned" if has_clean else "left in place")

    def finish(self, ending: Ending) -> Result:
        result = self._journey.results.share(self.result(ending))
        try:
            if result.word in {"cleaned", "left in place"}:
                self._journey.ledger.forget(result.key, resources=result.word == "cleaned")
            else:
                self._keep_upstream(result)
        finally:
            if self._lock is not None:
                self._lock.release()
        return result

    def note_failure(self, error: str) -> None:
        """Do nothing: the next clean continues where this one ended."""
