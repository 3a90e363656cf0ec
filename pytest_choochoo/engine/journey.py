"""Takes one station through a session: judge, ask the checks, lock, visit, check again, record."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import CodeType
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from pytest_choochoo.engine import clock
from pytest_choochoo.engine.attempt import (
    Ask,
    Attempt,
    Begun,
    Ending,
    Find,
    NotReached,
    Passed,
    RecheckFailed,
    Rechecking,
    Refused,
    Returned,
    Settled,
    Stage,
    ToVisit,
    advance,
    decisive,
    mistakes,
    nothing_found,
    record_of_check,
    record_of_start,
    record_of_visit,
)
from pytest_choochoo.engine.errors import (
    CheckFailed,
    ChoochooError,
    HookFailed,
    LateChange,
    MissingProduct,
    NothingFound,
    ProductNotThere,
    UnkeptResource,
    UnusableLedger,
    answers,
    check_line,
)
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.judging.verdict import Blocked, Due, Fresh, Verdict, failed_check
from pytest_choochoo.engine.ledger.protocol import HeldLock, Ledger
from pytest_choochoo.engine.ledger.record import Record, Result, Word
from pytest_choochoo.engine.ledger.waiting import lock_station
from pytest_choochoo.engine.outcomes.outcomes import Outcomes
from pytest_choochoo.engine.results import Results, RunStopped
from pytest_choochoo.engine.route import Route
from pytest_choochoo.engine.station import Check

if TYPE_CHECKING:
    from pytest_choochoo.engine.ledger.durable import DurableMapping
    from pytest_choochoo.engine.visit import AwaitsCheck, ProgressReport, Visit

#: The reason of a station that `--cc-accept` took for complete.
ACCEPTED = "accepted as it is now"


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The user's choices for this session.

    *selected*: the stations that will be run. *lock_timeout*: seconds, -1 for no limit.
    """

    profile: str
    selected: frozenset[str] = frozenset()
    lock_timeout: float = -1


class Journey:
    """Takes stations through a session, one at a time; each process has one.

    *tell* is called with the progress of a visit, and while it waits for a check, *notify* with a
    line for the user, *judged* with the verdict on a station by its record; that may raise
    `HookFailed`.
    """

    def __init__(
        self,
        *,
        route: Route,
        options: RunOptions,
        ledger: Ledger,
        outcomes: Outcomes,
        judge: Judge,
        results: Results,
        tell: Callable[[ProgressReport | AwaitsCheck], object],
        notify: Callable[[str], None],
        judged: Callable[[str, Verdict], object],
    ) -> None:
        self.route = route
        self.options = options
        self.ledger = ledger
        self.outcomes = outcomes
        self.judge = judge
        self.results = results
        self._tell = tell
        self._notify = notify
        self._judged = judged
        #: Stations that `settle` found due, which are judged once more under their lock.
        self._found_due: set[str] = set()
        self._hook_errors: dict[str, HookFailed] = {}
        #: The outcome that the find of the station under way returned, if that did not settle it.
        self._found: dict[str, Any] = {}
        #: The resources that the station under way, or its clean, was given.
        self._resources: dict[str, DurableMapping] = {}

    # --- without an attempt: stations that the record alone can settle

    def settle(self, key: str) -> Result | None:
        """Return the result of a station that needs neither a check nor a visit, else None."""
        try:
            blocked = self.blocked(self.route.upstream[key])
        except RunStopped:
            return self.result(key, "not reached")
        if blocked is not None:
            try:
                self._judged(key, blocked)
            except HookFailed as error:
                self._hook_errors[key] = error
                return None  # its set-up raises this, where errors are reported
            return self.result(key, "blocked", by=blocked.by)
        station = self.route[key].station
        needs_fixtures = bool(station.checks or station.declaration.values)
        if needs_fixtures or self.judge.is_replayed(key) or key in self._found_due:
            return None
        self.outcomes.look_again()  # another process may have visited upstream by now
        record = self.ledger.record(key)
        if record is not None and record.is_complete:
            try:
                verdict = self.judge.verdict(key, record, self.judge.fingerprint(key, {}, record))
                self._judged(key, verdict)
            except (ChoochooError, OSError):
                return None  # its set-up raises this again, where errors are reported
            if isinstance(verdict, Fresh):
                return self.result(key, "unchanged", spared=record.seconds)
        self._found_due.add(key)
        return None

    def blocked(self, upstream: Sequence[str]) -> Blocked | None:
        """Return what blocks a consumer of the stations *upstream*, or None.

        Waits for those that another process of this run has not finished yet. Raises
        `RunStopped` when the run stops meanwhile.
        """
        by: dict[str, None] = {}
        for key in upstream:
            result = self.results.awaited(key) if key in self.options.selected else None
            if result is not None:
                if not result.is_complete:
                    by |= dict.fromkeys(result.by or (result.name,))
            elif key in self.options.selected or not self.judge.is_complete(key):
                # Selected and not run yet: another plugin changed the order.
                by[self.route[key].name] = None
        return Blocked(by=tuple(by)) if by else None

    # --- an attempt, step by step

    def begin(
        self, attempt: Attempt, values: Mapping[str, object], ask: Ask, find: Find = nothing_found
    ) -> None:
        """Judge the station; where it is due, lock it, judge it again, and begin its visit.

        Afterwards the stage is `Settled`, `NotReached` or `Begun`. Raises `LockTimeout`,
        and whatever makes judging impossible.
        """
        if attempt.has_begun:
            attempt.restart()
            return
        try:
            self._begin(attempt, values, ask, find)
        except RunStopped:
            attempt.stage = NotReached()

    def raise_hook_error(self, key: str) -> None:
        """Raise the error of a plugin that was told that *key* is blocked, if there is one."""
        if key in self._hook_errors:
            raise self._hook_errors[key]

    def _begin(self, attempt: Attempt, values: Mapping[str, object], ask: Ask, find: Find) -> None:
        key = attempt.key
        # A station that `settle` found due is judged once more only, under its lock; and
        # only the lock tells whether another process is still visiting.
        record = None if key in self._found_due else self.ledger.record(key)
        stage: Settled | ToVisit | None = None
        if key not in self._found_due and not (record and record.is_visiting):
            stage = self._judge(attempt, values, ask, find, record)
            if isinstance(stage, ToVisit) or not stage.is_news:
                attempt.stage = stage
            if isinstance(stage, Settled) and not stage.is_news:
                return
        # While it waits for the lock and asks checks, a station is not reached yet.
        attempt.lock = attempt.lock or self.lock(key)
        found = self.ledger.record(key)
        if stage is None or found != record:  # another process may have visited it
            stage = self._judge(attempt, values, ask, find, found)
        attempt.stage = stage
        if isinstance(attempt.stage, ToVisit):
            self.results.raise_if_stopped()  # the lock and the checks may have taken their time
            begun = attempt.stage = advance(Begun, attempt.stage, **self._start(key))
            self.ledger.begin(key, record_of_start(begun), begun.reasons)
            for unseen in self.judge.unseen_code(key):
                name = self.route.name(key)
                self._notify(f"{name}: a change of {unseen} is not noticed; declare version=...")

    def _start(self, key: str) -> dict[str, object]:
        """Return what is known of a visit when it begins."""
        renews = self.route[key].station.declaration.renews
        renewal = os.urandom(8).hex() if renews else ""
        return {"began": time.time(), "started": clock.monotonic(), "renewal": renewal}

    def _judge(
        self,
        attempt: Attempt,
        values: Mapping[str, object],
        ask: Ask,
        find: Find,
        record: Record | None,
    ) -> Settled | ToVisit:
        """Return whether the station must be visited, by its record, its find and its checks."""
        key = attempt.key
        station, name = self.route[key].station, self.route[key].name
        self.outcomes.look_again()
        taken = self.judge.fingerprint(key, values, record)
        verdict = self.judge.verdict(key, record, taken)
        self._judged(key, verdict)
        is_fresh = isinstance(verdict, Fresh)
        reasons = () if isinstance(verdict, Fresh) else verdict.texts
        may_stand = isinstance(verdict, Fresh) or verdict.check_settles
        was_found = False
        if isinstance(verdict, Due) and verdict.asks_find:
            was_found = self.find_outcome(key, find)
            may_stand &= was_found
        failures = _asked(attempt, ask, station.checks) if may_stand else {}
        for mistake in mistakes(failures):
            raise mistake
        if failures or not may_stand:
            if was_found:
                self._found[key] = self.outcomes.copy(key)
                self.outcomes.keep(key, None)
            prefix = "drift: " if is_fresh else ""
            drift = (failed_check(name, *each, prefix).text for each in failures.items())
            return ToVisit(before=record, fingerprint=taken, reasons=(*reasons, *drift))
        facts = {"reasons": reasons, "checks": dict(attempt.checks)}
        if isinstance(verdict, Fresh) or all(reason.kind == "code" for reason in verdict.reasons):
            spared = record.seconds if record is not None else 0.0
            result = self.result(key, "unchanged", spared=spared, **facts)
        else:
            result = self.result(key, "adopted", **facts)
        return Settled(before=record, fingerprint=taken, result=result, is_news=not is_fresh)

    def find_outcome(self, key: str, find: Find) -> bool:
        """Keep what *find* returns as the outcome of *key*; return whether it returned anything.

        Raises `FindNotAsked`, and `Unstorable` where it does not fit the station's annotation.
        """
        value = find()
        if value is None:
            return False
        self.outcomes.keep(key, self.outcomes.encoded(key, value))
        return True

    def accept(
        self, attempt: Attempt, values: Callable[[], Mapping[str, object]], ask: Ask, find: Find
    ) -> None:
        """Take the station for complete as things are now, with the outcome that is known.

        *values* returns the values that are inputs. Raises `LockTimeout`, `NothingFound`,
        `ProductNotThere`, `NoRecord` of a station upstream, and the error of a check that does not
        pass; nothing is recorded then.
        """
        key = attempt.key
        station, outcomes = self.route[key].station, self.outcomes
        attempt.lock = attempt.lock or self.lock(key)
        outcomes.look_again()
        record = self.ledger.record(key)
        if outcomes.is_expected(station) and not outcomes.is_known(key):
            if not self.find_outcome(key, find):
                raise NothingFound(station.name)
        taken = self.judge.fingerprint(key, values(), record)
        failures = _asked(attempt, ask, station.checks)
        for error in (*mistakes(failures), *failures.values()):
            refusal = "; ".join(check_line(*each) for each in failures.items())
            attempt.stage = Refused(refusal=refusal)
            raise error
        for product, digest in self.judge.products(key).items():
            if not digest:
                raise ProductNotThere(station.name, product)
        result = self.result(key, "adopted", reasons=(ACCEPTED,), checks=dict(attempt.checks))
        attempt.stage = Settled(before=record, fingerprint=taken, result=result, is_news=True)

    def complete(
        self,
        attempt: Attempt,
        value: object,
        ask: Ask,
        entered: Sequence[CodeType] | None = None,
    ) -> Mapping[str, BaseException]:
        """Keep the outcome of the visit, and ask all checks; return the errors to warn of.

        *value*: what the visit returned; *entered*: the code that it entered, None if that
        is not known. Raises `Unstorable`, `LateChange`, `MissingProduct`, `CheckNotAsked`, or
        the error of a check that does not pass.
        """
        instance = self.route[attempt.key]
        outcome = self.outcomes.encoded(attempt.key, value)
        self.outcomes.keep(attempt.key, outcome)
        attempt.stage = advance(Returned, attempt.stage, outcome=outcome)
        if entered is not None:
            taken = self.judge.with_entered(attempt.key, attempt.stage.fingerprint, entered)
            attempt.stage = msgspec.structs.replace(attempt.stage, fingerprint=taken)
        for late in self._late_changes(attempt.key):
            raise LateChange(instance.station.name, late)
        products = self.judge.products(attempt.key)
        attempt.stage = advance(Rechecking, attempt.stage, products=products)
        for product, digest in products.items():
            if not digest:
                raise MissingProduct(instance.station.name, product)
        warnings = self._ask_again(attempt, ask)
        attempt.stage = advance(Passed, attempt.stage, ended=clock.monotonic())
        return warnings

    def _ask_again(self, attempt: Attempt, ask: Ask) -> dict[str, BaseException]:
        """Ask the checks after the visit, again and again as long as `within` allows.

        Return the errors of those that only warn, and did not pass in time.
        """
        checks = self.route[attempt.key].station.all_checks
        began, pause = clock.monotonic(), 0.05
        warnings: dict[str, BaseException] = {}
        while checks:
            failures = _asked(attempt, ask, checks)
            for mistake in mistakes(failures):
                _refuse(attempt, decisive(checks, failures))
                raise mistake
            checks = tuple(check for check in checks if check.name in failures)
            waited = clock.monotonic() - began
            over = [check for check in checks if check.within <= waited]
            if failing := [check for check in over if not check.warns]:
                first = min(failing, key=lambda check: check.within)
                self._fail(attempt, decisive(checks, failures), first)
            warnings |= {check.name: failures[check.name] for check in over}
            checks = tuple(check for check in checks if check not in over)
            if checks:
                self._tell_of_wait(attempt.key, checks[0], waited)
                time.sleep(min(pause, *(check.within - waited for check in checks)))
                pause = min(pause * 1.5, 2)
        return warnings

    def _fail(
        self, attempt: Attempt, failures: Mapping[str, BaseException], first: Check
    ) -> NoReturn:
        """Raise the error of *first*, one of the *failures* of checks after the visit."""
        _refuse(attempt, failures)
        for check, error in failures.items():
            _explain(self.route.name(attempt.key), check, error)
        raise failures[first.name]

    def _tell_of_wait(self, key: str, check: Check, waited: float) -> None:
        from pytest_choochoo.engine.visit import AwaitsCheck  # few checks need several answers

        self._tell(AwaitsCheck(key=key, check=check.name, waited=waited, within=check.within))

    def so_far(self, attempt: Attempt, ending: Ending) -> Result:
        """Return the result that `finish` would record now."""
        key, stage = attempt.key, attempt.stage
        is_decided = isinstance(stage, Begun | Settled)
        if isinstance(stage, NotReached) or (ending.is_interrupted and not is_decided):
            return self.result(key, "not reached")
        facts: dict[str, Any] = {"reasons": stage.reasons, "seconds": stage.seconds}
        facts["checks"] = dict(attempt.checks)
        if ending.skipped:
            return self.result(key, "skipped", cause=ending.skipped, **facts)
        if ending.error:
            return self.result(key, "failed", cause=stage.cause(ending), **facts)
        return stage.result if isinstance(stage, Settled) else self.result(key, "visited", **facts)

    def finish(self, attempt: Attempt, ending: Ending) -> Result:
        """Record how the station ended, release its lock, and return its result.

        Raises `UnusableLedger`; the station then counts as failed, as it is not recorded.
        """
        key, stage, result = attempt.key, attempt.stage, self.so_far(attempt, ending)
        is_plain_skip = bool(ending.skipped) and not ending.error
        record = None
        try:
            with suppress(UnkeptResource):  # it has failed anyway
                self._late_changes(key)
            if attempt.lock is not None:
                attempt.lock.require()
            if attempt.start is not None:  # `note_failure` was too early
                self.ledger.begin(key, attempt.start, stage.reasons)
            if is_plain_skip and attempt.has_begun and not isinstance(stage, Returned):
                self.ledger.cancel(key, attempt.before)  # nothing was done
            else:
                record = self._record_of(key, stage, ending, result)
            if record is not None:
                if ending.output and attempt.has_begun:
                    self.ledger.keep_output(key, self.outcomes.without_secrets(ending.output))
                self.results.record(result, record)
        except UnusableLedger as error:
            self.results[key] = self.result(key, "failed", cause=str(error))
            raise
        finally:
            self._resources.pop(key, None)
            self._found.pop(key, None)
            if attempt.lock is not None:
                attempt.lock.release()
        self.outcomes.keep(key, None)  # from now on the ledger knows
        if result.word == "not reached":
            return self.results.setdefault(key, result)
        return result if record is not None else self.results.share(result)

    def _late_changes(self, key: str) -> list[str]:
        """Keep what the visit changed in its resources behind their back; return the ids."""
        return self._resources[key].write_late_changes() if key in self._resources else []

    def _record_of(self, key: str, stage: Stage, ending: Ending, result: Result) -> Record | None:
        """Return the record of a station that has ended, None where nothing is to be written."""
        match stage:
            case Returned() if ending.skipped and not ending.error:
                skipped = f"skipped after the visit: {ending.skipped}"
                return record_of_visit(stage, Ending(error=skipped, skipped=skipped))
            case Begun():
                return record_of_visit(stage, ending)
            case Settled(is_news=True) if result is stage.result:
                products = self.judge.products(key)
                known = self.outcomes.find(key) or self.outcomes.encoded(key, None)
                return record_of_check(stage, products, known)
        return None

    def note_failure(self, attempt: Attempt, error: str) -> None:
        """Record that the visit under way failed, in case this process ends before it can."""
        stage = attempt.stage
        if isinstance(stage, Begun):
            attempt.start = self.ledger.record(attempt.key)
            self.ledger.finish(attempt.key, record_of_visit(stage, Ending(error=error)))

    # --- for several commands

    def lock(self, key: str) -> HeldLock:
        """Return the lock of *key*, held; wait for the process that is visiting the station.

        Raises `LockTimeout`, and `RunStopped`.
        """
        return lock_station(
            self.ledger,
            key,
            name=self.route.name(key),
            timeout=self.options.lock_timeout,
            notify=self._notify,
            look=self.results.raise_if_stopped,
        )

    def result(self, key: str, word: Word, **facts: Any) -> Result:
        """Return the result *word* of the station *key*, with more *facts*."""
        instance = self.route[key]
        return Result(
            key=key,
            name=instance.name,
            title=instance.station.title,
            word=word,
            upstream=self.route.names(self.route.upstream[key]),
            **facts,
        )

    def visit(self, key: str, reasons: Iterable[str] = ()) -> Visit:
        """Return the `Visit` of the station *key*, which is made for *reasons*."""
        # A run that visits nothing has none.
        from pytest_choochoo.engine.visit import ProgressReport, Visit

        if key not in self._resources:
            self._resources[key] = self.ledger.resources(key)
        return Visit(
            station=self.route[key].name,
            profile=self.options.profile,
            reasons=tuple(reasons),
            previous=self.outcomes.previous(key),
            found=self._found.get(key),
            resources=self._resources[key],
            _directory=lambda: self.ledger.directory(key),
            _tell=self._tell,
            _report=ProgressReport(key),
        )


def _refuse(attempt: Attempt, failures: Mapping[str, BaseException]) -> None:
    """Note in *attempt* that checks did not pass after the visit, or could not be asked."""
    refusal = "; ".join(check_line(*each) for each in failures.items())
    attempt.stage = advance(RecheckFailed, attempt.stage, refusal=refusal)


def _asked(attempt: Attempt, ask: Ask, checks: Sequence[Check]) -> Mapping[str, BaseException]:
    """Ask *checks*, and note in *attempt* what they came to."""
    if not checks:
        return {}
    failures = ask(checks)
    attempt.checks |= answers((check.name for check in checks), failures)
    return failures


def _explain(name: str, check: str, error: BaseException) -> None:
    """Add an explanation to *error*, of a *check* that did not pass after the visit."""
    subject = f"check {check!r} of station {name!r} does not pass after the visit: "
    says_so = isinstance(error, CheckFailed)
    error.add_note(f"{'' if says_so else subject}either the visit or the check is wrong")
