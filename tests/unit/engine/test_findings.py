"""The findings of an audit: outcomes compared leaf by leaf, and nothing secret in a text."""

# No future import here: annotations must be types, not strings.
import copy
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_choochoo import Secret
from pytest_choochoo.engine import findings
from pytest_choochoo.engine.ledger.record import Finding
from pytest_choochoo.engine.outcomes.codec import Codec, Outcome, encode
from pytest_choochoo.engine.secrets import SecretStore

CODEC = Codec(
    encode=lambda value: None,
    decode=lambda kind, plain: None,
    secrets=SecretStore(lambda: b"k" * 32),
)


def outcome(value: object, annotation: Any = Any) -> Outcome:
    return encode("boil", value, annotation, CODEC)


def difference(old: object, new: object, annotation: Any = Any) -> str:
    """Return what is said of the outcome *new* after *old*, "" for nothing."""
    found = findings.differs(outcome(old, annotation), outcome(new, annotation))
    return found.seen if found else ""


@dataclass
class Kettle:
    name: str
    sizes: list[int]
    prices: dict[str, dict[str, float]]


KETTLE = Kettle("steel", [1, 2], {"de": {"net": 1.5}})


@pytest.mark.parametrize(
    ("new", "seen"),
    [
        (KETTLE, ""),
        (replace(KETTLE, name="iron"), "name: 'steel' -> 'iron'"),
        (replace(KETTLE, sizes=[1, 3]), "sizes[1]: 2 -> 3"),
        (replace(KETTLE, sizes=[1, 2, 3]), "sizes: [1, 2] -> [1, 2, 3]"),
        (replace(KETTLE, sizes=[]), "sizes: [1, 2] -> []"),
        (replace(KETTLE, prices={"de": {"net": 2.5}}), "prices.de.net: 1.5 -> 2.5"),
        (
            replace(KETTLE, prices={"at": {"net": 1.5}}),
            "prices.de: {'net': 1.5} -> nothing; prices.at: nothing -> {'net': 1.5}",
        ),
        (
            replace(KETTLE, name="iron", sizes=[2, 1]),
            "name: 'steel' -> 'iron'; sizes[0]: 1 -> 2; sizes[1]: 2 -> 1",
        ),
    ],
)
def test_fields_that_differ(new: Kettle, seen: str) -> None:
    """Each field that differs has its path, and both values."""
    assert difference(KETTLE, new, Kettle) == seen


@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        (1, 2, "the outcome: 1 -> 2"),
        (1, True, "the outcome: 1 -> True"),
        (1, 1.0, "the outcome: 1 -> 1.0"),
        (None, 0, "the outcome: None -> 0"),
        ({"a": 1}, [1], "the outcome: {'a': 1} -> [1]"),
        ([[1], [2]], [[1], [3]], "[1][0]: 2 -> 3"),
        ([{"a": 1}], [{"a": 2}], "[0].a: 1 -> 2"),
        ({"a": None}, {}, "a: None -> nothing"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, ""),
    ],
)
def test_plain_values_that_differ(old: object, new: object, seen: str) -> None:
    """A value differs from one of another type; the order of a dict is of no account."""
    assert difference(old, new) == seen


def test_long_values_are_cut() -> None:
    """A value is shown in 80 characters."""
    seen = difference("a" * 200, "b")

    assert seen == f"the outcome: '{'a' * 78}… -> 'b'"


def test_secrets_are_hidden() -> None:
    """A secret that differs is found at its path, and neither it nor its token is shown."""
    old, new = ({"key": Secret(word), "size": 1} for word in ("open", "sesame"))

    assert difference(old, old) == ""
    assert difference(old, new) == "key: '***' -> '***'"
    assert difference({Secret("a"): 1}, {Secret("a"): 2}, dict[Secret[str], int]) == "***: 1 -> 2"
    found = findings.still_found(outcome(new))
    assert found.seen == "it found {'key': '***', 'size': 1}"


names = st.text("abc", min_size=1, max_size=2)
values = st.recursive(
    st.integers(-9, 9) | st.booleans() | st.none() | st.text("xyz", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


@given(values, values)
def test_differs_as_digests_do(old: object, new: object) -> None:
    """There is a finding exactly where the digests differ, and it always says something."""
    first, second = outcome(old), outcome(new)

    found = findings.differs(first, second)

    assert (found is None) == (first.digest == second.digest)
    assert found is None or found.seen


@given(values, st.data())
def test_every_leaf_that_differs_is_shown(old: object, data: st.DataObject) -> None:
    """Each leaf that was changed is in the text, or counted in it, and no other is."""
    leaves = dict(_leaves("", old))
    changed = data.draw(st.sets(st.sampled_from([*leaves]))) if leaves else set()
    new = old
    for path in changed:
        new = _with(copy.deepcopy(new), leaves[path])

    parts = difference(old, new).split("; ") if changed else []

    assert bool(changed) == (outcome(old).digest != outcome(new).digest)
    shown = [part for part in parts if " -> " in part]
    more = [part for part in parts if " -> " not in part]
    paths = {part.partition(": ")[0] for part in shown}
    assert paths <= {path or "the outcome" for path in changed}
    assert len(paths) == len(shown) == min(len(changed), 5)
    assert more == ([f"and {len(changed) - 5} more"] if len(changed) > 5 else [])
    assert all(part.endswith("-> 'changed'") for part in shown)


def _leaves(path: str, value: object, way: tuple[Any, ...] = ()) -> Any:
    """Yield the path of each leaf of *value* as it is shown, and the way to it."""
    if isinstance(value, dict) and value:
        for name, each in value.items():
            yield from _leaves(f"{path}.{name}" if path else name, each, (*way, name))
    elif isinstance(value, list) and value:
        for index, each in enumerate(value):
            yield from _leaves(f"{path}[{index}]", each, (*way, index))
    else:
        yield path, way


def _with(value: Any, way: tuple[Any, ...]) -> Any:
    if not way:
        return "changed"
    value[way[0]] = _with(value[way[0]], way[1:])
    return value


ONE = Finding(kind="blind check", done="a", expected="b", seen="c")


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        ((), ()),
        ((ONE,), ("blind check: c",)),
        (
            (ONE, findings.finds_nothing(), findings.passes_in_absence("is_hot")),
            (
                "blind check: c, is_hot passes: it cannot see that nothing is there",
                "wrong find: it returned nothing",
            ),
        ),
    ],
)
def test_a_line_for_each_kind(found: tuple[Finding, ...], lines: tuple[str, ...]) -> None:
    """Findings of one kind share a line."""
    assert findings.lines(found) == lines


def test_full_text() -> None:
    """A finding is a block of lines, in which no text of others begins a line."""
    finding = findings.cannot_repeat("RuntimeError: no\n::error::water\x1b[0m")

    assert findings.full_text(finding) == (
        "not idempotent\n"
        "  done:     it was visited again at once\n"
        "  expected: the visit succeeds and all checks pass, as they did before\n"
        "  seen:     RuntimeError: no\\n::error::water\\x1b[0m"
    )


@pytest.mark.parametrize(
    ("finding", "words"),
    [
        (
            findings.passes_in_absence("is_hot"),
            (
                "blind check",
                "check is_hot was asked before anything was done",
                "it does not pass",
                "is_hot passes: it cannot see that nothing is there",
            ),
        ),
        (
            findings.leaves_more({"pod": 1, "disk": 2}),
            (
                "not idempotent",
                "it was visited again at once",
                "no other resources than those of the first visit",
                "more resources: pod, disk",
            ),
        ),
        (
            findings.finds_unfit("it is a list"),
            (
                "wrong find",
                "its find was asked after its visits",
                "the outcome of the visit",
                "it is a list",
            ),
        ),
        (
            findings.reads("notes.txt", "stations.py:3", "files"),
            (
                "undeclared input",
                "it was visited",
                "what it reads is declared: files=['notes.txt']",
                "it read notes.txt at stations.py:3",
            ),
        ),
        (
            findings.still_passes("is_hot"),
            (
                "not undone",
                "it was cleaned",
                "check is_hot does not pass any more",
                "is_hot still passes: the clean or the check is wrong",
            ),
        ),
        (
            findings.leaves_resources({"pod": 1}),
            (
                "not undone",
                "it was cleaned",
                "its clean deletes from visit.resources what it undid",
                "left in its resources: pod",
            ),
        ),
        (
            findings.cannot_be_made_again("OSError: no"),
            (
                "not repeatable",
                "it was cleaned, and visited once more",
                "the visit succeeds and all checks pass",
                "OSError: no",
            ),
        ),
    ],
    ids=lambda each: each.seen if isinstance(each, Finding) else "",
)
def test_words_of_a_finding(finding: Finding, words: tuple[str, str, str, str]) -> None:
    """A finding says what was done, what was expected, and what was seen."""
    assert (finding.kind, finding.done, finding.expected, finding.seen) == words
