"""`--cc-json FILE`: the facts of a session for machines, in a documented form."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from harness import Project
from jsonschema import Draft202012Validator

from pytest_choochoo.reporting.document import Document

SCHEMA = Path(__file__).parents[2] / "docs/json-schema.json"

WORKFLOW = """
    from pathlib import Path
    from pytest_choochoo import Secret

    @station
    def create_db() -> dict[str, str]:
        "Create the database"
        return {"host": "db.example", "port": "5432"}

    @station
    def login(create_db) -> dict[str, Secret[str]]:
        return {"token": Secret("hunter2")}

    @station
    def migrate(create_db) -> None:
        assert Path("schema.sql").exists(), "no schema"

    @station
    def serve(migrate) -> None:
        pass
"""


def document(project: Project, *arguments: str) -> dict[str, Any]:
    """Return what *arguments* write into a file, once it is valid."""
    file = project.path / "out" / "run.json"
    project.run(*arguments, "--cc-json", "out/run.json")
    found: dict[str, Any] = json.loads(file.read_text())
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(found)
    return found


def stations(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in found["stations"]}


def test_schema_is_that_of_the_document() -> None:
    """`python -m pytest_choochoo.reporting.document > docs/json-schema.json` makes it again."""
    made = msgspec.json.schema(Document)

    assert json.loads(SCHEMA.read_text()) == json.loads(msgspec.json.encode(made))


def test_document_of_a_run(project: Project, mode: str) -> None:
    """Every selected station is in it, with its outcome, but no secret."""
    project.stations(WORKFLOW)

    found = document(project, "--cc-run")

    began, ended = (datetime.fromisoformat(found[name]) for name in ("started", "finished"))
    assert began < ended
    assert (found["schema"], found["command"], found["profile"]) == (1, "run", "default")
    assert (found["exit_code"], found["counts"]) == (1, {"visited": 2, "failed": 1, "blocked": 1})
    by_name = stations(found)
    assert list(by_name) == ["create_db", "login", "migrate", "serve"]
    assert by_name["create_db"]["title"] == "Create the database"
    assert by_name["create_db"]["outcome"] == {"host": "db.example", "port": "5432"}
    assert by_name["create_db"]["reasons"] == ["first visit"]
    assert by_name["create_db"]["seconds"] > 0
    assert by_name["login"]["outcome"] == {"token": "***"}
    assert by_name["migrate"]["cause"] == "AssertionError: no schema"
    assert by_name["migrate"]["node_id"] == "stations.py::migrate"
    assert "outcome" not in by_name["migrate"]
    assert by_name["serve"]["blocked_by"] == ["migrate"]
    assert by_name["serve"]["upstream"] == ["migrate"]
    assert "hunter2" not in (project.path / "out/run.json").read_text()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("plan", {"unchanged": 2, "visit": 2}),
        ("status", {"complete": 2, "failed": 1, "never visited": 1}),
        ("check", {"unchanged": 2, "failed": 2}),
        ("clean", {"left in place": 3}),
    ],
)
def test_document_of_other_commands(project: Project, command: str, words: dict[str, int]) -> None:
    """Each command has words of its own."""
    project.stations(WORKFLOW)
    project.run("--cc-run")

    found = document(project, f"--cc-{command}")

    assert (found["command"], found["counts"]) == (command, words)


def test_document_without_stations(project: Project) -> None:
    """A run of tests alone has a document without stations."""
    project.write("test_it.py", "def test_it(): pass")

    found = document(project, "--cc-run")

    assert (found["stations"], found["exit_code"]) == ([], 0)


def test_file_that_cannot_be_written(project: Project) -> None:
    """The command did its work, but the one who reads the file must not take an old one for it."""
    project.stations("@station\ndef boil(): pass")
    project.write("out", "")

    run = project.run("--cc-run", "--cc-json", "out/run.json")

    file = project.path / "out/run.json"
    assert f"choochoo: --cc-json: {file} could not be written: not a directory" in run.outlines
    assert (run.exit_code, run.visited) == (1, ("boil",))
