"""Text from outside is shown spelt out: it can neither command a terminal nor a CI service."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

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
