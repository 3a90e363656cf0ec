"""Which ledger a process uses, and what --cache-clear does to it."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, MutableMapping
from queue import SimpleQueue

import pytest

from pytest_choochoo.engine.errors import UnusableLedger
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.opening import forget_complete, open_ledger, read_ledger
from pytest_choochoo.engine.ledger.protocol import Ledger, SourceCache
from pytest_choochoo.settings import PROCESS, Settings, cache_folder

#: What xdist's controller writes into its ledger, and whoever sees the same ledger reads.
BEGUN = "begun"


def ledger_of(config: pytest.Config, settings: Settings) -> Ledger:
    """Return the ledger of this session, opened.

    Raises `UnusableLedger`, and `UsageError` where a warning of it is to be an error.
    """
    if settings.folder is not None:
        made: Ledger | None = config.hook.pytest_choochoo_make_ledger(
            config=config, folder=settings.folder, profile=settings.profile
        )
        if made is not None:
            return made
    remote = settings.process.ledger(settings.location()) if settings.process.is_worker else None
    if remote is not None:
        return remote
    if not settings.writes:
        location = settings.location() if settings.folder else None
        return _warned(lambda warn: read_ledger(location, warn=warn))
    if settings.is_in_cache:
        try:
            is_new = not settings.location().folder.exists()
            folder = config.cache.mkdir("choochoo")  # with pytest's own .gitignore and README
            if is_new:
                folder.chmod(0o700)
        except OSError as error:
            raise UnusableLedger(
                str(settings.location().file), str(error.strerror).lower()
            ) from None
    return _warned(lambda warn: open_ledger(settings.location(), warn=warn))


def _warned(opened: Callable[[Callable[[str], None]], Ledger]) -> Ledger:
    """Return the ledger *opened* with what collects its warnings, and pass them on."""
    texts: list[str] = []
    ledger = opened(texts.append)
    try:
        for text in texts:
            warnings.warn(pytest.PytestWarning(text), stacklevel=3)
    except pytest.PytestWarning as error:  # the user wants all warnings to be errors
        ledger.close()
        raise pytest.UsageError(str(error)) from None
    return ledger


def elsewhere(config: pytest.Config, location: LedgerLocation) -> Ledger | None:
    """Return the ledger of xdist's controller where this worker does not see it, else None."""
    run = run_of(config)
    if run is None:
        return None
    here = read_ledger(location)
    sees_it = here.result(run, BEGUN) is not None
    here.close()
    if sees_it:
        return None
    from pytest_choochoo.engine.ledger.remote import RemoteLedger  # few workers are so far away

    channel = config.workerinput["choochoo_channel"]  # type: ignore[attr-defined]
    answers: SimpleQueue[str] = SimpleQueue()

    def ask(question: str) -> str:
        channel.send(("ask", question))
        return answers.get()

    ledger = RemoteLedger(ask, location)

    def hear(answer: str | None) -> None:
        if answer is not None:
            answers.put(answer)
        elif ledger.held:  # its controller is gone, and with it the lock: the next one may visit
            os._exit(1)

    channel.setcallback(hear, endmarker=None)
    return ledger


def source_cache_of(ledger: SourceCache, settings: Settings) -> MutableMapping[str, str]:
    """Return what was read of source files before, and where to put what is read now."""
    if settings.writes:
        return ledger.source_cache()
    return dict(ledger.source_cache())  # what a reading command reads anew it keeps to itself


def run_of(config: pytest.Config) -> str | None:
    """Return the name under which xdist's workers share results, None for one process."""
    run: str | None = getattr(config, "workerinput", {}).get("choochoo_run")
    return run


def clear_cache(config: pytest.Config) -> None:
    """Do what --cache-clear asks for, once, and without what must outlive it.

    Pytest empties its directory in every process, replaced workers included,
    with the locks that other sessions hold and the ids of things that exist.
    """
    config.option.cacheclear = False
    if config.stash[PROCESS].is_worker:
        return
    folder = cache_folder(config)
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
