"""Notes the code that a visit enters, whether or not a name leads to it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

# The ids that no tool of Python's own has: debuggers, coverage and profilers have others.
_TOOL_IDS = (3, 4)
_TOOL_NAME = "pytest-choochoo"
# Before Python 3.12 each call costs time, so that a visit that enters nothing new for as many
# calls is no longer watched.
_PATIENCE = 20_000


class Watch:
    """A context in which the code that is entered is noted, in threads begun meanwhile too.

    Only code whose file *is_ours* counts. While another tool holds the means of Python to
    do this, nothing is noted.
    """

    def __init__(self, is_ours: Callable[[str], bool]) -> None:
        self._is_ours = is_ours
        self._entered: dict[CodeType, None] = {}
        self._older_threads = frozenset[int | None]()
        self._tool: int | None = None
        self._patience = 0
        self._is_watching = False

    def __enter__(self) -> None:
        self._entered = {}
        self._is_watching = self._start_monitoring() if _monitoring else self._start_profiling()

    def __exit__(self, *error: object) -> None:
        if self._tool is not None:
            _monitoring.set_events(self._tool, _monitoring.events.NO_EVENTS)
            _monitoring.register_callback(self._tool, _monitoring.events.PY_START, None)
            _monitoring.free_tool_id(self._tool)
            self._tool = None
        elif self._is_watching:
            self._stop_profiling()

    def pop(self) -> tuple[CodeType, ...] | None:
        """Return the code that was entered in the last context, None if it was not watched."""
        entered, was_watching = self._entered, self._is_watching
        self._entered, self._is_watching = {}, False
        return tuple(entered) if was_watching else None

    # --- Python 3.12 and later: told once of each code object

    def _start_monitoring(self) -> bool:
        free = [each for each in _TOOL_IDS if _monitoring.get_tool(each) is None]
        if not free:
            return False
        self._tool = free[0]
        current = threading.get_ident()
        self._older_threads = frozenset(each.ident for each in threading.enumerate()) - {current}
        _monitoring.use_tool_id(self._tool, _TOOL_NAME)
        _monitoring.register_callback(self._tool, _monitoring.events.PY_START, self._on_start)
        _monitoring.set_events(self._tool, _monitoring.events.PY_START)
        _monitoring.restart_events()
        return True

    def _on_start(self, code: CodeType, offset: int) -> Any:
        if self._is_ours(code.co_filename):
            if threading.get_ident() in self._older_threads:
                return None
            self._entered[code] = None
        return _monitoring.DISABLE

    # --- Python 3.11: told of each call

    def _start_profiling(self) -> bool:
        if sys.getprofile() is not None or threading.getprofile() is not None:
            return False
        self._patience = _PATIENCE
        threading.setprofile(self._on_event)
        sys.setprofile(self._on_event)
        return True

    def _on_event(self, frame: FrameType, event: str, argument: object) -> None:
        self._patience -= 1
        code = frame.f_code
        if event == "call" and code not in self._entered and self._is_ours(code.co_filename):
            self._entered[code] = None
            self._patience = _PATIENCE
        elif self._patience < 0:
            self._stop_profiling()

    def _stop_profiling(self) -> None:
        # The visit may have set a profiler of its own.
        if sys.getprofile() == self._on_event:
            sys.setprofile(None)
        if threading.getprofile() == self._on_event:
            threading.setprofile(None)


_monitoring: Any = getattr(sys, "monitoring", None)
