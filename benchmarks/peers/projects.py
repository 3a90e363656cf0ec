"""The workflow, written for each tool as its documentation recommends.

Every step appends its number to `ran.txt`, and produces a result: an outcome if the tool stores
outcomes, otherwise a file. The result is the same each time. The step in the middle needs
`input.txt`.
"""

from __future__ import annotations

from textwrap import dedent

from benchmarks.peers.workflow import Workflow

INPUT, RAN = "input.txt", "ran.txt"


def empty_tests(flow: Workflow) -> dict[str, str]:
    """Tests that need nothing and remember nothing, and sleep if the steps do."""
    body = f"time.sleep({flow.pause})" if flow.pause else "pass"
    tests = (f"def test_{number}():\n    {body}\n" for number in range(len(flow.above)))
    return {"pytest.ini": "[pytest]\n", "test_empty.py": "\n\n".join(("import time\n", *tests))}


def stations(flow: Workflow) -> dict[str, str]:
    """Functions that receive the outcomes of the functions that they need."""
    texts = ["from pytest_choochoo import station", _work(flow)]
    for number, above in enumerate(flow.above):
        files = f'(files=["{INPUT}"])' if number == flow.middle else ""
        needed = ", ".join(f"step_{each}: int" for each in above)
        texts.append(
            f"@station{files}\ndef step_{number}({needed}) -> int:\n    return work({number})"
        )
    return {"pytest.ini": "[pytest]\n", "stations.py": _text(texts)}


def dodo(flow: Workflow) -> dict[str, str]:
    """Sub-tasks from one generator, with a Python action each."""
    head = """
        from pathlib import Path

        from doit.tools import run_once
    """
    tasks = f"""
        DOIT_CONFIG = {{"default_tasks": ["step"]}}
        ABOVE = {list(flow.above)}


        def make(number, targets):
            Path(targets[0]).write_text(str(work(number)))


        def task_step():
            for number, above in enumerate(ABOVE):
                needed = [f"step_{{each}}.txt" for each in above]
                if number == {flow.middle}:
                    needed.append("{INPUT}")
                yield {{
                    "name": str(number),
                    "actions": [(make, [number])],
                    "file_dep": needed,
                    # Without a file to compare, the task would run every time.
                    "uptodate": [] if needed else [run_once],
                    "targets": [f"step_{{number}}.txt"],
                }}
    """
    return {"dodo.py": _text([dedent(head), _work(flow), dedent(tasks)])}


def pytask(flow: Workflow) -> dict[str, str]:
    """Tasks from a loop, which declare what they need and what they make as parameters."""
    head = """
        from pathlib import Path
        from typing import Annotated

        from pytask import Product, task
    """
    tasks = f"""
        ABOVE = {list(flow.above)}


        for number, above in enumerate(ABOVE):
            needed = [Path(f"step_{{each}}.txt") for each in above]
            if number == {flow.middle}:
                needed.append(Path("{INPUT}"))

            @task(id=str(number))
            def task_step(
                number: int = number,
                needed: list[Path] = needed,
                path: Annotated[Path, Product] = Path(f"step_{{number}}.txt"),
            ) -> None:
                path.write_text(str(work(number)))
    """
    return {
        "pyproject.toml": "[tool.pytask.ini_options]\n",
        "task_steps.py": _text([dedent(head), _work(flow), dedent(tasks)]),
    }


def snakefile(flow: Workflow) -> dict[str, str]:
    """One rule with a wildcard, and a shell command as the documentation shows them."""
    rules = f"""
        ABOVE = {list(flow.above)}


        def needed(wildcards):
            number = int(wildcards.number)
            files = [f"step_{{each}}.txt" for each in ABOVE[number]]
            return [*files, "{INPUT}"] if number == {flow.middle} else files


        rule all:
            input:
                expand("step_{{number}}.txt", number=range(len(ABOVE))),


        rule step:
            input:
                needed,
            output:
                "step_{{number}}.txt",
            shell:
                "{_shell(flow, "{wildcards.number}", "{output}")}"
    """
    return {"Snakefile": _text([dedent(rules)])}


def makefile(flow: Workflow) -> dict[str, str]:
    """A static pattern rule, and a line for each step with dependencies."""
    steps = " ".join(f"step_{number}.txt" for number in range(len(flow.above)))
    lines = [
        f"STEPS := {steps}\n",
        ".PHONY: all\nall: $(STEPS)\n",
        f"$(STEPS): step_%.txt:\n\t@{_shell(flow, '$*', '$@')}\n",
    ]
    for number, above in enumerate(flow.above):
        needed = [f"step_{each}.txt" for each in above]
        if number == flow.middle:
            needed.append(INPUT)
        if needed:
            lines.append(f"step_{number}.txt: {' '.join(needed)}")
    return {"Makefile": "\n".join((*lines, ""))}


def _shell(flow: Workflow, number: str, result: str) -> str:
    """Return the work of a step as a line for the shell."""
    sleep = f"sleep {flow.pause} && " if flow.pause else ""
    return f"{sleep}echo {number} >> {RAN} && echo {number} > {result}"


def _work(flow: Workflow) -> str:
    """Return the work of a step as a Python function."""
    sleep = f"    time.sleep({flow.pause})\n" if flow.pause else ""
    return (
        f"import time\n\n\ndef work(number):\n{sleep}"
        f'    with open("{RAN}", "a") as ran:\n        ran.write(f"{{number}}\\n")\n'
        "    return number"
    )


def _text(parts: list[str]) -> str:
    return "\n\n\n".join(part.strip("\n") for part in parts) + "\n"
