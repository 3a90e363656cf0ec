"""What a person sees: words and letters, reasons, the closing lines."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from pytest_choochoo.engine import wording as words
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.parallel.run_plan import StationInfo, listed
from pytest_choochoo.settings import Settings

# The letter of each result that pytest has none for, and its colour.
_SHOWN: dict[str, tuple[str, dict[str, bool]]] = {
    "visited": ("v", {"green": True, "bold": True}),
    "unchanged": ("u", {"green": True}),
    "adopted": ("a", {"green": True}),
    "blocked": ("b", {"yellow": True}),
    "cleaned": ("c", {"green": True}),
    "left in place": ("l", {"yellow": True}),
}
# What mends what went wrong in a mode, if it is not the mode itself.
_NEXT = {"check": "run"}


class Terminal:
    """The hooks that speak to the user, in the process that has the terminal."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._began = time.monotonic()
        self._facts: dict[str, dict[str, Any]] = {}
        self._results: tuple[Result, ...] = ()
        self._has_run = False
        self._is_over = False

    def pytest_report_collectionfinish(self) -> list[str]:
        line = self._config.pluginmanager.get_plugin("choochoo-line")
        if line is None or self._settings.verbosity < -1:
            return []
        return list(line.departure.header)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        option = self._config.option
        self._has_run = not (option.collectonly or option.setuponly)

    def pytest_report_teststatus(
        self, report: pytest.TestReport, config: pytest.Config
    ) -> tuple[str, str, str | tuple[str, Mapping[str, bool]]] | None:
        facts = getattr(report, "choochoo", None)
        if facts is None or (report.passed and report.when != "call"):
            return None
        name, is_verbose = facts["result"], config.get_verbosity() > 0 and not self._is_over
        if report.failed:  # its error is told below; here, why it was visited
            if not is_verbose or not facts["reasons"] or self._settings.mode != "run":
                return None
            is_error = report.when in {"setup", "teardown"}
            category, letter = ("error", "E") if is_error else ("failed", "F")
            word = f"{category.upper()} ({'; '.join(facts['reasons'])})"
            return category, letter, (word, {"red": True})
        # What skipped items are called in the summary, the first of them says for all.
        is_skip = report.skipped and self._is_over
        if name not in _SHOWN or hasattr(report, "wasxfail") or is_skip:
            return None
        # Beside what is skipped pytest itself puts the reason, where it runs the items.
        is_told = report.skipped and not hasattr(report, "node")
        reason = words.why(msgspec.convert(facts, Result)) if is_verbose and not is_told else ""
        word = name.upper() + (f" ({reason})" if reason else "")
        letter, markup = _SHOWN[name]
        return report.outcome, letter, (word, markup)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        facts = getattr(report, "choochoo", None)
        is_early = report.when == "setup" and report.passed
        if facts is None or is_early:  # the visit has yet to begin
            return
        known = self._facts.get(report.nodeid)
        # With --keep-duplicates a station comes twice, and the second time it is there already.
        if known is None or (known["result"], facts["result"]) != ("visited", "unchanged"):
            self._facts[report.nodeid] = facts

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        self._is_over = True
        self._results = self._all_results()
        self._remember_blocked()

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        if self._settings.mode == "forget" or self._settings.verbosity < -1:
            return
        if not self._has_run:
            return
        results = self._results
        write = terminalreporter.write_line
        if not results:
            is_good = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
            if self._settings.mode == "clean" and is_good:
                write("choochoo: there was nothing to clean")
            return
        write(words.closing_line(results, time.monotonic() - self._began))
        for line in (*words.problem_lines(results), *words.left_in_place(results)):
            write(line)
        # What is not as it should be when it is verified, a run brings about.
        mode = self._settings.mode
        next_one = self._settings.command(_NEXT.get(mode, mode))
        command = words.next_command(results, next_one, mends=mode in _NEXT)
        if command is not None:
            write(command)

    def _all_results(self) -> tuple[Result, ...]:
        """Return the result of every selected station; what has none was not reached."""
        seen = {
            key: msgspec.convert(facts, Result)
            for key, facts in self._facts.items()
            if facts["is_station"]
        }
        for station in self._stations():
            key = station.key
            if key not in seen:
                seen[key] = self._unreported(station) or self._unreached(station, seen)
        if self._settings.mode == "clean":
            return tuple(seen.values())
        # Of workers, reports come in the order in which they are done.
        order = dict.fromkeys(station.key for station in self._stations())
        return tuple(seen[key] for key in order | seen)

    def _unreached(self, station: StationInfo, seen: Mapping[str, Result]) -> Result:
        above = [seen[key] for key in station.upstream if key in seen]
        # When it is verified, nothing blocks.
        is_run = self._settings.mode != "check"
        by = dict.fromkeys(name for result in above for name in _blocking(result) if is_run)
        return station.result("blocked" if by else "not reached", by=tuple(by))

    def _unreported(self, station: StationInfo) -> Result | None:
        """Return the result of a station that was interrupted, or whose worker stopped."""
        line, controller = self._line_and_controller()
        found: Result | None = None
        if line is not None:
            found = line.journey.results.get(station.key)
        elif controller is not None:
            found = controller.result(station)
        return found

    def _stations(self) -> list[StationInfo]:
        line, controller = self._line_and_controller()
        if line is not None:
            return listed(line)
        return controller.stations if controller is not None else []

    def _line_and_controller(self) -> tuple[Any, Any]:
        manager = self._config.pluginmanager
        return manager.get_plugin("choochoo-line"), manager.get_plugin("choochoo-controller")

    def _remember_blocked(self) -> None:
        """Have --lf take what was blocked: pytest forgets what is reported as skipped."""
        cache = getattr(self._config, "cache", None)
        blocked = {key for key, facts in self._facts.items() if facts["result"] == "blocked"}
        blocked |= {r.key for r in self._results if r.word == "blocked"}
        if cache is None or not blocked or self._settings.mode != "run" or not self._has_run:
            return
        failed = cache.get("cache/lastfailed", {})
        cache.set("cache/lastfailed", failed | dict.fromkeys(sorted(blocked), True))


def _blocking(result: Result) -> tuple[str, ...]:
    if result.word in {"failed", "skipped"}:
        return (result.name,)
    return result.by if result.word == "blocked" else ()
