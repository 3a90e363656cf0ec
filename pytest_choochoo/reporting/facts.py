"""The document of a session, collected once for all files that are made of it."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from pytest_choochoo import storage
from pytest_choochoo.engine.errors import UnusableLedger
from pytest_choochoo.engine.ledger.opening import empty_ledger
from pytest_choochoo.engine.ledger.protocol import Ledger
from pytest_choochoo.engine.ledger.record import (
    OUTPUT_LIMIT,
    AttemptRecord,
    Fingerprint,
    Record,
    Result,
    to_text,
)
from pytest_choochoo.engine.place import Scope
from pytest_choochoo.engine.route import StationInfo
from pytest_choochoo.engine.secrets import SecretStore
from pytest_choochoo.engine.shown import shown, shown_indented
from pytest_choochoo.reporting.document import (
    SHOWN,
    VERSION,
    AttemptFacts,
    Document,
    InputFacts,
    RunFacts,
    StationFacts,
    counts_of,
    facts_of_past,
    facts_of_result,
    in_utc,
    outcome_of,
)
from pytest_choochoo.reporting.notices import notify
from pytest_choochoo.reporting.terminal import RUN_FACTS
from pytest_choochoo.settings import Settings

#: The last attempts to keep of each station.
_ATTEMPTS = 5
#: The number of characters to keep of an outcome that is an input.
_VALUE = 300


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
        self._collected: tuple[tuple[StationFacts, ...], tuple[RunFacts, ...]] = ((), ())
        self._is_unreadable = False
        #: The records as they were before this session wrote any.
        self._before: Mapping[str, Record] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        run = self._config.stash.get(RUN_FACTS, None)
        if run is not None and run.open_ledger is not None and self._settings.writes:
            try:
                self._before = run.open_ledger.records()  # nothing has been visited yet
            except UnusableLedger as error:
                self._warn(error)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not getattr(report, "choochoo", {}).get("is_station"):
            return
        seen = self._seen.setdefault(report.nodeid, _Seen())
        if report.stop > report.start:  # a station that was settled beforehand took no time
            seen.began = min(seen.began or report.start, report.start)
            seen.ended = max(seen.ended, report.stop)
        seen.worker = getattr(report, "worker_id", "") or "main"
        if report.failed:
            seen.errors.append(report.longreprtext)
        # Each report has the sections of those before it.
        seen.sections |= {name: text for name, text in report.sections if text.strip()}

    # The innermost one, so that pytest's hooks around it show its warnings. Pytest finds only hooks
    # whose names begin like this.
    @pytest.hookimpl(specname="pytest_sessionfinish", wrapper=True, trylast=True)
    def pytest_sessionfinish_collect(self) -> Generator[None, object, object]:
        """Read what the ledger has, once the results are known."""
        done = yield
        try:
            with self._reading() as ledger:
                self._collected = self._stations(ledger), self._history(ledger)
        except UnusableLedger as error:
            self._warn(error)
            with closing(empty_ledger()) as ledger:
                self._collected = self._stations(ledger), ()
        return done

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
        stations, history = self._collected
        return Document(
            schema=VERSION,
            command=self._settings.mode.command,
            profile=self._settings.profile,
            started=in_utc(self._settings.process.began),
            finished=in_utc(time.time()),
            exit_code=exit_code,
            counts=counts_of(stations),
            stations=stations,
            project=self._config.rootpath.name,
            history=history,
        )

    def _warn(self, error: UnusableLedger) -> None:
        """Warn that the files lack what the ledger has."""
        options = " and ".join(file.option for file in self._files)
        text = f"{options}: what is in the ledger {error.path} is left out: {error.cause}"
        warnings.warn(pytest.PytestWarning(shown(text)), stacklevel=1)

    # --- what the ledger has

    @contextmanager
    def _reading(self) -> Iterator[Ledger]:
        """Return a context with the ledger: that of the session, if this process has it open."""
        run = self._config.stash.get(RUN_FACTS, None)
        if run is not None and run.open_ledger is not None:
            yield run.open_ledger
            return
        with storage.reading(self._config, self._settings) as ledger:
            places: dict[str, Scope] = {
                each.key: each.place for each in self._infos().values() if each.place != "here"
            }
            ledger.declare_places(places)
            yield ledger

    def _infos(self) -> dict[str, StationInfo]:
        """Return the stations that were selected to be run, by key."""
        run = self._config.stash.get(RUN_FACTS, None)
        return {} if run is None else {each.key: each for each in run.stations}

    def _history(self, ledger: Ledger) -> tuple[RunFacts, ...]:
        began = self._settings.process.began
        return tuple(facts_of_past(each) for each in ledger.history() if each.began != began)

    def _stations(self, ledger: Ledger) -> tuple[StationFacts, ...]:
        found = self._config.stash.get(SHOWN, None)
        if found is None:
            infos = self._infos()
            found = tuple(facts_of_result(each, infos.get(each.key)) for each in self._results())
        # For the whole document, since downstream inputs are outcomes upstream.
        after = ledger.records() if found else {}
        hide = SecretStore(texts=self._settings.process.secrets).hider()
        return tuple(_told(self._completed(each, ledger, after), hide) for each in found)

    def _completed(
        self, station: StationFacts, ledger: Ledger, after: Mapping[str, Record]
    ) -> StationFacts:
        """Return *station* with what the ledger has about it, and what its reports told."""
        told = _recorded(station, ledger, self._before, after) | self._reported(station.node_id)
        return msgspec.structs.replace(station, **told)

    # --- what the reports told

    def _reported(self, key: str) -> dict[str, Any]:
        seen = self._seen.get(key)
        if seen is None:
            return {}
        found: dict[str, Any] = {"worker": seen.worker}
        if seen.began:
            found |= {"began": in_utc(seen.began), "ended": in_utc(seen.ended)}
        sections = [
            f"--- {name.removeprefix('Captured ')} ---\n{text.rstrip()}\n"
            for name, text in seen.sections.items()
        ]
        texts = {"traceback": "\n\n".join(seen.errors), "output": "".join(sections)}
        return found | {name: text for name, text in texts.items() if text}


def _told(station: StationFacts, hide: Callable[[str], str]) -> StationFacts:
    """Return *station* as others may be told of it: without secrets, its long texts cut."""
    changes: dict[str, Any] = {"reasons": tuple(map(hide, station.reasons))}
    for name in ("traceback", "output"):
        text = getattr(station, name)
        changes[name] = text and tail(hide(text))
    if station.cause:
        changes["cause"] = hide(station.cause)
    if station.checks:
        changes["checks"] = {name: hide(text) for name, text in station.checks.items()}
    if station.findings:
        changes["findings"] = tuple(
            msgspec.structs.replace(
                each, done=hide(each.done), expected=hide(each.expected), seen=hide(each.seen)
            )
            for each in station.findings
        )
    if station.attempts:
        changes["attempts"] = tuple(
            msgspec.structs.replace(
                each, error=hide(each.error), reasons=tuple(map(hide, each.reasons))
            )
            for each in station.attempts
        )
    return msgspec.structs.replace(station, **changes)


def _recorded(
    station: StationFacts, ledger: Ledger, before: Mapping[str, Record], after: Mapping[str, Record]
) -> dict[str, Any]:
    """Return what the *ledger* has about *station* beside what is known of it already."""
    key = station.node_id
    record, old = after.get(key), before.get(key)
    outcome = station.outcome
    now, then = _Outcomes(station, after), _Outcomes(station, before)
    inputs = tuple(_inputs(record, old, now, then))
    resources = ledger.resources(key)
    return {
        "outcome": outcome_of(record) if outcome is UNSET else outcome,
        "attempts": tuple(map(_attempt, ledger.attempts(key)[: -_ATTEMPTS - 1 : -1])) or UNSET,
        "inputs": inputs or UNSET,
        "resources": {name: resources[name] for name in resources} or UNSET,
        "output": ledger.output(key) or UNSET,
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
        self._keys = dict(zip(station.upstream, station.upstream_ids))
        self._records = records

    def find(self, name: str) -> str | UnsetType:
        """Return the outcome of the station *name*, which is its key where names clash."""
        key = name if name in self._records else self._keys.get(name, "")
        outcome = outcome_of(self._records.get(key))
        text = "" if outcome is UNSET else to_text(outcome)
        if not text:
            return UNSET
        return text if len(text) <= _VALUE else f"{text[:_VALUE]}…"


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


def tail(text: str) -> str:
    """Return the end of *text*, of several lines, as people may be shown it."""
    left = len(text) - OUTPUT_LIMIT
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
