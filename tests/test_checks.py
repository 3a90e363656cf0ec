"""What a check may do: pass, fail, take its time, be wrong; and the fixtures it sees."""

from __future__ import annotations

import re

import pytest
from railyard import Railyard

FAILING = {
    "returns False": "return False",
    "asserts": "assert 1 == 2",
    "refused connection": "raise ConnectionRefusedError(111, 'refused')",
    "pytest.fail": "pytest.fail('not yet')",
    "SystemExit": "raise SystemExit(3)",
    "raising a group": "raise ExceptionGroup('many', [ValueError(1)])",
    "BaseException": "raise BaseException('rude')",
}
HOT = "__import__('pathlib').Path(__file__).with_name('hot')"


def boil(check: str, keywords: str = "") -> str:
    """Return a station that makes the file `hot`, with *check* where it is not there."""
    decorator = f"@boil.check({keywords})" if keywords else "@boil.check"
    return f"""
@station
def boil() -> None:
    log("boil")
    {HOT}.touch()

{decorator}
def is_hot():
    log("check")
    if not {HOT}.exists():
        {check}
"""


@pytest.mark.parametrize("check", FAILING.values(), ids=FAILING)
def test_check_that_does_not_pass_has_the_station_visited(railyard: Railyard, check: str) -> None:
    """A check that returns False or raises anything means: not there yet."""
    railyard.stations(boil(check))

    first, second = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (first.visited, first.log) == (("boil",), ("check", "boil", "check"))
    assert (second.unchanged, second.log) == (("boil",), ("check",))


@pytest.mark.parametrize("answer", ["return True", "return None", "return", "pass"])
def test_check_passes_with_none_or_true(railyard: Railyard, answer: str) -> None:
    """A check passes when it returns nothing, None or True; a station without record is adopted."""
    railyard.stations(
        f"@station\ndef boil() -> None: ...\n@boil.check\ndef is_hot():\n    {answer}\n"
    )

    ride = railyard.ride("--cc-run")

    assert (ride.adopted, ride.exit_code) == (("boil",), 0)


@pytest.mark.parametrize("answer", ["1", "0", "'yes'", "[]", "(False,)"])
@pytest.mark.parametrize("option", ["--cc-run", "--cc-check"])
def test_check_with_another_answer_is_an_error(
    railyard: Railyard, answer: str, option: str
) -> None:
    """A check that returns anything but None, True or False is an error that names it."""
    railyard.stations(
        f"@station\ndef boil(): ...\n@boil.check\ndef is_hot():\n    return {answer}\n"
    )

    ride = railyard.ride(option)

    assert ride.failed == ("boil",)
    assert ride.causes["boil"] == (
        f"CheckAnswer: check 'is_hot' of station 'boil' returned {answer}; "
        "a check returns nothing, True or False"
    )


def test_skip_in_a_check_skips_the_station(railyard: Railyard) -> None:
    """`pytest.skip` in a check skips the station, and its downstream is blocked."""
    railyard.stations(
        """
        @station
        def boil():
            log("boil")

        @boil.check
        def is_hot():
            pytest.skip("no thermometer")

        @station
        def pour(boil): ...
        """
    )

    ride = railyard.ride("--cc-run")

    assert (ride.skipped, ride.blocked, ride.log) == (("boil",), ("pour",), ())
    assert ride.causes["boil"] == "no thermometer"


def test_keyboard_interrupt_in_a_check_is_no_answer(railyard: Railyard) -> None:
    """`KeyboardInterrupt` in a check ends the run, and is never taken for an answer."""
    railyard.stations(boil("raise KeyboardInterrupt"))

    ride = railyard.ride("--cc-run", apart=True)

    assert (ride.exit_code, ride.log) == (2, ("check",))


def test_pytest_exit_in_a_check_is_no_answer(railyard: Railyard) -> None:
    """`pytest.exit` in a check ends the run, and visits nothing."""
    railyard.stations(boil("pytest.exit('enough', returncode=5)"))

    ride = railyard.ride("--cc-run", apart=True)

    assert (ride.exit_code, ride.log) == (5, ("check",))


def test_station_whose_check_fails_after_the_visit_is_failed(railyard: Railyard) -> None:
    """A check that does not pass after the visit fails the station and blocks its downstream."""
    railyard.stations(
        """
        @station
        def boil():
            log("boil")
            return 100

        @boil.check
        def is_hot():
            return False

        @station
        def pour(boil): ...
        """
    )

    ride = railyard.ride("--cc-run")

    assert (ride.failed, ride.blocked) == (("boil",), ("pour",))
    assert ride.causes["boil"] == "check is_hot does not pass: it returned False"
    assert ride.errors["boil"] == (
        "check 'is_hot' of station 'boil' does not pass: it returned False; "
        "either the visit or the check is wrong"
    )
    assert (ride.log, ride.exit_code) == (("boil",), 1)


def test_within_tries_again_after_the_visit(railyard: Railyard) -> None:
    """`within=` has the check tried again after a visit, until it passes."""
    railyard.stations(
        """
        from railyard import logged

        @station
        def boil() -> None:
            log("boil")

        @boil.check(within=20)
        def is_hot():
            log("check")
            assert logged()[-3:] == ["check"] * 3
        """
    )

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.log) == (("boil",), ("check", "boil", "check", "check", "check"))


def test_within_counts_only_after_a_visit(railyard: Railyard) -> None:
    """Before the visit a check with `within=` is asked once, and nobody waits."""
    railyard.stations(boil("return False", keywords="within=600"))

    ride = railyard.ride("--cc-run")

    assert ride.log == ("check", "boil", "check")


def test_within_gives_up(railyard: Railyard) -> None:
    """A check that does not pass `within` its time fails the station."""
    railyard.stations(
        "@station\ndef boil() -> None: ...\n@boil.check(within=0.1)\ndef is_hot():\n    return False\n"
    )

    ride = railyard.ride("--cc-run")

    assert ride.errors["boil"] == (
        "check 'is_hot' of station 'boil' does not pass: it returned False; "
        "either the visit or the check is wrong"
    )


def test_passed_checks_are_not_asked_again_for_a_slow_one(railyard: Railyard) -> None:
    """While one check is tried again, those that passed are left alone."""
    railyard.stations(
        """
        from railyard import logged

        @station
        def boil() -> None:
            log("boil")

        @boil.check
        def is_full():
            log("full")

        @boil.check(within=20)
        def is_hot():
            log("hot")
            assert logged().count("hot") > 2
        """
    )

    ride = railyard.ride("--cc-run")

    assert ride.log == ("full", "hot", "boil", "full", "hot", "hot")


def test_fixture_of_a_check_may_fail_before_the_visit(railyard: Railyard) -> None:
    """A fixture that fails for a check before the visit is set up anew after it."""
    for scope in ("function", "module", "session"):
        railyard.stations(
            f"""
            from pathlib import Path

            HOT = Path(__file__).with_name("hot_{scope}")

            @pytest.fixture(scope="{scope}")
            def thermometer():
                log("thermometer")
                return HOT.read_text()

            @station
            def boil_{scope}() -> None:
                HOT.write_text("100")

            @boil_{scope}.check
            def is_hot(thermometer):
                assert thermometer == "100"
            """,
            name=f"station_{scope}.py",
        )

    ride = railyard.ride("--cc-run")

    assert ride.visited == ("boil_function", "boil_module", "boil_session")
    assert ride.log == ("thermometer",) * 6


def test_fixtures_are_set_up_anew_for_the_check_after_the_visit(railyard: Railyard) -> None:
    """A check after the visit sees function-scoped fixtures set up after it, torn down in between."""
    railyard.stations(
        """
        from pathlib import Path

        HOT = Path(__file__).with_name("hot")

        @pytest.fixture
        def thermometer():
            log("up")
            yield HOT.exists()
            log("down")

        @station
        def boil() -> None:
            log("boil")
            HOT.touch()

        @boil.check
        def is_hot(thermometer):
            log(f"check {thermometer}")
            assert thermometer
        """
    )

    ride = railyard.ride("--cc-run")

    assert ride.log == ("up", "check False", "down", "boil", "up", "check True", "down")
    assert ride.visited == ("boil",)


def test_session_fixtures_serve_check_visit_and_check(railyard: Railyard) -> None:
    """A session fixture that a check and its station share is set up once."""
    railyard.stations(
        """
        from pathlib import Path

        @pytest.fixture(scope="session")
        def kitchen():
            log("kitchen")
            yield {}
            log("closed")

        @station
        def boil(kitchen) -> None:
            kitchen["hot"] = True

        @boil.check
        def is_hot(kitchen):
            assert kitchen.get("hot")
        """
    )

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.log) == (("boil",), ("kitchen", "closed"))


def test_unchanged_station_sets_up_what_its_checks_ask_for(railyard: Railyard) -> None:
    """An unchanged station sets up the fixtures of its checks, and none without a check."""
    railyard.stations(
        """
        @pytest.fixture
        def kettle():
            log("kettle")

        @pytest.fixture
        def thermometer():
            log("thermometer")

        @pytest.fixture(autouse=True)
        def always():
            log("always")

        @station
        def boil(kettle) -> None: ...

        @boil.check
        def is_hot(thermometer): ...

        @station
        def pour(kettle): ...
        """
    )
    railyard.ride("--cc-replay", "all")

    ride = railyard.ride("--cc-run")

    assert ride.log == ("thermometer",)


@pytest.mark.parametrize("when", ["visit", "checks"])
def test_error_while_fixtures_are_torn_down_leaves_it_failed(railyard: Railyard, when: str) -> None:
    """A station whose own fixture fails in its teardown is not complete."""
    asks = {"visit": ("kettle", ""), "checks": ("", "kettle")}[when]
    railyard.stations(
        f"""
        @pytest.fixture
        def kettle():
            yield
            raise RuntimeError("leak")

        @station
        def boil({asks[0]}) -> None: ...

        @boil.check
        def is_hot({asks[1]}): ...

        @station
        def pour(boil): ...
        """
    )

    ride = railyard.ride("--cc-replay", "boil")

    assert (ride.failed, ride.blocked) == (("boil",), ("pour",))
    assert "RuntimeError: leak" in ride.causes["boil"]


def test_check_may_ask_for_visit(railyard: Railyard) -> None:
    """A check knows the resources of its station, by the fixture `visit`."""
    railyard.stations(
        """
        @station
        def rent(visit) -> None:
            visit.resources["vm"] = "vm-1"

        @rent.check
        def is_rented(visit):
            log(visit.resources.get("vm"))
            assert visit.resources.get("vm") == "vm-1"
        """
    )

    first, second = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (first.log, second.log) == (("None", "vm-1"), ("vm-1",))


def test_check_and_visit_ask_for_request(railyard: Railyard) -> None:
    """`request` in a station and in a check is the item of the station."""
    railyard.stations(
        """
        @station
        def boil(request) -> None:
            log(request.node.name)

        @boil.check
        def is_hot(request):
            log(request.node.nodeid)
            return False
        """
    )

    ride = railyard.ride("--cc-run")

    assert ride.log == ("stations.py::boil", "boil", "stations.py::boil")


@pytest.mark.parametrize(
    "visit", ["raise SystemExit(3)", "raise SystemExit", "raise BaseException('rude')", "exit()"]
)
def test_any_exception_of_a_visit_is_its_failure(railyard: Railyard, visit: str) -> None:
    """Any exception from a station, `SystemExit` included, is its failure."""
    railyard.stations(
        f"@station\ndef boil():\n    {visit}\n\n@station\ndef pour(boil): ...\n\n@station\ndef other(): ...\n"
    )

    ride = railyard.ride("--cc-run")

    assert (ride.failed, ride.blocked, ride.visited) == (("boil",), ("pour",), ("other",))
    assert ride.exit_code == 1


RETURNS = """
from pathlib import Path

@station
def boil() -> int:
    log("boil")
    assert not Path("trouble").exists(), "no gas"
    return 100

@boil.check
def is_hot(boil):
    assert boil == 100

@station
def pour(boil):
    log(f"pour {boil}")
"""


def test_check_settles_a_change_of_code_where_an_outcome_is_announced(
    railyard: Railyard, mode: str
) -> None:
    """What was returned before stays the outcome, also where it may not be None."""
    railyard.stations(RETURNS)
    railyard.ride("--cc-run")
    railyard.edit("stations.py", "return 100", "return 50 + 50")

    first, second = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (first.unchanged, second.unchanged) == (("boil", "pour"), ("boil", "pour"))
    assert first.reasons["boil"] == ("code of stations.py::boil changed",)
    assert second.reasons["boil"] == ()


def test_failed_visit_is_adopted_where_an_outcome_is_announced(
    railyard: Railyard, mode: str
) -> None:
    """What an earlier visit returned is the outcome of a station that its check finds there."""
    railyard.stations(RETURNS)
    railyard.ride("--cc-run")
    railyard.write("trouble", "")
    assert railyard.ride("--cc-replay", "boil").failed == ("boil",)
    railyard.remove("trouble")

    first, second = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (first.adopted, first.unchanged) == (("boil",), ("pour",))
    assert second.unchanged == ("boil", "pour")


def test_wide_fixture_of_a_check_does_not_outlive_the_visit(railyard: Railyard, mode: str) -> None:
    """What a session fixture made of the old outcome for a check is made anew after the visit."""
    railyard.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture(scope="session")
        def client(server):
            return f"client of {server}"
        """,
    )
    railyard.stations(
        """
        from pathlib import Path
        HERE = Path(__file__).parent

        @station
        def server():
            (HERE / "running").touch()
            return (HERE / "port").read_text()

        @server.check
        def answers(client):
            assert (HERE / "running").exists()

        @station
        def use(client) -> str:
            return client
        """
    )
    railyard.write(
        "test_use.py", "def test_use(client, use): assert client == use == 'client of 2'"
    )
    railyard.write("port", "1")
    railyard.ride("--cc-run", "-m", "station")
    railyard.write("port", "2")
    railyard.remove("running")

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.tests) == (("server", "use"), {"test_use": "passed"})


def test_check_that_is_no_function_is_verified(railyard: Railyard) -> None:
    """A check made by functools.partial fails like any other."""
    railyard.stations(
        """
        import functools

        @station
        def boil(): ...

        def compare(one, other):
            assert one == other

        boil.check(functools.partial(compare, 1, other=2))
        """
    )

    assert railyard.ride("--cc-check").causes == {"boil": "AssertionError: assert 1 == 2"}


def test_error_that_cannot_be_shown_is_a_failure(railyard: Railyard, mode: str) -> None:
    """Whatever a visit raises is its failure, also what cannot say what it is."""
    railyard.stations(
        """
        class Odd(Exception):
            def __str__(self):
                raise RuntimeError

        @station
        def boil():
            raise Odd

        @station
        def pour(boil): ...
        """
    )

    ride = railyard.ride("--cc-run")

    assert (ride.failed, ride.blocked) == (("boil",), ("pour",))
    assert ride.causes == {"boil": "Odd: <it cannot be shown>"}


def test_check_may_use_tmp_path(railyard: Railyard, mode: str) -> None:
    """Each check has an empty `tmp_path` of its own, before the visit and after it."""
    railyard.stations(
        """
        from railyard import logged

        @station
        def boil(tmp_path) -> None:
            (tmp_path / "note").mkdir()
            log("boil")

        @boil.check
        def is_hot(tmp_path):
            (tmp_path / "note").mkdir()
            assert "boil" in logged()

        @boil.check
        def is_full(tmp_path):
            (tmp_path / "note").mkdir()

        @boil.clean
        def cool(tmp_path):
            (tmp_path / "note").mkdir()
        """
    )

    first, second = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (first.visited, second.unchanged) == (("boil",), ("boil",))
    assert first.reasons["boil"] == (
        "never visited",
        "check is_hot does not pass: AssertionError: assert 'boil' in []",
    )
    assert railyard.ride("--cc-check").exit_code == 0


def test_error_in_the_teardown_of_a_check_is_its_own(railyard: Railyard) -> None:
    """What a fixture of one check raises when it is torn down is not put down to the next one."""
    railyard.stations(
        """
        @pytest.fixture
        def kettle():
            yield
            raise RuntimeError("cannot close")

        @station
        def boil() -> None: ...

        @boil.check
        def is_hot(kettle): ...

        @boil.check
        def is_full(): ...

        @station
        def pour() -> None: ...

        @pour.check
        def is_poured(kettle):
            raise OSError("cold")
        """
    )

    ride = railyard.ride("--cc-check")

    assert ride.causes == {
        "boil": "RuntimeError: cannot close",
        "pour": "OSError: cold",
    }
    assert "check 'is_hot' of station 'boil' does not pass" in ride.text
    assert "is_full" not in ride.text


def test_outcome_is_kept_where_the_check_after_the_visit_skips(
    railyard: Railyard, mode: str
) -> None:
    """The visit was made: what it returned is what there is, though nobody could look at it."""
    railyard.stations(
        """
        from pathlib import Path
        from railyard import logged
        HERE = Path(__file__).parent

        @station
        def rent():
            log("rent")
            return len(logged())

        @rent.check
        def answers():
            if (HERE / "maintenance").exists():
                pytest.skip("maintenance")

        @station
        def use(rent): log(f"use {rent}")
        """
    )
    first = railyard.ride("--cc-run")
    railyard.write("maintenance", "")
    skipped = railyard.ride("--cc-replay", "rent")
    railyard.remove("maintenance")

    last = railyard.ride("--cc-run")

    assert first.results == {"rent": "visited", "use": "visited"}
    assert skipped.results == {"rent": "skipped", "use": "blocked"}
    assert last.results == {"rent": "adopted", "use": "visited"}
    [reason] = last.reasons["rent"]
    assert re.fullmatch("last visit failed .+ ago: skipped after the visit: maintenance", reason)
    assert railyard.log() == ("rent", "use 1", "rent", "use 3")


def test_nothing_is_adopted_where_more_than_the_check_failed(railyard: Railyard, mode: str) -> None:
    """A failed sub-test, or teardown, is no matter of the check alone."""
    railyard.stations(
        """
        from pathlib import Path
        HERE = Path(__file__).parent

        @station
        def boil(subtests) -> int:
            with subtests.test("flame"):
                assert (HERE / "hot").exists()
            return 100

        @boil.check
        def is_hot(): assert (HERE / "hot").exists()

        @pytest.fixture(scope="module")
        def stove():
            yield
            assert (HERE / "hot").exists()

        @station
        def heat(stove) -> int: return 100

        @heat.check
        def warms(): assert (HERE / "hot").exists()
        """
    )
    railyard.ride("--cc-run")
    railyard.write("hot", "")

    assert railyard.ride("--cc-run").results == {"boil": "visited", "heat": "visited"}


def test_error_that_is_no_text_is_recorded(railyard: Railyard) -> None:
    """Bytes of a file's name in an error are spelt out."""
    railyard.stations('@station\ndef boil(): raise ValueError("bad \\udcff name")')

    ride = railyard.ride("--cc-run")

    assert (ride.failed, ride.exit_code) == (("boil",), 1)
    assert "INTERNALERROR" not in ride.text
    [reason] = railyard.ride("--cc-run").reasons["boil"]
    assert reason.endswith("ago: ValueError: bad \\udcff name")


def test_texts_of_a_kind_of_their_own_are_texts(railyard: Railyard) -> None:
    """A title or a version that is a subclass of str is as good as any."""
    railyard.stations(
        """
        class Text(str): ...

        @station(title=Text("Boil it"), version=Text("1"))
        def boil(): ...
        """
    )
    railyard.ride("--cc-run")

    assert railyard.ride("--cc-run").results == {"boil": "unchanged"}
