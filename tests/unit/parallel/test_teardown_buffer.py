"""The buffer that holds back a worker's last report: its events and their order."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from pytest_choochoo.parallel.teardown_buffer import TeardownBuffer
from pytest_choochoo.parallel.xdist_internals import Event


def report(
    item: str,
    when: Literal["setup", "call", "teardown"],
    outcome: Literal["passed", "failed"] = "passed",
    **more: Any,
) -> Event:
    made = pytest.TestReport(
        nodeid=item,
        location=("test_it.py", 0, item),
        keywords={},
        outcome=outcome,
        longrepr="it is hot" if outcome == "failed" else None,
        when=when,
        duration=1.0,
        sections=[("Captured stdout teardown", "cooling")] if outcome == "failed" else [],
        **more,
    )
    return "testreport", {"rep": made}


def event(name: str) -> Event:
    return name, {}


def described(events: list[Event]) -> list[str]:
    """Return the events in words; for a report, its item and phase."""
    return [
        f"{said['rep'].nodeid} {said['rep'].when}" if name == "testreport" else name
        for name, said in events
    ]


@pytest.fixture
def passed_on() -> list[Event]:
    return []


@pytest.fixture
def buffer(passed_on: list[Event]) -> TeardownBuffer:
    return TeardownBuffer(passed_on.append)


def test_order_is_kept(buffer: TeardownBuffer, passed_on: list[Event]) -> None:
    """The last teardown and the end of its item are held back until the next item starts."""
    for name in ("logstart", "a setup", "a call", "a teardown", "logfinish"):
        item, _, when = name.partition(" ")
        buffer(report(item, when) if when else event(name))  # type: ignore[arg-type] # a phase
    assert described(passed_on) == ["logstart", "a setup", "a call"]

    buffer(event("logstart"))

    assert described(passed_on) == [
        "logstart",
        "a setup",
        "a call",
        "a teardown",
        "logfinish",
        "logstart",
    ]


@pytest.mark.parametrize(
    "between", ["runtest_protocol_complete", "unscheduled", "warning_recorded"]
)
def test_events_between_items_pass_at_once(
    buffer: TeardownBuffer, passed_on: list[Event], between: str
) -> None:
    """These events reach the scheduler, and the report is still held."""
    buffer(report("a", "teardown"))

    buffer(event(between))

    assert described(passed_on) == [between]


@pytest.mark.parametrize("last", ["workerfinished", "errordown", "logstart"])
def test_other_events_end_the_wait(
    buffer: TeardownBuffer, passed_on: list[Event], last: str
) -> None:
    """The worker starts an item, ends or dies: nothing is added to its last report."""
    buffer(report("a", "teardown"))

    buffer(event(last))

    assert described(passed_on) == ["a teardown", last]


def test_late_teardown_failure_becomes_part_of_the_held_report(
    buffer: TeardownBuffer, passed_on: list[Event]
) -> None:
    """The item has one report of its teardown, with the error and the captured output."""
    buffer(report("a", "teardown"))
    buffer(event("logfinish"))

    buffer(report("a", "teardown", "failed", choochoo_of="a"))
    assert described(passed_on) == []
    buffer.flush()

    assert described(passed_on) == ["a teardown", "logfinish"]
    merged = passed_on[0][1]["rep"]
    assert (merged.outcome, merged.longrepr, merged.duration) == ("failed", "it is hot", 2.0)
    assert merged.sections == [("Captured stdout teardown", "cooling")]


def test_late_teardown_failure_stands_alone_without_a_held_report(
    buffer: TeardownBuffer, passed_on: list[Event]
) -> None:
    """If the item's own teardown failed as well, there are two reports."""
    buffer(report("a", "teardown", "failed"))

    buffer(report("a", "teardown", "failed", choochoo_of="a"))

    assert described(passed_on) == ["a teardown", "a teardown"]


def test_next_teardown_replaces_the_held_one(
    buffer: TeardownBuffer, passed_on: list[Event]
) -> None:
    """At most one report is held."""
    buffer(report("a", "teardown"))

    buffer(report("b", "teardown"))

    assert described(passed_on) == ["a teardown"]


def test_flush_passes_on_once(buffer: TeardownBuffer, passed_on: list[Event]) -> None:
    """A second flush has nothing left to pass on."""
    buffer(report("a", "teardown"))

    buffer.flush()
    buffer.flush()

    assert described(passed_on) == ["a teardown"]
