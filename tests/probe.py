"""A pytest plugin that writes down the reports of a run for the test: see `harness.py`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest


class Probe:
    """Keeps the facts of reports and of the collection, and writes them to files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.reports: list[dict[str, Any]] = []
        self.collect_errors: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.reports.append(
            {
                "node_id": report.nodeid,
                "when": report.when,
                "outcome": report.outcome,
                "is_subtest": isinstance(report, pytest.SubtestReport),
                "choochoo": getattr(report, "choochoo", None),
                "text": report.longreprtext,
                "properties": [list(pair) for pair in report.user_properties],
            }
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.collect_errors.append(report.longreprtext)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        # In each of xdist's workers, with equal results: the controller does not collect.
        items = [[item.nodeid, "station" in item.keywords] for item in session.items]
        part = self._folder / f"collected.{os.getpid()}"
        part.write_text(json.dumps(items))
        part.replace(self._folder / "collected.json")

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        if not hasattr(config, "workerinput"):
            facts = {"reports": self.reports, "collect_errors": self.collect_errors}
            (self._folder / "reports.json").write_text(json.dumps(facts))


def pytest_configure(config: pytest.Config) -> None:
    probe = Probe(Path(os.environ["HARNESS_PROBE"]))
    config.pluginmanager.register(probe, "harness-probe")
