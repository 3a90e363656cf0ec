"""What an xdist worker does beside running items: it agrees with the others on who goes when."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import msgspec
import pytest

from pytest_choochoo.engine.errors import UnusableLedger
from pytest_choochoo.engine.ledger.record import to_text
from pytest_choochoo.parallel import refuse
from pytest_choochoo.parallel.run_plan import RunPlan, manifest_of, shares
from pytest_choochoo.running.settled import tear_down_leftovers
from pytest_choochoo.session import Session
from pytest_choochoo.settings import Settings

SIGNAL = "::choochoo::signal"
MANIFEST = "manifest"


class Signal(pytest.Function):
    """What a worker is told to run next while there is nothing for it to run.

    A worker begins with an item only when it knows the next one. A function,
    as hooks of other plugins may look at it, and expect one.
    """

    def reportinfo(self) -> tuple[str, None, str]:
        return "", None, self.name


class WorkerHooks:
    """The hooks in xdist's workers; *line*: None where there are no stations."""

    def __init__(self, config: pytest.Config, settings: Settings, line: Session | None) -> None:
        self._config = config
        self._mode = settings.mode
        self._line = line
        self._last: pytest.Item | None = None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take for granted what one worker finds settled, and wait for a signal at the end."""
        if not self._mode.visits:
            return
        channel = self._config.workerinput["choochoo_channel"]  # type: ignore[attr-defined]
        channel.send(("process", str(os.getpid())))
        if self._line is None:
            modules = {item.nodeid.partition("::")[0] for item in session.items if shares(item)}
            channel.send(("shared", to_text(sorted(modules))))
        else:
            try:
                manifest = self._manifest(session, self._line)
            except UnusableLedger as error:
                refuse(self._config, error, session.items)
                return
            for result in manifest.settled:
                self._line.journey.results[result.key] = result
        signal = Signal.from_parent(session, name=SIGNAL[2:], callobj=_nothing)
        session.items.append(signal)

    def _manifest(self, session: pytest.Session, line: Session) -> RunPlan:
        """Return what the workers agree on, made by the first of them."""
        journey = line.journey
        run, ledger = line.workflow.run, journey.ledger
        assert run is not None
        lock = ledger.lock(MANIFEST, -1)
        try:
            known = ledger.result(run, MANIFEST)
            if known is None:
                workers = self._config.workerinput["workercount"]  # type: ignore[attr-defined]
                made = manifest_of(line, session.items, workers)
                known = ledger.put_if_absent(run, MANIFEST, to_text(made))
        finally:
            lock.release()
        return msgspec.json.decode(known, type=RunPlan)

    def pytest_sessionfinish(self) -> None:
        if self._line is not None and not self._mode.writes and self._mode.collects:
            stations = msgspec.to_builtins(self._line.stations)
            self._config.workeroutput["choochoo_stations"] = stations  # type: ignore[attr-defined]

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self) -> Generator[None, dict[str, Any] | None, Any]:
        data = yield
        if data is not None and "choochoo" in data and self._mode.collects:
            # As one text it takes a fraction of what it takes execnet as a dict.
            data["choochoo"] = to_text(data["choochoo"])
        return data

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        if not isinstance(item, Signal):
            self._last = item
            return None
        if nextitem is None:
            # Whose fixtures they are, the last item says best.
            report = tear_down_leftovers(self._last or item, None)
            if report is not None:
                item.ihook.pytest_runtest_logreport(report=_in_the_name_of(item, report))
        return True


def _nothing() -> None: ...


def _in_the_name_of(signal: pytest.Item, report: pytest.TestReport) -> pytest.TestReport:
    """Return *report* as one of *signal*: of another item than it is at, no worker may report."""
    return pytest.TestReport(
        nodeid=signal.nodeid,
        location=report.location,
        keywords=report.keywords,
        outcome=report.outcome,
        longrepr=report.longrepr,
        when=report.when or "teardown",
        sections=report.sections,
        choochoo_of=report.nodeid,
    )
