"""Where stations are found, where they are visible, and which stations are upstream."""

from __future__ import annotations

import pytest
from harness import Project

BOIL = """
@station
def boil():
    log("boil")
    return 100
"""
POUR = """
@station
def pour(boil):
    log(f"pour {boil}")
"""


# --- where stations are found


@pytest.mark.parametrize("name", ["stations.py", "station_tea.py", "tea_stations.py"])
def test_station_files_are_found_by_name(project: Project, name: str) -> None:
    """Stations are found in `stations.py`, `station_*.py` and `*_stations.py`."""
    project.stations(BOIL, name=name)

    run = project.run("--cc-run")

    assert run.keys == {f"{name}::boil": "visited"}


def test_other_files_are_not_station_files(project: Project) -> None:
    """A file with another name is not collected."""
    project.stations(BOIL, name="kitchen.py")

    run = project.run("--cc-run")

    assert (run.exit_code, run.keys, run.log) == (5, {}, ())


def test_ini_names_the_station_files(project: Project) -> None:
    """The ini option `cc_files` replaces the names of station files."""
    project.ini("cc_files = *.depot.py kitchen.py")
    project.stations(BOIL, name="kitchen.py")
    project.stations("@station\ndef other(): ...\n")

    run = project.run("--cc-run")

    assert run.keys == {"kitchen.py::boil": "visited"}


def test_station_files_work_without_being_an_argument(project: Project) -> None:
    """The stations of a station file are visible although another file is the argument."""
    project.stations(BOIL)
    project.stations(POUR, name="kitchen/station_pour.py")

    run = project.run("--cc-run", "kitchen/station_pour.py")

    assert run.log == ("boil", "pour 100")
    assert run.visited == ("boil", "pour")
    assert "choochoo: 1 needed station added: boil" in run.outlines


def test_stations_of_a_test_module_are_visible_in_it(project: Project) -> None:
    """A test module may define stations for its own tests."""
    project.stations(BOIL + "\ndef test_hot(boil):\n    assert boil == 100\n", name="test_tea.py")

    run = project.run("--cc-run")

    assert (run.visited, run.tests) == (("boil",), {"test_hot": "passed"})


def test_stations_of_a_test_module_are_not_visible_beside_it(project: Project) -> None:
    """A station of a test module is unknown in other modules."""
    project.stations(BOIL, name="test_tea.py")
    project.write("test_zoo.py", "def test_hot(boil): ...")

    run = project.run("--cc-run")

    assert (run.visited, run.tests) == (("boil",), {"test_hot": "failed"})
    assert "fixture 'boil' not found" in run.errors["test_hot"]


def test_plain_pytest_neither_runs_nor_shows_stations(project: Project) -> None:
    """Without `--cc-run`, stations are neither run nor listed, and the rest is unaffected."""
    project.stations(BOIL)
    project.write("test_it.py", "def test_it(): ...")

    run = project.run("-v")

    assert run.collected == (("test_it.py::test_it", False),)
    assert (run.exit_code, run.tests, run.log) == (0, {"test_it": "passed"}, ())
    assert not (project.path / ".pytest_cache/d").exists()


def test_station_files_in_packages_may_share_a_name(project: Project) -> None:
    """Station files with the same name in different packages define different stations."""
    for package in ("one", "two"):
        project.write(f"{package}/__init__.py", "")
        project.stations(f"@station\ndef boil_{package}(): ...\n", name=f"{package}/stations.py")

    run = project.run("--cc-run")

    assert run.keys == {
        "one/stations.py::boil_one": "visited",
        "two/stations.py::boil_two": "visited",
    }


@pytest.mark.parametrize("import_mode", ["prepend", "append", "importlib"])
def test_station_files_with_one_name_work_side_by_side(project: Project, import_mode: str) -> None:
    """Two `stations.py` in sibling directories have stations of the same name."""
    for place in ("cold", "hot"):
        project.stations(f"@station\ndef boil():\n    return '{place}'\n", f"{place}/stations.py")
        project.write(
            f"{place}/test_{place}.py", f"def test_{place}(boil): assert boil == '{place}'"
        )

    run = project.run("--cc-run", f"--import-mode={import_mode}")

    assert run.keys == {"cold/stations.py::boil": "visited", "hot/stations.py::boil": "visited"}
    assert run.tests == {"test_cold": "passed", "test_hot": "passed"}


@pytest.mark.parametrize("import_mode", ["prepend", "append", "importlib"])
def test_asserts_of_the_second_stations_file_are_introspected(
    project: Project, import_mode: str
) -> None:
    """Asserts are shown with their values in every file called `stations.py`."""
    for place in ("cold", "hot"):
        project.stations(
            f"@station\ndef boil_{place}():\n    degrees = 60\n    assert degrees == 100\n",
            f"{place}/stations.py",
        )

    run = project.run("--cc-run", f"--import-mode={import_mode}")

    assert run.causes == dict.fromkeys(
        ("boil_cold", "boil_hot"), "AssertionError: assert 60 == 100"
    )


def test_stations_file_may_have_the_name_of_an_imported_module(project: Project) -> None:
    """A station file imports modules beside it, in any directory."""
    for place in ("cold", "hot"):
        project.write(f"{place}/degrees_{place}.py", f"DEGREES = '{place}'")
        project.stations(
            f"from degrees_{place} import DEGREES\n\n@station\ndef boil_{place}():\n    log(DEGREES)\n",
            f"{place}/stations.py",
        )

    run = project.run("--cc-run")

    assert run.log == ("cold", "hot")


# --- where stations are visible


def test_stations_are_visible_below_their_directory(project: Project) -> None:
    """A station is visible in its directory and below, but not beside it."""
    project.stations(BOIL, name="kitchen/stations.py")
    project.write("kitchen/deep/test_below.py", "def test_below(boil): ...")
    project.write("garden/test_beside.py", "def test_beside(boil): ...")

    run = project.run("--cc-run")

    assert run.tests == {"test_below": "passed", "test_beside": "failed"}
    assert "fixture 'boil' not found" in run.errors["test_beside"]


@pytest.mark.parametrize("arguments", [("kitchen/deep",), ("kitchen/deep/test_below.py",)])
def test_stations_above_an_argument_are_visible(
    project: Project, arguments: tuple[str, ...]
) -> None:
    """A station file above a directory or file given as argument is visible there."""
    project.stations(BOIL)
    project.stations("@station\ndef fill(boil):\n    return boil + 1\n", "kitchen/stations.py")
    project.write("kitchen/deep/test_below.py", "def test_below(fill): assert fill == 101")

    run = project.run("--cc-run", *arguments)

    assert (run.visited, run.tests) == (("boil", "fill"), {"test_below": "passed"})


def test_station_files_beside_each_other_see_each_other(project: Project) -> None:
    """Stations of two files in one directory may need each other, in any order of collection."""
    project.stations(POUR, name="station_a.py")
    project.stations(BOIL, name="station_z.py")

    run = project.run("--cc-run")

    assert run.log == ("boil", "pour 100")
    assert run.visited == ("boil", "pour")


def test_one_name_visible_twice_is_an_error(project: Project) -> None:
    """Two stations of one name, one in a directory below the other, are an error."""
    project.stations(BOIL)
    project.stations(BOIL, name="kitchen/stations.py")

    run = project.run("--cc-run")

    assert run.exit_code == 2
    assert run.collect_errors == (
        (
            "two stations are called 'boil': stations.py:5 and kitchen/stations.py:5; "
            "rename one of them"
        ),
    )


def test_name_redefined_in_its_file_is_an_error(project: Project) -> None:
    """A second station of the same name in the same file is an error, not a replacement."""
    project.stations(BOIL + BOIL)

    run = project.run("--cc-run")

    assert run.collect_errors == (
        "two stations are called 'boil': stations.py:5 and stations.py:10; rename one of them",
    )


def test_imported_station_is_visible_and_the_same_station(project: Project) -> None:
    """Importing a station makes it visible, under its alias too, but makes no second station."""
    project.stations(BOIL, name="kitchen/stations.py")
    project.write("kitchen/__init__.py", "")
    project.write(
        "test_it.py",
        """
        from kitchen.stations import boil
        from kitchen.stations import boil as cook

        def test_it(boil, cook):
            assert (boil, cook) == (100, 100)
        """,
    )

    run = project.run("--cc-run")

    assert run.keys == {"kitchen/stations.py::boil": "visited"}
    assert (run.tests, run.log) == ({"test_it": "passed"}, ("boil",))


@pytest.mark.parametrize("file", ["test_it.py", "stations.py"])
def test_imported_station_comes_from_a_file_not_among_the_arguments(
    project: Project, file: str
) -> None:
    """The file of an imported station is collected when it is needed."""
    project.stations(BOIL, name="depot/kitchen_stations.py")
    project.write("depot/__init__.py", "")
    project.write("use/__init__.py", "")
    project.stations("from depot.kitchen_stations import boil\n" + POUR, name="use/station_use.py")

    run = project.run("--cc-run", "use")

    assert run.keys == {
        "depot/kitchen_stations.py::boil": "visited",
        "use/station_use.py::pour": "visited",
    }


def test_station_under_two_module_names_is_one(project: Project) -> None:
    """A station imported under a second module name is still one station."""
    project.stations(BOIL, name="kitchen/stations.py")
    project.ini("pythonpath = .")
    project.write("kitchen/__init__.py", "")
    project.stations(
        """
        import importlib.util
        from pathlib import Path

        file = Path(__file__).parent / "kitchen" / "stations.py"
        spec = importlib.util.spec_from_file_location("other_name", file)
        other = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(other)
        boil = other.boil

        def test_it(boil):
            assert boil == 100
        """,
        name="test_it.py",
    )

    run = project.run("--cc-run")

    assert run.keys == {"kitchen/stations.py::boil": "visited"}
    assert (run.tests, run.log) == ({"test_it": "passed"}, ("boil",))


def test_conftest_may_import_stations(project: Project) -> None:
    """A station that a conftest imports is visible in the directories of that conftest."""
    project.write("depot/__init__.py", "")
    project.stations(BOIL, name="depot/stations.py")
    project.write("use/conftest.py", "from depot.stations import boil")
    project.write("use/test_it.py", "def test_it(boil): assert boil == 100")
    project.ini("pythonpath = .")

    run = project.run("--cc-run", "use")

    assert run.keys == {"depot/stations.py::boil": "visited"}
    assert run.tests == {"test_it": "passed"}


def test_second_name_in_its_own_file_makes_no_second_station(project: Project) -> None:
    """A second name for a station in its own file can be requested, but is not a second station."""
    project.stations(BOIL + "\ncook = boil\n\n@station\ndef eat(cook):\n    log(cook)\n")

    run = project.run("--cc-run")

    assert (run.visited, run.log) == (("boil", "eat"), ("boil", "100"))


def test_fixtures_of_a_station_file_are_visible_in_it_only(project: Project) -> None:
    """A fixture in a station file serves the stations of that file only."""
    project.stations(
        """
        @pytest.fixture
        def kettle():
            return "kettle"

        @station
        def boil(kettle):
            log(kettle)
        """
    )
    project.write("test_it.py", "def test_it(kettle): ...")

    run = project.run("--cc-run")

    assert (run.visited, run.log) == (("boil",), ("kettle",))
    assert "fixture 'kettle' not found" in run.errors["test_it"]


def test_fixture_of_the_same_name_below_wins(project: Project) -> None:
    """A test receives the conftest fixture that is nearer than the station of the same name."""
    project.stations(BOIL)
    project.write(
        "unit/conftest.py",
        """
        import pytest

        @pytest.fixture
        def boil():
            return "fake"
        """,
    )
    project.write("unit/test_it.py", "def test_it(boil): assert boil == 'fake'")

    run = project.run("--cc-run", "unit")

    assert (run.keys, run.tests) == ({}, {"test_it": "passed"})


def test_override_may_request_the_station_that_it_overrides(project: Project) -> None:
    """A fixture with the name of a station may request it, and receives its outcome."""
    project.stations(BOIL)
    project.write(
        "unit/conftest.py",
        """
        import pytest

        @pytest.fixture
        def boil(boil):
            return boil + 1
        """,
    )
    project.write("unit/test_it.py", "def test_it(boil): assert boil == 101")

    run = project.run("--cc-run", "unit")

    assert (run.visited, run.tests) == (("boil",), {"test_it": "passed"})


def test_sub_directory_uses_the_same_node_ids(project: Project) -> None:
    """Running from a sub-directory, or with a path, finds the same records."""
    project.stations(BOIL, name="kitchen/stations.py")
    project.run("--cc-run")

    runs = [project.run("--cc-run", cwd="kitchen"), project.run("--cc-run", "kitchen")]

    assert [run.keys for run in runs] == [{"kitchen/stations.py::boil": "unchanged"}] * 2


# --- what makes a station upstream


@pytest.mark.parametrize("scope", ["function", "class", "module", "package", "session"])
@pytest.mark.parametrize("place", ["stations.py", "conftest.py"])
def test_edge_goes_through_an_ordinary_fixture(project: Project, scope: str, place: str) -> None:
    """A station that an ordinary fixture of any scope requests is upstream."""
    fixture = f"""
@pytest.fixture(scope="{scope}")
def cup(boil):
    return boil + 1

"""
    pour = "@station\ndef a_pour(cup):\n    log(cup)\n"
    if place == "conftest.py":
        project.write("conftest.py", "import pytest\n" + fixture)
        project.stations(pour + BOIL)
    else:
        project.stations(fixture + pour + BOIL)

    run = project.run("--cc-run")

    assert run.visited == ("boil", "a_pour")
    assert run.log == ("boil", "101")
    assert run.facts["stations.py::a_pour"]["upstream"] == ["boil"]


def test_edge_goes_through_fixtures_of_fixtures(project: Project) -> None:
    """Fixtures that request fixtures that request a station make it upstream."""
    project.stations(
        """
        @pytest.fixture(scope="module")
        def inner(boil):
            return boil + 1

        @pytest.fixture
        def outer(inner):
            return inner + 1

        @station
        def a_pour(outer):
            log(outer)
        """
        + BOIL.replace("\n", "\n        ")
    )

    run = project.run("--cc-run")

    assert (run.visited, run.log) == (("boil", "a_pour"), ("boil", "102"))


def test_edge_goes_through_an_autouse_fixture(project: Project) -> None:
    """A station that an autouse fixture requests is upstream of all items that the fixture serves."""
    project.stations(POUR.replace("boil", "kettle").replace("pour", "a_pour"))
    project.stations(
        """
        @pytest.fixture(autouse=True)
        def hot(boil):
            log(f"hot {boil}")

        @station
        def a_first(): ...
        """,
        name="kitchen/station_a.py",
    )
    project.stations(BOIL + "\n@station\ndef kettle(): ...\n", name="station_z.py")

    run = project.run("--cc-run")

    assert run.facts["kitchen/station_a.py::a_first"]["upstream"] == ["boil"]
    assert run.log.index("boil") < run.log.index("hot 100")


def test_edge_goes_through_usefixtures(project: Project) -> None:
    """A station named in `usefixtures` is upstream, of stations and of tests."""
    project.stations(
        "@pytest.mark.usefixtures('boil')\n@station\ndef a_pour():\n    log('pour')\n" + BOIL
    )
    project.write(
        "test_it.py", "import pytest\n@pytest.mark.usefixtures('boil')\ndef test_it(): ..."
    )

    run = project.run("--cc-run")

    assert run.log == ("boil", "pour")
    assert run.tests == {"test_it": "passed"}


def test_edge_goes_through_checks_and_cleans(project: Project) -> None:
    """A station that a check or a clean requests is upstream of its station."""
    project.stations(
        """
        @station
        def a_pour(): ...

        @a_pour.check
        def is_hot(boil):
            assert boil == 100

        @a_pour.clean
        def empty(sink): ...

        @station
        def sink(): ...
        """
        + BOIL.replace("\n", "\n        ")
    )

    run = project.run("--cc-run")

    assert (run.visited, run.adopted) == (("sink", "boil"), ("a_pour",))
    assert sorted(run.facts["stations.py::a_pour"]["upstream"]) == ["boil", "sink"]


def test_independent_stations_run_in_definition_order(project: Project) -> None:
    """Stations run in definition order if none needs another."""
    names = ("zebra", "mouse", "ape")
    project.stations("".join(f"@station\ndef {name}(): log('{name}')\n\n" for name in names))

    run = project.run("--cc-run")

    assert run.log == names


def test_tests_of_classes_receive_outcomes(project: Project) -> None:
    """A test in a class receives the outcome of a station like any other."""
    project.stations(BOIL)
    project.write("test_it.py", "class TestIt:\n    def test_it(self, boil): assert boil == 100")

    run = project.run("--cc-run")

    assert (run.visited, run.tests) == (("boil",), {"test_it": "passed"})


def test_station_that_cannot_be_imported_is_a_collection_error(project: Project) -> None:
    """Pytest reports a station file that fails to import like any module."""
    project.stations("import nowhere_to_be_found\n" + BOIL)
    project.write("unit/test_it.py", "def test_it(): ...")

    runs = [project.run("--cc-run"), project.run("--cc-run", "unit")]

    assert [run.exit_code for run in runs] == [2, 2]
    assert ["No module named 'nowhere_to_be_found'" in run.text for run in runs] == [True] * 2


def test_getfixturevalue_receives_the_outcome(project: Project) -> None:
    """A test that requests a complete station at run time receives its outcome."""
    project.stations(BOIL)
    project.write(
        "test_it.py", "def test_it(request): assert request.getfixturevalue('boil') == 100"
    )

    run = project.run("--cc-run")

    assert (run.visited, run.tests) == (("boil",), {"test_it": "passed"})


def test_broken_station_file_above_does_not_stop_plain_pytest(project: Project) -> None:
    """Plain pytest runs the requested tests although a station file above cannot be imported."""
    project.stations("import nowhere_to_be_found\n" + BOIL)
    project.stations("@station\ndef fill(): ...\n", name="station_b.py")
    project.write("unit/test_it.py", "def test_it(): ...")

    run = project.run("unit")

    assert (run.exit_code, run.tests) == (0, {"test_it": "passed"})


def test_skipped_station_file_does_not_affect_others(project: Project) -> None:
    """A station file that skips itself is left out, and the others are visited."""
    project.stations("pytest.skip('not here', allow_module_level=True)\n" + BOIL)
    project.stations("@station\ndef fill(): ...\n", name="station_b.py")

    run = project.run("--cc-run")

    assert (run.exit_code, run.visited) == (0, ("fill",))


def test_pytestmark_holds_for_all_stations_of_a_file(project: Project) -> None:
    """`pytestmark` in a station file marks its stations, also if another file has the same name."""
    for place in ("cold", "hot"):
        project.stations(
            f"pytestmark = [pytest.mark.skip(reason='{place}')]\n" + BOIL, f"{place}/stations.py"
        )

    run = project.run("--cc-run")

    assert run.keys == {"cold/stations.py::boil": "skipped", "hot/stations.py::boil": "skipped"}


def test_fixtures_in_a_test_module_and_class_override(project: Project) -> None:
    """A nearer fixture or parameter of the same name wins, and the station is not needed."""
    project.stations(BOIL)
    project.write(
        "test_it.py",
        """
        import pytest

        @pytest.fixture
        def boil():
            return "fake"

        def test_module(boil):
            assert boil == "fake"

        class TestIt:
            @pytest.fixture
            def boil(self, boil):
                return boil * 2

            def test_class(self, boil):
                assert boil == "fakefake"

        @pytest.mark.parametrize("boil", [7])
        def test_parameter(boil):
            assert boil == 7
        """,
    )

    run = project.run("--cc-run", "test_it.py")

    assert run.keys == {}
    assert run.tests == {
        "test_module": "passed",
        "test_class": "passed",
        "test_parameter[7]": "passed",
    }


def test_station_and_check_receive_the_override_of_their_file(project: Project) -> None:
    """A fixture of a station file that overrides a station serves the visits and checks of that file."""
    project.stations(BOIL)
    project.stations(
        """
        @pytest.fixture
        def boil(boil):
            return boil + 1

        @station
        def pour(boil):
            log(f"pour {boil}")

        @pour.check
        def is_poured(boil):
            log(f"check {boil}")
            return False
        """,
        name="kitchen/stations.py",
    )

    run = project.run("--cc-run")

    assert run.log == ("boil", "check 101", "pour 101", "check 101")


def test_unittest_class_receives_the_outcome(project: Project) -> None:
    """A `unittest.TestCase` receives an outcome through an autouse fixture."""
    project.stations(BOIL)
    project.write(
        "test_it.py",
        """
        import unittest
        import pytest

        class TestTea(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def heat(self, boil):
                self.boil = boil

            def test_it(self):
                assert self.boil == 100
        """,
    )

    run = project.run("--cc-run")

    assert (run.visited, run.tests) == (("boil",), {"test_it": "passed"})


def test_wrapped_function_may_be_a_station(project: Project) -> None:
    """A station may be a wrapped function; stations that the inner function requests are upstream."""
    project.stations(
        """
        import functools

        def timed(function):
            @functools.wraps(function)
            def inner(**arguments):
                log("timed")
                return function(**arguments)
            return inner

        @station
        @timed
        def boil(tmp_path) -> int:
            return 100

        @station
        @timed
        def pour(boil: int) -> int:
            return boil + 1
        """
    )

    run = project.run("--cc-run")

    assert (run.visited, run.log) == (("boil", "pour"), ("timed", "timed"))


SAME = """
from pathlib import Path

@station(files=["v.txt"])
def build() -> str:
    return Path(__file__).with_name("v.txt").read_text()
"""


def test_change_of_either_of_two_namesakes_is_propagated(project: Project, mode: str) -> None:
    """A consumer of two stations of one name is due when either changes, with its node id."""
    for folder in "abc":
        project.write(f"{folder}/__init__.py", "")
    for folder in "ab":
        project.write(f"{folder}/v.txt", "1")
        project.stations(SAME, f"{folder}/stations.py")
    project.stations(
        """
        from a.stations import build as build_a
        from b.stations import build as build_b

        @station
        def link(build_a, build_b):
            log(build_a + build_b)
        """,
        "c/stations.py",
    )
    project.run("--cc-run")
    project.write("a/v.txt", "2")
    first = project.run("--cc-run")
    project.write("b/v.txt", "2")

    second = project.run("--cc-run")

    assert project.log() == ("11", "21", "22")
    assert first.reasons["link"] == ("outcome of a/stations.py::build changed",)
    assert second.reasons["link"] == ("outcome of b/stations.py::build changed",)


IMPORTING = {
    "conftest": ("conftest.py", "tea/stations.py"),
    "a module before it": ("cup/test_it.py", "tea/stations.py"),
    "a module after it": ("test_it.py", "tea/stations.py"),
}


@pytest.mark.parametrize(("where", "station"), IMPORTING.values(), ids=IMPORTING)
def test_imported_station_is_visited_and_handed_out(
    project: Project, mode: str, where: str, station: str
) -> None:
    """An imported station works whichever file imports it, under any name, at any time."""
    project.ini("pythonpath = .")
    project.stations('@station\ndef boil() -> int:\n    log("boil")\n    return 100\n', station)
    project.write(where, "from tea.stations import boil\n")
    test = "def test_it(boil): assert boil == 100\n"
    project.write("test_it.py" if where == "conftest.py" else where, test)
    if where != "conftest.py":
        project.write(where, f"from tea.stations import boil\n\n{test}")

    runs = [project.run("--cc-run"), project.run(), project.run("--cc-check")]

    assert runs[0].keys == {"tea/stations.py::boil": "visited"}
    assert [run.tests for run in runs] == [{"test_it": "passed"}] * 3
    assert project.log() == ("boil",)


LIBRARY = """
from pathlib import Path
from pytest_choochoo import station
from effects import log

OUT = Path(__file__).with_name("out.txt")

def test_of_the_library(): assert False

@station
def make() -> None:
    OUT.write_text("made")
    log("make")

@make.check
def is_there():
    assert OUT.exists()

@make.clean
def remove():
    log("remove")
    OUT.unlink()
"""


@pytest.mark.parametrize("where", ["conftest.py", "stations.py", "test_it.py"])
def test_station_of_a_library_belongs_to_the_importing_stations(
    project: Project, mode: str, where: str
) -> None:
    """A station from a file that pytest does not collect is run, verified and cleaned with its importers."""
    project.write("lib/steps.py", LIBRARY)
    project.write("test_it.py", "def test_it(make): ...")
    project.write(
        where,
        "from lib.steps import make  # made by pytest_choochoo\n\n"
        + ("def test_it(make): ..." if where == "test_it.py" else ""),
    )
    first, second = project.run("--cc-run"), project.run("--cc-run")
    project.remove("lib/out.txt")

    check, again = project.run("--cc-check"), project.run("--cc-run")
    chosen = project.run("--cc-run", "-k", "test_it")
    clean = project.run("--cc-clean")

    key = "lib/steps.py::make"
    runs = (first, second, check, again, clean)
    words = ["visited", "unchanged", "failed", "visited", "cleaned"]
    assert [run.keys for run in runs] == [{key: word} for word in words]
    assert (chosen.keys, chosen.tests) == ({key: "unchanged"}, {"test_it": "passed"})
    assert first.tests == {"test_it": "passed"}
    assert project.log() == ("make", "make", "remove")
    assert project.run().collect_errors == ()


@pytest.mark.parametrize("option", ["", "--cc-run"])
def test_second_station_file_that_skips_itself_is_skipped(project: Project, option: str) -> None:
    """A station file that shares its name with another may skip itself like any module."""
    project.stations("@station\ndef boil() -> int: return 1", "a/stations.py")
    project.write(
        "b/stations.py", "import pytest\npytest.importorskip('no_such_module')  # pytest_choochoo\n"
    )
    project.write("b/test_it.py", "def test_it(): ...")

    run = project.run(*filter(None, [option]), "-rs")

    assert run.exit_code == 0
    assert run.tests == {"test_it": "passed"}
    assert "SKIPPED [1] b/stations.py:2: could not import 'no_such_module'" in run.text


def test_second_station_file_that_is_broken_is_reported_with_its_error(project: Project) -> None:
    """A broken station file that shares its name with another is reported with its own error."""
    project.stations("@station\ndef boil() -> int: return 1", "a/stations.py")
    project.write("b/stations.py", "def half(): return 1 / 0\nhalf()  # pytest_choochoo\n")
    project.write("c/stations.py", "def half(:  # pytest_choochoo\n")

    run = project.run("--cc-run")

    assert run.exit_code == 2
    assert "b/stations.py:2: in <module>" in run.text
    assert "E   ZeroDivisionError: division by zero" in run.text
    assert "SyntaxError: invalid syntax" in run.text
    assert "mismatch" not in run.text


def test_doctest_may_request_a_station(project: Project, mode: str) -> None:
    """A doctest that requests a station through an autouse fixture waits for it, like a test."""
    project.stations("@station\ndef boil() -> int: return 3")
    project.write("a/lib.py", 'def f():\n    """\n    >>> 1 + 2\n    3\n    """\n')
    project.write(
        "a/conftest.py",
        """
        import pytest

        @pytest.fixture(autouse=True)
        def kettle(boil):
            assert boil == 3
        """,
    )
    early = project.run("--doctest-modules")

    run, plain = project.run("--cc-run", "--doctest-modules"), project.run("--doctest-modules")

    assert early.exit_code == 1
    assert "station 'boil' has no complete record: never visited" in early.text
    assert run.tests == plain.tests == {"lib.f": "passed"}


def test_doctest_may_request_a_station_by_name(project: Project) -> None:
    """A doctest gets a recorded outcome by `getfixture`, or an error that explains why there is none."""
    project.stations("@station\ndef boil() -> int: return 3")
    project.write("lib.py", 'def f():\n    """\n    >>> getfixture("boil")\n    3\n    """\n')
    early = project.run("--doctest-modules")
    project.run("--cc-run")

    run = project.run("--doctest-modules")

    assert early.tests == {"lib.f": "failed"}
    assert "NoRecord: station 'boil' has no complete record: never visited" in early.text
    assert run.tests == {"lib.f": "passed"}


def test_station_in_any_class_is_a_fault(project: Project) -> None:
    """A station in a class is a fault, whether or not pytest would collect tests from the class."""
    project.stations("class Deploy:\n    @station\n    def upload(self): ...\n", "x/stations.py")

    run = project.run("--cc-run")

    assert run.exit_code == 2
    assert [error.partition(";")[0] for error in run.collect_errors] == [
        "x/stations.py:6: station 'upload' is defined in a class"
    ]


def test_fixtures_option_shows_stations_by_their_titles(project: Project) -> None:
    """`--fixtures` lists a station under its name, with its title or its docstring."""
    project.stations(
        '''
        @station(title="📤 Upload App")
        def upload(): ...

        @station
        def announce():
            """📣 Tell everybody."""
        '''
    )
    project.write("test_it.py", "def test_it(upload): ...")

    text = " ".join(project.run("--fixtures").text.split())

    assert "upload [session scope] -- stations.py:5 📤 Upload App" in text
    assert "announce [session scope] -- stations.py:8 📣 Tell everybody." in text


def test_class_may_refer_to_stations_and_hold_any_object(
    project: Project,
) -> None:
    """A class that refers to a station does not define it, and may hold objects that raise on access."""
    project.stations("@station\ndef boil(): ...")
    project.write(
        "test_it.py",
        """
        from stations import boil

        class Lazy:
            @property
            def __class__(self): raise RuntimeError("not set up")

        class Steps:
            first = boil
            settings = Lazy()

        def test_it(boil): ...
        """,
    )

    run, plain = project.run("--cc-run"), project.run()

    assert (run.exit_code, run.closing) == (0, "1 visited")
    assert plain.exit_code == 0


LIBRARIES = {
    "grid.py": """
        from pathlib import Path
        from pytest_choochoo import station
        from effects import log

        @station
        def light(): Path(__file__).with_name("lit").touch()

        @light.check
        def shines(): assert Path(__file__).with_name("lit").exists()
    """,
    "steps.py": """
        from grid import light
        from pytest_choochoo import station
        from effects import log

        @station
        def fill(light): log("fill")

        @station
        def boil(fill): log("boil")

        @boil.clean
        def cool(boil): log("cool")

        @station
        def launch(): log("launch")
    """,
}


@pytest.fixture
def libraries(project: Project) -> Project:
    """Stations in two files that pytest does not collect; a test imports one of them."""
    project.ini("pythonpath = lib")
    for name, text in LIBRARIES.items():
        project.write(f"lib/{name}", text)
    project.write("test_it.py", "from steps import boil\n\ndef test_it(boil): ...")
    return project


def test_imported_station_brings_only_what_it_needs(libraries: Project, mode: str) -> None:
    """An imported station is run and verified with everything upstream of it."""
    first = libraries.run("--cc-run")
    libraries.remove("lib/lit")

    check, second = libraries.run("--cc-check"), libraries.run("--cc-run")

    names = ["light", "fill", "boil"]
    assert sorted(first.visited) == sorted(names)
    assert check.failed == ("light",)
    assert second.visited == ("light",) and sorted(second.unchanged) == ["boil", "fill"]
    assert "launch" not in libraries.log()


def test_naming_a_test_file_does_not_select_its_imports(libraries: Project) -> None:
    """Imported stations are judged for a named test file, but never cleaned."""
    first = libraries.run("--cc-run", "test_it.py")
    clean = libraries.run("--cc-clean", "test_it.py")
    second = libraries.run("--cc-run", "test_it.py")

    assert sorted(first.visited) == ["boil", "fill", "light"]
    assert "choochoo: there was nothing to clean" in clean.text
    assert set(second.results.values()) == {"unchanged"}
    assert second.tests == {"test_it": "passed"}
    assert "cool" not in libraries.log()


@pytest.mark.parametrize("arguments", [(), ("sub",)])
def test_doctest_modules_hide_no_stations(
    project: Project, mode: str, arguments: tuple[str, ...]
) -> None:
    """With --doctest-modules a file is collected twice, and its stations are still found."""
    project.ini("addopts = --doctest-modules\npythonpath = lib")
    project.stations("@station\ndef boil(): ...")
    project.write(
        "lib/steps.py", "from pytest_choochoo import station\n\n@station\ndef pour(): ..."
    )
    project.write("sub/test_it.py", "from steps import pour\n\ndef test_it(boil, pour): ...")

    runs = [project.run("--cc-run", *arguments), project.run(*arguments)]

    assert [run.exit_code for run in runs] == [0, 0]
    assert sorted(runs[0].visited) == ["boil", "pour"]


def test_library_is_imported_once(project: Project) -> None:
    """A library keeps the name under which it was imported, and may import from its own package."""
    project.ini("pythonpath = src")
    project.write("src/app/config.py", "DEGREES = 100")
    project.write(
        "src/app/platform.py",
        """
        from effects import log
        from pytest_choochoo import station
        from .config import DEGREES

        log("imported")

        @station
        def boil(): return DEGREES
        """,
    )
    project.write(
        "test_it.py", "from app.platform import boil\n\ndef test_it(boil): assert boil == 100"
    )

    run = project.run("--cc-run")

    assert (run.exit_code, run.visited, run.log) == (0, ("boil",), ("imported",))


def test_station_of_a_factory_belongs_to_the_calling_file(project: Project, mode: str) -> None:
    """A function in another file may make stations: they belong to the file that calls it."""
    project.write(
        "making.py",
        """
        from pytest_choochoo import station

        def make(degrees):
            @station
            def heat(): return degrees
            return heat
        """,
    )
    project.stations("from making import make\n\nboil = make(100)\nsteep = make(80)")
    project.write("test_it.py", "def test_it(boil, steep): assert (boil, steep) == (100, 80)")

    run = project.run("--cc-run")

    assert (run.exit_code, run.last_line) == (0, "3 passed")
    assert run.keys == {"stations.py::boil": "visited", "stations.py::steep": "visited"}


def test_station_may_be_imported_from_outside_the_project(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A station from outside is known by its whole path, and no files beside it are collected."""
    outside = tmp_path_factory.mktemp("outside")
    text = "from pytest_choochoo import station\n\n@station\ndef boil(): ...\n"
    (outside / "kettle.py").write_text(text)
    (outside / "stations.py").write_text(text)
    (outside / "conftest.py").write_text("raise OSError('not mine')")
    project.ini(f"pythonpath = {outside}")
    project.write("test_it.py", "from kettle import boil\n\ndef test_it(boil): ...")

    run = project.run("--cc-run")

    assert (run.exit_code, run.keys) == (0, {f"{outside}/kettle.py::boil": "visited"})
