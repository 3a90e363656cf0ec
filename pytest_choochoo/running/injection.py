"""Outcomes handed out to tests, stations, checks and fixtures: a copy to each of them."""

from __future__ import annotations

from typing import Any, Self

import pytest

from pytest_choochoo.collection.dependencies import Dependencies, Dependency
from pytest_choochoo.collection.functions import arguments_of, parameters_of
from pytest_choochoo.collection.registry import StationRegistry
from pytest_choochoo.engine.errors import NoRecord, NotWaitedFor
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.engine.station import Station
from pytest_choochoo.settings import Mode


class StationDueWarning(pytest.PytestWarning):
    """A test uses the recorded outcome of a station that is due."""


class _Copies(tuple[Any, ...]):
    """What pytest keeps of a fixture, value first: every look at the value makes a copy.

    What one consumer alters must not reach the next. The fixture of a station is
    cached for the session, and there is no public way to have it hand out a second copy.
    """

    def __new__(cls, definition: Any) -> Self:
        copies = super().__new__(cls, definition.cached_result)
        copies._provider = definition.func
        return copies

    def __getitem__(self, index: Any) -> Any:
        is_good = index == 0 and super().__getitem__(2) is None
        return self._provider() if is_good else super().__getitem__(index)

    _provider: Any


class Injection:
    """Hands out outcomes, and keeps track of the fixtures through which they go."""

    def __init__(
        self, *, journey: Journey, collected: StationRegistry, needs: Dependencies, mode: Mode
    ) -> None:
        self._journey = journey
        self._collected = collected
        self._needs = needs
        self._mode = mode
        self._scopes: list[str] = []
        self._set_up: list[tuple[Any, Any]] = []
        #: The station that is being run, if it is one.
        self.station: pytest.Function | None = None

    def give(self, item: pytest.Function) -> None:
        """Put into a test what it asks for by name."""
        __tracebackhide__ = True
        function = getattr(item, "function", None)
        direct = arguments_of(function) if function is not None else ()
        for need in self._needs.among(item, item.fixturenames):
            if need.is_direct and need.name in direct:
                item.funcargs[need.name] = self.value(need, item)

    def value(self, need: Dependency, item: pytest.Item) -> Any:
        """Return a new copy of what *item* receives for *need*."""
        __tracebackhide__ = True
        is_check = self._mode == "check" and item.nodeid in self._journey.route
        # A check is asked upstream failing or not; a test wants to know of it.
        if self._mode in {"plain", "check"} and not is_check:
            self._require_on_complete(need, item)
        if need.fault is not None:
            raise need.fault
        if not need.keys:
            raise NoRecord(need.name, "its file could not be collected")
        if need.is_fan_in:
            route = self._journey.route
            return {route[key].parameter_id: self._outcome(key) for key in need.keys}
        return self._outcome(need.keys[0])

    def _outcome(self, key: str) -> Any:
        journey = self._journey
        if journey.outcomes.find(key) is None:
            station = journey.route[key].station
            # What returns nothing is known though nobody has seen it return.
            is_known = self._mode == "check" and not journey.outcomes.is_expected(station)
            # A clean may follow a visit that never came to its end.
            if not is_known and self._mode != "clean":
                # A run visits what is requested by parameters before whoever requests it.
                kind = NotWaitedFor if self._mode == "run" else NoRecord
                raise kind(journey.route[key].name, journey.judging.why_incomplete(key))
        return journey.outcomes.copy(key)

    def _require_on_complete(self, need: Dependency, item: pytest.Item) -> None:
        __tracebackhide__ = True
        for fault in self._collected.faults:
            if fault.concerns(need.name):
                raise fault
        for key in need.keys:
            reasons = self._journey.judging.why_stale(key)
            if reasons:
                name = self._journey.route[key].name
                text = (
                    f"station {name!r} is due: {'; '.join(reasons)}; its recorded outcome is used"
                )
                item.warn(StationDueWarning(text))

    # --- through fixtures

    def provide(self, station: Station[Any], item: pytest.Function) -> Any:
        """Return what the fixture of *station* hands out while *item* is run."""
        __tracebackhide__ = True
        route = self._journey.route
        if item.nodeid in route and route[item.nodeid].station is station:
            return self._outcome(item.nodeid)
        # Fixtures that outlive the item cannot follow its parameters: they get all.
        follows = not self._scopes or self._scopes[-1] == "function"
        parameters = parameters_of(item) if follows else {}
        need = self._needs.need(station.name, station, parameters, item.nodeid)
        return self.value(need, item)

    def fixture_begins(self, definition: Any, request: Any) -> None:
        """Take note of a fixture that is set up: who outlives the item, and who does not."""
        is_station = definition.func in self._collected.providers
        # The fixture of a station is cached for the session; who asks for it decides what it gives.
        asker = self._scopes[-1] if self._scopes else "function"
        self._scopes.append(asker if is_station else definition.scope)
        # What asks for the station itself must not outlive its visit, which makes another outcome.
        if definition.scope == "function" or self._asks_for_the_station(definition):
            self._set_up.append((definition, request))

    def _asks_for_the_station(self, definition: Any) -> bool:
        if self.station is None or definition.func in self._collected.providers:
            return False
        key = self.station.nodeid
        return key in self._needs.keys_through(self.station, definition.argname)

    def fixture_ends(self, definition: Any, request: Any, *, is_retried: bool) -> None:
        """Take note of a fixture's end; *is_retried*: it failed, and may be asked for again."""
        self._scopes.pop()
        if definition.func in self._collected.providers and definition.cached_result is not None:
            definition.cached_result = _Copies(definition)
        if is_retried and definition.scope != "function":
            self._set_up.append((definition, request))

    def tear_down(self) -> None:
        """Tear down what was set up for the item so far, so that it is set up anew.

        Raises what the first of the fixtures raises that cannot be torn down.
        """
        errors = []
        if any(definition.argname == "tmp_path" for definition, _ in self._set_up):
            self._say_how_it_goes()
        while self._set_up:
            definition, request = self._set_up.pop()
            try:
                definition.finish(request)
            except BaseException as error:  # noqa: BLE001 - the others are torn down all the same
                errors.append(error)
        if errors:
            raise errors[0]

    def _say_how_it_goes(self) -> None:
        """Tell the fixture `tmp_path`, which requires on it, that nothing has failed so far.

        Pytest does so when a phase has ended. Nobody else is told: it is in the midst of one.
        """
        assert self.station is not None
        manager = self.station.config.pluginmanager
        others = [
            plugin
            for name, plugin in manager.list_name_plugin()
            if plugin is not None and name not in {"runner", "tmpdir"}
        ]
        make_report = manager.subset_hook_caller("pytest_runtest_makereport", others)
        call = pytest.CallInfo.from_call(lambda: None, when="setup")
        make_report(item=self.station, call=call)

    def forget(self) -> None:
        """Forget the item; what it set up is pytest's to tear down."""
        self.station = None
        self._set_up.clear()
        self._scopes.clear()
