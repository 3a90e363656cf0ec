"""All that knows xdist and execnet."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_choochoo.settings import Process


def process_of(config: pytest.Config) -> Process:
    """Return how this process takes part in the run."""
    given = getattr(config, "workerinput", None)
    if given is None:
        return Process()
    from pytest_choochoo.parallel.messages import texts_of
    from pytest_choochoo.storage import elsewhere

    channel = given.get("choochoo_channel")
    return Process(
        is_worker=True,
        run=given.get("choochoo_run"),
        began=given.get("choochoo_began", 0.0),
        notify=None if channel is None else lambda text: channel.send(("say", text)),
        ledger=lambda location: elsewhere(config, location),
        secrets=texts_of(config),
    )


def refuse(config: Any, error: Exception, items: list[pytest.Item]) -> None:
    """Leave *items* alone in this worker, and let its controller say what is wrong."""
    items.clear()
    config.workeroutput["choochoo_error"] = str(error)
