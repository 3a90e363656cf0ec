"""Immutable values with named parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_choochoo.engine.value import Value


class Kettle(Value):
    litres: float
    colour: str = "red"
    sound: Callable[[str], str] = lambda text: text

    @property
    def is_large(self) -> bool:
        return self.litres > 2


def test_parts_are_given_or_have_their_defaults() -> None:
    """A default that is a function stays a plain function."""
    kettle = Kettle(litres=1.5)

    assert (kettle.litres, kettle.colour, kettle.sound("!")) == (1.5, "red", "!")
    assert not kettle.is_large


@pytest.mark.parametrize("parts", [{}, {"litres": 1, "weight": 2}])
def test_parts_are_those_of_the_class(parts: Any) -> None:
    """A missing part and an unknown one are errors that name the parts."""
    with pytest.raises(TypeError, match=r"^Kettle has the parts litres, colour, sound$"):
        Kettle(**parts)


def test_value_is_immutable() -> None:
    """A part cannot be set again."""
    kettle: Any = Kettle(litres=1)

    with pytest.raises(AttributeError, match=r"^Kettle is immutable$"):
        kettle.litres = 2
