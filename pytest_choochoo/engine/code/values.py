"""The code in values: the functions and classes that a value leads to, and its digest."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from pytest_choochoo.engine.digest import digest_value, fields_of
from pytest_choochoo.engine.station import Station

# A value that a function holds counts as its code if it has no more parts than this.
_SMALL = 10_000
_COLLECTIONS = (list, tuple, set, frozenset)


def code_in(values: Iterable[Any], is_ours: Callable[[Any], bool]) -> Iterator[Any]:
    """Yield the functions and classes that *values* consist of, call, wrap and hold.

    Functions are searched for what they hold where *is_ours* says so.
    """
    pending: list[Any] = list(values)
    seen: dict[int, Any] = {}
    while pending and len(seen) < _SMALL:
        value = pending.pop()
        if id(value) in seen:  # not by equality: a callable object may have no hash
            continue
        seen[id(value)] = value  # kept, so that no other one gets its id
        if type(value) is FunctionType or issubclass(type(value), type):
            yield value
        if type(value) is FunctionType:
            pending += filter(None, (vars(value).get("__wrapped__"),))
            if may_hold(value) and is_ours(value):
                pending += (held for _, held in held_values(value))
        else:
            pending += islice(_inside(value), _SMALL)


def _inside(value: Any) -> Iterator[Any]:
    """Yield what *value* leads to, without asking objects for attributes that they may make."""
    kind = type(value)
    if kind is MethodType:
        yield from (value.__func__, value.__self__)
    elif kind is partial:
        yield from (value.func, *value.args, *value.keywords.values())
    elif kind is dict:
        yield from (*value, *value.values())
    elif kind in _COLLECTIONS:
        yield from value
    elif issubclass(kind, Station):
        yield value.function
    elif not _is_builtin(kind):
        yield kind
        with suppress(AttributeError):
            yield inspect.getattr_static(value, "__wrapped__")
        with suppress(Exception):  # the user's class may raise anything
            yield from (fields_of(value) or {}).values()


def _is_builtin(kind: type) -> bool:
    return kind.__module__ == "builtins" or issubclass(kind, type | ModuleType)


def held_values(function: Any) -> Iterator[tuple[str, object]]:
    """Yield the values that *function* got from the function that made it, if one did."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        with suppress(ValueError):  # not filled yet
            yield name, cell.cell_contents
    if "<locals>" in function.__qualname__:
        for parameter in inspect.signature(function).parameters.values():
            if parameter.default is not parameter.empty:
                yield parameter.name, parameter.default


def may_hold(function: Any) -> bool:
    """Return whether another function may have made *function*."""
    if type(function) is not FunctionType:
        return True
    wraps = function.__closure__ or "__wrapped__" in vars(function)
    return bool(wraps) or "<locals>" in function.__qualname__


# --- digests


def digest_of_held(value: object) -> str | None:
    """Return the digest of a value that a function holds, None where it has none."""
    try:
        # A mock, for example, claims to be of another class, and equals no other mock.
        is_plain = value.__class__ is type(value) and _is_small(value)
        is_function = type(value) in (FunctionType, BuiltinFunctionType)
        return digest_value(_plain(value)) if is_plain and not is_function else None
    except Exception:
        return None  # the user's class may raise anything


def _plain(value: Any) -> Any:
    """Return *value*; what it calls is named in it, as the code of that counts already."""
    if type(value) is MethodType:
        return "method", value.__func__.__qualname__, _plain(value.__self__)
    if type(value) in (FunctionType, BuiltinFunctionType):
        return "function", value.__qualname__
    if type(value) is not partial:
        return value
    given = [_plain(each) for each in (value.func, *value.args, *value.keywords.values())]
    return "partial", given, list(value.keywords)


def is_opaque(value: object) -> bool:
    """Return whether *value* is called, and what it then does is not seen from its functions."""
    kind = type(value)
    if kind in (partial, MethodType):
        return True
    is_plain = kind in (FunctionType, BuiltinFunctionType) or _is_builtin(kind)
    return not is_plain and any("__call__" in vars(each) for each in kind.__mro__)


def _is_small(value: object) -> bool:
    """Return whether *value* has few parts, each counted as often as it occurs."""
    pending, left = [value], _SMALL
    while pending and left:
        part, left = pending.pop(), left - 1
        if isinstance(part, dict):
            pending += islice(part.items(), left + 1)
        elif isinstance(part, list | tuple | set | frozenset):
            pending += islice(part, left + 1)
    return not pending
