"""The scheduler, called as xdist calls it, with workers that only remember."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_choochoo.engine.timetable import Batch
from pytest_choochoo.parallel.scheduler import RouteScheduling
from pytest_choochoo.parallel.xdist_internals import NO_ITEM

from .stand_ins import RememberingNode


def batch(item: int, *waits: int, more: tuple[int, ...] = ()) -> Batch:
    """Return a batch whose number is that of its first item, if all batches have one item."""
    return Batch(items=(item, *more), waits=waits, seconds=0.01)


def chain(length: int) -> list[Batch]:
    return [batch(number, *((number - 1,) if number else ())) for number in range(length)]


#: A first batch that goes before all others.
LONG = Batch(items=(0,), seconds=60)


class Run:
    """A scheduler, its workers, and its notices."""

    def __init__(
        self, batches: Sequence[Batch], *, workers: int = 2, looks_ahead: bool = True
    ) -> None:
        self.batches = batches
        self.items = [f"item {number}" for each in batches for number in each.items]
        self.placeholder = len(self.items)
        self.notices: list[str] = []
        self.rejected: list[tuple[str, str]] = []
        self.ended: list[tuple[str, str]] = []
        self.messages_read = 0
        self.has_stopped = False
        config: Any = SimpleNamespace()
        self.scheduler = RouteScheduling(
            config,
            workers=workers,
            looks_ahead=looks_ahead,
            begin=lambda items: self.batches,
            read_messages=self._read_messages,
            reject=lambda node, text: self.rejected.append((node.gateway.id, text)),
            end_worker=lambda node, text: self.ended.append((node.gateway.id, text)),
            notify=self.notices.append,
        )
        self.workers = [self.joins(f"gw{number}") for number in range(workers)]

    def _read_messages(self) -> None:
        self.messages_read += 1

    def joins(self, name: str, items: Sequence[str] | None = None) -> RememberingNode:
        """Let a worker start and collect, as xdist announces it."""
        worker = RememberingNode(name)
        self.scheduler.add_node(worker)
        self.scheduler.add_node_collection(worker, self.items if items is None else items)
        if self.scheduler.collection_is_completed:
            self.scheduler.schedule()
        return worker

    def done(self, worker: RememberingNode, *items: int) -> None:
        for item in items:
            self.scheduler.mark_test_complete(worker, item)

    def stops(self) -> None:
        self.has_stopped = True


def test_nothing_starts_before_all_have_collected() -> None:
    """The first worker waits until the second one has collected."""
    run = Run([batch(0), batch(1)], workers=2)
    alone = Run([batch(0)], workers=2)
    alone.scheduler.remove_node(alone.workers[1])

    assert [worker.sent() for worker in run.workers] == [[0, 2], [1, 2]]
    late = RouteScheduling(
        alone.scheduler.config,
        workers=2,
        looks_ahead=True,
        begin=lambda items: pytest.fail("it began"),
        read_messages=lambda: None,
        reject=lambda node, text: None,
        end_worker=lambda node, text: None,
        notify=lambda text: None,
    )
    late.add_node(RememberingNode())
    assert not late.collection_is_completed
    assert not late.tests_finished


def test_item_without_a_next_one_is_sent_with_the_placeholder() -> None:
    """An item without a next one is sent with the placeholder, as a worker needs to know the next."""
    run = Run([batch(0), batch(1), batch(2)], workers=1)
    [worker] = run.workers

    assert worker.sent() == [0, run.placeholder]
    run.done(worker, 0)
    assert worker.sent() == [1, run.placeholder]


def test_end_of_the_placeholder_is_ignored() -> None:
    """The placeholder is not an item of the run, and may end at any time."""
    run = Run([batch(0)], workers=1)

    run.done(run.workers[0], 0, run.placeholder, run.placeholder)

    assert run.scheduler.tests_finished
    assert run.scheduler.left == 0


def test_chain_is_sent_ahead() -> None:
    """Items that wait for one item alone are sent behind it, up to three, and then one by one."""
    run = Run(chain(5))
    first, second = run.workers

    assert first.sent() == [0, 1, 2]
    run.done(first, 0)
    assert first.sent() == [3]
    run.done(first, 1)
    assert first.sent() == [4]
    run.done(first, 2)
    assert first.sent() == [run.placeholder]
    run.done(first, 3, 4)
    assert (first.sent(), second.sent()) == ([], [])
    assert run.scheduler.tests_finished


def test_nothing_is_sent_ahead_without_looking_ahead() -> None:
    """Without looking ahead, a worker has one item at a time."""
    run = Run(chain(2), looks_ahead=False)
    first, _ = run.workers

    assert first.sent() == [0, run.placeholder]
    run.done(first, 0)
    assert first.sent() == [1, run.placeholder]


def test_batch_stays_together() -> None:
    """The items of a batch go to one worker, with the placeholder when few are left."""
    run = Run([Batch(items=(0, 1, 2, 3)), Batch(items=(4,))])
    first, second = run.workers

    assert (first.sent(), second.sent()) == ([0, 1, 2, 3], [4, run.placeholder])
    run.done(first, 0)
    assert first.sent() == []
    run.done(first, 1)
    assert first.sent() == [run.placeholder]


def test_downstream_of_two_goes_to_the_free_worker() -> None:
    """An item starts as soon as the last item upstream ends."""
    run = Run([batch(0), batch(1), batch(2, 0, 1)])
    first, second = run.workers
    first.sent(), second.sent()

    run.done(first, 0)
    assert (first.sent(), second.sent()) == ([], [])
    run.done(second, 1)
    assert (first.sent(), second.sent()) == ([2, run.placeholder], [])


def test_worker_that_joins_later_is_used() -> None:
    """A replacement that collected the same items gets the next batch."""
    run = Run([batch(0), batch(1)], workers=1)

    assert run.joins("gw1").sent() == [1, run.placeholder]


def test_worker_that_shuts_down_gets_nothing() -> None:
    """After xdist has shut down a worker, it is sent no items."""
    run = Run([batch(0), batch(1)], workers=1)
    [worker] = run.workers
    worker.sent()
    worker.shutdown()

    run.done(worker, 0)

    assert worker.sent() == []
    assert run.scheduler.left == 1


def test_replacement_with_other_items_is_shut_down() -> None:
    """It is not used, with a notice; if no other worker is left, the run ends."""
    run = Run([batch(0), batch(1)], workers=1)
    [worker] = run.workers

    other = run.joins("gw1", ["item 0"])

    assert other.shutting_down
    assert other.sent() == []
    assert run.notices == ["worker gw1 collected different items than the other workers"]
    assert not run.scheduler.tests_finished
    assert run.scheduler.remove_node(worker) == "item 0"
    run.scheduler.crash_is_recorded()
    other.workeroutput = {"exitstatus": 0}  # type: ignore[attr-defined] # as xdist sets it
    run.scheduler.remove_node(other)
    assert run.scheduler.tests_finished
    assert run.scheduler.left == 1


def test_workers_that_disagree_are_reported() -> None:
    """Nothing starts, and each worker that differs from the first is reported with the difference."""
    run = Run([batch(0)], workers=3)
    scheduler = RouteScheduling(
        run.scheduler.config,
        workers=3,
        looks_ahead=True,
        begin=lambda items: pytest.fail("it began"),
        read_messages=lambda: None,
        reject=lambda node, text: run.rejected.append((node.gateway.id, text)),
        end_worker=lambda node, text: None,
        notify=run.notices.append,
    )
    for name, items in {"gw0": ["a", "b"], "gw1": ["a", "b"], "gw2": ["a"]}.items():
        worker = RememberingNode(name)
        scheduler.add_node(worker)
        scheduler.add_node_collection(worker, items)

    scheduler.schedule()

    [(name, text)] = run.rejected
    assert name == "gw2"
    assert "Different tests were collected between gw0 and gw2" in text
    assert scheduler.tests_finished


def test_worker_that_dies_at_work_fails_its_item() -> None:
    """Its item is named; items behind it go to other workers once the crash is recorded."""
    run = Run([*chain(2), batch(2)])
    first, second = run.workers
    assert (first.sent(), second.sent()) == ([0, 1, run.placeholder], [2, run.placeholder])

    assert run.scheduler.remove_node(first) == "item 0"
    assert run.scheduler.died_at_work
    run.done(second, 2)
    assert second.sent() == []

    run.scheduler.crash_is_recorded()
    assert not run.scheduler.died_at_work
    assert second.sent() == [1, run.placeholder]


def test_batch_of_a_dead_worker_is_finished_by_others() -> None:
    """All its items but the one that the worker was running when it died."""
    run = Run([Batch(items=(0, 1, 2, 3)), Batch(items=(4,))])
    first, second = run.workers
    run.done(first, 0)
    run.done(second, 4)
    second.sent()

    assert run.scheduler.remove_node(first) == "item 1"
    run.scheduler.crash_is_recorded()

    assert second.sent() == [2, 3, run.placeholder]
    assert run.scheduler.left == 2


def test_worker_that_dies_idle_costs_nothing() -> None:
    """A worker that dies after its last item fails none, and the others go on."""
    run = Run([LONG, batch(1), batch(2, 1)], looks_ahead=False)
    first, second = run.workers
    run.done(first, 0)

    assert run.scheduler.remove_node(first) is None
    assert not run.scheduler.died_at_work
    second.sent()
    run.done(second, 1)
    assert second.sent() == [2, run.placeholder]


def test_worker_that_died_before_it_received_an_item_fails_none() -> None:
    """Items that could not be sent go to another worker once xdist announces the death."""
    run = Run([LONG, batch(1), batch(2, 1)], looks_ahead=False)
    first, second = run.workers
    run.done(first, 0)
    first.is_dead = True
    run.done(second, 1)  # the free worker is the dead one
    second.sent()

    assert run.scheduler.remove_node(first) is None
    assert not run.scheduler.died_at_work
    assert second.sent() == [2, run.placeholder]
    run.done(second, 2)
    assert run.scheduler.tests_finished


def test_worker_that_dies_in_teardown_fails_its_last_item() -> None:
    """At the end of a run, a worker can only be tearing down its fixtures."""
    run = Run([batch(0)], workers=1)
    run.done(run.workers[0], 0)

    assert run.scheduler.remove_node(run.workers[0]) == "item 0"
    assert not run.scheduler.died_at_work


def test_worker_that_exits_did_not_crash() -> None:
    """A worker that sent its output did not crash, even if items are left."""
    run = Run([batch(0)], workers=1)
    run.workers[0].workeroutput = {"exitstatus": 2}  # type: ignore[attr-defined] # as xdist sets it

    assert run.scheduler.remove_node(run.workers[0]) is None
    assert run.scheduler.left == 1


def test_unknown_worker_is_an_error_that_xdist_expects() -> None:
    """Xdist removes workers that were never ready, and catches `KeyError`."""
    run = Run([batch(0)])

    with pytest.raises(KeyError):
        run.scheduler.remove_node(RememberingNode("gw9"))


def test_item_of_a_crash_can_be_rerun() -> None:
    """A plugin may let the item run again, before the items that wait for it."""
    run = Run(chain(2))
    first, second = run.workers
    assert run.scheduler.remove_node(first) == "item 0"

    run.scheduler.mark_test_pending("item 0")
    run.scheduler.crash_is_recorded()

    assert second.sent() == [0, 1, run.placeholder]
    assert run.scheduler.left == 2


def test_no_other_item_can_be_rerun() -> None:
    """Another item than the crashed one is an error, and nothing where it had finished."""
    run = Run(chain(2))
    first, second = run.workers
    run.scheduler.remove_node(first)
    with pytest.raises(
        ValueError, match="item 1 is not the item that a worker was running when it died"
    ):
        run.scheduler.mark_test_pending("item 1")
    run.scheduler.crash_is_recorded()
    run.done(second, 1)
    run.scheduler.remove_node(second)

    run.scheduler.mark_test_pending("item 1")
    run.scheduler.crash_is_recorded()

    assert run.scheduler.left == 0


def test_stop_takes_back_items_that_were_sent_ahead() -> None:
    """The worker's position is unknown, so it is asked for several ranges."""
    run = Run(chain(3), workers=1)
    [worker] = run.workers
    assert worker.sent() == [0, 1, 2]

    run.scheduler.stop(run.stops)
    assert (worker.asked_back, worker.sent()) == ([], [])

    run.done(worker, NO_ITEM)

    assert worker.asked_back == [[1, 2], [2]]
    assert worker.sent() == [run.placeholder]
    run.scheduler.remove_pending_tests_from_node(worker, [1, 2])
    assert not run.has_stopped
    run.done(worker, 0)
    assert run.has_stopped
    assert run.scheduler.left == 2
    assert worker.sent() == []


def test_stop_is_complete_when_the_last_busy_worker_has_died() -> None:
    """The item of a crash is not under way any more."""
    run = Run([batch(0), batch(1, 0)], workers=1, looks_ahead=False)
    [worker] = run.workers

    run.scheduler.stop(run.stops)
    worker.is_dead = True
    run.scheduler.remove_node(worker)
    run.scheduler.crash_is_recorded()

    assert run.has_stopped and run.scheduler.is_stopped


def test_stop_survives_a_dead_worker() -> None:
    """A worker may be dead although xdist has not announced that yet."""
    run = Run(chain(3), workers=1)
    run.workers[0].is_dead = True

    run.scheduler.stop(run.stops)
    run.scheduler.take_back()

    assert run.scheduler.is_stopped


def test_items_under_way_are_the_first_of_each_worker() -> None:
    """Items that were sent ahead are not under way, and before the start no item is."""
    run = Run([*chain(2), batch(2)])
    empty = Run([], workers=1)

    assert run.scheduler.under_way() == {"item 0", "item 2"}
    assert empty.scheduler.under_way() == set()


def test_event_without_an_item_announces_a_message() -> None:
    """Messages are read at once, and nothing else happens."""
    run = Run([batch(0)], workers=1)
    run.workers[0].sent()

    run.done(run.workers[0], NO_ITEM)

    assert run.messages_read == 1
    assert run.workers[0].sent() == []


@st.composite
def graphs(draw: st.DrawFn) -> list[Batch]:
    """Draw batches of one or two items each, which wait for earlier ones."""
    made: list[Batch] = []
    item = 0
    for number in range(draw(st.integers(0, 12))):
        size = draw(st.integers(1, 2))
        waits = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        seconds = draw(st.sampled_from([None, 0.01, 2.0]))
        items = tuple(range(item, item + size))
        made.append(Batch(items=items, waits=tuple(sorted(waits)), seconds=seconds))
        item += size
    return made


@given(batches=graphs(), workers=st.integers(1, 3), looks_ahead=st.booleans(), data=st.data())
def test_all_items_run_once_whatever_happens(
    batches: list[Batch], workers: int, looks_ahead: bool, data: st.DataObject
) -> None:
    """Each item runs once, after its upstream, even if workers die on the way."""
    run = Run(batches, workers=workers, looks_ahead=looks_ahead)
    batch_of = {item: number for number, each in enumerate(batches) for item in each.items}
    ended: list[int] = []
    deaths = 0
    while not run.scheduler.tests_finished:
        # As in xdist's workers: an item without a next one does not start.
        ready = [worker for worker in run.workers if len(worker.queue) > 1]
        assert ready, "nothing can go on"
        worker = data.draw(st.sampled_from(ready))
        item = worker.queue[0]
        if item != run.placeholder:
            assert item not in ended
            needed = [
                each for number in batches[batch_of[item]].waits for each in batches[number].items
            ]
            assert set(needed) <= set(ended)
            if deaths < 2 and data.draw(st.booleans()):
                deaths += 1
                ended.append(item)
                run.workers.remove(worker)
                assert run.scheduler.remove_node(worker) == run.items[item]
                run.scheduler.crash_is_recorded()
                run.workers.append(run.joins(f"gw{workers + deaths}"))
                continue
            ended.append(item)
        worker.queue.popleft()
        run.done(worker, item)

    assert sorted(ended) == list(range(len(run.items)))
    assert run.scheduler.left == 0


@pytest.mark.parametrize("item", [1, 7, -3])
def test_worker_that_ends_items_of_others_is_ended(item: int) -> None:
    """An item that a worker does not have cannot end there: nothing starts because of it."""
    run = Run([batch(0), batch(1)])

    run.scheduler.mark_test_complete(run.workers[0], item)

    assert run.ended == [("gw0", f"item {item} has ended")]
    assert run.scheduler.under_way() == {"item 0", "item 1"}


@pytest.mark.parametrize("items", [[1], [0, 0], [0, 9]])
def test_worker_that_gives_back_items_of_others_is_ended(items: list[int]) -> None:
    """A worker can give back only what it has, and each item once."""
    run = Run([batch(0), batch(1)])

    run.scheduler.remove_pending_tests_from_node(run.workers[0], items)

    assert run.ended == [("gw0", f"items {items} are given back")]
    assert run.scheduler.under_way() == {"item 0", "item 1"}
