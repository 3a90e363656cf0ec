"""The plan of a run: the jobs that items are, and its form as text."""

from __future__ import annotations

import msgspec
import pytest

from pytest_choochoo.engine.ledger.record import Record, Result, to_text
from pytest_choochoo.engine.route import StationInfo
from pytest_choochoo.engine.timetable import Batch, Job
from pytest_choochoo.parallel.run_plan import (
    DamagedPlan,
    IncompletePlan,
    RunPlan,
    job_of_station,
    job_of_test,
    module_of,
    read_plan,
    require_complete,
    shares,
)


@pytest.fixture(scope="module")
def kettle() -> None: ...


@pytest.fixture(scope="class")
def sieve() -> None: ...


@pytest.fixture(scope="session")
def stove() -> None: ...


@pytest.fixture
def cup() -> None: ...


def test_test_is_a_job_of_its_module(request: pytest.FixtureRequest) -> None:
    """The job of a test waits for stations, and has no known duration."""
    item = request.node

    assert job_of_test(item, ("stations.py::boil",)) == Job(
        key=item.nodeid,
        waits=("stations.py::boil",),
        module=item.nodeid.partition("::")[0],
        shares=shares(item),
    )


def test_station_is_a_job_without_a_module(request: pytest.FixtureRequest) -> None:
    """The job of a station has the duration in its last record, if there is one."""
    item = request.node
    record = Record(status="complete", since=0.0, seconds=7.0)
    unknown = Record(status="failed", since=0.0)

    assert job_of_station(item, (), record) == Job(key=item.nodeid, seconds=7.0)
    for each in (None, unknown):
        assert job_of_station(item, (), each).seconds is None


@pytest.mark.xdist_group("stove")
@pytest.mark.xdist_group(name="kettle")
@pytest.mark.xdist_group
@pytest.mark.xdist_group("stove")
def test_groups_are_read_as_xdist_reads_them(request: pytest.FixtureRequest) -> None:
    """Groups are given by position, by keyword, or by default, and each counts once."""
    assert sorted(job_of_station(request.node, (), None).groups) == ["default", "kettle", "stove"]
    assert job_of_test(request.node, ()).groups == job_of_station(request.node, (), None).groups


@pytest.mark.usefixtures("kettle")
def test_module_fixture_is_shared(request: pytest.FixtureRequest) -> None:
    """Tests of one module that request a module fixture stay in one worker."""
    assert shares(request.node)


@pytest.mark.usefixtures("sieve")
def test_class_fixture_is_shared(request: pytest.FixtureRequest) -> None:
    """Tests of one module that request a class fixture stay in one worker."""
    assert shares(request.node)


@pytest.mark.usefixtures("stove", "cup")
def test_other_fixtures_are_not_shared(request: pytest.FixtureRequest) -> None:
    """Session and function fixtures do not keep tests in one worker."""
    assert not shares(request.node)


def test_item_that_is_not_a_function_counts_as_sharing(request: pytest.FixtureRequest) -> None:
    """The fixtures of such an item are unknown, so it stays with its module."""
    assert shares(request.node.parent)


@pytest.mark.parametrize(
    ("key", "module"),
    [("stations.py::boil", "stations.py"), ("a/test_it.py::Test::test[a::b]", "a/test_it.py")],
)
def test_module_of_an_item_is_the_beginning_of_its_node_id(key: str, module: str) -> None:
    """The module ends at the first `::`, even if a parameter id contains another one."""
    assert module_of(key) == module


def test_plan_survives_its_form_as_text() -> None:
    """A plan is the same after its way through the ledger as JSON text."""
    station = StationInfo(
        key="stations.py::pour",
        name="pour",
        title="Pour",
        upstream=("stations.py::boil",),
        needs=("boil",),
        line=3,
    )
    plan = RunPlan(
        stations=[station],
        header=("choochoo: 1 needed station added: boil",),
        settled=[station.result("unchanged")],
        batches=[Batch(items=(1, 2), waits=(0,), seconds=None, groups=("stove",))],
    )

    assert msgspec.json.decode(to_text(plan), type=RunPlan) == plan
    assert plan.settled == [
        Result(key=station.key, name="pour", title="Pour", word="unchanged", upstream=("boil",))
    ]


A = StationInfo(key="a", name="a", title="a", upstream=(), needs=(), line=0)


@pytest.mark.parametrize(
    ("batches", "cause"),
    [
        ([Batch(items=(0, 1, 2))], "it has item 2 of 2"),
        ([Batch(items=(-1, 0, 1))], "it has item -1 of 2"),
        ([Batch(items=(0,)), Batch(items=(1, 0))], "it has a twice"),
        ([Batch(items=(0, 1), waits=(1,))], "a batch waits for one that does not exist"),
        (
            [Batch(items=(0,), waits=(1,)), Batch(items=(1,), waits=(0,))],
            "batches wait for each other",
        ),
    ],
)
def test_plan_that_nobody_can_follow_is_an_error(batches: list[Batch], cause: str) -> None:
    """A plan with items or batches that do not exist would hang, or fail in the middle of a run."""
    plan = RunPlan(stations=[A], header=(), settled=[], batches=batches)

    with pytest.raises(DamagedPlan) as caught:
        require_complete(plan, ["a", "b"])

    assert str(caught.value) == (
        f"the plan of the workers is damaged ({cause}): nothing was run; run again"
    )


def test_plan_that_settles_more_than_its_stations_is_an_error() -> None:
    """A settled item is a station of the plan, and is not in a batch as well."""
    result = Result(key="a", name="a", title="a", word="unchanged")
    for stations, batch, cause in (
        ([], Batch(items=(1,)), "it settles a, which is no station"),
        ([A], Batch(items=(0, 1)), "it has a twice"),
    ):
        plan = RunPlan(stations=stations, header=(), settled=[result], batches=[batch])
        with pytest.raises(DamagedPlan) as caught:
            require_complete(plan, ["a", "b"])
        assert caught.value.cause == cause


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"stations": 1}', "{}", "\ud800"])
def test_text_that_is_no_plan_is_an_error(text: str) -> None:
    """A plan that was cut off, or is something else, is an error of ours."""
    with pytest.raises(DamagedPlan):
        read_plan(text)


def test_plan_that_leaves_out_items_is_an_error() -> None:
    """Each item is in a batch or settled; else nothing would run, and the run would be green."""
    result = Result(key="a", name="a", title="a", word="unchanged")
    plan = RunPlan(stations=[A], header=(), settled=[result], batches=[Batch(items=(1,))])
    require_complete(plan, ["a", "b"])

    with pytest.raises(IncompletePlan) as caught:
        require_complete(plan, ["a", "b", "c", "d", "e", "f"])

    assert str(caught.value) == (
        "the plan of the workers leaves out c, d, e, …: nothing was run; run again"
    )
