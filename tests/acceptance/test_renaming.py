"""Stations that were renamed take over what was recorded under their former names."""

from __future__ import annotations

import re
import shutil

import pytest
from background import HELD, BackgroundRuns
from harness import Project, Run, snapshot

TEA = """
    from pathlib import Path

    @station
    def boil(visit: Visit) -> Path:
        log("boil")
        visit.resources["pot"] = 7
        file = visit.dir / "pot"
        file.write_text("hot")
        return file

    @boil.clean
    def cool(boil, visit):
        log(f"cool {boil.name} {dict(visit.resources)} {visit.dir == boil.parent}")

    @station
    def pour(boil: Path) -> str:
        log("pour")
        return boil.read_text()

    @pytest.mark.parametrize("cup", ["a", "b"])
    @station
    def fill(pour: str, cup) -> str:
        log(f"fill {cup}")
        return pour + cup

    @fill.clean
    def empty(fill, cup):
        log(f"empty {fill}")

    @pytest.fixture
    def tray(fill):
        return list(fill.values())

    @station
    def serve(tray) -> int:
        log("serve")
        return len(tray)
"""
ALL = ("boil", "pour", "fill[a]", "fill[b]", "serve")
RENAMED = ("heat", "pour", "stuff[a]", "stuff[b]", "serve")
LINE = "choochoo: {}: heat from boil, stuff from stations.py::fill"
TAKEN_OVER = LINE.format("taken over")


def _rename(project: Project) -> None:
    """Rename `boil` and `fill` wherever they stand, as an editor does, and say so by `was`."""
    text = (project.path / "stations.py").read_text()
    text = re.sub(r"\bboil\b(?!\")", "heat", text)
    text = re.sub(r"\bfill\b(?! \{)", "stuff", text)
    text = text.replace("@station\ndef heat", '@station(was="boil")\ndef heat')
    text = text.replace("@station\ndef stuff", '@station(was="stations.py::fill")\ndef stuff')
    (project.path / "stations.py").write_text(text)


def _made(project: Project) -> None:
    project.stations(TEA)
    assert sorted(project.run("--cc-run", apart=True).visited) == sorted(ALL)
    _rename(project)


def test_renamed_stations_are_unchanged(project: Project, mode: str) -> None:
    """Nothing is visited because of a new name: not the station, nor its instances or downstream."""
    _made(project)

    run, again = project.run("--cc-run"), project.run("--cc-run")

    assert (sorted(run.unchanged), run.log) == (sorted(RENAMED), ())
    assert run.outlines.count(TAKEN_OVER) == 1
    assert (sorted(again.unchanged), again.log) == (sorted(RENAMED), ())
    assert "taken over" not in again.text
    project.edit("stations.py", '(was="boil")', "")
    project.edit("stations.py", '(was="stations.py::fill")', "")
    assert sorted(project.run("--cc-run").unchanged) == sorted(RENAMED)


def test_old_name_is_gone(project: Project) -> None:
    """A record that was taken over is not listed as that of a station that no longer exists."""
    _made(project)
    project.run("--cc-run")

    assert "choochoo: 5 complete" in project.run("--cc-status").outlines


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("--cc-plan",), "  unchanged  heat      taken over from boil"),
        (("--cc-explain", "heat"), "its visit took 0.0 s, taken over from boil"),
        (("--cc-status",), "taken over from boil"),
        (("--cc-graph",), "heat"),
        (("--cc-check",), "choochoo: 5 verified"),
        ((), ""),
    ],
    ids=["plan", "explain", "status", "graph", "check", "plain"],
)
def test_reading_shows_it_and_writes_nothing(
    project: Project, arguments: tuple[str, ...], shown: str
) -> None:
    """A session that only reads shows what the next run does, and leaves the ledger as it is."""
    _made(project)
    before = snapshot(project.path / ".pytest_cache/d/choochoo")

    read = project.run(*arguments)

    assert LINE.format("the next run takes over") in read.outlines
    assert shown in read.text
    assert snapshot(project.path / ".pytest_cache/d/choochoo") == before
    assert project.run("--cc-run").unchanged == RENAMED


def test_check_in_parallel_shows_it_once(project: Project) -> None:
    """Each worker takes over for itself, and one of them says so."""
    _made(project)
    project.workers = 2

    checked = project.run("--cc-check")

    assert sorted(checked.verified) == sorted(RENAMED)
    assert checked.outlines.count(LINE.format("the next run takes over")) == 1


def test_test_receives_the_outcome(project: Project, mode: str) -> None:
    """Plain pytest knows the outcome under the new name, before any run took it over."""
    _made(project)
    project.write("test_tea.py", "def test_tea(serve, stuff):\n    assert stuff['a'] == 'hota'\n")

    assert project.run().tests == {"test_tea": "passed"}


def test_clean_takes_over_as_well(project: Project, mode: str) -> None:
    """A clean right after the rename undoes what was made, with its outcome and resources."""
    _made(project)

    cleaned = project.run("--cc-clean")

    assert TAKEN_OVER in cleaned.outlines
    assert cleaned.log == ("empty hotb", "empty hota", "cool pot {'pot': 7} True")
    assert "there was nothing to clean" in project.run("--cc-clean").text
    assert not [*project.path.glob(".pytest_cache/d/choochoo/default/stations/*")]


@pytest.mark.parametrize("arguments", [("--cc-forget", "heat"), ("--cc-redo", "heat")])
def test_other_commands_take_over(project: Project, arguments: tuple[str, ...]) -> None:
    """Each command that writes takes over first, and then does its work."""
    _made(project)

    done = project.run(*arguments, apart=True)

    assert TAKEN_OVER in done.outlines
    assert "boil" not in project.run("--cc-status").text


def test_accept_takes_over(project: Project) -> None:
    """To accept a station as it is, its outcome under the former name is known."""
    _made(project)

    assert project.run("--cc-accept", "heat").adopted == ("heat",)


def test_without_was_it_is_another_station(project: Project) -> None:
    """A station whose name nobody explains is visited; the old record stays known."""
    _made(project)
    project.edit("stations.py", '(was="boil")', "")
    project.edit("stations.py", '(was="stations.py::fill")', "")

    assert project.run("--cc-plan").text.count("first visit") == 3
    run = project.run("--cc-run")

    assert run.visited == RENAMED
    assert run.reasons["heat"] == ("first visit",)
    assert "  gone      boil " in project.run("--cc-status").text


def test_former_name_without_a_record_is_silent(project: Project) -> None:
    """It stays in the source for other checkouts."""
    project.stations(TEA)
    _rename(project)

    run = project.run("--cc-run")

    assert (run.visited, run.reasons["heat"]) == (RENAMED, ("first visit",))
    assert "taken over" not in run.text


def test_real_change_is_found(project: Project) -> None:
    """A station that was renamed and changed at once is visited, and only for the change."""
    _made(project)
    project.edit("stations.py", 'write_text("hot")', 'write_text("warm")')

    run = project.run("--cc-run")

    assert run.visited == RENAMED[:1]
    assert run.reasons["heat"] == ("code of stations.py::heat changed",)


def test_failure_is_remembered_under_the_new_name(project: Project) -> None:
    """A visit that failed under the former name is told of."""
    project.stations("@station\ndef boil():\n    raise RuntimeError('cold')\n")
    project.run("--cc-run")
    project.stations('@station(was="boil")\ndef heat(): ...\n')

    run = project.run("--cc-run")

    assert run.visited == ("heat",)
    assert run.reasons["heat"][0].endswith(": RuntimeError: cold")


def test_own_record_counts(project: Project) -> None:
    """A station that was visited under its new name takes nothing over."""
    project.stations("@station\ndef boil():\n    return 1\n")
    project.run("--cc-run")
    project.stations("@station\ndef heat():\n    return 2\n")
    project.run("--cc-run")
    project.stations('@station(was="boil")\ndef heat():\n    return 2\n')

    run = project.run("--cc-run")

    assert run.unchanged == ("heat",)
    assert "taken over" not in run.text
    assert "  gone      boil " in project.run("--cc-status").text


MOVED = """
    OUT = "out.txt"

    def times(number):
        return number * 3

    @station(files=["*.csv"], products=["out.txt"])
    def count():
        open("a/" + OUT, "w").close()
        return times(2)
"""
CONSUMER = "@station\ndef use(count):\n    log('use')\n    return count\n"


def test_moved_station_is_unchanged(project: Project, mode: str) -> None:
    """Its file is no code, helpers that moved along included; files and products stay the same."""
    project.stations(MOVED, "a/stations.py")
    project.write("a/in.csv", "1")
    project.stations(CONSUMER, "a/use_stations.py")
    assert project.run("--cc-run").visited == ("count", "use")
    project.remove("a/stations.py")
    there = MOVED.replace("@station(", '@station(was="a/stations.py::count", ')
    project.stations(there.replace('["', '["a/'))

    run = project.run("--cc-run")

    assert (sorted(run.unchanged), run.log) == (["count", "use"], ())
    assert "choochoo: taken over: count from a/stations.py::count" in run.outlines
    assert sorted(project.run("--cc-run").unchanged) == ["count", "use"]


def test_file_of_the_former_name_is_looked_at(project: Project) -> None:
    """A station that still exists keeps its record, although its file is not selected."""
    project.stations("@station\ndef boil(): ...\n", "a/stations.py")
    project.run("--cc-run")
    project.stations('@station(was="a/stations.py::boil")\ndef boil(): ...\n', "b/stations.py")

    run = project.run("--cc-run", "b")

    assert run.collect_errors[0].startswith("station 'boil' (b/stations.py:5) has was=")
    assert project.run("--cc-run", "a").unchanged == ("boil",)


def test_renamed_again_and_back(project: Project) -> None:
    """The directory of a station, which its outcome names, is the same under every name."""
    project.stations(TEA)
    project.run("--cc-run", apart=True)
    text = (project.path / "stations.py").read_text()
    for name, former in (("heat", "boil"), ("warm", "heat"), ("boil", "warm")):
        renamed = re.sub(r"\bboil\b(?!\")", name, text)
        renamed = renamed.replace(f"@station\ndef {name}", f"@station(was={former!r})\ndef {name}")
        (project.path / "stations.py").write_text(renamed)
        shutil.rmtree(project.path / "__pycache__", ignore_errors=True)

        run = project.run("--cc-run", apart=True)

        assert (len(run.unchanged), run.log) == (5, ())
        assert f"choochoo: taken over: {name} from {former}" in run.outlines


def test_several_former_names(project: Project) -> None:
    """A checkout that missed a name in between takes over from an earlier one."""
    project.stations("@station\ndef boil():\n    return 1\n")
    project.run("--cc-run")
    project.stations('@station(was=["heat", "boil"])\ndef warm():\n    return 1\n')

    run = project.run("--cc-run")

    assert run.unchanged == ("warm",)
    assert "choochoo: taken over: warm from boil" in run.outlines


def test_only_the_record_of_this_checkout_moves(project: Project) -> None:
    """In a ledger of several checkouts, each one takes over what is its own."""
    folder = str(project.path.parent / f"{project.path.name}-state")
    project.stations("@station\ndef boil():\n    log('boil')\n    return 1\n")
    copy = project.path.parent / f"{project.path.name}-copy"
    shutil.copytree(project.path, copy)

    def run(where: str) -> Run:
        return project.run("--cc-run", f"--cc-state={folder}", apart=True, cwd=where)

    run("."), run(str(copy))
    project.stations("@station(was='boil')\ndef heat():\n    log('boil')\n    return 1\n")

    assert run(".").unchanged == ("heat",)
    assert run(str(copy)).unchanged == ("boil",)
    shutil.copy(project.path / "stations.py", copy)
    assert run(str(copy)).unchanged == ("heat",)


def test_run_waits_for_a_visit_under_the_former_name(
    project: Project, background: BackgroundRuns
) -> None:
    """A visit that began before the rename is awaited, and its outcome is taken over."""
    project.stations(HELD)
    first = background.held("--cc-run", "stations.py::boil")
    project.edit("stations.py", "@station\ndef boil", "@station(was='boil')\ndef heat")
    project.edit("stations.py", "@boil.clean\ndef cool(boil)", "@heat.clean\ndef cool(heat)")
    project.edit("stations.py", "pour(boil)", "pour(heat)")

    second = background.start("--cc-run")
    background.wait_for(lambda: "stations.py::boil: waiting for" in background.text(second))
    background.release()

    background.end(first)
    assert "choochoo: taken over: heat from boil" in background.end(second)
    assert project.log() == ("boil begins", "boil ends", "pour")


def test_two_runs_at_once(project: Project, background: BackgroundRuns) -> None:
    """One of them takes over, and the other one finds it done."""
    _made(project)

    runs = [background.start("--cc-run") for _ in range(2)]
    texts = [background.end(run) for run in runs]

    assert sum(text.count(TAKEN_OVER) for text in texts) == 1
    assert all("5 unchanged" in text for text in texts)


KILLING = """
    import os
    import signal

    from pytest_choochoo.engine.ledger import sqlite_moving

    def kill(record, names):
        os.kill(os.getpid(), signal.SIGKILL)

    sqlite_moving.renamed = kill
"""


def test_killed_while_it_takes_over(project: Project) -> None:
    """Nothing is lost: the next run takes over from the start."""
    _made(project)
    project.write("conftest.py", KILLING)

    killed = project.run("--cc-run", apart=True)
    project.remove("conftest.py")
    run = project.run("--cc-run")

    assert killed.exit_code == -9
    assert (run.unchanged, run.log) == (RENAMED, ())
    assert TAKEN_OVER in run.outlines
