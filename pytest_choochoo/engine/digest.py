"""Digests of values, files and folders, equal in all processes."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache, cached_property
from hashlib import blake2b, file_digest
from itertools import takewhile
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID

import msgspec

from pytest_choochoo.engine.ledger.location import is_of_ledger
from pytest_choochoo.engine.secrets import Secret, token_of

_SIZE = 16  # bytes
_MAGIC = frozenset("*?[")
#: It stands for rootdir in a path that is kept relative to that.
ROOT = "<rootdir>"
Inner = Callable[[object], bytes]  # the digest of a part of a value
Content = Callable[[Any, Inner], Iterable[bytes]]


def digest_bytes(content: bytes, *, size: int = _SIZE, key: bytes = b"") -> str:
    """Return the digest of *content*, *size* bytes long; it cannot be guessed without *key*."""
    return blake2b(content, digest_size=size, key=key).hexdigest()


def digest_parts(*parts: bytes) -> str:
    """Return one digest of *parts*, in which no two lists of parts coincide."""
    whole = blake2b(digest_size=_SIZE)
    for part in parts:
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return whole.hexdigest()


class KeyedDigests:
    """Makes digests of digests, with the key that *find_key* returns: none can be tried out.

    The key is read when it is first needed. Where there is none, which only a session that
    records nothing may meet, digests stay plain, for comparing them with plain ones.
    """

    def __init__(self, find_key: Callable[[], bytes]) -> None:
        self._find_key = find_key

    @cached_property
    def key(self) -> bytes:
        """The key of the ledger, b"" where it has none."""
        return self._find_key()

    @cached_property
    def name(self) -> str:
        """A name for the key, which reveals nothing about it."""
        return digest_bytes(b"name", size=8, key=self.key) if self.key else "none"

    def of(self, digests: Mapping[str, str]) -> dict[str, str]:
        """Return the keyed digest of each of *digests*; "", for what does not exist, stays "".

        Raises `UnusableLedger` where the key cannot be read or made.
        """
        return {
            name: digest_bytes(plain.encode(), key=self.key) if plain and self.key else plain
            for name, plain in digests.items()
        }


# --- files and folders


def is_pattern(path: str) -> bool:
    """Return whether *path* may be a glob pattern."""
    return not _MAGIC.isdisjoint(path)


def is_literal(base: Path, pattern: str) -> bool:
    """Return whether *pattern* is the name of one file below *base*, and not a glob pattern.

    'data[1].csv' is a name, and a pattern as well: the file counts, where there is one.
    """
    return not is_pattern(pattern) or (base / pattern).is_file()


def matches(base: Path, pattern: str, *, follows_links: bool = True) -> Iterator[Path]:
    """Yield the files below *base* that *pattern* matches, without caches and ledgers.

    Files that a run itself leaves behind must not make a station with '**/*' due for ever.
    A '**' enters linked folders, unless not *follows_links*.
    """
    parts = Path(pattern).parts
    plain = tuple(takewhile(_MAGIC.isdisjoint, parts))
    root, rest = base.joinpath(*plain), [*parts[len(plain) :]]
    if rest[-1] == "**":  # Python before 3.13 matches no file with it
        rest.append("*")
    is_cache = cache(_is_cache)
    for path in dict.fromkeys(_expanded(root, rest, follows_links=follows_links)):
        folders = path.relative_to(root).parents[:-1]
        if path.is_file() and not any(is_cache(root / folder) for folder in folders):
            if not is_of_ledger(path):
                yield path


def _expanded(root: Path, parts: list[str], *, follows_links: bool) -> Iterator[Path]:
    """Yield what the glob pattern of *parts* matches below *root*; some of it twice."""
    if "**" not in parts:
        yield from root.glob("/".join(parts))
        return
    at = parts.index("**")
    tail = parts[at + 1 :]
    for start in root.glob("/".join(parts[:at])) if at else (root,):
        for folder, entries in _walk(start, follows_links=follows_links):
            if len(tail) == 1:
                names = fnmatch.filter((entry.name for entry in entries), tail[0])
                yield from map(folder.joinpath, names)
            else:
                yield from _expanded(folder, tail, follows_links=follows_links)


def _walk(
    root: Path, *, follows_links: bool = True, once: bool = False
) -> Iterator[tuple[Path, list[os.DirEntry[str]]]]:
    """Yield *root* and the folders below it, without caches, each with what it contains.

    A link that leads to a folder above itself is never followed; with *once*, neither is one
    to what is walked anyway.
    """
    walked = [root.resolve()] if once else []
    pending: list[tuple[Path, tuple[Path, ...]]] = [(root, ())]
    while pending:
        folder, came_by = pending.pop()
        entries = _entries(folder)
        yield folder, entries
        for entry in reversed(entries):
            path = folder / entry.name
            if not _is_folder(entry) or _is_cache(path):
                continue
            if not entry.is_symlink():
                pending.append((path, came_by))
            elif follows_links:
                target, links = path.resolve(), (*came_by, folder.resolve())
                leads_back = any(each.is_relative_to(target) for each in links)
                if not leads_back and not any(target.is_relative_to(each) for each in walked):
                    walked += [target] if once else []
                    pending.append((path, links))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except (PermissionError, FileNotFoundError, NotADirectoryError):
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_cache(folder: Path) -> bool:
    is_tagged = folder.name == "__pycache__" or (folder / "CACHEDIR.TAG").exists()
    return is_tagged or is_of_ledger(folder)


def relative(path: Path, base: Path) -> str:
    """Return the name of *path* within *base*, as a record can hold it."""
    inside = path.relative_to(base) if path.is_relative_to(base) else path
    # A file name may hold bytes that are not UTF-8; a record may not.
    return inside.as_posix().encode(errors="backslashreplace").decode()


def from_root(path: PurePath, root: Path | None) -> str:
    """Return *path* as text: from *root* on if it lies below that, in the form of `ROOT`."""
    if root is not None and path.is_absolute() and path.is_relative_to(root):
        inside = path.relative_to(root)
        if ".." not in inside.parts:
            return f"{ROOT}/{inside.as_posix()}"
    return str(path)


def digest_file(path: Path) -> str:
    """Return the digest of a file's content, wherever it lies; "" for no file."""
    if path.exists() and not path.is_file():
        return digest_parts(b"socket, pipe or device")  # it exists, but must not be read
    try:
        with path.open("rb") as file:
            return file_digest(file, lambda: blake2b(digest_size=_SIZE)).hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def digest_tree(path: Path, *, with_links: bool = True) -> str:
    """Return the digest of a file, or of all that is below a folder; "" for neither.

    *with_links*: where links lead counts as well, and what is in linked folders.
    """
    digest = _digest_folder(path, with_links=with_links) if path.is_dir() else digest_file(path)
    if digest and with_links and path.is_symlink():
        return digest_parts(b"link", _target(path, path.parent), digest.encode())
    return digest


def _digest_folder(folder: Path, *, with_links: bool) -> str:
    found = {}
    for below, entries in _walk(folder, follows_links=with_links, once=True):
        for entry in entries:
            path = below / entry.name
            if path.is_file() and not is_of_ledger(path):
                found[path] = digest_file(path)
            if with_links and entry.is_symlink():
                target = _target(path, folder)
                found[path] = digest_parts(b"link", target, found.get(path, "").encode())
    pairs = ((relative(path, folder), found[path]) for path in sorted(found))
    return digest_parts(*(part.encode() for pair in pairs for part in pair))


def _target(link: Path, folder: Path) -> bytes:
    """Return the target of *link*, in a form that stays the same where *folder* is moved."""
    target = os.readlink(link)
    is_inside = os.path.isabs(target) and Path(target).is_relative_to(folder)
    return os.fsencode(os.path.relpath(target, link.parent) if is_inside else target)


# --- values


def digest_value(
    value: object, other: Callable[[Any], object] | None = None, root: Path | None = None
) -> str:
    """Return a digest that no two values share: those of 1, True, 1.0 and "1" differ.

    *other* returns plain data for a value of a type that has no stable digest; then all
    attributes of an object count, not its fields alone. Without it such a value raises
    `TypeError`, with the type's name. A path below *root* counts from there on.
    """

    def inner(each: object) -> bytes:
        return digest_parts(*_parts(each, inner, other, root)).encode()

    return digest_parts(*_parts(value, inner, other, root))


def _parts(
    value: Any, inner: Inner, other: Callable[[Any], object] | None, root: Path | None
) -> tuple[bytes, ...]:
    kind = type(value)
    named = _name(kind)
    if isinstance(value, Enum):
        # An unnamed combination of flags has a value only.
        return b"enum", named, (value.name or "").encode(), inner(value.value)
    if isinstance(value, PurePath):
        is_pure = other is not None and not isinstance(value, Path)
        tag, text = b"pure path" if is_pure else b"path", from_root(value, root)
        return tag, text.encode(errors="surrogateescape")
    if isinstance(value, Secret) and token_of(value):
        return b"secret", token_of(value).encode()
    if isinstance(value, type):
        if "<locals>" in value.__qualname__:  # several share the name
            raise TypeError(value.__qualname__)
        return b"type", _name(value)
    fields = fields_of(value)
    if fields is not None:
        beyond = {} if other is None else _beyond(value, fields)
        return b"object", named, inner(fields), *([inner(beyond)] if beyond else [])
    builtin = next((each for each in kind.__mro__ if each in _CONTENT), None)
    if builtin is None:
        if other is None:
            raise TypeError(kind.__qualname__)
        return b"other", named, inner(other(value))
    # The tag is what makes 1, True, 1.0 and "1" four values.
    parts = builtin.__name__.encode(), *_CONTENT[builtin](value, inner)
    if kind is builtin:
        return parts
    return b"subclass", named, digest_parts(*parts).encode(), inner(object.__getstate__(value))


def _beyond(value: Any, fields: dict[str, object]) -> dict[str, object]:
    """Return the attributes of *value* that are not among its *fields*."""
    return {
        name: each for name, each in getattr(value, "__dict__", {}).items() if name not in fields
    }


def _name(kind: type) -> bytes:
    # One file may be imported under several names that differ in their beginning.
    return f"{kind.__module__.rpartition('.')[2]}.{kind.__qualname__}".encode()


def _text(write: Callable[[Any], str]) -> Content:
    return lambda value, inner: (write(value).encode(errors="surrogatepass"),)


def _moment(value: Any) -> str:
    # ISO format has neither the zone of a time of day nor the zone's name.
    return f"{value.isoformat()} {getattr(value.tzinfo, 'key', value.tzinfo is not None)}"


# By their own methods: a subclass may show itself in any way, with its address for instance.
_CONTENT: dict[type, Content] = {
    type(None): _text(repr),
    bool: _text(repr),
    int: _text(hex),
    float: _text(float.__repr__),
    complex: _text(complex.__repr__),
    str: _text(str.__str__),
    bytes: lambda value, inner: (bytes(value),),
    bytearray: lambda value, inner: (bytes(value),),
    Decimal: _text(Decimal.__str__),
    UUID: _text(UUID.__str__),
    datetime: _text(_moment),
    date: _text(lambda value: value.isoformat()),
    time: _text(_moment),
    timedelta: _text(lambda value: f"{value.days} {value.seconds} {value.microseconds}"),
    list: lambda value, inner: map(inner, value),
    tuple: lambda value, inner: map(inner, value),
    set: lambda value, inner: sorted(map(inner, value)),
    frozenset: lambda value, inner: sorted(map(inner, value)),
    dict: lambda value, inner: sorted(map(inner, value.items())),
    OrderedDict: lambda value, inner: map(inner, value.items()),
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
