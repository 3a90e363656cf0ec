"""`--cc-redo`: clean the selected stations and their downstream, then run.

The clean is a session of its own, in this process, before the session of the run: a run with
workers collects nothing in the process that could clean, and a station that is cleaned and then
visited is two items. The lock on the profile passes from the first session to the second.
"""

from __future__ import annotations

import pytest

from pytest_choochoo.commands import run
from pytest_choochoo.engine.ledger.protocol import HeldLock
from pytest_choochoo.settings import IS_HELD, TAKE_OVER


class Command(run.Command):
    """Visits the stations that were cleaned, and all others that are due, and runs the tests."""


# The options with which pytest shows something instead of running items.
_SHOWING = (
    "help",
    "version",
    "collectonly",
    "setuponly",
    "setupplan",
    "showfixtures",
    "show_fixtures_per_test",
    "markers",
    "cacheshow",
)


def clean_first(config: pytest.Config) -> int | None:
    """Clean in a session of its own; return its exit code if there must be no run after it.

    *config* is that of the run, which holds the profile from then on.
    """
    if any(getattr(config.option, name, False) for name in _SHOWING):
        return None
    first = _CleanFirst()
    invocation = config.invocation_params
    code = pytest.main([*invocation.args], plugins=[*(invocation.plugins or ()), first])
    if first.held is not None:
        config.add_cleanup(first.held.release)
        config.stash[IS_HELD] = True
    config.option.cacheclear = False  # what the clean wrote is kept
    return int(code) or None


class _CleanFirst:
    """A plugin of the session that cleans: it keeps the lock on the profile for the run."""

    def __init__(self) -> None:
        self.held: HeldLock | None = None

    def pytest_load_initial_conftests(self, early_config: pytest.Config) -> None:
        early_config.stash[TAKE_OVER] = self._take_over

    def _take_over(self, held: HeldLock) -> None:
        self.held = held
