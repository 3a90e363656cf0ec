"""Mistakes in checks: a check that could not be asked says nothing about its station."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness import Project

STATIONS = """\
from pathlib import Path
import helper

KETTLE = Path(__file__).with_name("kettle")

@station(files=["in.txt"])
def boil() -> None:
    log("boil")

@boil.clean
def cool():
    log("cool")

@station
def pour(boil):
    log("pour")

"""
#: The first line of a check, below `STATIONS` and its decorator.
LINE = 4 + STATIONS.count("\n") + 2

MISTAKES = {
    "misspelt name": (
        "def is_hot():\n    assert KETTEL.exists()",
        f"NameError: name 'KETTEL' is not defined (stations.py:{LINE + 1}); correct it",
    ),
    "misspelt name in a helper": (
        "def is_hot():\n    assert helper.steams()",
        "NameError: name 'KETTEL' is not defined (helper.py:2); correct it",
    ),
    "variable without a value": (
        "def is_hot():\n    if KETTLE is None:\n        pot = 1\n    assert pot",
        (
            "UnboundLocalError: cannot access local variable 'pot' where it is not associated "
            f"with a value (stations.py:{LINE + 3}); correct it"
        ),
    ),
    "misspelt name in a fixture": (
        "def is_hot(pot): ...",
        "NameError: name 'KETTEL' is not defined (conftest.py:5); correct it",
    ),
    "misspelt name in the teardown of a fixture": (
        "def is_hot(cup): ...",
        "NameError: name 'KETTEL' is not defined (conftest.py:10); correct it",
    ),
    "fixture that is requested in the call": (
        "def is_hot(request):\n    request.getfixturevalue('kettel')",
        (
            f"fixture 'kettel' not found (stations.py:{LINE - 1}); "
            "define the fixture, or correct the parameters of the check"
        ),
    ),
    "fixture of another scope": (
        "def is_hot(wide): ...",
        (
            "ScopeMismatch: You tried to access the function scoped fixture pot with a session "
            f"scoped request object. Requesting fixture stack: (stations.py:{LINE - 1}); "
            "correct the fixture"
        ),
    ),
    "parameter by position only": (
        "def is_hot(pot, /): ...",
        (
            "TypeError: is_hot() missing 1 required positional argument: 'pot' "
            f"(stations.py:{LINE - 1}); correct its parameters"
        ),
    ),
    "answer that is none": (
        "def is_hot():\n    return 1",
        f"it returned 1 (stations.py:{LINE - 1}); a check must return None, True or False",
    ),
    "awaited misspelt name": (
        "async def is_hot():\n    assert KETTEL.exists()",
        f"NameError: name 'KETTEL' is not defined (stations.py:{LINE + 1}); correct it",
    ),
}


@pytest.fixture
def wrong(project: Project) -> Callable[[str], Project]:
    """Write stations of which the first one has the given check."""
    project.write("in.txt", "1")
    project.write("helper.py", "def steams():\n    return KETTEL\n")
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture
        def pot():
            return KETTEL

        @pytest.fixture
        def cup():
            yield
            KETTEL

        @pytest.fixture
        def pan(kettel): ...

        @pytest.fixture(scope="session")
        def wide(pot): ...
        """,
    )

    def write(check: str) -> Project:
        project.stations(STATIONS + (f"@boil.check\n{check}\n" if check else ""))
        return project

    return write


each_mistake = pytest.mark.parametrize(("check", "mistake"), MISTAKES.values(), ids=MISTAKES)
FEW = ["misspelt name", "fixture of another scope", "answer that is none"]
few_mistakes = pytest.mark.parametrize(
    ("check", "mistake"),
    [MISTAKES[name] for name in FEW],
    ids=FEW,
)
MISSPELT, SAID = MISTAKES["misspelt name"]


@each_mistake
def test_mistake_fails_the_station_before_any_visit(
    wrong: Callable[[str], Project], check: str, mistake: str
) -> None:
    """A check that could not be asked fails its station, which is neither visited nor adopted."""
    project = wrong(check)

    run = project.run("--cc-run")

    assert (run.failed, run.blocked, run.log) == (("boil",), ("pour",), ())
    assert run.causes["boil"] == f"check is_hot could not be asked: {mistake}"
    assert run.errors["boil"] == f"station 'boil': check is_hot could not be asked: {mistake}"
    assert run.exit_code == 1


@few_mistakes
def test_mistake_is_no_drift(wrong: Callable[[str], Project], check: str, mistake: str) -> None:
    """A complete station is not visited again, and stays complete."""
    project = wrong("")
    project.run("--cc-run")
    wrong(check)

    run = project.run("--cc-run")
    wrong("")
    after = project.run("--cc-run")

    assert (run.failed, run.log) == (("boil",), ())
    assert run.causes["boil"] == f"check is_hot could not be asked: {mistake}"
    assert after.closing == "2 unchanged"


@few_mistakes
def test_mistake_fails_a_verification(
    wrong: Callable[[str], Project], check: str, mistake: str
) -> None:
    """Under --cc-check, a station whose check could not be asked fails."""
    project = wrong("")
    project.run("--cc-run")
    wrong(check)

    run = project.run("--cc-check")

    assert (run.failed, run.verified) == (("boil",), ("pour",))
    assert run.errors["boil"] == f"station 'boil': check is_hot could not be asked: {mistake}"


@few_mistakes
def test_clean_with_a_mistake_is_not_believed(
    wrong: Callable[[str], Project], check: str, mistake: str
) -> None:
    """A clean whose check could not be asked fails, and its station stays known."""
    project = wrong("")
    project.run("--cc-run")
    wrong(check)

    run = project.run("--cc-clean")
    wrong("")
    after = project.run("--cc-clean")

    assert (run.failed, run.log, run.exit_code) == (("boil",), ("cool",), 1)
    assert run.errors["boil"] == f"station 'boil': check is_hot could not be asked: {mistake}"
    assert after.closing == "1 cleaned"


def test_mistake_after_a_visit_is_not_retried(wrong: Callable[[str], Project], mode: str) -> None:
    """A mistake that shows after the visit fails at once; corrected, nothing is visited again."""
    project = wrong("")
    project.run("--cc-run")
    project.write("in.txt", "2")
    text = STATIONS + f"@boil.check(within=100)\n{MISSPELT}\n"
    project.stations(text)

    run = project.run("--cc-run")
    project.stations(text.replace("KETTEL.exists()", "True"))
    after = project.run("--cc-run")

    assert (run.failed, run.log) == (("boil",), ("boil",))
    assert run.causes["boil"] == f"check is_hot could not be asked: {SAID}"
    assert (after.adopted, after.log) == (("boil",), ())


def test_mistake_is_never_expected(project: Project) -> None:
    """A mistake in a check fails its station even if its visit is expected to fail."""
    project.stations(
        """
        @pytest.mark.xfail
        @station
        def boil() -> None:
            assert 0

        @boil.check
        def is_hot():
            assert KETTEL
        """
    )

    runs = project.run("--cc-run"), project.run("--cc-check")

    assert [(run.failed, run.exit_code) for run in runs] == [(("boil",), 1)] * 2


def test_library_that_misses_a_name_is_drift(project: Project) -> None:
    """A name that an installed library does not find may be its way of failing."""
    library = project.path / ".venv/lib/site-packages"
    project.write(".venv/lib/site-packages/kettles.py", "def steams():\n    return WATER\n")
    project.stations(
        f"""
        import sys
        sys.path.insert(0, {str(library)!r})
        import kettles

        @station
        def boil() -> None:
            log("boil")
            kettles.WATER = True

        @boil.check
        def is_hot():
            assert kettles.steams()
        """
    )

    run = project.run("--cc-run")

    assert (run.visited, run.exit_code) == (("boil",), 0)


# --- parameters that do not exist, found beforehand

UNKNOWN = """
    @station
    def boil() -> None:
        log("boil")

    @boil.check
    def is_hot(kettel): ...

    @boil.check
    def steams(boil, request, visit, tmp_path, size=3): ...

    @boil.clean
    def cool(watr): ...

    @station(values=["colour"])
    def pour(boil): ...

    @pytest.mark.parametrize("leaf", ["green"])
    @station
    def steep(leaf): ...

    @steep.check
    def is_strong(leaf, steep): ...
"""


@pytest.mark.parametrize("option", ["--cc-run", "--cc-check", "--cc-clean"])
def test_unknown_parameters_are_told_beforehand(project: Project, option: str) -> None:
    """A check, a clean or `values` that request nothing that exists are told before anything runs."""
    project.stations(UNKNOWN)

    run = project.run(option)

    assert run.log == ()
    tail = (
        "which is neither a fixture nor a station; "
        "correct the name, or define a fixture or a station of that name"
    )
    asked = "check 'is_hot' of station 'boil' could not be asked: "
    assert {line for line in run.outlines if line.endswith(tail)} == {
        f"stations.py:9: {asked}it requests 'kettel', {tail}",
        f"stations.py:15: the clean of station 'boil' requests 'watr', {tail}",
        f"stations.py:18: station 'pour' declares the value 'colour', {tail}",
    }


def test_unknown_parameters_matter_to_nobody_else(project: Project) -> None:
    """Plain pytest reports them only to a test that requests the station."""
    project.stations(UNKNOWN)
    project.write("test_tea.py", "def test_song(): ...\n\ndef test_tea(boil): ...\n")

    run = project.run()

    assert run.tests == {"test_song": "passed", "test_tea": "failed"}
    assert "'kettel', which is neither a fixture nor a station" in run.errors["test_tea"]
