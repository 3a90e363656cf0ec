"""Dependencies: the stations that an item requests, and their instances."""

from __future__ import annotations

import pytest

from pytest_choochoo.engine.errors import Cycle, NoSuchInstance, ParametrizedFixture
from unit.collection.conftest import Collect

BOIL = "@station\ndef boil(): ...\n"
#: A station with two instances, `boil[green]` and `boil[black]`.
TEAS = '@station\n@pytest.mark.parametrize("tea", ["green", "black"])\ndef boil(tea): ...\n'
TEAS_OF_A_TEST = '@pytest.mark.parametrize("tea", ["green", "black"])\n'


# --- requests


def test_station_named_by_a_parameter_is_upstream(collect: Collect) -> None:
    """A test that names a station depends on it directly, and on no other station."""
    project = collect(
        {
            "stations.py": BOIL + "@station\ndef pour(): ...\n",
            "test_tea.py": "def test_tea(boil): ...\n",
        }
    )

    found = project.dependency("test_tea", on="boil")

    assert project.upstream("test_tea") == ("boil",)
    assert (found.keys, found.is_direct, found.is_fan_in) == (("stations.py::boil",), True, False)
    assert found.fault is None


@pytest.mark.parametrize("scope", ["function", "class", "module", "package", "session"])
def test_station_is_upstream_through_fixtures_of_any_scope(collect: Collect, scope: str) -> None:
    """A test depends on a station that a fixture requests, whatever the fixture's scope."""
    project = collect(
        {
            "stations.py": BOIL,
            "conftest.py": f'@pytest.fixture(scope="{scope}")\ndef kettle(boil): ...\n',
            "test_tea.py": "def test_tea(kettle): ...\n",
        }
    )

    assert project.upstream("test_tea") == ("boil",)


def test_instances_in_order_wait_for_each_other(collect: Collect) -> None:
    """With `in_order`, each instance is upstream of the next, and of no other one."""
    project = collect({"stations.py": TEAS.replace("@station", "@station(in_order=True)")})

    assert (project.route("boil[green]"), project.route("boil[black]")) == ((), ("boil[green]",))


def test_station_is_upstream_through_fixtures_of_any_depth(collect: Collect) -> None:
    """A test depends on a station at the end of a chain of fixtures."""
    project = collect(
        {
            "stations.py": BOIL,
            "conftest.py": """
                @pytest.fixture(scope="session")
                def kettle(boil): ...

                @pytest.fixture(scope="module")
                def pot(kettle): ...

                @pytest.fixture
                def cup(pot): ...
            """,
            "test_tea.py": "def test_tea(cup): ...\n",
        }
    )

    assert project.upstream("test_tea") == ("boil",)


def test_station_requested_in_several_ways_is_upstream_once(collect: Collect) -> None:
    """A station that a test requests by name and through a fixture is upstream once."""
    project = collect(
        {
            "stations.py": BOIL,
            "test_tea.py": "@pytest.fixture\ndef cup(boil): ...\n\ndef test_tea(boil, cup): ...\n",
        }
    )

    assert project.upstream("test_tea") == ("boil",)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(
            '@pytest.mark.usefixtures("boil")\ndef test_tea(): ...\n', id="usefixtures-station"
        ),
        pytest.param(
            "@pytest.fixture(autouse=True)\ndef cup(boil): ...\n\ndef test_tea(): ...\n",
            id="autouse-fixture",
        ),
        pytest.param("class TestTea:\n    def test_tea(self, boil): ...\n", id="method"),
    ],
)
def test_requests_without_a_parameter_count(collect: Collect, source: str) -> None:
    """Marks, autouse fixtures and methods request stations as parameters do."""
    project = collect({"stations.py": BOIL, "test_tea.py": source})

    [name] = [key for key in project.found if "test_tea.py" in key]
    assert project.upstream(name) == ("boil",)


def test_parameter_with_a_default_requests_nothing(collect: Collect) -> None:
    """A parameter with a default does not request a fixture."""
    project = collect({"stations.py": BOIL, "test_tea.py": "def test_tea(boil=None): ...\n"})

    assert project.upstream("test_tea") == ()


def test_parametrized_argument_hides_a_station(collect: Collect) -> None:
    """An argument that a test is parametrized with is not the station of that name."""
    source = '@pytest.mark.parametrize("boil", [1])\ndef test_tea(boil): ...\n'
    project = collect({"stations.py": BOIL, "test_tea.py": source})

    assert project.upstream("test_tea[1]") == ()


# --- overridden fixtures


def test_nearer_fixture_of_the_name_hides_the_station(collect: Collect) -> None:
    """A fixture that overrides a station and does not request it leaves nothing upstream."""
    source = "@pytest.fixture\ndef boil(): ...\n\ndef test_tea(boil): ...\n"
    project = collect({"stations.py": BOIL, "test_tea.py": source})

    assert project.upstream("test_tea") == ()


def test_nearer_fixture_may_request_the_station_that_it_overrides(collect: Collect) -> None:
    """A fixture that overrides a station and requests it makes an indirect dependency."""
    source = "@pytest.fixture\ndef boil(boil): ...\n\ndef test_tea(boil): ...\n"
    project = collect({"stations.py": BOIL, "test_tea.py": source})

    assert project.upstream("test_tea") == ("boil",)
    assert not project.dependency("test_tea", on="boil").is_direct


def test_chain_of_overrides_is_followed_to_the_station(collect: Collect) -> None:
    """Two fixtures that override each other and then a station still lead to it."""
    project = collect(
        {
            "stations.py": BOIL,
            "a/conftest.py": "@pytest.fixture\ndef boil(boil): ...\n",
            "a/test_tea.py": "@pytest.fixture\ndef boil(boil): ...\n\ndef test_tea(boil): ...\n",
        }
    )

    assert project.upstream("test_tea") == ("boil",)


def test_nearest_station_of_a_name_counts(collect: Collect) -> None:
    """A test depends on the nearer one of two stations that share a name."""
    project = collect(
        {
            "stations.py": BOIL,
            "a/stations.py": BOIL,
            "a/test_near.py": "def test_near(boil): ...\n",
            "test_far.py": "def test_far(boil): ...\n",
        }
    )

    assert project.dependency("test_near", on="boil").keys == ("a/stations.py::boil",)
    assert project.dependency("test_far", on="boil").keys == ("stations.py::boil",)


def test_nearest_station_counts_for_checks_as_well(collect: Collect) -> None:
    """A check receives the nearest station, though its own station does not request it."""
    check = "@station\ndef pour(): ...\n\n@pour.check\ndef is_full(boil): ...\n"
    project = collect({"stations.py": BOIL, "a/stations.py": BOIL + check})

    keys = project.dependencies.upstream_of_checks(project["pour"])

    assert keys == ("a/stations.py::boil",)


# --- visibility


def test_station_is_visible_in_its_directory_and_below(collect: Collect) -> None:
    """A station file is visible to tests beside and below it, and to no others."""
    files = {
        "a/test_beside.py": "def test_beside(): ...\n",
        "a/b/test_below.py": "def test_below(): ...\n",
        "test_above.py": "def test_above(): ...\n",
        "c/test_elsewhere.py": "def test_elsewhere(): ...\n",
    }
    project = collect({"a/stations.py": BOIL, **files})

    seen = {
        name: bool(project.dependencies.requested_by(project[name], ["boil"]))
        for name in ("test_beside", "test_below", "test_above", "test_elsewhere")
    }

    assert seen == {
        "test_beside": True,
        "test_below": True,
        "test_above": False,
        "test_elsewhere": False,
    }


def test_station_in_a_test_module_is_visible_in_that_module(collect: Collect) -> None:
    """A station in a test module is visible to its tests, and not to those beside it."""
    project = collect(
        {
            "test_tea.py": BOIL + "def test_tea(boil): ...\n",
            "test_milk.py": "def test_milk(): ...\n",
        }
    )

    assert project.upstream("test_tea") == ("boil",)
    assert project.dependencies.requested_by(project["test_milk"], ["boil"]) == ()


# --- parametrization


def test_same_argument_receives_the_instance_of_the_same_value(collect: Collect) -> None:
    """A test with the same argument depends on the instance with the same value alone."""
    source = TEAS_OF_A_TEST + "def test_tea(boil, tea): ...\n"
    project = collect({"stations.py": TEAS, "test_tea.py": source})

    found = project.dependency("test_tea[black]", on="boil")

    assert project.upstream("test_tea[green]") == ("boil[green]",)
    assert (found.keys, found.is_fan_in) == (("stations.py::boil[black]",), False)


def test_test_without_the_argument_receives_all_instances(collect: Collect) -> None:
    """A test without the argument depends on all instances: a fan-in."""
    project = collect({"stations.py": TEAS, "test_tea.py": "def test_tea(boil): ...\n"})

    assert project.upstream("test_tea") == ("boil[green]", "boil[black]")
    assert project.dependency("test_tea", on="boil").is_fan_in


def test_one_of_two_arguments_makes_a_smaller_fan_in(collect: Collect) -> None:
    """A test with one of two arguments depends on the instances that share its value."""
    sizes = '@pytest.mark.parametrize("size", [1, 2])\n'
    project = collect(
        {
            "stations.py": TEAS.replace("@pytest", sizes + "@pytest").replace("tea)", "tea, size)"),
            "test_tea.py": TEAS_OF_A_TEST + "def test_tea(boil, tea): ...\n",
        }
    )

    assert project.upstream("test_tea[green]") == ("boil[green-1]", "boil[green-2]")
    assert project.dependency("test_tea[green]", on="boil").is_fan_in


def test_fixture_that_outlives_a_test_receives_all_instances(collect: Collect) -> None:
    """A module fixture cannot follow the arguments of a test: all instances are upstream."""
    project = collect(
        {
            "stations.py": TEAS,
            "test_tea.py": f"""
                @pytest.fixture(scope="module")
                def pot(boil): ...

                {TEAS_OF_A_TEST.strip()}
                def test_tea(boil, pot, tea): ...
            """,
        }
    )

    assert set(project.upstream("test_tea[green]")) == {"boil[green]", "boil[black]"}
    assert project.dependency("test_tea[green]", on="boil").keys == ("stations.py::boil[green]",)


@pytest.mark.parametrize("values", ["[[1], [2]]", "[{'a': 1}, {'a': 2}]", "[{1}, {2}]"])
def test_values_without_a_hash_are_compared(collect: Collect, values: str) -> None:
    """Values that cannot be hashed are found by comparison."""
    mark = f'@pytest.mark.parametrize("tea", {values})\n'
    project = collect(
        {
            "stations.py": f"@station\n{mark}def boil(tea): ...\n",
            "test_tea.py": f"{mark}def test_tea(boil, tea): ...\n",
        }
    )

    assert project.upstream("test_tea[tea1]") == ("boil[tea1]",)


def test_value_that_cannot_be_compared_equals_only_itself(collect: Collect) -> None:
    """A value whose comparison raises belongs to the instance with the same object."""
    project = collect(
        {
            "teas.py": """
                class Tea:
                    __hash__ = None
                    def __eq__(self, other):
                        raise TypeError("teas are tasted, not compared")

                TEAS = [Tea(), Tea()]
            """,
            "stations.py": """
                from teas import TEAS
                @station
                @pytest.mark.parametrize("tea", TEAS)
                def boil(tea): ...
            """,
            "test_tea.py": """
                from teas import TEAS
                @pytest.mark.parametrize("tea", TEAS)
                def test_tea(boil, tea): ...
            """,
        }
    )

    assert project.upstream("test_tea[tea1]") == ("boil[tea1]",)


def test_values_of_another_type_differ(collect: Collect) -> None:
    """The values 1, True and 1.0 belong to three instances."""
    mark = '@pytest.mark.parametrize("cups", [1, True, 1.0], ids=["int", "bool", "float"])\n'
    project = collect(
        {
            "stations.py": f"@station\n{mark}def boil(cups): ...\n",
            "test_tea.py": f"{mark}def test_tea(boil, cups): ...\n",
        }
    )

    names = ("int", "bool", "float")
    assert {name: project.upstream(f"test_tea[{name}]") for name in names} == {
        name: (f"boil[{name}]",) for name in names
    }


def test_values_without_a_hash_of_another_type_differ(collect: Collect) -> None:
    """A value without a hash does not match an equal value of another type."""
    mark = '@pytest.mark.parametrize("tea", [b"green", bytearray(b"green")], ids=["a", "b"])\n'
    project = collect(
        {
            "stations.py": f"@station\n{mark}def boil(tea): ...\n",
            "test_tea.py": f"{mark}def test_tea(boil, tea): ...\n",
        }
    )

    assert project.upstream("test_tea[b]") == ("boil[b]",)


def test_value_that_no_instance_has_is_a_fault_of_the_test(collect: Collect) -> None:
    """A test with a value that no instance has receives nothing, and the run goes on."""
    source = '@pytest.mark.parametrize("tea", ["white"])\ndef test_tea(boil, tea): ...\n'
    project = collect({"stations.py": TEAS, "test_tea.py": source})

    found = project.dependency("test_tea[white]", on="boil")

    assert found.keys == ()
    assert isinstance(found.fault, NoSuchInstance)
    assert project.faults() == ()


def test_value_that_no_instance_has_is_a_structural_fault_of_a_station(collect: Collect) -> None:
    """A station with a value that no instance of another has cannot be run at all."""
    other = '@station\n@pytest.mark.parametrize("tea", ["white"])\ndef pour(boil, tea): ...\n'
    project = collect({"stations.py": TEAS + other})

    [fault] = project.faults()

    assert isinstance(fault, NoSuchInstance)
    assert "'white'" in str(fault)


# --- what is attached to a station


def test_route_includes_what_checks_and_clean_request(collect: Collect) -> None:
    """A station waits for the stations that its checks and its clean request."""
    project = collect(
        {
            "stations.py": """
                @station
                def fetch(): ...

                @station
                def heat(): ...

                @station
                def boil(): ...

                @boil.check
                def is_hot(fetch): ...

                @boil.clean
                def cool(heat): ...
            """
        }
    )

    assert project.route("boil") == ("fetch", "heat")
    assert project.upstream("boil") == ()


def test_clean_does_not_count_for_the_checks(collect: Collect) -> None:
    """A station is judged with all that its checks and `values` request, not its clean."""
    project = collect(
        {
            "stations.py": """
                @station
                def fetch(): ...

                @station
                def heat(): ...

                @station
                def fill(): ...

                @pytest.fixture
                def litres(fill): ...

                @station(values=["litres"])
                def boil(): ...

                @boil.check
                def is_hot(fetch, boil): ...

                @boil.clean
                def cool(heat): ...
            """
        }
    )

    keys = project.dependencies.upstream_of_checks(project["boil"])

    assert keys == ("stations.py::fill", "stations.py::fetch")


def test_check_that_requests_its_own_station_makes_no_cycle(collect: Collect) -> None:
    """A check and a clean may request the outcome of their own station."""
    checked = BOIL + "@boil.check\ndef is_hot(boil): ...\n\n@boil.clean\ndef cool(boil): ...\n"
    project = collect({"stations.py": checked})

    assert project.faults() == ()
    assert project.route("boil") == ()


def test_fixture_of_a_check_that_requests_the_station_makes_no_cycle(collect: Collect) -> None:
    """A check may receive the outcome of its own station through a fixture."""
    source = """
        @pytest.fixture
        def kettle(boil): ...

        @station
        def boil(): ...

        @boil.check
        def is_hot(kettle): ...
    """
    project = collect({"stations.py": source})

    assert project.faults() == ()
    assert project.route("boil") == ()


def test_parametrized_fixture_requested_by_a_check_is_a_fault(collect: Collect) -> None:
    """A check cannot request a parametrized fixture that its station does not request."""
    fixture = "@pytest.fixture(params=[1, 2])\ndef cups(request): ...\n\n"
    check = "@boil.check\ndef is_hot(cups): ...\n"
    project = collect({"stations.py": fixture + BOIL + check})

    [fault] = project.faults()

    assert isinstance(fault, ParametrizedFixture)


def test_check_may_request_a_parametrized_fixture_of_its_station(collect: Collect) -> None:
    """A check may request a parametrized fixture that its station requests as well."""
    fixture = "@pytest.fixture(params=[1, 2])\ndef cups(request): ...\n\n"
    boil = "@station\ndef boil(cups): ...\n\n@boil.check\ndef is_hot(cups): ...\n"
    project = collect({"stations.py": fixture + boil})

    assert project.faults() == ()
    assert set(project.registry.items) == {"stations.py::boil[1]", "stations.py::boil[2]"}


def test_visit_and_request_are_not_dependencies(collect: Collect) -> None:
    """The fixtures `visit` and `request` may be requested anywhere in a station."""
    boil = "@station\ndef boil(visit, request): ...\n\n@boil.check\ndef is_hot(visit): ...\n"
    project = collect({"stations.py": boil})

    assert project.faults() == ()
    assert project.route("boil") == ()


# --- cycles


def test_cycle_of_stations_names_them(collect: Collect) -> None:
    """Stations that request each other are one fault, which names them in their order."""
    source = "@station\ndef boil(pour): ...\n\n@station\ndef pour(boil): ...\n"
    project = collect({"stations.py": source})

    [fault] = project.faults()

    assert isinstance(fault, Cycle)
    assert fault.names == ("boil", "pour")
    assert not any("fixture" in step for step in fault.steps)


def test_cycle_through_a_fixture_names_the_fixture(collect: Collect) -> None:
    """The fault names the fixture through which a station waits for another."""
    project = collect(
        {
            "stations.py": """
                @pytest.fixture
                def kettle(pour): ...

                @station
                def boil(kettle): ...

                @station
                def pour(boil): ...
            """
        }
    )

    [fault] = project.faults()

    assert isinstance(fault, Cycle)
    assert [step for step in fault.steps if step.startswith("fixture")] == ["fixture kettle"]


def test_station_that_requests_itself_through_a_fixture_is_a_cycle(collect: Collect) -> None:
    """A station that waits for itself is a cycle of one, with the fixture in between."""
    source = "@pytest.fixture\ndef kettle(boil): ...\n\n@station\ndef boil(kettle): ...\n"
    project = collect({"stations.py": source})

    [fault] = project.faults()

    assert isinstance(fault, Cycle)
    assert fault.names == ("boil",)
    assert "fixture kettle" in fault.steps


def test_same_fault_is_kept_once(collect: Collect) -> None:
    """Calling `route` again adds no fault a second time."""
    source = "@station\ndef boil(pour): ...\n\n@station\ndef pour(boil): ...\n"
    project = collect({"stations.py": source})

    assert project.faults() == project.faults() != ()


# --- fixtures


def test_stations_behind_a_fixture_are_told_apart(collect: Collect) -> None:
    """Of the stations upstream, `upstream_through` returns those that one fixture leads to."""
    project = collect(
        {
            "stations.py": """
                @station
                def fetch(): ...

                @station
                def heat(): ...

                @pytest.fixture
                def kettle(heat): ...

                @pytest.fixture
                def cup(): ...

                @station
                def boil(fetch, kettle, cup): ...
            """
        }
    )
    through = project.dependencies.upstream_through

    assert project.upstream("boil") == ("fetch", "heat")
    assert through(project["boil"], "kettle") == ("stations.py::heat",)
    assert through(project["boil"], "cup") == ()


def test_ordinary_fixtures_of_a_station_are_its_code(collect: Collect) -> None:
    """Ordinary fixtures of a station are its code, overridden ones included, but stations are not."""
    project = collect(
        {
            "conftest.py": "@pytest.fixture\ndef kettle(): ...\n",
            "stations.py": """
                @station
                def fetch(): ...

                @pytest.fixture
                def kettle(kettle): ...

                @station
                def boil(fetch, kettle): ...
            """,
        }
    )

    ordinary = project.dependencies.ordinary_fixtures()["stations.py::boil"]

    named = [(each.__module__, each.__name__) for each in ordinary]
    assert [name for name in named if name[1] == "kettle"] == [
        ("stations", "kettle"),
        ("conftest", "kettle"),
    ]
    assert "fetch" not in [name for _, name in named]


def test_fixture_that_is_overridden_and_not_requested_is_no_code(collect: Collect) -> None:
    """A fixture that another overrides and does not request is not part of the code."""
    project = collect(
        {
            "conftest.py": "@pytest.fixture\ndef kettle(): ...\n",
            "stations.py": "@pytest.fixture\ndef kettle(): ...\n\n@station\ndef boil(kettle): ...\n",
        }
    )

    ordinary = project.dependencies.ordinary_fixtures()["stations.py::boil"]

    assert [each.__module__ for each in ordinary if each.__name__ == "kettle"] == ["stations"]


def test_item_without_fixtures_requests_nothing(collect: Collect) -> None:
    """An item of another type, which requests no fixtures, has nothing upstream."""

    class Recipe(pytest.Item):
        def runtest(self) -> None: ...

    project = collect({"stations.py": BOIL})
    recipe = Recipe.from_parent(project.session, name="recipe")

    assert project.dependencies.upstream_of(recipe) == ()
