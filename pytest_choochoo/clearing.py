"""What --cache-clear does to stations."""

from __future__ import annotations

import shutil

import pytest

from pytest_choochoo import settings
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.opening import forget_complete


def clear_cache(config: pytest.Config) -> None:
    """Do what --cache-clear asks for, once, and without what must outlive it.

    Pytest empties its directory in every process, replaced workers included,
    with the locks that other sessions hold and the ids of things that exist.
    """
    config.option.cacheclear = False
    if hasattr(config, "workerinput"):
        return
    folder = settings.cache_folder(config)
    shutil.rmtree(folder / "v", ignore_errors=True)
    for inside in (folder / "d").glob("*"):
        if inside.name != "choochoo":
            shutil.rmtree(inside, ignore_errors=True)
    for file in (folder / "d" / "choochoo").glob("*.sqlite"):
        forget_complete(
            LedgerLocation(file.parent, file.stem),
            warn=lambda text: config.issue_config_time_warning(
                pytest.PytestWarning(text), stacklevel=2
            ),
        )
