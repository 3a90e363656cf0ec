"""Outcomes as fixtures: tests, stations, checks and fixtures each receive a copy."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol

import pytest

from pytest_choochoo.collection.dependencies import Dependencies, Dependency
from pytest_choochoo.collection.functions import arguments_of, parameters_of
from pytest_choochoo.collection.pytest_internals import (
    copy_for_each_request,
    finish_fixture,
    forget_fixture_error,
    report_pass_to_tmp_path,
)
from pytest_choochoo.engine.errors import ChoochooError, NoRecord
from pytest_choochoo.engine.outcomes.outcomes import Outcomes
from pytest_choochoo.engine.route import Route
from pytest_choochoo.engine.station import Station


class OutcomeRule(Protocol):
    """The rule of a command about the outcomes that may be handed out."""

    def before_use(self, dependency: Dependency, item: pytest.Item) -> None:
        """Warn, or raise, if *item* must not silently use the outcomes of *dependency*."""

    def why_unknown(self, key: str) -> Exception | None:
        """Return the error to raise if the outcome of *key* is unknown; None to hand out None."""


class Injection:
    """Hands out outcomes, and tracks the fixtures that are set up for one item.

    *providers*: the fixture functions of stations.
    """

    def __init__(
        self,
        *,
        route: Route,
        outcomes: Outcomes,
        dependencies: Dependencies,
        providers: Collection[Callable[..., Any]],
        rule: OutcomeRule,
    ) -> None:
        self._route = route
        self._outcomes = outcomes
        self._dependencies = dependencies
        self._providers = providers
        self._rule = rule
        #: The scope of each fixture that is being set up, the outermost first.
        self._scopes: list[str] = []
        #: The fixtures to tear down before the next check, each with its request.
        self._set_up: list[tuple[pytest.FixtureDef[Any], pytest.FixtureRequest]] = []
        #: The item of the station under way, None while a test is run.
        self.station: pytest.Function | None = None

    def inject(self, item: pytest.Function) -> None:
        """Give a test the outcomes that its parameters name."""
        __tracebackhide__ = True
        function = getattr(item, "function", None)
        direct = arguments_of(function) if function is not None else ()
        for dependency in self._dependencies.requested_by(item, item.fixturenames):
            if dependency.is_direct and dependency.name in direct:
                item.funcargs[dependency.name] = self.value(dependency, item)

    def value(self, dependency: Dependency, item: pytest.Item) -> Any:
        """Return a new copy of what *item* receives for *dependency*."""
        __tracebackhide__ = True
        self._rule.before_use(dependency, item)
        if dependency.fault is not None:
            raise dependency.fault
        if not dependency.keys:
            raise NoRecord(dependency.name, "its file could not be collected")
        if dependency.is_fan_in:
            return {self._route[key].parameter_id: self._outcome(key) for key in dependency.keys}
        return self._outcome(dependency.keys[0])

    def _outcome(self, key: str) -> Any:
        if self._outcomes.find(key) is None:
            error = self._rule.why_unknown(key)
            if error is not None:
                raise error
        return self._outcomes.copy(key)

    # --- through fixtures

    def fixture_value(self, station: Station[Any], item: pytest.Function) -> Any:
        """Return what the fixture of *station* returns while *item* is run."""
        __tracebackhide__ = True
        if item.nodeid in self._route and self._route[item.nodeid].station is station:
            return self._outcome(item.nodeid)
        # Fixtures that outlive the item cannot follow its parameters: they receive all outcomes.
        follows = not self._scopes or self._scopes[-1] == "function"
        parameters = parameters_of(item) if follows else {}
        dependency = self._dependencies.instances_for(
            station.name, station, parameters, item.nodeid
        )
        return self.value(dependency, item)

    def fixture_begins(
        self, definition: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> None:
        """Note that a fixture is being set up."""
        is_station = definition.func in self._providers
        # A station's fixture is cached for the session; its consumer decides what it returns.
        consumer = self._scopes[-1] if self._scopes else "function"
        self._scopes.append(consumer if is_station else definition.scope)
        # A fixture that uses the station must not outlive its visit, which makes a new outcome.
        if definition.scope == "function" or self._uses_the_station(definition):
            self._set_up.append((definition, request))

    def _uses_the_station(self, definition: pytest.FixtureDef[Any]) -> bool:
        if self.station is None or definition.func in self._providers:
            return False
        key = self.station.nodeid
        return key in self._dependencies.upstream_through(self.station, definition.argname)

    def fixture_ends(
        self,
        definition: pytest.FixtureDef[Any],
        request: pytest.FixtureRequest,
        error: BaseException | None,
    ) -> None:
        """Note that a fixture is set up, or that this raised an *error*."""
        self._scopes.pop()
        failed = error is not None
        is_provider = definition.func in self._providers
        if failed and (is_provider or isinstance(error, ChoochooError)):
            # A later item may have what this one misses: its station may be visited by then.
            forget_fixture_error(definition)
        elif is_provider:
            copy_for_each_request(definition)
        # One that failed for a check is set up again: the visit may bring what it misses.
        if failed and self.station is not None and definition.scope != "function":
            self._set_up.append((definition, request))

    def tear_down(self) -> None:
        """Tear down the fixtures set up for the item so far, so that they are set up again.

        Raises the first error of the fixtures that cannot be torn down.
        """
        errors = []
        if any(definition.argname == "tmp_path" for definition, _ in self._set_up):
            assert self.station is not None
            report_pass_to_tmp_path(self.station)
        while self._set_up:
            definition, request = self._set_up.pop()
            try:
                finish_fixture(definition, request)
            except BaseException as error:  # noqa: BLE001 - the others are torn down nevertheless
                errors.append(error)
        if errors:
            raise errors[0]

    def forget(self) -> None:
        """Forget the item; pytest tears down what was set up for it."""
        self.station = None
        self._set_up.clear()
        self._scopes.clear()
