"""The channel between the controller and each worker: its typed messages, and its two ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec
import pytest

from pytest_choochoo.engine.errors import ChoochooError, UnusableLedger
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

    pid: int


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
)
FromController = LedgerAnswer | SecretAnswer

_from_worker: msgspec.json.Decoder[FromWorker] = msgspec.json.Decoder(FromWorker)
_from_controller: msgspec.json.Decoder[FromController] = msgspec.json.Decoder(FromController)
_Answer = TypeVar("_Answer")


class UnknownMessage(ChoochooError):
    """A message that this version does not know."""

    cause: str
    template = (
        "a worker and its controller do not understand each other ({cause}): "
        "install the same version of pytest-choochoo on all hosts"
    )


def encode(message: FromWorker | FromController) -> str:
    """Return *message* as JSON text, which execnet sends faster than nested values."""
    return msgspec.json.encode(message).decode()


def message_from_worker(text: str) -> FromWorker:
    """Return the message that *text* is. Raises `UnknownMessage`."""
    try:
        return _from_worker.decode(text)
    except (msgspec.DecodeError, RecursionError, TypeError, UnicodeError) as error:
        raise UnknownMessage(str(error)) from None


def message_from_controller(text: str) -> FromController:
    """Return the message that *text* is. Raises `UnknownMessage`."""
    try:
        return _from_controller.decode(text)
    except (msgspec.DecodeError, RecursionError, TypeError, UnicodeError) as error:
        raise UnknownMessage(str(error)) from None


class Channel(Protocol):
    """The part of one end of an execnet channel that is used here."""

    def send(self, item: object) -> None: ...
    def setcallback(self, callback: Callable[[Any], object], endmarker: object = ...) -> None: ...


class WorkerLink:
    """The controller's end of the channel to one worker.

    *secrets*: the texts of all secrets of the run by token. *receive* takes every message but
    those about secrets; execnet calls it in a thread of its own, which it must not hold up.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        secrets: MutableMapping[str, str],
        receive: Callable[[FromWorker], object],
    ) -> None:
        self._channel = channel
        self._secrets = secrets
        self._receive = receive
        channel.setcallback(self._take)

    def send(self, message: FromController) -> None:
        with suppress(OSError):  # the worker died meanwhile
            self._channel.send(encode(message))

    def _take(self, text: str) -> None:
        try:
            message = message_from_worker(text)
        except UnknownMessage as error:
            message = Refusal(str(error))
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
        self._ledger_answers: SimpleQueue[LedgerAnswer | None] = SimpleQueue()
        self._secret_answers: SimpleQueue[SecretAnswer | None] = SimpleQueue()
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
            return _first(self._ledger_answers).answer
        except OSError as error:
            raise UnusableLedger("of the controller", str(error)) from None

    def _ask_for_secret(self, message: SecretKept | SecretWanted) -> str | None:
        with self._asks_for_secret:  # a secret may be revealed in any thread
            self.send(message)
            return _first(self._secret_answers).text

    def _take(self, text: str | None) -> None:
        """Take a message of the controller, None when it is gone; called in a thread of execnet."""
        if text is None:
            if self._ledger is not None and self._ledger.held:
                # The controller's locks are gone with it: another run may visit at this moment.
                os._exit(1)
            self._ledger_answers.put(None)
            self._secret_answers.put(None)
            return
        match message_from_controller(text):
            case LedgerAnswer() as answer:
                self._ledger_answers.put(answer)
            case SecretAnswer() as answer:
                self._secret_answers.put(answer)


#: A worker's end of the channel to its controller; plain pytest has none.
CONTROLLER = pytest.StashKey[ControllerLink]()


def _first(answers: SimpleQueue[_Answer | None]) -> _Answer:
    """Wait for an answer and return it. Raises `OSError` if there will be none."""
    answer = answers.get()
    if answer is None:
        answers.put(None)  # for the next question
        raise OSError("the connection to the controller is lost")
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
