"""SIGKILL at moments that were chosen for their danger; `tox run -e faults` has hundreds more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kill_runs import KEYS, Moment, Yard, moments, wrongs_of_a_crowd

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
    """What was complete stays so, what was under way is no more than begun, and a run resumes."""
    yard = Yard(folder=tmp_path)

    yard.kill_at(moment)

    assert yard.log[-1]["what"] == "killed"
    assert yard.wrongs() == []
    assert yard.wrongs_of_resuming() == []


@pytest.mark.parametrize("moment", PARALLEL, ids=_named)
def test_killed_processes_of_a_parallel_run_lose_nothing(moment: Moment, tmp_path: Path) -> None:
    """The same where a worker dies, or their controller, or all at once."""
    yard = Yard(folder=tmp_path, workers=2)

    yard.kill_at(moment)

    assert "killed" in [line["what"] for line in yard.log]
    assert yard.wrongs() == []
    assert yard.wrongs_of_resuming() == []


def test_five_runs_at_once_visit_each_station_once(tmp_path: Path) -> None:
    """However many runs begin together, a station that is due is visited by one of them."""
    yard = Yard(folder=tmp_path)

    assert wrongs_of_a_crowd(yard, 5) == []
    assert wrongs_of_a_crowd(yard, 2) == []


def test_what_is_wrong_would_be_seen(tmp_path: Path) -> None:
    """The comparison of ledger and facts finds what is lost, and what is falsely complete."""
    yard = Yard(folder=tmp_path)
    yard.start().communicate()
    log, ledger = tmp_path / "log", tmp_path / ".pytest_cache/d/choochoo/default.sqlite"
    facts = log.read_text()

    log.write_text("".join(line for line in facts.splitlines(True) if '"visit"' in line))
    falsely = yard.wrongs()
    log.write_text(facts)
    ledger.unlink()
    lost = yard.wrongs()

    assert falsely == [f"falsely complete: {key}" for key in KEYS]
    assert [line for line in lost if line.startswith("lost")] == [f"lost: {key}" for key in KEYS]
    assert len([line for line in lost if re.match("resource lost: ", line)]) == 2 * len(KEYS)


def test_every_write_is_a_moment_to_die_at() -> None:
    """The long run dies before and after each kind of write, alone and among workers."""
    alone, among = list(moments(2, 0)), list(moments(2, 2))

    assert {what for _, what, _, _ in alone} == {"lock", "begin", "resource", "finish", "release"}
    assert {what for _, what, _, _ in among} == {what for _, what, _, _ in alone} | {"result"}
    assert {whom for *_, whom in among} == {"self", "controller", "all"}
