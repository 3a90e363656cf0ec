"""A station as pytest sees it: judged in set-up, visited when run, recorded after its protocol."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

import pytest

from pytest_choochoo.collection.dependencies import Dependencies
from pytest_choochoo.collection.functions import ReturnValue, is_coroutine, traceback_from
from pytest_choochoo.engine.attempt import Ending
from pytest_choochoo.engine.errors import CheckFailed, OnlyInStations, StationDue, StillThere
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.engine.ledger.record import Result, Word
from pytest_choochoo.engine.station import Station
from pytest_choochoo.engine.wording import INTERRUPTED, error_line, failed_check
from pytest_choochoo.running.injection import Injection
from pytest_choochoo.running.station_item import StationItem
from pytest_choochoo.selection import Selection
from pytest_choochoo.settings import Mode

_CHANGE_THE_COURSE = frozenset({"skip", "skipif", "xfail"})


class Runner:
    """What this process does with the items of one session, one at a time."""

    def __init__(
        self,
        *,
        journey: Journey,
        handing: Injection,
        needs: Dependencies,
        return_value: ReturnValue,
        mode: Mode,
        departure: Selection,
    ) -> None:
        self.journey = journey
        self.mode = mode
        self.departure = departure
        #: The item that is being run, and how it has ended so far.
        self.item: pytest.Function | None = None
        self.ending = Ending()
        #: Why the station is not as it should be, when it is only verified.
        self._why: tuple[str, ...] = ()
        #: The station that is being run, empty where it is none.
        self.key = ""
        self.handing = handing
        self.needs = needs
        self._return_value = return_value
        self._passes: StationItem | None = None
        #: The results of stations that were settled before the first item was run.
        self._settled_early: dict[str, Result] = {}
        #: The stations that must stay when cleaning, and because of which others.
        self._kept_back: dict[str, dict[str, None]] = {}
        self._lock: Any = None

    def is_station(self, item: pytest.Item) -> bool:
        return item.nodeid in self.journey.route

    # --- what need not be run

    def settle(self, item: pytest.Function) -> Result | None:
        """Return the result of an item that need not be run, None for one that must."""
        if item.nodeid in self._settled_early:  # reported when its turn comes
            return self._settled_early.pop(item.nodeid)
        if self.mode == "run" and self.journey.results.have_stopped():
            return self._result_of(item, "not reached")
        result = self._settled(item)
        if result is not None and self.mode == "run" and result.is_station:
            if result.word != "not reached":
                self.journey.results.share(result)
        return result

    def _settled(self, item: pytest.Function) -> Result | None:
        key = item.nodeid
        if self.mode == "clean":
            return self._kept(key)
        if self.mode != "run":
            return None
        if not self.is_station(item):
            return self._blocked_test(item)
        result = self.journey.settled(key)
        if result is not None and result.is_complete:
            # What such a mark says is told before anything else.
            if any(mark.name in _CHANGE_THE_COURSE for mark in item.iter_markers()):
                return None
        return result

    def settle_early(self, items: Sequence[pytest.Item]) -> Iterator[tuple[pytest.Item, Result]]:
        """Yield which of *items* are fresh stations, with all upstream of them, and the results.

        One by one they would each have every plugin prepare for an item that is run.
        """
        results = self.journey.results
        upstream, selected = self.journey.route.upstream, self.departure.selected
        with self.journey.ledger.snapshot():
            for item in items:
                key = item.nodeid
                if key not in upstream:
                    continue
                if any(each in selected and each not in results for each in upstream[key]):
                    continue
                result = self._settled(item)  # type: ignore[arg-type]
                if result is not None:
                    results[key] = result
                    yield item, result

    def settle_at_once(self, session: pytest.Session) -> Iterator[tuple[pytest.Item, Result]]:
        """Settle what can be settled early; yield what comes first, taken out of *session*."""
        option = session.config.option
        # For xdist's workers, their controller reports it; a session that is not run has none.
        is_run = not (session.testsfailed or option.collectonly or option.setuponly)
        if self.mode != "run" or not is_run or hasattr(session.config, "workerinput"):
            return
        early = self._settled_early = {
            item.nodeid: result for item, result in self.settle_early(session.items)
        }
        first = [*takewhile(lambda item: item.nodeid in early, session.items)]
        for item in first:
            yield item, early.pop(item.nodeid)
        del session.items[: len(first)]

    def _blocked_test(self, item: pytest.Function) -> Result | None:
        keys = self.needs.keys_of(item)
        blocked = self.journey.blocked(keys) if keys else None
        if blocked is None:
            return None
        return self._result_of(item, "blocked" if blocked.by else "not reached", by=blocked.by)

    def _result_of(self, item: pytest.Item, word: Word, **facts: Any) -> Result:
        if self.is_station(item):
            return self.journey.result(item.nodeid, word, **facts)
        name = item.name
        return Result(key=item.nodeid, name=name, title=name, word=word, is_station=False, **facts)

    def _kept(self, key: str) -> Result | None:
        """Return the result of a station that must stay, because something downstream does."""
        by = self._kept_back.get(key)
        return self.journey.result(key, "blocked", by=tuple(by)) if by else None

    # --- what is run

    def enter(self, item: pytest.Function) -> None:
        """Begin with *item*; nothing has been set up yet."""
        self.item = item
        self.ending = Ending()
        self.journey.outcomes.look_again()
        if self.is_station(item):
            self.key, self.handing.station = item.nodeid, item
            self._passes = StationItem(item, self.journey, self.handing, self.needs)
            if self.mode == "clean":
                self._passes.ignore_xfail()

    def arrive(self) -> None:
        """Make ready for set-up: a test has its outcomes, a station no fixture unasked."""
        self.ending, self._why = Ending(), ()
        if self._passes is not None:
            self._passes.begin()
        elif self.item is not None:
            self.handing.give(self.item)

    def set_up(self) -> None:
        """Judge the station, its checks included; set up its fixtures if it must be visited."""
        passes = self._passes
        if passes is None:
            return
        match self.mode:
            case "check":
                self._set_up_to_verify(passes)
            case "clean":
                self._set_up_to_clean(passes)
            case _:
                self._set_up_to_visit(passes)

    def _set_up_to_visit(self, passes: StationItem) -> None:
        item, names = passes.item, passes.station.declaration.values
        if names:
            passes.set_up(names)
        values = {name: item.funcargs[name] for name in names}
        result = self.journey.arrive(item.nodeid, values, passes.ask)
        if result is not None and result.word == "not reached":
            pytest.skip("the run was stopped before it was reached")
        if result is not None:
            passes.ignore_xfail()
            passes.call(_nothing)
            return
        item.ihook.pytest_choochoo_visit_started(
            config=item.config, node_id=item.nodeid, reasons=self.journey.reasons
        )
        passes.set_up(passes.names)
        item.obj = passes.function

    def _set_up_to_verify(self, passes: StationItem) -> None:
        """Ask the checks; what --cc-check calls then tells what they said, and the verdict."""
        failures = passes.ask(passes.station.checks)
        passes.begin()  # whatever a check could not get, what is called now asks for nothing
        key, name = passes.item.nodeid, passes.item.name
        judging = self.journey.judging
        meanwhile = judging.under_way(key)

        self._why = tuple(failed_check(name, *each, "").text for each in failures.items())

        async def verify() -> None:
            __tracebackhide__ = True
            for check in passes.station.checks:
                if check.name in failures:
                    error = failures[check.name]
                    subject = f"check {check.name!r} of station {name!r} does not pass"
                    said = "" if isinstance(error, CheckFailed) else subject
                    if said or meanwhile:
                        error.add_note("; ".join(filter(None, (said, meanwhile))))
                    raise error.with_traceback(traceback_from(check.function, error))
            try:
                judging.require(key)
            except StationDue as due:
                self._why = due.reasons
                raise
            # A visit that is expected to fail is no reason why this should not be there.
            passes.ignore_xfail()

        passes.call(verify)

    def _set_up_to_clean(self, passes: StationItem) -> None:
        key, function = passes.item.nodeid, passes.station.clean_function
        if self._lock is None:  # else it is tried again, by a plugin that reruns what failed
            self._lock = self.journey.lock(key)  # nobody cleans what is being visited
        if function is None or not self.journey.ledger.has_traces(key):
            passes.call(_nothing)
            return
        passes.set_up_for(function)
        arguments = passes.arguments(function)

        async def clean() -> None:
            __tracebackhide__ = True
            answer = function(**arguments)
            if inspect.isawaitable(answer):
                await answer

        passes.call(clean, awaits=is_coroutine(function))

    def call_ended(self) -> None:
        """Look at what the visit returned, and ask the checks again."""
        passes = self._passes
        if passes is None:
            return
        try:
            if self.mode == "clean":
                self._require_on_clean(passes)
            elif self.mode == "run" and not self.journey.has_result:
                self.journey.returned(self._return_value.pop())
                self.journey.recheck(passes.ask)
        finally:
            passes.item.obj = passes.function

    def _require_on_clean(self, passes: StationItem) -> None:
        """Ask the checks of a cleaned station, none of which may pass any more."""
        if passes.station.clean_function is None:
            return
        failures = passes.ask(passes.station.checks)
        for check in passes.station.checks:
            if check.name not in failures or check.name in passes.passed_and_broke:
                raise StillThere(passes.item.name, check.name)

    def result(self) -> Result:
        """Return the result of the station under way as things stand."""
        assert self.item is not None
        if self.mode == "run" and self.journey.passage is not None:
            return self.journey.preview(self.ending)
        word = self._word(self.journey.route[self.key].station)
        cause = self.ending.skipped or self.ending.error
        return self.journey.result(self.key, word, cause=cause, reasons=self._why)

    def _word(self, station: Station[Any]) -> Word:
        if self.ending.skipped:
            return "skipped"
        if self.mode == "check" and self.ending.is_interrupted:
            return "not reached"
        if self.ending.error:
            return "failed"
        if self.mode != "clean":
            return "unchanged"
        return "cleaned" if station.clean_function else "left in place"

    def interrupted(self, error: BaseException) -> None:
        """Take note that the run ends in the middle of the item."""
        is_asked_for = isinstance(error, KeyboardInterrupt)
        cause = INTERRUPTED if is_asked_for else error_line(error)
        self.ending = Ending(error=cause, is_interrupted=True)

    def leave(self) -> None:
        """Record how a station ended, once pytest has said its last word; forget the item."""
        item, passes = self.item, self._passes
        if item is None:  # it was settled without being run
            return
        is_recorded = self.mode == "run" and self.journey.passage is not None
        result = self.result() if passes is not None and not is_recorded else None
        self.item, self._passes, self.key = None, None, ""
        self.handing.forget()
        if passes is None:
            return
        passes.end()
        if result is None:
            self._record(item)
            return
        self.journey.results.share(result)
        try:
            if self.mode == "clean":
                self._forget(item.nodeid, result)
        finally:
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    def _record(self, item: pytest.Function) -> None:
        was_visited = not self.journey.has_result
        result = self.journey.leave(self.ending)
        if was_visited:
            item.ihook.pytest_choochoo_visit_finished(
                config=item.config, node_id=item.nodeid, result=result
            )

    def _forget(self, key: str, result: Result) -> None:
        if result.word in {"cleaned", "left in place"}:
            self.journey.ledger.forget(key, resources=result.word == "cleaned")
        else:
            upstream = self.journey.route.upstream
            for kept in self.journey.route.closure(upstream[key], upstream):
                self._kept_back.setdefault(kept, {})[result.name] = None

    # --- fixtures

    def fixture_ends(self, definition: Any, request: Any, *, failed: bool) -> None:
        # One that failed for a check: the visit may bring what it misses.
        is_retried = failed and self._passes is not None
        self.handing.fixture_ends(definition, request, is_retried=is_retried)

    def visit(self, consumer: str) -> Any:
        """Return the visit of the station under way, for the fixture `visit`."""
        if self._passes is None:
            raise OnlyInStations(consumer)
        return self.journey.visit(self._passes.item.nodeid)


async def _nothing() -> None: ...
