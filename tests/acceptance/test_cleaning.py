"""`--cc-clean`: downstream first, checked, forgotten; a failed clean keeps its upstream."""

from __future__ import annotations

import re

import pytest
from harness import Project, ageless

CHAIN = """
    from pathlib import Path
    HERE = Path(__file__).parent

    @station
    def boil(visit):
        visit.resources["pot"] = 7
        (HERE / "steam").touch()
        return 100

    @boil.check
    def steams(boil):
        assert (HERE / "steam").exists(), "no steam"

    @boil.clean
    def cool(boil, visit: Visit):
        log(f"cool {boil} {dict(visit.resources)}")
        (HERE / "steam").unlink()

    @station
    def pour(boil):
        return 101

    @pour.clean
    def empty(pour, boil):
        log(f"empty {pour} {boil}")

    @station
    def sip(pour):
        return 102

    @sip.clean
    def spit(sip):
        log(f"spit {sip}")

    @station
    def grind():
        pass
"""

EXPECTED = """
    @pytest.mark.xfail
    @station
    def boil(): raise OSError

    @boil.clean
    def cool(boil): log(f"cool {boil}")
"""


@pytest.fixture
def done(project: Project) -> Project:
    """A chain of three stations with cleans and one without, complete."""
    project.stations(CHAIN)
    project.write("test_tea.py", "from effects import log\ndef test_tea(sip): log('test')\n")
    assert project.run("--cc-run", "-m", "station").closing == "4 visited"
    return project


def test_downstream_is_cleaned_first(done: Project) -> None:
    """Stations are cleaned downstream first, with outcomes and resources, and tests do not run."""
    run = done.run("--cc-clean")

    assert run.log == ("spit 102", "empty 101 100", "cool 100 {'pot': 7}")
    assert "taken along" not in run.text
    assert run.closing == "3 cleaned, 1 left in place"
    assert "  left in place (no clean defined): grind" in run.outlines
    assert (run.tests, run.exit_code) == ({}, 0)


def test_cleaned_stations_are_forgotten(done: Project) -> None:
    """After a clean nothing is remembered: all stations are visited again, and resources are gone."""
    done.run("--cc-clean")

    again, run = done.run("--cc-clean"), done.run("--cc-run", "-m", "station")

    assert (again.results, again.log) == ({}, ())
    assert run.closing == "4 visited"
    assert ageless(run.reasons["pour"]) == ("cleaned ... ago",)


def test_selection_includes_downstream(done: Project) -> None:
    """Cleaning a station cleans what is downstream of it, says so, and cleans nothing else."""
    run = done.run("--cc-clean", "-k", "pour")

    assert run.log == ("spit 102", "empty 101 100")
    assert "choochoo: 1 station downstream taken along: sip" in run.outlines
    assert done.run("--cc-run", "-m", "station").closing == "2 visited, 2 unchanged"


def test_failed_clean_keeps_upstream(done: Project) -> None:
    """A clean that fails keeps all upstream stations, and the run fails."""
    done.edit("stations.py", 'log(f"spit {sip}")', 'raise OSError("stuck")')

    run = done.run("--cc-clean")

    assert (run.failed, run.blocked) == (("sip",), ("pour", "boil"))
    assert run.blamed == {"pour": ("sip",), "boil": ("sip",)}
    assert run.causes == {"sip": "OSError: stuck"}
    assert run.closing == "1 failed, 2 blocked, 1 left in place"
    assert (run.log, run.exit_code) == ((), 1)


def test_next_clean_continues(done: Project) -> None:
    """The next --cc-clean continues where the last one failed."""
    done.edit("stations.py", 'log(f"empty {pour} {boil}")', 'raise OSError("stuck")')
    first = done.run("--cc-clean")
    done.edit("stations.py", 'raise OSError("stuck")', 'log(f"empty {pour} {boil}")')

    run = done.run("--cc-clean")

    assert first.log == ("spit 102",)
    assert first.closing == "1 failed, 1 blocked, 1 cleaned, 1 left in place"
    assert run.log == ("empty 101 100", "cool 100 {'pot': 7}")
    assert run.closing == "2 cleaned"


def test_check_that_still_passes_fails_the_clean(done: Project) -> None:
    """A check that passes after the clean fails it: the clean or the check is wrong."""
    done.edit("stations.py", '(HERE / "steam").unlink()', "pass")

    run = done.run("--cc-clean")

    assert (run.failed, run.exit_code) == (("boil",), 1)
    assert run.errors["boil"] == (
        "station 'boil' was cleaned, but its check 'steams' still passes; "
        "either the clean or the check is wrong"
    )
    assert done.run("--cc-clean").failed == ("boil",)


def test_station_that_was_never_attempted_is_not_cleaned(project: Project) -> None:
    """A station without any attempt is not cleaned."""
    project.stations(CHAIN.replace("return 101", "assert 0"))
    project.run("--cc-run")

    run = project.run("--cc-clean")

    assert run.log == ("empty None 100", "cool 100 {'pot': 7}")
    assert run.closing == "2 cleaned, 1 left in place"


def test_failed_visit_is_cleaned_with_its_resources(project: Project) -> None:
    """A visit that failed halfway is cleaned, without an outcome, with the resources it made."""
    project.stations(
        """
        @station
        def boil(visit):
            visit.resources["pot"] = 7
            raise RuntimeError

        @boil.clean
        def cool(boil, visit):
            log(f"{boil} {dict(visit.resources)}")
        """
    )
    project.run("--cc-run")

    run = project.run("--cc-clean")

    assert (run.log, run.closing, run.exit_code) == (("None {'pot': 7}",), "1 cleaned", 0)
    assert project.run("--cc-clean").results == {}


def test_list_among_the_resources_is_kept_as_it_grows(project: Project, mode: str) -> None:
    """A list that a visit keeps adding to is known to the clean, as far as it had come."""
    project.stations(
        """
        @station
        def rent(visit: Visit) -> None:
            for number in range(3):
                visit.resources.setdefault("servers", []).append(f"i-{number}")
            raise OSError

        @rent.clean
        def give_back(visit: Visit): log(dict(visit.resources))
        """
    )
    assert project.run("--cc-run").failed == ("rent",)

    run = project.run("--cc-clean")

    assert run.log == ("{'servers': ['i-0', 'i-1', 'i-2']}",)


def test_list_that_is_changed_behind_the_resources_is_kept_and_told(
    project: Project, mode: str
) -> None:
    """A list that was put in is not the one that is kept: its change is written, as an error."""
    project.stations(
        """
        @station
        def rent(visit: Visit):
            servers = visit.resources["servers"] = []
            servers.append("i-1")

        @station
        def break_down(visit: Visit):
            servers = visit.resources["servers"] = []
            servers.append("i-2")
            raise OSError("no more")

        @rent.clean
        @break_down.clean
        def give_back(visit: Visit): log(f"{visit.station} {dict(visit.resources)}")
        """
    )

    run = project.run("--cc-run")
    project.run("--cc-clean")

    assert run.causes == {
        "rent": "station 'rent' put a list or a dict into visit.resources['servers'] and changed "
        "it afterwards: the change is kept now, and would have been lost if the visit had been "
        "killed; change visit.resources['servers'] itself",
        "break_down": "OSError: no more",
    }
    assert sorted(project.log()) == [
        "break_down {'servers': ['i-2']}",
        "rent {'servers': ['i-1']}",
    ]


def test_failed_clean_keeps_record_and_resources(done: Project) -> None:
    """A station that could not be cleaned is still complete, with its resources."""
    done.edit("stations.py", '(HERE / "steam").unlink()', 'raise OSError("stuck")')
    done.run("--cc-clean")

    run = done.run("--cc-run", "-k", "boil")

    assert run.results == {"boil": "unchanged"}


def test_left_in_place_is_forgotten(done: Project) -> None:
    """A station without a clean is forgotten, so that a run visits it again."""
    done.run("--cc-clean", "-k", "grind")

    run = done.run("--cc-run", "-k", "grind")

    assert (run.results, ageless(run.reasons["grind"])) == (
        {"grind": "visited"},
        ("forgotten ... ago",),
    )


TABLES = """
    from pathlib import Path
    HERE = Path(__file__).parent

    @station
    def create_db() -> Path:
        (HERE / "db").mkdir()
        return HERE / "db"

    @create_db.clean
    def drop(create_db: Path):
        for file in create_db.iterdir(): file.unlink()
        create_db.rmdir()

    @station
    def tables(create_db: Path) -> str:
        (create_db / "tables").touch()
        return "tables"

    @tables.check
    def exist(create_db: Path, tables: str):
        log(f"asked for {tables} in {create_db.name}")
        assert (create_db / tables).exists()

    @station
    def rows(tables, create_db: Path): (create_db / "rows").touch()

    @rows.check
    def are_there(create_db: Path): assert (create_db / "rows").exists()
"""


def test_station_that_went_with_its_upstream_was_cleaned(project: Project) -> None:
    """A station without a clean is cleaned with its upstream if its checks say that it is gone."""
    project.stations(TABLES)
    project.run("--cc-run")

    run, again = project.run("--cc-clean", "-v"), project.run("--cc-run")

    assert run.results == dict.fromkeys(("create_db", "rows", "tables"), "cleaned")
    assert run.log == ("asked for tables in db",)
    assert "  cleaned with create_db: rows, tables" in run.outlines
    assert re.search(
        r"^stations.py::tables CLEANED \(cleaned with create_db\)", run.text, re.MULTILINE
    )
    assert ageless(again.reasons["rows"]) == (
        "cleaned ... ago",
        "check are_there does not pass: AssertionError: assert False",
    )


def test_station_that_outlived_its_upstream_was_left_in_place(project: Project) -> None:
    """A station without a clean whose checks still pass is left in place, as it was not undone."""
    project.stations(TABLES.replace("for file in create_db.iterdir(): file.unlink()", "return"))
    project.run("--cc-run")

    run, again = project.run("--cc-clean"), project.run("--cc-clean")

    assert run.closing == "1 cleaned, 2 left in place"
    assert "  left in place (no clean defined): rows, tables" in run.outlines
    assert (again.results, again.exit_code) == ({}, 0)


def test_station_downstream_of_a_failed_clean_is_left_in_place(project: Project) -> None:
    """As long as its upstream was not cleaned, the checks of a station are not asked."""
    project.stations(TABLES.replace("create_db.rmdir()", "assert 0"))
    project.run("--cc-run")

    run = project.run("--cc-clean")

    assert run.results == {
        "create_db": "failed",
        "rows": "left in place",
        "tables": "left in place",
    }
    assert run.log == ()


def test_station_that_was_not_made_here_is_cleaned_by_its_node_id(project: Project) -> None:
    """Its checks say that it is there; without its node id, such a station is left alone."""
    project.stations(
        """
        from pathlib import Path
        HERE = Path(__file__).parent

        @station
        def boil(): (HERE / "steam").touch()

        @boil.check
        def steams(): assert (HERE / "steam").exists()

        @boil.clean
        def cool(): (HERE / "steam").unlink()

        @station
        def pour(boil): ...
        """
    )
    project.write("steam", "")

    whole, chosen = project.run("--cc-clean"), project.run("--cc-clean", "-k", "boil")
    named = project.run("--cc-clean", "stations.py::boil")
    again = project.run("--cc-clean", "stations.py::boil", "-rs")

    said = (
        "choochoo: there, but not made here: boil; to clean it: pytest --cc-clean stations.py::boil"
    )
    assert [said in run.outlines for run in (whole, chosen, named, again)] == [
        True,
        True,
        False,
        False,
    ]
    assert "choochoo: there was nothing to clean" in whole.outlines
    assert (whole.results, whole.exit_code, chosen.results) == ({}, 0, {})
    assert (named.results, named.exit_code) == ({"boil": "cleaned"}, 0)
    assert not (project.path / "steam").exists()
    assert (again.closing, again.exit_code) == ("1 skipped", 0)
    assert again.causes["boil"] == "not made here, and its checks do not pass"
    assert ageless(project.run("--cc-run").reasons["boil"])[0] == "cleaned ... ago"


def test_what_was_not_made_here_is_asked_after_the_clean(project: Project) -> None:
    """A station that went with its upstream is not listed, and a check may use any fixture."""
    project.stations(
        """
        from pathlib import Path
        HERE = Path(__file__).parent

        @pytest.fixture(scope="session")
        def session_wide():
            yield HERE
            log("session over")

        @station
        def boil(): (HERE / "steam").touch()

        @boil.clean
        def cool(): (HERE / "steam").unlink()

        @station
        def pour(boil): ...

        @pour.check
        def gone_by_then(session_wide): assert (session_wide / "steam").exists()

        @pour.clean
        def empty(): ...

        @station
        def lay(): ...

        @lay.check
        def is_laid(session_wide, tmp_path, capsys):
            print("asked")
            assert tmp_path.is_dir() and session_wide.is_dir()

        @lay.check
        async def stays_laid(): ...

        @lay.clean
        def clear(): ...
        """
    )
    project.run("--cc-run", "-k", "boil")

    run = project.run("--cc-clean")

    assert (run.closing, run.exit_code) == ("1 cleaned", 0)
    assert "choochoo: there, but not made here: lay; to clean it: pytest --cc-clean " in run.text
    assert run.log == ("session over", "session over")


def test_nothing_to_clean_is_a_success(project: Project) -> None:
    """If nothing was visited, there is nothing to clean, and that is not an error."""
    project.stations(CHAIN)

    run = project.run("--cc-clean")

    assert (run.results, run.log, run.exit_code) == ({}, (), 0)
    assert "choochoo: there was nothing to clean" in run.outlines


def test_clean_runs_in_one_process(done: Project) -> None:
    """Cleaning runs in one process, one station after the other, even with `-n`."""
    done.workers = 2

    run = done.run("--cc-clean")

    assert run.log == ("spit 102", "empty 101 100", "cool 100 {'pot': 7}")


def test_interrupted_clean_is_continued(done: Project) -> None:
    """An interrupted clean keeps the record and upstream, and the next clean repeats it."""
    done.edit("stations.py", 'log(f"empty {pour} {boil}")', "raise KeyboardInterrupt")
    stopped = done.run("--cc-clean", apart=True)
    done.edit("stations.py", "raise KeyboardInterrupt", 'log("empty")')

    run = done.run("--cc-clean")

    assert (stopped.exit_code, stopped.log) == (2, ("spit 102",))
    assert (run.log, run.exit_code) == (("empty", "cool 100 {'pot': 7}"), 0)


def test_collect_only_cleans_nothing(done: Project) -> None:
    """`--cc-clean --collect-only` shows what would be cleaned, in order, and cleans nothing."""
    run = done.run("--cc-clean", "--collect-only", "-q")

    listed = tuple(line for line in run.outlines if line.startswith("stations.py::"))
    assert listed == tuple(f"stations.py::{name}" for name in ("grind", "sip", "pour", "boil"))
    assert (run.log, run.closing) == ((), "")
    assert done.run("--cc-run", "-m", "station").closing == "4 unchanged"


def test_async_clean_is_awaited(project: Project) -> None:
    """A clean may be async."""
    project.stations(
        """
        @station
        def boil(): return 100

        @boil.clean
        async def cool(boil): log(f"cool {boil}")
        """
    )
    project.run("--cc-run")

    assert project.run("--cc-clean").log == ("cool 100",)


@pytest.mark.parametrize("mark", ["xfail", "xfail(strict=True)", "xfail(run=False)"])
def test_xfail_does_not_apply_to_the_clean(project: Project, mark: str) -> None:
    """A station that is expected to fail is cleaned like any other: its clean passes."""
    project.stations(EXPECTED)
    project.run("--cc-run")
    project.edit("stations.py", "xfail", mark)

    run = project.run("--cc-clean")

    assert (run.log, run.closing) == (("cool None",), "1 cleaned")
    assert (run.last_line, run.exit_code) == ("1 passed", 0)
    assert project.run("--cc-clean").results == {}


def test_failed_clean_is_not_excused_by_xfail(project: Project) -> None:
    """A clean that fails has failed, although the visit was expected to fail."""
    project.stations(EXPECTED.replace('log(f"cool {boil}")', 'raise OSError("stuck")'))
    project.run("--cc-run")

    run = project.run("--cc-clean")

    assert (run.causes, run.closing) == ({"boil": "OSError: stuck"}, "1 failed")
    assert (run.last_line, run.exit_code) == ("1 failed", 1)


def test_check_that_passes_after_a_clean_is_reported_despite_a_broken_fixture(
    project: Project,
) -> None:
    """A check that passes after a clean fails it, even if the check's fixture cannot be torn down."""
    project.stations(
        """
        from pathlib import Path
        HERE = Path(__file__).parent

        @pytest.fixture
        def line():
            yield
            assert not (HERE / "cut").exists(), "cut off"

        @station
        def boil(): (HERE / "steam").touch()

        @boil.check
        def steams(line): assert (HERE / "steam").exists()

        @boil.clean
        def cool(): ...
        """
    )
    project.run("--cc-run")
    project.write("cut", "")

    run = project.run("--cc-clean")

    assert (run.exit_code, run.failed) == (1, ("boil",))
    assert "its check 'steams' still passes" in run.causes["boil"]
