"""The cost of a pytest command: CPU time and memory of its process, as the kernel counts them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

PLUGIN = ("-p", "pytest_choochoo.plugin")
# In bytes on macOS, in kilobytes elsewhere.
_MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a process took: *seconds* of CPU time, *memory* at its peak in bytes."""

    seconds: float
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median of several measurements, and the quartiles around it."""

    low: float
    middle: float
    high: float


def cost(folder: Path, *arguments: str, says: str) -> Cost:
    """Run pytest in *folder*; return what it took.

    Raises `RuntimeError` unless it succeeds and its output has *says* in it:
    what went wrong must not be taken for fast.
    """
    command = [sys.executable, "-m", "pytest", *arguments]
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=_environment(), stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode or says not in text:
        raise RuntimeError(f"{command} in {folder} does not say {says!r}:\n{text[-4000:]}")
    return Cost(seconds=usage.ru_utime + usage.ru_stime, memory=usage.ru_maxrss * _MEMORY_UNIT)


def _environment() -> dict[str, str]:
    """Return our environment without what makes Python or pytest other than they are."""
    altering = ("PYTEST", "PYTHON", "CC_", "COV")
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

    The machine's moods then meet both alike. The first of each is not counted: it compiles.
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
