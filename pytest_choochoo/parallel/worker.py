"""The hooks in xdist's workers: they agree on a plan, and inform their controller."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from typing import Any

import pytest

from pytest_choochoo.engine.errors import UnusableLedger
from pytest_choochoo.engine.ledger.record import to_text
from pytest_choochoo.engine.timetable import batches
from pytest_choochoo.parallel.messages import (
    CONTROLLER,
    ProcessId,
    Refusal,
    SelectedStations,
    SharedModules,
)
from pytest_choochoo.parallel.placeholder import Placeholder, sent_as_placeholder
from pytest_choochoo.parallel.run_plan import (
    PLAN,
    DamagedPlan,
    RunPlan,
    job_of_station,
    job_of_test,
    module_of,
    read_plan,
    shares,
)
from pytest_choochoo.parallel.worker_input import worker_count
from pytest_choochoo.reporting.reports import report_collection_error
from pytest_choochoo.running.settled import tear_down_leftovers
from pytest_choochoo.session import Session
from pytest_choochoo.settings import PROCESS


class WorkerHooks:
    """The hooks in a worker, for any command."""

    def __init__(self, config: pytest.Config, made: Session | None) -> None:
        self._config = config
        self._controller = config.stash[CONTROLLER]
        self._made = made

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Send the stations: the controller reports those that no worker reaches."""
        if self._made is not None:
            self._controller.send(SelectedStations(tuple(self._made.stations)))

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self) -> Generator[None, dict[str, Any] | None, Any]:
        data = yield
        if data is not None and "choochoo" in data:
            # execnet sends one string in a fraction of the time that it needs for a dict.
            data["choochoo"] = to_text(data["choochoo"])
        return _sendable(data)


def _sendable(plain: Any) -> Any:
    """Return *plain* data with escapes for lone surrogates, which execnet cannot send."""
    match plain:
        case str() if not plain.isascii():
            return plain.encode(errors="backslashreplace").decode()
        case dict():
            return {_sendable(key): _sendable(value) for key, value in plain.items()}
        case list():
            return [*map(_sendable, plain)]
        case tuple():  # pytest expects the reason of a skip as one
            return (*map(_sendable, plain),)
        case _:
            return plain


class RunWorkerHooks(WorkerHooks):
    """The hooks in a worker for a run, whose order the route decides."""

    def __init__(self, config: pytest.Config, made: Session | None) -> None:
        super().__init__(config, made)
        self._last: pytest.Item | None = None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Agree with the other workers on a plan, and end the items with the placeholder."""
        self._controller.send(ProcessId(os.getpid()))
        if self._made is None:
            modules = {module_of(item.nodeid) for item in session.items if shares(item)}
            self._controller.send(SharedModules(tuple(sorted(modules))))
        else:
            try:
                plan = self._plan(session, self._made)
            except (DamagedPlan, UnusableLedger) as error:
                refuse(self._config, error, session.items)
                return
            for result in plan.settled:
                self._made.journey.results[result.key] = result
        session.items.append(Placeholder.of(session))

    def _plan(self, session: pytest.Session, made: Session) -> RunPlan:
        """Return the plan, which the first worker makes."""
        run, ledger = self._config.stash[PROCESS].run, made.journey.ledger
        assert run is not None
        with ledger.lock(PLAN, -1):
            text = ledger.result(run, PLAN)
            if text is None:
                workers = worker_count(self._config)
                plan = make_plan(made, session.items, workers)
                text = ledger.put_if_absent(run, PLAN, to_text(plan))
        return read_plan(text)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        if not isinstance(item, Placeholder):
            self._last = item
            return None
        if nextitem is None:
            # The remaining fixtures most likely belong to the item that ran last.
            report = tear_down_leftovers(self._last or item, None)
            if report is not None:
                item.ihook.pytest_runtest_logreport(report=sent_as_placeholder(report))
        return True


def make_plan(made: Session, items: Sequence[pytest.Item], workers: int) -> RunPlan:
    """Settle the stations that are fresh, and divide the other *items* among *workers*."""
    made.judge.read_ahead()
    is_run = not made.workflow.settings.only_sets_up  # else no station is reported
    early = made.runner.settle_early(items) if is_run else ()
    settled = {item.nodeid: result for item, result in early}
    records = made.journey.ledger.records()
    route, dependencies = made.workflow.route, made.workflow.dependencies
    jobs = {}
    for number, item in enumerate(items):
        key = item.nodeid
        if key in settled:
            continue
        if key in route:
            jobs[number] = job_of_station(item, route.upstream[key], records.get(key))
        else:
            jobs[number] = job_of_test(item, dependencies.upstream_of(item))
    return RunPlan(
        stations=made.stations,
        header=made.header,
        settled=list(settled.values()),
        batches=batches(jobs, workers),
    )


def refuse(config: pytest.Config, error: Exception, items: list[pytest.Item]) -> None:
    """Leave *items* alone in this worker, and let its controller say what is wrong."""
    items.clear()
    link = config.stash.get(CONTROLLER, None)
    if link is None:
        # The controller of plain pytest knows nothing of stations, but takes collection errors.
        report_collection_error(config, str(error))
    else:
        link.send(Refusal(str(error)))
