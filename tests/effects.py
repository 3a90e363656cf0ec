"""The log of side effects, which projects import; it imports nothing that takes long."""

from __future__ import annotations

import os


def log(line: object) -> None:
    """Append *line* to the log; called by stations, checks and fixtures."""
    with open(os.environ["HARNESS_LOG"], "a") as file:
        file.write(f"{line}\n")


def logged() -> list[str]:
    """Return the lines logged so far, in all runs, for stations that depend on them."""
    try:
        with open(os.environ["HARNESS_LOG"]) as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []
