"""Pytest commands that run beside the test, and beside each other."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from forking import ForkedProcess, ForkServer
from harness import OPTIONAL, Project

PATIENCE = 30  # seconds

# A station whose visit lasts as long as the file `hold` exists.
HELD = """
    import time
    from pathlib import Path
    HERE = Path(__file__).parent

    @station
    def boil():
        log("boil begins")
        (HERE / "begun").touch()
        while (HERE / "hold").exists():
            time.sleep(0.01)
        log("boil ends")
        return 100

    @boil.clean
    def cool(boil):
        log("cool")

    @station
    def pour(boil):
        log("pour")
"""


@dataclass(kw_only=True)
class BackgroundRuns:
    """Pytest commands that run beside the test, and end with it."""

    project: Project
    forks: ForkServer
    running: list[ForkedProcess] = field(default_factory=list)

    def start(self, *arguments: str) -> ForkedProcess:
        without = [f"-pno:{name}" for name in OPTIONAL.values()]
        output = self.project.path / f"output-{len(self.running)}.txt"
        with output.open("wb") as file, open(os.devnull, "rb") as nothing:
            process = self.forks.start(
                *("-m", "pytest", *without, *arguments),
                files=[nothing.fileno(), file.fileno(), file.fileno()],
                folder=self.project.path,
                environment=os.environ,
            )
        self.running.append(process)
        return process

    def text(self, process: ForkedProcess) -> str:
        """Return the output of *process* so far."""
        name = f"output-{self.running.index(process)}.txt"
        return (self.project.path / name).read_text()

    def end(self, process: ForkedProcess) -> str:
        """Wait for the end of *process*, and return its output."""
        process.wait(timeout=PATIENCE)
        return self.text(process)

    def held(self, *arguments: str) -> ForkedProcess:
        """Start a run, and return during a visit that `release` ends."""
        self.project.write("hold", "")
        process = self.start(*arguments)
        self.wait_for((self.project.path / "begun").exists)
        return process

    def interrupt(self, process: ForkedProcess, number: signal.Signals = signal.SIGINT) -> None:
        """Send a signal to all processes of the command, as Ctrl-C does in a terminal."""
        os.killpg(process.pid, number)

    def release(self) -> None:
        self.project.remove("hold")

    def wait_for(self, is_true: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not is_true():
            assert time.monotonic() < end, "it took too long"
            time.sleep(0.01)

    def stop(self) -> None:
        for process in self.running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
