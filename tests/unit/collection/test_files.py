"""Station files: found, imported side by side, passed over, and selected."""

from __future__ import annotations

import sys

import pytest

from unit.collection.conftest import Collect

BOIL = "@station\ndef boil(): ...\n"
BROKEN = 'raise RuntimeError("no water")\n'
TEST = "def test_tea(): ...\n"


def test_station_files_of_one_name_are_imported_side_by_side(collect: Collect) -> None:
    """Station files may share a name, without packages around them."""
    project = collect({"a/stations.py": BOIL, "b/stations.py": BOIL, "stations.py": TEST})

    assert set(project.registry.items) == {"a/stations.py::boil", "b/stations.py::boil"}
    assert project.faults() == ()


def test_files_of_stations_that_were_not_selected_are_collected(collect: Collect) -> None:
    """Stations that a named test may need are known, although pytest collects only the test."""
    files = {"stations.py": BOIL, "test_tea.py": "def test_tea(boil): ...\n"}
    project = collect(files, "test_tea.py")

    assert project.found == ("test_tea.py::test_tea",)
    assert list(project.registry.items) == ["stations.py::boil"]
    assert project.upstream("test_tea") == ("boil",)


def test_library_of_stations_is_collected(collect: Collect) -> None:
    """A station that is imported from a file with another name is collected from there."""
    project = collect(
        {
            "lib/__init__.py": "",
            "lib/brewing.py": BOIL,
            "conftest.py": "from lib.brewing import boil\n",
            "test_tea.py": "def test_tea(boil): ...\n",
        }
    )

    assert list(project.registry.items) == ["lib/brewing.py::boil"]
    assert project.upstream("test_tea") == ("boil",)


@pytest.mark.parametrize(
    ("arguments", "selected"),
    [
        pytest.param([], {"heat", "boil"}, id="whole-project"),
        pytest.param(["stations.py"], {"heat", "boil"}, id="station-file"),
        pytest.param(["heat_stations.py"], {"heat"}, id="other-station-file"),
    ],
)
def test_imported_stations_join_the_items_with_their_upstream(
    collect: Collect, arguments: list[str], selected: set[str]
) -> None:
    """Stations that a station file imports are selected with it, together with their upstream there."""
    project = collect(
        {
            "lib/__init__.py": "",
            "lib/brewing.py": """
                @station
                def heat(): ...

                @station
                def boil(heat): ...

                @station
                def sing(): ...
            """,
            "stations.py": "from lib.brewing import boil\n",
            "heat_stations.py": "from lib.brewing import heat\n",
        },
        *arguments,
    )

    assert project.found == ()
    assert set(project.selected) == {f"lib/brewing.py::{name}" for name in selected}


def test_imported_station_does_not_add_stations_of_other_files(collect: Collect) -> None:
    """A station that a named test module imports is not selected because another requests it."""
    project = collect(
        {
            "lib/__init__.py": "",
            "lib/brewing.py": "@station\ndef boil(fetch): ...\n",
            "lib/water.py": "@station\ndef fetch(): ...\n",
            "stations.py": "from lib.brewing import boil\n",
            "test_tea.py": "from lib.water import fetch\n\n" + TEST,
        },
        "stations.py",
        "test_tea.py",
    )

    assert project.selected == ("test_tea.py::test_tea", "lib/brewing.py::boil")
    assert set(project.registry.items) == {"lib/brewing.py::boil", "lib/water.py::fetch"}


def test_station_imported_from_a_test_module_is_left_to_its_module(collect: Collect) -> None:
    """A station of a test module is not selected if the user named another file."""
    files = {
        "test_brewing.py": BOIL,
        "stations.py": "from test_brewing import boil\n",
        "test_tea.py": TEST,
    }
    project = collect(files, "test_tea.py", "stations.py")

    assert project.selected == ("test_tea.py::test_tea",)
    assert list(project.registry.items) == ["test_brewing.py::boil"]


def test_library_is_not_imported_a_second_time(collect: Collect) -> None:
    """The module of an imported station is the one that it was imported from, under any name."""
    project = collect(
        {
            "lib/brewing.py": BOIL,
            "conftest.py": "from lib.brewing import boil\n",
            "test_tea.py": "def test_tea(boil): ...\n",
        }
    )

    module = project["boil"].parent
    assert isinstance(module, pytest.Module)
    assert module.obj is sys.modules["lib.brewing"]
    assert "brewing" not in sys.modules


def test_broken_station_file_is_ignored_by_plain_pytest(collect: Collect) -> None:
    """Plain pytest warns of a station file that cannot be imported, and continues without it."""
    files = {"stations.py": BROKEN, "test_tea.py": TEST}

    with pytest.warns(pytest.PytestWarning) as warned:
        project = collect(files, mode="")

    assert [str(each.message) for each in warned] == [
        "stations.py could not be imported, so its stations are unknown: RuntimeError: no water"
    ]
    assert project.found == ("test_tea.py::test_tea",)
    assert [module.name for module in project.files.broken] == ["stations.py"]


def test_broken_station_file_is_an_error_if_named(
    collect: Collect, recwarn: pytest.WarningsRecorder
) -> None:
    """Plain pytest does not ignore a broken station file that the user named."""
    project = collect({"stations.py": BROKEN, "test_tea.py": TEST}, "stations.py", mode="")

    assert project.found == ()
    assert project.session.testsfailed == 1
    assert list(recwarn) == []


def test_broken_station_file_is_an_error_in_a_run(collect: Collect) -> None:
    """A run does not ignore a broken station file."""
    project = collect({"stations.py": BROKEN, "test_tea.py": TEST})

    assert project.session.testsfailed == 1
    assert [str(error) for error in project.files.broken.values()] == ["no water"]


def test_plain_pytest_leaves_stations_out_of_the_items(collect: Collect) -> None:
    """Plain pytest knows the stations of a project, and shows none."""
    files = {"stations.py": BOIL, "test_tea.py": "def test_tea(boil): ...\n"}
    project = collect(files, mode="")

    assert project.found == ("test_tea.py::test_tea",)
    assert list(project.registry.items) == ["stations.py::boil"]
    assert project.upstream("test_tea") == ("boil",)


def test_module_of_doctests_is_not_a_station_file(collect: Collect) -> None:
    """The module that pytest makes of a station file for its doctests has no stations."""
    source = 'def two():\n    """\n    >>> 1 + 1\n    2\n    """\n\n' + BOIL
    project = collect({"stations.py": source}, "--doctest-modules")

    assert sorted(project.found) == ["stations.py::boil", "stations.py::stations.two"]
    assert list(project.registry.items) == ["stations.py::boil"]
