"""`--cc-check`: the checks of all stations run as assertions; nothing is visited or written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from pytest_choochoo import commands, selection
from pytest_choochoo.collection.dependencies import Dependency
from pytest_choochoo.engine.attempt import Ending, Find, decisive
from pytest_choochoo.engine.errors import (
    CheckFailed,
    CheckNotAsked,
    NoRecord,
    NothingFound,
    StationDue,
    answers,
    check_line,
)
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.judging.verdict import failed_check
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.wording import NOTHING_TO_VERIFY_BY
from pytest_choochoo.running.protocol import Trip
from pytest_choochoo.running.station_item import StationItem
from pytest_choochoo.running.tracebacks import traceback_from
from pytest_choochoo.selection import Selection, Workflow


class Command(commands.Command):
    """Verifies every selected station, whether its upstream passes or not."""

    finds = True

    def __init__(self, workflow: Workflow, judge: Judge) -> None:
        super().__init__(workflow, judge)
        #: Whether the find of each station that was asked returned anything.
        self._found: dict[str, bool] = {}

    def select(self, config: pytest.Config, items: list[pytest.Item]) -> Selection:
        selection.arrange(self.workflow, items)
        return Selection(selected=self.workflow.among(items))

    def trip(self, item: StationItem, journey: Journey) -> Trip:
        return CheckTrip(item, journey, self)

    def to_find(self, items: Sequence[pytest.Item]) -> Iterator[pytest.Function]:
        """Yield the stations to be found before *items* are run, which need their outcomes.

        A station that is run in this process is found when its turn comes, which is before its
        consumers'. Workers do not know beforehand which items they run.
        """
        route, registry = self.workflow.route, self.workflow.registry
        is_worker = self.workflow.settings.process.is_worker
        own = frozenset() if is_worker else {item.nodeid for item in items}
        upstream_of = self.workflow.dependencies.upstream_of
        needed = route.closure({key for item in items for key in upstream_of(item)}, route.upstream)
        for key in route.order:
            has_find = route[key].station.find_function is not None
            if key in needed and key not in own and has_find:
                if not self.workflow.outcomes.is_known(key):
                    yield registry.items[key]

    def find(self, key: str, journey: Journey, find: Find) -> bool:
        """Keep what *find* returns as the outcome of *key*; return whether anything is there."""
        if key not in self._found:
            self._found[key] = journey.find_outcome(key, find)
        return self._found[key]

    def before_use(self, dependency: Dependency, item: pytest.Item) -> None:
        # A check runs even if upstream is stale; a test must fail or warn.
        if item.nodeid in self.workflow.route:
            return
        try:
            super().before_use(dependency, item)
        except NoRecord:
            # A found outcome needs no record, and neither does a station that returns nothing.
            for key in dependency.keys:
                error = self.why_unknown(key)
                if error is not None and self.workflow.outcomes.find(key) is None:
                    raise error from None

    def why_unknown(self, key: str) -> Exception | None:
        # The outcome of a station that returns nothing is known without a record.
        if not self.workflow.outcomes.is_expected(self.workflow.route[key].station):
            return None
        if self._found.get(key) is False:
            return NothingFound(self.workflow.route[key].name)
        return super().why_unknown(key)


class CheckTrip:
    """A station whose checks are asked in set-up; the call raises what they raised."""

    has_begun = False

    def __init__(self, item: StationItem, journey: Journey, command: Command) -> None:
        self._item = item
        self._journey = journey
        self._command = command
        self._judge = command.judge
        self._reasons: tuple[str, ...] = ()
        self._causes: tuple[str, ...] = ()
        self._checks: dict[str, str] = {}

    def set_up(self) -> None:
        """Ask the find and the checks; the call raises the first error, or judges the record."""
        item, name, station = self._item, self._item.item.name, self._item.station
        self._skip_where_nothing_verifies()
        is_missing = self._is_missing()
        asked = station.all_checks
        answered = item.ask(asked)
        failures = decisive(asked, answered)
        # Without a record there is nothing to compare them with.
        values = item.set_up_values() if self._journey.ledger.record(item.key) else None
        item.strip()  # whatever fixture a check could not get, the call requests none
        visited_now = self._judge.visit_in_words(item.key)
        missing = ("its find finds nothing",) if is_missing else ()
        drift = (failed_check(name, *each, "").text for each in failures.items())
        self._reasons = (*missing, *drift)
        self._causes = (*missing, *(check_line(*each) for each in failures.items()))
        self._checks = answers((check.name for check in asked), answered)
        for each, error in failures.items():
            says_so = isinstance(error, CheckFailed | CheckNotAsked)
            subject = "" if says_so else f"check {each!r} of station {name!r} does not pass"
            if subject or visited_now:
                error.add_note("; ".join(filter(None, (subject, visited_now))))

        async def verify() -> None:
            __tracebackhide__ = True
            for check in asked:
                if check.name in failures:
                    error = failures[check.name]
                    raise error.with_traceback(traceback_from(check.function, error))
            try:
                if is_missing:
                    raise NothingFound(name)
                self._judge.require_fresh(item.key, values)
            except StationDue as due:
                self._reasons = due.reasons
                self._causes = (f"due: {'; '.join(due.reasons)}",)
                raise
            # Although the visit is expected to fail, the station may well be there.
            item.ignore_xfail()

        item.call(verify)
        item.warn_of({each: answered[each] for each in answered if each not in failures})

    def _skip_where_nothing_verifies(self) -> None:
        """Skip a station that has neither a record nor a check nor a find."""
        key, station = self._item.key, self._item.station
        if not (self._judge.has_record(key) or station.checks or station.find_function):
            why = self._judge.why_incomplete(key)
            here = " here" if why == "never visited" else ""
            pytest.skip(f"{NOTHING_TO_VERIFY_BY}{why}{here}, no check")

    def _is_missing(self) -> bool:
        """Return whether the outcome is unknown, and the station's find finds nothing."""
        item, outcomes = self._item, self._journey.outcomes
        if item.station.find_function is None or outcomes.is_known(item.key):
            return False
        return not self._command.find(item.key, self._journey, item.find)

    def after_call(self) -> None: ...

    def result(self, ending: Ending) -> Result:
        key = self._item.key
        facts: dict[str, Any] = {"reasons": self._reasons, "checks": self._checks}
        if ending.skipped:
            return self._journey.result(key, "skipped", cause=ending.skipped, **facts)
        if ending.is_interrupted:
            return self._journey.result(key, "not reached", cause=ending.error)
        if ending.error:
            cause = "; ".join(self._causes) or ending.error
            return self._journey.result(key, "failed", cause=cause, **facts)
        return self._journey.result(key, "verified", checks=self._checks)

    def finish(self, ending: Ending) -> Result:
        return self._journey.results.share(self.result(ending))

    def note_failure(self, error: str) -> None:
        """Do nothing: a check writes no records."""
