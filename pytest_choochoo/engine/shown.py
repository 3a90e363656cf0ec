"""Text as people may be shown it: without characters that a terminal obeys."""

from __future__ import annotations

import re
from functools import cache


def shown(text: str) -> str:
    """Return *text* with its control characters, line breaks, bidi marks and surrogates spelt out.

    A terminal obeys them, and a CI service reads commands at the beginning of a line.
    """
    # Nearly all texts are printable; an emoji of several characters is not.
    return text if text.isprintable() else _unsafe().sub(_spelt_out, text)


def shown_lines(text: str) -> str:
    """Return *text* as `shown` does, with its line breaks: it consists of lines of ours."""
    return "\n".join(map(shown, text.split("\n")))


def shown_indented(text: str, *, has_colours: bool) -> str:
    """Return *text*, a line of a traceback, as `shown` does, with its tabs.

    *has_colours*: pytest has put colours into it, which stay.
    """
    if text.isprintable():
        return text
    safe = f"(\t|{_COLOUR})" if has_colours else "(\t)"
    parts = re.split(safe, text)
    return "".join(part if number % 2 else shown(part) for number, part in enumerate(parts))


_COLOUR = r"\x1b\[[\d;]*m"


@cache
def _unsafe() -> re.Pattern[str]:
    """Return a pattern for one of the characters that are spelt out."""
    bidi = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
    return re.compile(f"[\0-\x1f\x7f-\x9f\u2028\u2029{bidi}\ud800-\udfff]")


def _spelt_out(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]
