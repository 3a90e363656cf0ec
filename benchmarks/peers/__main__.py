"""The same workflow with pytest-choochoo and with its peers: `python -m benchmarks.peers`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.peers.rounds import measure
from benchmarks.peers.tables import Table, one_by_one, usage, with_workers
from benchmarks.peers.tools import TOOLS, WORKERS, Tool
from benchmarks.peers.workflow import PAUSE, Situation, workflow

SHAPES = ("chain", "wide", "layers")
PARALLEL = "workers"
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->\n"


def main(arguments: Sequence[str]) -> None:
    given = _options(arguments)
    tools = [tool for name, tool in TOOLS.items() if name in given.tools]
    tables = list(_tables(given.parts, tools, given.steps, given.repeats))
    circumstances = _circumstances(given)
    if not given.markdown and not given.into:
        print("\n\n".join((circumstances, *(table.plain() for table in tables))))
        return
    block = "\n\n".join((circumstances, *(table.markdown() for table in tables)))
    if given.into:
        page = given.into.read_text(encoding="utf-8")
        given.into.write_text(with_block(page, block), encoding="utf-8")
    else:
        print(block)


def with_block(page: str, block: str) -> str:
    """Return *page* with *block* instead of what stands between its markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN.strip()} … {END.strip()}")
    return f"{before}{begin}\n{block}\n\n{end}{after}"


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parts, names = (*SHAPES, PARALLEL), tuple(TOOLS)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(parts)}")
    parser.add_argument("--steps", type=int, default=200, help="in each workflow (default: 200)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds that count (default: 3)")
    parser.add_argument("--tools", nargs="+", default=names, metavar="TOOL", help=", ".join(names))
    parser.add_argument("--markdown", action="store_true", help="print it as it stands in the page")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="write it into the page instead")
    given = parser.parse_intermixed_args(arguments)
    for known, chosen in ((parts, given.parts), (names, given.tools)):
        if unknown := [word for word in chosen if word not in known]:
            parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    if min(given.steps, given.repeats) < 1:
        parser.error("--steps and --repeats must be 1 or more")
    if given.into:
        try:  # before it takes minutes
            with_block(given.into.read_text(encoding="utf-8"), "")
        except (OSError, ValueError) as error:
            parser.error(f"--into {given.into}: {error}")
    given.parts = tuple(part for part in parts if part in (given.parts or parts))
    return given


def _tables(
    parts: Sequence[str], tools: Sequence[Tool], steps: int, repeats: int
) -> Iterator[Table]:
    yield usage(tools, WORKERS)
    with tempfile.TemporaryDirectory() as name:
        results = {}
        for shape in (part for part in parts if part in SHAPES):
            results[shape] = measure(
                workflow(shape, steps),
                tuple(Situation),
                tools,
                folder=Path(name, shape),
                repeats=repeats,
                tell=partial(_tell, shape),
            )
        if results:
            yield from (one_by_one(situation, results, tools) for situation in Situation)
        if PARALLEL in parts:
            flow = workflow("layers", steps, PAUSE)
            runs = measure(
                flow,
                (Situation.COLD,),
                tools,
                folder=Path(name, PARALLEL),
                workers=WORKERS,
                repeats=repeats,
                tell=partial(_tell, PARALLEL),
            )
            yield with_workers(WORKERS, runs, tools, flow.bound(WORKERS))


def _circumstances(given: argparse.Namespace) -> str:
    """Return the conditions of the measurement, in a sentence or two."""
    tools = () if len(given.tools) == len(TOOLS) else ("--tools", *given.tools)
    parts = () if len(given.parts) == len(SHAPES) + 1 else given.parts
    options = ("--steps", given.steps, "--repeats", given.repeats)
    command = " ".join(map(str, ("python -m benchmarks.peers", *parts, *options, *tools)))
    return (
        f"`{command}`: {given.steps} steps, medians of {given.repeats} rounds (smallest…largest). "
        f"Python {platform.python_version()}, {platform.system()} {platform.release()} "
        f"{platform.machine()}, {os.cpu_count()} cores."
    )


def _tell(part: str, line: str) -> None:
    print(f"{part}, {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
