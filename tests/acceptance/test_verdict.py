"""The verdict: when a station is visited again, when it is left alone, and the reasons shown."""

from __future__ import annotations

import os
import re
import time

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
        return boil + 1

    @station
    def drink(pour):
        log(f"drink {pour}")
"""

# A station whose check looks for a file that its visit makes.
CHECKED = """
    from pathlib import Path

    HERE = Path(__file__).parent

    @station(files=["water.txt"])
    def boil() -> None:
        log("visit")
        (HERE / "steam").touch()

    @boil.check
    def steams():
        log("check")
        assert (HERE / "steam").exists(), "no steam"
"""


@pytest.fixture
def chain(project: Project) -> Project:
    """Three complete stations in a row."""
    project.stations(CHAIN)
    assert project.run("--cc-run").closing == "3 visited"
    return project


@pytest.fixture
def checked(project: Project) -> Project:
    """A complete station with a check and an input file."""
    project.write("water.txt", "cold")
    project.stations(CHECKED)
    assert project.run("--cc-run").visited == ("boil",)
    return project


def without_times(reasons: tuple[str, ...]) -> tuple[str, ...]:
    """Return *reasons* with `N s` for every time, and without process and host."""
    texts = (re.sub(r"\d[\d.]* s ago", "N s ago", reason) for reason in reasons)
    return tuple(re.sub(r" by process \d+ on \S+", " by process P on H", text) for text in texts)


# --- without a check


def test_nothing_changed_leaves_chain_unchanged(chain: Project) -> None:
    """If nothing changed, nothing is visited and no reason is given."""
    run = chain.run("--cc-run")

    assert (run.unchanged, run.log) == (("boil", "pour", "drink"), ())
    assert set(run.reasons.values()) == {()}


def test_replay_visits_fresh_station(chain: Project) -> None:
    """A replayed station is visited although it is fresh, and says why."""
    run = chain.run("--cc-replay", "boil")

    assert (run.visited, run.unchanged) == (("boil",), ("pour", "drink"))
    assert run.reasons["boil"] == ("selected by --cc-replay",)


def test_changed_upstream_outcome_visits_downstream(chain: Project) -> None:
    """A changed upstream outcome makes downstream due, one after the other."""
    chain.edit("stations.py", "100", "90")

    run = chain.run("--cc-run")

    assert run.visited == ("boil", "pour", "drink")
    assert run.reasons["boil"] == ("code of stations.py::boil changed",)
    assert run.reasons["pour"] == ("outcome of boil changed",)
    assert run.reasons["drink"] == ("outcome of pour changed",)


def test_equal_upstream_outcome_spares_downstream(chain: Project) -> None:
    """An upstream visit that returns an equal outcome leaves downstream unchanged."""
    chain.edit("stations.py", "return 100", "return 99 + 1")

    run = chain.run("--cc-run")

    assert (run.visited, run.unchanged) == (("boil",), ("pour", "drink"))


def test_failure_is_remembered(project: Project) -> None:
    """A failed station is due in the next run, with its error as the reason; no other station is."""
    project.stations(CHAIN.replace('log(f"pour {boil}")', 'raise RuntimeError("boom")'))
    first = project.run("--cc-run")

    second = project.run("--cc-run")

    assert (first.visited, first.failed, first.blocked) == (("boil",), ("pour",), ("drink",))
    assert (second.unchanged, second.failed, second.blocked) == (("boil",), ("pour",), ("drink",))
    assert without_times(second.reasons["pour"]) == (
        "last visit failed N s ago: RuntimeError: boom",
    )
    assert second.causes == {"pour": "RuntimeError: boom"}
    assert second.blamed == {"drink": ("pour",)}
    assert (first.exit_code, second.exit_code) == (1, 1)


def test_replayed_failure_is_remembered(chain: Project) -> None:
    """A complete station that is replayed and fails is due until a visit succeeds."""
    chain.edit(
        "stations.py",
        'log("boil")',
        'log("boil"); assert not (Path(__file__).parent / "off").exists()',
    )
    chain.edit("stations.py", "import pytest", "import pytest\nfrom pathlib import Path")
    chain.run("--cc-run")
    chain.write("off", "")
    chain.run("--cc-replay", "boil")

    still_off = chain.run("--cc-run")
    chain.remove("off")
    on = chain.run("--cc-run")
    after = chain.run("--cc-run")

    assert (still_off.failed, still_off.blocked) == (("boil",), ("pour", "drink"))
    assert (on.visited, on.unchanged) == (("boil",), ("pour", "drink"))
    assert without_times(on.reasons["boil"])[0].startswith(
        "last visit failed N s ago: AssertionError"
    )
    assert after.unchanged == ("boil", "pour", "drink")


def test_change_that_was_not_propagated_arrives_later(chain: Project) -> None:
    """A change that a failure stopped from propagating still arrives in a later run."""
    chain.edit("stations.py", "100", "90")
    chain.edit("stations.py", 'log(f"pour {boil}")', "raise RuntimeError(1)")
    broken = chain.run("--cc-run")
    chain.edit("stations.py", "raise RuntimeError(1)", 'log(f"pour {boil}")')

    fixed = chain.run("--cc-run")

    assert (broken.visited, broken.failed, broken.blocked) == (("boil",), ("pour",), ("drink",))
    assert (fixed.unchanged, fixed.visited) == (("boil",), ("pour", "drink"))
    assert fixed.log == ("pour 90", "drink 91")
    assert fixed.reasons["pour"][1:] == ("outcome of boil changed",)


def test_reverted_change_spares_stations_that_never_saw_it(chain: Project) -> None:
    """Stations are compared with what they last consumed: a change reverted in time has no effect."""
    chain.edit("stations.py", "100", "90")
    chain.run("--cc-run", "-k", "boil")
    chain.edit("stations.py", "90", "100")

    run = chain.run("--cc-run")

    assert (run.visited, run.unchanged) == (("boil",), ("pour", "drink"))


def test_input_edited_during_visit_makes_station_due(project: Project) -> None:
    """The fingerprint is taken before the visit: an input edited meanwhile counts next time."""
    project.write("water.txt", "cold")
    project.stations(
        """
        from pathlib import Path
        WATER = Path(__file__).parent / "water.txt"

        @station(files=["water.txt"])
        def boil():
            if WATER.read_text() == "cold":
                WATER.write_text("hot")
        """
    )
    project.run("--cc-run")

    second, third = project.run("--cc-run"), project.run("--cc-run")

    assert (second.visited, second.reasons["boil"]) == (("boil",), ("file water.txt changed",))
    assert third.unchanged == ("boil",)


def test_all_reasons_are_shown(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reasons accumulate, and all of them are shown."""
    project.write("water.txt", "cold")
    project.stations(
        """
        @station(files=["water.txt"], env=["HEAT"], max_age=3600)
        def boil():
            return 100
        """
    )
    monkeypatch.setenv("HEAT", "low")
    project.run("--cc-run")
    project.write("water.txt", "hot")
    project.edit("stations.py", "100", "90")
    monkeypatch.setenv("HEAT", "high")

    run = project.run("--cc-replay", "boil", "-v")

    assert run.reasons["boil"] == (
        "selected by --cc-replay",
        "file water.txt changed",
        "env HEAT changed",
        "code of stations.py::boil changed",
    )
    assert f"VISITED ({'; '.join(run.reasons['boil'])})" in run.text


def test_max_age_makes_station_due(project: Project) -> None:
    """A station older than its max_age is visited again, and says how old it was."""
    project.stations("@station(max_age=0)\ndef boil(): log('boil')\n")
    project.run("--cc-run")

    run = project.run("--cc-run")

    assert run.visited == ("boil",)
    assert run.reasons["boil"][0].endswith("s ago, max_age is 0.0 s")


def test_visit_from_the_future_is_over_its_age(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visit made while the clock was ahead is made again, and not believed until then."""
    project.stations("@station(max_age=60)\ndef boil(): log('boil')\n")
    now = time.time
    with monkeypatch.context() as context:
        context.setattr("time.time", lambda: now() + 400 * 86400)
        project.run("--cc-run")

    run = project.run("--cc-run")

    assert run.reasons["boil"] == ("visited 400 d in the future, max_age is 1 min",)
    assert project.run("--cc-run").unchanged == ("boil",)


def test_changed_and_missing_products_make_station_due(project: Project) -> None:
    """A station is visited again if one of its products was changed or removed."""
    project.stations(
        """
        from pathlib import Path

        @station(products=["tea.txt"])
        def brew():
            (Path(__file__).parent / "tea.txt").write_text("tea")
        """
    )
    project.run("--cc-run")
    project.write("tea.txt", "coffee")
    changed = project.run("--cc-run")
    project.remove("tea.txt")

    missing = project.run("--cc-run")

    assert changed.reasons["brew"] == ("product tea.txt changed",)
    assert missing.reasons["brew"] == ("product tea.txt is missing",)
    assert project.run("--cc-run").unchanged == ("brew",)


def test_outcome_of_a_decorator_is_not_taken_for_nothing(project: Project) -> None:
    """Where a decorator returns something, a check that passes cannot say what: it is visited."""
    project.stations(
        """
        import functools

        def timed(function):
            @functools.wraps(function)
            def inner():
                function()
                return {"host": "h"}
            return inner

        @station
        @timed
        def deploy(): ...

        @deploy.check
        def up(): ...

        @station
        def use(deploy) -> str:
            return deploy["host"]
        """
    )

    run = project.run("--cc-run")

    assert run.visited == ("deploy", "use")


def test_upstream_for_order_only_may_be_renamed_added_and_removed(project: Project) -> None:
    """A station that returns nothing and makes no products is no input of those after it."""
    project.stations(
        """
        @station
        def lay_table() -> None: ...

        @station
        @pytest.mark.usefixtures("lay_table")
        def serve() -> None:
            log("serve")
        """
    )
    project.run("--cc-run")
    project.edit("stations.py", "lay_table", "set_table")
    renamed = project.run("--cc-run")
    project.edit(
        "stations.py",
        "@station\n@pytest",
        "@station\ndef light() -> None: ...\n\n@station\n@pytest",
    )
    project.edit("stations.py", '("set_table")', '("set_table", "light")')
    added = project.run("--cc-run")
    project.edit("stations.py", '("set_table", "light")', '("light")')

    removed = project.run("--cc-run")

    assert renamed.results == {"set_table": "visited", "serve": "unchanged"}
    assert added.results == {"set_table": "unchanged", "light": "visited", "serve": "unchanged"}
    assert removed.unchanged == ("set_table", "light", "serve")


def test_changed_product_reaches_downstream(project: Project, mode: str) -> None:
    """A visit that makes another product is a change for those after it; an equal one is none."""
    project.write("in.txt", "a b")
    project.stations(
        """
        from pathlib import Path

        OUT = Path(__file__).with_name("out.txt")

        @station(files=["in.txt"], products=["out.txt"])
        def make() -> Path:
            OUT.write_text(" ".join(Path(__file__).with_name("in.txt").read_text().split()))
            return OUT

        @station
        def count(make: Path) -> int:
            return len(make.read_text())
        """
    )
    project.run("--cc-run")
    project.write("in.txt", "a  b")
    equal = project.run("--cc-run")
    project.write("in.txt", "a b c")

    changed = project.run("--cc-run")

    assert equal.results == {"make": "visited", "count": "unchanged"}
    assert changed.visited == ("make", "count")
    assert changed.reasons["count"] == ("product out.txt of make changed",)
    assert project.run("--cc-run").unchanged == ("make", "count")


def test_renewed_station_has_all_downstream_visited(project: Project, mode: str) -> None:
    """After a database was made again, its tables are as well, and a failure loses none of that."""
    project.stations(
        """
        import os

        @station(renews=True)
        def create_db() -> str:
            return "db"

        @station
        def create_tables(create_db) -> str:
            assert not os.environ.get("BROKEN")
            return "tables"

        @create_tables.check
        def are_there(): ...

        @station
        def load_rows(create_tables) -> None: ...

        @station
        def apart() -> None: ...
        """
    )
    project.run("--cc-run")
    unchanged = project.run("--cc-run")
    project.setenv("BROKEN", "1")
    broken = project.run("--cc-replay=create_db")
    project.setenv("BROKEN", "")

    fixed = project.run("--cc-run")

    again = ("create_db was made again from nothing",)
    assert set(unchanged.results.values()) == {"unchanged"}
    assert (broken.visited, broken.failed) == (("create_db",), ("create_tables",))
    assert set(fixed.visited) == {"create_tables", "load_rows"}
    assert fixed.reasons["load_rows"] == again
    assert again[0] in fixed.reasons["create_tables"]
    assert set(project.run("--cc-run").results.values()) == {"unchanged"}


def test_link_in_a_product_counts(project: Project) -> None:
    """A link to a folder that leads elsewhere, or is gone, is a changed product."""
    project.stations(
        """
        from pathlib import Path

        HERE = Path(__file__).parent

        @station(products=["site"])
        def publish() -> None:
            for release in ("1", "2"):
                (HERE / "releases" / release).mkdir(parents=True, exist_ok=True)
            (HERE / "site").mkdir(exist_ok=True)
            (HERE / "site" / "current").unlink(missing_ok=True)
            (HERE / "site" / "current").symlink_to("../releases/1")
        """
    )
    link = project.path / "site" / "current"
    project.run("--cc-run")
    link.unlink()
    link.symlink_to("../releases/2")
    changed = project.run("--cc-run")
    link.unlink()

    removed = project.run("--cc-run")

    assert changed.reasons["publish"] == removed.reasons["publish"] == ("product site changed",)
    assert project.run("--cc-run").unchanged == ("publish",)


def test_changed_value_and_parameter_show_old_and_new(project: Project) -> None:
    """A changed value is shown as it was and as it is."""
    project.stations(
        """
        @pytest.fixture
        def heat():
            return 3

        @station(values=["heat"])
        def boil():
            pass
        """
    )
    project.run("--cc-run")
    project.edit("stations.py", "return 3", "return 4")

    run = project.run("--cc-run")

    assert run.visited == ("boil",)
    assert "value heat changed: 3 -> 4" in run.reasons["boil"]


# --- with a check


def test_passing_check_leaves_station_unchanged(checked: Project) -> None:
    """If nothing changed and the check passes, nothing is visited."""
    run = checked.run("--cc-run")

    assert (run.unchanged, run.log) == (("boil",), ("check",))


def test_drift_visits_station(checked: Project) -> None:
    """If nothing changed and the check does not pass, the station is visited because of drift."""
    checked.remove("steam")

    run = checked.run("--cc-run")

    assert (run.visited, run.log) == (("boil",), ("check", "visit", "check"))
    assert run.reasons["boil"] == ("drift: check steams does not pass: AssertionError: no steam",)


def test_passing_check_settles_changed_code(checked: Project) -> None:
    """If only the code changed and the check passes, the station is unchanged and stays so."""
    checked.edit("stations.py", 'log("visit")', 'log("changed visit")')

    run, after = checked.run("--cc-run"), checked.run("--cc-run")

    assert (run.unchanged, run.log) == (("boil",), ("check",))
    assert run.reasons["boil"] == ("code of stations.py::boil changed",)
    assert (after.unchanged, after.reasons["boil"]) == (("boil",), ())


def test_failing_check_does_not_settle_changed_code(checked: Project) -> None:
    """If the code changed and the check does not pass, the station is visited."""
    checked.edit("stations.py", 'log("visit")', 'log("changed visit")')
    checked.remove("steam")

    run = checked.run("--cc-run")

    assert (run.visited, run.log) == (("boil",), ("check", "changed visit", "check"))
    assert run.reasons["boil"] == (
        "code of stations.py::boil changed",
        "check steams does not pass: AssertionError: no steam",
    )


def test_passing_check_does_not_settle_changed_input(checked: Project) -> None:
    """If an input changed, the check does not run before the visit, as it cannot see the change."""
    checked.write("water.txt", "hot")

    run = checked.run("--cc-run")

    assert (run.visited, run.log) == (("boil",), ("visit", "check"))


def test_passing_check_does_not_settle_replay(checked: Project) -> None:
    """A replayed station is visited whether its check passes or not."""
    run = checked.run("--cc-replay", "boil")

    assert (run.visited, run.log) == (("boil",), ("visit", "check"))


def test_station_without_a_record_is_adopted(project: Project) -> None:
    """A station without a record whose check passes is adopted, and unchanged afterwards."""
    project.write("water.txt", "cold")
    project.write("steam", "")
    project.stations(CHECKED)

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert (first.adopted, first.log, first.exit_code) == (("boil",), ("check",), 0)
    assert first.reasons["boil"] == ("first visit",)
    assert (second.unchanged, second.reasons["boil"]) == (("boil",), ())


def test_station_with_unknown_outcome_is_visited(project: Project) -> None:
    """A station that returns something is not adopted while its outcome is unknown."""
    project.stations(
        """
        @station
        def boil():
            return 100

        @boil.check
        def steams():
            pass
        """
    )

    run = project.run("--cc-run")

    assert run.visited == ("boil",)
    assert run.reasons["boil"] == ("first visit",)


def test_failed_station_is_adopted_once_its_check_passes(checked: Project) -> None:
    """A failed station whose check passes now is adopted: something else has done its work."""
    checked.edit("stations.py", "touch()", "missing()")
    failed = checked.run("--cc-replay", "boil")

    run = checked.run("--cc-run")

    assert (failed.failed, run.adopted) == (("boil",), ("boil",))
    assert without_times(run.reasons["boil"])[0].startswith("last visit failed N s ago: Attribute")


def test_check_that_fails_after_visit_fails_station(project: Project) -> None:
    """A check that does not pass after the visit fails its station and blocks downstream."""
    project.stations(
        """
        @station
        def boil(visit):
            visit.resources["pot"] = 7
            return 100

        @boil.check
        def steams():
            return False

        @station
        def pour(boil):
            log(boil)
        """
    )

    run = project.run("--cc-run")
    again = project.run("--cc-run")

    assert (run.failed, run.blocked, run.exit_code) == (("boil",), ("pour",), 1)
    assert run.causes == {"boil": "check steams does not pass: it returned False"}
    assert run.errors["boil"] == (
        "check 'steams' of station 'boil' does not pass: it returned False; "
        "either the visit or the check is wrong"
    )
    assert without_times(again.reasons["boil"])[0] == (
        "last visit failed N s ago: check steams does not pass: it returned False"
    )


def test_outcome_is_kept_when_check_fails_after_visit(project: Project) -> None:
    """The next visit sees the outcome and the resources of a visit whose check did not pass."""
    project.stations(
        """
        @station
        def boil(visit: Visit):
            log(f"{visit.previous} {dict(visit.resources)} {len(visit.reasons)}")
            visit.resources["pot"] = 7
            return 100

        @boil.check
        def steams():
            return False
        """
    )
    project.run("--cc-run")

    run = project.run("--cc-run")

    assert run.log == ("100 {'pot': 7} 2",)


def test_check_that_fails_after_visit_names_check_and_station(checked: Project) -> None:
    """The error of a check after a visit has pytest's detail, and names check and station."""
    checked.edit("stations.py", "touch()", "exists()")
    checked.remove("steam")

    run = checked.run("--cc-run")

    assert '>       assert (HERE / "steam").exists(), "no steam"' in run.errors["boil"]
    assert (
        "E       check 'steams' of station 'boil' does not pass after the visit: "
        "either the visit or the check is wrong" in run.errors["boil"]
    )
    assert "passes.py" not in run.errors["boil"]


# --- what is a failure


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        pytest.param("raise SystemExit(0)", "SystemExit: 0", id="system-exit"),
        pytest.param("assert 1 == 2", "AssertionError: assert 1 == 2", id="assert"),
        pytest.param("pytest.fail('no gas')", "Failed: no gas", id="fail"),
        pytest.param("raise BaseException('odd')", "BaseException: odd", id="base-exception"),
        pytest.param("return object()", None, id="unstorable-outcome"),
    ],
)
def test_exception_fails_station(project: Project, body: str, cause: str | None) -> None:
    """Any exception of a station fails it: downstream is blocked, and it is visited again."""
    project.stations(
        f"@station\ndef boil():\n    {body}\n\n@station\ndef pour(boil): log('pour')\n"
    )

    run, again = project.run("--cc-run"), project.run("--cc-run")

    assert (run.failed, run.blocked, run.exit_code) == (("boil",), ("pour",), 1)
    assert run.causes["boil"] == cause or cause is None
    assert (again.failed, again.log) == (("boil",), ())


def test_teardown_error_fails_station(project: Project) -> None:
    """A station whose fixtures cannot be torn down has failed and blocks its downstream."""
    project.stations(
        """
        @pytest.fixture
        def stove():
            yield
            assert 0, "still hot"

        @station
        def boil(stove):
            return 100

        @station
        def pour(boil):
            log("pour")
        """
    )

    run, again = project.run("--cc-run"), project.run("--cc-run")

    assert (run.failed, run.blocked, run.exit_code) == (("boil",), ("pour",), 1)
    assert run.closing == "1 failed, 1 blocked"
    assert without_times(again.reasons["boil"])[0].startswith("last visit failed N s ago: Assert")
    assert (run.log, again.log) == ((), ())


def test_failed_subtest_fails_station(project: Project) -> None:
    """A station with a failed sub-test has failed although it ran to its end."""
    project.stations(
        """
        @station
        def boil(subtests):
            with subtests.test("first"):
                assert 0, "cold"
            return 100

        @station
        def pour(boil):
            log("pour")
        """
    )

    run, again = project.run("--cc-run"), project.run("--cc-run")

    assert (run.failed, run.blocked, run.exit_code) == (("boil",), ("pour",), 1)
    assert run.closing == "1 failed, 1 blocked"
    assert (again.failed, run.log, again.log) == (("boil",), (), ())


def test_failed_subtest_before_skip_fails_station(project: Project) -> None:
    """A skip at the end does not excuse a failed sub-test."""
    project.stations(
        """
        @station
        def boil(subtests):
            with subtests.test("first"):
                assert 0, "cold"
            pytest.skip("never mind")
        """
    )

    run, again = project.run("--cc-run"), project.run("--cc-run")

    assert (run.failed, again.failed) == (("boil",), ("boil",))
    assert without_times(again.reasons["boil"]) == (
        "last visit failed N s ago: AssertionError: cold",
    )


def test_soft_assertion_fails_station(project: Project) -> None:
    """A station with a failed soft assertion has failed."""
    project.use("check")
    project.stations(
        """
        import pytest_check

        @station
        def boil():
            pytest_check.equal(1, 2)
            return 100

        @station
        def pour(boil):
            log("pour")
        """
    )

    run, again = project.run("--cc-run"), project.run("--cc-run")

    assert (run.failed, run.blocked) == (("boil",), ("pour",))
    assert (again.failed, again.blocked, again.log) == (("boil",), ("pour",), ())


def test_last_rerun_counts(project: Project) -> None:
    """The last of several reruns counts."""
    project.use("rerunfailures")
    project.stations(
        """
        @pytest.mark.flaky(reruns=2)
        @station
        def boil(tmp_path_factory):
            tries = tmp_path_factory.getbasetemp() / "tries"
            tries.write_text((tries.read_text() if tries.exists() else "") + "x")
            assert tries.read_text() == "xxx"
            return 100

        @station
        def pour(boil):
            log(f"pour {boil}")
        """
    )

    run = project.run("--cc-run")

    assert (run.visited, run.log, run.exit_code) == (("boil", "pour"), ("pour 100",), 0)
    assert project.run("--cc-run").unchanged == ("boil", "pour")


def test_every_rerun_fails(project: Project) -> None:
    """A station whose reruns all fail has failed."""
    project.use("rerunfailures")
    project.stations(
        """
        @pytest.mark.flaky(reruns=1)
        @station
        def boil():
            log("boil")
            assert 0, "cold"

        @station
        def pour(boil):
            log("pour")
        """
    )

    run = project.run("--cc-run")

    assert (run.failed, run.blocked, run.log) == (("boil",), ("pour",), ("boil", "boil"))
    assert run.closing == "1 failed, 1 blocked"


# --- skipped, expected to fail


def test_skipped_station_blocks_downstream(project: Project, mode: str) -> None:
    """A station that skips blocks downstream, shows the reason, and is tried next time."""
    project.stations(
        """
        @station
        def boil():
            log("boil")
            pytest.skip("no gas")

        @station
        def pour(boil):
            log("pour")
        """
    )

    run, again = project.run("--cc-run"), project.run("--cc-run")

    assert (run.skipped, run.blocked, run.exit_code) == (("boil",), ("pour",), 0)
    assert (run.causes["boil"], run.blamed["pour"]) == ("no gas", ("boil",))
    assert run.closing == "1 blocked, 1 skipped"
    assert (run.log, again.log) == (("boil",), ("boil",))


def test_skipif_keeps_record(chain: Project) -> None:
    """A station skipped by a mark keeps its record, and blocks downstream in that run."""
    chain.edit(
        "stations.py",
        "@station\ndef boil",
        "@pytest.mark.skipif(True, reason='no gas')\n@station\ndef boil",
    )

    skipped = chain.run("--cc-run")
    chain.edit("stations.py", "@pytest.mark.skipif(True, reason='no gas')\n", "")
    after = chain.run("--cc-run")

    assert (skipped.skipped, skipped.blocked) == (("boil",), ("pour", "drink"))
    assert (skipped.causes["boil"], skipped.log) == ("no gas", ())
    assert after.unchanged == ("boil", "pour", "drink")


def test_expected_failure_counts_as_skipped(project: Project) -> None:
    """A station that fails as expected is skipped, blocks downstream, and is visited next time."""
    project.stations(
        """
        @pytest.mark.xfail(reason="broken stove")
        @station
        def boil():
            log("boil")
            assert 0

        @station
        def pour(boil):
            log("pour")
        """
    )

    run, again = project.run("--cc-run"), project.run("--cc-run")

    assert (run.skipped, run.blocked, run.exit_code) == (("boil",), ("pour",), 0)
    assert (run.causes["boil"], run.log, again.log) == (
        "xfail: broken stove",
        ("boil",),
        ("boil",),
    )
    assert without_times(again.reasons["boil"])[0].startswith("last visit failed N s ago: ")


def test_teardown_error_after_expected_failure_fails_station(project: Project) -> None:
    """An expected failure does not excuse an error in the teardown of fixtures."""
    project.stations(
        """
        @pytest.fixture
        def stove():
            yield
            raise OSError("still hot")

        @pytest.mark.xfail(reason="broken stove", raises=AssertionError)
        @station
        def boil(stove):
            assert 0
        """
    )

    run = project.run("--cc-run")

    assert (run.failed, run.closing, run.exit_code) == (("boil",), "1 failed", 1)
    assert run.causes == {"boil": "OSError: still hot"}


def test_unexpected_pass_completes_station(project: Project) -> None:
    """A station that passes unexpectedly is complete; with a strict xfail it has failed."""
    project.stations(
        """
        @pytest.mark.xfail(reason="broken stove")
        @station
        def boil():
            return 100

        @pytest.mark.xfail(reason="broken mill", strict=True)
        @station
        def grind():
            return 1
        """
    )

    run = project.run("--cc-run")

    assert (run.visited, run.failed, run.exit_code) == (("boil",), ("grind",), 1)
    assert run.closing == "1 visited, 1 failed"


def test_blocked_chain_names_the_root(project: Project) -> None:
    """Every station downstream of a failure is blocked by the failed one, not by those in between."""
    project.stations(CHAIN.replace('log("boil")', "assert 0"))

    run = project.run("--cc-run", "-rs")

    assert (run.failed, run.blocked) == (("boil",), ("pour", "drink"))
    assert run.blamed == {"pour": ("boil",), "drink": ("boil",)}
    assert run.closing == "1 failed, 2 blocked"
    assert run.last_line == "1 failed, 2 skipped"


def test_other_branch_goes_on(project: Project) -> None:
    """Stations that do not need the failed one are still visited."""
    project.stations(
        CHAIN.replace('log("boil")', "assert 0") + "\n    @station\n    def grind(): log('grind')\n"
    )

    run = project.run("--cc-run")

    assert (run.visited, run.failed, run.blocked) == (("grind",), ("boil",), ("pour", "drink"))


def test_unchanged_station_sets_up_no_fixture(project: Project) -> None:
    """An unchanged station without a check sets up no fixture, autouse fixtures included."""
    project.stations(
        """
        @pytest.fixture
        def stove():
            log("stove")

        @pytest.fixture(autouse=True)
        def lights():
            log("lights")

        @station
        def boil(stove):
            pass
        """
    )
    project.run("--cc-run")

    assert project.run("--cc-run").log == ()


def test_unchanged_stations_leave_module_fixtures_in_order(project: Project) -> None:
    """Stations that need no visit, between others that do, do not disturb module fixtures."""
    project.write(
        "one/stations.py",
        """
        import pytest
        from pytest_choochoo import station
        from effects import log

        @pytest.fixture(scope="module")
        def kitchen():
            yield
            log("close kitchen")

        @station(max_age=0)
        def boil(kitchen): pass

        @station
        def pour(boil): pass
        """,
    )
    project.write("test_tea.py", "def test_tea(): pass\n")
    project.write(
        "two/stations.py",
        "from pytest_choochoo import station\n@station(max_age=0)\ndef sip(): pass\n",
    )
    project.run("--cc-run")

    run = project.run("--cc-run")

    assert (run.visited, run.unchanged) == (("boil", "sip"), ("pour",))
    assert (run.tests, run.exit_code, run.log) == ({"test_tea": "passed"}, 0, ("close kitchen",))


def test_module_teardown_error_is_reported_after_unchanged_station(project: Project) -> None:
    """A module fixture that fails in its teardown fails the run, whichever item runs last."""
    project.stations(
        """
        @pytest.fixture(scope="module")
        def kitchen():
            yield
            assert 0, "cannot close"

        @station
        def boil():
            pass

        @station
        def pour(boil):
            pass

        @station
        def sip(kitchen):
            pass
        """
    )
    first = project.run("--cc-run")
    project.edit("stations.py", "def boil():\n    pass", "def boil(kitchen):\n    return 2")

    second = project.run("--cc-run")

    assert (first.visited, first.failed, first.exit_code) == (("boil", "pour"), ("sip",), 1)
    assert "cannot close" in second.text
    assert second.exit_code == 1


def test_inputs_of_env_show_no_value(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of environment variables appear in no reason, and nowhere in the ledger."""
    project.stations("@station(env=['TOKEN'])\ndef boil(): pass\n")
    monkeypatch.setenv("TOKEN", "hunter2")
    project.run("--cc-run")
    monkeypatch.setenv("TOKEN", "hunter3")

    run = project.run("--cc-run", "-v")

    assert run.reasons["boil"] == ("env TOKEN changed",)
    kept = b"".join(f.read_bytes() for f in project.path.rglob(".pytest_cache/**/*") if f.is_file())
    assert b"hunter" not in kept and "hunter" not in run.text
    assert os.environ["TOKEN"] == "hunter3"


def test_missing_input_file_fails_before_visit(project: Project) -> None:
    """A declared file that does not exist fails the station before its visit."""
    project.stations("@station(files=['water.txt'])\ndef boil(): log('boil')\n")

    run = project.run("--cc-run")

    assert (run.failed, run.log) == (("boil",), ())
    assert run.errors["boil"] == (
        "station 'boil' declares the file water.txt, which does not exist; "
        "create it, or correct files=[...]"
    )


def test_overridden_fixture_is_code(project: Project) -> None:
    """A fixture that its override requests is part of the code."""
    project.write("conftest.py", "import pytest\n\n@pytest.fixture\ndef water(): return 1\n")
    project.write(
        "kitchen/conftest.py",
        "import pytest\n\n@pytest.fixture\ndef water(water): return water + 1\n",
    )
    project.stations("@station\ndef boil(water): return water", name="kitchen/stations.py")
    project.run("--cc-run")
    project.edit("conftest.py", "return 1", "return 10")

    run = project.run("--cc-run")

    assert run.reasons["boil"] == ("code of conftest.py::water changed",)


def test_value_that_a_factory_gave_its_station_is_code(project: Project, mode: str) -> None:
    """A station made in a loop is due when a value it was made with changes; its twin is not."""
    project.stations(
        """
        def brew(kind, degrees):
            def visit():
                log(f"{kind} {degrees}")

            visit.__name__ = kind
            return station(visit)

        green, black = brew("green", 80), brew("black", 100)
        """
    )
    project.run("--cc-run")
    project.edit("stations.py", '"green", 80', '"green", 75')

    run = project.run("--cc-run")

    assert (run.visited, run.unchanged) == (("green",), ("black",))
    assert run.reasons["green"] == ("code of degrees in stations.py::brew.<locals>.visit changed",)
    assert run.log == ("green 75",)


@pytest.mark.parametrize("declared", ['files=["./**/*"]', 'files=["*"]', 'products=["."]'])
@pytest.mark.parametrize("state", ["state", "."])
def test_records_are_never_an_input(project: Project, mode: str, declared: str, state: str) -> None:
    """A glob that matches the folder of the records makes no station due after a run."""
    project.ini(f"cc_state = {state}")
    project.stations(f"@station({declared})\ndef boil() -> int: return 1\n")
    project.run("--cc-run")

    run = project.run("--cc-run")

    assert run.unchanged == ("boil",)
