"""The verdict on a station: its record compared with its inputs as they are now."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from pytest_choochoo.engine.code.definitions import same_code
from pytest_choochoo.engine.errors import SecretNotKept, check_line, shortened
from pytest_choochoo.engine.ledger.record import Fingerprint, Record
from pytest_choochoo.engine.outcomes.codec import NOTHING
from pytest_choochoo.engine.place import Elsewhere, Scope
from pytest_choochoo.engine.wording import elapsed

Kind = Literal[
    "replay",
    "no record",
    "last visit",
    "input",
    "product",
    "age",
    "code",
    "drift",
    "outcome",
    "secret",
]
Texts = dict[str, str]


class Reason(msgspec.Struct, frozen=True):
    """Why a station is due: the kind of reason, and its text."""

    kind: Kind
    text: str


class Fresh(msgspec.Struct, frozen=True, kw_only=True):
    """No input changed since the station was completed; its checks, if any, may still fail."""


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """The station must be visited, unless *check_settles* and all its checks pass.

    *asks_find*: its outcome is unknown, and its find may know it; *check_settles* then means that
    it need not be visited if its find returns an outcome, and all its checks pass with it.
    """

    reasons: tuple[Reason, ...]
    check_settles: bool
    asks_find: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(reason.text for reason in self.reasons)


class Blocked(msgspec.Struct, frozen=True, kw_only=True):
    """A station upstream did not complete: *by* names those that failed."""

    by: tuple[str, ...]


Verdict = Fresh | Due | Blocked

# The reasons that a check can judge by itself; it cannot see that an input changed.
_CHECK_SEES: frozenset[Kind] = frozenset({"no record", "last visit", "code"})
# A find restores an outcome as well.
_FIND_SEES: frozenset[Kind] = _CHECK_SEES | {"outcome", "secret"}

# Seconds by which a visit may lie in the future, as the clocks of two machines differ.
_CLOCK_SKEW = 300


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The facts that a verdict depends on. *now* is in seconds since the epoch.

    *products*: their digests now. *is_replayed*: the user requests the visit. *required*: why
    the command makes it in any case, "" if it does not.
    *returns_outcome*: the visit returns something that must be known. *is_locked*:
    another process is visiting it right now. *secret_for*: the consumers of a secret
    in its outcome that only a visit can restore. *decode_error*: why its recorded
    outcome cannot be decoded. *elsewhere*: what is known of it where it has no record.
    """

    record: Record | None
    fingerprint: Fingerprint
    products: dict[str, str]
    max_age: float | None
    has_check: bool
    has_find: bool = False
    returns_outcome: bool
    is_replayed: bool
    is_locked: bool
    now: float
    required: str = ""
    secret_for: tuple[str, ...] = ()
    decode_error: str = ""
    elsewhere: str = ""


def judge(facts: Facts) -> Fresh | Due:
    """Return whether a station whose upstream is complete must be visited, with every reason."""
    reasons = tuple(_reasons(facts))
    if facts.decode_error:
        reasons += (Reason("outcome", facts.decode_error),)
    if facts.secret_for:
        reasons += (secret_needed(facts.secret_for),)
    if not reasons:
        return Fresh()
    if (facts.has_check or facts.has_find) and not _was_visited(facts.record):
        # Nothing is known of its products, but a check must not hide that one is missing.
        reasons += tuple(_product_changes(facts.products, facts.products))
    if facts.has_find and not _is_known_as_things_are(facts, reasons):
        settles = all(reason.kind in _FIND_SEES for reason in reasons)
        return Due(reasons=reasons, check_settles=settles, asks_find=True)
    seen_by_check = facts.has_check and all(reason.kind in _CHECK_SEES for reason in reasons)
    if seen_by_check and not _outcome_is_known(facts):
        if facts.record is not None or facts.elsewhere:  # a first visit needs no other reason
            unknown = "its outcome is unknown: checks cannot restore it"
            reasons += (Reason("outcome", unknown),)
        return Due(reasons=reasons, check_settles=False)
    return Due(reasons=reasons, check_settles=seen_by_check)


def _outcome_is_known(facts: Facts) -> bool:
    record = facts.record
    if not facts.returns_outcome:
        return True
    return record is not None and record.fingerprint is not None and record.is_sound


def _is_known_as_things_are(facts: Facts, reasons: tuple[Reason, ...]) -> bool:
    """Return whether a visit has returned the outcome since the inputs changed."""
    lost = {"input", "outcome", "secret"}
    return _outcome_is_known(facts) and all(reason.kind not in lost for reason in reasons)


def _was_visited(record: Record | None) -> bool:
    return record is not None and record.fingerprint is not None


def _reasons(facts: Facts) -> Iterator[Reason]:
    record = facts.record
    if facts.is_replayed:
        yield Reason("replay", "selected by --cc-replay")
    if facts.required:
        yield Reason("replay", facts.required)
    incomplete = why_incomplete(
        record, is_locked=facts.is_locked, now=facts.now, elsewhere=facts.elsewhere
    )
    if incomplete is not None:
        yield incomplete
    if record is not None and record.fingerprint is not None:
        taken, now = record.fingerprint, facts.fingerprint
        yield from changes(taken, now)
        old, new = record.products, facts.products
        if taken.key != now.key and _is_key_lost(taken, now):
            old, new = _presence(old), _presence(new)
        yield from _product_changes(old, new)
        if facts.max_age is not None:
            yield from _too_old(facts.now - record.visited, facts.max_age)


def _too_old(age: float, max_age: float) -> Iterator[Reason]:
    """Yield the reason where *age*, in seconds, is over *max_age*."""
    limit = elapsed(max_age)
    if age > max_age:
        yield Reason("age", f"visited {elapsed(age)} ago, max_age is {limit}")
    elif age < -_CLOCK_SKEW:
        yield Reason("age", f"visited {elapsed(-age)} in the future, max_age is {limit}")


def secret_needed(names: tuple[str, ...]) -> Reason:
    """Return why a station is visited again for *names*, as secrets are never written down."""
    *others, last = names if len(names) < 4 else (*names[:2], f"{len(names) - 2} others")
    subject = f"{', '.join(others)} and {last} need" if others else f"{last} needs"
    return Reason("secret", f"its outcome has a secret, which {subject}")


def failed_check(station: str, check: str, error: BaseException, drift: str) -> Reason:
    """Return why *station* is visited if its *check* does not pass, but raises *error*."""
    if isinstance(error, SecretNotKept) and error.name == station:
        return secret_needed((f"check {check}",))
    return Reason("drift", drift + check_line(check, error))


def visited_elsewhere(place: Scope, found: Elsewhere, now: float) -> str:
    """Return why a visit that was *found* does not count here, for a station with *place*."""
    here = "on this machine" if place == "host" else "in this checkout"
    return f"never visited {here}; in {found.path} on {found.host} {elapsed(now - found.when)} ago"


def why_incomplete(
    record: Record | None, *, is_locked: bool, now: float, elsewhere: str = ""
) -> Reason | None:
    """Return why *record* does not show a complete station, None if it does.

    *elsewhere*: what is known of the station where there is no record.
    """
    if record is None:
        return Reason("no record", elsewhere or "first visit")
    ago = elapsed(now - record.since)
    process = f" process {record.pid} on {record.host}" if record.pid else ""
    match record.status:
        case "failed":
            return Reason("last visit", f"last visit failed {ago} ago: {shortened(record.error)}")
        case "interrupted":
            where = process and f", in{process}"
            return Reason("last visit", f"last visit was interrupted {ago} ago{where}")
        case "visiting" if is_locked:
            return Reason("last visit", f"it is being visited right now by {record.visitor}")
        case "visiting":
            by = process and f" by{process}"
            return Reason("last visit", f"last visit was interrupted, begun {ago} ago{by}")
        case "forgotten" | "left in place":
            return Reason("no record", f"forgotten {ago} ago")
        case "cleaned":
            return Reason("no record", f"cleaned {ago} ago")
        case "unreadable":
            return Reason("no record", f"record unreadable: {record.error}")
        case "complete":
            return None


def changes(old: Fingerprint, new: Fingerprint) -> Iterator[Reason]:
    """Yield a reason for every input that differs between *old* and *new*."""
    if old == new:  # as in most comparisons
        return
    hints = old.hints, new.hints
    if old.key != new.key and _is_key_lost(old, new):
        yield Reason("input", _KEY_LOST)
        old, new = _without_digests(old), _without_digests(new)
    upstream = old.upstream if old.form else _without_nothing(old.upstream, new.upstream)
    yield from _compared("input", "outcome of", upstream, new.upstream, hints)
    if old.form:
        products = old.upstream_products, new.upstream_products
        yield from _compared("input", "product", *products, hints)
    for name, renewal in new.renewals.items():
        if old.renewals.get(name) != renewal:
            yield Reason("input", f"{name} was made again from nothing")
    yield from _compared("input", "file", old.files, new.files, hints)
    yield from _compared("input", "env", old.env, new.env, hints)
    yield from _compared("input", "parameter", old.parameters, new.parameters, hints)
    if new.values is not None:
        yield from _compared("input", "value", old.values or {}, new.values, hints)
    was, is_now = old.code.get("version"), new.code.get("version")
    if was is None and is_now is None:
        yield from _compared("code", "code of", old.code, new.code, hints, same_code)
    elif was != is_now:
        yield Reason("code", f"version {_verb(was, is_now)}{_shown(was, is_now)}")


_KEY_LOST = "its env, files and products cannot be compared: the key of the ledger was lost"


def _is_key_lost(old: Fingerprint, new: Fingerprint) -> bool:
    """Return whether *old* and *new*, whose keys differ, both have digests made with a key."""
    return bool(old.key and new.key)


def _without_digests(taken: Fingerprint) -> Fingerprint:
    """Return *taken* with no more of what is keyed than whether it is there."""
    return msgspec.structs.replace(
        taken,
        upstream_products=_presence(taken.upstream_products),
        files=_presence(taken.files),
        env=_presence(taken.env),
    )


def _presence(texts: Texts) -> Texts:
    return {name: digest and "there" for name, digest in texts.items()}


def _without_nothing(old: Texts, new: Texts) -> Texts:
    """Return *old*, of form 0, without the stations that return nothing and are not in *new*."""
    return {name: digest for name, digest in old.items() if digest != NOTHING or name in new}


def _compared(
    kind: Kind,
    what: str,
    old: Texts,
    new: Texts,
    hints: tuple[Texts, Texts],
    are_same: Callable[[str | None, str | None], bool] = operator.eq,
) -> Iterator[Reason]:
    if old == new:
        return
    for name in sorted(old.keys() | new.keys()):
        was, is_now = old.get(name), new.get(name)
        if not are_same(was, is_now):
            subject = f"{what} {name}"
            shown = _shown(hints[0].get(subject), hints[1].get(subject))
            yield Reason(kind, f"{subject} {_verb(was, is_now)}{shown}")


def _verb(old: str | None, new: str | None) -> str:
    # The digest of a declared input that does not exist, like a variable not set, is empty.
    if new is None or (old and not new):
        return "removed"
    return "changed" if old else "added"


def _shown(old: str | None, new: str | None) -> str:
    return f": {old} -> {new}" if old and new and old != new else ""


def _product_changes(old: Texts, new: Texts) -> Iterator[Reason]:
    for name, digest in new.items():
        if not digest:
            yield Reason("product", f"product {name} is missing")
        elif old.get(name) != digest:
            yield Reason("product", f"product {name} {_verb(old.get(name), digest)}")
