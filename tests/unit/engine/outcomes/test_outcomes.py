"""The outcomes of all stations: kept as text, handed out as copies."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_choochoo import Station, station
from pytest_choochoo.engine.errors import DamagedOutcome, UnreadableOutcome, Unstorable
from pytest_choochoo.engine.ledger.record import Record
from pytest_choochoo.engine.outcomes.codec import Codec, Outcome
from pytest_choochoo.engine.outcomes.outcomes import Outcomes
from pytest_choochoo.engine.route import Route, StationInstance
from unit.memory_ledger import MemoryLedger

KEY = "stations.py::boil"


@dataclass
class Kettle:
    size: int


class Kitchen:
    """One station over a ledger in memory, whose visit returned *text*."""

    def __init__(self, function: Callable[..., Any], text: str | None = None) -> None:
        self.station: Station[Any] = station(function)
        self.ledger = MemoryLedger()
        if text is not None:
            self.record(text)
        route = Route({KEY: StationInstance(key=KEY, name="boil", station=self.station)}, {KEY: ()})
        codec = Codec(encode=lambda value: None, decode=lambda kind, plain: None)
        self.outcomes = Outcomes(route, self.ledger, codec)

    def record(self, text: str) -> Record:
        record = Record(status="complete", since=1.0, outcome=text, outcome_digest=f"of {text}")
        self.ledger.finish(KEY, record)
        return record


def returning(annotation: Any) -> Callable[..., Any]:
    def boil() -> Any: ...

    boil.__annotations__["return"] = annotation
    return boil


def test_outcome_comes_from_the_ledger() -> None:
    """The outcome of an earlier run is the recorded one, decoded by the annotation."""
    kitchen = Kitchen(returning(Kettle), '{"size":3}')

    assert kitchen.outcomes.copy(KEY) == Kettle(3)
    assert kitchen.outcomes.find(KEY) == Outcome(text='{"size":3}', digest='of {"size":3}')


def test_forgotten_outcome_serves_cleans_only() -> None:
    """A clean receives the outcome of a forgotten station, and sees it as the previous one."""
    kitchen = Kitchen(returning(Kettle), '{"size":3}')
    kitchen.ledger.forget(KEY, "forgotten")
    outcomes = kitchen.outcomes
    assert (outcomes.find(KEY), outcomes.copy(KEY), outcomes.previous(KEY)) == (None, None, None)

    outcomes.for_cleans = True

    assert (outcomes.copy(KEY), outcomes.previous(KEY)) == (Kettle(3), Kettle(3))


def test_every_consumer_gets_its_own_copy() -> None:
    """A consumer that alters its outcome alters no other copy."""
    kitchen = Kitchen(returning(Any), "[1]")

    kitchen.outcomes.copy(KEY).append(2)

    assert kitchen.outcomes.copy(KEY) == [1]


def test_ledger_is_read_once_until_look_again() -> None:
    """Until `look_again`, all consumers receive the outcome that the fingerprint was taken of."""
    kitchen = Kitchen(returning(Any), "1")
    assert kitchen.outcomes.copy(KEY) == 1
    kitchen.record("2")
    assert kitchen.outcomes.copy(KEY) == 1

    kitchen.outcomes.look_again()

    assert kitchen.outcomes.copy(KEY) == 2


def test_outcome_of_the_visit_under_way_comes_first() -> None:
    """A returned outcome is used instead of the ledger's until it is recorded."""
    kitchen = Kitchen(returning(Any), "1")

    kitchen.outcomes.keep(KEY, kitchen.outcomes.encoded(KEY, 5))
    assert (kitchen.outcomes.copy(KEY), kitchen.outcomes.previous(KEY)) == (5, 1)
    kitchen.outcomes.keep(KEY, None)

    assert kitchen.outcomes.copy(KEY) == 1


def test_station_that_was_never_visited_has_no_outcome() -> None:
    """If nothing is recorded, nothing is found."""
    kitchen = Kitchen(returning(Any))

    assert (kitchen.outcomes.find(KEY), kitchen.outcomes.copy(KEY)) == (None, None)
    assert kitchen.outcomes.previous(KEY) is None


def test_unstorable_value_names_station_and_type() -> None:
    """An outcome that JSON cannot hold is an error before anything is recorded."""
    kitchen = Kitchen(returning(Any))

    with pytest.raises(Unstorable, match="outcome of station 'boil' cannot be stored"):
        kitchen.outcomes.encoded(KEY, object())


def test_outcome_that_does_not_fit_any_more_is_explained() -> None:
    """A recorded outcome that does not fit its annotation is an error with the reason."""
    kitchen = Kitchen(returning(Kettle))
    record = kitchen.record('{"size":"large"}')

    error = kitchen.outcomes.decode_error(KEY, record)

    assert error == (
        "its recorded outcome does not fit its annotation any more: "
        "Expected `int`, got `str` - at `$.size`"
    )
    assert kitchen.outcomes.previous(KEY) is None
    with pytest.raises(UnreadableOutcome, match="does not fit its annotation any more"):
        kitchen.outcomes.copy(KEY)


DAMAGED = {
    "no JSON": ("{oops", "JSON is malformed: object keys must be strings (byte 1)"),
    "cut off": ("[1", "Input data was truncated"),
    "nothing": ("", "Input data was truncated"),
    "too deep": ("[" * 10_000 + "]" * 10_000, "it contains itself, or is nested too deeply"),
}


@pytest.mark.parametrize(("text", "cause"), DAMAGED.values(), ids=DAMAGED)
def test_outcome_that_is_damaged_is_explained(text: str, cause: str) -> None:
    """An outcome of a station without annotation that is not JSON is an error with the reason."""
    kitchen = Kitchen(returning(Any))
    record = kitchen.record(text)

    assert kitchen.outcomes.decode_error(KEY, record) == (
        f"its recorded outcome cannot be read: {cause}"
    )
    assert kitchen.outcomes.previous(KEY) is None
    with pytest.raises(DamagedOutcome, match="outcome of station 'boil' cannot be read: "):
        kitchen.outcomes.copy(KEY)


def test_damaged_outcome_is_not_blamed_on_the_annotation() -> None:
    """An outcome that is not JSON does not count as one that fits its annotation no more."""
    kitchen = Kitchen(returning(list[int]))
    record = kitchen.record("[1")

    error = kitchen.outcomes.decode_error(KEY, record)

    assert error == "its recorded outcome cannot be read: Input data was truncated"


@pytest.mark.parametrize("text", ["3", '{"size":3}', '{"size":"large"}'])
@pytest.mark.parametrize("annotation", [Any, int, list[str], float, Kettle])
def test_received_digest_is_the_recorded_one_where_json_says_it_all(
    annotation: Any, text: str
) -> None:
    """Plain JSON is not decoded for its digest; what does not fit is told elsewhere."""
    kitchen = Kitchen(returning(annotation), text)
    found = kitchen.outcomes.find(KEY)
    assert found is not None

    fits = (annotation, text) in {(float, "3"), (Kettle, '{"size":3}')}
    assert (kitchen.outcomes.digest_received(KEY, found) == found.digest) is not fits


def nothing() -> None: ...


def no_annotation_no_return():  # type: ignore[no-untyped-def] # it is about the missing annotation
    pass


def no_annotation():  # type: ignore[no-untyped-def] # as above
    return 100


def wrapped(function: Callable[..., Any], *, returns: bool) -> Callable[..., Any]:
    """Return a wrapper of *function* that returns something of its own, or nothing."""

    @functools.wraps(function)
    def something() -> Any:
        function()
        return {"host": "h"}

    @functools.wraps(function)
    def none() -> None:
        function()

    return something if returns else none


class Wrapper:
    """A decorator that is a class, and whose instances return something."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)

    def __call__(self) -> Any:
        return 100


@pytest.mark.parametrize(
    ("function", "is_expected"),
    [
        pytest.param(wrapped(no_annotation_no_return, returns=True), True, id="wrapper-returns"),
        pytest.param(wrapped(no_annotation, returns=False), False, id="wrapper-returns-nothing"),
        pytest.param(wrapped(nothing, returns=True), False, id="wrapped-annotated-none"),
        pytest.param(Wrapper(no_annotation_no_return), True, id="wrapper-is-an-object"),
        pytest.param(functools.cache(no_annotation_no_return), False, id="cached-no-return"),
        pytest.param(functools.cache(no_annotation), True, id="cached-return-with-a-value"),
        pytest.param(nothing, False, id="annotated-none"),
        pytest.param(no_annotation_no_return, False, id="no-return"),
        pytest.param(no_annotation, True, id="return-with-a-value"),
        pytest.param(returning(int), True, id="annotated"),
    ],
)
def test_outcome_is_expected_of_a_station_that_returns_a_value(
    function: Callable[..., Any], is_expected: bool
) -> None:
    """A station returns nothing if it is annotated `None`, or what is called never returns a value."""
    kitchen = Kitchen(function)

    assert kitchen.outcomes.is_expected(kitchen.station) is is_expected
