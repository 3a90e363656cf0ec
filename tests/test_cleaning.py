"""`--cc-clean`: downstream first, checked, forgotten; what fails keeps what it stands on."""

from __future__ import annotations

import pytest
from railyard import Railyard

CHAIN = """
    from pathlib import Path
    HERE = Path(__file__).parent

    @station
    def boil(visit):
        visit.resources["pot"] = 7
        (HERE / "steam").touch()
        return 100

    @boil.check
    def steams(boil):
        assert (HERE / "steam").exists(), "no steam"

    @boil.clean
    def cool(boil, visit: Visit):
        log(f"cool {boil} {dict(visit.resources)}")
        (HERE / "steam").unlink()

    @station
    def pour(boil):
        return 101

    @pour.clean
    def empty(pour, boil):
        log(f"empty {pour} {boil}")

    @station
    def sip(pour):
        return 102

    @sip.clean
    def spit(sip):
        log(f"spit {sip}")

    @station
    def grind():
        pass
"""

EXPECTED = """
    @pytest.mark.xfail
    @station
    def boil(): raise OSError

    @boil.clean
    def cool(boil): log(f"cool {boil}")
"""


@pytest.fixture
def done(railyard: Railyard) -> Railyard:
    """A chain of three stations with cleans and one without, complete."""
    railyard.stations(CHAIN)
    railyard.write("test_tea.py", "from railyard import log\ndef test_tea(sip): log('test')\n")
    assert railyard.ride("--cc-run", "-m", "station").closing == "4 visited"
    return railyard


def test_downstream_is_cleaned_first(done: Railyard) -> None:
    """Stations are cleaned downstream first, with outcomes and resources, and tests do not run."""
    ride = done.ride("--cc-clean")

    assert ride.log == ("spit 102", "empty 101 100", "cool 100 {'pot': 7}")
    assert ride.closing == "3 cleaned, 1 left in place"
    assert "  left in place, for want of a clean: grind" in ride.outlines
    assert (ride.tests, ride.exit_code) == ({}, 0)


def test_cleaned_stations_are_forgotten(done: Railyard) -> None:
    """After a clean nothing is remembered: all is visited anew, and resources are gone."""
    done.ride("--cc-clean")

    again, ride = done.ride("--cc-clean"), done.ride("--cc-run", "-m", "station")

    assert (again.results, again.log) == ({}, ())
    assert ride.closing == "4 visited"
    assert ride.reasons["pour"] == ("never visited",)


def test_selection_takes_downstream_along(done: Railyard) -> None:
    """Cleaning a station cleans what is downstream of it, and nothing else."""
    ride = done.ride("--cc-clean", "-k", "pour")

    assert ride.log == ("spit 102", "empty 101 100")
    assert done.ride("--cc-run", "-m", "station").closing == "2 visited, 2 unchanged"


def test_failed_clean_keeps_upstream(done: Railyard) -> None:
    """A clean that fails keeps what is upstream of it, all the way, and the run fails."""
    done.edit("stations.py", 'log(f"spit {sip}")', 'raise OSError("stuck")')

    ride = done.ride("--cc-clean")

    assert (ride.failed, ride.blocked) == (("sip",), ("pour", "boil"))
    assert ride.blamed == {"pour": ("sip",), "boil": ("sip",)}
    assert ride.causes == {"sip": "OSError: stuck"}
    assert ride.closing == "1 failed, 2 blocked, 1 left in place"
    assert (ride.log, ride.exit_code) == ((), 1)


def test_next_clean_goes_on(done: Railyard) -> None:
    """The next --cc-clean goes on where the last one failed."""
    done.edit("stations.py", 'log(f"empty {pour} {boil}")', 'raise OSError("stuck")')
    first = done.ride("--cc-clean")
    done.edit("stations.py", 'raise OSError("stuck")', 'log(f"empty {pour} {boil}")')

    ride = done.ride("--cc-clean")

    assert first.log == ("spit 102",)
    assert first.closing == "1 failed, 1 blocked, 1 cleaned, 1 left in place"
    assert ride.log == ("empty 101 100", "cool 100 {'pot': 7}")
    assert ride.closing == "2 cleaned"


def test_check_that_still_passes_fails_the_clean(done: Railyard) -> None:
    """A check that passes after the clean fails it: one of the two is wrong."""
    done.edit("stations.py", '(HERE / "steam").unlink()', "pass")

    ride = done.ride("--cc-clean")

    assert (ride.failed, ride.exit_code) == (("boil",), 1)
    assert ride.errors["boil"] == (
        "station 'boil' was cleaned and its check 'steams' still passes; "
        "either the clean or the check is wrong"
    )
    assert done.ride("--cc-clean").failed == ("boil",)


def test_station_never_attempted_is_not_cleaned(railyard: Railyard) -> None:
    """What was never attempted is not cleaned."""
    railyard.stations(CHAIN.replace("return 101", "assert 0"))
    railyard.ride("--cc-run")

    ride = railyard.ride("--cc-clean")

    assert ride.log == ("empty None 100", "cool 100 {'pot': 7}")
    assert ride.closing == "2 cleaned, 1 left in place"


def test_failed_visit_is_cleaned_with_its_resources(railyard: Railyard) -> None:
    """A visit that failed half-way is cleaned: without outcome, with the resources it made."""
    railyard.stations(
        """
        @station
        def boil(visit):
            visit.resources["pot"] = 7
            raise RuntimeError

        @boil.clean
        def cool(boil, visit):
            log(f"{boil} {dict(visit.resources)}")
        """
    )
    railyard.ride("--cc-run")

    ride = railyard.ride("--cc-clean")

    assert (ride.log, ride.closing, ride.exit_code) == (("None {'pot': 7}",), "1 cleaned", 0)
    assert railyard.ride("--cc-clean").results == {}


def test_failed_clean_keeps_record_and_resources(done: Railyard) -> None:
    """What could not be cleaned is still known: complete, with its resources."""
    done.edit("stations.py", '(HERE / "steam").unlink()', 'raise OSError("stuck")')
    done.ride("--cc-clean")

    ride = done.ride("--cc-run", "-k", "boil")

    assert ride.results == {"boil": "unchanged"}


def test_left_in_place_is_forgotten(done: Railyard) -> None:
    """A station without a clean is forgotten, so that a run visits it again."""
    done.ride("--cc-clean", "-k", "grind")

    ride = done.ride("--cc-run", "-k", "grind")

    assert (ride.results, ride.reasons["grind"]) == ({"grind": "visited"}, ("never visited",))


def test_nothing_to_clean_is_a_success(railyard: Railyard) -> None:
    """Where nothing was visited there is nothing to clean, and that is no error."""
    railyard.stations(CHAIN)

    ride = railyard.ride("--cc-clean")

    assert (ride.results, ride.log, ride.exit_code) == ({}, (), 0)
    assert "choochoo: there was nothing to clean" in ride.outlines


def test_workers_are_left_at_home(done: Railyard) -> None:
    """Cleaning is done one after the other, also where `-n` is asked for."""
    done.workers = 2

    ride = done.ride("--cc-clean")

    assert ride.log == ("spit 102", "empty 101 100", "cool 100 {'pot': 7}")


def test_interrupted_clean_is_gone_on_with(done: Railyard) -> None:
    """A clean that was interrupted keeps record and upstream, and is done by the next."""
    done.edit("stations.py", 'log(f"empty {pour} {boil}")', "raise KeyboardInterrupt")
    stopped = done.ride("--cc-clean", apart=True)
    done.edit("stations.py", "raise KeyboardInterrupt", 'log("empty")')

    ride = done.ride("--cc-clean")

    assert (stopped.exit_code, stopped.log) == (2, ("spit 102",))
    assert (ride.log, ride.exit_code) == (("empty", "cool 100 {'pot': 7}"), 0)


def test_collect_only_cleans_nothing(done: Railyard) -> None:
    """`--cc-clean --collect-only` shows what would be cleaned, in order, and cleans nothing."""
    ride = done.ride("--cc-clean", "--collect-only", "-q")

    listed = tuple(line for line in ride.outlines if line.startswith("stations.py::"))
    assert listed == tuple(f"stations.py::{name}" for name in ("grind", "sip", "pour", "boil"))
    assert (ride.log, ride.closing) == ((), "")
    assert done.ride("--cc-run", "-m", "station").closing == "4 unchanged"


def test_async_clean_is_awaited(railyard: Railyard) -> None:
    """A clean may be async."""
    railyard.stations(
        """
        @station
        def boil(): return 100

        @boil.clean
        async def cool(boil): log(f"cool {boil}")
        """
    )
    railyard.ride("--cc-run")

    assert railyard.ride("--cc-clean").log == ("cool 100",)


@pytest.mark.parametrize("mark", ["xfail", "xfail(strict=True)", "xfail(run=False)"])
def test_xfail_is_about_the_visit_and_not_about_the_clean(railyard: Railyard, mark: str) -> None:
    """A station that is expected to fail is cleaned like any other: a clean that passes has passed."""
    railyard.stations(EXPECTED)
    railyard.ride("--cc-run")
    railyard.edit("stations.py", "xfail", mark)

    ride = railyard.ride("--cc-clean")

    assert (ride.log, ride.closing) == (("cool None",), "1 cleaned")
    assert (ride.last_line, ride.exit_code) == ("1 passed", 0)
    assert railyard.ride("--cc-clean").results == {}


def test_failed_clean_is_not_excused_by_xfail(railyard: Railyard) -> None:
    """A clean that fails has failed, though the visit was expected to."""
    railyard.stations(EXPECTED.replace('log(f"cool {boil}")', 'raise OSError("stuck")'))
    railyard.ride("--cc-run")

    ride = railyard.ride("--cc-clean")

    assert (ride.causes, ride.closing) == ({"boil": "OSError: stuck"}, "1 failed")
    assert (ride.last_line, ride.exit_code) == ("1 failed", 1)


def test_broken_fixture_of_a_check_is_no_proof_that_anything_is_gone(railyard: Railyard) -> None:
    """A check that passes after a clean is told, also where its fixture cannot be torn down."""
    railyard.stations(
        """
        from pathlib import Path
        HERE = Path(__file__).parent

        @pytest.fixture
        def line():
            yield
            assert not (HERE / "cut").exists(), "cut off"

        @station
        def boil(): (HERE / "steam").touch()

        @boil.check
        def steams(line): assert (HERE / "steam").exists()

        @boil.clean
        def cool(): ...
        """
    )
    railyard.ride("--cc-run")
    railyard.write("cut", "")

    ride = railyard.ride("--cc-clean")

    assert (ride.exit_code, ride.failed) == (1, ("boil",))
    assert "its check 'steams' still passes" in ride.causes["boil"]
