"""`--cc-replay`: the stations that a selector names, and the visits that follow."""

from __future__ import annotations

import pytest
from harness import Project

# Two branches that meet; running order is boil, grind, brew, cup[blue], cup[red], sip.
TEA = """
    @station
    def boil():
        return 100

    @station
    def grind():
        return 1

    @station
    def brew(boil, grind):
        return boil + grind

    @pytest.mark.parametrize("colour", ["blue", "red"])
    @station
    def cup(brew, colour):
        return colour

    @station
    def sip(cup):
        return list(cup)
"""


@pytest.fixture
def tea(project: Project) -> Project:
    """Six complete stations."""
    project.stations(TEA)
    assert project.run("--cc-run").closing == "6 visited"
    return project


@pytest.mark.parametrize(
    ("selector", "visited"),
    [
        pytest.param("brew", ("brew",), id="name"),
        pytest.param("cup", ("cup[blue]", "cup[red]"), id="all-instances"),
        pytest.param("cup[red]", ("cup[red]",), id="one-instance"),
        pytest.param("stations.py::boil", ("boil",), id="node-id"),
        pytest.param("stations.py::cup[red]", ("cup[red]",), id="node-id-of-instance"),
        pytest.param("b*", ("boil", "brew"), id="glob"),
        pytest.param("*.py::*i*", ("boil", "grind", "sip"), id="glob-of-node-ids"),
        pytest.param("+brew", ("boil", "grind", "brew"), id="and-upstream"),
        pytest.param("brew+", ("brew", "cup[blue]", "cup[red]", "sip"), id="and-downstream"),
        pytest.param(
            "+cup[red]+", ("boil", "grind", "brew", "cup[red]", "sip"), id="and-both-ways"
        ),
        pytest.param("last:2", ("cup[red]", "sip"), id="last-two"),
        pytest.param("last:0", (), id="last-none"),
        pytest.param(
            "last:99", ("boil", "grind", "brew", "cup[blue]", "cup[red]", "sip"), id="last-many"
        ),
        pytest.param("all", ("boil", "grind", "brew", "cup[blue]", "cup[red]", "sip"), id="all"),
        pytest.param("failed", (), id="failed-where-none-did"),
        pytest.param("sip, boil", ("boil", "sip"), id="list-with-blank"),
        pytest.param("boil,+grind,boil", ("boil", "grind"), id="list-with-overlap"),
    ],
)
def test_selected_stations_are_visited(
    tea: Project, selector: str, visited: tuple[str, ...]
) -> None:
    """Exactly the selected stations are visited, in running order; the others are unchanged."""
    run = tea.run("--cc-replay", selector)

    assert (run.visited, len(run.visited) + len(run.unchanged)) == (visited, 6)
    assert {run.reasons[name] for name in visited} <= {("selected by --cc-replay",)}
    assert run.exit_code == 0


def test_option_is_given_twice(tea: Project) -> None:
    """Several --cc-replay options add up."""
    run = tea.run("--cc-replay", "boil", "--cc-replay", "sip")

    assert run.visited == ("boil", "sip")


def test_parameter_id_with_comma_is_one_selector(project: Project) -> None:
    """A comma inside brackets does not split a list."""
    project.stations(
        """
        @pytest.mark.parametrize("colour", ["a,b", "c"])
        @station
        def cup(colour): pass
        """
    )
    project.run("--cc-run")

    run = project.run("--cc-replay", "cup[a,b]")

    assert run.visited == ("cup[a,b]",)


def test_failed_selects_what_failed(project: Project) -> None:
    """The selector `failed` names the stations whose last visit failed."""
    project.stations(TEA.replace("return boil + grind", "raise RuntimeError(1)"))
    project.run("--cc-run")

    run = project.run("--cc-replay", "failed")

    assert (run.failed, run.unchanged) == (("brew",), ("boil", "grind"))
    assert run.reasons["brew"][0] == "selected by --cc-replay"


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        pytest.param(
            "bril",
            "--cc-replay: no station is called 'bril'; did you mean 'boil' or 'brew'?",
            id="close-name",
        ),
        pytest.param(
            "zzz",
            "--cc-replay: no station is called 'zzz'; "
            "choose from boil, grind, brew, cup, cup[blue], cup[red], sip",
            id="no-close-name",
        ),
        pytest.param(
            "boil,cup[green]",
            "--cc-replay: no station is called 'cup[green]'; "
            "did you mean 'cup[red]' or 'cup[blue]'?",
            id="unknown-instance",
        ),
        pytest.param(
            "last:x",
            "--cc-replay: no station is called 'last:x'; "
            "choose from boil, grind, brew, cup, cup[blue], cup[red], sip",
            id="last-what",
        ),
    ],
)
def test_selector_that_matches_nothing_is_usage_error(
    tea: Project, selector: str, message: str
) -> None:
    """A selector that matches nothing is a usage error that suggests close names."""
    run = tea.run("--cc-replay", selector)

    assert run.exit_code == 4
    assert f"ERROR: {message}" in run.outlines


def test_selector_that_matches_nothing_is_usage_error_with_workers(tea: Project) -> None:
    """A wrong selector is the same usage error under xdist, reported once."""
    tea.workers = 2

    run = tea.run("--cc-replay", "bril")

    assert run.exit_code == 4
    assert (
        run.text.count(
            "ERROR: --cc-replay: no station is called 'bril'; did you mean 'boil' or 'brew'?"
        )
        == 1
    )
    assert "INTERNALERROR" not in run.text


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        pytest.param(
            ("brew", "-k", "boil"),
            "choochoo: 1 station selected by --cc-replay and then deselected: brew",
            id="by-name",
        ),
        pytest.param(
            ("brew,sip", "-k", "boil"),
            "choochoo: 2 stations selected by --cc-replay and then deselected: brew, sip",
            id="several",
        ),
        pytest.param(
            ("sip", "-m", "not station"),
            "choochoo: 1 station selected by --cc-replay and then deselected: sip",
            id="by-mark",
        ),
        pytest.param(
            ("boil,brew", "stations.py::boil"),
            "choochoo: 1 station selected by --cc-replay and then deselected: brew",
            id="by-argument",
        ),
    ],
)
def test_replayed_station_that_is_deselected_is_reported(
    tea: Project, mode: str, arguments: tuple[str, ...], line: str
) -> None:
    """A station that --cc-replay selects and -k deselects is not visited, and a line says so."""
    run = tea.run("--cc-replay", *arguments)

    assert run.outlines.count(line) == 1
    assert set(run.visited) <= {"boil"}


def test_replayed_station_that_is_needed_is_not_deselected(tea: Project, mode: str) -> None:
    """A station that --cc-replay selects and that the selection needs is visited."""
    run = tea.run("--cc-replay", "boil", "-k", "brew")

    assert "choochoo: 1 needed station added: boil" in run.outlines
    assert ("deselected:" in run.text, "boil" in run.visited) == (False, True)


@pytest.mark.parametrize("option", ["--cc-run", "--cc-replay=bril", "--cc-forget=bril"])
def test_ledger_is_always_closed(tea: Project, option: str, mode: str) -> None:
    """Every opened ledger is closed once, after a usage error as after a run."""
    tea.write(
        "conftest.py",
        """
        from pytest_choochoo import LedgerLocation, open_ledger
        from effects import log

        class Closing:
            def __init__(self, ledger):
                log("opened")
                self._ledger = ledger

            def __getattr__(self, name):
                return getattr(self._ledger, name)

            def close(self):
                log("closed")
                self._ledger.close()

        def pytest_choochoo_make_ledger(folder, profile):
            return Closing(open_ledger(LedgerLocation(folder, profile), warn=print))
        """,
    )

    run = tea.run(option)

    assert run.log.count("opened") == run.log.count("closed") > 0


def test_selector_without_stations_is_usage_error(project: Project) -> None:
    """If there are no stations at all, the error says so."""
    project.write("test_tea.py", "def test_tea(): pass\n")

    run = project.run("--cc-replay", "boil")

    assert run.exit_code == 4
    assert (
        "ERROR: --cc-replay: no station is called 'boil'; there are no stations here"
        in run.outlines
    )


def test_empty_selector_is_usage_error(tea: Project) -> None:
    """An empty list of selectors, as from an unset variable of a script, is a usage error."""
    run = tea.run("--cc-replay", "")

    assert run.exit_code == 4
    assert "ERROR: --cc-replay is ''; it must be a comma-separated list of stations" in run.outlines


def test_replay_failed_with_nothing_failed_is_a_plain_run(project: Project) -> None:
    """Replaying failed stations when there are none is a plain run."""
    project.stations(TEA)

    run = project.run("--cc-replay", "failed")

    assert (run.closing, run.exit_code) == ("6 visited", 0)


def test_replay_propagates_changed_outcome(project: Project) -> None:
    """A replay with another outcome makes downstream due, like any visit."""
    project.write("pots/one", "")
    project.stations(
        """
        from pathlib import Path

        @station
        def boil():
            return len(list((Path(__file__).parent / "pots").iterdir()))

        @station
        def brew(boil):
            return "tea"

        @station
        def sip(brew):
            pass
        """
    )
    project.run("--cc-run")
    project.write("pots/two", "")

    run = project.run("--cc-replay", "boil")

    assert (run.visited, run.unchanged) == (("boil", "brew"), ("sip",))
    assert run.reasons["brew"] == ("outcome of boil changed",)


def test_replay_outside_of_selection_visits_nothing(tea: Project) -> None:
    """A replayed station that is neither selected nor needed is not visited."""
    run = tea.run("--cc-replay", "sip", "-k", "boil")

    assert (run.unchanged, run.visited) == (("boil",), ())


def test_replayed_upstream_is_added_to_selection(tea: Project) -> None:
    """A replayed station upstream of the selection is visited first, and the header says so."""
    run = tea.run("--cc-replay", "boil", "-k", "brew")

    assert (run.visited, run.unchanged) == (("boil",), ("brew",))
    assert "choochoo: 1 needed station added: boil" in run.outlines


def test_replay_is_done_once_with_workers(tea: Project) -> None:
    """Under xdist every replayed station is visited exactly once."""
    tea.workers = 2

    run = tea.run("--cc-replay", "all")

    assert (run.closing, run.exit_code) == ("6 visited", 0)
