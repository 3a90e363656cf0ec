"""The commands that only read: no item is run, and the ledger stays as it is."""

from __future__ import annotations

import pytest

from pytest_choochoo import commands
from pytest_choochoo.selection import Selection


class Command(commands.Command):
    """The base of the commands that show the selected stations instead of running items."""

    succeeds_without_items = True
    #: The keys of the stations to show, in running order.
    chosen: tuple[str, ...] = ()

    def select(self, config: pytest.Config, items: list[pytest.Item]) -> Selection:
        among = self.workflow.among(items)
        self.chosen = tuple(key for key in self.workflow.route.order if key in among)
        return Selection()  # no station is awaited
