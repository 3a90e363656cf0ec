"""A scheduler for xdist that follows the timetable of a route."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress

import pytest
from xdist.report import report_collection_diff

from pytest_choochoo.engine.timetable import Batch, Timetable
from pytest_choochoo.parallel.xdist_internals import NO_ITEM, Node, exit_status

# Prefetch depth: how many dependent items a worker holds, so that it does not idle.
_AHEAD = 3
# A worker gives back all the items that it is asked for, or none if it has already started one of
# them. Its position is unknown, so it is asked for all items but the first, all but two, ...
_KEPT = (1, 2, 3, 5, 9)


class RouteScheduling:
    """Sends each batch to a worker as soon as it may start; xdist calls it as its scheduler.

    A worker starts an item only when it knows the next one (pytest-xdist#339, #894). If there is
    no next one yet, the worker is sent the placeholder, the last of its items: the item before it
    then starts at once, and the worker is free after it.

    *workers*: how many workers must have collected before anything starts. *looks_ahead*: batches
    that wait for one item alone are sent with it. *begin* is called with the items that all
    workers collected, and returns the batches to run. *read_messages* is called when a worker
    has sent a message. *reject* is called with a worker and a string that says how its items
    differ. *end_worker* is called with a worker that names items which it does not have, and with
    what it said. *notify* shows a line to the user.
    """

    def __init__(
        self,
        config: pytest.Config,
        *,
        workers: int,
        looks_ahead: bool,
        begin: Callable[[Sequence[str]], Sequence[Batch]],
        read_messages: Callable[[], None],
        reject: Callable[[Node, str], None],
        end_worker: Callable[[Node, str], None],
        notify: Callable[[str], None],
    ) -> None:
        #: Unused here; plugins look for it on any scheduler, as pytest-rerunfailures does.
        self.config = config
        self._workers = workers
        self._looks_ahead = looks_ahead
        self._begin = begin
        self._read_messages = read_messages
        self._reject = reject
        self._end_worker = end_worker
        self._notify = notify
        #: The items that all workers collected, None until they have.
        self._items: list[str] | None = None
        #: The items that each worker collected, workers included that died since.
        self._collected: dict[Node, list[str]] = {}
        #: The items that each worker has got and not finished, in order; it is running the first.
        self._pending: dict[Node, deque[int]] = {}
        #: The last item that each worker finished.
        self._last: dict[Node, int] = {}
        #: The workers that know no item after the last one that they have.
        self._open: set[Node] = set()
        self._timetable = Timetable(())
        self._batch_of: dict[int, int] = {}
        #: The items of each batch that have not been run yet.
        self._unfinished: dict[int, deque[int]] = {}
        #: The workers that died before they received any of their pending items.
        self._unreached: set[Node] = set()
        #: The item that a worker was running when it died, until the ledger knows.
        self._crashed: int | None = None
        #: Whether a worker was shut down because it collected other items.
        self._has_rejected = False
        #: Called once nothing is under way, where nothing more is to start.
        self._stopped: Callable[[], None] | None = None
        self._is_to_take_back = False

    # --- the progress, for xdist

    @property
    def nodes(self) -> list[Node]:
        return list(self._pending)

    @property
    def collection_is_completed(self) -> bool:
        return len(self._collected) >= self._workers

    @property
    def tests_finished(self) -> bool:
        is_deserted = self._has_rejected and not self._pending
        return self.collection_is_completed and (self._timetable.is_over or is_deserted)

    @property
    def has_pending(self) -> bool:
        return not self._timetable.is_over

    # --- xdist announces workers that start

    def add_node(self, node: Node) -> None:
        self._pending[node] = deque()

    def add_node_collection(self, node: Node, collection: Sequence[str]) -> None:
        """Take the items that a worker collected; shut it down if it joins with other items."""
        if self._items is None or list(collection) == self._items:
            self._collected[node] = list(collection)
            return
        self._has_rejected = True
        self._notify(f"worker {node.gateway.id} collected different items than the other workers")
        node.shutdown()

    def schedule(self) -> None:
        """Begin when all workers have collected; later, use a worker that joins."""
        if self._items is None:
            if not self._agree():
                return
            self._items = next(iter(self._collected.values()))
            batches = self._begin(self._items)
            self._timetable = Timetable(batches)
            for number, batch in enumerate(batches):
                self._unfinished[number] = deque(batch.items)
                self._batch_of |= dict.fromkeys(batch.items, number)
        self._send()

    def _agree(self) -> bool:
        """Return whether all workers collected the same; reject those that did not."""
        (first, expected), *others = self._collected.items()
        different = [(node, items) for node, items in others if items != expected]
        for node, items in different:
            text = report_collection_diff(expected, items, first.gateway.id, node.gateway.id)
            self._reject(node, text)
        return not different

    # --- sending batches to workers

    def _send(self) -> None:
        """Send every free worker what may start now."""
        if self._stopped is not None:
            if not any(self._pending.values()):
                self._stopped()
            return
        for node in self._collected:
            if self._pending.get(node, True) or node.shutting_down:
                continue  # gone, or busy
            if self.is_stopped:  # a signal came meanwhile
                return
            batch = self._timetable.start_next()
            if batch is None:
                return
            self._send_on(node, batch)

    def _send_on(self, node: Node, batch: int | None = None) -> None:
        """Send *node* a *batch*, and the batches that wait only for the last one it has."""
        pending, items = self._pending[node], list[int]()
        is_idle = not pending
        if batch is None:
            batch = self._follower(pending)
        while batch is not None:
            items += self._unfinished[batch]
            pending += self._unfinished[batch]
            batch = self._follower(pending)
        if items:
            self._open.add(node)
        if len(pending) < _AHEAD:
            items += self._placeholder(node)
        if not items:
            return
        try:
            node.send_runtest_some(items)
        except OSError:  # it died, of which xdist has yet to tell
            if is_idle:
                self._unreached.add(node)

    def _placeholder(self, node: Node) -> list[int]:
        """Return the placeholder, if the last item of *node* needs it to be run."""
        assert self._items is not None
        if node not in self._open:
            return []
        self._open.remove(node)
        return [len(self._items)]

    def _follower(self, pending: Sequence[int]) -> int | None:
        """Start the batch that waits for the last of those *pending* alone, and return it."""
        if not self._looks_ahead or self._stopped is not None or not 0 < len(pending) < _AHEAD:
            return None
        return self._timetable.start_after(self._batch_of[pending[-1]])

    # --- xdist announces items that end

    def mark_test_complete(self, node: Node, item_index: int, duration: float = 0) -> None:
        if item_index == NO_ITEM:
            self._read_messages()
            if self._is_to_take_back:
                self.take_back()
            return
        if self._items is None or item_index == len(self._items):  # the placeholder
            return
        pending = self._pending[node]
        if item_index not in pending:
            self._end_worker(node, f"item {item_index} has ended")
            return
        batch = self._batch_of[item_index]
        pending.remove(item_index)
        self._last[node] = item_index
        self._unfinished[batch].remove(item_index)
        if not self._unfinished[batch]:
            self._timetable.finish(batch)
        if pending and not node.shutting_down:
            self._send_on(node)
        self._send()

    def remove_pending_tests_from_node(self, node: Node, indices: Sequence[int]) -> None:
        """Take back items that *node* has not started, as requested."""
        pending = self._pending[node]
        if not set(indices) <= set(pending) or len(set(indices)) < len(indices):
            self._end_worker(node, f"items {[*indices]} are given back")
            return
        for item in indices:
            pending.remove(item)
        self._requeue(indices, spared={self._batch_of[item] for item in pending})
        self._send()

    # --- xdist announces workers that end

    def remove_node(self, node: Node) -> str | None:
        """Forget a worker, and return the item that it was running when it died, if it did."""
        pending = self._pending.pop(node)
        self._open.discard(node)
        if exit_status(node) is not None:
            return None  # if it left items undone, the ledger already says so
        if not pending:
            is_at_the_end = self.tests_finished or self._stopped is not None
            if is_at_the_end and node in self._last and self._items is not None:
                # It was tearing down what it had set up for its items.
                return self._items[self._last[node]]
            return None
        if node in self._unreached:
            self._requeue(pending)
            self._send()
            return None
        assert self._items is not None
        self._crashed = crashed = pending[0]
        batch = self._batch_of[crashed]
        self._unfinished[batch].remove(crashed)
        self._requeue(pending, spared={batch})
        return self._items[crashed]

    def _requeue(self, items: Iterable[int], spared: Collection[int] = ()) -> None:
        """Let the batches that *items* belong to start again, except those *spared*."""
        for batch in {self._batch_of[item] for item in items}.difference(spared):
            self._timetable.requeue(batch)

    def mark_test_pending(self, item: str) -> None:
        """Run *item* once more, after a worker died while running it; for plugins that rerun."""
        assert self._items is not None
        if self._crashed is None:  # the worker had finished it
            return
        if self._items[self._crashed] != item:
            raise ValueError(f"{item} is not the item that a worker was running when it died")
        self._unfinished[self._batch_of[self._crashed]].appendleft(self._crashed)

    # --- for the controller

    @property
    def is_stopped(self) -> bool:
        return self._stopped is not None

    @property
    def left(self) -> int:
        """The number of items that have not been run."""
        return sum(map(len, self._unfinished.values()))

    @property
    def died_at_work(self) -> bool:
        """Whether the worker that died last was running an item."""
        return self._crashed is not None

    def under_way(self) -> set[str]:
        """Return the items that workers are busy with."""
        if self._items is None:  # they are still starting
            return set()
        return {self._items[pending[0]] for pending in self._pending.values() if pending}

    def stop(self, stopped: Callable[[], None]) -> None:
        """Start nothing more, and call *stopped* once nothing is under way.

        It sends nothing, and a signal handler may call it: the signal may have interrupted
        this thread while it sends, and a second message inside of the first is an error of
        execnet. So `take_back` follows, at the latest when a message of a worker is read.
        """
        self._stopped = stopped
        self._is_to_take_back = True

    def take_back(self) -> None:
        """Ask all workers, after `stop`, for what they have got and not started."""
        self._is_to_take_back = False
        for node, pending in self._pending.items():
            with suppress(OSError):  # it died, of which xdist has yet to tell
                for kept in _KEPT:
                    if len(pending) > kept:
                        node.send_steal(list(pending)[kept:])
                # An item that it nevertheless keeps must not wait for a next one.
                node.send_runtest_some(self._placeholder(node))

    def crash_is_recorded(self) -> None:
        """Go on after a crash that is now recorded."""
        if self._crashed is None:
            return
        batch, self._crashed = self._batch_of[self._crashed], None
        if self._unfinished[batch]:
            self._timetable.requeue(batch)
        else:
            self._timetable.finish(batch)
        self._send()
