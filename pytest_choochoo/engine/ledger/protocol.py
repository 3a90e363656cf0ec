"""The `Ledger` protocol in its parts, and base classes for its implementations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from pytest_choochoo.engine.ledger.record import AttemptRecord, Forgotten, PastRun, Record
from pytest_choochoo.engine.place import Elsewhere, Scope

if TYPE_CHECKING:
    from pytest_choochoo.engine.ledger.durable import DurableMapping
    from pytest_choochoo.engine.ledger.names import NewNames


class LockBusy(Exception):
    """The lock is held already, by another process or by this one."""


class HeldLock(Protocol):
    """A lock that this process holds; the end of a `with` block releases it."""

    def release(self) -> None:
        """Release the lock; call it once."""

    def require(self) -> None:
        """Raise `LostLedger` if another process may have the lock too, as its file was removed."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


class Records(Protocol):
    """The memory of each station: one transaction a change, durable on return.

    A station has a record, attempts, resources and a directory for each place where its
    effect is another one; these are the ones that count where this process is.
    """

    def declare_places(self, places: Mapping[str, Scope]) -> None:
        """Note where the effects of stations live, by key; all others are "here"."""

    def elsewhere(self, key: str) -> Elsewhere | None:
        """Return the last visit of *key* that does not count here, None if there is none."""

    def record(self, key: str) -> Record | None:
        """Return the record of the station *key*, or None when it has none."""

    def records(self, having: str = "") -> dict[str, Record]:
        """Return all records by key, or only those whose JSON text contains *having*."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Return a context in which `record` answers with the records present on entry.

        For judging many stations at once, while this process writes nothing.
        """

    def begin(self, key: str, record: Record, reasons: tuple[str, ...]) -> None:
        """Write *record*, whose status is `visiting`, and a new attempt made for *reasons*."""

    def finish(self, key: str, record: Record, shared: tuple[str, str] | None = None) -> None:
        """Write *record*, and how the attempt under way ended.

        *shared*: a run and the result of *key* in it, written in the same transaction.
        """

    def keep_output(self, key: str, output: str) -> None:
        """Keep the end of *output*, what the visit of *key* under way has printed."""

    def output(self, key: str) -> str:
        """Return what the last visit of *key* printed, "" where it printed nothing."""

    def cancel(self, key: str, before: Record | None) -> None:
        """Undo `begin`: restore the record *before* and remove the attempt."""

    def forget(self, key: str, status: Forgotten) -> None:
        """Forget that *key* is complete; cleans still know what was made there.

        With the *status* `cleaned`, nothing is left: no outcome, attempts, resources, directory.
        """

    def attempts(self, key: str) -> tuple[AttemptRecord, ...]:
        """Return the visits that were begun, oldest first."""

    def resources(self, key: str) -> DurableMapping:
        """Return the resources of *key* by id; each write to the mapping is durable at once.

        A write raises `UnkeptResource` if the value would not survive a JSON round trip.
        """

    def has_traces(self, key: str) -> bool:
        """Return whether there is anything to clean: a record, resources or a directory.

        The record of a station that was cleaned is nothing to clean.
        """

    def directory(self, key: str) -> Path:
        """Return the directory of the station *key*, created unless the ledger is read-only."""

    def directory_key(self, key: str) -> str:
        """Return the key after which the directory of *key* is called.

        That of a station that was renamed stays where it is, as outcomes and files in it may
        have its path.
        """

    def move(
        self, moves: Mapping[str, str], names: Mapping[str, NewNames], lasts: bool = True
    ) -> tuple[str, ...]:
        """Give each key of *moves* all that is kept of its former key; return those that got it.

        One gets nothing where nothing is kept of the former key, or where there is a record or
        resources of its own that no clean has forgotten. Where any gets something, the records
        of all stations in *names* get their new names in the same transaction. The caller holds
        the locks of the keys, old and new. *lasts*: False if only this ledger, until it is
        closed, is to look like that, and nothing is to be written.
        """


class Locks(Protocol):
    """One lock per station: its holder may visit the station, and write its record."""

    def prepare_locks(self, keys: Iterable[str]) -> None:
        """Prepare the locks of *keys* at once, since one by one would be slow."""

    def lock(self, key: str, timeout: float) -> HeldLock:
        """Return the lock on *key*, held.

        *timeout*: seconds to wait, -1 for no limit. Raises `LockBusy` after it.
        """

    def is_locked(self, key: str) -> bool:
        """Return whether any process holds the lock on *key* right now; write nothing."""


class RunBoard(Protocol):
    """The results and agreements that the processes of one run share, each a string by name."""

    def start_run(self, run: str) -> None:
        """Make room for the results of *run*."""

    def write_result(self, run: str, key: str, result: str) -> None:
        """Write the *result* of *key* in *run*, for its other processes to read."""

    def result(self, run: str, key: str) -> str | None:
        """Return the result of *key* in *run*, or None when there is none yet."""

    def put_if_absent(self, run: str, name: str, value: str) -> str:
        """Return what the processes of *run* agree on for *name*: the first *value* given."""


class History(Protocol):
    """The commands that worked on the stations, the last hundred of them."""

    def add_run(self, run: PastRun) -> None:
        """Add *run*, and drop the oldest where there are more than a hundred."""

    def history(self) -> tuple[PastRun, ...]:
        """Return the commands that there were, the last one first."""


class SourceCache(Protocol):
    """The cache of parsed source files, so that no run parses an unchanged file twice."""

    def source_cache(self) -> MutableMapping[str, str]:
        """Return the parsed source files, as text by keys that name the files."""


class Ledger(Records, Locks, RunBoard, History, SourceCache, Protocol):
    """Everything that outlives a process."""

    def secret_key(self) -> bytes:
        """Return the random key for digests of secrets and inputs, always the same 32 bytes.

        It is kept apart from the records, and made by the first call; a ledger that is read-only
        makes none, and returns b"" where there is none. Raises `UnusableLedger`.
        """

    def close(self) -> None:
        """Close the files; nothing else may be called afterwards."""


class SnapshotMixin:
    """`record` and `snapshot`, for a ledger that has `records` and `_read_record`."""

    _seen: Mapping[str, Record] | None = None

    def records(self, having: str = "") -> dict[str, Record]:
        raise NotImplementedError

    def _read_record(self, key: str) -> Record | None:
        raise NotImplementedError

    def record(self, key: str) -> Record | None:
        return self._read_record(key) if self._seen is None else self._seen.get(key)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        self._seen = self.records()
        try:
            yield
        finally:
            self._seen = None
