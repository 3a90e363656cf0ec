"""Events of a worker's visits on their way to the controller."""

from __future__ import annotations

import threading
import time

from pytest_choochoo.engine.events import Event, VisitStarted
from pytest_choochoo.engine.visit import Progressed
from pytest_choochoo.parallel.event_sender import EventSender

PATIENCE = 10.0


def told(done: float) -> Progressed:
    return Progressed(key="boil", done=done, total=None, unit="", description="")


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
    channel.last = told(9_999)
    sender = EventSender(channel.send)

    for number in range(10_000):
        sender(told(number))

    assert channel.arrived.wait(PATIENCE)
    assert len(channel.sent) < 100


def test_progress_is_sent_at_most_once_in_a_pause() -> None:
    """A visit that reports all the time causes ten messages a second."""
    channel = Channel()
    sender = EventSender(channel.send, pause=0.1)
    began = time.perf_counter()

    while time.perf_counter() - began < 0.5:
        sender(told(1))
        time.sleep(0.001)

    assert 1 <= len(channel.sent) <= 7


def test_progress_precedes_the_event_after_it() -> None:
    """The end of a visit is sent after its last progress."""
    channel = Channel()
    sender = EventSender(channel.send, pause=PATIENCE)
    end = VisitStarted(key="brew")
    sender(told(1))
    sender(told(2))

    sender(end)

    assert channel.sent[-2:] == [told(2), end]


def test_controller_that_is_gone_is_no_error_of_the_visit() -> None:
    """The loss of the connection is noticed elsewhere."""

    def send(event: Event) -> None:
        raise OSError("cannot send")

    EventSender(send)(VisitStarted(key="boil"))
