"""The hooks in xdist's controller, which collects and runs nothing itself, for any command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.route import StationInfo
from pytest_choochoo.engine.shown import shown_lines
from pytest_choochoo.parallel.crashes import DIED
from pytest_choochoo.parallel.messages import FromWorker, Notice, Refusal, SelectedStations
from pytest_choochoo.parallel.worker_input import WorkerInput, write_input
from pytest_choochoo.parallel.workers import Worker, Workers
from pytest_choochoo.parallel.xdist_internals import Node
from pytest_choochoo.reporting.notices import notify
from pytest_choochoo.settings import PROCESS, SETTINGS


class Controller:
    """The hooks for commands whose items the workers run in any order."""

    def __init__(self, config: pytest.Config) -> None:
        process = config.stash[PROCESS]
        self._config = config
        self._began = process.began
        self._place = msgspec.structs.astuple(config.stash[SETTINGS].place)
        self._workers = Workers(process.secrets)
        self._stations: Sequence[StationInfo] = ()
        #: The items that a worker was running when it died.
        self._crashed: set[str] = set()

    @property
    def stations(self) -> Sequence[StationInfo]:
        """The stations that the workers were to run."""
        return self._stations

    @property
    def header(self) -> tuple[str, ...]:
        return ()  # the header is shown when the workers have agreed on a plan

    def unreported(self, station: StationInfo) -> Result | None:
        """Return the result of a station that was never reported, None if it was not reached."""
        return station.result("failed", cause=DIED) if station.key in self._crashed else None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Node) -> None:
        channel = self._workers.connect(node)
        write_input(
            node.workerinput, WorkerInput(channel, self._began, run=None, place=self._place)
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_from_serializable(self, data: dict[str, Any]) -> None:
        if isinstance(data.get("choochoo"), str):
            data["choochoo"] = msgspec.json.decode(data["choochoo"])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Node) -> None:
        try:
            self._read_messages()
        finally:
            self._workers.close(node)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        self._crashed.add(crashitem)

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
