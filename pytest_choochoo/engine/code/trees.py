"""Walks over the syntax trees of source files."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from pytest_choochoo.engine.graph import reachable

Function = ast.FunctionDef | ast.AsyncFunctionDef


def children(node: ast.AST) -> list[ast.AST]:
    """Return the nodes directly inside *node*, but for whether a name is loaded or stored.

    `ast.iter_child_nodes` takes 1.7 times as long, for every node of a first run.
    """
    found: list[ast.AST] = []
    for field in node._fields:
        inside = getattr(node, field, None)
        if type(inside) is list:
            found += [each for each in inside if isinstance(each, ast.AST)]
        elif isinstance(inside, ast.AST) and field != "ctx":
            found.append(inside)
    return found


def nodes_in(node: ast.AST) -> list[ast.AST]:
    """Return *node* and all nodes in it."""
    found = [node]
    for each in found:
        found += children(each)
    return found


def outside_functions(tree: ast.AST) -> Iterable[ast.AST]:
    """Return *tree* and all nodes in it, except those inside functions."""
    return reachable([tree], _children_outside_functions)


def _children_outside_functions(node: ast.AST) -> Iterable[ast.AST]:
    return () if isinstance(node, Function | ast.Lambda) else children(node)


def root(node: ast.expr) -> set[str]:
    """Return the name that *node* begins with: `{"a"}` for `a.b[1].c()`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return {node.id} if isinstance(node, ast.Name) else set()
