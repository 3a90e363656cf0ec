"""Several passes over one item: its checks before the visit, the visit, its checks again."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from pytest_choochoo.collection.dependencies import Dependencies
from pytest_choochoo.collection.functions import (
    arguments_of,
    at_once,
    is_awaited_by_plugin,
    is_coroutine,
    run_in_loop,
)
from pytest_choochoo.engine.errors import CheckAnswer, CheckFailed
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.engine.station import Check
from pytest_choochoo.running.injection import Injection

# What ends the run or skips a station is never taken for a check's answer.
_NO_ANSWER = (KeyboardInterrupt, GeneratorExit, pytest.exit.Exception, pytest.skip.Exception)


class StationItem:
    """The item of one station: what it is set up for and what it calls is changed pass by pass."""

    def __init__(
        self, item: pytest.Function, journey: Journey, handing: Injection, needs: Dependencies
    ) -> None:
        self.item = item
        self.station = journey.route[item.nodeid].station
        self.names = list(item.fixturenames)
        self.function = item.obj
        #: The checks that passed, and whose fixtures could not be torn down after it.
        self.passed_and_broke: set[str] = set()
        self._is_awaited = is_awaited_by_plugin(item, self.station)
        self._runs_xfail = item.config.getoption("runxfail", False)
        self._journey = journey
        self._handing = handing
        self._needs = needs

    def begin(self) -> None:
        """Have pytest set up nothing by itself: a fresh station must not pay for its fixtures."""
        self.item.fixturenames = []
        self.item.funcargs = dict.fromkeys(self.names)

    def ignore_xfail(self) -> None:
        """Have pytest take what passes or fails for just that: xfail marks are about the visit."""
        self.item.config.option.runxfail = True

    def end(self) -> None:
        """Leave the item, and what it was run under, as it was found."""
        self.item.obj, self.item.fixturenames = self.function, self.names
        self.item.config.option.runxfail = self._runs_xfail

    def set_up(self, names: Sequence[str]) -> None:
        """Set up the fixtures *names* and no others.

        Those of function scope that an earlier pass set up are torn down
        first, so that a check sees what is there now.
        """
        item = self.item
        self._handing.tear_down()
        # There is no public way to ask an item for its fixtures a second time.
        item._initrequest()
        item.funcargs = dict.fromkeys(name for name in self.names if name not in names)
        for need in self._needs.among(item, names):
            if need.is_direct:
                item.funcargs[need.name] = self._handing.value(need, item)
        if "visit" in names:
            item.funcargs["visit"] = self._journey.visit(item.nodeid)
        item.fixturenames = list(names)
        item.setup()

    def set_up_for(self, function: Callable[..., Any]) -> None:
        """Set up what *function*, a check or a clean, asks for."""
        # Without its backend, anyio would not await it.
        backend = [name for name in self.names if name == "anyio_backend"]
        wanted = [name for name in arguments_of(function) if name != self.station.name]
        self.set_up([*backend, *wanted])

    def arguments(self, function: Callable[..., Any]) -> dict[str, Any]:
        """Return what *function* is called with, its own station's outcome included."""
        names, own = arguments_of(function), self.station.name
        arguments = {name: self.item.funcargs[name] for name in names if name != own}
        if own in names:
            arguments[own] = self._journey.outcomes.copy(self.item.nodeid)
        return arguments

    def call(self, work: Callable[[], Any], *, awaits: bool = False) -> None:
        """Have the item call the async function *work*: in a loop if it *awaits* something."""

        async def awaited(**_: Any) -> None:
            __tracebackhide__ = True
            await work()

        def called(**_: Any) -> None:
            __tracebackhide__ = True
            run_in_loop(work()) if awaits else _driven(work())

        if not awaits:
            self.item.obj = at_once(self.item, called, is_awaited=self._is_awaited)
        else:
            self.item.obj = awaited if self._is_awaited else called

    def ask(self, checks: Sequence[Check]) -> Mapping[str, BaseException]:
        """Ask *checks* once, each with fixtures set up anew; return the errors by name."""
        failures: dict[str, BaseException] = {}
        self._handing.tear_down()  # what the visit's fixtures raise now is no answer of a check
        for check in checks:
            for part in (self._ask_one, self._tear_down_after):
                try:
                    part(check)
                except (*_NO_ANSWER, CheckAnswer):
                    raise
                except BaseException as error:  # whatever a check raises: it does not pass
                    if time.monotonic() >= self._journey.deadline:
                        raise  # it did not answer, it was stopped
                    if check.name not in failures and part == self._tear_down_after:
                        self.passed_and_broke.add(check.name)
                    failures.setdefault(check.name, error)
        if self._is_awaited:
            self.set_up(())  # without a loop of its own it could not be called any more
        return failures

    def _ask_one(self, check: Check) -> None:
        self.set_up_for(check.function)
        self.call(self._asking(check), awaits=is_coroutine(check.function))
        self.item.runtest()

    def _tear_down_after(self, check: Check) -> None:
        self._handing.tear_down()

    def _asking(self, check: Check) -> Callable[[], Any]:
        key = self.item.nodeid
        name = self._journey.route[key].name

        async def ask() -> None:
            arguments = self.arguments(check.function)
            if self.station.name in arguments and self._journey.outcomes.find(key) is None:
                raise CheckFailed(name, check.name, "there is no outcome recorded yet")
            answer = check.function(**arguments)
            if inspect.isawaitable(answer):
                answer = await answer
            if answer is False:
                raise CheckFailed(name, check.name, "it returned False")
            if answer is not None and answer is not True:
                raise CheckAnswer(name, check.name, repr(answer))

        return ask


def _driven(work: Any) -> None:
    """Run the coroutine *work*, which awaits nothing, without the cost of a loop."""
    __tracebackhide__ = True
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("work that awaits something needs a loop")
