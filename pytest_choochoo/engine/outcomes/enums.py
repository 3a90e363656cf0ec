"""Enums with values of several types, which msgspec rejects, made readable at any depth."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable
from enum import Enum
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec


class StandIn(type):
    """A type that msgspec reads by a hook instead of *kind*: such an enum, or a class with one.

    *fields*: the annotations of the class, None for an enum.
    """

    kind: Any
    fields: dict[str, Any] | None

    def __instancecheck__(cls, value: object) -> bool:
        # A TypedDict has no instances: its values are dicts.
        return isinstance(value, dict if typing.is_typeddict(cls.kind) else cls.kind)

    def read(
        cls,
        plain: Any,
        enc_hook: Callable[[object], object],
        dec_hook: Callable[[type, object], object],
    ) -> Any:
        """Return the value that was encoded as *plain*. Raises `ValueError` where there is none."""
        if cls.fields is None:
            # By its value, as msgspec reads other enums: between two runs, an enum may begin or
            # cease to have values of several types.
            written = msgspec.json.encode(plain)
            for member in cls.kind:
                if msgspec.json.encode(member, enc_hook=enc_hook) == written:
                    return member
            raise ValueError(f"Invalid enum value {plain!r}")
        pairs = plain.items() if isinstance(plain, dict) else zip(cls.fields, plain)
        return cls.kind(
            **{
                name: msgspec.convert(
                    each, cls.fields.get(name, Any), str_keys=True, dec_hook=dec_hook
                )
                for name, each in pairs
            }
        )


def readable(annotation: Any, within: tuple[Any, ...] = ()) -> Any:
    """Return *annotation* with stand-ins for types that msgspec rejects; *within*: its parents."""
    arguments, origin = get_args(annotation), get_origin(annotation)
    if arguments:
        changed = tuple(readable(each, within) for each in arguments)
        if not _differ(changed, arguments):
            return annotation
        if origin is Annotated:
            return changed[0]
        return reduce(or_, changed) if origin in {Union, UnionType} else origin[changed]
    if not isinstance(annotation, type) or annotation in within:
        return annotation
    if issubclass(annotation, Enum):
        return annotation if _is_known(annotation) else _stand_in(annotation, None)
    fields = _fields(annotation)
    changed_fields = {name: readable(hint, (*within, annotation)) for name, hint in fields.items()}
    if not _differ(changed_fields.values(), fields.values()):
        return annotation
    return _stand_in(annotation, changed_fields)


def _is_known(annotation: Any) -> bool:
    """Return whether msgspec itself reads *annotation*."""
    try:
        msgspec.json.Decoder(annotation)
    except (TypeError, NotImplementedError):
        return False
    return True


def _stand_in(kind: type, fields: dict[str, Any] | None) -> StandIn:
    return StandIn(kind.__name__, (), {"kind": kind, "fields": fields})


def _differ(some: Iterable[object], others: Iterable[object]) -> bool:
    return any(one is not other for one, other in zip(some, others))


def _fields(kind: type) -> dict[str, Any]:
    """Return the annotations of a class that msgspec reads field by field, none of another."""
    has_fields = (
        dataclasses.is_dataclass(kind)
        or typing.is_typeddict(kind)
        or hasattr(kind, "__attrs_attrs__")
        or issubclass(kind, msgspec.Struct)
        or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
    )
    return typing.get_type_hints(kind) if has_fields else {}
