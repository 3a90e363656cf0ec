"""Types of outcomes that nobody can store, at any depth of an annotation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import PurePath
from typing import Any, ClassVar, get_args, get_origin

from msgspec import inspect as msgspec_types

from pytest_choochoo.engine.outcomes.enums import StandIn, readable
from pytest_choochoo.engine.secrets import Secret


def why_unkept(annotation: Any) -> str:
    """Return why no value of *annotation* can be stored; empty if it can, or if nobody knows."""
    is_hashable = getattr(annotation, "__hash__", None) is not None
    return (_known if is_hashable else _why_unkept)(annotation)


def _why_unkept(annotation: Any) -> str:
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


_known = cache(_why_unkept)  # many stations share an annotation


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
