"""Kills runs at chosen or random moments, and compares the ledger with the facts.

`python tests/soak/kill_runs.py` runs the requested number of rounds, and prints the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, product
from pathlib import Path
from typing import Any

from harness import OPTIONAL, outside

from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.opening import read_ledger

HERE = Path(__file__).resolve().parent
#: Two chains and a station that joins them: the upstream of each station, by number.
UPSTREAM = ((), (0,), (1,), (), (3,), (2, 4))
KEYS = tuple(f"stations.py::s{n}" for n in range(len(UPSTREAM)))
MOMENTS = tuple(
    product(("before", "after"), ("lock", "begin", "resource", "finish", "result", "release"))
)
Moment = tuple[str, str, int, str]


@dataclass(kw_only=True)
class KilledProject:
    """A project in *folder* in which runs are killed, with *workers* as the value of `-n`."""

    folder: Path
    workers: int = 0
    pause: float = 0.0
    _numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        stations = ["from kill_plugin import work\nfrom pytest_choochoo import Visit, station\n"]
        for n, upstream in enumerate(UPSTREAM):
            parameters = "".join(f"s{each}: str, " for each in upstream)
            stations.append(
                f"@station(files=['round.txt'])\n"
                f"def s{n}({parameters}visit: Visit) -> str:\n    return work('s{n}', visit)\n"
            )
        (self.folder / "stations.py").write_text("\n\n".join(stations))
        (self.folder / "pytest.ini").touch()
        self.begin_round()

    def begin_round(self) -> None:
        """Make every station due, and remove the log."""
        (self.folder / "round.txt").write_text(str(next(self._numbers)))
        for file in self.folder.glob("log*"):
            file.unlink()

    @property
    def log(self) -> list[dict[str, Any]]:
        file = self.folder / "log"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def start(self, moment: Moment | None = None, *arguments: str) -> subprocess.Popen[str]:
        """Start a run that is killed at *moment*; its output ends with its last process."""
        without = [f"-pno:{name}" for name in OPTIONAL.values()]
        command = [sys.executable, "-m", "pytest", "-p", "kill_plugin", *without, "--cc-run", "-v"]
        if self.workers:
            command += ["-n", str(self.workers)]
        environment = outside() | {
            "PYTHONPATH": str(HERE),
            "KILLER_LOG": str(self.folder / "log"),
            "KILLER_MOMENT": json.dumps(moment or ()),
            "KILLER_PAUSE": str(self.pause),
        }
        return subprocess.Popen(
            [*command, *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def kill_at(self, moment: Moment) -> None:
        """Start a run that is killed at *moment*, and wait for the end of all its processes."""
        self.start(moment).communicate()

    def kill_after(self, seconds: float, target: str) -> None:
        """Kill a run, or its controller, *seconds* after its first write; wait for the end."""
        run = self.start()
        while run.poll() is None and not (self.folder / "log").exists():
            time.sleep(0.002)
        time.sleep(seconds)
        (os.killpg if target == "all" else os.kill)(run.pid, signal.SIGKILL)
        run.communicate()

    def problems(self) -> list[str]:
        """Return the differences between the ledger and the facts."""
        ledger, log = (
            read_ledger(LedgerLocation(self.folder / ".pytest_cache/d/choochoo", "default")),
            self.log,
        )
        found = [f"warned: {line['key']}" for line in log if line["what"] == "warned"]
        for key in KEYS:
            events = [line for line in log if line["key"] == key]
            ended = [line["token"] for line in events if line["what"] == "end"]
            record, written = ledger.record(key), ledger.resources(key)
            is_new = record is not None and record.fingerprint is not None
            is_complete = record is not None and record.is_complete
            outcome = json.loads(record.outcome or "null") if record is not None else None
            last = next((e for e in reversed(events) if e["what"] in {"visit", "finish"}), None)
            if last is not None and last["what"] == "finish" and last["token"] == "complete":
                if not is_complete or outcome != ended[-1]:
                    found.append(f"lost: {key}")
            if last is not None and last["what"] == "visit":
                if last["token"] not in ended and is_complete:
                    found.append(f"falsely complete: {key}")
                if not is_complete and (record is None or record.status == "unreadable"):
                    found.append(f"no trace of a visit: {key}")
            if ended and is_complete and is_new and outcome not in ended:
                found.append(f"outcome of another visit: {key}")
            for line in events:
                name = line["token"].partition(" ")[0]
                if line["what"] == "resource" and written.get(name) is None:
                    found.append(f"resource lost: {key} {line['token']}")
        ledger.close()
        return found

    def problems_of_resuming(self) -> list[str]:
        """Run again, without a kill; return its wrong visits and the stations left undone."""
        before = self.log
        finished = {
            line["key"]
            for line in before
            if (line["what"], line["token"]) == ("finish", "complete")
        }
        place = LedgerLocation(self.folder / ".pytest_cache/d/choochoo", "default")
        ledger = read_ledger(place)
        visiting = {k: r.pid for k, r in ledger.records().items() if r.status == "visiting"}
        ledger.close()
        run = self.start()
        text, _ = run.communicate()
        found = [] if run.returncode == 0 else [f"exit code {run.returncode}:\n{text}"]
        again = {line["key"] for line in self.log[len(before) :] if line["what"] == "visit"}
        found += [f"visited again: {key}" for key in finished & again]
        found += [
            f"not reported as interrupted: {key}\n{text}"
            for key, pid in visiting.items()
            if "last visit was interrupted, begun " not in text or f"by process {pid} " not in text
        ]
        ledger = read_ledger(place)
        records = ledger.records()
        ledger.close()
        found += [
            f"left undone: {k}" for k in KEYS if k not in records or not records[k].is_complete
        ]
        return found + self.problems()


def moments(number: int, workers: int) -> Iterator[Moment]:
    """Yield every moment for a kill, up to the n-th call; the target varies."""
    target = ("controller", "all", "self") if workers else ("self",)
    for turn, ((when, what), n) in enumerate(product(MOMENTS, range(1, number + 1))):
        if what != "result" or workers:  # a serial run shares no results
            yield when, what, n, target[turn % len(target)]


def rounds_of_killing(
    project: KilledProject, rounds: int, seed: int
) -> tuple[Counter[str], list[str]]:
    """Kill runs, half of them at chosen moments; return the figures and the problems."""
    figures, failures, dice = Counter[str](), list[str](), random.Random(seed)
    chosen = list(moments(6, project.workers))
    project.pause = 0.02
    for number in range(rounds):
        project.begin_round()
        if number % 2:
            moment = dice.choice(chosen)
            project.kill_at(moment)
            name = " ".join(map(str, moment))
        else:
            target = dice.choice(("all", "controller"))
            seconds = dice.uniform(0, 0.35)
            project.kill_after(seconds, target)
            name = f"{target} after {seconds:.3f} s"
        figures["kills"] += 1
        figures["visits begun"] += sum(line["what"] == "visit" for line in project.log)
        figures["visits under way"] += _under_way(project.log)
        figures["visits recorded before the kill"] += sum(
            (line["what"], line["token"]) == ("finish", "complete") for line in project.log
        )
        found = project.problems() + project.problems_of_resuming()
        failures += [f"{name}: {each}" for each in found]
    return figures, failures


def _under_way(log: list[dict[str, Any]]) -> int:
    begun = [line["token"] for line in log if line["what"] == "visit"]
    ended = {line["token"] for line in log if line["what"] == "end"}
    return sum(token not in ended for token in begun)


def problems_of_a_crowd(project: KilledProject, processes: int) -> list[str]:
    """Start many runs at once; return failed runs, and stations not visited exactly once."""
    project.begin_round()
    runs = [project.start() for _ in range(processes)]
    texts = [run.communicate()[0] for run in runs]
    found = [
        f"exit code {run.returncode}:\n{text}" for run, text in zip(runs, texts) if run.returncode
    ]
    visits = Counter(line["key"] for line in project.log if line["what"] == "visit")
    found += [f"{key} was visited {visits[key]} times" for key in KEYS if visits[key] != 1]
    return found + project.problems()


def problems_of_removals(project: KilledProject, processes: int, dice: random.Random) -> list[str]:
    """Start runs at once, and remove locks and folders meanwhile; return what is wrong then.

    Runs may fail and visits may overlap, but of two that do at most one is recorded, and a run
    that is left alone completes everything.
    """
    project.begin_round()
    data = project.folder / ".pytest_cache/d/choochoo/default"
    runs = [project.start() for _ in range(processes)]
    while any(run.poll() is None for run in runs):
        time.sleep(dice.uniform(0, 0.03))
        match dice.randrange(8):
            case 0:
                shutil.rmtree(data / "locks", ignore_errors=True)
            case 1:
                shutil.rmtree(data / "stations", ignore_errors=True)
            case _:
                for lock in sorted(data.glob("locks/????????????????.lock")):
                    if dice.random() < 0.3:
                        lock.unlink(missing_ok=True)
    for run in runs:
        run.communicate()
    found = [
        f"two visits at once are recorded: {key}" for key in KEYS if _overlap(project.log, key)
    ]
    last = project.start()
    text, _ = last.communicate()
    return found + ([f"exit code {last.returncode}:\n{text}"] if last.returncode else [])


def _overlap(log: list[dict[str, Any]], key: str) -> bool:
    """Return whether two visits of *key* that were under way at once are both recorded."""
    under_way: dict[int, set[int]] = {}
    visiting, recorded = set[int](), set[int]()
    for line in (each for each in log if each["key"] == key):
        pid = line["pid"]
        match line["what"]:
            case "visit":
                under_way[pid] = set(visiting)
                for other in visiting:
                    under_way[other].add(pid)
                visiting.add(pid)
            case "end":
                visiting.discard(pid)
            case "finish" if line["token"] == "complete":
                recorded.add(pid)
    return any(pid in recorded and others & recorded for pid, others in under_way.items())


def rounds_of_removals(
    project: KilledProject, rounds: int, seed: int
) -> tuple[Counter[str], list[str]]:
    figures, failures, dice = Counter[str](), list[str](), random.Random(seed)
    project.pause = 0.05
    for _ in range(rounds):
        failures += problems_of_removals(project, 3, dice)
        figures["rounds with removed locks"] += 1
        figures["visits"] += sum(line["what"] == "visit" for line in project.log)
    return figures, failures


def rounds_of_crowds(
    project: KilledProject, rounds: int, crowds: Sequence[int]
) -> tuple[Counter[str], list[str]]:
    figures, failures = Counter[str](), list[str]()
    for number in range(rounds):
        processes = crowds[number % len(crowds)]
        failures += [
            f"{processes} at once: {each}" for each in problems_of_a_crowd(project, processes)
        ]
        figures["rounds"] += 1
        figures["runs"] += processes
        figures["visits"] += sum(line["what"] == "visit" for line in project.log)
    return figures, failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="kills of serial runs, and of -n 2")
    parser.add_argument("--crowds", type=int, default=60, help="rounds of 2, 5 and 20 runs at once")
    parser.add_argument("--removals", type=int, default=30, help="rounds with removed locks")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    parts: list[tuple[str, int, Callable[[KilledProject], tuple[Counter[str], list[str]]]]] = [
        ("serial", 0, lambda project: rounds_of_killing(project, asked.kills, asked.seed)),
        ("-n 2", 2, lambda project: rounds_of_killing(project, asked.kills, asked.seed)),
        ("serial", 0, lambda project: rounds_of_crowds(project, asked.crowds, (2, 5, 20))),
        ("-n 2", 2, lambda project: rounds_of_crowds(project, asked.crowds // 4, (2, 5))),
        ("serial", 0, lambda project: rounds_of_removals(project, asked.removals, asked.seed)),
        ("-n 2", 2, lambda project: rounds_of_removals(project, asked.removals // 2, asked.seed)),
    ]
    failed = False
    for name, workers, rounds in parts:
        with tempfile.TemporaryDirectory() as folder:
            figures, failures = rounds(KilledProject(folder=Path(folder), workers=workers))
        said = ", ".join(f"{number} {what}" for what, number in figures.items())
        sys.stdout.write(
            "\n  ".join((f"{name}: {said}, {len(failures)} failures", *failures)) + "\n"
        )
        sys.stdout.flush()
        failed |= bool(failures)
    return failed


if __name__ == "__main__":
    sys.exit(main())
