"""Walks over graphs, which are given as the neighbours of each node."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def reachable(
    start: Iterable[Node], neighbours: Callable[[Node], Iterable[Node]]
) -> dict[Node, None]:
    """Return *start* and every node to which *neighbours* lead from there, depth first."""
    found: dict[Node, None] = {}
    pending = [*start]
    while pending:
        node = pending.pop()
        if node not in found:
            found[node] = None
            pending += neighbours(node)
    return found


def followers(needs: Mapping[Node, Iterable[Node]]) -> dict[Node, list[Node]]:
    """Return for each node of *needs* the nodes that need it directly, in the order of *needs*."""
    found: dict[Node, list[Node]] = {node: [] for node in needs}
    for node, needed in needs.items():
        for each in needed:
            found[each].append(node)
    return found
