"""A run on a terminal, while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from emulator import Emulator
from harness import Project

TEA = """
    import time
    from pathlib import Path

    @station
    def boil(visit: Visit) -> int:
        '''Boil the water'''
        with visit.progress(total=52 * 1024, unit="B") as progress:
            progress.update(26 * 1024)
            end = time.monotonic() + 80
            while not Path("go").exists():
                assert time.monotonic() < end
                time.sleep(0.02)
            progress.update(26 * 1024)
        return 100

    @station
    def brew(boil) -> None: ...

    @station
    def spill(boil) -> None:
        raise RuntimeError("too \\x1b[2J hot")

    @station
    def wipe(spill) -> None: ...
"""
BOIL = "@station\ndef boil() -> None: ..."

Start = Callable[..., Emulator]


@pytest.fixture
def start(project: Project) -> Iterator[Start]:
    """Start a command on a terminal; it ends with the test."""
    started: list[Emulator] = []

    def start(*arguments: str, **facts: Any) -> Emulator:
        started.append(Emulator(project.path, *arguments, **facts))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture(params=[(), ("-n2",)], ids=["serial", "parallel"])
def workers(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return tuple(request.param)


def is_half_done(run: Emulator) -> bool:
    is_drawn = bool(run.lines) and run.lines[-1].startswith("choochoo: 0/")
    return is_drawn and any("26.0/52.0 KiB" in line for line in run.lines)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40)])
def test_display_shows_what_is_under_way_and_leaves_what_has_ended(
    project: Project, start: Start, columns: int, rows: int, workers: tuple[str, ...]
) -> None:
    """Title, bar, amount and time of a visit, what waits for it, and counts; then a line each."""
    project.stations(TEA)
    run = start("--cc-run", *workers, columns=columns, rows=rows)

    run.until(is_half_done)
    visit, *waiting, counts = run.lines[-4:]
    assert visit.startswith("  Boil the water  ━━━━━━━━────────  26.0/52.0 KiB  ")
    assert waiting == ["  brew waits for boil", "  spill waits for boil"]
    assert counts.startswith("choochoo: 0/4 stations, ")
    assert ("1 of 2 workers busy" in counts) == bool(workers)
    project.write("go", "")

    assert run.until_over() == 1
    results = ("  visited   ", "  failed    ", "  blocked   ")
    left = {line.split()[1]: line.split()[0] for line in run.all_lines if line.startswith(results)}
    assert left == {"boil": "visited", "brew": "visited", "spill": "failed", "wipe": "blocked"}
    [boil] = [line for line in run.all_lines if line.startswith("  visited      boil ")]
    assert boil.endswith("  52.0/52.0 KiB  first visit")
    assert not any("waits for" in line or "stations, " in line for line in run.all_lines)
    assert not any(line.startswith("stations.py ") for line in run.all_lines)
    assert "\x1b[2J" not in run.text
    assert run.screen.cursor.hidden is False


def test_next_run_has_a_line_for_each_station(project: Project, start: Start) -> None:
    """Unchanged ones too, in the place of pytest's letters; a test has a line if it fails."""
    project.stations(TEA.replace("raise", "RuntimeError and"))
    project.write("go", "")
    project.write("test_tea.py", "def test_it(brew): ...\ndef test_not(brew): assert False")
    project.run("--cc-run")

    run = start("--cc-run", rows=50)

    assert run.until_over() == 1
    assert [line.split()[:2] for line in run.all_lines if line.startswith("  ")][:5] == [
        *(["unchanged", name] for name in ("boil", "brew", "spill", "wipe")),
        ["failed", "test_tea.py::test_not"],
    ]
    assert not any(line.startswith(("stations.py", "test_tea.py ")) for line in run.all_lines)
    assert any("1 failed, 5 passed in" in line for line in run.all_lines)


def test_long_reason_wraps_at_words(project: Project, start: Start) -> None:
    """It stands below its station, indented; nothing of it is cut."""
    project.stations(f"""
        @station
        def boil() -> None:
            raise RuntimeError("{" ".join(f"word{number}" for number in range(20))}")
    """)

    run = start("--cc-run", "--tb=no")

    assert run.until_over() == 1
    assert [line.rstrip() for line in run.all_lines if line.startswith(("  failed  ", "    "))][
        :4
    ] == [
        "  failed       boil     0.0 s",
        "               RuntimeError: word0 word1 word2 word3 word4 word5 word6 word7",
        "                 word8 word9 word10 word11 word12 word13 word14 word15 word16",
        "                 word17 word18 word19",
    ]


def test_no_colours_where_the_user_wants_none(project: Project, start: Start) -> None:
    """`NO_COLOR` leaves the display as it is otherwise."""
    project.stations(BOIL)

    plain, coloured = start("--cc-run", NO_COLOR="1"), start("--cc-run", "--cc-profile=b")

    assert (plain.until_over(), coloured.until_over()) == (0, 0)
    assert "  visited      boil" in plain.text
    assert "\x1b[3" not in plain.text
    assert "\x1b[32m" in coloured.text


@pytest.mark.parametrize("option", ["-s", "--pdb", "--capture=tee-sys", "--cc-progress=lines"])
def test_live_display_gives_way(project: Project, start: Start, option: str) -> None:
    """Where the user talks to a visit or reads its output, there are lines."""
    project.stations(BOIL)

    run = start("--cc-run", option)

    assert run.until_over() == 0
    assert "\x1b[?25l" not in run.text
    assert "choochoo: visiting boil (first visit)" in run.all_lines


def test_dumb_terminal_gets_lines(project: Project, start: Start) -> None:
    """`TERM=dumb` says that it obeys nothing."""
    project.stations(BOIL)

    run = start("--cc-run", TERM="dumb")

    assert run.until_over() == 0
    assert "\x1b[?25l" not in run.text
    assert "choochoo: visiting boil (first visit)" in run.all_lines


def test_off_is_what_pytest_itself_shows(project: Project, start: Start) -> None:
    """Nothing is said of a visit while it goes on."""
    project.stations(BOIL)

    run = start("--cc-run", "--cc-progress=off", NO_COLOR="1")

    assert run.until_over() == 0
    assert any(line.startswith("stations.py v ") for line in run.all_lines)
    assert "visiting" not in run.text


def test_interrupt_leaves_a_clean_terminal(
    project: Project, start: Start, workers: tuple[str, ...]
) -> None:
    """The region is gone, the cursor is back, and what pytest says is whole."""
    project.stations(TEA)
    run = start("--cc-run", *workers)
    run.until(is_half_done)

    run.interrupt()
    run.until(lambda run: "press Ctrl-C again" in "".join(run.lines))
    run.until(lambda run: "choochoo: 0/4 stations" in "".join(run.lines[-1:]))
    run.interrupt()

    assert run.until_over() == 2
    assert run.screen.cursor.hidden is False
    assert not any("waits for" in line or "stations, " in line for line in run.all_lines)
    assert any(line.startswith("choochoo: 1 failed, ") for line in run.all_lines)


def test_resized_window_gets_a_region_that_fits(project: Project, start: Start) -> None:
    """One that is wider or lower than before; nothing of it is left at the end."""
    project.stations(TEA)
    run = start("--cc-run")
    run.until(is_half_done)

    run.resize(100, 10)
    run.until(lambda run: "choochoo: 0/4 stations" in "".join(run.lines[-1:]))
    run.resize(100, 3)
    run.until(lambda run: len(run.lines) <= 3 and "0/4 stations" in "".join(run.lines[-1:]))
    project.write("go", "")

    assert run.until_over() == 1
    assert run.screen.cursor.hidden is False


def test_debugger_has_the_terminal_for_itself(project: Project, start: Start) -> None:
    """At a breakpoint the region is gone; it comes back afterwards."""
    project.stations("""
        import time

        @station
        def boil() -> None:
            breakpoint()
            time.sleep(1)
    """)
    run = start("--cc-run")

    run.until(lambda run: "(Pdb)" in "".join(run.lines))
    assert not any("0/1 stations" in line for line in run.lines)
    assert any("PDB set_trace" in line for line in run.lines)
    run.type("c\n")
    run.until(lambda run: "0/1 stations" in "".join(run.lines[-1:]))

    assert run.until_over() == 0


def test_hostile_texts_never_reach_the_screen(
    project: Project, start: Start, workers: tuple[str, ...]
) -> None:
    """Characters that a terminal obeys are spelt out, and texts that are too long are cut."""
    project.stations("""
        import time

        @station
        @pytest.mark.parametrize("n", ["x"], ids=["\\x1b[31m\\u202e"])
        def boil(visit: Visit, n) -> None:
            "\\x1b[2J\\u202etitle"
            progress = visit.progress(total=float("nan"), unit="\\x1b[2J" + "x" * 1_000_000)
            progress.update(float("inf"))
            time.sleep(1)
            raise RuntimeError("\\u202e\\x1b[2J" + "y" * 1_000_000)
    """)
    run = start("--cc-run", "--tb=no", *workers)

    run.until(lambda run: "title" in "".join(run.lines))

    assert run.until_over() == 1
    assert [text for text in ("\x1b[2J", "\u202e", "x" * 300) if text in run.text] == []


def test_rich_is_imported_only_for_the_live_display(project: Project, start: Start) -> None:
    """Neither lines nor pytest's own output need it."""
    project.write("stations.py", f"from pytest_choochoo import station\n\n{BOIL}\n")
    project.write(
        "conftest.py",
        """
        import sys

        def pytest_unconfigure():
            print("rich:", any(name.partition(".")[0] == "rich" for name in sys.modules))
        """,
    )
    kinds = ("live", "lines", "off")

    runs = [start("--cc-run", f"--cc-progress={kind}", f"--cc-profile={kind}") for kind in kinds]
    endings = [(run.until_over(), "rich: True" in run.text) for run in runs]

    assert endings == [(0, True), (0, False), (0, False)]
