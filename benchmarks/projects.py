"""Projects to be measured: empty tests, and stations in several shapes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

WIDTH = 20  # steps in a layer

_ABOVE: Mapping[str, Callable[[int, int], tuple[int, ...]]] = {
    "apart": lambda number, width: (),
    "chain": lambda number, width: (number - 1,) if number else (),
    "wide": lambda number, width: (0,) if number else (),
    "layers": lambda number, width: (
        (number - width, number - width - number % width + (number + 1) % width)
        if number >= width
        else ()
    ),
}

SHAPES = tuple(_ABOVE)


def edges(shape: str, count: int, width: int = WIDTH) -> tuple[tuple[int, ...], ...]:
    """Return what each of *count* steps needs, by number; all of it comes before the step."""
    return tuple(_ABOVE[shape](number, width) for number in range(count))


def empty_tests(folder: Path, count: int) -> Path:
    """Write a project of *count* tests that do nothing."""
    tests = "\n\n\n".join(f"def test_{number}():\n    pass" for number in range(count))
    return _written(folder, "test_empty.py", tests)


def stations(folder: Path, count: int, shape: str) -> Path:
    """Write a project of *count* stations without checks, each with a small outcome."""
    texts = ["from pytest_choochoo import station"]
    for number, above in enumerate(edges(shape, count)):
        names = [f"station_{each}" for each in above]
        parameters = ", ".join(f"{name}: int" for name in names)
        outcome = " + ".join(["1", *names])
        texts.append(f"@station\ndef station_{number}({parameters}) -> int:\n    return {outcome}")
    return _written(folder, "stations.py", "\n\n\n".join(texts))


def reporters(folder: Path, count: int, reports: int) -> Path:
    """Write a project of *count* stations that work a little, and report their progress."""
    texts = [
        "from pytest_choochoo import Visit, station",
        "def work(number):\n    return sum(each * each for each in range(number))",
    ]
    texts += [
        f"@station\ndef station_{number}(visit: Visit) -> None:\n"
        f"    for each in visit.track(range({reports})):\n        work(1000)"
        for number in range(count)
    ]
    return _written(folder, "stations.py", "\n\n\n".join(texts))


def sleepers(folder: Path, steps: Sequence[tuple[float, tuple[int, ...]]]) -> Path:
    """Write a project of stations, each with the seconds that it sleeps and what it needs.

    Each writes the time when it begins and when it ends into `log.txt`.
    """
    texts = [
        "from pathlib import Path\nfrom time import sleep, time",
        "from pytest_choochoo import station",
        'LOG = Path(__file__).with_name("log.txt")',
        "def work(seconds):\n    began = time()\n    sleep(seconds)\n    note(began, time())",
        'def note(*times):\n    with LOG.open("a") as log:\n        print(*times, file=log)',
    ]
    for number, (seconds, above) in enumerate(steps):
        parameters = ", ".join(f"station_{each}" for each in above)
        texts.append(f"@station\ndef station_{number}({parameters}):\n    work({seconds})")
    return _written(folder, "stations.py", "\n\n\n".join(texts))


def caller(folder: Path, calls: int) -> Path:
    """Write a project of one station that does nothing but call a function of the project."""
    text = f"""
from pytest_choochoo import station


def step():
    pass


@station
def walk():
    for _ in range({calls}):
        step()
"""
    return _written(folder, "stations.py", text)


_TIMES = """
from pathlib import Path


class Times:
    def __init__(self):
        self.noted = []

    def pytest_runtest_logreport(self, report):
        self.noted += (report.start, report.stop)

    def pytest_sessionfinish(self):
        text = f"{min(self.noted)} {max(self.noted)}"
        Path(__file__).with_name("log.txt").write_text(text)


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Times())
"""


def timed(project: Path) -> Path:
    """Make runs of *project* write to `log.txt` when their items began and when they ended.

    If the stations wrote it themselves, the writing would be measured as well.
    """
    (project / "conftest.py").write_text(_TIMES)
    return project


def forget_all(folder: Path) -> None:
    """Take a project back to before its first run; what Python compiled stays.

    The cache is moved away, not deleted: some file systems create files slowly just after
    others were deleted, which is no cost of a first run.
    """
    cache = folder / ".pytest_cache"
    if cache.exists():
        cache.rename(tempfile.mkdtemp(dir=folder.parent, prefix="forgotten-") + "/cache")


def _written(folder: Path, name: str, text: str) -> Path:
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / name).write_text(f"{text}\n")
    return folder
