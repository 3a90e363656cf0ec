"""`--cc-explain`: what would become of the selected stations, and all that is known of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import pytest

from pytest_choochoo import settings
from pytest_choochoo.commands import reading
from pytest_choochoo.commands.plan import facts_of_plan, planner
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.engine.judging.plan import Planned
from pytest_choochoo.engine.ledger.record import AttemptRecord, Record, to_text
from pytest_choochoo.engine.wording import elapsed
from pytest_choochoo.reporting.document import SHOWN, outcome_of
from pytest_choochoo.reporting.tables import Line, columns_of, markup_of, paragraph, write
from pytest_choochoo.selection import Selection

# The attempts that are shown of each station, the last one first.
_ATTEMPTS = 5
# The lines that are shown of what its last visit printed.
_LINES = 10
_LABELS = 12  # columns


class Command(reading.Command):
    """Shows one screen a station instead of running items."""

    def select(self, config: pytest.Config, items: list[pytest.Item]) -> Selection:
        chosen = self.workflow.named("--cc-explain", self.workflow.settings.named)
        self.chosen = tuple(key for key in self.workflow.route.order if key in chosen)
        known = self.workflow.registry.items
        items[:] = [known[key] for key in self.chosen if key in known]
        return Selection()

    def perform(
        self, session: pytest.Session, journey: Journey, selection: Selection
    ) -> bool | None:
        route, columns = self.workflow.route, columns_of(session.config)
        above = route.closure(self.chosen, route.upstream)
        made = planner(self.workflow, self.judge, frozenset(above))
        planned = {each.key: each for each in made.plan(frozenset(above))}
        shown = (planned[key] for key in self.chosen)
        if settings.wants_facts(session.config):
            session.config.stash[SHOWN] = tuple(facts_of_plan(self.workflow, shown))
        for key in self.chosen:
            write(session.config, self._screen(key, planned, columns))
        return True

    def _screen(self, key: str, planned: Mapping[str, Planned], columns: int) -> Iterator[Line]:
        """Yield the lines about one station."""
        stop = self.workflow.route[key]
        title = "" if stop.station.title == stop.station.name else f"  {stop.station.title}"
        yield []
        yield [(stop.name, {"bold": True}), (title, {})]
        for label, texts in self._facts(key, planned):
            for number, text in enumerate(texts):
                head = f"  {'' if number else label:<{_LABELS}}"
                lines = paragraph(text, " " * len(head), columns)
                lines[0] = lines[0].removeprefix(" " * len(head))
                word = markup_of(text) if label == "verdict" else {}
                yield [(head, {"light": True} if columns else {}), (lines[0], word)]
                for line in lines[1:]:
                    yield [(line, {})]

    def _facts(
        self, key: str, planned: Mapping[str, Planned]
    ) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield the facts of a station, each with its label."""
        route, ledger = self.workflow.route, self.workflow.ledger
        stop, record, forecast = route[key], ledger.record(key), planned[key]
        yield "verdict", (forecast.forecast,)
        yield "because", forecast.reasons
        yield "upstream", tuple(self._causes(key, planned))
        yield "declared at", (stop.station.location,)
        taken_over = self.workflow.taken_over_in_words(key)
        yield "record", (", ".join((self._record_in_words(key, record), *taken_over)),)
        yield "attempts", tuple(map(_attempt, ledger.attempts(key)[: -_ATTEMPTS - 1 : -1]))
        yield "outcome", _outcome(record)
        lines = ledger.output(key).splitlines()
        yield "output", (*[f"… ({len(lines)} lines)"][: len(lines) > _LINES], *lines[-_LINES:])
        resources = ledger.resources(key)
        yield "resources", tuple(f"{name}: {to_text(resources[name])}" for name in resources)
        yield "products", tuple(self._products(key))
        yield "directory", (str(ledger.directory(key)),)
        yield "ledger", (str(self.workflow.settings.location.file),)
        yield "next", (self._next(key, forecast),)

    def _causes(self, key: str, planned: Mapping[str, Planned]) -> Iterator[str]:
        """Yield what a run would do upstream, the nearest first, back to the root causes."""
        route = self.workflow.route
        above = route.closure(route.upstream[key], route.upstream)
        for each in reversed([each for each in route.order if each in above]):
            found = planned[each]
            if found.forecast != "unchanged":
                yield f"{route.name(each)}: {found.forecast}, {'; '.join(found.reasons)}"

    def _record_in_words(self, key: str, record: Record | None) -> str:
        if record is None or not record.is_complete:
            return self.judge.why_incomplete(key)
        took = f", its visit took {elapsed(record.seconds)}"
        return f"complete, visited {elapsed(time.time() - record.visited)} ago{took}"

    def _products(self, key: str) -> Iterator[str]:
        for name, digest in self.judge.products(key).items():
            yield f"{name}{'' if digest else ' (missing)'}"

    def _next(self, key: str, forecast: Planned) -> str:
        command = self.workflow.settings.command("run")
        return command if forecast.forecast != "unchanged" else f"{command}, to ask its checks"


def _attempt(attempt: AttemptRecord) -> str:
    """Return one line about *attempt*: when, how long, how it ended, why, and its error."""
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(attempt.began))
    took = "" if attempt.ended is None else f", {elapsed(attempt.ended - attempt.began)}"
    error = f": {attempt.error}" if attempt.error else ""
    reasons = f" ({'; '.join(attempt.reasons)})" if attempt.reasons else ""
    return f"{began}{took}, {attempt.status}{error}{reasons}"


def _outcome(record: Record | None) -> tuple[str, ...]:
    found = outcome_of(record)
    if found is None or isinstance(found, msgspec.UnsetType):
        return ()
    return (to_text(found),)
