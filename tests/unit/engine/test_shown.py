"""Text as people may be shown it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_choochoo.engine.shown import shown, shown_indented, shown_lines


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("x\n::stop-commands::tok", r"x\n::stop-commands::tok"),
        ("\x1b]52;c;cm0=\a", r"\x1b]52;c;cm0=\x07"),
        ("ok\rfailed\t\x7f\x85", r"ok\rfailed\t\x7f\x85"),
        ("\u2028\u2029\u061c\u200e\u200f", r"\u2028\u2029\u061c\u200e\u200f"),
        ("\u202a\u202e\u2066\u2069", r"\u202a\u202e\u2066\u2069"),
        ("\ud800", r"\ud800"),
    ],
)
def test_characters_that_a_terminal_obeys_are_spelt_out(text: str, spelt: str) -> None:
    """Control characters, line breaks, bidi marks and lone surrogates are shown as escapes."""
    assert shown(text) == spelt


@pytest.mark.parametrize("text", ["", "süß", "茶", "👩\u200d🚀 ❤\ufe0f", "a\\n", "\xa0"])
def test_other_characters_are_shown_as_they_are(text: str) -> None:
    """Letters of all languages and emoji, joined ones included, stay as they are."""
    assert shown(text) == text


@given(st.text(st.characters(exclude_categories=[])))
def test_shown_text_has_one_line_that_any_terminal_can_print(text: str) -> None:
    """Shown text can be encoded, has no control character, and stays if shown again."""
    safe = shown(text)

    assert safe.encode().decode() == safe
    assert not any(each < " " or "\x7f" <= each <= "\x9f" for each in safe)
    assert not set(safe) & set("\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e")
    assert not set(safe) & set("\u2066\u2067\u2068\u2069")
    assert shown(safe) == safe
    assert safe == text or not text.isprintable()


def test_lines_of_ours_stay_lines() -> None:
    """Line breaks that we wrote stay, and all else is spelt out."""
    assert shown_lines("one\ntw\ro") == "one\ntw\\ro"


@pytest.mark.parametrize(
    ("text", "has_colours", "spelt"),
    [
        ("\tE  plain", False, "\tE  plain"),
        ("\ta\rb", False, "\ta\\rb"),
        ("\x1b[31mred\x1b[0m\x1b[2J", False, r"\x1b[31mred\x1b[0m\x1b[2J"),
        ("\x1b[1;31mred\x1b[0m\x1b[2J", True, "\x1b[1;31mred\x1b[0m\\x1b[2J"),
    ],
)
def test_lines_of_tracebacks_keep_tabs_and_colours(
    text: str, has_colours: bool, spelt: str
) -> None:
    """Tabs indent the user's code; colours stay where pytest has put some into the line."""
    assert shown_indented(text, has_colours=has_colours) == spelt
