"""The results of a run, shared by its processes."""

from __future__ import annotations

import time
from typing import Protocol

import msgspec

from pytest_choochoo.engine import clock
from pytest_choochoo.engine.ledger.protocol import Records, RunBoard
from pytest_choochoo.engine.ledger.record import Record, Result, to_text

# Names on the run board. A node id, which has a '::' in it, equals none of them.
_STOPPED = ""
_WAITING = "waiting"

# Seconds between two tests whether the ledger can still be written.
_PATIENCE = 5.0


class RunStopped(Exception):
    """The run stops: no other visit begins."""


class _RecordsAndBoard(Records, RunBoard, Protocol): ...


class Results(dict[str, Result]):
    """The results that this process knows, by key; *run* names the run that it is part of.

    Without a *run* there is no other process.
    """

    def __init__(self, ledger: _RecordsAndBoard, run: str | None) -> None:
        super().__init__()
        self._ledger = ledger
        self._run = run
        self._is_stopped = False

    def share(self, result: Result) -> Result:
        """Add *result*, in all processes of the run; return it."""
        self[result.key] = result
        if self._run is not None:
            self._ledger.write_result(self._run, result.key, to_text(result))
        return result

    def record(self, result: Result, record: Record) -> None:
        """Write *record* and share *result*, both in one transaction."""
        shared = None if self._run is None else (self._run, to_text(result))
        self._ledger.finish(result.key, record, shared)
        self[result.key] = result

    def stop(self) -> None:
        """Stop the run in all its processes, which may wait for results of this one."""
        if self._run is not None:
            self._ledger.write_result(self._run, _STOPPED, "")

    def have_stopped(self) -> bool:
        """Return whether a process of the run has stopped it by now."""
        if self._run is not None and self._ledger.result(self._run, _STOPPED) is not None:
            self._is_stopped = True
        return self._is_stopped

    def raise_if_stopped(self) -> None:
        """Raise `RunStopped` where a process of the run has stopped it by now."""
        if self.have_stopped():
            raise RunStopped

    def shared(self, key: str) -> Result | None:
        """Return the result of *key* that a process of the run has shared, or None."""
        text = None if self._run is None else self._ledger.result(self._run, key)
        return None if text is None else msgspec.json.decode(text, type=Result)

    def awaited(self, key: str) -> Result | None:
        """Return the result of *key*; wait for the process that is to share it.

        Return None where there is no other process. Raises `RunStopped` when the run stops,
        and `UnusableLedger` when no process can share a result any more.
        """
        if self._is_stopped:
            raise RunStopped
        if key in self or self._run is None:
            return self.get(key)
        pause, tried = 0.005, clock.monotonic()
        while key not in self:
            result = self.shared(key)
            if result is not None:
                self[key] = result
                break
            self.raise_if_stopped()
            if clock.monotonic() - tried > _PATIENCE:
                self._ledger.write_result(self._run, _WAITING, "")
                tried = clock.monotonic()
            time.sleep(pause)
            pause = min(pause * 1.5, 0.1)
        return self.get(key)
