"""Hints for users who ask plain pytest for stations, which it does not run."""

from __future__ import annotations

import os
import shlex

import pytest

from pytest_choochoo.collection.registry import StationRegistry
from pytest_choochoo.settings import Settings


def about_stations(
    config: pytest.Config, settings: Settings, registry: StationRegistry
) -> str | None:
    """Return how to run the stations that the user named as arguments, None if there are none."""
    known = {
        (instance.station.home, name)
        for instance in registry.instances.values()
        for name in (instance.name, instance.station.name)
    }
    names = [
        name
        for file, _, name in (argument.partition("::") for argument in config.args)
        if (_path(config, file), name) in known
    ]
    if not names:
        return None
    subject = f"{names[0]} is a station" if len(names) == 1 else f"{', '.join(names)} are stations"
    return f"{subject}; {_way_out(config, settings)}"


def about_files(config: pytest.Config, settings: Settings, registry: StationRegistry) -> str | None:
    """Return how to run the stations in the files that the user named, None if there are none."""
    files = {_path(config, argument): argument for argument in config.args}
    homes = [station.home for station in registry.stations if station.home in files]
    if not homes:
        return None
    subject = "1 station is" if len(homes) == 1 else f"{len(homes)} stations are"
    where = ", ".join(argument for home, argument in files.items() if home in homes)
    return f"{subject} in {where}; {_way_out(config, settings)}"


def _path(config: pytest.Config, argument: str) -> str:
    return os.path.normpath(os.path.join(config.invocation_params.dir, argument))


def _way_out(config: pytest.Config, settings: Settings) -> str:
    return f"stations run with --cc-run: {settings.command('run')} {shlex.join(config.args)}"
