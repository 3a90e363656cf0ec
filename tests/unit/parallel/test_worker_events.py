"""The events of a worker on xdist's own channel: examined, and passed on or rejected."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_choochoo.engine.ledger.record import Result, to_text
from pytest_choochoo.parallel.messages import UnknownMessage
from pytest_choochoo.parallel.worker_events import WorkerEvents
from pytest_choochoo.parallel.xdist_internals import Event
from pytest_choochoo.reporting.reports import facts

from .stand_ins import RememberingNode

BOIL = Result(key="stations.py::boil", name="boil", title="boil", word="visited")
GOOD: dict[str, dict[str, Any]] = {
    "workerready": {"workerinfo": {"version": "3.11"}},
    "collectionfinish": {"ids": ["a", "b"]},
    "logstart": {"nodeid": "a", "location": ("a.py", None, "a")},
    "logfinish": {"nodeid": "a", "location": ("a.py", 3, "a")},
    "runtest_protocol_complete": {"item_index": 0, "duration": 0.5},
    "unscheduled": {"indices": [1, 2]},
    "internal_error": {"formatted_error": "boom"},
    "warning_recorded": {"when": "runtest"},
}


class Line:
    """The events of one worker, what was passed on of them, and what was not."""

    def __init__(self) -> None:
        self.node: Any = RememberingNode()
        self.passed: list[Event] = []
        self.rejected: list[UnknownMessage] = []
        self._take = WorkerEvents(self.node, self.passed.append, self.rejected.append)

    def send(self, name: str, **arguments: Any) -> None:
        self._take((name, {"node": self.node, **arguments}))


@pytest.fixture
def line() -> Line:
    return Line()


def report_with(**attributes: Any) -> pytest.TestReport:
    report = pytest.TestReport(
        nodeid="stations.py::boil",
        location=("stations.py", None, "boil"),
        keywords={},
        outcome="passed",
        longrepr=None,
        when="call",
    )
    vars(report).update(attributes)
    return report


@pytest.mark.parametrize("name", GOOD)
def test_usual_event_is_passed_on(line: Line, name: str) -> None:
    """An event of xdist reaches the controller as it is."""
    line.send(name, **GOOD[name])

    assert line.passed == [(name, {"node": line.node, **GOOD[name]})]
    assert line.rejected == []


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("workerready", {"workerinfo": None}),
        ("collectionfinish", {"ids": [7]}),
        ("collectionfinish", {"ids": "ab"}),
        ("logstart", {"nodeid": "a"}),
        ("logstart", {"nodeid": "a", "location": ("a.py", 3)}),
        ("logfinish", {"nodeid": "a", "location": ("a.py", 3, "a"), "more": 1}),
        ("runtest_protocol_complete", {"item_index": "0", "duration": 0.5}),
        ("runtest_protocol_complete", {"item_index": 0}),
        ("unscheduled", {"indices": [None]}),
        ("internal_error", {"formatted_error": {}}),
    ],
)
def test_malformed_event_is_dropped(line: Line, name: str, arguments: dict[str, Any]) -> None:
    """An event of another form reaches nobody, and its worker is rejected."""
    line.send(name, **arguments)

    assert line.passed == []
    [error] = line.rejected
    assert error.sent.startswith(f"('{name}', ")


def test_facts_become_plain_data_again(line: Line) -> None:
    """The facts travel as text, since execnet sends that faster."""
    report = report_with(choochoo=to_text(facts(BOIL)))

    line.send("testreport", rep=report)

    assert vars(report)["choochoo"] == facts(BOIL)
    assert line.passed == [("testreport", {"node": line.node, "rep": report})]


def test_report_without_facts_is_passed_on(line: Line) -> None:
    """Most tests have nothing to do with stations."""
    report = report_with()

    line.send("testreport", rep=report)

    assert line.passed == [("testreport", {"node": line.node, "rep": report})]


@pytest.mark.parametrize(
    "attributes",
    [
        {"choochoo": "{oops"},
        {"choochoo": "{}"},
        {"choochoo": "[" * 100_000},
        {"choochoo": {"result": "visited"}},
        {"choochoo": 7},
        {"outcome": None},
        {"when": 3},
        {"duration": "long"},
    ],
)
def test_malformed_report_is_dropped(line: Line, attributes: dict[str, Any]) -> None:
    """A report whose facts are none, or that reporters could not use, reaches nobody."""
    line.send("testreport", rep=report_with(**attributes))

    assert line.passed == []
    assert len(line.rejected) == 1


def test_report_of_a_collection_that_passed_is_dropped(line: Line) -> None:
    """Xdist expects the reports of failed and skipped collections only."""
    for outcome in ("failed", "skipped", "passed"):
        report = pytest.CollectReport(nodeid="a", outcome=outcome, longrepr=None, result=[])
        line.send("collectreport", rep=report)

    assert len(line.passed) == 2
    assert len(line.rejected) == 1


def test_good_output_at_the_end_is_kept(line: Line) -> None:
    """A worker that finished stays finished; plugins may put more into its output."""
    line.node.workeroutput = {
        "exitstatus": 0,
        "shouldfail": False,
        "shouldstop": "enough",
        "coverage": {"a": 1},
    }

    line.send("workerfinished")

    assert (line.passed, line.rejected) == ([("workerfinished", {"node": line.node})], [])


@pytest.mark.parametrize(
    "output",
    [
        None,
        {},
        7,
        {"exitstatus": "boom", "shouldfail": False, "shouldstop": False},
        {"exitstatus": 0, "shouldfail": False},
    ],
)
def test_malformed_output_counts_as_a_death(line: Line, output: object) -> None:
    """Xdist hears nothing more of a worker that has finished: it learns that this one died."""
    line.node.workeroutput = output

    line.send("workerfinished")

    arguments = {"node": line.node, "error": "Not properly terminated"}
    assert line.passed == [("errordown", arguments)]
    assert not hasattr(line.node, "workeroutput")
    [error] = line.rejected
    assert error.sent.startswith("('workerfinished', ")


def test_event_that_xdist_could_not_read_is_the_end_of_its_worker(line: Line) -> None:
    """Xdist announces its death at once, and once more when it ends: only the second counts."""
    try:
        raise ValueError("unknown event: boo")
    except ValueError:
        error = pytest.ExceptionInfo.from_current()

    line.send("errordown", error=error)
    line.send("errordown", error="Not properly terminated")

    arguments = {"node": line.node, "error": "Not properly terminated"}
    assert line.passed == [("errordown", arguments)]
    [rejection] = line.rejected
    assert rejection.cause == "ValueError: unknown event: boo"
