"""The verdict: when a station is visited again, when it is left alone, and the reasons shown."""

from __future__ import annotations

import os
import re

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
"""

# A station whose check looks for a file that its visit makes.
CHECKED = """
    from pathlib import Path

    HERE = Path(__file__).parent

    @station(files=["water.txt"])
    def boil() -> None:
        log("visit")
        (HERE / "steam").touch()

    @boil.check
    def steams():
        log("check")
        assert (HERE / "steam").exists(), "no steam"
"""


@pytest.fixture
def chain(railyard: Railyard) -> Railyard:
    """Three stations in a row, complete."""
    railyard.stations(CHAIN)
    assert railyard.ride("--cc-run").closing == "3 visited"
    return railyard


@pytest.fixture
def checked(railyard: Railyard) -> Railyard:
    """A station with a check and an input file, complete."""
    railyard.write("water.txt", "cold")
    railyard.stations(CHECKED)
    assert railyard.ride("--cc-run").visited == ("boil",)
    return railyard


def without_times(reasons: tuple[str, ...]) -> tuple[str, ...]:
    """Return *reasons* with `N s` for every time, and without process and host."""
    texts = (re.sub(r"\d[\d.]* s ago", "N s ago", reason) for reason in reasons)
    return tuple(re.sub(r" by process \d+ on \S+", " by process P on H", text) for text in texts)


# --- without a check


def test_nothing_changed_leaves_chain_unchanged(chain: Railyard) -> None:
    """Where nothing changed, nothing is visited and no reason is given."""
    ride = chain.ride("--cc-run")

    assert (ride.unchanged, ride.log) == (("boil", "pour", "drink"), ())
    assert set(ride.reasons.values()) == {()}


def test_replay_visits_fresh_station(chain: Railyard) -> None:
    """A replayed station is visited although it is fresh, and says why."""
    ride = chain.ride("--cc-replay", "boil")

    assert (ride.visited, ride.unchanged) == (("boil",), ("pour", "drink"))
    assert ride.reasons["boil"] == ("selected by --cc-replay",)


def test_changed_upstream_outcome_visits_downstream(chain: Railyard) -> None:
    """A changed upstream outcome makes downstream due, one after the other."""
    chain.edit("stations.py", "100", "90")

    ride = chain.ride("--cc-run")

    assert ride.visited == ("boil", "pour", "drink")
    assert ride.reasons["boil"] == ("code of stations.py::boil changed",)
    assert ride.reasons["pour"] == ("outcome of boil changed",)
    assert ride.reasons["drink"] == ("outcome of pour changed",)


def test_equal_upstream_outcome_spares_downstream(chain: Railyard) -> None:
    """An upstream visit that returns an equal outcome leaves downstream unchanged."""
    chain.edit("stations.py", "return 100", "return 99 + 1")

    ride = chain.ride("--cc-run")

    assert (ride.visited, ride.unchanged) == (("boil",), ("pour", "drink"))


def test_failure_is_remembered(railyard: Railyard) -> None:
    """A failed station is due in the next run, with its error as the reason, and no other is."""
    railyard.stations(CHAIN.replace('log(f"pour {boil}")', 'raise RuntimeError("boom")'))
    first = railyard.ride("--cc-run")

    second = railyard.ride("--cc-run")

    assert (first.visited, first.failed, first.blocked) == (("boil",), ("pour",), ("drink",))
    assert (second.unchanged, second.failed, second.blocked) == (("boil",), ("pour",), ("drink",))
    assert without_times(second.reasons["pour"]) == (
        "last visit failed N s ago: RuntimeError: boom",
    )
    assert second.causes == {"pour": "RuntimeError: boom"}
    assert second.blamed == {"drink": ("pour",)}
    assert (first.exit_code, second.exit_code) == (1, 1)


def test_replayed_failure_is_remembered(chain: Railyard) -> None:
    """A complete station that is replayed and fails is due until a visit succeeds."""
    chain.edit(
        "stations.py",
        'log("boil")',
        'log("boil"); assert not (Path(__file__).parent / "off").exists()',
    )
    chain.edit("stations.py", "import pytest", "import pytest\nfrom pathlib import Path")
    chain.ride("--cc-run")
    chain.write("off", "")
    chain.ride("--cc-replay", "boil")

    still_off = chain.ride("--cc-run")
    chain.remove("off")
    on = chain.ride("--cc-run")
    after = chain.ride("--cc-run")

    assert (still_off.failed, still_off.blocked) == (("boil",), ("pour", "drink"))
    assert (on.visited, on.unchanged) == (("boil",), ("pour", "drink"))
    assert without_times(on.reasons["boil"])[0].startswith(
        "last visit failed N s ago: AssertionError"
    )
    assert after.unchanged == ("boil", "pour", "drink")


def test_change_that_failed_to_propagate_is_made_up_for(chain: Railyard) -> None:
    """A change that a failure kept from going further still arrives in a later run."""
    chain.edit("stations.py", "100", "90")
    chain.edit("stations.py", 'log(f"pour {boil}")', "raise RuntimeError(1)")
    broken = chain.ride("--cc-run")
    chain.edit("stations.py", "raise RuntimeError(1)", 'log(f"pour {boil}")')

    mended = chain.ride("--cc-run")

    assert (broken.visited, broken.failed, broken.blocked) == (("boil",), ("pour",), ("drink",))
    assert (mended.unchanged, mended.visited) == (("boil",), ("pour", "drink"))
    assert mended.log == ("pour 90", "drink 91")
    assert mended.reasons["pour"][1:] == ("outcome of boil changed",)


def test_change_taken_back_spares_what_never_saw_it(chain: Railyard) -> None:
    """What counts is what a station last consumed: a change undone in time is none."""
    chain.edit("stations.py", "100", "90")
    chain.ride("--cc-run", "-k", "boil")
    chain.edit("stations.py", "90", "100")

    ride = chain.ride("--cc-run")

    assert (ride.visited, ride.unchanged) == (("boil",), ("pour", "drink"))


def test_input_edited_during_visit_makes_station_due(railyard: Railyard) -> None:
    """The fingerprint is taken before the visit: an input edited meanwhile counts next time."""
    railyard.write("water.txt", "cold")
    railyard.stations(
        """
        from pathlib import Path
        WATER = Path(__file__).parent / "water.txt"

        @station(files=["water.txt"])
        def boil():
            if WATER.read_text() == "cold":
                WATER.write_text("hot")
        """
    )
    railyard.ride("--cc-run")

    second, third = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (second.visited, second.reasons["boil"]) == (("boil",), ("file water.txt changed",))
    assert third.unchanged == ("boil",)


def test_all_reasons_are_shown(railyard: Railyard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reasons accumulate, and all of them are shown."""
    railyard.write("water.txt", "cold")
    railyard.stations(
        """
        @station(files=["water.txt"], env=["HEAT"], max_age=3600)
        def boil():
            return 100
        """
    )
    monkeypatch.setenv("HEAT", "low")
    railyard.ride("--cc-run")
    railyard.write("water.txt", "hot")
    railyard.edit("stations.py", "100", "90")
    monkeypatch.setenv("HEAT", "high")

    ride = railyard.ride("--cc-replay", "boil", "-v")

    assert ride.reasons["boil"] == (
        "selected by --cc-replay",
        "file water.txt changed",
        "env HEAT changed",
        "code of stations.py::boil changed",
    )
    assert f"VISITED ({'; '.join(ride.reasons['boil'])})" in ride.text


def test_max_age_makes_station_due(railyard: Railyard) -> None:
    """A station older than its max_age is visited again, and says how old it was."""
    railyard.stations("@station(max_age=0)\ndef boil(): log('boil')\n")
    railyard.ride("--cc-run")

    ride = railyard.ride("--cc-run")

    assert ride.visited == ("boil",)
    assert ride.reasons["boil"][0].endswith("s ago, max_age is 0.0 s")


def test_changed_and_missing_products_make_station_due(railyard: Railyard) -> None:
    """A product that somebody changed or removed has its station visited again."""
    railyard.stations(
        """
        from pathlib import Path

        @station(products=["tea.txt"])
        def brew():
            (Path(__file__).parent / "tea.txt").write_text("tea")
        """
    )
    railyard.ride("--cc-run")
    railyard.write("tea.txt", "coffee")
    changed = railyard.ride("--cc-run")
    railyard.remove("tea.txt")

    missing = railyard.ride("--cc-run")

    assert changed.reasons["brew"] == ("product tea.txt changed",)
    assert missing.reasons["brew"] == ("product tea.txt is missing",)
    assert railyard.ride("--cc-run").unchanged == ("brew",)


def test_changed_value_and_parameter_show_old_and_new(railyard: Railyard) -> None:
    """A changed value is shown with what it was and what it is."""
    railyard.stations(
        """
        @pytest.fixture
        def heat():
            return 3

        @station(values=["heat"])
        def boil():
            pass
        """
    )
    railyard.ride("--cc-run")
    railyard.edit("stations.py", "return 3", "return 4")

    ride = railyard.ride("--cc-run")

    assert ride.visited == ("boil",)
    assert "value heat changed: 3 -> 4" in ride.reasons["boil"]


# --- with a check


def test_passing_check_leaves_station_unchanged(checked: Railyard) -> None:
    """Where nothing changed and the check passes, nothing is visited."""
    ride = checked.ride("--cc-run")

    assert (ride.unchanged, ride.log) == (("boil",), ("check",))


def test_drift_visits_station(checked: Railyard) -> None:
    """Where nothing changed and the check does not pass, the station is visited for drift."""
    checked.remove("steam")

    ride = checked.ride("--cc-run")

    assert (ride.visited, ride.log) == (("boil",), ("check", "visit", "check"))
    assert ride.reasons["boil"] == ("drift: check steams does not pass: AssertionError: no steam",)


def test_passing_check_settles_changed_code(checked: Railyard) -> None:
    """Where only the code changed and the check passes, the station is unchanged and stays so."""
    checked.edit("stations.py", 'log("visit")', 'log("changed visit")')

    ride, after = checked.ride("--cc-run"), checked.ride("--cc-run")

    assert (ride.unchanged, ride.log) == (("boil",), ("check",))
    assert ride.reasons["boil"] == ("code of stations.py::boil changed",)
    assert (after.unchanged, after.reasons["boil"]) == (("boil",), ())


def test_failing_check_does_not_settle_changed_code(checked: Railyard) -> None:
    """Where the code changed and the check does not pass, the station is visited."""
    checked.edit("stations.py", 'log("visit")', 'log("changed visit")')
    checked.remove("steam")

    ride = checked.ride("--cc-run")

    assert (ride.visited, ride.log) == (("boil",), ("check", "changed visit", "check"))
    assert ride.reasons["boil"] == (
        "code of stations.py::boil changed",
        "check steams does not pass: AssertionError: no steam",
    )


def test_passing_check_does_not_settle_changed_input(checked: Railyard) -> None:
    """Where an input changed the check is not asked before the visit: it could not see that."""
    checked.write("water.txt", "hot")

    ride = checked.ride("--cc-run")

    assert (ride.visited, ride.log) == (("boil",), ("visit", "check"))


def test_passing_check_does_not_settle_replay(checked: Railyard) -> None:
    """A replayed station is visited whatever its check says."""
    ride = checked.ride("--cc-replay", "boil")

    assert (ride.visited, ride.log) == (("boil",), ("visit", "check"))


def test_station_that_is_there_is_adopted(railyard: Railyard) -> None:
    """A station without a record whose check passes is adopted, and unchanged after that."""
    railyard.write("water.txt", "cold")
    railyard.write("steam", "")
    railyard.stations(CHECKED)

    first, second = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (first.adopted, first.log, first.exit_code) == (("boil",), ("check",), 0)
    assert first.reasons["boil"] == ("never visited",)
    assert (second.unchanged, second.reasons["boil"]) == (("boil",), ())


def test_station_with_unknown_outcome_is_visited(railyard: Railyard) -> None:
    """A station that returns something is not adopted while nobody knows what it would return."""
    railyard.stations(
        """
        @station
        def boil():
            return 100

        @boil.check
        def steams():
            pass
        """
    )

    ride = railyard.ride("--cc-run")

    assert ride.visited == ("boil",)
    assert ride.reasons["boil"] == (
        "never visited",
        "no check can tell its outcome",
    )


def test_failed_station_is_adopted_once_its_check_passes(checked: Railyard) -> None:
    """A failed station whose check passes by now is adopted: somebody else has done it."""
    checked.edit("stations.py", "touch()", "missing()")
    failed = checked.ride("--cc-replay", "boil")

    ride = checked.ride("--cc-run")

    assert (failed.failed, ride.adopted) == (("boil",), ("boil",))
    assert without_times(ride.reasons["boil"])[0].startswith("last visit failed N s ago: Attribute")


def test_check_that_fails_after_visit_fails_station(railyard: Railyard) -> None:
    """A check that does not pass after the visit fails its station and blocks downstream."""
    railyard.stations(
        """
        @station
        def boil(visit):
            visit.resources["pot"] = 7
            return 100

        @boil.check
        def steams():
            return False

        @station
        def pour(boil):
            log(boil)
        """
    )

    ride = railyard.ride("--cc-run")
    again = railyard.ride("--cc-run")

    assert (ride.failed, ride.blocked, ride.exit_code) == (("boil",), ("pour",), 1)
    assert ride.causes == {"boil": "check steams does not pass: it returned False"}
    assert ride.errors["boil"] == (
        "check 'steams' of station 'boil' does not pass: it returned False; "
        "either the visit or the check is wrong"
    )
    assert without_times(again.reasons["boil"])[0] == (
        "last visit failed N s ago: check steams does not pass: it returned False"
    )


def test_outcome_is_kept_when_check_fails_after_visit(railyard: Railyard) -> None:
    """Outcome and resources of a visit whose check does not pass are there for the next visit."""
    railyard.stations(
        """
        @station
        def boil(visit: Visit):
            log(f"{visit.previous} {dict(visit.resources)} {len(visit.reasons)}")
            visit.resources["pot"] = 7
            return 100

        @boil.check
        def steams():
            return False
        """
    )
    railyard.ride("--cc-run")

    ride = railyard.ride("--cc-run")

    assert ride.log == ("100 {'pot': 7} 2",)


def test_check_that_fails_after_visit_says_who_may_be_wrong(checked: Railyard) -> None:
    """The error of a check after a visit has pytest's detail, and names check and station."""
    checked.edit("stations.py", "touch()", "exists()")
    checked.remove("steam")

    ride = checked.ride("--cc-run")

    assert '>       assert (HERE / "steam").exists(), "no steam"' in ride.errors["boil"]
    assert (
        "E       check 'steams' of station 'boil' does not pass after the visit: "
        "either the visit or the check is wrong" in ride.errors["boil"]
    )
    assert "passes.py" not in ride.errors["boil"]


# --- what is a failure


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        pytest.param("raise SystemExit(0)", "SystemExit: 0", id="system-exit"),
        pytest.param("assert 1 == 2", "AssertionError: assert 1 == 2", id="assert"),
        pytest.param("pytest.fail('no gas')", "Failed: no gas", id="fail"),
        pytest.param("raise BaseException('odd')", "BaseException: odd", id="base-exception"),
        pytest.param("return object()", None, id="unstorable-outcome"),
    ],
)
def test_exception_fails_station(railyard: Railyard, body: str, cause: str | None) -> None:
    """Whatever a station raises is its failure: downstream is blocked, and it is visited again."""
    railyard.stations(
        f"@station\ndef boil():\n    {body}\n\n@station\ndef pour(boil): log('pour')\n"
    )

    ride, again = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (ride.failed, ride.blocked, ride.exit_code) == (("boil",), ("pour",), 1)
    assert ride.causes["boil"] == cause or cause is None
    assert (again.failed, again.log) == (("boil",), ())


def test_teardown_error_fails_station(railyard: Railyard) -> None:
    """A station whose fixtures cannot be torn down is failed and blocks its downstream."""
    railyard.stations(
        """
        @pytest.fixture
        def stove():
            yield
            assert 0, "still hot"

        @station
        def boil(stove):
            return 100

        @station
        def pour(boil):
            log("pour")
        """
    )

    ride, again = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (ride.failed, ride.blocked, ride.exit_code) == (("boil",), ("pour",), 1)
    assert ride.closing == "1 failed, 1 blocked"
    assert without_times(again.reasons["boil"])[0].startswith("last visit failed N s ago: Assert")
    assert (ride.log, again.log) == ((), ())


def test_failed_subtest_fails_station(railyard: Railyard) -> None:
    """A station with a failed sub-test is failed although it went on to its end."""
    railyard.stations(
        """
        @station
        def boil(subtests):
            with subtests.test("first"):
                assert 0, "cold"
            return 100

        @station
        def pour(boil):
            log("pour")
        """
    )

    ride, again = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (ride.failed, ride.blocked, ride.exit_code) == (("boil",), ("pour",), 1)
    assert ride.closing == "1 failed, 1 blocked"
    assert (again.failed, ride.log, again.log) == (("boil",), (), ())


def test_failed_subtest_before_skip_fails_station(railyard: Railyard) -> None:
    """A skip at the end does not excuse a sub-test that failed."""
    railyard.stations(
        """
        @station
        def boil(subtests):
            with subtests.test("first"):
                assert 0, "cold"
            pytest.skip("never mind")
        """
    )

    ride, again = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (ride.failed, again.failed) == (("boil",), ("boil",))
    assert without_times(again.reasons["boil"]) == (
        "last visit failed N s ago: AssertionError: cold",
    )


def test_soft_assertion_fails_station(railyard: Railyard) -> None:
    """A station with a failed soft assertion is failed."""
    railyard.use("check")
    railyard.stations(
        """
        import pytest_check

        @station
        def boil():
            pytest_check.equal(1, 2)
            return 100

        @station
        def pour(boil):
            log("pour")
        """
    )

    ride, again = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (ride.failed, ride.blocked) == (("boil",), ("pour",))
    assert (again.failed, again.blocked, again.log) == (("boil",), ("pour",), ())


def test_last_rerun_counts(railyard: Railyard) -> None:
    """What the last of several reruns says counts."""
    railyard.use("rerunfailures")
    railyard.stations(
        """
        @pytest.mark.flaky(reruns=2)
        @station
        def boil(tmp_path_factory):
            tries = tmp_path_factory.getbasetemp() / "tries"
            tries.write_text((tries.read_text() if tries.exists() else "") + "x")
            assert tries.read_text() == "xxx"
            return 100

        @station
        def pour(boil):
            log(f"pour {boil}")
        """
    )

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.log, ride.exit_code) == (("boil", "pour"), ("pour 100",), 0)
    assert railyard.ride("--cc-run").unchanged == ("boil", "pour")


def test_every_rerun_fails(railyard: Railyard) -> None:
    """A station all of whose reruns fail is failed."""
    railyard.use("rerunfailures")
    railyard.stations(
        """
        @pytest.mark.flaky(reruns=1)
        @station
        def boil():
            log("boil")
            assert 0, "cold"

        @station
        def pour(boil):
            log("pour")
        """
    )

    ride = railyard.ride("--cc-run")

    assert (ride.failed, ride.blocked, ride.log) == (("boil",), ("pour",), ("boil", "boil"))
    assert ride.closing == "1 failed, 1 blocked"


# --- skipped, expected to fail


def test_skipped_station_blocks_downstream(railyard: Railyard, mode: str) -> None:
    """A station that skips blocks downstream, shows the reason, and is tried next time."""
    railyard.stations(
        """
        @station
        def boil():
            log("boil")
            pytest.skip("no gas")

        @station
        def pour(boil):
            log("pour")
        """
    )

    ride, again = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (ride.skipped, ride.blocked, ride.exit_code) == (("boil",), ("pour",), 0)
    assert (ride.causes["boil"], ride.blamed["pour"]) == ("no gas", ("boil",))
    assert ride.closing == "1 blocked, 1 skipped"
    assert (ride.log, again.log) == (("boil",), ("boil",))


def test_skipif_keeps_record(chain: Railyard) -> None:
    """A station skipped by a mark keeps its record, and blocks downstream in that run."""
    chain.edit(
        "stations.py",
        "@station\ndef boil",
        "@pytest.mark.skipif(True, reason='no gas')\n@station\ndef boil",
    )

    skipped = chain.ride("--cc-run")
    chain.edit("stations.py", "@pytest.mark.skipif(True, reason='no gas')\n", "")
    after = chain.ride("--cc-run")

    assert (skipped.skipped, skipped.blocked) == (("boil",), ("pour", "drink"))
    assert (skipped.causes["boil"], skipped.log) == ("no gas", ())
    assert after.unchanged == ("boil", "pour", "drink")


def test_expected_failure_counts_as_skipped(railyard: Railyard) -> None:
    """A station that fails as expected is skipped, blocks downstream, and is visited next time."""
    railyard.stations(
        """
        @pytest.mark.xfail(reason="broken stove")
        @station
        def boil():
            log("boil")
            assert 0

        @station
        def pour(boil):
            log("pour")
        """
    )

    ride, again = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (ride.skipped, ride.blocked, ride.exit_code) == (("boil",), ("pour",), 0)
    assert (ride.causes["boil"], ride.log, again.log) == (
        "xfail: broken stove",
        ("boil",),
        ("boil",),
    )
    assert without_times(again.reasons["boil"])[0].startswith("last visit failed N s ago: ")


def test_teardown_error_after_expected_failure_fails_station(railyard: Railyard) -> None:
    """An expected failure does not excuse an error while fixtures are torn down."""
    railyard.stations(
        """
        @pytest.fixture
        def stove():
            yield
            raise OSError("still hot")

        @pytest.mark.xfail(reason="broken stove", raises=AssertionError)
        @station
        def boil(stove):
            assert 0
        """
    )

    ride = railyard.ride("--cc-run")

    assert (ride.failed, ride.closing, ride.exit_code) == (("boil",), "1 failed", 1)
    assert ride.causes == {"boil": "OSError: still hot"}


def test_unexpected_pass_completes_station(railyard: Railyard) -> None:
    """A station that passes against expectation is complete; strictly expected, it is failed."""
    railyard.stations(
        """
        @pytest.mark.xfail(reason="broken stove")
        @station
        def boil():
            return 100

        @pytest.mark.xfail(reason="broken mill", strict=True)
        @station
        def grind():
            return 1
        """
    )

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.failed, ride.exit_code) == (("boil",), ("grind",), 1)
    assert ride.closing == "1 visited, 1 failed"


def test_blocked_chain_names_the_root(railyard: Railyard) -> None:
    """Every station below a failure is blocked by what failed, not by what lies between."""
    railyard.stations(CHAIN.replace('log("boil")', "assert 0"))

    ride = railyard.ride("--cc-run", "-rs")

    assert (ride.failed, ride.blocked) == (("boil",), ("pour", "drink"))
    assert ride.blamed == {"pour": ("boil",), "drink": ("boil",)}
    assert ride.closing == "1 failed, 2 blocked"
    assert ride.last_line == "1 failed, 2 skipped"


def test_other_branch_goes_on(railyard: Railyard) -> None:
    """What does not need the failed station is visited all the same."""
    railyard.stations(
        CHAIN.replace('log("boil")', "assert 0") + "\n    @station\n    def grind(): log('grind')\n"
    )

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.failed, ride.blocked) == (("grind",), ("boil",), ("pour", "drink"))


def test_unchanged_station_sets_up_no_fixture(railyard: Railyard) -> None:
    """An unchanged station without a check sets up no fixture, autouse fixtures included."""
    railyard.stations(
        """
        @pytest.fixture
        def stove():
            log("stove")

        @pytest.fixture(autouse=True)
        def lights():
            log("lights")

        @station
        def boil(stove):
            pass
        """
    )
    railyard.ride("--cc-run")

    assert railyard.ride("--cc-run").log == ()


def test_unchanged_stations_leave_module_fixtures_in_order(railyard: Railyard) -> None:
    """Stations that need no visit between others that do disturb nobody's fixtures."""
    railyard.write(
        "one/stations.py",
        """
        import pytest
        from pytest_choochoo import station
        from railyard import log

        @pytest.fixture(scope="module")
        def kitchen():
            yield
            log("close kitchen")

        @station(max_age=0)
        def boil(kitchen): pass

        @station
        def pour(boil): pass
        """,
    )
    railyard.write("test_tea.py", "def test_tea(): pass\n")
    railyard.write(
        "two/stations.py",
        "from pytest_choochoo import station\n@station(max_age=0)\ndef sip(): pass\n",
    )
    railyard.ride("--cc-run")

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.unchanged) == (("boil", "sip"), ("pour",))
    assert (ride.tests, ride.exit_code, ride.log) == ({"test_tea": "passed"}, 0, ("close kitchen",))


def test_module_teardown_error_is_told_after_unchanged_station(railyard: Railyard) -> None:
    """A module fixture that fails when torn down fails the run, whoever comes last there."""
    railyard.stations(
        """
        @pytest.fixture(scope="module")
        def kitchen():
            yield
            assert 0, "cannot close"

        @station
        def boil():
            pass

        @station
        def pour(boil):
            pass

        @station
        def sip(kitchen):
            pass
        """
    )
    first = railyard.ride("--cc-run")
    railyard.edit("stations.py", "def boil():\n    pass", "def boil(kitchen):\n    return 2")

    second = railyard.ride("--cc-run")

    assert (first.visited, first.failed, first.exit_code) == (("boil", "pour"), ("sip",), 1)
    assert "cannot close" in second.text
    assert second.exit_code == 1


def test_inputs_of_env_show_no_value(railyard: Railyard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of environment variables are in no reason, and nowhere in the ledger."""
    railyard.stations("@station(env=['TOKEN'])\ndef boil(): pass\n")
    monkeypatch.setenv("TOKEN", "hunter2")
    railyard.ride("--cc-run")
    monkeypatch.setenv("TOKEN", "hunter3")

    ride = railyard.ride("--cc-run", "-v")

    assert ride.reasons["boil"] == ("env TOKEN changed",)
    kept = b"".join(
        f.read_bytes() for f in railyard.path.rglob(".pytest_cache/**/*") if f.is_file()
    )
    assert b"hunter" not in kept and "hunter" not in ride.text
    assert os.environ["TOKEN"] == "hunter3"


def test_missing_input_file_fails_before_visit(railyard: Railyard) -> None:
    """A declared file that does not exist fails the station before its visit."""
    railyard.stations("@station(files=['water.txt'])\ndef boil(): log('boil')\n")

    ride = railyard.ride("--cc-run")

    assert (ride.failed, ride.log) == (("boil",), ())
    assert ride.errors["boil"] == (
        "station 'boil' declares the file water.txt, which does not exist; "
        "create it, or correct files=[...]"
    )


def test_overridden_fixture_is_code(railyard: Railyard) -> None:
    """A fixture that another of its name asks for is part of the code."""
    railyard.write("conftest.py", "import pytest\n\n@pytest.fixture\ndef water(): return 1\n")
    railyard.write(
        "kitchen/conftest.py",
        "import pytest\n\n@pytest.fixture\ndef water(water): return water + 1\n",
    )
    railyard.stations("@station\ndef boil(water): return water", name="kitchen/stations.py")
    railyard.ride("--cc-run")
    railyard.edit("conftest.py", "return 1", "return 10")

    ride = railyard.ride("--cc-run")

    assert ride.reasons["boil"] == ("code of conftest.py::water changed",)


def test_value_that_a_factory_gave_its_station_is_code(railyard: Railyard, mode: str) -> None:
    """A station made in a loop is due when what it was made with is another; its twin is not."""
    railyard.stations(
        """
        def brew(kind, degrees):
            def visit():
                log(f"{kind} {degrees}")

            visit.__name__ = kind
            return station(visit)

        green, black = brew("green", 80), brew("black", 100)
        """
    )
    railyard.ride("--cc-run")
    railyard.edit("stations.py", '"green", 80', '"green", 75')

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.unchanged) == (("green",), ("black",))
    assert ride.reasons["green"] == ("code of degrees in stations.py::brew.<locals>.visit changed",)
    assert ride.log == ("green 75",)


@pytest.mark.parametrize("declared", ['files=["./**/*"]', 'files=["*"]', 'products=["."]'])
@pytest.mark.parametrize("state", ["state", "."])
def test_records_are_no_input_wherever_they_are_kept(
    railyard: Railyard, mode: str, declared: str, state: str
) -> None:
    """A glob that takes in the folder of the records is not due for what a run leaves there."""
    railyard.ini(f"cc_state = {state}")
    railyard.stations(f"@station({declared})\ndef boil() -> int: return 1\n")
    railyard.ride("--cc-run")

    ride = railyard.ride("--cc-run")

    assert ride.unchanged == ("boil",)
