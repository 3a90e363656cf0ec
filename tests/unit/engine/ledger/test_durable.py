"""Mappings kept elsewhere: whatever they hand out is written there when it changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from pytest_choochoo.engine.errors import UnkeptResource
from pytest_choochoo.engine.ledger.durable import DurableMapping, as_text


class Kept(DurableMapping):
    """Values kept as JSON text, which shares nothing with what is handed out."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def _all(self) -> Mapping[str, Any]:
        return {key: msgspec.json.decode(text) for key, text in self.texts.items()}

    def _set(self, key: str, value: Any) -> None:
        self.texts[key] = as_text("stations.py::rent", key, value)

    def __delitem__(self, key: str) -> None:
        del self.texts[key]


CHANGES: dict[str, tuple[Any, Callable[[Any], object], Any]] = {
    "append": ([1], lambda value: value.append(2), [1, 2]),
    "extend": ([1], lambda value: value.extend([2, 3]), [1, 2, 3]),
    "insert": ([1], lambda value: value.insert(0, 0), [0, 1]),
    "remove": ([1, 2], lambda value: value.remove(1), [2]),
    "pop": ([1, 2], lambda value: value.pop(), [1]),
    "clear": ([1, 2], lambda value: value.clear(), []),
    "sort": ([2, 1], lambda value: value.sort(), [1, 2]),
    "reverse": ([1, 2], lambda value: value.reverse(), [2, 1]),
    "set-item": ([1, 2], lambda value: value.__setitem__(0, 9), [9, 2]),
    "set-slice": ([1, 2], lambda value: value.__setitem__(slice(0, 1), [7, 8]), [7, 8, 2]),
    "del-item": ([1, 2], lambda value: value.__delitem__(0), [2]),
    "add-in-place": ([1], lambda value: value.__iadd__([2]), [1, 2]),
    "multiply-in-place": ([1], lambda value: value.__imul__(2), [1, 1]),
    "dict-set": ({"a": 1}, lambda value: value.__setitem__("b", 2), {"a": 1, "b": 2}),
    "dict-del": ({"a": 1}, lambda value: value.__delitem__("a"), {}),
    "dict-update": ({"a": 1}, lambda value: value.update(b=2), {"a": 1, "b": 2}),
    "dict-union": ({"a": 1}, lambda value: value.__ior__({"b": 2}), {"a": 1, "b": 2}),
    "dict-pop": ({"a": 1}, lambda value: value.pop("a"), {}),
    "dict-popitem": ({"a": 1}, lambda value: value.popitem(), {}),
    "dict-clear": ({"a": 1}, lambda value: value.clear(), {}),
    "dict-setdefault": ({}, lambda value: value.setdefault("a", []).append(1), {"a": [1]}),
    "nested-list": ({"a": [[1]]}, lambda value: value["a"][0].append(2), {"a": [[1, 2]]}),
    "nested-dict": ([{"a": 1}], lambda value: value[0].update(b=2), [{"a": 1, "b": 2}]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_of_what_was_handed_out_is_durable(change: str) -> None:
    """Each way to change a list or a dict that was handed out is written at once."""
    before, alter, after = CHANGES[change]
    kept = Kept()
    kept["servers"] = before

    alter(kept["servers"])

    assert kept["servers"] == after
    assert kept.texts["servers"] == msgspec.json.encode(after).decode()


def test_default_that_was_set_is_durable() -> None:
    """`setdefault` returns what is kept, not the default that it was given."""
    kept = Kept()

    for number in range(3):
        kept.setdefault("servers", []).append(f"i-{number}")

    assert dict(kept) == {"servers": ["i-0", "i-1", "i-2"]}


def test_every_handle_stays_durable() -> None:
    """A part that was handed out earlier is still written when the whole has changed since."""
    kept = Kept()
    kept["servers"] = [[1]]
    servers = kept["servers"]
    first = servers[0]
    servers.append([2])

    first.append(3)
    servers[1].append(4)

    assert kept["servers"] == [[1, 3], [2, 4]]


def test_value_is_one_object_however_often_it_is_read() -> None:
    """Changes through two names of one list are both kept."""
    kept = Kept()
    kept["servers"] = [0]
    one, other = kept["servers"], dict(kept)["servers"]

    one.append(1)
    other.append(2)
    one.append(3)

    assert dict(kept) == {"servers": [0, 1, 2, 3]}
    assert one is other


def test_replaced_value_does_not_come_back() -> None:
    """A list whose key was set again since is no part of the mapping any more."""
    kept = Kept()
    kept["servers"] = ["old"]
    old = kept["servers"]
    kept["servers"] = ["new"]

    old.append("late")

    assert kept["servers"] == ["new"]
    assert old == ["old", "late"]


def test_removed_value_does_not_come_back() -> None:
    """A list that was popped can be emptied, and its key stays away."""
    kept = Kept()
    kept["servers"] = ["i-0", "i-1"]
    servers = kept.pop("servers")

    while servers:
        servers.pop()

    assert dict(kept) == {}


def test_what_is_put_in_is_durable_where_it_stands() -> None:
    """A dict that was put into a list is written when it changes there."""
    kept = Kept()
    kept["servers"] = []
    servers = kept["servers"]
    servers.append({"ports": []})

    servers[0]["ports"].append(80)

    assert kept["servers"] == [{"ports": [80]}]


def test_change_that_cannot_be_kept_is_refused() -> None:
    """A change to a value that JSON cannot hold is an error that names the resource, at any depth."""
    kept = Kept()
    kept["servers"] = [[1]]

    with pytest.raises(UnkeptResource, match=r"resource .servers. of stations\.py::rent"):
        kept["servers"][0].append(object())

    assert kept["servers"] == [[1]]


def test_values_look_like_plain_ones() -> None:
    """The values of a mapping compare, print and encode like plain lists and dicts."""
    kept = Kept()
    kept["servers"] = {"a": [1]}

    assert repr(kept["servers"]) == "{'a': [1]}"
    assert msgspec.json.encode(kept["servers"]) == b'{"a":[1]}'
    assert isinstance(kept["servers"], dict)


def test_late_changes_are_written_and_told() -> None:
    """A list that was changed after it was set is written when the mapping is asked to."""
    kept = Kept()
    ids: list[int] = []
    kept["ids"] = ids
    kept["port"] = 80
    ids.append(1)

    assert dict(kept) == {"ids": [], "port": 80}
    assert kept.write_late_changes() == ["ids"]
    assert dict(kept) == {"ids": [1], "port": 80}
    assert kept.write_late_changes() == []


@pytest.mark.parametrize("then", ["delete", "set again", "change what is kept"])
def test_late_changes_of_what_is_gone_do_not_count(then: str) -> None:
    """A list that is no longer what is kept under its key may change."""
    kept = Kept()
    ids = [1]
    kept["ids"] = ids
    if then == "delete":
        del kept["ids"]
    elif then == "set again":
        kept["ids"] = 5
    else:
        kept["ids"].append(2)
    before = dict(kept)
    ids.append(3)

    assert (kept.write_late_changes(), dict(kept)) == ([], before)
