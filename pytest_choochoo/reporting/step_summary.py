"""`GITHUB_STEP_SUMMARY`: the closing table as Markdown, for the page that GitHub shows."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pytest_choochoo.engine import wording
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.settings import Settings

# Characters that Markdown, or the HTML in it, would obey.
_MARKDOWN = "\\`*_{}[]<>()#+!|~&$"


class StepSummaryWarning(pytest.PytestWarning):
    """The closing table could not be appended to the file that `GITHUB_STEP_SUMMARY` names."""


class StepSummary:
    """Appends the closing table of the session to *file*; *results* returns those of the run."""

    def __init__(
        self, file: Path, settings: Settings, results: Callable[[], tuple[Result, ...]]
    ) -> None:
        self._file = file
        self._settings = settings
        self._results = results

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        results = self._results()
        if not results:
            return
        seconds = time.time() - self._settings.process.began
        try:
            with self._file.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(markdown(results, seconds, self._settings.profile))
        except OSError as error:
            cause = (error.strerror or str(error)).lower()
            text = f"GITHUB_STEP_SUMMARY: {shown(str(self._file))} could not be written: {cause}"
            warnings.warn(StepSummaryWarning(text), stacklevel=1)


def markdown(results: Sequence[Result], seconds: float, profile: str) -> str:
    """Return the closing line and a table of *results* as Markdown."""
    return "".join(f"{line}\n" for line in _lines(results, seconds, profile))


def _lines(results: Sequence[Result], seconds: float, profile: str) -> Iterator[str]:
    yield ""
    yield f"**{_escaped(wording.closing_line(results, seconds))}**"
    yield ""
    yield f"Profile {_escaped(profile)}"
    yield ""
    yield "| result | station | time | reason |"
    yield "| --- | --- | ---: | --- |"
    for result in results:
        title = result.title if result.title != result.name else ""
        name = f"{result.name}: {title}" if title else result.name
        took = wording.elapsed(result.seconds) if result.seconds else ""
        cells = (result.word, name, took, wording.why(result))
        yield f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    """Return *text* so that Markdown shows it as it is, in one cell of a table."""
    return "".join(f"\\{each}" if each in _MARKDOWN else each for each in shown(text))
