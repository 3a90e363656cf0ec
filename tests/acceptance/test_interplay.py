"""Beside the rest of pytest's world: its own options, its plugins left out, and editors."""

from __future__ import annotations

from harness import Project

# --- stepwise

EARLY = """
@station
def boil():
    log("boil")

@station
def pour(boil):
    raise OSError("no cup")
"""


def test_stepwise_skips_only_what_has_run(project: Project, mode: str) -> None:
    """Tests in a folder that sorts before the station file run where stepwise goes on."""
    project.stations(EARLY)
    project.write("early/test_it.py", "def test_hot(boil): ...\ndef test_cup(pour): assert 0\n")
    stopped = project.run("--cc-run", "--sw")
    project.edit("stations.py", 'raise OSError("no cup")', "return 1")

    run = project.run("--cc-run", "--sw")

    assert (stopped.failed, stopped.tests) == (("pour",), {"test_hot": "passed"})
    assert run.visited == ("pour",)
    assert run.tests == {"test_cup": "failed"}
    assert (stopped.exit_code, run.exit_code) == (2, 2)


def test_stepwise_keeps_the_order_of_a_station_that_was_pulled_forward(project: Project) -> None:
    """A station that a test pulled forward keeps its place where stepwise goes on."""
    project.stations(
        """
        @station
        def grind():
            raise OSError

        @station
        def boil(): ...
        """
    )
    project.write("early/test_it.py", "def test_hot(boil): ...\n")
    first = project.run("--cc-run", "--sw")
    project.edit("stations.py", "raise OSError", "return 1")

    run = project.run("--cc-run", "--sw")

    order = tuple(node_id for node_id, _ in first.collected)
    assert (
        tuple(node_id for node_id, _ in run.collected) == order[order.index("stations.py::grind") :]
    )
    ran = {**first.results, **first.tests, **run.results, **run.tests}
    assert {ran["grind"], ran["boil"], ran["test_hot"]} <= {"visited", "passed"}
