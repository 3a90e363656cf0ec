"""The events of visits, which tell while a run goes on what is under way."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.engine.visit import AwaitsCheck, Progressed, ProgressReport

# Characters of a unit or a description; a screen has no room for more.
_LONGEST = 200


class VisitStarted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The visit of the station *key* begins, for *reasons*."""

    key: str
    reasons: tuple[str, ...] = ()


class VisitEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A visit has ended with *result*, and is recorded."""

    result: Result


#: An event that can be sent to another process.
Event = VisitStarted | Progressed | AwaitsCheck | VisitEnded
#: An event in the process of the visit, where a report of progress can be looked at.
LocalEvent = VisitStarted | ProgressReport | AwaitsCheck | VisitEnded


def progress_to_show(told: Progressed) -> Progressed:
    """Return *told* as it can be sent and shown, whatever its station passed on.

    Numbers that are none, or infinite, count as unknown; texts are short and printable.
    """
    return msgspec.structs.replace(
        told,
        done=_number(told.done) or 0.0,
        total=_number(told.total),
        unit=_text(told.unit),
        description=_text(told.description),
    )


def _number(given: Any) -> float | None:
    try:
        number = float(given)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _text(given: object) -> str:
    text = given if isinstance(given, str) else str(given)
    return shown(text[:_LONGEST])
