"""The choice of a display for a run, and the way that the events of visits take to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import pytest

from pytest_choochoo.settings import PROCESS, Settings, pytest_option, runs_items

if TYPE_CHECKING:
    from pytest_choochoo.engine.events import LocalEvent
    from pytest_choochoo.reporting.display import Display

Kind = Literal["live", "lines", "off"]


def chosen_display(config: pytest.Config, settings: Settings) -> Kind:
    """Return how the run of *config* is shown while it goes on."""
    chosen = settings.progress
    is_run = settings.mode.visits and runs_items(config)
    if chosen == "auto":
        chosen = "live" if settings.verbosity >= 0 else "off"
    if chosen == "off" or not is_run or not config.pluginmanager.has_plugin("terminal"):
        return "off"
    # A user who talks to a visit, or reads its output, needs the terminal.
    is_captured = pytest_option(config, "capture") in {"fd", "sys"}
    is_shared = not is_captured or pytest_option(config, "usepdb") or pytest_option(config, "trace")
    is_dumb = os.environ.get("TERM") == "dumb"
    return "lines" if chosen == "lines" or is_shared or is_dumb or not _is_terminal() else "live"


def _is_terminal() -> bool:
    try:
        return sys.stdout.isatty()
    except (AttributeError, ValueError):  # it is closed, or no file
        return False


#: Set where a run is shown while it goes on.
DISPLAY: pytest.StashKey[Display] = pytest.StashKey()


def event_taker(config: pytest.Config) -> Callable[[LocalEvent], object]:
    """Return the function that takes the events of visits in this process."""
    tell = config.stash[PROCESS].tell
    if tell is not None:
        return tell
    display = config.stash.get(DISPLAY, None)
    return (lambda event: None) if display is None else display.take
