"""`--cc-json FILE`: the facts of a session for machines, in the form of docs/json-schema.json."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from pytest_choochoo.engine.ledger.record import Record, Result, to_text
from pytest_choochoo.engine.outcomes.marks import tokens_at
from pytest_choochoo.reporting.document import (
    SHOWN,
    VERSION,
    Document,
    StationFacts,
    counts_of,
    facts_of_result,
    in_utc,
)
from pytest_choochoo.reporting.notices import notify
from pytest_choochoo.settings import Settings


class JsonFile:
    """Writes the facts of the session into *file* at its end, whole or not at all.

    *results* returns those of the run, *records* the records after it.
    """

    def __init__(
        self,
        file: Path,
        settings: Settings,
        *,
        results: Callable[[], tuple[Result, ...]],
        records: Callable[[], Mapping[str, Record]],
    ) -> None:
        self._file = file
        self._settings = settings
        self._results = results
        self._records = records

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        done = yield
        document = self._document(session.config, int(session.exitstatus))
        try:
            _write_whole(self._file, to_text(document))
        except OSError as error:
            cause = (error.strerror or str(error)).lower()
            notify(session.config, f"--cc-json: {self._file} could not be written: {cause}")
            if session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return done

    def _document(self, config: pytest.Config, exit_code: int) -> Document:
        stations = config.stash.get(SHOWN, None)
        if stations is None:
            stations = self._stations_of_run()
        return Document(
            schema=VERSION,
            command=self._settings.mode.name,
            profile=self._settings.profile,
            started=in_utc(self._settings.process.began),
            finished=in_utc(time.time()),
            exit_code=exit_code,
            counts=counts_of(stations),
            stations=stations,
        )

    def _stations_of_run(self) -> tuple[StationFacts, ...]:
        results = self._results()
        records = self._records() if results else {}
        return tuple(facts_of_result(each, outcome_of(records.get(each.key))) for each in results)


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


def _write_whole(file: Path, text: str) -> None:
    """Replace *file* by one with *text*. Raises `OSError`, and leaves nothing else behind."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        new.write_text(f"{text}\n", encoding="utf-8")
        os.replace(new, file)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
