"""A ledger that another process holds: asked by messages, and answered in its location."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from pytest_choochoo.engine.errors import UnusableLedger
from pytest_choochoo.engine.ledger import protocol as ledger_module
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.protocol import (
    DurableMapping,
    Ledger,
    LockBusy,
    SnapshotMixin,
    as_text,
)
from pytest_choochoo.engine.ledger.record import AttemptRecord, Record, to_text

_POLL = 0.05  # seconds between two questions for a lock


class Answer(msgspec.Struct, array_like=True):
    """What a question came to: a *value*, or the *error* that prevented one."""

    value: Any = None
    error: str = ""


class LedgerServer:
    """Answers the questions of one other process from *ledger*, and holds its locks for it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._locks: dict[str, Any] = {}

    def answer(self, question: str) -> str:
        """Return the answer to *question*, both as text. It never waits, for locks neither."""
        method, *arguments = msgspec.json.decode(question)
        try:
            answer = Answer(value=self._done(method, arguments))
        except UnusableLedger as error:
            answer = Answer(error=error.cause)
        except Exception as error:  # noqa: BLE001 - whoever asks is told
            answer = Answer(error=f"{type(error).__name__}: {error}")
        return to_text(answer)

    def close(self) -> None:
        """Let go of the locks: the other process is gone."""
        while self._locks:
            self._locks.popitem()[1].release()

    def _done(self, method: str, arguments: list[Any]) -> Any:
        match method, arguments:
            case "lock", [key]:
                try:
                    self._locks[key] = self._ledger.lock(key, 0)
                except LockBusy:
                    return False
                return True
            case "release", [key]:
                self._locks.pop(key).release()
            case "resources", [key]:
                return dict(self._ledger.resources(key))
            case "keep", [key, name, value]:
                self._ledger.resources(key)[name] = value
            case "drop", [key, name]:
                del self._ledger.resources(key)[name]
            case "forget", [key, resources]:
                self._ledger.forget(key, resources=resources)
            case _:
                promised = getattr(Ledger, method)
                kinds = get_type_hints(promised, vars(ledger_module)).values()
                given = (msgspec.convert(each, kind) for each, kind in zip(arguments, kinds))
                return getattr(self._ledger, method)(*given)
        return None


class RemoteLedger(SnapshotMixin):
    """A `Ledger` whose `LedgerServer` is elsewhere; *ask* takes a question there and returns the answer.

    Directories of stations are *location*'s: they are of use only where the visit is.
    """

    def __init__(self, ask: Callable[[str], str], location: LedgerLocation) -> None:
        self._to = ask
        self._location = location
        self._mutex = threading.Lock()
        self._source_cache: dict[str, str] = {}
        #: How many locks the other process holds for this one.
        self.held = 0

    def ask(self, method: str, *arguments: object, kind: Any = Any) -> Any:
        """Return what *method* of the other ledger does, as a *kind*. Raises `UnusableLedger`."""
        question = to_text((method, *arguments))
        with self._mutex:
            answer = msgspec.json.decode(self._to(question), type=Answer)
        if answer.error:
            raise UnusableLedger("of the controller", answer.error)
        return msgspec.convert(answer.value, kind)

    def record(self, key: str) -> Record | None:
        if self._seen is not None:
            return self._seen.get(key)
        found: Record | None = self.ask("record", key, kind=Record | None)
        return found

    def records(self, having: str = "") -> dict[str, Record]:
        found: dict[str, Record] = self.ask("records", having, kind=dict[str, Record])
        return found

    def begin(self, key: str, record: Record, reasons: tuple[str, ...]) -> None:
        self.ask("begin", key, record, reasons)

    def finish(self, key: str, record: Record, shared: tuple[str, str] | None = None) -> None:
        self.ask("finish", key, record, shared)

    def cancel(self, key: str, before: Record | None) -> None:
        self.ask("cancel", key, before)

    def forget(self, key: str, *, resources: bool) -> None:
        self.ask("forget", key, resources)

    def attempts(self, key: str) -> tuple[AttemptRecord, ...]:
        found: tuple[AttemptRecord, ...] = self.ask("attempts", key, kind=tuple[AttemptRecord, ...])
        return found

    def resources(self, key: str) -> MutableMapping[str, Any]:
        return _Resources(self, key)

    def has_traces(self, key: str) -> bool:
        return bool(self.ask("has_traces", key))

    def directory(self, key: str) -> Path:
        return self._location.make_directory(key)

    def prepare_locks(self, keys: Iterable[str]) -> None:
        self.ask("prepare_locks", list(keys))

    def lock(self, key: str, timeout: float) -> Any:
        end = time.monotonic() + timeout
        while not self.ask("lock", key):
            if timeout >= 0 and time.monotonic() >= end:
                raise LockBusy
            time.sleep(_POLL)
        self.held += 1
        return _Lock(self, key)

    def is_locked(self, key: str) -> bool:
        return bool(self.ask("is_locked", key))

    def start_run(self, run: str) -> None:
        self.ask("start_run", run)

    def write_result(self, run: str, key: str, result: str) -> None:
        self.ask("write_result", run, key, result)

    def result(self, run: str, key: str) -> str | None:
        found: str | None = self.ask("result", run, key)
        return found

    def put_if_absent(self, run: str, name: str, value: str) -> str:
        return str(self.ask("put_if_absent", run, name, value))

    def secret_key(self) -> bytes:
        found: bytes = self.ask("secret_key", kind=bytes)
        return found

    def source_cache(self) -> MutableMapping[str, str]:
        return self._source_cache  # what spares time is not worth the way

    def close(self) -> None: ...


class _Lock:
    """A lock that the other process holds for this one."""

    def __init__(self, ledger: RemoteLedger, key: str) -> None:
        self._ledger = ledger
        self._key = key

    def release(self) -> None:
        self._ledger.held -= 1
        self._ledger.ask("release", self._key)


class _Resources(DurableMapping):
    """The ids of things that one station created."""

    def __init__(self, ledger: RemoteLedger, key: str) -> None:
        self._ledger = ledger
        self._key = key

    def _all(self) -> dict[str, Any]:
        found: dict[str, Any] = self._ledger.ask("resources", self._key)
        return found

    def __setitem__(self, name: str, value: Any) -> None:
        as_text(self._key, name, value)
        self._ledger.ask("keep", self._key, name, value)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._ledger.ask("drop", self._key, name)
