"""The buffer that holds back a worker's last report: what comes out of it, and in which order."""

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


def told(events: list[Event]) -> list[str]:
    """Return the events in words: of a report, its item and phase."""
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
    assert told(passed_on) == ["logstart", "a setup", "a call"]

    buffer(event("logstart"))

    assert told(passed_on) == [
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
def test_what_comes_between_passes_at_once(
    buffer: TeardownBuffer, passed_on: list[Event], between: str
) -> None:
    """The scheduler has to know of it, and the report is still held."""
    buffer(report("a", "teardown"))

    buffer(event(between))

    assert told(passed_on) == [between]


@pytest.mark.parametrize("last", ["workerfinished", "errordown", "logstart"])
def test_whatever_else_comes_ends_the_wait(
    buffer: TeardownBuffer, passed_on: list[Event], last: str
) -> None:
    """The worker starts another item, goes home or dies: nothing is added to its last report."""
    buffer(report("a", "teardown"))

    buffer(event(last))

    assert told(passed_on) == ["a teardown", last]


def test_failure_of_what_was_left_becomes_part_of_the_held_report(
    buffer: TeardownBuffer, passed_on: list[Event]
) -> None:
    """So there is one report of the item's teardown, with the error and what was printed."""
    buffer(report("a", "teardown"))
    buffer(event("logfinish"))

    buffer(report("a", "teardown", "failed", choochoo_of="a"))
    assert told(passed_on) == []
    buffer.flush()

    assert told(passed_on) == ["a teardown", "logfinish"]
    merged = passed_on[0][1]["rep"]
    assert (merged.outcome, merged.longrepr, merged.duration) == ("failed", "it is hot", 2.0)
    assert merged.sections == [("Captured stdout teardown", "cooling")]


def test_failure_of_what_was_left_stands_alone_without_a_held_report(
    buffer: TeardownBuffer, passed_on: list[Event]
) -> None:
    """Where the item's own teardown had failed as well, there are two reports."""
    buffer(report("a", "teardown", "failed"))

    buffer(report("a", "teardown", "failed", choochoo_of="a"))

    assert told(passed_on) == ["a teardown", "a teardown"]


def test_next_teardown_takes_the_place_of_the_last_one(
    buffer: TeardownBuffer, passed_on: list[Event]
) -> None:
    """One report is held at most."""
    buffer(report("a", "teardown"))

    buffer(report("b", "teardown"))

    assert told(passed_on) == ["a teardown"]


def test_flush_passes_on_once(buffer: TeardownBuffer, passed_on: list[Event]) -> None:
    """A second time there is nothing left."""
    buffer(report("a", "teardown"))

    buffer.flush()
    buffer.flush()

    assert told(passed_on) == ["a teardown"]
