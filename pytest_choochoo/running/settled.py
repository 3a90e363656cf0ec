"""Reports items that need not be run, and tears down the fixtures that earlier items left."""

from __future__ import annotations

import pytest

from pytest_choochoo.collection.pytest_internals import capturing, tear_down
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.reporting.reports import REPORTS_ALL, fail, settled_reports


def report_settled(item: pytest.Item, result: Result, nextitem: pytest.Item | None) -> None:
    """Report an item that was not run, as pytest reports an item that was."""
    if result.word == "not reached":
        return
    ihook, location = item.ihook, item.location
    ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=location)
    names = item.keywords if REPORTS_ALL in item.config.stash else (item.name,)
    for report in settled_reports(item.config, result, location):
        report.keywords = dict.fromkeys(names, 1)
        report.user_properties = [*item.user_properties, *report.user_properties]
        if report.when == "teardown" and (nextitem is None or nextitem.parent is not item.parent):
            error = tear_down_leftovers(item, nextitem)
            if error is not None:
                fail(report, error)
        ihook.pytest_runtest_logreport(report=report)
    ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=location)


def tear_down_leftovers(
    item: pytest.Item, nextitem: pytest.Item | None
) -> pytest.TestReport | None:
    """Tear down the fixtures left by earlier items that *nextitem* does not share.

    Pytest does so after each item that it runs, and requires it. Return the report of a
    teardown that failed.
    """

    def work() -> None:
        __tracebackhide__ = True
        tear_down(item.session, nextitem)

    with capturing(item, "teardown"):
        call = pytest.CallInfo.from_call(
            work, when="teardown", reraise=(pytest.exit.Exception, KeyboardInterrupt)
        )
    return None if call.excinfo is None else pytest.TestReport.from_item_and_call(item, call)
