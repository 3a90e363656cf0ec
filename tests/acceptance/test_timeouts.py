"""Stations that hang and that pytest-timeout ends, by a signal or with the process."""

from __future__ import annotations

import pytest
from harness import Project

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
@pytest.mark.parametrize(("method", "cause"), [("signal", SIGNAL), ("thread", THREAD)])
def test_time_out_is_recorded(project: Project, method: str, cause: str, workers: int) -> None:
    """The record of a station that hangs says that it failed, and its downstream is blocked."""
    project.use("timeout")
    project.workers = workers
    project.ini(f"timeout_method = {method}")
    project.stations(HANGS)
    project.run("--cc-run", apart=True)
    project.edit("stations.py", "    signal.pause()", "    signal")

    run = project.run("--cc-run")

    assert run.visited == ("boil", "pour")
    reasons = run.reasons["boil"]
    assert reasons[0].startswith("last visit failed ") and reasons[0].endswith(f"ago: {cause}")
    assert run.reasons["pour"] == ("first visit",)


@pytest.mark.parametrize(("method", "cause"), [("signal", SIGNAL), ("thread", THREAD)])
def test_time_out_blocks_in_parallel(project: Project, method: str, cause: str) -> None:
    """Under `-n 2` a station that hangs fails in that run, even if its worker dies."""
    project.use("timeout")
    project.workers = 2
    project.ini(f"timeout_method = {method}")
    project.stations(HANGS)

    run = project.run("--cc-run")

    assert (run.failed, run.blocked, run.causes["boil"]) == (("boil",), ("pour",), cause)


def test_visit_that_ends_just_in_time_is_complete(project: Project) -> None:
    """A failure that was noted just before a time-out is replaced by the visit's own result."""
    project.stations(
        """
        from pytest_choochoo.session import SESSION

        @station
        def boil(request) -> int:
            runner = request.config.stash[SESSION].runner
            runner.note_failure(request.node.nodeid, "too late")
            return 100
        """
    )
    first = project.run("--cc-run")

    second = project.run("--cc-run")

    assert (first.visited, second.unchanged) == (("boil",), ("boil",))


@pytest.mark.parametrize("when", ["before", "after"])
def test_check_that_hangs_fails_the_station(project: Project, when: str) -> None:
    """A check that is stopped has no answer: no visit follows, and no second hang."""
    project.use("timeout")
    project.stations(
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

    run = project.run("--cc-run", apart=True)

    assert (run.failed, run.blocked) == (("boil",), ("pour",))
    assert run.log == (() if when == "before" else ("boil",))
    assert run.causes["boil"] == SIGNAL
