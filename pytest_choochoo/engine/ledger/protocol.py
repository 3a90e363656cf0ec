"""What is remembered between runs, and how it is asked for; the locks that go with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from pytest_choochoo.engine.errors import ChoochooError, UnusableLedger
from pytest_choochoo.engine.ledger.record import AttemptRecord, Record


class LockBusy(Exception):
    """Somebody else holds the lock."""


class LostLedger(UnusableLedger):
    """The ledger failed after it had been opened."""

    path: str
    cause: str

    def __str__(self) -> str:
        return (
            f"the ledger cannot be used any more, {self.path}: {self.cause}; "
            "mend that, and the next run resumes"
        )


class UnkeptResource(ChoochooError):
    """A resource is no plain data, or its id no text."""

    key: str
    id: str
    type: str

    def __str__(self) -> str:
        return (
            f"resource {self.id!r} of {self.key} cannot be kept ({self.type}): keep what "
            "identifies the thing under a text, as a text, a number or a list or dict of such"
        )


class Ledger(Protocol):
    """What is remembered between runs: one transaction a change, durable when a method returns."""

    def record(self, key: str) -> Record | None:
        """Return the record of the station *key*, or None when it has none."""

    def records(self, having: str = "") -> dict[str, Record]:
        """Return all records by key, or those only that have the plain text *having* in them."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Return a context in which `record` answers with what was there when it was entered.

        For who judges many stations at once and writes nothing meanwhile.
        """

    def begin(self, key: str, record: Record, reasons: tuple[str, ...]) -> None:
        """Write *record*, which says `visiting`, and a new attempt made for *reasons*."""

    def finish(self, key: str, record: Record, told: tuple[str, str] | None = None) -> None:
        """Write *record*, and how the attempt under way ended.

        *told*: a run, and how *key* ended in it, which the other processes are told at once.
        """

    def cancel(self, key: str, before: Record | None) -> None:
        """Undo `begin`: the record is the one *before*, and there was no attempt."""

    def forget(self, key: str, *, resources: bool) -> None:
        """Forget the record and the attempts of *key*, its *resources* and directory as well."""

    def attempts(self, key: str) -> tuple[AttemptRecord, ...]:
        """Return the visits that were begun, oldest first."""

    def resources(self, key: str) -> MutableMapping[str, Any]:
        """Return the ids of things that *key* created; each write to it is durable at once."""

    def has_traces(self, key: str) -> bool:
        """Say whether there is anything to clean: a record, resources or a directory."""

    def directory(self, key: str) -> Path:
        """Return the directory of the station *key*, made if it is not there and may be."""

    def prepare_locks(self, keys: Iterable[str]) -> None:
        """Make ready for visits to *keys*: what is slow to make one by one is made at once."""

    def lock(self, key: str, timeout: float) -> Any:
        """Return a held lock on *key*, to be given back with `release()`.

        *timeout*: seconds to wait, -1 without end. Raises `LockBusy` after it.
        """

    def is_locked(self, key: str) -> bool:
        """Say whether somebody holds the lock on *key* right now; nothing is written."""

    def start_run(self, run: str) -> None:
        """Make room for the results of *run*, in which several processes take part."""

    def write_result(self, run: str, key: str, result: str) -> None:
        """Tell the other processes of *run* how *key* ended in it."""

    def result(self, run: str, key: str) -> str | None:
        """Return how *key* ended in *run*, or None when it has not."""

    def put_if_absent(self, run: str, name: str, value: str) -> str:
        """Return what the processes of *run* hold for *name*: the *value* of the first to ask."""

    def secret_key(self) -> bytes:
        """Return the random key that digests of secrets are made with, made when there is none.

        It lies beside the records, not among them.
        """

    def source_cache(self) -> MutableMapping[str, str]:
        """Return what was read of source files before."""

    def close(self) -> None:
        """Let go of the files."""


def as_text(key: str, name: str, value: object) -> str:
    """Return the resource *value* as JSON text. Raises `UnkeptResource`."""
    try:
        text = msgspec.json.encode(value).decode()
        if isinstance(name, str) and msgspec.json.decode(text) == value:
            return text
    except (TypeError, ValueError, RecursionError):
        pass
    raise UnkeptResource(key, name, type(value).__qualname__) from None


class DurableMapping(MutableMapping[str, Any]):
    """A mapping that is kept elsewhere: each write is durable when it returns."""

    def _all(self) -> Mapping[str, Any]:
        raise NotImplementedError

    def __getitem__(self, key: str) -> Any:
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return repr(dict(self._all()))


class SnapshotMixin:
    """What a ledger needs for `snapshot`: the records that were there when it was entered."""

    _seen: Mapping[str, Record] | None = None

    def records(self, having: str = "") -> dict[str, Record]:
        raise NotImplementedError

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        self._seen = self.records()
        try:
            yield
        finally:
            self._seen = None
