"""The region of a terminal that is drawn again and again: its lines, and what becomes of them."""

from __future__ import annotations

from typing import Any

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_choochoo.engine.shown import shown
from pytest_choochoo.engine.visit import AwaitsCheck
from pytest_choochoo.reporting.live import Screen
from pytest_choochoo.reporting.progress import RunProgress
from pytest_choochoo.reporting.region import cells, region
from pytest_choochoo.reporting.tables import Line
from unit.reporting.test_progress import Clock, ended, info, progress, started, told


def text_of(line: Line) -> str:
    return "".join(text for text, _ in line)


def texts(run: RunProgress, columns: int = 80, rows: int = 24) -> list[str]:
    return [text_of(line) for line in region(run, columns, rows)]


def test_region_shows_visits_what_waits_and_counts() -> None:
    """A line for each visit with its progress and times, one for what waits, and the counts."""
    clock = Clock()
    run = progress(clock, boil=40.0)
    run.take(started("boil"), "gw0")
    run.take(told("boil", 26 * 1024, 52 * 1024))
    run.take(started("grind"), "gw1")
    run.take(AwaitsCheck(key="grind", check="is_fine", waited=3, within=30))
    run.end(ended("serve", "failed"))
    clock.time += 20

    assert texts(run, columns=110) == [
        "  The boil   ━━━━━━━━────────  26624/53248  20 s of about 40 s  gw0",
        "  The grind  waiting for check is_fine, 3.0 s of 30 s  20 s  gw1",
        "  brew waits for boil, grind",
        "choochoo: 1/4 stations, 1 failed, 2 of 2 workers busy, 20 s, at least 20 s left",
    ]


def test_visit_that_takes_too_long_is_marked() -> None:
    """The mark stands behind the time that was expected."""
    clock = Clock()
    run = progress(clock, boil=2.0)
    run.take(started("boil"))
    clock.time += 5

    assert texts(run)[0] == "  The boil  5.0 s of about 2.0 s  longer than ever"


def test_last_line_keeps_its_times_where_there_is_little_room() -> None:
    """Details go first, the workers before the counts."""
    run = progress(Clock(), boil=40.0)
    run.take(started("boil"), "gw0")
    run.end(ended("serve", "failed"))

    full = "choochoo: 1/4 stations, 1 failed, 1 of 2 workers busy, 0.0 s, about 40 s left"
    short = "choochoo: 1/4 stations, 1 failed, 0.0 s, about 40 s left"
    shortest = "choochoo: 1/4 stations, 0.0 s, about 40 s left"
    for columns, line in [
        (len(full), full),
        (len(full) - 1, short),
        (len(short) - 1, shortest),
        (len(shortest) - 1, shortest[:-2] + "…"),
    ]:
        assert texts(run, columns)[-1] == line


def test_tests_are_counted_in_the_last_line() -> None:
    """Each outcome that there is."""
    lines = region(progress(Clock()), 80, 24, [("passed", 3), ("failed", 1), ("skipped", 0)])

    assert text_of(lines[-1]).startswith("choochoo: 0/4 stations, tests: 3 passed 1 failed, ")


@given(
    visits=st.integers(0, 50),
    below=st.integers(0, 50),
    columns=st.integers(1, 200),
    rows=st.integers(1, 60),
    title=st.text(max_size=60),
    total=st.none() | st.floats(),
    done=st.floats(),
)
def test_region_is_never_larger_than_the_terminal(
    visits: int, below: int, columns: int, rows: int, title: str, total: Any, done: float
) -> None:
    """Nor has it control characters, however many stations there are and whatever they say."""
    run = RunProgress(Clock())
    names = [f"{number}{title}" for number in range(visits)]
    run.plan([*map(info, names), *(info(f"b{n}", *names) for n in range(below))], {}, workers=9)
    for name in names:
        run.take(started(name, title), "gw0")
        run.take(told(name, done, total))

    lines = region(run, columns, rows)

    assert 1 <= len(lines) <= rows
    assert max(map(cells, lines)) <= columns
    assert all(shown(text_of(line)) == text_of(line) for line in lines)
    assert "stations" in text_of(lines[-1]) or columns < 25


class Stream:
    """A stream to the emulator of a terminal."""

    def __init__(self, columns: int, rows: int) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)

    def write(self, text: str) -> None:
        self._stream.feed(text.replace("\n", "\r\n"))  # as the terminal's driver does

    def fileno(self) -> int:
        raise OSError

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Stream:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "6")
    return Stream(20, 6)


def drawn(*lines: str) -> list[tuple[str, int]]:
    return [(line, len(line)) for line in lines]


def test_lines_stay_above_the_region(stream: Stream) -> None:
    """The region is replaced, and the lines scroll out as any others."""
    screen: Any = Screen(stream)  # type: ignore[arg-type] # it has all that is used

    screen.write_lines([], drawn("a is visited", "1 of 3"))
    screen.write_lines(["a visited"], drawn("b is visited", "c is visited", "2 of 3"))
    assert stream.lines == ["a visited", "b is visited", "c is visited", "2 of 3"]

    for number in range(10):
        screen.write_lines([f"line {number}"], drawn("b", "3 of 3"))
    assert stream.lines == ["line 6", "line 7", "line 8", "line 9", "b", "3 of 3"]


def test_what_others_write_stays_whole(stream: Stream) -> None:
    """While a line is unfinished there is no region, and a line of ours begins on a new one."""
    screen: Any = Screen(stream)  # type: ignore[arg-type] # it has all that is used
    screen.write_lines([], drawn("a", "b"))

    screen.write("unfini")
    screen.write_lines([], drawn("a", "b"))
    assert stream.lines == ["unfini"]
    screen.write("shed\n")
    screen.write_lines([], drawn("a", "b"))
    assert stream.lines == ["unfinished", "a", "b"]
    screen.write("cut")
    screen.write_lines(["c"], drawn("a", "b"))
    assert stream.lines == ["unfinished", "cut", "c", "a", "b"]


def test_cleared_screen_has_its_lines_and_its_cursor(stream: Stream) -> None:
    """The cursor is hidden while there is a region, and stands where the next line begins."""
    screen: Any = Screen(stream)  # type: ignore[arg-type] # it has all that is used
    screen.write_lines(["a visited"], drawn("b", "1 of 2"))
    assert stream.screen.cursor.hidden

    screen.clear()

    assert stream.lines == ["a visited"]
    cursor = stream.screen.cursor
    assert (cursor.hidden, cursor.x, cursor.y) == (False, 0, 1)


def test_region_goes_from_above_what_a_debugger_wrote(stream: Stream) -> None:
    """Its header stays, and the cursor stands below it."""
    screen: Any = Screen(stream)  # type: ignore[arg-type] # it has all that is used
    screen.write_lines(["a visited"], drawn("b", "1 of 2"))
    stream.write("\n>> PDB >>\n")

    screen.clear_above_one_line()
    stream.write("(Pdb)")

    assert stream.lines == ["a visited", ">> PDB >>", "(Pdb)"]
    assert stream.screen.cursor.hidden is False


def test_line_that_is_wider_than_it_seems_takes_one_row(stream: Stream) -> None:
    """Terminals differ in the width of some characters; the region stays as high as it is."""
    screen: Any = Screen(stream)  # type: ignore[arg-type] # it has all that is used
    screen.write_lines([], [("x" * 30, 15), ("last", 4)])
    assert len(stream.lines) == 2

    screen.write_lines(["a"], drawn("b"))
    assert stream.lines == ["a", "b"]
