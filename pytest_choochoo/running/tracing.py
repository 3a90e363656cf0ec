"""The debugger of `--trace`, which enters the visits of stations, and tests as always."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest


class TraceHooks:
    """The hook that keeps pytest's *tracer* from items that *is_station* says are stations.

    It would stop in the function that the item of a station calls for a visit or a check.
    """

    def __init__(self, tracer: Any, is_station: Callable[[pytest.Item], bool]) -> None:
        self._tracer = tracer
        self._is_station = is_station

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        if self._is_station(pyfuncitem):
            return (yield)
        return (yield from self._tracer.pytest_pyfunc_call(pyfuncitem))
