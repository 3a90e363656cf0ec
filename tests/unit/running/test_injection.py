"""Outcomes as fixtures: the values of consumers, and the fixtures that are set up again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_choochoo import Station, station
from pytest_choochoo.collection.dependencies import Dependencies, Dependency
from pytest_choochoo.engine.errors import ChoochooError, NoRecord, NoSuchInstance
from pytest_choochoo.engine.ledger.record import Record
from pytest_choochoo.engine.outcomes.codec import Codec
from pytest_choochoo.engine.outcomes.outcomes import Outcomes
from pytest_choochoo.engine.route import Route, StationInstance
from pytest_choochoo.running.injection import Injection
from unit.memory_ledger import MemoryLedger


def made() -> Station[list[int]]:
    @station
    def boil() -> list[int]:
        return []

    return boil


class Requests(Dependencies):
    """The requests of items, as a table."""

    def __init__(self, table: Mapping[str, Dependency]) -> None:
        self._table = table

    def requested_by(self, item: pytest.Function, names: Iterable[str]) -> tuple[Dependency, ...]:
        return tuple(self._table[name] for name in names if name in self._table)

    def upstream_through(self, item: pytest.Function, fixture: str) -> tuple[str, ...]:
        return ("pour",) if fixture == "kettle" else ()


@dataclass
class Rule:
    """A rule that remembers its calls."""

    asked: list[str] = field(default_factory=list)
    error: ChoochooError | None = None

    def before_use(self, dependency: Dependency, item: pytest.Item) -> None:
        self.asked.append(dependency.name)

    def why_unknown(self, key: str) -> Exception | None:
        return self.error


class Kitchen:
    """An injection over visited stations, with a rule."""

    def __init__(self, *dependencies: Dependency) -> None:
        stops = {
            key: StationInstance(key=key, name=key, station=made(), parameter_id=key[5:-1])
            for key in ("boil", "boil[green]", "boil[black]")
        }
        self.ledger = MemoryLedger()
        for number, key in enumerate(stops):
            record = Record(status="complete", since=1.0, outcome=f"[{number}]")
            self.ledger.finish(key, record)
        route = Route(stops, dict.fromkeys(stops, ()))
        codec = Codec(encode=lambda value: None, decode=lambda kind, plain: None)
        self.outcomes = Outcomes(route, self.ledger, codec)
        self.rule = Rule()
        self.injection = Injection(
            route=route,
            outcomes=self.outcomes,
            dependencies=Requests({each.name: each for each in dependencies}),
            providers=(provider,),
            rule=self.rule,
        )


def provider() -> None: ...


def pour(boil: object, cup: object) -> None: ...


def item_of(function: Any, *names: str) -> Any:
    """Return an item with the attributes that an injection uses."""
    return SimpleNamespace(
        function=function, fixturenames=list(names), funcargs={}, nodeid="pour", name="pour"
    )


def one(name: str = "boil", **facts: Any) -> Dependency:
    given: dict[str, Any] = {"keys": ("boil",), "is_fan_in": False} | facts
    return Dependency(name=name, station=made(), **given)


def test_test_receives_the_outcomes_that_its_parameters_name() -> None:
    """A test receives the outcomes of the stations that it names, and no others."""
    kitchen = Kitchen(one(), one("kettle"))
    item = item_of(pour, "boil", "kettle", "cup")

    kitchen.injection.inject(item)

    assert item.funcargs == {"boil": [0]}
    assert kitchen.rule.asked == ["boil"]


def test_fan_in_is_a_dict_by_parameter_id() -> None:
    """A consumer without the parameter receives all outcomes, by parameter id."""
    kitchen = Kitchen()
    all_of = one(keys=("boil[green]", "boil[black]"), is_fan_in=True)

    value = kitchen.injection.value(all_of, item_of(pour))

    assert value == {"green": [1], "black": [2]}


def test_each_value_is_a_copy() -> None:
    """A consumer that alters its outcome alters no other copy."""
    kitchen = Kitchen()
    item = item_of(pour)

    kitchen.injection.value(one(), item).append("milk")

    assert kitchen.injection.value(one(), item) == [0]


def test_unknown_outcome_is_left_to_the_rule() -> None:
    """If no outcome is known, the command decides: an error, or None."""
    kitchen = Kitchen()
    kitchen.ledger.forget("boil", "cleaned")
    item = item_of(pour)
    assert kitchen.injection.value(one(), item) is None

    kitchen.rule.error = NoRecord("boil", "never visited")

    with pytest.raises(NoRecord, match="station 'boil' has no complete record"):
        kitchen.injection.value(one(), item)


@pytest.mark.parametrize(
    ("dependency", "message"),
    [
        pytest.param(
            one(fault=NoSuchInstance("boil", "pour", "kind='red'")),
            "pour .*kind='red'",
            id="no-such-instance",
        ),
        pytest.param(
            one(keys=()), "no complete record: its file could not be collected", id="no-file"
        ),
    ],
)
def test_dependency_without_an_instance_raises(dependency: Dependency, message: str) -> None:
    """A consumer that can receive nothing gets an error with the reason."""
    with pytest.raises(ChoochooError, match=message):
        Kitchen().injection.value(dependency, item_of(pour))


# --- the fixtures of one item


class Definition(SimpleNamespace):
    """A fixture definition that remembers its teardown."""

    def __init__(self, name: str, scope: str, error: Exception | None = None) -> None:
        super().__init__(argname=name, scope=scope, func=object(), cached_result=None)
        self.finished: list[object] = []
        self.error = error

    def finish(self, request: object) -> None:
        self.finished.append(request)
        if self.error is not None:
            raise self.error


def set_up(injection: Injection, definition: Any, *, error: BaseException | None = None) -> None:
    request: Any = "request"
    injection.fixture_begins(definition, request)
    injection.fixture_ends(definition, request, error)


@pytest.mark.parametrize(("error", "is_kept"), [(NoRecord("boil", "x"), False), (OSError(), True)])
def test_error_of_ours_is_not_cached(error: Exception, *, is_kept: bool) -> None:
    """A fixture that misses an outcome is set up again when it is requested again."""
    shelf = Definition("shelf", "session")
    shelf.cached_result = kept = (None, None, (error, None))

    set_up(Kitchen().injection, shelf, error=error)

    assert (shelf.cached_result is kept) == is_kept
    assert is_kept or shelf.cached_result[1:] != (None, None)


def test_function_fixtures_are_torn_down_for_the_next_check() -> None:
    """The function fixtures of one check are gone when the next check runs."""
    kitchen = Kitchen()
    own, shared = Definition("cup", "function"), Definition("shelf", "session")
    set_up(kitchen.injection, own)
    set_up(kitchen.injection, shared)

    kitchen.injection.tear_down()

    assert (own.finished, shared.finished) == (["request"], [])


def test_fixture_built_on_the_station_does_not_outlive_its_visit() -> None:
    """A session fixture that uses the station under way is set up again after the visit."""
    kitchen = Kitchen()
    kitchen.injection.station = item_of(pour)
    kettle = Definition("kettle", "session")
    set_up(kitchen.injection, kettle)

    kitchen.injection.tear_down()

    assert kettle.finished == ["request"]


def test_fixture_that_failed_for_a_check_is_tried_again() -> None:
    """A fixture may fail before the visit, which may make what it needs."""
    kitchen = Kitchen()
    kitchen.injection.station = item_of(pour)
    shelf = Definition("shelf", "session")
    set_up(kitchen.injection, shelf, error=OSError())

    kitchen.injection.tear_down()

    assert shelf.finished == ["request"]


def test_all_fixtures_are_torn_down_although_one_fails() -> None:
    """Fixtures are torn down in reverse order, and then the first error is raised."""
    kitchen = Kitchen()
    first, last = Definition("cup", "function", ValueError("broken")), Definition("lid", "function")
    set_up(kitchen.injection, first)
    set_up(kitchen.injection, last)

    with pytest.raises(ValueError, match="broken"):
        kitchen.injection.tear_down()

    assert (first.finished, last.finished) == (["request"], ["request"])


def test_forgotten_fixtures_are_left_to_pytest() -> None:
    """When the item ends, pytest tears down what it set up."""
    kitchen = Kitchen()
    cup = Definition("cup", "function")
    set_up(kitchen.injection, cup)

    kitchen.injection.forget()
    kitchen.injection.tear_down()

    assert cup.finished == []
