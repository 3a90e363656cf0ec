"""`--cc-forget` and `--cache-clear`: records are removed, things in the world are left alone."""

from __future__ import annotations

import re

import pytest
from harness import Project, ageless

STATIONS = """
    @station
    def boil(visit: Visit):
        log(dict(visit.resources))
        visit.resources["pot"] = 7
        return 100

    @boil.clean
    def cool(visit):
        log("cool")

    @station
    def pour(boil):
        pass

    @station
    def grind():
        pass
"""


@pytest.fixture
def done(project: Project) -> Project:
    """Three complete stations; the first one keeps the id of something that it made."""
    project.stations(STATIONS)
    assert project.run("--cc-run").closing == "3 visited"
    return project


def test_forgotten_stations_are_visited_again(done: Project) -> None:
    """Forgetting makes the selected stations due, and nothing else."""
    forgotten = done.run("--cc-forget", "boil+")

    run = done.run("--cc-run")

    assert "choochoo: forgot boil, pour" in forgotten.outlines
    assert (forgotten.exit_code, forgotten.log, forgotten.closing) == (0, (), "")
    assert (run.visited, run.unchanged) == (("boil", "pour"), ("grind",))
    assert ageless(run.reasons["boil"]) == ("forgotten ... ago",)


def test_resources_outlive_forgetting(done: Project) -> None:
    """The next visit knows the ids of things that still exist."""
    done.run("--cc-forget", "boil")

    run = done.run("--cc-run")

    assert run.log == ("{'pot': 7}",)


MADE = """
    from pathlib import Path
    HERE = Path(__file__).parent

    @station
    def room() -> Path:
        (HERE / "room").mkdir()
        return HERE / "room"

    @room.check
    def stands(room: Path | None): assert room.is_dir()

    @room.clean
    def tear_down(room: Path | None):
        log(f"tear down {room and room.name}")
        room.rmdir()

    @station
    def table(room: Path) -> str:
        (room / "table").touch()
        return "oak"

    @table.clean
    def take_out(table, room):
        log(f"take {table} out of {room and room.name}")
        (room / "table").unlink()
"""

FORGETTING = [("--cc-forget", "all"), ("--cache-clear", "--cc-check"), ("--cache-clear",)]


@pytest.mark.parametrize("forget", FORGETTING, ids=" ".join)
def test_forgotten_stations_are_cleaned(project: Project, forget: tuple[str, ...]) -> None:
    """Cleans know what was made by stations that were forgotten, and their outcomes."""
    project.stations(MADE)
    project.run("--cc-run")
    project.run(*forget)

    run, again = project.run("--cc-clean"), project.run("--cc-clean")

    assert run.log == ("take oak out of room", "tear down room")
    assert (run.closing, run.exit_code) == ("2 cleaned", 0)
    assert not (project.path / "room").exists()
    assert (again.results, again.exit_code) == ({}, 0)


def test_cache_is_cleared_before_the_clean_looks(project: Project) -> None:
    """`--cache-clear --cc-clean` cleans what was made, as does a forgotten clean that failed."""
    project.stations(MADE)
    project.run("--cc-run")
    project.edit("stations.py", 'log(f"take', 'assert 0, (f"take')
    failed = project.run("--cache-clear", "--cc-clean")
    project.edit("stations.py", 'assert 0, (f"take', 'log(f"take')

    run = project.run("--cache-clear", "--cc-clean")

    assert failed.results == {"table": "failed", "room": "blocked"}
    assert run.log == ("take oak out of room", "tear down room")


def test_check_does_not_confirm_a_forgotten_clean(project: Project) -> None:
    """After the clean of a forgotten station its check is asked, with the outcome that was made."""
    project.stations(MADE.replace("room.rmdir()", "..."))
    project.run("--cc-run")
    project.run("--cc-forget", "all")

    run = project.run("--cc-clean")

    assert "station 'room' was cleaned, but its check 'stands' still passes" in run.errors["room"]


def test_what_was_left_in_place_is_listed_after_it_was_forgotten(done: Project) -> None:
    """A station without a clean is listed once, and cleaned as soon as it has one."""
    done.run("--cc-forget", "all")

    first, second = done.run("--cc-clean"), done.run("--cc-clean")
    done.edit("stations.py", "def grind():", "def grind():\n    ...\n\n@grind.clean\ndef sweep():")
    third = done.run("--cc-clean")

    assert "  left in place (no clean defined): grind, pour" in first.outlines
    assert (second.results, third.results) == ({}, {"grind": "cleaned"})


def test_failed_visit_after_forgetting_leaves_the_outcome_to_the_clean(project: Project) -> None:
    """As long as no visit has returned again, cleans receive what was made before."""
    project.stations(MADE)
    project.run("--cc-run")
    project.run("--cc-forget", "room")
    assert project.run("--cc-run").failed == ("room",)  # its room is there

    assert project.run("--cc-clean").log == ("take oak out of room", "tear down room")


def test_forgotten_outcome_reaches_no_consumer(done: Project) -> None:
    """Tests, and stations downstream, do not receive what was forgotten."""
    done.write("test_tea.py", "def test_tea(boil): pass\n")
    done.run("--cc-forget", "boil")

    plain, checked = done.run("test_tea.py"), done.run("--cc-check")

    error = "station 'boil' has no complete record: forgotten "
    assert plain.errors["test_tea"].startswith(error)
    assert plain.errors["test_tea"].endswith(" s ago; run 'pytest --cc-run' first")
    assert checked.failed == ("pour",)
    assert re.fullmatch(
        r"nothing to verify it by: forgotten [\d.]+ s ago, no check", checked.causes["boil"]
    )
    assert checked.errors["pour"].startswith(error)


def test_station_that_no_longer_exists_can_be_forgotten(done: Project) -> None:
    """`--cc-forget` accepts the name of a station that was removed."""
    done.stations("@station\ndef boil(): return 100\n")

    run = done.run("--cc-forget", "grind,stations.py::pour")

    assert "choochoo: forgot stations.py::grind, stations.py::pour" in run.outlines
    assert run.exit_code == 0


def test_forgotten_stations_of_one_name_are_told_apart(project: Project) -> None:
    """The line lists node ids where several stations have one name."""
    project.stations("@station\ndef build(): ...\n", "front/stations.py")
    project.stations(
        "@station\ndef build(): ...\n\n@station\ndef ship(): ...\n", "back/stations.py"
    )
    project.run("--cc-run")

    run = project.run("--cc-forget", "all")

    forgot = "back/stations.py::build, ship, front/stations.py::build"
    assert f"choochoo: forgot {forgot}" in run.outlines


def test_nothing_to_forget_is_a_success(done: Project) -> None:
    """Forgetting twice is not an error."""
    done.run("--cc-forget", "all")

    run = done.run("--cc-forget", "all")

    assert "choochoo: there was nothing to forget" in run.outlines
    assert run.exit_code == 0


def test_failed_station_can_be_forgotten(project: Project) -> None:
    """The selector `failed` also works for --cc-forget."""
    project.stations("@station\ndef boil(): assert 0\n\n@station\ndef grind(): pass\n")
    project.run("--cc-run")

    run = project.run("--cc-forget", "failed")

    assert "choochoo: forgot boil" in run.outlines
    assert ageless(project.run("--cc-run").reasons["boil"]) == ("forgotten ... ago",)


def test_unknown_station_is_usage_error(done: Project) -> None:
    """A selector that matches nothing is a usage error that names the option."""
    run = done.run("--cc-forget", "grond")

    assert run.exit_code == 4
    assert "ERROR: --cc-forget: no station is called 'grond'; did you mean 'grind'?" in run.outlines


def test_tests_do_not_run_while_forgetting(done: Project) -> None:
    """Forgetting runs no test."""
    done.write("test_tea.py", "from effects import log\ndef test_tea(): log('test')\n")

    run = done.run("--cc-forget", "all")

    assert (run.tests, run.log) == ({}, ())


def test_cleared_cache_forgets_complete_stations(done: Project, mode: str) -> None:
    """After `--cache-clear` all stations are visited again, once, although each xdist worker clears too."""
    run = done.run("--cc-run", "--cache-clear")
    after = done.run("--cc-run")

    assert run.closing == "3 visited"
    assert run.log == ("{'pot': 7}",)
    assert after.closing == "3 unchanged"


def test_cleared_cache_keeps_resources_in_plain_run(done: Project) -> None:
    """`--cache-clear` in a run without stations keeps the ids of existing things, too."""
    done.write("test_tea.py", "def test_tea(): pass\n")
    done.run("--cache-clear", "test_tea.py")

    run = done.run("--cc-run")

    assert (run.log, run.closing) == (("{'pot': 7}",), "3 visited")


def test_cleared_cache_clears_the_rest(done: Project) -> None:
    """`--cache-clear` clears the rest of pytest's cache, as usual."""
    done.write("test_tea.py", "def test_tea(): assert 0\n")
    done.run("test_tea.py")
    done.write(".pytest_cache/d/other/file", "kept by another plugin")

    done.run("--cache-clear", "--collect-only", "test_tea.py")

    assert not (done.path / ".pytest_cache/v/cache/lastfailed").exists()
    assert not (done.path / ".pytest_cache/d/other").exists()


def test_cleared_cache_keeps_directories(project: Project) -> None:
    """The files that a station made in its directory survive `--cache-clear`, and can be cleaned."""
    project.stations(
        """
        @station
        def boil(visit) -> str:
            (visit.dir / "tea").touch()
            return str(visit.dir / "tea")

        @boil.clean
        def cool(visit):
            log(sorted(path.name for path in visit.dir.iterdir()))
        """
    )
    project.write("test_tea.py", "def test_tea(): pass\n")
    project.run("--cc-run")
    project.run("--cache-clear", "test_tea.py")

    run = project.run("--cc-clean")

    assert (run.results, run.log) == ({"boil": "cleaned"}, ("['tea']",))
    assert not list(project.path.glob(".pytest_cache/d/choochoo/default/stations/*"))
