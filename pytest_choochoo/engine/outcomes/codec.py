"""Outcomes as text: encoded for the record, and decoded for each consumer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePath
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
)
from uuid import UUID

import msgspec

from pytest_choochoo.engine.digest import (
    ROOT,
    digest_bytes,
    digest_parts,
    digest_value,
    fields_of,
    from_root,
)
from pytest_choochoo.engine.errors import (
    DamagedOutcome,
    SecretNotKept,
    UnreadableOutcome,
    Unstorable,
)
from pytest_choochoo.engine.ledger.record import SecretPath
from pytest_choochoo.engine.secrets import (
    TOKEN_PREFIX,
    Secret,
    SecretStore,
    from_token,
    token_of,
)

if TYPE_CHECKING:
    from pytest_choochoo.engine.outcomes.marks import MarkedText

T = TypeVar("T")

_UNSTORABLE = (TypeError, ValueError, NotImplementedError, OverflowError, RecursionError)


_ANYTHING = msgspec.json.Decoder()


class Codec(msgspec.Struct, frozen=True, kw_only=True):
    """Conversions of types that msgspec does not know.

    *encode* gets a value and returns plain data, or None when it does not know
    the type; *decode* gets a type and plain data and returns the value, or None.
    *secrets* holds the values of secrets. Paths below *root* are kept relative to it.
    """

    encode: Callable[[object], object]
    decode: Callable[[type, object], object]
    secrets: SecretStore = msgspec.field(default_factory=SecretStore)
    root: Path | None = None

    def without_root(self) -> Codec:
        """Return the codec as it was when paths were kept as they are."""
        return self if self.root is None else msgspec.structs.replace(self, root=None)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A visit's result as JSON text, and its digest, for which key order does not matter.

    *secrets*: the paths of its secrets, as in a `Record`.
    """

    text: str
    digest: str
    secrets: tuple[SecretPath, ...] | None = None


#: The digest of the outcome None.
NOTHING = digest_bytes(b"null")


def encode(name: str, value: object, annotation: Any, codec: Codec) -> Outcome:
    """Return *value* in the form that is recorded.

    Raises `Unstorable` when it would not be decoded to an equal value, and `UnusableLedger`
    when it has a secret, but the ledger's key cannot be read or made.
    """
    try:
        text, secrets = _written(value, annotation, codec)
        again = _read(name, text, _marked(text, secrets), annotation, codec)
        if secrets:  # a token would also be accepted where the annotation has a string
            from pytest_choochoo.engine.outcomes.enums import readable

            msgspec.convert(again, readable(annotation), dec_hook=lambda kind, value: value)
        if not _same(value, again, codec):
            raise ValueError("it does not survive a JSON round trip")
        return Outcome(text=text, digest=digest_recorded(again, codec), secrets=secrets)
    except _UNSTORABLE as error:
        raise Unstorable(name, type(value).__qualname__, _cause(error)) from None


def _written(
    value: object, annotation: Any, codec: Codec
) -> tuple[str, tuple[SecretPath, ...] | None]:
    """Return *value* as JSON text, and the paths of the secrets in that."""
    from pytest_choochoo.engine.outcomes.marks import new_mark, without_mark  # for visits only

    mark = new_mark()
    hook = _to(codec, lambda secret: mark + _token(secret, codec))
    plain = msgspec.to_builtins(value, str_keys=annotation is not Any, enc_hook=hook)
    if annotation is Any:
        _require_json(value)
    _require_finite(plain)
    # The values of enums are in *plain* as they are, whatever their types.
    return without_mark(msgspec.json.encode(plain, enc_hook=hook).decode(), mark)


def decode(
    name: str,
    text: str,
    annotation: Any,
    codec: Codec,
    secrets: tuple[SecretPath, ...] | None = None,
) -> Any:
    """Return a new copy of the outcome in *text*, which has *secrets* at these paths.

    Raises `UnreadableOutcome` when it does not fit *annotation* any more, or is damaged.
    """
    try:
        return _read(name, text, _marked(text, secrets), annotation, codec)
    except _UNSTORABLE as error:
        is_json = not isinstance(error, msgspec.DecodeError)
        is_json = is_json or isinstance(error, msgspec.ValidationError)
        if annotation is Any or not is_json:
            raise DamagedOutcome(name, _cause(error)) from None
        raise UnreadableOutcome(name, _cause(error)) from None


def require_readable(name: str, text: str) -> None:
    """Raise `DamagedOutcome` unless *text*, an outcome without annotation, is JSON."""
    try:
        _ANYTHING.decode(text)
    except _UNSTORABLE as error:
        raise DamagedOutcome(name, _cause(error)) from None


def lacks_secret(text: str, secrets: tuple[SecretPath, ...] | None, codec: Codec) -> bool:
    """Return whether the outcome in *text*, with *secrets* at these paths, has an unknown one."""
    if TOKEN_PREFIX not in text:
        return False
    from pytest_choochoo.engine.outcomes.marks import tokens_at  # few outcomes have secrets

    return any(codec.secrets.find(token) is None for token in tokens_at(text, secrets))


def _marked(text: str, secrets: tuple[SecretPath, ...] | None) -> MarkedText | None:
    """Return *text* with marks on its secrets, None where nothing in it stands for one."""
    if secrets == () or (secrets is None and TOKEN_PREFIX not in text):
        return None
    from pytest_choochoo.engine.outcomes.marks import MarkedText  # few outcomes have secrets

    return MarkedText(text, secrets)


def _read(name: str, text: str, marked: MarkedText | None, annotation: Any, codec: Codec) -> Any:
    hook = _from(name, codec, marked)
    try:
        decoder = msgspec.json.Decoder(annotation, dec_hook=hook)
    except (TypeError, NotImplementedError):
        from pytest_choochoo.engine.outcomes.enums import readable

        decoder = msgspec.json.Decoder(readable(annotation), dec_hook=hook)
    if marked is None:
        return decoder.decode(text)
    value = decoder.decode(marked.text)
    value = _with_secrets(value, marked, lambda token: _secret(name, token, Any, codec))
    marked.require_all_read()
    return value


def digest_recorded(again: object, codec: Codec) -> str:
    """Return the digest of an outcome as its consumers get it; dicts and sets have no order."""
    try:
        content = _in_order(again, _to(codec))
        if _TOKEN_PREFIX in content:
            from pytest_choochoo.engine.outcomes.marks import has_whole_token

            marked = _in_order(again, _to(codec, lambda secret: f"!{_known_token(secret, codec)}"))
            if has_whole_token(marked):  # it is no secret, but a string that equals a token
                return digest_parts(content, marked)
    except TypeError:  # a set of values that cannot be sorted
        return digest_value(again)
    return digest_bytes(content)


_TOKEN_PREFIX = TOKEN_PREFIX.encode()


def _in_order(value: object, hook: Callable[[object], object]) -> bytes:
    """Return the JSON of *value*, with dicts and sets in an order of their own."""
    plain = msgspec.to_builtins(value, str_keys=True, enc_hook=hook, order="deterministic")
    return msgspec.json.encode(plain, order="deterministic", enc_hook=hook)


def digest_received(value: object, codec: Codec) -> str:
    """Return the digest of *value* as consumers receive it: the types count as well.

    That of JSON-like data is the one that is recorded. Where a path below rootdir leads is told
    from there on, so that all checkouts agree.
    """
    if all(map(_is_plain_value, _nested(value))):
        return digest_recorded(value, codec)
    try:
        return digest_value(value, codec.encode, codec.root)
    except (TypeError, ValueError, RecursionError):  # of an attribute that is no field
        named = f"{type(value).__module__}.{type(value).__qualname__}"
        return digest_parts(named.encode(), digest_recorded(value, codec).encode())


def _is_plain_value(value: object) -> bool:
    return type(value) in _JSON and (
        not isinstance(value, dict) or all(type(key) is str for key in value)
    )


def is_plain(annotation: Any) -> bool:
    """Return whether the JSON of an outcome alone says what consumers receive by *annotation*."""
    # A type may have a metaclass, and other annotations may have no hash.
    if annotation is Any or (type(annotation) is type and annotation in _PLAIN):
        return True
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return is_plain(arguments[0])
    if origin is dict:
        return arguments[0] is str and is_plain(arguments[1])
    return origin is Literal or (
        origin in {list, Union, UnionType} and all(map(is_plain, arguments))
    )


def _cause(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it contains itself, or is nested too deeply"
    from pytest_choochoo.engine.outcomes.marks import unmarked  # for errors only

    return unmarked(str(error))


# --- types that msgspec does not know


def _to(
    codec: Codec, token: Callable[[Secret[Any]], str] | None = None
) -> Callable[[object], object]:
    """Return the hook that makes plain data; *token* returns what stands for a secret."""

    def write(value: object) -> object:
        if isinstance(value, PurePath):
            return from_root(value, codec.root)
        if isinstance(value, Secret):
            return _token(value, codec) if token is None else token(value)
        plain = codec.encode(value)
        if plain is None:
            raise _unsupported(type(value))
        return plain

    return write


def _from(name: str, codec: Codec, marked: MarkedText | None) -> Callable[[type, object], object]:
    def read(kind: type, plain: Any) -> object:
        if isinstance(kind, type) and issubclass(kind, PurePath):
            if codec.root is not None and str(plain).startswith(f"{ROOT}/"):
                return kind(codec.root, str(plain)[len(ROOT) + 1 :])
            return kind(plain)
        if (get_origin(kind) or kind) is Secret:
            token = None if marked is None else marked.token(plain)
            if token is None:
                raise ValueError("Expected `Secret`")
            return _secret(name, token, next(iter(get_args(kind)), Any), codec)
        from pytest_choochoo.engine.outcomes.enums import StandIn  # few annotations need it

        if isinstance(kind, StandIn):
            if kind.fields is None and marked is not None:
                plain = marked.without_marks(plain)
            try:
                return kind.read(plain, _to(codec), read)
            except ValueError:
                # Until paths were kept relative to rootdir, an enum had them as they are.
                return kind.read(plain, _to(codec.without_root()), read)
        value = codec.decode(kind, plain)
        if value is None:
            raise _unsupported(kind)
        return value

    return read


def _unsupported(kind: Any) -> NotImplementedError:
    return NotImplementedError(f"{_named(kind)} is not a supported type")


def _named(kind: Any) -> str:
    return getattr(kind, "__qualname__", str(kind))


# --- secrets


def _token(secret: Secret[Any], codec: Codec) -> str:
    """Keep the value of *secret*, and return the token that stands for it."""
    _ = codec.secrets.key  # its errors are about the ledger, and show no secret
    token = _quietly(None, _kept, secret.reveal(), codec)
    if token is None:
        kind = _named(type(secret.reveal()))
        raise ValueError(f"its Secret holds a value of an unsupported type: {kind}")
    return token


def _known_token(secret: Secret[Any], codec: Codec) -> str:
    return token_of(secret) or _token(secret, codec)


def _kept(value: object, codec: Codec) -> str:
    written = _written(value, type(value), codec)
    content = digest_recorded(value, codec.without_root()).encode()
    token = f"{TOKEN_PREFIX}{digest_bytes(content, key=codec.secrets.key)}"
    codec.secrets.keep(token, msgspec.json.encode(written).decode())
    return token


def _secret(name: str, token: str, kind: Any, codec: Codec) -> Secret[Any]:
    """Return the secret that *token* stands for, which holds a *kind*."""

    def find() -> Any:
        __tracebackhide__ = True
        text = codec.secrets.find(token)
        if text is None:
            raise SecretNotKept(name)
        value = _quietly(_FAILED, _read_secret, name, text, kind, codec)
        if value is _FAILED:
            del text  # a traceback may show local variables
            raise ValueError(f"the value of its Secret cannot be read back as {_named(kind)}")
        return value

    return from_token(token, find)


def _read_secret(name: str, text: str, kind: Any, codec: Codec) -> Any:
    written, secrets = msgspec.json.decode(text, type=tuple[str, tuple[SecretPath, ...] | None])
    return _read(name, written, _marked(written, secrets), kind, codec)


_FAILED = object()


def _quietly(default: Any, function: Callable[..., T], *arguments: Any) -> T | Any:
    """Return what *function* returns, *default* where it fails."""
    try:
        return function(*arguments)
    except Exception:  # noqa: BLE001 - any error about the value of a secret may show it
        return default


def _with_secrets(value: Any, marked: MarkedText, secret: Callable[[str], Secret[Any]]) -> Any:
    """Return *value* with secrets in place of their tokens, in JSON-like data of any depth."""
    if type(value) is str:
        token = marked.token(value)
        return value if token is None else secret(token)
    if type(value) is dict:
        value |= {key: _with_secrets(each, marked, secret) for key, each in value.items()}
    elif type(value) is list:
        value[:] = [_with_secrets(each, marked, secret) for each in value]
    return value


# --- equality


def _same(value: object, again: object, codec: Codec) -> bool:
    """Return whether *again* equals *value* at any depth, and is of the same types."""
    pending = [(value, again)]
    while pending:
        one, other = pending.pop()
        if type(one) is not type(other) or isinstance(one, Secret):
            if not _may_stand_for(one, other, codec):
                return False
        elif isinstance(one, set | frozenset):
            twins: dict[object, object] = {each: each for each in cast(Any, other)}
            if one != other:
                return False
            pending += ((each, twins[each]) for each in one)
        elif (parts := _parts_of(one, codec)) is None:
            # Equality ignores which of the two hours after summer time it is.
            if one != other or getattr(one, "fold", 0) != getattr(other, "fold", 0):
                return False
        else:
            others = _parts_of(other, codec) or []
            if len(parts) != len(others):
                return False
            pending += zip(parts, others)
    return True


def _may_stand_for(one: object, other: object, codec: Codec) -> bool:
    """Return whether *one* may be read back as *other*, a secret or a value of another type."""
    if isinstance(one, Secret) and isinstance(other, Secret):
        return _quietly(False, _same, one.reveal(), other.reveal(), codec)
    # An int may stand for an annotated float, and a path for an annotated pure path.
    may_differ = isinstance(one, PurePath) or (type(one), type(other)) == (int, float)
    return may_differ and one == other


def _parts_of(value: object, codec: Codec) -> list[object] | None:
    """Return the parts of *value*, None where it is compared as a whole."""
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


# Types whose equality can be trusted; that of a user's type cannot.
_WHOLE = (
    *(type(None), str, int, float, bytes, bytearray, Enum, PurePath, UUID, Decimal),
    *(date, time, timedelta),
)


# --- plain data

_JSON = {str, int, float, bool, type(None), list, dict, Secret}
_PLAIN = _JSON - {float, Secret}  # a float may be read of what was written as an int
_SEQUENCES = (list, tuple, set, frozenset)


def _require_json(value: object) -> None:
    """Raise `NotImplementedError` unless JSON gives back exactly *value*, types included."""
    for each in _nested(value):
        if type(each) not in _JSON:
            raise NotImplementedError(f"{type(each).__qualname__} needs a return annotation")
        if isinstance(each, dict):
            for key in each:
                if type(key) is not str:
                    raise TypeError(f"dict keys must be strings, got {key!r}")


def _require_finite(plain: object) -> None:
    """Raise `ValueError` for a NaN or an infinity, which JSON would turn into null."""
    for each in _nested(plain):
        if isinstance(each, float) and not math.isfinite(each):
            raise ValueError(f"{each} cannot be represented in JSON")


def _nested(value: object) -> Iterator[object]:
    """Yield *value* and everything in it, in collections of any depth."""
    pending = [value]
    while pending:
        each = pending.pop()
        yield each
        if isinstance(each, dict):
            pending += each.values()
        elif isinstance(each, _SEQUENCES):
            pending += each
