"""All stations of a session: their order, their cycles, and selectors."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pytest_choochoo import station
from pytest_choochoo.engine.errors import UnknownSelector
from pytest_choochoo.engine.route import Route, StationInstance, arranged


def _route(upstream: Mapping[str, Iterable[str]]) -> Route:
    """Return the route of stations in `stations.py`; a name like `boil[green]` is an instance."""
    stops = {}
    for name in upstream:
        plain, _, parameter = name.partition("[")

        def function() -> None: ...

        function.__name__ = plain
        stops[_key(name)] = StationInstance(
            key=_key(name),
            name=name,
            station=station(function),
            parameter_id=parameter.removesuffix("]"),
        )
    return Route(stops, {_key(name): tuple(map(_key, needed)) for name, needed in upstream.items()})


def _key(name: str) -> str:
    return f"stations.py::{name}"


def _names(keys: Iterable[str]) -> list[str]:
    return [key.partition("::")[2] for key in keys]


BREAKFAST = _route(
    {
        "shop": [],
        "fill": [],
        "boil[green]": ["fill"],
        "boil[black]": ["fill"],
        "grind": ["shop"],
        "pour": ["boil[green]", "boil[black]", "grind"],
        "wash": [],
    }
)


def _select(
    expression: str, failed: Iterable[str] = (), also: Iterable[str] = (), route: Route = BREAKFAST
) -> list[str]:
    return _names(route.select("--cc-replay", expression, failed=failed, also=also))


# --- order


def test_order_is_that_of_definition() -> None:
    """Stations run in definition order, except for those that have to wait."""
    route = _route({"pour": ["boil"], "grind": [], "boil": [], "wash": []})

    assert _names(route.order) == ["grind", "boil", "pour", "wash"]


names = st.sampled_from("abcdefgh")


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Draw stations in any definition order that wait only for earlier ones of another order."""
    ranked = draw(st.lists(names, unique=True))
    upstream = {
        name: draw(st.lists(st.sampled_from(ranked[:rank]), unique=True)) if rank else []
        for rank, name in enumerate(ranked)
    }
    return {name: upstream[name] for name in draw(st.permutations(ranked))}


@given(graphs())
def test_order_is_complete_and_puts_upstream_first(upstream: dict[str, list[str]]) -> None:
    """Every station is there once, after all stations that it waits for."""
    order = _names(_route(upstream).order)

    assert sorted(order) == sorted(upstream)
    places = {name: place for place, name in enumerate(order)}
    assert all(places[each] < places[name] for name in order for each in upstream[name])


@given(graphs())
def test_order_is_stable(upstream: dict[str, list[str]]) -> None:
    """A station overtakes one defined earlier only if the latter has to wait."""
    order = _names(_route(upstream).order)

    defined = list(upstream)
    started: set[str] = set()
    for name in order:
        ready = [each for each in defined if each not in started and started >= {*upstream[each]}]
        assert name == ready[0]
        started.add(name)


@given(graphs(), st.data())
def test_order_follows_positions(upstream: dict[str, list[str]], data: st.DataObject) -> None:
    """Positions, where they are given, replace the definition order."""
    wanted = data.draw(st.permutations(list(upstream)))

    order = arranged(tuple(upstream), upstream, wanted.index)

    assert order == arranged(tuple(wanted), upstream)


def test_unknown_upstream_is_ignored() -> None:
    """A station does not wait for one that is not among the keys."""
    assert arranged(("a", "b"), {"a": ("b", "nowhere"), "b": ("nowhere",)}) == ("b", "a")


def test_long_chain_is_put_in_order() -> None:
    """A chain of 5,000 stations is put in order and selected along."""
    chain = [f"s{number}" for number in range(5000)]
    route = _route(
        {name: chain[place - 1 : place] for place, name in reversed([*enumerate(chain)])}
    )
    began = time.process_time()

    order = _names(route.order)

    assert order == chain
    assert route.cycles() == ()
    assert len(_select("+s4999", route=route)) == len(_select("s0+", route=route)) == 5000
    assert time.process_time() - began < 2


# --- cycles


@pytest.mark.parametrize(
    ("upstream", "cycles"),
    [
        pytest.param({"a": [], "b": ["a"]}, [], id="none"),
        pytest.param({"a": ["a"]}, [["a"]], id="itself"),
        pytest.param({"a": ["b"], "b": ["c"], "c": ["a"]}, [["a", "b", "c"]], id="three"),
        pytest.param({"a": ["c"], "b": ["a"], "c": ["b"]}, [["a", "c", "b"]], id="the other way"),
        pytest.param(
            {"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"], "e": ["e"]},
            [["a", "b"], ["c", "d"], ["e"]],
            id="apart",
        ),
        pytest.param(
            {"a": ["b"], "b": ["a"], "c": ["a", "d"], "d": ["c"]},
            [["a", "b"], ["c", "d"]],
            id="one after another",
        ),
        pytest.param(
            {"a": ["b"], "b": ["a", "x"], "x": ["y"], "y": ["z"], "z": ["y"]},
            [["a", "b"], ["y", "z"]],
            id="with one between",
        ),
        pytest.param(
            {"before": [], "a": ["before", "b"], "b": ["a"], "after": ["b"], "last": ["after"]},
            [["a", "b"]],
            id="with neighbours",
        ),
        pytest.param(
            {"a": ["b", "c"], "b": ["a"], "c": ["b"]}, [["a", "b"]], id="the shortest of two"
        ),
        pytest.param({"a": ["b", "a"], "b": ["a"]}, [["a"]], id="itself and another"),
    ],
)
def test_cycles_are_named_in_the_order_of_waiting(
    upstream: dict[str, list[str]], cycles: list[list[str]]
) -> None:
    """Each group of stations that wait for each other is named once, all of them at once."""
    found = _route(upstream).cycles()

    assert [list(cycle.names) for cycle in found] == cycles


@given(st.dictionaries(names, st.lists(names, unique=True, max_size=3)))
def test_cycles_are_real(needed: dict[str, list[str]]) -> None:
    """There are cycles if and only if some stations cannot be put in order, and each is closed."""
    upstream = {name: [each for each in needed[name] if each in needed] for name in needed}
    route = _route(upstream)

    cycles = [cycle.names for cycle in route.cycles()]

    assert bool(cycles) is (len(route.order) < len(upstream))
    for cycle in cycles:
        assert all(after in upstream[name] for name, after in zip(cycle, (*cycle[1:], cycle[0])))
    assert len({name for cycle in cycles for name in cycle}) == sum(map(len, cycles))


def test_long_cycle_is_named() -> None:
    """A cycle of 2,000 stations is named in full."""
    circle = [f"s{number}" for number in range(2000)]

    found = _route({name: [circle[place - 1]] for place, name in enumerate(circle)}).cycles()

    assert [list(cycle.names) for cycle in found] == [["s0", *reversed(circle[1:])]]


# --- selection


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("pour", ["pour"]),
        ("boil[green]", ["boil[green]"]),
        ("boil", ["boil[green]", "boil[black]"]),
        ("stations.py::pour", ["pour"]),
        ("boil*", ["boil[green]", "boil[black]"]),
        ("boil[*]", ["boil[green]", "boil[black]"]),
        ("boil[b*]", ["boil[black]"]),
        ("[fg]*", ["fill", "grind"]),
        ("stations.py::[sw]*", ["shop", "wash"]),
        ("*", ["shop", "fill", "boil[green]", "boil[black]", "grind", "pour", "wash"]),
        ("all", ["shop", "fill", "boil[green]", "boil[black]", "grind", "pour", "wash"]),
        ("+grind", ["shop", "grind"]),
        ("grind+", ["grind", "pour"]),
        ("+grind+", ["shop", "grind", "pour"]),
        ("+boil", ["fill", "boil[green]", "boil[black]"]),
        ("boil[green]+", ["boil[green]", "pour"]),
        ("last:2", ["pour", "wash"]),
        ("last:0", []),
        ("last:99", ["shop", "fill", "boil[green]", "boil[black]", "grind", "pour", "wash"]),
        ("wash,shop", ["shop", "wash"]),
        (" wash , shop ,", ["shop", "wash"]),
        ("shop,grind,shop,+grind", ["shop", "grind"]),
        ("failed", []),
        ("", []),
    ],
)
def test_selector_stands_for_stations(expression: str, selected: list[str]) -> None:
    """A selector gives stations, each once, in running order."""
    assert _select(expression) == selected


def test_failed_stands_for_failed_stations() -> None:
    """The caller gives the failed stations, which are returned in running order."""
    assert _select("failed,shop", failed=[_key("pour"), _key("fill")]) == ["shop", "fill", "pour"]


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        pytest.param("boil[a,b]", ["boil[a,b]"], id="comma in an id"),
        pytest.param("boil[a,b],pour", ["boil[a,b]", "pour"], id="comma in an id, and after"),
        pytest.param("boil[x::y]", ["boil[x::y]"], id="colons in an id"),
        pytest.param("boil[x*", ["boil[x::y]"], id="glob over colons"),
        pytest.param("boil[*+]", ["boil[*+]"], id="stars in an id"),
        pytest.param("boil[[1]]", ["boil[[1]]"], id="brackets in an id"),
    ],
)
def test_odd_parameter_id_can_be_selected(expression: str, selected: list[str]) -> None:
    """An instance is selected by the name that is shown, whatever its id contains."""
    odd = _route(
        {
            name: []
            for name in ("boil[a,b]", "boil[x::y]", "boil[*+]", "boil[[1]]", "pour", "boil[*]")
        }
    )

    assert _select(expression, route=odd) == selected


@pytest.mark.parametrize("expression", ["gone", "g*ne", "stations.py::gone", "+gone+"])
def test_former_station_may_be_named(expression: str) -> None:
    """Recorded stations that no longer exist can be selected if the caller gives them."""
    assert _select(expression, also=[_key("gone")]) == ["gone"]


def test_all_has_former_stations() -> None:
    """`all` includes stations that no longer exist, which come last."""
    assert _select("all", also=[_key("gone")])[-2:] == ["wash", "gone"]


@pytest.mark.parametrize(
    "selector",
    ["brew", "brew*", "boil[red]", "+", "++", "+brew", "last:", "last:x", "last:-1", "gone"],
)
def test_unknown_selector_is_an_error(selector: str) -> None:
    """A selector that matches nothing is an error that names the option and the stations."""
    with pytest.raises(UnknownSelector) as caught:
        _select(f"shop,{selector}")

    known = ("shop", "fill", "boil", "boil[green]", "boil[black]", "grind", "pour", "wash")
    assert caught.value.args == ("--cc-replay", (selector,), known)


def test_all_unknown_selectors_are_reported_at_once() -> None:
    """Each unknown selector gets its own way out; for a node id, these are node ids."""
    with pytest.raises(UnknownSelector) as caught:
        _select("biol,shop,stations.py::GRIND_,zzz")

    first, second, third = str(caught.value).split(" and ")
    assert first == "--cc-replay: no station is called 'biol'; did you mean 'boil' or 'fill'?"
    assert second == (
        "no station is called 'stations.py::GRIND_'; did you mean 'stations.py::grind' "
        "or 'stations.py::pour' or 'stations.py::fill'?"
    )
    assert third.startswith("no station is called 'zzz'; choose from shop, fill, boil, boil[green]")


def test_route_is_read_by_key() -> None:
    """A route has stations by key, and their names."""
    assert _key("pour") in BREAKFAST
    assert "pour" not in BREAKFAST
    assert BREAKFAST[_key("pour")].name == "pour"
    assert BREAKFAST.names([_key("pour"), _key("fill")]) == ("pour", "fill")
    assert BREAKFAST.downstream()[_key("fill")] == [_key("boil[green]"), _key("boil[black]")]


# --- parameters in paths


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        pytest.param("{samlpe}.bam", "it has no parameter 'samlpe'", id="unknown"),
        pytest.param("{}.bam", "ValueError: Format string contains positional fields", id="empty"),
        pytest.param("{sample", "ValueError: expected '}' before end of string", id="open"),
        pytest.param(
            "{sample.nme}", "AttributeError: 'str' object has no attribute 'nme'", id="attribute"
        ),
    ],
)
@pytest.mark.parametrize("keyword", ["files", "products"])
def test_placeholder_that_cannot_be_filled_in_is_a_fault(
    keyword: str, path: str, cause: str
) -> None:
    """A path whose placeholders are not parameters is told with station, keyword and cause."""

    def align() -> None: ...

    paths: dict[str, Any] = {keyword: ["{sample}.txt", "{{brace}}", path]}
    declared = station(**paths)(align)
    instance = StationInstance(
        key="align", name="align[a]", station=declared, parameters={"sample": "a"}
    )

    [fault] = instance.faults()

    assert fault.args == ("align", declared.location, keyword, path, cause)


# --- stations that renew


def test_renewing_stations_are_known_at_any_depth() -> None:
    """All that is downstream of a station that renews knows it, itself excluded."""
    route = _route({"make": [], "load": ["make"], "use": ["load"], "apart": []})
    assert route.renewing == {}
    make = route[_key("make")].station
    make.declaration = replace(make.declaration, renews=True)

    route = Route(route.stops, route.upstream)

    assert {key: _names(found) for key, found in route.renewing.items()} == {
        _key("load"): ["make"],
        _key("use"): ["make"],
    }


# --- instances in order


def test_earlier_instance_comes_first_and_is_no_input() -> None:
    """An instance that waits for an earlier one of its station has only the others as inputs."""
    route = _route({"fill": [], "boil[1]": ["fill"], "boil[2]": ["fill", "boil[1]"]})
    boil = route["stations.py::boil[1]"].station
    stops = {key: replace(stop, station=boil) for key, stop in route.stops.items() if "boil" in key}

    route = Route({**route.stops, **stops}, route.upstream)

    assert _names(route.inputs(_key("boil[2]"))) == ["fill"]
    assert _names(route.order) == ["fill", "boil[1]", "boil[2]"]
