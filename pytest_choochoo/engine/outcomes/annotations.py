"""Return annotations: evaluated, and examined for outcomes that nobody can store."""

from __future__ import annotations

import inspect
import typing
from pathlib import Path, PurePath
from typing import Any, NoReturn
from weakref import WeakKeyDictionary

from pytest_choochoo.engine.errors import UnkeptOutcome, Unstorable
from pytest_choochoo.engine.outcomes.codec import is_plain
from pytest_choochoo.engine.station import Station

_NEVER = (NoReturn, typing.Never)
# The annotations in quotes, with what they were evaluated to: it takes long, and is needed twice.
_EVALUATED = WeakKeyDictionary[Station[Any], tuple[str, Any]]()
_COMMON = (type(None), Path, PurePath, bytes, float)


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
    """Return the fault of a *station* whose outcome nobody can store, by its annotation."""
    try:
        annotation = annotation_of(station)
    except Unstorable as error:
        # All modules are imported: its visit would fail at the end, for the same reason.
        return UnkeptOutcome(station.name, station.location, error.type, error.cause)
    if annotation in _NEVER or annotation in _COMMON or is_plain(annotation):
        return None
    # Only now, because most outcomes are plain.
    from pytest_choochoo.engine.outcomes.unkept import why_unkept

    cause = why_unkept(annotation)
    if not cause:
        return None
    shown = inspect.formatannotation(annotation)
    return UnkeptOutcome(station.name, station.location, shown, cause)
