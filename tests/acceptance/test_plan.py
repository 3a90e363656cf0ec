"""`--cc-plan`: what a run would do to each station, and why, before anything is done."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from harness import Project, ageless, snapshot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CHAIN = """
    from pathlib import Path

    @station(files=["water.txt"])
    def boil() -> int:
        "Boil the water"
        log("boil")
        return int(Path("water.txt").read_text())

    @station
    def pour(boil: int) -> None:
        log("pour")

    @station
    def grind() -> None:
        log("grind")
"""


@pytest.fixture
def chain(project: Project) -> Project:
    """Three stations, one of which needs another; none was visited."""
    project.stations(CHAIN)
    project.write("water.txt", "100")
    return project


def planned(project: Project, *arguments: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the forecast and the reasons of each station by name."""
    run = project.run("--cc-plan", "--cc-json", "plan.json", *arguments)
    assert (run.exit_code, run.log) == (0, ())
    return {
        each["name"]: (each["verdict"], ageless(tuple(each["reasons"])))
        for each in json.loads((project.path / "plan.json").read_text())["stations"]
    }


def test_plan_of_a_first_run(chain: Project) -> None:
    """All is visited; what an unknown outcome does to downstream goes without saying."""
    first = "visit", ("first visit",)

    assert planned(chain) == {"boil": first, "grind": first, "pour": ("visit", ("first visit",))}
    assert not (chain.path / ".pytest_cache/d").exists()


def test_plan_after_a_run(chain: Project) -> None:
    """Nothing is left to do."""
    chain.run("--cc-run")

    assert set(planned(chain).values()) == {("unchanged", ())}


def test_downstream_of_a_visit_depends_on_it(chain: Project) -> None:
    """Whether it is visited depends on the outcome, which nobody knows yet."""
    chain.run("--cc-run")
    chain.write("water.txt", "90")

    assert planned(chain) == {
        "boil": ("visit", ("file water.txt changed",)),
        "pour": ("maybe", ("depends on boil",)),
        "grind": ("unchanged", ()),
    }


def test_replay_is_planned(chain: Project) -> None:
    """Stations to replay are visited, as in that replay."""
    chain.run("--cc-run")

    found = planned(chain, "--cc-replay", "grind", "--cc-plan")

    assert found["grind"] == ("visit", ("selected by --cc-replay",))
    assert found["boil"] == ("unchanged", ())


def test_selection_is_planned_with_what_it_needs(chain: Project) -> None:
    """Stations that a selection pulls in are part of the plan."""
    run = chain.run("--cc-plan", "-k", "pour")

    assert "choochoo: 1 needed station added: boil" in run.outlines
    assert set(planned(chain, "-k", "pour")) == {"boil", "pour"}


def test_plan_as_text(chain: Project) -> None:
    """Each station has a line; the counts, the expected time and the next command follow."""
    chain.run("--cc-run")
    chain.write("water.txt", "90")
    chain.edit("stations.py", 'log("grind")', 'log("grind finely")')

    run = chain.run("--cc-plan")

    shown = run.outlines.index("collected 3 items")
    assert run.outlines[shown + 1 : shown + 7] == (
        "",
        "  visit  boil   Boil the water  file water.txt changed",
        "  maybe  pour                   depends on boil",
        "  visit  grind                  code of stations.py::grind changed",
        "choochoo: 2 to visit, 1 maybe",
        "next: pytest --cc-run",
    )
    assert run.log == ()


def test_quiet_plan_is_its_closing_lines(chain: Project) -> None:
    """With -q the table is left out, with -qq everything."""
    quiet = chain.run("--cc-plan", "-q")
    silent = chain.run("--cc-plan", "-qq")

    assert quiet.outlines[:2] == ("choochoo: 3 to visit", "next: pytest --cc-run")
    assert "choochoo" not in silent.text


def test_expected_time_is_that_of_the_last_visits(project: Project) -> None:
    """The time is told without and with what may be visited."""
    project.stations("""
        from time import sleep

        @station
        def boil() -> int:
            sleep(0.12)
            return 1

        @station
        def pour(boil) -> None:
            sleep(0.06)
    """)
    project.run("--cc-run")

    run = project.run("--cc-replay", "boil", "--cc-plan")

    assert (
        "choochoo: 1 to visit, 1 maybe; about 0.1 s, up to 0.2 s with what may be visited"
        in run.outlines
    )


@pytest.mark.parametrize("command", ["plan", "status", "explain all", "graph"])
def test_reading_changes_nothing(chain: Project, mode: str, command: str) -> None:
    """No fixture is set up, nothing is written, and xdist's workers are not needed."""
    chain.edit("stations.py", "@station\ndef grind()", "@station\ndef grind(tray)")
    chain.write(
        "conftest.py",
        """
        import pytest
        from effects import log

        @pytest.fixture(autouse=True, scope="session")
        def power():
            log("power")

        @pytest.fixture
        def tray():
            log("tray")
        """,
    )
    chain.run("--cc-run", new_interpreter=True)
    chain.write("water.txt", "90")
    before = snapshot(chain.path / ".pytest_cache/d")

    run = chain.run(*f"--cc-{command}".split(), new_interpreter=True)

    assert (run.exit_code, run.log) == (0, ())
    assert snapshot(chain.path / ".pytest_cache/d") == before


def test_last_mode_counts(chain: Project) -> None:
    """Of two modes, the last one on the command line counts."""
    assert chain.run("--cc-run", "--cc-plan").log == ()
    assert chain.run("--cc-plan", "--cc-run").log == ("boil", "pour", "grind")


# --- what only the run can tell


def test_check_may_settle_a_change_of_code(project: Project) -> None:
    """A plan asks no check, so it says that the check decides."""
    project.stations("""
        @station
        def boil() -> None:
            log("boil")

        @boil.check
        def hot():
            pass
    """)
    assert planned(project) == {"boil": ("maybe", ("first visit", "its check decides"))}
    project.run("--cc-run")
    assert planned(project) == {"boil": ("unchanged", ())}
    project.edit("stations.py", 'log("boil")', 'log("boil again")')

    assert planned(project) == {
        "boil": ("maybe", ("code of stations.py::boil changed", "its check decides"))
    }


def test_value_of_a_fixture_is_known_only_in_a_run(project: Project) -> None:
    """A plan sets up no fixture."""
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture
        def size():
            return 3
        """,
    )
    project.stations("""
        @station(values=["size"])
        def boil(size) -> None:
            pass
    """)
    project.run("--cc-run")

    assert planned(project) == {"boil": ("maybe", ("value size is known only in a run",))}


def test_station_that_renews_makes_downstream_due(project: Project) -> None:
    """Its visit is reason enough for downstream."""
    project.stations("""
        @station(renews=True)
        def machine() -> str:
            return "m1"

        @station
        def system(machine) -> None:
            pass
    """)
    project.run("--cc-run")

    found = planned(project, "--cc-replay", "machine", "--cc-plan")

    assert found["system"] == ("visit", ("machine is made again from nothing",))


def test_order_alone_is_no_dependency(project: Project) -> None:
    """Downstream of a station that returns nothing stays, unless it has files of its own."""
    project.stations("""
        @station
        def boil() -> None:
            pass

        @station
        def pour(boil) -> None:
            pass

        @station(files=["tray.txt"])
        def serve(boil) -> None:
            pass
    """)
    project.write("tray.txt", "")
    project.run("--cc-run")

    found = planned(project, "--cc-replay", "boil", "--cc-plan")

    assert found["pour"] == ("unchanged", ())
    assert found["serve"] == ("maybe", ("its files may be altered by boil",))


def test_file_that_is_missing_may_be_made_upstream(project: Project) -> None:
    """A missing file is no error yet where a visit upstream may make it."""
    project.stations("""
        from pathlib import Path

        @station
        def boil() -> None:
            Path("steam.txt").write_text("")

        @station(files=["steam.txt"])
        def serve(boil) -> None:
            pass

        @station(files=["gone.txt"])
        def rest() -> None:
            pass
    """)

    found = planned(project)

    missing = (
        "station {!r} declares the file {}, which does not exist; create it, or correct files=[...]"
    )
    assert found["serve"] == (
        "maybe",
        ("its files may be altered by boil", missing.format("serve", "steam.txt")),
    )
    assert found["rest"] == ("visit", (missing.format("rest", "gone.txt"),))


def test_mark_may_skip_a_station(project: Project) -> None:
    """Pytest evaluates the condition of a mark in the run."""
    project.stations("""
        import sys

        @pytest.mark.skipif(sys.platform == "plan9", reason="no kettle")
        @station
        def boil() -> None:
            pass
    """)

    assert planned(project) == {"boil": ("maybe", ("first visit", "a mark may skip it"))}


# --- a plan contains the run


class Step:
    """A station of a random route: what it needs, and which of the features it has."""

    def __init__(self, number: int, needs: list[int], features: set[str]) -> None:
        self.number = number
        self.needs = sorted({each for each in needs if each < number})
        self.features = features
        self.version = 0

    def text(self) -> str:
        name, has = f"s{self.number}", self.features.__contains__
        needed = [f"s{each}" for each in self.needs]
        keywords = [
            *([f'files=["f{self.number}.txt"]'] if has("file") else []),
            *(["renews=True"] if has("renews") else []),
            *([f'products=["p{self.number}.txt"]'] if has("product") else []),
        ]
        total = " + ".join([f"world({self.number})", *(f"({each} or 0)" for each in needed)])
        lines = [
            f"@station({', '.join(keywords)})",
            f"def {name}({', '.join(needed)}) -> {'int' if has('outcome') else 'None'}:",
            f"    log('{name}')",
            f"    version = {self.version}",
            f"    value = {total}",
            f"    Path('p{self.number}.txt').write_text(str(value))" if has("product") else "",
            f"    Path('c{self.number}.txt').write_text('')",
            "    return value" if has("outcome") else "",
        ]
        if has("check"):
            lines += [
                f"@{name}.check",
                f"def ok{self.number}():",
                f"    assert Path('c{self.number}.txt').exists()",
            ]
        if has("find") and has("outcome"):
            lines += [
                f"@{name}.find",
                f"def find{self.number}({', '.join(needed)}):",
                f"    return {total} if Path('c{self.number}.txt').exists() else None",
            ]
        return "\n".join(line for line in lines if line)


FEATURES = st.sets(st.sampled_from(["outcome", "check", "find", "file", "renews", "product"]))
ROUTES = st.lists(
    st.tuples(st.lists(st.integers(0, 4), max_size=2), FEATURES), min_size=2, max_size=5
)
ACTS = ["file", "world", "drift", "code", "forget", "replay", "product", "nothing"]
HISTORIES = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 4)), min_size=2, max_size=4)
EXAMPLES = int(os.environ.get("PLAN_EXAMPLES", "6"))


@given(route=ROUTES, history=HISTORIES)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_plan_contains_the_run(
    project: Project, route: list[tuple[list[int], set[str]]], history: list[tuple[str, int]]
) -> None:
    """Stations to visit are visited, unchanged ones are not, unless a check disagrees."""
    steps = [Step(number, needs, features) for number, (needs, features) in enumerate(route)]
    for file in project.path.glob("*.txt"):
        file.unlink()
    for number in range(len(steps)):
        project.write(f"w{number}.txt", "1")
        project.write(f"f{number}.txt", "1")
    _write(project, steps)
    project.run("--cc-forget", "all")
    for act, which in history:
        step = steps[which % len(steps)]
        options = _do(project, act, step, steps)
        plan = planned(project, *options, "--cc-plan")
        run = project.run("--cc-run", *options)
        _require_contained(plan, run.results, run.reasons, steps)


def _write(project: Project, steps: list[Step]) -> None:
    header = "from pathlib import Path\n\ndef world(number):\n    return int(Path(f'w{number}.txt').read_text())\n\n\n"
    project.stations(header + "\n\n\n".join(step.text() for step in steps))


def _do(project: Project, act: str, step: Step, steps: list[Step]) -> tuple[str, ...]:
    """Change something about *step*; return options for the next commands."""
    number = step.number
    match act:
        case "file" | "world" | "product":
            file = project.path / f"{act[0]}{number}.txt"
            known = int(file.read_text()) if file.exists() else 0
            file.write_text(str(known + 1))
        case "drift":
            Path(project.path / f"c{number}.txt").unlink(missing_ok=True)
        case "code":
            step.version += 1
            _write(project, steps)
        case "forget":
            project.run("--cc-forget", f"s{number}")
        case "replay":
            return "--cc-replay", f"s{number}"
    return ()


def _require_contained(
    plan: dict[str, tuple[str, tuple[str, ...]]],
    results: dict[str, str],
    reasons: dict[str, tuple[str, ...]],
    steps: list[Step],
) -> None:
    drifted: set[str] = set()
    for step in steps:
        name = f"s{step.number}"
        forecast, result = plan[name][0], results[name]
        if any(f"s{each}" in drifted for each in step.needs):
            drifted.add(name)  # nobody could foresee what is upstream
        elif forecast == "unchanged" and any("check" in each for each in reasons[name]):
            drifted.add(name)
        else:
            facts: Any = (name, plan[name], result, reasons[name])
            assert forecast != "visit" or result == "visited", facts
            assert forecast != "unchanged" or result == "unchanged", facts
