"""The progress of a run at one moment: what is under way, what waits for what, what is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter

import msgspec

from pytest_choochoo.engine import clock
from pytest_choochoo.engine.events import (
    Event,
    LocalEvent,
    VisitEnded,
    VisitStarted,
    progress_to_show,
)
from pytest_choochoo.engine.graph import followers, reachable
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.route import StationInfo
from pytest_choochoo.engine.visit import AwaitsCheck, Progressed, ProgressReport

# A visit that takes this many times as long as the last one is marked, after some seconds.
_TOO_LONG, _LONG_ENOUGH = 2, 1.0


class UnderWay(msgspec.Struct, kw_only=True):
    """A visit that is under way: of which station, since when, in which worker, how far.

    *expected*: the seconds that the last visit took, 0 if that is unknown.
    """

    key: str
    name: str
    title: str
    reasons: tuple[str, ...]
    worker: str
    began: float
    expected: float
    told: Progressed | ProgressReport | None = None
    awaits: AwaitsCheck | None = None

    @property
    def progressed(self) -> Progressed | None:
        """The progress that it told last, in numbers and texts that can be shown."""
        told = self.told.state if isinstance(self.told, ProgressReport) else self.told
        return None if told is None else progress_to_show(told)

    def elapsed(self, now: float) -> float:
        return max(now - self.began, 0.0)

    def is_late(self, now: float) -> bool:
        """Return whether it takes more than twice as long as the last time."""
        elapsed = self.elapsed(now)
        return 0 < self.expected * _TOO_LONG < elapsed and elapsed > _LONG_ENOUGH


class RunProgress:
    """The progress of one run, which learns of events in any order.

    *now* returns the time in seconds. A process draws it in one thread, and changes it in another.
    """

    def __init__(self, now: Callable[[], float] = clock.monotonic) -> None:
        self._now = now
        self.began = now()
        #: The workers of the run; 1 without any.
        self.workers = 1
        self._changes = 0
        self._stations: Mapping[str, StationInfo] = {}
        self._below: Mapping[str, Sequence[str]] = {}
        self._seconds: Mapping[str, float] = {}
        #: The seconds of the longest path that begins when a station has ended.
        self._ahead: Mapping[str, float] = {}
        self._under_way: dict[str, UnderWay] = {}
        self._ended: dict[str, Result] = {}

    def plan(
        self, stations: Sequence[StationInfo], seconds: Mapping[str, float], workers: int = 1
    ) -> None:
        """Set the stations to run, and by key how long the last visit of each took."""
        self._stations = {station.key: station for station in stations}
        needs = {
            station.key: [key for key in station.upstream if key in self._stations]
            for station in stations
        }
        self._below, self._seconds, self.workers = followers(needs), seconds, workers
        ahead: dict[str, float] = {}
        for key in reversed([*TopologicalSorter(needs).static_order()]):
            below = (seconds.get(each, 0.0) + ahead[each] for each in self._below[key])
            ahead[key] = max(below, default=0.0)
        self._ahead = ahead
        self._changes += 1

    # --- what happens

    def take(self, event: Event | LocalEvent, worker: str = "") -> UnderWay | None:
        """Take an event of a visit, in a *worker* if there are any; return a visit that starts."""
        match event:
            case VisitStarted():
                return self._start(event, worker)
            case VisitEnded(result=result):
                self.end(result)
                return None
        visit = self._under_way.get(event.key)
        if visit is None:
            return None  # it came after the end
        if isinstance(event, AwaitsCheck):
            visit.awaits = event
        else:
            visit.told = event
        self._changes += 1
        return None

    def _start(self, event: VisitStarted, worker: str) -> UnderWay | None:
        station = self._stations.get(event.key)
        if station is None:
            return None
        visit = UnderWay(
            key=event.key,
            name=station.name,
            title=station.title,
            reasons=event.reasons,
            worker=worker,
            began=self._now(),
            expected=self._seconds.get(event.key, 0.0),
        )
        self._under_way[event.key] = visit
        self._ended.pop(event.key, None)
        self._changes += 1
        return visit

    def end(self, result: Result) -> bool:
        """Take the *result* of a station; return whether that is news."""
        self._under_way.pop(result.key, None)
        known = self._ended.get(result.key)
        is_news = known is None or known.word != result.word
        # With --keep-duplicates a station runs twice; the second time nothing is left to do.
        if is_news and not (known and (known.word, result.word) == ("visited", "unchanged")):
            self._ended[result.key] = result
            self._changes += 1
            return True
        return False

    # --- the state

    @property
    def has_stations(self) -> bool:
        return bool(self._stations)

    @property
    def name_width(self) -> int:
        """The number of characters of the longest name of a station."""
        return max((len(station.name) for station in self._stations.values()), default=0)

    @property
    def under_way(self) -> tuple[UnderWay, ...]:
        """The visits under way, the one that began first at the front."""
        return tuple(self._under_way.copy().values())

    def knows(self, key: str) -> bool:
        """Return whether *key* is a station of the run."""
        return key in self._stations

    def visit(self, key: str) -> UnderWay | None:
        """Return the visit of the station *key*, None if none is under way."""
        return self._under_way.get(key)

    @property
    def version(self) -> tuple[object, ...]:
        """A value that is another one whenever anything but the time has changed."""
        return (self._changes, *(visit.progressed for visit in self.under_way))

    @property
    def total(self) -> int:
        return len(self._stations)

    @property
    def counts(self) -> Counter[str]:
        """The number of stations that have ended, by result."""
        return Counter(result.word for result in self._ended.copy().values())

    @property
    def elapsed(self) -> float:
        return self._now() - self.began

    def now(self) -> float:
        return self._now()

    def waiting(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the names of stations that wait for visits under way, with the names of those."""
        under_way = self._under_way.copy()
        seen: set[str] = set()
        for key in under_way:
            for each in self._below.get(key, ()):
                if each in seen or each in self._ended or each in under_way:
                    continue
                seen.add(each)
                station = self._stations[each]
                names = (under_way[up].name for up in station.upstream if up in under_way)
                yield station.name, tuple(names)

    def left(self) -> tuple[float, bool] | None:
        """Return the seconds that are probably left, and whether all visits under way are known.

        None where nothing is known. Stations that no visit under way precedes are most likely
        unchanged; those that one precedes are visited after it.
        """
        now, under_way = self._now(), self._under_way.copy()
        known = [visit for visit in under_way.values() if visit.expected]
        if not known:
            return None
        rest = {visit.key: max(visit.expected - visit.elapsed(now), 0.0) for visit in known}
        longest = max(seconds + self._ahead.get(key, 0.0) for key, seconds in rest.items())
        below = reachable(under_way, lambda key: self._below.get(key, ()))
        after = (key for key in below if key not in under_way and key not in self._ended)
        work = sum(rest.values()) + sum(self._seconds.get(key, 0.0) for key in after)
        return max(longest, work / max(self.workers, 1)), len(known) == len(under_way)
