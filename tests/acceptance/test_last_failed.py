"""`--lf`: stations that failed and items that they blocked, and nothing that completed."""

from __future__ import annotations

import pytest
from harness import HEADER, Project


@pytest.fixture
def broken(project: Project) -> Project:
    """Stations in three files and a test; the second station failed and blocks its downstream."""
    project.stations('@station\ndef boil():\n    log("boil")\n    return 100\n')
    project.write(
        "kitchen/stations.py",
        HEADER
        + "@station\ndef pour(boil):\n    assert 0\n\n"
        + '@station\ndef grind():\n    log("grind")\n',
    )
    project.write("kitchen/cup/stations.py", HEADER + '@station\ndef drink(pour): log("drink")\n')
    project.write("kitchen/test_tea.py", "def test_tea(pour): pass\n\ndef test_else(): pass\n")
    run = project.run("--cc-run")
    assert run.closing == "2 visited, 1 failed, 1 blocked"
    return project


def test_failed_and_blocked_are_selected(broken: Project, mode: str) -> None:
    """`--lf` selects the failed station and everything that it blocked, in all files, including tests."""
    run = broken.run("--cc-run", "--lf")

    assert run.results == {"pour": "failed", "drink": "blocked"}
    assert (run.tests, run.log) == ({"test_tea": "skipped"}, ())
    assert (run.closing, run.exit_code) == ("1 failed, 1 blocked", 1)


def test_fixed_station_runs_with_its_downstream(broken: Project, mode: str) -> None:
    """After a fix, `--lf` visits the failed station and those it blocked, and then nothing is left."""
    broken.edit("kitchen/stations.py", "assert 0", 'log(f"pour {boil}")')

    run = broken.run("--cc-run", "--lf")
    after = broken.run("--cc-run", "--lf", "--lfnf=none")

    assert run.results == {"pour": "visited", "drink": "visited"}
    assert (run.tests, run.log) == ({"test_tea": "passed"}, ("pour 100", "drink"))
    assert (after.results, after.tests) == ({}, {})


def test_blocked_are_remembered_over_several_runs(broken: Project) -> None:
    """Items that are blocked again are selected again, in any number of runs."""
    broken.run("--cc-run", "--lf")
    broken.run("--cc-run", "--lf")

    run = broken.run("--cc-run", "--lf")

    assert run.results == {"pour": "failed", "drink": "blocked"}
    assert run.tests == {"test_tea": "skipped"}


def test_upstream_in_other_file_is_used(broken: Project) -> None:
    """`--lf` uses the outcome of a complete station in a file that it leaves out."""
    broken.edit("kitchen/stations.py", "assert 0", 'assert boil == 100; log("pour")')

    run = broken.run("--cc-run", "--lf")

    assert "boil" not in run.results
    assert run.log == ("pour", "drink")


def test_due_upstream_in_other_file_is_added(broken: Project) -> None:
    """A due station in a file that `--lf` leaves out is visited first."""
    broken.edit("stations.py", "return 100", "return 90")
    broken.edit("kitchen/stations.py", "assert 0", 'log(f"pour {boil}")')

    run = broken.run("--cc-run", "--lf")

    assert run.results == {"boil": "visited", "pour": "visited", "drink": "visited"}
    assert run.log == ("boil", "pour 90", "drink")
    assert "choochoo: 1 needed station added: boil" in run.outlines


def test_plain_run_resumes(broken: Project) -> None:
    """A plain --cc-run resumes: completed stations are not repeated."""
    broken.edit("kitchen/stations.py", "assert 0", 'log("pour")')

    run = broken.run("--cc-run")

    assert run.log == ("pour", "drink")
    assert run.closing == "2 visited, 2 unchanged"


def test_stopped_run_leaves_blocked_for_last_failed(broken: Project) -> None:
    """`--lf` also selects the items that `-x` left blocked."""
    broken.run("--cc-run", "-x", "--cache-clear")

    run = broken.run("--cc-run", "--lf")

    assert run.results == {"pour": "failed", "drink": "blocked"}


def test_failed_first_runs_everything(broken: Project) -> None:
    """`--ff` runs everything, and items that it puts first still run after their upstream."""
    run = broken.run("--cc-run", "--ff")

    assert run.closing == "2 unchanged, 1 failed, 1 blocked"


def test_test_that_failed_by_itself_is_selected_alone(project: Project) -> None:
    """`--lf` of a test that failed by itself uses its fresh station silently."""
    project.stations('@station\ndef boil():\n    log("boil")\n    return 100\n')
    project.write("test_tea.py", "def test_tea(boil): assert boil == 90\n")
    project.run("--cc-run")

    run = project.run("--cc-run", "--lf")

    assert (run.results, run.tests, run.log) == ({}, {"test_tea": "failed"}, ())
