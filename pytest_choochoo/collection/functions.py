"""The functions of stations, checks and cleans, as pytest and other plugins can call them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from contextlib import nullcontext
from functools import cached_property
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeGuard

import pytest

from pytest_choochoo.engine.station import Station

if TYPE_CHECKING:
    from pytest_choochoo.engine.code.watch import Watch

# --- signatures


def requests_fixtures(item: pytest.Item) -> TypeGuard[pytest.Function]:
    """Return whether *item* is a function, or requests fixtures like one, as a doctest does."""
    return hasattr(item, "fixturenames")


def arguments_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the fixtures that *function* requests: parameters without a default."""
    return tuple(
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    )


def attached(station: Station[Any]) -> tuple[Callable[..., Any], ...]:
    """Return the functions of the checks, the find and the clean of *station*."""
    checks, others = station.all_checks, (station.find_function, station.clean_function)
    if not checks and others == (None, None):
        return ()
    functions = (check.function for check in checks)
    return (*functions, *(each for each in others if each is not None))


_NO_PARAMETERS: Mapping[str, object] = {}


def parameters_of(item: pytest.Function) -> Mapping[str, object]:
    """Return the parameters that *item* was made with, by name."""
    callspec = getattr(item, "callspec", None)
    if callspec is None:
        return _NO_PARAMETERS
    return {name: value for name, value in callspec.params.items() if name != "anyio_backend"}


# --- what the item of a station calls


class VisitCall:
    """The call of a visit by its item: what it returned, and which code it entered.

    Pytest warns of tests that return a value, so the item's function returns none.
    """

    def __init__(self) -> None:
        #: Makes the context of the calls, None without one; the session sets it.
        self.make_watch: Callable[[], Watch] | None = None
        #: Calls a visit in a debugger, None without one; the session sets it.
        self.debug: Callable[[Callable[..., Any], Mapping[str, Any]], object] | None = None
        self._value: object = None

    def run(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        """Call *function*, and keep what it returns."""
        __tracebackhide__ = True
        with self._watch or nullcontext():
            if self.debug is None:
                self._value = function(**arguments)
            else:
                self._value = self.debug(function, arguments)

    async def run_async(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        """Call *function*, await what it returns where it must be, and keep that."""
        __tracebackhide__ = True
        with self._watch or nullcontext():
            value = function(**arguments)
            self._value = await value if inspect.isawaitable(value) else value

    def pop(self) -> object:
        """Return what the visit returned."""
        value, self._value = self._value, None
        return value

    def pop_entered(self) -> tuple[CodeType, ...] | None:
        """Return the code that the visit entered, None if that is not known."""
        return None if self._watch is None else self._watch.pop()

    @cached_property
    def _watch(self) -> Watch | None:
        return None if self.make_watch is None else self.make_watch()


def item_function(station: Station[Any], call: VisitCall) -> Callable[..., Any]:
    """Return the function of the station's item, which leaves its result in *call*.

    It is async if any function of the station is: then plugins adapt the item so that
    they can await a check, although the visit may not be async.
    """
    if not is_async(station):
        return _visit(station, call)

    @functools.wraps(station.function)
    async def visit_async(**arguments: Any) -> None:
        __tracebackhide__ = True
        await call.run_async(station.function, arguments)

    return visit_async


def _visit(station: Station[Any], call: VisitCall) -> Callable[..., None]:
    @functools.wraps(station.function)
    def visit(**arguments: Any) -> None:
        __tracebackhide__ = True
        call.run(station.function, arguments)

    return visit


# --- async functions, with and without a plugin that awaits them


def is_coroutine(function: Callable[..., Any]) -> bool:
    """Return whether *function* is defined with `async def`."""
    return inspect.iscoroutinefunction(inspect.unwrap(function))


def is_async(station: Station[Any]) -> bool:
    """Return whether any function of *station* is async."""
    return any(map(is_coroutine, (station.function, *attached(station))))


def is_awaited_by_plugin(item: pytest.Function, station: Station[Any]) -> bool:
    """Return whether pytest-asyncio or anyio awaits the async functions of *station*."""
    is_theirs = type(item) is not pytest.Function or "anyio_backend" in item.fixturenames
    return is_theirs and is_async(station)


def is_left_to_trio(item: pytest.Function, station: Station[Any]) -> bool:
    """Return whether pytest-trio is to await *station*, which it can do for tests only."""
    config = item.config
    if not config.pluginmanager.has_plugin("trio") or not is_async(station):
        return False
    if "anyio_backend" in item.fixturenames:
        return False
    return item.get_closest_marker("trio") is not None or bool(config.getini("trio_mode"))


def run_in_loop(work: Coroutine[Any, Any, Any]) -> None:
    """Run the coroutine *work* in an event loop of its own."""
    import asyncio  # takes as long to import as this package, and few stations are async

    asyncio.run(work)


def outside_loop(
    item: pytest.Function, work: Callable[..., object], *, is_awaited: bool
) -> Callable[..., Any]:
    """Return a function by which *item* calls *work* outside of any event loop.

    *is_awaited*: a plugin awaits what the item calls.
    """

    async def nothing() -> None: ...

    @functools.wraps(work)
    def call(**arguments: Any) -> Any:
        __tracebackhide__ = True
        work(**arguments)
        # An item of pytest-asyncio always awaits what its function returns.
        return nothing() if is_awaited and type(item) is not pytest.Function else None

    return call


def adapt_async_item(item: pytest.Function, station: Station[Any], call: VisitCall) -> None:
    """Let the *item* of an async station call the visit in an event loop only if this is async.

    Other plugins must have adapted the item before.
    """
    if not inspect.iscoroutinefunction(item.obj):
        return
    is_awaited = is_awaited_by_plugin(item, station)
    if not is_coroutine(station.function):
        item.obj = outside_loop(item, _visit(station, call), is_awaited=is_awaited)
    elif not is_awaited:
        function = item.obj

        @functools.wraps(function)
        def run(**arguments: Any) -> None:
            run_in_loop(function(**arguments))

        item.obj = run


def without_second_backend(items: list[pytest.Function]) -> list[pytest.Function]:
    """Return *items* with one per instance: anyio makes one for each of its backends."""
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
