"""One station's attempt in one session: how far it has come, and the records made of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from pytest_choochoo.engine import clock
from pytest_choochoo.engine.errors import CheckNotAsked
from pytest_choochoo.engine.ledger.protocol import HeldLock
from pytest_choochoo.engine.ledger.record import Fingerprint, Record, Result, Status
from pytest_choochoo.engine.outcomes.codec import Outcome
from pytest_choochoo.engine.place import host_name
from pytest_choochoo.engine.station import Check

# Asks the checks once, and returns the error of each that does not pass.
Ask = Callable[[Sequence[Check]], Mapping[str, BaseException]]
# Asks the find, and returns what it returns: None where nothing is there.
Find = Callable[[], object]


def nothing_found() -> object:
    """Return None, as the find of a station that finds nothing."""
    return None


def decisive(
    checks: Sequence[Check], failures: Mapping[str, BaseException]
) -> dict[str, BaseException]:
    """Return those *failures* of *checks* that fail the station.

    The error of a check that only warns does not, unless it is a mistake.
    """
    warning = {check.name for check in checks if check.warns}
    return {
        name: error
        for name, error in failures.items()
        if name not in warning or isinstance(error, CheckNotAsked)
    }


def mistakes(failures: Mapping[str, BaseException]) -> list[CheckNotAsked]:
    """Return those of *failures* that are no answers of checks, but mistakes in them."""
    return [error for error in failures.values() if isinstance(error, CheckNotAsked)]


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How pytest's protocol ended for a station; the empty ending is a pass.

    *error* together with *skipped* is a failure that was expected; *and_more*:
    something else failed as well. *output*: what was printed meanwhile.
    """

    error: str = ""
    and_more: bool = False
    skipped: str = ""
    is_interrupted: bool = False
    output: str = ""


S = TypeVar("S", bound="Stage")


# --- how far a station has come: each stage holds what is known by then


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing is known of the station yet."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the station is visited."""
        return ()

    @property
    def seconds(self) -> float:
        """How long the visit took, its checks included, or has taken so far."""
        return 0.0

    def cause(self, ending: Ending) -> str:
        """Return why the station failed, in one line; empty where it did not."""
        return ending.error


class NotReached(Stage, frozen=True, kw_only=True):
    """The run stopped before the station's visit could begin."""


class Settled(Stage, frozen=True, kw_only=True):
    """The station needs no visit.

    *is_news*: the ledger does not know yet, as a check has confirmed the station.
    """

    before: Record | None
    fingerprint: Fingerprint
    result: Result
    is_news: bool = False


class Refused(Stage, frozen=True, kw_only=True):
    """The station cannot be taken for complete: its checks do not pass, as *refusal* says."""

    refusal: str

    def cause(self, ending: Ending) -> str:
        return ending.error and self.refusal


class ToVisit(Stage, frozen=True, kw_only=True):
    """The station must be visited: its record *before*, its inputs as they are now, and why."""

    before: Record | None
    fingerprint: Fingerprint
    reasons: tuple[str, ...]


class Begun(ToVisit, frozen=True, kw_only=True):
    """The visit has begun: *began* in seconds since the epoch, *started* as `clock` counts.

    *renewal*: a name for this visit, where its station renews.
    """

    began: float
    started: float
    renewal: str = ""

    @property
    def seconds(self) -> float:
        return clock.monotonic() - self.started


class Returned(Begun, frozen=True, kw_only=True):
    """The visit has returned *outcome*."""

    outcome: Outcome


class Rechecking(Returned, frozen=True, kw_only=True):
    """The *products* are known by digest, "" for a missing one; the checks are asked again."""

    products: dict[str, str]


class RecheckFailed(Rechecking, frozen=True, kw_only=True):
    """Checks did not pass after the visit, or could not be asked, as *refusal* says."""

    refusal: str

    def cause(self, ending: Ending) -> str:
        return ending.error and self.refusal


class Passed(Rechecking, frozen=True, kw_only=True):
    """The visit and all checks after it have passed; *ended* as `clock` counts."""

    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.started


def advance(kind: type[S], stage: Stage, **facts: object) -> S:
    """Return the stage *kind*, which knows what *stage* knew, and *facts*."""
    known = msgspec.structs.asdict(stage) | facts
    if not issubclass(kind, type(stage)):  # an earlier stage knows less
        known = {name: known[name] for name in kind.__struct_fields__ if name in known}
    return kind(**known)


class Attempt:
    """One station's way through a session: made when its item starts, and recorded when it ends.

    *stage*: how far it has come. *checks*: the last answer of each check that was asked,
    `passed` or its error. *lock*: held from before its visit begins. *start*: the
    record of its start, if a failure was noted that need not be final.
    """

    __slots__ = ("checks", "key", "lock", "stage", "start")

    def __init__(self, key: str) -> None:
        self.key = key
        self.stage = Stage()
        self.checks: dict[str, str] = {}
        self.lock: HeldLock | None = None
        self.start: Record | None = None

    @property
    def has_begun(self) -> bool:
        """Whether a visit has begun, and perhaps ended."""
        return isinstance(self.stage, Begun)

    @property
    def before(self) -> Record | None:
        """The record from before the visit, if one has begun."""
        return self.stage.before if isinstance(self.stage, Begun) else None

    def restart(self) -> None:
        """Forget what the visit came to: another plugin runs it again."""
        self.stage = advance(Begun, self.stage)


# --- the records of an attempt


def record_of_start(stage: Begun) -> Record:
    """Return the record that says `visiting`."""
    return _renewed(stage, _record(stage.before, "visiting", stage.began, **_this_process()))


def record_of_visit(stage: Begun, ending: Ending) -> Record:
    """Return the record of a visit that is over."""
    now, error = time.time(), stage.cause(ending)
    status: Status = "failed" if error else "complete"
    if ending.is_interrupted:
        record = _record(stage.before, "interrupted", now, error=error, **_this_process())
    else:
        record = _record(stage.before, status, now, error=error)
    record = _renewed(stage, record)
    if not isinstance(stage, Returned):
        return record
    return record.with_(
        fingerprint=stage.fingerprint,
        outcome=stage.outcome.text,
        outcome_digest=stage.outcome.digest,
        secrets=stage.outcome.secrets,
        for_cleans=None,
        is_sound=not error or (_only_a_check_failed(stage, ending) and not ending.and_more),
        products=stage.products if isinstance(stage, Rechecking) else {},
        visited=now,
        began=stage.began,
        seconds=stage.seconds,
    )


def _renewed(stage: Begun, record: Record) -> Record:
    """Return *record* with the name of the visit, however far that came, if its station renews."""
    return record.with_(renewal=stage.renewal) if stage.renewal else record


def _only_a_check_failed(stage: Returned, ending: Ending) -> bool:
    """Return whether the visit returned, and one of its checks failed, skipped or was stopped."""
    if isinstance(stage, RecheckFailed):
        return True
    is_cut_short = bool(ending.skipped) or ending.is_interrupted
    return is_cut_short and isinstance(stage, Rechecking) and not isinstance(stage, Passed)


def record_of_check(stage: Settled, products: dict[str, str], known: Outcome) -> Record:
    """Return the record of a station whose checks found it in its desired state.

    *known*: the outcome of its last visit, or of a visit that returns nothing.
    """
    now, before = time.time(), stage.before
    return _record(
        before,
        "complete",
        now,
        fingerprint=stage.fingerprint,
        outcome=known.text,
        outcome_digest=known.digest,
        secrets=known.secrets,
        for_cleans=None,
        is_sound=True,
        products=products,
        visited=(before.visited if before is not None else 0.0) or now,
    )


def _record(before: Record | None, status: Status, since: float, **facts: Any) -> Record:
    """Return the record of the attempt under way; everything else is as it was *before*."""
    known = before or Record(status=status, since=since)
    attempt = {"error": "", "pid": 0, "host": ""}
    return known.with_(status=status, since=since, **attempt | facts)


def _this_process() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": host_name()}
