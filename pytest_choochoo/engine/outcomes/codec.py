"""What a visit returned, as text that is kept, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from pathlib import PurePath
from typing import Any, cast, get_args, get_origin
from uuid import UUID

import msgspec

from pytest_choochoo.engine.errors import UnreadableOutcome, Unstorable
from pytest_choochoo.engine.judging.fingerprint import digest_value, fields_of
from pytest_choochoo.engine.outcomes.enums import StandIn, readable
from pytest_choochoo.engine.secrets import TOKEN, Secret, SecretNotKept, SecretStore, from_token

_UNKEPT = (TypeError, ValueError, NotImplementedError, OverflowError, RecursionError)


class Codec(msgspec.Struct, frozen=True, kw_only=True):
    """How types that msgspec does not know are written and read.

    *encode* gets a value and returns plain data, or None when it does not know
    the type; *decode* gets a type and plain data and returns the value, or None.
    *safe* has the values of secrets.
    """

    encode: Callable[[object], object]
    decode: Callable[[type, object], object]
    safe: SecretStore = msgspec.field(default_factory=SecretStore)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A visit's result as JSON text, and its digest, for which key order does not matter."""

    text: str
    digest: str


def encode(name: str, value: object, annotation: Any, codec: Codec) -> Outcome:
    """Return *value* as it will be kept.

    Raises `Unstorable` when what would be read back is not what was returned.
    """
    try:
        plain = msgspec.to_builtins(value, str_keys=annotation is not Any, enc_hook=_to(codec))
        if annotation is Any:
            _require_on_json(value)
        _require_on_numbers(plain)
        # An enum's value is left as it is, whatever it is.
        text = msgspec.json.encode(plain, enc_hook=_to(codec)).decode()
        again = _read(name, text, annotation, codec)
        if TOKEN.search(text):  # a token is text, and read wherever a text would be
            msgspec.convert(again, readable(annotation), dec_hook=lambda kind, value: value)
        if not _same(value, again, codec):
            raise ValueError("it would be read back as something else")
        return Outcome(text=text, digest=_digest(again, codec))
    except _UNKEPT as error:
        raise Unstorable(name, type(value).__qualname__, _cause(error)) from None


def decode(name: str, text: str, annotation: Any, codec: Codec) -> Any:
    """Return a new copy of the outcome in *text*.

    Raises `UnreadableOutcome` when it does not fit *annotation* any more.
    """
    try:
        return _read(name, text, annotation, codec)
    except _UNKEPT as error:
        raise UnreadableOutcome(name, _cause(error)) from None


def _read(name: str, text: str, annotation: Any, codec: Codec) -> Any:
    hook = _from(name, codec)
    try:
        decoder = msgspec.json.Decoder(annotation, dec_hook=hook)
    except (TypeError, NotImplementedError):
        decoder = msgspec.json.Decoder(readable(annotation), dec_hook=hook)
    value = decoder.decode(text)
    if TOKEN.search(text) is None:
        return value
    return _with_secrets(value, lambda token: _secret(name, token, Any, codec))


def _digest(again: object, codec: Codec) -> str:
    """Return the digest of what downstream receives, in which dicts and sets have no order."""
    try:
        plain = msgspec.to_builtins(
            again, str_keys=True, enc_hook=_to(codec), order="deterministic"
        )
    except TypeError:  # a set of things that cannot be sorted
        return digest_value(again)
    text = msgspec.json.encode(plain, order="deterministic", enc_hook=_to(codec))
    return blake2b(text, digest_size=16).hexdigest()


def _cause(error: BaseException) -> str:
    if isinstance(error, NotImplementedError):
        return f"{error} is not a type that can be kept"
    if isinstance(error, RecursionError):
        return "it contains itself, or is nested too deeply"
    return str(error)


def _to(codec: Codec) -> Callable[[object], object]:
    def write(value: object) -> object:
        if isinstance(value, PurePath):
            return str(value)
        if isinstance(value, Secret):
            return _token(value, codec)
        plain = codec.encode(value)
        if plain is None:
            raise NotImplementedError(type(value).__qualname__)
        return plain

    return write


def _from(name: str, codec: Codec) -> Callable[[type, object], object]:
    def read(kind: type, plain: object) -> object:
        if isinstance(kind, type) and issubclass(kind, PurePath):
            return kind(plain)  # type: ignore[arg-type]
        if (get_origin(kind) or kind) is Secret:
            return _secret(name, plain, next(iter(get_args(kind)), Any), codec)
        if isinstance(kind, StandIn):
            return kind.read(plain, _to(codec), read)
        value = codec.decode(kind, plain)
        if value is None:
            raise NotImplementedError(_named(kind))
        return value

    return read


def _token(secret: Secret[Any], codec: Codec) -> str:
    """Put what *secret* holds into the safe; return what stands for it."""
    token = _put_away(secret.reveal(), codec)
    if token is None:
        kind = _named(type(secret.reveal()))
        raise ValueError(f"what its Secret holds is no type that can be kept: {kind}")
    return token


def _put_away(value: object, codec: Codec) -> str | None:
    try:
        plain = msgspec.to_builtins(value, str_keys=True, enc_hook=_to(codec))
        _require_on_numbers(plain)
        text = msgspec.json.encode(plain, enc_hook=_to(codec)).decode()
        return codec.safe.keep(text, _digest(value, codec))
    except Exception:  # noqa: BLE001 - whatever is said of a secret may show it
        return None


def _secret(name: str, token: object, kind: Any, codec: Codec) -> Secret[Any]:
    """Return the secret that *token* stands for, which holds a *kind*."""
    if not isinstance(token, str) or not TOKEN.fullmatch(token):
        raise ValueError("Expected `Secret`")

    def find() -> Any:
        __tracebackhide__ = True
        text = codec.safe.find(token)
        if text is None:
            raise SecretNotKept(name)
        try:
            return _read(name, text, kind, codec)
        except Exception:  # noqa: BLE001 - whatever is said of a secret may show it
            del text
        raise ValueError(f"what its Secret holds would not be read back as {_named(kind)}")

    return from_token(token, find)


def _named(kind: Any) -> str:
    return getattr(kind, "__qualname__", str(kind))


def _with_secrets(value: Any, secret: Callable[[str], Secret[Any]]) -> Any:
    """Return *value* with secrets in place of their tokens, in JSON-like data of any depth."""
    if type(value) is str and TOKEN.fullmatch(value):
        return secret(value)
    if type(value) is dict:
        value |= {key: _with_secrets(each, secret) for key, each in value.items()}
    elif type(value) is list:
        value[:] = [_with_secrets(each, secret) for each in value]
    return value


def _same(value: object, again: object, codec: Codec) -> bool:
    """Say whether *again* is *value*: equal at any depth, and of the same types."""
    waiting = [(value, again)]
    while waiting:
        one, other = waiting.pop()
        if type(one) is not type(other) or isinstance(one, Secret):
            if not _may_stand_for(one, other, codec):
                return False
        elif isinstance(one, set | frozenset):
            twins: dict[object, object] = {each: each for each in cast(Any, other)}
            if one != other:
                return False
            waiting += ((each, twins[each]) for each in one)
        elif (parts := _parts_of(one, codec)) is None:
            # Which of the two hours after summer time it is, equality does not ask.
            if one != other or getattr(one, "fold", 0) != getattr(other, "fold", 0):
                return False
        else:
            others = _parts_of(other, codec) or []
            if len(parts) != len(others):
                return False
            waiting += zip(parts, others)
    return True


def _may_stand_for(one: object, other: object, codec: Codec) -> bool:
    """Say whether *other* is what *one* may be read back as: a secret, or of another type."""
    if not isinstance(one, Secret) or not isinstance(other, Secret):
        # Where a float is announced an int may be given, and where a pure path any other.
        may_differ = isinstance(one, PurePath) or (type(one), type(other)) == (int, float)
        return may_differ and one == other
    held = other.reveal()
    try:
        return _same(one.reveal(), held, codec)
    except Exception:  # noqa: BLE001 - whatever is said of a secret may show it
        return False


def _parts_of(value: object, codec: Codec) -> list[object] | None:
    """Return what *value* consists of, None for what is one thing."""
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, list | tuple):
        return [*value]
    if isinstance(value, _WHOLE):
        return None
    fields = fields_of(value)
    if fields is not None:
        return [*fields.items()]
    plain = codec.encode(value)
    return None if plain is None else [plain]


# What knows what equals it; a type of the user's need not.
_WHOLE = (
    *(type(None), str, int, float, bytes, bytearray, Enum, PurePath, UUID, Decimal),
    *(date, time, timedelta),
)


_JSON = (str, int, float, bool, type(None), Secret)


def _require_on_json(value: object) -> None:
    """Raise `NotImplementedError` unless JSON gives back exactly *value*, types included."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if type(each) is list:
            waiting += each
        elif type(each) is dict:
            for key in each:
                if type(key) is not str:
                    raise TypeError(f"the key {key!r} of a dict is no text")
            waiting += each.values()
        elif type(each) not in _JSON:
            raise NotImplementedError(f"{type(each).__qualname__} without an annotation")


def _require_on_numbers(plain: object) -> None:
    """Raise `ValueError` for a NaN or an infinity, which JSON would turn into null."""
    waiting = [plain]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list | tuple | set | frozenset):
            waiting += each
        elif isinstance(each, float) and not math.isfinite(each):
            raise ValueError(f"{each} is no number that JSON can keep")
