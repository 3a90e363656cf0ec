"""Runs items under pytest's protocol: the hooks, and the effect of each phase on a station."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pytest

from pytest_choochoo.collection.dependencies import Dependencies
from pytest_choochoo.collection.functions import requests_fixtures
from pytest_choochoo.engine.errors import ChoochooError, OnlyInStations, error_line
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.engine.ledger.record import Result, Word
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.engine.station import Station
from pytest_choochoo.engine.wording import INTERRUPTED, full_message, why
from pytest_choochoo.reporting.reports import (
    CheckWarning,
    StationDueWarning,
    facts,
    long_text_of_skip,
    properties,
    put_facts,
)
from pytest_choochoo.running.injection import Injection
from pytest_choochoo.running.settled import report_settled
from pytest_choochoo.running.stopping import (
    Deadline,
    StopAnswer,
    failing_without_ledger,
    stopping_without_ledger,
)
from pytest_choochoo.settings import SETTINGS, Mode, pytest_option, runs_items

if TYPE_CHECKING:
    from pytest_choochoo.engine.attempt import Ending
    from pytest_choochoo.engine.visit import Visit
    from pytest_choochoo.running.station_item import StationItem


class Trip(Protocol):
    """The work of a command on one station, phase by phase; made when its item starts."""

    def set_up(self) -> None:
        """Set the function to call; pytest has set up the item, without any fixture."""

    def after_call(self) -> None:
        """Continue after the call, if it raised nothing."""

    def result(self, ending: Ending) -> Result:
        """Return the result of the station if this is its *ending*."""

    def finish(self, ending: Ending) -> Result:
        """Record how the station ended, and return its result."""

    def note_failure(self, error: str) -> None:
        """Record that the station failed, because the process may be about to end."""

    @property
    def has_begun(self) -> bool:
        """Whether a visit has begun, and perhaps ended."""


class TripMaker(Protocol):
    """The part of a command that a runner needs."""

    mode: Mode

    def settle(self, item: pytest.Item, journey: Journey) -> Result | None:
        """Return the result of an item that need not be run, None for one that must."""

    def trip(self, item: StationItem, journey: Journey) -> Trip:
        """Return the trip of a station that is run."""


class StationRun:
    """A station that is being run: its item, its trip, and how it has ended so far."""

    def __init__(self, item: StationItem, trip: Trip) -> None:
        from pytest_choochoo.running.observer import ReportObserver  # most runs settle all stations

        self.item = item
        self.trip = trip
        self.observer = ReportObserver(
            trip.result, item.item.config.stash[SETTINGS].profile_for_junit
        )


class ItemRun(msgspec.Struct, frozen=True):
    """One item that is being run: a test, or a *station*.

    *settled*: its result, where it is run only because a reporter looks at the phases.
    """

    item: pytest.Function
    station: StationRun | None
    settled: Result | None = None


class Runner:
    """Runs the items of one session in this process, one at a time.

    *runs_settled*: items that need not be run pass through all phases, too, without any effect,
    since a reporter looks at the phases.
    """

    def __init__(
        self,
        *,
        command: TripMaker,
        journey: Journey,
        injection: Injection,
        dependencies: Dependencies,
        deadline: Deadline,
        runs_settled: bool,
    ) -> None:
        self.journey = journey
        self.injection = injection
        self.runs_settled = runs_settled
        #: The item that is being run, None between two items.
        self.current: ItemRun | None = None
        self._command = command
        self._dependencies = dependencies
        self._deadline = deadline
        #: The results of stations that were settled before the first item was run.
        self._settled: dict[str, Result] = {}

    def is_station(self, item: pytest.Item) -> bool:
        return item.nodeid in self.journey.route

    # --- items that need not be run

    def settle(self, item: pytest.Item) -> Result | None:
        """Return the result of an item that need not be run, None for one that must."""
        settled = self._settled.pop(item.nodeid, None)
        if settled is not None:  # reported when its turn comes
            return settled
        results, visits = self.journey.results, self._command.mode.visits
        if visits and results.have_stopped():
            return result_of_item(self.journey, item, "not reached")
        result = self._command.settle(item, self.journey)
        if result is not None and visits and result.is_station and result.word != "not reached":
            results.share(result)
        return result

    def settle_early(self, items: Sequence[pytest.Item]) -> Iterator[tuple[pytest.Item, Result]]:
        """Yield the stations among *items* that need not be run, each with its result.

        Settled one by one, each would be prepared by every plugin as an item to run. There are
        none where settled items are run.
        """
        if self.runs_settled:
            return
        results = self.journey.results
        upstream, selected = self.journey.route.upstream, self.journey.options.selected
        with self.journey.ledger.snapshot():
            for item in items:
                key = item.nodeid
                if key not in upstream:
                    continue
                if any(each in selected and each not in results for each in upstream[key]):
                    continue
                result = self._command.settle(item, self.journey)
                if result is not None:
                    results[key] = result
                    yield item, result

    def settle_at_once(self, session: pytest.Session) -> Iterator[tuple[pytest.Item, Result]]:
        """Settle items early; remove those at the start of *session*, and yield them."""
        self._settled = {item.nodeid: result for item, result in self.settle_early(session.items)}
        first = [*takewhile(lambda item: item.nodeid in self._settled, session.items)]
        for item in first:
            yield item, self._settled.pop(item.nodeid)
        del session.items[: len(first)]

    # --- an item that is run, phase by phase

    def start(self, item: pytest.Function, settled: Result | None = None) -> None:
        """Start *item*; nothing has been set up yet.

        *settled*: its result, where it need not be run: it then passes through all phases,
        without any fixture or call.
        """
        self.journey.outcomes.look_again()
        if not self.is_station(item):
            self.current = ItemRun(item, None, settled)
            return
        from pytest_choochoo.running.station_item import StationItem  # not for a run without due

        self.injection.station = item
        station_item = StationItem(
            item,
            self.journey.route[item.nodeid].station,
            injection=self.injection,
            dependencies=self._dependencies,
            outcomes=self.journey.outcomes,
            make_visit=self.journey.visit,
            why_unknown=self.journey.judge.why_incomplete,
            deadline=self._deadline,
        )
        if settled is None:
            trip = self._command.trip(station_item, self.journey)
        else:
            trip = SettledTrip(station_item, settled)
        self.current = ItemRun(item, StationRun(station_item, trip), settled)

    def before_setup(self, current: ItemRun) -> None:
        """Prepare set-up: give a test its outcomes; set up none of a station's fixtures yet."""
        __tracebackhide__ = True
        if current.station is not None:
            current.station.observer.start_again()
            current.station.item.strip()
        if current.settled is not None and current.settled.word == "blocked":
            pytest.skip(shown(why(current.settled)))
        if current.station is None:
            self.injection.inject(current.item)

    def after_setup(self, current: ItemRun) -> None:
        """Let the command decide what becomes of the station, and what is called."""
        if current.station is not None:
            current.station.trip.set_up()

    def after_call(self, current: ItemRun) -> None:
        """Let the command look at what the call came to."""
        if current.station is not None:
            try:
                current.station.trip.after_call()
            finally:
                current.item.obj = current.station.item.function

    def interrupted(self, error: BaseException) -> None:
        """Note that the run ends in the middle of the item."""
        if self.current is not None and self.current.station is not None:
            cause = INTERRUPTED if isinstance(error, KeyboardInterrupt) else error_line(error)
            self.current.station.observer.note_interrupt(cause)

    def finish(self) -> None:
        """Record how a station ended, now that pytest has nothing to add; forget the item."""
        current, self.current = self.current, None
        if current is None:  # it was settled without being run
            return
        self.injection.forget()
        if current.station is not None:
            current.station.item.restore()
            current.station.trip.finish(current.station.observer.ending)

    def finish_first(self, session: pytest.Session, *, is_worker: bool) -> StopAnswer:
        """Stop *session* after the visit under way; return what is finished first."""
        current = self.current
        if is_worker and current is None:
            return StopAnswer(waits=True)  # its controller sends it home
        if current is None or current.station is None or not current.station.trip.has_begun:
            return StopAnswer(waits=False)
        name = current.item.name
        session.shouldstop = f"stopped after the visit of {name}"
        # The controller speaks for its workers.
        return StopAnswer(waits=True, names=() if is_worker else (name,))

    def note_failure(self, key: str, error: str) -> None:
        """Record that the station *key* failed, because the process may be about to end."""
        current = self.current
        if current is not None and current.station is not None and current.item.nodeid == key:
            current.station.trip.note_failure(error)

    def fixture_value(self, station: Station[Any]) -> Any:
        """Return what the fixture of *station* returns to the item that is being run."""
        __tracebackhide__ = True
        assert self.current is not None, "no item is being run"
        return self.injection.fixture_value(station, self.current.item)

    def visit(self, consumer: str) -> Visit:
        """Return the visit of the station under way. Raises `OnlyInStations`."""
        if self.current is None or self.current.station is None:
            raise OnlyInStations(consumer)
        return self.current.station.item.visit


def _has_colours(config: pytest.Config) -> bool:
    has_terminal = config.pluginmanager.has_plugin("terminalreporter")
    return has_terminal and config.get_terminal_writer().hasmarkup


def result_of_item(journey: Journey, item: pytest.Item, word: Word, **facts: Any) -> Result:
    """Return the result *word* of *item*, a station or a test."""
    if item.nodeid in journey.route:
        return journey.result(item.nodeid, word, **facts)
    name = item.name
    return Result(key=item.nodeid, name=name, title=name, word=word, is_station=False, **facts)


class SettledTrip:
    """A station that is settled, but is run for a reporter: nothing is judged or recorded."""

    has_begun = False

    def __init__(self, item: StationItem, settled: Result) -> None:
        self._item = item
        self._settled = settled

    def set_up(self) -> None:
        self._item.ignore_xfail()
        self._item.call_nothing()

    def after_call(self) -> None: ...

    def result(self, ending: Ending) -> Result:
        return self._settled

    def finish(self, ending: Ending) -> Result:
        return self._settled

    def note_failure(self, error: str) -> None:
        """Do nothing: nothing is recorded."""


class SettleHooks:
    """The hooks that settle items which need not be run, and start those that must.

    *settles_early*: stations that are fresh are settled before the first item is run.
    """

    def __init__(self, runner: Runner, *, settles_early: bool) -> None:
        self._runner = runner
        self._settles_early = settles_early

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        is_run = not session.testsfailed and runs_items(session.config)
        with failing_without_ledger(session):
            if self._settles_early and is_run:
                for item, result in self._runner.settle_at_once(session):
                    report_settled(item, result, nextitem=item)  # nothing is set up yet
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        if not requests_fixtures(item):
            return None
        if pytest_option(item.config, "setupplan"):
            return None  # it only shows the plan
        only_sets_up = pytest_option(item.config, "setuponly")
        if only_sets_up and self._runner.is_station(item):
            return True  # else the station would be set up, never called, and count as visited
        result = None if only_sets_up else self._runner.settle(item)
        if result is None or (self._runner.runs_settled and result.word != "not reached"):
            self._runner.start(item, result)
            return None
        report_settled(item, result, nextitem)
        return True


class ItemHooks:
    """The hooks while an item is run, a station or a test.

    *command* is the command line that visits stations, for errors that name it.
    """

    def __init__(self, runner: Runner, command: str) -> None:
        self._runner = runner
        self._command = command

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        from pytest_choochoo.running.observer import failing_at_last

        results = self._runner.journey.results
        try:
            return (yield)
        except BaseException as error:
            self._runner.interrupted(error)
            raise
        finally:
            with stopping_without_ledger(item.session), failing_at_last(item, results):
                self._runner.finish()

    @pytest.hookimpl(wrapper=True, trylast=True)  # inside of those that prepare for teardown
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        __tracebackhide__ = True
        self._for(item, self._runner.before_setup)
        yield
        self._for(item, self._runner.after_setup)

    @pytest.hookimpl(wrapper=True, trylast=True)  # inside of those that capture output
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        __tracebackhide__ = True
        yield
        self._for(item, self._runner.after_call)

    def _for(self, item: pytest.Item, step: Callable[[ItemRun], None]) -> None:
        __tracebackhide__ = True
        current = self._runner.current
        if current is not None and current.item is item:
            step(current)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: Any, request: Any
    ) -> Generator[None, object, object]:
        if self._runner.current is None:
            return (yield)
        injection = self._runner.injection
        injection.fixture_begins(fixturedef, request)
        error: BaseException | None = None
        try:
            return (yield)
        except BaseException as raised:
            error = raised
            raise
        finally:
            injection.fixture_ends(fixturedef, request, error)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        current = self._runner.current
        if current is not None and current.item is item and current.station is not None:
            current.station.observer.note_call(call)
        report = yield
        error = None if call.excinfo is None else call.excinfo.value
        text = self._text_on_checks(item, error)
        if text is not None:
            report.longrepr = text
        elif isinstance(error, ChoochooError | StationDueWarning | CheckWarning):
            # The sentence says everything; a traceback through this plugin would not help.
            report.longrepr = full_message(error, self._command)
        if error is not None and current is not None and current.station is not None:
            from pytest_choochoo.running.long_texts import bounded  # only where something fails

            has_colours = _has_colours(item.config)
            report.longrepr = bounded(report.longrepr, has_colours=has_colours)
        if report.skipped and current is not None and current.settled is not None:
            report.longrepr = long_text_of_skip(item.location, current.settled)
        return report

    def _text_on_checks(self, item: pytest.Item, error: BaseException | None) -> Any:
        """Return the long text of a report on checks of *item*, None if *error* is not theirs."""
        current = self._runner.current
        if error is None or current is None or current.item is not item or current.station is None:
            return None
        station = current.station.item
        failures = station.failures
        if not any(error is each for each in failures.values()):
            return None
        from pytest_choochoo.running.check_reports import checks_text  # only where a check fails

        checks = [check for check in station.station.all_checks if check.name in failures]
        return checks_text(current.item, checks, failures, self._command)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        current = self._runner.current
        if current is None or report.nodeid != current.item.nodeid:
            return
        if current.station is not None:
            current.station.observer.observe(report)
        elif current.settled is not None:  # a test that is blocked
            put_facts(report, facts(current.settled))
            if report.when == "teardown":
                profile = current.item.config.stash[SETTINGS].profile_for_junit
                found = properties(current.settled, profile)
                report.user_properties = [*report.user_properties, *found]
