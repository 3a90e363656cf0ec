"""The watch over a visit: the project's code that it enters."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

import pytest

from pytest_choochoo.engine.code.watch import Watch

SOURCE = """
def boil(): return heat()
def heat(): return 100
def cool(): return [20 for _ in range(200_000)]
class Kettle:
    def pour(self): yield "tea"
def fail(): return 1 / 0
"""


@pytest.fixture
def kitchen() -> dict[str, Any]:
    """The names of a module of the project."""
    names: dict[str, Any] = {}
    exec(compile(SOURCE, "/project/kitchen.py", "exec"), names)
    return names


def _watch() -> Watch:
    return Watch(lambda file: file.startswith("/project/"))


def _names(watch: Watch) -> list[str] | None:
    entered = watch.pop()
    return None if entered is None else [code.co_qualname for code in entered]


def test_code_that_is_entered_is_noted_once(kitchen: dict[str, Any]) -> None:
    """Every function of the project that is called is noted, however often."""
    watch = _watch()

    with watch:
        kitchen["boil"]()
        kitchen["boil"]()
        list(kitchen["Kettle"]().pour())

    assert _names(watch) == ["boil", "heat", "Kettle.pour"]


def test_code_before_and_after_the_context_is_not_noted(kitchen: dict[str, Any]) -> None:
    """A call outside of the context is not part of the visit."""
    watch = _watch()
    kitchen["boil"]()

    with watch:
        pass
    kitchen["boil"]()

    assert _names(watch) == []


def test_each_context_notes_the_same_code_again(kitchen: dict[str, Any]) -> None:
    """A function that one visit entered is noted for the next one as well."""
    watch = _watch()

    for _ in range(2):
        with watch:
            kitchen["heat"]()
        assert _names(watch) == ["heat"]


def test_code_is_popped_once(kitchen: dict[str, Any]) -> None:
    """Without a new visit, nothing is known of what was entered."""
    watch = _watch()
    with watch:
        kitchen["heat"]()

    assert _names(watch) == ["heat"]
    assert _names(watch) is None


def test_code_in_a_thread_that_the_visit_starts_is_noted(kitchen: dict[str, Any]) -> None:
    """A thread that begins inside of the context belongs to the visit."""
    watch = _watch()

    with watch:
        thread = threading.Thread(target=kitchen["boil"])
        thread.start()
        thread.join()

    assert _names(watch) == ["boil", "heat"]


def test_code_in_an_older_thread_is_not_noted(kitchen: dict[str, Any]) -> None:
    """A server that runs in the background is not part of the visit."""
    watch, begin, done = _watch(), threading.Event(), threading.Event()

    def serve() -> None:
        begin.wait()
        kitchen["heat"]()
        done.set()

    thread = threading.Thread(target=serve)
    thread.start()
    with watch:
        begin.set()
        done.wait()
        kitchen["boil"]()
    thread.join()

    assert _names(watch) == ["boil", "heat"]


def test_watch_ends_with_an_error(kitchen: dict[str, Any]) -> None:
    """A visit that raises is not watched any longer."""
    watch = _watch()

    with pytest.raises(ZeroDivisionError), watch:
        kitchen["fail"]()
    kitchen["heat"]()

    assert _names(watch) == ["fail"]
    assert sys.getprofile() is None


@contextmanager
def _all_tools_taken() -> Iterator[None]:
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is None:
        ours: Callable[..., None] = lambda *event: None  # noqa: E731 - an object to compare
        sys.setprofile(ours)
        try:
            yield
            assert sys.getprofile() is ours
        finally:
            sys.setprofile(None)
        return
    for tool in (3, 4):
        monitoring.use_tool_id(tool, "another tool")
    try:
        yield
        assert monitoring.get_tool(3) == "another tool"
    finally:
        for tool in (3, 4):
            monitoring.free_tool_id(tool)


def test_tool_of_another_is_left_alone(kitchen: dict[str, Any]) -> None:
    """Where other tools hold the means to watch, nothing is known and nothing is disturbed."""
    watch = _watch()

    with _all_tools_taken(), watch:
        kitchen["heat"]()

    assert _names(watch) is None


def test_profiler_that_the_visit_sets_is_kept(kitchen: dict[str, Any]) -> None:
    """A visit may set a profiler of its own, and leave it."""
    seen: list[CodeType] = []

    def profiler(frame: Any, event: str, argument: object) -> None:
        seen.append(frame.f_code)

    with _watch():
        kitchen["boil"]()
        sys.setprofile(profiler)
    kept = sys.getprofile()
    sys.setprofile(None)

    assert kept is profiler


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python reports each function once")
def test_watch_gives_up_where_nothing_new_is_entered(kitchen: dict[str, Any]) -> None:
    """After many calls that show nothing new, the rest of the visit is not slowed down."""
    watch = _watch()

    with watch:
        kitchen["heat"]()
        for _ in range(30_000):
            kitchen["heat"]()
        assert sys.getprofile() is None
        kitchen["cool"]()

    assert _names(watch) == ["heat"]
