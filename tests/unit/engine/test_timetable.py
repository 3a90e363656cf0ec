"""The order of a parallel run: batches that may start, and the order in which they do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pytest_choochoo.engine.timetable import Batch, Job, Timetable, batches


def batch(number: int, *waits: int, seconds: float | None = 1, groups: str = "") -> Batch:
    return Batch(items=(number,), waits=waits, seconds=seconds, groups=tuple(groups))


def started(timetable: Timetable) -> list[int]:
    """Start all batches that may start now, and return them in that order."""
    return list(iter(timetable.start_next, None))


def test_batch_that_waits_for_nothing_starts_at_once() -> None:
    """A batch that waits for no other may start at once."""
    assert started(Timetable([batch(0), batch(1, 0), batch(2)])) == [0, 2]


def test_finished_batches_let_followers_start() -> None:
    """A batch may start when all that it waits for have finished."""
    timetable = Timetable([batch(0), batch(1), batch(2, 0, 1)])
    started(timetable)

    timetable.finish(0)
    assert started(timetable) == []

    timetable.finish(1)
    assert started(timetable) == [2]


def test_batch_named_twice_is_waited_for_once() -> None:
    """A batch may name another twice."""
    timetable = Timetable([batch(0), batch(1, 0, 0)])
    started(timetable)
    timetable.finish(0)
    assert started(timetable) == [1]


def test_longest_remaining_path_goes_first() -> None:
    """The batch with the most work after it goes first, not the longest batch."""
    timetable = Timetable(
        [batch(0, seconds=5), batch(1, seconds=1), batch(2, 1, seconds=6), batch(3, seconds=2)]
    )
    assert started(timetable) == [1, 0, 3]


def test_equal_paths_go_in_order() -> None:
    """Batches with equal paths start in the order of their numbers."""
    assert started(Timetable([batch(number) for number in range(5)])) == [0, 1, 2, 3, 4]


def test_unknown_duration_counts_as_the_median() -> None:
    """A batch that was never measured counts as the median of the others."""
    timetable = Timetable(
        [batch(0, seconds=1), batch(1, seconds=None), batch(2, seconds=3), batch(3, seconds=9)]
    )
    assert started(timetable) == [3, 1, 2, 0]


def test_group_is_never_under_way_twice() -> None:
    """Two batches of one group never run at once."""
    timetable = Timetable(
        [batch(0, groups="a"), batch(1, groups="ab"), batch(2, groups="b"), batch(3)]
    )

    assert started(timetable) == [0, 2, 3]
    timetable.finish(0)
    assert started(timetable) == []
    timetable.finish(2)
    assert started(timetable) == [1]


def test_requeued_batch_starts_again() -> None:
    """A batch that was not finished may start again."""
    timetable = Timetable([batch(0), batch(1, 0)])
    timetable.start_next()
    timetable.requeue(0)
    assert started(timetable) == [0]


def test_batch_that_is_not_under_way_cannot_finish() -> None:
    """A batch must have started before it can finish."""
    with pytest.raises(ValueError, match="batch 0 is not under way"):
        Timetable([batch(0)]).finish(0)


def test_station_is_a_batch_that_waits_for_stations() -> None:
    """A station is a batch of its own, and waits for the batches of its upstream."""
    jobs = {
        3: Job(key="boil", seconds=2, groups=("stove",)),
        4: Job(key="pour", waits=("boil", "gone")),
    }
    assert batches(jobs, workers=2) == [
        Batch(items=(3,), seconds=2, groups=("stove",)),
        Batch(items=(4,), waits=(0,), seconds=None),
    ]


def test_tests_that_share_fixtures_stay_together() -> None:
    """Tests of a module that share fixtures are one batch."""
    jobs = {
        number: Job(key=f"test_{number}", module="ab"[number % 2], shares=number < 2)
        for number in range(6)
    }
    assert [each.items for each in batches(jobs, workers=4)] == [(0, 2, 4), (1, 3, 5)]


def test_tests_that_share_nothing_keep_all_workers_busy() -> None:
    """Tests of a module that share no fixtures are spread over all workers."""
    jobs = {number: Job(key=f"test_{number}", module="a") for number in range(6)}
    assert [each.items for each in batches(jobs, workers=2)] == [(0, 1), (2, 3), (4, 5)]


@pytest.mark.parametrize(
    ("long", "groups", "follower"),
    [(None, (), 2), (0.01, (), 2), (2.0, (), None), (0.01, ("stove",), None)],
)
def test_follower_with_the_longest_path_goes_next(
    long: float | None, groups: tuple[str, ...], follower: int | None
) -> None:
    """The follower with the longest path follows in the same worker, unless it may take long."""
    timetable = Timetable(
        [
            Batch(items=(0,), seconds=0.1),
            Batch(items=(1,), waits=(0,), seconds=0.0),
            Batch(items=(2,), waits=(0,), seconds=long, groups=groups),
        ]
    )
    timetable.start_next()
    assert timetable.start_after(0) == follower


def test_tests_that_wait_keep_all_workers_busy() -> None:
    """Tests that wait for the same stations are spread over all workers."""
    jobs = {0: Job(key="boil")} | {
        number: Job(key=f"test_{number}", module="a", waits=("boil",)) for number in range(1, 10)
    }
    assert [each.items for each in batches(jobs, workers=2)] == [
        (0,),
        (1, 2, 3),
        (4, 5, 6),
        (7, 8, 9),
    ]


def test_stations_go_before_tests() -> None:
    """A station starts before a test that comes first."""
    jobs = {0: Job(key="test_a", module="a"), 1: Job(key="boil")}
    made = batches(jobs, workers=1)
    assert [made[number].items for number in started(Timetable(made))] == [(1,), (0,)]


routes = st.integers(1, 12).flatmap(
    lambda size: st.tuples(
        *(
            st.builds(
                Batch,
                items=st.just((number,)),
                waits=st.lists(st.integers(0, number - 1), max_size=3).map(tuple)
                if number
                else st.just(()),
                seconds=st.none() | st.floats(0, 10),
                groups=st.lists(st.sampled_from("abc"), max_size=2, unique=True).map(tuple),
            )
            for number in range(size)
        )
    )
)


@given(routes, st.integers(1, 4))
def test_everything_finishes_with_any_number_of_workers(
    route: tuple[Batch, ...], workers: int
) -> None:
    """Any number of workers runs each batch once."""
    timetable, under_way, order = Timetable(route), list[int](), list[int]()
    while not timetable.is_over:
        while len(under_way) < workers and (number := timetable.start_next()) is not None:
            under_way.append(number)
        assert under_way, "nothing is under way, and nothing may start"
        order.append(under_way.pop(0))
        timetable.finish(order[-1])
    assert sorted(order) == list(range(len(route)))


class Run(RuleBasedStateMachine):
    """Workers that come, finish and crash in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.route: tuple[Batch, ...] = ()
        self.timetable = Timetable(())
        self.under_way: list[int] = []
        self.finished: set[int] = set()

    @precondition(lambda self: not self.route)
    @rule(route=routes)
    def begin(self, route: tuple[Batch, ...]) -> None:
        self.route, self.timetable = route, Timetable(route)

    @rule()
    def start_next(self) -> None:
        number = self.timetable.start_next()
        if number is None:
            may_start = [
                each
                for each, batch in enumerate(self.route)
                if each not in self.finished
                and each not in self.under_way
                and self.finished.issuperset(batch.waits)
                and not any(
                    set(batch.groups) & set(self.route[other].groups) for other in self.under_way
                )
            ]
            assert not may_start
            return
        assert number not in self.under_way and number not in self.finished
        assert self.finished.issuperset(self.route[number].waits)
        self.under_way.append(number)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(number)
        self.finished.add(number)
        self.timetable.finish(number)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def requeue(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(number)
        self.timetable.requeue(number)

    @invariant()
    def groups_never_overlap(self) -> None:
        groups = [group for number in self.under_way for group in self.route[number].groups]
        assert len(groups) == len(set(groups))

    @invariant()
    def it_knows_when_it_is_over(self) -> None:
        assert self.timetable.is_over == (len(self.finished) == len(self.route))


def test_no_batch_starts_early_or_twice() -> None:
    """No batch starts before its upstream or twice, whatever the workers do."""
    run_state_machine_as_test(Run)
