"""A timetable as one of xdist's schedulers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress

import pytest
from xdist.report import report_collection_diff

from pytest_choochoo.engine.timetable import Batch, Timetable
from pytest_choochoo.parallel.xdist_internals import NO_ITEM, Node, exit_status

# How many items a worker holds at most while batches are sent ahead to it: enough that it never
# idles for the controller.
_AHEAD = 3
# A worker gives back all the items that it is asked for, or none if it has started one of them,
# and where it stands is not known. So it is asked for all but the first one, all but two, ...
_KEPT = (1, 2, 3, 5, 9)


class RouteScheduling:
    """Sends each batch to a worker as soon as it may start; xdist calls it as its scheduler.

    A worker starts an item only when it knows the next one (pytest-xdist#339, #894). Where there
    is no next one yet, it is sent the placeholder, which is the last of its items: so the
    item before it starts at once, and the worker is free after it.

    *workers*: how many must have collected before anything starts. *looks_ahead*: what waits for
    one item alone is sent with it. *begin* is called with what all workers collected, and
    returns the batches to be run. *read_messages* is called when a worker sent a message.
    *reject* is called with a worker and a text that says how its items differ. *notify* shows
    a line to the user.
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
        notify: Callable[[str], None],
    ) -> None:
        #: Unused here; plugins look for it on any scheduler, as pytest-rerunfailures does.
        self.config = config
        self._workers = workers
        self._looks_ahead = looks_ahead
        self._begin = begin
        self._read_messages = read_messages
        self._reject = reject
        self._notify = notify
        #: The items that all workers collected, None until they have.
        self._items: list[str] | None = None
        #: The items that each worker collected, workers included that died since.
        self._collected: dict[Node, list[str]] = {}
        #: The items that each worker has got and not finished, in order; it is running the first.
        self._pending: dict[Node, deque[int]] = {}
        #: The last item that each worker is done with.
        self._last: dict[Node, int] = {}
        #: The workers that know no item after the last one that they have got.
        self._open: set[Node] = set()
        self._timetable = Timetable(())
        self._batch_of: dict[int, int] = {}
        #: The items of each batch that nobody has run yet.
        self._unfinished: dict[int, deque[int]] = {}
        #: The workers that were dead before they got any of their pending items.
        self._unreached: set[Node] = set()
        #: The item that a worker was running when it died, until the ledger knows.
        self._crashed: int | None = None
        #: Whether a worker was sent home since it collected other items.
        self._has_rejected = False
        #: Called once nothing is under way, where nothing more is to start.
        self._stopped: Callable[[], None] | None = None

    # --- xdist asks how far it is

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

    # --- xdist tells of workers that start

    def add_node(self, node: Node) -> None:
        self._pending[node] = deque()

    def add_node_collection(self, node: Node, collection: Sequence[str]) -> None:
        """Take what a worker collected; one that joins with other items is of no use."""
        if self._items is None or list(collection) == self._items:
            self._collected[node] = list(collection)
            return
        self._has_rejected = True
        self._notify(f"worker {node.gateway.id} collected different items than the other workers")
        node.shutdown()

    def schedule(self) -> None:
        """Begin when all workers have collected; later, make use of one that joins."""
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

    # --- what goes to whom

    def _send(self) -> None:
        """Send every free worker what may start now."""
        if self._stopped is not None:
            if not any(self._pending.values()):
                self._stopped()
            return
        for node in self._collected:
            if self._pending.get(node, True) or node.shutting_down:
                continue  # gone, or busy
            batch = self._timetable.start_next()
            if batch is None:
                return
            self._send_on(node, batch)

    def _send_on(self, node: Node, batch: int | None = None) -> None:
        """Send *node* a *batch*, and what waits only for the last batch that it has got."""
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

    # --- xdist tells of items that end

    def mark_test_complete(self, node: Node, item_index: int, duration: float = 0) -> None:
        if item_index == NO_ITEM:
            self._read_messages()
            return
        if self._items is None or item_index == len(self._items):  # the placeholder
            return
        pending, batch = self._pending[node], self._batch_of[item_index]
        pending.remove(item_index)
        self._last[node] = item_index
        self._unfinished[batch].remove(item_index)
        if not self._unfinished[batch]:
            self._timetable.finish(batch)
        if pending and not node.shutting_down:
            self._send_on(node)
        self._send()

    def remove_pending_tests_from_node(self, node: Node, indices: Sequence[int]) -> None:
        """Take back items that *node* has got and not started, as it was asked to."""
        pending = self._pending[node]
        for item in indices:
            pending.remove(item)
        self._requeue(indices, spared={self._batch_of[item] for item in pending})
        self._send()

    # --- xdist tells of workers that end

    def remove_node(self, node: Node) -> str | None:
        """Forget a worker, and return the item that it was running when it died, if it did."""
        pending = self._pending.pop(node)
        self._open.discard(node)
        if exit_status(node) is not None:
            return None  # if it left items undone, the ledger says so already
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
        """Let the batches that *items* belong to start again, but for those *spared*."""
        for batch in {self._batch_of[item] for item in items}.difference(spared):
            self._timetable.requeue(batch)

    def mark_test_pending(self, item: str) -> None:
        """Run *item* once more, after a worker died while running it; for plugins that rerun."""
        assert self._items is not None
        if self._crashed is None:  # the worker was done with it
            return
        if self._items[self._crashed] != item:
            raise ValueError(f"{item} is not the item that a worker was running when it died")
        self._unfinished[self._batch_of[self._crashed]].appendleft(self._crashed)

    # --- the controller asks and tells

    @property
    def is_stopped(self) -> bool:
        return self._stopped is not None

    @property
    def left(self) -> int:
        """How many items nobody has run."""
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
        """Start nothing more, and call *stopped* once nothing is under way."""
        self._stopped = stopped
        for node, pending in self._pending.items():
            with suppress(OSError):  # it died, of which xdist has yet to tell
                for kept in _KEPT:
                    if len(pending) > kept:
                        node.send_steal(list(pending)[kept:])
                # An item that it keeps all the same must not wait for a next one.
                node.send_runtest_some(self._placeholder(node))

    def crash_is_recorded(self) -> None:
        """Go on after a crash: the ledger knows of it now."""
        if self._crashed is None:
            return
        batch, self._crashed = self._batch_of[self._crashed], None
        if self._unfinished[batch]:
            self._timetable.requeue(batch)
        else:
            self._timetable.finish(batch)
        self._send()
