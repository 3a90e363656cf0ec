"""Beside the rest of pytest's world: its own options, its plugins left out, and editors."""

from __future__ import annotations

import re

import pytest
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


# --- without some of pytest's own plugins


BESIDE = """
@station
def boil():
    log("boil")
    return 100

@boil.check
def is_hot():
    assert "boil" in __import__("harness").logged()
"""


@pytest.mark.parametrize(
    "left_out",
    ["cacheprovider", "capture", "debugging", "setuponly", "setupplan", "skipping"],
)
def test_no_plugin_of_pytest_is_needed(project: Project, left_out: str) -> None:
    """Commands work where pytest's own plugins are left out, each with its options."""
    project.stations(BESIDE)
    project.write("test_it.py", "def test_hot(boil): assert boil == 100\n")
    without = (f"-pno:{left_out}", "--cc-state=ledger")

    run = project.run("--cc-run", *without)
    verified = project.run("--cc-check", *without)

    assert (run.visited, run.tests, run.exit_code) == (("boil",), {"test_hot": "passed"}, 0)
    assert (verified.verified, verified.exit_code) == (("boil",), 0)


def test_failing_check_is_shown_without_the_terminal(project: Project) -> None:
    """A check that does not pass fails its station although no terminal has options for it."""
    project.stations(BESIDE)

    run = project.run("--cc-check", "-pno:terminal", "--cc-state=ledger")

    assert (run.failed, run.exit_code) == (("boil",), 1)


def test_audit_needs_neither_cache_nor_temporary_folders(project: Project) -> None:
    """An audit ignores what is read in pytest's own folders, where it has any."""
    project.stations("@station\ndef boil(): ...\n\n@boil.clean\ndef cool(): ...\n")

    run = project.run("--cc-audit", "-pno:cacheprovider", "-pno:tmpdir", "--cc-state=ledger")

    assert (run.with_result("audited"), run.exit_code) == (("boil",), 0)


def test_without_functions_there_are_no_stations(project: Project) -> None:
    """With `-p no:python`, pytest collects no functions, and so no stations."""
    project.stations(BESIDE)

    run = project.run("--cc-run", "-pno:python")

    assert "INTERNALERROR" not in run.text
    assert (run.results, run.log) == ({}, ())
    assert run.exit_code == 5


# --- xdist's own ways to distribute


WHERE = """
import os

import re

import pytest
from harness import log

class TestFirst:
    @pytest.mark.parametrize("n", range(6))
    def test_a(self, n): log(f"{__name__} first {os.getpid()}")

class TestSecond:
    @pytest.mark.parametrize("n", range(6))
    def test_b(self, n): log(f"{__name__} second {os.getpid()}")
"""


@pytest.mark.parametrize(
    ("dist", "has_station"), [("loadfile", False), ("loadscope", False), ("loadscope", True)]
)
def test_dist_counts_where_no_station_is_selected(
    project: Project, dist: str, has_station: bool
) -> None:
    """`--dist loadfile` and `loadscope` keep tests together where no station decides."""
    if has_station:
        project.stations("@station\ndef boil(): ...\n")
    for name in ("test_a.py", "test_b.py"):
        project.write(name, WHERE)

    run = project.run("--cc-run", "-n2", "--dist", dist, "test_a.py", "test_b.py", apart=True)

    assert run.exit_code == 0
    assert len(run.log) == 24
    lines = [line.split() for line in run.log]
    units = {(name, scope if dist == "loadscope" else "") for name, scope, _ in lines}
    workers = {(name, scope if dist == "loadscope" else "", pid) for name, scope, pid in lines}
    assert len(workers) == len(units)
    assert len({pid for *_, pid in workers}) == 2
    assert "ignoring --dist" not in run.text


# --- reports of other tools


def test_junit_without_properties(project: Project, mode: str) -> None:
    """With `cc_junit_properties = false` no test case has properties, as xunit2 wants it."""
    project.ini("cc_junit_properties = false")
    project.stations("@station\ndef boil(): ...\n\n@station\ndef pour(boil): raise OSError\n")
    project.write("test_it.py", "def test_cup(pour): ...\ndef test_hot(boil): ...\n")

    for _ in range(2):  # settled stations are reported in another way
        run = project.run("--cc-run", "--junitxml=out.xml")

        text = (project.path / "out.xml").read_text()
        assert "propert" not in text
        assert set(re.findall(r'<testcase [^>]*name="(\w+)"', text)) == {
            *("boil", "pour", "test_cup", "test_hot")
        }
        assert run.failed == ("pour",)
