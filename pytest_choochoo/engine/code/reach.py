"""Finds the code that functions reach by name in the project, as digests of its source."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from types import FunctionType, MappingProxyType
from typing import Any
from uuid import uuid4

import msgspec

from pytest_choochoo.engine.code.definitions import Definition, Source, joined
from pytest_choochoo.engine.code.namespaces import Binding, Kind, binding_in, namespace_of
from pytest_choochoo.engine.code.values import (
    code_in,
    digest_of_held,
    held_values,
    is_opaque,
    may_hold,
)
from pytest_choochoo.engine.digest import digest_bytes, digest_value
from pytest_choochoo.engine.graph import reachable

# Part of each key in the source cache: raise it when the same source reads differently.
CACHE_VERSION = "6"

_LIBRARY = Path(os.__file__).parent
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_NOTHING = Source({}, {})
_EMPTY = Definition("", ())
_DECODER = msgspec.json.Decoder(Source)

Spot = tuple[Path, str]  # a file, and a top-level name in it


class CodeReader:
    """Finds the code that functions consist of, as digests by `file::name`.

    *root*: only files below it are the project's. *source_cache* holds the sources
    that were read before, each with the digest of its file; new ones are added.
    *imported*: the sources of files as they were imported, None for one that is not known.
    *former*: the former names of stations by their names, for the digests that code had with
    these; then *source_cache* must be one for these names.
    """

    def __init__(
        self,
        root: Path,
        source_cache: MutableMapping[str, str],
        imported: Mapping[str, bytes | None] = MappingProxyType({}),
        former: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._imported = imported
        self._former = former
        self._roots = (root, root.resolve())
        self._source_cache = source_cache
        self._source = cache(self._read_bound)
        self._paths: dict[str, Path | None] = {}
        self._labels: dict[Path, str | None] = {}
        self._packages: dict[Path, str] = {}
        self._modules: dict[str, Path | None] = {}
        self._namespaces: dict[str, Mapping[str, Any]] = {}
        self._targets: dict[Spot, tuple[Spot, ...]] = {}
        self._holdings: dict[int, _Holding] = {}

    def reach(self, values: Iterable[Any]) -> dict[str, str]:
        """Return the digest of all the project's code that *values* reach by name.

        They are functions, or anything that leads to functions and classes. The values that
        a function holds, if another one made it, are part of its code.
        """
        found: dict[str, str] = {}
        start: list[Spot] = []
        for path, name, value in self._project_code(values):
            start.append((path, name.partition(".")[0]))
            for held, digest in self._held(value).digests.items():
                where = f"{held} in {self.label(path)}::{name}"
                found[where] = (
                    digest if where not in found else digest_value((found[where], digest))
                )
        for path, name in reachable(start, self._loaded):
            definition = self._source(path).definitions.get(name)
            if definition is not None:
                found[f"{self.label(path)}::{name}"] = definition.digest
        return dict(sorted(found.items()))

    def under(self, former: Mapping[str, str]) -> CodeReader:
        """Return a reader of the same code under the *former* names of stations."""
        return CodeReader(self._roots[0], {}, self._imported, former)

    def hold(self, functions: Iterable[Callable[..., Any]]) -> None:
        """Digest the values that *functions* hold now, since the functions may change them."""
        for _, _, value in self._project_code(filter(may_hold, functions)):
            self._held(value)

    def unseen(self, values: Iterable[Any]) -> tuple[str, ...]:
        """Return what the functions in *values* hold and call, and nothing can be said about."""
        return tuple(
            f"{held} in {self.label(path)}::{name}"
            for path, name, value in self._project_code(values)
            for held in self._held(value).opaque
        )

    def _held(self, value: Any) -> _Holding:
        """Return what is held by *value*, a function or a class."""
        if id(value) not in self._holdings:
            self._holdings[id(value)] = _holding(value)
        return self._holdings[id(value)]

    def read_ahead(self, files: Iterable[Path]) -> None:
        """Read those of *files* that are the project's into the source cache."""
        for path in files:
            if self.label(path):
                self._source(path)

    def _project_code(self, values: Iterable[Any]) -> Iterator[tuple[Path, str, Any]]:
        """Yield the project's functions and classes in *values*, each with its file and name."""
        for value in code_in(values, lambda function: self._path_of(function) is not None):
            if type(value) is FunctionType:
                path = self._path_of(value)
                # Not its `__qualname__`, which a wrapper copies from what it wraps.
                name = value.__code__.co_qualname
            else:
                path, name = self._find(value.__module__), value.__qualname__
            if path is not None:
                yield path, name, value

    def _path_of(self, function: Any) -> Path | None:
        """Return the file that defines *function*, None if it does not belong to the project."""
        code = function.__code__
        if code.co_filename not in self._paths:
            path = Path(code.co_filename)
            self._paths[code.co_filename] = path if self.label(path) else None
            self._packages.setdefault(path, function.__globals__.get("__package__") or "")
        return self._paths[code.co_filename]

    def label(self, path: Path) -> str | None:
        """Return the name of the file at *path* in the project, None if it is not part of it."""
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

    def path_of(self, label: str) -> Path:
        """Return the path of the file that *label* stands for."""
        paths = [root / label for root in self._roots]
        return next((path for path in paths if str(path) in self._imported), paths[0])

    def content(self, path: Path) -> bytes | None:
        """Return the source of the file at *path*, as imported if it was; None without one."""
        try:
            content = self._imported.get(str(path))
            return path.read_bytes() if content is None else content
        except OSError:
            return None

    def unbound_source(self, path: Path) -> Source:
        """Return the source of *path*, read in the same way whether or not it is imported."""
        return self._read(path, lambda name: None, "unbound ")

    def _read_bound(self, path: Path) -> Source:
        return self._read(path, partial(self._binding, path))

    def _read(self, path: Path, bound: Binding, kind: str = "") -> Source:
        content = self.content(path)
        if content is None:
            return _NOTHING
        source = self._read_content(f"{CACHE_VERSION}:{kind}{self.label(path)}", content, bound)
        is_known = self._imported.get(str(path), content) is not None
        return source if is_known else _never_the_same(source)

    def _read_content(self, key: str, content: bytes, bound: Binding) -> Source:
        digest = digest_bytes(content)
        known, _, cached = self._source_cache.get(key, "").partition(" ")
        if known == digest:
            with suppress(msgspec.MsgspecError):  # a damaged entry is made again
                source = _DECODER.decode(cached)
                if all(bound(name) == kind for name, kind in source.bindings.items()):
                    return source
        # Imported here, since most runs find all sources in the cache.
        from pytest_choochoo.engine.code.source import read

        try:
            with warnings.catch_warnings():
                # The import has shown the warnings; as errors, they would hide the whole file.
                warnings.simplefilter("ignore")
                source = read(ast.parse(content), bound, self._former)
        except (SyntaxError, ValueError):
            return _NOTHING
        self._source_cache[key] = f"{digest} {msgspec.json.encode(source).decode()}"
        return source

    def _binding(self, path: Path, name: str) -> Kind | None:
        """Return the kind of the value that *name* has in the file at *path*, where it is known."""
        if str(path) not in self._namespaces:
            self._namespaces = {str(path): {}, **_namespaces()}
        return binding_in(self._namespaces[str(path)], name)

    def _loaded(self, spot: Spot) -> tuple[Spot, ...]:
        """Return the spots that define the names which the definition at *spot* loads."""
        if spot not in self._targets:
            path, seen = spot[0], set[Spot]()
            found: dict[Spot, None] = {}
            definition = self._source(path).definitions.get(spot[1], _EMPTY)
            for dotted in definition.loads:
                found |= dict.fromkeys(self._resolve(path, dotted, seen))
            for module, dotted in definition.imports:
                found |= dict.fromkeys(self._inside(path, module, dotted, seen))
            found |= dict.fromkeys([*self._fillings(path, found)])
            self._targets[spot] = tuple(found)
        return self._targets[spot]

    def _fillings(self, path: Path, tables: Iterable[Spot]) -> Iterator[Spot]:
        """Yield what fills *tables* of other files by calls in the file at *path*."""
        calls = self._source(path).calls
        for file, table in tables if calls else ():
            fills = {name for name, filled in self._source(file).fills.items() if table in filled}
            for name, callers in calls.items() if fills and file != path else ():
                if any(
                    at == file and each in fills for at, each in self._resolve(path, name, set())
                ):
                    yield from ((path, caller) for caller in callers)

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
            yield from self._inside(path, star, dotted, seen, by_star=True)

    def _inside(
        self, path: Path, module: str, dotted: str, seen: set[Spot], *, by_star: bool = False
    ) -> Iterator[Spot]:
        """Yield where *dotted* of *module*, imported in *path*, is defined; "" means all of it."""
        absolute = self._absolute(path, module)
        target = self._find(absolute)
        if target is None:
            return
        definitions = self._source(target).definitions
        if not dotted:
            yield from ((target, name) for name in definitions if not name.endswith("()"))
            return
        yield from self._resolve(target, dotted, seen)
        name, _, rest = dotted.partition(".")
        if name not in definitions:
            yield from self._inside(target, joined(absolute, name), rest, seen)
            if "__getattr__" in definitions and not by_star:  # it makes what is not there
                yield target, "__getattr__"

    def _absolute(self, path: Path, module: str) -> str:
        level = len(module) - len(module.lstrip("."))
        if not level:
            return module
        package = self._packages.get(path, "").split(".")
        return joined(*package[: len(package) - level + 1], module[level:])

    def _find(self, module: str) -> Path | None:
        """Return the file of *module*, None if it does not belong to the project."""
        if module not in self._modules:
            path = self._locate(module) if module else None
            self._modules[module] = path = path if path and self.label(path) else None
            if path is not None:
                inside = path.name == "__init__.py"
                self._packages.setdefault(path, module if inside else module.rpartition(".")[0])
        return self._modules[module]

    def _locate(self, module: str) -> Path | None:
        loaded = sys.modules.get(module)
        if loaded is not None:
            try:  # anything may stand for a module, and raise when it is asked
                file = getattr(loaded, "__file__", None)
                folders: Iterable[str] = tuple(getattr(loaded, "__path__", ()))
            except Exception:
                return None
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
        # Not by importlib, which imports the package: the function may import it only at run time.
        parent = self._find(package)
        if parent is None or parent.name != "__init__.py":
            return None
        file = parent.parent / f"{name}.py"
        folder = parent.parent / name
        return (
            file if file.exists() and not (folder / "__init__.py").exists() else _package([folder])
        )


def _never_the_same(source: Source) -> Source:
    """Return *source* with digests that no other run will have."""
    token = uuid4().hex
    definitions = {
        name: msgspec.structs.replace(definition, digest=token)
        for name, definition in source.definitions.items()
    }
    return msgspec.structs.replace(source, definitions=definitions)


def _namespaces() -> dict[str, Mapping[str, Any]]:
    """Return the namespaces of the modules that are imported, by file."""
    found = map(namespace_of, [*sys.modules.values()])
    return {names["__file__"]: names for names in found if type(names.get("__file__")) is str}


def _package(folders: Iterable[str | Path]) -> Path | None:
    # A folder without that file may be a package too; the file then reads as an empty one.
    folder = next((Path(each) for each in folders if Path(each).is_dir()), None)
    return folder and folder / "__init__.py"


class _Holding(msgspec.Struct, frozen=True):
    """Digests of what a function holds, and the names of what it calls and that has none."""

    function: object  # kept, so that no other one gets its id
    digests: dict[str, str]
    opaque: tuple[str, ...]


def _holding(value: Any) -> _Holding:
    digests: dict[str, str] = {}
    opaque: list[str] = []
    for name, held in held_values(value) if type(value) is FunctionType else ():
        digest = digest_of_held(held)
        if digest is not None:
            digests[name] = digest
        elif is_opaque(held):
            opaque.append(name)
    return _Holding(value, digests, tuple(opaque))
