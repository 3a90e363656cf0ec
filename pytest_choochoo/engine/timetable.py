"""The order of a parallel run, without its processes: batches, and when they may start."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from graphlib import TopologicalSorter

import msgspec

from pytest_choochoo.engine.graph import followers

# Seconds of work compared with which a worker's round trip to the controller is negligible.
_LONG = 0.1


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """An item that is to be run: a station, or a test of *module*.

    It *waits* for stations, by key. *seconds*: how long its last visit took, None
    where that is unknown. Two jobs of one group are never under way at once.
    *shares*: its fixtures are set up for its whole module or class.
    """

    key: str
    waits: tuple[str, ...] = ()
    module: str | None = None
    seconds: float | None = None
    groups: tuple[str, ...] = ()
    shares: bool = False


class Batch(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """The *items*, by number, that one worker runs in one go.

    It *waits* for other batches, by number.
    """

    items: tuple[int, ...]
    waits: tuple[int, ...] = ()
    seconds: float | None = None
    groups: tuple[str, ...] = ()


def batches(jobs: Mapping[int, Job], workers: int) -> list[Batch]:
    """Return the batches that *jobs* make, by the numbers of their items.

    A station is a batch. Tests of one module that wait for nothing, and share
    fixtures, are one batch: these are set up once. Other tests of a module that
    wait for the same stations are as many batches as keep all *workers* busy.
    """
    batch_of: dict[str, int] = {}
    made: list[Batch] = []
    together: dict[object, list[int]] = {}
    stations = 0
    for number, job in jobs.items():
        if job.module is None:
            batch_of.setdefault(job.key, stations)  # with --keep-duplicates an item comes twice
            stations += 1
        else:
            together.setdefault((job.module, job.waits, job.groups), []).append(number)
    for number, job in jobs.items():
        if job.module is None:
            made.append(_batch((number,), job, batch_of))
    for numbers in together.values():
        first = jobs[numbers[0]]
        is_one = not first.waits and any(jobs[number].shares for number in numbers)
        size = len(numbers) if is_one else -(-len(numbers) // (2 * workers))
        made += [
            _batch(tuple(numbers[start : start + size]), first, batch_of)
            for start in range(0, len(numbers), size)
        ]
    return made


def _batch(items: tuple[int, ...], job: Job, batch_of: Mapping[str, int]) -> Batch:
    is_test = job.module is not None
    return Batch(
        items=items,
        waits=tuple(batch_of[key] for key in job.waits if key in batch_of),
        seconds=0.0 if is_test else job.seconds,
        groups=job.groups,
    )


class Timetable:
    """The batches that may start now, the longest remaining path first, and those under way."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        needs = {number: set(batch.waits) for number, batch in enumerate(batches)}
        self._batches = batches
        self._followers = followers(needs)
        self._ahead = _remaining(batches, self._followers)
        self._missing = [len(needed) for needed in needs.values()]
        self._ready: list[tuple[float, int]] = []
        self._held: dict[str, list[tuple[float, int]]] = {}
        self._under_way: set[int] = set()
        self._finished: set[int] = set()
        for number, missing in enumerate(self._missing):
            if not missing:
                self._make_ready(number)

    @property
    def is_over(self) -> bool:
        """Whether all batches have finished."""
        return len(self._finished) == len(self._batches)

    def start_next(self) -> int | None:
        """Start the batch with the longest path after it; return its number, None if none may."""
        while self._ready:
            entry = heapq.heappop(self._ready)
            number = entry[1]
            busy = self._busy_group(number)
            if busy is None:
                self._under_way.add(number)
                return number
            heapq.heappush(self._held.setdefault(busy, []), entry)
            for group in self._batches[number].groups:  # those held for a free group may go
                if not self._is_busy(group):
                    self._release(group)
        return None

    def start_after(self, number: int) -> int | None:
        """Start a batch that waits for *number* alone, to follow it in the same worker.

        That saves the worker a round trip. Returns its number; None where there
        is no such batch, or one that is ready has a longer path ahead. A batch
        that may take long is not bound to a worker.
        """
        alone = [
            follower
            for follower in self._followers[number]
            if self._missing[follower] == 1 and follower not in self._under_way
        ]
        if not alone:
            return None
        best = max(alone, key=lambda follower: (self._ahead[follower], -follower))
        batch = self._batches[best]
        if batch.groups or (batch.seconds or 0) >= _LONG:
            return None
        if self._ready and -self._ready[0][0] > self._ahead[best]:
            return None
        self._under_way.add(best)
        return best

    def finish(self, number: int) -> None:
        """Mark a batch under way as finished, however it ended: its followers may start."""
        self._leave(number)
        self._finished.add(number)
        for follower in self._followers[number]:
            self._missing[follower] -= 1
            if not self._missing[follower] and follower not in self._under_way:
                self._make_ready(follower)

    def requeue(self, number: int) -> None:
        """Make a batch under way ready again, because it was not finished."""
        self._leave(number)
        if not self._missing[number]:
            self._make_ready(number)

    def _leave(self, number: int) -> None:
        if number not in self._under_way:
            raise ValueError(f"batch {number} is not under way")
        self._under_way.remove(number)
        for group in self._batches[number].groups:
            self._release(group)

    def _release(self, group: str) -> None:
        if self._held.get(group):
            heapq.heappush(self._ready, heapq.heappop(self._held[group]))

    def _make_ready(self, number: int) -> None:
        heapq.heappush(self._ready, (-self._ahead[number], number))

    def _busy_group(self, number: int) -> str | None:
        return next((group for group in self._batches[number].groups if self._is_busy(group)), None)

    def _is_busy(self, group: str) -> bool:
        return any(group in self._batches[number].groups for number in self._under_way)


def _remaining(batches: Sequence[Batch], below: Mapping[int, Iterable[int]]) -> list[float]:
    """Return the seconds from the start of each batch to the end of the last that waits for it."""
    known = sorted(batch.seconds for batch in batches if batch.seconds)
    half = len(known) // 2
    median = (known[half] + known[~half]) / 2 if known else 1.0
    remaining = [median if batch.seconds is None else batch.seconds for batch in batches]
    order = TopologicalSorter({number: batch.waits for number, batch in enumerate(batches)})
    for number in reversed([*order.static_order()]):
        remaining[number] += max((remaining[each] for each in below[number]), default=0)
    return remaining
