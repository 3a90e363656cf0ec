"""The placeholder item of workers, and the reports that are sent in its name."""

from __future__ import annotations

import pytest

from pytest_choochoo.parallel.placeholder import (
    PLACEHOLDER,
    Placeholder,
    restore_item,
    sent_as_placeholder,
)


def test_placeholder_is_a_function_without_a_file(request: pytest.FixtureRequest) -> None:
    """The placeholder looks like a test to the hooks of other plugins."""
    item = Placeholder.of(request.session)

    assert item.nodeid == PLACEHOLDER
    assert item.reportinfo() == ("", None, item.name)
    assert callable(item.function) and isinstance(item.fixturenames, list)


def test_report_is_given_back_to_its_item(pytestconfig: pytest.Config) -> None:
    """A report that was sent as one of the placeholder arrives as one of its own item."""
    report = pytest.TestReport(
        nodeid="stations.py::boil",
        location=("stations.py", 3, "boil"),
        keywords={"boil": 1},
        outcome="failed",
        longrepr="it is hot",
        when="teardown",
        sections=[("Captured stdout teardown", "cooling")],
    )

    sent = sent_as_placeholder(report)
    assert sent.nodeid == PLACEHOLDER
    data = pytestconfig.hook.pytest_report_to_serializable(config=pytestconfig, report=sent)
    restore_item(data)

    for name in ("nodeid", "longrepr", "location", "outcome", "when"):
        assert data[name] == getattr(report, name)
    assert list(data["sections"]) == report.sections


def test_other_reports_are_left_alone() -> None:
    """Reports that were not sent as one of the placeholder are unchanged."""
    for data in ({"nodeid": "test_it.py::test_it"}, {"nodeid": PLACEHOLDER}, {}):
        before = dict(data)
        restore_item(data)
        assert data == before
