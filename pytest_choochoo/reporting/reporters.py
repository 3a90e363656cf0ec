"""The results of stations in the reports of pytest-html and Allure."""

from __future__ import annotations

from collections.abc import Generator
from html import escape
from typing import Any

import msgspec
import pytest

from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.engine.wording import why
from pytest_choochoo.reporting.reports import PROPERTY, properties
from pytest_choochoo.reporting.terminal import RUN_FACTS
from pytest_choochoo.settings import SETTINGS

#: The header of the column in pytest-html's table; its script sorts by the type of a column.
HEADER = '<th class="sortable" data-column-type="station">Station</th>'


def register(config: pytest.Config, *, shows: bool, runs_items: bool) -> None:
    """Register the hooks for the reports of other plugins that were requested.

    The plugins are configured already. *shows*: this process writes the report of all items;
    *runs_items*: it runs items.
    """
    if shows and config.getoption("htmlpath", None):
        config.pluginmanager.register(HtmlColumn(config))
    if config.getoption("allure_report_dir", None) and runs_items:
        config.pluginmanager.register(AllureResults(config.stash[SETTINGS].profile))


class HtmlColumn:
    """The hooks that add a column to pytest-html's table, as soon as there are stations.

    It is the last column: rows that were made before it lack nothing but an empty cell.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._page: Any = None
        self._is_there = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_report_title(self, report: Any) -> None:
        self._page = report

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_html_results_table_row(self, report: Any, cells: list[str]) -> None:
        if not cells:  # another plugin has removed the row
            return
        facts = getattr(report, "choochoo", None)
        result = None if facts is None else msgspec.convert(facts, Result)
        if not self._is_there and (result is not None or self._has_stations()):
            # Pytest-html asks for the header before anything is collected.
            self._page.table_header = [*self._page.table_header, HEADER]
            self._is_there = True
        if self._is_there:
            is_station = result is not None and result.is_station
            text = _cell(result) if result is not None and is_station else ""
            cells.append(f'<td class="col-station">{text}</td>')

    def _has_stations(self) -> bool:
        run = self._config.stash.get(RUN_FACTS, None)
        return run is not None and bool(run.stations)


def _cell(result: Result) -> str:
    """Return the result, the reasons and the title of a station as HTML."""
    word, told, reasons = result.word, why(result), "; ".join(result.reasons)
    rest = told.removeprefix(f"{word} ")  # `blocked by boil` begins with the result
    separator = "" if not told else " " if rest != told else ": "
    lines = [f"<strong>{word}</strong>{separator}{_isolated(rest)}"]
    if reasons and reasons != told:  # why a station was visited that failed
        lines.append(_isolated(reasons))
    if result.title != result.name:
        lines.append(_isolated(result.title))
    return "<br>".join(lines)


def _isolated(text: str) -> str:
    """Return *text* as HTML that does not change the direction of what stands beside it."""
    return f"<bdi>{escape(shown(text))}</bdi>" if text else ""


class AllureResults:
    """The hooks that put the facts of a station on the result that Allure makes of its item.

    Allure makes a result of everything that passes through pytest's protocol, also of what is
    never started there and no report is about: those results are not written.
    """

    def __init__(self, profile: str) -> None:
        import allure  # they are there, since one of them has the option
        from allure_commons import plugin_manager

        self._dynamic: Any = allure.dynamic
        self._allure: Any = plugin_manager
        self._profile = profile
        #: The plugins of Allure's that are not to write a result.
        self._set_aside: list[Any] = []
        self._has_started = False
        #: The last report of the item that is being run.
        self._last: pytest.TestReport | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # outside of Allure's, which writes the result
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        self._has_started = False
        try:
            return (yield)
        finally:
            while self._set_aside:
                self._allure.register(self._set_aside.pop())

    @pytest.hookimpl(wrapper=True, trylast=True, specname="pytest_runtest_protocol")
    def pytest_runtest_protocol_inside(self) -> Generator[None, object, object]:
        """Set those aside that would write a result, where there is nothing to write."""
        answer = yield
        if not self._has_started:
            writers = self._allure.hook.report_result.get_hookimpls()
            self._set_aside = [each.plugin for each in writers]
            for plugin in self._set_aside:
                self._allure.unregister(plugin)
        return answer

    def pytest_runtest_logstart(self) -> None:
        self._has_started = True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        facts = getattr(report, "choochoo", None)
        if facts is None or not facts["is_station"]:
            return
        if report.when == "setup" and facts["title"] != facts["name"]:
            self._dynamic.title(shown(facts["title"]))  # now, so that a visit may change it
        self._last = report

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Put the facts on the result; Allure closes it right after this."""
        report, self._last = self._last, None
        if report is None or report.nodeid != nodeid:
            return
        result = msgspec.convert(vars(report)["choochoo"], Result)
        self._dynamic.tag(result.word)
        for name, value in properties(result, self._profile):
            # The title is the name of the result.
            if value and name != f"{PROPERTY}title":
                # Excluded: it is no input, so the results of all runs are one history.
                self._dynamic.parameter(name, value, excluded=True)
