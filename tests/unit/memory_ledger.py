"""A ledger in memory, for tests of code that uses a ledger."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping
from copy import copy
from pathlib import Path
from typing import Any

import msgspec

from pytest_choochoo.engine.ledger.durable import DurableMapping, as_text
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.names import NewNames, renamed
from pytest_choochoo.engine.ledger.protocol import (
    HeldLock,
    LockBusy,
    SnapshotMixin,
)
from pytest_choochoo.engine.ledger.record import (
    OUTPUT_LIMIT,
    AttemptRecord,
    Forgotten,
    PastRun,
    Record,
    Status,
    to_text,
)
from pytest_choochoo.engine.ledger.trust import make_directory
from pytest_choochoo.engine.place import (
    FIRST,
    UNKNOWN,
    Believed,
    Elsewhere,
    Place,
    Scope,
    number_of,
)

# A station, and the number of the place.
At = tuple[str, int]


class MemoryLedger(SnapshotMixin):
    """A `Ledger` for one process; without a *folder* its stations have no directories."""

    def __init__(self, folder: Path = Path(os.devnull)) -> None:
        self._location = LedgerLocation(folder, "memory")
        self._places: dict[int, Place] = {FIRST: UNKNOWN}
        self._believed = Believed(None, FIRST, lambda: self._places)
        self._records: dict[At, Record] = {}
        self._attempts: dict[At, tuple[AttemptRecord, ...]] = {}
        self._resources: defaultdict[At, dict[str, str]] = defaultdict(dict)
        self._outputs: dict[tuple[str, float], str] = {}
        self._homes: dict[At, str] = {}
        self._history: list[PastRun] = []
        self._results: dict[tuple[str, str], str] = {}
        self._source_cache: dict[str, str] = {}
        #: The lock that is held on each station; a release notifies the threads that wait.
        self.locks: dict[At, MemoryLock] = {}
        self.released = threading.Condition()

    def at(self, place: Place | None = None) -> MemoryLedger:
        """Return the same ledger as a process at *place* sees it."""
        ledger, number = copy(self), FIRST
        if place is not None:
            number = number_of(place, self._places) or len(self._places) + 1
            self._places[number] = place
        ledger._believed = Believed(place, number, lambda: self._places)
        return ledger

    # --- places

    def declare_places(self, places: Mapping[str, Scope]) -> None:
        self._believed.declare(places)

    def elsewhere(self, key: str) -> Elsewhere | None:
        here = self._here(key)
        found = (
            Elsewhere(
                self._places[at[1]].path, self._places[at[1]].host, each.visited or each.since
            )
            for at, each in self._records.items()
            if at[0] == key and at not in here and not each.is_forgotten
        )
        return max(found, key=lambda each: each.when, default=None)

    def _own(self, key: str) -> At:
        return key, self._believed.number

    def _here(self, key: str) -> list[At]:
        return [(key, number) for number in self._believed.numbers(key)]

    # --- records and attempts

    def _read_record(self, key: str) -> Record | None:
        found = [self._records[at] for at in self._here(key) if at in self._records]
        own = self._records.get(self._own(key))
        return own or max(found, key=lambda record: record.since, default=None)

    def records(self, having: str = "") -> dict[str, Record]:
        found = {key: self._read_record(key) for key, _ in self._records}
        return {key: each for key, each in found.items() if each and having in to_text(each)}

    def _put(self, key: str, record: Record | None) -> None:
        for at in self._here(key):
            self._records.pop(at, None)
        if record is not None:
            self._records[self._own(key)] = record

    def begin(self, key: str, record: Record, reasons: tuple[str, ...]) -> None:
        self._end_attempt(key, "interrupted")
        attempt = AttemptRecord(
            began=record.since, ended=None, status="visiting", error="", reasons=reasons
        )
        own = self._own(key)
        self._attempts[own] = (*self._attempts.get(own, ()), attempt)
        self._put(key, record)

    def finish(self, key: str, record: Record, shared: tuple[str, str] | None = None) -> None:
        self._end_attempt(key, record.status, ended=time.time(), error=record.error)
        self._put(key, record)
        if shared is not None:
            self.write_result(shared[0], key, shared[1])

    def keep_output(self, key: str, output: str) -> None:
        self._outputs[key, self.attempts(key)[-1].began] = output[-OUTPUT_LIMIT:]

    def output(self, key: str) -> str:
        last = self.attempts(key)[-1:]
        return self._outputs.get((key, last[0].began), "") if last else ""

    def _end_attempt(self, key: str, status: Status, **facts: Any) -> None:
        for at in self._here(key):
            self._attempts[at] = tuple(
                msgspec.structs.replace(each, status=status, **facts)
                if each.status == "visiting"
                else each
                for each in self._attempts.get(at, ())
            )

    def cancel(self, key: str, before: Record | None) -> None:
        self._put(key, before)
        for at in self._here(key):
            attempts = self._attempts.get(at, ())
            self._attempts[at] = tuple(each for each in attempts if each.status != "visiting")

    def forget(self, key: str, status: Forgotten) -> None:
        self._end_attempt(key, "interrupted")
        record = self.record(key)
        if record is not None or status == "cleaned":
            before = record or Record(status=status, since=0.0)
            self._put(key, before.forgotten(status))
        for at in self._here(key) if status == "cleaned" else ():
            self._attempts.pop(at, None)
            self._resources.pop(at, None)
            shutil.rmtree(self._directory(at), ignore_errors=True)
            self._homes.pop(at, None)

    def attempts(self, key: str) -> tuple[AttemptRecord, ...]:
        found = [each for at in self._here(key) for each in self._attempts.get(at, ())]
        return tuple(sorted(found, key=lambda attempt: attempt.began))

    def resources(self, key: str) -> DurableMapping:
        return _Resources(key, self._resources, self._here(key))

    def has_traces(self, key: str) -> bool:
        record = self.record(key)
        if record is not None and record.status != "cleaned":
            return True
        has_resources = any(self._resources.get(at) for at in self._here(key))
        return has_resources or any(self._directory(at).exists() for at in self._here(key))

    def directory(self, key: str) -> Path:
        self.directory_key(key)
        found = [path for at in self._here(key) if (path := self._directory(at)).exists()]
        return (
            found[0] if found else make_directory(self._location, self._directory(self._own(key)))
        )

    def _directory(self, at: At) -> Path:
        return self._location.directory(self._home(at), at[1])

    def _home(self, at: At) -> str:
        if at in self._homes:
            return self._homes[at]
        key, place = at
        while (key, place) in {(home, each[1]) for each, home in self._homes.items()}:
            key += "'"
        return key

    def directory_key(self, key: str) -> str:
        home = self._home(self._own(key))
        if home != key:
            self._homes[self._own(key)] = home
        return home

    def move(
        self, moves: Mapping[str, str], names: Mapping[str, NewNames], lasts: bool = True
    ) -> tuple[str, ...]:
        if not lasts:
            self._records, self._attempts = {**self._records}, {**self._attempts}
            self._outputs, self._homes = {**self._outputs}, {**self._homes}
            resources = {at: {**each} for at, each in self._resources.items()}
            self._resources = defaultdict(dict, resources)
        moved = [key for key in moves if self.has_traces(moves[key]) and not self._has_own(key)]
        for key in moved:
            self._move(moves[key], key)
        for key in names if moved else ():
            for at in self._here(key):
                if at in self._records:
                    self._records[at] = renamed(self._records[at], names[key])
        return tuple(moved)

    def _has_own(self, key: str) -> bool:
        record = self.record(key)
        return (record is not None and record.status != "cleaned") or bool(self.resources(key))

    def _move(self, former: str, key: str) -> None:
        tables: list[dict[At, Any]] = [self._records, self._attempts, self._resources]
        homes = {place: self._home((former, place)) for _, place in self._here(former)}
        for at in self._here(former):
            for table in tables:
                table.pop((key, at[1]), None)
                if at in table:
                    table[key, at[1]] = table.pop(at)
            self._homes.pop(at, None)
            self._homes[key, at[1]] = homes[at[1]]
        for name, began in [each for each in self._outputs if each[0] == former]:
            self._outputs[key, began] = self._outputs.pop((name, began))

    def prepare_locks(self, keys: Iterable[str]) -> None: ...

    def lock(self, key: str, timeout: float) -> HeldLock:
        seconds = None if timeout < 0 else timeout
        with self.released:
            at = key, self._believed.number_of_lock(key)
            if not self.released.wait_for(lambda: at not in self.locks, seconds):
                raise LockBusy
            self.locks[at] = MemoryLock(self, at)
            return self.locks[at]

    def is_locked(self, key: str) -> bool:
        return (key, self._believed.number_of_lock(key)) in self.locks

    def start_run(self, run: str) -> None: ...

    def write_result(self, run: str, key: str, result: str) -> None:
        self._results[run, key] = result

    def result(self, run: str, key: str) -> str | None:
        return self._results.get((run, key))

    def put_if_absent(self, run: str, name: str, value: str) -> str:
        return self._results.setdefault((run, name), value)

    def add_run(self, run: PastRun) -> None:
        self._history.append(run)
        self._history.sort(key=lambda each: -each.began)
        del self._history[100:]

    def history(self) -> tuple[PastRun, ...]:
        return tuple(self._history)

    def secret_key(self) -> bytes:
        return bytes(32)

    def source_cache(self) -> MutableMapping[str, str]:
        return self._source_cache

    def close(self) -> None: ...


class MemoryLock(HeldLock):
    """A lock of a `MemoryLedger`; any thread may release it, and no other one can have it."""

    def __init__(self, ledger: MemoryLedger, at: At) -> None:
        self._ledger = ledger
        self._at = at

    def release(self) -> None:
        with self._ledger.released:
            if self._ledger.locks.get(self._at) is self:
                del self._ledger.locks[self._at]
                self._ledger.released.notify_all()


class _Resources(DurableMapping):
    def __init__(self, key: str, texts: defaultdict[At, dict[str, str]], here: list[At]) -> None:
        self._key = key
        self._texts = texts
        self._here = here

    def _all(self) -> dict[str, Any]:
        # That of the first place, which is here, counts last.
        texts = {
            name: text for at in reversed(self._here) for name, text in self._texts[at].items()
        }
        return {name: msgspec.json.decode(text) for name, text in texts.items()}

    def _set(self, name: str, value: Any) -> None:
        text = as_text(self._key, name, value)
        for at in self._here:
            self._texts[at].pop(name, None)
        self._texts[self._here[0]][name] = text

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        for at in self._here:
            self._texts[at].pop(name, None)
