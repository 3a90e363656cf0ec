"""A buffer for a worker's last report, until its session fixtures are torn down."""

from __future__ import annotations

from collections.abc import Callable

from pytest_choochoo.parallel.xdist_internals import Event
from pytest_choochoo.reporting.reports import fail

# Events that may come between the end of an item and the next item, or the end of the worker.
_BETWEEN = {"runtest_protocol_complete", "unscheduled", "warning_recorded"}


class TeardownBuffer:
    """Passes on the events of a worker to xdist's controller, in order, but holds back the last.

    After an item, pytest tears down the fixtures that the next item does not need, and reports
    this with the item. Here, a worker learns only later that there is no next item, when the
    last one is already reported. So the report of an item's teardown is held back until the
    worker starts another item or ends, and a failure in the meantime becomes part of it.
    """

    def __init__(self, put: Callable[[Event], object]) -> None:
        self._put = put
        self._held: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Take an event of the worker; execnet always calls this in the same thread."""
        name, arguments = event
        report = arguments["rep"] if name == "testreport" else None
        if report is not None and self._held and hasattr(report, "choochoo_of"):
            fail(self._held[0][1]["rep"], report)
        elif report is not None and report.when == "teardown" and report.passed:
            self.flush()
            self._held.append(event)
        elif name == "logfinish" and self._held:
            self._held.append(event)
        else:
            if name not in _BETWEEN:
                self.flush()
            self._put(event)

    def flush(self) -> None:
        """Pass on the events that are held back."""
        held, self._held = self._held, []
        for event in held:
            self._put(event)
