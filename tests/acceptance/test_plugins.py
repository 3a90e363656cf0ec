"""Other plugins, and pytest's own options, beside stations."""

from __future__ import annotations

import json
import re

import pytest
from harness import Project

CHAIN = """
@station
def boil():
    log("boil")
    return 100

@station
def pour(boil):
    log(f"pour {boil}")
"""


# --- plugins that change how an item ends


@pytest.mark.parametrize("order", ["above", "below"])
def test_flaky_station_is_tried_again_in_place(project: Project, order: str, mode: str) -> None:
    """pytest-rerunfailures reruns a flaky station, and its last run counts."""
    project.use("rerunfailures")
    marks = ["@pytest.mark.flaky(reruns=2)", "@station"]
    first, second = marks if order == "above" else reversed(marks)
    project.stations(
        f"""
        from effects import logged

        {first}
        {second}
        def boil():
            log("boil")
            assert logged().count("boil") > 1
            return 100

        @station
        def pour(boil):
            log(f"pour {{boil}}")
        """
    )

    run, again = project.run("--cc-run"), project.run("--cc-run")

    assert run.log == ("boil", "boil", "pour 100")
    assert (run.visited, run.exit_code) == (("boil", "pour"), 0)
    assert sorted(again.unchanged) == ["boil", "pour"]


def test_station_fails_if_all_reruns_fail(project: Project) -> None:
    """A station that fails in every rerun has failed, and its downstream is blocked."""
    project.use("rerunfailures")
    project.stations(CHAIN.replace("return 100", "raise OSError"))

    run = project.run("--cc-run", "--reruns", "2")

    assert (run.failed, run.blocked) == (("boil",), ("pour",))
    assert run.log == ("boil",) * 3


def test_rerun_of_a_check_after_the_visit(project: Project) -> None:
    """A visit is rerun, with fixtures set up again, when a check fails after it."""
    project.use("rerunfailures")
    project.stations(
        """
        from effects import logged

        @pytest.fixture
        def kettle():
            log("kettle")

        @station
        def boil(kettle) -> None:
            log("boil")

        @boil.check
        def is_hot():
            assert logged().count("boil") > 1
        """
    )

    run = project.run("--cc-run", "--reruns", "2")

    assert (run.visited, run.log) == (("boil",), ("kettle", "boil", "kettle", "boil"))


def test_rerun_of_a_test_receives_its_outcome_again(project: Project) -> None:
    """In its rerun, a flaky test receives the outcome again, unaltered by the first run."""
    project.use("rerunfailures")
    project.stations("@station\ndef boil():\n    return []\n")
    project.write(
        "test_it.py",
        """
        from effects import log, logged

        def test_it(boil):
            log(boil)
            boil.append(1)
            assert len(logged()) > 1
        """,
    )

    run = project.run("--cc-run", "--reruns", "2")

    assert (run.tests, run.log) == ({"test_it": "passed"}, ("[]", "[]"))


@pytest.mark.parametrize("order", ["above", "below"])
def test_timeout_fails_the_station(project: Project, order: str) -> None:
    """With pytest-timeout a station that takes too long fails, with the mark above or below."""
    project.use("timeout")
    marks = ["@pytest.mark.timeout(0.1, method='signal')", "@station"]
    first, second = marks if order == "above" else reversed(marks)
    project.stations(
        f"""
        import signal

        {first}
        {second}
        def boil():
            log("boil")
            signal.pause()

        @station
        def pour(boil): ...
        """
    )

    run = project.run("--cc-run", apart=True)

    assert (run.failed, run.blocked) == (("boil",), ("pour",))
    assert "Timeout" in run.causes["boil"]


def test_xfail_that_fails_counts_as_skipped(project: Project, mode: str) -> None:
    """A station that fails as expected is skipped with the reason, blocks, and is tried again."""
    project.stations(
        "@pytest.mark.xfail(reason='no gas')" + CHAIN.replace("return 100", "raise OSError")
    )

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert (first.skipped, first.blocked) == (second.skipped, second.blocked)
    assert (first.skipped, first.blocked) == (("boil",), ("pour",))
    assert "no gas" in first.causes["boil"]
    assert (first.exit_code, project.log()) == (0, ("boil", "boil"))


def test_xfail_that_passes_is_complete(project: Project) -> None:
    """A station that was expected to fail and passes is complete."""
    project.stations("@pytest.mark.xfail" + CHAIN)

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert first.log == ("boil", "pour 100")
    assert (first.visited, second.log) == (("boil", "pour"), ())


@pytest.mark.parametrize("strict", ["True", "False"])
def test_xfail_does_not_affect_a_station_without_a_visit(
    project: Project, mode: str, strict: str
) -> None:
    """An xfail mark has no effect on a station that needs no visit."""
    project.stations(CHAIN)
    project.run("--cc-run")
    project.edit(
        "stations.py",
        "@station\ndef boil",
        f"@pytest.mark.xfail(strict={strict})\n@station\ndef boil",
    )

    run = project.run("--cc-run", "-v")

    assert run.unchanged == ("boil", "pour")
    assert "XPASS" not in run.text


def test_strict_xfail_that_passes_fails(project: Project) -> None:
    """A station that passes despite a strict xfail has failed, and is not complete."""
    project.stations("@pytest.mark.xfail(strict=True)" + CHAIN)

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert (first.failed, first.blocked, first.exit_code) == (("boil",), ("pour",), 1)
    assert second.failed == ("boil",)


@pytest.mark.parametrize(
    "skip",
    ["@pytest.mark.skip(reason='closed')", "@pytest.mark.skipif(True, reason='closed')"],
)
def test_skipped_station_blocks_its_downstream(project: Project, skip: str) -> None:
    """A skipped station is reported with the reason, and its downstream is blocked."""
    project.stations(skip + CHAIN)

    run = project.run("--cc-run")

    assert (run.skipped, run.blocked, run.exit_code) == (("boil",), ("pour",), 0)
    assert (run.causes["boil"], run.blamed["pour"]) == ("closed", ("boil",))


def test_skip_in_a_visit_leaves_the_record_alone(project: Project) -> None:
    """`pytest.skip` in a visit skips the station, which does not complete it."""
    project.stations(CHAIN.replace("return 100", "pytest.skip('no gas')"))

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert (first.skipped, first.blocked) == (("boil",), ("pour",))
    assert (second.skipped, first.causes) == (("boil",), {"boil": "no gas"})


def test_soft_assertion_fails_the_station(project: Project, mode: str) -> None:
    """A failed soft assertion of pytest-check fails the station."""
    project.use("check")
    project.stations(
        """
        from pytest_check import check

        @station
        def boil():
            check.equal(60, 100)
            log("boil")

        @station
        def pour(boil): ...
        """
    )

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert (first.failed, first.blocked) == (("boil",), ("pour",))
    assert (second.failed, project.log()) == (("boil",), ("boil", "boil"))


def test_failed_sub_test_fails_the_station(project: Project, mode: str) -> None:
    """A failed sub-test fails the station, and one that passes does not."""
    project.stations(
        """
        @station
        def boil(subtests):
            for degrees in (60, 100):
                with subtests.test(degrees=degrees):
                    assert degrees == 100

        @station
        def pour(boil): ...

        @station
        def fill(subtests):
            with subtests.test("full"):
                pass
        """
    )

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert (first.failed, first.blocked, first.visited) == (("boil",), ("pour",), ("fill",))
    assert (second.failed, second.unchanged) == (("boil",), ("fill",))


WRONG = {
    "soft assertion": ("check.equal(60, 100)", ""),
    "sub-test": ("with subtests.test(): assert 60 == 100", ""),
    "teardown": ("", "raise OSError('it leaks')"),
}


@pytest.mark.parametrize(("inside", "after"), WRONG.values(), ids=WRONG)
def test_outcome_of_a_visit_that_failed_otherwise_is_not_adopted(
    project: Project, inside: str, after: str, mode: str
) -> None:
    """A check that passes does not prove that the outcome of such a visit is right."""
    project.use("check")
    project.stations(
        f"""
        from pytest_check import check

        @pytest.fixture
        def kettle():
            yield
            {after or "pass"}

        @station
        def boil(subtests, kettle) -> int:
            {inside or "pass"}
            return 60

        @boil.check
        def is_hot(): ...

        @station
        def pour(boil):
            log(boil)
        """
    )
    failed = project.run("--cc-run")
    project.edit("stations.py", inside or after, "pass")

    run = project.run("--cc-run")

    assert (failed.failed, failed.blocked) == (("boil",), ("pour",))
    assert run.visited == ("boil", "pour")
    assert run.reasons["boil"][-1] == "its outcome is unknown: checks cannot restore it"


SOFT = {
    "soft assertion": ("check.equal(60, 100)", "a part of it failed before it was skipped: no gas"),
    "sub-test": (
        "with subtests.test(): assert 60 == 100",
        "AssertionError: assert 60 == 100",
    ),
}


@pytest.mark.parametrize(("failure", "cause"), SOFT.values(), ids=SOFT)
def test_skip_does_not_undo_a_failure(
    project: Project, failure: str, cause: str, mode: str
) -> None:
    """A complete station that fails softly and then skips has failed, and its record says so."""
    project.use("check")
    project.stations(
        f"""
        from pathlib import Path
        from pytest_check import check

        @station
        def boil(subtests):
            if Path(__file__).with_name("cold").exists():
                {failure}
                pytest.skip("no gas")

        @station
        def pour(boil): ...
        """
    )
    project.run("--cc-run")
    project.write("cold", "")

    run = project.run("--cc-replay", "boil")
    project.remove("cold")
    again = project.run("--cc-run")

    assert (run.failed, run.blocked, run.exit_code) == (("boil",), ("pour",), 1)
    assert run.causes["boil"] == cause
    assert (again.visited, again.unchanged) == (("boil",), ("pour",))
    assert re.fullmatch(
        rf"last visit failed [\d.]+ s ago: {re.escape(cause)}", again.reasons["boil"][0]
    )


# --- plugins that change the order, or are not there


@pytest.mark.parametrize("seed", range(4))
def test_shuffled_stations_keep_their_order(project: Project, seed: int) -> None:
    """With pytest-randomly, stations still run upstream first, in definition order."""
    project.use("randomly")
    project.stations(
        "".join(
            f"@station\ndef s{n}({f's{n - 1}' if n % 3 else ''}):\n    log({n})\n\n"
            for n in range(9)
        )
    )
    project.write("test_it.py", "".join(f"def test_{n}(s{n}): ...\n" for n in range(9)))

    first = project.run("--cc-run", f"--randomly-seed={seed}")
    second = project.run("--cc-run", f"--randomly-seed={seed + 100}")

    assert first.log == tuple(str(n) for n in range(9))
    assert second.closing == "9 unchanged"
    assert set(first.tests.values()) == {"passed"}


@pytest.mark.parametrize("option", ["--ff", "--nf", "--sw"])
def test_reordering_options_keep_upstream_first(project: Project, option: str) -> None:
    """Options that put some items first still leave upstream before downstream."""
    project.stations(CHAIN.replace('log(f"pour {boil}")', "log('pour')\n    raise OSError"))
    project.run("--cc-run")

    run = project.run("--cc-run", option)

    assert run.results == {"boil": "unchanged", "pour": "failed"} or run.results == {
        "pour": "failed"
    }
    assert run.log == ("pour",)


def test_works_without_xdist(project: Project) -> None:
    """With `-p no:xdist` everything works as without `-n`."""
    project.stations(CHAIN)

    run = project.run("--cc-run", "-p", "no:xdist", "-W", "error")

    assert (run.visited, run.exit_code) == (("boil", "pour"), 0)


def test_works_without_the_terminal(project: Project) -> None:
    """With `-p no:terminal` stations are visited silently."""
    project.stations(CHAIN)

    run = project.run("--cc-run", "-p", "no:terminal")

    assert (run.log, run.exit_code) == (("boil", "pour 100"), 0)


def test_plugin_can_be_switched_off(project: Project) -> None:
    """With `-p no:choochoo` the plugin has no effect."""
    project.stations(CHAIN)
    project.write("test_it.py", "def test_it(): ...")

    run = project.run("-p", "no:choochoo", "-W", "error")

    assert (run.exit_code, run.tests) == (0, {"test_it": "passed"})


@pytest.mark.parametrize(
    "options",
    [
        ("-W", "error"),
        ("--strict-markers",),
        ("--strict-config", "--strict-markers"),
        ("-o", "strict=true"),
        ("--import-mode=importlib",),
        ("--doctest-modules",),
        ("-p", "no:cacheprovider", "--cc-state=records"),
        ("-s",),
        ("--capture=sys",),
        ("-p", "no:logging"),
        ("--assert=plain",),
        ("--tb=native",),
        ("--durations=5",),
        ("-rA",),
        ("--setup-show",),
        ("--no-header", "--no-summary", "-q"),
    ],
    ids=" ".join,
)
def test_options_change_nothing_about_stations(project: Project, options: tuple[str, ...]) -> None:
    """Stations are visited once and then unchanged, with any other option of pytest."""
    project.stations(CHAIN)
    project.write("test_it.py", "def test_it(boil): assert boil == 100")

    first = project.run("--cc-run", *options)
    second = project.run("--cc-run", *options)
    plain = project.run(*options)

    assert [run.exit_code for run in (first, second, plain)] == [0, 0, 0]
    assert (first.visited, second.unchanged) == (("boil", "pour"), ("boil", "pour"))
    assert project.log() == ("boil", "pour 100")
    assert first.tests == second.tests == plain.tests == {"test_it": "passed"}


# --- reports


def test_html_report_shows_every_result(project: Project) -> None:
    """pytest-html reports every station, a blocked one as skipped."""
    project.use("html", "metadata")
    project.stations(CHAIN.replace("return 100", "raise OSError") + "\n@station\ndef fill(): ...\n")

    run = project.run("--cc-run", "--html=report.html", "--self-contained-html")

    page = (project.path / "report.html").read_text()
    found = re.search(r'data-jsonblob="([^"]*)"', page)
    assert found is not None
    blob = json.loads(found[1].replace("&#34;", '"').replace("&amp;", "&"))
    results = {key.rpartition("::")[2]: rows[0]["result"] for key, rows in blob["tests"].items()}
    assert results == {"boil": "Failed", "pour": "Skipped", "fill": "Passed"}
    assert run.results == {"boil": "failed", "pour": "blocked", "fill": "visited"}


def test_rs_shows_why_a_station_is_blocked(project: Project) -> None:
    """`-rs` lists the blocked items under that word, with the stations that block them."""
    project.stations(CHAIN.replace("return 100", "raise OSError"))

    run = project.run("--cc-run", "-rs")

    assert "SKIPPED [1] stations.py:10: blocked by boil" in run.outlines


# --- options that only look


def test_collect_only_lists_in_order_and_does_nothing(project: Project) -> None:
    """`--collect-only` lists stations upstream first, runs none, and writes nothing."""
    project.stations("@station\ndef a_pour(boil): ...\n" + CHAIN.replace("pour", "serve"))
    project.write("test_it.py", "def test_it(boil): ...")

    run = project.run("--cc-run", "--collect-only", "-q")

    assert run.outlines[:4] == (
        "stations.py::boil",
        "stations.py::a_pour",
        "stations.py::serve",
        "test_it.py::test_it",
    )
    assert (run.exit_code, run.log) == (0, ())
    assert not list(project.path.rglob("*.sqlite"))


def test_setup_plan_executes_nothing(project: Project) -> None:
    """`--setup-plan` sets up no fixture, visits no station, and records nothing."""
    project.stations(
        """
        @pytest.fixture
        def kettle():
            log("kettle")

        @station
        def boil(kettle):
            log("boil")

        @boil.check
        def is_hot(kettle):
            log("check")

        @station
        def pour(boil): ...
        """
    )

    plan = project.run("--cc-run", "--setup-plan")
    after = project.run("--cc-run")

    assert (plan.log, plan.closing, plan.exit_code) == ((), "", 0)
    assert (after.adopted, after.visited) == (("boil",), ("pour",))


def test_setup_only_executes_no_station(project: Project) -> None:
    """`--setup-only` visits no station and records none as complete."""
    project.stations(CHAIN)

    only, after = project.run("--cc-run", "--setup-only"), project.run("--cc-run")

    assert (only.log, only.closing) == ((), "")
    assert (after.log, after.reasons["boil"]) == (("boil", "pour 100"), ("first visit",))


def test_fixtures_lists_stations_with_their_docstrings(project: Project) -> None:
    """`--fixtures` shows a station with the user's docstring and its location."""
    project.stations("@station\ndef boil():\n    '''Boil the water.'''\n")
    project.write("test_it.py", "def test_it(boil): ...")

    listed = project.run("--fixtures", "test_it.py")
    per_test = project.run("--fixtures-per-test", "test_it.py")

    for run in (listed, per_test):
        assert run.exit_code == 0
        assert re.search(r"^boil.* -- stations.py:\d+$", run.text, re.MULTILINE)
        assert "    Boil the water." in run.outlines


def test_markers_lists_the_station_mark(project: Project) -> None:
    """`--markers` lists the mark of stations."""
    run = project.run("--markers")

    assert "@pytest.mark.station: every station of a workflow carries it" in run.outlines


# --- arguments that overlap


@pytest.mark.parametrize(
    "arguments",
    [
        (".", "kitchen"),
        ("kitchen", "kitchen/stations.py"),
        ("kitchen/stations.py", "kitchen/stations.py"),
        ("kitchen/stations.py::boil", "kitchen/stations.py::boil"),
        ("kitchen/stations.py::boil", "kitchen"),
        ("kitchen/test_it.py", "kitchen/stations.py"),
    ],
    ids=" and ".join,
)
@pytest.mark.parametrize("keep", [False, True], ids=["", "--keep-duplicates"])
def test_overlapping_arguments_visit_once(
    project: Project, arguments: tuple[str, ...], keep: bool
) -> None:
    """A station is visited once although several arguments name it."""
    project.stations(CHAIN, name="kitchen/stations.py")
    project.write("kitchen/test_it.py", "def test_it(boil): assert boil == 100")

    run = project.run("--cc-run", *(["--keep-duplicates"] if keep else []), *arguments)

    assert run.exit_code == 0, run.text
    assert run.log[:1] == ("boil",)
    assert sorted(set(run.log)) == sorted(run.log)


def test_plugin_can_be_loaded_by_name(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without autoloading, the plugin can be loaded by the name of its entry point."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    project.stations(CHAIN)

    run = project.run("-p", "choochoo", "--cc-run", new_interpreter=True)

    assert (run.visited, run.exit_code) == (("boil", "pour"), 0)


def test_clean_that_fails_is_tried_again(project: Project) -> None:
    """With reruns, a clean is tried again, and its own error is reported."""
    project.use("rerunfailures")
    project.stations(
        """
        from effects import logged

        @station
        def boil(): ...

        @boil.clean
        def cool():
            log("cool")
            assert len(logged()) > 2, "still hot"
        """
    )
    project.run("--cc-run")

    first = project.run("--cc-clean", "--reruns", "1")
    second = project.run("--cc-clean", "--reruns", "1")

    assert (first.failed, first.causes) == (("boil",), {"boil": "AssertionError: still hot"})
    assert (second.results, second.log) == ({"boil": "cleaned"}, ("cool",))


def test_last_answer_of_a_check_counts(project: Project) -> None:
    """A station whose rerun check fails is visited, even if the check passed before."""
    project.use("rerunfailures")
    project.stations(
        """
        TRIES = []

        @pytest.fixture(scope="module")
        def stove():
            yield
            assert len(TRIES) > 1, "it fell over"

        @station
        def boil() -> None:
            log("boil")

        @boil.check
        def is_hot(stove):
            TRIES.append(1)
            return len(TRIES) != 2
        """
    )
    run = project.run("--cc-run", "--reruns", "2")

    assert (run.visited, run.log) == (("boil",), ("boil",))
