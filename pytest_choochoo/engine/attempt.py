"""One station's way through a session, and the records that are made of it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pytest_choochoo.engine.errors import CheckFailed
from pytest_choochoo.engine.judging.fingerprint import Fingerprint
from pytest_choochoo.engine.ledger.record import Record, Result, Status
from pytest_choochoo.engine.outcomes.codec import Outcome
from pytest_choochoo.engine.station import Check

# Asks the checks once, and returns the error of each that does not pass.
Ask = Callable[[Sequence[Check]], Mapping[str, BaseException]]


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """What pytest says of a station when all is over: nothing is a pass for good.

    *error* together with *skipped* is a failure that was expected; *and_more*:
    something else failed as well.
    """

    error: str = ""
    and_more: bool = False
    skipped: str = ""
    is_interrupted: bool = False


class Attempt(msgspec.Struct, kw_only=True):
    """A station that is under way: what was known of it *before*, and what came of it."""

    key: str
    lock: Any = None
    fingerprint: Fingerprint | None = None
    reasons: tuple[str, ...] = ()
    before: Record | None = None
    result: Result | None = None
    is_visiting: bool = False
    began: float = 0.0
    #: When the visit returned and its checks passed; 0 as long as it has not.
    ended: float = 0.0
    outcome: Outcome | None = None
    #: The record of its start, where a failure was noted that need not be the last word.
    noted: Record | None = None
    #: Whether the checks were asked after the visit, and the one that did not pass.
    is_asked_again: bool = False
    failed_check: str = ""
    products: dict[str, str] = {}

    @property
    def seconds(self) -> float:
        """How long the visit took, its checks included, or has taken so far."""
        return (self.ended or time.time()) - self.began if self.is_visiting else 0.0

    def cause(self, ending: Ending) -> str:
        """Return why the station failed, in one line; empty where it did not."""
        if self.failed_check and ending.error:
            return f"check {self.failed_check} does not pass: {ending.error}"
        return ending.error

    def recheck(self, name: str, checks: Sequence[Check], ask: Ask) -> None:
        """Ask the *checks* of the station *name* after its visit, again as `within` allows.

        Raises the error of the first that does not pass, or `CheckFailed`.
        """
        self.is_asked_again = True
        began, wait = time.monotonic(), 0.05
        while checks:
            failures = ask(checks)
            checks = tuple(check for check in checks if check.name in failures)
            waited = time.monotonic() - began
            left = {check.within - waited: check.name for check in reversed(checks)}
            if left and min(left) <= 0:
                self.failed_check = left[min(left)]
                error = failures[self.failed_check]
                told = f"check {self.failed_check!r} of station {name!r} does not pass after the visit: "
                says_so = isinstance(error, CheckFailed)
                error.add_note(f"{'' if says_so else told}either the visit or the check is wrong")
                raise error
            if left:
                time.sleep(min(wait, *left))
                wait = min(wait * 1.5, 2)
        self.ended = time.time()

    def record_of_start(self) -> Record:
        """Return the record that says `visiting`; from now on the station is visited."""
        self.is_visiting, self.began = True, time.time()
        return self._record("visiting", self.began, pid=os.getpid(), host=socket.gethostname())

    def record_of_visit(self, ending: Ending) -> Record:
        """Return the record of a visit that is over."""
        now, error, interrupted = time.time(), self.cause(ending), ending.is_interrupted
        status: Status = "interrupted" if interrupted else "failed" if error else "complete"
        where = {"pid": os.getpid(), "host": socket.gethostname()} if interrupted else {}
        record = self._record(status, now, error=error, **where)
        if self.outcome is None:
            return record
        return record.with_(
            fingerprint=self.fingerprint,
            outcome=self.outcome.text,
            outcome_digest=self.outcome.digest,
            is_sound=not error or (self._is_unsure(ending) and not ending.and_more),
            products=self.products,
            visited=now,
            began=self.began,
            seconds=self.seconds,
        )

    def _is_unsure(self, ending: Ending) -> bool:
        """Whether the visit returned, and a check of it said no, or would not say."""
        return bool(self.failed_check) or (
            bool(ending.skipped) and self.is_asked_again and not self.ended
        )

    def record_of_check(self, products: dict[str, str], known: Outcome) -> Record:
        """Return the record of a station whose checks say that it is as it should be.

        *known*: the outcome of its last visit, or of one that returns nothing.
        """
        now = time.time()
        return self._record(
            "complete",
            now,
            fingerprint=self.fingerprint,
            outcome=known.text,
            outcome_digest=known.digest,
            is_sound=True,
            products=products,
            visited=(self.before.visited if self.before else 0.0) or now,
        )

    def _record(self, status: Status, since: float, **facts: Any) -> Record:
        """Return the record that says how this attempt stands, and the rest as it was *before*."""
        before = self.before or Record(status=status, since=since)
        attempt = {"error": "", "pid": 0, "host": ""}
        return before.with_(status=status, since=since, **attempt | facts)
