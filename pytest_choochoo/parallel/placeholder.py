"""A stand-in for the next item of a worker that has none."""

from __future__ import annotations

from typing import Any

import pytest

#: Its node id.
PLACEHOLDER = "::choochoo::placeholder"


class Placeholder(pytest.Function):
    """An item that is never run, reported or counted.

    It is a function, since hooks of other plugins look at the next item and expect one.
    """

    @classmethod
    def of(cls, session: pytest.Session) -> Placeholder:
        made: Placeholder = cls.from_parent(session, name=PLACEHOLDER[2:], callobj=_nothing)
        return made

    def reportinfo(self) -> tuple[str, None, str]:
        return "", None, self.name


def _nothing() -> None: ...


def sent_as_placeholder(report: pytest.TestReport) -> pytest.TestReport:
    """Return *report* as one of the placeholder.

    xdist asserts that a worker reports on no other item than the one it was sent last.
    """
    return pytest.TestReport(
        nodeid=PLACEHOLDER,
        location=report.location,
        keywords=report.keywords,
        outcome=report.outcome,
        longrepr=report.longrepr,
        when=report.when or "teardown",
        sections=report.sections,
        choochoo_of=report.nodeid,
    )


def restore_item(data: dict[str, Any]) -> None:
    """Name the item again in a report that was sent as one of the placeholder."""
    if data.get("nodeid") == PLACEHOLDER and "choochoo_of" in data:
        data["nodeid"] = data["choochoo_of"]
