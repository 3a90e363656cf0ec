"""Remembering: what a killed or interrupted run leaves behind, and how the next run continues."""

from __future__ import annotations

import re
import sqlite3
import stat

import pytest
from harness import Project

CHAIN = """
    import os, signal
    from pathlib import Path
    HERE = Path(__file__).parent

    @station
    def boil():
        log("boil")
        return 100

    @station
    def pour(boil, visit):
        log(f"pour {boil} {dict(visit.resources)}")
        visit.resources["cup"] = 3
        if (HERE / "trouble").exists():
            exec(compile((HERE / "trouble").read_text(), "trouble", "exec"))
        return 101

    @station
    def sip(pour):
        log("sip")

    @station
    def grind():
        log("grind")
"""


@pytest.fixture
def chain(project: Project) -> Project:
    """A chain whose second station fails in the way that a file names."""
    project.stations(CHAIN)
    return project


def test_interrupted_visit_is_resumed(chain: Project) -> None:
    """Ctrl-C in a visit ends the run with exit code 2; the next run says so and resumes there."""
    chain.write("trouble", "raise KeyboardInterrupt")
    stopped = chain.run("--cc-run", apart=True)
    chain.remove("trouble")

    run = chain.run("--cc-run")

    assert stopped.exit_code == 2
    assert stopped.closing == "1 visited, 1 failed, 1 blocked, 1 not reached"
    assert "  failed   pour  interrupted" in stopped.outlines
    assert (run.unchanged, run.visited) == (("boil",), ("pour", "sip", "grind"))
    assert run.log == ("pour 100 {'cup': 3}", "sip", "grind")
    assert re.fullmatch(
        r"last visit was interrupted [\d.]+ s ago, in process \d+ on \S+", run.reasons["pour"][0]
    )


def test_first_interrupt_lets_visit_finish(chain: Project) -> None:
    """After one Ctrl-C the visit under way finishes and is recorded, no other starts, exit code 2."""
    chain.write("trouble", "os.kill(os.getpid(), signal.SIGINT)")
    stopped = chain.run("--cc-run", apart=True)
    chain.remove("trouble")

    run = chain.run("--cc-run")

    assert (stopped.exit_code, stopped.closing) == (2, "2 visited, 2 not reached")
    assert (
        "choochoo: waiting for pour to finish; press Ctrl-C again to stop it now"
        in stopped.outlines
    )
    assert "next: pytest --cc-run" in stopped.outlines
    assert "!!!" in stopped.text and "stopped after the visit of pour" in stopped.text
    assert (run.unchanged, run.visited) == (("boil", "pour"), ("sip", "grind"))


def test_second_interrupt_stops_visit(chain: Project) -> None:
    """Ctrl-C twice stops the visit under way, which is interrupted."""
    chain.write(
        "trouble", "os.kill(os.getpid(), signal.SIGINT); os.kill(os.getpid(), signal.SIGINT)"
    )
    stopped = chain.run("--cc-run", apart=True)
    chain.remove("trouble")

    run = chain.run("--cc-run")

    assert stopped.exit_code == 2
    assert stopped.closing == "1 visited, 1 failed, 1 blocked, 1 not reached"
    assert run.reasons["pour"][0].startswith("last visit was interrupted ")


def test_interrupt_in_a_test_stops_it(chain: Project) -> None:
    """If no visit is under way, Ctrl-C stops at once, as usual."""
    chain.write(
        "test_tea.py",
        """
        import os, signal, time

        def test_tea(boil):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(9)
        """,
    )

    stopped = chain.run("--cc-run", "test_tea.py", apart=True)

    assert (stopped.exit_code, stopped.closing) == (2, "1 visited")
    assert "KeyboardInterrupt" in stopped.text


def test_pytest_exit_in_visit_is_resumed(chain: Project) -> None:
    """`pytest.exit` in a visit leaves the station interrupted."""
    chain.write("trouble", "pytest.exit('enough')")
    stopped = chain.run("--cc-run", apart=True)
    chain.remove("trouble")

    run = chain.run("--cc-run")

    assert stopped.exit_code == 2
    assert run.reasons["pour"][0].startswith("last visit was interrupted ")


def test_killed_run_is_resumed(chain: Project) -> None:
    """After SIGKILL the record says that a visit was begun; the next run says so and resumes."""
    chain.write("trouble", "os.kill(os.getpid(), signal.SIGKILL)")
    killed = chain.run("--cc-run", apart=True)
    chain.remove("trouble")

    plain = chain.run("--cc-run", "--collect-only", "-q")
    run = chain.run("--cc-run", "-v")

    assert (killed.exit_code, plain.exit_code) == (-9, 0)
    assert (run.unchanged, run.visited) == (("boil",), ("pour", "sip", "grind"))
    assert "pour 100 {'cup': 3}" in run.log
    assert re.search(
        r"pour VISITED \(last visit was interrupted, begun [\d.]+ s ago by process \d+ on \S+\)",
        run.text,
    )


def test_killed_run_leaves_tests_without_outcome(chain: Project) -> None:
    """After SIGKILL a test receives no half-made outcome."""
    chain.run("--cc-run")
    chain.write("trouble", "os.kill(os.getpid(), signal.SIGKILL)")
    killed = chain.run("--cc-replay", "pour", apart=True)
    chain.write("test_tea.py", "def test_tea(pour): pass\n")

    run = chain.run()

    assert killed.exit_code == -9, killed.text
    assert run.tests == {"test_tea": "failed"}
    assert re.fullmatch(
        r"station 'pour' has no complete record: last visit was interrupted, "
        r"begun [\d.]+ s ago by process \d+ on \S+; run 'pytest --cc-run' first",
        run.errors["test_tea"],
    )


def test_killed_visit_can_be_cleaned(chain: Project) -> None:
    """An interrupted attempt is cleaned like a complete one."""
    chain.edit(
        "stations.py",
        "@station\ndef sip",
        "@pour.clean\n"
        "def spill(pour, visit): log(f'spill {pour} {dict(visit.resources)}')\n\n"
        "@station\ndef sip",
    )
    chain.write("trouble", "os.kill(os.getpid(), signal.SIGKILL)")
    chain.run("--cc-run", apart=True)

    run = chain.run("--cc-clean")

    assert run.log == ("spill None {'cup': 3}",)
    assert run.exit_code == 0


def test_dead_worker_fails_its_station(chain: Project) -> None:
    """When a worker dies, the station that it was visiting fails; the others go on."""
    chain.workers = 2
    chain.write("trouble", "os._exit(3)")
    run = chain.run("--cc-run")
    chain.remove("trouble")

    after = chain.run("--cc-run")

    assert run.results == {
        "boil": "visited",
        "grind": "visited",
        "pour": "failed",
        "sip": "blocked",
    }
    assert re.fullmatch(
        r"the worker process \d+ died while it visited the station", run.causes["pour"]
    )
    assert run.closing == "2 visited, 1 failed, 1 blocked"
    assert after.closing == "2 visited, 2 unchanged"
    assert after.reasons["pour"][0].startswith("last visit failed ")


def test_damaged_ledger_is_set_aside(chain: Project) -> None:
    """A ledger that cannot be read is moved aside with a warning, and all stations are judged again."""
    chain.run("--cc-run")
    ledger = chain.path / ".pytest_cache/d/choochoo/default.sqlite"
    ledger.write_bytes(b"not a ledger" * 1000)

    run = chain.run("--cc-run")

    aside = next(ledger.parent.glob("default-set-aside-*.sqlite"))
    assert (run.closing, run.exit_code) == ("4 visited", 0)
    assert re.search(
        rf"the ledger {ledger} could not be read: .+; moved it to {aside.name}; "
        "every station will be judged again",
        run.text,
    )
    assert aside.read_bytes() == b"not a ledger" * 1000


def test_damaged_ledger_does_not_stop_reading(chain: Project) -> None:
    """Plain pytest and --cc-check treat a damaged ledger as empty, and leave it alone."""
    chain.run("--cc-run")
    ledger = chain.path / ".pytest_cache/d/choochoo/default.sqlite"
    ledger.write_bytes(b"not a ledger" * 1000)
    chain.write("test_tea.py", "def test_tea(pour): pass\n")

    plain, check = chain.run(), chain.run("--cc-check", "-m", "station")

    assert plain.tests == {"test_tea": "failed"}
    assert (check.closing, check.exit_code) == ("4 skipped", 5)
    assert ledger.read_bytes() == b"not a ledger" * 1000


def test_damaged_record_makes_station_due(chain: Project) -> None:
    """A record that cannot be read makes its station due, and no other."""
    chain.run("--cc-run")
    with sqlite3.connect(chain.path / ".pytest_cache/d/choochoo/default.sqlite") as connection:
        connection.execute("update records set record = '{' where key = 'stations.py::grind'")
    connection.close()

    run = chain.run("--cc-run")

    assert (run.visited, len(run.unchanged)) == (("grind",), 3)
    assert run.reasons["grind"][0].startswith("record unreadable: ")


def test_ledger_is_private(chain: Project) -> None:
    """Only the owner can read the ledger."""
    chain.run("--cc-run")

    ledger = chain.path / ".pytest_cache/d/choochoo/default.sqlite"
    assert stat.S_IMODE(ledger.stat().st_mode) == 0o600


def test_record_outlives_station(chain: Project) -> None:
    """A run without a station keeps its record."""
    chain.run("--cc-run")
    text = (chain.path / "stations.py").read_text()
    chain.stations("@station\ndef other(): pass\n")
    chain.run("--cc-run")
    chain.write("stations.py", text)

    run = chain.run("--cc-run")

    assert run.closing == "4 unchanged"


def test_failure_of_one_profile_is_its_own(chain: Project) -> None:
    """A failure in one profile does not affect the records of another."""
    chain.run("--cc-run")
    chain.write("trouble", "raise RuntimeError")
    chain.run("--cc-run", "--cc-profile", "staging")

    assert chain.run("--cc-run").closing == "4 unchanged"


def test_check_does_not_clear_a_failure(chain: Project) -> None:
    """Verifying does not change the record of a failed station."""
    chain.write("trouble", "raise RuntimeError('boom')")
    chain.run("--cc-run")

    check = chain.run("--cc-check", "-k", "pour")
    run = chain.run("--cc-run", "-k", "pour")

    assert check.failed == ("pour",)
    assert run.failed == ("pour",)
