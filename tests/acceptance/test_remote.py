"""Workers that cannot see the ledger use the one of the controller."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from background import HELD, BackgroundRuns
from harness import HERE, Project, Run


@pytest.fixture
def far(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server for socket workers, in a directory of its own, as on another host."""
    command = [sys.executable, "-u", "-m", "execnet.script.socketserver", "127.0.0.1:0"]
    server = subprocess.Popen(
        command,
        cwd=tmp_path_factory.mktemp("far"),
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(HERE)},
        start_new_session=True,
    )
    assert server.stdout is not None
    found = re.search(r"\('127.0.0.1', (\d+)\)", server.stdout.readline())
    assert found is not None
    yield f"socket=127.0.0.1:{found[1]}"
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    server.stdout.close()


def run(project: Project, *specs: str, options: tuple[str, ...] = ()) -> Run:
    """Run all stations with workers for *specs*."""
    tx = [part for spec in specs for part in ("--tx", spec)]
    folder = str(project.path)
    return project.run(
        "--cc-run",
        "--dist=load",
        *tx,
        f"--rsyncdir={folder}",
        *options,
        folder,
        new_interpreter=True,
    )


def test_near_and_far_workers_share_one_ledger(project: Project, far: str) -> None:
    """Each station is visited once, in any worker, and every worker receives its outcome."""
    project.stations(
        """
        import os
        import time
        from pathlib import Path

        @station
        @pytest.mark.parametrize("number", range(6))
        def place(number) -> Path:
            log(number)
            time.sleep(0.1)
            return Path.cwd()

        @station
        def places(place: dict[str, Path]) -> int:
            return len(set(place.values()))
        """
    )
    project.write("test_site.py", "def test_site(places): assert places == 2")
    first = run(project, "popen", far)
    assert (first.exit_code, first.closing) == (0, "7 visited"), first.text
    assert sorted(first.log) == sorted(map(str, range(6)))

    assert run(project, "popen", far).closing == "7 unchanged"
    serial = project.run("--cc-run")
    assert (serial.closing, serial.last_line) == ("7 unchanged", "8 passed")


def test_ledger_is_where_the_controller_is(project: Project, far: str) -> None:
    """A remote worker keeps no records, only the directories of its stations."""
    project.stations(
        """
        @station
        def boil(visit):
            (visit.dir / "tea").touch()
            return str(visit.dir)
        """
    )
    project.write(
        "test_site.py",
        """
        from pathlib import Path

        def test_site(boil):
            assert (Path(boil) / "tea").exists()
            assert not list(Path(boil).parents[2].glob("*.sqlite"))
        """,
    )
    assert run(project, far).last_line.startswith("2 passed")
    assert list((project.path / ".pytest_cache/d/choochoo").glob("*.sqlite"))


def test_remote_worker_has_the_key_of_the_controller(project: Project, far: str) -> None:
    """Digests of inputs that a remote worker makes are believed where the ledger is."""
    project.stations("@station(files=['pin.txt'])\ndef unlock() -> None: ...\n")
    project.write("pin.txt", "1234")

    first = run(project, far)
    serial = project.run("--cc-run")
    project.write("pin.txt", "4321")
    changed = project.run("--cc-run")

    assert (first.closing, serial.closing) == ("1 visited", "1 unchanged")
    assert changed.reasons == {"unlock": ("file pin.txt changed",)}


def test_failure_of_a_remote_worker_is_remembered(project: Project, far: str) -> None:
    """Its resources, reasons and blocked downstream are recorded as usual."""
    project.stations(
        """
        @station
        def boil(visit):
            log(visit.resources)
            if visit.resources:
                return
            visit.resources["kettle"] = {"id": 7}
            visit.resources["cup"] = 1
            del visit.resources["cup"]
            raise RuntimeError("cold")

        @station
        def pour(boil): ...
        """
    )
    first = run(project, far)
    assert (first.closing, first.blamed) == ("1 failed, 1 blocked", {"pour": ("boil",)})

    second = run(project, far)
    assert second.closing == "2 visited"
    assert second.log == ("{'kettle': {'id': 7}}",)
    assert re.match(r"last visit failed .* ago: RuntimeError: cold", second.reasons["boil"][0])


def test_remote_worker_waits_for_another_visit(background: BackgroundRuns, far: str) -> None:
    """The controller waits for the lock on its behalf, and names the visiting process."""
    project = background.project
    project.stations(HELD)
    near = background.held("--cc-run")
    other = background.start(
        "--cc-run", "--dist=load", "--tx", far, f"--rsyncdir={project.path}", str(project.path)
    )
    line = f"choochoo: boil: waiting for process {near.pid} on "
    background.wait_for(lambda: line in background.text(other))
    background.release()

    assert near.wait() == other.wait() == 0, background.text(other)
    assert project.log() == ("boil begins", "boil ends", "pour")


def test_dead_remote_worker_holds_no_lock(project: Project, far: str) -> None:
    """Its station fails, and another process can visit it at once."""
    project.stations(
        """
        import os

        @station
        def boil(): os._exit(1)

        @station
        def grind(): ...
        """
    )
    first = run(project, "popen", far)
    assert first.results == {"boil": "failed", "grind": "visited"}, first.text
    project.edit("stations.py", "os._exit(1)", "...")
    assert project.run("--cc-run", "--cc-lock-timeout=0").closing == "1 visited, 1 unchanged"


def test_near_worker_opens_the_ledger_itself(project: Project, tmp_path: Path) -> None:
    """A worker in another directory with the same --cc-state does not ask the controller."""
    project.workers = 2
    project.stations("@station\ndef boil(): ...")
    project.write(
        "conftest.py",
        """
        from pytest_choochoo.engine.ledger import remote

        def unexpected(*arguments):
            raise AssertionError("asked for the ledger")

        remote.RemoteLedger.__init__ = unexpected
        """,
    )
    assert project.run("--cc-run", f"--cc-state={tmp_path}").closing == "1 visited"


def test_worker_ends_with_the_controller_that_holds_its_lock(
    background: BackgroundRuns, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No other run visits a station while an orphaned worker is still visiting it."""
    background.project.stations(
        """
        import os
        import time
        from pathlib import Path

        @station
        def boil():
            log(os.getpid())
            while (Path(__file__).parent / "hold").exists():
                time.sleep(0.01)
        """
    )
    other = tmp_path_factory.mktemp("elsewhere") / "project"
    shutil.copytree(background.project.path, other)
    (other / "hold").touch()
    run = background.start("--cc-run", "--dist=load", "--tx", f"popen//chdir={other}")
    background.wait_for(lambda: len(background.project.log()) == 1)
    worker = int(background.project.log()[0])

    os.kill(run.pid, signal.SIGKILL)
    background.wait_for(lambda: not _is_running(worker))

    assert background.project.run("--cc-run").visited == ("boil",)


def _is_running(pid: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return state != "" and not state.startswith("Z")


def test_far_worker_that_sends_rubbish_is_ended(project: Project, far: str) -> None:
    """Its connection is closed, whatever it is doing; the worker here goes on."""
    project.stations(
        """
        import os, time

        @station
        @pytest.mark.parametrize("number", range(8))
        def boil(number, pytestconfig):
            if pytestconfig.workerinput["workerid"] == "gw1":
                pytestconfig.workerinput["choochoo"]["channel"].send("{oops")
                time.sleep(300)
            time.sleep(0.5)
            log(number)
        """
    )

    ended = run(project, "popen", far, options=("--max-worker-restart=0",))

    [failed] = ended.failed
    assert ended.causes[failed].startswith("worker gw1 was ended, as it sent a message that is not")
    assert ended.exit_code == 1
    assert len(ended.visited) == len(ended.log)
