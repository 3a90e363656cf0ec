"""The tracebacks of errors, without the frames that lead to the user's code."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

_OURS = frozenset({"pytest_choochoo", "_pytest", "pluggy"})


def traceback_from(function: Callable[..., Any], error: BaseException) -> TracebackType | None:
    """Return the traceback of *error* from *function* on.

    Where *function* did not raise it, from the fixture on that did; all of it where
    no fixture did either.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    frames = [*_frames(error.__traceback__)]
    for frame in frames:
        if frame.tb_frame.f_code is code:
            return frame
    theirs = (
        frame
        for frame in frames
        if frame.tb_frame.f_globals.get("__name__", "").partition(".")[0] not in _OURS
    )
    return next(theirs, error.__traceback__)


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next
