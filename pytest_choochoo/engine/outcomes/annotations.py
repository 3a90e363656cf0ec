"""Return annotations: evaluated, and the outcomes found that nobody can store."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePath
from typing import Any, ClassVar, NoReturn, get_args, get_origin
from weakref import WeakKeyDictionary

from msgspec import inspect as msgspec_types

from pytest_choochoo.engine.errors import UnkeptOutcome, Unstorable
from pytest_choochoo.engine.outcomes.codec import is_plain
from pytest_choochoo.engine.outcomes.enums import StandIn, readable
from pytest_choochoo.engine.secrets import Secret
from pytest_choochoo.engine.station import Station

_NEVER = (NoReturn, typing.Never)
# The annotations in quotes, with what they were evaluated to: it takes long, and is needed twice.
_EVALUATED = WeakKeyDictionary[Station[Any], tuple[str, Any]]()
_COMMON = frozenset({type(None), Path, PurePath, bytes, float})


def annotation_of(station: Station[Any]) -> Any:
    """Return the return annotation of *station*, `Any` if it has none.

    Raises `Unstorable` when the annotation cannot be understood.
    """
    plain = inspect.unwrap(station.function)
    stated = getattr(plain, "__annotations__", {}).get("return", Any)
    if isinstance(stated, str):
        known = _EVALUATED.get(station)
        if known is None or known[0] != stated:
            value = _evaluated(stated, getattr(plain, "__globals__", {}), station.name)
            known = _EVALUATED[station] = (stated, value)
        stated = known[1]
    if stated is None:
        return type(None)
    return Any if stated is object else stated


def _evaluated(text: str, names: dict[str, Any], station: str) -> Any:
    # Only this one: parameters may have types that are imported for type checkers alone.
    alone = type("alone", (), {"__annotations__": {"return": text}})
    try:
        return typing.get_type_hints(alone, names)["return"]
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise Unstorable(station, text, f"its annotation: {error}") from None


def unkept_outcome(station: Station[Any]) -> UnkeptOutcome | None:
    """Return the fault of a *station* whose outcome nobody can store, by its annotation.

    There is none where the annotation, or a name in it, cannot be evaluated so far.
    """
    try:
        annotation = annotation_of(station)
    except Unstorable:
        return None
    is_hashable = getattr(annotation, "__hash__", None) is not None
    cause = (_cause if is_hashable else _why_unkept)(annotation)
    if not cause:
        return None
    shown = inspect.formatannotation(annotation)
    return UnkeptOutcome(station.name, station.location, shown, cause)


def _why_unkept(annotation: Any) -> str:
    """Return why no value of *annotation* can be stored; empty if it can, or if nobody knows."""
    if annotation in _NEVER or annotation in _COMMON or is_plain(annotation):
        return ""
    try:
        found = _type_info(annotation)
        unknown = next(_unknown_types(found), None)
    except (TypeError, NotImplementedError) as error:
        return str(error)
    except Exception:  # noqa: BLE001 - a class may have annotations that cannot be evaluated
        return ""
    if unknown is None:
        return _why_secret_is_unkept(annotation)
    return f"{getattr(unknown, '__qualname__', unknown)} is not a supported type"


_cause = cache(_why_unkept)  # many stations share an annotation


def _type_info(annotation: Any) -> msgspec_types.Type:
    try:
        return msgspec_types.type_info(annotation)
    except (TypeError, NotImplementedError):
        return msgspec_types.type_info(readable(annotation))


def _unknown_types(found: object) -> Iterator[Any]:
    """Yield the types in *found*, at any depth, that only a plugin could encode."""
    pending, seen = [found], set[int]()
    while pending:
        each = pending.pop()
        if id(each) in seen:  # a class may have fields of its own type
            continue
        seen.add(id(each))
        if isinstance(each, msgspec_types.CustomType):
            kind = each.cls
            if isinstance(kind, StandIn):
                hints = (kind.fields or {}).values()
                pending += (_type_info(hint) for hint in hints if get_origin(hint) is not ClassVar)
            elif not (isinstance(kind, type) and issubclass(kind, PurePath | Secret)):
                yield kind
        elif isinstance(each, tuple):
            pending += each
        elif isinstance(each, msgspec_types.Type | msgspec_types.Field):
            pending += (getattr(each, name) for name in each.__struct_fields__)


def _why_secret_is_unkept(annotation: Any) -> str:
    """Return why the value of a secret in *annotation* cannot be stored; empty if it can."""
    arguments = get_args(annotation)
    examine = _why_unkept if get_origin(annotation) is Secret else _why_secret_is_unkept
    return next(filter(None, map(examine, arguments)), "")
