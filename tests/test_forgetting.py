"""`--cc-forget` and `--cache-clear`: records go, what exists in the world is left alone."""

from __future__ import annotations

import pytest
from railyard import Railyard

STATIONS = """
    @station
    def boil(visit: Visit):
        log(dict(visit.resources))
        visit.resources["pot"] = 7
        return 100

    @boil.clean
    def cool(visit):
        log("cool")

    @station
    def pour(boil):
        pass

    @station
    def grind():
        pass
"""


@pytest.fixture
def done(railyard: Railyard) -> Railyard:
    """Three stations, complete; the first keeps the id of something that it made."""
    railyard.stations(STATIONS)
    assert railyard.ride("--cc-run").closing == "3 visited"
    return railyard


def test_forgotten_stations_are_visited_again(done: Railyard) -> None:
    """Forgetting touches the records of the selected stations, and nothing else."""
    forgotten = done.ride("--cc-forget", "boil+")

    ride = done.ride("--cc-run")

    assert "choochoo: forgot boil, pour" in forgotten.outlines
    assert (forgotten.exit_code, forgotten.log, forgotten.closing) == (0, (), "")
    assert (ride.visited, ride.unchanged) == (("boil", "pour"), ("grind",))
    assert ride.reasons["boil"] == ("never visited",)


def test_resources_outlive_forgetting(done: Railyard) -> None:
    """Ids of things that still exist are known to the next visit."""
    done.ride("--cc-forget", "boil")

    ride = done.ride("--cc-run")

    assert ride.log == ("{'pot': 7}",)


def test_forgotten_resources_can_be_cleaned(done: Railyard) -> None:
    """A forgotten station with resources can still be cleaned."""
    done.ride("--cc-forget", "all")

    ride = done.ride("--cc-clean")

    assert (ride.log, ride.closing) == (("cool",), "1 cleaned")


def test_station_that_no_longer_exists_can_be_forgotten(done: Railyard) -> None:
    """The record of a station that was removed can be named."""
    done.stations("@station\ndef boil(): return 100\n")

    ride = done.ride("--cc-forget", "grind,stations.py::pour")

    assert "choochoo: forgot stations.py::grind, stations.py::pour" in ride.outlines
    assert ride.exit_code == 0


def test_nothing_to_forget_is_a_success(done: Railyard) -> None:
    """Forgetting twice is no error."""
    done.ride("--cc-forget", "all")

    ride = done.ride("--cc-forget", "all")

    assert "choochoo: there was nothing to forget" in ride.outlines
    assert ride.exit_code == 0


def test_failed_station_can_be_forgotten(railyard: Railyard) -> None:
    """The selector `failed` names what failed, here as well."""
    railyard.stations("@station\ndef boil(): assert 0\n\n@station\ndef grind(): pass\n")
    railyard.ride("--cc-run")

    ride = railyard.ride("--cc-forget", "failed")

    assert "choochoo: forgot boil" in ride.outlines
    assert railyard.ride("--cc-run").reasons["boil"] == ("never visited",)


def test_unknown_station_is_usage_error(done: Railyard) -> None:
    """A selector that matches nothing is a usage error that names the option."""
    ride = done.ride("--cc-forget", "grond")

    assert ride.exit_code == 4
    assert (
        "ERROR: --cc-forget: no station is called 'grond'; did you mean 'grind'?" in ride.outlines
    )


def test_tests_do_not_run_while_forgetting(done: Railyard) -> None:
    """Forgetting runs no test."""
    done.write("test_tea.py", "from railyard import log\ndef test_tea(): log('test')\n")

    ride = done.ride("--cc-forget", "all")

    assert (ride.tests, ride.log) == ({}, ())


def test_cleared_cache_forgets_what_is_complete(done: Railyard, mode: str) -> None:
    """`--cache-clear` has all visited again, once, though xdist repeats it in every worker."""
    ride = done.ride("--cc-run", "--cache-clear")
    after = done.ride("--cc-run")

    assert ride.closing == "3 visited"
    assert ride.log == ("{'pot': 7}",)
    assert after.closing == "3 unchanged"


def test_cleared_cache_keeps_resources_in_plain_run(done: Railyard) -> None:
    """`--cache-clear` of a run without stations keeps the ids of what exists, too."""
    done.write("test_tea.py", "def test_tea(): pass\n")
    done.ride("--cache-clear", "test_tea.py")

    ride = done.ride("--cc-run")

    assert (ride.log, ride.closing) == (("{'pot': 7}",), "3 visited")


def test_cleared_cache_clears_the_rest(done: Railyard) -> None:
    """`--cache-clear` clears what else is in pytest's cache, as ever."""
    done.write("test_tea.py", "def test_tea(): assert 0\n")
    done.ride("test_tea.py")
    done.write(".pytest_cache/d/other/file", "kept by another plugin")

    done.ride("--cache-clear", "--collect-only", "test_tea.py")

    assert not (done.path / ".pytest_cache/v/cache/lastfailed").exists()
    assert not (done.path / ".pytest_cache/d/other").exists()


def test_cleared_cache_keeps_directories(railyard: Railyard) -> None:
    """What a station made in its directory is there after `--cache-clear`, and can be cleaned."""
    railyard.stations(
        """
        @station
        def boil(visit) -> str:
            (visit.dir / "tea").touch()
            return str(visit.dir / "tea")

        @boil.clean
        def cool(visit):
            log(sorted(path.name for path in visit.dir.iterdir()))
        """
    )
    railyard.write("test_tea.py", "def test_tea(): pass\n")
    railyard.ride("--cc-run")
    railyard.ride("--cache-clear", "test_tea.py")

    ride = railyard.ride("--cc-clean")

    assert (ride.results, ride.log) == ({"boil": "cleaned"}, ("['tea']",))
    assert not list(railyard.path.glob(".pytest_cache/d/choochoo/default/stations/*"))
