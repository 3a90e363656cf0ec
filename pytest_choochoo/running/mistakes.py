"""Mistakes in checks: errors that can never mean that something is not there yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from pytest_choochoo.engine.errors import error_line
from pytest_choochoo.running.tracebacks import frames_of, is_below, own_code

# How pytest begins the message of a failure that no state of the world can cause.
_STRUCTURAL = "ScopeMismatch"


class Mistake(Exception):
    """A check that cannot be called, or whose answer is none: *cause*, and the *way_out*."""

    def __init__(self, cause: str, way_out: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.way_out = way_out


def mistake_in(
    function: Callable[..., Any], error: BaseException, root: Path
) -> tuple[str, str, str] | None:
    """Return what is wrong in the check *function*, where, and the way out.

    Return None where *error* is an answer: the station is not in its desired state.

    A name that is not defined is a mistake in the file of the check and in the project below
    *root*; in a library it may be the library's way of failing. Anything else, an
    attribute that is missing or a module that cannot be imported, may just not be there yet.
    """
    code = own_code(function)
    here = f"{_relative(code.co_filename, root)}:{code.co_firstlineno}" if code is not None else ""
    for each in _leaves(error):
        match each:
            case Mistake():
                return each.cause, here, each.way_out
            case pytest.FixtureLookupError():
                cause = each.msg or f"fixture {each.argname!r} not found"
                return cause, here, "define the fixture, or correct the parameters of the check"
            case pytest.fail.Exception() if (each.msg or "").startswith(_STRUCTURAL):
                return (each.msg or "").splitlines()[0], here, "correct the fixture"
            case NameError():
                last = _last_in_a_file(each)
                file = "" if last is None else last.tb_frame.f_code.co_filename
                is_its_own = code is not None and file == code.co_filename
                if last is not None and (is_its_own or is_below(file, root)):
                    return (
                        error_line(each),
                        f"{_relative(file, root)}:{last.tb_lineno}",
                        "correct it",
                    )
    return None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield *error*, or the errors in it where it is a group."""
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    for each in error.exceptions:
        yield from _leaves(each)


def _last_in_a_file(error: BaseException) -> TracebackType | None:
    """Return the innermost frame of *error*, apart from code that was given as a string."""
    found = None
    for frame in frames_of(error):
        if not frame.tb_frame.f_code.co_filename.startswith("<"):
            found = frame
    return found


def _relative(file: str, root: Path) -> str:
    path = Path(file)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else file
