"""Mappings kept elsewhere, and lists and dicts in them whose every change is written there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import cached_property, partial, wraps
from typing import Any

import msgspec

from pytest_choochoo.engine.errors import UnkeptResource


class DurableMapping(MutableMapping[str, Any]):
    """A mapping stored elsewhere: each write is durable when it returns.

    So is each change of a list or a dict that it returns, at any depth. As in a plain dict,
    that is one object until its key is set or deleted, and no part of the mapping after that.
    """

    def _all(self) -> Mapping[str, Any]:
        raise NotImplementedError

    def _set(self, key: str, value: Any) -> None:
        """Write *value*, durably. Raises `UnkeptResource`."""
        raise NotImplementedError

    def __setitem__(self, key: str, value: Any) -> None:
        self._set(key, value)
        self._given.pop(key, None)
        if isinstance(value, list | dict) and not isinstance(value, _DurableList | _DurableDict):
            self._given[key] = value, _copy(value)

    def write_late_changes(self) -> list[str]:
        """Write the lists and dicts that were changed after they were set, and return their keys.

        What was put in is not what the mapping returns, so that nobody was told of the change.
        """
        kept = self._all()
        late = {
            key: value
            for key, (value, as_set) in self._given.items()
            if value != as_set and kept.get(key) == as_set
        }
        for key, value in late.items():
            self[key] = value
        return [*late]

    def __getitem__(self, key: str) -> Any:
        found = self._all()[key]
        if not isinstance(found, list | dict):
            return found
        handle = self._handles.get(key)
        if handle is None or handle.stored != found:
            handle = self._handles[key] = _Handle(found, partial(self._save, key))
        return handle.value

    @cached_property
    def _handles(self) -> dict[str, _Handle]:
        return {}

    @cached_property
    def _given(self) -> dict[str, tuple[Any, Any]]:
        """The lists and dicts that were set, each with a copy of what it was then."""
        return {}

    def _save(self, key: str, handle: _Handle) -> None:
        if self._all().get(key) != handle.stored:  # its key was set or deleted since
            return
        try:
            self[key] = handle.value
        except BaseException:
            self._handles.pop(key, None)
            raise
        handle.stored = _copy(handle.value)

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]  # not *default*, whose changes nobody would write

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return repr(dict(self._all()))


def _copy(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def as_text(key: str, name: str, value: object) -> str:
    """Return the resource *value* as JSON text. Raises `UnkeptResource`."""
    try:
        text = msgspec.json.encode(value).decode()
        if isinstance(name, str) and msgspec.json.decode(text) == value:
            return text
    except (TypeError, ValueError, RecursionError):
        pass
    raise UnkeptResource(key, name, type(value).__qualname__) from None


class _Handle:
    """The list or dict that was handed out for a key, and what is *stored* for it."""

    def __init__(self, stored: Any, save: Callable[[_Handle], None]) -> None:
        self.stored = stored
        self.value = _durable(stored, partial(save, self))


def _durable(value: Any, save: Callable[[], None]) -> Any:
    """Return *value* with each list and dict in it calling *save* after a change."""
    kept: Any
    if isinstance(value, _DurableList | _DurableDict) and value.save is save:
        return value
    if isinstance(value, list):
        kept = _DurableList(_durable(each, save) for each in value)
    elif isinstance(value, dict):
        kept = _DurableDict((key, _durable(each, save)) for key, each in value.items())
    else:
        return value
    kept.save = save
    return kept


def _saving(kind: type, *names: str) -> Callable[[type], type]:
    """Let the methods *names* of *kind* save what they changed."""

    def decorate(cls: type) -> type:
        for name in names:
            setattr(cls, name, _saved(getattr(kind, name)))
        return cls

    return decorate


def _saved(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def change(self: Any, *arguments: Any, **named: Any) -> Any:
        answer = method(self, *arguments, **named)
        self.renew()
        self.save()
        return answer

    return change


_BOTH = ("__setitem__", "__delitem__", "clear", "pop")


@_saving(
    list, *_BOTH, "__iadd__", "__imul__", "append", "extend", "insert", "remove", "reverse", "sort"
)
class _DurableList(list[Any]):
    save: Callable[[], None]

    def renew(self) -> None:
        """Let what was put into the list be durable as well."""
        for number, each in enumerate(self):
            list.__setitem__(self, number, _durable(each, self.save))


@_saving(dict, *_BOTH, "__ior__", "popitem", "update")
class _DurableDict(dict[str, Any]):
    save: Callable[[], None]

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]  # as in `DurableMapping`

    def renew(self) -> None:
        """Let what was put into the dict be durable as well."""
        for key, each in self.items():
            dict.__setitem__(self, key, _durable(each, self.save))
