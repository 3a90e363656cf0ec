"""The language of the tests: write stations, run, edit, run again, compare the results.

def test_changed_upstream_outcome_revisits_downstream(project):
    project.stations('''
        @station
        def boil():
            log("boil")
            return 100

        @station
        def pour(boil):
            assert boil
    ''')
    project.run("--cc-run")
    project.edit("stations.py", "100", "90")

    run = project.run("--cc-run")

    assert run.visited == ("boil", "pour")
    assert run.log == ("boil",)
"""

from __future__ import annotations

import json
import os
import pkgutil
import re
import shutil
import sqlite3
import sys
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from forking import ForkServer

import pytest_choochoo
from pytest_choochoo.engine.ledger.record import Record, from_text, to_text
from pytest_choochoo.engine.ledger.schema import with_checksum

# Imported once and for all: pytester unloads the modules that a run imports, the plugin's included.
for _room in pkgutil.walk_packages(pytest_choochoo.__path__, "pytest_choochoo."):
    import_module(_room.name)
for _name in ("filelock", "jinja2", "effects"):  # what the plugin or projects import late
    import_module(_name)

HERE = Path(__file__).resolve().parent
#: The first four lines of a file that `Project.stations` writes: its text begins on the fifth.
HEADER = """\
import pytest
from pytest_choochoo import Visit, station
from effects import log

"""
#: Plugins that a run does not load unless a test requests them with `Project.use`.
OPTIONAL = {
    "allure": "allure_pytest",
    "anyio": "anyio",
    "asyncio": "asyncio",
    "check": "check",
    "flakefinder": "flakefinder",
    "html": "html",
    "hypothesis": "hypothesispytest",
    "metadata": "metadata",
    "nunit": "nunit",
    "randomly": "randomly",
    "repeat": "repeat",
    "rerunfailures": "rerunfailures",
    "run-parallel": "run-parallel",
    "timeout": "timeout",
    "trio": "trio",
}


# Variables of a service or a shell, because of which pytest and we print something else.
AMBIENT = ("CI", "BUILD_NUMBER", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "GITHUB_STEP_SUMMARY")


def outside() -> dict[str, str]:
    """Return our environment without the variables that would affect another pytest."""
    # With the variables of tox, pytest would keep one cache for all projects.
    altering = ("CC_", "PYTEST", "TOX_")
    return {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(altering) and name not in AMBIENT
    }


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return the content and the time of every file below *folder*."""
    return {
        str(file.relative_to(folder)): (file.read_bytes(), file.stat().st_mtime_ns)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def change_records(project: Path, change: Callable[[Record], Record]) -> None:
    """Replace the records of a project by what *change* makes of them, as another version would."""
    file = project / ".pytest_cache/d/choochoo/default.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        for key, place, text, _ in connection.execute("select * from records").fetchall():
            row = with_checksum(key, place, to_text(change(from_text(text))))
            connection.execute("replace into records values (?, ?, ?, ?)", row)


def ageless(reasons: tuple[str, ...]) -> tuple[str, ...]:
    """Return *reasons* without the time that has passed: `forgotten ... ago`."""
    return tuple(re.sub(r"[\d.]+ s ago", "... ago", reason) for reason in reasons)


@dataclass(frozen=True, kw_only=True)
class Run:
    """The result of one pytest command.

    *facts*: the last `choochoo` dict of each node id. *collected*: node id and
    whether it is a station, in running order. *log*: the side effects of this run.
    """

    exit_code: int
    text: str
    reports: tuple[dict[str, Any], ...]
    collect_errors: tuple[str, ...]
    collected: tuple[tuple[str, bool], ...]
    log: tuple[str, ...]

    @cached_property
    def outlines(self) -> tuple[str, ...]:
        return tuple(self.text.splitlines())

    @cached_property
    def facts(self) -> dict[str, dict[str, Any]]:
        found = {r["node_id"]: r["choochoo"] for r in self.reports if r["choochoo"]}
        return {key: fact for key, fact in found.items() if fact.get("is_station", True)}

    @cached_property
    def results(self) -> dict[str, str]:
        """The result of each station by name, `not reached` included, in running order."""
        reported = {fact["name"]: fact["result"] for fact in self.facts.values()}
        rest = {
            node_id.rpartition("::")[2]
            for node_id, is_station in self.collected
            if is_station and node_id not in self.facts
        }
        blocked = set(re.findall(r"^  blocked  (\S+)", self.text, re.MULTILINE))
        unreached = {name: "blocked" if name in blocked else "not reached" for name in sorted(rest)}
        is_run = "choochoo: " in self.text
        return reported | (unreached if is_run else {})

    @cached_property
    def keys(self) -> dict[str, str]:
        """The result of each station by node id, for stations that share a name."""
        return {key: fact["result"] for key, fact in self.facts.items()}

    @cached_property
    def reasons(self) -> dict[str, tuple[str, ...]]:
        return {f["name"]: tuple(f.get("reasons", ())) for f in self.facts.values()}

    @cached_property
    def causes(self) -> dict[str, str]:
        """The cause of each station that failed or was skipped."""
        return {f["name"]: f["cause"] for f in self.facts.values() if f.get("cause")}

    @cached_property
    def blamed(self) -> dict[str, tuple[str, ...]]:
        """The stations that block each blocked station, by name."""
        return {f["name"]: tuple(f["by"]) for f in self.facts.values() if f.get("by")}

    def with_result(self, result: str) -> tuple[str, ...]:
        return tuple(name for name, word in self.results.items() if word == result)

    @property
    def visited(self) -> tuple[str, ...]:
        return self.with_result("visited")

    @property
    def unchanged(self) -> tuple[str, ...]:
        return self.with_result("unchanged")

    @property
    def verified(self) -> tuple[str, ...]:
        return self.with_result("verified")

    @property
    def adopted(self) -> tuple[str, ...]:
        return self.with_result("adopted")

    @property
    def failed(self) -> tuple[str, ...]:
        return self.with_result("failed")

    @property
    def blocked(self) -> tuple[str, ...]:
        return self.with_result("blocked")

    @property
    def skipped(self) -> tuple[str, ...]:
        return self.with_result("skipped")

    @property
    def not_reached(self) -> tuple[str, ...]:
        return self.with_result("not reached")

    @cached_property
    def tests(self) -> dict[str, str]:
        """The result of each test by name: passed, failed or skipped."""
        ended: dict[str, str] = {}
        for report in self.reports:
            node_id, outcome = report["node_id"], report["outcome"]
            if node_id in self.facts:
                continue
            name = node_id.rpartition("::")[2]
            if report["when"] == "call" or outcome != "passed":
                ended[name] = outcome
        return ended

    @cached_property
    def errors(self) -> dict[str, str]:
        """The long text of each failed or skipped item, by name."""
        return {r["node_id"].rpartition("::")[2]: r["text"] for r in self.reports if r["text"]}

    @cached_property
    def properties(self) -> dict[str, dict[str, Any]]:
        """The JUnit properties of each item by name."""
        return {
            r["node_id"].rpartition("::")[2]: dict(map(tuple, r["properties"]))
            for r in self.reports
        }

    @cached_property
    def closing(self) -> str:
        """The counts in the closing line, `2 visited, 1 failed`; "" if there is none."""
        found = re.search(r"^choochoo: (.*) in [\d.]+ ", self.text, re.MULTILINE)
        return found[1] if found else ""

    @cached_property
    def last_line(self) -> str:
        """The counts in pytest's own last line, `2 passed, 1 failed`."""
        found = re.findall(r"^=* ?([^=\n]+?) in [\d.]+s", self.text, re.MULTILINE)
        return found[-1] if found else ""


class Project:
    """A project in a directory of its own, and pytest commands in it.

    With *workers*, a run is a separate process under xdist; otherwise it takes place in this
    process.
    """

    def __init__(
        self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, forks: ForkServer
    ) -> None:
        self.path = pytester.path
        self._forks = forks
        self.workers = 0
        self._pytester = pytester
        self._monkeypatch = monkeypatch
        self._used: set[str] = set()
        self._probe = pytester.path.parent / f"{pytester.path.name}-probe"
        self._probe.mkdir()
        self._log = self._probe / "log.txt"
        monkeypatch.setenv("HARNESS_PROBE", str(self._probe))
        monkeypatch.setenv("HARNESS_LOG", str(self._log))
        monkeypatch.setenv("PYTHONPATH", str(HERE))
        monkeypatch.delenv("CC_PROFILE", raising=False)
        self.write("pytest.ini", "[pytest]\n")

    def write(self, name: str, text: str) -> Path:
        """Write *text*, dedented, to the file *name* below the project."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        _put(file, dedent(text).lstrip("\n"))
        return file

    def stations(self, text: str, name: str = "stations.py") -> Path:
        """Write a station file: *text* below the imports that stations need."""
        return self.write(name, HEADER + dedent(text).lstrip("\n"))

    def ini(self, *lines: str) -> Path:
        return self.write("pytest.ini", "\n".join(("[pytest]", *lines, "")))

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace *old* by *new*, everywhere in the file *name*."""
        file = self.path / name
        text = file.read_text()
        assert old in text, f"{old!r} is not in {name}"
        _put(file, text.replace(old, new))

    def remove(self, name: str) -> None:
        (self.path / name).unlink()

    def setenv(self, name: str, value: str) -> None:
        """Set an environment variable for the following runs."""
        self._monkeypatch.setenv(name, value)

    def use(self, *plugins: str) -> None:
        """Load *plugins*, names in `OPTIONAL`, in the following runs."""
        assert set(plugins) <= OPTIONAL.keys(), plugins
        self._used.update(plugins)

    def log(self) -> tuple[str, ...]:
        """Return all lines logged so far, in all runs."""
        return tuple(self._log.read_text().splitlines()) if self._log.exists() else ()

    def run(
        self, *arguments: str, apart: bool = False, new_interpreter: bool = False, cwd: str = "."
    ) -> Run:
        """Run pytest with *arguments* in *cwd* below the project.

        *apart*: in a separate process. *new_interpreter*: in one that has imported nothing, like
        the workers that it starts.
        """
        before = len(self.log())
        for file in self._probe.glob("*.json"):
            file.unlink()
        without = [f"-pno:{OPTIONAL[name]}" for name in OPTIONAL.keys() - self._used]
        # Lines about visits, with times in them, would stand between pytest's own.
        progress = () if "no:choochoo" in arguments else ("--cc-progress=off",)
        command = ["-p", "probe", *progress, *sorted(without), *arguments]
        if self.workers:
            command += ["-n", str(self.workers)]
        with self._monkeypatch.context() as context, warnings.catch_warnings():
            warnings.resetwarnings()  # the filters of this process are not those of the run
            context.chdir(self.path / cwd)
            if new_interpreter or not (apart or self.workers):
                exit_code, text = self._start(new_interpreter, *command)
            else:
                exit_code, text = self._fork(context, *command)
        facts = self._read("reports.json", {"reports": [], "collect_errors": []})
        collected = self._read("collected.json", [])
        return Run(
            exit_code=exit_code,
            text=text,
            reports=tuple(facts["reports"]),
            collect_errors=tuple(facts["collect_errors"]),
            collected=tuple((node_id, is_station) for node_id, is_station in collected),
            log=self.log()[before:],
        )

    def _start(self, new_interpreter: bool, *command: str) -> tuple[int, str]:
        if new_interpreter:
            done = self._pytester.run(sys.executable, "-m", "pytest", *command)
        else:
            done = self._pytester.runpytest_inprocess(*command)
        return int(done.ret), "\n".join((*done.outlines, *done.errlines))

    def _fork(self, context: pytest.MonkeyPatch, *command: str) -> tuple[int, str]:
        # As pytester does for the processes that it starts.
        context.setenv("PYTHONPATH", os.getcwd(), prepend=os.pathsep)
        files = self._probe / "output.txt", self._probe / "errors.txt"
        with files[0].open("wb") as output, files[1].open("wb") as errors:
            code = self._forks.run("-m", "pytest", *command, output=output, errors=errors)
        text = "\n".join(line for file in files for line in file.read_text().splitlines())
        sys.stdout.write(f"{text}\n")  # shown where the test fails
        return code, text

    def _read(self, name: str, otherwise: Any) -> Any:
        file = self._probe / name
        return json.loads(file.read_text()) if file.exists() else otherwise


def _put(file: Path, text: str) -> None:
    file.write_text(text)
    # Otherwise an edit within a second that keeps the size would be hidden by a stale .pyc.
    shutil.rmtree(file.parent / "__pycache__", ignore_errors=True)


MODES: dict[str, Callable[[Project], None]] = {
    "serial": lambda project: None,
    "parallel": lambda project: setattr(project, "workers", 2),
}
