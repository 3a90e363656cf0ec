"""The terminal output: words and letters of results, reasons, the closing lines."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from copy import copy
from types import SimpleNamespace
from typing import Any, Protocol

import msgspec
import pytest

from pytest_choochoo.engine import clock, wording
from pytest_choochoo.engine.errors import UnusableLedger
from pytest_choochoo.engine.graph import reachable
from pytest_choochoo.engine.ledger.protocol import History, Ledger
from pytest_choochoo.engine.ledger.record import PastRun, Result
from pytest_choochoo.engine.route import StationInfo
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.reporting.notices import notify
from pytest_choochoo.reporting.reports import COLOURS, LETTERS, Markup
from pytest_choochoo.settings import Settings, pytest_option, runs_items, standing_mode

# In verbose output: the columns right of a result, and those that xdist puts before it.
_PROGRESS, _WORKER = len(" [100%]"), len("[gw10] [100%] ")


class RunFacts(Protocol):
    """The facts about a run that the terminal shows, whichever process it takes place in."""

    @property
    def header(self) -> Sequence[str]:
        """The lines that say what the selection came to."""

    @property
    def stations(self) -> Sequence[StationInfo]:
        """The stations that are to be run, in running order."""

    @property
    def ledger(self) -> History | None:
        """The ledger in which the run is noted, None where the run is not."""

    @property
    def open_ledger(self) -> Ledger | None:
        """The ledger that this process has open until it ends, None where it has none."""

    @property
    def durations(self) -> Mapping[str, float]:
        """The seconds that the last visit of each station took, by key, where they are known."""

    @property
    def workers(self) -> int:
        """The number of processes that run items."""

    def unreported(self, station: StationInfo) -> Result | None:
        """Return the result of a *station* without reports; None if it was not reached."""


#: Set if there is a run, by its session or by xdist's controller.
RUN_FACTS = pytest.StashKey[RunFacts]()


class Terminal:
    """The hooks that speak to the user, in the process that has the terminal."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._began = clock.monotonic()
        self._facts: dict[str, dict[str, Any]] = {}
        self._results: tuple[Result, ...] = ()
        self._has_run = False
        self._has_run_tests = False
        self._is_over = False
        #: The reports of failures with their errors, while pytest's short summary has none.
        self._whole: dict[str, list[Any]] = {}

    @property
    def results(self) -> tuple[Result, ...]:
        """The results of the stations, once the session is over."""
        return self._results

    def pytest_report_header(self, config: pytest.Config) -> str | None:
        found = standing_mode(config)
        return None if found is None else "choochoo: {} (from {})".format(*found)

    def pytest_report_collectionfinish(self) -> list[str]:
        run = self._config.stash.get(RUN_FACTS, None)
        is_shown = run is not None and self._settings.verbosity >= -1
        return [*map(shown, run.header)] if run is not None and is_shown else []

    # As a wrapper, since others may work, and stop, before the first item.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        self._has_run = runs_items(self._config)
        return (yield)

    def pytest_report_teststatus(
        self, report: pytest.TestReport, config: pytest.Config
    ) -> tuple[str, str, str | tuple[str, Mapping[str, bool]]] | None:
        facts = getattr(report, "choochoo", None)
        if facts is None or (report.passed and report.when != "call"):
            return None
        is_verbose = config.get_verbosity() > 0 and not self._is_over
        if report.failed:
            return self._status_of_failure(report, facts["reasons"] if is_verbose else ())
        name = facts["result"]
        # The summary groups skipped items under the word of the first of them.
        is_skip = report.skipped and self._is_over
        if name not in LETTERS or hasattr(report, "wasxfail") or is_skip:
            return None
        # Pytest itself puts the reason beside an item that it runs and skips.
        is_told = report.skipped and not hasattr(report, "node")
        reason = wording.why(msgspec.convert(facts, Result)) if is_verbose and not is_told else ""
        word = self._word(report, name, reason)
        return report.outcome, LETTERS[name], (word, COLOURS[name])

    def _word(self, report: pytest.TestReport, name: str, reason: str) -> str:
        """Return the result *name* as a word, with its *reason*, wrapped on a terminal."""
        if not reason:
            return name.upper()
        word, columns = f"{name.upper()} ({shown(reason)})", self._columns()
        if not columns:
            return word
        from pytest_choochoo.reporting.painting import wrapped

        is_of_worker = hasattr(report, "node")
        used = _WORKER if is_of_worker else len(f"{report.nodeid} ")
        return wrapped(word, columns if is_of_worker else columns - _PROGRESS - 1, used=used)

    def _columns(self) -> int:
        """Return the width of the terminal, 0 where the output goes elsewhere."""
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or not getattr(reporter, "isatty", False):
            return 0
        return self._config.get_terminal_writer().fullwidth

    def _status_of_failure(
        self, report: pytest.TestReport, reasons: Sequence[str]
    ) -> tuple[str, str, tuple[str, Mapping[str, bool]]] | None:
        """Show beside a failure why the station was visited; pytest shows its error below."""
        mode = self._settings.mode
        if not reasons or not (mode.visits or mode.name == "check"):
            return None
        is_error = report.when in {"setup", "teardown"}
        category, letter = ("error", "E") if is_error else ("failed", "F")
        word = self._word(report, category, "; ".join(reasons))
        return category, letter, (word, {"red": True})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        facts = getattr(report, "choochoo", None)
        is_early = report.when == "setup" and report.passed
        if facts is None and report.when == "call":
            self._has_run_tests = True
        if facts is None or is_early:  # the visit has yet to begin
            return
        key = report.nodeid
        known = self._facts.get(key)
        # With --keep-duplicates a station runs twice, and the second time nothing is left to do.
        if known is None or (known["result"], facts["result"]) != ("visited", "unchanged"):
            self._facts[key] = facts

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._is_over = True
        self._results = self._all_results()
        self._remember_blocked()
        self._note_run(exitstatus)
        if self._settings.mode.name == "check":
            self._fold_failures()
        is_good = exitstatus == pytest.ExitCode.OK
        if is_good and self._has_run and self._has_looked_at_nothing():
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED

    def _has_looked_at_nothing(self) -> bool:
        """Return whether nothing could be said of any station, though the command is to say it.

        All stations of a check were skipped as nothing can verify them, and no test ran; or none
        of an audit was examined.
        """
        results, mode = self._results, self._settings.mode
        if mode.name == "audit":
            words = {result.word for result in results}
            return bool(words) and words.isdisjoint({"audited", "failed", "left in place"})
        if mode.name != "check":
            return False
        causes = [result.cause for result in results]
        is_nothing = all(cause.startswith(wording.NOTHING_TO_VERIFY_BY) for cause in causes)
        return bool(causes) and is_nothing and not self._has_run_tests

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        is_shown = self._settings.verbosity >= -1 and not pytest_option(self._config, "no_summary")
        if not is_shown or not self._has_run:
            return
        terminalreporter.ensure_newline()
        for line in self._summary(exitstatus):
            for text, markup in self._parts(shown(line), has_colours=terminalreporter.hasmarkup):
                terminalreporter.write(text, **markup)
            terminalreporter.write_line("")
        self._tell_causes_once(terminalreporter.stats)

    def _parts(self, line: str, *, has_colours: bool) -> list[tuple[str, Markup]]:
        """Return the parts of a *line* of the summary, each with its colour."""
        columns = self._columns()
        if not columns and not has_colours:
            return [(line, {})]
        from pytest_choochoo.reporting.painting import for_terminal  # only terminals need it

        return for_terminal(line, columns, has_colours=has_colours)

    def _summary(self, exitstatus: int) -> Iterator[str]:
        """Yield the lines at the end."""
        results, mode = self._results, self._settings.mode
        if not results:
            is_good = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
            if mode.idle and is_good:
                yield mode.idle
            return
        yield wording.closing_line(results, clock.monotonic() - self._began)
        yield from wording.problem_lines(results, tells_skips=mode.name == "audit")
        yield from wording.cleaned_with(results)
        yield from wording.left_in_place(results)
        next_mode = mode.fixed_by or mode.resumed_by or mode.name
        is_left = mode.name == "audit" and self._has_left_something()
        command = self._settings.command("clean" if is_left else next_mode)
        has_stopped = is_left and exitstatus == pytest.ExitCode.INTERRUPTED
        what_next = wording.next_command(
            results, command, fixes=bool(mode.fixed_by), has_stopped=has_stopped
        )
        if what_next is not None:
            yield what_next

    def _has_left_something(self) -> bool:
        """Return whether the ledger knows of stations that were made, and not cleaned."""
        run = self._config.stash.get(RUN_FACTS, None)
        if run is None or run.open_ledger is None:
            return False
        try:
            records = run.open_ledger.records().values()
        except UnusableLedger:
            return False
        return any(not record.is_forgotten for record in records)

    def _tell_causes_once(self, stats: dict[str, list[Any]]) -> None:
        """Let pytest's short summary name the stations and the checks that failed, no errors.

        Their errors have been shown twice: in detail, and in the lines before.
        """
        told = {result.key: result for result in self._results if result.word == "failed"}
        for category in ("failed", "error"):
            if category in stats:
                self._whole[category] = stats[category]
                stats[category] = [_named(each, told) for each in stats[category]]

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Give the reports back their errors, for plugins that look at them last."""
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.stats.update(self._whole)

    def _all_results(self) -> tuple[Result, ...]:
        """Return the result of every selected station; one without reports was not reached."""
        seen = {
            key: msgspec.convert(facts, Result)
            for key, facts in self._facts.items()
            if facts["is_station"]
        }
        run = self._config.stash.get(RUN_FACTS, None)
        stations = () if run is None else run.stations
        for station in stations:
            if run is not None and station.key not in seen:
                seen[station.key] = run.unreported(station) or self._unreached(station, seen)
        if self._settings.mode.is_serial:
            return tuple(seen.values())  # in the order in which they were cleaned
        # Reports of workers come in whatever order they end.
        order = dict.fromkeys(station.key for station in stations)
        return tuple(seen[key] for key in order | seen)

    def _note_run(self, exitstatus: int) -> None:
        """Add the run to the history, if it worked on stations."""
        run = self._config.stash.get(RUN_FACTS, None)
        if run is None or run.ledger is None or not self._results or not self._has_run:
            return
        mode = self._settings.mode
        if mode.part_of and exitstatus == pytest.ExitCode.OK:
            return  # the other part notes the whole
        began = self._settings.process.began
        past = PastRun(
            began=began,
            seconds=max(time.time() - began, 0.0),
            command="replay" if self._settings.replay and mode.name == "run" else mode.command,
            counts=Counter(result.word for result in self._results),
            exit_code=int(exitstatus),
        )
        try:
            run.ledger.add_run(past)
        except UnusableLedger as error:  # which its stations were told, if there were any
            notify(self._config, f"this run is not in the history: {error}")

    def _fold_failures(self) -> None:
        """Show a station whose upstream failed as well after its cause, in one line."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        run = self._config.stash.get(RUN_FACTS, None)
        failed = {result.key: result for result in self._results if result.word == "failed"}
        if reporter is None or run is None or not failed:
            return
        order = {station.key: number for number, station in enumerate(run.stations)}
        upstream = {station.key: station.upstream for station in run.stations}
        for category in ("failed", "error"):
            reports = reporter.stats.get(category, [])
            reports.sort(key=lambda report: order.get(report.nodeid, len(order)))
            for report in reports:
                result = failed.get(report.nodeid)
                if result is None:
                    continue
                above = reachable(upstream.get(result.key, ()), lambda key: upstream.get(key, ()))
                if by := [failed[key].name for key in above if key in failed]:
                    report.longrepr = wording.failed_with_upstream(result, by)

    def _unreached(self, station: StationInfo, seen: Mapping[str, Result]) -> Result:
        above = [seen[key] for key in station.upstream if key in seen]
        # Nothing blocks --cc-check: it verifies each station by itself.
        blocks = self._settings.mode.writes
        by = dict.fromkeys(name for result in above for name in _blocking(result) if blocks)
        return station.result("blocked" if by else "not reached", by=tuple(by))

    def _remember_blocked(self) -> None:
        """Let --lf select what was blocked: pytest forgets items that are reported as skipped."""
        cache = getattr(self._config, "cache", None)
        blocked = {key for key, facts in self._facts.items() if facts["result"] == "blocked"}
        blocked |= {r.key for r in self._results if r.word == "blocked"}
        if cache is None or not blocked or not self._settings.mode.visits or not self._has_run:
            return
        failed = cache.get("cache/lastfailed", {})
        cache.set("cache/lastfailed", failed | dict.fromkeys(sorted(blocked), True))


def _named(report: Any, told: Mapping[str, Result]) -> Any:
    """Return *report*; if its error was *told*, by its key, without that, but with its checks."""
    is_station = isinstance(report, pytest.TestReport) and report.nodeid in told
    if not is_station or isinstance(report, pytest.SubtestReport):
        return report
    result = told[report.nodeid]
    # A check that only warns may not have passed either, and is no cause.
    failed = (name for name, answer in result.checks.items() if answer != "passed")
    checks = ", ".join(name for name in failed if f"check {name} " in result.cause)
    named = copy(report)
    # Pytest's summary shows the message of an error, as its own reports have it.
    message = SimpleNamespace(message=shown(f"check {checks}"))
    named.longrepr = SimpleNamespace(reprcrash=message) if checks else None
    return named


def _blocking(result: Result) -> tuple[str, ...]:
    if result.word in {"failed", "skipped"}:
        return (result.name,)
    return result.by if result.word == "blocked" else ()
