"""The outcomes of all stations: kept as text, handed out as copies."""

from __future__ import annotations

import dis
import inspect
import typing
from collections.abc import Iterable
from functools import cache
from typing import Any

from pytest_choochoo.engine.errors import UnreadableOutcome, Unstorable
from pytest_choochoo.engine.ledger.protocol import Records
from pytest_choochoo.engine.ledger.record import Record
from pytest_choochoo.engine.outcomes import codec as form
from pytest_choochoo.engine.outcomes.codec import Codec, Outcome
from pytest_choochoo.engine.route import Route, StationInstance
from pytest_choochoo.engine.secrets import TOKEN_PREFIX
from pytest_choochoo.engine.station import Station
from pytest_choochoo.engine.wording import error_line


class Outcomes:
    """What stations returned, in this run or before; every consumer gets a copy of its own."""

    def __init__(self, route: Route, ledger: Records, codec: Codec) -> None:
        self._route = route
        self._ledger = ledger
        self._codec = codec
        self._annotation = cache(_annotation)
        self._latest: dict[str, Outcome] = {}
        self._seen: dict[str, Outcome | None] = {}

    def encoded(self, key: str, value: object) -> Outcome:
        """Return *value* as it will be kept. Raises `Unstorable`."""
        station = self._route[key].station
        return form.encode(station.name, value, self._annotation(station), self._codec)

    def keep(self, key: str, outcome: Outcome | None) -> None:
        """Use *outcome* from now on, whatever the ledger says; None: what the ledger says."""
        self._seen.pop(key, None)
        if outcome is None:
            self._latest.pop(key, None)
        else:
            self._latest[key] = outcome

    def look_again(self) -> None:
        """Ask the ledger anew from now on.

        In between it is asked once for each outcome: what a consumer receives is
        what its fingerprint was taken of, whoever visits upstream meanwhile.
        """
        self._seen.clear()

    def find(self, key: str) -> Outcome | None:
        """Return the outcome of *key*, or None when none is known."""
        if key in self._latest:
            return self._latest[key]
        if key not in self._seen:
            record = self._ledger.record(key)
            self._seen[key] = (
                None
                if record is None or record.outcome is None
                else Outcome(text=record.outcome, digest=record.outcome_digest)
            )
        return self._seen[key]

    def has_lost_secret(self, key: str) -> bool:
        """Say whether the outcome of *key* has a secret that is not known in this run."""
        found = self.find(key)
        return found is not None and self._codec.safe.lacks(found.text)

    def lost(self, keys: Iterable[str]) -> list[str]:
        """Return those of *keys* with a secret in their outcome that this run does not know."""
        records = self._ledger.records(having=TOKEN_PREFIX)
        texts = {key: records[key].outcome or "" for key in keys if key in records}
        return [key for key, text in texts.items() if self._codec.safe.lacks(text)]

    def copy(self, key: str) -> Any:
        """Return a new copy of the outcome of *key*, None where none is known.

        Raises `UnreadableOutcome`.
        """
        found = self.find(key)
        return None if found is None else self._decoded(self._route[key], found.text)

    def previous(self, key: str) -> Any:
        """Return what was recorded before the visit under way, None where it cannot be read."""
        record = self._ledger.record(key)
        if record is None or record.outcome is None:
            return None
        try:
            return self._decoded(self._route[key], record.outcome)
        except UnreadableOutcome:
            return None  # the annotation changed since, which may be why it is visited

    def decode_error(self, key: str, record: Record | None) -> str:
        """Return why the outcome in *record* does not fit what *key* returns, empty if it does.

        Raises `Unstorable` when the annotation cannot be understood.
        """
        stop = self._route[key]
        if record is None or record.outcome is None or self._annotation(stop.station) is Any:
            return ""
        try:
            self._decoded(stop, record.outcome)
        except UnreadableOutcome as error:
            return error.cause
        except Exception as error:  # noqa: BLE001 - a class of the user's may raise anything
            return error_line(error)
        return ""

    def _decoded(self, stop: StationInstance, text: str) -> Any:
        return form.decode(stop.name, text, self._annotation(stop.station), self._codec)

    def is_expected(self, station: Station[Any]) -> bool:
        """Say whether a visit of *station* returns something that must be known."""
        stated = self._annotation(station)
        return stated is not type(None) and (stated is not Any or _returns_something(station))


def _annotation(station: Station[Any]) -> Any:
    """Return the type that *station* says it returns, `Any` where it says nothing.

    Raises `Unstorable` when the annotation cannot be understood.
    """
    plain = inspect.unwrap(station.function)
    stated = getattr(plain, "__annotations__", {}).get("return", Any)
    if isinstance(stated, str):
        # Only this one: parameters may name what is imported for type checkers alone.
        alone = type("alone", (), {"__annotations__": {"return": stated}})
        try:
            stated = typing.get_type_hints(alone, getattr(plain, "__globals__", {}))["return"]
        except (NameError, TypeError, SyntaxError, AttributeError) as error:
            raise Unstorable(station.name, str(stated), f"its annotation: {error}") from None
    if stated is None:
        return type(None)
    return Any if stated is object else stated


def _returns_something(station: Station[Any]) -> bool:
    """Say whether the function has a `return` with a value."""
    plain: Any = inspect.unwrap(station.function)
    before = None
    for instruction in dis.get_instructions(plain.__code__):
        if instruction.opname == "RETURN_CONST" and instruction.argval is not None:
            return True
        if instruction.opname == "RETURN_VALUE":
            nothing = before is not None and (before.opname, before.argval) == ("LOAD_CONST", None)
            if not nothing:
                return True
        before = instruction
    return False
