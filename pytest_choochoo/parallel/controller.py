"""The hooks in xdist's controller, which collects and runs nothing itself, for any command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import pytest

from pytest_choochoo.engine.ledger.protocol import History, Ledger
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.ledger.remote import LedgerServer
from pytest_choochoo.engine.route import StationInfo
from pytest_choochoo.engine.shown import shown, shown_lines
from pytest_choochoo.parallel.crashes import DIED
from pytest_choochoo.parallel.messages import FromWorker, Notice, Refusal, SelectedStations
from pytest_choochoo.parallel.worker_events import WorkerEvents
from pytest_choochoo.parallel.worker_input import WorkerInput, write_input
from pytest_choochoo.parallel.workers import Worker, Workers
from pytest_choochoo.parallel.xdist_internals import Event, Node, intercept_events
from pytest_choochoo.reporting.displays import DISPLAY
from pytest_choochoo.reporting.notices import notify
from pytest_choochoo.reporting.reports import RUNS_SETTLED, report_collection_error
from pytest_choochoo.settings import PROCESS, SETTINGS

# The statuses of a session in which nothing failed.
_GOOD = {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}


class Controller:
    """The hooks for commands whose items the workers run in any order."""

    def __init__(self, config: pytest.Config) -> None:
        process = config.stash[PROCESS]
        self._config = config
        self._began = process.began
        self._place = msgspec.structs.astuple(config.stash[SETTINGS].place)
        self._workers = Workers(process.secrets)
        self._stations: Sequence[StationInfo] = ()
        #: The items that a worker was running when it died, and why it did.
        self._crashed: dict[str, str] = {}
        #: The workers whose rejection is the error of an item that they were running.
        self._blamed: set[Node] = set()

    @property
    def stations(self) -> Sequence[StationInfo]:
        """The stations that the workers were to run."""
        return self._stations

    @property
    def durations(self) -> Mapping[str, float]:
        """The seconds that the last visits took; nothing is visited in this session."""
        return {}

    @property
    def workers(self) -> int:
        """The number of workers that run items."""
        return len(self._workers.alive)

    @property
    def header(self) -> tuple[str, ...]:
        return ()  # the header is shown when the workers have agreed on a plan

    @property
    def ledger(self) -> History | None:
        return None  # only runs are noted

    @property
    def open_ledger(self) -> Ledger | None:
        return None  # the workers read it

    def unreported(self, station: StationInfo) -> Result | None:
        """Return the result of a station that was never reported, None if it was not reached."""
        cause = self._crashed.get(station.key)
        return None if cause is None else station.result("failed", cause=cause)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Node) -> None:
        self._connect(node)

    def _connect(
        self,
        node: Node,
        run: str | None = None,
        server: LedgerServer | None = None,
        wrapped: Callable[[Callable[[Event], object]], Callable[[Event], object]] = lambda put: put,
    ) -> None:
        """Connect a worker that is about to start; its events pass through what is *wrapped*."""
        channel = self._workers.connect(node, server)
        is_shown = DISPLAY in self._config.stash
        runs_settled = RUNS_SETTLED in self._config.stash
        given = WorkerInput(
            channel, self._began, run, self._place, is_shown=is_shown, runs_settled=runs_settled
        )
        write_input(node.workerinput, given)
        reject = self._workers[node].reject
        intercept_events(node, lambda put: WorkerEvents(node, wrapped(put), reject))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Node) -> None:
        try:
            self._read_messages()
        finally:
            self._workers.close(node)
        rejection = self._workers.rejection(node)
        if rejection is not None:
            notify(self._config, rejection)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        rejection = self._blame(report)
        if rejection is not None:
            report.longrepr = shown(rejection)
        self._crashed[crashitem] = rejection or DIED

    def _blame(self, crash: pytest.TestReport) -> str | None:
        """Return why the worker of the item in *crash* was ended, None if it died by itself."""
        node: Node = vars(crash)["node"]
        rejection = self._workers.rejection(node)
        if rejection is not None:
            self._blamed.add(node)
        return rejection

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail the session if a worker had to be ended; report those that were running nothing."""
        rejections = self._workers.rejections()
        for node, rejection in rejections.items():
            if node not in self._blamed:
                report_collection_error(
                    self._config, rejection, nodeid=node.gateway.id, session=session
                )
        if rejections and session.exitstatus in _GOOD:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _read_messages(self) -> None:
        for worker, message in self._workers.messages():
            self._handle(worker, message)

    def _handle(self, worker: Worker, message: FromWorker) -> None:
        match message:
            case Notice(text):
                notify(self._config, text)
            case Refusal(text):
                raise pytest.UsageError(shown_lines(text))
            case SelectedStations(stations):
                self._stations = stations
