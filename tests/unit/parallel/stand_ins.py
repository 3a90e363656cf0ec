"""Workers and channels without a process: they remember messages, or pass them on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from queue import Queue
from types import SimpleNamespace
from typing import Any

from pytest_choochoo.parallel.xdist_internals import Event


class RememberingProcess:
    """The connection to a process, which remembers the end that it came to."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def kill(self) -> None:
        self.calls.append("kill")

    def close_read(self) -> None:
        self.calls.append("close_read")

    def close_write(self) -> None:
        self.calls.append("close_write")


class RememberingNode:
    """A worker that remembers the messages of its controller."""

    def __init__(self, name: str = "gw0") -> None:
        self.process = RememberingProcess()
        spec = SimpleNamespace(popen=True, socket=None)
        self.gateway = SimpleNamespace(id=name, spec=spec, _io=self.process)
        self.workerinput: dict[str, Any] = {}
        self._events: Queue[Event] = Queue()
        self.putevent: Callable[[Event], object] = self._events.put
        self.shutting_down = False
        self.is_dead = False
        #: The items that were sent and have not started, in order.
        self.queue: deque[int] = deque()
        #: The items that were sent in one go since a test looked.
        self._sent: list[int] = []
        #: The items that were requested back.
        self.asked_back: list[list[int]] = []

    def __repr__(self) -> str:
        return str(self.gateway.id)

    def event(self) -> tuple[str, dict[str, Any]]:
        """Return the next event in the controller's queue, which another thread may put there."""
        return self._events.get(timeout=60)

    def has_event(self) -> bool:
        return not self._events.empty()

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        if self.is_dead:
            raise OSError("cannot send (already closed?)")
        self.queue += indices
        self._sent += indices

    def send_steal(self, indices: Sequence[int]) -> None:
        if self.is_dead:
            raise OSError("cannot send (already closed?)")
        self.asked_back.append(list(indices))

    def shutdown(self) -> None:
        self.shutting_down = True

    def sent(self) -> list[int]:
        """Return the items that were sent since the last call."""
        sent, self._sent = self._sent, []
        return sent


class End:
    """One end of a channel within one process: messages arrive at once."""

    def __init__(self) -> None:
        self.other: End | None = None
        self._callback: Callable[[Any], object] = lambda item: None
        self._endmarker: object = self

    def send(self, item: object) -> None:
        if self.other is None:
            raise OSError("cannot send (already closed?)")
        self.other._callback(item)

    def setcallback(self, callback: Callable[[Any], object], endmarker: object = ...) -> None:
        self._callback, self._endmarker = callback, endmarker

    def close(self) -> None:
        """Behave like execnet when the other process has ended."""
        self.other = None
        self._callback(self._endmarker)


def channel() -> tuple[End, End]:
    one, other = End(), End()
    one.other, other.other = other, one
    return one, other


class ConnectedNode(RememberingNode):
    """A worker with a channel; *there* is the other end."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        here, self.there = channel()
        self.gateway.newchannel = lambda: here
