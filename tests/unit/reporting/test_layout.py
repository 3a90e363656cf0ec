"""The drawing of a route: nothing overlaps, edges go downwards, and it is always the same."""

from __future__ import annotations

import itertools
import random
import time

import pytest

from pytest_choochoo.reporting.page.layout import positions


def _random_route(count: int, seed: int) -> list[list[int]]:
    """Return a route of *count* stations, each of which needs up to three earlier ones."""
    choose = random.Random(seed)
    return [
        choose.sample(range(max(0, number - 40), number), min(number, choose.randint(0, 3)))
        for number in range(count)
    ]


ROUTES: dict[str, list[list[int]]] = {
    "none": [],
    "one": [[]],
    "chain": [[], *([number] for number in range(30))],
    "diamond": [[], [0], [0], [1, 2]],
    "unconnected": [[] for _ in range(100)],
    "fan": [[], *([0] for _ in range(300)), list(range(1, 301))],
    "skipping": [[], *([0, number] for number in range(60))],
    "random": _random_route(200, seed=1),
    "large": _random_route(2000, seed=2),
}
each_route = pytest.mark.parametrize("upstream", ROUTES.values(), ids=ROUTES)


@each_route
def test_no_two_stations_overlap(upstream: list[list[int]]) -> None:
    rows: dict[float, list[float]] = {}
    for column, row in positions(upstream):
        rows.setdefault(row, []).append(column)

    gaps = [b - a for each in map(sorted, rows.values()) for a, b in itertools.pairwise(each)]
    heights = sorted(rows)
    assert min(gaps, default=1) >= 0.98  # they are rounded
    assert min((b - a for a, b in itertools.pairwise(heights)), default=1) >= 0.69
    assert min((column for each in rows.values() for column in each), default=0) == 0


@each_route
def test_edges_go_downwards(upstream: list[list[int]]) -> None:
    places = positions(upstream)

    wrong = [
        (needed, station)
        for station, above in enumerate(upstream)
        for needed in above
        if places[needed][1] >= places[station][1]
    ]
    assert wrong == []


@each_route
def test_equal_routes_have_equal_drawings(upstream: list[list[int]]) -> None:
    assert positions(upstream) == positions([list(each) for each in upstream])


def test_chain_is_a_straight_line() -> None:
    assert {column for column, _ in positions(ROUTES["chain"])} == {0}


def test_station_stands_just_above_the_first_that_needs_it() -> None:
    chain_and_late = [[], [0], [1], [], [2, 3]]

    assert [row for _, row in positions(chain_and_late)] == [0, 1, 2, 2, 3]


def test_wide_layer_is_folded() -> None:
    columns = {column for column, _ in positions(ROUTES["unconnected"])}

    assert len(columns) <= 10 + 9  # a row may be shifted by half a column


def test_stations_that_need_each_other_are_drawn() -> None:
    assert len(positions([[1], [0], [0], [2]])) == 4


def test_two_thousand_stations_take_seconds_at_most() -> None:
    began = time.perf_counter()
    positions(ROUTES["large"])

    assert time.perf_counter() - began < 10
