"""Digests of values of all types, of bytes and of their parts."""

from __future__ import annotations

import os
from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_choochoo.engine.digest import KeyedDigests, digest_bytes, digest_parts, digest_value

UTC_PLUS_1 = timezone(timedelta(hours=1))


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1


class Taste(Flag):
    SWEET = 1
    SOUR = 2


class Degrees(int):
    """A number whose text is its address."""

    def __repr__(self) -> str:
        return f"{id(self)}"


class Tagged(str):
    __slots__ = ("tag",)
    tag: str


class Cup(NamedTuple):
    size: int


@dataclass
class Kettle:
    colour: str
    size: int = 1


@dataclass
class Pot:
    colour: str
    size: int = 1


@dataclass
class Unset:
    size: int = field(init=False)


@attrs.define
class Lid:
    size: int


class Spoon(msgspec.Struct):
    size: int


def _tagged(text: str, tag: str) -> Tagged:
    made = Tagged(text)
    made.tag = tag
    return made


# All of these differ, although some are equal.
DIFFERENT: list[object] = [
    None,
    *(True, 1, 1.0, 1 + 0j, "1", b"1", bytearray(b"1"), Decimal(1), Degrees(1), Level.LOW),
    *(False, 0, 0.0, -0.0, "", b"", (), [], {}, set(), frozenset(), OrderedDict()),
    *(float("nan"), float("inf"), -float("inf"), Decimal("NaN"), Decimal("1.0"), 10**6000),
    *("a", "A", "\udce9", "é", "e\u0301", "None", "a\0", _tagged("a", "x"), _tagged("a", "y")),
    *((1, 23), (12, 3), (1, 2, 3), ((1, 2), 3), (1, (2, 3)), [1, 23], {1, 23}, frozenset({1, 23})),
    *(["a", "b"], ["ab"], ["a", ["b"]], [["a", "b"]], [[], []], [[[]]], ["", "ab"]),
    *({"a": 1}, {"a": "1"}, {"a": True}, {1: "a"}, {"a": {"b": 1}}, {"a": 1, "b": 1}),
    *(OrderedDict(a=1, b=2), OrderedDict(b=2, a=1), defaultdict(int, a=1), Counter("a")),
    *(Path("a"), Path("a/b"), Path("/a"), Path(os.fsdecode(b"\xe9"))),
    *(Colour.RED, Colour.BLUE, Colour, Taste(0), Taste.SWEET, Taste.SWEET | Taste.SOUR),
    *(Cup(1), (1,)),
    *(Kettle("1"), Kettle("2"), Kettle("1", 2), Pot("1"), Kettle, Pot, Unset()),
    *(Lid(1), Lid(2), Spoon(1), Spoon(2)),
    *(date(2026, 1, 2), datetime(2026, 1, 2), "2026-01-02", "2026-01-02T00:00:00"),  # noqa: DTZ001
    *(
        datetime(2026, 1, 2, tzinfo=zone)
        for zone in (UTC, UTC_PLUS_1, ZoneInfo("Europe/Paris"), ZoneInfo("Europe/Rome"))
    ),
    *(time(1), time(1, tzinfo=UTC), time(1, tzinfo=ZoneInfo("Europe/Paris"))),
    *(timedelta(1), timedelta(seconds=1), timedelta(microseconds=1), timedelta(-1)),
    *(UUID(int=1), UUID(int=2)),
]


def test_different_values_have_different_digests() -> None:
    """Values that a visit could tell apart never share a digest."""
    digests: dict[str, list[object]] = {}
    for value in DIFFERENT:
        digests.setdefault(digest_value(value), []).append(value)

    assert [values for values in digests.values() if len(values) > 1] == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, id="dict"),
        pytest.param({"x": {"a": 1, "b": 2}}, {"x": {"b": 2, "a": 1}}, id="dict in a dict"),
        pytest.param({"a", "b", "c"}, {"c", "b", "a"}, id="set"),
        pytest.param({1: "x", "1": "y"}, {"1": "y", 1: "x"}, id="dict of mixed keys"),
        pytest.param(float("nan"), float("nan"), id="nan"),
        pytest.param(Path("a"), PurePosixPath("a"), id="path"),
        pytest.param(Kettle("red"), Kettle("red", 1), id="dataclass"),
        pytest.param(Degrees(1), Degrees(1), id="subclass"),
        pytest.param(_tagged("a", "x"), _tagged("a", "x"), id="subclass with attributes"),
        pytest.param(defaultdict(int, a=1), defaultdict(lambda: 0, a=1), id="default"),
    ],
)
def test_same_values_share_a_digest(one: object, other: object) -> None:
    """The order of a dict or a set makes no difference, nor does the origin of a value."""
    assert digest_value(one) == digest_value(other)


leaves = st.sampled_from([None, True, 1, 1.0, "1", b"1", 0, -0.0, ""])
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from(["", "1", 1, None]), inner, max_size=2)
    ),
    max_leaves=4,
)


def _written_out(value: object) -> object:
    """Return *value* as text that shows every type, a dict in no order."""
    if isinstance(value, dict):
        pairs = sorted(f"{_written_out(k)}: {_written_out(v)}" for k, v in value.items())
        return f"dict({pairs})"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({[_written_out(each) for each in value]})"
    return f"{type(value).__name__}({value!r})"


@given(values, values)
def test_only_equal_values_share_a_digest(one: object, other: object) -> None:
    """Two values of any depth share a digest exactly when they are the same."""
    same = _written_out(one) == _written_out(other)

    assert (digest_value(one) == digest_value(other)) is same


@given(st.lists(st.binary(max_size=3), max_size=3), st.lists(st.binary(max_size=3), max_size=3))
def test_parts_are_kept_apart(one: list[bytes], other: list[bytes]) -> None:
    """The digest of several parts is that of these parts and no others."""
    assert (digest_parts(*one) == digest_parts(*other)) is (one == other)


def test_digest_outlives_the_process() -> None:
    """A digest is the same in every process and on every machine."""
    assert digest_value({"a": [1, 2.5, None, Path("x")], "b": {"y", "z"}}) == (
        "7795973af85ad96da86ccb473a48f0a5"
    )


@pytest.mark.parametrize(
    ("size", "key", "digest"),
    [
        pytest.param(8, b"", "ba6587c1bb84c490", id="short"),
        pytest.param(16, b"", "833ede412aad05219a1b924c1fe8a5cd", id="long"),
        pytest.param(16, b"key", "8f5bf8f0d27b9c232a7a427ea89acd0d", id="with a key"),
    ],
)
def test_digest_of_bytes_has_a_size_and_a_key(size: int, key: bytes, digest: str) -> None:
    """A digest has the requested size, and another key makes another digest."""
    assert digest_bytes(b"tea", size=size, key=key) == digest


# --- keyed digests


def test_keyed_digest_needs_the_key() -> None:
    """Another key makes another digest and has another name; neither is the plain digest."""
    plain = {"PIN": digest_bytes(b"1234"), "UNSET": ""}
    one, same, other = (
        KeyedDigests(partial(bytes.ljust, b"", 32, fill)) for fill in (b"a", b"a", b"b")
    )

    assert one.of(plain) == same.of(plain)
    assert one.name == same.name
    assert one.of(plain)["UNSET"] == other.of(plain)["UNSET"] == ""
    assert len({one.of(plain)["PIN"], other.of(plain)["PIN"], plain["PIN"]}) == 3
    assert one.name != other.name


def test_key_is_read_once_and_only_for_a_digest() -> None:
    """Without anything to digest, the key is not read."""
    read = []

    def key() -> bytes:
        read.append(1)
        return b"a" * 32

    keyed = KeyedDigests(key)
    assert keyed.of({}) == {}
    assert keyed.of({"UNSET": ""}) == {"UNSET": ""}
    assert read == []

    keyed.of({"a": "1", "b": "2"})
    keyed.of({"a": "1"})

    assert (read, keyed.name != "none") == ([1], True)


def test_digests_stay_plain_where_there_is_no_key() -> None:
    """A session that records nothing compares plain digests with plain ones."""
    keyed = KeyedDigests(lambda: b"")

    assert keyed.of({"a": "1"}) == {"a": "1"}
    assert keyed.name == "none"
