"""`--cc-redo`: the selected stations and their downstream are cleaned, then all are run."""

from __future__ import annotations

import json
import re

import pytest
from background import BackgroundRuns
from harness import Project, ageless

TABLE = """
    from pathlib import Path
    HERE = Path(__file__).parent

    @station
    def lay() -> None:
        log("lay")
        (HERE / "table").mkdir()

    @lay.check
    def is_laid(): assert (HERE / "table").is_dir(), "no table"

    @lay.clean
    def clear():
        log("clear")
        (HERE / "table").rmdir()

    @station
    def serve(lay) -> int:
        log("serve")
        (HERE / "table/cup").touch()
        return 1

    @serve.check
    def cup_is_there(): assert (HERE / "table/cup").exists(), "no cup"

    @serve.clean
    def take_away():
        log("take away")
        (HERE / "table/cup").unlink()

    @station
    def sip(serve): log("sip")

    @station
    def sing(): log("sing")
"""
WORKERS: dict[str, tuple[str, ...]] = {"serial": (), "parallel": ("-n", "2")}
TEST = "from effects import log\n\ndef test_cup(serve):\n    log('test')\n    assert serve == 1\n"


@pytest.fixture
def table(project: Project) -> Project:
    """Three stations in a chain, one beside it, and a test; all complete."""
    project.stations(TABLE)
    project.write("test_table.py", TEST)
    assert project.run("--cc-run").closing == "4 visited"
    return project


def closings(text: str) -> list[str]:
    """Return the counts in each closing line: of the clean, and of the run."""
    return re.findall(r"^choochoo: (\d.*) in [\d.]+ ", text, re.MULTILINE)


def commands(project: Project) -> list[str]:
    """Return the commands in the history, the last one first."""
    run = project.run("--cc-status", "--cc-json=status.json")
    assert run.exit_code == 0
    document = json.loads((project.path / "status.json").read_text())
    return [each["command"] for each in document["history"]]


def test_selected_stations_are_made_again_from_nothing(table: Project, mode: str) -> None:
    """The station and its downstream are cleaned, downstream first; then everything is run."""
    run = table.run("--cc-redo", "serve")

    assert run.log[:2] == ("take away", "serve")
    assert sorted(run.log[2:]) == ["sip", "test"]  # a worker may take either first
    assert closings(run.text) == ["1 cleaned, 1 left in place", "2 visited, 2 unchanged"]
    assert (run.tests, run.exit_code) == ({"test_cup": "passed"}, 0)
    assert ageless(run.reasons["serve"])[0] == "cleaned ... ago"
    assert table.run("--cc-run").closing == "4 unchanged"


def test_whole_chain_is_redone(table: Project, mode: str) -> None:
    """Cleans go downstream first, visits upstream first; other stations are left alone."""
    run = table.run("--cc-redo", "lay")

    assert run.log[:4] == ("take away", "clear", "lay", "serve")
    assert sorted(run.log[4:]) == ["sip", "test"]  # a worker may take either first
    assert closings(run.text) == ["2 cleaned, 1 left in place", "3 visited, 1 unchanged"]


def test_run_takes_what_is_due_beside(table: Project) -> None:
    """After the clean, it runs as --cc-run does: what is due is visited as well."""
    table.run("--cc-forget", "sing")

    run = table.run("--cc-redo", "sip")

    assert set(run.visited) == {"sip", "sing"}


@pytest.mark.parametrize("way", ["clean", "check"])
def test_nothing_is_visited_after_a_clean_that_failed(table: Project, mode: str, way: str) -> None:
    """After a clean that failed, or a check that still passes, the exit code is 1."""
    broken = 'raise OSError("stuck")' if way == "clean" else "return"
    table.edit("stations.py", 'log("take away")', broken)

    run = table.run("--cc-redo", "lay,sing")

    assert (run.log, run.exit_code) == ((), 1)
    assert run.results == {
        "sing": "left in place",
        "sip": "left in place",
        "serve": "failed",
        "lay": "blocked",
    }
    assert [line for line in run.outlines if line.startswith("next:")] == [
        "next: fix serve, then run pytest --cc-redo=lay,sing"
    ]
    assert commands(table)[0] == "redo"


def test_protected_station_is_not_redone(table: Project, mode: str) -> None:
    """A protected station stops a redo, unless it is unprotected."""
    table.edit("stations.py", "@station\ndef serve", "@station(protect=True)\ndef serve")

    refused = table.run("--cc-redo", "serve")
    allowed = table.run("--cc-redo", "serve", "--cc-unprotect", "serve")

    assert (refused.log, refused.failed, refused.exit_code) == ((), ("serve",), 1)
    assert "to clean it, add --cc-unprotect=serve" in refused.text
    assert allowed.log[:2] == ("take away", "serve")
    assert allowed.exit_code == 0


def test_redo_is_one_command_in_the_history(table: Project, mode: str) -> None:
    """The history has one entry for a redo, with the counts of its run."""
    table.run("--cc-redo", "serve")

    assert commands(table) == ["redo", "run"]
    document = json.loads((table.path / "status.json").read_text())
    assert document["history"][0]["counts"] == {"visited": 2, "unchanged": 2}


def test_document_is_of_the_run(table: Project, mode: str) -> None:
    """--cc-json has the results of the run, and the name of the command."""
    table.run("--cc-redo", "serve", "--cc-json", "facts.json")

    document = json.loads((table.path / "facts.json").read_text())
    assert (document["command"], document["counts"]) == ("redo", {"visited": 2, "unchanged": 2})


def test_failed_visit_is_resumed_by_a_run(table: Project, mode: str) -> None:
    """If a visit of the redo fails, the next command is a run, which resumes there."""
    table.edit("stations.py", 'log("serve")', "assert not (HERE / 'broken').exists(), 'broken'")
    table.write("broken", "")

    run = table.run("--cc-redo", "serve")

    assert (run.failed, run.exit_code) == (("serve",), 1)
    assert [line for line in run.outlines if line.startswith("next:")] == [
        "next: fix serve, then run pytest --cc-run"
    ]


def test_nothing_to_clean_is_run(project: Project, mode: str) -> None:
    """Where nothing was made yet, nothing is cleaned, and everything is visited."""
    project.stations(TABLE)

    run = project.run("--cc-redo", "all")

    assert "choochoo: there was nothing to clean" in run.outlines
    assert (run.closing, run.exit_code) == ("4 visited", 0)


def test_failed_selects_nothing_where_nothing_failed(table: Project) -> None:
    """`failed` may be an empty selection: nothing is cleaned."""
    run = table.run("--cc-redo", "failed")

    assert (run.closing, run.log) == ("4 unchanged", ("test",))


def test_station_that_was_not_made_here_is_redone_by_its_node_id(project: Project) -> None:
    """Named by node id, a station is cleaned if its checks say that it is there."""
    project.stations(TABLE)
    (project.path / "table").mkdir()

    run = project.run("--cc-redo", "stations.py::lay")

    assert run.log == ("clear", "lay", "serve", "sip", "sing")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ("--cc-redo=serv",),
            "--cc-redo: no station is called 'serv'; did you mean 'serve'?",
            id="unknown",
        ),
        pytest.param(
            ("--cc-redo=",),
            "--cc-redo is ''; it must be a comma-separated list of stations",
            id="empty",
        ),
        pytest.param(
            ("--cc-replay=sung", "--cc-redo=lay"),
            "--cc-replay: no station is called 'sung'; did you mean 'sing'?",
            id="unknown-replay",
        ),
        pytest.param(
            ("--cc-redo=lay", "--cc-unprotect=sung"),
            "--cc-unprotect: no station is called 'sung'; did you mean 'sing'?",
            id="unknown-unprotected",
        ),
        pytest.param(
            ("--cc-redo=lay", "-n2", "--dist=each"),
            "--cc-redo and --dist each cannot be combined; choose one of them",
            id="dist-each",
        ),
    ],
)
def test_wrong_request_cleans_nothing(
    table: Project, arguments: tuple[str, ...], message: str
) -> None:
    """A wrong option is a usage error before anything is cleaned, and said once."""
    run = table.run(*arguments)

    assert (run.exit_code, run.log) == (4, ())
    assert run.outlines.count(f"ERROR: {message}") == 1


def test_fault_cleans_nothing(table: Project, mode: str) -> None:
    """A structural fault is found before anything is cleaned."""
    table.edit("stations.py", "def sing(): log", "def sing(sung): log")

    run = table.run("--cc-redo", "lay")

    assert run.log == ()
    assert run.exit_code != 0
    assert "'sung', which is neither a fixture nor a station" in run.text


@pytest.mark.parametrize(
    "option", ["--collect-only", "--fixtures", "--markers", "--help", "--setup-plan"]
)
def test_options_that_only_show_clean_nothing(table: Project, option: str) -> None:
    """Where pytest shows something instead of running items, nothing is cleaned."""
    run = table.run("--cc-redo", "lay", option)

    assert (run.log, run.exit_code) == ((), 0)
    assert table.run("--cc-run").closing == "4 unchanged"


def test_cache_is_cleared_once(table: Project) -> None:
    """--cache-clear forgets before the clean, and what the clean writes is kept."""
    run = table.run("--cc-redo", "serve", "--cache-clear")

    assert run.log[:2] == ("take away", "serve")
    assert run.results == {
        "lay": "adopted",
        "serve": "visited",
        "sip": "visited",
        "sing": "visited",
    }
    assert ageless(run.reasons["serve"])[0] == "cleaned ... ago"


def test_last_mode_counts(table: Project) -> None:
    """The last option that says what to do counts: a run after a redo is a run."""
    run = table.run("--cc-redo", "lay", "--cc-run")

    assert run.closing == "4 unchanged"


def test_interrupted_clean_is_followed_by_nothing(table: Project) -> None:
    """Ctrl-C in a clean ends the redo, with pytest's exit code."""
    table.edit("stations.py", 'log("take away")', "raise KeyboardInterrupt")

    run = table.run("--cc-redo", "lay", apart=True)

    assert (run.exit_code, run.log) == (2, ())


def test_profile_is_held_from_the_clean_to_the_end_of_the_run(
    table: Project, background: BackgroundRuns, mode: str
) -> None:
    """No other session works on the profile between the clean and the run, or during the run."""
    table.edit(
        "stations.py",
        'log("serve")',
        '(HERE / "begun").touch()\n'
        '    while (HERE / "hold").exists(): __import__("time").sleep(0.01)',
    )
    redo = background.held("--cc-redo", "serve", *WORKERS[mode])

    refused = table.run("--cc-run", "--cc-lock-timeout=0.5")
    background.release()
    text = background.end(redo)

    assert refused.exit_code == 4
    assert "which runs --cc-redo, after 0.5 s" in refused.text
    assert closings(text) == ["1 cleaned, 1 left in place", "2 visited, 2 unchanged"]
    assert table.run("--cc-run").closing == "4 unchanged"
