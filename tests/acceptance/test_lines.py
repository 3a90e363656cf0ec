"""A run as lines, where the output is no terminal; and the table that GitHub shows of it."""

from __future__ import annotations

import re

from harness import Project, Run

LINES = "--cc-progress=lines"


def said(run: Run) -> list[str]:
    """Return the lines about visits, without times."""
    return [
        re.sub(r"\b[\d.]+ s\b", "N s", line)
        for line in run.outlines
        if re.match(r"choochoo: (?:visiting|still|[a-z]+ [a-z]+ in) ", line)
    ]


def test_visit_is_said_when_it_starts_and_when_it_ends(project: Project, mode: str) -> None:
    """Each on a line of its own, with the reason at the start, and the error at the end."""
    project.stations("""
        @station
        def boil() -> int:
            print("captured")
            return 100

        @station
        def pour(boil):
            raise RuntimeError("boom\\x1b[2J")

        @station
        def sip(pour): ...
    """)

    run = project.run("--cc-run", LINES)

    lines = said(run)
    of_boil = ["choochoo: visiting boil (first visit)", "choochoo: visited boil in N s"]
    of_pour = [
        "choochoo: visiting pour (first visit)",
        "choochoo: failed pour in N s: RuntimeError: boom\\x1b[2J",
    ]
    # With workers, a line stands where its message arrives.
    if mode == "serial":
        assert lines == of_boil + of_pour
    assert [line for line in lines if "boil" in line] == of_boil
    assert [line for line in lines if "pour" in line] == of_pour
    assert run.last_line == "1 failed, 1 passed, 1 skipped"


def test_nothing_is_said_of_what_is_unchanged(project: Project, mode: str) -> None:
    """It has pytest's letters, behind the name of its file."""
    project.stations("""
        @station
        def boil() -> None: ...

        @station
        def pour(boil) -> None: ...

        @pour.check
        def is_poured(): ...
    """)
    project.run("--cc-run")

    run = project.run("--cc-run", LINES)

    assert said(run) == []
    letters = "uu" if mode == "parallel" else "stations.py uu"
    assert any(line.startswith(letters) for line in run.outlines)


def test_percentage_counts_visits(project: Project, mode: str) -> None:
    """The lines stand in the place of letters: a test afterwards is the last of all items."""
    project.stations("@station\ndef boil() -> None: ...")
    project.write("test_tea.py", "def test_it(boil): ...")

    run = project.run("--cc-run", LINES)

    assert any(re.match(r"(?:test_tea.py )?\. +\[100%\]$", line) for line in run.outlines)


def test_verbose_lines_have_times(project: Project, mode: str) -> None:
    """With `-v`, pytest's own line is the one at the end, and serially the one at the start too."""
    project.stations("@station\ndef boil() -> None: ...\n@station\ndef pour(boil) -> None: ...")

    run = project.run("--cc-run", LINES, "-v")

    lines = [re.sub(r" in [\d.]+ s +", " in N s ", line) for line in run.outlines]
    if mode == "parallel":
        assert "choochoo: visiting boil (first visit)" in lines
        assert any("VISITED (first visit) in N s stations.py::boil" in line for line in lines)
        return
    first = lines.index("stations.py::boil visiting (first visit)")
    assert lines[first : first + 5] == [
        "stations.py::boil visiting (first visit)",
        "stations.py::boil VISITED (first visit) in N s [ 50%]",
        "stations.py::pour visiting (first visit)",
        "stations.py::pour VISITED (first visit) in N s [100%]",
        "",
    ]


def test_quiet_run_says_nothing_unless_asked(project: Project) -> None:
    """With `-q`, lines have to be requested."""
    project.stations("@station\ndef boil() -> None: ...")

    silent = project.run("--cc-run", "--cc-progress=auto", "-q")
    asked = project.run("--cc-replay=all", LINES, "-q")

    assert said(silent) == []
    assert said(asked)[0] == "choochoo: visiting boil (selected by --cc-replay)"


def test_long_visit_is_mentioned_now_and_then(project: Project, mode: str) -> None:
    """With its progress, although output is captured; the pauses grow."""
    project.write(
        "conftest.py",
        """
        from pytest_choochoo.reporting import lines

        lines._FIRST, lines._GROWTH, lines.Lines.period = 0.4, 2.0, 0.1
        """,
    )
    project.stations("""
        import time

        @station
        def boil(visit: Visit) -> None:
            progress = visit.progress(total=10, unit="l", description="water")
            progress.update(3)
            time.sleep(2.2)
    """)

    run = project.run("--cc-run", LINES, apart=True)

    still = "choochoo: still visiting boil after N s: water 3/10 l"
    assert said(run) == [
        "choochoo: visiting boil (first visit)",
        still,
        still,
        "choochoo: visited boil in N s",
    ]


def test_wait_for_a_check_is_mentioned(project: Project, mode: str) -> None:
    """A visit that waits until a check passes says for which, and how long."""
    project.write(
        "conftest.py",
        """
        from pytest_choochoo.reporting import lines

        lines._FIRST, lines.Lines.period = 0.5, 0.1
        """,
    )
    project.stations("""
        import time

        @station
        def boil(visit: Visit) -> None:
            (visit.dir / "began").write_text(str(time.time()))

        @boil.check(within=30)
        def is_hot(visit: Visit):
            assert time.time() > float((visit.dir / "began").read_text()) + 2
    """)

    run = project.run("--cc-run", LINES, apart=True)

    assert said(run)[1] == (
        "choochoo: still visiting boil after N s: waiting for check is_hot, N s of N s"
    )


def test_step_summary_gets_the_closing_table(project: Project, mode: str) -> None:
    """Each run appends to the file that `GITHUB_STEP_SUMMARY` names."""
    project.stations("@station\ndef boil():\n    raise RuntimeError('a|b')")
    file = project.path / "summary.md"
    project.setenv("GITHUB_STEP_SUMMARY", str(file))

    project.run("--cc-run")
    project.run("--cc-run")

    rows = [line for line in file.read_text().splitlines() if line.startswith("| failed")]
    assert len(rows) == 2
    assert rows[0].endswith(r"| RuntimeError: a\|b |")


def test_step_summary_that_cannot_be_written_is_a_warning(project: Project, mode: str) -> None:
    """The run ends as it would have."""
    project.stations("@station\ndef boil() -> None: ...")
    file = project.path / "nowhere" / "summary.md"
    project.setenv("GITHUB_STEP_SUMMARY", str(file))

    run = project.run("--cc-run")

    assert run.exit_code == 0
    assert (
        f"StepSummaryWarning: GITHUB_STEP_SUMMARY: {file} could not be written: "
        "no such file or directory" in run.text
    )
