"""The entry point: registers the hooks of each folder, and defines the fixture `visit`.

Without `PYTEST_DONT_REWRITE` here, pytest would warn when a run within a run names this plugin.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_choochoo import hookspecs, parallel, settings
from pytest_choochoo.collection.hooks import CollectionHooks
from pytest_choochoo.engine.errors import ChoochooError, OnlyInStations
from pytest_choochoo.settings import PROCESS, SETTINGS, Settings

if TYPE_CHECKING:
    from pytest_choochoo.reporting.terminal import Terminal

# Every run of pytest imports this file, and most runs have no station: modules that only
# stations need are imported when the first one is met.
_COLLECTION = pytest.StashKey[CollectionHooks]()


def pytest_addoption(parser: pytest.Parser) -> None:
    settings.declare(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    # Before any file of the project is imported; only a run records what was imported.
    if settings.may_visit(early_config):
        from pytest_choochoo.collection.imports import record_imports

        record_imports(early_config)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    if not settings.is_redo(config):
        return None
    process = config.stash[PROCESS] = parallel.process_of(config)
    if process.is_worker:
        return None
    try:
        parallel.adapt_options(config, settings.read(config))  # else it would clean, and not run
    except ChoochooError as error:
        raise pytest.UsageError(str(error)) from None
    from pytest_choochoo.commands.redo import clean_first

    return clean_first(config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "station: every station of a workflow carries it")
    if PROCESS not in config.stash:
        config.stash[PROCESS] = parallel.process_of(config)
    try:
        if config.getoption("cacheclear", False):
            from pytest_choochoo.storage import clear_cache

            clear_cache(config)
        read = settings.read(config)
        parallel.adapt_options(config, read)
    except ChoochooError as error:
        raise pytest.UsageError(str(error)) from None
    if read.is_for_tools:  # nothing but the answer is printed, as with -qq
        config.option.verbose = -2
    for pattern in read.files if config.pluginmanager.has_plugin("python") else ():
        # This decides which files pytest collects, and in which it rewrites asserts.
        config.addinivalue_line("python_files", pattern)
    config.stash[SETTINGS] = read
    config.stash[_COLLECTION] = CollectionHooks(config, read)
    config.pluginmanager.register(config.stash[_COLLECTION])
    if read.mode.collects:
        _register_front(config, read)
    elif settings.wants_facts(config) and not read.process.is_worker:
        text = "--cc-json and --cc-report write what a --cc-* command did: there is none"
        config.issue_config_time_warning(pytest.PytestConfigWarning(text), stacklevel=2)


def _register_front(config: pytest.Config, read: Settings) -> None:
    """Register the hooks that speak to the user, and to xdist's workers."""
    if not read.process.is_worker:
        from pytest_choochoo.reporting.terminal import Terminal

        terminal = Terminal(config, read)
        config.pluginmanager.register(terminal)
        if settings.wants_facts(config):
            _register_files(config, read, terminal)
        _register_display(config, read, terminal)
    if parallel.is_controller(config):
        parallel.register_controller(config, read)


def _register_display(config: pytest.Config, read: Settings, terminal: Terminal) -> None:
    """Register what shows a run while it goes on, and what GitHub shows of it."""
    from pytest_choochoo.reporting.displays import DISPLAY, chosen_display

    kind = chosen_display(config, read)
    if kind == "live":
        from pytest_choochoo.reporting.live import Live  # it imports rich

        config.stash[DISPLAY] = Live(config)
    elif kind == "lines":
        from pytest_choochoo.reporting.lines import Lines

        config.stash[DISPLAY] = Lines(config)
    if DISPLAY in config.stash:
        config.pluginmanager.register(config.stash[DISPLAY])
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if file:
        from pytest_choochoo.reporting.step_summary import StepSummary

        path = config.invocation_params.dir / file
        config.pluginmanager.register(StepSummary(path, read, lambda: terminal.results))


def _register_reporters(config: pytest.Config, read: Settings) -> None:
    """Register what shows stations in the reports of other plugins, where there are any."""
    from pytest_choochoo.reporting.reports import REPORTS_ALL, RUNS_SETTLED
    from pytest_choochoo.reporting.watchers import is_heard, is_watched

    # A plugin may look at the reports in the controller, and have no hooks in its workers.
    if read.process.runs_settled or is_watched(config):
        config.stash[RUNS_SETTLED] = True
    if is_heard(config):
        config.stash[REPORTS_ALL] = True
    if any(config.getoption(name, None) for name in ("htmlpath", "allure_report_dir")):
        from pytest_choochoo.reporting import reporters

        shows, runs_items = not read.process.is_worker, not parallel.is_controller(config)
        reporters.register(config, shows=shows, runs_items=runs_items)


def _register_files(config: pytest.Config, read: Settings, terminal: Terminal) -> None:
    """Register the hooks that write the facts of the session into files."""
    from pytest_choochoo.reporting import json_file
    from pytest_choochoo.reporting.facts import FactsFile, SessionFacts

    renders = {"--cc-json": json_file.render}
    try:
        if config.getoption("cc_report"):
            from pytest_choochoo.reporting import page

            page.require_libraries()
            renders["--cc-report"] = page.render
        asked_for = [option for option in renders if config.getoption(option)]
        files = [
            FactsFile(option, settings.file_of(config, option), renders[option])
            for option in asked_for
        ]
    except ChoochooError as error:
        raise pytest.UsageError(str(error)) from None
    config.pluginmanager.register(
        SessionFacts(config, read, files, results=lambda: terminal.results)
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    # Registered last, to wrap the selections and shuffles of all other plugins, --ff included.
    config = session.config
    config.pluginmanager.register(SessionStart(config))
    read = config.stash[SETTINGS]
    if read.mode.collects:
        _register_reporters(config, read)
        if read.is_stepwise:
            config.pluginmanager.register(OrderForStepwise(config.stash[_COLLECTION]))
    if parallel.is_controller(config) and not read.writes and read.folder is not None:
        # Its workers look for stations, and have no terminal.
        if read.folder.exists():
            from pytest_choochoo.reporting.notices import notify
            from pytest_choochoo.storage import say_what_is_under_way

            say_what_is_under_way(read.location, lambda text: notify(config, text))


class SessionStart:
    """The hook that makes the session, if there are stations or an option that needs it."""

    def __init__(self, config: pytest.Config) -> None:
        self._settings = config.stash[SETTINGS]
        self._collection = config.stash[_COLLECTION]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> Generator[None, None, None]:
        read, collection = self._settings, self._collection
        if read.mode.collects and collection.has_met_stations:
            collection.files.add_imported_stations(session, items)
        yield
        if not read.mode.collects and not collection.has_met_stations:
            return
        from pytest_choochoo.session import start

        try:
            made = start(session, collection.files, read, items)
        except (ChoochooError, pytest.UsageError) as error:
            if not read.process.is_worker:
                raise pytest.UsageError(str(error)) from None
            from pytest_choochoo.parallel.worker import refuse

            return refuse(session.config, error, items)  # the controller raises it
        if read.process.is_worker:
            parallel.register_worker(session.config, made)


class OrderForStepwise:
    """The hook that puts items in their order before stepwise looks at it.

    To stepwise, all items before the one that failed have passed. Plugins that shuffle come first.
    """

    def __init__(self, collection: CollectionHooks) -> None:
        self._collection = collection

    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> None:
        if self._collection.has_met_stations:
            from pytest_choochoo.session import arrange_first

            arrange_first(self._collection.files, session, items)


@pytest.fixture
def visit(request: pytest.FixtureRequest) -> Any:
    """The visit of a station under way: its directory, resources, reasons and progress."""
    if request.config.stash[_COLLECTION].has_met_stations:
        from pytest_choochoo.session import SESSION

        made = request.config.stash.get(SESSION, None)  # a station file may have no stations
        if made is not None:
            return made.runner.visit(request.node.name)
    raise OnlyInStations(request.node.name)
