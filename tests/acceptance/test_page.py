"""The page of `--cc-report`: its facts, without a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from harness import Project

STATIONS = """
    @station
    def boil() -> int:
        print("boiling")
        return 100

    @station(title="Pour the water")
    def pour(boil: int, visit: Visit) -> str:
        visit.resources["cup"] = "blue"
        return f"{boil} degrees"

    @pour.check
    def is_hot(): ...

    @pour.clean
    def spill(pour): ...

    @station
    def sip(pour: str) -> None:
        assert "90" in pour, "not hot enough"

    @station
    def enjoy(sip) -> None: ...
"""


class _Page(HTMLParser):
    """The parts of a page: the text of each script and style, and the attributes of all tags."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.styles: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self._within: dict[str, str | None] | None = None
        self.html = file.read_text("utf-8")
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag == "style":
            self.styles.append("")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = attributes, text + data
        elif self.lasttag == "style":
            self.styles[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self.lasttag = ""

    @property
    def facts(self) -> dict[str, Any]:
        [text] = [text for attributes, text in self.scripts if attributes]
        found: dict[str, Any] = json.loads(text)
        return found

    @property
    def stations(self) -> dict[str, dict[str, Any]]:
        """The facts of each station by name, with their strings."""
        facts = self.facts
        strings = facts["strings"]
        found = {}
        for each in facts["stations"]:
            plain = each | {key: strings[each[key]] for key in _TEXTS & each.keys()}
            plain["r"] = [strings[number] for number in each.get("r", ())]
            plain["i"] = {
                (strings[kind], strings[name]): [n if n is None else strings[n] for n in rest]
                for kind, name, *rest in each.get("i", ())
            }
            plain["u"] = [strings[facts["stations"][number]["n"]] for number in each["u"]]
            found[plain["n"]] = plain
        return found


_TEXTS = {"n", "id", "t", "w", "c", "k", "o", "tb", "out"}


def _page(project: Project, name: str = "page.html") -> _Page:
    return _Page(project.path / name)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_page_shows_a_run(project: Project, mode: str) -> None:
    """Results, reasons, causes, times, workers, output and tracebacks of a run are in the page."""
    project.stations(STATIONS)

    run = project.run("--cc-run", "--cc-report=page.html")

    page = _page(project)
    found = page.stations
    assert {name: each["w"] for name, each in found.items()} == run.results
    assert page.facts["counts"] == {"visited": 2, "failed": 1, "blocked": 1}
    assert (page.facts["command"], page.facts["profile"]) == ("run", "default")
    assert page.facts["exit"] == run.exit_code == 1
    assert page.facts["project"] == project.path.name
    assert found["pour"]["u"] == ["boil"]
    assert found["pour"]["t"] == "Pour the water"
    assert "boiling" in found["boil"]["out"]
    assert found["boil"]["o"] == "100"
    assert found["sip"]["c"].startswith("AssertionError: not hot enough")
    assert "assert '90' in '100 degrees'" in found["sip"]["tb"]
    assert [page.facts["strings"][number] for number in found["enjoy"]["b"]] == ["sip"]
    assert 0 <= found["boil"]["from"] <= found["boil"]["to"] <= found["pour"]["from"] + 0.1
    workers = {found[name]["k"] for name in ("boil", "pour", "sip")}
    assert workers <= ({"main"} if mode == "serial" else {"gw0", "gw1"})


def test_page_shows_inputs_with_old_and_new(project: Project, mode: str) -> None:
    """A changed input is there with both values, others by name."""
    project.stations(STATIONS)
    project.run("--cc-run")
    project.edit("stations.py", "return 100", "return 90")

    project.run("--cc-run", "--cc-report=page.html")

    found = _page(project).stations
    assert found["pour"]["i"]["upstream", "boil"] == ["changed", "100", "90"]
    assert found["boil"]["i"]["code", "stations.py::boil"] == ["changed"]
    assert [found[name]["w"] for name in ("boil", "pour", "sip")] == ["visited"] * 3
    assert len(found["pour"]["a"]) == 2


def test_page_has_the_same_facts_as_the_json_file(project: Project) -> None:
    """Both are made of one document."""
    project.stations(STATIONS)

    project.run("--cc-run", "--cc-report=page.html", "--cc-json=facts.json")

    facts = json.loads((project.path / "facts.json").read_text())
    found = _page(project).stations
    assert [each["name"] for each in facts["stations"]] == [*found]
    assert [each["result"] for each in facts["stations"]] == [each["w"] for each in found.values()]
    [boil, pour, sip, _] = facts["stations"]
    assert pour["resources"] == {"cup": "blue"}
    assert pour["inputs"] == [
        {"kind": "upstream", "name": "boil", "new": "100"},
        {"kind": "code", "name": "stations.py::pour"},
    ]
    assert sip["traceback"] == found["sip"]["tb"]
    assert "boiling" in boil["output"]
    assert boil["worker"] == "main"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--cc-plan", ["unchanged", "unchanged", "visit", "visit"]),
        ("--cc-status", ["complete", "complete", "failed", "never visited"]),
        ("--cc-explain=sip", ["visit"]),
        ("--cc-check", None),
        ("--cc-clean", None),
    ],
)
def test_page_shows_other_commands(project: Project, option: str, words: list[str] | None) -> None:
    """A plan, the status, checks and cleans have pages like a run."""
    project.stations(STATIONS)
    project.run("--cc-run")

    run = project.run(option, "--cc-report=page.html")

    page = _page(project)
    assert page.facts["command"] == option.removeprefix("--cc-").removesuffix("=sip")
    [[_, *past]] = page.facts["history"]
    assert (past[0], past[1], past[3]) == ("run", {"visited": 2, "failed": 1, "blocked": 1}, 1)
    shown = [each["w"] for each in page.stations.values()]
    if words is None:
        assert dict(zip(page.stations, shown)) == run.results
    else:
        assert shown == words
    if "boil" in page.stations:
        assert "boiling" in page.stations["boil"]["out"]  # in the visit
        assert page.stations["pour"]["u"] == ["boil"]


def test_browser_executes_nothing_but_our_script(project: Project, mode: str) -> None:
    """Names, outputs and errors cannot become markup, and the page may load nothing."""
    project.stations(r"""
        BAD = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[31m\u202e'\""

        @station(title=BAD)
        def boil() -> dict[str, str]:
            print(BAD)
            print("x" * 1_000_000)
            return {BAD: BAD}

        @pytest.mark.parametrize("bad", [BAD])
        @station
        def pour(boil, bad, visit: Visit):
            visit.resources[BAD] = BAD
            raise RuntimeError(BAD + "y" * 1_000_000)
    """)

    run = project.run("--cc-run", "--cc-report=page.html", "-q", "--tb=short")

    page = _page(project)
    assert run.exit_code == 1
    [(data, _), (plain, script)] = page.scripts
    assert (data, plain) == ({"type": "application/json", "id": "facts"}, {})
    [policy] = [value or "" for tag, name, value in page.attributes if name == "content"][:1]
    assert policy.split("; ") == [
        "default-src 'none'",
        f"script-src {_hash(script)}",
        f"style-src {_hash(page.styles[0])}",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert [name for _, name, _ in page.attributes if name in {"src", "style", "onerror"}] == []
    assert [v for _, name, v in page.attributes if name == "href"] == ["#stations-list"]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page.html)
    assert len(page.html) < 500_000
    assert "<script>alert(1)</script>" in page.stations["boil"]["t"]


def test_secret_is_not_in_the_page(project: Project, mode: str) -> None:
    """A secret of an outcome is masked in outputs and tracebacks as well."""
    project.stations("""
        from dataclasses import dataclass
        from pytest_choochoo import Secret

        @dataclass
        class Access:
            password: Secret[str]

        @station
        def account() -> Access:
            return Access(Secret("correct-" + "horse"))

        @station
        def login(account: Access) -> None:
            print("with", account.password.reveal())
            raise RuntimeError(f"wrong password {account.password.reveal()}")
    """)

    project.run("--cc-run", "--cc-report=page.html", "--tb=short")

    found = _page(project).stations
    assert "correct-horse" not in found["login"]["out"] + found["login"]["tb"]
    assert "with ***" in found["login"]["out"]
    assert json.loads(found["account"]["o"]) == {"password": "***"}


def test_page_needs_the_extra(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its libraries the option is a usage error, before anything runs."""
    project.stations(STATIONS)
    monkeypatch.setitem(sys.modules, "jinja2", None)

    run = project.run("--cc-run", "--cc-report=page.html")

    assert run.exit_code == pytest.ExitCode.USAGE_ERROR
    assert (
        "ERROR: --cc-report needs jinja2, which this Python cannot import: "
        "pip install 'pytest-choochoo[report]'"
    ) in run.text
    assert run.log == ()
    assert not (project.path / "page.html").exists()


def test_page_that_cannot_be_written_fails_the_run(project: Project, mode: str) -> None:
    """A run whose page is lost does not pass."""
    project.stations("""
        @station
        def boil() -> int:
            return 100
    """)

    run = project.run("--cc-run", "--cc-report=pytest.ini/page.html")

    assert run.exit_code == 1
    file = project.path / "pytest.ini" / "page.html"
    assert f"choochoo: --cc-report: {file} could not be written: " in run.text
    assert "choochoo: 1 visited" in run.text


def test_folder_is_no_name_for_a_page(project: Project) -> None:
    """The name of a folder is a usage error, before anything runs."""
    project.stations(STATIONS)

    run = project.run("--cc-run", "--cc-report=.")

    assert run.exit_code == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: --cc-report is '.'; it must be a file, not a folder" in run.text


def test_page_costs_nothing_where_none_is_asked_for(project: Project) -> None:
    """Neither the page nor its libraries are imported without the option."""
    # The module that tests import their `log` from imports everything.
    project.write(
        "stations.py",
        """
        from pytest_choochoo import station

        @station
        def boil() -> int:
            return 100
        """,
    )
    project.write(
        "conftest.py",
        """
        import sys

        def pytest_unconfigure():
            names = ("pytest_choochoo.reporting.page", "pytest_choochoo.reporting.facts")
            print("imported:", [n for n in (*names, "jinja2") if n in sys.modules])
        """,
    )

    run = project.run("--cc-run", "-s", new_interpreter=True)

    assert "imported: []" in run.text
