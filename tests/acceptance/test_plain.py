"""Plain pytest: stations are neither run nor shown, and tests receive recorded outcomes."""

from __future__ import annotations

import re
from contextlib import closing

import pytest
from harness import Project

from pytest_choochoo import LedgerLocation, open_ledger
from pytest_choochoo.engine.ledger.record import Record


@pytest.fixture
def tea(project: Project) -> Project:
    """A station, and a test that requests it."""
    project.stations('@station\ndef boil():\n    log("boil")\n    return 100\n')
    project.write(
        "test_tea.py", "def test_tea(boil):\n    assert boil == 100\n\ndef test_else(): pass\n"
    )
    return project


def test_recorded_outcome_is_received(tea: Project, mode: str) -> None:
    """A test receives the recorded outcome; the station is neither run nor shown."""
    tea.run("--cc-run")

    run = tea.run()

    assert (run.tests, run.log) == ({"test_tea": "passed", "test_else": "passed"}, ())
    assert (run.last_line, run.exit_code) == ("2 passed", 0)
    assert "choochoo: " not in run.text and "stations.py" not in run.text


def test_test_without_a_record_ends_in_an_error(tea: Project, mode: str) -> None:
    """The error of a test without a record names the station, the reason and the way out."""
    run = tea.run()

    assert run.tests == {"test_tea": "failed", "test_else": "passed"}
    assert (
        "station 'boil' has no complete record: never visited; run 'pytest --cc-run' first"
        in run.outlines
    )
    assert (run.last_line, run.exit_code) == ("1 passed, 1 error", 1)
    assert "Traceback" not in run.text and "items.py" not in run.text


def test_test_after_a_failed_visit_ends_in_an_error(tea: Project) -> None:
    """After a failed visit the test ends in an error with the cause, even if an older outcome exists."""
    tea.run("--cc-run")
    tea.edit("stations.py", "return 100", 'raise RuntimeError("boom")')
    tea.run("--cc-run")

    run = tea.run()

    said = re.sub(r"\d[\d.]* s ago", "N s ago", run.errors["test_tea"])
    assert said == (
        "station 'boil' has no complete record: last visit failed N s ago: RuntimeError: boom; "
        "run 'pytest --cc-run' first"
    )
    assert run.exit_code == 1


@pytest.mark.parametrize(
    ("record", "cause"),
    [
        pytest.param(
            Record(status="interrupted", since=1.0, error="KeyboardInterrupt"),
            r"last visit was interrupted \d+ d ago",
            id="interrupted",
        ),
        pytest.param(
            Record(status="visiting", since=1.0, pid=7, host="kitchen"),
            r"last visit was interrupted, begun \d+ d ago by process 7 on kitchen",
            id="killed",
        ),
        pytest.param(
            Record(status="complete", since=1.0),
            "record unreadable: its fingerprint or outcome is missing",
            id="unreadable",
        ),
    ],
)
def test_incomplete_record_is_described(tea: Project, record: Record, cause: str) -> None:
    """The error of a test without an outcome describes the last visit in the words of a run."""
    tea.run("--cc-run")
    place = LedgerLocation(tea.path / ".pytest_cache/d/choochoo", "default")
    with closing(open_ledger(place, warn=print)) as ledger:
        ledger.finish("stations.py::boil", record)

    run = tea.run()

    assert re.fullmatch(
        f"station 'boil' has no complete record: {cause}; run 'pytest --cc-run' first",
        run.errors["test_tea"],
    )


def test_due_record_warns(tea: Project) -> None:
    """A test receives the outcome of a due station, with a warning that says why."""
    tea.run("--cc-run")
    tea.edit("stations.py", 'log("boil")', 'log("boil again")')

    run = tea.run()

    assert run.tests == {"test_tea": "passed", "test_else": "passed"}
    assert (
        "StationDueWarning: station 'boil' is due: code of stations.py::boil changed; "
        "its recorded outcome is used" in run.text
    )
    assert run.last_line == "2 passed, 1 warning"


def test_due_upstream_warns(project: Project) -> None:
    """A test also gets a warning if anything upstream of its station is due or failed."""
    project.stations(
        """
        @station
        def boil():
            return 100

        @station
        def pour(boil):
            return boil + 1
        """
    )
    project.write("test_tea.py", "def test_tea(pour): assert pour == 101\n")
    project.run("--cc-run")
    project.edit("stations.py", "return 100", "return 90")

    run = project.run()

    assert run.tests == {"test_tea": "passed"}
    assert (
        "StationDueWarning: station 'pour' is due: "
        "upstream boil: code of stations.py::boil changed; its recorded outcome is used" in run.text
    )


def test_warning_can_be_made_an_error(tea: Project) -> None:
    """A warning filter turns the use of a stale outcome into an error."""
    tea.run("--cc-run")
    tea.edit("stations.py", 'log("boil")', 'log("boil again")')

    run = tea.run("-W", "error")

    assert run.tests == {"test_tea": "failed", "test_else": "passed"}
    assert run.errors["test_tea"].splitlines()[0].startswith("station 'boil' is due: code of ")


def test_nothing_is_written(tea: Project) -> None:
    """Plain pytest makes no ledger, and leaves an existing one as it was."""
    tea.run()
    folder = tea.path / ".pytest_cache/d/choochoo"
    made = folder.exists()
    tea.run("--cc-run")
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    tea.run()

    assert not made
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


HINTS = {
    "a station": (
        ["stations.py::boil"],
        "boil is a station; stations run with --cc-run: pytest --cc-run stations.py::boil",
    ),
    "instances": (
        ["test_tea.py::test_tea", "station_pour.py::pour[green]", "station_pour.py::pour"],
        (
            "pour[green], pour are stations; stations run with --cc-run: pytest --cc-run "
            "test_tea.py::test_tea 'station_pour.py::pour[green]' station_pour.py::pour"
        ),
    ),
}
POUR = """
@station
@pytest.mark.parametrize("tea", ["green", "black"])
def pour(tea): ...
"""


@pytest.mark.parametrize(("arguments", "hint"), HINTS.values(), ids=HINTS)
def test_station_as_argument_is_not_found(
    tea: Project, mode: str, arguments: list[str], hint: str
) -> None:
    """Plain pytest does not run a station that is given by node id, and says what does."""
    tea.stations(POUR, name="station_pour.py")

    run = tea.run(*arguments)

    assert (run.exit_code, run.log) == (1 if tea.workers else 4, ())
    assert run.outlines.count(hint if tea.workers else f"ERROR: {hint}") == 1


def test_name_of_no_station_is_not_called_one(tea: Project) -> None:
    """A node id that is neither a test nor a station is pytest's own error."""
    run = tea.run("stations.py::brew")

    assert run.exit_code == 4
    assert "--cc-run" not in run.text


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (
            ["stations.py", "kitchen"],
            (
                "choochoo: 1 station is in stations.py; "
                "stations run with --cc-run: pytest --cc-run stations.py kitchen"
            ),
        ),
        (
            ["stations.py", "station_pour.py", "--cc-profile=hot"],
            (
                "choochoo: 2 stations are in stations.py, station_pour.py; stations run with "
                "--cc-run: pytest --cc-run --cc-profile=hot stations.py station_pour.py"
            ),
        ),
    ],
)
def test_station_file_as_argument_has_no_tests(
    tea: Project, arguments: list[str], hint: str
) -> None:
    """Where a named station file has nothing to run, plain pytest says what runs its stations."""
    tea.stations(POUR, name="station_pour.py")
    tea.write("kitchen/pytest.txt", "")

    run = tea.run(*arguments)

    assert run.exit_code == 5
    assert run.outlines.count(hint) == 1


def test_tests_beside_stations_need_no_hint(tea: Project) -> None:
    """Nothing is said of stations where tests run, or where no station file was named."""
    tea.remove("test_tea.py")

    assert "choochoo: " not in tea.run().text

    tea.write("test_tea.py", "def test_tea(): ...\n")

    assert "choochoo: " not in tea.run("stations.py", "test_tea.py").text


def test_station_mark_selects_nothing(tea: Project) -> None:
    """`-m station` finds no station in plain pytest."""
    run = tea.run("-m", "station")

    assert (run.exit_code, run.log) == (5, ())


def test_outcome_through_a_fixture(tea: Project) -> None:
    """An ordinary fixture passes on the recorded outcome."""
    tea.run("--cc-run")
    tea.write(
        "test_more.py",
        """
        import pytest

        @pytest.fixture(scope="session")
        def hot(boil):
            return boil + 1

        def test_hot(hot):
            assert hot == 101
        """,
    )

    assert tea.run("test_more.py").tests == {"test_hot": "passed"}


def test_fixture_without_a_record_ends_in_an_error(tea: Project) -> None:
    """A test whose fixture requests a station without a record ends in the same error."""
    tea.write(
        "test_more.py",
        """
        import pytest

        @pytest.fixture
        def hot(boil):
            return boil + 1

        def test_hot(hot):
            assert hot == 101
        """,
    )

    run = tea.run("test_more.py")

    assert run.errors["test_hot"] == (
        "station 'boil' has no complete record: never visited; run 'pytest --cc-run' first"
    )


@pytest.mark.parametrize("text", ["import sys; sys.exit(3)", "import nowhere", "def ("])
def test_broken_station_file_does_not_stop_plain_pytest(project: Project, text: str) -> None:
    """Plain pytest warns of it and runs the tests; if the user names the file, it is an error."""
    project.write("radio_stations.py", f"from pytest_choochoo import station\n{text}")
    project.write("test_site.py", "def test_site(): ...")

    run = project.run(apart=True)

    assert (run.exit_code, run.tests) == (0, {"test_site": "passed"})
    assert (
        "PytestWarning: radio_stations.py could not be imported, so its stations are unknown: "
    ) in run.text
    assert project.run("radio_stations.py", apart=True).exit_code not in {0, 5}
