"""Limits for the long texts of reports, which an error of a megabyte would make unreadable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_choochoo.engine.errors import shortened

LINE_LIMIT = 2_000
TEXT_LIMIT = 65_536
# The last lines of a text that is cut: the notes of an error stand there.
_LAST_LINES = 5


def bounded(long_text: Any) -> Any:
    """Return *long_text*, what pytest shows of an error, without what exceeds the limits."""
    if isinstance(long_text, str):
        return "\n".join(_bounded_lines(long_text.split("\n")))
    if isinstance(long_text, tuple):  # of a skip
        file, line, text = long_text
        reason = text.removeprefix("Skipped: ")
        return file, line, text.removesuffix(reason) + shortened(reason)
    for part in getattr(long_text, "parts", (long_text,)):
        for traceback, crash, _ in getattr(part, "chain", ()):
            for entry in traceback.reprentries:
                entry.lines[:] = _bounded_lines(entry.lines)
            if crash is not None:
                crash.message = bounded(crash.message)
    return long_text


def _bounded_lines(lines: list[str]) -> list[str]:
    """Return *lines*, each without its end if it is too long, and without those in the middle."""
    lines = ["\n".join(map(_bounded_line, each.split("\n"))) for each in lines]
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
