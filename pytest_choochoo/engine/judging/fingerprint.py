"""Takes fingerprints: the inputs of a station, reduced to named digests."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pytest_choochoo.engine.digest import (
    KeyedDigests,
    digest_file,
    digest_parts,
    digest_tree,
    digest_value,
    is_literal,
    matches,
    relative,
)
from pytest_choochoo.engine.errors import MissingFile, NotAFile, Undigestable
from pytest_choochoo.engine.ledger.record import FORM, Fingerprint
from pytest_choochoo.engine.route import StationInstance
from pytest_choochoo.engine.station import Station


def take(
    instance: StationInstance,
    *,
    upstream: dict[str, str],
    upstream_products: dict[str, str],
    renewals: dict[str, str],
    code: dict[str, str],
    values: Mapping[str, object] | None,
    keyed: KeyedDigests,
    entered: tuple[str, ...] = (),
) -> Fingerprint:
    """Return the fingerprint of *instance* as things are now.

    *upstream_products* are keyed digests. Raises `MissingFile`, `NotAFile`, `Undigestable`, and
    `UnusableLedger` where something has to be keyed, and the key cannot be read or made.
    """
    station, parameters = instance.station, instance.parameters
    declared = station.declaration
    found, env = files(instance), {name: _env(name) for name in declared.env}
    key = ""
    if found or env or upstream_products or declared.products:  # else the key is not even read
        found, env, key = keyed.of(found), keyed.of(env), keyed.name
    digested_values = None if values is None else _digests(station, values, "value of fixture")
    digested_parameters = _digests(station, parameters, "parameter")
    # Only now: a value that has a digest can also be shown.
    hints = {f"parameter {name}": _shown(value) for name, value in parameters.items()}
    hints |= {f"value {name}": _shown(value) for name, value in (values or {}).items()}
    return Fingerprint(
        upstream=upstream,
        upstream_products=upstream_products,
        renewals=renewals,
        files=found,
        env=env,
        values=digested_values,
        parameters=digested_parameters,
        code={"version": declared.version} if declared.version is not None else code,
        entered=entered,
        hints=hints,
        form=FORM,
        key=key,
    )


def files(instance: StationInstance, *, with_links: bool = True) -> dict[str, str]:
    """Return the plain digest of each input file of *instance*.

    Raises `MissingFile` or `NotAFile`.

    *with_links*: a '**' enters linked folders; False for comparing with form 0.
    """
    found: dict[str, str] = {}
    if not instance.station.declaration.files:
        return found
    base, name = instance.station.path.parent, instance.station.name
    for pattern in instance.files:
        path = base / pattern
        if is_literal(base, pattern):
            if path.is_dir():
                raise NotAFile(name, pattern)
            if not path.exists():
                raise MissingFile(name, pattern)
            found[pattern] = digest_file(path)
        else:
            for path in sorted(matches(base, pattern, follows_links=with_links)):
                found[relative(path, base)] = digest_file(path)
    return found


def products(instance: StationInstance, *, with_links: bool = True) -> dict[str, str]:
    """Return the plain digest of each product of *instance*, "" for one that does not exist.

    *with_links*: links count, by their targets; False for comparing with form 0.
    """
    if not instance.station.declaration.products:
        return {}
    base = instance.station.path.parent
    return {name: digest_tree(base / name, with_links=with_links) for name in instance.products}


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
