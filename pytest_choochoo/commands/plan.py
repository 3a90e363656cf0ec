"""`--cc-plan`: what a run would do to each station, and why; nothing is visited or written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import pytest
from msgspec import UNSET

from pytest_choochoo import selection, settings
from pytest_choochoo.commands import reading
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.judging.plan import Planned, Planner, counts, expected_seconds
from pytest_choochoo.engine.wording import elapsed
from pytest_choochoo.reporting.document import SHOWN, StationFacts, facts_of_station
from pytest_choochoo.reporting.tables import Line, Row, columns_of, table, write
from pytest_choochoo.selection import Selection, Workflow

# Pytest evaluates these marks in the run.
_SKIPPING = ("skip", "skipif", "xfail")


class Command(reading.Command):
    """Shows a table of the selected stations instead of running items."""

    def select(self, config: pytest.Config, items: list[pytest.Item]) -> Selection:
        made = selection.select_to_run(self.workflow, self.judge, items)
        self.chosen = tuple(key for key in self.workflow.route.order if key in made.selected)
        return Selection(header=made.header)  # no station is awaited

    def perform(
        self, session: pytest.Session, journey: Journey, selection: Selection
    ) -> bool | None:
        config, verbosity = session.config, self.workflow.settings.verbosity
        selected = frozenset(self.chosen)
        planned = planner(self.workflow, self.judge, selected).plan(selected)
        if settings.wants_facts(config):
            config.stash[SHOWN] = tuple(facts_of_plan(self.workflow, planned))
        if verbosity >= 0:
            write(config, [[], *table([*self._rows(planned)], columns_of(config))])
        if verbosity >= -1:
            write(config, self._closing(planned))
        return True

    def _rows(self, planned: Sequence[Planned]) -> Iterator[Row]:
        route = self.workflow.route
        for each in planned:
            stop = route[each.key]
            yield Row(
                word=each.forecast,
                name=stop.name,
                title="" if stop.station.title == stop.station.name else stop.station.title,
                when="" if each.forecast == "unchanged" else _time(each.seconds or 0.0),
                texts=(*each.reasons, *self.workflow.taken_over_in_words(each.key)),
            )

    def _closing(self, planned: Sequence[Planned]) -> Iterator[Line]:
        found = counts(planned)
        words = ", ".join(
            f"{number} {'to visit' if word == 'visit' else word}" for word, number in found.items()
        )
        yield [(f"choochoo: {words or 'no station'}{_times(planned)}", {})]
        if found.keys() - {"unchanged"}:
            yield [(f"next: {self.workflow.settings.command('run')}", {"bold": True})]


def facts_of_plan(workflow: Workflow, planned: Iterable[Planned]) -> Iterator[StationFacts]:
    """Yield the facts of the stations that are *planned*."""
    for each in planned:
        yield facts_of_station(
            workflow.route,
            each.key,
            workflow.ledger.record(each.key),
            reasons=each.reasons,
            seconds=each.seconds or 0.0,
            verdict=each.forecast,
            taken_over_from=workflow.taken_over.get(each.key, UNSET),
        )


def planner(workflow: Workflow, judge: Judge, selected: Collection[str]) -> Planner:
    """Return the planner of a run of the *selected* stations."""
    items = workflow.registry.items
    return Planner(
        route=workflow.route,
        ledger=workflow.ledger,
        outcomes=workflow.outcomes,
        judge=judge,
        may_be_skipped={
            key
            for key in selected
            if any(items[key].get_closest_marker(name) for name in _SKIPPING)
        },
    )


def _times(planned: Sequence[Planned]) -> str:
    """Return how long the run is expected to take, without and with what it may visit."""
    sure, unknown = expected_seconds(planned, "visit")
    maybe, more_unknown = expected_seconds(planned, "maybe")
    parts = [f"about {_time(sure)}"] if _time(sure) else []
    if _time(maybe):
        parts.append(f"up to {elapsed(sure + maybe)} with what may be visited")
    if parts and unknown + more_unknown:
        parts.append(f"{unknown + more_unknown} of unknown duration")
    return f"; {', '.join(parts)}" if parts else ""


def _time(seconds: float) -> str:
    """Return *seconds* in words, "" where they are no time to speak of."""
    return elapsed(seconds) if seconds >= 0.05 else ""
