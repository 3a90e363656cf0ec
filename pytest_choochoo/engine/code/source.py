"""Reads one source file: its definitions with what each loads, and its imports."""

from __future__ import annotations

import ast
import dis
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import CodeType, MappingProxyType

from pytest_choochoo.engine.code.declarations import Declarations, dotted
from pytest_choochoo.engine.code.definitions import Definition, Source, Target, joined
from pytest_choochoo.engine.code.namespaces import Binding
from pytest_choochoo.engine.code.tables import (
    call_name,
    called,
    filled_by_functions,
    mutated,
    touched,
)
from pytest_choochoo.engine.code.trees import children, nodes_in, outside_functions
from pytest_choochoo.engine.digest import digest_bytes
from pytest_choochoo.engine.graph import reachable
from pytest_choochoo.engine.text import stable_repr


def _opcodes(*names: str) -> frozenset[int]:
    return frozenset(dis.opmap[name] for name in names if name in dis.opmap)


_LOAD_GLOBAL = dis.opmap["LOAD_GLOBAL"]
_LOADS = _opcodes("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
_STORES = _opcodes("STORE_NAME", "DELETE_NAME")
_GLOBAL_STORES = _opcodes("STORE_GLOBAL", "DELETE_GLOBAL")
_BY_NAME = _LOADS | _STORES | _GLOBAL_STORES


def _no_binding(name: str) -> None:
    return None


_NO_NAMES: Mapping[str, str] = MappingProxyType({})


def read(
    tree: ast.Module, bound: Binding = _no_binding, former: Mapping[str, str] = _NO_NAMES
) -> Source:
    """Return the source in *tree*, comments, docstrings and formatting left out.

    *bound* returns the kind of what a name of the file is bound to, where it is known. *former*:
    the former names of stations by their names; the digests are those of the source with these.
    """
    imports, stars = _imported(outside_functions(tree))
    declaring = Declarations(tree, imports, bound)
    statements = _Statements(imports, declaring, filled_by_functions(tree), former)
    for statement in tree.body:
        if not isinstance(statement, ast.Import | ast.ImportFrom):
            statements.add(statement)
    return Source(
        definitions=statements.definitions(),
        imports=imports,
        stars=stars,
        bindings=declaring.asked,
        fills={name: tuple(sorted(each)) for name, each in statements.fills.items() if each},
        calls={name: tuple(callers) for name, callers in statements.calls.items()},
    )


class _Statements:
    """The statements of one file, by the names that each of them defines or alters.

    *fills*: the tables that a call of a function fills, by the function's name.
    """

    def __init__(
        self,
        imports: dict[str, tuple[Target, ...]],
        declaring: Declarations,
        fills: dict[str, frozenset[str]],
        former: Mapping[str, str],
    ) -> None:
        self.fills = fills
        self._former = former
        self.calls: dict[str, dict[str, None]] = {}
        self._imports = imports
        self._declaring = declaring
        self._parts: dict[str, list[Definition]] = {}
        self._touched: list[tuple[set[str], Definition]] = []
        self._filled: list[tuple[frozenset[str], Definition]] = []
        self._callables: set[str] = set()
        self._setters: set[str] = set()

    def add(self, statement: ast.stmt) -> None:
        at_once = list(outside_functions(statement))
        calls = called(statement, at_once, self._declaring)
        touches = touched(at_once, self._declaring) | (calls & self._setters)
        filled = frozenset[str]().union(*(self.fills.get(each, ()) for each in calls))
        foreign = {name for name in calls if _first(name) in self._imports}
        is_requester = self._declaring.is_requester(statement)
        chains, inner, quoted = _stripped(statement, self._declaring)
        loads, binds, sets = _names(statement)
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._callables |= set() if sets else binds
            self._setters |= binds if sets else set()
        if sets:  # readers of a global that a function sets depend on how it is called too
            loads, chains = loads | binds, chains | binds
        names = binds | sets | mutated(statement, at_once)
        if names or touches or filled or foreign:
            targets = _targets(loads, self._imports, self._former)
            if self._former:
                _rename(statement, self._former)
            digest = _digest_of(statement, targets, is_requester)
            loaded = {*quoted, *(each for each in chains if _first(each) in loads)}
            inside = tuple(sorted(_imported_inside(inner, chains)))
            definition = Definition(digest, tuple(sorted(loaded)), inside)
            # A statement that only calls something goes by the name of that.
            for name in sorted(names or set(map(call_name, foreign))):
                self._parts.setdefault(name, []).append(definition)
                for each in foreign:
                    self.calls.setdefault(each, {})[name] = None
            self._touched.append((touches - names, definition))
            self._filled.append((filled - names, definition))

    def definitions(self) -> dict[str, Definition]:
        # A call may change a table that it is given, but neither a function nor a class.
        tables = self._parts.keys() - self._callables
        for touches, definition in self._touched:
            for name in sorted(touches & tables):
                self._parts[name].append(definition)
        for filled, definition in self._filled:
            for name in sorted(filled - self._callables):
                if definition not in self._parts.setdefault(name, []):
                    self._parts[name].append(definition)
        return {name: _joined(pieces) for name, pieces in self._parts.items()}


def _joined(pieces: list[Definition]) -> Definition:
    if len(pieces) == 1:
        return pieces[0]
    pairs = [piece.digest.split() for piece in pieces]
    whole, bare = (_digest("+".join(pair[at] for pair in pairs)) for at in (0, -1))
    return Definition(
        digest=_either(whole, bare),
        loads=tuple(dict.fromkeys(load for piece in pieces for load in piece.loads)),
        imports=tuple(dict.fromkeys(target for piece in pieces for target in piece.imports)),
    )


def _either(whole: str, bare: str) -> str:
    return whole if whole == bare else f"{whole} {bare}"


def _digest(text: str) -> str:
    return digest_bytes(text.encode(errors="surrogatepass"), size=8)


# --- imports of a file


def _imported(nodes: Iterable[ast.AST]) -> tuple[dict[str, tuple[Target, ...]], tuple[str, ...]]:
    """Return the targets of each imported name, and the modules imported with a star."""
    targets: dict[str, dict[Target, None]] = {}
    stars: dict[str, None] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                target = (alias.name if alias.asname else top, "")
                targets.setdefault(alias.asname or top, {})[target] = None
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                if alias.name == "*":
                    stars[module] = None
                else:
                    name = alias.asname or alias.name
                    targets.setdefault(name, {})[module, alias.name] = None
    return {name: tuple(found) for name, found in targets.items()}, tuple(stars)


# --- names that a statement defines or changes


def _names(statement: ast.stmt) -> tuple[set[str], set[str], set[str]]:
    """Return the global names that *statement* loads, binds, and sets inside a function.

    They are read from compiled code, as the compiler knows the scopes best.
    """
    module = ast.Module(body=[statement], type_ignores=[])
    top = compile(module, "<statement>", "exec", dont_inherit=True)
    loads, binds, sets = set[str](), set[str](), set[str]()
    for code in reachable([top], _code_inside):
        for opcode, name in _instructions_by_name(code) if code.co_names else ():
            if opcode in _LOADS:
                loads.add(name)
            elif opcode in _GLOBAL_STORES:
                sets.add(name)
            elif code is top:
                binds.add(name)
    return loads, binds, sets


def _instructions_by_name(code: CodeType) -> Iterator[tuple[int, str]]:
    """Yield the instructions of *code* that load or store a name, as `dis` documents them."""
    higher = 0  # `dis.get_instructions` takes four times as long, most of it for lines and labels
    for opcode, lowest in zip(code.co_code[::2], code.co_code[1::2]):
        argument = higher | lowest
        higher = argument << 8 if opcode == dis.EXTENDED_ARG else 0
        if opcode in _BY_NAME:
            yield opcode, code.co_names[argument >> 1 if opcode == _LOAD_GLOBAL else argument]


def _code_inside(code: CodeType) -> list[CodeType]:
    return [const for const in code.co_consts if isinstance(const, CodeType)]


# --- parameters that only make an order

_LOOKING = frozenset({"locals", "vars", "eval", "exec", "dir", "currentframe", "_getframe"})


def remove_unused(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Remove the parameters of *function* that its body does not use; return if there are any."""
    arguments = function.args  # those by position only cannot be requested
    if not arguments.args and not arguments.kwonlyargs:
        return False
    used: set[str] = set()
    for node in (each for statement in function.body for each in nodes_in(statement)):
        if isinstance(node, ast.Name):
            used.add(node.id)
        elif isinstance(node, ast.Attribute):
            used |= {node.attr} & _LOOKING
    if not used.isdisjoint(_LOOKING):  # it may look at all of its parameters
        return False
    required = len(arguments.args) - min(len(arguments.defaults), len(arguments.args))
    kept_by_name = [each for each in arguments.args[:required] if each.arg in used]
    before = len(arguments.args) + len(arguments.kwonlyargs)
    arguments.args = [*kept_by_name, *arguments.args[required:]]
    kept = [
        (argument, default)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults)
        if default is not None or argument.arg in used
    ]
    arguments.kwonlyargs = [argument for argument, _ in kept]
    arguments.kw_defaults = [default for _, default in kept]
    return len(arguments.args) + len(arguments.kwonlyargs) < before


# --- the words of a statement, and the names that it loads


def _stripped(
    statement: ast.stmt, declaring: Declarations
) -> tuple[set[str], list[ast.AST], set[str]]:
    """Remove decorators that only declare from *statement*.

    Returns its names, its inner imports, and the names in quoted annotations, like "Cup".
    A name comes with the attributes that are read of it: `a.b.c`, and not `a.b`.
    """
    chains: set[str] = set()
    imports: list[ast.AST] = []
    annotations: list[ast.expr | None] = []
    pending: list[tuple[ast.AST, bool]] = [(statement, False)]
    while pending:
        node, is_inside = pending.pop()
        if isinstance(node, ast.Name | ast.Attribute):
            name = dotted(node)
            if name is not None:
                chains.add(name)
                continue
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.decorator_list = [
                each for each in node.decorator_list if not declaring.declares(each)
            ]
            if not isinstance(node, ast.ClassDef):
                is_inside = True
                annotations.append(node.returns)
        elif isinstance(node, ast.arg | ast.AnnAssign):
            annotations.append(node.annotation)
        elif is_inside and isinstance(node, ast.Import | ast.ImportFrom):
            imports.append(node)
        pending += [(child, is_inside) for child in children(node)]
    return chains, imports, set[str]().union(*map(_quoted_in, filter(None, annotations)))


def _quoted_in(annotation: ast.AST) -> set[str]:
    match annotation:
        case ast.Name():
            return set()
        case ast.Constant(value=str(text)):
            with suppress(SyntaxError, ValueError):
                inside = ast.parse(text.strip(), mode="eval")
                return _chains(inside) | _quoted_in(inside.body)
            return set()
        case ast.Subscript(value=generic) if (dotted(generic) or "").endswith("Literal"):
            return set()
        case ast.Subscript(value=generic, slice=ast.Tuple(elts=[first, *_])) if (
            dotted(generic) or ""
        ).endswith("Annotated"):
            return _quoted_in(first)
    return set[str]().union(*map(_quoted_in, ast.iter_child_nodes(annotation)))


def _chains(tree: ast.AST) -> set[str]:
    """Return the names in *tree*, each with the attributes that are read of it."""
    name = dotted(tree) if isinstance(tree, ast.expr) else None
    return {name} if name else set[str]().union(*map(_chains, ast.iter_child_nodes(tree)))


def _targets(
    loads: set[str], imports: dict[str, tuple[Target, ...]], former: Mapping[str, str]
) -> list[str]:
    """Return the targets of the imported names among *loads*, with *former* names."""
    found = []
    for name in loads & imports.keys():
        targets = tuple((module, former.get(each, each)) for module, each in imports[name])
        found.append(f"{former.get(name, name)}={targets!r}")
    return sorted(found)


def _rename(statement: ast.stmt, names: Mapping[str, str]) -> None:
    """Give functions, parameters and variables in *statement* other *names*."""
    for node in nodes_in(statement):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                node.name = names.get(node.name, node.name)
            case ast.arg():
                node.arg = names.get(node.arg, node.arg)
            case ast.Name():
                node.id = names.get(node.id, node.id)


def _digest_of(statement: ast.stmt, targets: list[str], is_requester: bool) -> str:
    """Return the digest of *statement*, or two, as `Definition` says.

    *targets*: those of the imported names that it loads, which are part of what it does.
    """
    whole = bare = _digest("\0".join(_words(statement) + targets))
    if is_requester and isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        if remove_unused(statement):
            bare = _digest("\0".join(_words(statement) + targets))
    return _either(whole, bare)


def _imported_inside(nodes: list[ast.AST], chains: set[str]) -> Iterator[Target]:
    for name, targets in _imported(nodes)[0].items():
        used = [chain.partition(".")[2] for chain in chains if _first(chain) == name]
        for module, attribute in targets:
            for rest in used or [""]:
                yield module, joined(attribute, rest)


def _first(name: str) -> str:
    return name.partition(".")[0]


class _Word(str):
    """A word for the form of a syntax tree, not a string in the source."""

    __slots__ = ()


# Fields that differ between formattings and versions of Python, but not in meaning.
_MEANINGLESS = frozenset({"ctx", "kind", "type_comment"})
_END = _Word(")")
_MAY_BE_IDLE = frozenset({ast.Pass, ast.Expr, ast.Constant})


def _words(statement: ast.stmt) -> list[str]:
    """Return *statement* as words, so that no two syntax trees coincide."""
    words: list[str] = []
    pending: list[object] = [statement]
    while pending:
        value = pending.pop()
        if isinstance(value, _Word):
            words.append(value)
        elif isinstance(value, ast.AST):
            words.append(type(value).__name__)
            pending.append(_END)
            for field in reversed(value._fields):
                inside = None if field in _MEANINGLESS else getattr(value, field, None)
                if isinstance(inside, list):
                    inside = [each for each in inside if not _is_idle(each, value)]
                # Newer versions add fields; an empty one means the same as none.
                if inside is not None and inside != []:
                    pending += (inside, _Word(field))
        elif isinstance(value, list):
            words.append("[")
            pending += (_END, *reversed(value))
        else:
            # Not in decimals: their number is limited.
            shown = f"{value:x}" if type(value) is int else stable_repr(value)
            words.append(f"{type(value).__name__}:{shown}")
    return words


def _is_idle(node: object, parent: ast.AST) -> bool:
    """Return whether *node* does nothing: a docstring, `pass`, an empty piece of an f-string."""
    if type(node) not in _MAY_BE_IDLE:
        return False
    match node:
        case ast.Pass() | ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.Constant(value=""):
            return isinstance(parent, ast.JoinedStr)  # Python 3.12 makes some
        case _:
            return False
