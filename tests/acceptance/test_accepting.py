"""`--cc-accept SEL`: stations count as complete as things are now, and nothing is visited."""

from __future__ import annotations

import pytest
from harness import Project

TEA = """
    from pathlib import Path

    HERE = Path(__file__).parent

    @station(files=["water.txt"])
    def boil() -> int:
        log("boil")
        return 100

    @station
    def pour(boil: int) -> None:
        log("pour")

    @pour.check
    def is_poured():
        assert (HERE / "cup").exists()
"""


@pytest.fixture
def tea(project: Project) -> Project:
    """Two complete stations."""
    project.stations(TEA)
    project.write("water.txt", "one")
    project.write("cup", "")
    project.run("--cc-run")
    return project


def test_changed_input_is_accepted(tea: Project) -> None:
    """The outcome stays as it was; the next run finds nothing to do."""
    tea.write("water.txt", "two")

    run = tea.run("--cc-accept", "boil")
    again = tea.run("--cc-run")

    assert (run.exit_code, run.log, run.results) == (0, (), {"boil": "adopted"})
    assert run.reasons["boil"] == ("accepted as it is now",)
    assert (again.closing, again.log) == ("2 unchanged", ())


def test_check_that_does_not_pass_is_not_accepted(tea: Project) -> None:
    """It fails, and its record stays as it was; the others are accepted."""
    tea.remove("cup")
    tea.write("water.txt", "two")

    run = tea.run("--cc-accept", "all")

    assert (run.exit_code, run.results) == (1, {"boil": "adopted", "pour": "failed"})
    assert run.causes["pour"].startswith("check is_poured does not pass: AssertionError")
    tea.write("cup", "")
    assert tea.run("--cc-run").closing == "2 unchanged"


def test_what_nobody_made_here_is_accepted(project: Project) -> None:
    """A find knows the outcome; a station that returns nothing needs none."""
    project.stations(TEA + "\n    @boil.find\n    def boiled():\n        return 99\n")
    project.write("water.txt", "one")
    project.write("cup", "")

    run = project.run("--cc-accept", "all")
    project.write("test_it.py", "def test_it(boil): assert boil == 99")

    assert (run.closing, run.exit_code) == ("2 adopted", 0)
    assert project.run().tests == {"test_it": "passed"}
    assert project.run("--cc-run").closing == "2 unchanged"


def test_unknown_outcome_is_a_usage_error(project: Project) -> None:
    """Nothing is asked, and nothing recorded."""
    project.stations(TEA)
    project.write("water.txt", "one")

    run = project.run("--cc-accept", "all")

    assert run.exit_code == 4
    assert (
        "--cc-accept: the outcome of boil is unknown, although it returns one; "
        "run 'pytest --cc-run', or give a find to what is there" in run.text
    )


def test_find_that_finds_nothing_is_not_accepted(project: Project) -> None:
    """It fails with that cause."""
    project.stations("@station\ndef boil() -> int:\n    return 1\n@boil.find\ndef it(): ...")

    run = project.run("--cc-accept", "boil")

    assert (run.exit_code, run.causes["boil"]) == (1, "station 'boil': its find finds nothing")
    assert "next: fix boil, then run pytest --cc-accept=boil" in run.outlines


def test_missing_product_is_not_accepted(project: Project) -> None:
    """It would be due at once."""
    project.stations("@station(products=['cup'])\ndef pour() -> None: ...")

    run = project.run("--cc-accept", "pour")

    assert run.exit_code == 1
    assert run.causes["pour"] == (
        "station 'pour' cannot be accepted: its product cup does not exist; "
        "run 'pytest --cc-run', which makes it"
    )


def test_unknown_name_is_a_usage_error(tea: Project) -> None:
    """As in other selectors."""
    run = tea.run("--cc-accept", "bol")

    assert run.exit_code == 4
    assert "--cc-accept: no station is called 'bol'; did you mean 'boil'?" in run.text
