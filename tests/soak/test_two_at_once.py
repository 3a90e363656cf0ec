"""Two runs at once on one ledger: none visits a station twice, and nothing is lost."""

from __future__ import annotations

import os
import re
import signal

import pytest
from background import HELD, BackgroundRuns
from harness import snapshot

# A clean that lasts as long as the file `hold-clean` exists.
LASTING_CLEAN = """(HERE / "cleaning").touch()
        while (HERE / "hold-clean").exists():
            time.sleep(0.01)"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "two-workers"])
def test_two_runs_share_the_work(background: BackgroundRuns, workers: tuple[str, ...]) -> None:
    """Two runs that begin together visit each station exactly once, and both succeed."""
    many = "".join(
        f"\n@station\ndef s{n}({f's{n - 1}' if n % 4 else ''}):\n    log('s{n}')\n    return {n}\n"
        for n in range(12)
    )
    background.project.stations(many)

    texts = [
        background.end(p)
        for p in (background.start("--cc-run", *workers), background.start("--cc-run"))
    ]

    assert [p.returncode for p in background.running] == [0, 0], texts
    assert sorted(background.project.log()) == sorted(f"s{n}" for n in range(12))
    assert all(re.search(r"^choochoo: .*(visited|unchanged)", text, re.MULTILINE) for text in texts)


def test_second_run_waits_and_finds_it_done(background: BackgroundRuns) -> None:
    """The second run names the process that it waits for, and finds the station done."""
    background.project.stations(HELD)
    first = background.held("--cc-run")
    second = background.start("--cc-run")
    background.wait_for(lambda: "waiting for process" in background.text(second))

    background.release()

    ends = background.end(first), background.end(second)
    assert re.search(
        rf"^choochoo: boil: waiting for process {first.pid} on \S+ \(since \d\d:\d\d:\d\d\), "
        r"which is visiting it$",
        ends[1],
        re.MULTILINE,
    )
    assert background.project.log() == ("boil begins", "boil ends", "pour")
    assert "choochoo: 2 visited" in ends[0] or "choochoo: 1 visited, 1 unchanged" in ends[0]
    assert (first.returncode, second.returncode) == (0, 0)


def test_worker_that_waits_says_so(background: BackgroundRuns) -> None:
    """A worker has no terminal: its controller names the process that it waits for."""
    background.project.stations(HELD)
    background.held("--cc-run")

    run = background.project.run("--cc-run", "-n", "2", "--cc-lock-timeout", "0.1", apart=True)

    assert "choochoo: boil: waiting for process " in run.text


def test_replay_accepts_a_visit_of_another_run(
    background: BackgroundRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visit that another process began after this session counts for it, replayed or not."""
    background.project.stations(HELD)
    background.project.run("--cc-run")
    (background.project.path / "begun").unlink()
    # This session starts first, and reaches the station while the other one visits it.
    background.project.write(
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
    first = background.start("--cc-replay", "boil")
    monkeypatch.delenv("PYTEST_ADDOPTS")
    background.wait_for((background.project.path / "collected").exists)
    second = background.held("--cc-replay", "boil")
    background.release()

    text = background.end(first)

    assert (first.returncode, background.end(second) and second.returncode) == (0, 0), text
    assert background.project.log().count("boil begins") == 2
    assert "choochoo: 2 unchanged" in text


def test_lock_timeout_fails_station_in_this_session_only(background: BackgroundRuns) -> None:
    """A time-out fails the station with the holder's name, and leaves the record alone."""
    background.project.stations(HELD)
    first = background.held("--cc-run")

    run = background.project.run("--cc-run", "--cc-lock-timeout", "0.1")
    background.release()
    background.end(first)
    after = background.project.run("--cc-run")

    assert (run.failed, run.blocked, run.exit_code) == (("boil",), ("pour",), 1)
    assert re.fullmatch(
        rf"station 'boil' is still being visited by process {first.pid} on \S+ "
        r"\(since \d\d:\d\d:\d\d\) after 0.1 s; wait for it, or raise --cc-lock-timeout",
        run.errors["boil"],
    )
    assert first.returncode == 0
    assert after.closing == "2 unchanged"


def test_clean_waits_for_visit(background: BackgroundRuns) -> None:
    """A clean waits for a run under way, or gives up after its time-out and cleans nothing."""
    background.project.stations(HELD)
    first = background.held("--cc-run", "-k", "boil")

    run = background.project.run("--cc-clean", "--cc-lock-timeout", "0.1")
    background.release()
    background.end(first)
    after = background.project.run("--cc-clean")

    assert re.search(
        rf"^ERROR: still waiting for process {first.pid} on \S+ \(since \d\d:\d\d:\d\d\), which "
        r"runs --cc-run, after 0.1 s; let it end first, or raise --cc-lock-timeout$",
        run.text,
        re.MULTILINE,
    )
    assert (run.log, run.exit_code) == ((), 4)
    assert (after.log, after.closing) == (("cool",), "1 cleaned")


def test_forget_waits_for_visit(background: BackgroundRuns) -> None:
    """--cc-forget names the run that is under way, waits for it, and then forgets."""
    background.project.stations(HELD)
    first = background.held("--cc-run", "-k", "boil")
    second = background.start("--cc-forget", "all")
    background.wait_for(lambda: "waiting for process" in background.text(second))

    background.release()

    text = background.end(second)
    assert re.search(
        rf"^choochoo: waiting for process {first.pid} on \S+ \(since \d\d:\d\d:\d\d\), "
        r"which runs --cc-run$",
        text,
        re.MULTILINE,
    )
    assert "\nchoochoo: forgot boil\n" in text
    assert "choochoo: 1 visited" in background.end(first)
    assert second.returncode == 0
    assert (
        background.project.run("--cc-run", "-k", "boil").reasons["boil"][0].startswith("forgotten ")
    )


def test_forget_gives_up_after_its_time_out(background: BackgroundRuns) -> None:
    """After the time-out, --cc-forget has forgotten nothing: a run would miss what it consumes."""
    background.project.stations(HELD + "\n    @station\n    def grind(): ...\n")
    background.project.run("--cc-run", "-k", "grind")
    first = background.held("--cc-run", "-k", "boil")

    run = background.project.run("--cc-forget", "all", "--cc-lock-timeout", "0.1")
    background.release()
    background.end(first)

    assert f"ERROR: still waiting for process {first.pid} on " in run.text
    assert ("choochoo: forgot" in run.text, run.exit_code) == (False, 4)
    after = background.project.run("--cc-run", "--cc-lock-timeout", "0", "-m", "station")
    assert (after.unchanged, after.visited) == (("boil", "grind"), ("pour",))


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "parallel"])
def test_clean_and_run_exclude_each_other(
    background: BackgroundRuns, workers: tuple[str, ...]
) -> None:
    """The second one waits, and names the first; no record is false afterwards."""
    background.project.stations(HELD.replace('log("cool")', LASTING_CLEAN))
    first = background.held("--cc-run", *workers)
    clean = background.start("--cc-clean")
    background.wait_for(lambda: "waiting for process" in background.text(clean))
    background.project.write("hold-clean", "")
    background.release()
    assert "choochoo: 2 visited" in background.end(first)
    background.wait_for((background.project.path / "cleaning").exists)

    run = background.start("--cc-run", *workers)
    background.wait_for(lambda: "waiting for process" in background.text(run))
    background.project.remove("hold-clean")

    assert f"process {first.pid} on " in background.end(clean)
    assert "choochoo: 1 cleaned, 1 left in place" in background.text(clean)
    text = background.end(run)
    assert re.search(
        rf"^choochoo: waiting for process {clean.pid} on \S+ \(since \d\d:\d\d:\d\d\), "
        r"which runs --cc-clean$",
        text,
        re.MULTILINE,
    )
    assert "choochoo: 2 visited" in text


@pytest.mark.parametrize("command", [(), ("--cc-check",)], ids=["plain", "check"])
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "parallel"])
def test_reading_commands_wait_for_nobody(
    background: BackgroundRuns, command: tuple[str, ...], workers: tuple[str, ...]
) -> None:
    """They say once what is under way, and go on."""
    background.project.stations(HELD)
    background.project.write("test_tea.py", "def test_tea(): pass\n")
    first = background.held("--cc-run")

    run = background.project.run(*command, *workers, "test_tea.py", apart=True)
    background.release()
    background.end(first)
    after = background.project.run(*command, *workers, "test_tea.py", apart=True)

    (said,) = (line for line in run.outlines if "under way" in line)
    assert re.fullmatch(
        rf"choochoo: --cc-run is under way: process {first.pid} on \S+ \(since \d\d:\d\d:\d\d\)",
        said,
    )
    assert (run.exit_code, after.exit_code, "under way" in after.text) == (0, 0, False)


def test_fresh_station_takes_no_lock(background: BackgroundRuns) -> None:
    """An unchanged station takes no lock, whatever another run is visiting."""
    background.project.stations(HELD)
    background.project.stations("@station\ndef grind(): log('grind')\n", "other/stations.py")
    background.project.run("--cc-run", "other")
    first = background.held("--cc-run", "stations.py")

    run = background.project.run("--cc-run", "other", "--cc-lock-timeout", "0")
    background.release()

    assert (run.closing, run.exit_code) == ("1 unchanged", 0)
    assert background.end(first) and first.returncode == 0


def test_plain_run_beside_a_visit_has_no_outcome(background: BackgroundRuns) -> None:
    """During a visit of its station, a test receives no outcome, and does not wait."""
    background.project.stations(HELD)
    background.project.write("test_tea.py", "def test_tea(boil): pass\n")
    first = background.held("--cc-run", "stations.py")

    run = background.project.run("test_tea.py")
    background.release()

    assert run.tests == {"test_tea": "failed"}
    assert re.fullmatch(
        rf"station 'boil' has no complete record: it is being visited right now by "
        rf"process {first.pid} on \S+ \(since \d\d:\d\d:\d\d\); run 'pytest --cc-run' first",
        run.errors["test_tea"],
    )
    assert background.end(first) and first.returncode == 0


def test_check_names_the_process_that_is_visiting(background: BackgroundRuns, mode: str) -> None:
    """`--cc-check` names the visiting process, does not wait, and writes nothing."""
    background.project.stations(HELD)
    first = background.held("--cc-run")
    ledger = background.project.path / ".pytest_cache/d/choochoo"
    before = snapshot(ledger)

    run = background.project.run("--cc-check")
    after = snapshot(ledger)
    background.release()

    visitor = rf"process {first.pid} on \S+ \(since \d\d:\d\d:\d\d\)"
    assert re.search(
        rf"^station 'boil' is due: it is being visited right now by {visitor}$",
        run.text,
        re.MULTILINE,
    )
    # While a process writes, SQLite's readers also use its shared memory.
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed <= {"default.sqlite-shm"}
    assert (run.results, run.exit_code) == ({"boil": "failed", "pour": "skipped"}, 1)
    assert background.end(first) and first.returncode == 0
    assert background.project.run("--cc-check").closing == "2 verified"


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("pass", ""),
        ("assert 0", "E       check 'is_hot' of station 'boil' does not pass"),
        ("return False", "check 'is_hot' of station 'boil' does not pass: it returned False"),
    ],
    ids=["passes", "raises", "returns-false"],
)
def test_checks_run_during_a_visit(background: BackgroundRuns, check: str, said: str) -> None:
    """Checks count during a visit too; one that fails is reported with the visiting process."""
    background.project.stations(
        HELD.replace("return 100", "") + f"\n    @boil.check\n    def is_hot():\n        {check}\n"
    )
    background.project.write("hold", "")
    first = background.start("--cc-replay", "boil")
    background.wait_for((background.project.path / "begun").exists)

    run = background.project.run("--cc-check", "-k", "boil")
    background.release()
    background.end(first)

    assert run.results == {"boil": "failed" if said else "verified"}
    visitor = rf"process {first.pid} on \S+ \(since \d\d:\d\d:\d\d\)"
    assert not said or re.search(
        rf"^{said}; it is being visited right now by {visitor}$",
        run.errors["boil"],
        re.MULTILINE,
    )


def test_check_after_a_killed_visit_says_so(background: BackgroundRuns) -> None:
    """`--cc-check` reports a visit as interrupted if its process is dead."""
    background.project.stations(HELD)
    first = background.held("--cc-run")
    first.kill()
    first.wait()

    run = background.project.run("--cc-check", "-k", "boil")

    assert re.fullmatch(
        r"station 'boil' is due: last visit was interrupted, begun [\d.]+ s ago by "
        rf"process {first.pid} on \S+",
        run.errors["boil"],
    )


def test_lock_of_a_killed_process_is_free(background: BackgroundRuns) -> None:
    """A dead process holds no lock: the waiting run visits the station, and says why."""
    background.project.stations(HELD)
    first = background.held("--cc-run")
    second = background.start("--cc-run", "-v")
    background.wait_for(lambda: "waiting for process" in background.text(second))
    first.kill()
    first.wait()
    background.release()

    text = background.end(second)

    assert second.returncode == 0, text
    assert re.search(
        rf"boil VISITED \(last visit was interrupted, begun [\d.]+ s ago by process {first.pid} ",
        text,
    )
    assert background.project.log() == ("boil begins", "boil begins", "boil ends", "pour")


def test_dead_worker_leaves_the_visit_of_another_run_alone(background: BackgroundRuns) -> None:
    """A worker that dies while it waits does not change the record of the visit that it waited for."""
    background.project.write(
        "conftest.py",
        """
        import os
        from pathlib import Path

        if "PYTEST_XDIST_WORKER" in os.environ:
            Path("worker").write_text(str(os.getpid()))
        """,
    )
    background.project.stations(HELD)
    first = background.held("--cc-run")
    second = background.start("--cc-run", "-n", "1")
    background.wait_for(lambda: "waiting for process" in background.text(second))
    os.kill(int((background.project.path / "worker").read_text()), signal.SIGKILL)

    text = background.end(second)
    meanwhile = background.project.run("--cc-check")
    background.release()
    background.end(first)

    assert "  failed   boil  the worker process died\n" in text
    assert f"by process {first.pid} " in meanwhile.causes["boil"]
    assert first.returncode == 0
    assert background.project.run("--cc-run").closing == "2 unchanged"


def test_cleared_cache_leaves_visit_under_way(background: BackgroundRuns) -> None:
    """`--cache-clear` in another session leaves the stations alone, says so, and removes no lock."""
    background.project.stations(HELD)
    first = background.held("--cc-run", "-k", "boil")

    background.project.write("test_tea.py", "def test_tea(): pass\n")
    cleared = background.project.run("--cache-clear", "test_tea.py")
    run = background.project.run("--cc-run", "--cc-lock-timeout", "0", "-k", "boil")
    background.release()
    background.end(first)

    assert run.failed == ("boil",)
    assert re.search(
        r"--cache-clear forgets no station of profile 'default': process "
        rf"{first.pid} on \S+ \(since \d\d:\d\d:\d\d\), which runs --cc-run, is under way",
        cleared.text,
    )
    assert (first.returncode, background.project.run("--cc-run", "-k", "boil").closing) == (
        0,
        "1 unchanged",
    )
