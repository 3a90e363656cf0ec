"""The plan: what a run would do to each station, judged by the records alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, get_args

import msgspec

from pytest_choochoo.engine.errors import ChoochooError
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.judging.verdict import Due
from pytest_choochoo.engine.ledger.protocol import Records
from pytest_choochoo.engine.outcomes.outcomes import Outcomes
from pytest_choochoo.engine.route import Route

#: What a run does to a station: it visits it, it leaves it alone unless a check disagrees, or
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

    def plan(self, selected: Collection[str]) -> tuple[Planned, ...]:
        """Return what a run of the *selected* stations does to each, in running order."""
        with self._ledger.snapshot():
            for key in self._route.order:
                if key in selected:
                    self._planned[key] = self._foresee(key)
        return tuple(self._planned.values())

    def _foresee(self, key: str) -> Planned:
        record = self._ledger.record(key)
        seconds = record.seconds if record is not None and record.seconds else None
        forecast, reasons = self._forecast(key)
        if forecast == "visit" and key in self._may_be_skipped:
            forecast, reasons = "maybe", (*reasons, "a mark may skip it")
        return Planned(key=key, forecast=forecast, reasons=reasons, seconds=seconds)

    def _forecast(self, key: str) -> tuple[Forecast, tuple[str, ...]]:
        moving = self._moving(self._route.closure(self._route.upstream[key], self._route.upstream))
        made_again = self._renewing(key, "visit")
        unknown = [*self._unknown(key)]
        try:
            known = self._judge.foresee(key, moving=moving, is_certain=False)
            certain = known
            if moving and isinstance(known, Due):
                certain = self._judge.foresee(key, moving=moving, is_certain=True)
        except (ChoochooError, OSError) as error:
            # The visit upstream may make what is missing now.
            return ("maybe", (*unknown, str(error))) if moving else ("visit", (str(error),))
        reasons = known.texts if isinstance(known, Due) else ()
        reasons += tuple(f"{name} is made again from nothing" for name in made_again)
        if made_again or (isinstance(certain, Due) and not certain.check_settles):
            return "visit", reasons
        if isinstance(known, Due):
            checks = ("its check decides",) if known.check_settles else ()
            return "maybe", (*reasons, *checks, *unknown)
        return ("maybe", tuple(unknown)) if unknown else ("unchanged", ())

    def _unknown(self, key: str) -> Iterable[str]:
        """Yield what only the run can tell of the inputs of *key*."""
        route, declared = self._route, self._route[key].station.declaration
        inputs = self._moving(route.inputs(key))
        for name in route.names(each for each in inputs if self._is_consumed(each)):
            yield f"depends on {name}"
        for name in self._renewing(key, "maybe"):
            yield f"{name} may be made again from nothing"
        above = self._moving(route.closure(route.upstream[key], route.upstream))
        others = [each for each in above if each not in inputs or not self._is_consumed(each)]
        if others and (declared.files or declared.products):
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
