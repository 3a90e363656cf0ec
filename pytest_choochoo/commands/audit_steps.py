"""The steps of an audit: a station is looked for, visited twice, found, and in the end cleaned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest

from pytest_choochoo.collection.functions import VisitCall
from pytest_choochoo.collection.pytest_internals import definitions_of
from pytest_choochoo.commands import clean
from pytest_choochoo.commands.run import VisitTrip
from pytest_choochoo.engine import findings
from pytest_choochoo.engine.attempt import Ending, mistakes
from pytest_choochoo.engine.digest import is_literal, matches
from pytest_choochoo.engine.errors import (
    AuditFinds,
    StillThere,
    Unstorable,
    error_line,
)
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.engine.ledger.record import Finding, Result, Word
from pytest_choochoo.engine.outcomes.codec import Outcome
from pytest_choochoo.engine.route import StationInstance
from pytest_choochoo.running.auditing import Take
from pytest_choochoo.running.looking import Look
from pytest_choochoo.running.protocol import Trip
from pytest_choochoo.running.reads import Reads, ReadWatch, undeclared
from pytest_choochoo.running.station_item import StationItem
from pytest_choochoo.running.tracebacks import last_line

if TYPE_CHECKING:
    from pytest_choochoo.commands.audit import Command

T = TypeVar("T", bound=Trip)

#: Why a station is visited in an audit: at first, at once again, and after its clean.
FIRST, AGAIN, ONCE_MORE = "audit", "audit: visited again", "audit: cleaned, and visited once more"
IS_THERE = "it is there already, as its find and its checks say: nothing was done or undone"


class Audit(msgspec.Struct):
    """The audit of one station so far.

    *is_examined*: False where it is only made and cleaned, as others need it. *before*: how it
    ended where it was not visited. *error* ended its visit or its clean; *and_more*: what went
    wrong beside. *blind*: the checks that pass in any case. *word*: how its clean ended; *by*: the
    stations because of which it stayed, or with which it went.
    """

    is_examined: bool
    is_visited: bool = False
    before: Result | None = None
    error: BaseException | None = None
    and_more: list[str] = []
    findings: list[Finding] = []
    blind: frozenset[str] = frozenset()
    word: Word = "audited"
    by: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def is_at_fault(self) -> bool:
        return bool(self.error or self.findings or self.and_more)

    @property
    def cause(self) -> str:
        """Everything that is wrong, in one line."""
        errors = () if self.error is None else (error_line(self.error),)
        return "; ".join((*errors, *findings.lines(self.findings), *self.and_more))

    def error_of(self, name: str) -> BaseException | None:
        """Return the error that says what is wrong with the station *name*, None if nothing is."""
        texts = tuple(map(findings.full_text, self.findings))
        if self.error is None:
            return AuditFinds(name, texts, tuple(self.and_more)) if self.is_at_fault else None
        known = getattr(self.error, "__notes__", ())
        for text in (*texts, *self.and_more):
            if text not in known:
                self.error.add_note(text)
        return self.error


class _Steps:
    """Steps of one station; *take* takes it on a trip."""

    def __init__(
        self, command: Command, key: str, journey: Journey, take: Take, audit: Audit
    ) -> None:
        self.command = command
        self.key = key
        self.journey = journey
        self.take = take
        self.audit = audit
        self.judge = command.judge
        self.instance = journey.route[key]

    def visit(self, reason: str, reads: Reads | None = None) -> tuple[Result, BaseException | None]:
        """Visit the station for *reason*; return its result, and the error that ended the visit."""
        watch = None if reads is None else self.command.watch
        call = self.command.workflow.registry.call
        self.judge.require_visit(self.key, reason)
        trip, error = self.taken(
            lambda item, journey: AuditedVisit(item, journey, call, watch, reads or Reads())
        )
        self.audit.seconds += trip.ended.seconds
        return trip.ended, error

    def taken(self, make: Callable[[StationItem, Journey], T]) -> tuple[T, BaseException | None]:
        """Take the station on the trip that *make* returns; return that, and its error."""
        trips: list[T] = []

        def note(item: StationItem, journey: Journey) -> Trip:
            trips.append(make(item, journey))
            return trips[0]

        error = self.take(self.key, note)
        return trips[0], error

    def _how_it_ended(self, result: Result, error: BaseException | None) -> str:
        """Return why a visit did not succeed, and on which line."""
        if result.word == "skipped":
            return f"it is skipped: {result.cause}"
        root = self.command.workflow.settings.root
        line = "" if error is None else last_line(error, self.judge.is_project_file, root)
        return f"{result.cause} at {line}" if line else result.cause


class Forward(_Steps):
    """The steps of a station in running order: absent, visited, visited again, found."""

    def go(self) -> None:
        blocked = self.journey.blocked(self.journey.route.upstream[self.key])
        if blocked is not None:
            self._end(self.journey.result(self.key, "blocked", by=blocked.by))
            return
        if self.audit.is_examined and not self._is_absent():
            return
        item = self.command.workflow.registry.items[self.key]
        reads = Reads()
        if not self._succeeds(reads) or not self.audit.is_examined:
            return
        self._look_at(reads, item)
        self._visit_again()
        if self.instance.station.find_function is not None:
            self._find()

    def _end(self, result: Result) -> None:
        """Note that the station is not visited, which blocks its downstream."""
        self.audit.before = self.journey.results.share(result)

    def _is_absent(self) -> bool:
        """Ask its find and its checks; return whether the station may be visited."""
        look, error = self.taken(AbsenceLook)
        ending = look.ending
        if ending.skipped and not ending.error:
            self._end(self.journey.result(self.key, "skipped", cause=ending.skipped))
        elif error is not None:
            self.audit.error = error
            self._end(self.journey.result(self.key, "failed", cause=self.audit.cause))
        elif look.is_there:
            self._end(self.journey.result(self.key, "skipped", cause=IS_THERE))
        else:
            if not self._may_be_there():
                self.audit.findings += map(findings.passes_in_absence, look.passed)
                self.audit.blind = frozenset(look.passed)
            return True
        return False

    def _may_be_there(self) -> bool:
        """Return whether the ledger knows that something was made, and not cleaned."""
        record = self.journey.ledger.record(self.key)
        is_left = record is not None and record.status == "left in place"
        return is_left or self.journey.ledger.has_traces(self.key)

    def _succeeds(self, reads: Reads) -> bool:
        """Return whether a visit, whose *reads* are noted, succeeds."""
        result, error = self.visit(FIRST, reads)
        self.audit.is_visited = self.journey.ledger.has_traces(self.key)
        if result.is_complete:
            return True
        if result.word == "skipped":
            self.audit.before = result
        elif error is not None:
            self.audit.error = error
        else:
            self.audit.and_more.append(result.cause)
        return False

    def _look_at(self, reads: Reads, item: pytest.Function) -> None:
        """Add a finding for all that was read and is not declared."""
        seen = [reads, *self._reads_of_fixtures(item)]
        if not any(each.files or each.variables for each in seen):
            return  # as after most visits; upstream may be long
        route = self.journey.route
        keys = route.closure([self.key], route.upstream)
        instances = [route[key] for key in keys]
        found = undeclared(
            seen,
            declared=[path for each in instances for path in _files(each)],
            products=[
                each.station.path.parent / product
                for each in instances
                for product in each.products
            ],
            variables={name for each in instances for name in each.station.declaration.env},
        )
        base = self.instance.station.path.parent
        for file, where in found.files.items():
            name = file.relative_to(base).as_posix() if file.is_relative_to(base) else str(file)
            self.audit.findings.append(findings.reads(name, where, "files"))
        for name, where in found.variables.items():
            self.audit.findings.append(findings.reads(name, where, "env"))

    def _reads_of_fixtures(self, item: pytest.Function) -> Iterator[Reads]:
        """Yield what the fixtures of the visit have read, but for those whose values are inputs."""
        known = definitions_of(item)
        given = set(self.instance.station.declaration.values)
        pending = [*given]
        while pending:
            for definition in known.get(pending.pop(), ()):
                pending += set(definition.argnames) - given
                given.update(definition.argnames)
        for name in item.fixturenames:
            for definition in known.get(name, ()) if name not in given else ():
                yield self.command.reads_of(definition)

    def _visit_again(self) -> None:
        """Visit once more; whatever comes of it, downstream has what was made before."""
        journey, key, audit = self.journey, self.key, self.audit
        journey.outcomes.look_again()
        made, record = journey.outcomes.find(key), journey.ledger.record(key)
        before, ids = journey.results[key], dict(journey.ledger.resources(key))
        result, error = self.visit(AGAIN)
        if result.is_complete:
            journey.outcomes.look_again()
            again = journey.outcomes.find(key)
            assert made is not None and again is not None
            if difference := findings.differs(made, again):
                audit.findings.append(difference)
        else:
            audit.findings.append(findings.cannot_repeat(self._how_it_ended(result, error)))
            journey.ledger.cancel(key, record)
            journey.results[key] = before
        now = dict(journey.ledger.resources(key))
        if more := {name: now[name] for name in now.keys() - ids.keys()}:
            audit.findings.append(findings.leaves_more(dict(sorted(more.items()))))

    def _find(self) -> None:
        """Ask the find, and compare what it returns with the outcome."""
        look, error = self.taken(OutcomeLook)
        if isinstance(error, Unstorable):
            self.audit.findings.append(findings.finds_unfit(error_line(error)))
            return
        if error is not None:
            self.audit.error = error
            return
        self.journey.outcomes.look_again()
        made, found = self.journey.outcomes.find(self.key), look.found
        assert made is not None
        finding = findings.finds_nothing() if found is None else findings.finds_other(made, found)
        if finding is not None:
            self.audit.findings.append(finding)


class Backward(_Steps):
    """The steps of a station after all downstream of it is undone: its clean, and then its checks.

    In a deep audit it is visited and cleaned once more.
    """

    def go(self) -> None:
        self.audit.by = self.command.clean.kept_by(self.key)
        if self.audit.by:
            self.audit.word = "blocked"
            if self.audit.is_at_fault:
                stay = "stays" if len(self.audit.by) == 1 else "stay"
                names = ", ".join(self.audit.by)
                self.audit.and_more.append(f"it is not cleaned, as {names} {stay}")
            return
        self._clean()
        is_clean = self.audit.word == "audited" and not self.audit.by
        if self.command.is_deep and is_clean and not self.audit.is_at_fault:
            result, error = self.visit(ONCE_MORE)
            if not result.is_complete:
                ending = self._how_it_ended(result, error)
                self.audit.findings.append(findings.cannot_be_made_again(ending))
            self._clean()

    def _clean(self) -> None:
        """Clean the station, and note how that ended."""
        command, audit = self.command.clean, self.audit
        with self.command.cleaning():
            trip, error = self.taken(lambda item, journey: UndoTrip(item, journey, command, audit))
        self.audit.by = trip.ended.by
        if trip.ended.word == "left in place":
            self.audit.word = "left in place"
        elif trip.ended.word == "cleaned":
            is_proven = self.audit.is_examined and self.audit.before is None
            self.audit.word = "audited" if is_proven else "cleaned"
        if error is None or isinstance(error, StillThere):
            return  # that is among the findings
        if self.audit.error is None:
            self.audit.error = error
        else:
            self.audit.and_more.append(f"its clean: {error_line(error)}")


# --- the trips


class AbsenceLook(Look):
    """The trip of a station of which nothing should be there: find and checks are asked."""

    def __init__(self, item: StationItem, journey: Journey) -> None:
        super().__init__(item, journey.find_outcome)
        self._journey = journey
        self.ending = Ending()
        #: The names of the checks that passed.
        self.passed: tuple[str, ...] = ()

    def set_up(self) -> None:
        item, outcomes = self._item, self._journey.outcomes
        was_found = self._journey.find_outcome(item.key, item.find)
        checks = item.station.checks
        failures = item.ask(checks)
        outcomes.keep(item.key, None)
        for mistake in mistakes(failures):
            raise mistake
        self.is_there = was_found and not failures
        if not was_found:  # else there may be a part of it
            self.passed = tuple(check.name for check in checks if check.name not in failures)
        item.call_nothing()

    def finish(self, ending: Ending) -> Result:
        self.ending = ending
        return self.result(ending)


class OutcomeLook(Look):
    """The trip of a station whose find is asked, and should return the outcome."""

    def __init__(self, item: StationItem, journey: Journey) -> None:
        super().__init__(item, journey.find_outcome)
        self._journey = journey
        self.found: Outcome | None = None

    def set_up(self) -> None:
        value = self._item.find()
        if value is not None:
            self.found = self._journey.outcomes.encoded(self._item.key, value)
        self._item.call_nothing()


class AuditedVisit(VisitTrip):
    """A visit during which *watch* notes in *reads* what is read."""

    def __init__(
        self,
        item: StationItem,
        journey: Journey,
        call: VisitCall,
        watch: ReadWatch | None,
        reads: Reads,
    ) -> None:
        super().__init__(item, journey, call)
        self.ended: Result = journey.result(item.key, "not reached")
        self._watch = watch
        self._reads = reads
        self._noting = ExitStack()

    def set_up(self) -> None:
        if self._watch is not None:
            self._watch.begin()
        super().set_up()
        if self._watch is not None and self.has_begun:
            self._noting.enter_context(self._watch.noting(self._reads))

    def after_call(self) -> None:
        self._noting.close()
        super().after_call()

    def finish(self, ending: Ending) -> Result:
        self._noting.close()
        self.ended = super().finish(ending)
        return self.ended


class UndoTrip(clean.CleanTrip):
    """A clean after which everything that is still there is added to the findings of *audit*.

    Checks that are known to be blind say nothing about it.
    """

    def __init__(
        self, item: StationItem, journey: Journey, command: clean.Command, audit: Audit
    ) -> None:
        super().__init__(item, journey, command)
        self.ended: Result = journey.result(item.key, "not reached")
        self._audit = audit

    def after_call(self) -> None:
        item, journey = self._item, self._journey
        if item.station.clean_function is None:
            super().after_call()
            return
        left = dict(journey.ledger.resources(item.key))
        failures = item.ask(item.station.checks)
        for mistake in mistakes(failures):
            raise mistake
        names = (check.name for check in item.station.checks)
        passed = [name for name in names if name not in {*failures, *self._audit.blind}]
        value = item.find()
        found = None if value is None else journey.outcomes.encoded(item.key, value)
        noted = self._audit.findings
        noted += map(findings.still_passes, passed)
        if found is not None:
            noted.append(findings.still_found(found))
        if left:
            noted.append(findings.leaves_resources(left))
        if passed or found is not None:
            raise StillThere(item.item.name, passed[0] if passed else "find")

    def finish(self, ending: Ending) -> Result:
        self.ended = super().finish(ending)
        return self.ended


def _files(instance: StationInstance) -> Iterable[Path]:
    """Yield the files that *instance* declares as inputs."""
    base = instance.station.path.parent
    for pattern in instance.files:
        if is_literal(base, pattern):
            yield base / pattern
        else:
            yield from matches(base, pattern)
