"""The hooks in xdist's controller, which collects nothing and runs nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property, partial
from queue import SimpleQueue
from typing import Any

import msgspec
import pytest

from pytest_choochoo.engine.errors import ChoochooError, UnusableLedger
from pytest_choochoo.engine.ledger.protocol import Ledger, LockBusy
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.ledger.remote import LedgerServer
from pytest_choochoo.engine.results import Results
from pytest_choochoo.engine.timetable import Batch, Job, batches
from pytest_choochoo.engine.wording import INTERRUPTED
from pytest_choochoo.parallel.messages import SecretChannel
from pytest_choochoo.parallel.run_plan import RunPlan, StationInfo
from pytest_choochoo.parallel.teardown_buffer import TeardownBuffer, drain
from pytest_choochoo.parallel.worker import MANIFEST, SIGNAL
from pytest_choochoo.reporting.notices import notify
from pytest_choochoo.reporting.reports import facts, properties, settled_reports
from pytest_choochoo.reporting.terminal import RUN_FACTS
from pytest_choochoo.running.stopping import StopAnswer, StopHooks
from pytest_choochoo.settings import Settings
from pytest_choochoo.storage import BEGUN, ledger_of

# In which a worker that is known to be dead has let go of its lock, in seconds.
_GRACE = 2.0
_DIED = "the worker process died"
# How a worker ends that goes home, as it does in any run or where it is interrupted.
_ENDINGS = {
    pytest.ExitCode.OK,
    pytest.ExitCode.TESTS_FAILED,
    pytest.ExitCode.INTERRUPTED,
    pytest.ExitCode.NO_TESTS_COLLECTED,
}
# A crash that xdist reports is in none of them.
_PHASES = {"setup", "call", "teardown"}


def register(config: pytest.Config, settings: Settings) -> None:
    """Register the controller's hooks."""
    controller = Controller(config, settings)
    config.stash[RUN_FACTS] = controller
    config.pluginmanager.register(controller)
    if settings.mode.visits:
        config.pluginmanager.register(SecretChannel())
        hooks = StopHooks(controller.finish_first, controller.interrupt_workers)
        config.pluginmanager.register(hooks)


class Controller:
    """The hooks in xdist's controller."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._began = time.time()
        self._run = ""
        self._ledger: Ledger | None = None
        self._scheduler: Any = None
        self._said: SimpleQueue[tuple[Any, str, str]] = SimpleQueue()
        self._windows: dict[Any, tuple[Any, LedgerServer]] = {}
        self._reports: dict[Any, TeardownBuffer] = {}
        #: The stations that the workers were to run.
        self.stations: list[StationInfo] = []
        #: What a worker ended with that did not end as they do.
        self._exit_status: int | None = None
        #: What workers died of that only verified.
        self._died_of: set[str] = set()
        #: The modules of which workers said that their tests share something.
        self._shared: set[str] = set()
        #: The processes of the workers, each by its number on its machine.
        self._processes: dict[Any, int] = {}

    # --- before the run

    def pytest_report_header(self) -> str | None:
        dist = self._config.option.dist
        if not self._settings.mode.visits or dist == "load":
            return None
        return f"choochoo: --dist {dist} is overruled, stations go in the order of their route"

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["choochoo_began"] = self._began
        if not self._settings.mode.visits:
            return
        if not self._run:
            # The uid alone would not do: who sets it by hand may use it for several runs.
            self._run = f"{node.workerinput['testrunuid']}-{self._began!r}"
            try:
                self.ledger.start_run(self._run)
                self.ledger.write_result(self._run, BEGUN, "")
            except ChoochooError as error:
                raise pytest.UsageError(str(error)) from None
        node.workerinput["choochoo_run"] = self._run
        node.putevent = self._reports[node] = TeardownBuffer(node.putevent)
        channel = node.workerinput["choochoo_channel"] = node.gateway.newchannel()
        channel.setcallback(partial(self._hear, node))
        self._windows[node] = (channel, LedgerServer(self.ledger))

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        if not self._settings.mode.visits:
            return None
        from pytest_choochoo.parallel.scheduler import RouteScheduling

        self._scheduler = RouteScheduling(config, log, begins=self._begin, heard=self._tell)
        return self._scheduler

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        if ids and ids[-1] == SIGNAL:  # no item: not to be counted, and of no use to others
            del ids[-1]

    def _begin(self, collection: Sequence[str]) -> Sequence[Batch]:
        """Take what the workers have agreed on, and return the batches of it."""
        known = self.ledger.result(self._run, MANIFEST)
        if known is None:  # there are no stations
            self._tell()
            modules = [key.partition("::")[0] for key in collection]
            tests = {
                number: Job(key=key, module=module, shares=module in self._shared)
                for number, (key, module) in enumerate(zip(collection, modules))
            }
            return batches(tests, workers=len(self._windows))
        manifest = msgspec.json.decode(known, type=RunPlan)
        self.stations = manifest.stations
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and self._settings.verbosity >= -1:
            for line in manifest.header:
                reporter.write_line(line)
        self._report_settled(manifest)
        return manifest.batches

    def _report_settled(self, manifest: RunPlan) -> None:
        hook, lines = self._config.hook, {each.key: each.line for each in manifest.stations}
        for result in manifest.settled:
            nodeid = result.key
            location = (nodeid.partition("::")[0], lines[nodeid], nodeid.partition("::")[2])
            hook.pytest_runtest_logstart(nodeid=nodeid, location=location)
            for report in settled_reports(self._config, result, location):
                hook.pytest_runtest_logreport(report=report)
            hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)

    @property
    def ledger(self) -> Ledger:
        """The ledger that the workers write to."""
        if self._ledger is None:
            self._ledger = ledger_of(self._config, self._settings)
        return self._ledger

    @cached_property
    def _results(self) -> Results:
        return Results(self.ledger, self._run)

    # --- what workers say

    def _hear(self, node: Any, message: tuple[str, str]) -> None:
        """Keep what a worker says; called in a thread of execnet, which must not be held up."""
        from pytest_choochoo.parallel.scheduler import NO_ITEM

        self._said.put((node, *message))
        # What wakes the controller, and ends up in the scheduler, in the main thread.
        event = {"node": node, "item_index": NO_ITEM, "duration": 0.0}
        node.putevent(("runtest_protocol_complete", event))

    def _tell(self) -> None:
        while not self._said.empty():
            node, what, text = self._said.get()
            if what == "say":
                notify(self._config, text)
            elif what == "shared":
                self._shared = set(msgspec.json.decode(text))
            elif what == "process":
                self._processes[node] = int(text)
            elif node in self._windows:
                channel, window = self._windows[node]
                with suppress(OSError):  # it has died meanwhile
                    channel.send(window.answer(text))

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_from_serializable(self, data: dict[str, Any]) -> None:
        if isinstance(data.get("choochoo"), str):
            data["choochoo"] = msgspec.json.decode(data["choochoo"])
        if data.get("nodeid") == SIGNAL and "choochoo_of" in data:
            data["nodeid"] = data["choochoo_of"]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        if node in self._windows:
            self._windows.pop(node)[1].close()
        output = getattr(node, "workeroutput", None) or {}
        if "choochoo_error" in output:
            raise pytest.UsageError(output["choochoo_error"])
        status = output.get("exitstatus", pytest.ExitCode.OK)
        if status not in _ENDINGS and self._scheduler is not None:
            session: Any = self._config.pluginmanager.get_plugin("dsession")
            session.shouldstop = session.shouldstop or f"{node.gateway.id} ended with {status}"
            self._exit_status = status
        if "choochoo_stations" in output:
            self.stations = msgspec.convert(output["choochoo_stations"], list[StationInfo])

    @property
    def header(self) -> tuple[str, ...]:
        return ()  # printed when the workers have agreed on it

    # --- the user stops it

    def finish_first(self, session: pytest.Session) -> StopAnswer:
        """Let no other visit begin; return what workers finish first."""
        names = self.stop()
        return StopAnswer(waits=bool(names), names=names)

    def stop(self) -> list[str]:
        """Have no other visit begin; return the names of the stations that are being visited."""
        if self._scheduler is None:
            return []
        # Called in the midst of whatever this thread does, of a transaction perhaps.
        threading.Thread(target=self._tell_workers_to_stop).start()
        busy = self._scheduler.under_way()
        names = [
            station.name
            for station in self.stations
            if station.key in busy and self._is_visited_now(station.key)
        ]
        if names:
            self._scheduler.stop(self._stopped)
        return names

    def _tell_workers_to_stop(self) -> None:
        with suppress(UnusableLedger):  # who visits something will find out, and stop
            self._results.stop()

    def interrupt_workers(self) -> None:
        """StationInstance the visits under way, where the user's signal did not reach their workers."""
        busy = set[int]()
        with suppress(UnusableLedger):  # the session may be over by now
            records = self.ledger.records().values()
            busy = {record.pid for record in records if record.is_visiting}
        for node, process in self._processes.items():
            if node.gateway.spec.popen and process in busy:
                with suppress(ProcessLookupError):
                    # One asks to finish what is under way, the other not to.
                    os.kill(process, signal.SIGTERM)
                    os.kill(process, signal.SIGINT)

    def _is_visited_now(self, key: str) -> bool:
        record = self.ledger.record(key)
        if record is None or not record.is_visiting:
            return False
        return record.pid in self._processes.values()  # else another run visits it

    def _stopped(self) -> None:
        session: Any = self._config.pluginmanager.get_plugin("dsession")
        session.shouldstop = session.shouldstop or "stopped after the visits under way"

    # --- a worker dies

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """Write that the station which a dead worker was busy with failed."""
        if not self._settings.mode.visits:
            self._died_of.add(crashitem)
            return
        is_at_work = self._scheduler.died_at_work
        if not is_at_work:
            report.longrepr = f"{_DIED} when it was done with {crashitem}, and tore nothing down"
        is_rerun = report.outcome == "rerun"  # type: ignore[comparison-overlap]
        station = next((each for each in self.stations if each.key == crashitem), None)
        if station is not None:
            result = self._died(station)
            if not is_rerun:
                # What the workers were told before it died, it is.
                result = self._results.shared(crashitem) or self._results.share(result)
            if result.is_complete and is_at_work:
                report.longrepr = f"{_DIED} when {station.name} was recorded already"
            report.choochoo = facts(result)  # type: ignore[attr-defined]
            report.user_properties = properties(result)
        if is_rerun or not self._is_to_stop():
            self._scheduler.crash_is_known()
        elif not is_rerun:
            self._stop_for_failures()

    def _died(self, station: StationInfo) -> Result:
        """Record that the visit of *station* failed, if there was one; return the result."""
        cause, reasons = _DIED, tuple[str, ...]()
        try:
            lock = self.ledger.lock(station.key, _GRACE)
        except LockBusy:  # the visit of another run, or somebody else has begun it anew already
            return station.result("failed", cause=cause)
        try:
            record = self.ledger.record(station.key)
            if record is None or record.since < self._began:
                return station.result("failed", cause=cause)  # it was not visited
            reasons = next((each.reasons for each in self.ledger.attempts(station.key)[-1:]), ())
            if record.status == "failed":  # written when it was about to die
                cause = record.error
            elif record.is_visiting:
                cause = f"the worker process {record.pid} died while it visited the station"
                failed = record.with_(status="failed", since=time.time(), error=cause, pid=0)
                self.ledger.finish(station.key, failed)
        finally:
            lock.release()
        return station.result("failed", cause=cause, reasons=reasons)

    def _is_to_stop(self) -> bool:
        """Count a crash for -x and --maxfail, which xdist does for what is reported only."""
        session: Any = self._config.pluginmanager.get_plugin("dsession")
        session.countfailures += 1
        if session.maxfail and session.countfailures >= session.maxfail and not session.shouldstop:
            session.shouldstop = f"stopping after {session.countfailures} failures"
        return bool(session.shouldstop)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self._scheduler is None or not report.failed or report.when not in _PHASES:
            return
        session: Any = self._config.pluginmanager.get_plugin("dsession")
        if session.maxfail and session.countfailures + 1 >= session.maxfail:
            self._stop_for_failures()

    def _stop_for_failures(self) -> None:
        """Have nothing else begin; xdist itself only waits for all that workers have got."""
        self._scheduler.stop(lambda: None)
        self._tell_workers_to_stop()

    # --- after the run

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Have the session fail where nobody stopped it, and yet not all was run."""
        drain(self._config, self._reports.values())
        if self._exit_status is not None:
            session.exitstatus = self._exit_status
            return
        left = 0 if self._scheduler is None else self._scheduler.left
        if not left or self._scheduler.is_stopped or exitstatus == pytest.ExitCode.INTERRUPTED:
            return
        if exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        notify(self._config, f"{left} items were not run: there was no worker left to run them")

    def unreported(self, station: StationInfo) -> Result | None:
        """Return how *station* ended whose report came too late, None: it was not reached."""
        if station.key in self._died_of:
            return station.result("failed", cause=_DIED)
        if not self._run:
            return None
        told = self._results.shared(station.key)
        if told is None and self._is_visited_now(station.key):  # its worker could not even say so
            return station.result("failed", cause=INTERRUPTED)
        return told

    def pytest_unconfigure(self) -> None:
        if self._ledger is not None:
            self._ledger.close()
