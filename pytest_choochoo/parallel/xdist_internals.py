"""The parts of xdist used beyond its hooks, a function each, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty
from typing import Any, Protocol

import pytest

#: An event of a worker as xdist's controller queues it: its name, and the arguments.
Event = tuple[str, dict[str, Any]]

#: An item number that no item has: its end is an event that only wakes the controller.
NO_ITEM = -1


class Node(Protocol):
    """The part of a worker's node in the controller that is used here.

    It is not private: xdist passes it to hooks and schedulers.
    """

    gateway: Any
    workerinput: dict[str, Any]
    putevent: Callable[[Event], object]

    @property
    def shutting_down(self) -> bool: ...
    def send_runtest_some(self, indices: Sequence[int]) -> None: ...
    def send_steal(self, indices: Sequence[int]) -> None: ...
    def shutdown(self) -> None: ...


def intercept_events(
    node: Node, wrapped: Callable[[Callable[[Event], object]], Callable[[Event], object]]
) -> None:
    """Replace the function that takes the events of *node* by what *wrapped* returns for it.

    A report must be held back before xdist passes it to the reporters, which count it at once.
    The only hook before them is `pytest_report_from_serializable`, which can alter a report, but
    not delay it.
    """
    node.putevent = wrapped(node.putevent)


def wake_controller(node: Node) -> None:
    """Wake the controller's main thread, which calls `mark_test_complete` with `NO_ITEM`.

    It sleeps until a worker sends an event of xdist's own, and calls no hook when it wakes.
    """
    event = {"node": node, "item_index": NO_ITEM, "duration": 0.0}
    node.putevent(("runtest_protocol_complete", event))


def end_process(node: Node) -> None:
    """End the process of a worker at once, whatever it is doing; xdist learns that it died.

    xdist's own `shutdown` is a request, and so is execnet's `Gateway.exit`: the worker decides
    when it ends, and a station may be visited for hours. A process on another machine ends when
    its connection does.
    """
    io = node.gateway._io
    io.kill()
    if node.gateway.spec.socket:  # execnet knows no process behind it
        io.close_read()
        io.close_write()
    node.shutdown()  # it is sent no more items


def exit_status(node: Node) -> int | None:
    """Return what the worker *node* ended with, None where it died.

    Only a worker that reached its end has sent a `workeroutput`. xdist itself looks for a
    keyboard interrupt in it, and takes every other status for a good end.
    """
    output: dict[str, Any] | None = getattr(node, "workeroutput", None)
    return None if output is None else output.get("exitstatus", pytest.ExitCode.OK)


def forget_output(node: Node) -> None:
    """Let a worker count as one that died, although it sent what it ended with."""
    del vars(node)["workeroutput"]


def stop_session(config: pytest.Config, reason: str) -> None:
    """Make xdist end the session as interrupted, unless it is already about to.

    Pytest's `session.shouldstop` has no effect: in the controller, xdist has its own loop.
    """
    session = _session(config)
    session.shouldstop = session.shouldstop or reason


def reaches_maxfail(config: pytest.Config) -> bool:
    """Return whether one more failure is all that -x or --maxfail allows.

    xdist counts a failure after the reporters have seen it, and lets the workers run the items they
    have by then (pytest-xdist#420, #868).
    """
    session = _session(config)
    return bool(session.maxfail) and session.countfailures + 1 >= session.maxfail


def count_crash(config: pytest.Config) -> bool:
    """Count a worker's crash as a failure, and return whether the session stops.

    For -x and --maxfail, xdist counts what workers reported, and a crash is reported by the
    controller.
    """
    session = _session(config)
    session.countfailures += 1
    if session.maxfail and session.countfailures >= session.maxfail:
        stop_session(config, f"stopping after {session.countfailures} failures")
    return bool(session.shouldstop)


def handle_late_reports(config: pytest.Config) -> None:
    """Report queued events that xdist did not handle when it was interrupted (pytest-xdist#54)."""
    session = _session(config)
    for name, arguments in _queued(session):
        if name == "testreport":
            session.worker_testreport(**arguments)


def _queued(session: Any) -> Iterator[Event]:
    with suppress(Empty):
        while True:
            yield session.queue.get_nowait()


def _session(config: pytest.Config) -> Any:
    """Return xdist's own session, which it registers and documents nowhere."""
    return config.pluginmanager.get_plugin("dsession")
