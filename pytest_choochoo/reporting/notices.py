"""Notices: single lines for the user, shown at once, from any process of a run."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import pytest

from pytest_choochoo.engine.shown import shown
from pytest_choochoo.settings import PROCESS


def uncaptured(config: pytest.Config) -> AbstractContextManager[None]:
    """Return the context in which the lines of the terminal reach the terminal.

    While an item runs, pytest captures whatever is written, the terminal's lines included.
    """
    # There is no public way to the terminal past the capture; `reporting` imports no `collection`.
    capture = config.pluginmanager.get_plugin("capturemanager")
    found: AbstractContextManager[None]
    found = capture.global_and_fixture_disabled() if capture else nullcontext()
    return found


def notify(config: pytest.Config, text: str) -> None:
    """Show *text* to the user at once, through the process that has the terminal."""
    tell = config.stash[PROCESS].notify
    if tell is not None:
        tell(text)
        return
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or config.get_verbosity() < -1:
        return
    with uncaptured(config):
        reporter.ensure_newline()
        if config.get_terminal_writer().width_of_current_line:
            reporter.write_line("")  # behind the letters of xdist, of which it knows nothing
        # One piece: `write_line` flushes the text, and not the end of the line.
        reporter.write(f"choochoo: {shown(text)}\n", flush=True)
