"""Remembering: what a killed, interrupted or odd run leaves, and what the next one makes of it."""

from __future__ import annotations

import re
import sqlite3
import stat

import pytest
from railyard import Railyard

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
def chain(railyard: Railyard) -> Railyard:
    """A chain whose second station gets into the trouble that stands in a file."""
    railyard.stations(CHAIN)
    return railyard


def test_interrupted_visit_is_resumed(chain: Railyard) -> None:
    """Ctrl-C in a visit ends the run with exit code 2; the next run says so and resumes there."""
    chain.write("trouble", "raise KeyboardInterrupt")
    stopped = chain.ride("--cc-run", apart=True)
    chain.remove("trouble")

    ride = chain.ride("--cc-run")

    assert stopped.exit_code == 2
    assert stopped.closing == "1 visited, 1 failed, 1 blocked, 1 not reached"
    assert "  failed   pour  interrupted" in stopped.outlines
    assert (ride.unchanged, ride.visited) == (("boil",), ("pour", "sip", "grind"))
    assert ride.log == ("pour 100 {'cup': 3}", "sip", "grind")
    assert re.fullmatch(
        r"last visit was interrupted [\d.]+ s ago, in process \d+ on \S+", ride.reasons["pour"][0]
    )


def test_first_interrupt_lets_visit_finish(chain: Railyard) -> None:
    """Ctrl-C once: the visit under way finishes and is recorded, no other starts, exit code 2."""
    chain.write("trouble", "os.kill(os.getpid(), signal.SIGINT)")
    stopped = chain.ride("--cc-run", apart=True)
    chain.remove("trouble")

    ride = chain.ride("--cc-run")

    assert (stopped.exit_code, stopped.closing) == (2, "2 visited, 2 not reached")
    assert "choochoo: pour is finished first; Ctrl-C again stops it now" in stopped.outlines
    assert "next: pytest --cc-run" in stopped.outlines
    assert "!!!" in stopped.text and "stopped after the visit of pour" in stopped.text
    assert (ride.unchanged, ride.visited) == (("boil", "pour"), ("sip", "grind"))


def test_second_interrupt_stops_visit(chain: Railyard) -> None:
    """Ctrl-C twice stops the visit under way, which is interrupted."""
    chain.write(
        "trouble", "os.kill(os.getpid(), signal.SIGINT); os.kill(os.getpid(), signal.SIGINT)"
    )
    stopped = chain.ride("--cc-run", apart=True)
    chain.remove("trouble")

    ride = chain.ride("--cc-run")

    assert stopped.exit_code == 2
    assert stopped.closing == "1 visited, 1 failed, 1 blocked, 1 not reached"
    assert ride.reasons["pour"][0].startswith("last visit was interrupted ")


def test_interrupt_in_a_test_stops_it(chain: Railyard) -> None:
    """Where no visit is under way Ctrl-C stops at once, as ever."""
    chain.write(
        "test_tea.py",
        """
        import os, signal, time

        def test_tea(boil):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(9)
        """,
    )

    stopped = chain.ride("--cc-run", "test_tea.py", apart=True)

    assert (stopped.exit_code, stopped.closing) == (2, "1 visited")
    assert "KeyboardInterrupt" in stopped.text


def test_pytest_exit_in_visit_is_resumed(chain: Railyard) -> None:
    """`pytest.exit` in a visit leaves the station interrupted."""
    chain.write("trouble", "pytest.exit('enough')")
    stopped = chain.ride("--cc-run", apart=True)
    chain.remove("trouble")

    ride = chain.ride("--cc-run")

    assert stopped.exit_code == 2
    assert ride.reasons["pour"][0].startswith("last visit was interrupted ")


def test_killed_run_is_resumed(chain: Railyard) -> None:
    """After SIGKILL the record says that a visit was begun; the next run says so and resumes."""
    chain.write("trouble", "os.kill(os.getpid(), signal.SIGKILL)")
    killed = chain.ride("--cc-run", apart=True)
    chain.remove("trouble")

    plain = chain.ride("--cc-run", "--collect-only", "-q")
    ride = chain.ride("--cc-run", "-v")

    assert (killed.exit_code, plain.exit_code) == (-9, 0)
    assert (ride.unchanged, ride.visited) == (("boil",), ("pour", "sip", "grind"))
    assert "pour 100 {'cup': 3}" in ride.log
    assert re.search(
        r"pour VISITED \(last visit was interrupted, begun [\d.]+ s ago by process \d+ on \S+\)",
        ride.text,
    )


def test_killed_run_leaves_tests_without_outcome(chain: Railyard) -> None:
    """After SIGKILL a test gets no half-made outcome."""
    chain.ride("--cc-run")
    chain.write("trouble", "os.kill(os.getpid(), signal.SIGKILL)")
    killed = chain.ride("--cc-replay", "pour", apart=True)
    chain.write("test_tea.py", "def test_tea(pour): pass\n")

    ride = chain.ride()

    assert killed.exit_code == -9, killed.text
    assert ride.tests == {"test_tea": "failed"}
    assert re.fullmatch(
        r"station 'pour' has no complete record: last visit was interrupted, "
        r"begun [\d.]+ s ago by process \d+ on \S+; run 'pytest --cc-run' first",
        ride.errors["test_tea"],
    )


def test_killed_visit_can_be_cleaned(chain: Railyard) -> None:
    """An interrupted attempt is cleaned like a complete one."""
    chain.edit(
        "stations.py",
        "@station\ndef sip",
        "@pour.clean\n"
        "def spill(pour, visit): log(f'spill {pour} {dict(visit.resources)}')\n\n"
        "@station\ndef sip",
    )
    chain.write("trouble", "os.kill(os.getpid(), signal.SIGKILL)")
    chain.ride("--cc-run", apart=True)

    ride = chain.ride("--cc-clean")

    assert ride.log == ("spill None {'cup': 3}",)
    assert ride.exit_code == 0


def test_dead_worker_fails_its_station(chain: Railyard) -> None:
    """A worker that dies fails the station that it was visiting; the others go on."""
    chain.workers = 2
    chain.write("trouble", "os._exit(3)")
    ride = chain.ride("--cc-run")
    chain.remove("trouble")

    after = chain.ride("--cc-run")

    assert ride.results == {
        "boil": "visited",
        "grind": "visited",
        "pour": "failed",
        "sip": "blocked",
    }
    assert re.fullmatch(
        r"the worker process \d+ died while it visited the station", ride.causes["pour"]
    )
    assert ride.closing == "2 visited, 1 failed, 1 blocked"
    assert after.closing == "2 visited, 2 unchanged"
    assert after.reasons["pour"][0].startswith("last visit failed ")


def test_damaged_ledger_is_set_aside(chain: Railyard) -> None:
    """A ledger that cannot be read is set aside with a warning, and all is judged anew."""
    chain.ride("--cc-run")
    ledger = chain.path / ".pytest_cache/d/choochoo/default.sqlite"
    ledger.write_bytes(b"not a ledger" * 1000)

    ride = chain.ride("--cc-run")

    aside = next(ledger.parent.glob("default-set-aside-*.sqlite"))
    assert (ride.closing, ride.exit_code) == ("4 visited", 0)
    assert re.search(
        rf"the ledger {ledger} could not be read: .+; it was set aside as {aside.name}, "
        "and every station is judged anew",
        ride.text,
    )
    assert aside.read_bytes() == b"not a ledger" * 1000


def test_damaged_ledger_does_not_stop_reading(chain: Railyard) -> None:
    """Plain pytest and --cc-check take a damaged ledger for none, and leave it alone."""
    chain.ride("--cc-run")
    ledger = chain.path / ".pytest_cache/d/choochoo/default.sqlite"
    ledger.write_bytes(b"not a ledger" * 1000)
    chain.write("test_tea.py", "def test_tea(pour): pass\n")

    plain, check = chain.ride(), chain.ride("--cc-check", "-m", "station")

    assert plain.tests == {"test_tea": "failed"}
    assert check.closing == "4 failed"
    assert ledger.read_bytes() == b"not a ledger" * 1000


def test_damaged_record_makes_station_due(chain: Railyard) -> None:
    """A record that cannot be read makes its station due, and no other."""
    chain.ride("--cc-run")
    with sqlite3.connect(chain.path / ".pytest_cache/d/choochoo/default.sqlite") as connection:
        connection.execute("update records set record = '{' where key = 'stations.py::grind'")
    connection.close()

    ride = chain.ride("--cc-run")

    assert (ride.visited, len(ride.unchanged)) == (("grind",), 3)
    assert ride.reasons["grind"][0].startswith("record unreadable: ")


def test_ledger_is_private(chain: Railyard) -> None:
    """What is remembered can be read by nobody else."""
    chain.ride("--cc-run")

    ledger = chain.path / ".pytest_cache/d/choochoo/default.sqlite"
    assert stat.S_IMODE(ledger.stat().st_mode) == 0o600


def test_record_outlives_station(chain: Railyard) -> None:
    """A run without a station discards no record of it."""
    chain.ride("--cc-run")
    text = (chain.path / "stations.py").read_text()
    chain.stations("@station\ndef other(): pass\n")
    chain.ride("--cc-run")
    chain.write("stations.py", text)

    ride = chain.ride("--cc-run")

    assert ride.closing == "4 unchanged"


def test_failure_of_one_profile_is_its_own(chain: Railyard) -> None:
    """A failure in one profile leaves the records of another alone."""
    chain.ride("--cc-run")
    chain.write("trouble", "raise RuntimeError")
    chain.ride("--cc-run", "--cc-profile", "staging")

    assert chain.ride("--cc-run").closing == "4 unchanged"


def test_check_only_run_after_failure_does_not_heal(chain: Railyard) -> None:
    """Verifying changes nothing about what failed."""
    chain.write("trouble", "raise RuntimeError('boom')")
    chain.ride("--cc-run")

    check = chain.ride("--cc-check", "-k", "pour")
    ride = chain.ride("--cc-run", "-k", "pour")

    assert check.failed == ("pour",)
    assert ride.failed == ("pour",)
