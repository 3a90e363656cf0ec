"""What may start now, what is under way, what goes first: a parallel run without its processes."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from graphlib import TopologicalSorter

import msgspec

_LONG = 0.1  # seconds, beside which a worker's way back and forth is nothing


class Traveller(msgspec.Struct, frozen=True, kw_only=True):
    """An item that is to be run: a station, or a test of *module*.

    It *waits* for stations, by key. *seconds*: how long its last visit took, None
    where nobody knows. Two of one group are never under way at once. *shares*:
    what is set up for it is set up for its whole module, or class.
    """

    key: str
    waits: tuple[str, ...] = ()
    module: str | None = None
    seconds: float | None = None
    groups: tuple[str, ...] = ()
    shares: bool = False


class Leg(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What one worker does at one go: *items*, by number, which wait for other legs, by number."""

    items: tuple[int, ...]
    waits: tuple[int, ...] = ()
    seconds: float | None = None
    groups: tuple[str, ...] = ()


def legs(travellers: Mapping[int, Traveller], workers: int) -> list[Leg]:
    """Return the legs that *travellers* make, by the numbers of their items.

    A station is a leg. Tests of one module that wait for nothing, and share
    something, are one leg: it is set up once. Others, and those that wait for
    the same stations, are as many legs as keep all *workers* busy.
    """
    leg_of: dict[str, int] = {}
    made: list[Leg] = []
    together: dict[object, list[int]] = {}
    stations = 0
    for number, traveller in travellers.items():
        if traveller.module is None:
            leg_of.setdefault(traveller.key, stations)  # it may be there twice, if asked for
            stations += 1
        else:
            what = (traveller.module, traveller.waits, traveller.groups)
            together.setdefault(what, []).append(number)
    for number, traveller in travellers.items():
        if traveller.module is None:
            made.append(_leg((number,), traveller, leg_of))
    for numbers in together.values():
        first = travellers[numbers[0]]
        is_one = not first.waits and any(travellers[number].shares for number in numbers)
        size = len(numbers) if is_one else -(-len(numbers) // (2 * workers))
        made += [
            _leg(tuple(numbers[start : start + size]), first, leg_of)
            for start in range(0, len(numbers), size)
        ]
    return made


def _leg(items: tuple[int, ...], traveller: Traveller, leg_of: Mapping[str, int]) -> Leg:
    is_test = traveller.module is not None
    return Leg(
        items=items,
        waits=tuple(leg_of[key] for key in traveller.waits if key in leg_of),
        seconds=0.0 if is_test else traveller.seconds,
        groups=traveller.groups,
    )


class Timetable:
    """Which legs may start now, the longest remaining path first, and which are under way."""

    def __init__(self, legs: Sequence[Leg]) -> None:
        self._legs = legs
        self._followers = _followers(legs)
        self._ahead = _remaining(legs, self._followers)
        self._missing = [len(set(leg.waits)) for leg in legs]
        self._ready: list[tuple[float, int]] = []
        self._held: dict[str, list[tuple[float, int]]] = {}
        self._under_way: set[int] = set()
        self._arrived: set[int] = set()
        for number, missing in enumerate(self._missing):
            if not missing:
                self._make_ready(number)

    @property
    def is_over(self) -> bool:
        """Whether all legs have arrived."""
        return len(self._arrived) == len(self._legs)

    @property
    def under_way(self) -> frozenset[int]:
        return frozenset(self._under_way)

    def depart(self) -> int | None:
        """Have the leg start that most depends on, and return its number; None: none may."""
        while self._ready:
            entry = heapq.heappop(self._ready)
            number = entry[1]
            busy = self._busy_group(number)
            if busy is None:
                self._under_way.add(number)
                return number
            heapq.heappush(self._held.setdefault(busy, []), entry)
            for group in self._legs[number].groups:  # another of them need not wait as well
                if not self._is_busy(group):
                    self._release(group)
        return None

    def follow(self, number: int) -> int | None:
        """Have the leg start, behind *number* and in the same place, that waits for that alone.

        It saves a worker the way back and forth. None: there is none, or one
        that is ready has a longer path ahead; what may take long is not bound to a place.
        """
        alone = [
            follower
            for follower in self._followers[number]
            if self._missing[follower] == 1 and follower not in self._under_way
        ]
        if not alone:
            return None
        best = max(alone, key=lambda follower: (self._ahead[follower], -follower))
        leg = self._legs[best]
        if leg.groups or (leg.seconds or 0) >= _LONG:
            return None
        if self._ready and -self._ready[0][0] > self._ahead[best]:
            return None
        self._under_way.add(best)
        return best

    def arrive(self, number: int) -> None:
        """Take note that a leg under way is over, however it ended: what waits for it may start."""
        self._leave(number)
        self._arrived.add(number)
        for follower in self._followers[number]:
            self._missing[follower] -= 1
            if not self._missing[follower] and follower not in self._under_way:
                self._make_ready(follower)

    def turn_back(self, number: int) -> None:
        """Take note that a leg under way did not get through: it may start again."""
        self._leave(number)
        if not self._missing[number]:
            self._make_ready(number)

    def _leave(self, number: int) -> None:
        if number not in self._under_way:
            raise ValueError(f"leg {number} is not under way")
        self._under_way.remove(number)
        for group in self._legs[number].groups:
            self._release(group)

    def _release(self, group: str) -> None:
        if self._held.get(group):
            heapq.heappush(self._ready, heapq.heappop(self._held[group]))

    def _make_ready(self, number: int) -> None:
        heapq.heappush(self._ready, (-self._ahead[number], number))

    def _busy_group(self, number: int) -> str | None:
        return next((group for group in self._legs[number].groups if self._is_busy(group)), None)

    def _is_busy(self, group: str) -> bool:
        return any(group in self._legs[number].groups for number in self._under_way)


def _followers(legs: Sequence[Leg]) -> list[list[int]]:
    followers: list[list[int]] = [[] for _ in legs]
    for number, leg in enumerate(legs):
        for needed in set(leg.waits):
            followers[needed].append(number)
    return followers


def _remaining(legs: Sequence[Leg], followers: Sequence[Iterable[int]]) -> list[float]:
    """Return the seconds from the start of each leg to the end of the last that waits for it."""
    from statistics import median  # slow to import, and only who distributes needs it

    known = [leg.seconds for leg in legs if leg.seconds]
    usual = median(known) if known else 1.0
    remaining = [usual if leg.seconds is None else leg.seconds for leg in legs]
    order = TopologicalSorter({number: leg.waits for number, leg in enumerate(legs)})
    for number in reversed([*order.static_order()]):
        remaining[number] += max((remaining[each] for each in followers[number]), default=0)
    return remaining
