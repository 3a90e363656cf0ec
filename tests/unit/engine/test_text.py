"""Strings as `repr` shows them in every version of Python."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from pytest_choochoo.engine.text import reprs, stable_repr


def test_every_character_is_shown_alike_in_all_versions() -> None:
    """The digest of all characters is a constant; before version 15 of Unicode, that of `repr`."""
    shown = stable_repr("".join(map(chr, range(0x110000))))

    assert blake2b(shown.encode(), digest_size=8).hexdigest() == "42e333806f8723b8"


@pytest.mark.parametrize("value", ["tea", "süß 📤", "\\U0001fae8", b"\xff", 1.5, None, ("a", 'b"')])
def test_characters_that_all_versions_know_are_shown_as_by_repr(value: object) -> None:
    """Only characters that were added later are shown otherwise, as escapes."""
    assert stable_repr(value) == repr(value)


def test_characters_added_later_are_escaped() -> None:
    """As Python 3.11 shows them; what it wrote, and what later versions wrote, is tried."""
    assert stable_repr("a\U0001fae8\u0cf3") == r"'a\U0001fae8\u0cf3'"
    assert {r"'a\U0001fae8'", "'a\U0001fae8'"} <= set(reprs("a\U0001fae8"))
