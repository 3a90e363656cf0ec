"""The outcomes of all stations: kept as text, given to consumers as copies."""

from __future__ import annotations

import opcode
from collections.abc import Iterable
from functools import cache
from typing import Any

from pytest_choochoo.engine.digest import ROOT
from pytest_choochoo.engine.errors import UnreadableOutcome, error_line
from pytest_choochoo.engine.ledger.protocol import Records
from pytest_choochoo.engine.ledger.record import FORM, Record, SecretPath
from pytest_choochoo.engine.outcomes.annotations import annotation_of
from pytest_choochoo.engine.outcomes.codec import (
    Codec,
    Outcome,
    decode,
    digest_received,
    digest_recorded,
    encode,
    is_plain,
    lacks_secret,
    require_readable,
)
from pytest_choochoo.engine.route import Route, StationInstance
from pytest_choochoo.engine.secrets import TOKEN_PREFIX
from pytest_choochoo.engine.station import Station

_LOAD_CONST = opcode.opmap["LOAD_CONST"]
_RETURN_VALUE = opcode.opmap["RETURN_VALUE"]
_RETURN_CONST = opcode.opmap.get("RETURN_CONST", 255)  # in Python 3.12 and 3.13; 255 is none


class Outcomes:
    """The values that stations returned, now or in earlier runs; each consumer gets a copy."""

    def __init__(self, route: Route, ledger: Records, codec: Codec) -> None:
        self._route = route
        self._ledger = ledger
        self._codec = codec
        self._annotation = cache(annotation_of)
        self._is_plain = cache(lambda station: is_plain(self._annotation(station)))
        self._latest: dict[str, Outcome] = {}
        self._seen: dict[str, Record | None] = {}
        self._received: dict[tuple[object, ...], str] = {}
        #: Whether cleans receive the outcomes, those of forgotten stations included.
        self.for_cleans = False

    def encoded(self, key: str, value: object) -> Outcome:
        """Return *value* in the form that is recorded. Raises `Unstorable`."""
        station = self._route[key].station
        return encode(station.name, value, self._annotation(station), self._codec)

    def keep(self, key: str, outcome: Outcome | None) -> None:
        """Use *outcome* instead of the ledger's from now on; None: use the ledger's again."""
        self._seen.pop(key, None)
        if outcome is None:
            self._latest.pop(key, None)
        else:
            self._latest[key] = outcome

    def look_again(self) -> None:
        """Read records from the ledger again.

        Each is read once until the next call: a consumer receives the outcome that
        its fingerprint has, even if another process visits upstream meanwhile.
        """
        self._seen.clear()

    def find(self, key: str) -> Outcome | None:
        """Return the outcome of *key*, or None when there is none."""
        if key in self._latest:
            return self._latest[key]
        record = self.record(key)
        text = self._text(record)
        if record is None or text is None:
            return None
        return Outcome(text=text, digest=record.outcome_digest, secrets=record.secrets)

    def _text(self, record: Record | None) -> str | None:
        """Return the outcome in *record* as text, None if there is none for this command."""
        if record is None or record.outcome is not None or not self.for_cleans:
            return None if record is None else record.outcome
        return record.for_cleans

    def record(self, key: str) -> Record | None:
        """Return the record of *key*, with the outcome that consumers receive."""
        if key not in self._seen:
            self._seen[key] = self._ledger.record(key)
        return self._seen[key]

    def digest_received(self, key: str, outcome: Outcome, form: int = FORM) -> str:
        """Return the digest of what consumers receive as the *outcome* of *key*, types included.

        It is decoded for that, unless it is plain JSON: what the user's classes make of it
        may have changed. *form*: that of the fingerprint for which it is taken.
        """
        if self._is_plain(self._route[key].station) or (not form and ROOT not in outcome.text):
            return outcome.digest
        taken = key, outcome.text, outcome.secrets, form
        if taken not in self._received:
            codec = self._codec if form > 1 else self._codec.without_root()
            try:
                value = self._decoded(self._route[key], outcome.text, outcome.secrets)
                digest = digest_received(value, codec) if form else digest_recorded(value, codec)
                self._received[taken] = digest
            except Exception:  # noqa: BLE001 - the user's classes may raise anything
                return outcome.digest  # `decode_error` says what is wrong
        return self._received[taken]

    def without_secrets(self, text: str) -> str:
        """Return *text* with `***` in place of the secrets that are known in this run."""
        return self._codec.secrets.hidden(text) if text else ""

    def is_known(self, key: str) -> bool:
        """Return whether there is an outcome of *key*, with all its secrets."""
        return self.find(key) is not None and not self.has_lost_secret(key)

    def has_lost_secret(self, key: str) -> bool:
        """Return whether the outcome of *key* has a secret that is unknown in this run."""
        found = self.find(key)
        return found is not None and lacks_secret(found.text, found.secrets, self._codec)

    def lost(self, keys: Iterable[str]) -> list[str]:
        """Return those of *keys* whose outcome has a secret that is unknown in this run."""
        records = self._ledger.records(having=TOKEN_PREFIX)
        found = {key: records[key] for key in keys if key in records}
        return [
            key
            for key, record in found.items()
            if lacks_secret(record.outcome or "", record.secrets, self._codec)
        ]

    def copy(self, key: str) -> Any:
        """Return a new copy of the outcome of *key*, None if there is none.

        Raises `UnreadableOutcome`.
        """
        found = self.find(key)
        if found is None:
            return None
        return self._decoded(self._route[key], found.text, found.secrets)

    def previous(self, key: str) -> Any:
        """Return the outcome before the visit under way, None if it cannot be read."""
        record = self._ledger.record(key)
        text = self._text(record)
        if record is None or text is None:
            return None
        try:
            return self._decoded(self._route[key], text, record.secrets)
        except UnreadableOutcome:
            return None  # the annotation has changed, which may be why it is visited

    def decode_error(self, key: str, record: Record | None) -> str:
        """Return why *key* is due as the outcome in *record* cannot be decoded, "" if it can.

        Raises `Unstorable` when the annotation cannot be understood.
        """
        instance = self._route[key]
        if record is None or record.outcome is None:
            return ""
        is_annotated = self._annotation(instance.station) is not Any
        try:
            if is_annotated or record.secrets:
                self._decoded(instance, record.outcome, record.secrets)
            else:
                require_readable(instance.name, record.outcome)
        except UnreadableOutcome as error:
            return error.reason
        except Exception as error:  # noqa: BLE001 - the user's classes may raise anything
            return UnreadableOutcome(instance.name, error_line(error)).reason
        return ""

    def _decoded(
        self, instance: StationInstance, text: str, secrets: tuple[SecretPath, ...] | None
    ) -> Any:
        annotation = self._annotation(instance.station)
        return decode(instance.name, text, annotation, self._codec, secrets)

    def is_nothing(self, key: str, outcome: Outcome) -> bool:
        """Return whether *outcome* of *key* is None because its visits return nothing."""
        return outcome.text == "null" and not self.is_expected(self._route[key].station)

    def is_expected(self, station: Station[Any]) -> bool:
        """Return whether a visit of *station* returns a value that must be known."""
        return returns_outcome(station, self._annotation(station))


def returns_outcome(station: Station[Any], annotation: Any) -> bool:
    """Return whether a visit of *station*, with this return *annotation*, returns a value."""
    return annotation is not type(None) and (
        annotation is not Any or _returns_value(station.function)
    )


def _returns_value(function: Any) -> bool:
    """Return whether *function*, as it is called, has a `return` with a value.

    A decorator may return something where the function that it wraps returns nothing.
    """
    if not hasattr(function, "__code__"):
        is_cached = type(function).__module__ == "functools"  # it returns what it wraps returns
        return not is_cached or _returns_value(function.__wrapped__)
    # As `dis` would tell, which takes longer than all else that a fresh station needs.
    code = function.__code__
    steps, arguments = code.co_code[::2], code.co_code[1::2]
    for operation, back in ((_RETURN_CONST, 0), (_RETURN_VALUE, 1)):
        at = steps.find(operation)
        while at >= 0:
            constant = arguments[at - back]
            if at > back and steps[at - back - 1] == opcode.EXTENDED_ARG:
                constant |= arguments[at - back - 1] << 8
            is_constant = not back or steps[at - back] == _LOAD_CONST
            if not is_constant or code.co_consts[constant] is not None:
                return True
            at = steps.find(operation, at + 1)
    return False
