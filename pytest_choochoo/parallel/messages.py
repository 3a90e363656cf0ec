"""The channel between the controller and each worker: its typed messages, and its two ends."""

from __future__ import annotations

import os
import reprlib
import threading
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Annotated, Any, Generic, Protocol, TypeVar

import msgspec
import pytest

from pytest_choochoo.engine.errors import ChoochooError, UnusableLedger
from pytest_choochoo.engine.events import Event
from pytest_choochoo.engine.ledger.record import to_text
from pytest_choochoo.engine.route import StationInfo

if TYPE_CHECKING:
    from pytest_choochoo.engine.ledger.location import LedgerLocation
    from pytest_choochoo.engine.ledger.remote import RemoteLedger


#: The name of what the controller writes among the results of a run, before its workers start:
#: a worker that reads it on its own disk sees the same ledger.
BEGUN = "begun"


class Notice(msgspec.Struct, frozen=True, tag=True):
    """A line for the user."""

    text: str


class ProcessId(msgspec.Struct, frozen=True, tag=True):
    """The process id of the worker on its machine."""

    # To send a signal to 0 or below means many processes.
    pid: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]


class SharedModules(msgspec.Struct, frozen=True, tag=True):
    """The modules, by node id, whose tests share fixtures, in a run without stations."""

    modules: tuple[str, ...]


class SelectedStations(msgspec.Struct, frozen=True, tag=True):
    """The stations to verify, in a session without a plan."""

    stations: tuple[StationInfo, ...]


class Refusal(msgspec.Struct, frozen=True, tag=True):
    """The reason why the worker cannot carry out the user's request."""

    text: str


class LedgerQuestion(msgspec.Struct, frozen=True, tag=True):
    """A question for the controller's ledger, in the form of `RemoteLedger`."""

    question: str


class SecretKept(msgspec.Struct, frozen=True, tag=True):
    """A secret that the other workers may ask for by its token."""

    token: str
    text: str


class SecretWanted(msgspec.Struct, frozen=True, tag=True):
    """The token of a secret that this worker does not have."""

    token: str


class LedgerAnswer(msgspec.Struct, frozen=True, tag=True):
    """The answer of the controller's ledger."""

    answer: str


class SecretAnswer(msgspec.Struct, frozen=True, tag=True):
    """The text of the secret that was kept or requested, None if no worker kept it."""

    text: str | None


FromWorker = (
    Notice
    | ProcessId
    | SharedModules
    | SelectedStations
    | Refusal
    | LedgerQuestion
    | SecretKept
    | SecretWanted
    | Event
)
FromController = LedgerAnswer | SecretAnswer

_from_worker: msgspec.json.Decoder[FromWorker] = msgspec.json.Decoder(FromWorker)
_from_controller: msgspec.json.Decoder[FromController] = msgspec.json.Decoder(FromController)
_Answer = TypeVar("_Answer")
_Message = TypeVar("_Message")


class UnknownMessage(ChoochooError):
    """A message that this version does not know: the beginning of what was *sent*, and why."""

    sent: str
    cause: str
    template = (
        "a message that is not understood, {sent} ({cause}); "
        "install the same version of pytest-choochoo on all hosts"
    )


def unknown(sent: object, cause: object) -> UnknownMessage:
    """Return the error that *sent*, whatever it is, is no message, because of *cause*."""
    return UnknownMessage(_excerpts.repr(sent), str(cause))


# Of any size and depth: `repr` itself ends at the limit of recursion.
_excerpts = reprlib.Repr()
_excerpts.maxstring = _excerpts.maxother = 80


def encode(message: FromWorker | FromController) -> str:
    """Return *message* as JSON text, which execnet sends faster than nested values."""
    return to_text(message)


def message_from_worker(sent: object) -> FromWorker:
    """Return the message that *sent* is. Raises `UnknownMessage`."""
    return _decoded(_from_worker, sent)


def message_from_controller(sent: object) -> FromController:
    """Return the message that *sent* is. Raises `UnknownMessage`."""
    return _decoded(_from_controller, sent)


def _decoded(decoder: msgspec.json.Decoder[_Message], sent: object) -> _Message:
    if not isinstance(sent, str):  # the decoder takes bytes as well
        raise unknown(sent, f"expected text, got {type(sent).__name__}")
    try:
        return decoder.decode(sent)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise unknown(sent, error) from None


class Channel(Protocol):
    """The part of one end of an execnet channel that is used here."""

    def send(self, item: object) -> None: ...
    def setcallback(self, callback: Callable[[Any], object], endmarker: object = ...) -> None: ...


class WorkerLink:
    """The controller's end of the channel to one worker.

    *secrets*: the texts of all secrets of the run by token. *receive* takes every message but
    those about secrets; execnet calls it in a thread of its own, which it must not hold up.
    *reject* is called with the error for a message that is none; no later one is taken.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        secrets: MutableMapping[str, str],
        receive: Callable[[FromWorker], object],
        reject: Callable[[UnknownMessage], object],
    ) -> None:
        self._channel = channel
        self._secrets = secrets
        self._receive = receive
        self._reject = reject
        self._has_rejected = False
        channel.setcallback(self._take)

    def send(self, message: FromController) -> None:
        with suppress(OSError):  # the worker died meanwhile
            self._channel.send(encode(message))

    def _take(self, sent: object) -> None:
        if self._has_rejected:
            return
        try:
            message = message_from_worker(sent)
        except UnknownMessage as error:
            self._has_rejected = True
            self._reject(error)
            return
        match message:
            # Answered in this thread: the main thread may be busy for longer than a station
            # should have to wait for its secret.
            case SecretKept(token, secret):
                self._secrets[token] = secret
                self.send(SecretAnswer(secret))
            case SecretWanted(token):
                self.send(SecretAnswer(self._secrets.get(token)))
            case _:
                self._receive(message)


class ControllerLink:
    """A worker's end of the channel to its controller."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._ledger: RemoteLedger | None = None
        self._ledger_answers = _Answers[LedgerAnswer]()
        self._secret_answers = _Answers[SecretAnswer]()
        self._asks_for_secret = threading.Lock()
        #: The texts of the secrets of the run by token.
        self.secrets: dict[str, str] = _SharedSecrets(self._ask_for_secret)
        channel.setcallback(self._take, endmarker=None)

    def send(self, message: FromWorker) -> None:
        self._channel.send(encode(message))

    def notify(self, text: str) -> None:
        """Show *text* to the user at once."""
        self.send(Notice(text))

    def ledger(self, location: LedgerLocation) -> RemoteLedger:
        """Return the controller's ledger; *location* is for the directories of stations."""
        from pytest_choochoo.engine.ledger.remote import RemoteLedger  # few workers need it

        self._ledger = RemoteLedger(self._ask_ledger, location)
        return self._ledger

    def _ask_ledger(self, question: str) -> str:
        try:
            self.send(LedgerQuestion(question))
            return self._ledger_answers.first().answer
        except OSError as error:
            raise UnusableLedger("of the controller", str(error)) from None

    def _ask_for_secret(self, message: SecretKept | SecretWanted) -> str | None:
        with self._asks_for_secret:  # a secret may be revealed in any thread
            self.send(message)
            return self._secret_answers.first().text

    def _take(self, sent: object) -> None:
        """Take a message of the controller, None when it is gone; called in a thread of execnet."""
        if sent is None:
            if self._ledger is not None and self._ledger.held:
                # The controller's locks are gone with it: another run may visit at this moment.
                os._exit(1)
            self._lose("the connection to the controller is lost")
            return
        try:
            message = message_from_controller(sent)
        except UnknownMessage as error:
            # Nobody knows which question it was to answer: the ones after it would get wrong ones.
            self._lose(f"the controller sent {error}")
            return
        match message:
            case LedgerAnswer():
                self._ledger_answers.put(message)
            case SecretAnswer():
                self._secret_answers.put(message)

    def _lose(self, cause: str) -> None:
        self._ledger_answers.lose(cause)
        self._secret_answers.lose(cause)


#: A worker's end of the channel to its controller; plain pytest has none.
CONTROLLER = pytest.StashKey[ControllerLink]()


class _Answers(Generic[_Answer]):
    """The answers to questions that are asked one at a time, until the connection is lost."""

    def __init__(self) -> None:
        self._answers: SimpleQueue[_Answer | None] = SimpleQueue()
        self._lost = ""

    def put(self, answer: _Answer) -> None:
        self._answers.put(answer)

    def lose(self, cause: str) -> None:
        """Let there be no more answers, because of *cause*."""
        self._lost = self._lost or cause
        self._answers.put(None)  # for the question that waits

    def first(self) -> _Answer:
        """Wait for an answer and return it. Raises `OSError` if there will be none."""
        answer = None if self._lost else self._answers.get()
        if answer is None:
            raise OSError(self._lost)
        return answer


class _SharedSecrets(dict[str, str]):
    """The secrets of this worker, and through *ask* those of the other workers."""

    def __init__(self, ask: Callable[[SecretKept | SecretWanted], str | None]) -> None:
        super().__init__()
        self._ask = ask

    def __setitem__(self, token: str, text: str) -> None:
        super().__setitem__(token, text)
        # Wait for the answer before the record is written: a worker that reads it needs the secret.
        self._ask(SecretKept(token, text))

    def __missing__(self, token: str) -> str:
        text = self._ask(SecretWanted(token))
        if text is None:
            raise KeyError(token)
        super().__setitem__(token, text)
        return text
