"""`@x.check(warn=True)`: a warning where it does not pass; it decides nothing."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest
from harness import Project

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

    @boil.check(warn=True)
    def is_quick():
        log("asked")
        assert (HERE / "quick").exists(), "too slow"

    @boil.clean
    def cool(): (HERE / "steam").unlink()
"""
ONLY_WARNS = """
    from pathlib import Path
    HERE = Path(__file__).parent

    @station
    def boil() -> None: log("boil")

    @boil.check(warn=True)
    def is_quick():
        log("asked")
        {body}
"""
WARNED = "CheckWarning: station 'boil': check is_quick does not pass: "
ONLY = "; this is a warning only"


def warnings_of(text: str) -> list[str]:
    """Return the warnings of ours in the output of a run."""
    return re.findall(r"CheckWarning: .*", text)


def test_station_is_complete_although_it_warns(project: Project, mode: str) -> None:
    """Where a check that only warns does not pass after a visit, there is a warning, and no more."""
    project.stations(STOVE)
    project.write("test_tea.py", "def test_tea(boil): ...\n")

    run, again = project.run("--cc-run"), project.run("--cc-run")

    assert (run.visited, run.tests, run.exit_code) == (("boil",), {"test_tea": "passed"}, 0)
    assert warnings_of(run.text) == [f"{WARNED}AssertionError: too slow{ONLY}"]
    assert run.last_line == "2 passed, 1 warning"
    assert run.properties["boil"]["choochoo.check.is_quick"] == "AssertionError: too slow"
    assert run.properties["boil"]["choochoo.check.steams"] == "passed"
    assert run.log == ("boil", "asked")
    assert (again.unchanged, again.log, again.last_line) == (("boil",), (), "2 passed")


def test_check_that_passes_warns_of_nothing(project: Project, mode: str) -> None:
    """A check that could warn and passes is an answer like any other."""
    project.stations(STOVE)
    project.write("quick", "")

    run = project.run("--cc-run")

    assert (run.last_line, run.log) == ("1 passed", ("boil", "asked"))
    assert run.properties["boil"]["choochoo.check.is_quick"] == "passed"


def test_verification_warns(project: Project, mode: str) -> None:
    """--cc-check asks the checks that only warn, and passes with a warning."""
    project.stations(STOVE)
    project.run("--cc-run")

    run = project.run("--cc-check")

    assert (run.closing, run.exit_code, run.log) == ("1 verified", 0, ("asked",))
    assert warnings_of(run.text) == [f"{WARNED}AssertionError: too slow{ONLY}"]
    assert run.properties["boil"]["choochoo.check.is_quick"] == "AssertionError: too slow"


def test_verification_that_fails_warns_as_well(project: Project) -> None:
    """Under --cc-check, the warning is beside the failure, and no part of it."""
    project.stations(STOVE)
    project.run("--cc-run")
    project.remove("steam")

    run = project.run("--cc-check")

    assert run.causes == {"boil": "check steams does not pass: AssertionError: no steam"}
    assert "FAILED stations.py::boil - check steams" in run.outlines
    assert warnings_of(run.text) == [f"{WARNED}AssertionError: too slow{ONLY}"]


def test_failure_after_the_visit_does_not_name_what_only_warns(project: Project) -> None:
    """A check that fails the station after its visit is the cause, one that only warns is not."""
    project.stations(STOVE.replace('(HERE / "steam").touch()', "..."))

    run = project.run("--cc-run")

    assert run.causes == {"boil": "check steams does not pass: AssertionError: no steam"}
    assert "too slow" not in run.errors["boil"]
    assert "FAILED stations.py::boil - check steams" in run.outlines


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("return False", "it returned False"),
        (
            "raise ConnectionRefusedError(111, 'refused')",
            "ConnectionRefusedError: [Errno 111] refused",
        ),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("pytest.skip('no clock')", "Skipped: no clock"),
    ],
)
def test_whatever_it_raises_is_a_warning(project: Project, body: str, error: str) -> None:
    """A check that only warns may return False, raise anything or skip: its station is complete."""
    project.stations(ONLY_WARNS.format(body=body))

    run = project.run("--cc-run")

    assert (run.visited, run.exit_code) == (("boil",), 0)
    assert warnings_of(run.text) == [f"{WARNED}{error}{ONLY}"]


def test_it_is_tried_again_within_its_time(project: Project, mode: str) -> None:
    """`within=` counts for a check that only warns, too: it warns only when that is over."""
    project.stations(
        """
        from effects import logged

        @station
        def boil() -> None: log("boil")

        @boil.check(within=20, warn=True)
        def is_quick():
            log("quick")
            assert logged().count("quick") > 2

        @boil.check(warn=True)
        def is_cheap():
            log("cheap")
            return False
        """
    )

    run = project.run("--cc-run")

    assert (run.visited, run.log) == (("boil",), ("boil", "quick", "cheap", "quick", "quick"))
    assert warnings_of(run.text) == [
        f"CheckWarning: station 'boil': check is_cheap does not pass: it returned False{ONLY}"
    ]


def test_it_waits_no_longer_than_within(project: Project) -> None:
    """When `within=` is over, the station is complete with a warning."""
    project.stations(
        ONLY_WARNS.replace("warn=True", "warn=True, within=0.1").format(body="return False")
    )

    run = project.run("--cc-run")

    assert (run.visited, run.exit_code) == (("boil",), 0)
    assert run.log.count("asked") >= 2
    assert warnings_of(run.text) == [f"{WARNED}it returned False{ONLY}"]


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        pytest.param(
            "wrong",
            "check is_quick could not be asked: NameError: name 'wrong' is not defined "
            "(stations.py:14); correct it",
            id="name",
        ),
        pytest.param(
            "return 7",
            "check is_quick could not be asked: it returned 7 (stations.py:11); "
            "a check must return None, True or False",
            id="answer",
        ),
    ],
)
@pytest.mark.parametrize("command", ["--cc-run", "--cc-check"])
def test_mistake_is_an_error(project: Project, command: str, body: str, cause: str) -> None:
    """A mistake in a check that only warns fails its station, as in every check."""
    # Without a check that counts, there would be nothing to verify.
    check = "\n@boil.check\ndef is_there(): ...\n" if command == "--cc-check" else ""
    project.stations(dedent(ONLY_WARNS.format(body=body)) + check)

    run = project.run(command)

    assert (run.failed, run.causes, run.exit_code) == (("boil",), {"boil": cause}, 1)
    assert run.errors["boil"].endswith(cause)
    assert warnings_of(run.text) == []


def test_unknown_fixture_is_a_fault(project: Project) -> None:
    """A parameter that is neither fixture nor station is found before anything runs."""
    project.stations(
        "@station\ndef boil(): ...\n@boil.check(warn=True)\ndef is_quick(thermometre): ...\n"
    )

    run = project.run("--cc-run")

    assert (run.exit_code, run.log) == (2, ())
    assert "'thermometre', which is neither a fixture nor a station" in run.text


def test_it_adopts_nothing(project: Project) -> None:
    """A station whose only check warns is visited at first, and then has no check."""
    project.stations(ONLY_WARNS.format(body="pass"))

    first, second = project.run("--cc-run"), project.run("--cc-run")
    project.edit("stations.py", 'log("boil")', 'log("boil again")')
    third = project.run("--cc-run")

    assert (first.visited, first.log) == (("boil",), ("boil", "asked"))
    assert (second.unchanged, second.log) == (("boil",), ())
    assert (third.visited, third.log) == (("boil",), ("boil again", "asked"))


def test_it_verifies_nothing(project: Project) -> None:
    """Under --cc-check, a station without record and with a warning check only is skipped."""
    project.stations(ONLY_WARNS.format(body="pass"))

    run = project.run("--cc-check")

    assert (run.results, run.log, run.exit_code) == ({"boil": "skipped"}, (), 5)
    assert run.causes == {"boil": "nothing to verify it by: never visited here, no check"}


def test_it_is_of_no_account_in_a_clean(project: Project) -> None:
    """A clean does not ask it, although it would still pass."""
    project.stations(STOVE)
    project.write("quick", "")
    project.run("--cc-run")

    run = project.run("--cc-clean")

    assert (run.results, run.log, run.exit_code) == ({"boil": "cleaned"}, (), 0)


def test_it_may_request_fixtures_and_its_station(project: Project) -> None:
    """Like any check, it receives fixtures and the outcome of its own station, and may be async."""
    project.stations(
        """
        @pytest.fixture
        def limit(): return 99

        @station
        def boil() -> int: return 100

        @boil.check(warn=True)
        async def is_cool(boil: int, limit: int):
            assert boil < limit, f"{boil} degrees"
        """
    )

    run = project.run("--cc-run")

    assert warnings_of(run.text) == [
        "CheckWarning: station 'boil': check is_cool does not pass: AssertionError: 100 degrees"
        + ONLY
    ]


def test_warning_can_be_an_error(project: Project) -> None:
    """Where the user turned warnings into errors, this one fails its station, as it would a test."""
    project.stations(ONLY_WARNS.format(body="return False"))

    run = project.run("--cc-run", "-W", "error")

    text = "station 'boil': check is_quick does not pass: it returned False; this is a warning only"
    assert (run.failed, run.exit_code) == (("boil",), 1)
    assert run.errors["boil"] == text


def test_two_checks_of_a_name_are_a_fault(project: Project) -> None:
    """A check that only warns has a name of its own."""
    project.stations(
        """
        @station
        def boil(): ...

        @boil.check
        def is_quick(): ...

        @boil.check(warn=True)
        def is_quick(): ...
        """
    )

    run = project.run("--cc-run")

    assert "station 'boil' has two checks called 'is_quick'; rename one of them" in run.text
