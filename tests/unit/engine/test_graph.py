"""Walks over graphs: reachable nodes, and followers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_choochoo.engine.graph import followers, reachable

NODES = range(6)
neighbours = st.lists(st.sampled_from(NODES))
graphs = st.tuples(*[neighbours] * len(NODES)).map(lambda lists: dict(enumerate(lists)))


def test_walk_goes_deep_first() -> None:
    """Nodes come depth first, the last neighbour of each first."""
    graph = {"a": "bc", "b": "d", "c": "e", "d": "", "e": "d"}

    assert [*reachable("a", graph.__getitem__)] == ["a", "c", "e", "d", "b"]


@given(graphs, st.sets(st.sampled_from(NODES)))
def test_all_reachable_nodes_are_found(graph: dict[int, list[int]], start: set[int]) -> None:
    """A node is found if it is in the start, or a neighbour of a node that is found."""
    found = reachable(start, graph.__getitem__).keys()

    assert found == start | {each for node in found for each in graph[node]}


@given(graphs)
def test_followers_are_the_other_end_of_each_edge(graph: dict[int, list[int]]) -> None:
    """A node follows another as often as it needs it, and in the order of the nodes."""
    assert followers(graph) == {
        node: [each for each in NODES for needed in graph[each] if needed == node] for node in NODES
    }
