"""Tables of stations for a terminal: a line each, and below it what does not fit beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from pytest_choochoo.engine.shown import shown
from pytest_choochoo.reporting.reports import COLOURS, Markup

# Fewer columns than these are taken for these: words stay whole.
_NARROWEST = 40
_GAP = "  "
#: The words of tables that are no result, with their colours.
_WORDS: dict[str, Markup] = {
    "visit": {"green": True, "bold": True},
    "maybe": {"yellow": True},
    "complete": {"cyan": True},
    "due": {"yellow": True},
    "never visited": {},
    "forgotten": {},
    "interrupted": {"red": True},
    "visiting": {"yellow": True, "bold": True},
    "unreadable": {"red": True},
    "gone": {"purple": True},
}
_MARKUP = COLOURS | _WORDS

Line = list[tuple[str, Markup]]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One station: its *word*, its name, and its title where that is another one.

    *when*: facts that are as short in every row. *texts*: sentences, of which one may stand beside
    them; the others stand below, and so do *more*.
    """

    word: str
    name: str
    title: str = ""
    when: str = ""
    texts: tuple[str, ...] = ()
    more: tuple[str, ...] = ()


def table(rows: Sequence[Row], columns: int) -> Iterator[Line]:
    """Yield the lines of a table of *rows*, each in parts with their colours.

    *columns*: the width of the terminal, 0 where the output goes elsewhere and no line is wrapped.
    """
    words, names, whens, titles = (
        max(map(width, cells), default=0)
        for cells in (
            [row.word for row in rows],
            [shown(row.name) for row in rows],
            [row.when for row in rows],
            [shown(row.title) for row in rows],
        )
    )
    before = sum(size + len(_GAP) for size in (words, names, whens) if size)
    # Titles have a column of their own where everything fits beside it.
    widest = max((width(_beside(row)) for row in rows), default=0)
    is_narrow = bool(columns) and before + titles + widest + 2 * len(_GAP) > columns
    for row in rows:
        head = f"{_GAP}{_filled(row.word, words)}"
        facts = f"{_GAP}{_filled(shown(row.name), names)}"
        facts += f"{_GAP}{_filled(row.when, whens)}" if whens else ""
        yield from _row(row, head, facts, 0 if is_narrow else titles, columns)


def _row(row: Row, head: str, facts: str, titles: int, columns: int) -> Iterator[Line]:
    title, beside = shown(row.title), _beside(row)
    texts = [*map(shown, row.texts)]
    used = width(head) + width(facts) + len(_GAP)
    first: Line = [(head, markup_of(row.word)), (facts, {})]
    if titles or (title and used + width(title) <= columns):
        filled = _filled(title, titles)
        first.append((f"{_GAP}{filled}", {"light": True} if columns else {}))
        used += width(filled) + len(_GAP)
    if beside and (not columns or used + width(beside) <= columns):
        first.append((f"{_GAP}{beside}", {}))
        texts = []
    while len(first) > 1 and not first[-1][0].strip():
        del first[-1]
    first[-1] = (first[-1][0].rstrip(), first[-1][1])
    yield first
    indent = " " * (len(head) + len(_GAP))
    for text in (*texts, *row.more):
        for line in paragraph(text, indent, columns):
            yield [(line, {})]


def _beside(row: Row) -> str:
    return "; ".join(map(shown, row.texts))


def _filled(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


def width(text: str) -> int:
    """Return the number of columns that a terminal takes for *text*."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # few texts need it

    return cell_len(text)


def markup_of(word: str) -> Markup:
    """Return the colours of *word*, a result, a verdict or a status."""
    return _MARKUP.get(word, {})


def paragraph(text: str, indent: str, columns: int) -> list[str]:
    """Return *text* as indented lines that fit *columns*; 0 for one line of any length."""
    text = shown(text)
    if not columns or len(indent) + width(text) <= columns:
        return [indent + text]
    from textwrap import wrap  # few tables need it

    return wrap(
        text,
        max(columns, _NARROWEST),
        initial_indent=indent,
        subsequent_indent=indent + _GAP,
        break_long_words=False,
        break_on_hyphens=False,
    )


def write(config: pytest.Config, lines: Iterable[Line]) -> None:
    """Write *lines* to the terminal of *config*, in colours where it has them."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    reporter.ensure_newline()
    for line in lines:
        for text, markup in line:
            reporter.write(text, **(markup if reporter.hasmarkup else {}))
        reporter.write_line("")


def columns_of(config: pytest.Config) -> int:
    """Return the width of the terminal of *config*, 0 where the output goes elsewhere."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not getattr(reporter, "isatty", False):
        return 0
    width: int = config.get_terminal_writer().fullwidth
    return width
