"""The selection of items and their order: on a route and a ledger in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from pytest_choochoo import Station, station
from pytest_choochoo.collection.dependencies import Dependencies
from pytest_choochoo.collection.registry import StationRegistry
from pytest_choochoo.engine.code.reach import CodeReader
from pytest_choochoo.engine.digest import KeyedDigests
from pytest_choochoo.engine.errors import UnknownSelector
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.ledger.record import Record
from pytest_choochoo.engine.outcomes.codec import Codec
from pytest_choochoo.engine.outcomes.outcomes import Outcomes
from pytest_choochoo.engine.route import Route, StationInstance
from pytest_choochoo.selection import (
    Workflow,
    arrange,
    arrange_items,
    select_to_clean,
    select_to_run,
)
from pytest_choochoo.settings import Settings
from unit.memory_ledger import MemoryLedger

#: Stations in definition order with their upstream; `serve` is defined before its upstream.
UPSTREAM = {"serve": ("pour",), "boil": (), "pour": ("boil",), "sing": ()}
TESTS = {"test_hot": ("boil",), "test_song": ("sing",), "test_else": ()}


class Requests(Dependencies):
    """The requests of tests, as a table."""

    def __init__(self, keys: Mapping[str, tuple[str, ...]]) -> None:
        self._table = keys

    def upstream_of(self, item: pytest.Item) -> tuple[str, ...]:
        return self._table[item.name]

    def upstream_of_checks(self, item: pytest.Function) -> tuple[str, ...]:
        return ()


class Registered(StationRegistry):
    """The items of stations, as a table."""

    def __init__(self, items: Mapping[str, pytest.Function]) -> None:
        super().__init__()
        self.items = items


class Project:
    """Items of stations and tests, whose node ids are their names, and their workflow."""

    def __init__(self) -> None:
        self.items = {
            name: cast(pytest.Function, SimpleNamespace(name=name, nodeid=name))
            for name in (*UPSTREAM, *TESTS)
        }
        self.deselected: list[str] = []
        hook = SimpleNamespace(pytest_deselected=self._deselect)
        self.config = cast(pytest.Config, SimpleNamespace(hook=hook, args=[]))
        self.stations = {name: _station(name) for name in UPSTREAM}
        stops = {
            name: StationInstance(key=name, name=name, station=each)
            for name, each in self.stations.items()
        }
        self.route = Route(stops, UPSTREAM)
        self.ledger = MemoryLedger()
        codec = Codec(encode=lambda value: None, decode=lambda kind, plain: None)
        self.outcomes = Outcomes(self.route, self.ledger, codec)
        self.workflow = Workflow(
            settings=cast(Settings, SimpleNamespace(named="", is_stepwise=False)),
            registry=Registered({name: self.items[name] for name in UPSTREAM}),
            dependencies=Requests(TESTS),
            route=self.route,
            ledger=self.ledger,
            outcomes=self.outcomes,
            run=None,
        )

    def _deselect(self, items: Iterable[pytest.Item]) -> None:
        self.deselected += names(items)

    def judge(self, *replayed: str) -> Judge:
        return Judge(
            route=self.route,
            ledger=self.ledger,
            outcomes=self.outcomes,
            code=CodeReader(Path("/nowhere"), {}),
            ordinary={},
            replayed=frozenset(replayed),
            began=0.0,
            keyed=KeyedDigests(self.ledger.secret_key),
        )

    def complete(self, *names: str) -> None:
        for name in names:
            outcome = self.outcomes.encoded(name, None)
            record = Record(
                status="complete",
                since=1.0,
                fingerprint=self.judge().fingerprint(name, values={}),
                outcome=outcome.text,
                outcome_digest=outcome.digest,
            )
            self.ledger.finish(name, record)
            self.outcomes.look_again()

    def chosen(self, *names: str) -> list[pytest.Item]:
        return [self.items[name] for name in names]


def _station(name: str) -> Station[None]:
    def work() -> None: ...

    work.__name__ = name
    # Protected is what is sung.
    return station(version="1", protect=name == "sing")(work)


def names(items: Iterable[pytest.Item]) -> tuple[str, ...]:
    return tuple(item.name for item in items)


@pytest.fixture
def project() -> Project:
    return Project()


# --- order


def test_upstream_comes_first_and_tests_after_their_stations(project: Project) -> None:
    """Items are arranged by the route, in whatever order they were collected."""
    items = project.chosen("test_hot", "serve", "boil", "pour", "test_else")

    arrange(project.workflow, items)

    assert names(items) == ("boil", "test_hot", "pour", "serve", "test_else")


def test_shuffled_stations_keep_their_definition_order(project: Project) -> None:
    """Independent stations run as they were defined, even if a plugin shuffled them."""
    items = project.chosen("sing", "boil")

    arrange(project.workflow, items)

    assert names(items) == ("boil", "sing")


def test_duplicates_are_left_in_the_order_of_the_user(project: Project) -> None:
    """With --keep-duplicates, items stay in the order of the arguments."""
    items = project.chosen("serve", "boil", "serve")

    arrange(project.workflow, items)

    assert names(items) == ("serve", "boil", "serve")


def test_arranged_items_may_keep_their_order(project: Project) -> None:
    """Stepwise looks at the order in between: what is in order already does not move again."""
    items = project.chosen("sing", "boil", "test_hot")

    arrange_items(project.route, project.workflow.dependencies, items, keeps_order=True)

    assert names(items) == ("sing", "boil", "test_hot")


# --- run


def test_due_upstream_is_added_and_named(project: Project) -> None:
    """Due stations that a selection needs are added, and the header names them."""
    items = project.chosen("serve")

    selection = select_to_run(project.workflow, project.judge(), items)

    assert names(items) == ("boil", "pour", "serve")
    assert selection.selected == {"boil", "pour", "serve"}
    assert selection.header == ("choochoo: 2 needed stations added: boil, pour",)


def test_fresh_upstream_is_not_added(project: Project) -> None:
    """Fresh stations are not added to a selection that only needs their outcomes."""
    project.complete("boil", "pour")
    items = project.chosen("serve")

    selection = select_to_run(project.workflow, project.judge(), items)

    assert (names(items), selection.header) == (("serve",), ())


def test_tests_add_the_stations_that_they_request(project: Project) -> None:
    """A selected test adds the due stations that it requests."""
    items = project.chosen("test_hot", "test_else")

    select_to_run(project.workflow, project.judge(), items)

    assert names(items) == ("boil", "test_hot", "test_else")


def test_replayed_station_that_is_not_selected_is_named(project: Project) -> None:
    """A station that --cc-replay selects and -k leaves out is named in the header."""
    project.complete("boil", "pour", "serve", "sing")

    selection = select_to_run(project.workflow, project.judge("sing"), project.chosen("boil"))

    assert selection.header == (
        "choochoo: 1 station selected by --cc-replay and then deselected: sing",
    )


# --- clean


def test_clean_includes_downstream_and_goes_backwards(project: Project) -> None:
    """Selected stations are cleaned after everything downstream of them that left traces."""
    project.complete("boil", "pour", "serve", "sing")
    items = project.chosen("boil", "test_hot")

    select_to_clean(project.workflow, project.config, items)

    assert (names(items), project.deselected) == (("serve", "pour", "boil"), ["test_hot"])


def test_clean_leaves_out_stations_without_traces(project: Project) -> None:
    """A station without any trace has nothing to clean."""
    project.complete("boil")
    items = project.chosen("boil")

    select_to_clean(project.workflow, project.config, items)

    assert names(items) == ("boil",)


def test_protected_stations_are_selected_and_told(project: Project) -> None:
    """A clean selects a protected station as any other, unless it is unprotected as such."""
    project.complete("boil", "sing")
    items = project.chosen("boil", "sing")

    made = select_to_clean(project.workflow, project.config, items)
    again = select_to_clean(project.workflow, project.config, items, {"sing"})

    assert (names(items), made.protected) == (("sing", "boil"), frozenset({"sing"}))
    assert again.protected == frozenset()


def test_protected_station_is_not_left_for_the_end(project: Project) -> None:
    """One without a clean, but with checks, is met before what it must keep upstream."""
    project.complete("boil", "pour", "serve")
    project.stations["boil"].clean(print)
    project.stations["pour"].check(print)
    items = project.chosen("boil")
    select_to_clean(project.workflow, project.config, items)
    usual = names(items)
    declaration = project.stations["pour"].declaration
    project.stations["pour"].declaration = msgspec.structs.replace(declaration, protect=True)

    select_to_clean(project.workflow, project.config, items)

    assert usual == ("serve", "boil", "pour")
    assert names(items) == ("serve", "pour", "boil")


# --- selectors


def test_failed_selects_stations_that_did_not_complete(project: Project) -> None:
    """`failed` selects stations whose last visit failed or was interrupted."""
    project.complete("boil")
    project.ledger.finish("pour", Record(status="failed", since=1.0, error="cold"))

    assert project.workflow.named("--cc-replay", "failed") == ("pour",)


def test_stations_that_no_longer_exist_can_only_be_forgotten(project: Project) -> None:
    """Only --cc-forget accepts the key of a recorded station that no longer exists."""
    project.ledger.finish("stations.py::gone", Record(status="failed", since=1.0, error="cold"))

    assert project.workflow.named("--cc-forget", "gone", with_gone=True) == ("stations.py::gone",)
    with pytest.raises(UnknownSelector, match="no station is called 'gone'"):
        project.workflow.named("--cc-replay", "gone")


def test_worker_that_joins_late_takes_what_was_agreed(project: Project) -> None:
    """Workers of one run select alike, though the records change while they join."""
    first = msgspec.structs.replace(project.workflow, run="run")
    assert first.agree_on("added", ("boil",), tuple[str, ...]) == ("boil",)

    late: Any = msgspec.structs.replace(project.workflow, run="run")

    assert late.agree_on("added", ("pour",), tuple[str, ...]) == ("boil",)
