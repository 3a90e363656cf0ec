"""Secrets: never shown, equal by value, kept in memory only, and tokens in the record."""

# No future import here: annotations must be types, not strings.
import copy
import dataclasses
import json
import pickle
import pprint
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_choochoo import Secret
from pytest_choochoo.engine.digest import digest_value
from pytest_choochoo.engine.errors import LostLedger, SecretNotKept, UnreadableOutcome, Unstorable
from pytest_choochoo.engine.outcomes.codec import Codec, Outcome, decode, encode, lacks_secret
from pytest_choochoo.engine.secrets import TOKEN, SecretStore

VALUE = "open sesame"
KEY = b"k" * 32


def _codec(key: bytes = KEY, secrets: SecretStore | None = None) -> Codec:
    return Codec(
        encode=lambda value: None,
        decode=lambda kind, plain: None,
        secrets=secrets or SecretStore(lambda: key),
    )


def _encoded(value: object, annotation: Any = Any, codec: Codec | None = None) -> Outcome:
    return encode("boil", value, annotation, codec or _codec())


def _received(outcome: Outcome, annotation: Any, codec: Codec) -> Any:
    return decode("boil", outcome.text, annotation, codec, outcome.secrets)


class Colour(Enum):
    RED = "red"


class Keyring(Enum):
    FRONT = Secret(VALUE)
    BACK = 1


class Kettle:
    pass


@dataclass(frozen=True)
class Login:
    user: str
    token: Secret[str]
    old: Secret[str] | None = None


@attrs.frozen
class Pot:
    lid: Secret[bytes]


class Spoon(NamedTuple):
    size: Secret[int]


class Order(TypedDict):
    code: Secret[str]
    more: dict[str, Any]


class Cup(msgspec.Struct):
    place: Secret[Path]


# --- never shown

SHOWN: dict[str, Callable[[Any], str]] = {
    "repr": repr,
    "str": str,
    "ascii": ascii,
    "format": format,
    "format-method": "{}".format,
    "format-with-repr": "{!r}".format,
    "percent": "%s".__mod__,
    "f-string": lambda secret: f"{secret}",
    "pprint": pprint.pformat,
    "error": lambda secret: str(ValueError(secret)),
}


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
def test_secret_shows_three_stars(show: Callable[[Any], str]) -> None:
    """A secret becomes three stars, in whatever way it becomes text."""
    assert show(Secret(VALUE)) == "***"


def test_secret_is_aligned_like_a_string() -> None:
    """A secret is aligned in a column like its three stars."""
    assert f"{Secret(VALUE):>5}" == "  ***"


def test_secret_in_something_shows_three_stars() -> None:
    """An object that holds a secret shows everything but the secret."""
    assert repr(Login("ann", Secret(VALUE))) == "Login(user='ann', token=***, old=None)"
    assert pprint.pformat({"a": [Secret(VALUE)]}) == "{'a': [***]}"


def test_secret_has_no_attributes_to_list() -> None:
    """No attribute of a secret holds its value, and there is no `__dict__`."""
    secret = Secret(VALUE)

    assert not hasattr(secret, "__dict__")
    assert VALUE not in [getattr(secret, name, None) for name in dir(secret)]
    with pytest.raises(TypeError):
        vars(secret)


def test_secret_is_revealed_on_request() -> None:
    """`reveal()` returns the value."""
    assert Secret(VALUE).reveal() == VALUE


# --- equality, copies


@pytest.mark.parametrize(
    "value", ["a", "é", "\udce9", b"a", bytearray(b"a"), 1, None, ["a"]], ids=range(8)
)
def test_secrets_of_one_value_are_equal(value: object) -> None:
    """Two secrets are equal when their values are, and then have one hash."""
    one, other = Secret(value), Secret(copy.copy(value))

    assert one == other
    assert hash(one) == hash(other)
    assert one != Secret("another")


@pytest.mark.parametrize("other", [Secret("b"), Secret(b"a"), Secret(1), "a", None], ids=range(5))
def test_secrets_of_two_values_differ(other: object) -> None:
    """A secret differs from other secrets and from plain values, which would allow guessing."""
    assert Secret("a") != other


def test_hash_reveals_nothing() -> None:
    """All secrets have one hash, so that it reveals nothing about the value."""
    assert hash(Secret(1)) == hash(Secret(["no hash"]))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_secret_is_not_pickled(protocol: int) -> None:
    """A secret cannot be pickled, as the pickle would contain it in plain text."""
    with pytest.raises(TypeError) as refused:
        pickle.dumps([Secret(VALUE)], protocol)

    assert str(refused.value) == (
        "cannot pickle a Secret: it would be stored in plain text; pass secret.reveal() instead"
    )


def test_secret_is_not_written_by_encoders() -> None:
    """Encoders that do not know secrets reject them."""
    with pytest.raises(TypeError):
        json.dumps(Secret(VALUE))
    with pytest.raises(TypeError):
        msgspec.json.encode(Secret(VALUE))
    with pytest.raises(TypeError, match=r"^Secret$"):
        digest_value(Secret(VALUE))


def test_copy_of_a_secret_is_a_secret() -> None:
    """Copies, those that dataclasses make included, keep a secret a secret."""
    login = Login("ann", Secret(VALUE))

    assert copy.deepcopy(login) == copy.copy(login) == login
    assert repr(dataclasses.asdict(login)) == "{'user': 'ann', 'token': ***, 'old': None}"


# --- in outcomes

HOLDERS: list[tuple[object, Any]] = [
    (Secret(VALUE), Any),
    (Secret(VALUE), Secret[str]),
    (Secret(VALUE), Secret),
    (Secret(VALUE), Secret[str] | None),
    ({"a": Secret(VALUE), "b": [1, Secret([2, {"c": None}])]}, Any),
    ({"a": Secret(VALUE)}, dict),
    ({"a": Secret(VALUE)}, dict[str, Any]),
    ({"a": Secret(VALUE)}, dict[str, Secret[str]]),
    ([Secret(VALUE)], list),
    ([Secret(VALUE)], list[Secret[str]]),
    ((Secret(VALUE), 1), tuple[Secret[str], int]),
    ({Secret(VALUE), Secret("other")}, set[Secret[str]]),
    (Login("ann", Secret(VALUE)), Login),
    (Login("ann", Secret(VALUE), Secret("old")), Login),
    ([Login("ann", Secret(VALUE))], list[Login]),
    (Secret(Login("ann", Secret(VALUE))), Secret[Login]),
    (Pot(Secret(VALUE.encode())), Pot),
    (Spoon(Secret(12345678)), Spoon),
    (Order(code=Secret(VALUE), more={"x": Secret(1)}), Order),
    (Cup(Secret(Path(VALUE))), Cup),
    (Secret({VALUE: {1, 2}}), Secret[dict[str, set[int]]]),
    (Secret({1: VALUE}), Secret[dict[int, str]]),
    (Secret(Colour.RED), Secret[Colour]),
    (Secret(None), Any),
    ({Secret(VALUE): 1, Secret("other"): 2}, dict[Secret[str], int]),
    ({Secret(VALUE): [{"a": Secret("b")}]}, dict[Secret[str], list[dict[str, Secret[str]]]]),
    (Keyring.FRONT, Keyring),
    ([Keyring.FRONT, Keyring.BACK], list[Keyring]),
]


@pytest.mark.parametrize(("value", "annotation"), HOLDERS, ids=range(len(HOLDERS)))
def test_secret_is_received_as_it_was_returned(value: object, annotation: Any) -> None:
    """Downstream receives a secret in any part of an outcome; the JSON text does not contain it."""
    codec = _codec()

    outcome = _encoded(value, annotation, codec)

    received = _received(outcome, annotation, codec)
    assert received == value
    assert type(received) is type(value)
    assert TOKEN.search(outcome.text)
    assert not any(clear in outcome.text for clear in (VALUE, "12345678"))


secrets = st.builds(Secret, st.text(st.characters(codec="utf-8")) | st.integers() | st.none())
json_like = st.recursive(
    secrets | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def _revealed(value: Any) -> Any:
    """Return *value* so that secrets differ from their values, and numbers by their type."""
    match value:
        case Secret():
            return ("secret", repr(value.reveal()))
        case dict():
            return {key: _revealed(each) for key, each in value.items()}
        case list():
            return [_revealed(each) for each in value]
    return repr(value)


@given(json_like)
def test_secrets_in_plain_data_are_received(value: object) -> None:
    """Secrets in JSON-like data without an annotation are received, at any depth."""
    codec = _codec()

    received = _received(_encoded(value, Any, codec), Any, codec)

    assert _revealed(received) == _revealed(value)


def test_each_consumer_gets_a_copy_of_a_secret() -> None:
    """A consumer that alters a revealed value alters nothing for others."""
    codec = _codec()
    outcome = _encoded(Secret([1]), Any, codec)
    one, other = _received(outcome, Any, codec), _received(outcome, Any, codec)

    one.reveal().append(2)

    assert other.reveal() == [1]


REFUSED = [
    ("boiling", Secret[str], "str", "Expected `Secret`"),
    (Login("ann", "boiling"), Login, "Login", "Expected `Secret` - at `$.token`"),  # type: ignore[arg-type]
    (Secret("boiling"), str, "Secret", "Expected `str`, got `Secret`"),
    (
        {"a": Secret("boiling")},
        dict[str, str],
        "dict",
        "Expected `str`, got `Secret` - at `$[...]`",
    ),
    (
        Secret(object()),
        Any,
        "Secret",
        "its Secret holds a value of an unsupported type: object",
    ),
    (
        Secret({"boiling": float("nan")}),
        Any,
        "Secret",
        "its Secret holds a value of an unsupported type: dict",
    ),
    (Secret(("boiling",)), Any, "Secret", "it does not survive a JSON round trip"),
    (
        Secret("boiling"),
        Secret[Literal["cold"]],
        "Secret",
        "the value of its Secret cannot be read back as Literal",
    ),
    (
        Secret("boiling"),
        Secret[Colour],
        "Secret",
        "the value of its Secret cannot be read back as Colour",
    ),
    ({Secret("boiling"): 1}, Any, "dict", "dict keys must be strings, got ***"),
]


@pytest.mark.parametrize(("value", "annotation", "kind", "cause"), REFUSED, ids=range(len(REFUSED)))
def test_unsupported_secret_is_rejected_without_showing_it(
    value: object, annotation: Any, kind: str, cause: str
) -> None:
    """A secret that would not be received as returned is rejected, and not shown."""
    with pytest.raises(Unstorable) as refused:
        _encoded(value, annotation)

    assert (refused.value.type, refused.value.cause) == (kind, cause)
    error: BaseException | None = refused.value
    while error is not None:
        assert "boiling" not in str(error)
        error = error.__cause__ or error.__context__


def test_error_while_a_secret_is_kept_does_not_show_it() -> None:
    """An error that a hook raises about a secret is not shown."""

    def fail(*given: object) -> object:
        raise KeyError("boiling", given)

    unwritten = Codec(encode=fail, decode=fail)
    unread = Codec(encode=lambda value: "boiling", decode=fail)
    refused = []
    for codec in (unwritten, unread):
        with pytest.raises(Unstorable) as caught:
            _encoded(Secret(Kettle()), Secret[Kettle], codec)
        refused.append(caught.value)

    assert [error.cause for error in refused] == [
        "its Secret holds a value of an unsupported type: Kettle",
        "the value of its Secret cannot be read back as Kettle",
    ]
    assert all(error.__cause__ is None and error.__suppress_context__ for error in refused)


class Locked(msgspec.Struct):
    code: Secret[Any]


@pytest.mark.parametrize(
    "value",
    [
        Secret(VALUE),
        [{"a": Secret(VALUE)}],
        Login("ann", Secret(VALUE)),
        Locked(Secret(VALUE)),
        Secret(Secret(VALUE)),
        {Secret(VALUE)},
        Secret(object()),
    ],
    ids=range(7),
)
def test_missing_key_is_not_blamed_on_the_type(value: object) -> None:
    """An error of the ledger while a secret is sealed is raised as it is."""
    unusable = LostLedger("secret.key", "Input/output error")

    def fail() -> bytes:
        raise unusable

    for annotation in (Any, type(value)):
        with pytest.raises(LostLedger) as raised:
            _encoded(value, annotation, _codec(secrets=SecretStore(fail)))
        assert raised.value is unusable


# --- digests


def test_digest_needs_the_key() -> None:
    """A secret has another digest with another key, so that short ones cannot be guessed."""
    one, other = _encoded(Secret("1234")), _encoded(Secret("1234"), Any, _codec(b"x" * 32))

    assert one.text != other.text
    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("one", "other", "are_equal"),
    [
        (Secret("a"), Secret("a"), True),
        (Secret("a"), Secret("b"), False),
        (Secret("a"), "a", False),
        (Secret(1), Secret(True), False),
        (Secret({"a": 1, "b": 2}), Secret({"b": 2, "a": 1}), True),
        ({"a": Secret("1")}, {"a": Secret("1")}, True),
        ({"a": Secret("1")}, {"b": Secret("1")}, False),
    ],
    ids=range(7),
)
def test_secrets_have_different_digests(one: object, other: object, *, are_equal: bool) -> None:
    """With one key, two secrets have the same digest only if their values are the same."""
    assert (_encoded(one).digest == _encoded(other).digest) is are_equal


def test_key_is_made_once_and_only_for_secrets() -> None:
    """If no outcome has a secret, no key is made."""
    asked = []
    secrets = SecretStore(lambda: asked.append(1) or KEY)  # type: ignore[func-returns-value]

    _encoded({"a": 1}, Any, _codec(secrets=secrets))
    before = len(asked)
    _encoded([Secret(1), Secret(2)], Any, _codec(secrets=secrets))

    assert (before, len(asked)) == (0, 1)


# --- plain strings that look like tokens

FAKE = f"choochoo.secret:{'0' * 32}"


@dataclass
class Note:
    text: str
    token: Secret[str] | None = None
    more: dict[str, str] | None = None


class Locker(msgspec.Struct):
    text: Secret[str]
    token: Secret[str] | None = None


class Card(msgspec.Struct):
    text: str
    more: list[Any]


PLAIN: list[tuple[object, Any]] = [
    (FAKE, Any),
    (FAKE, str),
    (f"see {FAKE}, {FAKE}", Any),
    ([FAKE, Secret(VALUE), FAKE], Any),
    ({FAKE: {FAKE: FAKE}}, Any),
    ({FAKE: FAKE, "a": Secret(VALUE)}, Any),
    ({FAKE: Secret(VALUE)}, dict[str, Secret[str]]),
    ((FAKE, Secret(FAKE)), tuple[str, Secret[str]]),
    ({FAKE, "a"}, set[str]),
    (Note(FAKE), Note),
    (Note(FAKE, Secret(FAKE), {FAKE: FAKE}), Note),
    (Card(FAKE, [FAKE, {FAKE: 1}]), Card),
    (Secret([FAKE, Secret(FAKE)]), Any),
    ([f"secret!0:{FAKE}", "secret!!", Secret(VALUE)], Any),
    ({"choochoo.secret:": 1}, Any),
]


@pytest.mark.parametrize(("value", "annotation"), PLAIN, ids=range(len(PLAIN)))
def test_string_that_looks_like_a_token_is_a_string(value: object, annotation: Any) -> None:
    """A plain string is received as it was returned, also beside secrets, and is never lost."""
    codec = _codec()

    outcome = _encoded(value, annotation, codec)

    received = _received(outcome, annotation, codec)
    assert received == value
    assert type(received) is type(value)
    assert not lacks_secret(outcome.text, outcome.secrets, codec)
    assert lacks_secret(outcome.text, outcome.secrets, _codec()) is bool(outcome.secrets)


def test_string_that_equals_the_token_of_a_secret_beside_it_is_a_string() -> None:
    """Even the token itself, taken from a record, counts only where a secret was."""
    codec = _codec()
    token = json.loads(_encoded(Secret(VALUE), Any, codec).text)

    outcome = _encoded({"a": token, "b": Secret(VALUE), token: [token]}, Any, codec)
    received = _received(outcome, Any, codec)

    assert outcome.secrets == (("b",),)
    assert received == {"a": token, "b": Secret(VALUE), token: [token]}
    assert received["b"].reveal() == VALUE


@pytest.mark.parametrize(
    ("value", "annotation", "paths"),
    [
        (1, Any, None),
        ("choochoo.secret", Any, None),
        (FAKE, Any, ()),
        (Secret(1), Any, ((),)),
        ({"a": [1, Secret(1)]}, Any, (("a", 1),)),
        ({Secret(1): Secret(2)}, dict[Secret[int], Secret[int]], 2),
    ],
    ids=range(6),
)
def test_paths_of_secrets_are_kept_beside_the_text(
    value: object, annotation: Any, paths: object
) -> None:
    """The paths are written only where something in the outcome looks like a token."""
    secrets = _encoded(value, annotation).secrets

    if paths == 2:  # a key itself, and its value
        [[key, nothing], value_path] = secrets or ()
        assert (value_path, nothing) == ((key,), None)
        assert TOKEN.fullmatch(str(key))
    else:
        assert secrets == paths


def test_string_and_secret_of_one_token_have_different_digests() -> None:
    """A string that equals a token is another outcome than the secret with that token."""
    codec = _codec()
    secret = _encoded([Secret(VALUE)], Any, codec)
    [token] = json.loads(secret.text)

    digests = {
        _encoded(value, Any, codec).digest
        for value in ([Secret(VALUE)], [token], [token, Secret(VALUE)], [Secret(VALUE), token])
    }

    assert len(digests) == 4


@pytest.mark.parametrize(
    ("value", "annotation", "digest"),
    [
        (Secret("open"), Any, "d2122cf4cb0499b0367e5d2c59622bdc"),
        ({"a": [Secret("open"), f"see {FAKE}"]}, Any, "ea80e58a286f4521a04886f84bda3ea4"),
        (Login("ann", Secret("open")), Login, "c18518759ec05c59d847ca9f888d06c9"),
    ],
    ids=range(3),
)
def test_digest_is_that_of_earlier_versions(value: object, annotation: Any, digest: str) -> None:
    """The paths of secrets leave the digest of an outcome as it always was."""
    assert _encoded(value, annotation).digest == digest


def test_without_paths_every_token_counts() -> None:
    """In a record of an earlier version, whatever looks like a token stands for a secret."""
    codec = _codec()
    text = _encoded({"a": Secret(VALUE), "b": [Secret("old")]}, Any, codec).text

    received = decode("boil", text, dict[str, Any], codec)

    assert received["a"] == Secret(VALUE)
    assert received["b"] == [Secret("old")]
    assert lacks_secret(text, None, _codec())
    assert lacks_secret(f'["see {FAKE}"]', None, codec)
    assert not lacks_secret(text, None, codec)


@pytest.mark.parametrize(
    ("annotation", "cause"),
    [
        (list[Colour], "Invalid enum value '***' - at `$[0]`"),
        (list[Path], "it has a `Secret` where none is expected"),
        (list[Card], "Expected `object`, got `str` - at `$[0]`"),
    ],
    ids=range(3),
)
def test_changed_annotation_does_not_take_a_token_for_a_string(annotation: Any, cause: str) -> None:
    """Where the annotation has no secret any more, the outcome cannot be decoded."""
    outcome = _encoded([Secret(VALUE)], list[Secret[str]])

    with pytest.raises(UnreadableOutcome) as unreadable:
        _received(outcome, annotation, _codec())

    assert unreadable.value.cause == cause


def test_changed_annotation_does_not_take_a_string_for_a_secret() -> None:
    """Where the annotation has a secret instead of a string, no string will do."""
    outcome = _encoded(Note(FAKE, Secret("a")), Note)

    with pytest.raises(UnreadableOutcome) as unreadable:
        _received(outcome, Locker, _codec())

    assert unreadable.value.cause == "Expected `Secret` - at `$.text`"


@pytest.mark.parametrize(
    "paths",
    [("b",), ("a", "b"), ("a", 5), (0,), ("a", None), ("b", None), (None,), ("a", 1)],
    ids=str,
)
def test_path_that_leads_to_no_token_is_damage(paths: tuple[str | int | None, ...]) -> None:
    """A path that does not fit its text makes the outcome unreadable, and nothing crash."""
    text = f'{{"a": ["{FAKE}", "x"]}}'

    with pytest.raises(UnreadableOutcome, match="a `Secret` is not where it was recorded"):
        decode("boil", text, Any, _codec(), (paths,))
    assert not lacks_secret(text, (paths,), _codec())


# --- in another run


def test_rest_of_an_outcome_works_without_its_secret() -> None:
    """In another run, an outcome is complete except for the value of its secret."""
    login = _received(_encoded(Login("ann", Secret(VALUE)), Login), Login, _codec())

    assert (login.user, repr(login.token), login.token == login.token) == ("ann", "***", True)
    assert copy.deepcopy(login) == login
    with pytest.raises(SecretNotKept) as unknown:
        login.token.reveal()
    assert unknown.value.name == "boil"


def test_unknown_secrets_compare_by_their_tokens() -> None:
    """Secrets from records are compared without their values, in sets as well."""
    outcome = _encoded({Secret("a"), Secret("b")}, set[Secret[str]])

    received = _received(outcome, set[Secret[str]], _codec())

    assert len(received) == 2


def test_unknown_secret_is_not_compared_with_a_value() -> None:
    """An unknown secret cannot be compared with one that is in no record."""
    unknown = _received(_encoded(Secret(VALUE)), Any, _codec())

    with pytest.raises(SecretNotKept):
        assert unknown == Secret(VALUE)
