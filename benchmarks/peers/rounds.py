"""All tools in turn, round after round, so that changes of the load affect all of them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import Cost, run
from benchmarks.peers.projects import INPUT, RAN
from benchmarks.peers.tools import Tool
from benchmarks.peers.workflow import Situation, Workflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of one tool: what it cost, and how many steps ran."""

    cost: Cost
    steps: int


#: The runs of each tool, by situation and name; a tool that is not installed has none.
Results = dict[tuple[Situation, str], tuple[Run, ...]]


def measure(
    flow: Workflow,
    situations: Sequence[Situation],
    tools: Sequence[Tool],
    *,
    folder: Path,
    workers: int = 1,
    repeats: int,
    tell: Callable[[str], None],
) -> Results:
    """Return *repeats* runs of each tool in each situation.

    Raises `RuntimeError` if a tool fails or runs the wrong steps.
    """
    sites = [
        _Site(tool, flow, folder / tool.name, workers)
        for tool in tools
        if not tool.missing(workers)
    ]
    runs: dict[tuple[Situation, str], list[Run]] = {}
    # The first round does not count, since it compiles.
    for number in range(repeats + 1):
        # Rotated, so that no tool always follows the slowest one.
        first = number % max(1, len(sites))
        for situation in situations:
            for site in (*sites[first:], *sites[:first]):
                tell(f"round {number} of {repeats}, {situation}: {site.tool.name}")
                runs.setdefault((situation, site.tool.name), []).append(site.run(situation))
    return {
        (situation, tool.name): tuple(runs.get((situation, tool.name), ())[1:])
        for situation in situations
        for tool in tools
    }


class _Site:
    """The project of one tool, which goes from situation to situation."""

    def __init__(self, tool: Tool, flow: Workflow, folder: Path, workers: int) -> None:
        self.tool = tool
        self._flow = flow
        self._folder = folder
        self._command = tool.command(workers)
        self._files = tool.write(flow)
        folder.mkdir(parents=True)
        for name, text in self._files.items():
            (folder / name).write_text(text)

    def run(self, situation: Situation) -> Run:
        if situation is Situation.COLD:
            self._forget()
            (self._folder / INPUT).write_text("as it was\n")
        elif situation is Situation.ONE_CHANGED:
            (self._folder / INPUT).write_text("not as it was\n")
        taken, output = run(self._folder, self._command)
        return Run(cost=taken, steps=self._steps(situation, output))

    def _forget(self) -> None:
        """Take the project back to before its first run; what Python compiled stays."""
        for path in self._folder.iterdir():
            if path.is_dir() and path.name != "__pycache__":
                shutil.rmtree(path)
            elif path.is_file() and path.name not in self._files:
                path.unlink()

    def _steps(self, situation: Situation, output: str) -> int:
        if not self.tool.remembers:
            passed = re.search(r"(\d+) passed", output)
            steps = int(passed[1]) if passed else 0
            fault = None if steps == len(self._flow.above) else f"{steps} passed"
        else:
            witness = self._folder / RAN
            ran = [int(line) for line in witness.read_text().split()] if witness.exists() else []
            witness.unlink(missing_ok=True)
            steps, fault = len(ran), self._flow.fault(situation, ran)
        if fault:
            raise RuntimeError(f"{self.tool.name}, {situation}: {fault}\n{output[-4000:]}")
        return steps
