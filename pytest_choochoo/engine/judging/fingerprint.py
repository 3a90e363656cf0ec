"""A station's inputs reduced to digests that have names."""

from __future__ import annotations

import dataclasses
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from hashlib import blake2b, file_digest
from itertools import takewhile
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID

import msgspec

from pytest_choochoo.engine.errors import MissingFile, NotAFile, Undigestable
from pytest_choochoo.engine.ledger.location import is_of_ledger
from pytest_choochoo.engine.secrets import Secret, token_of
from pytest_choochoo.engine.station import Station

MAGIC = frozenset("*?[")


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The digest of each input of one visit, by kind and name.

    *values* is None where the values were not looked at. *hints* show old and
    new to a person, for inputs that may be shown.
    """

    upstream: dict[str, str] = {}
    files: dict[str, str] = {}
    env: dict[str, str] = {}
    values: dict[str, str] | None = None
    parameters: dict[str, str] = {}
    code: dict[str, str] = {}
    hints: dict[str, str] = {}


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
    # Only now: what has a digest can be shown as well.
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
    """Return the digest of each product of *station*, empty for one that is not there."""
    if not station.declaration.products:
        return {}
    base = station.path.parent
    return {name: _path_digest(base / name) for name in station.declaration.products}


def digest(*parts: bytes) -> str:
    """Return one digest of *parts*, in which no two lists of parts coincide."""
    whole = blake2b(digest_size=16)
    for part in parts:
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return whole.hexdigest()


def digest_value(value: object) -> str:
    """Return a digest that no two values share: those of 1, True, 1.0 and "1" differ.

    Raises `TypeError`, with the type's name, for a value that has no stable one.
    """
    return digest(*_parts(value))


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _env(name: str) -> str:
    value = os.environ.get(name)
    return "" if value is None else digest(value.encode(errors="surrogateescape"))


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
        # Looked for as it stands first: 'data[1].csv' is a name, and a pattern as well.
        if MAGIC.isdisjoint(pattern) or path.is_file():
            if path.is_dir():
                raise NotAFile(station.name, pattern)
            if not path.exists():
                raise MissingFile(station.name, pattern)
            found[pattern] = _path_digest(path)
        else:
            for path in sorted(_matches(base, pattern)):
                found[_relative(path, base)] = _path_digest(path)
    return found


def _matches(base: Path, pattern: str) -> Iterator[Path]:
    parts = Path(pattern).parts
    plain = tuple(takewhile(MAGIC.isdisjoint, parts))
    root, rest = base.joinpath(*plain), [*parts[len(plain) :]]
    if rest[-1] == "**":  # of which Python before 3.13 says that it matches no file
        rest.append("*")
    # '**/*' must not see what a run itself leaves behind, or it would be due for ever.
    is_cache = cache(_is_cache)
    for path in root.glob("/".join(rest)):
        folders = path.relative_to(root).parents[:-1]
        if path.is_file() and not any(is_cache(root / folder) for folder in folders):
            if not is_of_ledger(path):
                yield path


def _is_cache(folder: Path) -> bool:
    is_tagged = folder.name == "__pycache__" or (folder / "CACHEDIR.TAG").exists()
    return is_tagged or is_of_ledger(folder)


def _relative(path: Path, base: Path) -> str:
    inside = path.relative_to(base) if path.is_relative_to(base) else path
    # A name may hold bytes that are no text, and goes into a record that is.
    return inside.as_posix().encode(errors="backslashreplace").decode()


def _path_digest(path: Path) -> str:
    """Return the digest of a file's content, of all files below a directory, or nothing."""
    if path.is_dir():
        pairs = ((_relative(p, path), _path_digest(p)) for p in sorted(_matches(path, "**/*")))
        return digest(*(part.encode() for pair in pairs for part in pair))
    if path.exists() and not path.is_file():
        return digest(b"socket, pipe or device")  # there, and not to be read
    try:
        with path.open("rb") as file:
            return file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _parts(value: Any) -> tuple[bytes, ...]:
    kind = type(value)
    named = _name(kind)
    if isinstance(value, Enum):
        # An unnamed combination of flags has a value only.
        return b"enum", named, (value.name or "").encode(), _inner(value.value)
    if isinstance(value, PurePath):
        return b"path", str(value).encode(errors="surrogateescape")
    if isinstance(value, Secret) and token_of(value):
        return b"secret", token_of(value).encode()
    if isinstance(value, type):
        if "<locals>" in value.__qualname__:  # several share the name
            raise TypeError(value.__qualname__)
        return b"type", _name(value)
    fields = fields_of(value)
    if fields is not None:
        return b"object", named, _inner(fields)
    builtin = next((each for each in kind.__mro__ if each in _CONTENT), None)
    if builtin is None:
        raise TypeError(kind.__qualname__)
    # The tag is what makes 1, True, 1.0 and "1" four values.
    parts = builtin.__name__.encode(), *_CONTENT[builtin](value)
    if kind is builtin:
        return parts
    added = object.__getstate__(value)  # type: ignore[attr-defined, unused-ignore]
    return b"subclass", named, digest(*parts).encode(), _inner(added)


def _name(kind: type) -> bytes:
    # One file may be imported under several names that differ in their beginning.
    return f"{kind.__module__.rpartition('.')[2]}.{kind.__qualname__}".encode()


def _inner(value: object) -> bytes:
    return digest_value(value).encode()


def _text(write: Callable[[Any], str]) -> Callable[[Any], Iterable[bytes]]:
    return lambda value: (write(value).encode(errors="surrogatepass"),)


def _moment(value: Any) -> str:
    # The text of a time of day has no room for its zone, nor that of a moment for the name.
    return f"{value.isoformat()} {getattr(value.tzinfo, 'key', value.tzinfo is not None)}"


# By their own methods: a subclass may write itself as it likes, with its address for instance.
_CONTENT: dict[type, Callable[[Any], Iterable[bytes]]] = {
    type(None): _text(repr),
    bool: _text(repr),
    int: _text(hex),
    float: _text(float.__repr__),
    complex: _text(complex.__repr__),
    str: _text(str.__str__),
    bytes: lambda value: (bytes(value),),
    bytearray: lambda value: (bytes(value),),
    Decimal: _text(Decimal.__str__),
    UUID: _text(UUID.__str__),
    datetime: _text(_moment),
    date: _text(lambda value: value.isoformat()),
    time: _text(_moment),
    timedelta: _text(lambda value: f"{value.days} {value.seconds} {value.microseconds}"),
    list: lambda value: map(_inner, value),
    tuple: lambda value: map(_inner, value),
    set: lambda value: sorted(map(_inner, value)),
    frozenset: lambda value: sorted(map(_inner, value)),
    dict: lambda value: sorted(map(_inner, value.items())),
    OrderedDict: lambda value: map(_inner, value.items()),
}


def fields_of(value: Any) -> dict[str, object] | None:
    """Return the fields of a dataclass, an attrs class or a msgspec Struct, else None."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    elif hasattr(type(value), "__attrs_attrs__"):
        names = [field.name for field in type(value).__attrs_attrs__]
    elif isinstance(value, msgspec.Struct):
        names = list(value.__struct_fields__)
    else:
        return None
    return {name: getattr(value, name) for name in names if hasattr(value, name)}
