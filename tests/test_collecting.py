"""Where stations are found, where they are visible, and what makes one upstream of another."""

from __future__ import annotations

import pytest
from railyard import Railyard

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
def test_station_files_are_found_by_name(railyard: Railyard, name: str) -> None:
    """Stations are found in `stations.py`, `station_*.py` and `*_stations.py`."""
    railyard.stations(BOIL, name=name)

    ride = railyard.ride("--cc-run")

    assert ride.keys == {f"{name}::boil": "visited"}


def test_other_files_are_no_station_files(railyard: Railyard) -> None:
    """A file with another name is not collected."""
    railyard.stations(BOIL, name="kitchen.py")

    ride = railyard.ride("--cc-run")

    assert (ride.exit_code, ride.keys, ride.log) == (5, {}, ())


def test_ini_names_the_station_files(railyard: Railyard) -> None:
    """The ini option `cc_files` says which files are station files, and no others are."""
    railyard.ini("cc_files = *.depot.py kitchen.py")
    railyard.stations(BOIL, name="kitchen.py")
    railyard.stations("@station\ndef other(): ...\n")

    ride = railyard.ride("--cc-run")

    assert ride.keys == {"kitchen.py::boil": "visited"}


def test_station_files_work_without_being_argument(railyard: Railyard) -> None:
    """What a station file declares is visible though another file is the argument."""
    railyard.stations(BOIL)
    railyard.stations(POUR, name="kitchen/station_pour.py")

    ride = railyard.ride("--cc-run", "kitchen/station_pour.py")

    assert ride.log == ("boil", "pour 100")
    assert ride.visited == ("boil", "pour")
    assert "choochoo: 1 needed station added: boil" in ride.outlines


def test_stations_of_a_test_module_are_visible_in_it(railyard: Railyard) -> None:
    """A station may stand in a test module, for the tests of that module."""
    railyard.stations(BOIL + "\ndef test_hot(boil):\n    assert boil == 100\n", name="test_tea.py")

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.tests) == (("boil",), {"test_hot": "passed"})


def test_stations_of_a_test_module_are_not_visible_beside_it(railyard: Railyard) -> None:
    """A station of a test module is unknown in the module next to it."""
    railyard.stations(BOIL, name="test_tea.py")
    railyard.write("test_zoo.py", "def test_hot(boil): ...")

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.tests) == (("boil",), {"test_hot": "failed"})
    assert "fixture 'boil' not found" in ride.errors["test_hot"]


def test_plain_pytest_neither_runs_nor_shows_stations(railyard: Railyard) -> None:
    """Without `--cc-run` stations are neither run nor listed, and the rest is as without them."""
    railyard.stations(BOIL)
    railyard.write("test_it.py", "def test_it(): ...")

    ride = railyard.ride("-v")

    assert ride.collected == (("test_it.py::test_it", False),)
    assert (ride.exit_code, ride.tests, ride.log) == (0, {"test_it": "passed"}, ())
    assert not (railyard.path / ".pytest_cache/d").exists()


def test_stations_stand_in_packages(railyard: Railyard) -> None:
    """Station files with the same name in packages are stations of their own."""
    for package in ("one", "two"):
        railyard.write(f"{package}/__init__.py", "")
        railyard.stations(f"@station\ndef boil_{package}(): ...\n", name=f"{package}/stations.py")

    ride = railyard.ride("--cc-run")

    assert ride.keys == {
        "one/stations.py::boil_one": "visited",
        "two/stations.py::boil_two": "visited",
    }


@pytest.mark.parametrize("import_mode", ["prepend", "append", "importlib"])
def test_station_files_with_one_name_work_side_by_side(
    railyard: Railyard, import_mode: str
) -> None:
    """Two `stations.py` in sibling directories have stations of the same name."""
    for place in ("cold", "hot"):
        railyard.stations(f"@station\ndef boil():\n    return '{place}'\n", f"{place}/stations.py")
        railyard.write(
            f"{place}/test_{place}.py", f"def test_{place}(boil): assert boil == '{place}'"
        )

    ride = railyard.ride("--cc-run", f"--import-mode={import_mode}")

    assert ride.keys == {"cold/stations.py::boil": "visited", "hot/stations.py::boil": "visited"}
    assert ride.tests == {"test_cold": "passed", "test_hot": "passed"}


@pytest.mark.parametrize("import_mode", ["prepend", "append", "importlib"])
def test_asserts_of_the_second_stations_file_are_introspected(
    railyard: Railyard, import_mode: str
) -> None:
    """Asserts are shown with their values in every file called `stations.py`."""
    for place in ("cold", "hot"):
        railyard.stations(
            f"@station\ndef boil_{place}():\n    degrees = 60\n    assert degrees == 100\n",
            f"{place}/stations.py",
        )

    ride = railyard.ride("--cc-run", f"--import-mode={import_mode}")

    assert ride.causes == dict.fromkeys(
        ("boil_cold", "boil_hot"), "AssertionError: assert 60 == 100"
    )


def test_stations_file_may_have_the_name_of_an_imported_module(railyard: Railyard) -> None:
    """A station file beside modules of its own imports them, wherever it stands."""
    for place in ("cold", "hot"):
        railyard.write(f"{place}/degrees_{place}.py", f"DEGREES = '{place}'")
        railyard.stations(
            f"from degrees_{place} import DEGREES\n\n@station\ndef boil_{place}():\n    log(DEGREES)\n",
            f"{place}/stations.py",
        )

    ride = railyard.ride("--cc-run")

    assert ride.log == ("cold", "hot")


# --- where stations are visible


def test_stations_are_visible_below_their_directory(railyard: Railyard) -> None:
    """A station is visible in its directory and below, and not beside it."""
    railyard.stations(BOIL, name="kitchen/stations.py")
    railyard.write("kitchen/deep/test_below.py", "def test_below(boil): ...")
    railyard.write("garden/test_beside.py", "def test_beside(boil): ...")

    ride = railyard.ride("--cc-run")

    assert ride.tests == {"test_below": "passed", "test_beside": "failed"}
    assert "fixture 'boil' not found" in ride.errors["test_beside"]


@pytest.mark.parametrize("arguments", [("kitchen/deep",), ("kitchen/deep/test_below.py",)])
def test_stations_above_an_argument_are_visible(
    railyard: Railyard, arguments: tuple[str, ...]
) -> None:
    """A station file above a directory or file given as argument is visible there."""
    railyard.stations(BOIL)
    railyard.stations("@station\ndef fill(boil):\n    return boil + 1\n", "kitchen/stations.py")
    railyard.write("kitchen/deep/test_below.py", "def test_below(fill): assert fill == 101")

    ride = railyard.ride("--cc-run", *arguments)

    assert (ride.visited, ride.tests) == (("boil", "fill"), {"test_below": "passed"})


def test_station_files_beside_each_other_see_each_other(railyard: Railyard) -> None:
    """Stations of two files in one directory need each other, whatever is collected first."""
    railyard.stations(POUR, name="station_a.py")
    railyard.stations(BOIL, name="station_z.py")

    ride = railyard.ride("--cc-run")

    assert ride.log == ("boil", "pour 100")
    assert ride.visited == ("boil", "pour")


def test_one_name_visible_twice_is_an_error(railyard: Railyard) -> None:
    """Two stations of one name, one in a directory below the other, are an error."""
    railyard.stations(BOIL)
    railyard.stations(BOIL, name="kitchen/stations.py")

    ride = railyard.ride("--cc-run")

    assert ride.exit_code == 2
    assert ride.collect_errors == (
        (
            "two stations are called 'boil': stations.py:5 and kitchen/stations.py:5; "
            "rename one of them"
        ),
    )


def test_name_redefined_in_its_file_is_an_error(railyard: Railyard) -> None:
    """A second station of the same name in the same file is an error, not a replacement."""
    railyard.stations(BOIL + BOIL)

    ride = railyard.ride("--cc-run")

    assert ride.collect_errors == (
        "two stations are called 'boil': stations.py:5 and stations.py:10; rename one of them",
    )


def test_imported_station_is_visible_and_no_second_one(railyard: Railyard) -> None:
    """Importing a station makes it visible, under its alias too, and is no second station."""
    railyard.stations(BOIL, name="kitchen/stations.py")
    railyard.write("kitchen/__init__.py", "")
    railyard.write(
        "test_it.py",
        """
        from kitchen.stations import boil
        from kitchen.stations import boil as cook

        def test_it(boil, cook):
            assert (boil, cook) == (100, 100)
        """,
    )

    ride = railyard.ride("--cc-run")

    assert ride.keys == {"kitchen/stations.py::boil": "visited"}
    assert (ride.tests, ride.log) == ({"test_it": "passed"}, ("boil",))


@pytest.mark.parametrize("file", ["test_it.py", "stations.py"])
def test_imported_station_comes_from_a_file_not_among_the_arguments(
    railyard: Railyard, file: str
) -> None:
    """The file of an imported station is collected when it is needed."""
    railyard.stations(BOIL, name="depot/kitchen_stations.py")
    railyard.write("depot/__init__.py", "")
    railyard.write("use/__init__.py", "")
    railyard.stations("from depot.kitchen_stations import boil\n" + POUR, name="use/station_use.py")

    ride = railyard.ride("--cc-run", "use")

    assert ride.keys == {
        "depot/kitchen_stations.py::boil": "visited",
        "use/station_use.py::pour": "visited",
    }


def test_station_under_two_module_names_is_one(railyard: Railyard) -> None:
    """A station imported under a second module name is still one station."""
    railyard.stations(BOIL, name="kitchen/stations.py")
    railyard.ini("pythonpath = .")
    railyard.write("kitchen/__init__.py", "")
    railyard.stations(
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

    ride = railyard.ride("--cc-run")

    assert ride.keys == {"kitchen/stations.py::boil": "visited"}
    assert (ride.tests, ride.log) == ({"test_it": "passed"}, ("boil",))


def test_conftest_may_import_stations(railyard: Railyard) -> None:
    """A station that a conftest imports is visible where the conftest's fixtures are."""
    railyard.write("depot/__init__.py", "")
    railyard.stations(BOIL, name="depot/stations.py")
    railyard.write("use/conftest.py", "from depot.stations import boil")
    railyard.write("use/test_it.py", "def test_it(boil): assert boil == 100")
    railyard.ini("pythonpath = .")

    ride = railyard.ride("--cc-run", "use")

    assert ride.keys == {"depot/stations.py::boil": "visited"}
    assert ride.tests == {"test_it": "passed"}


def test_second_name_in_its_own_file_is_no_second_station(railyard: Railyard) -> None:
    """A second name for a station in its own file is a name to ask by, not a station."""
    railyard.stations(BOIL + "\ncook = boil\n\n@station\ndef eat(cook):\n    log(cook)\n")

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.log) == (("boil", "eat"), ("boil", "100"))


def test_fixtures_of_a_station_file_are_visible_in_it_only(railyard: Railyard) -> None:
    """A fixture in a station file serves its stations, and no other file."""
    railyard.stations(
        """
        @pytest.fixture
        def kettle():
            return "kettle"

        @station
        def boil(kettle):
            log(kettle)
        """
    )
    railyard.write("test_it.py", "def test_it(kettle): ...")

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.log) == (("boil",), ("kettle",))
    assert "fixture 'kettle' not found" in ride.errors["test_it"]


def test_fixture_of_the_same_name_below_wins(railyard: Railyard) -> None:
    """A conftest fixture nearer than the station of the same name is what a test receives."""
    railyard.stations(BOIL)
    railyard.write(
        "unit/conftest.py",
        """
        import pytest

        @pytest.fixture
        def boil():
            return "fake"
        """,
    )
    railyard.write("unit/test_it.py", "def test_it(boil): assert boil == 'fake'")

    ride = railyard.ride("--cc-run", "unit")

    assert (ride.keys, ride.tests) == ({}, {"test_it": "passed"})


def test_override_may_ask_for_what_it_overrides(railyard: Railyard) -> None:
    """A fixture that has the station's name and requests it receives its outcome."""
    railyard.stations(BOIL)
    railyard.write(
        "unit/conftest.py",
        """
        import pytest

        @pytest.fixture
        def boil(boil):
            return boil + 1
        """,
    )
    railyard.write("unit/test_it.py", "def test_it(boil): assert boil == 101")

    ride = railyard.ride("--cc-run", "unit")

    assert (ride.visited, ride.tests) == (("boil",), {"test_it": "passed"})


def test_sub_directory_uses_the_same_node_ids(railyard: Railyard) -> None:
    """Running from a sub-directory, or with a path, finds the same records."""
    railyard.stations(BOIL, name="kitchen/stations.py")
    railyard.ride("--cc-run")

    rides = [railyard.ride("--cc-run", cwd="kitchen"), railyard.ride("--cc-run", "kitchen")]

    assert [ride.keys for ride in rides] == [{"kitchen/stations.py::boil": "unchanged"}] * 2


# --- what makes a station upstream


@pytest.mark.parametrize("scope", ["function", "class", "module", "package", "session"])
@pytest.mark.parametrize("place", ["stations.py", "conftest.py"])
def test_edge_goes_through_an_ordinary_fixture(railyard: Railyard, scope: str, place: str) -> None:
    """A station that an ordinary fixture requests is upstream, whatever the fixture's scope."""
    fixture = f"""
@pytest.fixture(scope="{scope}")
def cup(boil):
    return boil + 1

"""
    pour = "@station\ndef a_pour(cup):\n    log(cup)\n"
    if place == "conftest.py":
        railyard.write("conftest.py", "import pytest\n" + fixture)
        railyard.stations(pour + BOIL)
    else:
        railyard.stations(fixture + pour + BOIL)

    ride = railyard.ride("--cc-run")

    assert ride.visited == ("boil", "a_pour")
    assert ride.log == ("boil", "101")
    assert ride.facts["stations.py::a_pour"]["upstream"] == ["boil"]


def test_edge_goes_through_fixtures_of_fixtures(railyard: Railyard) -> None:
    """Fixtures that request fixtures that request a station make it upstream."""
    railyard.stations(
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

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.log) == (("boil", "a_pour"), ("boil", "102"))


def test_edge_goes_through_an_autouse_fixture(railyard: Railyard) -> None:
    """What an autouse fixture requests is upstream of all that it serves."""
    railyard.stations(POUR.replace("boil", "kettle").replace("pour", "a_pour"))
    railyard.stations(
        """
        @pytest.fixture(autouse=True)
        def hot(boil):
            log(f"hot {boil}")

        @station
        def a_first(): ...
        """,
        name="kitchen/station_a.py",
    )
    railyard.stations(BOIL + "\n@station\ndef kettle(): ...\n", name="station_z.py")

    ride = railyard.ride("--cc-run")

    assert ride.facts["kitchen/station_a.py::a_first"]["upstream"] == ["boil"]
    assert ride.log.index("boil") < ride.log.index("hot 100")


def test_edge_goes_through_usefixtures(railyard: Railyard) -> None:
    """A station named in `usefixtures` is upstream, of stations and of tests."""
    railyard.stations(
        "@pytest.mark.usefixtures('boil')\n@station\ndef a_pour():\n    log('pour')\n" + BOIL
    )
    railyard.write(
        "test_it.py", "import pytest\n@pytest.mark.usefixtures('boil')\ndef test_it(): ..."
    )

    ride = railyard.ride("--cc-run")

    assert ride.log == ("boil", "pour")
    assert ride.tests == {"test_it": "passed"}


def test_edge_goes_through_checks_and_cleans(railyard: Railyard) -> None:
    """What a check or a clean asks for is upstream of its station."""
    railyard.stations(
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

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.adopted) == (("sink", "boil"), ("a_pour",))
    assert sorted(ride.facts["stations.py::a_pour"]["upstream"]) == ["boil", "sink"]


def test_order_is_definition_order_where_nothing_waits(railyard: Railyard) -> None:
    """Stations run in definition order where none needs another."""
    names = ("zebra", "mouse", "ape")
    railyard.stations("".join(f"@station\ndef {name}(): log('{name}')\n\n" for name in names))

    ride = railyard.ride("--cc-run")

    assert ride.log == names


def test_tests_of_classes_receive_outcomes(railyard: Railyard) -> None:
    """A test in a class receives the outcome of a station like any other."""
    railyard.stations(BOIL)
    railyard.write("test_it.py", "class TestIt:\n    def test_it(self, boil): assert boil == 100")

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.tests) == (("boil",), {"test_it": "passed"})


def test_station_that_cannot_be_imported_is_a_collection_error(railyard: Railyard) -> None:
    """A station file that fails to import is told as pytest tells of any module."""
    railyard.stations("import nowhere_to_be_found\n" + BOIL)
    railyard.write("unit/test_it.py", "def test_it(): ...")

    rides = [railyard.ride("--cc-run"), railyard.ride("--cc-run", "unit")]

    assert [ride.exit_code for ride in rides] == [2, 2]
    assert ["No module named 'nowhere_to_be_found'" in ride.text for ride in rides] == [True] * 2


def test_getfixturevalue_receives_the_outcome(railyard: Railyard) -> None:
    """A test that asks for a complete station at run time receives its outcome."""
    railyard.stations(BOIL)
    railyard.write(
        "test_it.py", "def test_it(request): assert request.getfixturevalue('boil') == 100"
    )

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.tests) == (("boil",), {"test_it": "passed"})


def test_broken_station_file_above_does_not_stop_plain_pytest(railyard: Railyard) -> None:
    """Plain pytest runs the tests it was asked for, though a station file above cannot be imported."""
    railyard.stations("import nowhere_to_be_found\n" + BOIL)
    railyard.stations("@station\ndef fill(): ...\n", name="station_b.py")
    railyard.write("unit/test_it.py", "def test_it(): ...")

    ride = railyard.ride("unit")

    assert (ride.exit_code, ride.tests) == (0, {"test_it": "passed"})


def test_skipped_station_file_leaves_the_others(railyard: Railyard) -> None:
    """A station file that skips itself is left out, and the others are visited."""
    railyard.stations("pytest.skip('not here', allow_module_level=True)\n" + BOIL)
    railyard.stations("@station\ndef fill(): ...\n", name="station_b.py")

    ride = railyard.ride("--cc-run")

    assert (ride.exit_code, ride.visited) == (0, ("fill",))


def test_pytestmark_holds_for_all_stations_of_a_file(railyard: Railyard) -> None:
    """`pytestmark` in a station file marks its stations, in files of one name as well."""
    for place in ("cold", "hot"):
        railyard.stations(
            f"pytestmark = [pytest.mark.skip(reason='{place}')]\n" + BOIL, f"{place}/stations.py"
        )

    ride = railyard.ride("--cc-run")

    assert ride.keys == {"cold/stations.py::boil": "skipped", "hot/stations.py::boil": "skipped"}


def test_fixtures_in_a_test_module_and_class_override(railyard: Railyard) -> None:
    """A fixture or parameter nearer than the station of that name wins, and pulls nothing in."""
    railyard.stations(BOIL)
    railyard.write(
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

    ride = railyard.ride("--cc-run", "test_it.py")

    assert ride.keys == {}
    assert ride.tests == {
        "test_module": "passed",
        "test_class": "passed",
        "test_parameter[7]": "passed",
    }


def test_station_and_check_receive_the_override_of_their_file(railyard: Railyard) -> None:
    """A fixture of a station file that overrides a station serves visits and checks there."""
    railyard.stations(BOIL)
    railyard.stations(
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

    ride = railyard.ride("--cc-run")

    assert ride.log == ("boil", "check 101", "pour 101", "check 101")


def test_unittest_class_receives_the_outcome(railyard: Railyard) -> None:
    """A `unittest.TestCase` receives an outcome by an autouse fixture."""
    railyard.stations(BOIL)
    railyard.write(
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

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.tests) == (("boil",), {"test_it": "passed"})


def test_decorators_of_ones_own_may_stand_below(railyard: Railyard) -> None:
    """A station may be a wrapped function; what the inner one asks for is upstream."""
    railyard.stations(
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

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.log) == (("boil", "pour"), ("timed", "timed"))


SAME = """
from pathlib import Path

@station(files=["v.txt"])
def build() -> str:
    return Path(__file__).with_name("v.txt").read_text()
"""


def test_change_of_either_of_two_namesakes_is_propagated(railyard: Railyard, mode: str) -> None:
    """Who needs two stations of one name is due when either changes, and told which."""
    for folder in "abc":
        railyard.write(f"{folder}/__init__.py", "")
    for folder in "ab":
        railyard.write(f"{folder}/v.txt", "1")
        railyard.stations(SAME, f"{folder}/stations.py")
    railyard.stations(
        """
        from a.stations import build as build_a
        from b.stations import build as build_b

        @station
        def link(build_a, build_b):
            log(build_a + build_b)
        """,
        "c/stations.py",
    )
    railyard.ride("--cc-run")
    railyard.write("a/v.txt", "2")
    first = railyard.ride("--cc-run")
    railyard.write("b/v.txt", "2")

    second = railyard.ride("--cc-run")

    assert railyard.log() == ("11", "21", "22")
    assert first.reasons["link"] == ("outcome of a/stations.py::build changed",)
    assert second.reasons["link"] == ("outcome of b/stations.py::build changed",)


IMPORTING = {
    "conftest": ("conftest.py", "tea/stations.py"),
    "a module before it": ("cup/test_it.py", "tea/stations.py"),
    "a module after it": ("test_it.py", "tea/stations.py"),
}


@pytest.mark.parametrize(("where", "station"), IMPORTING.values(), ids=IMPORTING)
def test_imported_station_is_visited_and_handed_out(
    railyard: Railyard, mode: str, where: str, station: str
) -> None:
    """It does not matter who imports a station, under which name, and when."""
    railyard.ini("pythonpath = .")
    railyard.stations('@station\ndef boil() -> int:\n    log("boil")\n    return 100\n', station)
    railyard.write(where, "from tea.stations import boil\n")
    test = "def test_it(boil): assert boil == 100\n"
    railyard.write("test_it.py" if where == "conftest.py" else where, test)
    if where != "conftest.py":
        railyard.write(where, f"from tea.stations import boil\n\n{test}")

    rides = [railyard.ride("--cc-run"), railyard.ride(), railyard.ride("--cc-check")]

    assert rides[0].keys == {"tea/stations.py::boil": "visited"}
    assert [ride.tests for ride in rides] == [{"test_it": "passed"}] * 3
    assert railyard.log() == ("boil",)


LIBRARY = """
from pathlib import Path
from pytest_choochoo import station
from railyard import log

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
def test_station_of_a_library_is_one_of_those_who_import_it(
    railyard: Railyard, mode: str, where: str
) -> None:
    """A station of a file that pytest does not collect is run, verified and cleaned with them."""
    railyard.write("lib/steps.py", LIBRARY)
    railyard.write("test_it.py", "def test_it(make): ...")
    railyard.write(
        where,
        "from lib.steps import make\n\n"
        + ("def test_it(make): ..." if where == "test_it.py" else ""),
    )
    first, second = railyard.ride("--cc-run"), railyard.ride("--cc-run")
    railyard.remove("lib/out.txt")

    check, again = railyard.ride("--cc-check"), railyard.ride("--cc-run")
    chosen = railyard.ride("--cc-run", "-k", "test_it")
    clean = railyard.ride("--cc-clean")

    key = "lib/steps.py::make"
    rides = (first, second, check, again, clean)
    words = ["visited", "unchanged", "failed", "visited", "cleaned"]
    assert [ride.keys for ride in rides] == [{key: word} for word in words]
    assert (chosen.keys, chosen.tests) == ({}, {"test_it": "passed"})
    assert first.tests == {"test_it": "passed"}
    assert railyard.log() == ("make", "make", "remove")
    assert railyard.ride().collect_errors == ()


@pytest.mark.parametrize("option", ["", "--cc-run"])
def test_second_station_file_that_skips_itself_is_skipped(railyard: Railyard, option: str) -> None:
    """A station file that shares its name with another may skip itself like any module."""
    railyard.stations("@station\ndef boil() -> int: return 1", "a/stations.py")
    railyard.write("b/stations.py", "import pytest\npytest.importorskip('no_such_module')\n")
    railyard.write("b/test_it.py", "def test_it(): ...")

    ride = railyard.ride(*filter(None, [option]), "-rs")

    assert ride.exit_code == 0
    assert ride.tests == {"test_it": "passed"}
    assert "SKIPPED [1] b/stations.py:2: could not import 'no_such_module'" in ride.text


def test_second_station_file_that_is_broken_is_told_with_its_error(railyard: Railyard) -> None:
    """A station file that shares its name with another is told with what its import raised."""
    railyard.stations("@station\ndef boil() -> int: return 1", "a/stations.py")
    railyard.write("b/stations.py", "def half(): return 1 / 0\nhalf()\n")
    railyard.write("c/stations.py", "def half(:\n")

    ride = railyard.ride("--cc-run")

    assert ride.exit_code == 2
    assert "b/stations.py:2: in <module>" in ride.text
    assert "E   ZeroDivisionError: division by zero" in ride.text
    assert "SyntaxError: invalid syntax" in ride.text
    assert "mismatch" not in ride.text


def test_doctest_may_request_a_station(railyard: Railyard, mode: str) -> None:
    """A doctest that has a station by an autouse fixture waits for it, like a test."""
    railyard.stations("@station\ndef boil() -> int: return 3")
    railyard.write("a/lib.py", 'def f():\n    """\n    >>> 1 + 2\n    3\n    """\n')
    railyard.write(
        "a/conftest.py",
        """
        import pytest

        @pytest.fixture(autouse=True)
        def kettle(boil):
            assert boil == 3
        """,
    )
    early = railyard.ride("--doctest-modules")

    run, plain = railyard.ride("--cc-run", "--doctest-modules"), railyard.ride("--doctest-modules")

    assert early.exit_code == 1
    assert "station 'boil' has no complete record: never visited" in early.text
    assert run.tests == plain.tests == {"lib.f": "passed"}


def test_doctest_may_request_a_station_by_name(railyard: Railyard) -> None:
    """A doctest gets a recorded outcome by `getfixture`, or is told why there is none."""
    railyard.stations("@station\ndef boil() -> int: return 3")
    railyard.write("lib.py", 'def f():\n    """\n    >>> getfixture("boil")\n    3\n    """\n')
    early = railyard.ride("--doctest-modules")
    railyard.ride("--cc-run")

    ride = railyard.ride("--doctest-modules")

    assert early.tests == {"lib.f": "failed"}
    assert "NoRecord: station 'boil' has no complete record: never visited" in early.text
    assert ride.tests == {"lib.f": "passed"}


def test_station_in_any_class_is_a_fault(railyard: Railyard) -> None:
    """A station in a class is told, whether or not pytest would look for tests in the class."""
    railyard.stations("class Deploy:\n    @station\n    def upload(self): ...\n", "x/stations.py")

    ride = railyard.ride("--cc-run")

    assert ride.exit_code == 2
    assert [error.partition(";")[0] for error in ride.collect_errors] == [
        "x/stations.py:6: station 'upload' stands in a class"
    ]


def test_fixtures_option_shows_stations_by_their_titles(railyard: Railyard) -> None:
    """`--fixtures` has a station under its name, with its title, or else its docstring."""
    railyard.stations(
        '''
        @station(title="📤 Upload App")
        def upload(): ...

        @station
        def announce():
            """📣 Tell everybody."""
        '''
    )
    railyard.write("test_it.py", "def test_it(upload): ...")

    text = " ".join(railyard.ride("--fixtures").text.split())

    assert "upload [session scope] -- stations.py:5 📤 Upload App" in text
    assert "announce [session scope] -- stations.py:8 📣 Tell everybody." in text


def test_class_may_refer_to_stations_and_hold_whatever_it_likes(
    railyard: Railyard,
) -> None:
    """A class that mentions a station declares none, and may hold what raises when looked at."""
    railyard.stations("@station\ndef boil(): ...")
    railyard.write(
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

    run, plain = railyard.ride("--cc-run"), railyard.ride()

    assert (run.exit_code, run.closing) == (0, "1 visited")
    assert plain.exit_code == 0


LIBRARIES = {
    "grid.py": """
        from pathlib import Path
        from pytest_choochoo import station
        from railyard import log

        @station
        def light(): Path(__file__).with_name("lit").touch()

        @light.check
        def shines(): assert Path(__file__).with_name("lit").exists()
    """,
    "steps.py": """
        from grid import light
        from pytest_choochoo import station
        from railyard import log

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
def libraries(railyard: Railyard) -> Railyard:
    """Stations in two files that pytest does not collect, of which a test imports one."""
    railyard.ini("pythonpath = lib")
    for name, text in LIBRARIES.items():
        railyard.write(f"lib/{name}", text)
    railyard.write("test_it.py", "from steps import boil\n\ndef test_it(boil): ...")
    return railyard


def test_what_is_imported_brings_what_it_needs_and_nothing_else(
    libraries: Railyard, mode: str
) -> None:
    """A station that is imported is run and verified with all that it stands on."""
    first = libraries.ride("--cc-run")
    libraries.remove("lib/lit")

    check, second = libraries.ride("--cc-check"), libraries.ride("--cc-run")

    names = ["light", "fill", "boil"]
    assert sorted(first.visited) == sorted(names)
    assert check.failed == ("light",)
    assert second.visited == ("light",) and sorted(second.unchanged) == ["boil", "fill"]
    assert "launch" not in libraries.log()


def test_who_names_a_test_file_does_not_name_what_it_imports(libraries: Railyard) -> None:
    """What is due is visited for it; nothing is cleaned that nobody named."""
    first = libraries.ride("--cc-run", "test_it.py")
    clean = libraries.ride("--cc-clean", "test_it.py")
    second = libraries.ride("--cc-run", "test_it.py")

    assert sorted(first.visited) == ["boil", "fill", "light"]
    assert "choochoo: there was nothing to clean" in clean.text
    assert (second.results, second.tests) == ({}, {"test_it": "passed"})
    assert "cool" not in libraries.log()


@pytest.mark.parametrize("arguments", [(), ("sub",)])
def test_doctests_hide_no_stations(
    railyard: Railyard, mode: str, arguments: tuple[str, ...]
) -> None:
    """With --doctest-modules a file is there twice, and its stations are found all the same."""
    railyard.ini("addopts = --doctest-modules\npythonpath = lib")
    railyard.stations("@station\ndef boil(): ...")
    railyard.write(
        "lib/steps.py", "from pytest_choochoo import station\n\n@station\ndef pour(): ..."
    )
    railyard.write("sub/test_it.py", "from steps import pour\n\ndef test_it(boil, pour): ...")

    rides = [railyard.ride("--cc-run", *arguments), railyard.ride(*arguments)]

    assert [ride.exit_code for ride in rides] == [0, 0]
    assert sorted(rides[0].visited) == ["boil", "pour"]


def test_library_is_imported_once(railyard: Railyard) -> None:
    """It keeps the name under which it was imported, and may import from its own package."""
    railyard.ini("pythonpath = src")
    railyard.write("src/app/config.py", "DEGREES = 100")
    railyard.write(
        "src/app/platform.py",
        """
        from railyard import log
        from pytest_choochoo import station
        from .config import DEGREES

        log("imported")

        @station
        def boil(): return DEGREES
        """,
    )
    railyard.write(
        "test_it.py", "from app.platform import boil\n\ndef test_it(boil): assert boil == 100"
    )

    ride = railyard.ride("--cc-run")

    assert (ride.exit_code, ride.visited, ride.log) == (0, ("boil",), ("imported",))


def test_station_of_a_factory_stands_where_it_is_called(railyard: Railyard, mode: str) -> None:
    """A function of another file may make stations: they belong to the file that has them made."""
    railyard.write(
        "making.py",
        """
        from pytest_choochoo import station

        def make(degrees):
            @station
            def heat(): return degrees
            return heat
        """,
    )
    railyard.stations("from making import make\n\nboil = make(100)\nsteep = make(80)")
    railyard.write("test_it.py", "def test_it(boil, steep): assert (boil, steep) == (100, 80)")

    ride = railyard.ride("--cc-run")

    assert (ride.exit_code, ride.last_line) == (0, "3 passed")
    assert ride.keys == {"stations.py::boil": "visited", "stations.py::steep": "visited"}


def test_station_may_be_imported_from_outside_of_the_project(
    railyard: Railyard, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It is known by its whole path, and nothing of its neighbourhood is collected."""
    outside = tmp_path_factory.mktemp("outside")
    text = "from pytest_choochoo import station\n\n@station\ndef boil(): ...\n"
    (outside / "kettle.py").write_text(text)
    (outside / "stations.py").write_text(text)
    (outside / "conftest.py").write_text("raise OSError('not mine')")
    railyard.ini(f"pythonpath = {outside}")
    railyard.write("test_it.py", "from kettle import boil\n\ndef test_it(boil): ...")

    ride = railyard.ride("--cc-run")

    assert (ride.exit_code, ride.keys) == (0, {f"{outside}/kettle.py::boil": "visited"})
