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
        ("check", {"verified": 2, "failed": 1, "skipped": 1}),
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


@pytest.mark.parametrize("option", ["--cc-json", "--cc-report"])
def test_file_without_a_command_is_a_warning(project: Project, mode: str, option: str) -> None:
    """Plain pytest does nothing with stations, of which a file could tell."""
    project.write("test_it.py", "def test_it(): pass")

    run = project.run(f"{option}=facts.html")

    text = "--cc-json and --cc-report write what a --cc-* command did: there is none"
    assert run.exit_code == 0
    assert run.text.count(f"PytestConfigWarning: {text}") == 1
    assert not (project.path / "facts.html").exists()


def test_file_that_cannot_be_written(project: Project) -> None:
    """The command did its work, but the one who reads the file must not take an old one for it."""
    project.stations("@station\ndef boil(): pass")
    project.write("out", "")

    run = project.run("--cc-run", "--cc-json", "out/run.json")

    file = project.path / "out/run.json"
    assert f"choochoo: --cc-json: {file} could not be written: not a directory" in run.outlines
    assert (run.exit_code, run.visited) == (1, ("boil",))


def test_document_has_what_earlier_runs_came_to(project: Project, mode: str) -> None:
    """The last one comes first, and the session itself is not among them."""
    project.stations(WORKFLOW)
    project.run("--cc-run")
    project.run("--cc-run", "--cc-replay", "login")

    found = document(project, "--cc-run")

    past = [(each["command"], each["counts"], each["exit_code"]) for each in found["history"]]
    assert past == [
        ("replay", {"unchanged": 1, "visited": 1, "failed": 1, "blocked": 1}, 1),
        ("run", {"visited": 2, "failed": 1, "blocked": 1}, 1),
    ]
    starts = [datetime.fromisoformat(each["started"]) for each in found["history"]]
    assert datetime.fromisoformat(found["started"]) > starts[0] > starts[1]
    assert all(0 < each["seconds"] < 60 for each in found["history"])


@pytest.mark.parametrize("command", ["run", "plan", "status", "check"])
def test_document_has_what_the_last_visit_printed(
    project: Project, mode: str, command: str
) -> None:
    """Without secrets, and without a part of what the session itself did not print."""
    project.stations("""
        from pytest_choochoo import Secret

        @station
        def login() -> Secret[str]:
            print("the password is hunter2")
            return Secret("hunter2")

        @station
        def quiet(login) -> None: ...
    """)
    project.run("--cc-run")

    found = stations(document(project, f"--cc-{command}"))

    assert found["login"]["output"] == "--- stdout call ---\nthe password is ***\n"
    assert "output" not in found["quiet"]
    assert "hunter2" not in (project.path / "out/run.json").read_text()


def test_output_of_this_session_comes_first(project: Project, mode: str) -> None:
    """An answer of a check is news, where the station is not visited."""
    project.stations("""
        from pathlib import Path

        @station
        def boil() -> None:
            print("boiling")
            Path("hot").touch()

        @boil.check
        def is_hot():
            print("looking")
            assert Path("hot").exists()
    """)
    assert "boiling" in stations(document(project, "--cc-run"))["boil"]["output"]

    found = stations(document(project, "--cc-run"))

    assert found["boil"]["output"] == "--- stdout setup ---\nlooking\n"


def test_secret_that_was_raised_is_nowhere_in_the_document(project: Project, mode: str) -> None:
    """It is hidden in the error, the attempts, the answers of checks and the traceback."""
    project.stations("""
        from pytest_choochoo import Secret

        @station
        def account() -> dict[str, Secret[str]]:
            return {"password": Secret("correct-" + "horse")}

        @station
        def login(account) -> None:
            raise RuntimeError("no " + account["password"].reveal())

        @station
        def logout(account) -> None: ...

        @logout.check
        def is_out(account):
            raise RuntimeError("still " + account["password"].reveal())
    """)

    found = stations(document(project, "--cc-run", "--tb=short"))

    assert found["login"]["cause"] == "RuntimeError: no ***"
    assert found["login"]["attempts"][0]["error"] == "RuntimeError: no ***"
    assert "RuntimeError: no ***" in found["login"]["traceback"]
    assert found["logout"]["checks"] == {"is_out": "RuntimeError: still ***"}
    assert "correct-horse" not in (project.path / "out/run.json").read_text()


@pytest.mark.parametrize("command", ["run", "plan", "status", "check", "explain"])
def test_stations_upstream_have_node_ids(project: Project, mode: str, command: str) -> None:
    """Names beside them, as they may belong to several stations."""
    for folder in ("a", "b"):
        project.write(
            f"{folder}/stations.py",
            f"""
            from pytest_choochoo import station

            @station
            def boil() -> str: return "{folder}"

            @station
            def pour_{folder}(boil) -> str: return boil
            """,
        )
    project.run("--cc-run")
    selectors = ["pour_a,pour_b"] if command == "explain" else []

    found = stations(document(project, f"--cc-{command}", *selectors))

    for folder in ("a", "b"):
        pour = found[f"pour_{folder}"]
        assert (pour["upstream"], pour["upstream_ids"]) == (
            ["boil"],
            [f"{folder}/stations.py::boil"],
        )
        [consumed] = [each for each in pour["inputs"] if each["kind"] == "upstream"]
        assert consumed["new"] == f'"{folder}"'


def test_session_opens_its_ledger_once(project: Project, mode: str) -> None:
    """The facts at the end are read from the ledger that is open."""
    project.stations(WORKFLOW)
    project.write(
        "conftest.py",
        """
        from pytest_choochoo.engine.ledger import opening
        from pytest_choochoo import storage

        opened = []

        def counting(function):
            def call(*arguments, **more):
                opened.append(function.__name__)
                return function(*arguments, **more)
            return call

        storage.open_ledger = counting(opening.open_ledger)
        storage.read_ledger = counting(opening.read_ledger)

        def pytest_unconfigure(config):
            if not hasattr(config, "workerinput"):
                print("opened:", opened)
            storage.open_ledger, storage.read_ledger = opening.open_ledger, opening.read_ledger
        """,
    )

    run = project.run("--cc-run", "--cc-json", "run.json", "-s")

    assert "opened: ['open_ledger']" in run.text


def test_ledger_that_cannot_be_read_is_a_warning(project: Project, mode: str) -> None:
    """In the session that opens it, and where only the file's facts are read from it."""
    project.stations(WORKFLOW)
    project.run("--cc-run")
    ledger = project.path / ".pytest_cache/d/choochoo/default.sqlite"
    ledger.write_bytes(b"no database at all " * 100)

    run = project.run("--cc-check", "--cc-json", "check.json")

    found = json.loads((project.path / "check.json").read_text())
    assert len(found["stations"]) == 4
    assert (
        f"PytestWarning: the ledger {ledger} could not be read: it is damaged "
        "(file is not a database); treating it as empty; 'pytest --cc-run' will deal with it"
    ) in run.text


def test_ledger_of_another_plugin_that_fails_at_the_end(project: Project, mode: str) -> None:
    """The results are in the file nevertheless, and a warning says what is not."""
    project.stations(WORKFLOW)
    project.write(
        "conftest.py",
        """
        from pytest_choochoo.engine.errors import UnusableLedger
        from pytest_choochoo.engine.ledger.location import LedgerLocation
        from pytest_choochoo.engine.ledger.opening import open_ledger

        def pytest_choochoo_make_ledger(config, folder, profile):
            ledger = open_ledger(LedgerLocation(folder, profile))
            def history():
                raise UnusableLedger("there", "the server has gone")
            ledger.history = history
            return ledger
        """,
    )

    run = project.run("--cc-run", "--cc-json", "run.json")

    found = json.loads((project.path / "run.json").read_text())
    assert [each["result"] for each in found["stations"]] == [
        "visited",
        "visited",
        "failed",
        "blocked",
    ]
    assert found["history"] == []
    assert (
        "PytestWarning: --cc-json: what is in the ledger there is left out: the server has gone"
    ) in run.text
