"""Print the table of all figures: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import platform
import tempfile
from pathlib import Path

import pytest

from benchmarks import figures, parallel, showing, startup
from benchmarks.figures import Figure

FIGURES = figures.FIGURES | startup.FIGURES | showing.FIGURES | parallel.FIGURES


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("figure", nargs="*", metavar="FIGURE", help=f"of {', '.join(FIGURES)}")
    parser.add_argument("--pairs", type=int, default=5, help="measurements of each (default: 5)")
    given = parser.parse_args()
    if unknown := set(given.figure) - set(FIGURES):
        parser.error(
            f"there is no figure {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}"
        )
    python, host = platform.python_version(), platform.machine()
    print(f"Python {python}, pytest {pytest.__version__}, {platform.system()} {host}")
    print(f"{'median':>10}  {'quartiles':<15} {'goal':>8}")
    for name in given.figure or FIGURES:
        with tempfile.TemporaryDirectory() as folder:
            for figure in FIGURES[name](Path(folder), given.pairs):
                print(line(figure), flush=True)


def line(figure: Figure) -> str:
    """Return *figure* as a line of the table."""
    measured, unit = figure.measured, figure.unit
    quartiles = f"{measured.low:.3f}…{measured.high:.3f}"
    missed = "" if figure.is_met else "  MISSED"
    return (
        f"{measured.middle:>7.3f} {unit:<2}  {quartiles:<15} ≤ {figure.goal:<4} {unit:<2}"
        f"  {figure.name}{missed}"
    )


if __name__ == "__main__":
    main()
