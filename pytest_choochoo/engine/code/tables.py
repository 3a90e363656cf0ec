"""Tables that are filled by calls: registries, and the functions that fill them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from itertools import chain

from pytest_choochoo.engine.code.declarations import Declarations, dotted
from pytest_choochoo.engine.code.trees import Function, nodes_in, outside_functions, root
from pytest_choochoo.engine.graph import reachable

# Methods of collections that alter them, and what registries call theirs.
_ALTERING = frozenset(
    {"add", "append", "appendleft", "clear", "discard", "extend", "extendleft", "insert", "pop"}
    | {"popitem", "popleft", "register", "remove", "reverse", "setdefault", "sort", "update"}
)
# The methods that run when a class is called or inherited from.
_CALLED = frozenset({"__init__", "__new__", "__post_init__", "__call__", "__init_subclass__"})

# --- what a statement does at once, with the nodes of it that are outside functions


def mutated(statement: ast.stmt, nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names whose values *statement* alters: `X.a = 1`, `X["a"] = 1`, `X.append(1)`."""
    names: set[str] = set()
    for node in () if isinstance(statement, ast.ClassDef) else nodes:
        names |= _altered(node)
        match node:
            case ast.Expr(value=ast.Call(func=ast.Attribute() as method)):
                names |= root(method)
            case _:
                pass
    return names


_MAY_ALTER = frozenset({ast.Attribute, ast.Subscript, ast.Call})


def _altered(node: ast.AST) -> set[str]:
    match node:
        case ast.Attribute(ctx=ast.Store() | ast.Del()):
            return root(node)
        case ast.Subscript(ctx=ast.Store() | ast.Del()):
            return root(node)
        case ast.Call(func=ast.Attribute(attr=name) as method) if name in _ALTERING:
            return root(method)
        case _:
            return set()


def statement_names(statement: ast.stmt) -> Iterator[str]:
    """Yield the names under which *statement* may be a definition.

    They are the names that it assigns, those whose values it alters, and "f()" for a call.
    """
    nodes = list(outside_functions(statement))
    yield from mutated(statement, nodes)
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name
            case ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Call(func=function) if (called_name := dotted(function)) is not None:
                yield call_name(called_name)
            case _:
                pass


def call_name(name: str) -> str:
    """Return the name of statements that only call *name*, which is imported."""
    return f"{name}()"


def touched(nodes: Iterable[ast.AST], declaring: Declarations) -> set[str]:
    """Return the names whose values *nodes* may alter: `fill(X)`, `@X.register`."""
    names: set[str] = set()
    for node in nodes:
        match node:
            case ast.Expr(value=ast.Call(func=function, args=arguments, keywords=keywords)):
                given = [function, *arguments, *(keyword.value for keyword in keywords)]
                names |= {each.id for each in given if isinstance(each, ast.Name)}
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                for decorator in _altering_decorators(node, declaring):
                    names |= root(decorator)
            case _:
                pass
    return names


def called(statement: ast.stmt, nodes: Iterable[ast.AST], declaring: Declarations) -> set[str]:
    """Return the dotted names that *statement* calls when its file is imported."""
    return set() if _is_script(statement) else set(_called(nodes, declaring))


def _called(nodes: Iterable[ast.AST], declaring: Declarations) -> Iterator[str]:
    for node in nodes:
        functions: list[ast.expr] = []
        if isinstance(node, ast.Call):
            functions = [node.func]
        elif isinstance(node, Function | ast.ClassDef):
            functions = [*_altering_decorators(node, declaring), *getattr(node, "bases", ())]
        for function in functions:
            name = dotted(function.func if isinstance(function, ast.Call) else function)
            if name is not None:
                yield name


def _altering_decorators(
    node: Function | ast.ClassDef, declaring: Declarations
) -> Iterator[ast.expr]:
    return (each for each in node.decorator_list if not declaring.declares(each))


def _is_script(statement: ast.stmt) -> bool:
    """Return whether *statement* is `if __name__ == "__main__"`, which no import runs."""
    match statement:
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()])):
            return True
        case _:
            return False


# --- what a function does when it is called


def filled_by_functions(tree: ast.Module) -> dict[str, frozenset[str]]:
    """Return the global names whose values functions and classes alter when they are called."""
    functions = [each for each in tree.body if isinstance(each, Function | ast.ClassDef)]
    insides = [[node for each in _bodies(one) for node in nodes_in(each)] for one in functions]
    altered = [
        set[str]().union(*(_altered(node) for node in nodes if type(node) in _MAY_ALTER))
        for nodes in insides
    ]
    shared = _shared_names(tree) if any(altered) else set[str]()
    if shared.isdisjoint(chain.from_iterable(altered)):  # true of most files
        return {}
    own: dict[str, set[str]] = {}
    callees: dict[str, set[str]] = {}
    for function, nodes, names in zip(functions, insides, altered):
        local = _local_names(nodes)
        own.setdefault(function.name, set()).update((names & shared) - local)
        calls = {name for node in nodes for name in _names_called(node)}
        callees.setdefault(function.name, set()).update(calls - local)
    return {name: frozenset().union(*(own[each] for each in _chain(name, callees))) for name in own}


def _chain(name: str, callees: dict[str, set[str]]) -> Iterable[str]:
    return reachable([name], lambda each: callees[each] & callees.keys())


def _shared_names(tree: ast.Module) -> set[str]:
    """Return the names that a file binds to values, or imports."""
    names: set[str] = set()
    for node in outside_functions(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.alias(name=name, asname=other):
                names.add(other or name.partition(".")[0])
            case _:
                pass
    return names


def _bodies(statement: Function | ast.ClassDef) -> list[ast.AST]:
    if not isinstance(statement, ast.ClassDef):
        return [statement]
    return [each for each in statement.body if isinstance(each, Function) and each.name in _CALLED]


def _local_names(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names that *nodes*, all those in a function, bind and do not declare global."""
    bound, shared = set[str](), set[str]()
    for node in nodes:
        match node:
            case ast.arg(arg=name):
                bound.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                bound.add(name)
            case ast.Global(names=names):
                shared.update(names)
            case _:
                pass
    return bound - shared


def _names_called(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            yield name
        case ast.FunctionDef(decorator_list=decorators):
            for each in decorators:
                yield from root(each)
        case _:
            pass
