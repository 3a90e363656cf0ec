"""The cost of a command: time and memory of its processes, as the kernel counts them."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

PLUGIN = ("-p", "pytest_choochoo.plugin")
_NO_VARIABLES: Mapping[str, str] = {}
# In bytes on macOS, in kilobytes elsewhere.
_MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of a command: *seconds* of CPU time, *wall* seconds elapsed, *memory* in bytes.

    The CPU time includes all descendants that were waited for; the memory is the peak of the
    process alone.
    """

    seconds: float
    wall: float
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median of several measurements, and the quartiles around it."""

    low: float
    middle: float
    high: float


def cost(
    folder: Path,
    *arguments: str,
    says: str,
    exits: int = 0,
    variables: Mapping[str, str] = _NO_VARIABLES,
    on_terminal: bool = False,
) -> Cost:
    """Run pytest in *folder*, with *variables* in its environment; return its cost.

    Raises `RuntimeError` unless it exits with the status *exits* and prints *says*:
    a run that failed early must not count as a fast one.
    """
    command = (sys.executable, "-m", "pytest", *arguments)
    taken, output = run(folder, command, exits, variables, on_terminal=on_terminal)
    if says not in output:
        raise RuntimeError(f"{command} in {folder} does not say {says!r}:\n{output[-4000:]}")
    return taken


def run(
    folder: Path,
    command: Sequence[str],
    exits: int = 0,
    variables: Mapping[str, str] = _NO_VARIABLES,
    *,
    on_terminal: bool = False,
) -> tuple[Cost, str]:
    """Run *command* in *folder*, perhaps *on_terminal*; return its cost and its output.

    Raises `RuntimeError` unless it exits with the status *exits*.
    """
    environment = _environment() | dict(variables)
    with _terminal() if on_terminal else _file() as (output, text_of):
        began = perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        text = text_of()
    if process.returncode != exits:
        raise RuntimeError(f"{command} in {folder} ends with {process.returncode}:\n{text[-4000:]}")
    seconds, memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _MEMORY_UNIT
    return Cost(seconds=seconds, wall=wall, memory=memory), text


@contextmanager
def _file() -> Iterator[tuple[int, Callable[[], str]]]:
    """Yield the number of a file for the output of a process, and what returns its text."""

    def text_of() -> str:
        output.seek(0)
        return output.read()

    with tempfile.TemporaryFile("w+") as output:
        yield output.fileno(), text_of


@contextmanager
def _terminal() -> Iterator[tuple[int, Callable[[], str]]]:
    """Yield the number of a terminal of 80 columns, and what closes it and returns its text."""
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    parts: list[bytes] = []

    def read() -> None:
        with suppress(OSError):  # Linux reports the end of the other side so
            while part := os.read(main, 65536):
                parts.append(part)

    def text_of() -> str:
        os.close(other)
        reader.join()
        return b"".join(parts).decode(errors="replace")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield other, text_of
    finally:
        os.close(main)


def _environment() -> dict[str, str]:
    """Return our environment without the variables that change how the tools work."""
    # In an environment of tox, pytest would keep one cache for all projects.
    altering = ("PYTEST", "PYTHON", "CC_", "COV", "TOX_", "MAKE", "DOIT_", "SNAKEMAKE_")
    ours = {
        name: text
        for name, text in os.environ.items()
        if name == "PYTHONPATH" or not name.startswith(altering)
    }
    # No other plugin, and the same order of sets and dicts every time.
    return ours | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONHASHSEED": "0"}


def pairs(
    count: int, one: Callable[[], Cost], other: Callable[[], Cost]
) -> Iterator[tuple[Cost, Cost]]:
    """Yield the costs of *one* and *other*, measured in turn: A B A B.

    A change of the machine's load then affects both alike. The first run of each does not count,
    since it compiles.
    """
    one(), other()
    for _ in range(count):
        yield one(), other()


def spread(numbers: list[float]) -> Spread:
    """Return the median of *numbers* and its quartiles."""
    if len(numbers) == 1:
        return Spread(low=numbers[0], middle=numbers[0], high=numbers[0])
    low, _, high = quantiles(numbers, n=4, method="inclusive")
    return Spread(low=low, middle=median(numbers), high=high)
