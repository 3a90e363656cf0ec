"""A run on a terminal: a line for each station that has ended, and below what is under way."""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from rich.cells import cell_len

from pytest_choochoo.engine import wording
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.reporting.display import Display, TerminalStream
from pytest_choochoo.reporting.progress import UnderWay
from pytest_choochoo.reporting.region import cells, padded, region
from pytest_choochoo.reporting.reports import COLOURS, Markup
from pytest_choochoo.reporting.tables import Line, paragraph
from pytest_choochoo.reporting.terminal_internals import muted, written_through

# Seconds between two drawings: where something has changed, and where only time has passed.
_CHANGED, _CLOCK = 0.1, 0.25
# Columns of a result and of a time, in the lines that stay.
_WORD, _TIME, _NAMES = 11, 8, 30
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
# A line that a terminal takes for longer than it is must not continue on a second row.
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"
_OF_TESTS = ("passed", "failed", "skipped")

Status = tuple[str, str, str | tuple[str, Mapping[str, bool]]]


class Screen:
    """The end of a terminal: lines that stay, and a region below them that is drawn again.

    Any thread may use it. What is not at the beginning of a line when the region is to be drawn
    delays it: somebody is writing there.
    """

    def __init__(self, stream: TerminalStream) -> None:
        self._stream = stream
        self._lock = threading.RLock()
        #: The columns of each line of the region, as it is on the screen.
        self._drawn: list[int] = []
        self._is_at_start = True

    @property
    def size(self) -> tuple[int, int]:
        """The columns and rows of the terminal."""
        try:
            found = os.get_terminal_size(self._stream.fileno())
        except OSError:
            found = shutil.get_terminal_size()
        return found.columns or 80, found.lines or 24

    def write(self, text: str) -> None:
        """Write *text*, which stays, above the region."""
        if not text:
            return
        with self._lock:
            self._put(self._erasing() + text)
            self._is_at_start = text.endswith("\n")

    def write_lines(self, lines: Sequence[str], region: Sequence[tuple[str, int]]) -> None:
        """Write *lines*, which stay, and draw the *region*: its lines, and their columns."""
        with self._lock:
            text = self._erasing() + ("" if self._is_at_start or not lines else "\n")
            text += "".join(f"{line}\n" for line in lines)
            self._is_at_start = self._is_at_start or bool(lines)
            if region and self._is_at_start:
                drawn = "\n".join(line for line, _ in region)
                text += f"{_HIDE_CURSOR}{_NO_WRAP}{drawn}{_WRAP}"
                self._drawn = [columns for _, columns in region]
            self._put(text)

    def clear(self) -> None:
        """Take the region off the screen, and show the cursor."""
        with self._lock:
            self._put(self._erasing() + _SHOW_CURSOR)

    def clear_above_one_line(self) -> None:
        """Take the region off the screen, below which others have written a line."""
        with self._lock:
            rows, self._drawn = self._rows(), []
            removed = f"\x1b[{rows + 1}A\x1b[{rows}M\x1b[1B\x1b[J" if rows else ""
            self._put(removed + _SHOW_CURSOR)

    def _erasing(self) -> str:
        """Return what takes the region off the screen, whose size may have changed meanwhile."""
        rows, self._drawn = self._rows(), []
        up = f"\x1b[{rows - 1}A" if rows > 1 else ""
        return f"\r{up}\x1b[J" if rows else ""

    def _rows(self) -> int:
        """Return the number of rows that the region takes in the window as it is now."""
        columns, _ = self.size
        return sum(max(-(-drawn // columns), 1) for drawn in self._drawn)

    def _put(self, text: str) -> None:
        if text:
            self._stream.write(text)


class _Above:
    """A file that writes above the region of *screen*, and is otherwise like *file*."""

    def __init__(self, screen: Screen, file: Any) -> None:
        self._screen = screen
        self._file = file

    def write(self, text: str) -> int:
        self._screen.write(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: all that is written is flushed."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class Live(Display):
    """Shows a line for each station that has ended, and below them what is under way.

    They stand in the place of pytest's own letters and lines. Tests that pass are counted.
    """

    period = _CHANGED
    ticks_in_main = False

    def __init__(self, config: pytest.Config) -> None:
        super().__init__(config)
        self._screen = Screen(self._stream)
        self._drawn_version: tuple[object, ...] = ()
        self._drawn_at = 0.0
        self._tests: Counter[str] = Counter()

    @contextmanager
    def running(self) -> Iterator[None]:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.flush()
        with written_through(self._config, lambda file: _Above(self._screen, file)):
            try:
                yield
            finally:
                self._screen.clear()

    def pause(self) -> None:
        self._screen.clear_above_one_line()

    # --- drawing

    def visit_started(self, visit: UnderWay) -> None:
        self._draw()

    def station_ended(self, result: Result, visit: UnderWay | None) -> None:
        told = None if visit is None else visit.progressed
        amount = "" if told is None else wording.amount(told.done, told.total, told.unit)
        self._draw(self._result_lines(result, amount))

    def tick(self) -> None:
        """Draw if anything has changed, and now and then because time has passed."""
        is_changed = self._drawn_version != self._version
        if is_changed or self.progress.now() - self._drawn_at >= _CLOCK:
            self._draw()

    @property
    def _version(self) -> tuple[object, ...]:
        return (self._tests.total(), *self.progress.version)

    def _draw(self, lines: Iterable[Line] = ()) -> None:
        self._drawn_version, self._drawn_at = self._version, self.progress.now()
        columns, rows = self._screen.size
        # The last column stays free, and one row for what is written meanwhile.
        tests = [(word, self._tests[word]) for word in _OF_TESTS]
        drawn = region(self.progress, columns - 1, max(rows - 1, 1), tests)
        self._screen.write_lines(
            [self._painted(line) for line in lines],
            [(self._painted(line), cells(line)) for line in drawn],
        )

    def _painted(self, line: Line) -> str:
        writer = self._config.get_terminal_writer()
        return "".join(writer.markup(text, **markup) if markup else text for text, markup in line)

    def _result_lines(self, result: Result, amount: str) -> Iterator[Line]:
        """Yield the line of a station that has ended, and below it a reason that is too long."""
        took = wording.elapsed(result.seconds) if result.seconds else ""
        width = min(self.progress.name_width, _NAMES)
        head = (f"  {result.word:<{_WORD}}  ", COLOURS.get(result.word, {}))
        facts = f"{padded(shown(result.name[:200]), width)}  {took:>{_TIME}}"
        facts += f"  {amount}" if amount else ""
        why = f"by {', '.join(result.by)}" if result.word == "blocked" else wording.why(result)
        reason, columns = shown(why[:1000]), self._screen.size[0] - 1
        if len(head[0]) + cell_len(facts) + 2 + cell_len(reason) <= columns:
            yield [head, (f"{facts}  {reason}".rstrip(), {})]
            return
        yield [head, (facts.rstrip(), {})]
        for below in paragraph(reason, " " * (_WORD + 4), columns):
            yield [(below, {})]

    # --- in the place of what pytest writes

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self) -> Generator[None, object, object]:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or not self.is_active:
            return (yield)
        before = reporter.currentfspath
        with muted(self._config):
            try:
                return (yield)
            finally:
                reporter.currentfspath = before

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> Generator[None, Status, Status]:
        category, letter, word = yield
        if not self.is_active:
            return category, letter, word
        facts = getattr(report, "choochoo", None)
        is_station = facts is not None and facts["is_station"]
        if letter and not is_station:
            self._count_test(report, word)
        return category, "", ""

    def _count_test(self, report: pytest.TestReport, word: Any) -> None:
        """Count a test, and show it where it did not pass."""
        outcome = str(report.outcome)
        self._tests[outcome] += 1
        text, markup = word if isinstance(word, tuple) else (word, _colour_of(outcome))
        if not report.passed or self._config.get_verbosity() > 0:
            name = shown(report.nodeid[:1000])
            self._draw([[(f"  {str(text).lower():<{_WORD}}  ", markup), (name, {})]])


def _colour_of(outcome: str) -> Markup:
    return {"passed": {"green": True}, "failed": {"red": True}}.get(outcome, {"yellow": True})
