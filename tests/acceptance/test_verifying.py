"""`--cc-check`: every check runs as an assertion; nothing is visited or written."""

from __future__ import annotations

import pytest
from harness import Project, snapshot

STOVE = """
    from pathlib import Path
    HERE = Path(__file__).parent

    @station
    def boil() -> None:
        log("boil")
        (HERE / "steam").touch()

    @boil.check
    def steams():
        assert (HERE / "steam").exists(), "no steam"

    @station
    def pour(boil) -> None:
        log("pour")
        (HERE / "tea").touch()

    @pour.check
    def smells():
        assert (HERE / "tea").exists(), "no tea"

    @station
    def sip(pour):
        log("sip")
        return 3
"""


@pytest.fixture
def stove(project: Project) -> Project:
    """Two stations with a check and one without, not visited yet."""
    project.stations(STOVE)
    return project


@pytest.fixture
def hot(stove: Project) -> Project:
    """The same project, complete."""
    assert stove.run("--cc-run").closing == "3 visited"
    return stove


def test_complete_stations_pass(hot: Project, mode: str) -> None:
    """If everything is in its desired state, every station passes, and nothing is visited."""
    run = hot.run("--cc-check")

    assert (run.closing, run.log, run.exit_code) == ("3 verified", (), 0)
    assert run.last_line == "3 passed"


def test_failing_check_fails_with_detail(hot: Project) -> None:
    """A check that does not pass fails with pytest's detail; downstream checks run anyway."""
    hot.remove("steam")

    run = hot.run("--cc-check")

    assert (run.failed, run.verified, run.exit_code) == (("boil",), ("pour", "sip"), 1)
    assert '>       assert (HERE / "steam").exists(), "no steam"' in run.errors["boil"]
    assert "E       check 'steams' of station 'boil' does not pass" in run.errors["boil"]
    assert "pytest_choochoo" not in run.errors["boil"]
    assert run.log == ()


def test_every_check_runs_despite_failing_upstream(hot: Project) -> None:
    """All failing checks are reported in one run."""
    hot.remove("steam")
    hot.remove("tea")

    run = hot.run("--cc-check")

    assert (run.failed, run.closing) == (("boil", "pour"), "1 verified, 2 failed")


def test_due_station_fails_with_reasons(hot: Project) -> None:
    """A station that is due by its record fails, with the reasons."""
    hot.edit("stations.py", "return 3", "return 4")

    run = hot.run("--cc-check")

    assert (run.failed, run.log) == (("sip",), ())
    assert run.errors["sip"] == "station 'sip' is due: code of stations.py::sip changed"


def test_station_without_record_and_check_is_skipped(stove: Project) -> None:
    """Nothing can verify it; one with a check is judged by the world alone."""
    stove.write("steam", "")
    stove.write("tea", "")

    run = stove.run("--cc-check")

    assert (run.closing, run.verified) == ("2 verified, 1 skipped", ("boil", "pour"))
    assert run.causes["sip"] == "nothing to verify it by: never visited here, no check"
    assert run.exit_code == 0


@pytest.mark.parametrize("state", ["never visited", "drifted"])
def test_next_command_is_a_run(stove: Project, mode: str, state: str) -> None:
    """The command suggested after a failed verification is a run, which visits the due stations."""
    if state == "drifted":
        stove.run("--cc-run", "--cc-profile", "ci")
        stove.remove("tea")

    run = stove.run("--cc-check", "--cc-profile", "ci")

    assert [line for line in run.outlines if line.startswith("next:")] == [
        "next: pytest --cc-run --cc-profile=ci"
    ]


def test_passing_checks_pass_without_any_ledger(stove: Project) -> None:
    """Without a ledger, as in CI, stations whose checks pass do pass; no ledger is made."""
    stove.write("steam", "")
    stove.write("tea", "")

    run = stove.run("--cc-check", "-k", "boil or pour")

    assert (run.closing, run.exit_code) == ("2 verified", 0)
    assert not (stove.path / ".pytest_cache/d").exists()


def test_works_without_cache_provider(stove: Project) -> None:
    """Verifying needs no cache provider."""
    stove.write("steam", "")

    run = stove.run("--cc-check", "-k", "boil", "-p", "no:cacheprovider")

    assert (run.closing, run.exit_code) == ("1 verified", 0)


@pytest.mark.parametrize("state", ["complete", "drifted", "due", "failed"])
def test_ledger_stays_as_it_was(hot: Project, state: str) -> None:
    """Verifying never changes a byte of the ledger."""
    match state:
        case "drifted":
            hot.remove("steam")
        case "due":
            hot.edit("stations.py", "return 3", "return 4")
        case "failed":
            hot.edit("stations.py", "return 3", "assert 0")
            hot.run("--cc-run")
    ledger = hot.path / ".pytest_cache/d/choochoo"
    before = snapshot(ledger)

    hot.run("--cc-check")

    assert snapshot(ledger) == before
    assert before


VALUES = """
    @pytest.fixture
    def colour(request):
        request.addfinalizer(lambda: log("gone"))
        return "red"

    @station(values=["colour"])
    def paint() -> None:
        log("paint")
"""


@pytest.mark.parametrize("check", ["", "\n    @paint.check\n    def is_painted(): ...\n"])
def test_changed_value_fails(project: Project, mode: str, check: str) -> None:
    """A fixture whose value is an input is set up and compared, whatever the checks say."""
    project.stations(VALUES + check)
    project.run("--cc-run", "--cc-replay", "paint")

    same = project.run("--cc-check")
    project.edit("stations.py", "red", "blue")
    changed = project.run("--cc-check")

    assert (same.verified, same.log) == (("paint",), ("gone",))
    assert (changed.failed, changed.log) == (("paint",), ("gone",))
    assert changed.reasons["paint"] == ("value colour changed: 'red' -> 'blue'",)


def test_value_that_cannot_be_had_fails(project: Project) -> None:
    """A fixture whose value is an input fails the verification where it fails itself."""
    project.stations(VALUES)
    project.run("--cc-run")
    project.edit("stations.py", 'return "red"', 'raise OSError("no paint")')

    run = project.run("--cc-check")

    assert (run.failed, run.causes) == (("paint",), {"paint": "OSError: no paint"})


def test_value_is_not_needed_without_a_record(project: Project) -> None:
    """Without a record there is nothing to compare a value with."""
    project.stations(VALUES + "\n    @paint.check\n    def is_painted(): ...\n")

    run = project.run("--cc-check")

    assert (run.closing, run.log) == ("1 verified", ())


def test_check_that_uses_its_directory_does_not_create_it(project: Project) -> None:
    """A check may look into its station's directory, and does not create it."""
    project.stations(
        """
        @station
        def boil(visit) -> None:
            (visit.dir / "pot").touch()

        @boil.check
        def steams(visit):
            assert (visit.dir / "pot").exists(), "no pot"
        """
    )

    run = project.run("--cc-check")

    assert run.failed == ("boil",)
    assert not (project.path / ".pytest_cache/d").exists()


def test_check_with_changed_code_passes(hot: Project) -> None:
    """If only the code changed, a passing check settles it, as in a run."""
    hot.edit("stations.py", 'log("boil")', 'log("boil again")')

    run = hot.run("--cc-check", "-k", "boil")

    assert (run.closing, run.exit_code) == ("1 verified", 0)


def test_tests_run_on_recorded_outcomes(hot: Project) -> None:
    """Tests run too, on recorded outcomes."""
    hot.write("test_tea.py", "def test_tea(sip): assert sip == 3\n")

    run = hot.run("--cc-check")

    assert (run.tests, run.exit_code) == ({"test_tea": "passed"}, 0)


def test_check_that_requests_an_unknown_outcome_fails(project: Project) -> None:
    """A check that requests an unknown outcome fails, and names the station to run."""
    project.stations(
        """
        @station
        def boil():
            return 100

        @station
        def pour(boil) -> None:
            pass

        @pour.check
        def smells(boil):
            assert boil == 100
        """
    )

    run = project.run("--cc-check")

    assert run.closing == "1 failed, 1 skipped"
    assert (
        "station 'boil' has no complete record: never visited; run 'pytest --cc-run' first"
        in (run.errors["pour"])
    )


def test_check_may_request_upstream_that_returns_nothing(project: Project) -> None:
    """A check may request an upstream station that returns nothing, even without a ledger."""
    project.stations(
        """
        @station
        def boil() -> None:
            pass

        @boil.check
        def steams(): pass

        @station
        def pour(boil) -> None:
            pass

        @pour.check
        def smells(boil):
            assert boil is None
        """
    )

    run = project.run("--cc-check")

    assert (run.closing, run.exit_code) == ("2 verified", 0)


def test_check_runs_once_despite_within(project: Project) -> None:
    """`within` counts only after a visit: verifying does not wait."""
    project.stations(
        """
        @station
        def boil() -> None: pass

        @boil.check(within=30)
        def steams():
            log("check")
            return False
        """
    )

    run = project.run("--cc-check")

    assert (run.failed, run.log) == (("boil",), ("check",))
    assert run.errors["boil"] == "check 'steams' of station 'boil' does not pass: it returned False"


XFAIL = """
    from pathlib import Path

    @pytest.mark.xfail(reason="no gas", strict={strict})
    @station
    def boil() -> None:
        raise OSError

    @boil.check
    def steams():
        assert Path(__file__).with_name("steam").exists()

    @station
    def grind() -> None: ...

    @pytest.mark.xfail(strict=True)
    def test_wrong(): ...
"""


@pytest.mark.parametrize("strict", [False, True])
def test_station_that_is_expected_to_fail_may_be_missing(project: Project, strict: bool) -> None:
    """A station that is expected to fail may be missing: that is known, so it is not a failure."""
    project.stations(XFAIL.format(strict=strict))

    run = project.run("--cc-check", "-k", "boil")

    assert (run.skipped, run.closing) == (("boil",), "1 skipped")
    assert run.causes == {"boil": "xfail: no gas"}
    assert (run.last_line, run.exit_code) == ("1 deselected, 1 xfailed", 0)


@pytest.mark.parametrize("strict", [False, True])
def test_station_that_is_expected_to_fail_may_be_in_place(
    project: Project, strict: bool, mode: str
) -> None:
    """An expected failure of the visit counts against neither its passing checks nor other stations."""
    project.stations(XFAIL.format(strict=strict), name="test_tea.py")
    project.write("steam", "")
    project.run("--cc-run", "-k", "grind")

    run = project.run("--cc-check")

    assert (run.closing, run.tests) == ("2 verified", {"test_wrong": "failed"})
    assert (run.last_line, run.exit_code) == ("1 failed, 2 passed", 1)


@pytest.mark.parametrize("ending", ["raise KeyboardInterrupt", "pytest.exit('enough')"])
def test_interrupted_check_leaves_its_station_not_reached(project: Project, ending: str) -> None:
    """A run that ends during a check leaves the station not reached."""
    project.stations(
        f"""
        @station
        def boil() -> None: ...

        @station
        def pour() -> None: ...

        @pour.check
        def is_poured():
            {ending}
        """
    )

    run = project.run("--cc-check", "-k", "pour", apart=True)

    assert run.exit_code == 2
    assert run.closing == "1 not reached"


# --- several checks that do not pass

LIBRARY = ".venv/lib/site-packages"
SEVERAL = """
    import sys
    from pathlib import Path
    sys.path.insert(0, str(Path(__file__).with_name(".venv") / "lib/site-packages"))
    import kettles

    @station
    def boil() -> None:
        \"\"\"Boil water\"\"\"

    @boil.check
    def steams():
        assert kettles.steams()

    @boil.check
    def is_hot():
        return False

    @boil.check(within=0)
    def whistles():
        assert 0, "silent"

    @boil.check
    def is_full(): ...

    @station
    def pour(boil) -> None: ...

    @pour.check
    def smells():
        assert 0, "no tea"
"""
ALL = (
    "check steams does not pass: RuntimeError: cold; "
    "check is_hot does not pass: it returned False; "
    "check whistles does not pass: AssertionError: silent"
)


@pytest.fixture
def several(project: Project) -> Project:
    """A station of whose four checks three do not pass, one of them in a library."""
    project.write(
        f"{LIBRARY}/kettles.py",
        """
        def steams():
            try:
                heat()
            except OSError as error:
                raise RuntimeError("cold") from error

        def heat():
            raise OSError("no gas")
        """,
    )
    project.stations(SEVERAL)
    return project


@pytest.mark.parametrize("option", ["--cc-check", "--cc-run"])
def test_all_failing_checks_are_shown(several: Project, option: str) -> None:
    """All checks that do not pass are shown with their details, wherever they are asked."""
    run = several.run(option)

    text = run.errors["boil"]
    assert text.startswith("3 checks of station 'boil' do not pass: steams, is_hot, whistles\n")
    assert ">       assert kettles.steams()" in text
    assert "E       RuntimeError: cold" in text
    assert "check 'is_hot' of station 'boil' does not pass: it returned False" in text
    assert '>       assert 0, "silent"' in text
    assert run.causes["boil"] == ALL
    assert "FAILED stations.py::boil - check steams, is_hot, whistles" in run.outlines


@pytest.mark.parametrize("option", ["--cc-check", "--cc-run"])
def test_answers_of_checks_are_properties(several: Project, option: str) -> None:
    """JUnit has the answer of every check, with the title and the profile."""
    found = several.run(option, "--cc-profile=ci").properties["boil"]

    assert {name: found[name] for name in found if "check." in name} == {
        "choochoo.check.steams": "RuntimeError: cold",
        "choochoo.check.is_hot": "it returned False",
        "choochoo.check.whistles": "AssertionError: silent",
        "choochoo.check.is_full": "passed",
    }
    assert (found["choochoo.title"], found["choochoo.profile"]) == ("Boil water", "ci")


@pytest.mark.parametrize("options", [(), ("--tb=long",), ("--full-trace",)])
def test_frames_of_libraries_are_left_out(several: Project, options: tuple[str, ...]) -> None:
    """Tracebacks of checks show the project's code alone, unless the user asks for more."""
    text = several.run("--cc-check", *options).errors["boil"]

    assert ("kettles.py" in text) == bool(options)
    assert "OSError: no gas" in text
    assert "pytest_choochoo" not in text


def test_one_failing_check_is_named_in_the_summary(hot: Project) -> None:
    """The line of a failure in pytest's summary names its check."""
    hot.remove("steam")

    run = hot.run("--cc-check")

    assert "FAILED stations.py::boil - check steams" in run.outlines
    assert "  failed   boil  check steams does not pass: AssertionError: no steam" in run.outlines


def test_reasons_stand_beside_each_result(hot: Project) -> None:
    """With `-v`, the reasons stand beside each result."""
    hot.remove("steam")
    hot.edit("stations.py", "return 3", "return 4")

    run = hot.run("--cc-check", "-v")

    assert "FAILED (check steams does not pass: AssertionError: no steam)" in run.text
    assert "FAILED (code of stations.py::sip changed)" in run.text


def test_station_whose_upstream_failed_is_told_in_one_line(several: Project, mode: str) -> None:
    """A station whose upstream failed as well is told after its cause, in one line."""
    run = several.run("--cc-check")

    lines = run.outlines
    told = (
        "station 'pour': check smells does not pass: AssertionError: no tea; "
        "upstream boil failed as well"
    )
    assert told in lines
    assert lines.index(told) > next(n for n, line in enumerate(lines) if "cold" in line)
    assert '"no tea"' not in run.text


def test_error_of_a_values_fixture_is_shown_as_in_a_run(project: Project) -> None:
    """A fixture in `values` that raises is shown by itself, without a frame of this package."""
    project.stations(
        """
        @pytest.fixture
        def region(): return "eu"

        @station(values=["region"])
        def boil() -> int: return 1

        @boil.check
        def is_hot(boil): assert boil
        """
    )
    project.run("--cc-run")
    project.edit("stations.py", 'return "eu"', 'raise OSError("no region")')

    checked, run = project.run("--cc-check"), project.run("--cc-run")

    assert checked.errors["boil"] == run.errors["boil"]
    assert checked.errors["boil"].splitlines()[-1].startswith("stations.py:")
    assert "pytest_choochoo" not in checked.errors["boil"]


def test_check_of_an_unknown_outcome_says_why_it_is_unknown(project: Project) -> None:
    """A check that requests its own station's outcome needs a record, and says what is known."""
    project.stations(
        """
        @station
        def boil() -> int: return 1

        @boil.check
        def is_hot(boil): assert boil
        """
    )

    run = project.run("--cc-check")

    assert run.errors["boil"] == (
        "check 'is_hot' of station 'boil' does not pass: its outcome is unknown: never visited"
    )
