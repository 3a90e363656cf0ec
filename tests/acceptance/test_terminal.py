"""The terminal output: words, letters, reasons, and the lines at the end."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress

import pytest
from harness import OPTIONAL, Project

MIX = """
    @station
    def boil():
        return 100

    @station
    def pour(boil):
        raise RuntimeError("boom")

    @station
    def sip(pour):
        pass

    @station
    def grind():
        pytest.skip("no beans")

    @station
    def lay() -> None:
        pass

    @lay.check
    def is_laid():
        pass
"""


@pytest.fixture
def mix(project: Project) -> Project:
    """Stations of which one is visited, one fails, and one each is blocked, skipped and adopted."""
    project.stations(MIX)
    return project


def test_closing_lines(mix: Project, mode: str) -> None:
    """The last lines give the counts, the causes of failed and blocked stations, and the next command."""
    run = mix.run("--cc-run")

    end = [line for line in run.outlines if line.startswith(("choochoo:", "  ", "next:"))]
    assert re.sub(r"[\d.]+ s$", "N s", end[-4]) == (
        "choochoo: 1 visited, 1 adopted, 1 failed, 1 blocked, 1 skipped in N s"
    )
    assert end[-3:] == [
        "  failed   pour  RuntimeError: boom",
        "  blocked  sip   by pour",
        "next: fix pour, then run pytest --cc-run",
    ]
    assert run.last_line == "1 failed, 2 passed, 2 skipped"


def test_letters(mix: Project) -> None:
    """Each result has a letter of its own; failed and skipped have pytest's."""
    run = mix.run("--cc-run")

    assert any(line.startswith("stations.py vFbsa") for line in run.outlines)


def test_verbose_shows_words_and_reasons(mix: Project) -> None:
    """`-v` shows the result as a word, with the reasons beside it, once."""
    run = mix.run("--cc-run", "-v")

    shown = [re.sub(r" +\[.*%\]$", "", line) for line in run.outlines if "::" in line]
    assert shown[:5] == [
        "stations.py::boil VISITED (first visit)",
        "stations.py::pour FAILED (first visit)",
        "stations.py::sip BLOCKED (blocked by pour)",
        "stations.py::grind SKIPPED (no beans)",
        "stations.py::lay ADOPTED (first visit)",
    ]


def test_verbose_shows_unchanged(mix: Project) -> None:
    """`-v` shows no reason beside an unchanged station."""
    mix.run("--cc-run")

    run = mix.run("--cc-run", "-v", "-k", "boil")

    assert re.search(r"^stations.py::boil UNCHANGED +\[100%\]$", run.text, re.MULTILINE)


def test_quiet_keeps_closing_line(mix: Project, mode: str) -> None:
    """`-q` keeps the closing line."""
    run = mix.run("--cc-run", "-q")

    assert run.closing == "1 visited, 1 adopted, 1 failed, 1 blocked, 1 skipped"


def test_very_quiet_shows_only_the_output_of_pytest(mix: Project, mode: str) -> None:
    """`-qq` shows only pytest's own output."""
    run = mix.run("--cc-run", "-qq", "-k", "pour")

    assert "choochoo:" not in run.text and "next:" not in run.text


def test_green_run_has_no_next_command(mix: Project) -> None:
    """If nothing is left to do, no command is suggested."""
    run = mix.run("--cc-run", "-k", "boil")

    assert "next:" not in run.text


def test_next_command_keeps_profile(mix: Project) -> None:
    """The suggested command uses the same profile."""
    run = mix.run("--cc-run", "--cc-profile", "staging")

    assert "next: fix pour, then run pytest --cc-run --cc-profile=staging" in run.outlines


def test_next_command_keeps_state(mix: Project) -> None:
    """The suggested command uses the same ledger."""
    run = mix.run("--cc-run", "--cc-state", "my ledger", "-x")

    assert "next: fix pour, then run pytest --cc-run --cc-state='my ledger'" in run.outlines


def test_spared_time_is_shown(project: Project) -> None:
    """The closing line shows the duration of the visits that were not repeated."""
    project.stations("import time\n\n@station\ndef boil(): time.sleep(0.1)\n")
    project.run("--cc-run")

    run = project.run("--cc-run")

    assert re.search(r"^choochoo: 1 unchanged in \d\.\d s, 0\.1 s spared$", run.text, re.MULTILINE)


def test_stations_are_passed_for_exit_code_and_colour(project: Project) -> None:
    """Visited, unchanged and adopted count as passed: the last line is pytest's own, and green."""
    project.stations("@station\ndef boil(): pass\n")

    first, second = project.run("--cc-run", "--color=yes"), project.run("--cc-run")

    assert "\x1b[32m\x1b[1m1 passed\x1b[0m" in first.text
    assert (first.exit_code, second.exit_code, second.last_line) == (0, 0, "1 passed")


@pytest.mark.parametrize("options", [(), ("--tb=no",), ("-vv",)])
def test_error_is_told_in_detail_and_once_in_the_summary(
    project: Project, mode: str, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our lines have the error; pytest's short summary has it of tests only, and names stations."""
    monkeypatch.setenv("COLUMNS", "300")
    project.stations(
        """
        @station(files=["water.txt"])
        def boil(): ...

        @station
        def pour() -> int: return "12"

        def test_tea(): assert 0, "no tea"
        """,
        name="test_tea.py",
    )

    run = project.run("--cc-run", "--junitxml=out.xml", *options)

    unstored = (
        "the outcome of station 'pour' cannot be stored (str): Expected `int`, got `str`; "
        "return plain data, or declare its type in the return annotation"
    )
    missing = (
        "station 'boil' declares the file water.txt, which does not exist; "
        "create it, or correct files=[...]"
    )
    summary = [line for line in run.outlines if line.startswith(("FAILED ", "ERROR "))]
    assert sorted(line for line in summary if "test_tea.py::test_tea" not in line) == [
        "ERROR test_tea.py::boil",
        "FAILED test_tea.py::pour",
    ]
    assert f"  failed   boil  {missing}" in run.outlines
    assert run.text.count(missing) == run.text.count(unstored) == (1 if "--tb=no" in options else 2)
    assert "FAILED test_tea.py::test_tea - AssertionError: no tea" in run.text
    assert "pytest_choochoo" not in run.text
    assert f'<failure message="{unstored}">{unstored}</failure>' in (
        (project.path / "out.xml").read_text()
    )


def test_run_without_stations_has_no_closing_line(project: Project) -> None:
    """If no station is selected, there is no closing line."""
    project.write("test_tea.py", "def test_tea(): pass\n")

    run = project.run("--cc-run")

    assert ("choochoo:" in run.text, run.exit_code) == (False, 0)


def test_properties_are_in_junit_xml(mix: Project, mode: str) -> None:
    """JUnit XML has result and reasons of every station as properties, and pytest's counts."""
    mix.run("--cc-run", "--junitxml=out.xml")

    xml = (mix.path / "out.xml").read_text()
    results = re.findall(r'<property name="choochoo.result" value="(.+?)"', xml)
    assert sorted(results) == ["adopted", "blocked", "failed", "skipped", "visited"]
    assert '<property name="choochoo.reasons" value="first visit" />' in xml
    assert 'failures="1" skipped="2" tests="5"' in xml


def test_captured_output_of_check_is_shown(project: Project) -> None:
    """The output of a check after the visit is shown with its failure only."""
    project.stations(
        """
        @station
        def boil(): print("heating")

        @boil.check
        def steams():
            print("looking for steam")
            return False
        """
    )

    run = project.run("--cc-run")

    progress = next(line for line in run.outlines if line.startswith("stations.py "))
    assert re.fullmatch(r"stations.py F +\[100%\]", progress)
    assert run.outlines.index("heating") < run.outlines.index(
        "looking for steam", run.outlines.index("heating")
    )


@pytest.mark.parametrize("arguments", [("--setup-plan",), ("--setup-only",)])
def test_set_up_without_a_run_visits_and_remembers_nothing(
    project: Project, mode: str, arguments: tuple[str, ...]
) -> None:
    """`--setup-only` and `--setup-plan` visit nothing and block nothing."""
    project.stations("@station\ndef boil():\n    log('boil')\n\n@station\ndef pour(boil): ...")
    project.write("test_site.py", "def test_site(pour): ...")

    run = project.run("--cc-run", *arguments)

    assert (run.log, run.blocked, run.closing) == ((), (), "")
    assert project.run("--cc-run").visited == ("boil", "pour")


def test_stations_are_shown_in_definition_order(project: Project) -> None:
    """Fresh stations are shown in their place, not before the visited ones."""
    project.stations(
        "@station\ndef boil(): ...\n\n@station(env=['TEA'])\ndef pour(): ...\n\n"
        "@station\ndef sip(): ..."
    )
    project.run("--cc-run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEA", "green")
        run = project.run("--cc-run")

    assert tuple(run.results.items()) == (
        ("boil", "unchanged"),
        ("pour", "visited"),
        ("sip", "unchanged"),
    )


FAILING = """
@station
def boil():
    raise OSError("no gas")

@station
def pour(boil): ...

@station
@pytest.mark.skip(reason="no cup")
def sip(): ...
"""


def test_reasons_are_shown_beside_failed_and_blocked_stations(project: Project, mode: str) -> None:
    """`-v` shows the reasons beside each station, under xdist as well."""
    project.stations(FAILING)

    text = project.run("--cc-run", "-v").text

    assert "FAILED (first visit)" in text
    assert "BLOCKED (blocked by boil)" in text


def test_summary_of_skipped_items_does_not_mix_the_words(project: Project, mode: str) -> None:
    """`-rs` uses pytest's own word for all skipped items."""
    project.stations(FAILING)

    run = project.run("--cc-run", "-rs")

    assert "SKIPPED [1] stations.py:9: blocked by boil" in run.outlines
    assert "BLOCKED" not in run.text


@pytest.mark.parametrize("option", ["--cc-run", "--cc-forget=boil"])
def test_very_quiet_hides_all_our_lines(project: Project, option: str) -> None:
    """With `-qq` the plugin prints nothing."""
    project.stations("@station\ndef boil(): ...")
    project.run("--cc-run")

    assert "choochoo: " not in project.run(option, "-qq").text


def test_way_out_leads_to_the_same_records(project: Project) -> None:
    """Plain pytest suggests the command for the given profile and folder."""
    project.stations("@station\ndef boil(): ...")
    project.write("test_site.py", "def test_site(boil): ...")

    run = project.run("--cc-profile", "staging", "--cc-state=else where")

    assert run.errors["test_site"] == (
        "station 'boil' has no complete record: never visited; "
        "run 'pytest --cc-run --cc-profile=staging --cc-state='else where'' first"
    )


LONG = """
    LONG = "x" * 1_000_000

    @station
    def boil():
        raise RuntimeError(LONG)

    @station
    def brew(): ...

    @brew.check
    def is_hot():
        return LONG

    @station
    def pour():
        pytest.skip(LONG)

    @station
    def cool(): ...

    @cool.clean
    def warm():
        raise RuntimeError(LONG)
"""


def test_endless_texts_are_shortened(project: Project, mode: str) -> None:
    """Texts that are shown and recorded are bounded, and say how much was left out."""
    project.stations(LONG)
    cut = f"{'x' * 500}… (999,500 more characters)"

    run = project.run("--cc-run", "--tb=no")

    assert run.causes == {
        "boil": f"RuntimeError: {cut}",
        "brew": (
            f"check is_hot could not be asked: it returned '{'x' * 487}… (999,514 more characters) "
            "(stations.py:14); a check must return None, True or False"
        ),
        "pour": cut,
    }
    assert f"  failed   boil  RuntimeError: {cut}" in run.outlines
    assert len(run.text) < 10_000
    assert len((project.path / ".pytest_cache/d/choochoo/default.sqlite").read_bytes()) < 100_000

    run = project.run("--cc-run", "--tb=no", "-v", "-k", "boil")

    assert run.reasons["boil"][0].endswith(f" ago: RuntimeError: {cut}")


def test_endless_details_are_shortened(project: Project, mode: str) -> None:
    """The details of failures have no endless line either, in the terminal and in JUnit XML."""
    project.stations(LONG)

    run = project.run("--cc-run", "--junitxml=all.xml")

    assert f"E       RuntimeError: {'x' * 1_978}… (998,022 more characters)" in run.text
    assert len(run.text) < 20_000
    assert len((project.path / "all.xml").read_text()) < 20_000


def test_endless_errors_of_a_clean_are_shortened(project: Project) -> None:
    """The list after a clean shows the beginning of an endless error."""
    project.stations(LONG)
    project.run("--cc-run", "--tb=no", "-k", "cool")

    run = project.run("--cc-clean", "--tb=no")

    assert run.causes == {"cool": f"RuntimeError: {'x' * 500}… (999,500 more characters)"}


def test_colours_carry_the_result(mix: Project, mode: str) -> None:
    """Letters, words and the summary have the same colours; `next:` is bold."""
    run = mix.run("--cc-run", "--color=yes")

    text = run.text.replace("\x1b[", "~")
    assert "choochoo: ~32m~1m1 visited~0m, ~32m1 adopted~0m, ~31m~1m1 failed~0m, " in text
    assert "~35m1 blocked~0m, ~33m1 skipped~0m in " in text
    assert (
        "\n  ~31m~1mfailed~0m   pour  RuntimeError: boom\n  ~35mblocked~0m  sip   by pour\n" in text
    )
    assert "\n~1mnext: fix pour, then run pytest --cc-run~0m\n" in text
    if not mix.workers:
        assert "~32m~1mv~0m~31mF~0m~35mb~0m~33ms~0m~32ma~0m" in text

    run = mix.run("--cc-run", "--color=yes", "-v")

    assert "\x1b[36mUNCHANGED\x1b[0m" in run.text


def test_reasons_are_wrapped_on_a_terminal(mix: Project) -> None:
    """On a terminal of 80 columns, lines break between words, and nothing is cut."""
    sentence = "the pump in the cellar does not answer any more, although it was repaired last week"
    mix.edit("stations.py", "boom", sentence)
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    mix.run("--cc-run")
    main, other = pty.openpty()
    without = [f"-pno:{name}" for name in OPTIONAL.values()]
    options = ("--cc-run", "--cc-progress=off", "--tb=no", "-v", "--color=no", *without)
    command = [sys.executable, "-m", "pytest", *options]
    with subprocess.Popen(command, cwd=mix.path, stdout=other, env=environment):
        os.close(other)
        parts = []
        with suppress(OSError):  # it ends
            while part := os.read(main, 10_000):
                parts.append(part)
    os.close(main)
    text = b"".join(parts).decode().replace("\r", "")

    beside = re.search(r"pour FAILED (\(last visit failed .*?\)) +\[", text, re.DOTALL)
    assert beside is not None
    assert " ".join(beside[1].split()).endswith(f" s ago: RuntimeError: {sentence})")
    assert max(map(len, text.partition("collected ")[2].splitlines())) == 80
    assert (
        "  failed   pour  RuntimeError: the pump in the cellar does not answer any more,\n"
        "                 although it was repaired last week\n"
    ) in text


def test_reports_have_their_errors_after_the_summary(project: Project, mode: str) -> None:
    """Pytest's short summary names the station alone; a plugin that looks later sees all."""
    project.stations("@station\ndef boil():\n    raise RuntimeError('too hot')")
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.hookimpl(trylast=True)
        def pytest_unconfigure(config):
            reporter = config.pluginmanager.get_plugin("terminalreporter")
            if reporter is not None and not hasattr(config, "workerinput"):
                print("seen last:", "too hot" in str(reporter.stats["failed"][0].longrepr))
        """,
    )

    run = project.run("--cc-run", apart=True)

    assert "FAILED stations.py::boil" in run.outlines
    assert "seen last: True" in run.outlines
