"""How stations ended in this run, shared with the other processes that take part in it."""

from __future__ import annotations

import time

import msgspec

from pytest_choochoo.engine.ledger.protocol import Ledger
from pytest_choochoo.engine.ledger.record import Record, Result, to_text

#: What stands for the run itself among the results of its stations: no other visit shall begin.
_STOPPED = ""

# How long is waited before it is looked whether the ledger still takes what is told, in seconds.
_PATIENCE = 5.0
_WAITING = "waiting"


class RunStopped(Exception):
    """The run stops: what has not begun does not begin."""


class Results(dict[str, Result]):
    """The results by key that this process knows of; *run* is the name of all that share them.

    Without a *run* nobody else takes part.
    """

    def __init__(self, ledger: Ledger, run: str | None) -> None:
        super().__init__()
        self._ledger = ledger
        self._run = run
        #: Whether a process stopped and left undone what others wait for.
        self.is_stopped = False

    def share(self, result: Result) -> Result:
        """Take *result* for granted, in the other processes as well; return it."""
        self[result.key] = result
        if self._run is not None:
            self._ledger.write_result(self._run, result.key, to_text(result))
        return result

    def record(self, result: Result, record: Record) -> None:
        """Write down *record*, and share *result* at the same moment."""
        told = () if self._run is None else ((self._run, to_text(result)),)
        self._ledger.finish(result.key, record, *told)
        self[result.key] = result

    def stop(self) -> None:
        """Tell the other processes that what this one had to do is left undone."""
        if self._run is not None:
            self._ledger.write_result(self._run, _STOPPED, "")

    def have_stopped(self) -> bool:
        """Say whether a process of the run has stopped it by now."""
        if self._run is not None and self._ledger.result(self._run, _STOPPED) is not None:
            self.is_stopped = True
        return self.is_stopped

    def require_going_on(self) -> None:
        """Raise `RunStopped` where a process of the run has stopped it by now."""
        if self.have_stopped():
            raise RunStopped

    def told(self, key: str) -> Result | None:
        """Return how *key* ended as far as the processes of the run were told."""
        text = None if self._run is None else self._ledger.result(self._run, key)
        return None if text is None else msgspec.json.decode(text, type=Result)

    def awaited(self, key: str) -> Result | None:
        """Return how *key* ended; another process may still be at it.

        None where nobody else takes part, or the run `is_stopped`. Raises `UnusableLedger`
        where nobody could tell any more.
        """
        pause, looked = 0.005, time.monotonic()
        while key not in self and self._run is not None:
            told = self.told(key)
            if told is not None:
                self[key] = told
                break
            if self.have_stopped():
                return None
            if time.monotonic() - looked > _PATIENCE:
                # No node id looks like this name: it would have a '::' in it.
                self._ledger.write_result(self._run, _WAITING, "")
                looked = time.monotonic()
            time.sleep(pause)
            pause = min(pause * 1.5, 0.1)
        return self.get(key)
