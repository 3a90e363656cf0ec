"""The definitions of one source file, in the form that the cache keeps."""

from __future__ import annotations

import msgspec

from pytest_choochoo.engine.code.namespaces import Kind

# A module as it is written, and a dotted name in it, "" for all of it.
Target = tuple[str, str]


class Definition(msgspec.Struct, frozen=True, gc=False):
    """One top-level name: the digest of its statements, and the names that they load.

    *digest*: for a station or a fixture with parameters that its body does not use, two
    digests, the second one without them. *loads*: dotted names of the file; *imports*: names
    imported inside the definition.
    """

    digest: str
    loads: tuple[str, ...]
    imports: tuple[Target, ...] = ()


class Source(msgspec.Struct, frozen=True):
    """One file: its top-level names, the targets of each imported name, its star imports.

    *bindings*: the names on which it depends what they are bound to, each with its kind.
    *fills*: the tables that a call of a function may fill, by the function's name.
    *calls*: the definitions that call what is imported, by its dotted name.
    """

    definitions: dict[str, Definition]
    imports: dict[str, tuple[Target, ...]]
    stars: tuple[str, ...] = ()
    bindings: dict[str, Kind | None] = {}
    fills: dict[str, tuple[str, ...]] = {}
    calls: dict[str, tuple[str, ...]] = {}


def same_code(one: str | None, other: str | None) -> bool:
    """Return whether two digests of definitions have one in common."""
    return not set((one or "").split()).isdisjoint((other or "").split())


def joined(*names: str) -> str:
    return ".".join(filter(None, names))
