"""One item per station instance, also where plugins multiply items or call them in threads."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest


class MultipliedHooks:
    """The hook that keeps plugins from parametrizing stations with names of their own.

    A plugin like pytest-repeat adds such a name to the fixtures of every function; the
    parameters of a station are those that its function or its fixtures ask for.
    """

    def __init__(self) -> None:
        #: Whether the items of a station are being made.
        self.is_making_station = False

    @pytest.hookimpl(wrapper=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> Generator[None, object, object]:
        if not self.is_making_station:
            return (yield)
        asked, parametrize = set(metafunc.fixturenames), metafunc.parametrize

        def parametrize_asked(argnames: str | Sequence[str], *args: Any, **options: Any) -> None:
            names = argnames.split(",") if isinstance(argnames, str) else argnames
            added = {name.strip() for name in names} - asked
            if not added or not added.issubset(metafunc.fixturenames):
                parametrize(argnames, *args, **options)

        vars(metafunc)["parametrize"] = parametrize_asked
        try:
            return (yield)
        finally:
            del vars(metafunc)["parametrize"]
            metafunc.fixturenames[:] = [each for each in metafunc.fixturenames if each in asked]


@contextmanager
def calling_their_own(items: Iterable[pytest.Function]) -> Iterator[None]:
    """Let *items*, of stations, call their own functions, and those once.

    A plugin like pytest-run-parallel replaces them meanwhile by functions that call them in
    threads.
    """
    functions = [(item, item.obj) for item in items]
    try:
        yield
    finally:
        for item, function in functions:
            item.obj = function
