"""The facts of one session, as files for machines and pages for people have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from pytest_choochoo.engine.ledger.record import Finding, PastRun, Record, Result, Word
from pytest_choochoo.engine.outcomes.marks import tokens_at
from pytest_choochoo.engine.place import Scope
from pytest_choochoo.engine.route import Route, StationInfo

#: Raised when a reader of an earlier document could misread a later one.
VERSION = 1


class AttemptFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One visit that was begun: when, how it ended, and why it was made; *seconds* it took."""

    began: str
    status: str
    seconds: float | None
    reasons: tuple[str, ...]
    error: str


class InputFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One input of the last visit: its *kind* and its *name*.

    *state*: `same`, `changed`, `new` or `gone`, compared with the visit before; left out where
    there was none. *old* and *new*: the two values, where they may be shown. Variables of the
    environment and files have a name alone.
    """

    kind: str
    name: str
    state: str | UnsetType = UNSET
    old: str | UnsetType = UNSET
    new: str | UnsetType = UNSET


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier run, replay or clean: when it *started*, how many *seconds* it took.

    *counts*: the number of stations of each result. *exit_code* is pytest's.
    """

    started: str
    command: str
    counts: dict[str, int]
    seconds: float
    exit_code: int


class StationFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One station of a session; what the command does not know is left out.

    *taken_over_from*: its former name, whose record the next run takes over.
    *result*: how it ended in this run; *verdict*: what a run would do (`--cc-plan`); *status*:
    what its record says (`--cc-status`). *upstream*: the names of the stations that it needs;
    *upstream_ids*: their node ids, in the same order. *place*: where its effect counts.
    *cause*: the error where it failed, the reason where it was skipped. *findings*: the faults that
    an audit found in it. *blocked_by*: the stations
    that block it, or with which it was cleaned. *seconds*: how long its visit took; *spared*: how
    long the visit took that was not repeated. *outcome*: the recorded one, with `***` in place of
    secrets. *began*, *ended*, *worker*: when and where its item was run in this session.
    *traceback*: the error in detail. *output*: what it printed in this session, else what its last
    visit printed. In *cause*, *reasons*, *checks*, *findings*, *attempts*, *traceback* and
    *output*, `***` stands for the secrets that are known in this session.
    """

    name: str
    node_id: str
    title: str
    upstream: tuple[str, ...]
    upstream_ids: tuple[str, ...]
    reasons: tuple[str, ...]
    seconds: float
    place: Scope | UnsetType = UNSET
    taken_over_from: str | UnsetType = UNSET
    result: Word | UnsetType = UNSET
    verdict: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    cause: str | UnsetType = UNSET
    blocked_by: tuple[str, ...] | UnsetType = UNSET
    spared: float | UnsetType = UNSET
    checks: dict[str, str] | UnsetType = UNSET
    findings: tuple[Finding, ...] | UnsetType = UNSET
    visited: str | UnsetType | None = UNSET
    outcome: Any = UNSET
    attempts: tuple[AttemptFacts, ...] | UnsetType = UNSET
    inputs: tuple[InputFacts, ...] | UnsetType = UNSET
    resources: dict[str, Any] | UnsetType = UNSET
    began: str | UnsetType = UNSET
    ended: str | UnsetType = UNSET
    worker: str | UnsetType = UNSET
    traceback: str | UnsetType = UNSET
    output: str | UnsetType = UNSET


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of one session.

    *schema*: the version of this form. *command*: `run`, `plan`, `status`, `explain`, `check`,
    `clean`, `redo`, `accept` or `audit`.
    *started* and *finished* are in UTC. *exit_code* is pytest's. *counts*: the number of stations
    of each result, verdict or status. *project*: the name of rootdir.
    *history*: the runs, replays, redos, cleans and audits before this session, the last one first.
    """

    schema: Annotated[int, msgspec.Meta(ge=VERSION, le=VERSION)]
    command: str
    profile: str
    started: str
    finished: str
    exit_code: int
    counts: dict[str, int]
    stations: tuple[StationFacts, ...]
    project: str | UnsetType = UNSET
    history: tuple[RunFacts, ...] | UnsetType = UNSET


#: The stations that a command has shown, where they are no results of a run.
SHOWN = pytest.StashKey[tuple[StationFacts, ...]]()


def facts_of_station(route: Route, key: str, record: Record | None, **known: Any) -> StationFacts:
    """Return the facts of the station *key* with its *record*, and all that is *known* beside."""
    stop, upstream = route[key], route.upstream[key]
    return StationFacts(
        name=stop.name,
        node_id=key,
        title=stop.station.title,
        upstream=route.names(upstream),
        upstream_ids=upstream,
        place=stop.station.declaration.place,
        outcome=outcome_of(record),
        **known,
    )


def facts_of_result(result: Result, station: StationInfo | None) -> StationFacts:
    """Return the facts of a station that ended with *result*; *station* if it was selected."""
    return StationFacts(
        name=result.name,
        node_id=result.key,
        title=result.title,
        upstream=result.upstream,
        upstream_ids=() if station is None else station.upstream,
        place=UNSET if station is None else station.place,
        reasons=result.reasons,
        seconds=result.seconds,
        result=result.word,
        cause=result.cause or UNSET,
        blocked_by=result.by or UNSET,
        spared=result.spared or UNSET,
        checks=result.checks or UNSET,
        findings=result.findings or UNSET,
    )


def facts_of_past(run: PastRun) -> RunFacts:
    """Return the facts of an earlier run."""
    return RunFacts(
        started=in_utc(run.began),
        command=run.command,
        counts=run.counts,
        seconds=run.seconds,
        exit_code=run.exit_code,
    )


def outcome_of(record: Record | None) -> Any:
    """Return the outcome in *record* as plain data, with `***` for secrets; UNSET for none."""
    if record is None or record.outcome is None:
        return UNSET
    text = record.outcome
    for token in tokens_at(text, record.secrets):
        text = text.replace(token, "***")
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return UNSET  # damaged, so that no consumer receives it either


def counts_of(stations: Iterable[StationFacts]) -> dict[str, int]:
    """Return the number of *stations* of each result, verdict or status."""
    return dict(Counter(word_of(each) for each in stations))


def word_of(station: StationFacts) -> str:
    """Return the result of *station*, or its verdict or status in a command that has no results."""
    words = (station.result, station.verdict, station.status)
    return next(word for word in words if isinstance(word, str))


def in_utc(seconds: float) -> str:
    """Return *seconds* since the epoch as a date and time in UTC, as JSON Schema has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


if __name__ == "__main__":
    import json
    import sys

    json.dump(msgspec.json.schema(Document), sys.stdout, indent=2)
    sys.stdout.write("\n")
