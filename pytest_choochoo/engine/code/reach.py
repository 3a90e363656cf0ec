"""The project's source as named digests: what a function reaches by name, and nothing else."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from types import FunctionType
from typing import Any

import msgspec

from pytest_choochoo.engine.code.source import Definition, Source, joined, read
from pytest_choochoo.engine.judging.fingerprint import digest_value

# Part of the key of what is cached: raise it when the same source reads differently.
CACHE_VERSION = "3"

_LIBRARY = Path(os.__file__).parent
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_NOTHING = Source({}, {})
# Of how many parts a value may be that is held by a function, to count as its code.
_SMALL = 10_000
_DECODER = msgspec.json.Decoder(Source)

Spot = tuple[Path, str]  # a file, and a top-level name in it


class CodeReader:
    """Answers what code a function consists of, as digests by `file::name`.

    *root*: only files below it are the project's. *source_cache*: what was read of
    files before, each with the digest of what it was read of; new source_cache are put there.
    """

    def __init__(self, root: Path, source_cache: MutableMapping[str, str]) -> None:
        self._roots = (root, root.resolve())
        self._source_cache = source_cache
        self._source = cache(self._read)
        self._paths: dict[str, Path | None] = {}
        self._labels: dict[Path, str | None] = {}
        self._packages: dict[Path, str] = {}
        self._modules: dict[str, Path | None] = {}
        self._targets: dict[Spot, tuple[Spot, ...]] = {}
        self._holdings: dict[int, tuple[object, dict[str, str]]] = {}

    def reach(self, functions: Iterable[Callable[..., Any]]) -> dict[str, str]:
        """Return the digest of all the project's code that *functions* reach by name.

        Of a function that was made by another, the values that it holds are part of it.
        """
        found: dict[str, str] = {}
        seen: set[Spot] = set()
        waiting: list[Spot] = []
        for path, function in self._ours(functions):
            full_name = function.__code__.co_qualname  # a wrapper calls itself like what it wraps
            waiting.append((path, full_name.partition(".")[0]))
            for name, held in self._held(function).items():
                where = f"{name} in {self._label(path)}::{full_name}"
                found[where] = held if where not in found else digest_value((found[where], held))
        while waiting:
            spot = waiting.pop()
            if spot in seen:
                continue
            seen.add(spot)
            path, name = spot
            definition = self._source(path).definitions.get(name)
            if definition is not None:
                found[f"{self._label(path)}::{name}"] = definition.digest
                waiting += self._loaded(spot, definition)
        return dict(sorted(found.items()))

    def hold(self, functions: Iterable[Callable[..., Any]]) -> None:
        """Take what *functions* hold for what it is now: when they run, they may change it."""
        made = [each for each in functions if _may_hold(each)]
        for _, function in self._ours(made):
            self._held(function)

    def _held(self, function: Any) -> dict[str, str]:
        """Return the digests of the values that *function* carries, of those that have one."""
        if id(function) not in self._holdings:
            digests = {name: _digest(value) for name, value in _carried(function)}
            found = {name: held for name, held in digests.items() if held is not None}
            self._holdings[id(function)] = function, found  # which lives as long as its number
        return self._holdings[id(function)][1]

    def read_ahead(self, files: Iterable[Path]) -> None:
        """Read those of *files* that are the project's, for whoever has the same source_cache."""
        for path in files:
            if self._label(path):
                self._source(path)

    def _ours(self, functions: Iterable[Callable[..., Any]]) -> Iterator[tuple[Path, Any]]:
        """Yield those of *functions*, and of those they have closed over, that are the project's.

        Each with the file it is defined in.
        """
        waiting: list[Any] = list(functions)
        seen: set[int] = set()
        while waiting:
            plain = waiting.pop()
            if id(plain) in seen:
                continue
            seen.add(id(plain))
            wrapped = getattr(plain, "__wrapped__", None)
            if wrapped is not None:
                waiting.append(wrapped)
            code = getattr(plain, "__code__", None)
            if code is None:
                continue
            if code.co_filename not in self._paths:
                path = Path(code.co_filename)
                self._paths[code.co_filename] = path if self._label(path) else None
                self._packages.setdefault(path, plain.__globals__.get("__package__") or "")
            ours = self._paths[code.co_filename]
            if ours is not None:
                yield ours, plain
                waiting += (value for _, value in _carried(plain) if type(value) is FunctionType)

    def _label(self, path: Path) -> str | None:
        """Return what the file at *path* is called in the project, None when it is not of it."""
        if path not in self._labels:
            inside = (
                each.relative_to(root)
                for root in self._roots
                for each in (path, path.resolve())
                if each.is_relative_to(root)
            )
            relative = next(inside, None)
            is_ours = (
                relative is not None
                and path.suffix == ".py"
                and _INSTALLED.isdisjoint(relative.parts)
                and not path.is_relative_to(_LIBRARY)
            )
            self._labels[path] = relative.as_posix() if relative and is_ours else None
        return self._labels[path]

    def _read(self, path: Path) -> Source:
        try:
            content = path.read_bytes()
        except OSError:
            return _NOTHING
        key, digest = (
            f"{CACHE_VERSION}:{self._label(path)}",
            blake2b(content, digest_size=16).hexdigest(),
        )
        known, _, reading = self._source_cache.get(key, "").partition(" ")
        if known == digest:
            try:
                return _DECODER.decode(reading)
            except msgspec.MsgspecError:
                pass  # a damaged reading is no reading
        try:
            with warnings.catch_warnings():
                # The import has said them; where they are errors, a "\d" would hide the file.
                warnings.simplefilter("ignore")
                source = read(ast.parse(content))
        except (SyntaxError, ValueError):
            return _NOTHING
        self._source_cache[key] = f"{digest} {msgspec.json.encode(source).decode()}"
        return source

    def _loaded(self, spot: Spot, definition: Definition) -> tuple[Spot, ...]:
        if spot not in self._targets:
            path, seen = spot[0], set[Spot]()
            found: dict[Spot, None] = {}
            for dotted in definition.loads:
                found |= dict.fromkeys(self._resolve(path, dotted, seen))
            for module, dotted in definition.imports:
                found |= dict.fromkeys(self._inside(path, module, dotted, seen))
            self._targets[spot] = tuple(found)
        return self._targets[spot]

    def _resolve(self, path: Path, dotted: str, seen: set[Spot]) -> Iterator[Spot]:
        """Yield where *dotted*, as written in the file at *path*, is defined in the project."""
        if (path, dotted) in seen:  # modules may import each other
            return
        seen.add((path, dotted))
        source = self._source(path)
        name, _, rest = dotted.partition(".")
        if name in source.definitions:
            yield path, name
        for module, attribute in source.imports.get(name, ()):
            yield from self._inside(path, module, joined(attribute, rest), seen)
        for star in source.stars:
            yield from self._inside(path, star, dotted, seen)

    def _inside(self, path: Path, module: str, dotted: str, seen: set[Spot]) -> Iterator[Spot]:
        """Yield where *dotted* of *module*, imported from *path*, is defined; "" is all of it."""
        absolute = self._absolute(path, module)
        target = self._find(absolute)
        if target is None:
            return
        definitions = self._source(target).definitions
        if not dotted:
            yield from ((target, name) for name in definitions)
            return
        yield from self._resolve(target, dotted, seen)
        name, _, rest = dotted.partition(".")
        if name not in definitions:
            yield from self._inside(target, joined(absolute, name), rest, seen)

    def _absolute(self, path: Path, module: str) -> str:
        level = len(module) - len(module.lstrip("."))
        if not level:
            return module
        package = self._packages.get(path, "").split(".")
        return joined(*package[: len(package) - level + 1], module[level:])

    def _find(self, module: str) -> Path | None:
        """Return the file of *module*, None when it is not the project's."""
        if module not in self._modules:
            path = self._locate(module) if module else None
            self._modules[module] = path = path if path and self._label(path) else None
            if path is not None:
                inside = path.name == "__init__.py"
                self._packages.setdefault(path, module if inside else module.rpartition(".")[0])
        return self._modules[module]

    def _locate(self, module: str) -> Path | None:
        loaded = sys.modules.get(module)
        if loaded is not None:
            file = getattr(loaded, "__file__", None)
            folders = getattr(loaded, "__path__", ())
            return Path(file) if isinstance(file, str) else _package(folders)
        package, _, name = module.rpartition(".")
        if not package:
            try:
                spec = importlib.util.find_spec(name)
            except (ImportError, ValueError, AttributeError):
                return None
            if spec is None:
                return None
            folders = spec.submodule_search_locations or ()
            return Path(spec.origin) if spec.origin else _package(folders)
        # By hand: what a function imports when it runs must not be imported to look at it.
        parent = self._find(package)
        if parent is None or parent.name != "__init__.py":
            return None
        file = parent.parent / f"{name}.py"
        folder = parent.parent / name
        return (
            file if file.exists() and not (folder / "__init__.py").exists() else _package([folder])
        )


def _package(folders: Iterable[str | Path]) -> Path | None:
    # A folder may be a package without that file, which then reads as an empty one.
    folder = next((Path(each) for each in folders if Path(each).is_dir()), None)
    return folder and folder / "__init__.py"


def _carried(function: Any) -> Iterator[tuple[str, object]]:
    """Yield what *function* was given by the one that made it, if it was made by another."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        with suppress(ValueError):  # not filled yet
            yield name, cell.cell_contents
    if "<locals>" in function.__qualname__:
        for parameter in inspect.signature(function).parameters.values():
            if parameter.default is not parameter.empty:
                yield parameter.name, parameter.default


def _may_hold(function: Any) -> bool:
    parts = getattr(function, "__closure__", None), getattr(function, "__wrapped__", None)
    return any(parts) or "<locals>" in getattr(function, "__qualname__", "")


def _digest(value: object) -> str | None:
    """Return the digest of a value that a function holds, None for one that has none."""
    try:
        # A mock for example claims to be what it is not, and is like no other.
        is_plain = value.__class__ is type(value) and _is_small(value)
        return digest_value(value) if is_plain else None
    except Exception:
        return None  # it is the user's, who may have made it of whatever he likes


def _is_small(value: object) -> bool:
    """Say whether *value* is looked through in no time, also where it has a part many times."""
    waiting, left = [value], _SMALL
    while waiting and left:
        part, left = waiting.pop(), left - 1
        if isinstance(part, dict):
            waiting += islice(part.items(), left + 1)
        elif isinstance(part, list | tuple | set | frozenset):
            waiting += islice(part, left + 1)
    return not waiting
