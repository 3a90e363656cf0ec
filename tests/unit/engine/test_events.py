"""The events of visits, in the form in which they are sent."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pytest_choochoo.engine.events import progress_to_show
from pytest_choochoo.engine.visit import Progressed


def told(done: Any = 1, total: Any = None, unit: Any = "", description: Any = "") -> Progressed:
    return Progressed(key="boil", done=done, total=total, unit=unit, description=description)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, "many", None, 10**400])
def test_numbers_that_cannot_be_sent_are_unknown(number: Any) -> None:
    """A station may report anything; its visit must not fail because of that."""
    assert progress_to_show(told(number, number)) == told(0.0, None)


def test_numbers_of_other_types_are_sent_as_such() -> None:
    """Whole numbers, and strings that are numbers, become floats."""
    assert progress_to_show(told(3, "10")) == told(3.0, 10.0)


def test_texts_are_short_and_printable() -> None:
    """Whatever a terminal would obey is spelt out, and what no screen has room for is left out."""
    sent = progress_to_show(told(1, 2, "\x1b[2J", "x" * 1_000_000))

    assert sent == told(1.0, 2.0, "\\x1b[2J", "x" * 200)
