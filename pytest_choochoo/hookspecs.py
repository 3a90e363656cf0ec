"""The hooks that other plugins and conftest files may implement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # every run of pytest imports this file, most have no station
    from pytest_choochoo.engine.judging.verdict import Verdict
    from pytest_choochoo.engine.ledger.protocol import Ledger
    from pytest_choochoo.engine.ledger.record import Result


@pytest.hookspec(firstresult=True)
def pytest_choochoo_make_ledger(config: pytest.Config, folder: Path, profile: str) -> Ledger | None:
    """Return the ledger to keep records in, or None for the one in *folder*.

    Called once in each process that judges stations.
    """


@pytest.hookspec(firstresult=True)
def pytest_choochoo_encode(config: pytest.Config, value: object) -> object:
    """Return *value*, of a type that is not known, as plain data; None: not mine."""


@pytest.hookspec(firstresult=True)
def pytest_choochoo_decode(config: pytest.Config, type: type, plain: object) -> object:
    """Return the value of *type* that was written as *plain*; None: not mine."""


@pytest.hookspec
def pytest_choochoo_judged(config: pytest.Config, node_id: str, verdict: Verdict) -> None:
    """The station *node_id* was judged by its record; its checks have not been asked yet."""


@pytest.hookspec
def pytest_choochoo_visit_started(
    config: pytest.Config, node_id: str, reasons: tuple[str, ...]
) -> None:
    """The visit of the station *node_id* begins, in this process."""


@pytest.hookspec
def pytest_choochoo_visit_finished(config: pytest.Config, node_id: str, result: Result) -> None:
    """The visit of the station *node_id* has ended and is recorded."""
