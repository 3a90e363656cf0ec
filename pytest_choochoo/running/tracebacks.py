"""The tracebacks of errors, without the frames that lead to the user's code."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

from pytest_choochoo.engine.digest import relative

_OURS = frozenset({"pytest_choochoo", "_pytest", "pluggy"})
_INSTALLED = frozenset({"site-packages", "dist-packages"})


def traceback_from(function: Callable[..., Any], error: BaseException) -> TracebackType | None:
    """Return the traceback of *error* from *function* on.

    Where *function* did not raise it, from the fixture on that did; all of it where
    no fixture did either.
    """
    code = own_code(function)
    frames = [*frames_of(error)]
    for frame in frames:
        if frame.tb_frame.f_code is code:
            return frame
    theirs = (
        frame
        for frame in frames
        if frame.tb_frame.f_globals.get("__name__", "").partition(".")[0] not in _OURS
    )
    return next(theirs, error.__traceback__)


def own_code(function: Callable[..., Any]) -> CodeType | None:
    """Return the code of *function* inside of its decorators, None where it is not Python's."""
    code: CodeType | None = getattr(inspect.unwrap(function), "__code__", None)
    return code


def frames_of(error: BaseException) -> Iterator[TracebackType]:
    """Yield the frames of the traceback of *error*, the outermost first."""
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def last_line(error: BaseException, is_project_file: Callable[[str], bool], root: Path) -> str:
    """Return the last line of the project that led to *error*, as `file:line`; "" for none."""
    ours = [each for each in frames_of(error) if is_project_file(each.tb_frame.f_code.co_filename)]
    if not ours:
        return ""
    return f"{relative(Path(ours[-1].tb_frame.f_code.co_filename), root)}:{ours[-1].tb_lineno}"


def is_below(file: str, root: Path) -> bool:
    """Return whether *file* belongs to the project at *root*, and not to an installed package."""
    path = Path(file)
    return path.is_relative_to(root) and _INSTALLED.isdisjoint(path.relative_to(root).parts)
