"""Stations imported from where pytest does not collect: brought along with what imports them."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from pytest_choochoo.collection.functions import arguments_of, attached
from pytest_choochoo.collection.registry import StationRegistry
from pytest_choochoo.engine.station import Station
from pytest_choochoo.settings import Settings


def add_imported_stations(
    session: pytest.Session, collected: StationRegistry, read: Settings, items: list[pytest.Item]
) -> None:
    """Add to *items* the stations that are imported from elsewhere, and what they need there.

    Who names a file asks for what stands in it, and of a station file also for
    what it imports; what else is imported is visited when it is due.
    """
    known, found, homes = set(collected.read), dict[str, pytest.Item](), set[Path]()
    imported = [each for each in collected.imported if _speaks_for_all(*each, collected, read)]
    for _, station in imported:  # which grows meanwhile
        home = Path(station.home)
        if home in known or _might_be_named(home, session.config):
            continue
        homes.add(home)
        if home not in collected.read:
            seen = len(collected.imported)
            collected.collect_file(session, home)
            imported += collected.imported[seen:]
        for key in collected.instances.get(collected.known(station).identity, ()):
            if key not in found and key in collected.items:
                item = found[key] = collected.items[key]
                needed = _needed(item, station, collected)
                imported += [(home, each) for each in needed if Path(each.home) in homes]
    there = {item.nodeid for item in items}
    items += [item for key, item in found.items() if key not in there]


def _speaks_for_all(
    importer: Path, _: Station[Any], collected: StationRegistry, read: Settings
) -> bool:
    return read.is_station_file(importer) or not collected.is_named(importer)


def _might_be_named(home: Path, config: pytest.Config) -> bool:
    """Say whether the user has named files, and not this one, which pytest would collect."""
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return False
    return any(fnmatch(home.name, pattern) for pattern in config.getini("python_files"))


def _needed(
    item: pytest.Function, station: Station[Any], collected: StationRegistry
) -> Iterator[Station[Any]]:
    names = [*item.fixturenames, *station.declaration.values]
    for function in attached(station):
        names += arguments_of(function)
    for name in names:
        yield from (each for _, each in collected.registered.get(name, ()))
