"""The hooks, in the order in which pytest calls them, each handing over at once."""

from __future__ import annotations

import sys
from collections.abc import Generator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeGuard

import pytest

from pytest_choochoo import hookspecs, settings
from pytest_choochoo.engine.errors import ChoochooError, OnlyInStations
from pytest_choochoo.settings import Settings, is_python

# Every run of pytest imports this file, and most of them have no station: what is needed
# for stations only is imported where the first one is met.
if TYPE_CHECKING:
    from pytest_choochoo.collection.registry import StationRegistry
    from pytest_choochoo.engine.station import Station
    from pytest_choochoo.reporting.reports import ReportObserver
    from pytest_choochoo.running.protocol import Runner


def pytest_addoption(parser: pytest.Parser) -> None:
    settings.declare(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "station: every station of a workflow carries it")
    try:
        if config.getoption("cacheclear", False):
            from pytest_choochoo.clearing import clear_cache

            clear_cache(config)
        read = settings.read(config)
        settings.suit_xdist(config, read)
    except ChoochooError as error:
        raise pytest.UsageError(str(error)) from None
    for pattern in read.files:
        # What decides which files pytest collects, and in which it rewrites asserts.
        config.addinivalue_line("python_files", pattern)
    config.pluginmanager.register(Collecting(config, read), "choochoo-collecting")
    if read.mode != "plain":
        _register_front(config, read)


def _register_front(config: pytest.Config, read: Settings) -> None:
    """Register what speaks to the user, and to xdist's workers."""
    from pytest_choochoo.reporting.terminal import Terminal

    if not read.is_worker:
        config.pluginmanager.register(Terminal(config, read), "choochoo-terminal")
    if settings.distributes(config):
        from pytest_choochoo.parallel.controller import Controller

        hooks = Controller(config, read)
        config.pluginmanager.register(hooks, "choochoo-controller")
        if read.mode == "run":
            from pytest_choochoo.parallel.messages import SecretChannel
            from pytest_choochoo.running.stopping import Stopping, after_the_visits

            config.pluginmanager.register(SecretChannel(), "choochoo-safekeeping")
            stopping = Stopping(partial(after_the_visits, hooks), hooks.interrupt_workers)
            config.pluginmanager.register(stopping, "choochoo-stopping-workers")


def _is_station(value: object) -> TypeGuard[Station[Any]]:
    # Where the module was never imported, nothing can be one.
    module = sys.modules.get("pytest_choochoo.engine.station")
    # By its type: some objects raise when they are asked for their class.
    return module is not None and issubclass(type(value), module.Station)


class Collecting:
    """The hooks while pytest collects."""

    def __init__(self, config: pytest.Config, read: Settings) -> None:
        self._config = config
        self._settings = read
        self._directories: dict[Path, pytest.Directory] = {}
        self._collected: StationRegistry | None = None

    @property
    def has_met_stations(self) -> bool:
        return self._collected is not None

    @property
    def collected(self) -> StationRegistry:
        """What was collected, made when the first station is met."""
        if self._collected is None:
            from pytest_choochoo.collection.registry import StationRegistry

            self._collected = StationRegistry(self._config, self._settings, self._directories)
        return self._collected

    def pytest_sessionstart(self) -> None:
        # Last of all plugins, and so outside of what they select and shuffle, --ff included.
        departing = Departing(self._config, self._settings, self)
        self._config.pluginmanager.register(departing, "choochoo-departing")

    def pytest_plugin_registered(self, plugin: object) -> None:
        name = getattr(plugin, "__file__", None)
        if isinstance(plugin, ModuleType) and name and Path(name).name == "conftest.py":
            if any(_is_station(value) for value in vars(plugin).values()):
                self.collected.add_conftest(plugin)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        if isinstance(collector, pytest.Directory):
            self._directories[collector.path] = collector
            files = [
                node
                for node in report.result
                if is_python(node) and self._settings.is_station_file(node.path)
            ]
            if files or self.has_met_stations:
                self.collected.add_directory(collector, files)
                is_left_alone = self.collected.is_left_alone
                report.result = [node for node in report.result if not is_left_alone(node)]
        elif self.has_met_stations and is_python(collector):
            self.collected.add_module(collector, report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(
        self, collector: pytest.Module | pytest.Class, name: str, obj: object
    ) -> list[pytest.Item | pytest.Collector] | None:
        if _is_station(obj):
            return self.collected.make_items(collector, name, obj)
        if isinstance(obj, type) and any(map(_is_station, vars(obj).values())):
            self.collected.add_class(obj)
        return None


class Departing:
    """The hooks between collecting and running."""

    def __init__(self, config: pytest.Config, read: Settings, collecting: Collecting) -> None:
        self._config = config
        self._settings = read
        self._collecting = collecting

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> Generator[None, None, None]:
        if self._settings.mode != "plain" and self._collecting.has_met_stations:
            from pytest_choochoo.collection.bringing import bring

            bring(session, self._collecting.collected, self._settings, items)
        yield
        if self._settings.mode == "plain" and not self._collecting.has_met_stations:
            return
        from pytest_choochoo.reporting.reports import Missing, ReportObserver
        from pytest_choochoo.running.stopping import Stopping, after_the_visit
        from pytest_choochoo.running.timing import Timing
        from pytest_choochoo.session import depart

        manager, collected = self._config.pluginmanager, self._collecting.collected
        if collected.broken or collected.faults:
            missing = Missing(collected.broken, collected.faults)
            manager.register(missing, "choochoo-missing")
        try:
            line = depart(session, collected, self._settings, items)
        except (ChoochooError, pytest.UsageError) as error:
            if self._settings.is_worker:  # its controller is who can refuse
                from pytest_choochoo.parallel.worker import refuse

                return refuse(self._config, error, items)
            raise pytest.UsageError(str(error)) from None
        if line is not None:
            manager.register(line, "choochoo-line")
            manager.register(SettleHooks(line), "choochoo-shortcut")
            manager.register(
                Running(line, ReportObserver(line), self._settings), "choochoo-running"
            )
            manager.register(Timing(line.journey), "choochoo-timing")
            if line.mode == "run":
                manager.register(Stopping(partial(after_the_visit, line)), "choochoo-stopping")
        if self._settings.is_worker:
            from pytest_choochoo.parallel.worker import WorkerHooks

            boarding = WorkerHooks(self._config, self._settings, line)
            manager.register(boarding, "choochoo-boarding")


class SettleHooks:
    """The hook that answers for items which need not be run, and begins with those that must."""

    def __init__(self, line: Runner) -> None:
        self._line = line

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        from pytest_choochoo.reporting.reports import report_settled
        from pytest_choochoo.running.stopping import failing_without_ledger

        with failing_without_ledger(session):
            for item, result in self._line.settle_at_once(session):
                report_settled(item, result, nextitem=item)  # nothing is set up yet
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        from pytest_choochoo.collection.functions import asks_for_fixtures

        if not asks_for_fixtures(item):
            return None
        option = item.config.option
        if option.setupplan:
            return None  # it only shows
        if option.setuponly and self._line.is_station(item):
            return True  # what is set up and never called would be taken for visited
        result = None if option.setuponly else self._line.settle(item)
        if result is None:
            self._line.enter(item)
            return None
        from pytest_choochoo.reporting.reports import report_settled

        report_settled(item, result, nextitem)
        return True


class Running:
    """The hooks while an item is run; each of them is called for stations and tests."""

    def __init__(self, line: Runner, witness: ReportObserver, read: Settings) -> None:
        self._line = line
        self._witness = witness
        self._settings = read

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        try:
            return (yield)
        except BaseException as error:
            self._line.interrupted(error)
            raise
        finally:
            from pytest_choochoo.running.stopping import stopping_without_ledger

            with stopping_without_ledger(item.session), self._witness.telling(item):
                self._line.leave()

    @pytest.hookimpl(wrapper=True, trylast=True)  # inside of those that make ready for teardown
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        __tracebackhide__ = True  # what fails in there is told without us
        if item is self._line.item:
            self._line.arrive()
        yield
        if item is self._line.item:
            self._line.set_up()

    @pytest.hookimpl(wrapper=True, trylast=True)  # inside of those that capture what is printed
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        __tracebackhide__ = True  # what fails in there is told without us
        yield
        if item is self._line.item:
            self._line.call_ended()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: Any, request: Any
    ) -> Generator[None, object, object]:
        if self._line.item is None:
            return (yield)
        self._line.handing.fixture_begins(fixturedef, request)
        failed = True
        try:
            value = yield
            failed = False
        finally:
            self._line.fixture_ends(fixturedef, request, failed=failed)
        return value

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        if item is self._line.item:
            self._witness.note(call)
        report = yield
        if call.excinfo is None:
            return report
        from pytest_choochoo.engine.wording import full_message
        from pytest_choochoo.running.injection import StationDueWarning

        error = call.excinfo.value
        if isinstance(error, ChoochooError | StationDueWarning):
            # Its sentence says it all; what it is called, and where in here it was raised, is
            # of no use to anybody.
            command = self._settings.command("run")
            report.longrepr = full_message(error).replace("pytest --cc-run", command)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.nodeid == self._line.key:
            self._witness.see(report)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    line = session.config.pluginmanager.get_plugin("choochoo-line")
    if line is None or line.mode != "forget" or session.config.option.collectonly:
        return None
    from pytest_choochoo.session import forget

    forget(session, line)
    return True


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    line = session.config.pluginmanager.get_plugin("choochoo-line")
    if line is not None:
        if session.shouldfail or session.shouldstop or exitstatus == pytest.ExitCode.INTERRUPTED:
            from pytest_choochoo.running.stopping import stopping_without_ledger

            with stopping_without_ledger(session):
                line.journey.results.stop()
        is_empty = session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED
        if is_empty and line.mode in {"clean", "forget"}:  # done all the same
            session.exitstatus = pytest.ExitCode.OK


def pytest_unconfigure(config: pytest.Config) -> None:
    line = config.pluginmanager.get_plugin("choochoo-line")
    if line is not None:
        line.journey.ledger.close()


@pytest.fixture
def visit(request: pytest.FixtureRequest) -> Any:
    """What a station knows of its own visit: directory, resources, reasons, progress."""
    line = request.config.pluginmanager.get_plugin("choochoo-line")
    if line is None:
        raise OnlyInStations(request.node.name)
    return line.visit(request.node.name)
