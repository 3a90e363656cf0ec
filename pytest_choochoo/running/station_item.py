"""The item of one station, set up again for each of its checks and for its visit."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import pytest

from pytest_choochoo.collection.dependencies import Dependencies
from pytest_choochoo.collection.functions import (
    arguments_of,
    is_awaited_by_plugin,
    is_coroutine,
    outside_loop,
    run_in_loop,
)
from pytest_choochoo.collection.pytest_internals import init_request
from pytest_choochoo.engine.attempt import decisive
from pytest_choochoo.engine.errors import (
    CheckFailed,
    CheckNotAsked,
    FindNotAsked,
    UnusableLedger,
    check_line,
)
from pytest_choochoo.engine.outcomes.outcomes import Outcomes
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.engine.station import Check, Station
from pytest_choochoo.engine.visit import Visit
from pytest_choochoo.reporting.reports import CheckWarning
from pytest_choochoo.running.injection import Injection
from pytest_choochoo.running.mistakes import Mistake, mistake_in
from pytest_choochoo.running.stopping import Deadline

# These end the run or skip a station: they are never a check's answer.
_NO_ANSWER = (
    KeyboardInterrupt,
    GeneratorExit,
    pytest.exit.Exception,
    pytest.skip.Exception,
    UnusableLedger,
)


class StationItem:
    """The item of one station while pytest runs it; its fixtures and its function change.

    *make_visit* returns the `Visit` of the station for the reasons that it is given;
    *why_unknown*, why it has no outcome; *reasons*: why the station is visited.
    """

    def __init__(
        self,
        item: pytest.Function,
        station: Station[Any],
        *,
        injection: Injection,
        dependencies: Dependencies,
        outcomes: Outcomes,
        make_visit: Callable[[str, tuple[str, ...]], Visit],
        why_unknown: Callable[[str], str],
        deadline: Deadline,
    ) -> None:
        self.item = item
        self.key = item.nodeid
        self.station = station
        self.function = item.obj
        self.names = list(item.fixturenames)
        self.reasons: tuple[str, ...] = ()
        #: The error of each check that did not pass when it was last asked, by name.
        self.failures: dict[str, BaseException] = {}
        #: Checks that passed, but whose fixtures could not be torn down.
        self.broken_teardowns: set[str] = set()
        self._is_awaited = is_awaited_by_plugin(item, station)
        self._runs_xfail = item.config.getoption("runxfail", False)
        self._injection = injection
        self._dependencies = dependencies
        self._outcomes = outcomes
        self._make_visit = make_visit
        self._why_unknown = why_unknown
        self._deadline = deadline

    @property
    def visit(self) -> Visit:
        return self._make_visit(self.key, self.reasons)

    def strip(self) -> None:
        """Let pytest set up nothing by itself: a fresh station must not pay for its fixtures."""
        self.item.fixturenames = []
        self.item.funcargs = dict.fromkeys(self.names)

    def ignore_xfail(self) -> None:
        """Report a pass or a failure as such: xfail marks are about the visit."""
        self.item.config.option.runxfail = True

    def restore(self) -> None:
        """Restore the item, and the option that it changed, to their state before the run."""
        self.item.obj, self.item.fixturenames = self.function, self.names
        self.item.config.option.runxfail = self._runs_xfail

    def set_up(self, names: Sequence[str]) -> None:
        """Set up the fixtures *names* and no others.

        Function fixtures that were set up before are torn down first, so that a check
        sees the world as it is now.
        """
        item = self.item
        self._injection.tear_down()
        init_request(item)
        item.funcargs = dict.fromkeys(name for name in self.names if name not in names)
        for dependency in self._dependencies.requested_by(item, names):
            if dependency.is_direct:
                item.funcargs[dependency.name] = self._injection.value(dependency, item)
        if "visit" in names:
            item.funcargs["visit"] = self.visit
        item.fixturenames = list(names)
        item.setup()

    def set_up_for(self, function: Callable[..., Any]) -> None:
        """Set up the fixtures that *function*, a check or a clean, requests."""
        # Without its backend, anyio would not await it.
        backend = [name for name in self.names if name == "anyio_backend"]
        wanted = [name for name in arguments_of(function) if name != self.station.name]
        self.set_up([*backend, *wanted])

    def set_up_values(self) -> dict[str, Any]:
        """Set up the fixtures whose values are inputs of the station, and return the values."""
        names = self.station.declaration.values
        if names:
            self.item.obj = self.function  # by its file, pytest cuts the traceback of an error
            self.set_up(names)
        return {name: self.item.funcargs[name] for name in names}

    def arguments(self, function: Callable[..., Any]) -> dict[str, Any]:
        """Return the arguments to call *function* with, its own station's outcome included."""
        names, own = arguments_of(function), self.station.name
        arguments = {name: self.item.funcargs[name] for name in names if name != own}
        if own in names:
            arguments[own] = self._outcomes.copy(self.key)
        return arguments

    def call(self, work: Callable[[], Coroutine[Any, Any, None]], *, awaits: bool = False) -> None:
        """Let pytest call the async function *work*: in a loop if it *awaits* something."""

        async def awaited(**_: Any) -> None:
            __tracebackhide__ = True
            await work()

        def called(**_: Any) -> None:
            __tracebackhide__ = True
            run_in_loop(work()) if awaits else _run_without_loop(work())

        if not awaits:
            self.item.obj = outside_loop(self.item, called, is_awaited=self._is_awaited)
        else:
            self.item.obj = awaited if self._is_awaited else called
        self.item.obj.__doc__ = self.function.__doc__  # reporters show it

    def call_nothing(self) -> None:
        """Let pytest call a function that does nothing."""
        self.call(_nothing)

    def ask(self, checks: Sequence[Check]) -> Mapping[str, BaseException]:
        """Ask each of *checks* once, with fixtures of its own; return the errors by name.

        A mistake in a check becomes `CheckNotAsked`.
        """
        failures: dict[str, BaseException] = {}
        self._injection.tear_down()  # an error of the visit's fixtures is not a check's answer
        for check in checks:
            for part in (self._ask_one, self._tear_down_after):
                try:
                    part(check)
                except BaseException as error:  # a check that raises anything does not pass
                    if _is_no_answer(check, error) or self._deadline.is_over:
                        raise  # it did not answer, or was stopped
                    if check.name not in failures and part == self._tear_down_after:
                        self.broken_teardowns.add(check.name)
                    failures.setdefault(check.name, self._answer(check, error))
        for check in checks:
            self.failures.pop(check.name, None)
        self.failures |= decisive(checks, failures)
        if self._is_awaited:
            self.set_up(())  # the item could not be called again without a new event loop
        return failures

    def find(self) -> object:
        """Return what the find of the station returns, with fixtures of its own.

        None where there is no find, or where it raises: nothing is there. Raises `FindNotAsked`.
        """
        function = self.station.find_function
        if function is None:
            return None
        answers: list[object] = []

        async def ask() -> None:
            answer = function(**self.arguments(function))
            answers.append(await answer if inspect.isawaitable(answer) else answer)

        try:
            self._injection.tear_down()
            self.set_up_for(function)
            self.call(ask, awaits=is_coroutine(function))
            self.item.runtest()
            self._injection.tear_down()
        except _NO_ANSWER:
            raise
        except BaseException as error:  # as in a check, raising anything means: not there
            if self._deadline.is_over:
                raise  # it did not answer, it was stopped
            answers.clear()
            mistake = mistake_in(function, error, self.item.config.rootpath)
            if mistake is not None:
                self.ignore_xfail()  # a mistake is never expected
                raise FindNotAsked(self.item.name, *mistake) from error
        finally:
            if self._is_awaited:
                self.set_up(())  # the item could not be called again without a new event loop
        return answers[0] if answers else None

    def warn_of(self, failures: Mapping[str, BaseException]) -> None:
        """Issue a warning for each of *failures*, of checks that only warn."""
        for name, error in failures.items():
            text = f"station {self.item.name!r}: {check_line(name, error)}; this is a warning only"
            self.item.warn(CheckWarning(shown(text)))

    def _answer(self, check: Check, error: BaseException) -> BaseException:
        """Return *error*, of a check that was asked, or `CheckNotAsked` where it is a mistake."""
        found = mistake_in(check.function, error, self.item.config.rootpath)
        if found is None:
            return error
        mistake = CheckNotAsked(self.item.name, check.name, *found)
        mistake.__cause__ = error
        self.ignore_xfail()  # a mistake is never expected
        return mistake

    def _ask_one(self, check: Check) -> None:
        self.set_up_for(check.function)
        self.call(self._asking(check), awaits=is_coroutine(check.function))
        self.item.runtest()

    def _tear_down_after(self, check: Check) -> None:
        self._injection.tear_down()

    def _asking(self, check: Check) -> Callable[[], Coroutine[Any, Any, None]]:
        name = self.item.name

        async def ask() -> None:
            arguments = self.arguments(check.function)
            if self.station.name in arguments and self._outcomes.find(self.key) is None:
                cause = f"its outcome is unknown: {self._why_unknown(self.key)}"
                raise CheckFailed(name, check.name, cause)
            try:
                answer = check.function(**arguments)
            except TypeError as error:
                if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                    raise Mistake(f"TypeError: {error}", "correct its parameters") from error
                raise
            if inspect.isawaitable(answer):
                answer = await answer
            if answer is False:
                raise CheckFailed(name, check.name, "it returned False")
            if answer is not None and answer is not True:
                raise Mistake(f"it returned {answer!r}", "a check must return None, True or False")

        return ask


def _is_no_answer(check: Check, error: BaseException) -> bool:
    """Return whether *error*, raised by *check*, ends the run or skips the station.

    A check that only warns does not skip it: the station is complete in any case.
    """
    if check.warns and isinstance(error, pytest.skip.Exception):
        return False
    return isinstance(error, _NO_ANSWER)


def _run_without_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run the coroutine *work*, which awaits nothing, without the cost of a loop."""
    __tracebackhide__ = True
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("a coroutine that awaits something needs a loop")


async def _nothing() -> None: ...
