"""Runs that are killed at a chosen or a random moment, and what is left of them compared with facts.

`python tests/kill_runs.py` goes on for as many rounds as it is asked for, and prints the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import random
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
#: Two chains and what joins them: upstream of each station by its number.
UPSTREAM = ((), (0,), (1,), (), (3,), (2, 4))
KEYS = tuple(f"stations.py::s{n}" for n in range(len(UPSTREAM)))
MOMENTS = tuple(
    product(("before", "after"), ("lock", "begin", "resource", "finish", "result", "release"))
)
Moment = tuple[str, str, int, str]


@dataclass(kw_only=True)
class Yard:
    """A project in *folder*, in which runs are killed; *workers*: as many as `-n` says, or none."""

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
        """Make every station due, and forget what the log says."""
        (self.folder / "round.txt").write_text(str(next(self._numbers)))
        for file in self.folder.glob("log*"):
            file.unlink()

    @property
    def log(self) -> list[dict[str, Any]]:
        file = self.folder / "log"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def start(self, moment: Moment | None = None, *arguments: str) -> subprocess.Popen[str]:
        """Start a run that is to be killed at *moment*; its output ends with its last process."""
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
        """Have a run killed at *moment*, and wait for the last of its processes to be gone."""
        self.start(moment).communicate()

    def kill_after(self, seconds: float, whom: str) -> None:
        """Kill a run, or its controller, as long after it began to write; wait for the end."""
        run = self.start()
        while run.poll() is None and not (self.folder / "log").exists():
            time.sleep(0.002)
        time.sleep(seconds)
        (os.killpg if whom == "all" else os.kill)(run.pid, signal.SIGKILL)
        run.communicate()

    def wrongs(self) -> list[str]:
        """Return what the ledger says and was not so, or was so and it does not say."""
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

    def wrongs_of_resuming(self) -> list[str]:
        """Run again, undisturbed; return what it did that it should not, or left undone."""
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
            f"not said to be interrupted: {key}\n{text}"
            for key, pid in visiting.items()
            if "last visit was interrupted, begun " not in text or f"by process {pid} " not in text
        ]
        ledger = read_ledger(place)
        records = ledger.records()
        ledger.close()
        found += [
            f"left undone: {k}" for k in KEYS if k not in records or not records[k].is_complete
        ]
        return found + self.wrongs()


def moments(number: int, workers: int) -> Iterator[Moment]:
    """Yield every moment to die at, up to the n-th call; whom it hits takes turns."""
    whom = ("controller", "all", "self") if workers else ("self",)
    for turn, ((when, what), n) in enumerate(product(MOMENTS, range(1, number + 1))):
        if what != "result" or workers:  # alone, a process tells nobody how a station ended
            yield when, what, n, whom[turn % len(whom)]


def rounds_of_killing(yard: Yard, rounds: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Kill as many runs, half of them at chosen moments; return the figures, and what was wrong."""
    figures, wrong, dice = Counter[str](), list[str](), random.Random(seed)
    chosen = list(moments(6, yard.workers))
    yard.pause = 0.02
    for number in range(rounds):
        yard.begin_round()
        if number % 2:
            moment = dice.choice(chosen)
            yard.kill_at(moment)
            name = " ".join(map(str, moment))
        else:
            whom = dice.choice(("all", "controller"))
            seconds = dice.uniform(0, 0.35)
            yard.kill_after(seconds, whom)
            name = f"{whom} after {seconds:.3f} s"
        figures["kills"] += 1
        figures["visits begun"] += sum(line["what"] == "visit" for line in yard.log)
        figures["visits under way"] += _under_way(yard.log)
        figures["visits recorded before the kill"] += sum(
            (line["what"], line["token"]) == ("finish", "complete") for line in yard.log
        )
        found = yard.wrongs() + yard.wrongs_of_resuming()
        wrong += [f"{name}: {each}" for each in found]
    return figures, wrong


def _under_way(log: list[dict[str, Any]]) -> int:
    begun = [line["token"] for line in log if line["what"] == "visit"]
    ended = {line["token"] for line in log if line["what"] == "end"}
    return sum(token not in ended for token in begun)


def wrongs_of_a_crowd(yard: Yard, processes: int) -> list[str]:
    """Start as many runs at once; return what was not visited exactly once, and who failed."""
    yard.begin_round()
    runs = [yard.start() for _ in range(processes)]
    texts = [run.communicate()[0] for run in runs]
    found = [
        f"exit code {run.returncode}:\n{text}" for run, text in zip(runs, texts) if run.returncode
    ]
    visits = Counter(line["key"] for line in yard.log if line["what"] == "visit")
    found += [f"{key} was visited {visits[key]} times" for key in KEYS if visits[key] != 1]
    return found + yard.wrongs()


def rounds_of_crowds(
    yard: Yard, rounds: int, crowds: Sequence[int]
) -> tuple[Counter[str], list[str]]:
    figures, wrong = Counter[str](), list[str]()
    for number in range(rounds):
        processes = crowds[number % len(crowds)]
        wrong += [f"{processes} at once: {each}" for each in wrongs_of_a_crowd(yard, processes)]
        figures["rounds"] += 1
        figures["runs"] += processes
        figures["visits"] += sum(line["what"] == "visit" for line in yard.log)
    return figures, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="kills of serial runs, and of -n 2")
    parser.add_argument("--crowds", type=int, default=60, help="rounds of 2, 5 and 20 runs at once")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    parts: list[tuple[str, int, Callable[[Yard], tuple[Counter[str], list[str]]]]] = [
        ("serial", 0, lambda yard: rounds_of_killing(yard, asked.kills, asked.seed)),
        ("-n 2", 2, lambda yard: rounds_of_killing(yard, asked.kills, asked.seed)),
        ("serial", 0, lambda yard: rounds_of_crowds(yard, asked.crowds, (2, 5, 20))),
        ("-n 2", 2, lambda yard: rounds_of_crowds(yard, asked.crowds // 4, (2, 5))),
    ]
    failed = False
    for name, workers, rounds in parts:
        with tempfile.TemporaryDirectory() as folder:
            figures, wrong = rounds(Yard(folder=Path(folder), workers=workers))
        said = ", ".join(f"{number} {what}" for what, number in figures.items())
        sys.stdout.write("\n  ".join((f"{name}: {said}, {len(wrong)} wrong", *wrong)) + "\n")
        sys.stdout.flush()
        failed |= bool(wrong)
    return failed


if __name__ == "__main__":
    sys.exit(main())
