"""Selection: `-k`, `-m`, node ids, files and `--deselect` select stations as they select tests."""

from __future__ import annotations

import pytest
from harness import Project

CHAIN = """
    @station
    def boil():
        log("boil")
        return 100

    @station
    def pour(boil):
        log(f"pour {boil}")
        return boil + 1

    @station
    def drink(pour):
        log(f"drink {pour}")

    @station
    def grind():
        log("grind")
"""
TESTS = """
    def test_pour(pour):
        assert pour == 101

    def test_else():
        pass
"""


@pytest.fixture
def fresh(project: Project) -> Project:
    """A chain of three stations, an independent one, and two tests; nothing was visited yet."""
    project.stations(CHAIN)
    project.write("test_tea.py", TESTS)
    return project


@pytest.fixture
def done(fresh: Project) -> Project:
    """The same project, complete."""
    assert fresh.run("--cc-run").closing == "4 visited"
    return fresh


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("-k", "drink"), id="keyword"),
        pytest.param(("stations.py::drink",), id="node-id"),
        pytest.param(("-k", "drink", "--deselect", "stations.py::boil"), id="deselect"),
    ],
)
def test_due_upstream_is_added(fresh: Project, mode: str, arguments: tuple[str, ...]) -> None:
    """A due station that the selection needs is visited first, and the header says so."""
    run = fresh.run("--cc-run", *arguments)

    assert (run.visited, run.exit_code) == (("boil", "pour", "drink"), 0)
    assert run.log == ("boil", "pour 100", "drink 101")
    assert "choochoo: 2 needed stations added: boil, pour" in run.outlines
    assert run.closing == "3 visited"


def test_fresh_upstream_is_used_silently(done: Project, mode: str) -> None:
    """A fresh station that the selection needs is neither run nor mentioned."""
    run = done.run("--cc-run", "-k", "drink")

    assert (run.results, run.log) == ({"drink": "unchanged"}, ())
    assert "added" not in run.text


def test_replayed_station_uses_fresh_upstream(done: Project) -> None:
    """A single station that is selected and replayed uses the recorded outcomes of upstream."""
    run = done.run("--cc-replay", "drink", "-k", "drink")

    assert (run.results, run.log) == ({"drink": "visited"}, ("drink 101",))


def test_fresh_station_between_two_due_ones_is_added(done: Project) -> None:
    """A fresh station between a due one and the selection is judged as well."""
    done.edit("stations.py", "return 100", "return 90")

    run = done.run("--cc-run", "-k", "drink")

    assert (run.visited, run.log) == (("boil", "pour", "drink"), ("boil", "pour 90", "drink 91"))
    assert "choochoo: 2 needed stations added: boil, pour" in run.outlines


def test_added_station_with_equal_outcome_stops_there(done: Project) -> None:
    """A due upstream that returns an equal outcome leaves the rest of the chain unchanged."""
    done.edit("stations.py", "return 100", "return 99 + 1")

    run = done.run("--cc-run", "-k", "drink")

    assert (run.visited, run.unchanged) == (("boil",), ("pour", "drink"))


def test_added_station_that_fails_blocks_selection(fresh: Project) -> None:
    """If a needed station fails, the selected stations are blocked by it."""
    fresh.edit("stations.py", 'log("boil")', "assert 0")

    run = fresh.run("--cc-run", "-k", "drink")

    assert (run.failed, run.blocked) == (("boil",), ("pour", "drink"))
    assert run.blamed == {"pour": ("boil",), "drink": ("boil",)}
    assert (run.closing, run.exit_code) == ("1 failed, 2 blocked", 1)


def test_added_station_that_is_skipped_blocks_selection(fresh: Project) -> None:
    """If a needed station is skipped, the selected stations are blocked by it."""
    fresh.edit(
        "stations.py",
        "@station\ndef boil",
        "@pytest.mark.skip(reason='no gas')\n@station\ndef boil",
    )

    run = fresh.run("--cc-run", "-k", "pour and not test_pour")

    assert (run.skipped, run.blocked, run.log) == (("boil",), ("pour",), ())
    assert run.closing == "1 blocked, 1 skipped"


def test_failed_upstream_outside_of_selection_is_added(done: Project) -> None:
    """A needed station whose last visit failed is visited again; its old outcome is not used."""
    done.edit("stations.py", 'log("boil")', "assert 0")
    done.run("--cc-run")
    done.edit("stations.py", "assert 0", 'log("boil")')

    run = done.run("--cc-run", "-k", "drink")

    assert run.visited == ("boil",)
    assert run.unchanged == ("pour", "drink")


def test_selected_test_adds_the_stations_that_it_needs(fresh: Project, mode: str) -> None:
    """A due station that a selected test needs is visited first."""
    run = fresh.run("--cc-run", "-k", "test_pour")

    assert (run.visited, run.tests) == (("boil", "pour"), {"test_pour": "passed"})
    assert "choochoo: 2 needed stations added: boil, pour" in run.outlines


def test_selected_test_without_stations_adds_nothing(fresh: Project) -> None:
    """A test that needs no station runs alone."""
    run = fresh.run("--cc-run", "-k", "test_else")

    assert (run.results, run.tests, run.log) == ({}, {"test_else": "passed"}, ())


def test_test_file_adds_stations(fresh: Project) -> None:
    """Stations need not be among the arguments: a test file adds the ones that it needs."""
    run = fresh.run("--cc-run", "test_tea.py")

    assert (run.visited, run.tests) == (
        ("boil", "pour"),
        {"test_pour": "passed", "test_else": "passed"},
    )


def test_mark_selects_stations(fresh: Project) -> None:
    """`-m station` selects all stations and no test."""
    run = fresh.run("--cc-run", "-m", "station")

    assert (run.visited, run.tests) == (("boil", "pour", "drink", "grind"), {})


def test_mark_selects_tests(done: Project) -> None:
    """`-m "not station"` selects all tests and no station."""
    run = done.run("--cc-run", "-m", "not station")

    assert (run.results, run.tests) == ({}, {"test_pour": "passed", "test_else": "passed"})


def test_test_of_failed_station_is_blocked(fresh: Project, mode: str) -> None:
    """A test whose station failed is skipped as blocked, with the cause; other tests run."""
    fresh.edit("stations.py", 'log(f"pour {boil}")', "assert 0")

    run = fresh.run("--cc-run", "-rs")

    assert run.tests == {"test_pour": "skipped", "test_else": "passed"}
    assert "SKIPPED [1] test_tea.py:1: blocked by pour" in run.outlines
    assert run.closing == "2 visited, 1 failed, 1 blocked"
    assert run.last_line == "1 failed, 3 passed, 2 skipped"
    assert run.exit_code == 1


def test_test_of_skipped_station_is_blocked(fresh: Project) -> None:
    """A test whose station was skipped is blocked, even if an old record exists."""
    fresh.run("--cc-run")
    fresh.edit(
        "stations.py",
        "@station\ndef pour",
        "@pytest.mark.skip(reason='no cup')\n@station\ndef pour",
    )

    run = fresh.run("--cc-run", "-k", "pour")

    assert run.tests == {"test_pour": "skipped"}
    assert "blocked by pour" in run.errors["test_pour"]


def test_empty_selection_is_not_a_success(fresh: Project) -> None:
    """A selection without a station or test has pytest's own exit code."""
    run = fresh.run("--cc-run", "-k", "nothing")

    assert (run.exit_code, run.log, run.closing) == (5, (), "")


def test_collect_only_visits_nothing(fresh: Project) -> None:
    """`--collect-only` lists stations in running order, visits none, and writes no record."""
    run = fresh.run("--cc-run", "--collect-only", "-q")

    assert run.outlines[:6] == (
        "stations.py::boil",
        "stations.py::pour",
        "stations.py::drink",
        "stations.py::grind",
        "test_tea.py::test_pour",
        "test_tea.py::test_else",
    )
    assert (run.log, run.closing, run.exit_code) == ((), "", 0)
    assert not (fresh.path / ".pytest_cache/d/choochoo").exists()


def test_exit_first_stops(project: Project) -> None:
    """With `-x` the downstream of the failure is blocked, and everything else is not reached."""
    project.stations(CHAIN.replace('log("boil")', "assert 0"))

    run = project.run("--cc-run", "-x")

    assert (run.failed, run.blocked, run.not_reached) == (
        ("boil",),
        ("drink", "pour"),
        ("grind",),
    )
    assert run.closing == "1 failed, 2 blocked, 1 not reached"
    assert (run.exit_code, run.log) == (1, ())


def test_exit_first_resumes(project: Project) -> None:
    """A plain run continues where `-x` stopped: completed stations are not repeated."""
    project.stations(CHAIN.replace('log(f"pour {boil}")', "assert 0"))
    stopped = project.run("--cc-run", "-x")
    project.edit("stations.py", "assert 0", 'log(f"pour {boil}")')

    run = project.run("--cc-run")

    assert stopped.closing == "1 visited, 1 failed, 1 blocked, 1 not reached"
    assert (run.unchanged, run.visited) == (("boil",), ("pour", "drink", "grind"))


def test_exit_first_stops_with_workers(project: Project) -> None:
    """With `-x -n 2` the counts add up, and no worker waits for ever."""
    project.workers = 2
    many = "".join(f"\n    @station\n    def s{n}(): pass\n" for n in range(6))
    project.stations(CHAIN.replace('log("boil")', "import time; time.sleep(0.2); assert 0") + many)

    run = project.run("--cc-run", "-x")

    counts = [int(part.split()[0]) for part in run.closing.split(", ")]
    assert (sum(counts), run.exit_code in {1, 2}) == (10, True)
    assert "1 failed, 2 blocked" in run.closing


def test_order_is_topological_despite_shuffling(project: Project) -> None:
    """Stations run in topological order, then as defined, even if another plugin reverses all items."""
    project.stations(
        """
        @station
        def drink(pour): log("drink")

        @station
        def grind(): log("grind")

        @station
        def pour(boil): log("pour")

        @station
        def boil(): log("boil")
        """
    )
    project.write("conftest.py", "def pytest_collection_modifyitems(items): items.reverse()\n")

    run = project.run("--cc-run")

    assert run.log == ("grind", "boil", "pour", "drink")


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_order_is_kept_under_randomly(fresh: Project, seed: str) -> None:
    """pytest-randomly shuffles tests, but stations keep their order."""
    fresh.use("randomly")

    run = fresh.run(
        "--cc-run",
        "-p",
        "randomly",
        "-prandomly",
        "-p",
        "no:cacheprovider",
        "--cc-state=ledger",
        f"--randomly-seed={seed}",
    )

    assert run.log == ("boil", "pour 100", "drink 101", "grind")
    assert run.tests == {"test_pour": "passed", "test_else": "passed"}


@pytest.mark.parametrize("option", ["--ff", "--nf"])
def test_order_is_kept_by_cache_options(fresh: Project, option: str) -> None:
    """`--ff` and `--nf` put no item before its upstream."""
    fresh.edit("stations.py", 'log(f"drink {pour}")', "assert 0")
    fresh.run("--cc-run")
    fresh.edit("stations.py", "assert 0", 'log(f"drink {pour}")')
    fresh.run("--cc-forget", "boil,pour")

    run = fresh.run("--cc-run", option)

    assert run.log[:3] == ("boil", "pour 100", "drink 101")


def test_stepwise_continues_where_it_failed(fresh: Project) -> None:
    """`--sw` stops at the first failure and continues there, with the needed stations."""
    fresh.edit("stations.py", 'log(f"pour {boil}")', "assert 0")
    stopped = fresh.run("--cc-run", "--sw")
    fresh.edit("stations.py", "assert 0", 'log(f"pour {boil}")')

    run = fresh.run("--cc-run", "--sw")

    assert stopped.failed == ("pour",)
    assert run.visited == ("pour", "drink", "grind")
    assert run.tests == {"test_pour": "passed", "test_else": "passed"}


COUNTED = """
    @station
    def fill(): ...

    @station
    def boil(fill): ...

    @station
    def pour(boil): ...

    @station
    def lay(): ...
"""
COUNTS = {
    "-k of a test": (["--cc-run", "-k", "test_tea"], 6, 2, "4 passed, 2 deselected"),
    "-k of a station": (["--cc-run", "-k", "boil"], 6, 4, "2 passed, 4 deselected"),
    "-m": (["--cc-run", "-m", "station"], 6, 2, "4 passed, 2 deselected"),
    "node id": (["--cc-run", "stations.py::pour"], 3, 0, "3 passed"),
    "check": (["--cc-check", "-k", "lay"], 6, 5, "1 skipped, 5 deselected"),
    "listed": (["--cc-run", "-k", "boil", "--collect-only", "-q"], 6, 4, ""),
    "forget": (["--cc-forget", "boil", "--collect-only", "-q"], 6, 5, ""),
}


@pytest.mark.parametrize(
    ("arguments", "collected", "deselected", "ended"), COUNTS.values(), ids=COUNTS
)
def test_counts_add_up(
    project: Project, arguments: list[str], collected: int, deselected: int, ended: str
) -> None:
    """Stations that are pulled in count as collected, and not as deselected."""
    project.stations(COUNTED)
    project.write("test_it.py", "def test_tea(pour): ...\ndef test_it(): ...\n")

    run = project.run(*arguments)

    selected = collected - deselected
    of = f" / {deselected} deselected / {selected} selected" if deselected else ""
    told = f"collected {collected} items{of}"
    if "-q" in arguments:
        told = f"{selected}/{collected} tests collected ({deselected} deselected) in "
    assert told in run.text
    assert ended in ("", run.last_line)
    assert len(run.collected) == selected


def test_counts_of_a_clean_add_up(project: Project) -> None:
    """The downstream that a clean takes along is not counted as deselected."""
    project.stations(COUNTED)
    project.write("test_it.py", "def test_it(): ...\n")
    project.run("--cc-run")

    run = project.run("--cc-clean", "-k", "boil")

    assert "collected 5 items / 3 deselected / 2 selected" in run.outlines
    assert run.last_line == "2 passed, 3 deselected"


def test_last_failed_with_what_it_needs_adds_up(project: Project) -> None:
    """`--lf` counts the stations that a failed test needs again."""
    project.stations(COUNTED)
    project.write("test_it.py", "def test_tea(pour): assert 0\ndef test_it(): ...\n")
    project.run("--cc-run")
    project.run("--cc-forget", "boil")

    run = project.run("--cc-run", "--lf")

    assert "collected 3 items" in run.outlines
    assert run.last_line == "1 failed, 2 passed"


# --- what a selection needs is judged by its checks as well

SERVER = """
    from pathlib import Path
    UP = Path(__file__).with_name("up")

    @station
    def server() -> None:
        log("server")
        UP.touch()

    @server.check
    def answers():
        assert UP.exists(), "refused"

    @station
    def sing():
        log("sing")
"""
SELECTIONS = {
    "file": ("test_x.py",),
    "keyword": ("-k", "test_x"),
    "mark": ("-m", "fast"),
    "node id": ("test_x.py::test_x",),
    "last failed": ("--lf",),
}


@pytest.fixture
def served(project: Project) -> Project:
    """A server with a check that is complete, and a test that uses it and has failed once."""
    project.ini("markers = fast")
    project.stations(SERVER)
    project.write("test_y.py", "def test_y(): pass\n")
    test = """
        import pytest, stations

        @pytest.mark.fast
        def test_x(server):
            assert stations.UP.exists()
    """
    project.write("test_x.py", test + "        assert 0\n")
    assert project.run("--cc-run").tests == {"test_x": "failed", "test_y": "passed"}
    project.write("test_x.py", test)
    return project


@pytest.mark.parametrize("arguments", SELECTIONS.values(), ids=SELECTIONS)
def test_drift_upstream_of_a_selection_is_repaired(
    served: Project, arguments: tuple[str, ...]
) -> None:
    """The check of a station that a selected test needs is asked; where it drifted, it is visited."""
    served.remove("up")

    drifted = served.run("--cc-run", *arguments)
    after = served.run("--cc-run", *arguments)

    assert (drifted.results, drifted.tests) == ({"server": "visited"}, {"test_x": "passed"})
    assert drifted.reasons["server"] == (
        "drift: check answers does not pass: AssertionError: refused",
    )
    assert "choochoo: 1 needed station added: server" in drifted.outlines
    # By now nothing has failed last, so that --lf runs everything.
    expected = {"server": "unchanged"} | ({"sing": "unchanged"} if "--lf" in arguments else {})
    assert (after.results, after.log) == (expected, ())


def test_drift_is_repaired_in_parallel_runs(served: Project) -> None:
    """Workers ask the checks of what a selection needs as well."""
    served.remove("up")
    served.workers = 2

    run = served.run("--cc-run", "-k", "test_x")

    assert (run.results, run.tests) == ({"server": "visited"}, {"test_x": "passed"})


def test_selected_station_has_the_checks_upstream_asked(served: Project) -> None:
    """A selected station that is due uses nothing that has drifted."""
    served.stations(SERVER + '\n    @station\n    def page(server): log("page")\n')
    served.remove("up")

    run = served.run("--cc-run", "-k", "page")

    assert (run.visited, run.log) == (("server", "page"), ("server", "page"))


@pytest.mark.parametrize(
    ("arguments", "line", "last_line"),
    [
        pytest.param(
            ("-k", "test_x"),
            "collected 4 items / 2 deselected / 2 selected",
            "2 passed, 2 deselected",
            id="deselected-before",
        ),
        pytest.param(("test_x.py",), "collected 2 items", "2 passed", id="another-file"),
    ],
)
def test_added_stations_are_counted_as_selected(
    served: Project, arguments: tuple[str, ...], line: str, last_line: str
) -> None:
    """Deselected and selected items add up to those that were collected."""
    run = served.run("--cc-run", *arguments)

    assert line in run.outlines
    assert run.last_line == last_line


def test_downstream_that_a_clean_takes_is_counted_as_selected(project: Project) -> None:
    """Stations that are cleaned along with the selection are not deselected."""
    project.stations(CHAIN)
    project.run("--cc-run")

    run = project.run("--cc-clean", "-k", "boil")

    assert run.last_line == "3 passed, 1 deselected"


# --- outcomes that a test requests only while it is run

DYNAMIC = """
    import pytest

    def test_dynamic(request):
        assert request.getfixturevalue("pour")
"""


def test_due_station_that_is_requested_dynamically_warns(done: Project, mode: str) -> None:
    """A due station that no parameter names is not visited first, and its old outcome warns."""
    done.write("test_tea.py", DYNAMIC)
    done.edit("stations.py", "return 100", "return 90")

    run = done.run("--cc-run", "-k", "test_dynamic")

    assert (run.results, run.tests) == ({}, {"test_dynamic": "passed"})
    assert (
        "StationDueWarning: station 'pour' is due: upstream boil: code of stations.py::boil changed; "
        "its recorded outcome is used; request it as a parameter, so that it is visited first"
    ) in run.text
    assert run.last_line.startswith("1 passed, ")
    assert run.last_line.endswith(", 1 warning")


def test_station_that_is_up_to_date_by_then_does_not_warn(done: Project) -> None:
    """A station that was visited before in the same run is requested silently, by whatever way."""
    done.write("test_tea.py", DYNAMIC)
    done.edit("stations.py", "return 100", "return 90")

    run = done.run("--cc-run")

    assert run.tests == {"test_dynamic": "passed"}
    assert "StationDueWarning" not in run.text


def test_station_that_failed_is_not_used_dynamically(done: Project) -> None:
    """The outcome from before is not handed out where the last visit failed."""
    done.write("test_tea.py", DYNAMIC)
    done.edit("stations.py", "return boil + 1", "assert 0")

    run = done.run("--cc-run")

    assert run.tests == {"test_dynamic": "failed"}
    assert run.errors["test_dynamic"].startswith(
        "station 'pour' has no complete record: last visit failed 0.0 s ago: AssertionError: assert 0"
    )
