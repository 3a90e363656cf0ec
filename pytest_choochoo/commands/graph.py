"""`--cc-graph`: the route, as a tree for people, or in the forms of other tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping

import pytest

from pytest_choochoo.commands import reading
from pytest_choochoo.engine.journey import Journey
from pytest_choochoo.engine.route import Route, StationInstance
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.reporting.tables import write
from pytest_choochoo.selection import Selection


class Command(reading.Command):
    """Shows the route of the selected stations instead of running items."""

    def perform(
        self, session: pytest.Session, journey: Journey, selection: Selection
    ) -> bool | None:
        draw = _FORMS[self.workflow.settings.form]
        lines = draw(self.workflow.route, self.chosen)
        if not self.workflow.settings.is_for_tools:
            write(session.config, [[]])
        write(session.config, ([(line, {})] for line in lines))
        return True


def tree(route: Route, keys: Collection[str]) -> Iterator[str]:
    """Yield the lines of a tree of *keys*: each stands below the first station that it needs.

    Below the others it is named once more, with an arrow to where it stands.
    """
    below: dict[str, list[str]] = {key: [] for key in keys}
    for key in keys:
        for needed in route.upstream[key]:
            if needed in below:
                below[needed].append(key)
    drawn: set[str] = set()
    roots = [key for key in keys if not any(each in below for each in route.upstream[key])]
    # Each entry: the station, what stands before its line, and before the lines below it.
    pending = [(key, "", "") for key in reversed(roots)]
    while pending:
        key, head, indent = pending.pop()
        is_again = key in drawn
        title = "" if is_again else _title(route[key])
        yield f"{head}{shown(route[key].name)}{' ↑' if is_again else ''}{title}"
        if not is_again:
            drawn.add(key)
            entries = [(each, f"{indent}├─ ", f"{indent}│  ") for each in below[key]]
            if entries:
                entries[-1] = (entries[-1][0], f"{indent}└─ ", f"{indent}   ")
            pending += reversed(entries)


def mermaid(route: Route, keys: Collection[str]) -> Iterator[str]:
    """Yield the lines of a Mermaid flowchart of *keys*."""
    numbers = {key: f"s{number}" for number, key in enumerate(keys)}
    yield "flowchart TD"
    for key, name in numbers.items():
        text = shown(route[key].name).replace("#", "#35;").replace('"', "#quot;")
        yield f'    {name}["{text}"]'
    for upstream, key in _edges(route, numbers):
        yield f"    {numbers[upstream]} --> {numbers[key]}"


def dot(route: Route, keys: Collection[str]) -> Iterator[str]:
    """Yield the lines of a graph of *keys* in the language of Graphviz."""
    yield "digraph route {"
    yield "    node [shape=box];"
    for key in keys:
        yield f"    {_quoted(key)} [label={_quoted(route[key].name)}];"
    for upstream, key in _edges(route, keys):
        yield f"    {_quoted(upstream)} -> {_quoted(key)};"
    yield "}"


def as_json(route: Route, keys: Collection[str]) -> Iterator[str]:
    """Yield the route of *keys* as JSON: stations in running order, and what each needs."""
    stations = [
        {
            "name": route[key].name,
            "node_id": key,
            "title": route[key].station.title,
            "upstream": list(route.upstream[key]),
        }
        for key in keys
    ]
    yield from json.dumps({"stations": stations}, indent=2).splitlines()


def _edges(route: Route, keys: Collection[str]) -> Iterator[tuple[str, str]]:
    known = frozenset(keys)
    return ((each, key) for key in keys for each in route.upstream[key] if each in known)


def _title(stop: StationInstance) -> str:
    title = stop.station.title
    return "" if title == stop.station.name else f"  {shown(title)}"


def _quoted(text: str) -> str:
    escaped = shown(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_FORMS: Mapping[str, Callable[[Route, Collection[str]], Iterator[str]]] = {
    "tree": tree,
    "mermaid": mermaid,
    "dot": dot,
    "json": as_json,
}
