"""Selecting: `-k`, `-m`, node ids, files and `--deselect` select stations as they select tests."""

from __future__ import annotations

import pytest
from railyard import Railyard

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
def fresh(railyard: Railyard) -> Railyard:
    """A chain of three stations, one beside it, and two tests; nothing was visited yet."""
    railyard.stations(CHAIN)
    railyard.write("test_tea.py", TESTS)
    return railyard


@pytest.fixture
def done(fresh: Railyard) -> Railyard:
    """The same, complete."""
    assert fresh.ride("--cc-run").closing == "4 visited"
    return fresh


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("-k", "drink"), id="keyword"),
        pytest.param(("stations.py::drink",), id="node-id"),
        pytest.param(("-k", "drink", "--deselect", "stations.py::boil"), id="deselect"),
    ],
)
def test_due_upstream_is_added(fresh: Railyard, mode: str, arguments: tuple[str, ...]) -> None:
    """What a selected station needs and is due is visited before it, and the header says so."""
    ride = fresh.ride("--cc-run", *arguments)

    assert (ride.visited, ride.exit_code) == (("boil", "pour", "drink"), 0)
    assert ride.log == ("boil", "pour 100", "drink 101")
    assert "choochoo: 2 needed stations added: boil, pour" in ride.outlines
    assert ride.closing == "3 visited"


def test_fresh_upstream_is_used_silently(done: Railyard, mode: str) -> None:
    """What a selected station needs and is fresh is neither run nor mentioned."""
    ride = done.ride("--cc-run", "-k", "drink")

    assert (ride.results, ride.log) == ({"drink": "unchanged"}, ())
    assert "added" not in ride.text


def test_replayed_station_uses_fresh_upstream(done: Railyard) -> None:
    """A station selected and replayed by itself consumes the recorded outcome of upstream."""
    ride = done.ride("--cc-replay", "drink", "-k", "drink")

    assert (ride.results, ride.log) == ({"drink": "visited"}, ("drink 101",))


def test_fresh_station_between_two_due_ones_is_added(done: Railyard) -> None:
    """A fresh station that stands between what is due and what is selected is judged as well."""
    done.edit("stations.py", "return 100", "return 90")

    ride = done.ride("--cc-run", "-k", "drink")

    assert (ride.visited, ride.log) == (("boil", "pour", "drink"), ("boil", "pour 90", "drink 91"))
    assert "choochoo: 2 needed stations added: boil, pour" in ride.outlines


def test_added_station_with_equal_outcome_stops_there(done: Railyard) -> None:
    """A due upstream that returns an equal outcome leaves the rest of the chain unchanged."""
    done.edit("stations.py", "return 100", "return 99 + 1")

    ride = done.ride("--cc-run", "-k", "drink")

    assert (ride.visited, ride.unchanged) == (("boil",), ("pour", "drink"))


def test_added_station_that_fails_blocks_selection(fresh: Railyard) -> None:
    """Where a needed station fails, what was selected is blocked by it."""
    fresh.edit("stations.py", 'log("boil")', "assert 0")

    ride = fresh.ride("--cc-run", "-k", "drink")

    assert (ride.failed, ride.blocked) == (("boil",), ("pour", "drink"))
    assert ride.blamed == {"pour": ("boil",), "drink": ("boil",)}
    assert (ride.closing, ride.exit_code) == ("1 failed, 2 blocked", 1)


def test_added_station_that_is_skipped_blocks_selection(fresh: Railyard) -> None:
    """Where a needed station is skipped, what was selected is blocked by it."""
    fresh.edit(
        "stations.py",
        "@station\ndef boil",
        "@pytest.mark.skip(reason='no gas')\n@station\ndef boil",
    )

    ride = fresh.ride("--cc-run", "-k", "pour and not test_pour")

    assert (ride.skipped, ride.blocked, ride.log) == (("boil",), ("pour",), ())
    assert ride.closing == "1 blocked, 1 skipped"


def test_failed_upstream_outside_of_selection_is_added(done: Railyard) -> None:
    """A needed station whose last visit failed is visited again, its old outcome is not used."""
    done.edit("stations.py", 'log("boil")', "assert 0")
    done.ride("--cc-run")
    done.edit("stations.py", "assert 0", 'log("boil")')

    ride = done.ride("--cc-run", "-k", "drink")

    assert ride.visited == ("boil",)
    assert ride.unchanged == ("pour", "drink")


def test_selected_test_pulls_in_what_it_needs(fresh: Railyard, mode: str) -> None:
    """What a selected test needs and is due is visited before it."""
    ride = fresh.ride("--cc-run", "-k", "test_pour")

    assert (ride.visited, ride.tests) == (("boil", "pour"), {"test_pour": "passed"})
    assert "choochoo: 2 needed stations added: boil, pour" in ride.outlines


def test_selected_test_without_stations_pulls_in_nothing(fresh: Railyard) -> None:
    """A test that needs no station is run by itself."""
    ride = fresh.ride("--cc-run", "-k", "test_else")

    assert (ride.results, ride.tests, ride.log) == ({}, {"test_else": "passed"}, ())


def test_test_file_pulls_in_stations(fresh: Railyard) -> None:
    """Stations need not be among the arguments: a test file brings those that it needs."""
    ride = fresh.ride("--cc-run", "test_tea.py")

    assert (ride.visited, ride.tests) == (
        ("boil", "pour"),
        {"test_pour": "passed", "test_else": "passed"},
    )


def test_mark_selects_stations(fresh: Railyard) -> None:
    """`-m station` selects all stations and no test."""
    ride = fresh.ride("--cc-run", "-m", "station")

    assert (ride.visited, ride.tests) == (("boil", "pour", "drink", "grind"), {})


def test_mark_selects_tests(done: Railyard) -> None:
    """`-m "not station"` selects all tests and no station."""
    ride = done.ride("--cc-run", "-m", "not station")

    assert (ride.results, ride.tests) == ({}, {"test_pour": "passed", "test_else": "passed"})


def test_test_of_failed_station_is_blocked(fresh: Railyard, mode: str) -> None:
    """A test whose station failed is skipped as blocked, naming the cause; the others run."""
    fresh.edit("stations.py", 'log(f"pour {boil}")', "assert 0")

    ride = fresh.ride("--cc-run", "-rs")

    assert ride.tests == {"test_pour": "skipped", "test_else": "passed"}
    assert "SKIPPED [1] test_tea.py:1: blocked by pour" in ride.outlines
    assert ride.closing == "2 visited, 1 failed, 1 blocked"
    assert ride.last_line == "1 failed, 3 passed, 2 skipped"
    assert ride.exit_code == 1


def test_test_of_skipped_station_is_blocked(fresh: Railyard) -> None:
    """A test whose station was skipped is blocked as well, though an old record exists."""
    fresh.ride("--cc-run")
    fresh.edit(
        "stations.py",
        "@station\ndef pour",
        "@pytest.mark.skip(reason='no cup')\n@station\ndef pour",
    )

    ride = fresh.ride("--cc-run", "-k", "pour")

    assert ride.tests == {"test_pour": "skipped"}
    assert "blocked by pour" in ride.errors["test_pour"]


def test_selecting_nothing_is_no_success(fresh: Railyard) -> None:
    """A selection without a station or test ends like pytest's own."""
    ride = fresh.ride("--cc-run", "-k", "nothing")

    assert (ride.exit_code, ride.log, ride.closing) == (5, (), "")


def test_collect_only_visits_nothing(fresh: Railyard) -> None:
    """`--collect-only` lists stations in running order, visits none, and writes no record."""
    ride = fresh.ride("--cc-run", "--collect-only", "-q")

    assert ride.outlines[:6] == (
        "stations.py::boil",
        "stations.py::pour",
        "stations.py::drink",
        "stations.py::grind",
        "test_tea.py::test_pour",
        "test_tea.py::test_else",
    )
    assert (ride.log, ride.closing, ride.exit_code) == ((), "", 0)
    assert not (fresh.path / ".pytest_cache/d/choochoo").exists()


def test_exit_first_stops(railyard: Railyard) -> None:
    """With `-x` what is below the failure is blocked, and all else is not reached."""
    railyard.stations(CHAIN.replace('log("boil")', "assert 0"))

    ride = railyard.ride("--cc-run", "-x")

    assert (ride.failed, ride.blocked, ride.not_reached) == (
        ("boil",),
        ("drink", "pour"),
        ("grind",),
    )
    assert ride.closing == "1 failed, 2 blocked, 1 not reached"
    assert (ride.exit_code, ride.log) == (1, ())


def test_exit_first_resumes(railyard: Railyard) -> None:
    """A plain run goes on where `-x` stopped: what was done is not done again."""
    railyard.stations(CHAIN.replace('log(f"pour {boil}")', "assert 0"))
    stopped = railyard.ride("--cc-run", "-x")
    railyard.edit("stations.py", "assert 0", 'log(f"pour {boil}")')

    ride = railyard.ride("--cc-run")

    assert stopped.closing == "1 visited, 1 failed, 1 blocked, 1 not reached"
    assert (ride.unchanged, ride.visited) == (("boil",), ("pour", "drink", "grind"))


def test_exit_first_stops_with_workers(railyard: Railyard) -> None:
    """With `-x -n 2` the counts add up, and nobody waits for what will not come."""
    railyard.workers = 2
    many = "".join(f"\n    @station\n    def s{n}(): pass\n" for n in range(6))
    railyard.stations(CHAIN.replace('log("boil")', "import time; time.sleep(0.2); assert 0") + many)

    ride = railyard.ride("--cc-run", "-x")

    counts = [int(part.split()[0]) for part in ride.closing.split(", ")]
    assert (sum(counts), ride.exit_code in {1, 2}) == (10, True)
    assert "1 failed, 2 blocked" in ride.closing


def test_order_is_topological_whoever_shuffles(railyard: Railyard) -> None:
    """Stations run in topological order, else as defined, though another plugin reverses all."""
    railyard.stations(
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
    railyard.write("conftest.py", "def pytest_collection_modifyitems(items): items.reverse()\n")

    ride = railyard.ride("--cc-run")

    assert ride.log == ("grind", "boil", "pour", "drink")


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_order_is_kept_under_randomly(fresh: Railyard, seed: str) -> None:
    """pytest-randomly shuffles tests, and leaves stations in their order."""
    fresh.use("randomly")

    ride = fresh.ride(
        "--cc-run",
        "-p",
        "randomly",
        "-prandomly",
        "-p",
        "no:cacheprovider",
        "--cc-state=ledger",
        f"--randomly-seed={seed}",
    )

    assert ride.log == ("boil", "pour 100", "drink 101", "grind")
    assert ride.tests == {"test_pour": "passed", "test_else": "passed"}


@pytest.mark.parametrize("option", ["--ff", "--nf"])
def test_order_is_kept_by_cache_options(fresh: Railyard, option: str) -> None:
    """`--ff` and `--nf` put nothing before what it needs."""
    fresh.edit("stations.py", 'log(f"drink {pour}")', "assert 0")
    fresh.ride("--cc-run")
    fresh.edit("stations.py", "assert 0", 'log(f"drink {pour}")')
    fresh.ride("--cc-forget", "boil,pour")

    ride = fresh.ride("--cc-run", option)

    assert ride.log[:3] == ("boil", "pour 100", "drink 101")


def test_stepwise_goes_on_where_it_failed(fresh: Railyard) -> None:
    """`--sw` stops at the first failure and goes on there, needed stations included."""
    fresh.edit("stations.py", 'log(f"pour {boil}")', "assert 0")
    stopped = fresh.ride("--cc-run", "--sw")
    fresh.edit("stations.py", "assert 0", 'log(f"pour {boil}")')

    ride = fresh.ride("--cc-run", "--sw")

    assert stopped.failed == ("pour",)
    assert ride.visited == ("pour", "drink", "grind")
    assert ride.tests == {"test_pour": "passed", "test_else": "passed"}
