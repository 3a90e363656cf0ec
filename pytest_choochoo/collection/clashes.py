"""Modules of one name: a station file imports one, and gets another than the one beside it."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from pytest_choochoo.engine.code.namespaces import namespace_of
from pytest_choochoo.engine.digest import relative
from pytest_choochoo.engine.errors import ModuleClash

# A conftest is imported by pytest alone, and the standard library's modules are meant.
_NEVER_MEANT = frozenset({"__init__", "conftest", *sys.stdlib_module_names})


def module_clashes(files: Mapping[Path, Sequence[str]]) -> Iterator[ModuleClash]:
    """Yield a fault for each import in *files* that gets another module than the one beside.

    *files*: the files of stations that pytest has imported, each with the names of its stations.
    Python has one module of a name, and pytest puts the folder of each file on `sys.path`;
    the modules of a package have the package's name as well.
    """
    folders = {path.parent for path in files}
    beside = {each: _modules_in(each) for each in folders if not (each / "__init__.py").exists()}
    counts = Counter(name for names in beside.values() for name in names)
    suspects = {
        folder: [name for name in names if _may_be_another(name, folder, counts[name])]
        for folder, names in beside.items()
    }
    for path, stations in files.items():
        names = [name for name in suspects.get(path.parent, ()) if name != path.stem]
        if names:
            for name, got in _clashes(path, names):
                own = _beside(path.parent, name) or path
                shown = [relative(each, Path.cwd()) for each in (path, own, Path(got))]
                yield ModuleClash(tuple(stations), shown[0], name, *shown[1:])


def _modules_in(folder: Path) -> list[str]:
    """Return the names of the modules and of the folders in *folder*."""
    try:
        entries = os.listdir(folder)
    except OSError:
        return []
    names = (each.removesuffix(".py") for each in entries)
    return [name for name in names if name.isidentifier() and name not in _NEVER_MEANT]


def _may_be_another(name: str, folder: Path, count: int) -> bool:
    """Return whether Python may import *name* from elsewhere than from *folder*.

    *count*: in how many folders of station files there is one.
    """
    if name not in sys.modules:
        return count > 1
    file = _file_of(name)
    if file is None:  # a package of several folders may be one of those
        return count > 1
    return _folder_of(file) != str(folder)


def _clashes(path: Path, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield those of *names*, and of what is below, that *path* gets from another file."""
    try:
        content = path.read_bytes()
    except OSError:
        return
    if not re.search(rb"\b(?:%s)\b" % "|".join(names).encode(), content):
        return
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return
    for imported in dict.fromkeys(_imported_names(tree)):
        if imported.partition(".")[0] in names:
            found = _other_file(path.parent, imported)
            if found is not None:
                yield found


def _imported_names(tree: ast.AST) -> Iterator[str]:
    """Yield the modules that *tree* imports, and what may be modules in them."""
    pending = [tree]
    while pending:
        node = pending.pop()
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield module
                yield from (f"{module}.{each.name}" for each in names)
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                pending += node.orelse  # the rest is for type checkers alone
            case _:
                pending += ast.iter_child_nodes(node)


def _other_file(folder: Path, imported: str) -> tuple[str, str] | None:
    """Return the module in *imported* that lies beside, and the other file that Python has."""
    name = ""
    for part in imported.split("."):
        name = f"{name}.{part}" if name else part
        own = _beside(folder, name)
        if own is None and not folder.joinpath(*name.split(".")).is_dir():
            return None
        got = _file_of(name)
        if own is not None and got is not None:
            expected = str(folder.joinpath(*name.split(".")[:-1]))
            is_same = os.path.realpath(_folder_of(got)) == os.path.realpath(expected)
            return None if is_same else (name, got)
    return None


def _beside(folder: Path, name: str) -> Path | None:
    """Return the file of the module *name* in *folder*, None where there is none."""
    plain = folder.joinpath(*name.split("."))
    files = (plain / "__init__.py", plain.with_name(f"{plain.name}.py"))
    return next((file for file in files if file.is_file()), None)


def _file_of(name: str) -> str | None:
    """Return the file of the module *name* that Python has, or would import."""
    module = sys.modules.get(name)
    if module is not None:
        file = namespace_of(module).get("__file__")
        return file if isinstance(file, str) else None
    spec = _spec_of(name)
    return None if spec is None or not spec.has_location else spec.origin


def _spec_of(name: str) -> ModuleSpec | None:
    """Return how Python would import the module *name*, without importing what is above it."""
    above = name.rpartition(".")[0]
    if not above:
        return PathFinder.find_spec(name)
    module = sys.modules.get(above)
    if module is not None:
        folders = getattr(module, "__path__", None)
    else:
        spec = _spec_of(above)
        folders = None if spec is None else spec.submodule_search_locations
    return None if folders is None else PathFinder.find_spec(name, list(folders))


def _folder_of(file: str) -> str:
    """Return the folder in which the module of *file*, which may be a package, lies."""
    folder, name = os.path.split(file)
    return os.path.dirname(folder) if name.startswith("__init__.") else folder
