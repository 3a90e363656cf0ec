"""`--cc-audit`: prove the stations: visit each twice, clean it, and look for what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_choochoo import selection, settings
from pytest_choochoo.collection.dependencies import Dependency
from pytest_choochoo.commands import audit_steps, clean, run
from pytest_choochoo.engine.attempt import Ending
from pytest_choochoo.engine.errors import NotFromNothing
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.ledger.record import Result, Word
from pytest_choochoo.running.auditing import AuditHooks, MakeTrip, Take
from pytest_choochoo.running.protocol import Runner, Trip
from pytest_choochoo.running.reads import Reads, ReadWatch
from pytest_choochoo.running.station_item import StationItem
from pytest_choochoo.running.tracebacks import traceback_from
from pytest_choochoo.selection import Selection, Workflow


class Command(run.Command):
    """Visits every selected station twice, then cleans all; each fault fails its station."""

    settles_early = False
    #: Notes what is read while stations are visited.
    watch: ReadWatch
    next_trip: MakeTrip | None = None

    def __init__(self, workflow: Workflow, judge: Judge) -> None:
        super().__init__(workflow, judge)
        self._audits: dict[str, audit_steps.Audit] = {}
        self._reads: dict[int, Reads] = {}
        #: The command that cleans.
        self.clean = clean.Command(workflow, judge)
        #: Whether the step under way is a clean, for which outcomes need not be complete.
        self.is_cleaning = False

    def select(self, config: pytest.Config, items: list[pytest.Item]) -> Selection:
        self._require_empty()
        workflow = self.workflow
        has_cache = config.pluginmanager.has_plugin("cacheprovider")
        folders = (
            workflow.settings.folder,
            settings.cache_folder(config) if has_cache else None,
            settings.pytest_option(config, "basetemp"),
        )
        root, judge = workflow.settings.root, self.judge
        ignored = (Path(each) for each in folders if each)
        self.watch = ReadWatch(root, judge.is_project_file, ignored)
        chosen = workflow.among(items)
        unprotected = workflow.named("--cc-unprotect", workflow.settings.unprotect)
        found = selection.select_to_audit(workflow, config, items, unprotected)
        self.clean.protect(found.protected)
        self._audits = {key: audit_steps.Audit(is_examined=key in chosen) for key in found.selected}
        return found

    def _require_empty(self) -> None:
        """Raise `NotFromNothing` where stations are complete in the profile of the audit."""
        workflow = self.workflow
        records = workflow.ledger.records()
        complete = {key for key, record in records.items() if record.is_complete}
        if complete:
            route = workflow.route
            known = [key for key in route.order if key in complete]
            gone = sorted(complete - {*known})
            names = (*route.labels(known), *gone)
            command = workflow.settings.command("clean")
            profile = workflow.settings.profile
            raise NotFromNothing(profile, names, command)

    # --- one station

    def go_forward(self, key: str, journey: Journey, take: Take) -> bool:
        """Take the station *key* forward; return whether it was found at fault."""
        audit = self._audits[key]
        audit_steps.Forward(self, key, journey, take, audit).go()
        return audit.is_at_fault

    def go_backward(self, key: str, journey: Journey, take: Take) -> None:
        """Undo the station *key*, if it was made."""
        audit = self._audits[key]
        if audit.is_visited:
            audit_steps.Backward(self, key, journey, take, audit).go()

    @property
    def is_deep(self) -> bool:
        return self.workflow.settings.form == "deep"

    @contextmanager
    def cleaning(self) -> Iterator[None]:
        """Let stations receive outcomes as a clean does."""
        outcomes = self.workflow.outcomes
        self.is_cleaning = outcomes.for_cleans = True
        try:
            yield
        finally:
            self.is_cleaning = outcomes.for_cleans = False

    def hooks(self, runner: Runner) -> Iterator[object]:
        yield AuditHooks(runner, self)

    def note_error(self, key: str, error: str) -> None:
        self._audits[key].and_more.append(error)

    def reads_of(self, fixture: pytest.FixtureDef[Any]) -> Reads:
        return self._reads.setdefault(id(fixture), Reads())

    def settle(self, item: pytest.Item, journey: Journey) -> Result | None:
        audit = self._audits[item.nodeid]
        if audit.is_at_fault:
            return None
        if audit.word == "blocked":
            return journey.result(item.nodeid, "blocked", by=audit.by)
        if audit.is_visited:
            return None
        if audit.before is not None:
            # A skip passes through pytest's phases, where its reason is reported.
            return None if audit.before.word == "skipped" else audit.before
        # No report says so: downstream was cleaned first, and blocks nothing.
        return journey.results.share(journey.result(item.nodeid, "not reached"))

    def trip(self, item: StationItem, journey: Journey) -> Trip:
        if self.next_trip is None:
            return ReportTrip(item, journey, self._audits[item.key])
        return self.next_trip(item, journey)

    def before_use(self, dependency: Dependency, item: pytest.Item) -> None:
        if not self.is_cleaning:
            super().before_use(dependency, item)

    def why_unknown(self, key: str) -> Exception | None:
        return None if self.is_cleaning else super().why_unknown(key)


class ReportTrip:
    """A station that has been audited: its call raises what was wrong."""

    has_begun = False

    def __init__(self, item: StationItem, journey: Journey, audit: audit_steps.Audit) -> None:
        self._item = item
        self._journey = journey
        self._audit = audit
        item.ignore_xfail()

    def set_up(self) -> None:
        before = self._audit.before
        if before is not None and before.word == "skipped":  # although something was begun
            pytest.skip(before.cause)
        error = self._audit.error_of(self._item.item.name)
        if error is None:
            self._item.call_nothing()
            return
        traceback = traceback_from(self._item.function, error)

        async def tell() -> None:
            __tracebackhide__ = True
            raise error.with_traceback(traceback)

        self._item.call(tell)

    def after_call(self) -> None: ...

    def result(self, ending: Ending) -> Result:
        key, audit = self._item.key, self._audit
        facts: dict[str, Any] = {"findings": tuple(audit.findings), "seconds": audit.seconds}
        if ending.error or ending.skipped:
            cause = audit.cause or ending.error or ending.skipped
            word: Word = "failed" if ending.error else "skipped"
            return self._journey.result(key, word, cause=cause, **facts)
        return self._journey.result(key, audit.word, by=audit.by, **facts)

    def finish(self, ending: Ending) -> Result:
        return self._journey.results.share(self.result(ending))

    def note_failure(self, error: str) -> None:
        """Do nothing: nothing is recorded."""
