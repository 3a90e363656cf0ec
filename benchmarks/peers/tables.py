"""The measurements as tables: text from values."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from benchmarks.measuring import Cost
from benchmarks.peers.rounds import Results, Run
from benchmarks.peers.tools import OURS, YARDSTICK, Tool, version
from benchmarks.peers.workflow import Situation

Row = tuple[str, ...]
Quantity = Literal["CPU time", "wall time"]

_READ: Mapping[Quantity, Callable[[Cost], float]] = {
    "CPU time": lambda cost: cost.seconds,
    "wall time": lambda cost: cost.wall,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows below a *title* and a *head*; the first *names* columns are words, the rest numbers."""

    title: str
    head: Row
    rows: tuple[Row, ...]
    names: int
    note: str = ""

    def plain(self) -> str:
        """Return the table for a terminal: in aligned columns."""
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows)]
        lines = [self.title]
        for row in (self.head, *self.rows):
            cells = (
                cell.ljust(width) if index < self.names else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths))
            )
            lines.append("  ".join(cells).rstrip())
        return "\n".join((*lines, self.note) if self.note else lines)

    def markdown(self) -> str:
        """Return the table for a page."""
        rule = ["---" if index < self.names else "---:" for index in range(len(self.head))]
        lines = [f"| {' | '.join(row)} |" for row in (self.head, rule, *self.rows)]
        return "\n".join((f"### {self.title}", "", *lines, *(("", self.note) if self.note else ())))


def one_by_one(
    situation: Situation, results: Mapping[str, Results], tools: Sequence[Tool]
) -> Table:
    """Return the table of *situation*, by shape and tool: CPU time beside plain pytest's."""
    rows: list[Row] = []
    for shape, runs in results.items():
        yardstick = runs.get((situation, YARDSTICK), ())
        for tool in tools:
            own = runs[situation, tool.name]
            numbers = (
                _seconds(own, "CPU time"),
                ratio(_ratios(own, yardstick, "CPU time")),
                _seconds(own, "wall time"),
            )
            rows.append((shape, tool.name, _steps(own), *numbers))
    return Table(
        title=situation.capitalize(),
        head=("shape", "tool", "steps run", "CPU", "CPU / pytest", "wall"),
        rows=tuple(rows),
        names=2,
        note=losses(situation, results, tools, "CPU time"),
    )


def with_workers(workers: int, runs: Results, tools: Sequence[Tool], bound: float) -> Table:
    """Return the table of first runs with *workers*: wall time beside the *bound*."""
    rows: list[Row] = []
    for tool in tools:
        own = runs[Situation.COLD, tool.name]
        numbers = (
            _seconds(own, "wall time"),
            ratio([run.cost.wall / bound for run in own]),
            _seconds(own, "CPU time"),
        )
        rows.append((tool.name, _steps(own), *numbers))
    return Table(
        title=f"{workers} workers, steps that sleep",
        head=("tool", "steps run", "wall", f"wall / {short(bound)} s", "CPU"),
        rows=tuple(rows),
        names=1,
        note=losses(Situation.COLD, {"layers": runs}, tools, "wall time"),
    )


def usage(tools: Sequence[Tool], workers: int) -> Table:
    """Return the table of the tools: versions, commands, and what makes a step run again."""
    rows = []
    for tool in tools:
        packages = dict.fromkeys((*tool.packages, *tool.engine))
        versions = ", ".join(f"{name} {version(name) or 'not installed'}" for name in packages)
        alone, together = (shown(tool.command(count)) for count in (1, workers))
        rows.append((tool.name, versions, f"`{alone}`", f"`{together}`", tool.rerun))
    head = ("tool", "versions", "command", f"with {workers} workers", "what makes a step run again")
    return Table(title="Tools", head=head, rows=tuple(rows), names=len(head))


def losses(
    situation: Situation,
    results: Mapping[str, Results],
    tools: Sequence[Tool],
    quantity: Quantity,
) -> str:
    """Return a sentence that names the tools that took less of *quantity* than ours, by shape.

    Plain pytest is left out, since it does less work.
    """
    peers = [tool.name for tool in tools if tool.name not in (YARDSTICK, OURS)]
    found = {
        (shape, name): median(ratios)
        for shape, runs in results.items()
        for name in peers
        if (ratios := _ratios(runs[situation, name], runs.get((situation, OURS), ()), quantity))
    }
    if not found:
        return ""
    less = {
        shape: [
            f"{name} {short(part)} ×"
            for (where, name), part in found.items()
            if where == shape and part < 1
        ]
        for shape in results
    }
    if not any(less.values()):
        return f"None of the peers takes less {quantity} than {OURS}."
    parts = "; ".join(f"{shape}: {', '.join(names)}" for shape, names in less.items() if names)
    return f"Less {quantity} than {OURS}: {parts}."


def ratio(numbers: Sequence[float]) -> str:
    """Return the median of *numbers*, with the smallest and the largest of them."""
    if not numbers:
        return "-"
    return f"{short(median(numbers))} ({short(min(numbers))}…{short(max(numbers))})"


def short(number: float) -> str:
    """Return *number* with as many digits as repeated runs agree on."""
    return (
        f"{number:.0f}" if number >= 10 else f"{number:.2f}" if number >= 0.1 else f"{number:.3f}"
    )


def shown(command: Sequence[str]) -> str:
    """Return *command* as a user would type it."""
    return " ".join("python" if word == sys.executable else Path(word).name for word in command)


def _steps(runs: Sequence[Run]) -> str:
    counts = sorted({run.steps for run in runs})
    if not counts:
        return "not installed"
    return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,}…{counts[-1]:,}"


def _seconds(runs: Sequence[Run], quantity: Quantity) -> str:
    if not runs:
        return "-"
    return f"{short(median(_READ[quantity](run.cost) for run in runs))} s"


def _ratios(own: Sequence[Run], others: Sequence[Run], quantity: Quantity) -> list[float]:
    """Return the ratios of runs of the same round: the load of the machine is then the same."""
    read = _READ[quantity]
    return [read(run.cost) / read(other.cost) for run, other in zip(own, others)]
