"""Text from outside is shown spelt out: it can neither command a terminal nor a CI service."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from harness import Project

# A workflow command, the clipboard of a terminal, a line that is overwritten, and text reversed.
_HOSTILE = r"x\n::stop-commands::tok\x1b]52;c;cm0=\x07\rok\u202e"
_UNSAFE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


def test_text_from_outside_is_spelt_out_in_the_terminal(project: Project, mode: str) -> None:
    """Reasons, recorded errors, names of inputs and files: none of them begins a line."""
    project.stations(f"""
        BAD = "{_HOSTILE}"

        @station
        def boil(pytestconfig) -> int:
            return 100

        @station(title=BAD, env=[BAD.replace("\\0", "")])
        def pour(boil):
            if not pytestconfig_of():
                raise RuntimeError(BAD.replace("\\n", ""))

        @station(files=[BAD])
        def sip(boil):
            pass

        def pytestconfig_of():
            return False
    """)
    project.run("--cc-run", "-v", "--tb=no")

    run = project.run("--cc-run", "-v", "--tb=no", "--junitxml=out.xml")

    ours = [line for line in run.outlines if "stop-commands" in line]
    assert ours
    assert not any(line.startswith("::") for line in run.outlines)
    assert not _UNSAFE.search(run.text)
    assert r"\x1b]52" in run.text and r"\u202e" in run.text
    values = [
        each.get("value", "")
        for each in ET.parse(project.path / "out.xml").iter("property")
        if each.get("name") == "choochoo.title"
    ]
    assert r"x\n::stop-commands::tok\x1b]52;c;cm0=\x07\rok\u202e" in values


#: Text with a colour, a line that is a command of a CI service, text reversed, the end of CDATA.
_BAD = "x]]>\x1b[31m\n::stop-commands::tok\r\u202e&<\ud800"
_IN_CODE = ascii(_BAD)


def _cases(project: Project) -> dict[str, ET.Element]:
    """Return the test cases of the JUnit report by name."""
    root = ET.parse(project.path / "out.xml").getroot()
    return {case.get("name", ""): case for case in root.iter("testcase")}


def test_errors_and_values_are_spelt_out_everywhere(project: Project, mode: str) -> None:
    """Errors of a megabyte, parameter ids, resources, skips: shown safely, and kept exactly."""
    project.stations(f"""
        BAD = {_IN_CODE}
        KEY = BAD.replace("\\ud800", "")

        @station
        @pytest.mark.parametrize("cup", [KEY], ids=[KEY])
        def boil(cup, visit: Visit) -> str:
            visit.resources[KEY] = KEY
            return KEY

        @station
        def pour(boil: dict[str, str], visit: Visit):
            assert list(boil.values()) == [KEY]
            raise RuntimeError(BAD + "y" * 1_000_000)

        @station
        def is_cold() -> None: ...

        @is_cold.check
        def thermometer():
            assert False, BAD + "z" * 1_000_000

        @station
        def tea():
            pytest.skip(BAD)

        @boil.clean
        def cool(visit: Visit):
            log(visit.resources[KEY] == KEY)
    """)

    runs = [
        project.run(*command, "-v", "--junitxml=out.xml")
        for command in (("--cc-run",), ("--cc-check",), ("--cc-clean",))
    ]

    for run in runs:
        assert "INTERNALERROR" not in run.text
        assert not any(line.lstrip().startswith("::") for line in run.outlines), run.text
        assert not _UNSAFE.search(run.text)
        assert len(run.text) < 60_000
    first, *_, cleaned = runs
    assert sorted(first.failed) == ["is_cold", "pour"]
    assert cleaned.log == ("True",)
    assert first.causes["pour"].startswith("RuntimeError: x]]>")
    assert r"RuntimeError: x]]>\x1b[31m" in first.text
    project.run("--cc-run", "--junitxml=out.xml")
    failure = _cases(project)["pour"].find("failure")
    assert failure is not None and "RuntimeError: x]]>" in (failure.text or "")
    assert not _UNSAFE.search(ET.tostring(_cases(project)["pour"], "unicode"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("folder", "a\x1b[31m\n::stop-commands::tok"), ("file", "a\u202eb"), ("file", "a\udcff")],
    ids=["terminal", "bidi", "undecodable"],
)
def test_station_at_a_path_with_control_characters_is_a_fault(
    project: Project, mode: str, name: str, kind: str
) -> None:
    """Pytest shows node ids as they are, so no station may have such a one."""
    try:
        folder = project.path / (name if kind == "folder" else "tea")
        folder.mkdir()
        file = folder / ("stations.py" if kind == "folder" else f"{name}_stations.py")
        file.write_text("from pytest_choochoo import station\n@station\ndef boil(): ...\n")
    except OSError:
        pytest.skip("the file system has no such names")

    run = project.run("--cc-run", "-v", "--junitxml=out.xml")

    assert run.exit_code not in {0, 5}
    assert "station 'boil' lies at a path with control characters" in run.text
    assert not any(line.startswith("::") for line in run.outlines)
    assert not _UNSAFE.search(run.text)
    assert "INTERNALERROR" not in run.text


def test_station_at_any_other_path_is_fine(project: Project, mode: str) -> None:
    """Letters of all languages, spaces, brackets and the end of CDATA are no control characters."""
    project.stations("@station\ndef boil(): ...\n", "süß 茶]]>&< _stations.py")

    run = project.run("--cc-run", "-v", "--junitxml=out.xml")

    assert (run.visited, run.exit_code) == (("boil",), 0)
    assert _cases(project).keys() == {"boil"}


def test_names_of_hosts_places_and_variables_are_spelt_out(project: Project, mode: str) -> None:
    """The host in a record, and a variable with its value, may be the choice of others."""
    bad = _BAD.replace("\ud800", "")
    project.stations(f"""
        BAD = {bad!a}

        @station(env=[BAD], version="1")
        def boil(): log("boil")
    """)
    project.setenv("CC_HOST", bad)
    project.setenv(bad, "1")
    project.run("--cc-run")
    project.setenv(bad, "\x1b[2J")
    changed = project.run("--cc-run", "-v")
    project.setenv("CC_HOST", "another\x1b[2J")
    elsewhere = project.run("--cc-run", "-v")

    assert (changed.log, elsewhere.log) == (("boil",), ("boil",))
    for run in (changed, elsewhere):
        assert not any(line.lstrip().startswith("::") for line in run.outlines)
        assert not _UNSAFE.search(run.text)
    assert "::stop-commands" in changed.text
    assert "::stop-commands" in elsewhere.text
