"""The long texts of reports, bounded and safe to show, whatever the error of a station says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_choochoo.engine.errors import shortened
from pytest_choochoo.engine.shown import shown, shown_indented

LINE_LIMIT = 2_000
TEXT_LIMIT = 65_536
# The last lines of a text that is cut: the notes of an error stand there.
_LAST_LINES = 5


def bounded(long_text: Any, *, has_colours: bool = False) -> Any:
    """Return *long_text*, what pytest shows of an error, without what exceeds the limits.

    Control characters are spelt out. *has_colours*: pytest has put colours into it.
    """
    if isinstance(long_text, str):
        return "\n".join(_bounded_lines(long_text.split("\n"), has_colours))
    if isinstance(long_text, tuple):  # of a skip
        file, line, text = long_text
        reason = text.removeprefix("Skipped: ")
        return file, line, text.removesuffix(reason) + shown(shortened(reason))
    for part in getattr(long_text, "parts", (long_text,)):
        for traceback, crash, _ in getattr(part, "chain", ()):
            for entry in traceback.reprentries:
                entry.lines[:] = _bounded_lines(entry.lines, has_colours)
            if crash is not None:
                crash.message = bounded(crash.message, has_colours=has_colours)
    return long_text


def _bounded_lines(lines: list[str], has_colours: bool) -> list[str]:
    """Return *lines*, each without its end if it is too long, and without those in the middle."""

    def safe(line: str) -> str:
        return shown_indented(_bounded_line(line), has_colours=has_colours)

    lines = ["\n".join(map(safe, each.split("\n"))) for each in lines]
    if sum(map(len, lines)) <= TEXT_LIMIT:
        return lines
    last = lines[-_LAST_LINES:]
    first = [*_until_limit(lines[:-_LAST_LINES])]
    left = len(lines) - len(first) - len(last)
    return [*first, f"… ({left:,} more lines)", *last] if left else [*first, *last]


def _until_limit(lines: list[str]) -> Iterator[str]:
    room = TEXT_LIMIT
    for line in lines:
        room -= len(line)
        if room < 0:
            return
        yield line


def _bounded_line(line: str) -> str:
    left = len(line) - LINE_LIMIT
    return line if left <= 0 else f"{line[:LINE_LIMIT]}… ({left:,} more characters)"
