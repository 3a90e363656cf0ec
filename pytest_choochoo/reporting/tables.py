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
    words, names, whens = (
        (
            max((len(shown(cell)) for cell in cells), default=0)
            for cells in zip(*((row.word, row.name, row.when) for row in rows))
        )
        if rows
        else (0, 0, 0)
    )
    for row in rows:
        head = f"{_GAP}{row.word:<{words}}"
        yield from _row(row, head, names, whens, columns)


def _row(row: Row, head: str, names: int, whens: int, columns: int) -> Iterator[Line]:
    name, title = shown(row.name), shown(row.title)
    rest = f"{_GAP}{name:<{names}}{_GAP}{row.when:<{whens}}" if whens else f"{_GAP}{name:<{names}}"
    used, texts = len(head) + len(rest) + len(_GAP), [*map(shown, row.texts)]
    first: Line = [(head, markup_of(row.word)), (rest, {})]
    beside = "; ".join(texts)
    if title and (not columns or used + len(title) <= columns):
        first.append((f"{_GAP}{title}", {"light": True} if columns else {}))
        used += len(title) + len(_GAP)
    if beside and (not columns or used + len(beside) <= columns):
        first.append((f"{_GAP}{beside}", {}))
        texts = []
    first[-1] = (first[-1][0].rstrip(), first[-1][1])
    yield first
    indent = " " * (len(head) + len(_GAP))
    for text in (*texts, *row.more):
        for line in paragraph(text, indent, columns):
            yield [(line, {})]


def markup_of(word: str) -> Markup:
    """Return the colours of *word*, a result, a verdict or a status."""
    return _MARKUP.get(word, {})


def paragraph(text: str, indent: str, columns: int) -> list[str]:
    """Return *text* as indented lines that fit *columns*; 0 for one line of any length."""
    text = shown(text)
    if not columns or len(indent) + len(text) <= columns:
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
