"""Takes one station through: judge, check, visit, check, record."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pytest_choochoo.engine.attempt import Ask, Attempt, Ending
from pytest_choochoo.engine.errors import (
    ChoochooError,
    LockTimeout,
    MissingProduct,
    UnusableLedger,
)
from pytest_choochoo.engine.judging import fingerprint as fingerprints
from pytest_choochoo.engine.judging.fingerprint import Fingerprint
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.judging.verdict import Blocked, Due, Fresh, Verdict
from pytest_choochoo.engine.ledger.protocol import Ledger, LockBusy
from pytest_choochoo.engine.ledger.record import Record, Result, Word
from pytest_choochoo.engine.outcomes.outcomes import Outcomes
from pytest_choochoo.engine.results import Results, RunStopped
from pytest_choochoo.engine.route import Route
from pytest_choochoo.engine.visit import Progressed, Visit
from pytest_choochoo.engine.wording import failed_check

# For how long somebody may hold a lock who only looks whether it is held, in seconds.
_MOMENT = 0.1
# How long a lock is waited for before it is looked whether the run still goes on, in seconds.
_LOOK = 0.5


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the user wants of this session.

    *selected*: the stations that will be run. *run*: the name under which
    several processes share results, or None. *lock_timeout*: seconds, -1
    without end.
    """

    profile: str
    selected: frozenset[str] = frozenset()
    run: str | None = None
    lock_timeout: float = -1


class Journey:
    """All that changes while a session runs; one in each process.

    *tell* is called with how far a visit has come, *notify* with a line for the user,
    *judged* with the verdict on a station by its record.
    """

    def __init__(
        self,
        *,
        route: Route,
        orders: RunOptions,
        ledger: Ledger,
        outcomes: Outcomes,
        judging: Judge,
        tell: Callable[[Progressed], None],
        notify: Callable[[str], None],
        judged: Callable[[str, Verdict], object],
    ) -> None:
        self.route = route
        self.orders = orders
        self.ledger = ledger
        self.outcomes = outcomes
        self.judging = judging
        self.results = Results(ledger, orders.run)
        self.passage: Attempt | None = None
        #: When whoever watches the clock stops the station under way, as `time.monotonic` has it.
        self.deadline = math.inf
        #: What was judged already, and is judged once more when its turn to be visited comes.
        self._found_due: set[str] = set()
        self._tell = tell
        self._notify = notify
        self._judged = judged

    # --- judge

    def settled(self, key: str) -> Result | None:
        """Return the result of a station that nobody needs to be asked about, else None."""
        blocked = self.blocked(self.route.upstream[key])
        if blocked is not None and not blocked.by:
            return self.result(key, "not reached")
        if blocked is not None:
            self._judged(key, blocked)
            return self.result(key, "blocked", by=blocked.by)
        station = self.route[key].station
        is_asked = bool(station.checks or station.declaration.values)
        if is_asked or self.judging.is_replayed(key) or key in self._found_due:
            return None
        record = self.ledger.record(key)
        if record is not None and record.is_complete:
            try:
                verdict = self._verdict(key, record, self.judging.fingerprint(key, values={}))
            except (ChoochooError, OSError):
                return None  # what cannot be judged fails where errors are told: in its set-up
            if isinstance(verdict, Fresh):
                return self.result(key, "unchanged", spared=record.seconds)
        self._found_due.add(key)
        return None

    def blocked(self, upstream: Sequence[str]) -> Blocked | None:
        """Return by what a consumer of the stations *upstream* is blocked, or None.

        Waits for those that another process of this run has not finished yet;
        by nobody means that the run stops, and what is waited for will not be done.
        """
        by: dict[str, None] = {}
        for key in upstream:
            result = self.results.awaited(key) if key in self.orders.selected else None
            if self.results.is_stopped:
                return Blocked(by=())
            if result is not None:
                if not result.is_complete:
                    by |= dict.fromkeys(result.by or (result.name,))
            elif key in self.orders.selected or not self.judging.is_complete(key):
                # Selected and not run yet: the order was changed behind our back.
                by[self.route[key].name] = None
        return Blocked(by=tuple(by)) if by else None

    def _verdict(self, key: str, record: Record | None, taken: Fingerprint) -> Fresh | Due:
        verdict = self.judging.verdict(key, record, taken)
        self._judged(key, verdict)
        return verdict

    # --- check and visit

    @property
    def has_result(self) -> bool:
        """Whether the station under way needs no visit."""
        return self.passage is not None and self.passage.result is not None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the station under way is visited."""
        return self.passage.reasons if self.passage is not None else ()

    def arrive(self, key: str, values: Mapping[str, object], ask: Ask) -> Result | None:
        """Return what becomes of *key*, or None for a visit, which has now begun.

        It waits for whoever is visiting the station, judges again, and holds
        the lock until `leave`. Raises `LockTimeout`, and what makes judging
        impossible.
        """
        passage = self.passage
        if passage is None or passage.key != key:
            passage = self.passage = Attempt(key=key)
        if passage.is_visiting:  # tried again, by a plugin that reruns what failed
            passage.outcome, passage.failed_check, passage.ended = None, "", 0.0
            return None
        try:
            self._settle_or_begin(passage, values, ask)
        except RunStopped:
            passage.result = self.result(key, "not reached")
        return passage.result

    def _settle_or_begin(self, passage: Attempt, values: Mapping[str, object], ask: Ask) -> None:
        key = passage.key
        # What was found due just now is judged under the lock, once more.
        was_found_due = key in self._found_due
        if not was_found_due and self._stands(passage, values, ask, self.ledger.record(key)):
            return
        passage.lock = passage.lock or self.lock(key)
        record = self.ledger.record(key)
        is_another = record != passage.before or not passage.reasons
        if is_another and self._stands(passage, values, ask, record):
            return
        if not was_found_due:  # its checks may have taken their time
            self.results.require_on_going_on()
        self.ledger.begin(key, passage.record_of_start(), passage.reasons)

    def _stands(
        self, passage: Attempt, values: Mapping[str, object], ask: Ask, record: Record | None
    ) -> bool:
        """Say whether the station needs no visit; the passage then has its result."""
        key, stop = passage.key, self.route[passage.key]
        passage.before, passage.result = record, None
        self.outcomes.look_again()
        passage.fingerprint = self.judging.fingerprint(key, values)
        verdict = self._verdict(key, record, passage.fingerprint)
        if isinstance(verdict, Due) and record is not None and record.is_visiting:
            if passage.lock is None:  # perhaps it is under way; the lock will tell
                return False
        if isinstance(verdict, Due):
            texts, may_stand, drift = verdict.texts, verdict.check_settles, ""
        else:
            texts, may_stand, drift = (), True, "drift: "
        checks = stop.station.checks
        failures = ask(checks) if checks and may_stand else {}
        if may_stand and not failures:
            return self._confirmed(passage, verdict)
        found = (failed_check(stop.name, *each, drift).text for each in failures.items())
        passage.reasons = (*texts, *found)
        return False

    def _confirmed(self, passage: Attempt, verdict: Fresh | Due) -> bool:
        """Give the passage the result of a station that is as it should be; True for a result."""
        record, key = passage.before, passage.key
        if isinstance(verdict, Fresh) and record is not None:
            passage.result = self.result(key, "unchanged", spared=record.seconds)
            return True
        assert isinstance(verdict, Due)
        if passage.lock is None:  # who writes, holds the lock
            passage.lock = self.lock(key)
            if self.ledger.record(key) != record:
                return False
        texts = verdict.texts
        if all(reason.kind == "code" for reason in verdict.reasons) and record is not None:
            spared = record.seconds
            passage.result = self.result(key, "unchanged", spared=spared, reasons=texts)
        else:
            passage.result = self.result(key, "adopted", reasons=texts)
        return True

    def lock(self, key: str) -> Any:
        """Return the lock of *key*, held: whoever is visiting it is waited for.

        Raises `LockTimeout`, and `RunStopped`.
        """
        try:
            return self.ledger.lock(key, _MOMENT)
        except LockBusy:
            pass
        record, name = self.ledger.record(key), self.route.name(key)
        visitor = "another process" if record is None else record.visitor
        self._notify(f"{name} waits for {visitor}, which is visiting it")
        timeout = self.orders.lock_timeout
        end = math.inf if timeout < 0 else time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            try:
                return self.ledger.lock(key, max(min(left, _LOOK), 0))
            except LockBusy:
                if left <= _LOOK:
                    raise LockTimeout(name, timeout, visitor) from None
            self.results.require_on_going_on()

    def returned(self, value: object) -> None:
        """Keep what the visit returned. Raises `Unstorable` or `MissingProduct`."""
        passage = self._under_way()
        station = self.route[passage.key].station
        passage.outcome = self.outcomes.encoded(passage.key, value)
        self.outcomes.keep(passage.key, passage.outcome)
        passage.products = fingerprints.products(station)
        for product, digest in passage.products.items():
            if not digest:
                raise MissingProduct(station.name, product)

    def recheck(self, ask: Ask) -> None:
        """Ask all checks after the visit. Raises the error of one that does not pass."""
        stop = self.route[self._under_way().key]
        self._under_way().recheck(stop.name, stop.station.checks, ask)

    def _under_way(self) -> Attempt:
        assert self.passage is not None, "no station is under way"
        return self.passage

    # --- record

    def preview(self, ending: Ending) -> Result:
        """Return the result that `leave` would give the station under way now."""
        passage = self._under_way()
        key, facts = passage.key, {"reasons": passage.reasons, "seconds": passage.seconds}
        if passage.result is None and ending.is_interrupted and not passage.is_visiting:
            return self.result(key, "not reached")
        if passage.result is not None and passage.result.word == "not reached":
            return passage.result
        if ending.skipped:
            return self.result(key, "skipped", cause=ending.skipped, **facts)
        if ending.error:
            return self.result(key, "failed", cause=passage.cause(ending), **facts)
        return passage.result or self.result(key, "visited", **facts)

    def leave(self, ending: Ending) -> Result:
        """Write down how the station under way ended, give its lock back, return its result.

        Raises `UnusableLedger`; the station then counts as failed, as it was not recorded.
        """
        passage, result, record = self._under_way(), self.preview(ending), None
        self.passage = None
        try:
            if passage.noted is not None:  # too early: the process lives
                self.ledger.begin(passage.key, passage.noted, passage.reasons)
            if passage.is_visiting and ending.skipped and not ending.error:
                if passage.outcome is None:
                    self.ledger.cancel(passage.key, passage.before)  # nothing was done
                else:
                    skipped = f"skipped after the visit: {ending.skipped}"
                    record = passage.record_of_visit(Ending(error=skipped, skipped=skipped))
            elif passage.is_visiting:
                record = passage.record_of_visit(ending)
            elif result.word == "adopted" or (result.word == "unchanged" and result.reasons):
                products = fingerprints.products(self.route[passage.key].station)
                known = self.outcomes.find(passage.key) or self.outcomes.encoded(passage.key, None)
                record = passage.record_of_check(products, known)
            if record is not None:
                self.results.record(result, record)
        except UnusableLedger as error:
            self.results[passage.key] = self.result(passage.key, "failed", cause=str(error))
            raise
        finally:
            if passage.lock is not None:
                passage.lock.release()
        self.outcomes.keep(passage.key, None)  # from now on the ledger knows
        if result.word == "not reached":
            return self.results.setdefault(passage.key, result)
        return result if record is not None else self.results.share(result)

    def note_failure(self, key: str, error: str) -> None:
        """Write down that the visit of *key* failed, should this process not live to record it."""
        passage = self.passage
        if passage is not None and passage.key == key and passage.is_visiting:
            passage.noted = self.ledger.record(key)
            self.ledger.finish(key, passage.record_of_visit(Ending(error=error)))

    def result(self, key: str, word: Word, **facts: Any) -> Result:
        """Return the result *word* of the station *key*, with more *facts*."""
        stop = self.route[key]
        return Result(
            key=key,
            name=stop.name,
            title=stop.station.title,
            word=word,
            upstream=self.route.names(self.route.upstream[key]),
            **facts,
        )

    def visit(self, key: str) -> Visit:
        """Return what the station *key* may know of its visit."""
        return Visit(
            station=self.route[key].name,
            profile=self.orders.profile,
            reasons=self.reasons,
            previous=self.outcomes.previous(key),
            resources=self.ledger.resources(key),
            _directory=lambda: self.ledger.directory(key),
            _tell=self._tell,
            _key=key,
        )
