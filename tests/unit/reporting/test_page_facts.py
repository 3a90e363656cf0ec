"""The facts in a page: each string once, long texts cut, nothing that a browser obeys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_choochoo.reporting import page
from pytest_choochoo.reporting.document import (
    AttemptFacts,
    Document,
    InputFacts,
    RunFacts,
    StationFacts,
    counts_of,
)

HOSTILE = "</script><script>alert(1)</script>&\u2028\u202e\x1b[31m\ud800 \U0001f682 \u05e9\u05dc\u05d5\u05dd"
AT = "2026-01-01T00:00:0{}.000+00:00"


def _document(*stations: StationFacts, **more: Any) -> Document:
    return Document(
        schema=1,
        command="run",
        profile="default",
        started=AT.format(0),
        finished=AT.format(9),
        exit_code=0,
        counts=counts_of(stations),
        stations=stations,
        **more,
    )


def _station(name: str, **more: Any) -> StationFacts:
    known: dict[str, Any] = {"title": name, "upstream": (), "reasons": (), "seconds": 0.0}
    known |= {"node_id": f"stations.py::{name}", "result": "visited"} | more
    known.setdefault("upstream_ids", tuple(f"stations.py::{each}" for each in known["upstream"]))
    return StationFacts(name=name, **known)


def test_string_occurs_once() -> None:
    reason = "upstream outcome of boil changed"
    found = page.facts(_document(*(_station(f"s{n}", reasons=(reason,)) for n in range(50))))

    assert found.count(reason) == 1


def test_all_facts_of_a_station_arrive() -> None:
    boil = _station("boil")
    pour = _station(
        "pour",
        title="Pour",
        upstream=("boil",),
        reasons=("first visit",),
        seconds=1.5,
        began=AT.format(2),
        ended=AT.format(4),
        worker="gw1",
        checks={"hot": "passed"},
        outcome={"cups": 2},
        resources={"cup": 1},
        traceback="line 1\nline 2",
        output="hello",
        inputs=(InputFacts(kind="value", name="size", state="changed", old="1", new="2"),),
        attempts=(
            AttemptFacts(began=AT.format(2), status="complete", seconds=1.5, reasons=(), error=""),
        ),
    )
    past = RunFacts(
        started=AT.format(1), command="run", counts={"visited": 2}, seconds=3.0, exit_code=0
    )

    found = json.loads(page.facts(_document(boil, pour, history=(past,), project="tea")))

    text = found["strings"].__getitem__
    station = found["stations"][1]
    assert (text(station["n"]), text(station["t"]), station["u"]) == ("pour", "Pour", [0])
    assert (station["from"], station["to"], text(station["k"])) == (2, 4, "gw1")
    assert [[text(each) for each in entry] for entry in station["i"]] == [
        ["value", "size", "changed", "1", "2"]
    ]
    assert text(station["tb"]) == "line 1\nline 2"
    assert json.loads(text(station["o"])) == {"cups": 2}
    assert [[text(each) for each in pair] for pair in station["re"]] == [["cup", "1"]]
    assert [[text(each) for each in pair] for pair in station["ch"]] == [["hot", "passed"]]
    assert text(station["a"][0][1]) == "complete"
    assert found["history"] == [[AT.format(1), "run", {"visited": 2}, 3.0, 0]]
    assert (found["project"], found["seconds"], found["exit"]) == ("tea", 9, 0)


def test_edges_join_node_ids_whatever_the_names() -> None:
    stations = [
        _station("boil", node_id="a/stations.py::boil"),
        _station("boil", node_id="b/stations.py::boil"),
        _station(
            "pour",
            node_id="b/stations.py::pour",
            upstream=("boil", "gone"),
            upstream_ids=("a/stations.py::boil", "b/stations.py::gone"),
        ),
    ]

    found = json.loads(page.facts(_document(*stations)))

    assert found["stations"][2]["u"] == [0]


@pytest.mark.parametrize("field", ["name", "title", "cause", "traceback", "output", "outcome"])
def test_hostile_text_is_spelt_out(field: str) -> None:
    facts = {"name": "boil"} | {field: HOSTILE}
    name = facts.pop("name")

    found = page.facts(_document(_station(name, **facts)))

    assert not {"<", ">", "&", "\u2028", "\u202e", "\x1b"} & set(found)
    strings = " ".join(json.loads(found)["strings"])
    assert "</script><script>alert(1)</script>&" in strings
    assert (r"\u001b[31m" if field == "outcome" else r"\x1b[31m") in strings  # as JSON has it
    assert r"\u202e" in strings
    assert "\U0001f682" in strings
    assert "\x1b" not in strings


def test_long_line_is_cut() -> None:
    line = "x" * 1_000_000

    found = page.facts(_document(_station("boil", cause=line, output=f"{line}\nend", title=line)))

    assert len(found) < 100_000
    assert "more characters)" in found
    assert any(each.endswith("\nend") for each in json.loads(found)["strings"])


def test_two_thousand_stations_with_long_outputs_fit_into_three_megabytes() -> None:
    stations = [
        _station(
            f"station_{number}",
            title=f"Station number {number}",
            upstream=(f"station_{number // 2}",) if number else (),
            output=f"{number} <b>\n" * 5_000,
            outcome={"text": f"{number} " * 1_000},
            cause=f"{number} failed " * 200,
        )
        for number in range(2000)
    ]

    html = page.render(_document(*stations))

    assert len(html.encode()) <= 3_000_000


def test_page_without_stations_is_a_page() -> None:
    assert json.loads(page.facts(_document()))["stations"] == []
