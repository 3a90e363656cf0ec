"""The line between a mistake in a check and an answer that the station is not there yet."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType

import pytest

from pytest_choochoo.running.mistakes import Mistake, mistake_in

HERE = Path(__file__).parent
FILE = Path(__file__).name


def _raised(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - the functions of this file raise anything
        return error
    raise AssertionError("nothing was raised")


def _defined_in(file: Path, text: str) -> FunctionType:
    """Return the function `check` of *text*, as if it stood in *file*."""
    names: dict[str, FunctionType] = {}
    exec(compile(text, str(file), "exec"), names)
    return names["check"]


def misspelt() -> None:
    assert DATTA  # type: ignore[name-defined]  # noqa: F821


def unbound() -> None:
    if not sys.argv:
        here = 1
    assert here  # type: ignore[possibly-undefined]


def in_a_group() -> None:
    raise BaseExceptionGroup("two", [ValueError(), BaseExceptionGroup("one", [_raised(misspelt)])])


def in_a_string() -> None:
    eval("DATTA")


@pytest.mark.parametrize("check", [misspelt, in_a_group, in_a_string])
def test_name_that_is_not_defined_is_a_mistake(check: Callable[[], None]) -> None:
    """A name that is not defined is a mistake, alone, in a group or in evaluated text."""
    found = mistake_in(check, _raised(check), HERE)

    assert found is not None
    line = (in_a_string if check is in_a_string else misspelt).__code__.co_firstlineno + 1
    assert found == ("NameError: name 'DATTA' is not defined", f"{FILE}:{line}", "correct it")


def test_variable_without_a_value_is_a_mistake() -> None:
    """A local variable that has no value yet is a mistake."""
    found = mistake_in(unbound, _raised(unbound), HERE)

    assert found is not None
    assert found[0].startswith("UnboundLocalError: cannot access local variable 'here'")


@pytest.mark.parametrize(
    ("file", "is_mistake"),
    [
        pytest.param(HERE / "helper.py", True, id="project"),
        pytest.param(HERE / ".venv/lib/site-packages/helper.py", False, id="installed-below-root"),
        pytest.param(Path("/usr/lib/helper.py"), False, id="library"),
    ],
)
def test_only_the_project_makes_mistakes(file: Path, is_mistake: bool) -> None:
    """A name that a library does not find may be its way of failing."""
    helper = _defined_in(file, "def check(): return undefined")

    def check() -> None:
        helper()

    root = HERE
    assert (mistake_in(check, _raised(check), root) is not None) == is_mistake


def test_check_from_elsewhere_makes_its_own_mistakes() -> None:
    """A check that an installed package defines may be wrong as well."""
    check = _defined_in(Path("/usr/lib/checks.py"), "def check(): return undefined")

    assert mistake_in(check, _raised(check), HERE) == (
        "NameError: name 'undefined' is not defined",
        "/usr/lib/checks.py:1",
        "correct it",
    )


def test_impossible_answer_is_a_mistake() -> None:
    """An answer that is none is located where the check is defined."""
    line = misspelt.__code__.co_firstlineno

    found = mistake_in(misspelt, Mistake("it returned 1", "return True"), HERE)

    assert found == ("it returned 1", f"{FILE}:{line}", "return True")


@pytest.mark.parametrize(
    "error",
    [
        AssertionError("no steam"),
        AttributeError("module 'kettle' has no attribute 'water'"),
        ConnectionRefusedError(111, "refused"),
        ImportError("no module named 'kettle'"),
        KeyError("kettle"),
        SyntaxError("half a file"),
        TypeError("'NoneType' object is not subscriptable"),
        pytest.fail.Exception("not yet"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_anything_else_is_an_answer(error: BaseException) -> None:
    """An error that may just mean "not there yet" is an answer."""
    assert mistake_in(misspelt, error, HERE) is None
