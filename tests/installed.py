"""The installed distributions, read once for all runs of pytest in one process.

Each run of pytest asks every installed distribution for its entry points, its files and its
version, which took a fifth of a run in the process of the tests.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import Distribution, EntryPoints, PackageMetadata, PackagePath
from pathlib import Path
from typing import Any

import pytest


class ReadOnce(Distribution):
    """An installed distribution that keeps what was read of it."""

    def __init__(self, installed: Distribution) -> None:
        self._installed = installed

    def read_text(self, filename: str) -> str | None:
        return self._installed.read_text(filename)

    def locate_file(self, path: Any) -> Path:
        return Path(str(self._installed.locate_file(path)))

    @cached_property
    def metadata(self) -> PackageMetadata:
        return self._installed.metadata

    @cached_property
    def entry_points(self) -> EntryPoints:
        return self._installed.entry_points

    @cached_property
    def files(self) -> list[PackagePath] | None:
        return self._installed.files


def read_once(patch: pytest.MonkeyPatch) -> None:
    """Answer each question of this process for all distributions with those installed now."""
    installed = [ReadOnce(each) for each in importlib.metadata.distributions()]
    search = importlib.metadata.distributions

    def distributions(**context: Any) -> Iterator[Distribution]:
        return iter(installed) if not context else iter(search(**context))

    patch.setattr(importlib.metadata, "distributions", distributions)
