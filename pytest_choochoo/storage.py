"""The ledger of this process, and the effect of --cache-clear."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import closing, contextmanager

import pytest

from pytest_choochoo.engine.errors import UnusableLedger
from pytest_choochoo.engine.ledger import profile_lock
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.opening import (
    empty_ledger,
    forget_complete,
    open_ledger,
    read_ledger,
)
from pytest_choochoo.engine.ledger.protocol import HeldLock, Ledger, SourceCache
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.settings import PROCESS, Settings, cache_folder


def ledger_of(config: pytest.Config, settings: Settings) -> Ledger:
    """Return the ledger of this process, opened.

    Raises `UnusableLedger`, and `UsageError` where a warning about it is an error.
    """
    if settings.folder is not None:
        made: Ledger | None = config.hook.pytest_choochoo_make_ledger(
            config=config, folder=settings.folder, profile=settings.profile
        )
        if made is None:
            made = settings.process.ledger(settings.location)
        if made is not None:
            return made
    if not settings.writes:
        if settings.folder is None:
            return empty_ledger()
        return _open(lambda warn: read_ledger(settings.location, warn=warn))
    if settings.is_in_cache:
        _make_cache_folder(config, settings.location)
    return _open(lambda warn: open_ledger(settings.location, warn=warn))


@contextmanager
def reading(config: pytest.Config, settings: Settings) -> Iterator[Ledger]:
    """Return a context with the ledger, opened to be read; an empty one where it cannot be.

    Of such a ledger it warns. Raises `UsageError` where that warning is an error.
    """
    with closing(_readable(config, settings.reading())) as ledger:
        yield ledger


def _readable(config: pytest.Config, settings: Settings) -> Ledger:
    if settings.folder is None:
        return empty_ledger()
    try:
        return ledger_of(config, settings)
    except UnusableLedger as error:  # of another plugin
        cause = f"{error.path} could not be read: {error.cause}"
    return _open(lambda warn: _empty(warn, f"the ledger {cause}; treating it as empty"))


def _empty(warn: Callable[[str], None], text: str) -> Ledger:
    warn(text)
    return empty_ledger()


def hold_profile(settings: Settings, notify: Callable[[str], None]) -> HeldLock | None:
    """Return the lock on the profile, held as the command needs it, in its main process.

    Commands that only read wait for nobody, and *notify* is called with what is under way.
    Raises `ProfileBusy`.
    """
    if settings.folder is None or settings.process.is_worker or settings.is_held:
        return None
    location, holds = settings.location, settings.mode.holds
    if not settings.writes or not holds:
        say_what_is_under_way(location, notify)
        return None
    if not (location.data_dir / "locks").is_dir():
        return None  # the ledger is another plugin's, and lies elsewhere
    return profile_lock.hold_profile(
        location,
        f"--cc-{settings.mode.command}",
        is_shared=holds == "together",
        timeout=settings.lock_timeout,
        notify=notify,
    )


def release_profile(settings: Settings, held: HeldLock) -> None:
    """Release the lock on the profile, unless another session of this process needs it."""
    if settings.take_over is not None:
        settings.take_over(held)
    else:
        held.release()


def say_what_is_under_way(location: LedgerLocation, notify: Callable[[str], None]) -> None:
    """Call *notify* for each command that works on the profile at *location* right now."""
    for holder in profile_lock.holders(location):
        notify(f"{holder.command} is under way: {holder}")


def _make_cache_folder(config: pytest.Config, location: LedgerLocation) -> None:
    """Make the ledger's folder as pytest makes one, with a .gitignore and a README beside it."""
    try:
        is_new = not location.folder.exists()
        folder = config.cache.mkdir("choochoo")
        if is_new:
            folder.chmod(0o700)
    except OSError as error:
        raise UnusableLedger(str(location.file), str(error.strerror).lower()) from None


def _open(opener: Callable[[Callable[[str], None]], Ledger]) -> Ledger:
    """Return the ledger that *opener* opens, and issue the warnings that it collects."""
    texts: list[str] = []
    ledger = opener(texts.append)
    try:
        for text in texts:
            warnings.warn(pytest.PytestWarning(shown(text)), stacklevel=3)
    except pytest.PytestWarning as error:  # the user turned warnings into errors
        ledger.close()
        raise pytest.UsageError(str(error)) from None
    return ledger


def source_cache_of(ledger: SourceCache, settings: Settings) -> MutableMapping[str, str]:
    """Return the cache of what was read from source files: a copy for commands that only read."""
    cache = ledger.source_cache()
    return cache if settings.writes else dict(cache)


def clear_cache(config: pytest.Config) -> None:
    """Clear pytest's cache for --cache-clear, once, except for what must survive it.

    Pytest empties its cache directory in every process, replaced workers included, and with
    it the locks that other sessions hold and the ids of things that exist.
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
            LedgerLocation(
                file.parent, file.stem, is_given=False, is_trusted=config.getini("cc_trust")
            ),
            warn=lambda text: config.issue_config_time_warning(
                pytest.PytestWarning(shown(text)), stacklevel=2
            ),
        )
