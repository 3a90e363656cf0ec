"""Stations that hang, ended by pytest-timeout: by a signal, or with the process."""

from __future__ import annotations

import pytest
from railyard import Railyard

HANGS = """
import signal

@pytest.mark.timeout(0.5)
@station
def boil():
    signal.pause()

@station
def pour(boil): ...
"""
SIGNAL = "Failed: Timeout (>0.5s) from pytest-timeout."
THREAD = "Timeout (>0.5s) from pytest-timeout, which ended the process"


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("method", "told"), [("signal", SIGNAL), ("thread", THREAD)])
def test_time_out_is_recorded(railyard: Railyard, method: str, told: str, workers: int) -> None:
    """A station that hangs failed, says its record, and blocks what is downstream."""
    railyard.use("timeout")
    railyard.workers = workers
    railyard.ini(f"timeout_method = {method}")
    railyard.stations(HANGS)
    railyard.ride("--cc-run", apart=True)
    railyard.edit("stations.py", "    signal.pause()", "    signal")

    ride = railyard.ride("--cc-run")

    assert ride.visited == ("boil", "pour")
    reasons = ride.reasons["boil"]
    assert reasons[0].startswith("last visit failed ") and reasons[0].endswith(f"ago: {told}")
    assert ride.reasons["pour"] == ("never visited",)


@pytest.mark.parametrize(("method", "told"), [("signal", SIGNAL), ("thread", THREAD)])
def test_time_out_blocks_in_parallel(railyard: Railyard, method: str, told: str) -> None:
    """Under `-n 2` a station that hangs fails in that run, whatever becomes of its worker."""
    railyard.use("timeout")
    railyard.workers = 2
    railyard.ini(f"timeout_method = {method}")
    railyard.stations(HANGS)

    ride = railyard.ride("--cc-run")

    assert (ride.failed, ride.blocked, ride.causes["boil"]) == (("boil",), ("pour",), told)


def test_visit_that_makes_it_after_all_is_complete(railyard: Railyard) -> None:
    """What was noted a moment before a time-out gives way to the visit's own end."""
    railyard.stations(
        """
        @station
        def boil(request) -> int:
            line = request.config.pluginmanager.get_plugin("choochoo-line")
            line.journey.note_failure(request.node.nodeid, "too late")
            return 100
        """
    )
    first = railyard.ride("--cc-run")

    second = railyard.ride("--cc-run")

    assert (first.visited, second.unchanged) == (("boil",), ("boil",))


@pytest.mark.parametrize("when", ["before", "after"])
def test_check_that_hangs_fails_the_station(railyard: Railyard, when: str) -> None:
    """A check that is stopped has not answered: no visit follows, and no second hang."""
    railyard.use("timeout")
    railyard.stations(
        f"""
        import signal

        visits = []

        @pytest.mark.timeout(0.5, method="signal")
        @station
        def boil() -> None:
            log("boil")
            visits.append(1)

        @boil.check
        def is_hot():
            if {when == "before"} or visits:
                signal.pause()
            return False

        @station
        def pour(boil): ...
        """
    )

    ride = railyard.ride("--cc-run", apart=True)

    assert (ride.failed, ride.blocked) == (("boil",), ("pour",))
    assert ride.log == (() if when == "before" else ("boil",))
    assert ride.causes["boil"] == SIGNAL
