"""Observes the reports of the station under way, to know how it has ended so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from pytest_choochoo.engine.attempt import Ending
from pytest_choochoo.engine.errors import HookFailed, UnusableLedger, error_line, shortened
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.results import Results
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.reporting.reports import facts, properties, put_facts


class ReportObserver:
    """Observes the reports of one item, and puts the facts of its station on them.

    *result* is called with how the item has ended so far, and returns the station's result.
    """

    def __init__(self, result: Callable[[Ending], Result], profile: str | None) -> None:
        self.ending = Ending()
        self._result = result
        self._profile = profile
        self._errors: dict[str, str] = {}
        #: The facts of the last report, shared: thousands of reports are kept to the end.
        self._last: tuple[Result | None, dict[str, Any]] = (None, {})

    def start_again(self) -> None:
        """Forget how the item has ended: its set-up begins, perhaps once more."""
        self.ending = Ending()

    def note_interrupt(self, error: str) -> None:
        """Note that the run ends in the middle of the item, which may have failed before."""
        known = self.ending
        if known.error and not known.skipped:  # the user leaves the debugger, for example
            self.ending = msgspec.structs.replace(known, and_more=True)
        else:
            self.ending = Ending(error=error, is_interrupted=True)

    def note_call(self, call: pytest.CallInfo[Any]) -> None:
        """Keep the error of a phase, of which a report has only the long text."""
        self._errors.pop(call.when, None)
        if call.excinfo is not None:
            self._errors[call.when] = _error_of(call.excinfo.value)

    def observe(self, report: pytest.TestReport) -> None:
        """Take *report* into account, and put the facts of the station on it."""
        if isinstance(report, pytest.SubtestReport):
            if report.failed:
                self._note(Ending(error=self._error(report, "a sub-test failed")))
            return
        # Until a rerun passes, the item has failed.
        is_rerun = str(report.outcome) == "rerun"  # an outcome of pytest-rerunfailures
        if report.failed or is_rerun:
            self._note(Ending(error=self._error(report, "failed")))
        elif report.skipped:
            self._note(self._skipped(report))
        result = self._result(self.ending)
        if result != self._last[0]:
            self._last = result, facts(result)
        put_facts(report, self._last[1])
        if report.when == "teardown":
            self.ending = msgspec.structs.replace(self.ending, output=_output(report))
            report.user_properties = [*report.user_properties, *properties(result, self._profile)]

    def _note(self, ending: Ending) -> None:
        """Set the *ending* of the item, unless it has failed: nothing excuses a failure."""
        known = self.ending
        if known.error and not known.skipped:
            has_failed = bool(ending.error) and not ending.skipped
            ending = msgspec.structs.replace(known, and_more=known.and_more or has_failed)
        self.ending = ending

    def _error(self, report: pytest.TestReport, otherwise: str) -> str:
        lines = report.longreprtext.strip().splitlines()
        known = self._errors.get(report.when or "")
        return known or (shortened(lines[-1]) if lines else otherwise)

    def _skipped(self, report: pytest.TestReport) -> Ending:
        if hasattr(report, "wasxfail"):
            reason = f"xfail: {shortened(report.wasxfail)}" if report.wasxfail else "xfail"
            return Ending(error=self._error(report, "failed as expected"), skipped=reason)
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        return Ending(skipped=shortened(reason.removeprefix("Skipped: ")))


def _output(report: pytest.TestReport) -> str:
    """Return what was captured of all phases, each part below its name."""
    parts = (
        f"--- {name.removeprefix('Captured ')} ---\n{text.rstrip()}\n"
        for name, text in report.sections
        if name.startswith("Captured ") and text.strip()
    )
    return "".join(parts)


def _error_of(error: BaseException) -> str:
    if isinstance(error, pytest.skip.Exception):
        # If a skip is reported as failed, a soft assertion of a plugin failed before it.
        return f"a part of it failed before it was skipped: {shortened(str(error))}"
    if isinstance(error, pytest.FixtureLookupError) and not error.msg:
        return f"fixture {error.argname!r} not found"
    return error_line(error)


@contextmanager
def failing_at_last(item: pytest.Item, results: Results) -> Iterator[None]:
    """Report *item* as failed after all, if its result could not be recorded, or a hook failed."""
    try:
        yield
    except UnusableLedger as error:
        if results[item.nodeid].cause == str(error):
            _report_failure(item, results, f"{item.name} is not recorded: {error}")
        raise
    except HookFailed as error:  # the result is recorded, and stands
        _report_failure(item, results, str(error))


def _report_failure(item: pytest.Item, results: Results, text: str) -> None:
    report = pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome="failed",
        longrepr=shown(text),
        when="teardown",
    )
    put_facts(report, facts(results[item.nodeid]))
    item.ihook.pytest_runtest_logreport(report=report)
