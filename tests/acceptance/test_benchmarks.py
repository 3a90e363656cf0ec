"""The comparison with other tools: one workflow for all, honest counts, tables from values."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from benchmarks.measuring import Cost
from benchmarks.parallel import scheduled
from benchmarks.peers.__main__ import BEGIN, END, main
from benchmarks.peers.projects import INPUT
from benchmarks.peers.rounds import Results, Run, measure
from benchmarks.peers.tables import Table, losses, one_by_one, ratio, with_workers
from benchmarks.peers.tools import OURS, TOOLS, YARDSTICK, Tool
from benchmarks.peers.workflow import Situation, Workflow, workflow
from benchmarks.projects import SHAPES, edges
from benchmarks.startup import CACHED, SHORT_RUNS, UNWRITABLE, ShortRun, measured

ROOT = Path(__file__).resolve().parent.parent.parent
DIAMOND = Workflow(above=((), (0,), (0,), (1, 2)), pause=0.5)
SOME = [TOOLS[name] for name in (YARDSTICK, OURS, "doit", "make")]


def _in_python(text: str) -> list[tuple[int, ...]]:
    """Return the dependencies of each step from the list in a Python file like `dodo.py`."""
    found = re.search(r"^ABOVE = (.*)$", text, re.MULTILINE)
    assert found
    edges: list[tuple[int, ...]] = ast.literal_eval(found[1])
    return edges


def _in_makefile(text: str) -> list[tuple[int, ...]]:
    found = dict(re.findall(r"^step_(\d+)\.txt: (.*)$", text, re.MULTILINE))
    return [
        tuple(map(int, re.findall(r"step_(\d+)", found.get(str(number), ""))))
        for number in range(text.partition("\n")[0].count(".txt"))
    ]


def _in_stations(text: str) -> list[tuple[int, ...]]:
    return [
        tuple(int(argument.arg.removeprefix("step_")) for argument in node.args.args)
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.decorator_list
    ]


READ = {
    "stations.py": _in_stations,
    "task_steps.py": _in_python,
    "dodo.py": _in_python,
    "Snakefile": _in_python,
    "Makefile": _in_makefile,
}


@pytest.mark.parametrize("shape", ["chain", "wide", "layers"])
def test_all_tools_get_the_same_edges(shape: str) -> None:
    """The project of each tool has the steps, the dependencies and the file of the workflow."""
    flow = workflow(shape, 40)
    texts = {
        name: text
        for tool in TOOLS.values()
        for name, text in tool.write(flow).items()
        if name in READ
    }

    assert {name: tuple(READ[name](text)) for name, text in texts.items()} == dict.fromkeys(
        READ, flow.above
    )
    assert {name: text.count(INPUT) for name, text in texts.items()} == dict.fromkeys(READ, 1)


@pytest.mark.parametrize("shape", SHAPES)
def test_steps_of_a_shape_need_only_earlier_steps(shape: str) -> None:
    """In every shape, a step needs earlier steps only, each of them once."""
    above = edges(shape, 60)

    assert len(above) == 60
    assert all(
        len(set(needed)) == len(needed) and all(0 <= each < number for each in needed)
        for number, needed in enumerate(above)
    )


def test_layers_need_two_of_the_layer_above() -> None:
    """In layers of ten, a step needs the step above it and its neighbour."""
    above = edges("layers", 30, width=10)

    assert above[:10] == ((),) * 10
    assert (above[10], above[19], above[25]) == ((0, 1), (9, 0), (15, 16))


@pytest.mark.parametrize(
    ("flow", "workers", "bound"),
    [
        pytest.param(workflow("layers", 200, 0.05), 4, 2.5, id="work"),
        pytest.param(workflow("chain", 200, 0.05), 4, 10.0, id="longest-path"),
        pytest.param(DIAMOND, 8, 1.5, id="diamond"),
    ],
)
def test_bound_is_the_work_or_the_longest_path(flow: Workflow, workers: int, bound: float) -> None:
    """No scheduler is faster than the longest path, or than the work divided by the workers."""
    assert flow.bound(workers) == pytest.approx(bound)


@pytest.mark.parametrize(
    ("situation", "ran", "fault"),
    [
        pytest.param(Situation.COLD, [0, 2, 1, 3], None, id="cold"),
        pytest.param(Situation.COLD, [0, 2, 1], "3 steps ran: [0, 1, 2]", id="one-left-out"),
        pytest.param(Situation.COLD, [0, 0, 1, 2, 3], "a step ran twice", id="twice"),
        pytest.param(
            Situation.COLD, [0, 1, 3, 2], "step 3 ran before one that it needs", id="too-early"
        ),
        pytest.param(Situation.NO_OP, [], None, id="no-op"),
        pytest.param(Situation.NO_OP, [0], "1 steps ran: [0]", id="not-spared"),
        pytest.param(Situation.ONE_CHANGED, [2], None, id="cut-off"),
        pytest.param(Situation.ONE_CHANGED, [2, 3], None, id="all-below"),
        pytest.param(Situation.ONE_CHANGED, [], "0 steps ran: []", id="not-noticed"),
        pytest.param(Situation.ONE_CHANGED, [1, 2], "2 steps ran: [1, 2]", id="beside"),
    ],
)
def test_run_is_judged_by_the_steps_that_ran(
    situation: Situation, ran: list[int], fault: str | None
) -> None:
    """A run counts only if exactly the required steps ran, in an allowed order."""
    assert DIAMOND.fault(situation, ran) == fault


def _run(seconds: float, steps: int) -> Run:
    return Run(cost=Cost(seconds=seconds, wall=2 * seconds, memory=0), steps=steps)


def _results(situation: Situation) -> Results:
    return {
        (situation, YARDSTICK): (_run(1, 4), _run(2, 4), _run(4, 4)),
        (situation, OURS): (_run(0.5, 1), _run(2, 1), _run(2, 1)),
        (situation, "doit"): (_run(0.25, 1), _run(0.5, 1), _run(1, 2)),
        (situation, "make"): (),
    }


def test_ratios_are_of_the_same_round() -> None:
    """A tool is compared with plain pytest of the same round, and the note names cheaper tools."""
    situation = Situation.ONE_CHANGED

    table = one_by_one(situation, {"chain": _results(situation)}, SOME)

    assert table == Table(
        title="One changed",
        head=("shape", "tool", "steps run", "CPU", "CPU / pytest", "wall"),
        rows=(
            ("chain", "pytest", "4", "2.00 s", "1.00 (1.00…1.00)", "4.00 s"),
            ("chain", "pytest-choochoo", "1", "2.00 s", "0.50 (0.50…1.00)", "4.00 s"),
            ("chain", "doit", "1…2", "0.50 s", "0.25 (0.25…0.25)", "1.00 s"),
            ("chain", "make", "not installed", "-", "-", "-"),
        ),
        names=2,
        note="Less CPU time than pytest-choochoo: chain: doit 0.50 ×.",
    )


def test_workers_are_measured_against_the_bound() -> None:
    """With workers, wall time is compared with the bound that no scheduler beats."""
    results = _results(Situation.COLD)
    results[Situation.COLD, "doit"] = ()

    table = with_workers(4, results, SOME, bound=2.0)

    assert table == Table(
        title="4 workers, steps that sleep",
        head=("tool", "steps run", "wall", "wall / 2.00 s", "CPU"),
        rows=(
            ("pytest", "4", "4.00 s", "2.00 (1.00…4.00)", "2.00 s"),
            ("pytest-choochoo", "1", "4.00 s", "2.00 (0.50…2.00)", "2.00 s"),
            ("doit", "not installed", "-", "-", "-"),
            ("make", "not installed", "-", "-", "-"),
        ),
        names=1,
    )


@pytest.mark.parametrize(
    ("doit", "said"),
    [
        pytest.param(1.5, "Less CPU time than pytest-choochoo: wide: doit 0.75 ×.", id="less"),
        pytest.param(3.0, "None of the peers takes less CPU time than pytest-choochoo.", id="more"),
        pytest.param(None, "", id="not-installed"),
    ],
)
def test_losses_are_named(doit: float | None, said: str) -> None:
    """The note of a table names the tools that took less than ours, or says that there are none."""
    runs: Results = {
        (Situation.COLD, YARDSTICK): (_run(1, 4),),
        (Situation.COLD, OURS): (_run(2, 4),),
        (Situation.COLD, "doit"): (_run(doit, 4),) if doit else (),
        (Situation.COLD, "make"): (),
    }

    assert losses(Situation.COLD, {"wide": runs}, SOME, "CPU time") == said


def test_ratio_without_a_yardstick_is_left_open() -> None:
    """Without a measurement of plain pytest, there is no ratio."""
    assert ratio([]) == "-"


def test_table_is_readable_in_a_terminal_and_on_a_page() -> None:
    """A table is printed in columns, or as Markdown."""
    table = Table(
        title="Cold",
        head=("tool", "CPU"),
        rows=(("make", "0.033 s"), ("doit", "12 s")),
        names=1,
        note="So it is.",
    )

    assert table.plain() == (
        "Cold\n"
        "tool      CPU\n"
        "make  0.033 s\n"
        "doit     12 s\n"
        "So it is."
    )  # fmt: skip
    assert table.markdown() == (
        "### Cold\n\n"
        "| tool | CPU |\n| --- | ---: |\n| make | 0.033 s |\n| doit | 12 s |\n\n"
        "So it is."
    )  # fmt: skip


def test_tool_that_is_not_installed_has_no_runs(tmp_path: Path) -> None:
    """A tool whose packages are missing is not run, but keeps its place in the results."""
    tool = Tool(
        name="absent",
        packages=("no-such-package-anywhere",),
        write=TOOLS["doit"].write,
        alone=("absent",),
        together=("absent",),
        rerun="nothing",
    )

    results = measure(
        DIAMOND, (Situation.COLD,), [tool], folder=tmp_path, repeats=1, tell=lambda line: None
    )

    assert results == {(Situation.COLD, "absent"): ()}


def test_comparison_runs_from_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command runs pytest-choochoo and plain pytest in all situations, and writes a page."""
    page = tmp_path / "page.md"
    page.write_text("Above.\n<!-- measured -->\nold\n<!-- /measured -->\nBelow.\n")
    short = ("layers", "--steps", "12", "--repeats", "1", "--tools", YARDSTICK, OURS)

    main((*short, "--into", str(page)))

    text = page.read_text()
    assert text.startswith("Above.\n<!-- measured -->\n\n`python -m benchmarks.peers layers ")
    assert text.endswith("\n\n<!-- /measured -->\nBelow.\n")
    assert re.findall(r"^\| layers \| (\S+) \| (\d+) \|", text, re.MULTILINE) == [
        *((YARDSTICK, "12"), (OURS, "12")),
        *((YARDSTICK, "12"), (OURS, "0")),
        *((YARDSTICK, "12"), (OURS, "1")),
    ]
    assert capsys.readouterr().out == ""


def test_unknown_tool_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown tool is an error that names the known ones."""
    with pytest.raises(SystemExit):
        main(("--tools", "brew"))

    names = "pytest, pytest-choochoo, pytask, doit, snakemake, make"
    assert f"there is no brew; there are {names}\n" in capsys.readouterr().err


def test_page_without_markers_is_rejected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page without markers for the tables is an error before anything is measured."""
    page = tmp_path / "page.md"
    page.write_text("# Benchmarks\n")

    with pytest.raises(SystemExit):
        main(("--into", str(page)))

    said = f"--into {page}: the page has no <!-- measured --> … <!-- /measured -->\n"
    assert said in capsys.readouterr().err


def test_page_shows_every_part_of_the_comparison() -> None:
    """The page on benchmarks has every table, and every tool that is compared."""
    page = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    block = page.partition(BEGIN)[2].partition(END)[0]
    situations = (situation.capitalize() for situation in Situation)

    assert re.findall(r"^### (.*)$", block, re.MULTILINE) == [
        *("Tools", *situations, "4 workers, steps that sleep"),
    ]
    assert {name for name in TOOLS if f"| layers | {name} |" in block} == set(TOOLS)
    assert "not installed" not in block


@pytest.mark.parametrize("shape", ["chain", "wide", "layers"])
def test_scheduling_is_measured_to_its_end(shape: str) -> None:
    """The workers of the measurement run every item that they receive."""
    assert scheduled(shape, 40) > 0


@pytest.mark.parametrize(
    ("short", "written"),
    [
        pytest.param(CACHED, {"__init__", "rewriting"}, id="cached"),
        pytest.param(UNWRITABLE, set(), id="not-writable"),
    ],
)
def test_start_up_is_measured_with_an_installed_package(
    short: ShortRun, written: set[str], tmp_path: Path
) -> None:
    """The measured package is compiled, and pytest treats it as the package of a plugin."""
    [(tests, stations)] = measured(tmp_path, short, 1)

    assert min(tests.seconds, stations.seconds) > 0
    copy = tmp_path / "site" / "pytest_choochoo"
    rewritten = {file for file in copy.rglob("*.pyc") if "-pytest-" in file.name}
    assert {file.name.partition(".")[0] for file in rewritten} == written
    compiled = set(copy.rglob("*.pyc")) - rewritten
    assert len(compiled) == len(list(copy.rglob("*.py")))


def test_page_shows_every_short_run() -> None:
    """The page on benchmarks has a line with figures for each situation of the short runs."""
    page = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")

    figures = re.findall(r"^\| (.+) \| \d\.\d\d \(.*\) \| (\d\.\d\d) \|$", page, re.MULTILINE)

    assert figures == [(short.name, f"{short.goal:.2f}") for short in SHORT_RUNS]
