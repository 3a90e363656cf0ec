"""Parametrized stations: the instances that a consumer receives, their ids and records."""

from __future__ import annotations

from typing import Any

import pytest
from harness import Project, Run

BOIL = """
@pytest.mark.parametrize("kind", ["green", "black"])
@station
def boil(kind):
    log(f"boil {kind}")
    return kind.upper()
"""


def test_station_is_parametrized_like_a_test(project: Project, mode: str) -> None:
    """Each set of parameters is a station instance with a record of its own."""
    project.stations(BOIL)
    first = project.run("--cc-run")

    second = project.run("--cc-run")

    assert first.keys == {
        "stations.py::boil[green]": "visited",
        "stations.py::boil[black]": "visited",
    }
    assert sorted(second.unchanged) == sorted(first.visited)
    assert sorted(project.log()) == ["boil black", "boil green"]


def test_same_argument_name_receives_the_instance(project: Project, mode: str) -> None:
    """A station and a test with the same argument receive the instance with the same value."""
    project.stations(
        BOIL
        + """
@pytest.mark.parametrize("kind", ["black", "green"])
@station
def pour(boil, kind):
    log(f"pour {kind} {boil}")
"""
    )
    project.write(
        "test_it.py",
        """
        import pytest

        @pytest.mark.parametrize("kind", ["green"])
        def test_it(kind, boil):
            assert boil == "GREEN"
        """,
    )

    run = project.run("--cc-run")

    assert set(run.log) == {"boil green", "boil black", "pour black BLACK", "pour green GREEN"}
    assert run.tests == {"test_it[green]": "passed"}
    assert run.facts["stations.py::pour[black]"]["upstream"] == ["boil[black]"]


def test_consumer_without_the_argument_receives_all(project: Project, mode: str) -> None:
    """A consumer without the argument receives a dict of all outcomes by parameter id."""
    project.stations(BOIL + "\n@station\ndef serve(boil):\n    log(boil)\n")
    project.write(
        "test_it.py", "def test_it(boil): assert boil == {'green': 'GREEN', 'black': 'BLACK'}"
    )

    run = project.run("--cc-run")

    assert "{'green': 'GREEN', 'black': 'BLACK'}" in run.log
    assert run.tests == {"test_it": "passed"}
    assert run.facts["stations.py::serve"]["upstream"] == ["boil[green]", "boil[black]"]


def test_consumer_of_one_of_two_arguments_receives_the_matching_instances(project: Project) -> None:
    """A consumer with one of two arguments receives a dict of the instances that match it."""
    project.stations(
        """
        @pytest.mark.parametrize("kind", ["green", "black"])
        @pytest.mark.parametrize("cup", [1, 2])
        @station
        def boil(kind, cup):
            return f"{kind}{cup}"

        @pytest.mark.parametrize("kind", ["green", "black"])
        @station
        def serve(boil, kind):
            log((kind, boil))
        """
    )

    run = project.run("--cc-run")

    assert run.log == (
        "('green', {'1-green': 'green1', '2-green': 'green2'})",
        "('black', {'1-black': 'black1', '2-black': 'black2'})",
    )
    assert len(run.visited) == 6


def test_consumer_with_a_further_argument_receives_the_instance(project: Project) -> None:
    """A consumer with the argument and another one receives the instance, for each of its sets."""
    project.stations(
        BOIL
        + """
@pytest.mark.parametrize("kind", ["green"])
@pytest.mark.parametrize("cup", [1, 2])
@station
def pour(boil, kind, cup):
    log((boil, cup))
"""
    )

    run = project.run("--cc-run")

    assert run.log == ("boil green", "boil black", "('GREEN', 1)", "('GREEN', 2)")


def test_plain_station_serves_every_instance(project: Project) -> None:
    """Each instance of a parametrized consumer receives the one outcome of a plain station."""
    project.stations(
        """
        @station
        def water():
            log("water")
            return "water"

        @pytest.mark.parametrize("kind", ["green", "black"])
        @station
        def boil(kind, water):
            log(f"{kind} {water}")
        """
    )

    run = project.run("--cc-run")

    assert run.log == ("water", "green water", "black water")


def test_value_that_no_instance_has_is_a_fault(project: Project) -> None:
    """A station with a value that no upstream instance has is a fault, with consumer and value."""
    project.stations(
        BOIL + "\n@pytest.mark.parametrize('kind', ['red'])\n@station\ndef pour(boil, kind): ...\n"
    )

    run = project.run("--cc-run")

    assert run.exit_code == 2
    assert run.collect_errors == (
        (
            "stations.py::pour[red] requests 'boil' with kind='red', "
            "but the station is not parametrized with that; give both the same values"
        ),
    )


@pytest.mark.parametrize("option", ["--cc-run", "--cc-check", ""])
def test_value_of_a_test_that_no_instance_has_is_its_error_alone(
    project: Project, option: str
) -> None:
    """A test with a value that no instance has fails with an error, and other tests do not."""
    project.stations(BOIL)
    project.write(
        "test_it.py",
        """
        import pytest

        @pytest.mark.parametrize("kind", ["red", "green"])
        def test_one(boil, kind):
            assert boil == kind.upper()

        def test_all(boil):
            assert len(boil) == 2
        """,
    )
    project.run("--cc-run")

    run = project.run(*filter(None, [option]))

    assert run.tests == {
        "test_one[red]": "failed",
        "test_one[green]": "passed",
        "test_all": "passed",
    }
    assert run.errors["test_one[red]"] == (
        "test_it.py::test_one[red] requests 'boil' with kind='red', "
        "but the station is not parametrized with that; give both the same values"
    )


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        pytest.param("[1, 2]", "[1, 2]", id="list"),
        pytest.param("{'a': 1}", "{'a': 1}", id="dict"),
        pytest.param("1.5", "1.5", id="float"),
        pytest.param("None", "None", id="nothing"),
        pytest.param("Path('x')", "Path('x')", id="path"),
    ],
)
def test_values_match_by_equality(project: Project, mine: str, theirs: str) -> None:
    """Values match if they are equal and of the same type, hashable or not."""
    project.stations(
        f"""
        from pathlib import Path

        @pytest.mark.parametrize("kind", [{mine}, "other"])
        @station
        def boil(kind):
            return repr(kind)

        @pytest.mark.parametrize("kind", [{theirs}])
        @station
        def pour(boil, kind):
            assert boil == repr(kind)
        """
    )

    run = project.run("--cc-run")

    assert (run.closing, run.exit_code) == ("3 visited", 0)


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        pytest.param("[1, True, 1.0]", "[True, 1.0, 1]", id="of different types"),
        pytest.param("[1, [2], 3]", "[1, [2], 3]", id="one without a hash"),
    ],
)
def test_each_value_matches_its_own_instance(project: Project, mine: str, theirs: str) -> None:
    """Values match their own instances, even if they equal other values or have no hash."""
    project.stations(
        f"""
        @pytest.mark.parametrize("kind", {mine})
        @station
        def boil(kind):
            return repr(kind)

        @pytest.mark.parametrize("kind", {theirs})
        @station
        def pour(boil, kind):
            assert boil == repr(kind)
        """
    )

    run = project.run("--cc-run")

    assert (run.closing, run.exit_code) == ("6 visited", 0)


def test_ids_name_the_instances(project: Project) -> None:
    """Ids of parameters name the instances and the keys of a fan-in."""
    project.stations(
        """
        @pytest.mark.parametrize("size", [pytest.param(1, id="small"), pytest.param(2, id="a b/c")])
        @station
        def boil(size):
            return size

        @station
        def serve(boil):
            log(boil)
        """
    )

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert first.visited == second.unchanged == ("boil[small]", "boil[a b/c]", "serve")
    assert first.log == ("{'small': 1, 'a b/c': 2}",)


def test_one_instance_is_selected_by_node_id(project: Project) -> None:
    """A node id with parameters selects one instance."""
    project.stations(BOIL)

    run = project.run("--cc-run", "stations.py::boil[black]")

    assert (run.visited, run.log) == (("boil[black]",), ("boil black",))


def test_failing_instance_blocks_only_its_own_downstream(project: Project) -> None:
    """An instance that fails blocks the consumers of that instance, not of its siblings."""
    project.stations(
        """
        @pytest.mark.parametrize("kind", ["green", "black"])
        @station
        def boil(kind):
            assert kind == "green"

        @pytest.mark.parametrize("kind", ["green", "black"])
        @station
        def pour(boil, kind): ...

        @station
        def serve(pour): ...
        """
    )

    run = project.run("--cc-run")

    assert run.visited == ("boil[green]", "pour[green]")
    assert run.failed == ("boil[black]",)
    assert run.blamed == {"pour[black]": ("boil[black]",), "serve": ("boil[black]",)}


def test_changed_value_leaves_siblings_alone(project: Project) -> None:
    """A changed value of one parameter set visits that instance and leaves its siblings alone."""
    project.stations(
        """
        @pytest.mark.parametrize(
            "size", [pytest.param(1, id="small"), pytest.param(2, id="large")]
        )
        @station
        def boil(size):
            return size
        """
    )
    project.run("--cc-run")
    project.edit("stations.py", "param(2", "param(3")

    run = project.run("--cc-run")

    assert (run.visited, run.unchanged) == (("boil[large]",), ("boil[small]",))
    assert run.reasons["boil[large]"] == ("parameter size changed: 2 -> 3",)


def test_parameter_in_a_path_is_that_of_the_instance(project: Project) -> None:
    """A file that one instance reads is an input of that instance, and so is its product."""
    for sample in ("a", "b"):
        project.write(f"data/{sample}.fastq", sample)
    project.stations(
        """
        from pathlib import Path

        HERE = Path(__file__).parent

        @station(files=["data/{sample}.fastq"], products=["out/{sample}.bam"])
        @pytest.mark.parametrize("sample", ["a", "b"])
        def align(sample) -> None:
            (HERE / "out").mkdir(exist_ok=True)
            text = (HERE / "data" / f"{sample}.fastq").read_text()
            (HERE / "out" / f"{sample}.bam").write_text(text)
        """
    )
    project.run("--cc-run")
    project.write("data/b.fastq", "c")
    changed = project.run("--cc-run")
    project.remove("out/a.bam")

    missing = project.run("--cc-run")

    assert changed.results == {"align[a]": "unchanged", "align[b]": "visited"}
    assert changed.reasons["align[b]"] == ("file data/b.fastq changed",)
    assert missing.reasons["align[a]"] == ("product out/a.bam is missing",)


def test_indirect_parameters_reach_the_fixture(project: Project) -> None:
    """An indirect parameter goes through its fixture, and matches by the value given."""
    project.stations(
        """
        @pytest.fixture
        def kind(request):
            return f"<{request.param}>"

        @pytest.mark.parametrize("kind", ["green", "black"], indirect=True)
        @station
        def boil(kind):
            return kind

        @pytest.mark.parametrize("kind", ["green"], indirect=True)
        @station
        def pour(boil, kind):
            log((boil, kind))
        """
    )

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert first.log == ("('<green>', '<green>')",)
    assert first.visited == second.unchanged == ("boil[green]", "boil[black]", "pour[green]")


def test_parametrized_fixture_makes_instances(project: Project) -> None:
    """A fixture with params makes one instance of the station for each."""
    project.stations(
        """
        @pytest.fixture(params=["green", "black"])
        def kind(request):
            return request.param

        @station
        def boil(kind):
            return kind

        @station
        def pour(boil, kind):
            log((boil, kind))
        """
    )

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert first.log == ("('green', 'green')", "('black', 'black')")
    assert second.closing == "4 unchanged"
    assert second.log == ()


def test_outcomes_of_instances_go_through_a_fixture_of_function_scope(project: Project) -> None:
    """A function fixture receives the instance that matches its consumer."""
    project.stations(
        BOIL
        + """
@pytest.fixture
def cup(boil):
    return f"cup of {boil}"

@pytest.mark.parametrize("kind", ["green", "black"])
@station
def pour(cup, kind):
    log(cup)
"""
    )

    run = project.run("--cc-run")

    assert run.log == ("boil green", "boil black", "cup of GREEN", "cup of BLACK")


def test_outcomes_of_instances_go_through_a_session_fixture_as_a_dict(project: Project) -> None:
    """A fixture that outlives its consumer receives all instances, by parameter id."""
    project.stations(
        BOIL
        + """
@pytest.fixture(scope="session")
def cups(boil):
    return boil

@pytest.mark.parametrize("kind", ["green", "black"])
@station
def pour(cups, kind):
    log(cups[kind])
"""
    )

    run = project.run("--cc-run")

    assert run.log == ("boil green", "boil black", "GREEN", "BLACK")


WIDE = """
@pytest.fixture(scope="session")
def cups(boil):
    return boil

@pytest.mark.parametrize("kind", ["green", "black"])
@station
def pour(cups, kind):
    return dict(cups)
"""


def test_session_fixture_waits_for_all_instances(project: Project, mode: str) -> None:
    """A consumer of all instances is due when one of them changes, and blocked when one fails."""
    project.stations(BOIL + WIDE)
    project.run("--cc-run")
    project.edit("stations.py", "return kind.upper()", "return kind.upper() + kind[-1]")
    changed = project.run("--cc-run", "--cc-replay", "boil[black]")
    project.edit("stations.py", "return kind.upper()", "assert kind == 'green'; return kind")

    broken = project.run("--cc-run")

    due = ("outcome of boil[black] changed", "outcome of boil[green] changed")
    assert changed.reasons["pour[green]"] == changed.reasons["pour[black]"] == due
    assert broken.blamed == {"pour[green]": ("boil[black]",), "pour[black]": ("boil[black]",)}


def test_test_with_a_module_fixture_waits_for_all_instances(project: Project, mode: str) -> None:
    """A parametrized test that receives all instances through a fixture is blocked when one fails."""
    project.stations(BOIL.replace('log(f"boil {kind}")', 'assert kind == "green"'))
    project.write(
        "test_it.py",
        """
        import pytest

        @pytest.fixture(scope="module")
        def cups(boil):
            return boil

        @pytest.fixture(scope="module")
        def tray(cups):
            return cups

        @pytest.mark.parametrize("kind", ["green"])
        def test_all(kind, tray):
            pass

        @pytest.mark.parametrize("kind", ["green"])
        def test_one(kind, boil):
            assert boil == "GREEN"
        """,
    )

    run = project.run("--cc-run")

    assert run.tests["test_one[green]"] == "passed"
    blocked = [fact for fact in _all_facts(run) if fact["name"] == "test_all[green]"]
    assert [fact["by"] for fact in blocked] == [["boil[black]"]]


def _all_facts(run: Run) -> list[dict[str, Any]]:
    found = {r["node_id"]: r["choochoo"] for r in run.reports if r["choochoo"]}
    return list(found.values())


def test_function_fixture_follows_the_parameters_from_its_first_use_on(project: Project) -> None:
    """A failed sibling instance does not block a consumer that uses a function fixture."""
    project.stations(
        BOIL.replace('log(f"boil {kind}")', 'assert kind == "green"')
        + """
@pytest.fixture
def cup(boil):
    return f"cup of {boil}"

@pytest.mark.parametrize("kind", ["green", "black"])
@station
def pour(cup, kind):
    log(cup)
"""
    )

    run = project.run("--cc-run")

    assert run.results == {
        "boil[green]": "visited",
        "boil[black]": "failed",
        "pour[green]": "visited",
        "pour[black]": "blocked",
    }
    assert run.log == ("cup of GREEN",)


def test_instance_that_requests_its_siblings_is_a_cycle(project: Project) -> None:
    """A check that requests its own station through a session fixture requests all instances."""
    project.stations(
        BOIL
        + """
@pytest.fixture(scope="session")
def cups(boil):
    return boil

@boil.check
def is_hot(cups, kind):
    assert cups == kind.upper()
"""
    )

    run = project.run("--cc-run")

    assert run.log == ()
    assert run.exit_code == pytest.ExitCode.INTERRUPTED
    assert (
        "stations wait for each other: boil[green] (stations.py:5) -> fixture cups -> "
        "boil[black] (stations.py:5) -> fixture cups -> boil[green]" in " ".join(run.text.split())
    )


def test_parametrized_class_receives_instances(project: Project) -> None:
    """Instances match a parametrized test class and `pytestmark` as they match a function."""
    project.stations(BOIL)
    project.write(
        "test_it.py",
        """
        import pytest

        @pytest.mark.parametrize("kind", ["black"])
        class TestIt:
            def test_it(self, kind, boil):
                assert boil == "BLACK"
        """,
    )

    run = project.run("--cc-run")

    assert run.tests == {"test_it[black]": "passed"}


def test_checks_and_cleans_receive_the_parameters(project: Project) -> None:
    """A check and a clean may request the parameters of their station, and matching upstream."""
    project.stations(
        BOIL
        + """
@pytest.mark.parametrize("kind", ["green"])
@station
def pour(kind) -> str:
    return f"poured {kind}"

@pour.check
def is_poured(kind, boil, pour):
    log(f"check {kind} {boil} {pour}")

@pour.clean
def empty(kind, boil, pour):
    log(f"clean {kind} {boil} {pour}")
    raise RuntimeError("enough seen")
"""
    )
    project.run("--cc-run")

    project.run("--cc-clean", "-k", "pour")

    assert project.log() == (
        "boil green",
        "boil black",
        "check green GREEN poured green",
        "clean green GREEN poured green",
    )


def test_parameter_without_instances_is_skipped(project: Project) -> None:
    """A station with an empty parameter set is skipped, as pytest skips such tests."""
    project.stations("@pytest.mark.parametrize('kind', [])\n@station\ndef boil(kind): ...\n")

    run = project.run("--cc-run")

    assert (run.closing, run.exit_code) == ("1 skipped", 0)


def test_marks_of_one_parameter_set_hold_for_its_instance(project: Project) -> None:
    """A mark on one parameter set affects that instance only."""
    project.stations(
        """
        @pytest.mark.parametrize(
            "kind", ["green", pytest.param("black", marks=pytest.mark.skip(reason="sold out"))]
        )
        @station
        def boil(kind): ...
        """
    )

    run = project.run("--cc-run")

    assert (run.visited, run.causes) == (("boil[green]",), {"boil[black]": "sold out"})


def test_pytest_generate_tests_parametrizes_stations(project: Project) -> None:
    """A `pytest_generate_tests` hook parametrizes a station like a test."""
    project.write(
        "conftest.py",
        """
        def pytest_generate_tests(metafunc):
            if "kind" in metafunc.fixturenames:
                metafunc.parametrize("kind", ["green", "black"])
        """,
    )
    project.stations("@station\ndef boil(kind):\n    return kind\n")

    run = project.run("--cc-run")

    assert run.visited == ("boil[green]", "boil[black]")


def test_getfixturevalue_receives_the_instance(project: Project) -> None:
    """At run time, a test or a fixture receives the outcome for its own parameter value."""
    project.stations(BOIL)
    project.write(
        "test_it.py",
        """
        import pytest

        @pytest.fixture
        def cup(request):
            return request.getfixturevalue("boil")

        @pytest.mark.parametrize("kind", ["green", "black"])
        def test_it(kind, cup, request):
            assert cup == request.getfixturevalue("boil") == kind.upper()
        """,
    )

    run = project.run("--cc-run")

    assert run.tests == {"test_it[green]": "passed", "test_it[black]": "passed"}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        pytest.param("object()", "object", id="without-a-digest"),
        pytest.param(
            "ENDLESS", "list, which contains itself or is nested too deeply", id="endless"
        ),
    ],
)
def test_parameter_without_digest_fails_its_station(
    project: Project, value: str, kind: str
) -> None:
    """A parameter without a stable digest is an error with station, parameter and type."""
    project.stations(
        f"""
        ENDLESS = []
        ENDLESS.append(ENDLESS)

        @pytest.mark.parametrize("kettle", [pytest.param({value}, id="red")])
        @station
        def boil(kettle): ...
        """
    )

    run = project.run("--cc-run")

    assert run.errors == {
        "boil[red]": f"station 'boil': parameter 'kettle' has no stable digest ({kind}); "
        "use plain data: numbers, strings, bytes, collections, dataclasses, enums, paths or dates"
    }


REGIONS = """
regions = pytest.mark.parametrize("region", ["eu", "us"])

@station
@regions
def fetch(region):
    log(f"fetch {region}")
    return region
"""

ODD = {
    "setup_module in a package": ("tests/__init__.py", "", "def setup_module(): ..."),
    "a fixture whose name is not an identifier": (
        "conftest.py",
        """
        import pytest

        @pytest.fixture(name="my-db", autouse=True)
        def my_db(): ...
        """,
        "",
    ),
}


@pytest.mark.parametrize(("file", "text", "head"), ODD.values(), ids=ODD)
def test_fixtures_may_have_names_that_no_parameter_could_have(
    project: Project, file: str, text: str, head: str
) -> None:
    """Fixture names that are not identifiers do not affect the instances."""
    project.stations(REGIONS)
    project.write(file, text)
    project.write(
        "tests/test_it.py",
        f"""
        import pytest
        {head}

        @pytest.mark.parametrize("region", ["eu", "us"])
        def test_it(region, fetch): assert fetch == region
        """,
    )

    run = project.run("--cc-run")

    assert (run.exit_code, run.closing, run.last_line) == (0, "2 visited", "4 passed")


def test_test_in_a_class_waits_for_the_stations_of_its_fixtures(project: Project) -> None:
    """A method that requests all instances through a session fixture adds all of them."""
    project.stations(REGIONS)
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture(scope="session")
        def all_of(fetch): return sorted(fetch)
        """,
    )
    project.write(
        "test_it.py",
        """
        import pytest

        class TestIt:
            @pytest.mark.parametrize("region", ["eu"])
            def test_it(self, region, all_of): assert all_of == ["eu", "us"]
        """,
    )

    run = project.run("--cc-run", "test_it.py")

    assert (run.exit_code, run.closing) == (0, "2 visited")


def test_parameters_that_cannot_be_compared_match_by_identity(
    project: Project,
) -> None:
    """Values like arrays, without a hash or a truth value of ==, still match their instances."""
    project.stations(
        """
        class Array:
            __hash__ = None

            def __init__(self, size): self.size = size
            def __eq__(self, other): raise ValueError("ambiguous")

        arrays = pytest.mark.parametrize("array", [Array(1), Array(2)])

        @station(version="1")
        @arrays
        def load(array): return array.size
        """
    )
    project.write(
        "test_it.py",
        """
        from stations import arrays

        @arrays
        def test_it(array, load): assert load == array.size
        """,
    )

    run = project.run("test_it.py")

    assert "ambiguous" not in run.text


# --- in order

MIGRATIONS = """
    from pathlib import Path

    @station(in_order=True)
    @pytest.mark.parametrize("version", ["1", "3"])
    def migrate(version) -> str:
        assert not Path(__file__).with_name(f"broken-{version}").exists()
        log(version)
        return version

    @station
    def serve(migrate: dict[str, str]) -> list[str]:
        return list(migrate)
"""


def test_instances_run_in_order(project: Project, mode: str) -> None:
    """A chain of migrations is visited one by one; one added in the middle visits no other."""
    project.stations(MIGRATIONS)
    first = project.run("--cc-run")
    project.edit("stations.py", '["1", "3"]', '["1", "2", "3"]')

    added = project.run("--cc-run")

    assert first.log == ("1", "3")
    assert added.results == {
        "migrate[1]": "unchanged",
        "migrate[2]": "visited",
        "migrate[3]": "unchanged",
        "serve": "visited",
    }
    assert set(project.run("--cc-run").results.values()) == {"unchanged"}


def test_earlier_instance_that_fails_blocks_later_ones(project: Project) -> None:
    """A migration after a failed one is not begun."""
    project.stations(MIGRATIONS)
    project.write("broken-1", "")

    run = project.run("--cc-run")

    assert run.results == {"migrate[1]": "failed", "migrate[3]": "blocked", "serve": "blocked"}


def test_selected_instance_brings_earlier_ones(project: Project) -> None:
    """An instance needs those before it, by selection as by `+x`."""
    project.stations(MIGRATIONS)

    selected = project.run("--cc-run", "stations.py::migrate[3]")
    replayed = project.run("--cc-replay", "+migrate[3]")

    assert selected.log == replayed.log == ("1", "3")
