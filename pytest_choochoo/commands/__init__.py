"""The commands, a file each; this one is plain pytest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, cast

import pytest

from pytest_choochoo.collection.dependencies import Dependency
from pytest_choochoo.engine.errors import NoRecord, StationDue, shortened
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.outcomes.annotations import unkept_outcome
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.reporting.reports import StationDueWarning
from pytest_choochoo.running.protocol import Runner, Trip
from pytest_choochoo.selection import Selection, Workflow
from pytest_choochoo.settings import Mode

if TYPE_CHECKING:
    from pytest_choochoo.engine.attempt import Find
    from pytest_choochoo.running.station_item import StationItem

_WARNED = pytest.StashKey[set[str]]()


class Command:
    """The work of one option on the stations of a session.

    This one is plain `pytest`, which runs no station: tests receive the recorded
    outcomes. The file of each option derives a class of the same name.
    """

    #: Whether stations that are fresh are settled before the first item is run.
    settles_early = False
    #: Whether a session that ran nothing has done what was asked for.
    succeeds_without_items = False

    def __init__(self, workflow: Workflow, judge: Judge) -> None:
        self.workflow = workflow
        self.judge = judge
        self.mode = workflow.settings.mode

    def select(self, config: pytest.Config, items: list[pytest.Item]) -> Selection:
        """Replace *items* by the items to run, in order, and return the selection."""
        return Selection(selected=self.workflow.among(items))

    def perform(
        self, session: pytest.Session, journey: Journey, selection: Selection
    ) -> bool | None:
        """Do the work instead of running items, and return True; return None to run the items."""
        return None

    # --- one item

    def settle(self, item: pytest.Item, journey: Journey) -> Result | None:
        """Return the result of an item that need not be run, None for one that must."""
        return None

    def trip(self, item: StationItem, journey: Journey) -> Trip:
        """Return the trip of a station that is run."""
        raise NotImplementedError(f"plain pytest runs no station: {item.key}")

    # --- what is there without a record

    #: Whether stations are found without being visited.
    finds = False

    def to_find(self, items: Sequence[pytest.Item]) -> Iterator[pytest.Function]:
        """Yield the stations to be found before *items* are run, which need their outcomes."""
        yield from ()

    def find(self, key: str, journey: Journey, find: Find) -> bool:
        """Keep what *find* returns as the outcome of *key*; return whether anything is there."""
        raise NotImplementedError(f"no station is found here: {key}")

    def hooks(self, runner: Runner) -> Iterator[object]:
        """Yield more hooks to register, which come before those of the session."""
        yield from ()

    # --- which outcomes may be handed out

    def before_use(self, dependency: Dependency, item: pytest.Item) -> None:
        """Warn if the outcomes of *dependency* are due; raise an error if there are none."""
        __tracebackhide__ = True
        for fault in self.workflow.registry.faults + self.workflow.dependencies.faults:
            if fault.concerns(dependency.name):
                raise fault
        if not item.config.hook.pytest_choochoo_encode.get_hookimpls():
            unkept = unkept_outcome(dependency.station)
            if unkept is not None:
                raise unkept
        for key in dependency.keys:
            reasons = self.judge.why_stale(key)
            if reasons:
                due = StationDue(self.workflow.route[key].name, reasons)
                # It may name the reasons of many stations upstream.
                warn_once(item, key, f"{shortened(str(due))}; its recorded outcome is used")

    def why_unknown(self, key: str) -> Exception | None:
        """Return the error to raise if the outcome of *key* is unknown; None to hand out None."""
        return NoRecord(self.workflow.route[key].name, self.judge.why_incomplete(key))


def warn_once(item: pytest.Item, key: str, text: str) -> None:
    """Warn that *item* uses the outcome of the station *key*, which is due.

    Pytest sets up the fixture of a station, and then makes a copy for the item, so an
    item may use an outcome more than once.
    """
    warned = item.stash.setdefault(_WARNED, set())
    if key not in warned:
        item.warn(StationDueWarning(shown(text)))
        warned.add(key)


def find(mode: Mode) -> type[Command]:
    """Return the command of *mode*; its file is imported only now."""
    if not mode.name:
        return Command
    return cast(type[Command], import_module(f"{__name__}.{mode.name}").Command)
