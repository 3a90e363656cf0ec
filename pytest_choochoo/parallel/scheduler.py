"""The only file that imports xdist: a timetable as one of its schedulers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from xdist.scheduler import LoadScheduling

from pytest_choochoo.engine.timetable import Batch, Timetable
from pytest_choochoo.reporting.notices import notify

#: The number of no item: something else than an item has happened.
NO_ITEM = -1
# How many items a worker has got, if others wait only for those: it never waits for word of them.
_AHEAD = 3


class RouteScheduling(LoadScheduling):  # type: ignore[misc]
    """A timetable as a scheduler of xdist: each batch goes to a worker as soon as it may start.

    A worker begins with an item when it knows the next one. Where there is none yet, that
    is the signal: so the last item before it is run at once, and the worker is free after it.

    *begins* is called with what all workers have collected, and returns the batches to be run;
    *heard* is called when a worker has said something.
    """

    def __init__(
        self,
        config: pytest.Config,
        log: Any,
        *,
        begins: Callable[[Sequence[str]], Sequence[Batch]],
        heard: Callable[[], None],
    ) -> None:
        super().__init__(config, log)
        self.collection: list[str] | None = None
        self._begins = begins
        self._heard = heard
        self._timetable = Timetable(())
        # What may have to stop at once is not sent ahead.
        self._looks_ahead = not config.getoption("maxfail")
        #: The workers of whose items the last has no next one: they wait for it.
        self._open: set[Any] = set()
        #: What is to be called when nothing is under way any more, once it is to stop.
        self._stopped: Callable[[], None] | None = None
        #: The batch that each item belongs to, and what is left to be run of each batch.
        self._batch_of: dict[int, int] = {}
        self._left: dict[int, deque[int]] = {}
        #: The last item that each worker is done with.
        self._last: dict[Any, int] = {}
        #: Whether a worker was of no use, as it has collected something else.
        self._sent_home = False
        #: The item that a worker died of, until the ledger knows.
        self._crashed: int | None = None

    @property
    def tests_finished(self) -> bool:
        is_deserted = self._sent_home and not self.node2pending
        return self.collection_is_completed and (self._timetable.is_over or is_deserted)

    @property
    def has_pending(self) -> bool:
        return not self._timetable.is_over

    def add_node(self, node: Any) -> None:
        super().add_node(node)
        self.node2pending[node] = deque()

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """Take note of what a worker has collected; who joins with other items is of no use."""
        if self.collection is None or list(collection) == self.collection:
            super().add_node_collection(node, collection)
            return
        self._sent_home = True
        notify(
            self.config,
            f"{node.gateway.id} has collected something else than the workers before it",
        )
        node.shutdown()

    def schedule(self) -> None:
        """Begin when all workers have collected; later, make use of one that joins."""
        if self.collection is None:
            if not self._check_nodes_have_same_collection():
                return
            self.collection = next(iter(self.node2collection.values()))
            batches = self._begins(self.collection)
            self._timetable = Timetable(batches)
            for number, batch in enumerate(batches):
                self._left[number] = deque(batch.items)
                self._batch_of |= dict.fromkeys(batch.items, number)
        self._send()

    def _send(self) -> None:
        """Send every free worker what may start now."""
        if self._stopped is not None:
            if not any(self.node2pending.values()):
                self._stopped()
            return
        for node in self.node2collection:
            if self.node2pending.get(node, True) or node.shutting_down:
                continue  # gone, or busy
            batch = self._timetable.start_next()
            if batch is None:
                return
            self._send_on(node, batch)

    def _send_on(self, node: Any, batch: int | None = None) -> None:
        """Send a worker *batch*, and what waits only for the last that it has got."""
        pending, items = self.node2pending[node], list[int]()
        if batch is None:
            batch = self._follower(pending)
        while batch is not None:
            items += self._left[batch]
            pending += self._left[batch]
            batch = self._follower(pending)
        if items:
            self._open.add(node)
        if len(pending) < _AHEAD:
            items += self._signal(node)
        if items:
            node.send_runtest_some(items)

    def _signal(self, node: Any) -> list[int]:
        """Return the signal, if the last item of a worker needs it to be run."""
        assert self.collection is not None
        if node not in self._open:
            return []
        self._open.remove(node)
        return [len(self.collection)]

    def _follower(self, pending: Sequence[int]) -> int | None:
        """Have a batch start behind those *pending*, if one waits for the last of them alone."""
        if not self._looks_ahead or self._stopped is not None or not 0 < len(pending) < _AHEAD:
            return None
        return self._timetable.start_after(self._batch_of[pending[-1]])

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        if item_index == NO_ITEM:
            return self._heard()
        if self.collection is None or item_index == len(self.collection):
            return None  # the signal
        pending, batch = self.node2pending[node], self._batch_of[item_index]
        pending.remove(item_index)
        self._last[node] = item_index
        self._left[batch].remove(item_index)
        if not self._left[batch]:
            self._timetable.finish(batch)
        if pending and not node.shutting_down:
            self._send_on(node)
        self._send()
        return None

    def under_way(self) -> set[str]:
        """Return the items that workers are busy with."""
        if self.collection is None:  # they are still starting
            return set()
        return {self.collection[pending[0]] for pending in self.node2pending.values() if pending}

    @property
    def is_stopped(self) -> bool:
        return self._stopped is not None

    @property
    def left(self) -> int:
        """How many items nobody has run."""
        return sum(map(len, self._left.values()))

    @property
    def died_at_work(self) -> bool:
        """Whether the worker that died just now was running an item."""
        return self._crashed is not None

    def stop(self, stopped: Callable[[], None]) -> None:
        """Send nobody anything more, take back what did not begin, say when all has *stopped*."""
        self._stopped = stopped
        for node, pending in self.node2pending.items():
            # It gives back all or nothing, and perhaps it is further on already.
            for kept in (1, 2, 3, 5, 9):
                if len(pending) > kept:
                    node.send_steal(list(pending)[kept:])
            node.send_runtest_some(self._signal(node))  # what it keeps all the same is not to wait

    def remove_pending_tests_from_node(self, node: Any, indices: Sequence[int]) -> None:
        pending = self.node2pending[node]
        for item in indices:
            pending.remove(item)
        begun = {self._batch_of[item] for item in pending}
        for batch in {self._batch_of[item] for item in indices} - begun:
            self._timetable.requeue(batch)
        self._send()

    def mark_test_pending(self, item: str) -> None:
        """Have *item*, that a worker died of, run again; asked for by plugins that rerun."""
        assert self.collection is not None
        if self._crashed is None:  # it was done with it
            return
        if self.collection[self._crashed] != item:
            raise ValueError(f"{item} is not what a worker died of just now")
        self._left[self._batch_of[self._crashed]].appendleft(self._crashed)

    def remove_node(self, node: Any) -> str | None:
        pending = self.node2pending.pop(node)
        self._open.discard(node)
        if getattr(node, "workeroutput", None) is not None:
            return None  # it went by itself, and its record says so already if it was too early
        if not pending:
            is_at_the_end = self.tests_finished or self._stopped is not None
            if is_at_the_end and node in self._last and self.collection is not None:
                # Then it was busy with what the fixtures of its items held.
                return self.collection[self._last[node]]
            return None
        assert self.collection is not None
        self._crashed = crashed = pending[0]
        batch = self._batch_of[crashed]
        self._left[batch].remove(crashed)
        for behind in {self._batch_of[item] for item in pending} - {batch}:
            self._timetable.requeue(behind)
        return str(self.collection[crashed])

    def crash_is_known(self) -> None:
        """Go on after a crash, of which the ledger knows now."""
        if self._crashed is None:
            return
        batch, self._crashed = self._batch_of[self._crashed], None
        if self._left[batch]:
            self._timetable.requeue(batch)
        else:
            self._timetable.finish(batch)
        self._send()
