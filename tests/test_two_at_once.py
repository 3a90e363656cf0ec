"""Two runs at once on one ledger: no station is visited by both, and nothing is lost."""

from __future__ import annotations

import os
import re
import signal

import pytest
from railyard import snapshot
from trains import HELD, Trains


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "two-workers"])
def test_two_runs_share_the_work(trains: Trains, workers: tuple[str, ...]) -> None:
    """Two runs that begin together visit each station exactly once, and both end well."""
    many = "".join(
        f"\n@station\ndef s{n}({f's{n - 1}' if n % 4 else ''}):\n    log('s{n}')\n    return {n}\n"
        for n in range(12)
    )
    trains.railyard.stations(many)

    texts = [trains.end(p) for p in (trains.start("--cc-run", *workers), trains.start("--cc-run"))]

    assert [p.returncode for p in trains.running] == [0, 0], texts
    assert sorted(trains.railyard.log()) == sorted(f"s{n}" for n in range(12))
    assert all(re.search(r"^choochoo: .*(visited|unchanged)", text, re.MULTILINE) for text in texts)


def test_second_run_waits_and_finds_it_done(trains: Trains) -> None:
    """Who comes second says for whom it waits and since when, and finds the station done."""
    trains.railyard.stations(HELD)
    first = trains.held("--cc-run")
    second = trains.start("--cc-run")
    trains.wait_for(lambda: "waits for" in trains.text(second))

    trains.release()

    ends = trains.end(first), trains.end(second)
    assert re.search(
        rf"^choochoo: boil waits for process {first.pid} on \S+ \(since \d\d:\d\d:\d\d\), "
        r"which is visiting it$",
        ends[1],
        re.MULTILINE,
    )
    assert trains.railyard.log() == ("boil begins", "boil ends", "pour")
    assert "choochoo: 2 visited" in ends[0] or "choochoo: 1 visited, 1 unchanged" in ends[0]
    assert (first.returncode, second.returncode) == (0, 0)


def test_worker_that_waits_says_so(trains: Trains) -> None:
    """A worker has no terminal: its controller says for whom it waits."""
    trains.railyard.stations(HELD)
    trains.held("--cc-run")

    ride = trains.railyard.ride("--cc-run", "-n", "2", "--cc-lock-timeout", "0.1", apart=True)

    assert "choochoo: boil waits for process " in ride.text


def test_replay_of_what_another_run_visits_meanwhile_is_done(
    trains: Trains, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visit that another process began after this session counts for it, replayed or not."""
    trains.railyard.stations(HELD)
    trains.railyard.ride("--cc-run")
    (trains.railyard.path / "begun").unlink()
    # This session starts first, and comes to the station when the other one is at it.
    trains.railyard.write(
        "conftest.py",
        """
        import os, time
        from pathlib import Path

        def pytest_collection_finish():
            if "WAITS" in os.environ.get("PYTEST_ADDOPTS", ""):
                Path("collected").touch()
                while not Path("begun").exists():
                    time.sleep(0.01)
        """,
    )
    monkeypatch.setenv("PYTEST_ADDOPTS", "-o junit_suite_name=WAITS")
    first = trains.start("--cc-replay", "boil")
    monkeypatch.delenv("PYTEST_ADDOPTS")
    trains.wait_for((trains.railyard.path / "collected").exists)
    second = trains.held("--cc-replay", "boil")
    trains.release()

    text = trains.end(first)

    assert (first.returncode, trains.end(second) and second.returncode) == (0, 0), text
    assert trains.railyard.log().count("boil begins") == 2
    assert "choochoo: 2 unchanged" in text


def test_lock_timeout_fails_station_in_this_session_only(trains: Trains) -> None:
    """Who does not want to wait fails with the holder's name, and leaves the record alone."""
    trains.railyard.stations(HELD)
    first = trains.held("--cc-run")

    ride = trains.railyard.ride("--cc-run", "--cc-lock-timeout", "0.1")
    trains.release()
    trains.end(first)
    after = trains.railyard.ride("--cc-run")

    assert (ride.failed, ride.blocked, ride.exit_code) == (("boil",), ("pour",), 1)
    assert re.fullmatch(
        rf"station 'boil' is still being visited by process {first.pid} on \S+ "
        r"\(since \d\d:\d\d:\d\d\) after 0.1 s; wait for it, or raise --cc-lock-timeout",
        ride.errors["boil"],
    )
    assert first.returncode == 0
    assert after.closing == "2 unchanged"


def test_clean_waits_for_visit(trains: Trains) -> None:
    """Nobody cleans what is being visited: the clean waits, or fails after its time-out."""
    trains.railyard.stations(HELD)
    first = trains.held("--cc-run", "-k", "boil")

    ride = trains.railyard.ride("--cc-clean", "--cc-lock-timeout", "0.1")
    trains.release()
    trains.end(first)
    after = trains.railyard.ride("--cc-clean")

    assert (ride.failed, ride.log, ride.exit_code) == (("boil",), (), 1)
    assert (after.log, after.closing) == (("cool",), "1 cleaned")


def test_forget_waits_for_visit(trains: Trains) -> None:
    """Nobody forgets what is being visited: who does says for whom it waits, and forgets it then."""
    trains.railyard.stations(HELD)
    first = trains.held("--cc-run", "-k", "boil")
    second = trains.start("--cc-forget", "all")
    trains.wait_for(lambda: "waits for" in trains.text(second))

    trains.release()

    text = trains.end(second)
    assert re.search(
        rf"^choochoo: boil waits for process {first.pid} on \S+ \(since \d\d:\d\d:\d\d\), "
        r"which is visiting it\nchoochoo: forgot boil$",
        text,
        re.MULTILINE,
    )
    assert "choochoo: 1 visited" in trains.end(first)
    assert second.returncode == 0
    assert trains.railyard.ride("--cc-run", "-k", "boil").reasons["boil"] == ("never visited",)


def test_forget_gives_up_after_its_time_out(trains: Trains) -> None:
    """Who does not want to wait forgets the others, says so, and fails; no lock is kept."""
    trains.railyard.stations(HELD + "\n    @station\n    def grind(): ...\n")
    trains.railyard.ride("--cc-run", "-k", "grind")
    first = trains.held("--cc-run", "-k", "boil")

    ride = trains.railyard.ride("--cc-forget", "all", "--cc-lock-timeout", "0.1")
    trains.release()
    trains.end(first)

    said = [line for line in ride.outlines if line.startswith("choochoo: ")]
    assert re.fullmatch(
        rf"choochoo: station 'boil' is still being visited by process {first.pid} on \S+ "
        r"\(since \d\d:\d\d:\d\d\) after 0.1 s; wait for it, or raise --cc-lock-timeout",
        said[1],
    )
    assert (said[2:], ride.exit_code) == (["choochoo: forgot grind"], 1)
    after = trains.railyard.ride("--cc-run", "--cc-lock-timeout", "0", "-m", "station")
    assert (after.unchanged, after.visited) == (("boil",), ("pour", "grind"))


def test_station_that_no_longer_exists_is_forgotten_under_its_lock(trains: Trains) -> None:
    """The record of a station that is being visited elsewhere stays, known here or not."""
    trains.railyard.stations(HELD)
    first = trains.held("--cc-run", "-k", "boil")
    trains.railyard.stations("@station\ndef grind(): ...\n")

    ride = trains.railyard.ride("--cc-forget", "all", "--cc-lock-timeout", "0")
    trains.release()

    assert "choochoo: station 'stations.py::boil' is still being visited by " in ride.text
    assert (ride.exit_code, "choochoo: forgot" in ride.text) == (1, False)
    assert trains.end(first) and first.returncode == 0


def test_fresh_station_waits_for_nobody(trains: Trains) -> None:
    """An unchanged station takes no lock: another run may be at something else."""
    trains.railyard.stations(HELD)
    trains.railyard.stations("@station\ndef grind(): log('grind')\n", "other/stations.py")
    trains.railyard.ride("--cc-run", "other")
    first = trains.held("--cc-run", "stations.py")

    ride = trains.railyard.ride("--cc-run", "other", "--cc-lock-timeout", "0")
    trains.release()

    assert (ride.closing, ride.exit_code) == ("1 unchanged", 0)
    assert trains.end(first) and first.returncode == 0


def test_plain_run_beside_a_visit_has_no_outcome(trains: Trains) -> None:
    """While a station is being visited a test gets no outcome of it, and does not wait."""
    trains.railyard.stations(HELD)
    trains.railyard.write("test_tea.py", "def test_tea(boil): pass\n")
    first = trains.held("--cc-run", "stations.py")

    ride = trains.railyard.ride("test_tea.py")
    trains.release()

    assert ride.tests == {"test_tea": "failed"}
    assert re.fullmatch(
        rf"station 'boil' has no complete record: it is being visited right now by "
        rf"process {first.pid} on \S+ \(since \d\d:\d\d:\d\d\); run 'pytest --cc-run' first",
        ride.errors["test_tea"],
    )
    assert trains.end(first) and first.returncode == 0


def test_check_beside_a_visit_says_who_is_at_it(trains: Trains, mode: str) -> None:
    """`--cc-check` says by whom a station is being visited, waits for nobody and writes nothing."""
    trains.railyard.stations(HELD)
    first = trains.held("--cc-run")
    ledger = trains.railyard.path / ".pytest_cache/d/choochoo"
    before = snapshot(ledger)

    ride = trains.railyard.ride("--cc-check")
    after = snapshot(ledger)
    trains.release()

    visitor = rf"process {first.pid} on \S+ \(since \d\d:\d\d:\d\d\)"
    assert re.search(
        rf"^station 'boil' is due: it is being visited right now by {visitor}$",
        ride.text,
        re.MULTILINE,
    )
    # While somebody writes, SQLite's readers take part in its shared memory.
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed <= {"default.sqlite-shm"}
    assert (sorted(ride.failed), ride.exit_code) == (["boil", "pour"], 1)
    assert trains.end(first) and first.returncode == 0
    assert trains.railyard.ride("--cc-check").closing == "2 unchanged"


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("pass", ""),
        ("assert 0", "E       check 'is_hot' of station 'boil' does not pass"),
        ("return False", "check 'is_hot' of station 'boil' does not pass: it returned False"),
    ],
    ids=["passes", "raises", "returns-false"],
)
def test_check_is_asked_beside_a_visit(trains: Trains, check: str, said: str) -> None:
    """What checks say counts during a visit too; one that does not pass is told with the visitor."""
    trains.railyard.stations(
        HELD.replace("return 100", "") + f"\n    @boil.check\n    def is_hot():\n        {check}\n"
    )
    trains.railyard.write("hold", "")
    first = trains.start("--cc-replay", "boil")
    trains.wait_for((trains.railyard.path / "begun").exists)

    ride = trains.railyard.ride("--cc-check", "-k", "boil")
    trains.release()
    trains.end(first)

    assert ride.results == {"boil": "failed" if said else "unchanged"}
    visitor = rf"process {first.pid} on \S+ \(since \d\d:\d\d:\d\d\)"
    assert not said or re.search(
        rf"^{said}; it is being visited right now by {visitor}$",
        ride.errors["boil"],
        re.MULTILINE,
    )


def test_check_after_a_killed_visit_says_so(trains: Trains) -> None:
    """`--cc-check` calls a visit interrupted whose process is dead."""
    trains.railyard.stations(HELD)
    first = trains.held("--cc-run")
    first.kill()
    first.wait()

    ride = trains.railyard.ride("--cc-check", "-k", "boil")

    assert re.fullmatch(
        r"station 'boil' is due: last visit was interrupted, begun [\d.]+ s ago by "
        rf"process {first.pid} on \S+",
        ride.errors["boil"],
    )


def test_killed_holder_lets_go(trains: Trains) -> None:
    """A dead process holds no lock: who waited for it visits the station, and says why."""
    trains.railyard.stations(HELD)
    first = trains.held("--cc-run")
    second = trains.start("--cc-run", "-v")
    trains.wait_for(lambda: "waits for" in trains.text(second))
    first.kill()
    first.wait()
    trains.release()

    text = trains.end(second)

    assert second.returncode == 0, text
    assert re.search(
        rf"boil VISITED \(last visit was interrupted, begun [\d.]+ s ago by process {first.pid} ",
        text,
    )
    assert trains.railyard.log() == ("boil begins", "boil begins", "boil ends", "pour")


def test_dead_worker_takes_no_visit_of_another_run_with_it(trains: Trains) -> None:
    """A worker that dies while it waits leaves alone the record of the visit it waited for."""
    trains.railyard.write(
        "conftest.py",
        """
        import os
        from pathlib import Path

        if "PYTEST_XDIST_WORKER" in os.environ:
            Path("worker").write_text(str(os.getpid()))
        """,
    )
    trains.railyard.stations(HELD)
    first = trains.held("--cc-run")
    second = trains.start("--cc-run", "-n", "1")
    trains.wait_for(lambda: "waits for" in trains.text(second))
    os.kill(int((trains.railyard.path / "worker").read_text()), signal.SIGKILL)

    text = trains.end(second)
    meanwhile = trains.railyard.ride("--cc-check")
    trains.release()
    trains.end(first)

    assert "  failed   boil  the worker process died\n" in text
    assert f"by process {first.pid} " in meanwhile.causes["boil"]
    assert first.returncode == 0
    assert trains.railyard.ride("--cc-run").closing == "2 unchanged"


def test_cleared_cache_leaves_visit_under_way(trains: Trains) -> None:
    """`--cache-clear` of another session forgets no visit under way and takes no lock away."""
    trains.railyard.stations(HELD)
    first = trains.held("--cc-run", "-k", "boil")

    trains.railyard.write("test_tea.py", "def test_tea(): pass\n")
    trains.railyard.ride("--cache-clear", "test_tea.py")
    ride = trains.railyard.ride("--cc-run", "--cc-lock-timeout", "0", "-k", "boil")
    trains.release()
    trains.end(first)

    assert ride.failed == ("boil",)
    assert (first.returncode, trains.railyard.ride("--cc-run", "-k", "boil").closing) == (
        0,
        "1 unchanged",
    )
