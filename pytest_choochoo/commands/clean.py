"""`--cc-clean`: undo the stations, downstream first, and forget them."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Iterator, Sequence
from functools import partial

import pytest

from pytest_choochoo import commands, selection
from pytest_choochoo.collection.dependencies import Dependency
from pytest_choochoo.collection.functions import is_coroutine
from pytest_choochoo.engine.attempt import Ending, Find, mistakes
from pytest_choochoo.engine.errors import ProtectedStation, StillThere
from pytest_choochoo.engine.graph import reachable
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.ledger.protocol import HeldLock
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.running.protocol import Trip
from pytest_choochoo.running.station_item import StationItem
from pytest_choochoo.selection import Selection, Workflow

NOT_THERE = "not made here, and its checks do not pass"
NOT_FOUND = "not made here, and its find finds nothing"


class Command(commands.Command):
    """Cleans the selected stations and their downstream."""

    succeeds_without_items = True

    def __init__(self, workflow: Workflow, judge: Judge) -> None:
        super().__init__(workflow, judge)
        #: The stations that must stay, each with the names of those downstream that did.
        self._kept: dict[str, dict[str, None]] = {}
        self._cleaned: set[str] = set()
        #: The stations that were not made here; their checks or finds say whether they are there.
        self.unmade: frozenset[str] = frozenset()
        self._protected: frozenset[str] = frozenset()

    def select(self, config: pytest.Config, items: list[pytest.Item]) -> Selection:
        workflow, settings = self.workflow, self.workflow.settings
        workflow.outcomes.for_cleans = True
        unprotected = workflow.named("--cc-unprotect", settings.unprotect)
        # The clean of a redo is about the stations that it names.
        named = workflow.named("--cc-redo", settings.named) if settings.named else None
        found = selection.select_to_clean(workflow, config, items, unprotected, named)
        self.unmade, self.finds = found.unmade, bool(found.unmade)
        self.protect(found.protected)
        return found

    def to_find(self, items: Sequence[pytest.Item]) -> Iterator[pytest.Function]:
        """Yield the stations whose outcomes say whether those not made here are there."""
        route, registry = self.workflow.route, self.workflow.registry
        needed = route.closure(self.unmade, route.upstream)
        for key in route.order:
            has_find = route[key].station.find_function is not None
            if key in needed and has_find and not self.workflow.outcomes.is_known(key):
                yield registry.items[key]

    def find(self, key: str, journey: Journey, find: Find) -> bool:
        return journey.find_outcome(key, find)

    def protect(self, keys: frozenset[str]) -> None:
        """Let none of the stations *keys* be cleaned."""
        self._protected = keys

    def kept_by(self, key: str) -> tuple[str, ...]:
        """Return the names of the stations downstream because of which *key* must stay."""
        return tuple(self._kept.get(key, ()))

    def settle(self, item: pytest.Item, journey: Journey) -> Result | None:
        """Return the result of a station that must stay because something downstream stays."""
        by = self.kept_by(item.nodeid)
        return journey.result(item.nodeid, "blocked", by=by) if by else None

    def trip(self, item: StationItem, journey: Journey) -> Trip:
        return CleanTrip(item, journey, self)

    def protection(self, key: str) -> ProtectedStation | None:
        """Return the error of a station that must not be cleaned, None if *key* may be."""
        if key not in self._protected:
            return None
        route = self.workflow.route
        [label] = route.labels([key])
        return ProtectedStation(route.name(key), shlex.quote(label))

    def note_clean(self, key: str) -> None:
        """Note that *key* is about to be forgotten; checks downstream still receive its outcome."""
        outcomes = self.workflow.outcomes
        outcomes.keep(key, outcomes.find(key))
        self._cleaned.add(key)

    def cleaned_upstream(self, key: str) -> tuple[str, ...]:
        """Return the names of the nearest stations upstream of *key* that were cleaned."""
        route, cleaned = self.workflow.route, self._cleaned
        # In reverse, as the last one found is followed first.
        above = reachable(
            reversed(route.upstream[key]),
            lambda each: () if each in cleaned else reversed(route.upstream[each]),
        )
        return tuple(dict.fromkeys(route.name(each) for each in above if each in cleaned))

    def keep_upstream(self, result: Result) -> None:
        """Let what is upstream of a station that was not cleaned stay."""
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

    def __init__(self, item: StationItem, journey: Journey, command: Command) -> None:
        self._item = item
        self._journey = journey
        self._command = command
        #: The stations upstream with which one without a clean has gone.
        self._gone_with: tuple[str, ...] = ()
        self._is_absent = False
        self._lock: HeldLock | None = None
        item.ignore_xfail()

    def set_up(self) -> None:
        item, function = self._item, self._item.station.clean_function
        if self._lock is None:  # another plugin may rerun the item
            self._lock = self._journey.lock(item.key)  # a station being visited is not cleaned
        is_unmade = item.key in self._command.unmade
        if is_unmade:
            self._skip_where_absent()
        protection = self._command.protection(item.key)
        if protection is not None:
            item.call(partial(_refuse, protection))
            return
        if function is None or not (is_unmade or self._journey.ledger.has_traces(item.key)):
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

    def _skip_where_absent(self) -> None:
        """Skip the station, which was not made here, unless its checks, or its find, see it."""
        item, self._is_absent = self._item, True
        if item.ask(item.station.checks):
            pytest.skip(NOT_THERE)
        if not item.station.checks and self._journey.outcomes.find(item.key) is None:
            pytest.skip(NOT_FOUND)
        self._is_absent = False

    def after_call(self) -> None:
        """Ask the checks of the station; none of them may pass any more.

        Without a clean, they say whether it has gone with a station upstream that was cleaned.
        """
        item = self._item
        if item.station.clean_function is None:
            cleaned = self._command.cleaned_upstream(item.key)
            if cleaned and item.ask(item.station.checks):
                self._gone_with = cleaned
            return
        failures = item.ask(item.station.checks)
        for mistake in mistakes(failures):
            raise mistake
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
        if has_clean or self._gone_with:
            return self._journey.result(key, "cleaned", by=self._gone_with)
        return self._journey.result(key, "left in place")

    def finish(self, ending: Ending) -> Result:
        result = self._journey.results.share(self.result(ending))
        try:
            if result.word == "cleaned" or result.word == "left in place":
                if result.word == "cleaned":
                    self._command.note_clean(result.key)
                self._journey.ledger.forget(result.key, result.word)
            elif not self._is_absent:
                self._command.keep_upstream(result)
        finally:
            if self._lock is not None:
                self._lock.release()
        return result

    def note_failure(self, error: str) -> None:
        """Do nothing: the next clean continues where this one ended."""


async def _refuse(protection: ProtectedStation) -> None:
    __tracebackhide__ = True
    raise protection
