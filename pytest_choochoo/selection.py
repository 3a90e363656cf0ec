"""The selection of the items that run, their order, and the reasons for it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import pytest

from pytest_choochoo.collection.dependencies import Dependencies
from pytest_choochoo.collection.registry import StationRegistry
from pytest_choochoo.engine import wording
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.ledger.protocol import Ledger
from pytest_choochoo.engine.ledger.record import to_text
from pytest_choochoo.engine.outcomes.outcomes import Outcomes
from pytest_choochoo.engine.route import Route, arranged, split
from pytest_choochoo.engine.station import Station
from pytest_choochoo.settings import Settings

T = TypeVar("T")


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of the stations of a session before anything is selected.

    *run*: the name under which xdist's workers take part in one run, or None. *taken_over*: the
    former names of the stations that took over a record in this session, by key.
    """

    settings: Settings
    registry: StationRegistry
    dependencies: Dependencies
    route: Route
    ledger: Ledger
    outcomes: Outcomes
    run: str | None
    taken_over: Mapping[str, str] = {}

    def among(self, items: Iterable[pytest.Item]) -> frozenset[str]:
        """Return the keys of the stations among *items*."""
        return frozenset(key for item in items if (key := item.nodeid) in self.route)

    def taken_over_in_words(self, key: str) -> tuple[str, ...]:
        """Return in words under which name *key* was recorded, () if it was under its own."""
        return wording.taken_over_from(self.taken_over.get(key))

    def named(self, option: str, expression: str, *, with_gone: bool = False) -> tuple[str, ...]:
        """Return the keys of the stations that *expression* selects, for *option*.

        *with_gone*: records whose stations no longer exist count as well. Raises
        `UnknownSelector`.
        """
        if not expression:
            return ()
        records = self.ledger.records()
        failed = [
            key
            for key in self.route.stops
            if key in records and records[key].status in {"failed", "interrupted", "visiting"}
        ]
        gone = [
            key
            for key, record in records.items()
            if key not in self.route and not record.is_forgotten
        ]
        also = gone if with_gone else ()
        keys = self.route.select(option, expression, failed=failed, also=also)
        return self.agree_on(option, keys, tuple[str, ...])

    def agree_on(self, name: str, found: T, kind: type[T]) -> T:
        """Return the *found* of the first worker: a worker that joins late sees other records."""
        if self.run is None:
            return found
        agreed = self.ledger.put_if_absent(self.run, name, to_text(found))
        return msgspec.json.decode(agreed, type=kind)


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The stations that are run.

    *header*: lines for the user about the selection. *forgotten*: the
    stations whose records are forgotten. *unmade*: stations to clean although
    they were not made here, if their checks say that they are there; *listed*:
    stations that are only listed in this case. *protected*: stations that a clean must
    not undo.
    """

    selected: frozenset[str] = frozenset()
    header: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()
    unmade: frozenset[str] = frozenset()
    listed: tuple[str, ...] = ()
    protected: frozenset[str] = frozenset()


def select_to_run(workflow: Workflow, judge: Judge, items: list[pytest.Item]) -> Selection:
    """Add to *items* the stations that they need and that are due, and put them in order."""
    added = _add_needed(workflow, judge, items)
    arrange(workflow, items)
    selected, route = workflow.among(items), workflow.route
    workflow.ledger.prepare_locks(selected)
    left_out = [key for key in route.order if judge.is_replayed(key) and key not in selected]
    header = wording.header(route.labels(added), route.labels(left_out))
    return Selection(selected=selected, header=header)


def select_to_clean(
    workflow: Workflow,
    config: pytest.Config,
    items: list[pytest.Item],
    unprotected: Collection[str] = (),
    named: Collection[str] | None = None,
) -> Selection:
    """Keep in *items* the selected stations and their downstream, downstream first.

    *unprotected*: the stations that may be cleaned although they are protected. *named*: the
    stations that are selected instead of those in *items*.
    """
    route = workflow.route
    chosen = workflow.among(items) if named is None else frozenset(named)
    below = route.closure(chosen, route.downstream())
    unmade = _unmade_by_node_id(workflow, config, chosen)
    keys = {
        key: route[key].station
        for key in reversed(route.order)
        if key in below and (key in unmade or _is_to_clean(workflow, key))
    }
    protected = _protected(keys, unprotected)
    _keep_only(workflow, config, items, _order_of_cleans(route, keys, protected))
    along = [key for key in keys if key not in chosen]
    header = wording.header_of_clean(route.labels(along))
    listed = tuple(key for key in route.order if key in below and key not in keys)
    return Selection(
        selected=workflow.among(items),
        header=header,
        unmade=unmade,
        listed=tuple(key for key in listed if _can_be_seen_and_cleaned(route, key)),
        protected=protected,
    )


def select_to_audit(
    workflow: Workflow,
    config: pytest.Config,
    items: list[pytest.Item],
    unprotected: Collection[str] = (),
) -> Selection:
    """Keep in *items* the selected stations, with their upstream, in the order of their cleans.

    *unprotected*: the stations that may be cleaned although they are protected.
    """
    route = workflow.route
    chosen = workflow.among(items)
    needed = route.closure(chosen, route.upstream)
    keys = {key: route[key].station for key in reversed(route.order) if key in needed}
    protected = _protected(keys, unprotected)
    _keep_only(workflow, config, items, _order_of_cleans(route, keys, protected))
    added = [key for key in route.order if key in needed and key not in chosen]
    header = wording.header_of_audit(route.labels(added))
    return Selection(selected=frozenset(keys), header=header, protected=protected)


def _protected(keys: Mapping[str, Station[Any]], unprotected: Collection[str]) -> frozenset[str]:
    """Return those of *keys* that must not be cleaned."""
    return frozenset(
        key
        for key, station in keys.items()
        if station.declaration.protect and key not in unprotected
    )


def _keep_only(
    workflow: Workflow, config: pytest.Config, items: list[pytest.Item], keys: Iterable[str]
) -> None:
    """Replace *items* by those of *keys*, in this order; report the others as deselected."""
    keep = [workflow.registry.items[key] for key in keys]
    kept = {id(item) for item in keep}
    dropped = [item for item in items if id(item) not in kept]
    items[:] = keep
    if dropped:
        config.hook.pytest_deselected(items=dropped)


def _order_of_cleans(
    route: Route, keys: Mapping[str, Station[Any]], protected: Collection[str]
) -> tuple[str, ...]:
    """Return *keys*, given downstream first, with those last that may go with their upstream.

    These have no clean, and their checks are asked once that was cleaned. Those that are
    *protected* keep their upstream.
    """
    cleaned = (key for key, station in keys.items() if station.clean_function is not None)
    below_cleaned = route.closure(cleaned, route.downstream())
    last = {
        key: None
        for key, station in keys.items()
        if station.clean_function is None
        and station.checks
        and key in below_cleaned
        and key not in protected
    }
    return (*(key for key in keys if key not in last), *last)


def _can_be_seen_and_cleaned(route: Route, key: str) -> bool:
    station = route[key].station
    return _can_be_seen(station) and station.clean_function is not None


def _can_be_seen(station: Station[Any]) -> bool:
    return bool(station.checks) or station.find_function is not None


def _unmade_by_node_id(
    workflow: Workflow, config: pytest.Config, chosen: Iterable[str]
) -> frozenset[str]:
    """Return those of *chosen* that were not made here, can be seen, and are named by node id."""
    given = [argument.partition("::") for argument in config.args if "::" in argument]
    selectors = {each.strip() for each in split(workflow.settings.named)} - {""}
    named = {
        (os.path.normpath(config.invocation_params.dir / path), name) for path, _, name in given
    }
    found = set()
    for key in chosen if named or selectors else ():
        item, station = workflow.registry.items[key], workflow.route[key].station
        names = {(str(item.path), name) for name in (item.name, item.originalname)}
        is_named = key in selectors or not named.isdisjoint(names)
        if _can_be_seen(station) and is_named and not _is_to_clean(workflow, key):
            found.add(key)
    return frozenset(found)


def _is_to_clean(workflow: Workflow, key: str) -> bool:
    """Return whether something was made at *key* that was neither cleaned nor left in place."""
    record = workflow.ledger.record(key)
    if record is not None and record.status == "left in place":
        return workflow.route[key].station.clean_function is not None
    return workflow.ledger.has_traces(key)


def arrange(workflow: Workflow, items: list[pytest.Item]) -> None:
    """Put upstream first, and stations in definition order, even if a plugin shuffled them."""
    is_arranged = workflow.settings.is_stepwise  # already before stepwise looked at the order
    arrange_items(workflow.route, workflow.dependencies, items, keeps_order=is_arranged)


def arrange_items(
    route: Route, dependencies: Dependencies, items: list[pytest.Item], *, keeps_order: bool = False
) -> None:
    """Put upstream first in *items*, and stations in definition order.

    *keeps_order*: stations stay in their order as far as upstream allows.
    """
    keys = [item.nodeid for item in items]
    by_key = dict(zip(keys, items))
    if len(by_key) != len(items):  # --keep-duplicates: the user decides on the order
        return
    position: dict[str, int] = {key: place for place, key in enumerate(keys)}
    stations = [key for key in route.stops if key in by_key]
    if not keeps_order:
        position |= dict(zip(stations, (position[key] for key in keys if key in route)))
    upstream: dict[str, tuple[str, ...]] = {key: route.upstream[key] for key in stations}
    for key, item in by_key.items():
        if key not in route:
            upstream[key] = dependencies.upstream_of(item)
    items[:] = [by_key[key] for key in arranged(tuple(by_key), upstream, position.__getitem__)]


def _add_needed(workflow: Workflow, judge: Judge, items: list[pytest.Item]) -> tuple[str, ...]:
    """Add to *items* the stations that they need and that are due; return their keys."""
    chosen = workflow.among(items)
    wanted = [*chosen, *_required_by_tests(workflow, items, chosen)]
    again = judge.revisits(wanted, asking=lambda: _names_of_users(workflow, items))
    judge.visit_for_secrets(workflow.agree_on("secrets", again, dict[str, tuple[str, ...]]))
    added = workflow.agree_on("added", judge.needed(wanted, chosen), tuple[str, ...])
    items[:0] = [workflow.registry.items[key] for key in added]
    return added


def _required_by_tests(
    workflow: Workflow, items: Iterable[pytest.Item], chosen: Collection[str]
) -> Iterable[str]:
    tests = (item for item in items if item.nodeid not in chosen)
    return (key for test in tests for key in workflow.dependencies.upstream_of(test))


def _names_of_users(
    workflow: Workflow, items: Iterable[pytest.Item]
) -> Mapping[str, Sequence[str]]:
    """Return for each station the names of the tests and checks that always use its outcome."""
    users: dict[str, list[str]] = {}
    for item in items:
        station = workflow.registry.items.get(item.nodeid)
        dependencies = workflow.dependencies
        keys = (
            dependencies.upstream_of_checks(station) if station else dependencies.upstream_of(item)
        )
        for key in keys:
            users.setdefault(key, []).append(item.name)
    return users
