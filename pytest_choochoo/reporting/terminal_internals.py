"""The private parts of pytest's terminal writer that are used, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest


@contextmanager
def written_through(config: pytest.Config, wrapped: Callable[[Any], Any]) -> Iterator[None]:
    """Let all that pytest's reporter and its plugins write go to what *wrapped* returns for a file.

    Lines that are kept up to date stand below what is written. They have to be taken off the
    screen before anything is written there, and pytest announces no writing.
    """
    writer: Any = config.get_terminal_writer()
    file = writer._file
    writer._file = wrapped(file)
    try:
        yield
    finally:
        writer._file = file


def begin_line(config: pytest.Config, report: pytest.TestReport) -> None:
    """Write what stands before the word of *report* where each item has a line of its own.

    Pytest's reporter writes an empty line before that, unless it wrote it when the item started.
    """
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    line = reporter._locationline(report.nodeid, *report.location)
    config.get_terminal_writer().write(line)
    reporter.currentfspath = line


@contextmanager
def muted(config: pytest.Config) -> Iterator[None]:
    """Leave out what is written, as if it had not been.

    Pytest's reporter writes the beginning of a line when an item starts, and no option stops it.
    """
    writer: Any = config.get_terminal_writer()
    file, line = writer._file, writer._current_line
    writer._file = StringIO()
    try:
        yield
    finally:
        writer._file, writer._current_line = file, line
