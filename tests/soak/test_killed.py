"""SIGKILL at especially dangerous moments; `tox run -e faults` has hundreds more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kill_runs import KEYS, KilledProject, Moment, moments, problems_of_a_crowd

SERIAL: list[Moment] = [
    ("after", "begin", 1, "self"),
    ("after", "resource", 3, "self"),
    ("before", "finish", 2, "self"),
    ("after", "finish", 2, "self"),
]
PARALLEL: list[Moment] = [
    ("before", "finish", 1, "self"),
    ("after", "finish", 1, "controller"),
    ("after", "begin", 2, "all"),
]


def _named(moment: Moment) -> str:
    return "-".join(map(str, moment))


@pytest.mark.parametrize("moment", SERIAL, ids=_named)
def test_killed_run_loses_nothing(moment: Moment, tmp_path: Path) -> None:
    """Complete stations stay complete, visits under way are only begun, and the next run resumes."""
    project = KilledProject(folder=tmp_path)

    project.kill_at(moment)

    assert project.log[-1]["what"] == "killed"
    assert project.problems() == []
    assert project.problems_of_resuming() == []


@pytest.mark.parametrize("moment", PARALLEL, ids=_named)
def test_killed_processes_of_a_parallel_run_lose_nothing(moment: Moment, tmp_path: Path) -> None:
    """Nothing is lost if a worker, the controller, or all of them are killed."""
    project = KilledProject(folder=tmp_path, workers=2)

    project.kill_at(moment)

    assert "killed" in [line["what"] for line in project.log]
    assert project.problems() == []
    assert project.problems_of_resuming() == []


def test_five_runs_at_once_visit_each_station_once(tmp_path: Path) -> None:
    """Of any number of runs that begin together, one visits a station that is due."""
    project = KilledProject(folder=tmp_path)

    assert problems_of_a_crowd(project, 5) == []
    assert problems_of_a_crowd(project, 2) == []


def test_comparison_finds_problems(tmp_path: Path) -> None:
    """The comparison of ledger and facts finds lost and falsely complete stations."""
    project = KilledProject(folder=tmp_path)
    project.start().communicate()
    log, ledger = tmp_path / "log", tmp_path / ".pytest_cache/d/choochoo/default.sqlite"
    facts = log.read_text()

    log.write_text("".join(line for line in facts.splitlines(True) if '"visit"' in line))
    falsely = project.problems()
    log.write_text(facts)
    ledger.unlink()
    lost = project.problems()

    assert falsely == [f"falsely complete: {key}" for key in KEYS]
    assert [line for line in lost if line.startswith("lost")] == [f"lost: {key}" for key in KEYS]
    assert len([line for line in lost if re.match("resource lost: ", line)]) == 2 * len(KEYS)


def test_every_write_is_a_moment_for_a_kill() -> None:
    """The long test kills before and after each kind of write, alone and among workers."""
    alone, among = list(moments(2, 0)), list(moments(2, 2))

    assert {what for _, what, _, _ in alone} == {"lock", "begin", "resource", "finish", "release"}
    assert {what for _, what, _, _ in among} == {what for _, what, _, _ in alone} | {"result"}
    assert {target for *_, target in among} == {"self", "controller", "all"}
