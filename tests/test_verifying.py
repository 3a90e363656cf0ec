"""`--cc-check`: every check as an assertion; nothing is visited, nothing written."""

from __future__ import annotations

import pytest
from railyard import Railyard, snapshot

STOVE = """
    from pathlib import Path
    HERE = Path(__file__).parent

    @station
    def boil() -> None:
        log("boil")
        (HERE / "steam").touch()

    @boil.check
    def steams():
        assert (HERE / "steam").exists(), "no steam"

    @station
    def pour(boil) -> None:
        log("pour")
        (HERE / "tea").touch()

    @pour.check
    def smells():
        assert (HERE / "tea").exists(), "no tea"

    @station
    def sip(pour):
        log("sip")
        return 3
"""


@pytest.fixture
def stove(railyard: Railyard) -> Railyard:
    """Two stations with a check and one without, not visited yet."""
    railyard.stations(STOVE)
    return railyard


@pytest.fixture
def hot(stove: Railyard) -> Railyard:
    """The same, complete."""
    assert stove.ride("--cc-run").closing == "3 visited"
    return stove


def test_complete_stations_pass(hot: Railyard, mode: str) -> None:
    """Where all is as it should be every station passes, and nothing is visited."""
    ride = hot.ride("--cc-check")

    assert (ride.closing, ride.log, ride.exit_code) == ("3 unchanged", (), 0)
    assert ride.last_line == "3 passed"


def test_failing_check_fails_with_detail(hot: Railyard) -> None:
    """A check that does not pass fails with pytest's detail; downstream is asked all the same."""
    hot.remove("steam")

    ride = hot.ride("--cc-check")

    assert (ride.failed, ride.unchanged, ride.exit_code) == (("boil",), ("pour", "sip"), 1)
    assert '>       assert (HERE / "steam").exists(), "no steam"' in ride.errors["boil"]
    assert "E       check 'steams' of station 'boil' does not pass" in ride.errors["boil"]
    assert "pytest_choochoo" not in ride.errors["boil"]
    assert ride.log == ()


def test_every_check_is_asked_upstream_failing_or_not(hot: Railyard) -> None:
    """All checks that do not pass are told in one run."""
    hot.remove("steam")
    hot.remove("tea")

    ride = hot.ride("--cc-check")

    assert (ride.failed, ride.closing) == (("boil", "pour"), "1 unchanged, 2 failed")


def test_due_station_fails_with_reasons(hot: Railyard) -> None:
    """A station due by its record fails, and says why."""
    hot.edit("stations.py", "return 3", "return 4")

    ride = hot.ride("--cc-check")

    assert (ride.failed, ride.log) == (("sip",), ())
    assert ride.errors["sip"] == "station 'sip' is due: code of stations.py::sip changed"


def test_station_without_record_and_check_fails(stove: Railyard) -> None:
    """A station without a check passes only by a fresh record."""
    stove.write("steam", "")
    stove.write("tea", "")

    ride = stove.ride("--cc-check")

    assert (ride.failed, ride.unchanged) == (("sip",), ("boil", "pour"))
    assert ride.errors["sip"] == "station 'sip' is due: never visited"


@pytest.mark.parametrize("state", ["never visited", "drifted"])
def test_next_command_is_a_run(stove: Railyard, mode: str, state: str) -> None:
    """What to type after a failed verification is a run, which visits what must be."""
    if state == "drifted":
        stove.ride("--cc-run", "--cc-profile", "ci")
        stove.remove("tea")

    ride = stove.ride("--cc-check", "--cc-profile", "ci")

    assert [line for line in ride.outlines if line.startswith("next:")] == [
        "next: pytest --cc-run --cc-profile=ci"
    ]


def test_passing_checks_pass_without_any_ledger(stove: Railyard) -> None:
    """In CI, without a ledger, a station whose checks pass passes; none is made."""
    stove.write("steam", "")
    stove.write("tea", "")

    ride = stove.ride("--cc-check", "-k", "boil or pour")

    assert (ride.closing, ride.exit_code) == ("2 unchanged", 0)
    assert not (stove.path / ".pytest_cache/d").exists()


def test_works_without_cache_provider(stove: Railyard) -> None:
    """Verifying needs no place to remember anything."""
    stove.write("steam", "")

    ride = stove.ride("--cc-check", "-k", "boil", "-p", "no:cacheprovider")

    assert (ride.closing, ride.exit_code) == ("1 unchanged", 0)


@pytest.mark.parametrize("state", ["complete", "drifted", "due", "failed"])
def test_ledger_stays_as_it_was(hot: Railyard, state: str) -> None:
    """Whatever is found, the ledger stays byte for byte as it was."""
    match state:
        case "drifted":
            hot.remove("steam")
        case "due":
            hot.edit("stations.py", "return 3", "return 4")
        case "failed":
            hot.edit("stations.py", "return 3", "assert 0")
            hot.ride("--cc-run")
    ledger = hot.path / ".pytest_cache/d/choochoo"
    before = snapshot(ledger)

    hot.ride("--cc-check")

    assert snapshot(ledger) == before
    assert before


def test_check_that_asks_for_its_directory_makes_none(railyard: Railyard) -> None:
    """A check may look into its station's directory, and does not make it thereby."""
    railyard.stations(
        """
        @station
        def boil(visit) -> None:
            (visit.dir / "pot").touch()

        @boil.check
        def steams(visit):
            assert (visit.dir / "pot").exists(), "no pot"
        """
    )

    ride = railyard.ride("--cc-check")

    assert ride.failed == ("boil",)
    assert not (railyard.path / ".pytest_cache/d").exists()


def test_check_with_changed_code_passes(hot: Railyard) -> None:
    """Where only the code changed a passing check settles it, as in a run."""
    hot.edit("stations.py", 'log("boil")', 'log("boil again")')

    ride = hot.ride("--cc-check", "-k", "boil")

    assert (ride.closing, ride.exit_code) == ("1 unchanged", 0)


def test_tests_run_on_recorded_outcomes(hot: Railyard) -> None:
    """Tests run too, and get what was recorded."""
    hot.write("test_tea.py", "def test_tea(sip): assert sip == 3\n")

    ride = hot.ride("--cc-check")

    assert (ride.tests, ride.exit_code) == ({"test_tea": "passed"}, 0)


def test_check_gets_upstream_outcome_without_record(railyard: Railyard) -> None:
    """A check that asks for an outcome nobody knows fails, and says which station to run."""
    railyard.stations(
        """
        @station
        def boil():
            return 100

        @station
        def pour(boil) -> None:
            pass

        @pour.check
        def smells(boil):
            assert boil == 100
        """
    )

    ride = railyard.ride("--cc-check")

    assert ride.failed == ("boil", "pour")
    assert (
        "station 'boil' has no complete record: never visited; run 'pytest --cc-run' first"
        in (ride.errors["pour"])
    )


def test_check_gets_nothing_from_upstream_that_returns_nothing(railyard: Railyard) -> None:
    """A check may ask for an upstream that returns nothing, though no ledger knows of it."""
    railyard.stations(
        """
        @station
        def boil() -> None:
            pass

        @boil.check
        def steams(): pass

        @station
        def pour(boil) -> None:
            pass

        @pour.check
        def smells(boil):
            assert boil is None
        """
    )

    ride = railyard.ride("--cc-check")

    assert (ride.closing, ride.exit_code) == ("2 unchanged", 0)


def test_check_is_asked_once_whatever_within(railyard: Railyard) -> None:
    """`within` counts after a visit only: verifying does not wait."""
    railyard.stations(
        """
        @station
        def boil() -> None: pass

        @boil.check(within=30)
        def steams():
            log("check")
            return False
        """
    )

    ride = railyard.ride("--cc-check")

    assert (ride.failed, ride.log) == (("boil",), ("check",))
    assert (
        ride.errors["boil"] == "check 'steams' of station 'boil' does not pass: it returned False"
    )


XFAIL = """
    from pathlib import Path

    @pytest.mark.xfail(reason="no gas", strict={strict})
    @station
    def boil() -> None:
        raise OSError

    @boil.check
    def steams():
        assert Path(__file__).with_name("steam").exists()

    @station
    def grind() -> None: ...

    @pytest.mark.xfail(strict=True)
    def test_wrong(): ...
"""


@pytest.mark.parametrize("strict", [False, True])
def test_station_that_is_expected_to_fail_may_be_missing(railyard: Railyard, strict: bool) -> None:
    """What a visit is expected not to bring about may be missing: known before, so no failure."""
    railyard.stations(XFAIL.format(strict=strict))

    ride = railyard.ride("--cc-check", "-k", "boil")

    assert (ride.skipped, ride.closing) == (("boil",), "1 skipped")
    assert ride.causes == {"boil": "xfail: no gas"}
    assert (ride.last_line, ride.exit_code) == ("2 deselected, 1 xfailed", 0)


@pytest.mark.parametrize("strict", [False, True])
def test_station_that_is_expected_to_fail_may_be_there(
    railyard: Railyard, strict: bool, mode: str
) -> None:
    """That the visit is expected to fail is held against no check that passes, nor against others."""
    railyard.stations(XFAIL.format(strict=strict), name="test_tea.py")
    railyard.write("steam", "")
    railyard.ride("--cc-run", "-k", "grind")

    ride = railyard.ride("--cc-check")

    assert (ride.closing, ride.tests) == ("2 unchanged", {"test_wrong": "failed"})
    assert (ride.last_line, ride.exit_code) == ("1 failed, 2 passed", 1)


@pytest.mark.parametrize("ending", ["raise KeyboardInterrupt", "pytest.exit('enough')"])
def test_check_that_is_interrupted_has_not_answered(railyard: Railyard, ending: str) -> None:
    """Who ends the run in the midst of a check leaves its station not reached."""
    railyard.stations(
        f"""
        @station
        def boil() -> None: ...

        @station
        def pour() -> None: ...

        @pour.check
        def is_poured():
            {ending}
        """
    )

    ride = railyard.ride("--cc-check", "-k", "pour", apart=True)

    assert ride.exit_code == 2
    assert ride.closing == "1 not reached"
