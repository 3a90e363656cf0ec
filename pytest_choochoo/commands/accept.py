"""`--cc-accept`: the selected stations count as complete as things are now; nothing is visited."""

from __future__ import annotations

import pytest

from pytest_choochoo import commands, selection
from pytest_choochoo.engine.attempt import Attempt, Ending
from pytest_choochoo.engine.errors import NotAcceptable
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.running.protocol import Trip
from pytest_choochoo.running.station_item import StationItem
from pytest_choochoo.selection import Selection


class Command(commands.Command):
    """Asks the checks of the selected stations, and records today's inputs."""

    def select(self, config: pytest.Config, items: list[pytest.Item]) -> Selection:
        """Keep the selected stations in *items*. Raises `NotAcceptable`."""
        chosen = self.workflow.named("--cc-accept", self.workflow.settings.named)
        unknown = tuple(self.workflow.route.labels(filter(self._cannot_be_known, chosen)))
        if unknown:
            raise NotAcceptable(unknown)
        dropped = [item for item in items if item.nodeid not in chosen]
        items[:] = [self.workflow.registry.items[key] for key in chosen]
        if dropped:
            config.hook.pytest_deselected(items=dropped)
        selection.arrange(self.workflow, items)
        return Selection(selected=frozenset(chosen))

    def _cannot_be_known(self, key: str) -> bool:
        """Return whether the station returns an outcome that no record has, and no find knows."""
        station, outcomes = self.workflow.route[key].station, self.workflow.outcomes
        has_to_be_known = station.find_function is None and outcomes.is_expected(station)
        return has_to_be_known and not outcomes.is_known(key)

    def trip(self, item: StationItem, journey: Journey) -> Trip:
        return AcceptTrip(item, journey)


class AcceptTrip:
    """A station whose find and checks are asked in set-up, and which is recorded if they pass."""

    has_begun = False

    def __init__(self, item: StationItem, journey: Journey) -> None:
        self._item = item
        self._journey = journey
        self._attempt = Attempt(item.key)
        item.ignore_xfail()  # an xfail mark is about the visit

    def set_up(self) -> None:
        item = self._item
        self._journey.accept(self._attempt, item.set_up_values, item.ask, item.find)
        item.call_nothing()

    def after_call(self) -> None: ...

    def result(self, ending: Ending) -> Result:
        return self._journey.so_far(self._attempt, ending)

    def finish(self, ending: Ending) -> Result:
        return self._journey.finish(self._attempt, ending)

    def note_failure(self, error: str) -> None:
        """Do nothing: what was not accepted stays as it is recorded."""
