"""`--cc-status`: what is recorded of each station, and why it is due; nothing is written."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from msgspec import UNSET

from pytest_choochoo.commands import reading
from pytest_choochoo.engine import wording
from pytest_choochoo.engine.errors import NoRecord
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.engine.ledger.record import Record
from pytest_choochoo.engine.wording import counted, elapsed
from pytest_choochoo.reporting.document import (
    SHOWN,
    StationFacts,
    counts_of,
    facts_of_station,
    in_utc,
    outcome_of,
)
from pytest_choochoo.reporting.tables import Line, Row, columns_of, table, write
from pytest_choochoo.selection import Selection

# The past runs that are shown.
_RUNS = 3


class Command(reading.Command):
    """Shows a table of the selected stations, and of records without one."""

    def perform(
        self, session: pytest.Session, journey: Journey, selection: Selection
    ) -> bool | None:
        config, verbosity = session.config, self.workflow.settings.verbosity
        with self.workflow.ledger.snapshot():
            found = (*self._stations(), *self._gone(config))
        config.stash[SHOWN] = found
        words = ", ".join(f"{number} {word}" for word, number in counts_of(found).items())
        closing = f"choochoo: {words or 'no station'}"
        if verbosity >= 0:
            write(config, [[], *table([_row(each) for each in found], columns_of(config))])
            write(config, self._past_runs())
        if verbosity >= -1:
            write(config, [[(closing, {})]])
        return True

    def _past_runs(self) -> Iterator[Line]:
        """Yield a line for each of the last runs; with `-v` for all that are kept."""
        number = None if self.workflow.settings.verbosity > 0 else _RUNS
        for past in self.workflow.ledger.history()[:number]:
            ago, took = elapsed(time.time() - past.began), elapsed(past.seconds)
            line = f"last {past.command} {ago} ago: {counted(past.counts)} in {took}"
            yield [(line, {"light": True})]

    def _stations(self) -> Iterator[StationFacts]:
        route, ledger = self.workflow.route, self.workflow.ledger
        due: set[str] = set()
        for key in route.order:
            record = ledger.record(key)
            status, reasons = self._status(key, record)
            if status != "complete":
                due.add(key)
            elif above := due.intersection(route.upstream[key]):
                due.add(key)
                names = route.names(each for each in route.upstream[key] if each in above)
                reasons = tuple(f"upstream {name} is due" for name in names)
            if key not in self.chosen:
                continue
            yield facts_of_station(
                route,
                key,
                record,
                reasons=reasons,
                seconds=0.0 if record is None else record.seconds,
                status=status,
                visited=_time(record),
                taken_over_from=self.workflow.taken_over.get(key, UNSET),
            )

    def _status(self, key: str, record: Record | None) -> tuple[str, tuple[str, ...]]:
        """Return the status of *key* in one word, and why it is due."""
        if record is None:
            return "never visited", (self.judge.why_incomplete(key),)
        if not record.is_complete:
            status: str = record.status
            if record.is_visiting:
                status = "visiting" if self.judge.visit_in_words(key) else "interrupted"
            return status, (self.judge.why_incomplete(key),)
        try:
            reasons = self.judge.why_due(key)
        except NoRecord as missing:
            reasons = (missing.cause,)
        return ("due", reasons) if reasons else ("complete", ())

    def _gone(self, config: pytest.Config) -> Iterator[StationFacts]:
        """Yield the records whose stations no longer exist, if all stations are collected."""
        route = self.workflow.route
        if len(self.chosen) < len(route.stops) or config.args_source.name != "INVOCATION_DIR":
            return
        for key, record in self.workflow.ledger.records().items():
            if key not in route and not record.is_forgotten:
                yield StationFacts(
                    name=key.partition("::")[2] or key,
                    node_id=key,
                    title="",
                    upstream=(),
                    upstream_ids=(),
                    reasons=(f"no such station any more: {key}",),
                    seconds=record.seconds,
                    status="gone",
                    visited=_time(record),
                    outcome=outcome_of(record),
                )


def _time(record: Record | None) -> str | None:
    return None if record is None or not record.visited else in_utc(record.visited)


def _row(station: StationFacts) -> Row:
    from datetime import datetime

    when = ""
    if isinstance(station.visited, str):
        age = time.time() - datetime.fromisoformat(station.visited).timestamp()
        when = f"{elapsed(age)} ago"
        when += f", took {elapsed(station.seconds)}" if station.seconds >= 0.05 else ""
    return Row(
        word=str(station.status),
        name=station.name,
        title="" if station.title == station.name else station.title,
        when=when,
        texts=(
            *(() if station.reasons == (station.status,) else station.reasons),
            *wording.taken_over_from(station.taken_over_from or None),
        ),
    )
