"""Events of a worker's visits on their way to the controller."""

from __future__ import annotations

import threading
import time

from pytest_choochoo.engine.events import Event, VisitEnded, VisitStarted
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.visit import Progress, Progressed, ProgressReport
from pytest_choochoo.parallel.event_sender import EventSender

PATIENCE = 10.0


def told(done: float) -> Progressed:
    return Progressed(key="boil", done=done, total=None, unit="", description="")


def report_of(key: str = "boil") -> tuple[ProgressReport, Progress]:
    report = ProgressReport(key)
    return report, Progress(report, total=None, unit="", description="")


class Channel:
    def __init__(self) -> None:
        self.sent: list[Event] = []
        self.arrived = threading.Event()
        self.last: Event | None = None

    def send(self, event: Event) -> None:
        self.sent.append(event)
        if event == self.last:
            self.arrived.set()


def test_last_progress_is_sent_though_most_is_not() -> None:
    """Of ten thousand in a moment a few are sent, and the last one without any other event."""
    channel = Channel()
    channel.last = told(10_000)
    sender = EventSender(channel.send)
    report, progress = report_of()
    sender(report)

    for _ in range(10_000):
        progress.update()

    assert channel.arrived.wait(PATIENCE)
    assert len(channel.sent) < 100


def test_progress_is_sent_at_most_once_in_a_pause() -> None:
    """A visit that reports all the time causes ten messages a second."""
    channel = Channel()
    sender = EventSender(channel.send, pause=0.1)
    report, progress = report_of()
    sender(report)
    began = time.perf_counter()

    while time.perf_counter() - began < 0.5:
        progress.update()
        time.sleep(0.001)

    assert 1 <= len(channel.sent) <= 7


def test_progress_that_stands_still_is_sent_once() -> None:
    """Nothing is sent while nothing changes."""
    channel = Channel()
    sender = EventSender(channel.send, pause=0.001)
    report, progress = report_of()
    sender(report)
    progress.update()

    time.sleep(0.1)

    assert channel.sent.count(told(1)) == 1


def test_progress_precedes_the_event_after_it() -> None:
    """The end of a visit is sent after its last progress, and its progress is not sent again."""
    channel = Channel()
    sender = EventSender(channel.send, pause=0.001)
    report, progress = report_of()
    end = VisitEnded(result=Result(key="boil", name="boil", title="boil", word="visited"))
    sender(report)
    progress.update(2)

    sender(end)
    progress.update()
    time.sleep(0.1)

    assert channel.sent[-2:] == [told(2), end]


def test_controller_that_is_gone_is_no_error_of_the_visit() -> None:
    """The loss of the connection is noticed elsewhere."""

    def send(event: Event) -> None:
        raise OSError("cannot send")

    EventSender(send)(VisitStarted(key="boil"))
