"""Ctrl-C in a terminal, which sends the signal to every process of the run."""

from __future__ import annotations

import re
import signal

import pytest
from background import HELD, BackgroundRuns

WORKERS = pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "two-workers"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@WORKERS
def test_first_interrupt_finishes_the_visit_under_way(
    background: BackgroundRuns, workers: tuple[str, ...], number: signal.Signals
) -> None:
    """The visit under way is recorded, nothing else starts, and the exit code is 2."""
    background.project.stations(HELD)
    run = background.held("--cc-run", *workers)

    background.interrupt(run, number)
    line = "choochoo: waiting for boil to finish; press Ctrl-C again to stop it now"
    background.wait_for(lambda: line in background.text(run))
    background.release()
    text = background.end(run)

    assert run.returncode == 2, text
    assert background.project.log() == ("boil begins", "boil ends")
    assert "choochoo: 1 visited, 1 not reached in" in text
    assert "Traceback" not in text and "crashed" not in text
    assert background.project.run("--cc-run").results == {"boil": "unchanged", "pour": "visited"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@WORKERS
def test_second_interrupt_stops_now(
    background: BackgroundRuns, workers: tuple[str, ...], number: signal.Signals
) -> None:
    """The visit under way is interrupted; the next run says so and repeats it."""
    background.project.stations(HELD)
    run = background.held("--cc-run", *workers)

    background.interrupt(run)
    background.wait_for(lambda: "press Ctrl-C again" in background.text(run))
    background.interrupt(run, number)
    text = background.end(run)

    assert run.returncode == 2, text
    assert background.project.log() == ("boil begins",)
    background.release()
    again = background.project.run("--cc-run")
    assert again.closing == "2 visited"
    [reason, *_] = again.reasons["boil"]
    assert re.match(r"last visit was interrupted", reason)


def test_several_visits_under_way_are_all_finished(background: BackgroundRuns) -> None:
    """Every worker finishes its visit."""
    background.project.stations(
        HELD
        + """
    @station
    def grind():
        log("grind begins")
        while not (HERE / "begun").exists():
            time.sleep(0.01)
        while (HERE / "hold").exists():
            time.sleep(0.01)
        log("grind ends")
"""
    )
    run = background.held("--cc-run", "-n", "2")
    background.wait_for(lambda: "grind begins" in background.project.log())

    background.interrupt(run)
    line = "choochoo: waiting for boil, grind to finish; press Ctrl-C again to stop them now"
    background.wait_for(lambda: line in background.text(run))
    background.release()
    text = background.end(run)

    assert run.returncode == 2
    assert "choochoo: 2 visited, 1 not reached in" in text


def test_last_item_of_an_idle_worker_is_reported(background: BackgroundRuns) -> None:
    """The report that waits for the worker's next item is not lost if there is none."""
    background.project.stations(HELD + "\n    @station\n    def grind(): ...\n")
    run = background.held("--cc-run", "-n", "2", "-v", "--junitxml=out.xml")
    background.wait_for(lambda: "VISITED" in background.text(run))

    background.interrupt(run)
    background.wait_for(lambda: "press Ctrl-C again" in background.text(run))
    background.interrupt(run)
    background.end(run)

    assert run.returncode == 2
    xml = (background.project.path / "out.xml").read_text()
    assert '<property name="choochoo.result" value="visited" />' in xml


def test_station_that_was_sent_ahead_does_not_start(background: BackgroundRuns) -> None:
    """If only the controller gets the signal, the station behind the one under way is taken back."""
    background.project.stations(HELD)
    run = background.held("--cc-run", "-n", "1")

    run.send_signal(signal.SIGINT)
    background.wait_for(lambda: "press Ctrl-C again" in background.text(run))
    background.release()
    text = background.end(run)

    assert run.returncode == 2
    assert background.project.log() == ("boil begins", "boil ends")
    assert "choochoo: 1 visited, 1 not reached in" in text


@WORKERS
def test_test_under_way_is_interrupted_as_usual(
    background: BackgroundRuns, workers: tuple[str, ...]
) -> None:
    """Ctrl-C in a test stops at once."""
    background.project.stations("@station\ndef boil(): ...")
    background.project.write(
        "test_site.py",
        """
        import time
        from pathlib import Path

        def test_site(boil):
            Path("begun").touch()
            time.sleep(60)
        """,
    )
    run = background.start("--cc-run", *workers)
    background.wait_for((background.project.path / "begun").exists)
    background.interrupt(run)
    text = background.end(run)

    assert run.returncode == 2
    assert "choochoo: 1 visited in" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_second_signal_to_the_controller_alone_stops_its_workers(
    background: BackgroundRuns, number: signal.Signals
) -> None:
    """A second signal to the controller alone ends the visits, with a message."""
    background.project.stations(HELD)
    run = background.held("--cc-run", "-n", "1")

    run.send_signal(number)
    background.wait_for(lambda: "press Ctrl-C again" in background.text(run))
    run.send_signal(number)
    text = background.end(run)

    assert run.returncode == 2, text
    assert "choochoo: 1 failed, 1 blocked in" in text
    assert "  failed   boil  interrupted\n  blocked  pour  by boil\nnext: pytest --cc-run\n" in text


@WORKERS
def test_station_that_waits_for_another_run_does_not_start(
    background: BackgroundRuns, workers: tuple[str, ...]
) -> None:
    """A waiting station is not under way: after the first signal it does not begin."""
    background.project.stations(HELD)
    holder = background.held("--cc-run")
    run = background.start("--cc-run", *workers)
    background.wait_for(lambda: "boil: waiting for process" in background.text(run))

    run.send_signal(signal.SIGTERM)
    text = background.end(run)

    assert run.returncode == 2, text
    assert "choochoo: 2 not reached in" in text
    assert "press Ctrl-C again" not in text
    background.release()
    background.end(holder)
    assert background.project.log() == ("boil begins", "boil ends", "pour")


def test_interrupt_while_workers_start_ends_the_run(background: BackgroundRuns) -> None:
    """Ctrl-C before collection ends with exit code 2."""
    background.project.stations(HELD)
    background.project.write(
        "conftest.py",
        """
        import os, signal

        def pytest_testnodeready(node):
            os.kill(os.getpid(), signal.SIGINT)
        """,
    )
    run = background.start("--cc-run", "-n", "2")

    text = background.end(run)

    assert run.returncode == 2, text
    assert "INTERNALERROR" not in text


def test_rest_of_a_module_does_not_start(background: BackgroundRuns) -> None:
    """If only the controller gets the signal, tests that a worker already has do not start."""
    background.project.stations(HELD)
    background.project.write(
        "test_it.py",
        """
        import time
        import pytest
        from effects import log

        @pytest.mark.parametrize("number", range(30))
        def test_it(number):
            log(number)
            time.sleep(0.3)
        """,
    )
    run = background.held("--cc-run", "-n", "2")
    background.wait_for(lambda: "0" in background.project.log())

    run.send_signal(signal.SIGTERM)
    background.wait_for(lambda: "press Ctrl-C again" in background.text(run))
    background.release()
    text = background.end(run)

    assert run.returncode == 2, text
    assert "choochoo: 1 visited, 1 not reached in" in text
    assert "skipped" not in text
    assert len(background.project.log()) < 15


def test_last_failed_selects_what_was_not_reached(background: BackgroundRuns) -> None:
    """A stopped run with --lf forgets none of the failures that it did not reach."""
    background.project.stations(
        """
    import time
    from pathlib import Path
    HERE = Path(__file__).parent

    @station
    def grind():
        raise RuntimeError("no beans")

    @station
    def boil():
        if not (HERE / "hold").exists():
            raise RuntimeError("no water")
        (HERE / "begun").touch()
        while (HERE / "hold").exists():
            time.sleep(0.01)

    @station
    def pour(boil): ...
"""
    )
    background.project.workers = 2
    background.project.run("--cc-run")
    run = background.held("--cc-run", "-n", "2", "--lf")

    run.send_signal(signal.SIGTERM)
    background.wait_for(lambda: "press Ctrl-C again" in background.text(run))
    background.release()
    text = background.end(run)

    assert "choochoo: 1 visited, 1 failed, 1 not reached in" in text
    assert "skipped" not in text
    background.project.workers = 0
    collected = background.project.run("--cc-run", "--lf", "--co", "-q").text
    assert "::grind" in collected and "::pour" in collected and "::boil" not in collected
