"""Stations in the reports of others: JUnit XML, the page of pytest-html, Allure's results."""

from __future__ import annotations

import json
import re
import time
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from harness import Project

#: A title with markup, a colour and a mark that reverses text; letters of both directions, an emoji.
TITLE = "🫖 <script>alert('x')</script>\x1b[31m\u202e שלום & tea"
SHOWN_TITLE = r"🫖 <script>alert('x')</script>\x1b[31m\u202e שלום & tea"

STATIONS = f"""
    @station(title={TITLE!a})
    def boil() -> int:
        return 100

    @station
    def burn(boil):
        \"\"\"Burn the tea\"\"\"
        raise OSError("<script>alert('x')</script>\\x1b[31m\\u202e")

    @station
    def eat(burn): ...

    @pytest.mark.parametrize("kind", ["green"])
    @station
    def brew(kind, boil) -> str:
        \"\"\"Brew it

        In a pot.
        \"\"\"
        return kind

    @brew.check
    def is_brewed(): ...
"""
TESTS = """
def test_alone(): ...

def test_brew(brew): ...

def test_eat(eat): ...
"""
ERROR = r"OSError: <script>alert('x')</script>\x1b[31m\u202e"


@pytest.fixture
def tea(project: Project, mode: str) -> Project:
    """A project with a station of each kind, and tests."""
    project.stations(STATIONS)
    project.write("test_tea.py", TESTS)
    return project


# --- JUnit XML


def _junit(project: Project) -> dict[str, tuple[dict[str, str], set[str]]]:
    """Return the properties of each test case by name, and the tags of its other children."""
    root = ElementTree.parse(project.path / "junit.xml").getroot()
    return {
        case.get("name", ""): (
            {each.get("name", ""): each.get("value", "") for each in case.iter("property")},
            {child.tag for child in case} - {"properties"},
        )
        for case in root.iter("testcase")
    }


def test_junit_has_the_stations_of_each_run(tea: Project) -> None:
    """JUnit XML has result, title, reasons and checks, of stations that are not run as well."""
    tea.run("--cc-run")

    tea.run("--cc-run", "--junitxml=junit.xml")

    cases = _junit(tea)
    results = {name: found.get("choochoo.result") for name, (found, _) in cases.items()}
    assert results == {
        "boil": "unchanged",
        "burn": "failed",
        "eat": "blocked",
        "brew[green]": "unchanged",
        "test_alone": None,
        "test_brew": None,
        "test_eat": "blocked",
    }
    assert cases["boil"][0]["choochoo.title"] == SHOWN_TITLE
    assert cases["burn"][0]["choochoo.reasons"].startswith("last visit failed ")
    assert cases["brew[green]"][0]["choochoo.check.is_brewed"] == "passed"
    assert [cases[name][1] for name in ("burn", "eat")] == [{"failure"}, {"skipped"}]


def test_junit_has_what_a_check_verified(tea: Project) -> None:
    """Under `--cc-check`, JUnit XML has the stations with their answers and reasons."""
    tea.run("--cc-run")

    tea.run("--cc-check", "--junitxml=junit.xml")

    cases = _junit(tea)
    assert cases["boil"][0]["choochoo.result"] == "verified" and not cases["boil"][1]
    assert cases["brew[green]"][0]["choochoo.check.is_brewed"] == "passed"
    assert cases["eat"][1] == {"skipped"}


# --- pytest-html


class _Cells(HTMLParser):
    """The text of one cell, and the elements in it."""

    def __init__(self, cell: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(cell)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.text += "\n" if tag == "br" else ""

    def handle_data(self, data: str) -> None:
        self.text += data


def _table(project: Project) -> tuple[list[str], dict[str, list[str]]]:
    """Return the headers of the page's table, and the cells of the row of each item, as HTML."""
    page = (project.path / "page.html").read_text()
    found = re.search(r'data-jsonblob="(.*?)"', page, re.DOTALL)
    assert found
    tests = json.loads(unescape(found[1]))["tests"]
    rows = {key.rpartition("::")[2]: rows[-1]["resultsTableRow"] for key, rows in tests.items()}
    return re.findall(r"<th\b[^>]*>([^<]*)</th>", page), rows


def _in_page(project: Project) -> dict[str, str]:
    """Return the text in the column `Station` by item; each row has a cell for each header."""
    headers, rows = _table(project)
    assert headers[-1] == "Station"
    assert {len(cells) for cells in rows.values()} == {len(headers)}
    cells = {name: _Cells(cells[-1]) for name, cells in rows.items()}
    assert set().union(*(cell.tags for cell in cells.values())) <= {"td", "strong", "br", "bdi"}
    return {name: cell.text for name, cell in cells.items()}


def test_page_has_a_column_for_stations(tea: Project) -> None:
    """A row of a station has its result, why it ended so, its reasons and title; safely."""
    pytest.importorskip("pytest_html")
    tea.use("html", "metadata")

    tea.run("--cc-run", "--html=page.html")
    first = _in_page(tea)
    tea.run("--cc-run", "--html=page.html")
    second = _in_page(tea)

    assert first == {
        "boil": f"visited: first visit\n{SHOWN_TITLE}",
        "burn": f"failed: {ERROR}\nfirst visit\nBurn the tea",
        "eat": "blocked by burn",
        "brew[green]": "visited: first visit\nBrew it",
        "test_alone": "",
        "test_brew": "",
        "test_eat": "",
    }
    assert second["boil"] == f"unchanged\n{SHOWN_TITLE}"
    assert second["brew[green]"] == "unchanged\nBrew it"
    assert second["eat"] == "blocked by burn"
    assert second["burn"].startswith(f"failed: {ERROR}\nlast visit failed ")


def test_page_of_a_check(tea: Project) -> None:
    """Under `--cc-check`, the column has what was verified, and what was not, with the reasons."""
    pytest.importorskip("pytest_html")
    tea.use("html", "metadata")
    tea.run("--cc-run")

    tea.run("--cc-check", "--html=page.html")

    cells = _in_page(tea)
    assert cells["boil"] == f"verified\n{SHOWN_TITLE}"
    assert cells["eat"] == ("skipped: nothing to verify it by: never visited here, no check")
    assert cells["test_alone"] == ""


def test_page_without_stations_has_no_column(project: Project, mode: str) -> None:
    """Where no station is in the run, the page is as without this plugin."""
    pytest.importorskip("pytest_html")
    project.use("html", "metadata")
    project.write("test_it.py", "def test_it(): ...\n")

    project.run("--cc-run", "--html=page.html")
    with_option = _table(project)
    project.stations("@station\ndef boil(): ...\n")
    project.run("--html=page.html")
    plain = _table(project)

    assert with_option[0] == plain[0] == ["Result", "Test", "Duration", "Links"]
    assert [len(cells) for cells in (with_option[1]["test_it"], plain[1]["test_it"])] == [4, 4]


def test_page_with_columns_and_rows_of_a_conftest(project: Project, mode: str) -> None:
    """The column stands beside others; a row that a conftest removes stays removed."""
    pytest.importorskip("pytest_html")
    project.use("html", "metadata")
    project.stations("@station\ndef boil(): ...\n\n@station\ndef pour(boil): ...\n")
    project.write(
        "conftest.py",
        """
        def pytest_html_results_table_header(cells):
            cells.insert(2, "<th>Own</th>")

        def pytest_html_results_table_row(report, cells):
            cells.insert(2, "<td>own</td>")
            if report.nodeid.endswith("pour"):
                del cells[:]
        """,
    )

    project.run("--cc-run", "--html=page.html")

    headers, rows = _table(project)
    assert headers == ["Result", "Test", "Own", "Duration", "Links", "Station"]
    assert set(rows) == {"boil"}
    assert rows["boil"][2] == "<td>own</td>"
    assert _in_page(project) == {"boil": "visited: first visit"}


# --- Allure


def _allure(project: Project, folder: str = "allure") -> dict[str, dict[str, Any]]:
    """Return Allure's results by the name in code; there is one for each."""
    found = [_read(file) for file in (project.path / folder).glob("*-result.json")]
    by_name = {each["fullName"].partition("#")[2]: each for each in found}
    assert len(by_name) == len(found)
    return by_name


def _read(file: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(file.read_text())
    return result


def _parameters(result: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in result.get("parameters", ())}


def _tags(result: dict[str, Any]) -> set[str]:
    return {each["value"] for each in result["labels"] if each["name"] == "tag"}


def test_allure_has_every_station_of_a_run(tea: Project) -> None:
    """Each station and test has one result in each run, whether it was run or settled."""
    pytest.importorskip("allure_pytest")
    tea.use("allure")

    runs = [tea.run("--cc-run", f"--alluredir={number}") for number in (1, 2)]

    first, second = _allure(tea, "1"), _allure(tea, "2")
    assert {name: each["status"] for name, each in second.items()} == {
        "boil": "passed",
        "burn": "broken",  # Allure's word for an error that is no failed assertion
        "eat": "skipped",
        "brew": "passed",
        "test_alone": "passed",
        "test_brew": "passed",
        "test_eat": "skipped",
    }
    assert {name: each["status"] for name, each in first.items()} == {
        name: each["status"] for name, each in second.items()
    }
    stations = ("boil", "burn", "eat", "brew")
    words = {name: _parameters(second[name])["choochoo.result"] for name in stations}
    assert words == {
        "boil": "'unchanged'",
        "burn": "'failed'",
        "eat": "'blocked'",
        "brew": "'unchanged'",
    }
    assert [_tags(each["boil"]) for each in (first, second)] == [
        {"station", "visited"},
        {"station", "unchanged"},
    ]
    assert [run.closing for run in runs] == [
        "2 visited, 1 failed, 1 blocked",
        "2 unchanged, 1 failed, 1 blocked",
    ]


def test_allure_has_titles_reasons_and_one_history(tea: Project) -> None:
    """A result has title, description and reasons; of all runs, a station has one history."""
    pytest.importorskip("allure_pytest")
    tea.use("allure")
    began = time.time() * 1000

    for number in (1, 2):
        tea.run("--cc-run", f"--alluredir={number}")

    first, second = _allure(tea, "1"), _allure(tea, "2")
    for results in (first, second):
        assert results["boil"]["name"] == SHOWN_TITLE
        assert results["burn"]["name"] == "Burn the tea"
        assert results["eat"]["name"] == "eat"
        assert results["brew"]["name"] == "Brew it"
        assert "In a pot." in results["brew"]["description"]
        assert _parameters(results["brew"])["kind"] == "'green'"
        assert results["eat"]["statusDetails"]["message"] == "Skipped: blocked by burn"
        assert results["test_eat"]["statusDetails"]["message"] == "Skipped: blocked by burn"
        for each in results.values():
            assert began <= each["start"] <= each["stop"] <= time.time() * 1000
    assert _parameters(first["boil"])["choochoo.reasons"] == "'first visit'"
    assert _parameters(second["burn"])["choochoo.reasons"].startswith("'last visit failed ")
    assert _parameters(second["brew"])["choochoo.check.is_brewed"] == "'passed'"
    assert "choochoo.reasons" not in _parameters(second["boil"])
    assert {name: each["historyId"] for name, each in first.items()} == {
        name: each["historyId"] for name, each in second.items()
    }


def test_allure_of_a_check(tea: Project) -> None:
    """Under `--cc-check`, the results say what was verified, and what is due."""
    pytest.importorskip("allure_pytest")
    tea.use("allure")
    tea.run("--cc-run")

    tea.run("--cc-check", "--alluredir=allure")

    results = _allure(tea)
    assert set(results) == {"boil", "burn", "eat", "brew", "test_alone", "test_brew", "test_eat"}
    assert (results["boil"]["status"], results["boil"]["name"]) == ("passed", SHOWN_TITLE)
    assert _parameters(results["brew"])["choochoo.check.is_brewed"] == "'passed'"
    assert (results["burn"]["status"], results["eat"]["status"]) == ("broken", "skipped")


def test_allure_changes_nothing_else(tea: Project) -> None:
    """With Allure, a run ends, reports and counts as without it; nothing is visited again."""
    pytest.importorskip("allure_pytest")
    tea.use("allure")
    tea.stations(STATIONS.replace("def boil() -> int:", "def boil(pot) -> int:") + POT)
    tea.run("--cc-run")

    without = tea.run("--cc-run", "-rs")
    with_allure = tea.run("--cc-run", "-rs", "--alluredir=allure")

    for each in (without, with_allure):
        assert each.log == ()  # no fixture of an unchanged station is set up
        assert each.closing == "2 unchanged, 1 failed, 1 blocked"
        assert each.last_line == "1 failed, 4 passed, 2 skipped"
        assert "SKIPPED [1] stations.py:14: blocked by burn" in each.text
        assert "SKIPPED [1] test_tea.py:5: blocked by burn" in each.text
    assert without.facts.keys() == with_allure.facts.keys()


POT = """
    @pytest.fixture
    def pot():
        log("pot")
"""


def test_allure_of_a_clean(project: Project) -> None:
    """A clean has its stations in the results, those that it keeps included."""
    pytest.importorskip("allure_pytest")
    project.use("allure")
    project.stations(
        """
        @station
        def boil(): ...

        @boil.clean
        def cool(): ...

        @station
        def pour(boil): ...

        @pour.clean
        def wipe():
            raise OSError("no cloth")

        @station
        def fill(): ...

        @fill.clean
        def empty(): ...
        """
    )
    project.run("--cc-run")

    project.run("--cc-clean", "--alluredir=allure")

    results = _allure(project)
    words = {name: _parameters(each)["choochoo.result"] for name, each in results.items()}
    assert words == {"boil": "'blocked'", "pour": "'failed'", "fill": "'cleaned'"}
    assert results["boil"]["status"] == "skipped"


def test_title_that_a_visit_gives_stays(project: Project, mode: str) -> None:
    """A visit may name its result in Allure as a test may, whatever its station's title is."""
    pytest.importorskip("allure_pytest")
    project.use("allure")
    project.stations(
        """
        import allure

        @station
        def boil():
            \"\"\"Boil the water\"\"\"
            allure.dynamic.title("Boil 3 litres")
        """
    )

    project.run("--cc-run", "--alluredir=allure")

    assert _allure(project)["boil"]["name"] == "Boil 3 litres"


def test_rerun_station_has_a_result_of_each_run_in_allure(project: Project, mode: str) -> None:
    """Allure has a result of each rerun of a station, as of a test, with the facts of that one."""
    pytest.importorskip("allure_pytest")
    project.use("allure", "rerunfailures")
    project.stations(
        """
        from effects import logged

        @pytest.mark.flaky(reruns=1)
        @station
        def boil():
            \"\"\"Boil the water\"\"\"
            log("boil")
            assert len(logged()) > 1
        """
    )

    run = project.run("--cc-run", "--alluredir=allure")

    assert run.visited == ("boil",)
    files = (project.path / "allure").glob("*-result.json")
    first, second = sorted(map(_read, files), key=lambda each: int(each["stop"]))
    assert (first["name"], second["name"]) == ("Boil the water", "Boil the water")
    assert (first["status"], _tags(first)) == ("failed", {"station", "failed"})
    assert (second["status"], _tags(second)) == ("passed", {"station", "visited"})
    assert first["historyId"] == second["historyId"]


def test_allure_is_not_imported_unless_it_writes(project: Project) -> None:
    """A run without Allure's plugin imports nothing of Allure's."""
    project.stations("@station\ndef boil(): ...\n")
    project.write(
        "conftest.py",
        """
        import sys

        def pytest_sessionfinish():
            names = {name.partition(".")[0] for name in sys.modules}
            assert not names & {"allure", "allure_commons", "allure_pytest"}
        """,
    )

    assert project.run("--cc-run", new_interpreter=True).exit_code == 0


def test_nunit_has_every_station(project: Project, mode: str) -> None:
    """Pytest-nunit looks for a report of each phase, also of a station that is unchanged."""
    project.use("nunit")
    project.stations("""
        @station
        def boil() -> int:
            return 100

        @station
        def pour(boil): assert boil == 0

        @station
        def serve(pour): ...
    """)
    project.run("--cc-run")

    run = project.run("--cc-run", "--nunit-xml=nunit.xml")

    results = re.findall(
        r'<test-case [^>]*?name="stations.py::(\w+)"[^>]*? result="(\w+)"',
        (project.path / "nunit.xml").read_text(),
    )
    assert run.closing == "1 unchanged, 1 failed, 1 blocked"
    assert dict(results) == {"boil": "Passed", "pour": "Failed", "serve": "Skipped"}
