"""The document of a session, collected once for all files that are made of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from pytest_choochoo import storage
from pytest_choochoo.engine.ledger.protocol import Ledger
from pytest_choochoo.engine.ledger.record import (
    AttemptRecord,
    Fingerprint,
    Record,
    Result,
    to_text,
)
from pytest_choochoo.engine.outcomes.marks import tokens_at
from pytest_choochoo.engine.place import Scope
from pytest_choochoo.engine.shown import shown_indented
from pytest_choochoo.reporting.document import (
    SHOWN,
    VERSION,
    AttemptFacts,
    Document,
    InputFacts,
    StationFacts,
    counts_of,
    facts_of_result,
    in_utc,
)
from pytest_choochoo.reporting.notices import notify
from pytest_choochoo.reporting.terminal import RUN_FACTS
from pytest_choochoo.settings import Settings

#: The number of characters to keep of the end of a text: the output of a visit, a traceback.
TEXT_TAIL = 256 * 1024
#: The last attempts to keep of each station.
_ATTEMPTS = 5
#: The number of characters to keep of an outcome that is an input.
_VALUE = 300
#: A secret that is shorter may be part of any word.
_SHORTEST_SECRET = 4


class FactsFile(msgspec.Struct, frozen=True):
    """A file to be made of the session's facts, for which *option* asks; *render* returns it."""

    option: str
    path: Path
    render: Callable[[Document], str]


class _Seen(msgspec.Struct):
    """The facts that the reports of one station have: when, where, its errors and its output."""

    began: float = 0.0
    ended: float = 0.0
    worker: str = ""
    errors: list[str] = []
    sections: dict[str, str] = {}


class SessionFacts:
    """Collects the facts of the session, and writes the *files* at its end, each whole or not.

    *results* returns those of the run, once it is over.
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        files: Sequence[FactsFile],
        *,
        results: Callable[[], tuple[Result, ...]],
    ) -> None:
        self._config = config
        self._settings = settings
        self._files = files
        self._results = results
        self._seen: dict[str, _Seen] = {}
        #: The records as they were before this session wrote any.
        self._before: Mapping[str, Record] = {}

    def pytest_sessionstart(self) -> None:
        self._read_before()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        if self._places():  # they are known only now; nothing has been visited
            self._read_before()

    def _read_before(self) -> None:
        if self._settings.writes:
            with self._reading() as ledger:
                self._before = ledger.records()

    @contextmanager
    def _reading(self) -> Iterator[Ledger]:
        with storage.reading(self._config, self._settings) as ledger:
            ledger.declare_places(self._places())
            yield ledger

    def _places(self) -> dict[str, Scope]:
        """Return where those stations live whose effect is not in this checkout."""
        run = self._config.stash.get(RUN_FACTS, None)
        stations = () if run is None else run.stations
        return {each.key: each.place for each in stations if each.place != "here"}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not getattr(report, "choochoo", {}).get("is_station"):
            return
        seen = self._seen.setdefault(report.nodeid, _Seen())
        if report.start:  # a station that was settled beforehand took no time
            seen.began = min(seen.began or report.start, report.start)
            seen.ended = max(seen.ended, report.stop)
        seen.worker = getattr(report, "worker_id", "") or "main"
        if report.failed:
            seen.errors.append(report.longreprtext)
        # Each report has the sections of those before it.
        seen.sections |= {name: text for name, text in report.sections if text.strip()}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        done = yield
        document = self.document(int(session.exitstatus))
        for file in self._files:
            try:
                write_whole(file.path, file.render(document))
            except OSError as error:
                cause = (error.strerror or str(error)).lower()
                text = f"{file.option}: {file.path} could not be written: {cause}"
                notify(session.config, text)
                if session.exitstatus == pytest.ExitCode.OK:
                    session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return done

    def document(self, exit_code: int) -> Document:
        """Return the facts of the session, which ends with *exit_code*."""
        stations = tuple(self._stations())
        return Document(
            schema=VERSION,
            command=self._settings.mode.name,
            profile=self._settings.profile,
            started=in_utc(self._settings.process.began),
            finished=in_utc(time.time()),
            exit_code=exit_code,
            counts=counts_of(stations),
            stations=stations,
            project=self._config.rootpath.name,
        )

    def _stations(self) -> Iterator[StationFacts]:
        found = self._config.stash.get(SHOWN, None)
        if found is None:
            found = tuple(facts_of_result(each) for each in self._results())
        if not found:
            return
        with self._reading() as ledger:
            # For the whole document, since downstream inputs are outcomes upstream.
            after = ledger.records()
            for each in found:
                recorded = _recorded(each, ledger, self._before, after)
                yield msgspec.structs.replace(each, **recorded, **self._reported(each.node_id))

    def _reported(self, key: str) -> dict[str, Any]:
        """Return what the reports of the station *key* tell."""
        seen = self._seen.get(key)
        if seen is None:
            return {}
        found: dict[str, Any] = {"worker": seen.worker}
        if seen.began:
            found |= {"began": in_utc(seen.began), "ended": in_utc(seen.ended)}
        secrets = self._settings.process.secrets.values()
        output = "\n".join(f"--- {name} ---\n{text}" for name, text in seen.sections.items())
        texts = {"traceback": "\n\n".join(seen.errors), "output": output}
        return found | {name: tail(masked(text, secrets)) for name, text in texts.items() if text}


def _recorded(
    station: StationFacts, ledger: Ledger, before: Mapping[str, Record], after: Mapping[str, Record]
) -> dict[str, Any]:
    """Return what the *ledger* has about *station* beside what is known of it already."""
    key = station.node_id
    record, old = after.get(key), before.get(key)
    outcome = station.outcome
    inputs = tuple(_inputs(record, old, _Outcomes(station, after), _Outcomes(station, before)))
    resources = ledger.resources(key)
    return {
        "outcome": outcome_of(record) if outcome is UNSET else outcome,
        "attempts": tuple(map(_attempt, ledger.attempts(key)[: -_ATTEMPTS - 1 : -1])) or UNSET,
        "inputs": inputs or UNSET,
        "resources": {name: resources[name] for name in resources} or UNSET,
    }


def _attempt(attempt: AttemptRecord) -> AttemptFacts:
    return AttemptFacts(
        began=in_utc(attempt.began),
        status=attempt.status,
        seconds=None if attempt.ended is None else attempt.ended - attempt.began,
        reasons=attempt.reasons,
        error=attempt.error,
    )


class _Outcomes:
    """The outcomes that a station consumes, as short texts by name, in *records*."""

    def __init__(self, station: StationFacts, records: Mapping[str, Record]) -> None:
        self._folder = station.node_id.partition("::")[0]
        self._records = records

    def find(self, name: str) -> str | UnsetType:
        """Return the outcome of the station *name*, which is its key where names clash."""
        outcome = outcome_of(self._records.get(name) or self._by_name(name))
        text = "" if outcome is UNSET else to_text(outcome)
        if not text:
            return UNSET
        return text if len(text) <= _VALUE else f"{text[:_VALUE]}…"

    def _by_name(self, name: str) -> Record | None:
        own = self._records.get(f"{self._folder}::{name}")
        if own is not None:
            return own
        ending = f"::{name}"
        found = [each for key, each in self._records.items() if key.endswith(ending)]
        return found[0] if len(found) == 1 else None


def _inputs(
    record: Record | None, old: Record | None, now: _Outcomes, then: _Outcomes
) -> Iterator[InputFacts]:
    """Yield the inputs of the last visit in *record*, compared with those in the *old* record."""
    new = None if record is None else record.fingerprint
    if new is None:
        return
    was = None if old is None else old.fingerprint
    if was is not None and was.form != new.form:
        was = None  # their digests were made in different ways
    for kind, names, digests, earlier in _kinds(new, was):
        for name in names:
            is_new, is_old = name in digests, name in earlier
            is_same = digests.get(name) == earlier.get(name)
            state = "same" if is_same else "changed" if is_new and is_old else _one(is_new)
            shows = _values(kind, name, new, was, now, then)
            yield InputFacts(
                kind=kind,
                name=name,
                state=UNSET if was is None else state,
                old=UNSET if is_same or was is None else shows[0],
                new=shows[1] if is_new else UNSET,
            )


def _one(is_new: bool) -> str:
    return "new" if is_new else "gone"


def _kinds(
    new: Fingerprint, was: Fingerprint | None
) -> Iterator[tuple[str, tuple[str, ...], Mapping[str, str], Mapping[str, str]]]:
    """Yield each kind of input with all its names, and the digests of *new* and of *was*."""
    kinds = {
        "upstream": "upstream",
        "product": "upstream_products",
        "file": "files",
        "env": "env",
        "value": "values",
        "parameter": "parameters",
        "code": "code",
    }
    for kind, field in kinds.items():
        digests: Mapping[str, str] = getattr(new, field) or {}
        earlier: Mapping[str, str] = (getattr(was, field) if was else None) or {}
        yield kind, tuple(dict.fromkeys((*digests, *earlier))), digests, earlier


def _values(
    kind: str,
    name: str,
    new: Fingerprint,
    was: Fingerprint | None,
    now: _Outcomes,
    then: _Outcomes,
) -> tuple[str | UnsetType, str | UnsetType]:
    """Return the old and the new value of an input, where they may be shown."""
    if kind == "upstream":
        return then.find(name), now.find(name)
    hint = f"{kind} {name}"
    old = UNSET if was is None else was.hints.get(hint, UNSET)
    return old, new.hints.get(hint, UNSET)


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


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return *text* with `***` for each string in the *secrets*, which are as a run keeps them."""
    for secret in secrets:
        for each in _strings(msgspec.json.decode(secret)):
            text = text.replace(each, "***")
    return text


def _strings(plain: object) -> Iterator[str]:
    """Yield the strings in *plain* data, and those in strings that are JSON themselves."""
    match plain:
        case str() if len(plain) >= _SHORTEST_SECRET:
            try:
                inner = msgspec.json.decode(plain)
            except msgspec.DecodeError:
                inner = None
            yield from _strings(inner)
            yield plain
        case list():
            for each in plain:
                yield from _strings(each)
        case dict():
            yield from _strings([*plain.values()])


def tail(text: str) -> str:
    """Return the end of *text*, of several lines, as people may be shown it."""
    left = len(text) - TEXT_TAIL
    if left > 0:
        text = f"({left:,} characters before)\n{text[left:]}"
    return "\n".join(shown_indented(line, has_colours=False) for line in text.split("\n"))


def write_whole(file: Path, text: str) -> None:
    """Replace *file* by one with *text*. Raises `OSError`, and leaves nothing else behind."""
    if not file.parent.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        new.write_text(f"{text}\n", encoding="utf-8")
        os.replace(new, file)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
