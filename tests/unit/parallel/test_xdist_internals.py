"""The private parts of xdist that are used: they must exist, and behave as expected."""

from __future__ import annotations

import inspect
from queue import Queue
from types import SimpleNamespace
from typing import Any

import pytest
from xdist.dsession import DSession
from xdist.scheduler import LoadScheduling
from xdist.workermanage import WorkerController

from pytest_choochoo.parallel.scheduler import RouteScheduling
from pytest_choochoo.parallel.xdist_internals import (
    Event,
    count_crash,
    exit_status,
    handle_late_reports,
    intercept_events,
    reaches_maxfail,
    stop_session,
)

from .stand_ins import RememberingNode


@pytest.fixture
def session() -> Any:
    """A session of xdist, made for a run without workers."""
    config: Any = SimpleNamespace(
        option=SimpleNamespace(debug=False, maxworkerrestart=None, numprocesses=None),
        getvalue={"maxfail": 2}.get,
        pluginmanager=SimpleNamespace(getplugin=lambda name: None),
    )
    session = DSession(config)
    session.shouldstop = False
    return session


@pytest.fixture
def config(session: Any) -> Any:
    return SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin={"dsession": session}.get))


def test_scheduler_has_the_interface_of_xdist() -> None:
    """Our scheduler has every public member of xdist's, except those of xdist's own scheduling."""
    own = {"check_schedule"}
    asked = {name for name in vars(LoadScheduling) if not name.startswith("_")}

    assert asked - own <= {name for name in dir(RouteScheduling) if not name.startswith("_")}


def test_events_of_a_worker_go_through_one_function() -> None:
    """All events of a worker go through `putevent`, which can be replaced."""
    assert "putevent" in inspect.signature(WorkerController.__init__).parameters
    node = RememberingNode()

    def doubled(put: Any) -> Any:
        return lambda event: (put(event), put(event))

    intercept_events(node, doubled)
    event: Event = ("logstart", {})
    node.putevent(event)

    assert (node.event(), node.event()) == (event, event)


def test_worker_that_died_has_no_exit_status() -> None:
    """A dead worker has no exit status, and any other the status that it sent."""
    node: Any = RememberingNode()
    assert exit_status(node) is None
    node.workeroutput = {}
    assert exit_status(node) == pytest.ExitCode.OK
    node.workeroutput = {"exitstatus": 7}
    assert exit_status(node) == 7


def test_first_reason_to_stop_stands(session: Any, config: Any) -> None:
    """Xdist raises `Interrupted` with the first reason to stop."""
    stop_session(config, "one")
    stop_session(config, "two")

    assert session.shouldstop == "one"


def test_crashes_count_as_failures(session: Any, config: Any) -> None:
    """With --maxfail=2, the second crash stops the session."""
    assert not reaches_maxfail(config)
    assert not count_crash(config)
    assert reaches_maxfail(config)
    assert count_crash(config)
    assert session.shouldstop == "stopping after 2 failures"


def test_crash_stops_nothing_without_maxfail(session: Any, config: Any) -> None:
    """Without --maxfail, all other items run."""
    session.maxfail = 0

    assert not count_crash(config)
    assert not reaches_maxfail(config)


def test_late_reports_are_handled_and_nothing_else(session: Any, config: Any) -> None:
    """Only reports are handled, and xdist's queue is empty afterwards."""
    assert isinstance(session.queue, Queue)
    seen: list[object] = []
    session.worker_testreport = lambda node, rep: seen.append(rep)
    session.queue.put(("logstart", {}))
    session.queue.put(("testreport", {"node": None, "rep": "a"}))
    session.queue.put(("testreport", {"node": None, "rep": "b"}))

    handle_late_reports(config)

    assert seen == ["a", "b"]
    assert session.queue.empty()
