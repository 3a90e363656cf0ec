"""`@station(protect=True)`: a clean needs `--cc-unprotect`, else it leaves the station alone."""

from __future__ import annotations

import pytest
from harness import Project

CELLAR = """
    @station
    def dig(): return 1

    @dig.clean
    def fill_up(): log("fill up")

    @station(protect=True)
    def store(dig): return 2

    @store.clean
    def empty(): log("empty")

    @station
    def label(store): return 3

    @label.clean
    def peel_off(): log("peel off")

    @station
    def sing(): return 4

    @sing.clean
    def hush(): log("hush")
"""


@pytest.fixture
def cellar(project: Project) -> Project:
    """A chain of three stations, the one in the middle protected, and another one, complete."""
    project.stations(CELLAR)
    assert project.run("--cc-run").closing == "4 visited"
    return project


def test_protected_station_and_its_upstream_stay(cellar: Project, mode: str) -> None:
    """A clean fails at a protected station, keeps what is upstream, and says the way out."""
    run = cellar.run("--cc-clean")

    cause = (
        "station 'store' is protected, so it was not cleaned; to clean it, add --cc-unprotect=store"
    )
    assert run.log == ("hush", "peel off")
    assert run.results == {
        "sing": "cleaned",
        "label": "cleaned",
        "store": "failed",
        "dig": "blocked",
    }
    assert (run.errors["store"], run.causes) == (cause, {"store": cause})
    assert (run.blamed, run.exit_code) == ({"dig": ("store",)}, 1)
    assert f"  failed   store  {cause}" in run.outlines
    assert [line for line in run.outlines if line.startswith("next:")] == []
    assert cellar.run("--cc-run").closing == "2 visited, 2 unchanged"


@pytest.mark.parametrize("selector", ["store", "sto*", "stations.py::store", "+label", "all"])
def test_unprotected_station_is_cleaned(cellar: Project, selector: str) -> None:
    """With --cc-unprotect, a protected station is cleaned like any other."""
    run = cellar.run("--cc-clean", f"--cc-unprotect={selector}", "-k", "dig")

    assert run.log == ("peel off", "empty", "fill up")
    assert (run.closing, run.exit_code) == ("3 cleaned", 0)


def test_unprotect_selects_nothing_to_clean(cellar: Project) -> None:
    """--cc-unprotect only permits: what is cleaned is selected as always."""
    run = cellar.run("--cc-clean", "--cc-unprotect=store", "-k", "sing")

    assert (run.results, run.exit_code) == ({"sing": "cleaned"}, 0)


def test_other_failures_have_a_next_command(cellar: Project) -> None:
    """Beside a protected station, a failed clean is still to be fixed."""
    cellar.edit("stations.py", 'log("hush")', 'raise OSError("loud")')

    run = cellar.run("--cc-clean")

    assert run.failed == ("sing", "store")
    assert [line for line in run.outlines if line.startswith("next:")] == [
        "next: fix sing, then run pytest --cc-clean"
    ]


def test_protected_instance_is_named_for_a_shell(project: Project) -> None:
    """Each instance is protected by itself, and the way out can be pasted into a shell."""
    project.stations(
        """
        @station(protect=True)
        @pytest.mark.parametrize("year", [1999, 2000])
        def store(year): ...

        @store.clean
        def empty(year): log(f"empty {year}")
        """
    )
    project.run("--cc-run")

    run = project.run("--cc-clean", "--cc-unprotect=store[1999]")

    assert run.log == ("empty 1999",)
    assert run.causes == {
        "store[2000]": "station 'store[2000]' is protected, so it was not cleaned; "
        "to clean it, add --cc-unprotect='store[2000]'"
    }


def test_protected_station_without_a_clean_is_not_forgotten(project: Project) -> None:
    """A protected station without a clean keeps its record and its upstream, too."""
    project.stations(
        """
        @station
        def dig(): ...

        @dig.clean
        def fill_up(): log("fill up")

        @station(protect=True)
        def store(dig): ...

        @store.check
        def is_full(): ...
        """
    )
    project.run("--cc-run")

    run = project.run("--cc-clean")

    assert (run.failed, run.blocked, run.log) == (("store",), ("dig",), ())
    assert project.run("--cc-run").closing == "2 unchanged"


def test_protected_station_that_was_never_made_is_no_failure(project: Project) -> None:
    """Where there is nothing to clean, nothing is protected: the clean is a success."""
    project.stations(CELLAR)

    run = project.run("--cc-clean")

    assert (run.results, run.exit_code) == ({}, 0)
    assert "choochoo: there was nothing to clean" in run.outlines


def test_protection_is_no_input(cellar: Project) -> None:
    """A station that is protected, or no more, is unchanged."""
    cellar.edit("stations.py", "@station(protect=True)", "@station")
    first = cellar.run("--cc-run")
    cellar.edit("stations.py", "@station\ndef sing", "@station(protect=True)\ndef sing")

    second = cellar.run("--cc-run")

    assert (first.closing, second.closing) == ("4 unchanged", "4 unchanged")


@pytest.mark.parametrize("command", ["--cc-run", "--cc-check", "--cc-plan", "--cc-forget=store"])
def test_unprotect_needs_a_clean(cellar: Project, mode: str, command: str) -> None:
    """--cc-unprotect with a command that cleans nothing is a usage error."""
    run = cellar.run(command, "--cc-unprotect=store")

    assert run.exit_code == 4
    assert (
        "ERROR: --cc-unprotect lets a clean undo protected stations, and this command cleans "
        "nothing; add --cc-clean, --cc-redo SEL or --cc-audit, or leave it out"
    ) in run.outlines


def test_unprotect_needs_a_command(cellar: Project) -> None:
    """Plain pytest cleans nothing, so --cc-unprotect is a usage error there as well."""
    run = cellar.run("--cc-unprotect=store")

    assert run.exit_code == 4
    assert "this command cleans nothing" in run.text


@pytest.mark.parametrize(
    ("stations", "answer"),
    [
        pytest.param(CELLAR, "did you mean 'store'?", id="close"),
        pytest.param("", "there are no stations here", id="none"),
    ],
)
def test_unknown_station_is_a_usage_error(project: Project, stations: str, answer: str) -> None:
    """A selector of --cc-unprotect that matches nothing is a usage error with close names."""
    project.stations(stations)

    run = project.run("--cc-clean", "--cc-unprotect=stor")

    assert run.exit_code == 4
    assert f"ERROR: --cc-unprotect: no station is called 'stor'; {answer}" in run.outlines


def test_selector_must_not_be_empty(cellar: Project) -> None:
    """An empty selector, perhaps an unset variable, is a usage error."""
    run = cellar.run("--cc-clean", "--cc-unprotect=")

    assert run.exit_code == 4
    assert (
        "ERROR: --cc-unprotect is ''; it must be a comma-separated list of stations" in run.outlines
    )
