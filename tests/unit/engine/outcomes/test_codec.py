"""Outcomes: stored exactly, or rejected."""

# No future import here: annotations must be types, not strings.
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from pathlib import Path, PurePath, PurePosixPath
from threading import Lock
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_choochoo.engine.errors import UnreadableOutcome, Unstorable
from pytest_choochoo.engine.outcomes.codec import Codec, Outcome, decode, digest_received, encode

NO_CODEC = Codec(encode=lambda value: None, decode=lambda kind, plain: None)


def _encoded(value: object, annotation: Any = Any, codec: Codec = NO_CODEC) -> Outcome:
    return encode("boil", value, annotation, codec)


def _received(value: object, annotation: Any = Any, codec: Codec = NO_CODEC) -> Any:
    """Return the copy of *value* that a downstream station receives."""
    return decode("boil", _encoded(value, annotation, codec).text, annotation, codec)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1


class Tea(StrEnum):
    GREEN = "green"


class Taste(Flag):
    SWEET = 1
    SOUR = 2


class Mixed(Enum):
    ONE = 1
    TWO = "two"


class Twins(Enum):
    LIST = [1]  # noqa: RUF012
    TUPLE = (1,)
    OBJECT = object()


class Number(int):
    pass


class Cup(NamedTuple):
    size: int
    place: Path


class Order(TypedDict, total=False):
    cups: list[Cup]
    at: datetime


@dataclass
class Kettle:
    colour: Colour
    place: Path | None = None
    sizes: tuple[int, ...] = ()
    lid: "Kettle | None" = None


@dataclass
class Blue(Kettle):
    colour: Colour = Colour.BLUE


@dataclass
class Measured:
    size: int
    double: int = field(init=False)

    def __post_init__(self) -> None:
        self.double = 2 * self.size


@dataclass
class Unset:
    size: int = field(init=False, repr=False)


@attrs.frozen
class Pot:
    litres: Decimal
    kettle: Kettle | None = None


class Spoon(msgspec.Struct):
    size: int


# --- stored exactly

text = st.text(st.characters(codec="utf-8"), max_size=4)
json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
paths = st.builds(Path, text.filter(lambda name: "\0" not in name))
moments = st.datetimes(timezones=st.none() | st.just(UTC))
kettles = st.builds(
    Kettle,
    colour=st.sampled_from(Colour),
    place=st.none() | paths,
    sizes=st.lists(st.integers()).map(tuple),
    lid=st.none() | st.builds(Kettle, colour=st.just(Colour.RED)),
)
cups = st.builds(Cup, size=st.integers(), place=paths)
typed: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: text,
    bool: st.booleans(),
    bytes: st.binary(),
    bytearray: st.binary().map(bytearray),
    None: st.none(),
    Path: paths,
    datetime: moments,
    date: st.dates(),
    time: st.times(),
    timedelta: st.timedeltas(),
    UUID: st.uuids(),
    Decimal: st.decimals(allow_nan=False),
    Colour: st.sampled_from(Colour),
    Level: st.sampled_from(Level),
    Tea: st.sampled_from(Tea),
    Kettle: kettles,
    Pot: st.builds(Pot, litres=st.decimals(allow_nan=False), kettle=st.none() | kettles),
    Spoon: st.builds(Spoon, size=st.integers()),
    Measured: st.builds(Measured, size=st.integers()),
    Cup: cups,
    Order: st.fixed_dictionaries({}, optional={"cups": st.lists(cups, max_size=2), "at": moments}),
    list[Kettle]: st.lists(kettles, max_size=2),
    set[int]: st.sets(st.integers()),
    set[tuple[int, str]]: st.sets(st.tuples(st.integers(), text)),
    frozenset[Path]: st.frozensets(paths),
    set[int | str | None]: st.sets(st.none() | st.integers() | text, max_size=4),
    tuple[int, str, Colour]: st.tuples(st.integers(), text, st.sampled_from(Colour)),
    tuple[float, ...]: st.lists(st.floats(allow_nan=False, allow_infinity=False)).map(tuple),
    dict[str, Kettle | None]: st.dictionaries(text, st.none() | kettles, max_size=2),
    dict[int, list[Decimal]]: st.dictionaries(
        st.integers(), st.lists(st.decimals(allow_nan=False), max_size=2), max_size=2
    ),
    dict[date, Path]: st.dictionaries(st.dates(), paths, max_size=2),
    dict[Colour, set[UUID]]: st.dictionaries(
        st.sampled_from(Colour), st.sets(st.uuids(), max_size=2)
    ),
    Path | None: st.none() | paths,
    Kettle | None: st.none() | kettles,
    int | str | None: st.none() | st.integers() | text,
    dict[str, Any]: st.dictionaries(text, json_like, max_size=3),
    list: st.lists(json_like, max_size=3),
    Any: json_like,
}


def _is_same(one: Any, other: Any) -> bool:
    """Return whether *one* and *other* are the same in type, sign and order of dicts."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return _is_same([*one, *one.values()], [*other, *other.values()])
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_is_same, one, other))
    if isinstance(one, set | frozenset):
        return bool(one == other)
    return bool(one == other) and repr(one) == repr(other)


@pytest.mark.parametrize("annotation", typed, ids=str)
def test_outcome_is_received_as_returned(annotation: Any) -> None:
    """Downstream receives any outcome as it was returned: type, value and order."""
    kind = type(None) if annotation is None else annotation

    @given(typed[annotation])
    def received_as_returned(value: Any) -> None:
        try:
            received = _received(value, kind)
        except Unstorable:
            # Only values that JSON does not have may be rejected.
            assert re.search("inf|fold=1", repr(value))
        else:
            assert _is_same(received, value)

    received_as_returned()


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        pytest.param({"b": 1, "a": 2}, Any, id="order of a dict"),
        pytest.param(2**70, Any, id="big integer"),
        pytest.param(-(2**63) - 1, int, id="big negative integer"),
        pytest.param(0.1 + 0.2, Any, id="float"),
        pytest.param(-0.0, Any, id="minus zero"),
        pytest.param(5e-324, Any, id="small float"),
        pytest.param("☕\0\n\u2028", Any, id="text"),
        pytest.param({"": {"a.b": []}}, Any, id="odd keys"),
        pytest.param(Taste.SWEET | Taste.SOUR, Taste, id="flag"),
        pytest.param({-1, -2}, set[int], id="set whose hashes collide"),
        pytest.param({1, "a"}, set, id="set that cannot be sorted"),
        pytest.param(Decimal("1.10"), Decimal, id="decimal with its zeros"),
        pytest.param(Decimal("Infinity"), Decimal, id="infinite decimal"),
        pytest.param(timedelta.max, timedelta, id="longest time"),
        pytest.param(timedelta(microseconds=-1), timedelta, id="time backwards"),
        pytest.param([1, 2], Sequence[int], id="list as a sequence"),
        pytest.param({"a": 1}, Mapping[str, int], id="dict as a mapping"),
        pytest.param(PurePosixPath("a"), PurePosixPath, id="pure path"),
        pytest.param({Path("a"): 1}, dict[Path, int], id="paths as keys"),
        pytest.param("a", Literal["a", "b"], id="literal"),
    ],
)
def test_odd_outcome_is_stored(value: object, annotation: Any) -> None:
    """An outcome is stored to the last digit."""
    received = _received(value, annotation)

    assert _is_same(received, value)


@pytest.mark.parametrize(
    ("value", "annotation", "received"),
    [
        pytest.param(1, float, 1.0, id="int for a float"),
        pytest.param(Path("a"), PurePath, PurePosixPath("a"), id="path for a pure path"),
    ],
)
def test_wider_annotation_decides_the_type(
    value: object, annotation: Any, received: object
) -> None:
    """If the annotation is wider, downstream receives an equal value of the annotated type."""
    found = _received(value, annotation)

    assert found == value == received
    assert isinstance(found, annotation)


def test_moment_in_a_zone_is_the_same_moment() -> None:
    """A moment keeps its offset, but not the name of its zone."""
    moment = datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Paris"))

    received = _received(moment, datetime)

    assert received == moment
    assert received.utcoffset() == timedelta(hours=2)


def test_every_consumer_receives_its_own_copy() -> None:
    """A consumer does not see alterations by another one."""
    kept = _encoded({"a": [1]})
    one = decode("boil", kept.text, Any, NO_CODEC)
    one["a"].append(2)

    other = decode("boil", kept.text, Any, NO_CODEC)

    assert other == {"a": [1]}


# --- rejected


def _endless() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


def _nested() -> list[Any]:
    made: list[Any] = []
    for _ in range(5000):
        made = [made]
    return made


OTHER = "it does not survive a JSON round trip"
DEEP = "it contains itself, or is nested too deeply"


def _alone(kind: str) -> str:
    return f"{kind} needs a return annotation"


@pytest.mark.parametrize(
    ("value", "annotation", "kind", "cause"),
    [
        pytest.param((1, 2), Any, "tuple", _alone("tuple"), id="tuple"),
        pytest.param([{"a": (1, 2)}], Any, "list", _alone("tuple"), id="tuple inside"),
        pytest.param({1}, Any, "set", _alone("set"), id="set"),
        pytest.param(b"a", Any, "bytes", _alone("bytes"), id="bytes"),
        pytest.param(Path("a"), Any, "PosixPath", _alone("PosixPath"), id="path"),
        pytest.param(Kettle(Colour.RED), Any, "Kettle", _alone("Kettle"), id="dataclass"),
        pytest.param(Colour.RED, Any, "Colour", _alone("Colour"), id="enum"),
        pytest.param(Level.LOW, Any, "Level", _alone("Level"), id="enum of numbers"),
        pytest.param(OrderedDict(a=1), Any, "OrderedDict", _alone("OrderedDict"), id="subclass"),
        pytest.param({1: "a"}, Any, "dict", "dict keys must be strings, got 1", id="key"),
        pytest.param(
            {True: "a"}, Any, "dict", "dict keys must be strings, got True", id="boolean key"
        ),
        pytest.param(float("nan"), Any, "float", "nan cannot be represented in JSON", id="nan"),
        pytest.param(
            {"a": [float("inf")]}, Any, "dict", "inf cannot be represented in JSON", id="inf"
        ),
        pytest.param(
            (float("-inf"),), tuple, "tuple", "-inf cannot be represented in JSON", id="-inf"
        ),
        pytest.param({float("nan"): 1}, dict[float, int], "dict", OTHER, id="nan as a key"),
        pytest.param(Decimal("NaN"), Decimal, "Decimal", OTHER, id="decimal nan"),
        pytest.param(
            "\ud800",
            Any,
            "str",
            r"'utf-8' codec can't encode character '\ud800' in position 0: surrogates not allowed",
            id="half a character",
        ),
        pytest.param("12", int, "str", "Expected `int`, got `str`", id="text for a number"),
        pytest.param(True, int, "bool", "Expected `int`, got `bool`", id="truth for a number"),
        pytest.param(2**53 + 1, float, "int", OTHER, id="number too fine for a float"),
        pytest.param(1, None, "int", "Expected `null`, got `int`", id="something for nothing"),
        pytest.param(None, int, "NoneType", "Expected `int`, got `null`", id="nothing"),
        pytest.param((1, 2), Sequence[int], "tuple", OTHER, id="tuple as a sequence"),
        pytest.param([1, 2], tuple[int, int], "list", OTHER, id="list for a tuple"),
        pytest.param({1}, frozenset[int], "set", OTHER, id="set for a frozen one"),
        pytest.param([1, (2, 3)], list, "list", OTHER, id="tuple in any list"),
        pytest.param({"a": Level.LOW}, dict[str, Any], "dict", OTHER, id="enum in any dict"),
        pytest.param({"a": date(2026, 1, 2)}, dict, "dict", OTHER, id="date in any dict"),
        pytest.param({Level.LOW}, set, "set", OTHER, id="enum in any set"),
        pytest.param(Tea.GREEN, str, "Tea", OTHER, id="enum for text"),
        pytest.param(bytearray(b"a"), bytes, "bytearray", OTHER, id="bytearray for bytes"),
        pytest.param(OrderedDict(a=1), dict[str, int], "OrderedDict", OTHER, id="ordered dict"),
        pytest.param(Blue(), Kettle, "Blue", OTHER, id="subclass of a dataclass"),
        pytest.param(datetime(2026, 1, 1, fold=1), datetime, "datetime", OTHER, id="second hour"),  # noqa: DTZ001
        pytest.param({"size": 1}, Order, "dict", OTHER, id="more than announced"),
        pytest.param(
            Unset(), Unset, "Unset", "Object missing required field `size`", id="unset field"
        ),
        pytest.param(Twins.TUPLE, Twins, "Twins", OTHER, id="enum of two that look alike"),
        pytest.param(
            Twins.OBJECT,
            Twins,
            "Twins",
            "object is not a supported type",
            id="enum of an object",
        ),
        pytest.param(Number(1), int, "Number", "", id="own number"),
        pytest.param(1j, complex, "complex", "complex is not a supported type", id="unknown"),
        pytest.param(len, Any, "builtin_function_or_method", "", id="function"),
        pytest.param(Kettle, Any, "type", "", id="class"),
        pytest.param(_endless(), Any, "list", DEEP, id="contains itself"),
        pytest.param(_nested(), Any, "list", DEEP, id="nested"),
        pytest.param({"a": _endless()}, dict, "dict", DEEP, id="contains itself, announced"),
    ],
)
def test_outcome_that_would_be_altered_is_rejected(
    value: object, annotation: Any, kind: str, cause: str
) -> None:
    """An outcome that would not be received as returned is rejected, with type and cause."""
    with pytest.raises(Unstorable) as caught:
        _encoded(value, type(None) if annotation is None else annotation)

    assert caught.value.args == (
        "boil",
        kind,
        cause or f"{kind} is not a supported type",
    )


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([1.0, float("nan"), "a", "\ud800", b"a", Path("a"), 1j])
    | st.sampled_from([Level.LOW, Tea.GREEN, Colour.RED, Decimal(1), Number(1), date(2026, 1, 2)]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.tuples(inner, inner)
        | st.builds(Cup, inner, inner)
        | st.builds(Kettle, inner, inner, inner)
        | st.dictionaries(st.sampled_from(["a", 1, Path("a"), Level.LOW, None]), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(
    anything,
    st.sampled_from([Any, int, float, str, list, dict, tuple, set, Path, Cup, Kettle, Order]),
)
def test_outcome_is_never_altered_silently(value: object, annotation: Any) -> None:
    """Any outcome with any annotation is received as it was returned, or rejected."""
    try:
        received = _received(value, annotation)
    except Unstorable:
        return

    assert received == value
    assert type(received) is type(value) or (annotation, type(value)) == (float, int)


# --- read again


@pytest.mark.parametrize(
    ("kept", "annotation", "cause"),
    [
        pytest.param("1", str, "Expected `str`, got `int`", id="another annotation"),
        pytest.param("{}", Cup, "Expected `array`, got `object`", id="another shape"),
        pytest.param('"mauve"', Colour, "Invalid enum value 'mauve'", id="value gone"),
        pytest.param("{", Any, "Input data was truncated", id="damaged"),
        pytest.param("1", complex, "complex is not a supported type", id="unknown type"),
        pytest.param("[" * 5000 + "]" * 5000, Any, DEEP, id="nested"),
    ],
)
def test_outcome_that_does_not_fit_is_named(kept: str, annotation: Any, cause: str) -> None:
    """A recorded outcome that does not fit the annotation any more is a clear error."""
    with pytest.raises(UnreadableOutcome) as caught:
        decode("boil", kept, annotation, NO_CODEC)

    assert caught.value.args == ("boil", cause)


# --- digests


@pytest.mark.parametrize(
    ("one", "other", "annotation"),
    [
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, Any, id="dict"),
        pytest.param([{"a": {}, "b": 2}], [{"b": 2, "a": {}}], list, id="dict inside"),
        pytest.param({8, 0, 16}, {16, 8, 0}, set[int], id="set"),
        pytest.param({8, "a"}, {"a", 8}, set, id="mixed set"),
        pytest.param({Path("b"), Path("a")}, {Path("a"), Path("b")}, set[Path], id="set of paths"),
        pytest.param(1, 1.0, float, id="received alike"),
        pytest.param(Kettle(Colour.RED), Kettle(Colour.RED, None), Kettle, id="default"),
    ],
)
def test_equal_outcomes_share_a_digest(one: object, other: object, annotation: Any) -> None:
    """Outcomes that downstream cannot distinguish have one digest; their order is stored."""
    assert _encoded(one, annotation).digest == _encoded(other, annotation).digest


@given(json_like, json_like)
def test_different_outcomes_have_different_digests(one: object, other: object) -> None:
    """Outcomes that downstream can distinguish, order aside, never share a digest."""
    try:
        digests = [_encoded(value).digest for value in (one, other)]
    except Unstorable:
        return

    # 1 and True are equal, but not the same; as JSON, they differ.
    same = _without_order(one) == _without_order(other)
    assert (digests[0] == digests[1]) is same


def _without_order(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{sorted((key, _without_order(inner)) for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{[_without_order(inner) for inner in value]}]"
    return repr(value)


def test_digest_is_the_same_in_every_process() -> None:
    """A digest depends on the outcome alone, whatever order a set has in this process."""
    names = {Path(name) for name in "abcdefgh"}

    assert _encoded(names, set[Path]).digest == "080fa287bd68e82f2f74f26e2eadee31"


# --- what consumers receive


class Server(msgspec.Struct):
    host: str


class Pair(NamedTuple):
    one: int
    two: int


class Amounts(TypedDict):
    a: list[int]


@dataclass
class Host:
    host: str


@dataclass
class Address:
    """A class that makes more of what is stored: *url* is a field, `port` is none."""

    host: str
    url: str = ""
    scheme: ClassVar[str] = "http"

    def __post_init__(self) -> None:
        self.url = f"{self.scheme}://{self.host}"
        self.port = {"http": 80, "https": 443}[self.scheme]
        self.lock = Lock()


def _digest_of(text: str, annotation: Any, codec: Codec = NO_CODEC) -> str:
    return digest_received(decode("boil", text, annotation, codec), codec)


@pytest.mark.parametrize(
    ("text", "annotations"),
    [
        pytest.param('"1"', [str, Path, PurePosixPath, Decimal], id="string"),
        pytest.param('"MQ=="', [str, bytes], id="bytes"),
        pytest.param('"2026-01-02"', [str, date, Path], id="date"),
        pytest.param('"red"', [str, Colour], id="enum"),
        pytest.param("1", [int, float], id="number"),
        pytest.param('["1"]', [list[str], tuple[str, ...], set[str], list[Path]], id="sequence"),
        pytest.param('{"1":2}', (dict[str, int], dict[int, int]), id="keys"),
        pytest.param('{"host":"h"}', [dict[str, str], Server, Host], id="object"),
        pytest.param("[1,2]", [list[int], tuple[int, int], Pair], id="pair"),
    ],
)
def test_received_types_count(text: str, annotations: list[Any]) -> None:
    """The same JSON, received as values of different types, has different digests."""
    digests = {_digest_of(text, annotation) for annotation in annotations}

    assert len(digests) == len(annotations)


@pytest.mark.parametrize(
    ("text", "annotations"),
    [
        pytest.param('"1"', [str, str | None, Any, Literal["1"], Annotated[str, "x"]], id="string"),
        pytest.param('{"a":[1]}', [dict, dict[str, list[int]], dict[str, Any], Amounts], id="dict"),
        pytest.param('"a.txt"', [Path, Path | None, Annotated[Path, "x"]], id="path"),
    ],
)
def test_annotation_itself_does_not_count(text: str, annotations: list[Any]) -> None:
    """Equal values have one digest, whichever annotation they are received by."""
    assert len({_digest_of(text, annotation) for annotation in annotations}) == 1


@pytest.mark.parametrize(
    ("value", "annotation"),
    [({"a": [1, 2.0, None]}, Any), ({"b": 1, "a": 2}, dict[str, int]), ({"a": [1]}, Amounts)],
)
def test_digest_of_json_is_the_recorded_one(value: object, annotation: Any) -> None:
    """Data that JSON gives back as it is keeps the digest of its record."""
    outcome = _encoded(value, annotation)

    assert _digest_of(outcome.text, annotation) == outcome.digest


def test_received_value_is_what_its_class_makes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class that makes something else of the same JSON changes what is received."""
    fields = _digest_of('{"host":"h","url":""}', Address)
    again = _digest_of('{"host":"h","url":"http://h"}', Address)
    monkeypatch.setattr(Address, "scheme", "https")

    assert again == fields
    assert _digest_of('{"host":"h","url":"http://h"}', Address) != fields


def test_attribute_beside_the_fields_is_digest_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attributes beside the fields count; a lock, which has no digest, by its type."""
    before = decode("boil", '{"host":"h"}', Address, NO_CODEC)
    after = decode("boil", '{"host":"h"}', Address, NO_CODEC)
    after.port = 8080

    digests = [digest_received(each, NO_CODEC) for each in (before, after)]

    assert digests[0] != digests[1]


# --- types of the user


class Money:
    """A type without an equality of its own."""

    def __init__(self, cents: int) -> None:
        self.cents = cents


MONEY = Codec(
    encode=lambda value: {"cents": value.cents} if isinstance(value, Money) else None,
    decode=lambda kind, plain: Money(plain["cents"]) if kind is Money else None,  # type: ignore[index]
)
FORGETFUL = Codec(encode=MONEY.encode, decode=lambda kind, plain: Money(0))


@pytest.mark.parametrize(
    ("value", "annotation", "cents"),
    [
        pytest.param(Money(5), Money, lambda received: received.cents, id="alone"),
        pytest.param([Money(5)], list[Money], lambda received: received[0].cents, id="inside"),
        pytest.param(Money(5), Money | None, lambda received: received.cents, id="optional"),
    ],
)
def test_codec_stores_types_of_the_user(value: object, annotation: Any, cents: Any) -> None:
    """A type that a plugin can encode and decode is stored, even if it defines no equality."""
    assert cents(_received(value, annotation, MONEY)) == 5


def test_received_value_of_the_user_counts_by_its_type() -> None:
    """A value that a plugin decodes goes by its type and by its encoded form."""
    digests = {digest_received(value, MONEY) for value in (Money(5), Money(6), {"cents": 5})}

    assert len(digests) == 3


def test_codec_that_loses_data_is_rejected() -> None:
    """A plugin that decodes another value than it encoded is detected at the first visit."""
    with pytest.raises(Unstorable) as caught:
        _encoded(Money(5), Money, FORGETFUL)

    assert caught.value.args == ("boil", "Money", OTHER)


def test_codec_is_not_used_without_an_annotation() -> None:
    """A type of the user is stored only if it is annotated."""
    with pytest.raises(Unstorable) as caught:
        _encoded(Money(5), Any, MONEY)

    assert caught.value.args == ("boil", "Money", _alone("Money"))


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        pytest.param('"two"', Mixed, Mixed.TWO, id="mixed"),
        pytest.param("[1]", list[Mixed], [Mixed.ONE], id="nested"),
        pytest.param('"green"', Tea, Tea.GREEN, id="of-one-kind"),
    ],
)
def test_enum_is_stored_by_its_value(text: str, annotation: Any, value: object) -> None:
    """An enum is stored by its value, so that its other members may change their type."""
    assert _encoded(value, annotation).text == text
    assert decode("boil", text, annotation, NO_CODEC) == value


def test_value_that_no_member_has_any_more_is_an_error() -> None:
    """A recorded value that an enum with values of several types has lost is an error."""
    with pytest.raises(UnreadableOutcome) as caught:
        decode("boil", "[3]", list[Mixed], NO_CODEC)

    assert caught.value.args == ("boil", "Invalid enum value 3 - at `$[0]`")


# --- paths below rootdir


class Spot(Enum):
    NEAR = Path("/srv/a/near")
    FAR = 7


def _at(root: str) -> Codec:
    return msgspec.structs.replace(NO_CODEC, root=Path(root))


@pytest.mark.parametrize(
    ("path", "elsewhere"),
    [
        pytest.param("/srv/a/cups/one", "/srv/b/cups/one", id="below rootdir"),
        pytest.param("/srv/a", "/srv/b", id="rootdir"),
        pytest.param("/srv/ab/cup", "/srv/ab/cup", id="beside rootdir"),
        pytest.param("/srv/a/../cup", "/srv/a/../cup", id="not really below rootdir"),
        pytest.param("cups/one", "cups/one", id="relative"),
    ],
)
@pytest.mark.parametrize("kind", [Path, PurePath])
def test_path_below_rootdir_is_kept_relative_to_it(kind: Any, path: str, elsewhere: str) -> None:
    """In another checkout it is decoded below the rootdir there, and its digests are equal."""
    here, there = _at("/srv/a"), _at("/srv/b")
    outcome = _encoded({"cup": [kind(path)]}, dict[str, list[kind]], here)

    assert decode("boil", outcome.text, dict[str, list[kind]], here) == {"cup": [kind(path)]}
    received = decode("boil", outcome.text, dict[str, list[kind]], there)
    assert received == {"cup": [kind(elsewhere)]}
    assert digest_received(received, there) == digest_received({"cup": [kind(path)]}, here)
    assert _encoded(received, dict[str, list[kind]], there) == outcome


@pytest.mark.parametrize("value", [Path("/srv/a/near"), Cup(1, Path("/srv/a/cup")), Spot.NEAR])
def test_path_written_before_is_read_as_it_is(value: object) -> None:
    """An outcome with absolute paths, of an earlier version, is decoded to an equal value."""
    before = _encoded(value, type(value))

    assert decode("boil", before.text, type(value), _at("/srv/a")) == value
    assert _received(value, type(value), _at("/srv/a")) == value


def test_path_that_looks_like_one_below_rootdir_is_refused() -> None:
    """A path that would be decoded as another one is never stored."""
    with pytest.raises(Unstorable):
        _encoded(Path("<rootdir>/cup"), Path, _at("/srv/a"))
