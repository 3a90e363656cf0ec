"""Faults in the signatures of stations: parameters that nothing provides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pytest_choochoo.collection.functions import arguments_of, attached
from pytest_choochoo.collection.pytest_internals import definitions_of, fixture_names
from pytest_choochoo.engine.errors import UnknownParameter
from pytest_choochoo.engine.station import Station


def unknown_parameter(
    item: pytest.Function, station: Station[Any], name: str, requested: pytest.Function
) -> UnknownParameter:
    """Return the fault of a *station* that requests *name*, which nothing provides.

    *requested*: the item that requests all that *item*, or what is attached to it, does.
    """
    location, request = station.location, f"station {station.name!r} uses the fixture"
    for function, subject in _functions(station):
        if name in arguments_of(function):
            location, request = station.location_of(function), f"{subject} requests"
            break
    else:
        if name in station.declaration.values:
            request = f"station {station.name!r} declares the value"
        for fixture, definitions in definitions_of(requested).items():
            if any(name in definition.argnames for definition in definitions):
                subject = f"station {station.name!r} requests the fixture {fixture!r}"
                request = f"{subject}, which requests"
    # Only what is attached to it may request a station itself.
    own = {station.name} if location == station.location else set()
    others = tuple(each for each in fixture_names(item) if each not in own)
    return UnknownParameter(station.name, location, request, name, others)


def _functions(station: Station[Any]) -> Iterator[tuple[Any, str]]:
    """Yield the functions of *station*, each with the subject of a sentence about it."""
    named = f"station {station.name!r}"
    yield station.function, named
    checks = {id(check.function): check.name for check in station.all_checks}
    for function in attached(station):
        if id(function) in checks:
            check = checks[id(function)]
            yield function, f"check {check!r} of {named} could not be asked: it"
        else:
            what = "find" if function is station.find_function else "clean"
            yield function, f"the {what} of {named}"


def may_be_skipped(item: pytest.Item) -> bool:
    """Return whether marks may skip *item* before it requests anything."""
    return any(
        mark.name == "skip"
        or (mark.name == "skipif" and any((*mark.args, mark.kwargs.get("condition"))))
        for mark in item.iter_markers()
    )
