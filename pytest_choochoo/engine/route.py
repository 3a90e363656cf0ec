"""All stations of a session with their dependencies: order, selection, cycles."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import msgspec

from pytest_choochoo.engine.errors import (
    ChoochooError,
    Cycle,
    UnknownPlaceholder,
    UnknownSelector,
    error_line,
)
from pytest_choochoo.engine.graph import followers, reachable
from pytest_choochoo.engine.ledger.record import Result, Word
from pytest_choochoo.engine.place import Scope
from pytest_choochoo.engine.station import Station


# There is one per station until the session ends: the garbage collector can ignore it.
class StationInstance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A station with one set of its parameters, known by its node id *key*."""

    key: str
    name: str
    station: Station[Any]
    parameters: Mapping[str, object] = {}
    parameter_id: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """The input files, with its parameters filled in. Raises `UnknownPlaceholder`."""
        return tuple(self._filled("files", each) for each in self.station.declaration.files)

    @property
    def products(self) -> tuple[str, ...]:
        """The products, with its parameters filled in. Raises `UnknownPlaceholder`."""
        return tuple(self._filled("products", each) for each in self.station.declaration.products)

    def _filled(self, keyword: str, path: str) -> str:
        if "{" not in path and "}" not in path:
            return path
        try:
            return path.format_map(self.parameters)
        except KeyError as error:
            cause = f"it has no parameter {error}"
        except Exception as error:  # noqa: BLE001 - a parameter is of any type
            cause = error_line(error)
        station = self.station
        raise UnknownPlaceholder(station.name, station.location, keyword, path, cause)

    def faults(self) -> Iterator[ChoochooError]:
        """Yield the errors of `files` and `products`."""
        for keyword in ("files", "products"):
            try:
                getattr(self, keyword)
            except UnknownPlaceholder as error:
                yield error


class Route(msgspec.Struct, frozen=True, dict=True):
    """The stations of a session in definition order, and the keys that each needs."""

    stops: Mapping[str, StationInstance]
    upstream: Mapping[str, tuple[str, ...]]

    def __contains__(self, key: object) -> bool:
        return key in self.stops

    def __getitem__(self, key: str) -> StationInstance:
        return self.stops[key]

    def name(self, key: str) -> str:
        """Return the name of *key*; the name of a station that no longer exists is its key."""
        return self.stops[key].name if key in self.stops else key

    def names(self, keys: Iterable[str]) -> tuple[str, ...]:
        stops = self.stops  # not by `name`, as this is asked for each station
        return tuple([stops[key].name if key in stops else key for key in keys])

    def labels(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Return the names of *keys*, for a list; a name that several stations have, as its key."""
        names = Counter(instance.name for instance in self.stops.values())
        return tuple(key if names[self.name(key)] > 1 else self.name(key) for key in keys)

    def inputs(self, key: str) -> tuple[str, ...]:
        """Return those upstream of *key* whose work it depends on.

        Earlier instances of its own station come first, and are no inputs.
        """
        stops, station = self.stops, self.stops[key].station
        return tuple([each for each in self.upstream[key] if stops[each].station is not station])

    @cached_property
    def has_former_names(self) -> bool:
        """Whether a station says how it was called before."""
        return any(stop.station.declaration.was for stop in self.stops.values())

    def labels_of_inputs(self, keys: Sequence[str]) -> dict[str, str]:
        """Return *keys*, each with the name that stands for it in a fingerprint."""
        names = self.names(keys) if keys else ()
        # Two directories may each have a station of that name.
        uses = Counter(names) if len(set(names)) < len(names) else {}
        return {key: key if uses.get(name, 1) > 1 else name for key, name in zip(keys, names)}

    def downstream(self) -> dict[str, list[str]]:
        """Return for each station the stations that need it directly."""
        return followers({key: self.upstream.get(key, ()) for key in self.stops})

    def closure(
        self, keys: Iterable[str], neighbours: Mapping[str, Iterable[str]]
    ) -> dict[str, None]:
        """Return *keys* and everything that can be reached from them by *neighbours*."""
        return reachable(keys, lambda key: neighbours.get(key, ()))

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The keys in running order: upstream first, otherwise as they were defined."""
        return arranged(tuple(self.stops), self.upstream)

    @cached_property
    def renewing(self) -> Mapping[str, tuple[str, ...]]:
        """For each station downstream of stations that renew, at any depth, the keys of those."""
        if not any(stop.station.declaration.renews for stop in self.stops.values()):
            return {}
        found: dict[str, tuple[str, ...]] = {}
        for key in self.order:
            above: dict[str, None] = {}
            for needed in self.inputs(key):
                above |= dict.fromkeys(found.get(needed, ()))
                if self.stops[needed].station.declaration.renews:
                    above[needed] = None
            if above:
                found[key] = tuple(above)
        return found

    def cycles(self, by: Callable[[str, str], str] = lambda *keys: "") -> tuple[Cycle, ...]:
        """Return a cycle for each group of stations that wait for each other.

        *by* names the fixture through which one waits for another, if there is one.
        """
        if len(self.order) == len(self.stops):
            return ()
        below = self.downstream()
        # A station that only needs such a group, or is only needed by one, is in none.
        left = self.stops.keys() - {*self.order, *arranged(tuple(self.stops), below)}
        found = []
        for key in self.stops:
            if key in left:
                up = {each: left.intersection(self.upstream[each]) for each in left}
                down = {each: left.intersection(below[each]) for each in left}
                group = self.closure([key], up).keys() & self.closure([key], down).keys()
                if len(group) > 1 or key in up[key]:
                    found.append(self._cycle(self._shortest_cycle(key), by))
                left -= group
        return tuple(found)

    def _cycle(self, keys: Sequence[str], by: Callable[[str, str], str]) -> Cycle:
        steps = []
        for key, waits_for in zip(keys, (*keys[1:], keys[0])):
            fixture = by(key, waits_for)
            steps.append(f"{self.name(key)} ({self.stops[key].station.location})")
            steps += [f"fixture {fixture}"] if fixture else []
        return Cycle(self.names(keys), tuple(steps))

    def _shortest_cycle(self, start: str) -> list[str]:
        """Return the shortest path from *start* back to it, each key waiting for the next."""
        paths = deque([[start]])
        seen = {start}
        while True:
            path = paths.popleft()
            for needed in self.upstream[path[-1]]:
                if needed == start:
                    return path
                if needed not in seen:
                    seen.add(needed)
                    paths.append([*path, needed])

    def select(
        self, option: str, expression: str, *, failed: Iterable[str], also: Iterable[str] = ()
    ) -> tuple[str, ...]:
        """Return the keys that *expression* selects, in running order.

        *failed*: the keys that the selector `failed` stands for; *also*: more keys
        that may be named, of stations that are not on the route. Raises
        `UnknownSelector`, which names *option*.
        """
        chosen: dict[str, None] = {}
        unknown: list[str] = []
        for selector in filter(None, (each.strip() for each in split(expression))):
            keys = self._selected(selector, tuple(failed), tuple(also))
            if keys is None:
                unknown.append(selector)
            else:
                chosen |= dict.fromkeys(keys)
        if unknown:
            known = self._vocabulary(also, with_keys="::" in "".join(unknown))
            raise UnknownSelector(option, tuple(dict.fromkeys(unknown)), known)
        order = {key: position for position, key in enumerate(self.order)}
        return tuple(sorted(chosen, key=lambda key: (order.get(key, len(order)), key)))

    def _selected(
        self, selector: str, failed: tuple[str, ...], also: tuple[str, ...]
    ) -> Iterable[str] | None:
        """Return the keys that *selector* selects, None where it is unknown."""
        if selector == "all":
            return (*self.stops, *also)
        if selector == "failed":
            return failed
        kind, _, count = selector.partition(":")
        if kind == "last" and count.isdecimal():
            return self.order[-int(count) :] if int(count) else ()
        up, down = selector.startswith("+"), selector.endswith("+")
        keys = self._named(selector[up : len(selector) - down], also)
        if not keys:
            return None
        above = self.closure(keys, self.upstream) if up else {}
        below = self.closure(keys, self.downstream()) if down else {}
        return dict.fromkeys(keys) | above | below

    def _named(self, name: str, also: tuple[str, ...]) -> list[str]:
        exact = [
            key
            for key, instance in self.stops.items()
            if name in (instance.name, instance.station.name, key)
        ]
        exact += [key for key in also if name in (key, _name(key))]
        # As a plain name first: 'boil[green]' is a name, and a pattern as well.
        return exact or [
            *(key for key, instance in self.stops.items() if _fits((instance.name, key), name)),
            *(key for key in also if _fits((_name(key), key), name)),
        ]

    def _vocabulary(self, also: Iterable[str], *, with_keys: bool) -> tuple[str, ...]:
        instances = self.stops.values()
        names = [name for each in instances for name in (each.station.name, each.name)]
        keys = [*self.stops, *also] if with_keys else []
        return tuple(dict.fromkeys((*names, *map(_name, also), *keys)))


class StationInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A selected station as plain data, for a process that reports on it and never collects it.

    *upstream*: the keys of the stations that it needs, *needs* their names; *line* counts
    from zero.
    """

    key: str
    name: str
    title: str
    upstream: tuple[str, ...]
    needs: tuple[str, ...]
    line: int
    place: Scope = "here"

    def result(self, word: Word, **facts: Any) -> Result:
        """Return the result *word* of the station, with more *facts*."""
        return Result(
            key=self.key, name=self.name, title=self.title, word=word, upstream=self.needs, **facts
        )


def station_infos(route: Route, selected: Container[str]) -> list[StationInfo]:
    """Return the *selected* stations of *route* as plain data, in running order."""
    stops = ((key, route.stops[key]) for key in route.order if key in selected)
    return [
        StationInfo(
            key=key,
            name=stop.name,
            title=stop.station.title,
            upstream=route.upstream[key],
            needs=route.names(route.upstream[key]),
            line=stop.station.line - 1,
            place=stop.station.declaration.place,
        )
        for key, stop in stops
    ]


def _name(key: str) -> str:
    return key.partition("::")[2]


def _fits(names: tuple[str, ...], pattern: str) -> bool:
    # The brackets of 'boil[*]' more likely belong to an id than to a choice of letters.
    patterns = (pattern, pattern.replace("[", "[[]"))
    return any(fnmatchcase(name, each) for name in names for each in patterns)


def arranged(
    keys: tuple[str, ...],
    upstream: Mapping[str, Iterable[str]],
    position: Callable[[str], Any] | None = None,
) -> tuple[str, ...]:
    """Return *keys* with upstream first, otherwise in their order, or by *position*.

    Keys that wait for each other are left out.
    """
    positions = {key: position(key) if position else index for index, key in enumerate(keys)}
    needs = {key: {each for each in upstream.get(key, ()) if each in positions} for key in keys}
    below = followers(needs)
    missing = {key: len(needed) for key, needed in needs.items()}
    ready = [(positions[key], key) for key in keys if not missing[key]]
    heapq.heapify(ready)
    order = []
    while ready:
        _, key = heapq.heappop(ready)
        order.append(key)
        for follower in below[key]:
            missing[follower] -= 1
            if not missing[follower]:
                heapq.heappush(ready, (positions[follower], follower))
    return tuple(order)


def split(expression: str) -> list[str]:
    """Split the selectors in *expression* at commas; a parameter id, in brackets, may have some."""
    parts, depth = [""], 0
    for letter in expression:
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
