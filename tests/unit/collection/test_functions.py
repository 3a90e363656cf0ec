"""Functions of stations: their requests, and the ways in which their items call them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from pytest_choochoo import station
from pytest_choochoo.collection.functions import (
    VisitCall,
    arguments_of,
    attached,
    is_async,
    item_function,
    parameters_of,
)
from unit.collection.conftest import Collect


def _with_all_kinds(first: int, /, boil: int, cups: int = 1, *rest: int, pour: int) -> None: ...


def _without_arguments() -> None: ...


@pytest.mark.parametrize(
    ("function", "names"),
    [
        pytest.param(_with_all_kinds, ("boil", "pour"), id="all-kinds"),
        pytest.param(_without_arguments, (), id="none"),
        pytest.param(lambda boil: boil, ("boil",), id="lambda"),
    ],
)
def test_arguments_that_are_requests(function: Callable[..., Any], names: tuple[str, ...]) -> None:
    """Parameters without a default that can be passed by name are requests."""
    assert arguments_of(function) == names


def test_checks_come_before_the_clean() -> None:
    """All functions attached to a station are yielded: its checks, then its clean."""

    @station
    def boil() -> None: ...

    @boil.clean
    def cool() -> None: ...

    @boil.check
    def is_hot() -> None: ...

    assert list(attached(boil)) == [is_hot, cool]


def test_return_value_is_popped_once() -> None:
    """A return value is there until it is popped."""
    value = VisitCall()

    value.run(lambda: 100, {})

    assert (value.pop(), value.pop()) == (100, None)


def test_item_function_leaves_the_value_and_keeps_the_signature() -> None:
    """The function of an item takes the arguments of the visit, and sets its return value."""

    @station
    def boil(water: int) -> int:
        return water + 1

    value = VisitCall()
    function = item_function(boil, value)

    assert function(water=99) is None
    assert value.pop() == 100
    assert inspect.signature(function) == inspect.signature(boil.function)


def test_async_check_makes_an_async_item() -> None:
    """The item of a station is async if one of its functions is, and also sets the return value."""

    @station
    def boil() -> int:
        return 100

    @boil.check
    async def is_hot() -> None: ...

    value = VisitCall()
    function = item_function(boil, value)
    asyncio.run(function())

    assert is_async(boil)
    assert inspect.iscoroutinefunction(function)
    assert value.pop() == 100


def test_item_of_a_plain_visit_with_an_async_check_is_called_outside_a_loop(
    collect: Collect,
) -> None:
    """A visit that is not async is called outside of any event loop, even with an async check."""
    project = collect(
        {
            "stations.py": """
                import asyncio

                @station
                def boil():
                    return asyncio.run(asyncio.sleep(0, 100))

                @boil.check
                async def is_hot(): ...
            """
        }
    )

    project["boil"].obj()

    assert project.registry.call.pop() == 100


def test_async_visit_without_a_plugin_is_run_in_a_loop(collect: Collect) -> None:
    """An async visit that no plugin awaits runs in an event loop of its own."""
    source = (
        "import asyncio\n\n@station\nasync def boil():\n    return await asyncio.sleep(0, 100)\n"
    )
    project = collect({"stations.py": source})

    project["boil"].obj()

    assert project.registry.call.pop() == 100


def test_parameters_of_an_item(collect: Collect) -> None:
    """The parameters of an item are its own and those of parametrized fixtures, by name."""
    project = collect(
        {
            "test_tea.py": """
                @pytest.fixture(params=[3])
                def cups(request): ...

                @pytest.mark.parametrize("tea", ["green"])
                def test_tea(tea, cups): ...

                def test_else(): ...
            """,
            "stations.py": "@station\ndef boil(): ...\n",
        }
    )

    assert parameters_of(project["test_tea[3-green]"]) == {"tea": "green", "cups": 3}
    assert parameters_of(project["test_else"]) == {}
