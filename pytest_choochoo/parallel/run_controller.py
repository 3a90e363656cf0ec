"""The hooks in xdist's controller for a run, whose order the route decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import pytest

from pytest_choochoo.engine.errors import ChoochooError
from pytest_choochoo.engine.events import VisitEnded, VisitStarted
from pytest_choochoo.engine.ledger.protocol import HeldLock, History, Ledger
from pytest_choochoo.engine.ledger.record import Result, durations_of
from pytest_choochoo.engine.ledger.remote import LedgerServer
from pytest_choochoo.engine.route import StationInfo
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.engine.timetable import Batch, Job, batches
from pytest_choochoo.engine.visit import AwaitsCheck, Progressed
from pytest_choochoo.engine.wording import it_or_them
from pytest_choochoo.parallel.controller import Controller
from pytest_choochoo.parallel.crashes import report_crash
from pytest_choochoo.parallel.messages import (
    FromWorker,
    LedgerQuestion,
    ProcessId,
    SharedModules,
    unknown,
)
from pytest_choochoo.parallel.placeholder import PLACEHOLDER, restore_item
from pytest_choochoo.parallel.run import ParallelRun
from pytest_choochoo.parallel.run_plan import UNITS, RunPlan, module_of, require_complete
from pytest_choochoo.parallel.run_stopper import RunStopper
from pytest_choochoo.parallel.scheduler import RouteScheduling
from pytest_choochoo.parallel.teardown_buffer import TeardownBuffer
from pytest_choochoo.parallel.workers import Worker
from pytest_choochoo.parallel.xdist_internals import (
    Event,
    Node,
    count_crash,
    exit_status,
    handle_late_reports,
    reaches_maxfail,
    stop_session,
)
from pytest_choochoo.reporting.displays import DISPLAY
from pytest_choochoo.reporting.notices import notify
from pytest_choochoo.reporting.reports import report_collection_error, settled_reports
from pytest_choochoo.running.stopping import StopAnswer
from pytest_choochoo.settings import Settings
from pytest_choochoo.storage import hold_profile, ledger_of

# The statuses with which a worker ends in any run, interrupted ones included.
_USUAL = {
    pytest.ExitCode.OK,
    pytest.ExitCode.TESTS_FAILED,
    pytest.ExitCode.INTERRUPTED,
    pytest.ExitCode.NO_TESTS_COLLECTED,
}
# The phases of an item; the report of a crash belongs to none of them.
_PHASES = {"setup", "call", "teardown"}


class _Parts(NamedTuple):
    """The parts of a run, which exist once it has begun."""

    run: ParallelRun
    scheduler: RouteScheduling
    stopper: RunStopper


class RunController(Controller):
    """The hooks for a run: messages are read at once, and items start as the route allows."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings = settings
        self._begun: _Parts | None = None
        self._held: HeldLock | None = None
        self._buffers: list[TeardownBuffer] = []
        #: The modules whose tests share fixtures, in a run without stations.
        self._shared_modules: frozenset[str] = frozenset()
        #: The exit status of a worker that did not end in a usual way.
        self._exit_status: int | None = None
        self._display = config.stash.get(DISPLAY, None)
        self._is_to_tick = False
        if self._display is not None and self._display.ticks_in_main:
            self._display.wake = self._wake

    @property
    def _parts(self) -> _Parts:
        assert self._begun is not None
        return self._begun

    # --- before the run

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, specs: Sequence[object]) -> None:
        """Begin the run before any worker looks for it in the ledger."""
        try:
            ledger = ledger_of(self._config, self._settings)
            try:
                self._held = hold_profile(self._settings, partial(notify, self._config))
                run = ParallelRun(ledger, self._workers, self._began)
            except BaseException:
                ledger.close()
                raise
        except ChoochooError as error:
            raise pytest.UsageError(str(error)) from None
        scheduler = RouteScheduling(
            self._config,
            workers=len(specs),
            looks_ahead=not self._config.getoption("maxfail"),  # a failure must stop the run
            begin=self._begin,
            read_messages=self._read_messages,
            reject=self._reject,
            end_worker=self._end_worker,
            notify=lambda text: notify(self._config, text),
        )
        self._begun = _Parts(run, scheduler, RunStopper(self._config, run, scheduler))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Node) -> None:
        run = self._parts.run
        self._connect(node, run.name, LedgerServer(run.ledger), self._buffered)

    def _buffered(self, put: Callable[[Event], object]) -> TeardownBuffer:
        self._buffers.append(TeardownBuffer(put))
        return self._buffers[-1]

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_xdist_make_scheduler(self) -> RouteScheduling:
        return self._parts.scheduler

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        if ids and ids[-1] == PLACEHOLDER:  # the placeholder must not be counted
            del ids[-1]

    def _reject(self, node: Node, text: str) -> None:
        report_collection_error(self._config, text, nodeid=node.gateway.id)

    def _end_worker(self, node: Node, sent: str) -> None:
        self._workers[node].reject(unknown(sent, "it does not have them"))

    def _begin(self, items: Sequence[str]) -> Sequence[Batch]:
        """Return the batches of the plan that the workers agreed on for their *items*."""
        try:
            plan = self._parts.run.plan()
            if plan is None:
                return self._batches_without_stations(items)
            require_complete(plan, items)
            if not plan.stations and self._unit_of is not None:
                return self._batches_without_stations(items)
        except ChoochooError as error:
            raise pytest.UsageError(str(error)) from None
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and self._settings.verbosity >= -1:
            for line in (*plan.header, *self._ignored()):
                reporter.write_line(shown(line))
        self._report_settled(plan)
        return plan.batches

    def _ignored(self) -> Iterator[str]:
        """Yield the line that says which option has no effect where stations are scheduled."""
        dist = self._config.option.dist
        if dist != "load" and self._parts.run.stations:
            yield f"choochoo: ignoring --dist {dist}: stations are scheduled by their route"

    @property
    def _unit_of(self) -> Callable[[str], str] | None:
        """The function from an item to the name of all that must share its worker, by --dist."""
        return UNITS.get(self._config.option.dist)

    def _batches_without_stations(self, items: Sequence[str]) -> Sequence[Batch]:
        unit_of = self._unit_of
        units = map(unit_of or module_of, items)
        jobs = {
            number: Job(
                key=key,
                module=unit,
                shares=unit_of is not None or unit in self._shared_modules,
            )
            for number, (key, unit) in enumerate(zip(items, units))
        }
        return batches(jobs, workers=len(self._parts.scheduler.nodes))

    def _report_settled(self, plan: RunPlan) -> None:
        """Report the stations that are sent to no worker."""
        hook, lines = self._config.hook, {each.key: each.line for each in plan.stations}
        for result in plan.settled:
            nodeid = result.key
            location = (module_of(nodeid), lines[nodeid], nodeid.partition("::")[2])
            hook.pytest_runtest_logstart(nodeid=nodeid, location=location)
            for report in settled_reports(self._config, result, location):
                hook.pytest_runtest_logreport(report=report)
            hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)

    # --- while the workers run

    def _read_messages(self) -> None:
        super()._read_messages()
        if self._display is not None and self._is_to_tick:
            self._is_to_tick = False
            self._display.tick()

    def _wake(self) -> None:
        """Let the main thread show that time has passed; called in the display's thread."""
        for worker in self._workers.alive[:1]:
            self._is_to_tick = True
            worker.wake_controller()

    def _handle(self, worker: Worker, message: FromWorker) -> None:
        match message:
            case ProcessId(pid):
                worker.pid = pid
            case SharedModules(modules):
                self._shared_modules = frozenset(modules)
            case LedgerQuestion():
                worker.answer(message)
            case VisitStarted() | VisitEnded() | Progressed() | AwaitsCheck():
                if self._display is not None:
                    self._display.take(message, worker.name)
            case _:
                super()._handle(worker, message)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_from_serializable(self, data: dict[str, Any]) -> None:
        restore_item(data)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Node) -> None:
        super().pytest_testnodedown(node)
        if self._workers.rejection(node) is not None and count_crash(self._config):
            self._parts.stopper.stop_for_failures()
        status = exit_status(node)
        if status is not None and status not in _USUAL:
            stop_session(self._config, f"worker {node.gateway.id} exited with status {status}")
            self._exit_status = status

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        run, scheduler = self._parts.run, self._parts.scheduler
        is_rerun = str(report.outcome) == "rerun"  # an outcome of pytest-rerunfailures
        rejection = self._blame(report)
        report_crash(
            run,
            report,
            profile=self._settings.profile_for_junit,
            at_work=scheduler.died_at_work,
            is_rerun=is_rerun,
            rejection=rejection,
        )
        # The failure of a worker that was ended is counted already.
        has_to_stop = scheduler.is_stopped if rejection else count_crash(self._config)
        if is_rerun or not has_to_stop:
            scheduler.crash_is_recorded()
        else:
            self._parts.stopper.stop_for_failures()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.when in _PHASES and reaches_maxfail(self._config):
            self._parts.stopper.stop_for_failures()

    # --- when the user stops the run

    def finish_first(self, session: pytest.Session) -> StopAnswer:
        """Start nothing more, and return the visits that the workers finish first."""
        names = self._parts.stopper.finish_visits()
        return StopAnswer(waits=bool(names), names=names)

    def interrupt_workers(self) -> None:
        """Interrupt the visits under way."""
        self._parts.stopper.interrupt_workers()

    # --- after the run

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail the session if items are left although the user did not stop it."""
        for buffer in self._buffers:
            buffer.flush()
        handle_late_reports(self._config)
        super().pytest_sessionfinish(session, exitstatus)
        if self._exit_status is not None:
            session.exitstatus = self._exit_status
            return
        scheduler = self._parts.scheduler
        left = scheduler.left
        if not left or scheduler.is_stopped or exitstatus == pytest.ExitCode.INTERRUPTED:
            return
        if exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        items = "1 item was" if left == 1 else f"{left} items were"
        notify(self._config, f"{items} not run: no workers left to run {it_or_them(left)}")

    @property
    def stations(self) -> Sequence[StationInfo]:
        return () if self._begun is None else self._begun.run.stations

    @property
    def ledger(self) -> History | None:
        return self.open_ledger

    @property
    def open_ledger(self) -> Ledger | None:
        return None if self._begun is None else self._begun.run.ledger

    @property
    def durations(self) -> Mapping[str, float]:
        return {} if self._begun is None else durations_of(self._begun.run.ledger.records())

    def unreported(self, station: StationInfo) -> Result | None:
        return self._parts.run.unreported(station)

    def pytest_unconfigure(self) -> None:
        if self._begun is not None:
            self._begun.run.ledger.close()
        if self._held is not None:
            self._held.release()
