"""What pytest is told of a station: its reports, and our facts on them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import msgspec
import pytest

from pytest_choochoo.engine.attempt import Ending
from pytest_choochoo.engine.errors import ChoochooError, UnusableLedger
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.wording import error_line, not_found, why
from pytest_choochoo.running.protocol import Runner


def facts(result: Result) -> dict[str, Any]:
    """Return *result* as plain data, which survives xdist's transport unaided."""
    plain: dict[str, Any] = msgspec.to_builtins(result)
    return plain


def properties(result: Result) -> list[tuple[str, object]]:
    """Return *result* as JUnit properties."""
    return [
        ("choochoo.result", result.word),
        ("choochoo.reasons", "; ".join(result.reasons)),
        ("choochoo.upstream", ", ".join(result.upstream)),
        ("choochoo.seconds", f"{result.seconds:.3f}"),
    ]


Location = tuple[str, int | None, str]


def report_settled(item: pytest.Item, result: Result, nextitem: pytest.Item | None) -> None:
    """Report an item that was not run, as pytest would report one that was."""
    if result.word == "not reached":
        return
    ihook, location = item.ihook, item.location
    ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=location)
    for report in settled_reports(item.config, result, location):
        report.keywords = {item.name: 1}
        report.user_properties = [*item.user_properties, *report.user_properties]
        if report.when == "teardown" and (nextitem is None or nextitem.parent is not item.parent):
            error = tear_down_what_stays_behind(item, nextitem)
            if error is not None:
                fail(report, error)
        ihook.pytest_runtest_logreport(report=report)
    ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=location)


def settled_reports(
    config: pytest.Config, result: Result, location: Location
) -> Iterator[pytest.TestReport]:
    """Yield the reports of an item that was not run.

    Without one of its set-up where that passed: nobody looks at it.
    """
    is_blocked = result.word == "blocked"
    plain = facts(result)
    # Only JUnit's report has a place for them.
    marked = properties(result) if config.getoption("xmlpath", None) else []
    for when in ("setup", "teardown") if is_blocked else ("call", "teardown"):
        is_skip, is_last = when == "setup", when == "teardown"
        path, line, _ = location
        report = pytest.TestReport(
            nodeid=result.key,
            location=location,
            keywords={},
            outcome="skipped" if is_skip else "passed",
            longrepr=(path, (line or 0) + 1, f"Skipped: {why(result)}") if is_skip else None,
            when=when,
            user_properties=marked if is_last else (),
        )
        report.choochoo = plain  # type: ignore[attr-defined]
        yield report


def tear_down_what_stays_behind(
    item: pytest.Item, nextitem: pytest.Item | None
) -> pytest.TestReport | None:
    """Tear down the fixtures that an earlier item left for *item*, and *nextitem* does not share.

    Pytest does so after each item that it runs, and requires on it. Its hooks for
    that, and for the report which is returned where it fails, are for items which
    were set up, and other plugins rely on that too.
    """

    def tear_down() -> None:
        __tracebackhide__ = True
        item.session._setupstate.teardown_exact(nextitem)

    capture = item.config.pluginmanager.get_plugin("capturemanager")
    with nullcontext() if capture is None else capture.item_capture("teardown", item):
        call = pytest.CallInfo.from_call(
            tear_down, when="teardown", reraise=(pytest.exit.Exception, KeyboardInterrupt)
        )
    return None if call.excinfo is None else pytest.TestReport.from_item_and_call(item, call)


def fail(report: pytest.TestReport, error: pytest.TestReport) -> None:
    """Have *report*, of a teardown, tell of the *error* that came after it."""
    report.outcome, report.longrepr = error.outcome, error.longrepr
    report.sections, report.stop = error.sections, error.stop
    report.duration += error.duration


class ReportObserver:
    """Watches the reports of the station under way, and says how it has ended so far."""

    def __init__(self, line: Runner) -> None:
        self._line = line
        self._errors: dict[str, str] = {}
        #: What was put on the last report: thousands of reports are kept to the end.
        self._last: tuple[Result | None, dict[str, Any]] = (None, {})

    def note(self, call: pytest.CallInfo[Any]) -> None:
        """Keep the error of a phase: a report has it only as long text."""
        self._errors.pop(call.when, None)
        if call.excinfo is not None:
            error = call.excinfo.value
            self._errors[call.when] = error_line(error)
            if isinstance(error, pytest.skip.Exception):
                # Where it is reported as failed, an assertion of a plugin's failed before it.
                self._errors[call.when] = f"a part of it failed before it was skipped: {error}"
            elif isinstance(error, pytest.FixtureLookupError) and not error.msg:
                self._errors[call.when] = f"fixture {error.argname!r} not found"

    def see(self, report: pytest.TestReport) -> None:
        """Take what *report* says into account, and put our facts on it."""
        line = self._line
        if isinstance(report, pytest.SubtestReport):
            if report.failed:
                self._note(Ending(error=self._error(report, "a sub-test failed")))
            return
        # What is tried again has failed until then.
        is_rerun = report.outcome == "rerun"  # type: ignore[comparison-overlap]
        if report.failed or is_rerun:
            self._note(Ending(error=self._error(report, "failed")))
        elif report.skipped:
            self._note(self._skipped(report))
        result = line.result()
        if result != self._last[0]:
            self._last = result, facts(result)
        report.choochoo = self._last[1]  # type: ignore[attr-defined]
        if report.when == "teardown":
            report.user_properties = [*report.user_properties, *properties(result)]

    def _note(self, ending: Ending) -> None:
        """Have the item end so, unless it has failed: what came before or after excuses nothing."""
        known = self._line.ending
        if known.error and not known.skipped:
            has_failed = bool(ending.error) and not ending.skipped
            ending = msgspec.structs.replace(known, and_more=known.and_more or has_failed)
        self._line.ending = ending

    @contextmanager
    def telling(self, item: pytest.Item) -> Iterator[None]:
        """Report *item* as failed, after all, where it could not be recorded how it ended."""
        try:
            yield
        except UnusableLedger as error:
            result = self._line.journey.results[item.nodeid]
            if result.cause == str(error):
                report = pytest.TestReport(
                    nodeid=item.nodeid,
                    location=item.location,
                    keywords={},
                    outcome="failed",
                    longrepr=f"{item.name} is not recorded: {error}",
                    when="teardown",
                )
                report.choochoo = facts(result)  # type: ignore[attr-defined]
                item.ihook.pytest_runtest_logreport(report=report)
            raise

    def _error(self, report: pytest.TestReport, otherwise: str) -> str:
        lines = report.longreprtext.strip().splitlines()
        return self._errors.get(report.when or "") or (lines[-1] if lines else otherwise)

    def _skipped(self, report: pytest.TestReport) -> Ending:
        if hasattr(report, "wasxfail"):
            reason = f"xfail: {report.wasxfail}" if report.wasxfail else "xfail"
            return Ending(error=self._error(report, "failed as expected"), skipped=reason)
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        return Ending(skipped=reason.removeprefix("Skipped: "))


class Missing:
    """The hook that tells who misses a station why: its file is *broken*, or it has a fault."""

    def __init__(
        self, broken: Mapping[pytest.Module, BaseException], faults: Sequence[ChoochooError]
    ) -> None:
        self._broken = broken
        self._faults = faults

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        missing = None if call.excinfo is None else call.excinfo.value
        if isinstance(missing, pytest.FixtureLookupError) and missing.argname and not missing.msg:
            for fault in self._faults:
                if fault.concerns(missing.argname):
                    report.longrepr = str(fault)
                    return report
            above = item.listchain()
            near = {file.nodeid: e for file, e in self._broken.items() if file.parent in above}
            if near:
                report.longrepr = not_found(missing.argname, near)
        return report
