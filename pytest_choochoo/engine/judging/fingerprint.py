"""Takes fingerprints: the inputs of a station, reduced to named digests."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pytest_choochoo.engine.digest import (
    digest_parts,
    digest_path,
    digest_value,
    is_pattern,
    matches,
    relative,
)
from pytest_choochoo.engine.errors import MissingFile, NotAFile, Undigestable
from pytest_choochoo.engine.ledger.record import Fingerprint
from pytest_choochoo.engine.station import Station


def take(
    station: Station[Any],
    *,
    upstream: dict[str, str],
    parameters: Mapping[str, object],
    code: dict[str, str],
    values: Mapping[str, object] | None,
) -> Fingerprint:
    """Return the fingerprint of *station* as things are now.

    Raises `MissingFile`, `NotAFile` or `Undigestable`.
    """
    declared = station.declaration
    files = _files(station) if declared.files else {}
    digested_values = None if values is None else _digests(station, values, "value of fixture")
    digested_parameters = _digests(station, parameters, "parameter")
    # Only now: a value that has a digest can also be shown.
    hints = {f"parameter {name}": _shown(value) for name, value in parameters.items()}
    hints |= {f"value {name}": _shown(value) for name, value in (values or {}).items()}
    return Fingerprint(
        upstream=upstream,
        files=files,
        env={name: _env(name) for name in declared.env},
        values=digested_values,
        parameters=digested_parameters,
        code={"version": declared.version} if declared.version is not None else code,
        hints=hints,
    )


def products(station: Station[Any]) -> dict[str, str]:
    """Return the digest of each product of *station*, "" for one that does not exist."""
    if not station.declaration.products:
        return {}
    base = station.path.parent
    return {name: digest_path(base / name) for name in station.declaration.products}


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _env(name: str) -> str:
    value = os.environ.get(name)
    return "" if value is None else digest_parts(value.encode(errors="surrogateescape"))


def _digests(station: Station[Any], values: Mapping[str, object], kind: str) -> dict[str, str]:
    found = {}
    for name, value in values.items():
        try:
            found[name] = digest_value(value)
        except TypeError as error:
            raise Undigestable(station.name, f"{kind} {name!r}", str(error)) from None
        except RecursionError:
            endless = f"{type(value).__qualname__}, which contains itself or is nested too deeply"
            raise Undigestable(station.name, f"{kind} {name!r}", endless) from None
    return found


def _files(station: Station[Any]) -> dict[str, str]:
    base = station.path.parent
    found: dict[str, str] = {}
    for pattern in station.declaration.files:
        path = base / pattern
        # Look for the literal name first: 'data[1].csv' is a name, and a pattern as well.
        if not is_pattern(pattern) or path.is_file():
            if path.is_dir():
                raise NotAFile(station.name, pattern)
            if not path.exists():
                raise MissingFile(station.name, pattern)
            found[pattern] = digest_path(path)
        else:
            for path in sorted(matches(base, pattern)):
                found[relative(path, base)] = digest_path(path)
    return found
