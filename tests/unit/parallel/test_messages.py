"""The channel between a controller and its workers: messages, and both ends."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_choochoo.engine.errors import UnusableLedger
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.route import StationInfo
from pytest_choochoo.parallel.messages import (
    ControllerLink,
    FromController,
    FromWorker,
    LedgerAnswer,
    LedgerQuestion,
    Notice,
    ProcessId,
    Refusal,
    SecretAnswer,
    SecretKept,
    SecretWanted,
    SelectedStations,
    SharedModules,
    UnknownMessage,
    WorkerLink,
    encode,
    message_from_controller,
    message_from_worker,
)

from .stand_ins import End, channel

texts = st.text()
several = st.lists(texts, max_size=3).map(tuple)
stations = st.builds(
    StationInfo,
    key=texts,
    name=texts,
    title=texts,
    upstream=several,
    needs=several,
    line=st.integers(0, 2**31),
)
messages_of_workers = st.one_of(
    st.builds(Notice, texts),
    st.builds(ProcessId, st.integers(1, 2**31 - 1)),
    st.builds(SharedModules, several),
    st.builds(SelectedStations, st.lists(stations, max_size=2).map(tuple)),
    st.builds(Refusal, texts),
    st.builds(LedgerQuestion, texts),
    st.builds(SecretKept, texts, texts),
    st.builds(SecretWanted, texts),
)
messages_of_controllers = st.one_of(
    st.builds(LedgerAnswer, texts), st.builds(SecretAnswer, st.none() | texts)
)


@given(messages_of_workers)
def test_message_of_a_worker_arrives_as_it_was_sent(message: FromWorker) -> None:
    """Each kind of message survives the way to the controller."""
    assert message_from_worker(encode(message)) == message


@given(messages_of_controllers)
def test_message_of_a_controller_arrives_as_it_was_sent(message: FromController) -> None:
    """Each kind of message survives the way to the worker."""
    assert message_from_controller(encode(message)) == message


def nested(depth: int) -> list[Any]:
    """Return a list in a list, and so on, deeper than Python recurses."""
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "hello",
        "[]",
        "{}",
        '{"type": "Notice"}',
        '{"type": "Notice", "text": 1}',
        '{"type": "ProcessId", "pid": "7"}',
        '{"type": "ProcessId", "pid": 0}',
        '{"type": "ProcessId", "pid": -1}',
        '{"type": "ProcessId", "pid": 99999999999999999999}',
        '{"type": "Surprise", "text": "x"}',
        "{oops",
        "[" * 100_000,
        '{"type": "Notice", "more": ' + "[" * 100_000,
        "\ud800",
        "x" * 10_000_000,
        b'{"type": "Notice", "text": "bytes"}',
        7,
        None,
        nested(100_000),
        ("__class__", {"close": ()}),
    ],
    ids=lambda sent: (
        type(sent).__name__ + (f"-{len(sent)}-{sent[:22]}" if isinstance(sent, str) else "")
    ),
)
def test_malformed_message_is_rejected_with_the_way_out(sent: object) -> None:
    """Whatever is no message is rejected, with its beginning, the reason and the way out."""
    for decode in (message_from_worker, message_from_controller):
        with pytest.raises(UnknownMessage) as caught:
            decode(sent)
        text = str(caught.value)
        assert re.fullmatch(
            r"a message that is not understood, .* \(.+\); "
            "install the same version of pytest-choochoo on all hosts",
            text,
        )
        assert len(text) < 400
        assert text.isprintable()


def test_message_is_shown_shortened_and_spelt_out() -> None:
    """The error has the beginning and the end of what was sent, and nothing that a terminal obeys."""
    with pytest.raises(UnknownMessage) as caught:
        message_from_worker("\x1b[2J\n::stop\u202e" + "x" * 1_000 + "the end")

    assert str(caught.value) == (
        r"a message that is not understood, '\x1b[2J\n::stop\u202exxxxxxxxxxxxxxxx..."
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxthe end' "
        "(JSON is malformed: invalid character (byte 0)); "
        "install the same version of pytest-choochoo on all hosts"
    )


def test_messages_of_one_side_are_rejected_by_the_same_side() -> None:
    """A message for workers is not accepted from a worker, nor the other way round."""
    with pytest.raises(UnknownMessage):
        message_from_worker(encode(LedgerAnswer("1")))
    with pytest.raises(UnknownMessage):
        message_from_controller(encode(Notice("hello")))


class Controller:
    """The controller's ends of the channels to two workers, and the messages that arrived."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.received: list[FromWorker] = []
        self.rejected: list[UnknownMessage] = []
        self.links: list[WorkerLink] = []
        self.workers: list[ControllerLink] = []
        self.ends: list[End] = []
        for _ in range(2):
            here, there = channel()
            self.links.append(
                WorkerLink(
                    here,
                    secrets=self.secrets,
                    receive=self._receive,
                    reject=self.rejected.append,
                )
            )
            self.workers.append(ControllerLink(there))
            self.ends.append(there)

    def _receive(self, message: FromWorker) -> None:
        self.received.append(message)
        if isinstance(message, LedgerQuestion):
            [link] = self.links[:1]
            link.send(LedgerAnswer(json.dumps([f"answer to {message.question}", ""])))


@pytest.fixture
def controller() -> Controller:
    return Controller()


def test_notice_arrives(controller: Controller) -> None:
    """A worker's line for the user reaches the controller."""
    controller.workers[0].notify("boil: waiting")

    assert controller.received == [Notice("boil: waiting")]


def test_secret_of_one_worker_is_known_to_the_others(controller: Controller) -> None:
    """A shared secret stays in memory, and is not passed on as a message."""
    one, other = (worker.secrets for worker in controller.workers)

    one["token"] = "text"

    assert other["token"] == one["token"] == "text"
    assert controller.secrets == {"token": "text"}
    assert controller.received == []


def test_unknown_secret_is_a_key_error(controller: Controller) -> None:
    """A secret that no worker kept raises `KeyError`, as in any mapping."""
    with pytest.raises(KeyError, match="token"):
        controller.workers[0].secrets["token"]


def test_question_for_the_ledger_is_answered(controller: Controller, tmp_path: Path) -> None:
    """A remote ledger asks the controller, whatever is on the local disk."""
    ledger = controller.workers[0].ledger(LedgerLocation(tmp_path, "default"))

    assert ledger.ask("attempts", "stations.py::boil") == (
        'answer to ["attempts",["stations.py::boil"]]'
    )


def test_ledger_of_a_lost_controller_is_unusable(controller: Controller, tmp_path: Path) -> None:
    """A question to a lost controller is an error, without waiting."""
    ledger = controller.workers[0].ledger(LedgerLocation(tmp_path, "default"))
    controller.links.clear()
    controller.ends[0].close()

    for _ in range(2):
        with pytest.raises(UnusableLedger, match="of the controller cannot be written"):
            ledger.record("stations.py::boil")


def test_secret_of_a_lost_controller_is_an_error(controller: Controller) -> None:
    """A request for a secret does not wait for a lost controller."""
    controller.ends[0].close()

    for _ in range(2):
        with pytest.raises(OSError, match="cannot send"):
            controller.workers[0].secrets["token"]


def test_worker_of_another_version_is_rejected(controller: Controller) -> None:
    """A malformed message is rejected, and nothing that this worker sends later is taken."""
    controller.ends[0].send('{"type": "Surprise"}')
    controller.workers[0].notify("hello")
    controller.ends[0].send("{oops")
    controller.workers[1].notify("tea")

    [error] = controller.rejected
    assert error.sent == """'{"type": "Surprise"}'"""
    assert controller.received == [Notice("tea")]


def test_damaged_answer_ends_the_conversation(controller: Controller, tmp_path: Path) -> None:
    """After a message that the worker cannot read, no question gets the answer to another one."""
    ledger = controller.workers[0].ledger(LedgerLocation(tmp_path, "default"))
    [here, *_] = [link._channel for link in controller.links]
    here.send("{oops")
    controller.links[0].send(LedgerAnswer("[1]"))

    for _ in range(2):
        with pytest.raises(UnusableLedger) as caught:
            ledger.ask("attempts", "stations.py::boil")
        assert caught.value.cause.startswith(
            "the controller sent a message that is not understood, '{oops' (JSON is malformed"
        )
    with pytest.raises(OSError, match="the controller sent a message that is not understood"):
        controller.workers[0].secrets["token"]


def test_answer_to_a_dead_worker_is_dropped(controller: Controller) -> None:
    """Sending an answer to a dead worker is not an error."""
    [here, *_] = [link._channel for link in controller.links]
    assert isinstance(here, End)
    here.other = None

    controller.links[0].send(LedgerAnswer("1"))
