"""Who may start, who is under way, and what goes first."""

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


def departing(timetable: Timetable) -> list[int]:
    """Return all that may start now, in the order in which it does."""
    return list(iter(timetable.start_next, None))


def test_what_waits_for_nothing_departs_at_once() -> None:
    assert departing(Timetable([batch(0), batch(1, 0), batch(2)])) == [0, 2]


def test_arrival_lets_followers_depart() -> None:
    timetable = Timetable([batch(0), batch(1), batch(2, 0, 1)])
    departing(timetable)

    timetable.finish(0)
    assert departing(timetable) == []

    timetable.finish(1)
    assert departing(timetable) == [2]


def test_leg_named_twice_is_waited_for_once() -> None:
    timetable = Timetable([batch(0), batch(1, 0, 0)])
    departing(timetable)
    timetable.finish(0)
    assert departing(timetable) == [1]


def test_longest_remaining_path_goes_first() -> None:
    """Not the longest batch: what most is left to be done behind."""
    timetable = Timetable(
        [batch(0, seconds=5), batch(1, seconds=1), batch(2, 1, seconds=6), batch(3, seconds=2)]
    )
    assert departing(timetable) == [1, 0, 3]


def test_equal_paths_go_in_order() -> None:
    assert departing(Timetable([batch(number) for number in range(5)])) == [0, 1, 2, 3, 4]


def test_unknown_duration_counts_as_the_median() -> None:
    timetable = Timetable(
        [batch(0, seconds=1), batch(1, seconds=None), batch(2, seconds=3), batch(3, seconds=9)]
    )
    assert departing(timetable) == [3, 1, 2, 0]


def test_group_is_never_under_way_twice() -> None:
    timetable = Timetable(
        [batch(0, groups="a"), batch(1, groups="ab"), batch(2, groups="b"), batch(3)]
    )

    assert departing(timetable) == [0, 2, 3]
    timetable.finish(0)
    assert departing(timetable) == []
    timetable.finish(2)
    assert departing(timetable) == [1]


def test_turned_back_leg_departs_anew() -> None:
    timetable = Timetable([batch(0), batch(1, 0)])
    timetable.start_next()
    timetable.requeue(0)
    assert departing(timetable) == [0]


def test_what_is_not_under_way_cannot_arrive() -> None:
    with pytest.raises(ValueError, match="batch 0 is not under way"):
        Timetable([batch(0)]).finish(0)


def test_stations_are_legs_and_know_whom_they_wait_for() -> None:
    jobs = {
        3: Job(key="boil", seconds=2, groups=("stove",)),
        4: Job(key="pour", waits=("boil", "gone")),
    }
    assert batches(jobs, workers=2) == [
        Batch(items=(3,), seconds=2, groups=("stove",)),
        Batch(items=(4,), waits=(0,), seconds=None),
    ]


def test_tests_of_a_module_that_share_something_stay_together() -> None:
    jobs = {
        number: Job(key=f"test_{number}", module="ab"[number % 2], shares=number < 2)
        for number in range(6)
    }
    assert [each.items for each in batches(jobs, workers=4)] == [(0, 2, 4), (1, 3, 5)]


def test_tests_of_a_module_that_share_nothing_keep_all_workers_busy() -> None:
    jobs = {number: Job(key=f"test_{number}", module="a") for number in range(6)}
    assert [each.items for each in batches(jobs, workers=2)] == [(0, 1), (2, 3), (4, 5)]


@pytest.mark.parametrize(
    ("long", "groups", "follower"),
    [(None, (), 2), (0.01, (), 2), (2.0, (), None), (0.01, ("stove",), None)],
)
def test_what_most_depends_on_is_not_overtaken_from_behind(
    long: float | None, groups: tuple[str, ...], follower: int | None
) -> None:
    """Behind a batch goes the follower with the longest path, or none where it is not to be bound."""
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
    jobs = {0: Job(key="boil")} | {
        number: Job(key=f"test_{number}", module="a", waits=("boil",)) for number in range(1, 10)
    }
    assert [each.items for each in batches(jobs, workers=2)] == [
        (0,),
        (1, 2, 3),
        (4, 5, 6),
        (7, 8, 9),
    ]


def test_tests_leave_the_right_of_way_to_stations() -> None:
    jobs = {0: Job(key="test_a", module="a"), 1: Job(key="boil")}
    made = batches(jobs, workers=1)
    assert [made[number].items for number in departing(Timetable(made))] == [(1,), (0,)]


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
def test_everything_arrives_with_any_number_of_workers(
    route: tuple[Batch, ...], workers: int
) -> None:
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
    def it_knows_what_is_under_way(self) -> None:
        assert self.timetable.under_way == set(self.under_way)
        assert self.timetable.is_over == (len(self.finished) == len(self.route))


def test_whatever_workers_do_nothing_departs_early_or_twice() -> None:
    run_state_machine_as_test(Run)
