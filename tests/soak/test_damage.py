"""Runs on a ledger that is damaged, obstructed, read-only, or on a full disk."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Project

LEDGER = ".pytest_cache/d/choochoo/default.sqlite"
CHAIN = """
    @station
    def boil(visit):
        log(f"boil {dict(visit.resources)}")
        visit.resources["pot"] = 7
        return 100

    @station
    def pour(boil):
        log("pour")
        return boil
"""


@pytest.fixture
def done(project: Project) -> Project:
    """Two complete stations."""
    project.stations(CHAIN)
    project.run("--cc-run")
    return project


def _truncate(file: Path) -> None:
    raw = file.read_bytes()
    file.write_bytes(raw[: len(raw) // 2 + 7])


def _zero(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def _scramble(file: Path) -> None:
    file.write_bytes(file.read_bytes()[::-1])


DAMAGE = pytest.mark.parametrize(
    "damage", [_truncate, _zero, _scramble], ids=["truncated", "zeroed", "scrambled"]
)


@DAMAGE
def test_damaged_ledger_is_set_aside_in_every_mode(
    done: Project, mode: str, damage: Callable[[Path], None]
) -> None:
    """Damage is reported once, with its location; all stations are visited again, and no id is lost."""
    ledger = done.path / LEDGER
    damage(ledger)
    damaged = ledger.read_bytes()

    run, after = done.run("--cc-run"), done.run("--cc-run")

    [aside] = ledger.parent.glob("*-set-aside-*")
    assert (run.exit_code, run.closing, after.closing) == (0, "2 visited", "2 unchanged")
    assert aside.read_bytes() == damaged
    assert re.search(
        rf"the ledger {ledger} could not be read: it is damaged \(.+\); moved it to "
        rf"{aside.name}; every station will be judged again",
        run.text,
    )
    assert "Traceback" not in run.text and "moved it" not in after.text


@DAMAGE
def test_reading_commands_report_damage(done: Project, damage: Callable[[Path], None]) -> None:
    """Plain pytest and --cc-check say that the ledger cannot be read, and leave it as it is."""
    ledger = done.path / LEDGER
    done.write("test_tea.py", "def test_tea(pour): ...")
    damage(ledger)
    damaged = ledger.read_bytes()

    runs = done.run(), done.run("--cc-check")

    for run in runs:
        assert run.exit_code == 1
        assert f"PytestWarning: the ledger {ledger} could not be read: it is damaged" in run.text
        assert "; treating it as empty; 'pytest --cc-run' will deal with it" in run.text
    assert ledger.read_bytes() == damaged


def test_damage_is_a_usage_error_if_warnings_are_errors(done: Project, mode: str) -> None:
    """With `-W error` the run ends with the message; the ledger is still moved aside."""
    ledger = done.path / LEDGER
    ledger.write_bytes(b"not a ledger" * 1000)

    run, after = done.run("--cc-run", "-W", "error"), done.run("--cc-run", "-W", "error")

    assert run.exit_code != 0 and run.log == ()
    assert f"ERROR: the ledger {ledger} could not be read: it is damaged" in run.text
    assert "INTERNALERROR" not in run.text
    assert (after.exit_code, after.closing) == (0, "2 visited")


def test_ids_of_things_outlive_a_ledger_of_a_newer_version(done: Project) -> None:
    """A ledger of a newer version is moved aside; the next visit knows the ids of created things."""
    ledger = done.path / LEDGER
    raw = bytearray(ledger.read_bytes())
    raw[60:64] = (99).to_bytes(4, "big")  # the format: SQLite's user_version
    ledger.write_bytes(raw)

    run = done.run("--cc-run")

    assert run.log == ("boil {'pot': 7}", "pour")
    assert "could not be read: it has format 99, but this version reads format " in run.text
    assert "every station will be judged again; resource ids saved from it: 1" in run.text


@pytest.mark.parametrize("name", [LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm"])
def test_directory_in_the_way_is_set_aside(done: Project, name: str) -> None:
    """A directory in the place of the ledger's file is moved aside, and the run continues."""
    path = done.path / name
    path.unlink(missing_ok=True)
    (path / "inside").mkdir(parents=True)

    check, run = done.run("--cc-check"), done.run("--cc-run")

    assert "Traceback" not in check.text + run.text and "INTERNALERROR" not in check.text
    assert run.exit_code == 0
    assert f"{path} should be a file; moved it to " in run.text


def test_lock_that_cannot_be_taken_fails_its_station(done: Project) -> None:
    """An obstacle during a run is named by the station that it stops."""
    done.stations(
        """
        from pathlib import Path
        from pytest_choochoo.engine.ledger.location import short

        @station
        def spill():
            locks = Path(__file__).parent / ".pytest_cache/d/choochoo/default/locks"
            lock = locks / f"{short('stations.py::wipe')}.lock"
            lock.unlink(missing_ok=True)
            lock.mkdir()

        @station
        def wipe(spill): ...
        """
    )

    run = done.run("--cc-run")

    assert (run.visited, run.failed) == (("spill",), ("wipe",))
    assert re.fullmatch(
        rf"the ledger cannot be used any more, {done.path}/\.pytest_cache/d/choochoo/default/locks/"
        r"\w+\.lock: is a directory; fix this and run again to resume",
        run.errors["wipe"],
    )


def test_damage_during_a_run_stops_it(done: Project) -> None:
    """If the ledger fails during a visit, the visit counts as failed and nothing else begins."""
    done.stations(
        """
        from pathlib import Path

        @station
        def spill():
            (Path(__file__).parent / ".pytest_cache/d/choochoo/default.sqlite").unlink()

        @station
        def wipe(): log("wipe")
        """
    )

    run = done.run("--cc-run")

    assert (run.exit_code, run.log, run.failed) == (1, (), ("spill",))
    assert run.causes["spill"] == (
        f"the ledger cannot be used any more, {done.path / LEDGER}: it was removed, or replaced; "
        "fix this and run again to resume"
    )
    assert run.errors["spill"].startswith("spill is not recorded: the ledger cannot be used any")
    assert "INTERNALERROR" not in run.text and "Traceback" not in run.text


def test_worker_that_dies_with_the_ledger_ends_the_run(project: Project) -> None:
    """If even the death of a worker cannot be recorded, the controller says so and stops."""
    project.workers = 2
    project.stations(
        """
        import os
        from pathlib import Path

        @station
        def spill():
            (Path(__file__).parent / ".pytest_cache/d/choochoo/default.sqlite").unlink()
            os._exit(3)

        @station
        def wipe(spill): log("wipe")
        """
    )

    run = project.run("--cc-run")

    assert (run.exit_code, run.log) == (1, ())
    assert "INTERNALERROR" not in run.text and "Traceback" not in run.text
    assert (
        f"the ledger cannot be used any more, {project.path / LEDGER}: it was removed, or "
        "replaced; fix this and run again to resume" in run.text
    )


# --- disks


def _mount(folder: Path, *options: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk of its own can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def disk(project: Project) -> Iterator[Path]:
    """A small disk for the ledger; the test is skipped if it cannot be mounted."""
    folder = project.path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or shutil.which("mount") is None:
        pytest.skip("a small disk can be mounted on Linux only")
    _mount(folder, "size=512k")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


FILLING = """
    from pathlib import Path

    @station
    def boil(): return 100

    @station
    def pour(boil):
        log("pour")
        if not (Path(__file__).parent / "enough").exists():
            with open(Path(__file__).parent / "disk/filler", "wb", buffering=0) as file:
                with pytest.raises(OSError):
                    while True:
                        file.write(bytes(512))
        return "tea" * 20_000

    @station
    def sip(pour): log("sip")
"""


def test_full_disk_stops_the_run(project: Project, disk: Path, mode: str) -> None:
    """A visit that cannot be recorded counts as failed, and is repeated once there is room."""
    project.stations(FILLING)

    run = project.run("--cc-run", "--cc-state", "disk/state")
    (disk / "filler").unlink()
    project.write("enough", "")
    after = project.run("--cc-run", "--cc-state", "disk/state")

    assert (run.exit_code != 0, run.log, run.failed) == (True, ("pour",), ("pour",))
    assert run.causes["pour"] == (
        f"the ledger cannot be used any more, {disk}/state/default.sqlite: "
        "database or disk is full; fix this and run again to resume"
    )
    assert "INTERNALERROR" not in run.text and "Traceback" not in run.text
    assert (after.unchanged, after.visited) == (("boil",), ("pour", "sip"))
    assert after.reasons["pour"][0].startswith("last visit was interrupted, begun ")


def test_read_only_disk_is_reported_before_any_visit(project: Project, disk: Path) -> None:
    """On a read-only disk nothing is visited, but its records can be read."""
    project.stations(CHAIN)
    project.write("test_tea.py", "def test_tea(pour): assert pour == 100\n")
    project.run("--cc-run", "--cc-state", "disk/state")
    _mount(disk, "remount", "ro")

    run = project.run("--cc-replay", "all", "--cc-state", "disk/state")
    plain = project.run("--cc-state", "disk/state")

    assert (run.exit_code, run.log) == (4, ())
    assert (
        f"ERROR: the ledger {disk}/state/default.sqlite cannot be written: read-only file system; "
        "name another folder with --cc-state"
    ) in run.outlines
    assert (plain.exit_code, plain.tests) == (0, {"test_tea": "passed"})


def test_file_that_may_not_be_read_is_named(done: Project) -> None:
    """A ledger of another user is an error, and is not replaced."""
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    ledger = done.path / LEDGER
    ledger.chmod(0)

    run, plain = done.run("--cc-run"), done.run("--cc-check")
    ledger.chmod(0o600)

    assert (run.exit_code, run.log) == (4, ())
    assert f"ERROR: the ledger {ledger} cannot be written: permission denied; " in run.text
    assert f"the ledger {ledger} could not be read: unable to open database file" in plain.text
