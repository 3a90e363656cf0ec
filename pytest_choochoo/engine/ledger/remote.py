"""The ledger of another process: `RemoteLedger` asks, `LedgerServer` answers."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable, Iterable, MutableMapping
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, get_type_hints

import msgspec

from pytest_choochoo.engine import clock
from pytest_choochoo.engine.errors import ChoochooError, UnusableLedger
from pytest_choochoo.engine.ledger.durable import DurableMapping, as_text
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.names import NewNames
from pytest_choochoo.engine.ledger.protocol import (
    HeldLock,
    Ledger,
    LockBusy,
    SnapshotMixin,
)
from pytest_choochoo.engine.ledger.record import Forgotten, PastRun, Record, to_text
from pytest_choochoo.engine.ledger.trust import make_directory
from pytest_choochoo.engine.place import Scope

_POLL = 0.05  # seconds between two questions for a lock

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Question(msgspec.Struct, array_like=True):
    """A question of another process to the ledger: one of `LedgerServer`'s names, and arguments."""

    name: str
    arguments: list[Any]


class Answer(msgspec.Struct, array_like=True):
    """The answer to a question: a *value*, or the *error* that prevented one."""

    value: Any = None
    error: str = ""


class UnknownQuestion(ChoochooError):
    """A question that no `RemoteLedger` asks."""

    cause: str
    template = "{cause}"


class LedgerServer:
    """Answers the questions of one other process from *ledger*, and holds its locks for it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._locks: dict[str, HeldLock] = {}
        #: The questions that are answered: the types of the arguments, and the function.
        self._answers: dict[str, tuple[Any, Callable[..., object]]] = {
            "declare_places": (tuple[dict[str, Scope]], ledger.declare_places),
            "elsewhere": (tuple[str], ledger.elsewhere),
            "record": (tuple[str], ledger.record),
            "records": (tuple[str], ledger.records),
            "begin": (tuple[str, Record, tuple[str, ...]], ledger.begin),
            "finish": (tuple[str, Record, tuple[str, str] | None], ledger.finish),
            "cancel": (tuple[str, Record | None], ledger.cancel),
            "forget": (tuple[str, Forgotten], ledger.forget),
            "attempts": (tuple[str], ledger.attempts),
            "resources": (tuple[str], self._resources),
            "set_resource": (tuple[str, str, Any], self._set_resource),
            "delete_resource": (tuple[str, str], self._delete_resource),
            "keep_output": (tuple[str, str], ledger.keep_output),
            "output": (tuple[str], ledger.output),
            "has_traces": (tuple[str], ledger.has_traces),
            "directory_key": (tuple[str], ledger.directory_key),
            "move": (tuple[dict[str, str], dict[str, NewNames], bool], ledger.move),
            "prepare_locks": (tuple[list[str]], ledger.prepare_locks),
            "lock": (tuple[str], self._lock),
            "require": (tuple[str], self._require),
            "release": (tuple[str], self._release),
            "is_locked": (tuple[str], ledger.is_locked),
            "start_run": (tuple[str], ledger.start_run),
            "write_result": (tuple[str, str, str], ledger.write_result),
            "result": (tuple[str, str], ledger.result),
            "put_if_absent": (tuple[str, str, str], ledger.put_if_absent),
            "add_run": (tuple[PastRun], ledger.add_run),
            "history": (tuple[()], ledger.history),
            "secret_key": (tuple[()], ledger.secret_key),
        }

    def answer(self, question: str) -> str:
        """Return the answer to *question*, both as text. It never waits, not even for a lock.

        Raises `UnknownQuestion`.
        """
        ask, arguments = self._understood(question)
        try:
            answer = Answer(value=ask(*arguments))
        except UnknownQuestion:
            raise
        except UnusableLedger as error:
            answer = Answer(error=error.cause)
        except Exception as error:  # noqa: BLE001 - it is raised in the process that asked
            answer = Answer(error=f"{type(error).__name__}: {error}")
        return to_text(answer)

    def close(self) -> None:
        """Release the locks of the other process, which has ended."""
        while self._locks:
            self._locks.popitem()[1].release()

    def _understood(self, question: str) -> tuple[Callable[..., object], tuple[Any, ...]]:
        """Return the function that answers *question*, and its arguments."""
        try:
            asked = msgspec.json.decode(question, type=Question)
            if asked.name not in self._answers:
                raise UnknownQuestion(f"unknown question {asked.name!r}")
            types, answer = self._answers[asked.name]
            return answer, msgspec.convert(asked.arguments, types)
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            raise UnknownQuestion(str(error)) from None

    def _resources(self, key: str) -> dict[str, Any]:
        return dict(self._ledger.resources(key))

    def _set_resource(self, key: str, name: str, value: object) -> None:
        self._ledger.resources(key)[name] = value

    def _delete_resource(self, key: str, name: str) -> None:
        del self._ledger.resources(key)[name]

    def _lock(self, key: str) -> bool:
        try:
            self._locks[key] = self._ledger.lock(key, 0)
        except LockBusy:
            return False
        return True

    def _require(self, key: str) -> None:
        self._held(key).require()

    def _release(self, key: str) -> None:
        self._held(key).release()
        del self._locks[key]

    def _held(self, key: str) -> HeldLock:
        if key not in self._locks:
            raise UnknownQuestion(f"no lock on {key!r} is held")
        return self._locks[key]


def _asked(
    method: Callable[Concatenate[Ledger, _P], _R],
) -> Callable[Concatenate[RemoteLedger, _P], _R]:
    """Return *method* of the protocol as a method of `RemoteLedger`, which asks the server."""
    # The protocol imports this name for type checkers only.
    hints = get_type_hints(method, localns={"NewNames": NewNames})
    signature, kind = inspect.signature(method), hints["return"]

    @wraps(method)
    def ask(ledger: RemoteLedger, /, *arguments: _P.args, **keywords: _P.kwargs) -> _R:
        given = signature.bind(ledger, *arguments, **keywords)
        given.apply_defaults()
        _, *values = given.arguments.values()
        value: _R = ledger.ask(method.__name__, *values, kind=kind)
        return value

    return ask


class RemoteLedger(SnapshotMixin):
    """A `Ledger` that asks the `LedgerServer` of another process.

    *ask* takes a question there and returns the answer. Station directories are
    those of *location* in this process: they are of use only where the visit is.
    """

    def __init__(self, ask: Callable[[str], str], location: LedgerLocation) -> None:
        self._ask = ask
        self._location = location
        self._mutex = threading.Lock()
        self._source_cache: dict[str, str] = {}
        #: The number of locks that the other process holds for this one.
        self.held = 0

    def ask(self, name: str, *arguments: object, kind: Any = Any) -> Any:
        """Return the answer to the question *name*, as a *kind*. Raises `UnusableLedger`."""
        question = to_text(Question(name, list(arguments)))
        with self._mutex:
            text = self._ask(question)
        try:
            answer = msgspec.json.decode(text, type=Answer)
            value = msgspec.convert(answer.value, kind)
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            cause = f"its answer to {name!r} is not understood ({error})"
            raise UnusableLedger("of the controller", cause) from None
        if answer.error:
            raise UnusableLedger("of the controller", answer.error)
        return value

    declare_places = _asked(Ledger.declare_places)
    elsewhere = _asked(Ledger.elsewhere)
    _read_record = _asked(Ledger.record)
    records = _asked(Ledger.records)
    begin = _asked(Ledger.begin)
    finish = _asked(Ledger.finish)
    cancel = _asked(Ledger.cancel)
    forget = _asked(Ledger.forget)
    attempts = _asked(Ledger.attempts)
    keep_output = _asked(Ledger.keep_output)
    output = _asked(Ledger.output)
    has_traces = _asked(Ledger.has_traces)
    directory_key = _asked(Ledger.directory_key)
    move = _asked(Ledger.move)
    is_locked = _asked(Ledger.is_locked)
    start_run = _asked(Ledger.start_run)
    write_result = _asked(Ledger.write_result)
    result = _asked(Ledger.result)
    put_if_absent = _asked(Ledger.put_if_absent)
    add_run = _asked(Ledger.add_run)
    history = _asked(Ledger.history)
    secret_key = _asked(Ledger.secret_key)

    def resources(self, key: str) -> DurableMapping:
        return _Resources(self, key)

    def directory(self, key: str) -> Path:
        return make_directory(self._location, self._location.directory(self.directory_key(key)))

    def prepare_locks(self, keys: Iterable[str]) -> None:
        self.ask("prepare_locks", list(keys))

    def lock(self, key: str, timeout: float) -> HeldLock:
        end = clock.monotonic() + timeout
        while not self.ask("lock", key):
            if timeout >= 0 and clock.monotonic() >= end:
                raise LockBusy
            time.sleep(_POLL)
        self.held += 1
        return _Lock(self, key)

    def source_cache(self) -> MutableMapping[str, str]:
        return self._source_cache  # reading a file again costs less than asking for it

    def close(self) -> None: ...


class _Lock(HeldLock):
    """A lock that the other process holds for this one."""

    def __init__(self, ledger: RemoteLedger, key: str) -> None:
        self._ledger = ledger
        self._key = key

    def require(self) -> None:
        self._ledger.ask("require", self._key)

    def release(self) -> None:
        self._ledger.held -= 1
        self._ledger.ask("release", self._key)


class _Resources(DurableMapping):
    """The resources of one station, in the ledger of the other process."""

    def __init__(self, ledger: RemoteLedger, key: str) -> None:
        self._ledger = ledger
        self._key = key

    def _all(self) -> dict[str, Any]:
        found: dict[str, Any] = self._ledger.ask("resources", self._key)
        return found

    def _set(self, name: str, value: Any) -> None:
        as_text(self._key, name, value)
        self._ledger.ask("set_resource", self._key, name, value)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._ledger.ask("delete_resource", self._key, name)
