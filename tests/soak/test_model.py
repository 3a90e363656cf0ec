"""Random routes and random histories, compared with a model of the correct results.

The quick part takes a few histories; `tox -e model,model-parallel` takes many more.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection
from functools import partial
from pathlib import Path

from harness import HEADER, Project, Run
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model import GOOD, Here, Model, Step

from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.profile_lock import ProfileLock

HISTORIES = int(os.environ.get("MODEL_HISTORIES", "6"))
STEPS = int(os.environ.get("MODEL_STEPS", "12"))
WORKERS = int(os.environ.get("MODEL_WORKERS", "0"))

# A file holds the state of the world: what each visit and each clean does. What they did lies
# where the effect of the station lives: in the checkout, on the machine, or for everybody.
TEMPLATE = """
import json
import os
from pathlib import Path
HERE = Path(__file__).parent
PLACES = {"here": HERE / "own", "host": HERE.parent / os.environ["CC_HOST"]}

def world(name): return json.loads((HERE.parent / "world.json").read_text())[name]

def effect(name): return PLACES.get(world(name)["place"], HERE.parent / "out") / f"{name}.done"

def visited(name):
    log(f"visit {name}")
    now = world(name)
    assert not now["fails"], "cold"
    if not now["is_idle"]:
        effect(name).touch()
    if now["has_product"]:
        product = HERE / f"{name}.product"
        product.write_text(str(now["makes"])) if now["makes"] else product.unlink(missing_ok=True)
    return now["returns"]

def is_done(name):
    assert effect(name).exists(), "not there"

def cleaned(name, outcome):
    log(f"clean {name} {outcome}")
    now = world(name)
    assert not now["clean_fails"], "locked"
    (HERE / f"{name}.product").unlink(missing_ok=True)
    if not now["is_stuck"]:
        effect(name).unlink(missing_ok=True)
"""
STATION = """
@station(files={files}, products={products}, renews={renews}, place="{place}")
def {name}({above}):
    {code}
    {answer} visited("{name}")
"""
CHECK = """
@{name}.check
def {name}_is_done(): is_done("{name}")
"""
CLEAN = """
@{name}.clean
def undo_{name}({name}): cleaned("{name}", {name})
"""
TEST = """
def test_of_{name}({name}): log(f"test {name} {{{name}}}")
"""
NAMES = ("qa", "qb", "qc", "qd", "qe")  # `-k` finds nothing else by them

names = st.sampled_from(NAMES)
some = st.sets(names, max_size=3)
kinds = st.builds(
    partial(partial, Step),
    place=st.sampled_from(["here", "here", "host", "anywhere"]),
    has_check=st.booleans(),
    has_clean=st.booleans(),
    has_product=st.booleans(),
    has_outcome=st.booleans(),
    renews=st.sampled_from([False, False, True]),
)
selections = st.tuples(st.sampled_from(["all", "all", "-k", "ids", "tests"]), some)


class History(RuleBasedStateMachine):
    """Run, fail, edit, clean, forget, copy, move, run again: the results always match the model."""

    project: Project

    @initialize(data=st.data(), is_shared=st.booleans())
    def begin(self, data: st.DataObject, is_shared: bool) -> None:
        """Write five stations; their ledger lies in the cache, or is shared by all checkouts."""
        _empty(self.project.path)
        steps = {name: data.draw(kinds)(name=name) for name in NAMES}
        self.model = Model(steps=steps, ledgers={0: {}})
        self.is_shared, self.moves = is_shared, 0
        self.folders = [self.project.path / "first"]
        for step in steps.values():
            step.above = self._upstream(step.name, data.draw(some))
        for folder in ("m1", "m2", "out", "first/own"):
            (self.project.path / folder).mkdir(parents=True)
        self.go(0, "m1")
        self._write()

    def _upstream(self, name: str, above: Collection[str]) -> tuple[str, ...]:
        return tuple(each for each in NAMES[: NAMES.index(name)] if each in above)

    def _write(self) -> None:
        """Write all files of all checkouts."""
        stations, tests, steps = HEADER + TEMPLATE, "from effects import log\n", self.model.steps
        for step in steps.values():
            made = [f"{each}.product" for each in step.above if steps[each].has_product]
            facts = vars(step) | {
                "above": ", ".join(step.above),
                "files": [f"{step.name}.txt", *made],
                "products": [f"{step.name}.product"] if step.has_product else [],
                "answer": "return" if step.has_outcome else "_ =",
            }
            stations += STATION.format(**facts)
            stations += CHECK.format(**facts) if step.has_check else ""
            stations += CLEAN.format(**facts) if step.has_clean else ""
            tests += TEST.format(**facts)
        world = {name: vars(step) for name, step in steps.items()}
        self.project.write("world.json", json.dumps(world))
        for folder in self.folders:
            at = folder.relative_to(self.project.path)
            self.project.write(f"{at}/stations.py", stations)
            self.project.write(f"{at}/test_them.py", tests)
            self.project.write(f"{at}/pytest.ini", "[pytest]\n")
            for step in steps.values():
                self.project.write(f"{at}/{step.name}.txt", str(step.file))

    # --- what changes between commands

    @rule(checkout=st.integers(0, 1), machine=st.sampled_from(["m1", "m1", "m2"]))
    def go(self, checkout: int, machine: str) -> None:
        """Go to another checkout or machine: where the next commands are run."""
        self.here = Here(min(checkout, len(self.folders) - 1), machine)
        self.project.setenv("CC_HOST", machine)

    @precondition(lambda self: len(self.folders) < 2)
    @rule()
    def copy(self) -> None:
        """Copy the checkout."""
        self.folders.append(self.project.path / "second")
        shutil.copytree(self.folders[0], self.folders[1])
        self.model.copied(0, 1, with_ledger=not self.is_shared)

    @rule()
    def move(self) -> None:
        """Move the checkout: its records come along."""
        self.moves += 1
        old = self.folders[self.here.checkout]
        self.folders[self.here.checkout] = old.rename(f"{old}-{self.moves}")

    @rule(name=names)
    def edit_code(self, name: str) -> None:
        self.model.steps[name].code += 1
        self._write()

    @rule(name=names)
    def edit_file(self, name: str) -> None:
        self.model.steps[name].file += 1
        self._write()

    @rule(name=names, above=some)
    def edit_upstream(self, name: str, above: set[str]) -> None:
        """Let a station need others: those without outcome and product are order only."""
        self.model.steps[name].above = self._upstream(name, above)
        self._write()

    @rule(name=names, fails=st.booleans(), is_idle=st.booleans(), returns=st.integers(0, 2))
    def change_visit(self, name: str, fails: bool, is_idle: bool, returns: int) -> None:
        step = self.model.steps[name]
        step.fails, step.is_idle, step.returns = fails, is_idle, returns
        self._write()

    @rule(name=names, makes=st.integers(0, 2))
    def change_product(self, name: str, makes: int) -> None:
        self.model.steps[name].makes = makes
        self._write()

    @rule(name=names, clean_fails=st.booleans(), is_stuck=st.booleans())
    def change_clean(self, name: str, clean_fails: bool, is_stuck: bool) -> None:
        step = self.model.steps[name]
        step.clean_fails, step.is_stuck = clean_fails, is_stuck
        self._write()

    @rule(name=names, is_done=st.booleans())
    def tamper(self, name: str, is_done: bool) -> None:
        """Do or undo the work of a station behind its back."""
        step, folder = self.model.steps[name], self.folders[self.here.checkout]
        effect = self.model.effect(step, self.here)
        outside = {"here": folder / "own", "host": self.project.path / self.here.machine}
        file = outside.get(step.place, self.project.path / "out") / f"{name}.done"
        if is_done:
            self.model.done.add(effect)
            file.touch()
        else:
            self.model.done.discard(effect)
            file.unlink(missing_ok=True)

    @rule(name=names, content=st.integers(0, 2))
    def tamper_with_product(self, name: str, content: int) -> None:
        """Change or remove the product of a station, or put one in its place."""
        if not self.model.steps[name].has_product:
            return
        key = name, self.here.checkout
        self.model.products[key] = content
        file = self.folders[self.here.checkout] / f"{name}.product"
        file.write_text(str(content)) if content else file.unlink(missing_ok=True)

    # --- commands

    def _pytest(self, *arguments: str) -> Run:
        state = (f"--cc-state={self.project.path / 'state'}",) if self.is_shared else ()
        cwd = str(self.folders[self.here.checkout].relative_to(self.project.path))
        self.model.log = []
        return self.project.run(*arguments, *state, cwd=cwd)

    def _matches(self, run: Run, results: dict[str, str], log: list[str]) -> None:
        assert run.results == results, run.text
        assert sorted(run.log) == sorted(log), run.text

    @rule(selection=selections, replayed=some, clears=st.sampled_from([False] * 7 + [True]))
    def run(
        self, selection: tuple[str, set[str]], replayed: Collection[str] = (), clears: bool = False
    ) -> None:
        """Run all, or a selection with whatever it needs; perhaps clear the cache before."""
        arguments, selected, tested = _selected(*selection)
        replay = ["--cc-replay", ",".join(sorted(replayed))] if replayed else []
        clear = ["--cache-clear"] if clears else []

        run = self._pytest("--cc-run", *replay, *clear, *arguments)

        if clears and not self.is_shared:
            self.model.clear(self.here)
        results = self.model.run(self.here, {*selected, *tested}, replayed)
        visits = list(self.model.log)
        tests = self.model.tests(self.here, {name: results[name] for name in tested})
        # A fresh station that is only needed is used silently.
        silent = {name for name in results.keys() - run.results.keys() if name not in selected}
        assert all(results[name] == "unchanged" for name in silent), (results, run.text)
        self._matches(run, {k: v for k, v in results.items() if k not in silent}, visits + tests)
        is_good = all(result in GOOD for result in results.values())
        assert run.exit_code == (0 if is_good else 1), run.text
        for visit in visits:
            assert run.reasons[visit.split()[1]], f"{visit} without a reason"

    @rule()
    def run_twice(self) -> None:
        """A second run changes nothing that the first one completed."""
        self.run(("all", set()))
        self.run(("all", set()))

    @rule()
    def run_tests_only(self) -> None:
        """Plain pytest gives tests the outcomes of complete stations, and visits nothing."""
        run = self._pytest()

        complete = self.model.plain(self.here)
        assert sorted(run.log) == sorted(self.model.tests(self.here, complete)), run.text
        assert run.exit_code == (0 if len(complete) == len(NAMES) else 1)

    @rule()
    def verify(self) -> None:
        """`--cc-check` sees what a run would visit, and does nothing."""
        run = self._pytest("--cc-check")

        expected = self.model.verified(self.here)
        assert {name: run.results[name] for name in expected} == expected, run.text
        assert all(line.startswith("test ") for line in run.log)

    @rule(selection=selections, clears=st.sampled_from([False] * 3 + [True]))
    def clean(self, selection: tuple[str, set[str]], clears: bool) -> None:
        """Clean all, or a selection and its downstream; perhaps forget all before."""
        arguments, selected, _ = _selected(*selection)
        if not selected:
            return

        run = self._pytest("--cc-clean", *(["--cache-clear"] if clears else []), *arguments)

        if clears and not self.is_shared:
            self.model.clear(self.here)
        by_id = any("::" in each for each in arguments)
        results = self.model.clean(self.here, selected, by_id)
        self._matches(run, results, self.model.log)
        assert run.exit_code == (1 if "failed" in results.values() else 0), run.text

    @rule(chosen=some)
    def forget(self, chosen: set[str]) -> None:
        """Forget stations: what was made is there, and cleans know it."""
        if chosen:
            run = self._pytest("--cc-forget", ",".join(sorted(chosen)))
            self.model.forget(self.here, chosen)
            assert (run.exit_code, run.log) == (0, ())

    @rule(other=st.sampled_from(["--cc-run", "--cc-clean"]), is_clean=st.booleans())
    def exclude(self, other: str, is_clean: bool) -> None:
        """A clean excludes runs and cleans, a run excludes cleans; runs go on together."""
        folder = self.folders[self.here.checkout] / ".pytest_cache/d/choochoo"
        location = LedgerLocation(
            self.project.path / "state" if self.is_shared else folder, "default"
        )
        if not (location.data_dir / "locks").is_dir():
            return
        lock = ProfileLock(location, other, is_shared=other == "--cc-run")
        try:
            if other == "--cc-run" and not is_clean:
                self.run(("all", set()))
                return
            command = "--cc-clean" if is_clean else "--cc-run"
            run = self._pytest(command, "--cc-lock-timeout", "0")
            assert (run.exit_code, run.log, run.results) == (4, (), {}), run.text
            assert f"which runs {other}" in run.text
        finally:
            lock.release()


def _selected(how: str, chosen: set[str]) -> tuple[list[str], list[str], list[str]]:
    """Return the arguments that select *chosen*, the stations selected by them, and the tests."""
    some = sorted(chosen)
    match how:
        case "-k" if some:
            return ["-k", " or ".join(some)], some, some
        case "ids" if some:
            return [f"stations.py::{name}" for name in some], some, []
        case "tests" if some:
            return [f"test_them.py::test_of_{name}" for name in some], [], some
        case _:
            return [], list(NAMES), list(NAMES)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_every_history_matches_the_model(project: Project) -> None:
    """Results, visits, outcomes, reasons and exit codes match the model after any history."""
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
