"""The reports of stations, and the facts that they carry."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
import pytest

from pytest_choochoo.engine.errors import CheckNotAsked, ChoochooError
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.shown import shown, shown_lines
from pytest_choochoo.engine.wording import not_found, why
from pytest_choochoo.settings import SETTINGS


class StationDueWarning(pytest.PytestWarning):
    """A test uses the recorded outcome of a station that is due."""


class CheckWarning(pytest.PytestWarning):
    """A check that only warns does not pass."""


Markup = Mapping[str, bool]

#: The beginning of the names of all properties of ours.
PROPERTY = "choochoo."
#: Set where items that need not be run pass through all phases, since a reporter looks at them.
RUNS_SETTLED = pytest.StashKey[bool]()
#: Set where a plugin may need a report of each phase of such items.
REPORTS_ALL = pytest.StashKey[bool]()

#: The letter of each result that pytest has none for.
LETTERS = {
    "visited": "v",
    "unchanged": "u",
    "verified": "v",
    "audited": ".",
    "adopted": "a",
    "blocked": "b",
    "cleaned": "c",
    "left in place": "l",
}
#: The colour of each result, in the letters, the words and the summary.
COLOURS: dict[str, dict[str, bool]] = {
    "visited": {"green": True, "bold": True},
    "unchanged": {"cyan": True},
    "verified": {"green": True},
    "audited": {"green": True},
    "adopted": {"green": True},
    "failed": {"red": True, "bold": True},
    "blocked": {"purple": True},
    "skipped": {"yellow": True},
    "not reached": {"yellow": True},
    "cleaned": {"green": True, "bold": True},
    "left in place": {"yellow": True},
}


def facts(result: Result) -> dict[str, Any]:
    """Return *result* as plain data, which survives xdist's transport unaided."""
    plain: dict[str, Any] = msgspec.to_builtins(result)
    return plain


def properties(result: Result, profile: str | None) -> list[tuple[str, object]]:
    """Return *result*, in the ledger of *profile*, as JUnit properties; none without a profile."""
    if profile is None:
        return []
    found = [
        ("choochoo.title", result.title),
        ("choochoo.profile", profile),
        ("choochoo.result", result.word),
        ("choochoo.reasons", "; ".join(result.reasons)),
        ("choochoo.upstream", ", ".join(result.upstream)),
        ("choochoo.seconds", f"{result.seconds:.3f}"),
        *((f"choochoo.check.{name}", answer) for name, answer in result.checks.items()),
    ]
    return [(shown(name), shown(value)) for name, value in found]


def put_facts(report: pytest.TestReport, plain: dict[str, Any]) -> None:
    """Put facts on *report*, where every report of a station has them."""
    vars(report)["choochoo"] = plain  # pytest's reports may have more attributes than their type


Location = tuple[str, int | None, str]


def long_text_of_skip(location: Location, result: Result) -> tuple[str, int, str]:
    """Return what pytest shows of an item at *location* that is skipped, with its reason."""
    path, line, _ = location
    return path, (line or 0) + 1, f"Skipped: {shown(why(result))}"


def settled_reports(
    config: pytest.Config, result: Result, location: Location
) -> Iterator[pytest.TestReport]:
    """Yield the reports of an item that was not run.

    A set-up that passed has a report only where a plugin may need it: pytest and xdist do not.
    """
    now = time.time()
    is_blocked = result.word == "blocked"
    plain = facts(result)
    # Only JUnit's report shows them.
    is_shown = config.getoption("xmlpath", None)
    marked = properties(result, config.stash[SETTINGS].profile_for_junit) if is_shown else []
    phases: tuple[Literal["setup", "call", "teardown"], ...] = ("call", "teardown")
    if is_blocked:
        phases = ("setup", "teardown")
    elif REPORTS_ALL in config.stash:
        phases = ("setup", "call", "teardown")
    for when in phases:
        is_skip, is_last = is_blocked and when == "setup", when == "teardown"
        report = pytest.TestReport(
            nodeid=result.key,
            location=location,
            keywords={},
            outcome="skipped" if is_skip else "passed",
            longrepr=long_text_of_skip(location, result) if is_skip else None,
            when=when,
            user_properties=marked if is_last else (),
            start=now,
            stop=now,
        )
        put_facts(report, plain)
        yield report


def _failed_collection(error: BaseException) -> pytest.CallInfo[None]:
    """Return the call of a collector that raised *error*; its class has no public constructor."""

    def work() -> None:
        raise error

    return pytest.CallInfo.from_call(work, when="collect")


def report_collection_error(
    config: pytest.Config,
    text: str,
    nodeid: str = "stations",
    session: pytest.Session | None = None,
) -> None:
    """Report *text* as an error of the collection, which belongs to no file.

    With a *session*, editors hear of it, too: they take errors from `pytest_exception_interact`.
    """
    report = pytest.CollectReport(
        nodeid=nodeid, outcome="failed", longrepr=shown_lines(text), result=[]
    )
    if session is not None:
        # There is nothing to debug in code of ours.
        debugger = config.pluginmanager.get_plugin("pdbinvoke")
        interact = config.pluginmanager.subset_hook_caller(
            "pytest_exception_interact", [] if debugger is None else [debugger]
        )
        call = _failed_collection(pytest.Collector.CollectError(shown_lines(text)))
        interact(node=session, call=call, report=report)
    config.hook.pytest_collectreport(report=report)


def fail(report: pytest.TestReport, error: pytest.TestReport) -> None:
    """Turn *report*, of a teardown, into that of the *error* that came after it."""
    report.outcome, report.longrepr = error.outcome, error.longrepr
    report.sections, report.stop = error.sections, error.stop
    report.duration += error.duration


class MissingStationHint:
    """The hook that explains why a station is missing: its file is *broken*, or it has a fault."""

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
        if isinstance(missing, CheckNotAsked):
            missing = missing.__cause__
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
