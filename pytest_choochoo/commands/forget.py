"""`--cc-forget`: forget that the selected stations are complete, and touch nothing else."""

from __future__ import annotations

import pytest

from pytest_choochoo import commands
from pytest_choochoo.engine.errors import LockTimeout
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.reporting.notices import notify
from pytest_choochoo.selection import Selection


class Command(commands.Command):
    """Forgets records instead of running items."""

    succeeds_without_items = True

    def select(self, config: pytest.Config, items: list[pytest.Item]) -> Selection:
        chosen = self.workflow.named("--cc-forget", self.workflow.settings.named, with_gone=True)
        known = self.workflow.registry.items
        dropped = [item for item in items if item.nodeid not in chosen]
        items[:] = [known[key] for key in chosen if key in known]
        if dropped and config.option.collectonly:  # else no item is run anyway
            config.hook.pytest_deselected(items=dropped)
        return Selection(forgotten=chosen)

    def perform(
        self, session: pytest.Session, journey: Journey, selection: Selection
    ) -> bool | None:
        """Forget the selected records, and say so; fail *session* if a station stays locked."""
        forgotten, is_refused = [], False
        for key in selection.forgotten:
            record = journey.ledger.record(key)
            if record is None or record.is_forgotten:
                continue
            try:
                lock = journey.lock(key)  # a station being visited is not forgotten
            except LockTimeout as error:
                notify(session.config, str(error))
                is_refused = True
                continue
            with lock:
                journey.ledger.forget(key, "forgotten")
            forgotten.append(key)
        if forgotten:
            notify(session.config, f"forgot {', '.join(journey.route.labels(forgotten))}")
        elif not is_refused:
            notify(session.config, "there was nothing to forget")
        if is_refused:
            raise session.Failed
        return True
