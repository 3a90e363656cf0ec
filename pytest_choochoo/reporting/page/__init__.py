"""`--cc-report FILE.html`: the facts of a session as one page for browsers."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import msgspec
from msgspec import UNSET

from pytest_choochoo.engine.errors import MissingExtra
from pytest_choochoo.engine.ledger.record import to_text
from pytest_choochoo.engine.shown import shown, shown_indented
from pytest_choochoo.reporting.document import Document, StationFacts, word_of
from pytest_choochoo.reporting.page.layout import positions

_LIBRARIES = ("jinja2",)
#: The numbers of characters that a long text may have, tried until the page is small enough.
_LIMITS = (64_000, 16_000, 4_000, 1_000, 250, 60)
#: The number of bytes that the facts may have: these, or so many for each station.
_ENOUGH, _FOR_EACH = 2_700_000, 1_350
_LINE, _NAME = 2_000, 300


def require_libraries() -> None:
    """Raise `MissingExtra` where the libraries of the extra `report` are not installed."""
    if missing := tuple(each for each in _LIBRARIES if find_spec(each) is None):
        raise MissingExtra("--cc-report", missing, "report")


def render(document: Document) -> str:
    """Return the page about *document*, in HTML that contains all that it needs."""
    import jinja2

    folder = files(__package__)
    css, script = ((folder / f"page.{kind}").read_text("utf-8") for kind in ("css", "js"))
    # Scripts and styles are ours, without a value from outside; everything else is escaped.
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((folder / "page.html.jinja").read_text("utf-8"))
    return template.render(
        title=shown(
            " · ".join(filter(None, (document.project or "", f"choochoo {document.command}")))
        ),
        css=css,
        script=script,
        facts=facts(document),
        css_hash=_hash(css),
        script_hash=_hash(script),
    )


def facts(document: Document) -> str:
    """Return *document* as JSON for a place in HTML, with its long texts cut if it is huge."""
    size = max(_ENOUGH, _FOR_EACH * len(document.stations))
    places = positions(_upstream(document.stations))
    text = ""
    for limit in _LIMITS:
        text = _for_html(to_text(_Facts(limit).of(document, places)))
        if len(text.encode()) <= size:
            break
    return text


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _for_html(text: str) -> str:
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _upstream(stations: Iterable[StationFacts]) -> list[list[int]]:
    """Return the numbers of the stations that each of *stations* needs."""
    stations = tuple(stations)
    numbers = {each.node_id: number for number, each in enumerate(stations)}
    return [[numbers[key] for key in each.upstream_ids if key in numbers] for each in stations]


class _Facts:
    """Turns a document into plain data in which each string occurs once.

    *limit*: the number of characters that a long text may have.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._strings: dict[str, int] = {}

    def of(self, document: Document, places: Iterable[tuple[float, float]]) -> dict[str, Any]:
        began = _seconds(document.started)
        upstream = _upstream(document.stations)
        stations = [
            {**self._station(each, began), "u": above, "x": x, "y": y}
            for each, above, (x, y) in zip(document.stations, upstream, places)
        ]
        history = () if document.history is UNSET else document.history
        return {
            "project": shown(document.project or ""),
            "command": document.command,
            "profile": document.profile,
            "started": document.started,
            "seconds": round(_seconds(document.finished) - began, 3),
            "exit": document.exit_code,
            "counts": document.counts,
            "stations": stations,
            "history": [
                [
                    each.started,
                    shown(each.command),
                    each.counts,
                    round(each.seconds, 1),
                    each.exit_code,
                ]
                for each in history
            ],
            "strings": list(self._strings),
        }

    def _station(self, station: StationFacts, began: float) -> dict[str, Any]:
        """Return what is known of *station*, under short names; numbers stand for strings."""
        known: dict[str, Any] = {
            "n": self._short(station.name),
            "id": self._short(station.node_id),
            "t": None if station.title == station.name else self._short(station.title),
            "w": self._short(word_of(station)),
            "s": round(station.seconds, 3),
            "r": [self._line(each) for each in station.reasons],
            "c": station.cause and self._line(station.cause),
            "b": station.blocked_by and [self._short(each) for each in station.blocked_by],
            "sp": station.spared and round(station.spared, 3),
            "f": [
                [self._line(each) for each in msgspec.structs.astuple(finding)]
                for finding in station.findings or ()
            ],
            "ch": station.checks and self._pairs(station.checks),
            "v": station.visited,
            "k": station.worker and self._short(station.worker),
            "o": station.outcome is not UNSET and self._json(station.outcome),
            "re": station.resources and self._resources(station.resources),
            "tb": station.traceback and self._text(station.traceback),
            "out": station.output and self._text(station.output),
            "i": list(self._inputs(station)),
            "a": list(self._attempts(station)),
        }
        if isinstance(station.began, str) and isinstance(station.ended, str):
            spans = (station.began, station.ended)
            known["from"], known["to"] = (round(_seconds(each) - began, 3) for each in spans)
        return {key: value for key, value in known.items() if _says_something(value)}

    def _inputs(self, station: StationFacts) -> Iterator[list[Any]]:
        for each in station.inputs or ():
            entry: list[Any] = [self._short(each.kind), self._short(each.name)]
            entry += [
                None if text is UNSET else self._line(text)
                for text in (each.state, each.old, each.new)
            ]
            while entry[-1] is None:
                entry.pop()
            yield entry

    def _attempts(self, station: StationFacts) -> Iterator[list[Any]]:
        for each in station.attempts or ():
            seconds = None if each.seconds is None else round(each.seconds, 2)
            reasons = [self._line(reason) for reason in each.reasons]
            status, error = self._short(each.status), self._line(each.error)
            yield [self._short(each.began), status, seconds, reasons, error]

    def _pairs(self, texts: Mapping[str, str]) -> list[list[int]]:
        return [[self._short(name), self._line(text)] for name, text in texts.items()]

    def _resources(self, resources: Mapping[str, object]) -> list[list[int]]:
        return [[self._short(name), self._json(value)] for name, value in resources.items()]

    def _json(self, plain: object) -> int:
        return self._text(msgspec.json.format(to_text(plain), indent=2))

    def _text(self, text: str) -> int:
        """Return the number of *text*, of several lines, of which the end matters most."""
        left = len(text) - self._limit
        if left > 0:
            text = f"({left:,} characters before)\n{text[left:]}"
        lines = (_cut(shown_indented(line, has_colours=False), _LINE) for line in text.split("\n"))
        return self._number("\n".join(lines))

    def _line(self, text: str) -> int:
        return self._number(_cut(shown(text[: 2 * _LINE]), min(_LINE, self._limit)))

    def _short(self, text: str) -> int:
        return self._number(_cut(shown(text[: 2 * _NAME]), _NAME))

    def _number(self, text: str) -> int:
        return self._strings.setdefault(text, len(self._strings))


def _cut(text: str, limit: int) -> str:
    left = len(text) - limit
    return text if left <= 0 else f"{text[:limit]}… ({left:,} more characters)"


def _says_something(value: object) -> bool:
    # The number of a string may be 0.
    return value is not None and value is not False and value is not UNSET and value not in ([], "")


def _seconds(date: str) -> float:
    return datetime.fromisoformat(date).timestamp()
