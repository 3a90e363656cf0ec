"""`--cc-check`: the checks of all stations run as assertions; nothing is visited or written."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_choochoo import commands, selection
from pytest_choochoo.collection.dependencies import Dependency
from pytest_choochoo.engine.attempt import Ending, decisive
from pytest_choochoo.engine.errors import (
    CheckFailed,
    CheckNotAsked,
    StationDue,
    answers,
    check_line,
)
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.judging.verdict import failed_check
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.running.protocol import Trip
from pytest_choochoo.running.station_item import StationItem
from pytest_choochoo.running.tracebacks import traceback_from
from pytest_choochoo.selection import Selection


class Command(commands.Command):
    """Verifies every selected station, whether its upstream passes or not."""

    def select(self, config: pytest.Config, items: list[pytest.Item]) -> Selection:
        selection.arrange(self.workflow, items)
        return Selection(selected=self.workflow.among(items))

    def trip(self, item: StationItem, journey: Journey) -> Trip:
        return CheckTrip(item, journey, self.judge)

    def before_use(self, dependency: Dependency, item: pytest.Item) -> None:
        # A check runs even if upstream is stale; a test must fail or warn.
        if item.nodeid not in self.workflow.route:
            super().before_use(dependency, item)

    def why_unknown(self, key: str) -> Exception | None:
        # The outcome of a station that returns nothing is known without a record.
        if not self.workflow.outcomes.is_expected(self.workflow.route[key].station):
            return None
        return super().why_unknown(key)


class CheckTrip:
    """A station whose checks are asked in set-up; the call raises what they raised."""

    has_begun = False

    def __init__(self, item: StationItem, journey: Journey, judge: Judge) -> None:
        self._item = item
        self._journey = journey
        self._judge = judge
        self._reasons: tuple[str, ...] = ()
        self._causes: tuple[str, ...] = ()
        self._checks: dict[str, str] = {}

    def set_up(self) -> None:
        """Ask the checks; the call then raises the first error of theirs, or judges the record."""
        item, name = self._item, self._item.item.name
        asked = item.station.all_checks
        answered = item.ask(asked)
        failures = decisive(asked, answered)
        # Without a record there is nothing to compare them with.
        values = item.set_up_values() if self._journey.ledger.record(item.key) else None
        item.strip()  # whatever fixture a check could not get, the call requests none
        visited_now = self._judge.visit_in_words(item.key)
        self._reasons = tuple(failed_check(name, *each, "").text for each in failures.items())
        self._causes = tuple(check_line(*each) for each in failures.items())
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
                self._judge.require_fresh(item.key, values)
            except StationDue as due:
                self._reasons = due.reasons
                self._causes = (f"due: {'; '.join(due.reasons)}",)
                raise
            # Although the visit is expected to fail, the station may well be there.
            item.ignore_xfail()

        item.call(verify)
        item.warn_of({each: answered[each] for each in answered if each not in failures})

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
        return self._journey.result(key, "unchanged", checks=self._checks)

    def finish(self, ending: Ending) -> Result:
        return self._journey.results.share(self.result(ending))

    def note_failure(self, error: str) -> None:
        """Do nothing: a check writes no records."""
