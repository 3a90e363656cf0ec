"""Decorators that only declare: marks, fixtures, stations, and their checks, finds and cleans."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from pytest_choochoo.engine.code.namespaces import FIXTURES, Binding, Kind

_ATTACHING = frozenset({"check", "find", "clean"})


class Declarations:
    """The decorators of one file that declare something, and do nothing to the function.

    They are known by what their names are bound to: in the file itself, by an import
    from pytest or this package, or else by *bound*. `asked` holds what it answered.
    """

    def __init__(
        self, tree: ast.Module, imports: Mapping[str, tuple[tuple[str, str], ...]], bound: Binding
    ) -> None:
        self.asked: dict[str, Kind | None] = {}
        self._imports = imports
        self._bound = bound
        self._bindings: dict[str, list[ast.stmt]] = {}
        self._kinds: dict[str, Kind | None] = {}
        for statement in tree.body:
            for name in _names_bound(statement):
                self._bindings.setdefault(name, []).append(statement)

    def declares(self, decorator: ast.expr) -> bool:
        return self._kind(decorator) in ("mark", "decorator")

    def is_requester(self, function: ast.stmt) -> bool:
        """Return whether *function* is a station or a fixture, and nothing else alters it."""
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            return False
        kinds = [self._kind(each) for each in function.decorator_list]
        if not {"mark", "decorator"}.issuperset(kinds):
            return False
        return "decorator" in kinds or any(map(_is_fixture, function.decorator_list))

    def _kind(self, node: ast.expr) -> Kind | None:
        match node:
            case ast.Call(func=function, args=arguments):
                kind = self._kind(function)
                if kind == "decorator":
                    return "station" if arguments else "decorator"
                return kind if kind == "mark" else None
            case ast.Name(id=name):
                return self._kind_of_name(name)
            case ast.Attribute(value=value, attr=attribute):
                return self._kind_of_attribute(value, attribute, dotted(node))
        return None

    def _kind_of_attribute(self, value: ast.expr, name: str, whole: str | None) -> Kind | None:
        kind = self._kind(value)
        if kind == "mark":
            return "mark"
        if kind == "station":
            return "mark" if name in _ATTACHING else None
        if whole is None:
            return None
        return self._kind_of_import(whole) or self._asked(whole)

    def _kind_of_name(self, name: str) -> Kind | None:
        if name not in self._kinds:
            self._kinds[name] = None  # a name may be bound to itself
            kinds: list[Kind | None] = [self._kind_of_import(name)]
            kinds += map(self._kind_of_binding, self._bindings.get(name, ()))
            known = next((kind for kind in kinds if kind is not None), None)
            self._kinds[name] = known or self._asked(name)
        return self._kinds[name]

    def _kind_of_binding(self, statement: ast.stmt) -> Kind | None:
        match statement:
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                return self._kind(value)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                kinds = map(self._kind, statement.decorator_list)
                return "station" if "decorator" in kinds else None
        return None

    def _kind_of_import(self, whole: str) -> Kind | None:
        name, _, rest = whole.partition(".")
        for module, attribute in self._imports.get(name, ()):
            kind = _kind_of_path(".".join(filter(None, (module, attribute, rest))))
            if kind is not None:
                return kind
        return None

    def _asked(self, name: str) -> Kind | None:
        if name not in self.asked:
            self.asked[name] = self._bound(name)
        return self.asked[name]


def _is_fixture(decorator: ast.expr) -> bool:
    """Return whether *decorator*, which only declares, is called as fixtures are."""
    name = dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)
    return name is not None and name.rpartition(".")[2] in FIXTURES


def _names_bound(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.Assign(targets=targets):
            yield from (each.id for each in targets if isinstance(each, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name


def _kind_of_path(path: str) -> Kind | None:
    """Return the kind of what is imported from *path*, where that is known without looking."""
    package, _, name = path.partition(".")
    if package == "pytest_choochoo":
        return "decorator" if name in ("station", "engine.station.station") else None
    if package in ("pytest", "pytest_asyncio"):
        return "mark" if name in FIXTURES or f"{name}.".startswith("mark.") else None
    return None


def dotted(node: ast.expr) -> str | None:
    """Return the dotted name that *node* consists of, None where it is anything else."""
    words: list[str] = []
    while isinstance(node, ast.Attribute):
        words.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(words)]) if isinstance(node, ast.Name) else None
