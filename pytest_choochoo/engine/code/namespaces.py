"""The namespaces of imported modules, and the kinds of the values in them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FunctionType, ModuleType
from typing import Any, Literal

from pytest_choochoo.engine.station import Station, station

# A mark or anything else that only declares; the decorator `station`; a station.
Kind = Literal["mark", "decorator", "station"]
# Returns the kind of the value of a dotted name, None where it is another or not known.
Binding = Callable[[str], Kind | None]

#: The decorators of pytest and pytest-asyncio that only declare, beside marks.
FIXTURES = frozenset({"fixture", "yield_fixture", "hookimpl"})
_HOMES = frozenset({"_pytest", "pytest_asyncio"})


def binding_in(namespace: Mapping[str, Any], name: str) -> Kind | None:
    """Return the kind of the value that the dotted *name* has in the *namespace* of a module."""
    first, *rest = name.split(".")
    value = namespace.get(first)
    for each in rest:
        # Other objects may raise, or work, when they are asked for an attribute.
        if not isinstance(value, ModuleType) or type(value) is not ModuleType:
            return None
        value = vars(value).get(each)
    return _kind_of_value(value)


def namespace_of(module: object) -> Mapping[str, Any]:
    """Return the namespace of *module*, empty where it is none."""
    # Not by `vars`, as a lazy module is imported, or raises, when it is asked for anything.
    if not issubclass(type(module), ModuleType):
        return {}
    names: Mapping[str, Any] = ModuleType.__getattribute__(module, "__dict__")
    return names


def _kind_of_value(value: Any) -> Kind | None:
    # By its type: some objects raise when they are asked for their class.
    kind = type(value)
    if issubclass(kind, Station):
        return "station"
    if value is station:
        return "decorator"
    if kind is FunctionType:
        package, name = value.__module__.partition(".")[0], value.__name__
        return "mark" if package in _HOMES and name in FIXTURES else None
    pytest = sys.modules.get("pytest")
    marks = (getattr(pytest, "MarkDecorator", None), getattr(pytest, "MarkGenerator", None))
    return "mark" if kind in marks else None
