"""What a person sees: words, letters, reasons, and the lines at the end."""

from __future__ import annotations

import re

import pytest
from railyard import Railyard

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
def mix(railyard: Railyard) -> Railyard:
    """Stations of which one is visited, one fails, and one each is blocked, skipped and adopted."""
    railyard.stations(MIX)
    return railyard


def test_closing_lines(mix: Railyard, mode: str) -> None:
    """The end says what happened, what failed and is blocked with the cause, and what to type."""
    ride = mix.ride("--cc-run")

    end = [line for line in ride.outlines if line.startswith(("choochoo:", "  ", "next:"))]
    assert re.sub(r"[\d.]+ s$", "N s", end[-4]) == (
        "choochoo: 1 visited, 1 adopted, 1 failed, 1 blocked, 1 skipped in N s"
    )
    assert end[-3:] == [
        "  failed   pour  RuntimeError: boom",
        "  blocked  sip   by pour",
        "next: mend pour, then pytest --cc-run",
    ]
    assert ride.last_line == "1 failed, 2 passed, 2 skipped"


def test_letters(mix: Railyard) -> None:
    """Each result has a letter of its own, failed and skipped those of pytest."""
    ride = mix.ride("--cc-run")

    assert any(line.startswith("stations.py vFbsa") for line in ride.outlines)


def test_verbose_shows_words_and_reasons(mix: Railyard) -> None:
    """`-v` shows the result in words, and the reason beside it, once."""
    ride = mix.ride("--cc-run", "-v")

    shown = [re.sub(r" +\[.*%\]$", "", line) for line in ride.outlines if "::" in line]
    assert shown[:5] == [
        "stations.py::boil VISITED (never visited)",
        "stations.py::pour FAILED (never visited)",
        "stations.py::sip BLOCKED (blocked by pour)",
        "stations.py::grind SKIPPED (no beans)",
        "stations.py::lay ADOPTED (never visited)",
    ]


def test_verbose_shows_unchanged(mix: Railyard) -> None:
    """`-v` has nothing to say beside what is unchanged."""
    mix.ride("--cc-run")

    ride = mix.ride("--cc-run", "-v", "-k", "boil")

    assert re.search(r"^stations.py::boil UNCHANGED +\[100%\]$", ride.text, re.MULTILINE)


def test_quiet_keeps_closing_line(mix: Railyard, mode: str) -> None:
    """`-q` keeps the closing line."""
    ride = mix.ride("--cc-run", "-q")

    assert ride.closing == "1 visited, 1 adopted, 1 failed, 1 blocked, 1 skipped"


def test_very_quiet_says_nothing(mix: Railyard, mode: str) -> None:
    """`-qq` says nothing but what pytest itself says."""
    ride = mix.ride("--cc-run", "-qq", "-k", "pour")

    assert "choochoo:" not in ride.text and "next:" not in ride.text


def test_green_run_has_no_next_command(mix: Railyard) -> None:
    """Where nothing is left to do no command is proposed."""
    ride = mix.ride("--cc-run", "-k", "boil")

    assert "next:" not in ride.text


def test_next_command_keeps_profile(mix: Railyard) -> None:
    """The command to type next is about the same profile."""
    ride = mix.ride("--cc-run", "--cc-profile", "staging")

    assert "next: mend pour, then pytest --cc-run --cc-profile=staging" in ride.outlines


def test_next_command_keeps_state(mix: Railyard) -> None:
    """The command to type next is about the same ledger."""
    ride = mix.ride("--cc-run", "--cc-state", "my ledger", "-x")

    assert "next: mend pour, then pytest --cc-run --cc-state='my ledger'" in ride.outlines


def test_spared_time_is_told(railyard: Railyard) -> None:
    """The closing line says how long the visits took that were not made again."""
    railyard.stations("import time\n\n@station\ndef boil(): time.sleep(0.1)\n")
    railyard.ride("--cc-run")

    ride = railyard.ride("--cc-run")

    assert re.search(r"^choochoo: 1 unchanged in \d\.\d s, 0\.1 s spared$", ride.text, re.MULTILINE)


def test_stations_are_passed_for_exit_code_and_colour(railyard: Railyard) -> None:
    """Visited, unchanged and adopted are passed: the last line is pytest's own, and green."""
    railyard.stations("@station\ndef boil(): pass\n")

    first, second = railyard.ride("--cc-run", "--color=yes"), railyard.ride("--cc-run")

    assert "\x1b[32m\x1b[1m1 passed\x1b[0m" in first.text
    assert (first.exit_code, second.exit_code, second.last_line) == (0, 0, "1 passed")


@pytest.mark.parametrize("options", [(), ("--tb=no",), ("-vv",)])
def test_short_summary_has_the_sentence_only(
    railyard: Railyard, mode: str, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pytest's short summary stands what is wrong, and not which of our modules knows of it."""
    monkeypatch.setenv("COLUMNS", "300")
    railyard.stations(
        """
        @station(files=["water.txt"])
        def boil(): ...

        @station
        def pour() -> int: return "12"

        def test_tea(): assert 0, "no tea"
        """,
        name="test_tea.py",
    )

    ride = railyard.ride("--cc-run", "--junitxml=out.xml", *options)

    unstored = (
        "the outcome of station 'pour' cannot be kept (str): Expected `int`, got `str`; "
        "return plain data, or say in the return annotation what it is"
    )
    missing = (
        "station 'boil' declares the file water.txt, which does not exist; "
        "create it, or correct files=[...]"
    )
    summary = [line for line in ride.outlines if line.startswith(("FAILED ", "ERROR "))]
    assert sorted(line for line in summary if "test_tea.py::test_tea" not in line) == [
        f"ERROR test_tea.py::boil - {missing}",
        f"FAILED test_tea.py::pour - {unstored}",
    ]
    assert "FAILED test_tea.py::test_tea - AssertionError: no tea" in ride.text
    assert "pytest_choochoo" not in ride.text
    assert f'<failure message="{unstored}">{unstored}</failure>' in (
        (railyard.path / "out.xml").read_text()
    )


def test_run_without_stations_says_nothing(railyard: Railyard) -> None:
    """Where no station is selected, there is no closing line."""
    railyard.write("test_tea.py", "def test_tea(): pass\n")

    ride = railyard.ride("--cc-run")

    assert ("choochoo:" in ride.text, ride.exit_code) == (False, 0)


def test_properties_are_in_junit_xml(mix: Railyard, mode: str) -> None:
    """JUnit XML has result and reasons of every station as properties, and pytest's counts."""
    mix.ride("--cc-run", "--junitxml=out.xml")

    xml = (mix.path / "out.xml").read_text()
    results = re.findall(r'<property name="choochoo.result" value="(.+?)"', xml)
    assert sorted(results) == ["adopted", "blocked", "failed", "skipped", "visited"]
    assert '<property name="choochoo.reasons" value="never visited" />' in xml
    assert 'failures="1" skipped="2" tests="5"' in xml


def test_captured_output_of_check_is_shown(railyard: Railyard) -> None:
    """What a check prints after the visit is shown with its failure, and not in between."""
    railyard.stations(
        """
        @station
        def boil(): print("heating")

        @boil.check
        def steams():
            print("looking for steam")
            return False
        """
    )

    ride = railyard.ride("--cc-run")

    progress = next(line for line in ride.outlines if line.startswith("stations.py "))
    assert re.fullmatch(r"stations.py F +\[100%\]", progress)
    assert ride.outlines.index("heating") < ride.outlines.index(
        "looking for steam", ride.outlines.index("heating")
    )


@pytest.mark.parametrize("arguments", [("--setup-plan",), ("--setup-only",)])
def test_set_up_without_a_run_visits_and_remembers_nothing(
    railyard: Railyard, mode: str, arguments: tuple[str, ...]
) -> None:
    """What only sets up, or shows it, ends by itself, visits nothing and blocks nobody."""
    railyard.stations("@station\ndef boil():\n    log('boil')\n\n@station\ndef pour(boil): ...")
    railyard.write("test_site.py", "def test_site(pour): ...")

    ride = railyard.ride("--cc-run", *arguments)

    assert (ride.log, ride.blocked, ride.closing) == ((), (), "")
    assert railyard.ride("--cc-run").visited == ("boil", "pour")


def test_stations_are_told_in_definition_order(railyard: Railyard) -> None:
    """What is fresh is told in its place, not before what is visited."""
    railyard.stations(
        "@station\ndef boil(): ...\n\n@station(env=['TEA'])\ndef pour(): ...\n\n"
        "@station\ndef sip(): ..."
    )
    railyard.ride("--cc-run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEA", "green")
        ride = railyard.ride("--cc-run")

    assert tuple(ride.results.items()) == (
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


def test_reasons_stand_beside_what_fails_and_what_is_blocked(railyard: Railyard, mode: str) -> None:
    """With `-v` each station says why, under xdist as well."""
    railyard.stations(FAILING)

    text = railyard.ride("--cc-run", "-v").text

    assert "FAILED (never visited)" in text
    assert "BLOCKED (blocked by boil)" in text


def test_summary_of_skipped_items_does_not_mix_the_words(railyard: Railyard, mode: str) -> None:
    """With `-rs` pytest has one word for all that is skipped: its own."""
    railyard.stations(FAILING)

    ride = railyard.ride("--cc-run", "-rs")

    assert "SKIPPED [1] stations.py:9: blocked by boil" in ride.outlines
    assert "BLOCKED" not in ride.text


@pytest.mark.parametrize("option", ["--cc-run", "--cc-forget=boil"])
def test_very_quiet_is_pytest_alone(railyard: Railyard, option: str) -> None:
    """With `-qq` nothing is said but what pytest says."""
    railyard.stations("@station\ndef boil(): ...")
    railyard.ride("--cc-run")

    assert "choochoo: " not in railyard.ride(option, "-qq").text


def test_way_out_leads_to_the_same_records(railyard: Railyard) -> None:
    """Plain pytest names the command for the profile and the folder that it was given."""
    railyard.stations("@station\ndef boil(): ...")
    railyard.write("test_site.py", "def test_site(boil): ...")

    ride = railyard.ride("--cc-profile", "staging", "--cc-state=else where")

    assert ride.errors["test_site"] == (
        "station 'boil' has no complete record: never visited; "
        "run 'pytest --cc-run --cc-profile=staging --cc-state='else where'' first"
    )
