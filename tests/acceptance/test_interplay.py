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
    assert "boil" in __import__("effects").logged()
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
from effects import log

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


# --- debugging, and options that show less


DEBUGGERS = """
import pdb

from effects import log

class Stops(pdb.Pdb):
    def user_line(self, frame):
        log(f"stopped in {frame.f_code.co_name}")
        self.set_continue()

class Quits(pdb.Pdb):
    def interaction(self, frame, traceback, *rest):
        self.set_quit()
"""


def test_trace_enters_the_visit(project: Project) -> None:
    """`--trace` stops at the first line of a visit and of a test, and nowhere else."""
    project.write("debuggers.py", DEBUGGERS)
    project.stations(BESIDE)
    project.write("test_it.py", "def test_hot(boil):\n    assert boil == 100\n")

    run = project.run("--cc-run", "--trace", "--pdbcls=debuggers:Stops")

    assert run.log == ("stopped in boil", "boil", "stopped in test_hot")
    assert (run.visited, run.tests) == (("boil",), {"test_hot": "passed"})


def test_failed_station_is_recorded_as_such_where_the_debugger_is_left(project: Project) -> None:
    """After `--pdb` and `q` the record has the error of the visit."""
    project.write("debuggers.py", DEBUGGERS)
    project.stations('@station\ndef boil(): raise OSError("no water")\n')

    run = project.run("--cc-run", "--pdb", "--pdbcls=debuggers:Quits")
    again = project.run("--cc-run")

    assert (run.causes, run.exit_code) == ({"boil": "OSError: no water"}, 2)
    (reason,) = again.reasons["boil"]
    assert re.fullmatch(r"last visit failed [\d.]+ s ago: OSError: no water", reason)


def test_no_summary_is_about_our_lines_too(project: Project) -> None:
    """With `--no-summary` the plugin prints no line."""
    project.stations("@station\ndef boil(): ...\n\n@station\ndef pour(boil): raise OSError\n")

    run = project.run("--cc-run", "--no-summary")

    assert "choochoo: " not in run.text
    assert "next: " not in run.text
    assert run.exit_code == 1


def test_setup_only_says_how_to_visit(project: Project, mode: str) -> None:
    """A test that requests a station without a record fails, with the way out."""
    project.stations("@station\ndef boil(): return 100\n\n@station\ndef pour(boil): ...\n")
    project.write("test_it.py", "def test_hot(boil): ...\n")

    first = project.run("--cc-run", "--setup-only")
    project.run("--cc-run")
    second = project.run("--cc-run", "--setup-only")

    assert (
        "station 'boil' has no complete record: never visited; "
        "--setup-only visits no station: run 'pytest --cc-run' first"
    ) in first.outlines
    assert (second.facts, second.exit_code) == ({}, 0)


def test_forget_counts_what_it_selects(project: Project) -> None:
    """`--cc-forget --collect-only` lists the stations to forget, and counts them right."""
    project.stations("@station\ndef boil(): ...\n\n@station\ndef pour(boil): ...\n")
    project.write("test_it.py", "def test_hot(boil): ...\n")

    run = project.run("--cc-forget", "all", "--collect-only", "-q")

    assert run.outlines[:2] == ("stations.py::boil", "stations.py::pour")
    assert "2/3 tests collected (1 deselected)" in run.text


# --- editors


EDITOR = """
from effects import log

def pytest_exception_interact(node, call, report):
    log(f"{report.outcome} {node.nodeid} {call.excinfo.exconly()}")
"""


def test_editors_hear_of_structural_faults(project: Project) -> None:
    """`pytest_exception_interact`, from which VS Code takes errors, is called for a cycle."""
    project.write("conftest.py", EDITOR)
    project.stations("@station\ndef boil(pour): ...\n\n@station\ndef pour(boil): ...\n")

    run = project.run("--cc-run", "--collect-only", "--pdb")

    (error,) = run.collect_errors
    assert error.startswith("stations wait for each other: boil (stations.py:5) -> ")
    assert run.log == (f"failed  _pytest.nodes.Collector.CollectError: {error}",)
    assert "Pdb" not in run.text


def test_editors_hear_of_the_true_error_of_a_file(project: Project) -> None:
    """A station file that fails, next to another of its name, shows the error that it raised."""
    project.write("conftest.py", EDITOR)
    project.stations("@station\ndef boil(): ...\n", "a/stations.py")
    project.stations('raise OSError("no stove")\n', "b/stations.py")

    run = project.run("--cc-run", "--collect-only")

    assert run.log == ("failed b/stations.py OSError: no stove",)
    assert "import file mismatch" not in run.text


# --- requests that come too early


def test_early_request_spoils_no_later_fixture(project: Project) -> None:
    """Once the station is visited, fixtures of every scope receive its outcome."""
    project.stations("@station\ndef boil(): return 100\n")
    project.write(
        "early/test_it.py",
        """
        import pytest

        @pytest.fixture(scope="session")
        def through(request):
            return request.getfixturevalue("boil")

        def test_early(request):
            for name in ("boil", "through"):
                with pytest.raises(Exception, match="never visited"):
                    request.getfixturevalue(name)

        def test_again(request, boil):
            assert request.getfixturevalue("through") == 100
        """,
    )
    project.write(
        "test_late.py",
        """
        import pytest

        @pytest.fixture(scope="class")
        def of_class(boil): return boil

        @pytest.fixture(scope="module")
        def of_module(boil): return boil

        @pytest.fixture(scope="session")
        def of_session(boil): return boil

        class TestIt:
            def test_late(self, of_class, of_module, of_session):
                assert (of_class, of_module, of_session) == (100, 100, 100)
        """,
    )
    run = project.run("--cc-run")

    assert run.visited == ("boil",)
    assert run.tests == dict.fromkeys(("test_early", "test_again", "test_late"), "passed")


# --- the mode of a project


@pytest.mark.parametrize(
    ("lines", "variable", "arguments", "header"),
    [
        (["cc_mode = run"], "", [], "--cc-run (from cc_mode)"),
        (["cc_mode = check"], "", [], "--cc-check (from cc_mode)"),
        (["cc_mode = check", "addopts = --cc-run"], "", [], "--cc-run (from addopts)"),
        (["addopts = --cc-check"], "--cc-run", [], "--cc-run (from PYTEST_ADDOPTS)"),
        (["cc_mode = check", "addopts = --cc-check"], "", ["--cc-run"], None),
        (["cc_mode = run"], "", ["-o", "cc_mode="], None),
    ],
)
def test_mode_of_the_project(
    project: Project, lines: list[str], variable: str, arguments: list[str], header: str | None
) -> None:
    """Ini `cc_mode` counts where no option says what to do, and a line says what is on."""
    project.ini(*lines)
    project.setenv("PYTEST_ADDOPTS", variable)
    project.stations("@station\ndef boil(): ...\n")

    run = project.run(*arguments)

    told = [line for line in run.outlines if line.startswith("choochoo: --cc-")]
    assert told == ([] if header is None else [f"choochoo: {header}"])
    is_run = "--cc-run" in (header or "") or "--cc-run" in arguments
    assert run.visited == (("boil",) if is_run else ())
    assert run.skipped == (("boil",) if "--cc-check" in (header or "") else ())


def test_mode_of_the_project_under_workers(project: Project) -> None:
    """Workers take the mode from the same file."""
    project.ini("cc_mode = run")
    project.stations("@station\ndef boil(): ...\n")
    project.workers = 2

    run = project.run()

    assert (run.visited, run.exit_code) == (("boil",), 0)


@pytest.mark.parametrize("command", [(), ("--collect-only",)])
def test_wrong_mode_is_a_usage_error(project: Project, command: tuple[str, ...]) -> None:
    """A mode that a configuration file may not have is refused, with those that it may."""
    project.ini("cc_mode = clean")

    run = project.run(*command)

    assert run.exit_code == 4
    assert "ERROR: cc_mode is 'clean'; it must be run or check" in run.outlines
