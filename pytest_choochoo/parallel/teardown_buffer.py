"""A worker's last report waits until its session fixtures are torn down, which may fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from queue import Empty
from typing import Any

import pytest

from pytest_choochoo.reporting.reports import fail

Event = tuple[str, dict[str, Any]]

# What may come between the end of an item, and that of the worker or its next item.
_BETWEEN = {"runtest_protocol_complete", "unscheduled", "warning_recorded"}


class TeardownBuffer:
    """What a worker tells xdist's controller, in the order in which it is told, but for one.

    Pytest tears down with an item what the next one does not need, and an item has one
    report of that. A worker of ours learns only later that nothing comes next: by then its
    last item was reported. So that report is held back until the worker begins with another
    item, or goes home.
    """

    def __init__(self, put: Callable[[Event], object]) -> None:
        self._put = put
        self._held: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Take what the worker tells; called in a thread of execnet, always the same."""
        name, said = event
        report = said["rep"] if name == "testreport" else None
        if report is not None and self._held and hasattr(report, "choochoo_of"):
            fail(self._held[0][1]["rep"], report)
        elif report is not None and report.when == "teardown" and report.passed:
            self.let_go()
            self._held.append(event)
        elif name == "logfinish" and self._held:
            self._held.append(event)
        else:
            if name not in _BETWEEN:
                self.let_go()
            self._put(event)

    def let_go(self) -> None:
        """Wait no more for what follows."""
        held, self._held = self._held, []
        for event in held:
            self._put(event)


def drain(config: pytest.Config, workers: Iterable[TeardownBuffer]) -> None:
    """Take what *workers* reported that xdist was too late for, as it was interrupted."""
    for worker in workers:
        worker.let_go()
    session: Any = config.pluginmanager.get_plugin("dsession")
    with suppress(Empty):
        while True:
            name, said = session.queue.get_nowait()
            if name == "testreport":
                session.worker_testreport(**said)
