"""The events of the visits in this process, taken from the hooks that frame each visit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_choochoo.engine.events import LocalEvent
    from pytest_choochoo.engine.ledger.record import Result


class VisitEvents:
    """The hooks at the start and the end of each visit; *tell* takes the events."""

    def __init__(self, tell: Callable[[LocalEvent], object]) -> None:
        self._tell = tell

    def pytest_choochoo_visit_started(self, node_id: str, reasons: tuple[str, ...]) -> None:
        from pytest_choochoo.engine.events import VisitStarted  # most runs visit nothing

        self._tell(VisitStarted(key=node_id, reasons=reasons))

    def pytest_choochoo_visit_finished(self, result: Result) -> None:
        from pytest_choochoo.engine.events import VisitEnded

        self._tell(VisitEnded(result=result))
