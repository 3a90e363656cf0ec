"""The findings of an audit: what a station did, compared with what it should have done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from pytest_choochoo.engine.ledger.record import Finding
from pytest_choochoo.engine.outcomes.codec import Outcome
from pytest_choochoo.engine.outcomes.marks import tokens_at
from pytest_choochoo.engine.shown import shown

#: The number of differences to show of two outcomes.
_SHOWN = 5
#: The number of characters to show of one value.
_VALUE = 80
_MISSING = object()


def passes_in_absence(check: str) -> Finding:
    """Return the finding that *check* passes although nothing was done."""
    return Finding(
        kind="blind check",
        done=f"check {check} was asked before anything was done",
        expected="it does not pass",
        seen=f"{check} passes: it cannot see that nothing is there",
    )


def cannot_repeat(error: str) -> Finding:
    """Return the finding that a second visit did not succeed, but ended with *error*."""
    return Finding(
        kind="not idempotent",
        done="it was visited again at once",
        expected="the visit succeeds and all checks pass, as they did before",
        seen=error,
    )


def differs(old: Outcome, new: Outcome) -> Finding | None:
    """Return the finding that a second visit returned *new* after *old*; None if both are equal."""
    if old.digest == new.digest:
        return None
    return Finding(
        kind="not idempotent",
        done="it was visited again at once",
        expected="the same outcome",
        seen="; ".join(_differences(old, new)),
    )


def leaves_more(ids: Mapping[str, Any]) -> Finding:
    """Return the finding that a second visit noted more *ids* in its resources."""
    return Finding(
        kind="not idempotent",
        done="it was visited again at once",
        expected="no other resources than those of the first visit",
        seen=f"more resources: {', '.join(ids)}",
    )


def finds_nothing() -> Finding:
    """Return the finding that a find returned nothing after the visits."""
    return _wrong_find("it returned nothing")


def finds_unfit(error: str) -> Finding:
    """Return the finding that a find returned no outcome of its station, as *error* says."""
    return _wrong_find(error)


def finds_other(made: Outcome, found: Outcome) -> Finding | None:
    """Return the finding that a find returned *found* where a visit *made* another outcome."""
    if made.digest == found.digest:
        return None
    return _wrong_find("; ".join(_differences(made, found)))


def _wrong_find(seen: str) -> Finding:
    return Finding(
        kind="wrong find",
        done="its find was asked after its visits",
        expected="the outcome of the visit",
        seen=seen,
    )


def reads(name: str, where: str, keyword: str) -> Finding:
    """Return the finding that a visit read the input *name*, which no *keyword* declares."""
    return Finding(
        kind="undeclared input",
        done="it was visited",
        expected=f"what it reads is declared: {keyword}=[{name!r}]",
        seen=f"it read {name} at {where}",
    )


def still_passes(check: str) -> Finding:
    """Return the finding that *check* passes after the clean."""
    return Finding(
        kind="not undone",
        done="it was cleaned",
        expected=f"check {check} does not pass any more",
        seen=f"{check} still passes: the clean or the check is wrong",
    )


def still_found(found: Outcome) -> Finding:
    """Return the finding that a find returned *found* after the clean."""
    return Finding(
        kind="not undone",
        done="it was cleaned",
        expected="its find returns nothing any more",
        seen=f"it found {_shown(msgspec.json.decode(found.text), _tokens(found))}",
    )


def leaves_resources(ids: Mapping[str, Any]) -> Finding:
    """Return the finding that *ids* are in the resources after the clean."""
    return Finding(
        kind="not undone",
        done="it was cleaned",
        expected="its clean deletes from visit.resources what it undid",
        seen=f"left in its resources: {', '.join(ids)}",
    )


def cannot_be_made_again(error: str) -> Finding:
    """Return the finding that a visit after the clean ended with *error*."""
    return Finding(
        kind="not repeatable",
        done="it was cleaned, and visited once more",
        expected="the visit succeeds and all checks pass",
        seen=error,
    )


def lines(found: Iterable[Finding]) -> tuple[str, ...]:
    """Return what was *found* in a line for each kind."""
    by_kind: dict[str, list[str]] = {}
    for finding in found:
        by_kind.setdefault(finding.kind, []).append(finding.seen)
    return tuple(f"{kind}: {', '.join(seen)}" for kind, seen in by_kind.items())


def full_text(finding: Finding) -> str:
    """Return *finding* as a line for its kind, and one for each of its parts."""
    parts = {"done": finding.done, "expected": finding.expected, "seen": finding.seen}
    lines = (f"  {f'{name}:':<9} {shown(text)}" for name, text in parts.items())
    return "\n".join((finding.kind, *lines))


def _differences(old: Outcome, new: Outcome) -> Iterator[str]:
    """Yield the fields that differ between *old* and *new*, each with both values."""
    tokens = {*_tokens(old), *_tokens(new)}
    found = [*_compared("", msgspec.json.decode(old.text), msgspec.json.decode(new.text))]
    for path, was, now in found[:_SHOWN]:
        name = _hidden(path, tokens) or "the outcome"
        yield f"{name}: {_shown(was, tokens)} -> {_shown(now, tokens)}"
    if not found:
        yield "the outcome is another one, in the type of a value"
    if found[_SHOWN:]:
        yield f"and {len(found) - _SHOWN} more"


def _tokens(outcome: Outcome) -> list[str]:
    return tokens_at(outcome.text, outcome.secrets)


def _hidden(text: str, tokens: Iterable[str]) -> str:
    """Return *text* with `***` for secrets, for which the *tokens* stand in it."""
    for token in tokens:
        text = text.replace(token, "***")
    return text


def _compared(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    match old, new:
        case dict(), dict():
            for name in dict.fromkeys((*old, *new)):
                below = f"{path}.{name}" if path else name
                yield from _compared(below, old.get(name, _MISSING), new.get(name, _MISSING))
        case list(), list() if len(old) == len(new):
            for index, (was, now) in enumerate(zip(old, new)):
                yield from _compared(f"{path}[{index}]", was, now)
        case _ if old is not new and (type(old), old) != (type(new), new):
            yield path, old, new


def _shown(value: Any, tokens: Iterable[str]) -> str:
    text = "nothing" if value is _MISSING else _hidden(repr(value), tokens)
    return text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}…"
