"""The workers as their controller knows them."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_choochoo.engine.ledger.protocol import Ledger, LockBusy
from pytest_choochoo.engine.ledger.remote import LedgerServer
from pytest_choochoo.parallel.messages import (
    ControllerLink,
    LedgerQuestion,
    Notice,
    ProcessId,
)
from pytest_choochoo.parallel.workers import Workers
from pytest_choochoo.parallel.xdist_internals import NO_ITEM

from .stand_ins import ConnectedNode

KEY = "stations.py::boil"


def test_messages_come_in_order_with_their_senders(workers: Workers) -> None:
    """Each message is returned once, in order, with its sender."""
    nodes = [ConnectedNode("gw0"), ConnectedNode("gw1")]
    for node in nodes:
        workers.connect(node)
    links = [ControllerLink(node.there) for node in nodes]
    links[1].send(ProcessId(7))
    links[0].notify("hello")
    links[1].notify("good-bye")

    senders = list(workers)

    assert list(workers.messages()) == [
        (senders[1], ProcessId(7)),
        (senders[0], Notice("hello")),
        (senders[1], Notice("good-bye")),
    ]
    assert list(workers.messages()) == []


def test_message_wakes_a_controller_that_serves_its_ledger(
    workers: Workers, ledger: Ledger
) -> None:
    """A message wakes the controller with an event without an item."""
    silent, served = ConnectedNode("gw0"), ConnectedNode("gw1")
    workers.connect(silent)
    workers.connect(served, LedgerServer(ledger))
    for node in (silent, served):
        ControllerLink(node.there).notify("hello")

    assert not silent.has_event()
    event = {"node": served, "item_index": NO_ITEM, "duration": 0.0}
    assert served.event() == ("runtest_protocol_complete", event)
    assert not served.has_event()


def test_numbers_of_dead_processes_are_remembered(workers: Workers) -> None:
    """The process number of a dead worker is kept, as a record may still have it."""
    node = ConnectedNode("gw0")
    workers.connect(node)
    [worker] = workers
    assert workers.pids == set()
    worker.pid = 7

    workers.close(node)

    assert worker.is_gone
    assert workers.pids == {7}


def test_locks_of_a_dead_worker_are_released(workers: Workers, ledger: Ledger) -> None:
    """Its locks are free, and its questions are not answered any more."""
    node = ConnectedNode("gw0")
    workers.connect(node, LedgerServer(ledger))
    answers: list[str] = []
    node.there.setcallback(answers.append)
    [worker] = workers
    question = LedgerQuestion(f'["lock", ["{KEY}"]]')
    worker.answer(question)
    assert len(answers) == 1
    with pytest.raises(LockBusy):
        ledger.lock(KEY, 0)

    workers.close(node)

    ledger.lock(KEY, 0).release()
    worker.answer(question)
    assert len(answers) == 1


def test_unknown_worker_can_be_closed(workers: Workers) -> None:
    """Xdist also announces the end of workers that were never set up."""
    workers.close(ConnectedNode("gw9"))

    assert list(workers) == []


def test_worker_without_a_server_is_ended_for_a_question(workers: Workers) -> None:
    """A question of a worker under --cc-check would wait for its answer for ever."""
    node = ConnectedNode("gw0")
    answers: list[Any] = []
    workers.connect(node)
    node.there.setcallback(answers.append)

    ControllerLink(node.there).send(LedgerQuestion('["records", [""]]'))
    workers[node].answer(LedgerQuestion('["records", [""]]'))

    assert answers == []
    assert list(workers.messages()) == []
    assert workers.rejection(node) == (
        """worker gw0 was ended, as it sent a message that is not understood, '["records", [""]]' """
        "(this command answers no questions); "
        "install the same version of pytest-choochoo on all hosts"
    )


def test_worker_that_sends_rubbish_is_ended(workers: Workers) -> None:
    """Its process is ended once, it is sent no more items, and its messages are not taken."""
    node, other = ConnectedNode("gw0"), ConnectedNode("gw1")
    workers.connect(node)
    workers.connect(other)

    node.there.send("{oops")
    node.there.send("{oops again")
    ControllerLink(node.there).notify("hello")

    assert (node.process.calls, node.shutting_down) == (["kill"], True)
    assert list(workers.messages()) == []
    assert workers.rejections().keys() == {node}
    assert (workers.rejection(other), other.process.calls) == (None, [])


def test_connection_of_a_worker_elsewhere_is_closed(workers: Workers) -> None:
    """Execnet knows no process behind a socket: the worker ends with its connection."""
    node = ConnectedNode("gw0")
    node.gateway.spec.socket = "127.0.0.1:8888"
    workers.connect(node)

    node.there.send(7)

    assert node.process.calls == ["kill", "close_read", "close_write"]


@pytest.mark.parametrize("name", ["close", "__class__", "release"])
def test_question_that_nobody_asks_ends_the_worker(
    workers: Workers, ledger: Ledger, name: str
) -> None:
    """A question outside of the table is not answered, and those after it are not either."""
    node = ConnectedNode("gw0")
    workers.connect(node, LedgerServer(ledger))
    answers: list[str] = []
    node.there.setcallback(answers.append)

    workers[node].answer(LedgerQuestion(f'["{name}",["tea"]]'))
    workers[node].answer(LedgerQuestion('["records",[""]]'))

    assert answers == []
    rejection = workers.rejection(node)
    assert rejection is not None and f"""'["{name}",["tea"]]' (""" in rejection
    ledger.records()  # it is not closed


def test_unknown_worker_has_no_rejection(workers: Workers) -> None:
    """Xdist also announces the end of workers that were never set up."""
    assert workers.rejection(ConnectedNode("gw9")) is None
