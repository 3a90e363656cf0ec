"""Random routes and random histories, compared with a model of the correct results.

The quick part takes a few histories; `tox -e model,model-parallel` takes many more.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from typing import Any

from harness import Project
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

HISTORIES = int(os.environ.get("MODEL_HISTORIES", "6"))
STEPS = int(os.environ.get("MODEL_STEPS", "12"))
WORKERS = int(os.environ.get("MODEL_WORKERS", "0"))

# A file holds the state of the world: what each visit does, and what each check sees.
TEMPLATE = """
    import json
    from pathlib import Path
    HERE = Path(__file__).parent

    def world(): return json.loads((HERE / "world.json").read_text())

    def visited(name, *above):
        log(name)
        now = world()[name]
        assert not now["fails"], "cold"
        if not now["is_idle"]:
            (HERE / f"{name}.done").touch()
        return now["returns"]

    def is_done(name):
        assert (HERE / f"{name}.done").exists(), "not there"
"""
STATION = """
    @station(files=["{name}.txt"])
    def {name}({above}):
        {code}
        return visited("{name}")
"""
CHECK = """
    @{name}.check
    def {name}_is_done(): is_done("{name}")
"""


@dataclass
class Step:
    """A station in the model: how it is written, what its visit would do, what is recorded."""

    name: str
    above: tuple[str, ...]
    has_check: bool
    code: int = 0
    file: int = 0
    fails: bool = False
    returns: int = 0
    is_idle: bool = False  # its visit does not reach the state that its check wants
    is_done: bool = False
    status: str = ""
    outcome: int | None = None
    consumed: Any = None
    knows: Any = None  # the code with which it was last found in its desired state

    def inputs(self, outcomes: dict[str, int | None]) -> Any:
        return self.file, {name: outcomes[name] for name in self.above}


@dataclass
class Model:
    """The correct results of a run: the rules of the verdict again, as briefly as possible."""

    steps: dict[str, Step] = field(default_factory=dict)

    def run(self, replayed: set[str]) -> tuple[dict[str, str], list[str]]:
        """Return the result of each station and the names of the visited ones, and record them."""
        results: dict[str, str] = {}
        log: list[str] = []
        for step in self.steps.values():
            if any(results[name] in {"failed", "blocked"} for name in step.above):
                results[step.name] = "blocked"
                continue
            results[step.name] = self._result(step, step.name in replayed, log)
        return results, log

    def _result(self, step: Step, is_replayed: bool, log: list[str]) -> str:
        inputs = step.inputs({name: each.outcome for name, each in self.steps.items()})
        was_visited = step.consumed is not None
        is_changed = was_visited and step.consumed != inputs
        is_recoded = was_visited and step.knows != step.code
        is_complete = step.status == "complete"
        is_due = is_replayed or not is_complete or is_changed or is_recoded
        may_check = step.has_check and not is_replayed and not is_changed
        if step.has_check and may_check and step.is_done and (is_complete or was_visited):
            step.status, step.knows, step.consumed = "complete", step.code, inputs
            return "unchanged" if is_complete else "adopted"
        if not is_due and not step.has_check:
            return "unchanged"
        log.append(step.name)
        if step.fails:
            step.status = "failed"
            return "failed"
        step.is_done = step.is_done or not step.is_idle
        step.outcome, step.consumed, step.knows = step.returns, inputs, step.code
        is_right = not step.has_check or step.is_done
        step.status = "complete" if is_right else "failed"
        return "visited" if is_right else "failed"

    def forget(self, names: set[str]) -> None:
        for name in names:
            step = self.steps[name]
            step.status, step.outcome, step.consumed, step.knows = "", None, None, None


names = st.sampled_from("abcde")
some = st.sets(names, max_size=3)


class History(RuleBasedStateMachine):
    """Run, fail, edit, replay, forget, tamper, run again: the results always match the model."""

    project: Project

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        _emptied(self.project)
        self.model = Model()
        for number, name in enumerate("abcde"):
            above = data.draw(
                st.sets(st.sampled_from("abcde"[:number]), max_size=2) if number else st.just(set())
            )
            has_check = data.draw(st.booleans())
            step = Step(name=name, above=tuple(sorted(above)), has_check=has_check)
            self.model.steps[name] = step
            self.project.write(f"{name}.txt", "0")
        self._write()

    def _write(self) -> None:
        text, world = TEMPLATE, {}
        for step in self.model.steps.values():
            facts = {"name": step.name, "above": ", ".join(step.above), "code": step.code}
            text += STATION.format(**facts) + (CHECK.format(**facts) if step.has_check else "")
            world[step.name] = {
                "fails": step.fails,
                "returns": step.returns,
                "is_idle": step.is_idle,
            }
        self.project.stations(text)
        self.project.write("world.json", json.dumps(world))

    @rule(name=names)
    def edit_code(self, name: str) -> None:
        self.model.steps[name].code += 1
        self._write()

    @rule(name=names)
    def edit_file(self, name: str) -> None:
        self.model.steps[name].file += 1
        self.project.write(f"{name}.txt", str(self.model.steps[name].file))

    @rule(name=names, fails=st.booleans(), is_idle=st.booleans(), returns=st.integers(0, 2))
    def change_world(self, name: str, fails: bool, is_idle: bool, returns: int) -> None:
        step = self.model.steps[name]
        step.fails, step.is_idle, step.returns = fails, is_idle, returns
        self._write()

    @rule(name=names, is_done=st.booleans())
    def tamper(self, name: str, is_done: bool) -> None:
        """Do or undo the work of a station behind its back."""
        self.model.steps[name].is_done = is_done
        file = self.project.path / f"{name}.done"
        file.touch() if is_done else file.unlink(missing_ok=True)

    @rule(chosen=some)
    def forget(self, chosen: set[str]) -> None:
        if chosen:
            self.project.run("--cc-forget", ",".join(sorted(chosen)))
            self.model.forget(chosen)

    @rule(replayed=some)
    def run(self, replayed: set[str]) -> None:
        selectors = ("--cc-replay", ",".join(sorted(replayed))) if replayed else ()
        results, log = self.model.run(replayed)

        run = self.project.run("--cc-run", *selectors)

        assert run.results == results, run.text
        assert sorted(run.log) == sorted(log)
        is_good = all(word in {"visited", "unchanged", "adopted"} for word in results.values())
        assert run.exit_code == (0 if is_good else 1)
        assert run.reasons.keys() >= set(log)
        assert all(run.reasons[name] for name in log), "visited without a reason"

    @precondition(lambda self: self.model.steps)
    @rule()
    def run_twice(self) -> None:
        """A second run changes nothing that the first one completed."""
        self.run(set())
        self.run(set())


def _emptied(project: Project) -> None:
    for path in project.path.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    project.ini()


def test_every_history_matches_the_model(project: Project) -> None:
    """Results, visits, reasons and exit codes match the model after any history."""
    project.workers = WORKERS
    History.project = project
    run_state_machine_as_test(
        History,
        settings=settings(
            max_examples=HISTORIES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize="MODEL_HISTORIES" not in os.environ,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
        ),
    )
