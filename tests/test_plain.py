"""Plain pytest: stations are not run and not shown, tests get what was recorded."""

from __future__ import annotations

import re
from contextlib import closing

import pytest
from railyard import Railyard

from pytest_choochoo import Place, open_ledger
from pytest_choochoo.railway.record import Record


@pytest.fixture
def tea(railyard: Railyard) -> Railyard:
    """A station, and a test that requests it."""
    railyard.stations('@station\ndef boil():\n    log("boil")\n    return 100\n')
    railyard.write(
        "test_tea.py", "def test_tea(boil):\n    assert boil == 100\n\ndef test_else(): pass\n"
    )
    return railyard


def test_recorded_outcome_is_handed_over(tea: Railyard, mode: str) -> None:
    """A test gets the recorded outcome; the station is neither run nor shown."""
    tea.ride("--cc-run")

    ride = tea.ride()

    assert (ride.tests, ride.log) == ({"test_tea": "passed", "test_else": "passed"}, ())
    assert (ride.last_line, ride.exit_code) == ("2 passed", 0)
    assert "choochoo: " not in ride.text and "stations.py" not in ride.text


def test_without_record_the_test_errors(tea: Railyard, mode: str) -> None:
    """Without a record the test errors: which station, why, and the way out."""
    ride = tea.ride()

    assert ride.tests == {"test_tea": "failed", "test_else": "passed"}
    assert (
        "station 'boil' has no complete record: never visited; run 'pytest --cc-run' first"
        in ride.outlines
    )
    assert (ride.last_line, ride.exit_code) == ("1 passed, 1 error", 1)
    assert "Traceback" not in ride.text and "items.py" not in ride.text


def test_after_failed_visit_the_test_errors(tea: Railyard) -> None:
    """After a failed visit the test errors with its cause, though an older outcome is known."""
    tea.ride("--cc-run")
    tea.edit("stations.py", "return 100", 'raise RuntimeError("boom")')
    tea.ride("--cc-run")

    ride = tea.ride()

    said = re.sub(r"\d[\d.]* s ago", "N s ago", ride.errors["test_tea"])
    assert said == (
        "station 'boil' has no complete record: last visit failed N s ago: RuntimeError: boom; "
        "run 'pytest --cc-run' first"
    )
    assert ride.exit_code == 1


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
            "record unreadable: a part of it is missing",
            id="unreadable",
        ),
    ],
)
def test_incomplete_record_is_told_as_it_is(tea: Railyard, record: Record, cause: str) -> None:
    """A test that has no outcome says in the words of a run what became of the last visit."""
    tea.ride("--cc-run")
    place = Place(tea.path / ".pytest_cache/d/choochoo", "default")
    with closing(open_ledger(place, warn=print)) as ledger:
        ledger.finish("stations.py::boil", record)

    ride = tea.ride()

    assert re.fullmatch(
        f"station 'boil' has no complete record: {cause}; run 'pytest --cc-run' first",
        ride.errors["test_tea"],
    )


def test_due_record_warns(tea: Railyard) -> None:
    """The outcome of a station that is due is handed over with a warning that says why."""
    tea.ride("--cc-run")
    tea.edit("stations.py", 'log("boil")', 'log("boil again")')

    ride = tea.ride()

    assert ride.tests == {"test_tea": "passed", "test_else": "passed"}
    assert (
        "StationDueWarning: station 'boil' is due: code of stations.py::boil changed; "
        "its recorded outcome is used" in ride.text
    )
    assert ride.last_line == "2 passed, 1 warning"


def test_due_upstream_warns(railyard: Railyard) -> None:
    """A test is warned of a station whose upstream is due, or failed, as well."""
    railyard.stations(
        """
        @station
        def boil():
            return 100

        @station
        def pour(boil):
            return boil + 1
        """
    )
    railyard.write("test_tea.py", "def test_tea(pour): assert pour == 101\n")
    railyard.ride("--cc-run")
    railyard.edit("stations.py", "return 100", "return 90")

    ride = railyard.ride()

    assert ride.tests == {"test_tea": "passed"}
    assert (
        "StationDueWarning: station 'pour' is due: "
        "upstream boil: code of stations.py::boil changed; its recorded outcome is used"
        in ride.text
    )


def test_warning_can_be_made_an_error(tea: Railyard) -> None:
    """Who wants no stale outcome makes the warning an error."""
    tea.ride("--cc-run")
    tea.edit("stations.py", 'log("boil")', 'log("boil again")')

    ride = tea.ride("-W", "error")

    assert ride.tests == {"test_tea": "failed", "test_else": "passed"}
    assert ride.errors["test_tea"].splitlines()[0].startswith("station 'boil' is due: code of ")


def test_nothing_is_written(tea: Railyard) -> None:
    """Plain pytest makes no ledger, and leaves one that exists as it was."""
    tea.ride()
    folder = tea.path / ".pytest_cache/d/choochoo"
    made = folder.exists()
    tea.ride("--cc-run")
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    tea.ride()

    assert not made
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_station_as_argument_is_not_found(tea: Railyard) -> None:
    """A station given by node id is not run by plain pytest."""
    ride = tea.ride("stations.py::boil")

    assert (ride.exit_code, ride.log) == (4, ())


def test_station_mark_selects_nothing(tea: Railyard) -> None:
    """`-m station` finds no station in plain pytest."""
    ride = tea.ride("-m", "station")

    assert (ride.exit_code, ride.log) == (5, ())


def test_outcome_through_a_fixture(tea: Railyard) -> None:
    """An ordinary fixture hands on the recorded outcome."""
    tea.ride("--cc-run")
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

    assert tea.ride("test_more.py").tests == {"test_hot": "passed"}


def test_fixture_without_record_errors(tea: Railyard) -> None:
    """A test whose fixture requests a station without a record errors in the same words."""
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

    ride = tea.ride("test_more.py")

    assert ride.errors["test_hot"] == (
        "station 'boil' has no complete record: never visited; run 'pytest --cc-run' first"
    )


@pytest.mark.parametrize("text", ["import sys; sys.exit(3)", "import nowhere", "def ("])
def test_broken_file_that_is_called_like_a_station_file_stops_nothing(
    railyard: Railyard, text: str
) -> None:
    """Plain pytest warns of it and runs the tests; asked for by name, the file is an error."""
    railyard.write("radio_stations.py", text)
    railyard.write("test_site.py", "def test_site(): ...")

    ride = railyard.ride(apart=True)

    assert (ride.exit_code, ride.tests) == (0, {"test_site": "passed"})
    assert (
        "PytestWarning: radio_stations.py could not be imported, and stations of it are not known: "
    ) in ride.text
    assert railyard.ride("radio_stations.py", apart=True).exit_code not in {0, 5}
