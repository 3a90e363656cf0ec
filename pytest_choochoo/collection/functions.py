"""The functions of stations, checks and cleans, as pytest and other plugins can call them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, TypeGuard

import pytest

from pytest_choochoo.engine.station import Station


def asks_for_fixtures(item: pytest.Item) -> TypeGuard[pytest.Function]:
    """Say whether *item* is a function, or like a doctest asks for fixtures as one does."""
    return hasattr(item, "fixturenames")


class ReturnValue:
    """Where a visit leaves what it returned: pytest warns of tests that return something."""

    __slots__ = ("_content",)

    def __init__(self) -> None:
        self._content: object = None

    def set(self, content: object) -> None:
        self._content = content

    def pop(self) -> object:
        content, self._content = self._content, None
        return content


def arguments_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the fixtures that *function* asks for: parameters without a default."""
    return tuple(
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    )


def attached(station: Station[Any]) -> Iterator[Callable[..., Any]]:
    """Yield the functions of the checks and the clean of *station*."""
    for check in station.checks:
        yield check.function
    if station.clean_function is not None:
        yield station.clean_function


_NO_PARAMETERS: Mapping[str, object] = {}


def parameters_of(item: pytest.Function) -> Mapping[str, object]:
    callspec = getattr(item, "callspec", None)
    if callspec is None:
        return _NO_PARAMETERS
    return {name: value for name, value in callspec.params.items() if name != "anyio_backend"}


def item_function(station: Station[Any], return_value: ReturnValue) -> Any:
    """Return the function of the station's item: it puts away what the visit returned."""
    if not is_async(station):
        return _visit(station, return_value)

    @functools.wraps(station.function)
    async def visit_async(**arguments: Any) -> None:
        value = station.function(**arguments)
        return_value.set(await value if inspect.isawaitable(value) else value)

    return visit_async


def _visit(station: Station[Any], return_value: ReturnValue) -> Any:
    @functools.wraps(station.function)
    def visit(**arguments: Any) -> None:
        return_value.set(station.function(**arguments))

    return visit


def is_coroutine(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(function))


def is_async(station: Station[Any]) -> bool:
    """Say whether any function of *station* is: then its item is one that can be awaited."""
    return any(map(is_coroutine, (station.function, *attached(station))))


def run_in_loop(work: Any) -> None:
    """Run the coroutine *work* in an event loop of its own."""
    import asyncio  # takes as long to import as all of this package; few stations are async

    asyncio.run(work)


def is_awaited_by_plugin(item: pytest.Function, station: Station[Any]) -> bool:
    """Say whether pytest-asyncio or anyio awaits what is async of *station*."""
    is_theirs = type(item) is not pytest.Function or "anyio_backend" in item.fixturenames
    return is_theirs and is_async(station)


def at_once(item: pytest.Function, work: Callable[..., object], *, is_awaited: bool) -> Any:
    """Return what has *item* do *work* outside of any loop; *is_awaited*: by a plugin."""

    async def nothing() -> None: ...

    @functools.wraps(work)
    def done(**arguments: Any) -> Any:
        __tracebackhide__ = True
        work(**arguments)
        # An item of pytest-asyncio awaits what it got, whatever that is.
        return nothing() if is_awaited and type(item) is not pytest.Function else None

    return done


def call_as_it_is(item: pytest.Function, station: Station[Any], return_value: ReturnValue) -> None:
    """Have the visit of an async *station* called in a loop if it is async, else outside of any.

    Before, its item was one that other plugins made their own.
    """
    if not inspect.iscoroutinefunction(item.obj):
        return
    is_awaited = is_awaited_by_plugin(item, station)
    if not is_coroutine(station.function):
        item.obj = at_once(item, _visit(station, return_value), is_awaited=is_awaited)
    elif not is_awaited:
        function = item.obj

        @functools.wraps(function)
        def run(**arguments: Any) -> None:
            run_in_loop(function(**arguments))

        item.obj = run


def one_backend(items: list[pytest.Function]) -> list[pytest.Function]:
    """Return *items* without those that anyio made for a second backend: once is once."""
    kept: list[pytest.Function] = []
    seen: list[tuple[str, Mapping[str, object]]] = []
    for item in items:
        if "anyio_backend" in getattr(getattr(item, "callspec", None), "params", {}):
            instance = (item.originalname, parameters_of(item))
            if instance in seen:
                continue
            seen.append(instance)
        kept.append(item)
    return kept


_OURS = frozenset({"pytest_choochoo", "_pytest", "pluggy"})


def traceback_from(function: Callable[..., Any], error: BaseException) -> TracebackType | None:
    """Return the traceback of *error* from *function* on.

    Where that raised nothing, from the fixture on that did; all of it where it is neither.
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
