"""The only file that knows xdist."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import msgspec
import pytest

from pytest_choochoo.railway.errors import ChoochooError, Conflict
from pytest_choochoo.railway.opening import open_ledger
from pytest_choochoo.railway.record import Record, Result
from pytest_choochoo.settings import Settings, run_name

_IN_ONE_PROCESS = {"clean", "forget"}


def check(config: pytest.Config, settings: Settings) -> None:
    """Take xdist's options as they suit *settings*. Raises `Conflict`."""
    option = config.option
    if settings.mode == "run" and getattr(option, "dist", "no") == "each":
        raise Conflict("--cc-run", "--dist each")
    if settings.mode in _IN_ONE_PROCESS and getattr(option, "tx", None):
        # Downstream first: one after the other is what is asked for.
        option.dist, option.tx, option.numprocesses = "no", [], None


def refuse(config: pytest.Config, error: ChoochooError, items: list[pytest.Item]) -> None:
    """Leave *items* alone in a worker, and have its controller say what is wrong."""
    items.clear()
    config.workeroutput["choochoo_error"] = str(error)  # type: ignore[attr-defined]


class Controller:
    """The hooks in xdist's controller."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._began = time.time()
        #: What the workers were to run, by node id, and what is said of the selection.
        self.stations: list[dict[str, Any]] = []
        self.header: list[str] = []
        #: The results of what workers died of.
        self.crashed: dict[str, Result] = {}

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["choochoo_began"] = self._began

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        if self._settings.mode != "run":
            return None
        from xdist.scheduler import LoadScheduling

        class InOrder(LoadScheduling):  # type: ignore[misc]
            """Keeps the order in each worker, the items of a dead one included.

            Whoever waits in a worker for a station waits for one that stands before it in
            the order: so such waits end.
            """

            def remove_node(self, node: Any) -> Any:
                item = super().remove_node(node)
                self.pending.sort()
                return item

        return InOrder(config, log)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        output = getattr(node, "workeroutput", None) or {}
        if "choochoo_error" in output:
            raise pytest.UsageError(output["choochoo_error"])
        self.stations = output.get("choochoo_stations", self.stations)
        self.header = output.get("choochoo_header", self.header)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """Write that the station which a dead worker was busy with failed."""
        if self._settings.mode != "run":
            return
        session: Any = self._config.pluginmanager.get_plugin("dsession")
        run = run_name(session.nodemanager.testrunuid, self._began)
        with closing(open_ledger(self._settings.place(), warn=lambda text: None)) as ledger:
            known = ledger.result(run, crashitem)
            record = ledger.record(crashitem)
            if known is not None:
                result = msgspec.json.decode(known, type=Result)
            else:
                result = _died(crashitem, record)
                ledger.write_result(run, crashitem, msgspec.json.encode(result).decode())
            if record is not None and record.status == "visiting":
                failed = record.with_(status="failed", since=time.time(), error=result.cause, pid=0)
                ledger.finish(crashitem, failed)
        if record is not None:  # else it may be a test
            report.choochoo = msgspec.to_builtins(result)  # type: ignore[attr-defined]
        self.crashed[crashitem] = result


def _died(key: str, record: Record | None) -> Result:
    cause = "the worker process died"
    if record is not None and record.status == "visiting":
        cause = f"the worker process {record.pid} died while it visited the station"
    name = key.rpartition("::")[2]
    return Result(key=key, name=name, title=name, word="failed", cause=cause)
