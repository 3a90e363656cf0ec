"""A ledger in memory, for tests of code that uses a ledger."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, MutableMapping
from pathlib import Path
from typing import Any

import msgspec

from pytest_choochoo.engine.ledger.durable import DurableMapping, as_text
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.protocol import (
    HeldLock,
    LockBusy,
    SnapshotMixin,
)
from pytest_choochoo.engine.ledger.record import AttemptRecord, Forgotten, Record, Status, to_text


class MemoryLedger(SnapshotMixin):
    """A `Ledger` for one process; without a *folder* its stations have no directories."""

    def __init__(self, folder: Path = Path(os.devnull)) -> None:
        self._location = LedgerLocation(folder, "memory")
        self._records: dict[str, Record] = {}
        self._attempts: defaultdict[str, tuple[AttemptRecord, ...]] = defaultdict(tuple)
        self._resources: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._results: dict[tuple[str, str], str] = {}
        self._source_cache: dict[str, str] = {}
        #: The lock that is held on each key; a release notifies the threads that wait.
        self.locks: dict[str, MemoryLock] = {}
        self.released = threading.Condition()

    def _read_record(self, key: str) -> Record | None:
        return self._records.get(key)

    def records(self, having: str = "") -> dict[str, Record]:
        return {key: each for key, each in self._records.items() if having in to_text(each)}

    def begin(self, key: str, record: Record, reasons: tuple[str, ...]) -> None:
        self._end_attempt(key, "interrupted")
        attempt = AttemptRecord(
            began=record.since, ended=None, status="visiting", error="", reasons=reasons
        )
        self._attempts[key] += (attempt,)
        self._records[key] = record

    def finish(self, key: str, record: Record, shared: tuple[str, str] | None = None) -> None:
        self._end_attempt(key, record.status, ended=time.time(), error=record.error)
        self._records[key] = record
        if shared is not None:
            self.write_result(shared[0], key, shared[1])

    def _end_attempt(self, key: str, status: Status, **facts: Any) -> None:
        self._attempts[key] = tuple(
            msgspec.structs.replace(each, status=status, **facts)
            if each.status == "visiting"
            else each
            for each in self._attempts[key]
        )

    def cancel(self, key: str, before: Record | None) -> None:
        self._records.pop(key, None)
        if before is not None:
            self._records[key] = before
        self._attempts[key] = tuple(
            each for each in self._attempts[key] if each.status != "visiting"
        )

    def forget(self, key: str, status: Forgotten) -> None:
        self._end_attempt(key, "interrupted")
        if key in self._records or status == "cleaned":
            before = self._records.get(key) or Record(status=status, since=0.0)
            self._records[key] = before.forgotten(status)
        if status == "cleaned":
            self._attempts.pop(key, None)
            self._resources.pop(key, None)
            shutil.rmtree(self._location.directory(key), ignore_errors=True)

    def attempts(self, key: str) -> tuple[AttemptRecord, ...]:
        return self._attempts[key]

    def resources(self, key: str) -> MutableMapping[str, Any]:
        return _Resources(key, self._resources)

    def has_traces(self, key: str) -> bool:
        record = self._records.get(key)
        is_known = (record is not None and record.status != "cleaned") or self._resources[key]
        return bool(is_known) or self._location.directory(key).exists()

    def directory(self, key: str) -> Path:
        return self._location.make_directory(key)

    def prepare_locks(self, keys: Iterable[str]) -> None: ...

    def lock(self, key: str, timeout: float) -> HeldLock:
        seconds = None if timeout < 0 else timeout
        with self.released:
            if not self.released.wait_for(lambda: key not in self.locks, seconds):
                raise LockBusy
            self.locks[key] = MemoryLock(self, key)
            return self.locks[key]

    def is_locked(self, key: str) -> bool:
        return key in self.locks

    def start_run(self, run: str) -> None: ...

    def write_result(self, run: str, key: str, result: str) -> None:
        self._results[run, key] = result

    def result(self, run: str, key: str) -> str | None:
        return self._results.get((run, key))

    def put_if_absent(self, run: str, name: str, value: str) -> str:
        return self._results.setdefault((run, name), value)

    def secret_key(self) -> bytes:
        return bytes(32)

    def source_cache(self) -> MutableMapping[str, str]:
        return self._source_cache

    def close(self) -> None: ...


class MemoryLock(HeldLock):
    """A lock of a `MemoryLedger`, on *key*; any thread may release it, others cannot have it."""

    def __init__(self, ledger: MemoryLedger, key: str) -> None:
        self._ledger = ledger
        self._key = key

    def release(self) -> None:
        with self._ledger.released:
            if self._ledger.locks.get(self._key) is self:
                del self._ledger.locks[self._key]
                self._ledger.released.notify_all()


class _Resources(DurableMapping):
    def __init__(self, key: str, texts: defaultdict[str, dict[str, str]]) -> None:
        self._key = key
        self._texts = texts

    def _all(self) -> dict[str, Any]:
        return {name: msgspec.json.decode(text) for name, text in self._texts[self._key].items()}

    def __setitem__(self, name: str, value: Any) -> None:
        self._texts[self._key][name] = as_text(self._key, name, value)

    def __delitem__(self, name: str) -> None:
        del self._texts[self._key][name]
