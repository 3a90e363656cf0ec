"""A pytest command on a terminal of a given size, as its user sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyte
from harness import HERE, OPTIONAL, outside

PATIENCE = 180.0


class Emulator:
    """A pytest command in *folder* whose output a terminal of *columns* by *rows* shows.

    *text*: all that it wrote, with what the terminal obeys.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        columns: int = 80,
        rows: int = 24,
        **environment: str,
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=10_000)
        self._stream = pyte.ByteStream(self.screen)
        self.text = ""
        self._main, other = pty.openpty()
        self.resize(columns, rows)
        without = [f"-pno:{name}" for name in OPTIONAL.values()]
        command = [sys.executable, "-m", "pytest", *without, *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=other,
            stdout=other,
            stderr=other,
            env=outside() | {"PYTHONPATH": str(HERE), "TERM": "xterm-256color"} | environment,
            start_new_session=True,
        )
        os.close(other)

    def resize(self, columns: int, rows: int) -> None:
        """Let the window have another size."""
        fcntl.ioctl(self._main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    @property
    def lines(self) -> list[str]:
        """The lines on the screen, without empty ones."""
        return [line.rstrip() for line in self.screen.display if line.strip()]

    @property
    def all_lines(self) -> list[str]:
        """The lines that have scrolled out, and those on the screen."""
        columns = range(self.screen.columns)
        past = ("".join(line[x].data for x in columns) for line in self.screen.history.top)
        return [line.rstrip() for line in (*past, *self.screen.display)]

    def until(self, condition: Callable[[Emulator], object]) -> None:
        """Wait until the screen meets *condition*."""
        end = time.monotonic() + PATIENCE
        while not condition(self):
            assert time.monotonic() < end, "\n".join(self.lines)
            assert self._read(0.2) is not None, "\n".join(self.all_lines)

    def until_over(self) -> int:
        """Wait for the end of the command, and return its exit code."""
        end = time.monotonic() + PATIENCE
        while self._read(0.2) is not None:
            assert time.monotonic() < end, "\n".join(self.lines)
        return self.process.wait(PATIENCE)

    def interrupt(self) -> None:
        """Interrupt the command and its workers, as Ctrl-C does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE)
        os.close(self._main)

    def _read(self, seconds: float) -> bytes | None:
        """Feed the screen with what has come; return it, None at the end."""
        if not select.select([self._main], [], [], seconds)[0]:
            return b""
        with suppress(OSError):  # Linux reports the end of the other side so
            if data := os.read(self._main, 65536):
                self.text += data.decode(errors="replace")
                self._stream.feed(data)
                return data
        return None
