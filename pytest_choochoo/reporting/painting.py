"""Lines as a terminal shows them: with colours for results, and wrapped at words."""

from __future__ import annotations

import re

from pytest_choochoo.reporting.reports import COLOURS, Markup

# Not compiled here, since few lines need them.
# A count and its result, as in the closing line.
_COUNT = rf"\d+ (?:{'|'.join(COLOURS)})(?=,|\s)"
# The result at the beginning of a line about one station, or about several.
_PROBLEM = rf"(?<=^  )(?:{'|'.join(COLOURS)})\b"
# The beginning of a line about one station, before the reason.
_HEAD = r"  \S+ +\S+ {2,}"


def for_terminal(line: str, columns: int, *, has_colours: bool) -> list[tuple[str, Markup]]:
    """Return the parts of a *line* of the summary on a terminal, each with its colour.

    *columns*: the width of the terminal, 0 for no limit.
    """
    text = wrapped(line, columns) if columns else line
    return painted(text) if has_colours else [(text, {})]


def painted(line: str) -> list[tuple[str, Markup]]:
    """Return the parts of a *line* of the summary, each with its colour."""
    if line.startswith("next:"):
        return [(line, {"bold": True})]
    pattern = _COUNT if line.startswith("choochoo: ") else _PROBLEM
    parts: list[tuple[str, Markup]] = []
    end = 0
    for found in re.finditer(pattern, line):
        word = found[0].lstrip("0123456789 ")
        parts += [(line[end : found.start()], {}), (found[0], COLOURS[word])]
        end = found.end()
    return [part for part in (*parts, (line[end:], {})) if part[0]]


def wrapped(line: str, columns: int, *, used: int = 0) -> str:
    """Return *line* with line breaks between words, so that none is longer than *columns*.

    Words that are longer stay whole. *used*: the columns that are in use before it begins.
    Where it continues, it is indented, below its reason if it has one that begins far left.
    """
    if used + len(line) <= columns:
        return line
    from textwrap import wrap  # most lines fit

    head = re.match(_HEAD, line)
    indent = len(head[0]) if head and len(head[0]) <= columns // 2 else 4
    lines = wrap(
        line,
        columns,
        initial_indent="x" * used,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)[used:]
