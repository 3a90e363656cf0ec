"""The plan: what a run would do to each station, judged by the records alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, get_args

import msgspec

from pytest_choochoo.engine.errors import ChoochooError
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.judging.verdict import Due
from pytest_choochoo.engine.ledger.protocol import Records
from pytest_choochoo.engine.outcomes.outcomes import Outcomes
from pytest_choochoo.engine.route import Route

#: The work of a run on a station: it visits it, it leaves it alone unless a check disagrees, or
#: that depends on what is known only in the run.
Forecast = Literal["visit", "unchanged", "maybe"]
FORECASTS: tuple[Forecast, ...] = get_args(Forecast)


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """The *forecast* for one station, with all *reasons*.

    *seconds*: how long its last visit took, None where that is unknown.
    """

    key: str
    forecast: Forecast
    reasons: tuple[str, ...] = ()
    seconds: float | None = None


class Planner:
    """Foresees a run: upstream first, each station by what is foreseen for those upstream.

    *may_be_skipped*: the stations that a mark may leave out of the run.
    """

    def __init__(
        self,
        *,
        route: Route,
        ledger: Records,
        outcomes: Outcomes,
        judge: Judge,
        may_be_skipped: Collection[str] = (),
    ) -> None:
        self._route = route
        self._ledger = ledger
        self._outcomes = outcomes
        self._judge = judge
        self._may_be_skipped = may_be_skipped
        self._planned: dict[str, Planned] = {}
        #: The stations that the run visits, or may visit, and all downstream of them.
        self._reached: set[str] = set()

    def plan(self, selected: Collection[str]) -> tuple[Planned, ...]:
        """Return what a run of the *selected* stations does to each, in running order."""
        with self._ledger.snapshot():
            for key in self._route.order:
                if key in selected:
                    self._planned[key] = self._foresee(key)
                    if self._planned[key].forecast != "unchanged":
                        self._reached.add(key)
                if not self._reached.isdisjoint(self._route.upstream[key]):
                    self._reached.add(key)
        return tuple(self._planned.values())

    def _foresee(self, key: str) -> Planned:
        record = self._ledger.record(key)
        seconds = record.seconds if record is not None and record.seconds else None
        forecast, reasons = self._forecast(key)
        if forecast == "visit" and key in self._may_be_skipped:
            forecast, reasons = "maybe", (*reasons, "a mark may skip it")
        return Planned(key=key, forecast=forecast, reasons=reasons, seconds=seconds)

    def _forecast(self, key: str) -> tuple[Forecast, tuple[str, ...]]:
        is_reached = not self._reached.isdisjoint(self._route.upstream[key])
        moving = self._moving(self._route.inputs(key)) if is_reached else ()
        made_again = self._renewing(key, "visit")
        unknown = [*self._unknown(key, moving, is_reached=is_reached)]
        try:
            known = self._judge.foresee(key, moving, is_reached=is_reached, is_certain=False)
            certain = known
            if is_reached and isinstance(known, Due):
                certain = self._judge.foresee(key, moving, is_reached=True, is_certain=True)
        except (ChoochooError, OSError) as error:
            # The visit upstream may make what is missing now.
            return ("maybe", (*unknown, str(error))) if is_reached else ("visit", (str(error),))
        reasons = known.texts if isinstance(known, Due) else ()
        reasons += tuple(f"{name} is made again from nothing" for name in made_again)
        if made_again or (isinstance(certain, Due) and not certain.check_settles):
            return "visit", reasons
        if isinstance(known, Due):
            checks = (self._decides(key, known),) if known.check_settles else ()
            return "maybe", (*reasons, *checks, *unknown)
        return ("maybe", tuple(unknown)) if unknown else ("unchanged", ())

    def _decides(self, key: str, verdict: Due) -> str:
        """Return in words what decides in the run whether *key* is visited."""
        if not verdict.asks_find:
            return "its check decides"
        has_check = bool(self._route[key].station.checks)
        return "its find and its check decide" if has_check else "its find decides"

    def _unknown(self, key: str, moving: Sequence[str], *, is_reached: bool) -> Iterator[str]:
        """Yield what only the run can tell of the inputs of *key*, which needs *moving*."""
        route, declared = self._route, self._route[key].station.declaration
        consumed = [each for each in moving if self._is_consumed(each)]
        for name in route.names(consumed):
            yield f"depends on {name}"
        for name in self._renewing(key, "maybe"):
            yield f"{name} may be made again from nothing"
        if is_reached and (declared.files or declared.products):
            above = self._moving(route.closure(route.upstream[key], route.upstream))
            others = [each for each in above if each not in consumed]
            if others:
                yield f"its files may be altered by {', '.join(route.names(others))}"
        for name in declared.values:
            yield f"value {name} is known only in a run"

    def _moving(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Return those of *keys* that the run visits, or may visit."""
        found = (self._planned.get(key) for key in keys)
        return tuple(each.key for each in found if each and each.forecast != "unchanged")

    def _renewing(self, key: str, forecast: Forecast) -> Sequence[str]:
        """Return the names of the stations upstream that renew, and have this *forecast*."""
        above = self._route.renewing.get(key, ())
        found = (self._planned.get(each) for each in above)
        return self._route.names(each.key for each in found if each and each.forecast == forecast)

    def _is_consumed(self, key: str) -> bool:
        """Return whether *key* has an outcome or products, which a visit may alter."""
        station = self._route[key].station
        return bool(station.declaration.products) or self._outcomes.is_expected(station)


def expected_seconds(planned: Iterable[Planned], *forecasts: Forecast) -> tuple[float, int]:
    """Return how long the stations of *forecasts* took, and for how many that is unknown."""
    times = [each.seconds for each in planned if each.forecast in forecasts]
    return sum(filter(None, times)), times.count(None)


def counts(planned: Iterable[Planned]) -> Mapping[Forecast, int]:
    """Return the number of stations of each forecast, zeros left out."""
    words = [each.forecast for each in planned]
    return {word: words.count(word) for word in FORECASTS if word in words}
