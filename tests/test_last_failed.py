"""`--lf`: what failed and what that failure blocked, and nothing that completed."""

from __future__ import annotations

import pytest
from railyard import HEADER, Railyard


@pytest.fixture
def broken(railyard: Railyard) -> Railyard:
    """Stations in three files and a test; the second station failed and blocks what is below."""
    railyard.stations('@station\ndef boil():\n    log("boil")\n    return 100\n')
    railyard.write(
        "kitchen/stations.py",
        HEADER
        + "@station\ndef pour(boil):\n    assert 0\n\n"
        + '@station\ndef grind():\n    log("grind")\n',
    )
    railyard.write("kitchen/cup/stations.py", HEADER + '@station\ndef drink(pour): log("drink")\n')
    railyard.write("kitchen/test_tea.py", "def test_tea(pour): pass\n\ndef test_else(): pass\n")
    ride = railyard.ride("--cc-run")
    assert ride.closing == "2 visited, 1 failed, 1 blocked"
    return railyard


def test_failed_and_blocked_are_taken(broken: Railyard, mode: str) -> None:
    """`--lf` takes what failed and all that it blocked, in all files, tests included."""
    ride = broken.ride("--cc-run", "--lf")

    assert ride.results == {"pour": "failed", "drink": "blocked"}
    assert (ride.tests, ride.log) == ({"test_tea": "skipped"}, ())
    assert (ride.closing, ride.exit_code) == ("1 failed, 1 blocked", 1)


def test_mended_station_brings_all_below(broken: Railyard, mode: str) -> None:
    """Once mended, `--lf` visits what failed and what it blocked, and then nothing is left."""
    broken.edit("kitchen/stations.py", "assert 0", 'log(f"pour {boil}")')

    ride = broken.ride("--cc-run", "--lf")
    after = broken.ride("--cc-run", "--lf", "--lfnf=none")

    assert ride.results == {"pour": "visited", "drink": "visited"}
    assert (ride.tests, ride.log) == ({"test_tea": "passed"}, ("pour 100", "drink"))
    assert (after.results, after.tests) == ({}, {})


def test_blocked_are_remembered_over_several_rides(broken: Railyard) -> None:
    """What is blocked again is taken again, however often."""
    broken.ride("--cc-run", "--lf")
    broken.ride("--cc-run", "--lf")

    ride = broken.ride("--cc-run", "--lf")

    assert ride.results == {"pour": "failed", "drink": "blocked"}
    assert ride.tests == {"test_tea": "skipped"}


def test_upstream_in_other_file_is_used(broken: Railyard) -> None:
    """A complete station in a file that `--lf` would leave out hands over its outcome."""
    broken.edit("kitchen/stations.py", "assert 0", 'assert boil == 100; log("pour")')

    ride = broken.ride("--cc-run", "--lf")

    assert "boil" not in ride.results
    assert ride.log == ("pour", "drink")


def test_due_upstream_in_other_file_is_added(broken: Railyard) -> None:
    """A due station in a file that `--lf` would leave out is visited first."""
    broken.edit("stations.py", "return 100", "return 90")
    broken.edit("kitchen/stations.py", "assert 0", 'log(f"pour {boil}")')

    ride = broken.ride("--cc-run", "--lf")

    assert ride.results == {"boil": "visited", "pour": "visited", "drink": "visited"}
    assert ride.log == ("boil", "pour 90", "drink")
    assert "choochoo: 1 needed station added: boil" in ride.outlines


def test_plain_run_resumes(broken: Railyard) -> None:
    """A plain --cc-run resumes: what was completed is not done again."""
    broken.edit("kitchen/stations.py", "assert 0", 'log("pour")')

    ride = broken.ride("--cc-run")

    assert ride.log == ("pour", "drink")
    assert ride.closing == "2 visited, 2 unchanged"


def test_stopped_run_leaves_blocked_for_last_failed(broken: Railyard) -> None:
    """What `-x` kept blocked is taken by `--lf` as well."""
    broken.ride("--cc-run", "-x", "--cache-clear")

    ride = broken.ride("--cc-run", "--lf")

    assert ride.results == {"pour": "failed", "drink": "blocked"}


def test_failed_first_takes_all(broken: Railyard) -> None:
    """`--ff` runs all, and what it puts first still comes after what it needs."""
    ride = broken.ride("--cc-run", "--ff")

    assert ride.closing == "2 unchanged, 1 failed, 1 blocked"


def test_test_that_failed_by_itself_is_taken_alone(railyard: Railyard) -> None:
    """`--lf` of a test that failed by itself uses its fresh station in silence."""
    railyard.stations('@station\ndef boil():\n    log("boil")\n    return 100\n')
    railyard.write("test_tea.py", "def test_tea(boil): assert boil == 90\n")
    railyard.ride("--cc-run")

    ride = railyard.ride("--cc-run", "--lf")

    assert (ride.results, ride.tests, ride.log) == ({}, {"test_tea": "failed"}, ())
