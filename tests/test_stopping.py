"""Ctrl-C in a terminal, where the signal reaches every process of the run."""

from __future__ import annotations

import re
import signal

import pytest
from trains import HELD, Trains

WORKERS = pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "two-workers"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@WORKERS
def test_once_finishes_the_visit_under_way(
    trains: Trains, workers: tuple[str, ...], number: signal.Signals
) -> None:
    """What is under way is recorded, nothing else starts, and the exit code is 2."""
    trains.railyard.stations(HELD)
    run = trains.held("--cc-run", *workers)

    trains.interrupt(run, number)
    line = "choochoo: boil is finished first; Ctrl-C again stops it now"
    trains.wait_for(lambda: line in trains.text(run))
    trains.release()
    text = trains.end(run)

    assert run.returncode == 2, text
    assert trains.railyard.log() == ("boil begins", "boil ends")
    assert "choochoo: 1 visited, 1 not reached in" in text
    assert "Traceback" not in text and "crashed" not in text
    assert trains.railyard.ride("--cc-run").results == {"boil": "unchanged", "pour": "visited"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@WORKERS
def test_twice_stops_now(trains: Trains, workers: tuple[str, ...], number: signal.Signals) -> None:
    """The visit under way is interrupted, the next run says so and makes it again."""
    trains.railyard.stations(HELD)
    run = trains.held("--cc-run", *workers)

    trains.interrupt(run)
    trains.wait_for(lambda: "is finished first" in trains.text(run))
    trains.interrupt(run, number)
    text = trains.end(run)

    assert run.returncode == 2, text
    assert trains.railyard.log() == ("boil begins",)
    trains.release()
    ride = trains.railyard.ride("--cc-run")
    assert ride.closing == "2 visited"
    [reason, *_] = ride.reasons["boil"]
    assert re.match(r"last visit was interrupted", reason)


def test_several_visits_under_way_are_all_finished(trains: Trains) -> None:
    """Every worker finishes what it is at."""
    trains.railyard.stations(
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
    run = trains.held("--cc-run", "-n", "2")
    trains.wait_for(lambda: "grind begins" in trains.railyard.log())

    trains.interrupt(run)
    line = "choochoo: boil, grind are finished first; Ctrl-C again stops them now"
    trains.wait_for(lambda: line in trains.text(run))
    trains.release()
    text = trains.end(run)

    assert run.returncode == 2
    assert "choochoo: 2 visited, 1 not reached in" in text


def test_what_an_idle_worker_did_last_is_reported(trains: Trains) -> None:
    """The report that waits for what follows in its worker is not lost where nothing does."""
    trains.railyard.stations(HELD + "\n    @station\n    def grind(): ...\n")
    run = trains.held("--cc-run", "-n", "2", "-v", "--junitxml=out.xml")
    trains.wait_for(lambda: "VISITED" in trains.text(run))

    trains.interrupt(run)
    trains.wait_for(lambda: "finished first" in trains.text(run))
    trains.interrupt(run)
    trains.end(run)

    assert run.returncode == 2
    xml = (trains.railyard.path / "out.xml").read_text()
    assert '<property name="choochoo.result" value="visited" />' in xml


def test_what_was_sent_ahead_does_not_start(trains: Trains) -> None:
    """The controller alone is told: the station behind the one under way is taken back."""
    trains.railyard.stations(HELD)
    run = trains.held("--cc-run", "-n", "1")

    run.send_signal(signal.SIGINT)
    trains.wait_for(lambda: "is finished first" in trains.text(run))
    trains.release()
    text = trains.end(run)

    assert run.returncode == 2
    assert trains.railyard.log() == ("boil begins", "boil ends")
    assert "choochoo: 1 visited, 1 not reached in" in text


@WORKERS
def test_test_under_way_is_interrupted_as_ever(trains: Trains, workers: tuple[str, ...]) -> None:
    """Ctrl-C in a test stops at once."""
    trains.railyard.stations("@station\ndef boil(): ...")
    trains.railyard.write(
        "test_site.py",
        """
        import time
        from pathlib import Path

        def test_site(boil):
            Path("begun").touch()
            time.sleep(60)
        """,
    )
    run = trains.start("--cc-run", *workers)
    trains.wait_for((trains.railyard.path / "begun").exists)
    trains.interrupt(run)
    text = trains.end(run)

    assert run.returncode == 2
    assert "choochoo: 1 visited in" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_second_signal_to_the_controller_alone_stops_its_workers(
    trains: Trains, number: signal.Signals
) -> None:
    """A signal that is sent twice to the controller of workers ends the visit, and says so."""
    trains.railyard.stations(HELD)
    run = trains.held("--cc-run", "-n", "1")

    run.send_signal(number)
    trains.wait_for(lambda: "is finished first" in trains.text(run))
    run.send_signal(number)
    text = trains.end(run)

    assert run.returncode == 2, text
    assert "choochoo: 1 failed, 1 blocked in" in text
    assert "  failed   boil  interrupted\n  blocked  pour  by boil\nnext: pytest --cc-run\n" in text


@WORKERS
def test_station_that_waits_for_another_run_does_not_start(
    trains: Trains, workers: tuple[str, ...]
) -> None:
    """What only waits is not under way: after the first signal it is not begun."""
    trains.railyard.stations(HELD)
    holder = trains.held("--cc-run")
    run = trains.start("--cc-run", *workers)
    trains.wait_for(lambda: "boil waits for process" in trains.text(run))

    run.send_signal(signal.SIGTERM)
    text = trains.end(run)

    assert run.returncode == 2, text
    assert "choochoo: 2 not reached in" in text
    assert "is finished first" not in text
    trains.release()
    trains.end(holder)
    assert trains.railyard.log() == ("boil begins", "boil ends", "pour")


def test_interrupt_while_workers_start_is_no_error(trains: Trains) -> None:
    """Ctrl-C before anything was collected ends with exit code 2."""
    trains.railyard.stations(HELD)
    trains.railyard.write(
        "conftest.py",
        """
        import os, signal

        def pytest_testnodeready(node):
            os.kill(os.getpid(), signal.SIGINT)
        """,
    )
    run = trains.start("--cc-run", "-n", "2")

    text = trains.end(run)

    assert run.returncode == 2, text
    assert "INTERNALERROR" not in text


def test_rest_of_a_module_does_not_start(trains: Trains) -> None:
    """The controller alone is told: tests that a worker has got already are left alone."""
    trains.railyard.stations(HELD)
    trains.railyard.write(
        "test_it.py",
        """
        import time
        import pytest
        from railyard import log

        @pytest.mark.parametrize("number", range(30))
        def test_it(number):
            log(number)
            time.sleep(0.3)
        """,
    )
    run = trains.held("--cc-run", "-n", "2")
    trains.wait_for(lambda: "0" in trains.railyard.log())

    run.send_signal(signal.SIGTERM)
    trains.wait_for(lambda: "finished first" in trains.text(run))
    trains.release()
    text = trains.end(run)

    assert run.returncode == 2, text
    assert "choochoo: 1 visited, 1 not reached in" in text
    assert "skipped" not in text
    assert len(trains.railyard.log()) < 15


def test_what_was_not_reached_is_taken_by_last_failed(trains: Trains) -> None:
    """A run with --lf that is stopped forgets nothing of what it did not come to."""
    trains.railyard.stations(
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
    trains.railyard.workers = 2
    trains.railyard.ride("--cc-run")
    run = trains.held("--cc-run", "-n", "2", "--lf")

    run.send_signal(signal.SIGTERM)
    trains.wait_for(lambda: "finished first" in trains.text(run))
    trains.release()
    text = trains.end(run)

    assert "choochoo: 1 visited, 1 failed, 1 not reached in" in text
    assert "skipped" not in text
    trains.railyard.workers = 0
    collected = trains.railyard.ride("--cc-run", "--lf", "--co", "-q").text
    assert "::grind" in collected and "::pour" in collected and "::boil" not in collected
