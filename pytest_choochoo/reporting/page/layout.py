"""The places of stations in the drawing of a route: layers are ordered, rows are aligned."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: The distance between two rows of one layer, where that is too wide for a single row.
_FOLDED = 0.7
_ORDERING_SWEEPS = 12
_SWEEPS = 6
#: A drawing of so many stations is pulled to its middle, a little more with every row.
_LARGE, _PULL = 60, 0.93

Position = tuple[float, float]


def positions(upstream: Sequence[Sequence[int]]) -> list[Position]:
    """Return the place of each station, in columns from the left and rows from the top.

    *upstream*: the numbers of the stations that each of them needs. No two stations are closer
    than one column or `0.7` rows, and each is below all that it needs, except where stations need
    each other. Equal routes have equal drawings.
    """
    layers = _layers(upstream)
    edges = [
        (needed, station)
        for station, above in enumerate(upstream)
        for needed in dict.fromkeys(above)
        if layers[needed] < layers[station]
    ]
    rows, heights = _folded(_ordered(layers, edges), len(upstream))
    columns = _aligned(rows, edges)
    places: list[Position] = [(0.0, 0.0)] * len(upstream)
    for row, height in zip(rows, heights):
        for station in row:
            places[station] = columns[station], height
    return places


def _layers(upstream: Sequence[Sequence[int]]) -> list[int]:
    """Return the layer of each station: below all that it needs, above all that need it."""
    layers = [0] * len(upstream)
    below: list[list[int]] = [[] for _ in upstream]
    missing = [len(set(above)) for above in upstream]
    for station, above in enumerate(upstream):
        for needed in set(above):
            below[needed].append(station)
    ready = [station for station, count in enumerate(missing) if not count]
    for station in ready:  # it grows meanwhile
        for follower in below[station]:
            layers[follower] = max(layers[follower], layers[station] + 1)
            missing[follower] -= 1
            if not missing[follower]:
                ready.append(follower)
    # As low as what needs them permits, so that edges are short.
    for station in reversed(ready):
        if below[station]:
            lowest = min(layers[follower] for follower in below[station]) - 1
            layers[station] = max(layers[station], lowest)
    return layers


def _ordered(layers: Sequence[int], edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return the stations of each layer from left to right, so that few edges cross.

    Each sweep sorts the layers one by one by the middle of their neighbours in those before.
    """
    found: list[list[int]] = [[] for _ in range(max(layers, default=-1) + 1)]
    for station, layer in enumerate(layers):
        found[layer].append(station)
    above, below = _neighbours(edges)
    columns = {station: column for row in found for station, column in _centred(row)}
    for sweep in range(_ORDERING_SWEEPS):
        near, sequence = (above, found) if sweep % 2 == 0 else (below, found[::-1])
        for row in sequence:
            wanted = {each: _mean([columns[n] for n in near.get(each, [each])]) for each in row}
            row.sort(key=lambda each: (wanted[each], columns[each]))
            columns |= _centred(row)
    return found


def _neighbours(
    edges: Sequence[tuple[int, int]],
) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """Return the neighbours of each station that has some, above it and below it."""
    above: dict[int, list[int]] = {}
    below: dict[int, list[int]] = {}
    for upper, lower in edges:
        above.setdefault(lower, []).append(upper)
        below.setdefault(upper, []).append(lower)
    return above, below


def _centred(row: Sequence[int]) -> list[tuple[int, float]]:
    """Return the stations of *row*, each with its column when they stand side by side."""
    return [(station, index - (len(row) - 1) / 2) for index, station in enumerate(row)]


def _folded(layers: Sequence[list[int]], count: int) -> tuple[list[list[int]], list[float]]:
    """Return the rows, of which a wide layer has several, and the height of each."""
    widest = max(8, math.ceil(math.sqrt(count)))
    rows: list[list[int]] = []
    heights: list[float] = []
    height = 0.0
    for layer in layers:
        parts = math.ceil(len(layer) / widest)
        for part in range(parts):
            rows.append(layer[part::parts])  # neighbours stay close to each other
            heights.append(round(height + part * _FOLDED, 2))
        height += 1 + (parts - 1) * _FOLDED
    return rows, heights


def _aligned(rows: Sequence[Sequence[int]], edges: Sequence[tuple[int, int]]) -> dict[int, float]:
    """Return the column of each station: as close to its neighbours as the order permits."""
    above, below = _neighbours(edges)
    columns = {station: column for row in rows for station, column in _centred(row)}
    # Otherwise a large drawing might slant.
    pull = 1 if len(columns) < _LARGE else _PULL
    for sweep in range(_SWEEPS):
        near, sequence = (above, rows) if sweep % 2 == 0 else (below, rows[::-1])
        for row in sequence:
            wanted = [pull * _mean([columns[each] for each in near.get(s, [s])]) for s in row]
            columns |= zip(row, _apart(wanted))
    left = min(columns.values(), default=0.0)
    return {station: round(column - left, 2) for station, column in columns.items()}


def _apart(wanted: Sequence[float]) -> list[float]:
    """Return places in the same order, one apart at least, as close to those *wanted* as can be."""
    # Less the least distance to the first, they need only not decrease: merge those that do.
    groups: list[tuple[float, int]] = []
    for index, place in enumerate(wanted):
        total, size = place - index, 1
        while groups and groups[-1][0] / groups[-1][1] > total / size:
            more, count = groups.pop()
            total, size = total + more, size + count
        groups.append((total, size))
    places = [total / size for total, size in groups for _ in range(size)]
    return [place + index for index, place in enumerate(places)]


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)
