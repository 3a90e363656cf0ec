"""Immutable values with named parts, of classes that are quick to define."""

from __future__ import annotations

from typing import Any, Never, dataclass_transform


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Value:
    """An immutable value: a subclass annotates its parts, and may give them defaults.

    For classes that every run of pytest imports. A dataclass or a named tuple takes some ten
    times as long to define, and msgspec takes long to import.
    """

    def __init__(self, **parts: Any) -> None:
        kind = type(self)
        defaults = {name: vars(kind)[name] for name in kind.__annotations__ if name in vars(kind)}
        if (defaults | parts).keys() != kind.__annotations__.keys():
            raise TypeError(f"{kind.__name__} has the parts {', '.join(kind.__annotations__)}")
        vars(self).update(defaults | parts)

    def __setattr__(self, name: str, value: object) -> Never:
        raise AttributeError(f"{type(self).__name__} is immutable")
