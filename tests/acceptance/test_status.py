"""`--cc-status`, `--cc-explain` and `--cc-graph`: what is known, in a terminal."""

from __future__ import annotations

import json
import re

import pytest
from harness import Project

WORKFLOW = """
    from pathlib import Path

    @station(files=["water.txt"])
    def boil(visit) -> int:
        "Boil the water"
        print("bubbles")
        visit.resources["pot"] = 7
        return int(Path("water.txt").read_text())

    @station(products=["cup.txt"])
    def pour(boil: int) -> None:
        if boil > 100:
            raise RuntimeError("too hot")
        Path("cup.txt").write_text("tea")

    @station
    def drink(pour) -> None:
        pass
"""


@pytest.fixture
def workflow(project: Project) -> Project:
    """A chain of three complete stations."""
    project.stations(WORKFLOW)
    project.write("water.txt", "100")
    assert project.run("--cc-run").closing == "3 visited"
    return project


def table(project: Project, *arguments: str) -> list[str]:
    """Return the lines of a command that only reads, without what pytest prints around them."""
    run = project.run(*arguments)
    assert (run.exit_code, run.log) == (0, ())
    lines = list(run.outlines)
    start = next(number for number, line in enumerate(lines) if line.startswith("collected"))
    end = next(number for number, line in enumerate(lines) if "no tests ran" in line)
    lines = [re.sub(r"[\d.]+ (?:s|min) ago", "… ago", line) for line in lines[start + 1 : end]]
    return [re.sub(r"took [\d.]+ s", "took …", line) for line in lines if line]


def test_status_of_complete_stations(workflow: Project) -> None:
    """Each station has a line with its title and its age, and the last runs follow."""
    assert [re.sub(r"in [\d.]+ s", "in …", line) for line in table(workflow, "--cc-status")] == [
        "  complete  boil   … ago  Boil the water",
        "  complete  pour   … ago",
        "  complete  drink  … ago",
        "last run … ago: 3 visited in …",
        "choochoo: 3 complete",
    ]


def test_status_says_why(workflow: Project) -> None:
    """It names what failed, what is due and why, what waits for that, and what has gone."""
    workflow.write("water.txt", "101")
    workflow.run("--cc-run")
    workflow.write("water.txt", "99")
    workflow.stations("@station\ndef old(): pass", "old_stations.py")
    workflow.run("--cc-run", "old_stations.py")
    workflow.remove("old_stations.py")

    lines = table(workflow, "--cc-status")

    assert lines[:4] == [
        "  due       boil   … ago  Boil the water  file water.txt changed",
        "  failed    pour   … ago                  last visit failed … ago: RuntimeError: too hot",
        "  complete  drink  … ago                  upstream pour is due",
        "  gone      old    … ago                  no such station any more: old_stations.py::old",
    ]
    assert lines[-1] == "choochoo: 1 due, 1 failed, 1 complete, 1 gone"


def test_status_before_and_after(project: Project) -> None:
    """Stations that were never visited, or forgotten, say so."""
    project.stations(WORKFLOW)
    project.write("water.txt", "100")
    assert table(project, "--cc-status")[0] == "  never visited  boil   Boil the water"
    project.run("--cc-run")
    project.run("--cc-forget", "drink")

    forgotten = table(project, "--cc-status")[2]
    assert forgotten.split() == ["forgotten", "drink", "forgotten", "…", "ago"]


def test_history_has_runs_and_cleans(workflow: Project, mode: str) -> None:
    """Commands that only read, and checks, leave no trace there."""
    for options in (["--cc-run"], ["--cc-check"], ["--cc-plan"], ["--cc-replay", "drink"]):
        workflow.run(*options)

    lines = [line for line in table(workflow, "--cc-status") if line.startswith("last")]

    assert [re.sub(r" in [\d.]+ s", "", line) for line in lines] == [
        "last replay … ago: 2 unchanged, 1 visited",
        "last run … ago: 3 unchanged",
        "last run … ago: 3 visited",
    ]


def test_explanation_of_a_station(workflow: Project) -> None:
    """One screen: what would become of it, why, back to the root cause, and what is known."""
    workflow.write("water.txt", "101")
    workflow.run("--cc-run")
    workflow.write("water.txt", "99")

    text = "\n".join(table(workflow, "--cc-explain", "drink,pour,boil"))

    assert re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d, [\d.]+ s", "when, …", text).splitlines() == [
        "boil  Boil the water",
        "  verdict     visit",
        "  because     file water.txt changed",
        "  declared at stations.py:7",
        "  record      complete, visited … ago, its visit took …",
        "  attempts    when, …, complete (file water.txt changed)",
        "              when, …, complete (first visit)",
        "  outcome     101",
        "  output      --- stdout call ---",
        "              bubbles",
        "  resources   pot: 7",
        f"  directory   {workflow.path}/.pytest_cache/d/choochoo/default/stations/{_short(text, 'boil')}",
        f"  ledger      {workflow.path}/.pytest_cache/d/choochoo/default.sqlite",
        "  next        pytest --cc-run",
        "pour",
        "  verdict     visit",
        "  because     last visit failed … ago: RuntimeError: too hot",
        "  upstream    boil: visit, file water.txt changed",
        "  declared at stations.py:14",
        "  record      last visit failed … ago: RuntimeError: too hot",
        "  attempts    when, …, failed: RuntimeError: too hot (outcome of boil changed)",
        "              when, …, complete (first visit)",
        "  products    cup.txt",
        f"  directory   {workflow.path}/.pytest_cache/d/choochoo/default/stations/{_short(text, 'pour')}",
        f"  ledger      {workflow.path}/.pytest_cache/d/choochoo/default.sqlite",
        "  next        pytest --cc-run",
        "drink",
        "  verdict     maybe",
        "  because     depends on pour",
        "  upstream    pour: visit, last visit failed … ago: RuntimeError: too hot",
        "              boil: visit, file water.txt changed",
        "  declared at stations.py:20",
        "  record      complete, visited … ago, its visit took …",
        "  attempts    when, …, complete (first visit)",
        f"  directory   {workflow.path}/.pytest_cache/d/choochoo/default/stations/{_short(text, 'drink')}",
        f"  ledger      {workflow.path}/.pytest_cache/d/choochoo/default.sqlite",
        "  next        pytest --cc-run",
    ]


def _short(text: str, name: str) -> str:
    found = re.search(rf"stations/({name}-[0-9a-f]+)", text)
    assert found is not None
    return found[1]


def test_explanation_of_an_unknown_station(workflow: Project) -> None:
    """It is a usage error that suggests a name."""
    run = workflow.run("--cc-explain", "boli")

    assert run.exit_code == 4
    assert "--cc-explain: no station is called 'boli'; did you mean 'boil'?" in run.text


def test_output_of_a_visit_has_no_secrets(project: Project, mode: str) -> None:
    """It is kept where the visit succeeded, too, and goes with the next one."""
    project.stations("""
        from pytest_choochoo import Secret

        @station
        def login() -> Secret[str]:
            print("the password is hunter2")
            return Secret("hunter2")
    """)
    project.run("--cc-run")

    lines = table(project, "--cc-explain", "login")

    assert "              the password is ***" in lines
    assert b"hunter2" not in (project.path / ".pytest_cache/d/choochoo/default.sqlite").read_bytes()


# --- the route

DIAMOND = """
    @station
    def boil(): "Boil the water"

    @station
    def grind(): pass

    @station
    def pour(boil, grind): pass

    @station
    def drink(pour): pass
"""


def test_route_as_a_tree(project: Project) -> None:
    """A station stands below the first one that it needs, and is named below the others."""
    project.stations(DIAMOND)

    assert table(project, "--cc-graph") == [
        "boil  Boil the water",
        "└─ pour",
        "   └─ drink",
        "grind",
        "└─ pour ↑",
    ]


@pytest.mark.parametrize(
    ("form", "lines"),
    [
        (
            "mermaid",
            [
                "flowchart TD",
                '    s0["boil"]',
                '    s1["grind"]',
                '    s2["pour"]',
                '    s3["drink"]',
                "    s0 --> s2",
                "    s1 --> s2",
                "    s2 --> s3",
            ],
        ),
        (
            "dot",
            [
                "digraph route {",
                "    node [shape=box];",
                '    "stations.py::boil" [label="boil"];',
                '    "stations.py::grind" [label="grind"];',
                '    "stations.py::pour" [label="pour"];',
                '    "stations.py::drink" [label="drink"];',
                '    "stations.py::boil" -> "stations.py::pour";',
                '    "stations.py::grind" -> "stations.py::pour";',
                '    "stations.py::pour" -> "stations.py::drink";',
                "}",
            ],
        ),
    ],
)
def test_route_for_other_tools(project: Project, form: str, lines: list[str]) -> None:
    """Nothing but the drawing is printed, so that it can be piped."""
    project.stations(DIAMOND)

    run = project.run(f"--cc-graph={form}")

    assert (run.exit_code, [*filter(None, run.outlines)]) == (0, lines)


def test_route_as_json(project: Project) -> None:
    """The route of a selection is drawn with what its stations need."""
    project.stations(DIAMOND)

    run = project.run("--cc-graph=json", "-k", "boil or pour")

    assert json.loads(run.text) == {
        "stations": [
            {
                "name": "boil",
                "node_id": "stations.py::boil",
                "title": "Boil the water",
                "upstream": [],
            },
            {
                "name": "pour",
                "node_id": "stations.py::pour",
                "title": "pour",
                "upstream": ["stations.py::boil", "stations.py::grind"],
            },
        ]
    }


def test_unknown_form_of_the_route(project: Project) -> None:
    """A form that does not exist is a usage error, a path after the option is none."""
    project.stations(DIAMOND)

    assert project.run("--cc-graph=svg").exit_code == 4
    assert project.run("--cc-graph", "stations.py").exit_code == 0
