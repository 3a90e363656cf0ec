"""Checks: they pass, fail, take their time, or are wrong; and the fixtures that they see."""

from __future__ import annotations

import re

import pytest
from harness import Project

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
    """Return a station that makes the file `hot`, with *check* if the file does not exist."""
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
def test_failed_check_makes_the_station_due(project: Project, check: str) -> None:
    """A check that returns False or raises anything means: not there yet."""
    project.stations(boil(check))

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert (first.visited, first.log) == (("boil",), ("check", "boil", "check"))
    assert (second.unchanged, second.log) == (("boil",), ("check",))


@pytest.mark.parametrize("answer", ["return True", "return None", "return", "pass"])
def test_check_passes_with_none_or_true(project: Project, answer: str) -> None:
    """A check passes when it returns None or True; a station without a record is adopted."""
    project.stations(
        f"@station\ndef boil() -> None: ...\n@boil.check\ndef is_hot():\n    {answer}\n"
    )

    run = project.run("--cc-run")

    assert (run.adopted, run.exit_code) == (("boil",), 0)


@pytest.mark.parametrize("answer", ["1", "0", "'yes'", "[]", "(False,)"])
@pytest.mark.parametrize("option", ["--cc-run", "--cc-check"])
def test_check_with_another_answer_is_an_error(project: Project, answer: str, option: str) -> None:
    """A check that returns anything but None, True or False causes an error that names it."""
    project.stations(
        f"@station\ndef boil(): ...\n@boil.check\ndef is_hot():\n    return {answer}\n"
    )

    run = project.run(option)

    assert run.failed == ("boil",)
    assert run.causes["boil"] == (
        f"check is_hot could not be asked: it returned {answer} (stations.py:7); "
        "a check must return None, True or False"
    )


def test_skip_in_a_check_skips_the_station(project: Project) -> None:
    """`pytest.skip` in a check skips the station, and its downstream is blocked."""
    project.stations(
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

    run = project.run("--cc-run")

    assert (run.skipped, run.blocked, run.log) == (("boil",), ("pour",), ())
    assert run.causes["boil"] == "no thermometer"


def test_keyboard_interrupt_in_a_check_ends_the_run(project: Project) -> None:
    """`KeyboardInterrupt` in a check ends the run, and never counts as an answer."""
    project.stations(boil("raise KeyboardInterrupt"))

    run = project.run("--cc-run", apart=True)

    assert (run.exit_code, run.log) == (2, ("check",))


def test_pytest_exit_in_a_check_ends_the_run(project: Project) -> None:
    """`pytest.exit` in a check ends the run, and nothing is visited."""
    project.stations(boil("pytest.exit('enough', returncode=5)"))

    run = project.run("--cc-run", apart=True)

    assert (run.exit_code, run.log) == (5, ("check",))


def test_check_that_fails_after_the_visit_fails_the_station(project: Project) -> None:
    """A check that does not pass after the visit fails the station and blocks its downstream."""
    project.stations(
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

    run = project.run("--cc-run")

    assert (run.failed, run.blocked) == (("boil",), ("pour",))
    assert run.causes["boil"] == "check is_hot does not pass: it returned False"
    assert run.errors["boil"] == (
        "check 'is_hot' of station 'boil' does not pass: it returned False; "
        "either the visit or the check is wrong"
    )
    assert (run.log, run.exit_code) == (("boil",), 1)


def test_within_tries_again_after_the_visit(project: Project) -> None:
    """A check with `within=` is tried again after a visit, until it passes."""
    project.stations(
        """
        from effects import logged

        @station
        def boil() -> None:
            log("boil")

        @boil.check(within=20)
        def is_hot():
            log("check")
            assert logged()[-3:] == ["check"] * 3
        """
    )

    run = project.run("--cc-run")

    assert (run.visited, run.log) == (("boil",), ("check", "boil", "check", "check", "check"))


def test_within_counts_only_after_a_visit(project: Project) -> None:
    """Before the visit, a check with `within=` runs once, without waiting."""
    project.stations(boil("return False", keywords="within=600"))

    run = project.run("--cc-run")

    assert run.log == ("check", "boil", "check")


def test_within_gives_up(project: Project) -> None:
    """A check that does not pass `within` its time fails the station."""
    project.stations(
        "@station\ndef boil() -> None: ...\n@boil.check(within=0.1)\ndef is_hot():\n    return False\n"
    )

    run = project.run("--cc-run")

    assert run.errors["boil"] == (
        "check 'is_hot' of station 'boil' does not pass: it returned False; "
        "either the visit or the check is wrong"
    )


def test_passed_checks_do_not_run_again_for_a_slow_one(project: Project) -> None:
    """While one check is tried again, the checks that passed do not run again."""
    project.stations(
        """
        from effects import logged

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

    run = project.run("--cc-run")

    assert run.log == ("full", "hot", "boil", "full", "hot", "hot")


def test_fixture_of_a_check_may_fail_before_the_visit(project: Project) -> None:
    """A fixture that fails for a check before the visit is set up again after it."""
    for scope in ("function", "module", "session"):
        project.stations(
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

    run = project.run("--cc-run")

    assert run.visited == ("boil_function", "boil_module", "boil_session")
    assert run.log == ("thermometer",) * 6


def test_fixtures_are_set_up_again_for_the_check_after_the_visit(project: Project) -> None:
    """Function fixtures are torn down and set up again for the check after the visit."""
    project.stations(
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

    run = project.run("--cc-run")

    assert run.log == ("up", "check False", "down", "boil", "up", "check True", "down")
    assert run.visited == ("boil",)


def test_session_fixtures_serve_check_visit_and_check(project: Project) -> None:
    """A session fixture that a check and its station share is set up once."""
    project.stations(
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

    run = project.run("--cc-run")

    assert (run.visited, run.log) == (("boil",), ("kitchen", "closed"))


def test_unchanged_station_sets_up_the_fixtures_of_its_checks(project: Project) -> None:
    """An unchanged station sets up the fixtures of its checks, and none if it has no check."""
    project.stations(
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
    project.run("--cc-replay", "all")

    run = project.run("--cc-run")

    assert run.log == ("thermometer",)


@pytest.mark.parametrize("when", ["visit", "checks"])
def test_error_in_the_teardown_of_fixtures_fails_the_station(project: Project, when: str) -> None:
    """A station whose own fixture fails in its teardown is not complete."""
    asks = {"visit": ("kettle", ""), "checks": ("", "kettle")}[when]
    project.stations(
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

    run = project.run("--cc-replay", "boil")

    assert (run.failed, run.blocked) == (("boil",), ("pour",))
    assert "RuntimeError: leak" in run.causes["boil"]


def test_check_may_request_visit(project: Project) -> None:
    """A check sees the resources of its station through the fixture `visit`."""
    project.stations(
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

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert (first.log, second.log) == (("None", "vm-1"), ("vm-1",))


def test_request_in_check_and_visit_has_the_item(project: Project) -> None:
    """`request` in a station and in a check has the item of the station."""
    project.stations(
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

    run = project.run("--cc-run")

    assert run.log == ("stations.py::boil", "boil", "stations.py::boil")


@pytest.mark.parametrize(
    "visit", ["raise SystemExit(3)", "raise SystemExit", "raise BaseException('rude')", "exit()"]
)
def test_any_exception_fails_the_visit(project: Project, visit: str) -> None:
    """Any exception from a station, including `SystemExit`, fails it."""
    project.stations(
        f"@station\ndef boil():\n    {visit}\n\n@station\ndef pour(boil): ...\n\n@station\ndef other(): ...\n"
    )

    run = project.run("--cc-run")

    assert (run.failed, run.blocked, run.visited) == (("boil",), ("pour",), ("other",))
    assert run.exit_code == 1


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


def test_check_settles_a_change_of_code_of_a_station_with_an_outcome(
    project: Project, mode: str
) -> None:
    """The recorded outcome stays in use, even if the annotation does not allow None."""
    project.stations(RETURNS)
    project.run("--cc-run")
    project.edit("stations.py", "return 100", "return 50 + 50")

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert (first.unchanged, second.unchanged) == (("boil", "pour"), ("boil", "pour"))
    assert first.reasons["boil"] == ("code of stations.py::boil changed",)
    assert second.reasons["boil"] == ()


def test_failed_visit_is_adopted_with_the_outcome_of_an_earlier_one(
    project: Project, mode: str
) -> None:
    """A station that its check finds in place keeps the outcome of an earlier visit."""
    project.stations(RETURNS)
    project.run("--cc-run")
    project.write("trouble", "")
    assert project.run("--cc-replay", "boil").failed == ("boil",)
    project.remove("trouble")

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert (first.adopted, first.unchanged) == (("boil",), ("pour",))
    assert second.unchanged == ("boil", "pour")


def test_wide_fixture_of_a_check_does_not_outlive_the_visit(project: Project, mode: str) -> None:
    """A session fixture that a check built on the old outcome is set up again after the visit."""
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture(scope="session")
        def client(server):
            return f"client of {server}"
        """,
    )
    project.stations(
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
    project.write("test_use.py", "def test_use(client, use): assert client == use == 'client of 2'")
    project.write("port", "1")
    project.run("--cc-run", "-m", "station")
    project.write("port", "2")
    project.remove("running")

    run = project.run("--cc-run")

    assert (run.visited, run.tests) == (("server", "use"), {"test_use": "passed"})


def test_partial_function_can_be_a_check(project: Project) -> None:
    """A check made by `functools.partial` fails like any other check."""
    project.stations(
        """
        import functools

        @station
        def boil(): ...

        def compare(one, other):
            assert one == other

        boil.check(functools.partial(compare, 1, other=2))
        """
    )

    assert project.run("--cc-check").causes == {
        "boil": "check check does not pass: AssertionError: assert 1 == 2"
    }


def test_error_that_cannot_be_shown_is_a_failure(project: Project, mode: str) -> None:
    """An exception without a working `__str__` fails the visit like any other."""
    project.stations(
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

    run = project.run("--cc-run")

    assert (run.failed, run.blocked) == (("boil",), ("pour",))
    assert run.causes == {"boil": "Odd: <it cannot be shown>"}


def test_check_may_use_tmp_path(project: Project, mode: str) -> None:
    """Each check has an empty `tmp_path` of its own, before the visit and after it."""
    project.stations(
        """
        from effects import logged

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

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert (first.visited, second.unchanged) == (("boil",), ("boil",))
    assert first.reasons["boil"] == (
        "first visit",
        "check is_hot does not pass: AssertionError: assert 'boil' in []",
    )
    assert project.run("--cc-check").exit_code == 0


def test_error_in_the_teardown_of_a_check_fails_only_that_check(project: Project) -> None:
    """An error in the teardown of one check's fixture does not fail the next check."""
    project.stations(
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

    run = project.run("--cc-check")

    assert run.causes == {
        "boil": "check is_hot does not pass: RuntimeError: cannot close",
        "pour": "check is_poured does not pass: OSError: cold",
    }
    assert "check 'is_hot' of station 'boil' does not pass" in run.text
    assert "is_full" not in run.text


def test_outcome_is_kept_if_the_check_after_the_visit_skips(project: Project, mode: str) -> None:
    """The visit was made, so its outcome is recorded although its check was skipped."""
    project.stations(
        """
        from pathlib import Path
        from effects import logged
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
    first = project.run("--cc-run")
    project.write("maintenance", "")
    skipped = project.run("--cc-replay", "rent")
    project.remove("maintenance")

    last = project.run("--cc-run")

    assert first.results == {"rent": "visited", "use": "visited"}
    assert skipped.results == {"rent": "skipped", "use": "blocked"}
    assert last.results == {"rent": "adopted", "use": "visited"}
    [reason] = last.reasons["rent"]
    assert re.fullmatch("last visit failed .+ ago: skipped after the visit: maintenance", reason)
    assert project.log() == ("rent", "use 1", "rent", "use 3")


def test_nothing_is_adopted_if_more_than_the_check_failed(project: Project, mode: str) -> None:
    """A failed sub-test or teardown prevents adoption, even if the check passes later."""
    project.stations(
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
    project.run("--cc-run")
    project.write("hot", "")

    assert project.run("--cc-run").results == {"boil": "visited", "heat": "visited"}


def test_error_with_undecodable_bytes_is_recorded(project: Project) -> None:
    """Undecodable bytes of a file name in an error are recorded with escapes."""
    project.stations('@station\ndef boil(): raise ValueError("bad \\udcff name")')

    run = project.run("--cc-run")

    assert (run.failed, run.exit_code) == (("boil",), 1)
    assert "INTERNALERROR" not in run.text
    [reason] = project.run("--cc-run").reasons["boil"]
    assert reason.endswith("ago: ValueError: bad \\udcff name")


def test_subclasses_of_str_are_accepted_as_strings(project: Project) -> None:
    """A title or a version may be an instance of a subclass of str."""
    project.stations(
        """
        class Text(str): ...

        @station(title=Text("Boil it"), version=Text("1"))
        def boil(): ...
        """
    )
    project.run("--cc-run")

    assert project.run("--cc-run").results == {"boil": "unchanged"}


# --- outcomes that are known by a visit whose check did not pass

KNOWN = """
    from pathlib import Path
    HOT = Path(__file__).with_name("hot")

    @station(files=["in.txt"])
    def boil() -> int:
        log("boil")
        return 100

    @boil.check
    def is_hot():
        assert HOT.exists(){more}

    @station
    def pour(boil):
        log(f"pour {boil}")
"""


def test_outcome_is_known_though_a_check_did_not_pass(project: Project, mode: str) -> None:
    """A visit that returned is not repeated where only its check failed, and passes by now."""
    project.write("in.txt", "1")
    project.stations(KNOWN.replace("{more}", ""))
    failed = project.run("--cc-run")
    project.write("hot", "")

    run = project.run("--cc-run")

    assert (failed.failed, failed.log) == (("boil",), ("boil",))
    assert (run.adopted, run.visited, run.log) == (("boil",), ("pour",), ("pour 100",))


def test_outcome_of_other_inputs_is_not_known(project: Project) -> None:
    """If an input changed since, the visit is repeated although its check passes."""
    project.write("in.txt", "1")
    project.stations(KNOWN.replace("{more}", ""))
    project.run("--cc-run")
    project.write("hot", "")
    project.write("in.txt", "2")

    run = project.run("--cc-run")

    assert run.visited == ("boil", "pour")


def test_outcome_is_known_though_its_check_was_interrupted(project: Project) -> None:
    """A visit that returned is not repeated where the run was stopped during the check after it."""
    project.write("in.txt", "1")
    project.stations(
        KNOWN.replace("{more}", "; raise KeyboardInterrupt").replace(
            "assert HOT.exists()", "log('check')"
        )
    )
    stopped = project.run("--cc-run", apart=True)
    project.edit("stations.py", "; raise KeyboardInterrupt", "")

    run = project.run("--cc-run")

    assert (stopped.exit_code, stopped.log) == (2, ("boil", "check"))
    assert (run.adopted, run.log) == (("boil",), ("check", "pour 100"))
