"""The promised types: code that must be accepted, and mistakes that must be found."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
GOOD = sorted((ROOT / "tests/typing/good").glob("*.py"))
BAD = sorted((ROOT / "tests/typing/bad").glob("*.py"))
EXAMPLE = ROOT / "example_project"
MARK = re.compile(r"# error: mypy (?P<mypy>[\w-]+), pyright (?P<pyright>\w+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """The error of a type checker about a line."""

    line: int
    code: str
    message: str


Complaints = Mapping[Path, tuple[Complaint, ...]]


@pytest.fixture(scope="module", params=["mypy", "pyright"])
def checker(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def complaints(checker: str, tmp_path_factory: pytest.TempPathFactory) -> Complaints:
    """The errors of *checker*, in strict mode, for all files at once, since it starts slowly."""
    if checker == "mypy":
        return _by_mypy(tmp_path_factory.mktemp("mypy"))
    return _by_pyright()


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_good_code_is_accepted(file: Path, complaints: Complaints) -> None:
    """Type checkers in strict mode accept the code in the documentation."""
    assert complaints.get(file, ()) == ()


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_mistake_is_found(file: Path, checker: str, complaints: Complaints) -> None:
    """Type checkers find a mistake on its line and nowhere else."""
    line, code = _expected(file, checker)

    found = complaints.get(file, ())

    assert {complaint.line for complaint in found} == {line}
    assert code in {complaint.code for complaint in found}


def test_example_is_accepted(tmp_path: Path) -> None:
    """The example project has no type errors under its own settings."""
    found = _run([sys.executable, "-m", "mypy", f"--cache-dir={tmp_path}"], EXAMPLE)

    assert (found.returncode, found.stderr) == (0, ""), found.stdout


def _expected(file: Path, checker: str) -> tuple[int, str]:
    """Return the line of *file* that is marked as wrong, and what *checker* calls it."""
    marks = [(n, MARK.search(text)) for n, text in enumerate(file.read_text().splitlines(), 1)]
    [(line, code)] = [(number, mark[checker]) for number, mark in marks if mark]
    return line, code


def _by_mypy(folder: Path) -> Complaints:
    # In a separate process: mypy alters the garbage collection of its process.
    settings = ["--config-file=", "--strict", f"--cache-dir={folder}", "--output=json"]
    command = [sys.executable, "-m", "mypy", *settings, *map(str, (*GOOD, *BAD))]
    found = _run(command, ROOT)
    assert found.returncode == 1, found.stdout + found.stderr
    complaints: dict[Path, tuple[Complaint, ...]] = {}
    for text in found.stdout.splitlines():
        fact = json.loads(text)
        file = ROOT / fact["file"]
        complaint = Complaint(line=fact["line"], code=fact["code"], message=fact["message"])
        complaints[file] = (*complaints.get(file, ()), complaint)
    return complaints


def _by_pyright() -> Complaints:
    """Return the errors of pyright with the strict settings in `pyproject.toml`."""
    settings = [f"--pythonpath={sys.executable}", "--outputjson"]
    command = [sys.executable, "-m", "pyright", *settings, *map(str, (*GOOD, *BAD))]
    found = _run(command, ROOT)
    assert found.returncode == 1, found.stdout + found.stderr
    complaints: dict[Path, tuple[Complaint, ...]] = {}
    for fact in json.loads(found.stdout)["generalDiagnostics"]:
        file = Path(fact["file"])
        line, code = fact["range"]["start"]["line"] + 1, fact.get("rule", "")
        complaint = Complaint(line=line, code=code, message=fact["message"])
        complaints[file] = (*complaints.get(file, ()), complaint)
    return complaints


def _run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if name != "MYPYPATH"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
