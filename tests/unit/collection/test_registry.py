"""The registry: stations as fixtures and items, and the faults in them."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import cast

import pytest

from pytest_choochoo.collection.registry import StationRegistry
from pytest_choochoo.engine.errors import (
    DuplicateName,
    ReservedName,
    StationInClass,
    StationInConftest,
    StationOutside,
)
from pytest_choochoo.engine.station import Station
from unit.collection.conftest import Collect, Collected

BOIL = "@station\ndef boil(): ...\n"
TEAS = '@station\n@pytest.mark.parametrize("tea", ["green", "black"])\ndef boil(tea): ...\n'


def station_of(project: Collected, name: str) -> Station[object]:
    return project.registry.instances[project[name].nodeid].station


# --- items


def test_items_are_known_by_node_id_in_definition_order(collect: Collect) -> None:
    """Each station instance has an item, in the order in which stations are defined."""
    project = collect({"stations.py": "@station\ndef pour(): ...\n\n" + TEAS})

    keys = ["stations.py::pour", "stations.py::boil[green]", "stations.py::boil[black]"]
    assert list(project.registry.items) == list(project.registry.instances) == keys
    assert list(project.found) == keys
    assert {key: item.nodeid for key, item in project.registry.items.items()} == dict(
        zip(keys, keys)
    )


def test_instance_knows_its_parameters(collect: Collect) -> None:
    """An instance has the name of its item, its parameters and their id."""
    project = collect({"stations.py": TEAS})

    instances = project.registry.instances_of(station_of(project, "boil[black]"))

    assert [(each.name, dict(each.parameters), each.parameter_id) for each in instances] == [
        ("boil[green]", {"tea": "green"}, "green"),
        ("boil[black]", {"tea": "black"}, "black"),
    ]


def test_items_carry_the_mark_and_stations_stay_as_written(collect: Collect) -> None:
    """The mark `station` is put on the items; the user's object keeps its own marks."""
    project = collect(
        {"stations.py": "@pytest.mark.skipif(False, reason='cold')\n" + BOIL + "boil.note = 1\n"}
    )
    station, item = station_of(project, "boil"), project["boil"]

    assert [mark.name for mark in item.iter_markers()] == ["skipif", "station"]
    assert [mark.name for mark in station.pytestmark] == ["skipif"]
    assert not hasattr(station.function, "pytestmark")
    assert vars(station) == {"note": 1}


def test_item_calls_the_visit_and_leaves_its_value(collect: Collect) -> None:
    """The function of an item returns nothing; the outcome is kept by its call."""
    project = collect({"stations.py": "@station\ndef boil(): return 100\n"})

    assert project["boil"].obj() is None
    assert project.registry.call.pop() == 100
    assert project.registry.call.pop() is None


def test_item_is_located_where_its_station_is_defined(collect: Collect) -> None:
    """The location of an item is the decorated function, without reading the source."""
    project = collect({"stations.py": BOIL})

    assert project["boil"].location == ("stations.py", 3, "boil")


def test_imported_station_has_no_second_item(collect: Collect) -> None:
    """A station that a test module imports is visible there, and has one item, in its own file."""
    project = collect(
        {
            "a/tea_stations.py": BOIL,
            "test_tea.py": "from a.tea_stations import boil\n\ndef test_tea(boil): ...\n",
            "a/__init__.py": "",
        }
    )

    assert list(project.registry.items) == ["a/tea_stations.py::boil"]
    assert project.upstream("test_tea") == ("boil",)
    assert project.faults() == ()


def test_second_name_in_its_own_file_makes_no_second_item(collect: Collect) -> None:
    """A station with two names in its file has one item, and can be requested by both."""
    project = collect(
        {"stations.py": BOIL + "heat = boil\n", "test_tea.py": "def test_tea(heat, boil): ...\n"}
    )

    assert list(project.registry.items) == ["stations.py::boil"]
    assert project.upstream("test_tea") == ("boil",)


def test_station_with_a_fault_has_no_item(collect: Collect) -> None:
    """A station with a fault has no item."""
    project = collect({"stations.py": "@station\ndef boil(): yield\n"})

    assert list(project.registry.items) == []
    assert len(project.registry.faults) == 1
    assert [station.name for station in project.registry.without_items()] == ["boil"]


# --- fixtures


def test_fixture_of_a_station_returns_what_the_session_says(collect: Collect) -> None:
    """`fixture_value` receives the station and returns the value of its fixture."""
    project = collect({"stations.py": BOIL})
    [(provider, station)] = project.registry.providers.items()

    project.registry.fixture_value = lambda station: f"the outcome of {station.name}"

    assert provider() == "the outcome of boil"
    assert station is station_of(project, "boil")


def test_fixture_before_there_is_a_session_is_an_internal_error(collect: Collect) -> None:
    """Setting up a station's fixture before the session is made is an internal error."""
    project = collect({"stations.py": BOIL})
    [provider] = project.registry.providers

    with pytest.raises(RuntimeError, match=r"^internal error: the fixture of station 'boil' "):
        provider()


def test_fixture_shows_the_station_in_the_list_of_fixtures(collect: Collect) -> None:
    """The fixture of a station is described by its title, and requests nothing itself."""
    described = '@station(title="📤 Boil")\ndef boil(pour): ...\n\n@station\ndef pour(): "Pour."\n'
    project = collect({"stations.py": described})

    docs = {station.name: each.__doc__ for each, station in project.registry.providers.items()}

    assert docs == {"boil": "📤 Boil", "pour": "Pour."}
    assert all(each.__name__ == s.name for each, s in project.registry.providers.items())


def test_registry_is_read_only_from_outside(collect: Collect) -> None:
    """The mappings of the registry cannot be written to."""
    registry = collect({"stations.py": BOIL}).registry

    for shown in (registry.items, registry.instances, registry.registrations, registry.providers):
        with pytest.raises(TypeError):
            cast(MutableMapping[object, object], shown)["boil"] = None
    assert isinstance(registry.faults, tuple)


def test_registry_without_stations_has_none() -> None:
    """A new registry has no stations, no items and no faults."""
    registry = StationRegistry()

    assert not registry.has_stations
    assert (registry.faults, dict(registry.items), list(registry.without_items())) == ((), {}, [])


# --- faults


@pytest.mark.parametrize(
    ("files", "is_fault"),
    [
        pytest.param({"stations.py": BOIL, "tea_stations.py": BOIL}, True, id="same-directory"),
        pytest.param({"stations.py": BOIL, "a/stations.py": BOIL}, True, id="directory-below"),
        pytest.param({"a/stations.py": BOIL, "b/stations.py": BOIL}, False, id="side-by-side"),
        pytest.param({"stations.py": BOIL, "test_tea.py": BOIL}, True, id="test-module"),
        pytest.param({"test_a.py": BOIL, "test_b.py": BOIL}, False, id="two-test-modules"),
        pytest.param({"stations.py": BOIL + "\n" + BOIL}, True, id="same-file"),
    ],
)
def test_two_stations_of_one_name_in_sight_are_a_fault(
    collect: Collect, files: dict[str, str], is_fault: bool
) -> None:
    """Two stations of one name are a fault if both are visible in one place."""
    project = collect(files)

    kinds = [type(fault) for fault in project.registry.faults]
    assert kinds == ([DuplicateName] if is_fault else [])
    assert project.registry.has_stations


def test_station_imported_into_another_file_is_no_duplicate(collect: Collect) -> None:
    """A station that several files import is not a duplicate."""
    imported = "from stations import boil\n"
    files = {"tea_stations.py": imported, "test_tea.py": imported + "def test_tea(): ...\n"}
    project = collect({"stations.py": BOIL, **files})

    assert project.faults() == ()


@pytest.mark.parametrize("name", ["visit", "request"])
def test_reserved_names_are_faults(collect: Collect, name: str) -> None:
    """A station cannot take the name of a fixture that stations may request."""
    project = collect({"stations.py": f"@station\ndef {name}(): ...\n"})

    assert [type(fault) for fault in project.registry.faults] == [ReservedName]


def test_station_in_a_class_is_a_fault(collect: Collect) -> None:
    """A station that is defined in a class is a fault, whether or not the class is a test class."""
    source = "class {}:\n    @station\n    def boil(self): ...\n"
    project = collect({"test_tea.py": source.format("TestTea") + source.format("Tea")})

    assert {type(fault) for fault in project.registry.faults} == {StationInClass}
    assert list(project.registry.items) == []


def test_class_may_refer_to_a_station(collect: Collect) -> None:
    """A class attribute that refers to a station is not a definition."""
    project = collect({"stations.py": BOIL + "\nclass Tea:\n    made_by = boil\n"})

    assert project.faults() == ()


def test_station_in_a_conftest_is_a_fault(collect: Collect) -> None:
    """A conftest may import stations, but not define them."""
    project = collect({"conftest.py": BOIL, "test_tea.py": "def test_tea(): ...\n"})

    assert [type(fault) for fault in project.registry.faults] == [StationInConftest]


def test_station_outside_rootdir_is_a_fault(collect: Collect, pytester: pytest.Pytester) -> None:
    """A station file that is not below rootdir has node ids that other files might have."""
    outside = pytester.path.parent / f"{pytester.path.name}-outside" / "stations.py"
    outside.parent.mkdir()
    outside.write_text("from pytest_choochoo import station\n" + BOIL)
    project = collect({}, str(outside), f"--rootdir={pytester.path}")

    assert [type(fault) for fault in project.registry.faults] == [StationOutside]
    assert list(project.registry.items) == []


def test_same_sentence_is_one_fault() -> None:
    """A fault that is found twice is kept once."""
    registry = StationRegistry()

    for _ in range(2):
        registry.add_fault(ReservedName("visit", "stations.py:4"))

    assert [str(fault) for fault in registry.faults] == [
        str(ReservedName("visit", "stations.py:4"))
    ]
