"""A run as lines, where the output is no terminal: one when a visit starts, one when it ends."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping

import pytest

from pytest_choochoo.engine import wording
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.reporting.display import Display
from pytest_choochoo.reporting.notices import notify, uncaptured
from pytest_choochoo.reporting.progress import UnderWay
from pytest_choochoo.reporting.reports import COLOURS
from pytest_choochoo.reporting.terminal_internals import begin_line

# Seconds after which a line says that a visit goes on; each later pause is longer by the factor.
_FIRST, _GROWTH = 30.0, 1.5

Status = tuple[str, str, str | tuple[str, Mapping[str, bool]]]


class Lines(Display):
    """Shows a line when a visit starts, when it ends, and now and then while it goes on.

    The line at the end stands in the place of pytest's letter.
    """

    def __init__(self, config: pytest.Config) -> None:
        super().__init__(config)
        #: For each visit under way: when it is mentioned again, and after which pause.
        self._mentions: dict[str, tuple[float, float]] = {}
        #: Held while a line is written that another thread must not divide.
        self._is_writing = threading.Lock()

    def visit_started(self, visit: UnderWay) -> None:
        self._mentions[visit.key] = (visit.began + _FIRST, _FIRST)
        writer = self._config.get_terminal_writer()
        with self._is_writing:
            if self._names_items and writer.width_of_current_line:
                # Pytest has written the name of the item.
                with uncaptured(self._config):
                    writer.write(shown(wording.visit_starts("", visit.reasons)) + "\n", flush=True)
            else:
                notify(self._config, wording.visit_starts(visit.name, visit.reasons))

    def station_ended(self, result: Result, visit: UnderWay | None) -> None:
        self._mentions.pop(result.key, None)

    @property
    def _names_items(self) -> bool:
        """Whether pytest writes the name of an item when it starts, and its result behind it."""
        return self._config.get_verbosity() > 0 and self.progress.workers == 1

    def tick(self) -> None:
        """Mention the visits that have gone on for long."""
        now = self.progress.now()
        for visit in self.progress.under_way:
            due, pause = self._mentions.get(visit.key, (now + 1, 0.0))
            if now < due:
                continue
            self._mentions[visit.key] = (now + pause * _GROWTH, pause * _GROWTH)
            self._mention(wording.visit_goes_on(visit.name, visit.elapsed(now), _how_far(visit)))

    def _mention(self, text: str) -> None:
        if self.wake is not None:  # called in the main thread
            notify(self._config, text)
            return
        # While an item runs, pytest writes nothing: the line at its start stands above.
        with self._is_writing:
            self._stream.write(f"choochoo: {shown(text)}\n")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> Generator[None, object, object]:
        """Let pytest write the name of the file before a letter, and not before a line."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        is_station = self.is_active and self.progress.knows(nodeid)
        if reporter is None or not is_station or not reporter.showfspath:
            return (yield)
        reporter.showfspath = False
        try:
            return (yield)
        finally:
            reporter.showfspath = True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> Generator[None, Status, Status]:
        category, letter, word = yield
        facts = getattr(report, "choochoo", None)
        if facts is None or not facts["is_station"] or not letter or not self.is_active:
            return category, letter, word
        result, seconds = facts["result"], facts["seconds"]
        text, markup = word if isinstance(word, tuple) else (word, COLOURS.get(result, {}))
        if not (result == "failed" or seconds or self.progress.visit(report.nodeid)):
            self._write_file_name(report.nodeid)
            return category, letter, word
        if self._config.get_verbosity() > 0:
            if self._names_items and not self._config.get_terminal_writer().width_of_current_line:
                begin_line(self._config, report)
            return category, letter, (f"{text} in {wording.elapsed(seconds)}", markup)
        cause = facts["cause"] if result in {"failed", "skipped"} else ""
        line = wording.visit_ended(facts["name"], result, seconds, cause)
        return category, self._alone(f"choochoo: {shown(line)}"), (text, markup)

    def _alone(self, line: str) -> str:
        """Return *line* as a letter of pytest's that takes a line of its own."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
        writer = self._config.get_terminal_writer()
        return f"{chr(10) if writer.width_of_current_line else ''}{line}\n"

    def _write_file_name(self, nodeid: str) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and reporter.showfspath and self._config.get_verbosity() <= 0:
            reporter.write_fspath_result(nodeid, "")


def _how_far(visit: UnderWay) -> str:
    """Return the progress of *visit* as text, "" if it told none."""
    if visit.awaits is not None:
        waits = visit.awaits
        return wording.waits_for_check(waits.check, waits.waited, waits.within)
    told = visit.progressed
    if told is None:
        return ""
    return " ".join(
        filter(None, (told.description, wording.amount(told.done, told.total, told.unit)))
    )
