"""The names in a record that change with the names of stations: as they were, and as they are."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pytest_choochoo.engine.ledger.record import Fingerprint, Record


class NewCode(msgspec.Struct, frozen=True):
    """The code of a definition that is called *name* now.

    *digest*: its digest now. *equal*: the digests that it has now, or had under the former
    names; a record with one of them has the same code.
    """

    name: str
    digest: str
    equal: tuple[str, ...]


class NewNames(msgspec.Struct, frozen=True, kw_only=True):
    """The names in the record of one station as they are now, by those that they had.

    *upstream*, *upstream_products*, *renewals*, *files*, *code*: of the inputs of these kinds;
    *products*: of its products.
    """

    upstream: dict[str, str] = {}
    upstream_products: dict[str, str] = {}
    renewals: dict[str, str] = {}
    files: dict[str, str] = {}
    products: dict[str, str] = {}
    code: dict[str, NewCode] = {}


def renamed(record: Record, names: NewNames) -> Record:
    """Return *record* with the *names* of now."""
    old = record.fingerprint
    if old is None:
        return record
    new = msgspec.structs.replace(
        old,
        upstream=_renamed(old.upstream, names.upstream),
        upstream_products=_renamed(old.upstream_products, names.upstream_products),
        renewals=_renamed(old.renewals, names.renewals),
        files=_renamed(old.files, names.files),
        code=_renamed_code(old, names.code),
    )
    return record.with_(fingerprint=new, products=_renamed(record.products, names.products))


def _renamed(digests: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """Return *digests* by their new *names*; a name that is in use already is never taken."""
    free = {then: now for then, now in names.items() if now not in digests}
    return {free.get(name, name): digest for name, digest in digests.items()}


def _renamed_code(old: Fingerprint, names: Mapping[str, NewCode]) -> dict[str, str]:
    """Return the code in *old* by its new *names*; the same code has its digest of now."""
    code = dict(old.code)
    for then, new in names.items():
        if then in code and (then == new.name or new.name not in code):
            digest = code.pop(then)
            is_same = not set(digest.split()).isdisjoint(new.equal)
            code[new.name] = new.digest if is_same else digest
    return dict(sorted(code.items()))
