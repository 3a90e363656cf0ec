"""Every result under every selection, in one process and in several: always the same."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from harness import Project

# A station in the middle that gets each result in turn, with one upstream and one downstream.
STATIONS = """
    import os
    from pathlib import Path
    HERE = Path(__file__).parent
    TURN = (HERE / "turn").read_text()

    @pytest.fixture
    def stove():
        yield
        assert TURN != "failed-in-teardown", "still hot"

    @station
    def above():
        log("above")
        assert TURN != "blocked", "no gas"
        return 1

    @pytest.mark.xfail(TURN == "xfailed", reason="broken")
    @station
    def middle(above, stove, subtests) -> None:
        log("middle")
        if TURN == "sub-test-failed":
            with subtests.test("first"):
                assert 0, "cold"
        if TURN == "skipped":
            pytest.skip("not today")
        assert TURN not in {"failed-in-visit", "xfailed"}, "cold"
        (HERE / "there").touch()

    if TURN in {"adopted", "failed-in-check"}:
        @middle.check
        def is_there():
            assert TURN == "adopted" and (HERE / "there").exists(), "not there"

    @station
    def below(middle):
        log("below")
"""
TEST = """
    from effects import log

    def test_below(below):
        log("test")
"""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """The results of the three stations and the test; *counts* if all are selected."""

    result: str
    counts: str
    cause: str = ""
    reasons: tuple[str, ...] = ("first visit",)
    exit_code: int = 1


TURNS = {
    "visited": Turn(result="visited", counts="3 visited", exit_code=0),
    "unchanged": Turn(result="unchanged", counts="3 unchanged", reasons=(), exit_code=0),
    "adopted": Turn(result="adopted", counts="2 visited, 1 adopted", exit_code=0),
    "failed-in-visit": Turn(
        result="failed", counts="1 visited, 1 failed, 1 blocked", cause="AssertionError: cold"
    ),
    "failed-in-check": Turn(
        result="failed",
        counts="1 visited, 1 failed, 1 blocked",
        cause="check is_there does not pass: AssertionError: not there",
        reasons=("first visit", "check is_there does not pass: AssertionError: not there"),
    ),
    "failed-in-teardown": Turn(
        result="failed",
        counts="1 visited, 1 failed, 1 blocked",
        cause="AssertionError: still hot",
    ),
    "sub-test-failed": Turn(
        result="failed", counts="1 visited, 1 failed, 1 blocked", cause="AssertionError: cold"
    ),
    "skipped": Turn(
        result="skipped", counts="1 visited, 1 blocked, 1 skipped", cause="not today", exit_code=0
    ),
    "xfailed": Turn(
        result="skipped",
        counts="1 visited, 1 blocked, 1 skipped",
        cause="xfail: broken",
        exit_code=0,
    ),
    "blocked": Turn(result="blocked", counts="1 failed, 2 blocked", reasons=()),
}
# The number of workers, and more options.
ENGINES: dict[str, tuple[int, tuple[str, ...]]] = {
    "serial": (0, ()),
    "without-xdist": (0, ("-p", "no:xdist")),
    "one-worker": (1, ()),
    "two-workers": (2, ()),
    "four-workers": (4, ()),
}
# All pairs: each turn with each selection in one process, and with each engine.
CASES = [
    pytest.param(engine, turn, selection, id=f"{engine}-{turn}-{selection}")
    for shift, engine in enumerate(ENGINES)
    for place, turn in enumerate(TURNS)
    for number, selection in enumerate(("all", "keyword", "last-failed"))
    if engine == "serial" or number == (place + shift) % 3
]


def prepared(project: Project, turn: str) -> Project:
    """Write the project so that the stations get the results of *turn* in the next run."""
    project.write("turn", "visited" if turn == "unchanged" else turn)
    project.stations(STATIONS)
    project.write("test_tea.py", TEST)
    if turn == "adopted":
        project.write("there", "")
    if turn == "unchanged":
        project.run("--cc-run", "-m", "station")
    return project


@pytest.mark.parametrize(("engine", "turn", "selection"), CASES)
def test_result_is_the_same_everywhere(
    project: Project, engine: str, turn: str, selection: str
) -> None:
    """A result has the same counts, reasons and exit code in every mode and selection."""
    prepared(project, turn)
    expected = TURNS[turn]
    project.workers, more = ENGINES[engine]
    arguments = {
        "all": ("--cc-run",),
        "keyword": ("--cc-run", "-k", "middle or below"),
        "last-failed": ("--cc-run", "--lf"),  # nothing failed so far: everything is selected
    }[selection]

    run = project.run(*arguments, *more)

    is_unchanged_above = selection == "keyword" and turn == "unchanged"  # used silently
    counts = "2 unchanged" if is_unchanged_above else expected.counts
    assert (run.closing, run.exit_code) == (counts, expected.exit_code), run.text
    assert run.results["middle"] == expected.result
    assert run.reasons["middle"] == expected.reasons
    assert run.causes.get("middle", "") == expected.cause
    is_complete = expected.result in {"visited", "unchanged", "adopted"}
    assert run.tests == {"test_below": "passed" if is_complete else "skipped"}
    assert ("below" in run.log, "test" in run.log) == (
        is_complete and turn != "unchanged",
        is_complete,
    )
    assert len(run.log) == len(set(run.log))


@pytest.mark.parametrize("workers", [pytest.param(0, id="serial"), pytest.param(2, id="parallel")])
@pytest.mark.parametrize("turn", [turn for turn, facts in TURNS.items() if facts.exit_code])
def test_last_failed_resumes_everywhere(project: Project, workers: int, turn: str) -> None:
    """After every kind of failure and its fix, `--lf` completes the remaining stations, and only those."""
    prepared(project, turn)
    project.workers = workers
    project.run("--cc-run")
    project.write("turn", "visited")
    failed = "above" if turn == "blocked" else "middle"

    run = project.run("--cc-run", "--lf")

    names = ("above", "middle", "below") if failed == "above" else ("middle", "below")
    assert run.results == dict.fromkeys(names, "visited")
    assert (run.tests, run.exit_code) == ({"test_below": "passed"}, 0)
    assert re.match(r"last visit failed [\d.]+ s ago: ", run.reasons[failed][0])
    assert run.log == (*names, "test")
