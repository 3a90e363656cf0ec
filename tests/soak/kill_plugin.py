"""A pytest plugin that notes the writes of its process to the ledger, and may kill it at a given one.

Loaded with `-p kill_plugin`. *KILLER_LOG* names the log; each line is on the disk when `note` returns.
*KILLER_MOMENT* is a JSON list `[when, what, number, target]`: "before" or "after" the n-th call of
*what* in a process; the *target* is "self", "controller" or "all".
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_choochoo.engine.ledger.durable import DurableMapping
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.opening import open_ledger
from pytest_choochoo.engine.ledger.protocol import HeldLock


def note(what: str, key: str, token: str = "") -> None:
    """Append a line to the log, durably."""
    line = json.dumps({"what": what, "key": key, "token": token, "pid": os.getpid()})
    log = os.open(os.environ["KILLER_LOG"], os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
    os.write(log, f"{line}\n".encode())
    os.fsync(log)
    os.close(log)


def work(name: str, visit: Any) -> str:
    """Do the work of a station; return a value that no other visit returns."""
    key, token = f"stations.py::{name}", f"{os.getpid()}-{time.time_ns()}"
    note("visit", key, token)
    visit.resources[token] = name
    time.sleep(float(os.environ.get("KILLER_PAUSE", "0")))
    visit.resources[token] = f"{name} is there"
    note("end", key, token)
    return token


class Killer:
    """Counts the calls of this process, and kills it at the given moment."""

    def __init__(self, moment: list[Any]) -> None:
        self._moment = moment
        self._counts: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def around(self, what: str, key: str, token: str = "") -> Iterator[None]:
        self._pass("before", what, key)
        yield
        note(what, key, token)
        self._pass("after", what, key)

    def _pass(self, when: str, what: str, key: str) -> None:
        self._counts[when, what] += 1
        if self._moment[:3] != [when, what, self._counts[when, what]]:
            return
        try:  # one kill per run: the worker that replaces a dead one lives
            os.close(os.open(f"{os.environ['KILLER_LOG']}.killed", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        note("killed", key)
        match self._moment[3]:
            case "all":
                os.killpg(0, signal.SIGKILL)
            case "controller" if "PYTEST_XDIST_WORKER" in os.environ:
                os.kill(os.getppid(), signal.SIGKILL)
            case _:
                os.kill(os.getpid(), signal.SIGKILL)


class WatchedLock(HeldLock):
    def __init__(self, lock: Any, key: str, killer: Killer) -> None:
        self._lock, self._key, self._killer = lock, key, killer

    def release(self) -> None:
        with self._killer.around("release", self._key):
            self._lock.release()


class WatchedResources(DurableMapping):
    def __init__(self, resources: DurableMapping, key: str, killer: Killer) -> None:
        self._resources, self._key, self._killer = resources, key, killer

    def _all(self) -> dict[str, Any]:
        return dict(self._resources)

    def _set(self, name: str, value: Any) -> None:
        with self._killer.around("resource", self._key, f"{name} {value}"):
            self._resources[name] = value

    def __delitem__(self, name: str) -> None:
        del self._resources[name]


class WatchedLedger:
    """A ledger whose writes are noted, and may kill the process."""

    def __init__(self, ledger: Any, killer: Killer) -> None:
        self._ledger, self._killer = ledger, killer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def begin(self, key: str, record: Any, reasons: Any) -> None:
        with self._killer.around("begin", key):
            self._ledger.begin(key, record, reasons)

    def finish(self, key: str, record: Any, shared: Any = None) -> None:
        status = record.status if record is not None else "nothing"
        with self._killer.around("finish", key, status):
            self._ledger.finish(key, record, shared)

    def resources(self, key: str) -> WatchedResources:
        return WatchedResources(self._ledger.resources(key), key, self._killer)

    def lock(self, key: str, timeout: float) -> WatchedLock:
        with self._killer.around("lock", key):
            lock = self._ledger.lock(key, timeout)
        return WatchedLock(lock, key, self._killer)

    def write_result(self, run: str, key: str, result: str) -> None:
        with self._killer.around("result", key):
            self._ledger.write_result(run, key, result)


def pytest_choochoo_make_ledger(config: pytest.Config, folder: Path, profile: str) -> Any:
    moment = json.loads(os.environ.get("KILLER_MOMENT", "[]"))
    ledger = open_ledger(LedgerLocation(folder, profile), warn=lambda text: note("warned", text))
    return WatchedLedger(ledger, Killer(moment))
