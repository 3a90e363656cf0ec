"""Lines of text about results."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pytest_choochoo.engine import wording
from pytest_choochoo.engine.errors import ProtectedStation
from pytest_choochoo.engine.ledger.record import Result, Word

words = st.sampled_from(get_args(Word))


def _result(word: Word, name: str = "boil", **facts: Any) -> Result:
    return Result(key=f"stations.py::{name}", name=name, title=name, word=word, **facts)


@pytest.mark.parametrize(
    ("result", "why"),
    [
        pytest.param(
            _result("visited", reasons=("never visited", "file a changed")),
            "never visited; file a changed",
            id="visited",
        ),
        pytest.param(_result("unchanged"), "", id="unchanged"),
        pytest.param(_result("adopted", reasons=("never visited",)), "never visited", id="adopted"),
        pytest.param(
            _result("failed", reasons=("never visited",), cause="RuntimeError: boom"),
            "RuntimeError: boom",
            id="failed",
        ),
        pytest.param(_result("skipped", cause="no water"), "no water", id="skipped"),
        pytest.param(
            _result("blocked", by=("grind", "fill")), "blocked by grind, fill", id="blocked"
        ),
    ],
)
def test_reason_is_one_line(result: Result, why: str) -> None:
    """A result is explained by its reasons, its error, or the stations that block it."""
    assert wording.why(result) == why


def test_closing_line_leaves_zeros_out() -> None:
    """The closing line counts in one order, whatever the order of the results."""
    results = [
        _result("not reached"),
        _result("unchanged", spared=6720.0),
        _result("visited"),
        _result("unchanged"),
        _result("failed"),
    ]

    assert wording.closing_line(results, 2.1) == (
        "choochoo: 1 visited, 2 unchanged, 1 failed, 1 not reached in 2.1 s, 1 h 52 min spared"
    )


def test_closing_line_of_nothing() -> None:
    """The closing line of a run without a station says so."""
    assert wording.closing_line([], 0.0) == "choochoo: no station in 0.0 s"


@given(st.lists(words))
def test_closing_counts_add_up(chosen: list[Word]) -> None:
    """The closing line counts each result, whatever its word."""
    line = wording.closing_line([_result(word) for word in chosen], 1.0)

    counts = [int(part) for part in line.replace(",", "").split() if part.isdecimal()]
    assert sum(counts[:-1] if line.endswith("spared") else counts) == len(chosen)


def test_problems_have_their_cause() -> None:
    """Each failed or blocked station has its own line, in columns."""
    results = [
        _result("failed", "boil", cause="RuntimeError: boom"),
        _result("visited", "grind"),
        _result("blocked", "pour_slowly", by=("boil",)),
    ]

    assert wording.problem_lines(results) == [
        "  failed   boil         RuntimeError: boom",
        "  blocked  pour_slowly  by boil",
    ]


def test_left_in_place_is_listed() -> None:
    """Stations that have no clean are named in one line."""
    results = [_result("left in place"), _result("cleaned", "fill"), _result("left in place", "x")]

    assert wording.left_in_place(results) == ["  left in place (no clean defined): boil, x"]


def test_names_that_repeat_are_node_ids() -> None:
    """Two stations of one name are told apart in a list."""
    results = [
        _result("left in place"),
        replace(_result("left in place"), key="tea/stations.py::boil"),
    ]

    assert wording.left_in_place(results) == [
        "  left in place (no clean defined): stations.py::boil, tea/stations.py::boil"
    ]


def test_problems_of_one_name_are_told_apart() -> None:
    """Where stations of several directories have one name, problems are named by node id."""
    results = [
        replace(_result("failed", "boil", cause="OSError: cold"), key="a/stations.py::boil"),
        replace(_result("failed", "boil", cause="OSError: dry"), key="b/stations.py::boil"),
        _result("failed", "pour", cause="OSError: wet"),
    ]

    assert wording.problem_lines(results) == [
        "  failed   a/stations.py::boil  OSError: cold",
        "  failed   b/stations.py::boil  OSError: dry",
        "  failed   pour                 OSError: wet",
    ]
    assert wording.next_command(results, "pytest --cc-run") == (
        "next: fix a/stations.py::boil, b/stations.py::boil, pour, then run pytest --cc-run"
    )


def test_protected_station_is_not_to_be_fixed() -> None:
    """A station that is protected fails a clean, and its cause is the way out."""
    cause = str(ProtectedStation("boil", "boil"))
    protected = _result("failed", "boil", cause=cause)

    command = "pytest --cc-clean"
    assert wording.next_command([protected], command) is None
    assert wording.next_command(
        [protected, _result("failed", "pour", cause="OSError")], command
    ) == (f"next: fix pour, then run {command}")
    assert wording.problem_lines([protected]) == [f"  failed   boil  {cause}"]


def test_stations_that_went_with_others_are_listed() -> None:
    """There is a line for each station that others were cleaned with."""
    results = [
        _result("cleaned"),
        _result("cleaned", "pour", by=("boil",)),
        _result("cleaned", "sip", by=("boil",)),
        _result("cleaned", "eat", by=("bake", "boil")),
    ]

    assert [wording.why(result) for result in results[:2]] == ["", "cleaned with boil"]
    assert wording.cleaned_with(results) == [
        "  cleaned with boil: pour, sip",
        "  cleaned with bake, boil: eat",
    ]


def test_header_of_a_clean_names_what_is_taken_along() -> None:
    """The header says what is cleaned although it was not selected."""
    assert wording.header_of_clean(()) == ()
    assert wording.header_of_clean(("pour",)) == (
        "choochoo: 1 station downstream taken along: pour",
    )


@pytest.mark.parametrize(
    ("results", "command"),
    [
        pytest.param([_result("visited")], None, id="all done"),
        pytest.param([_result("visited"), _result("skipped")], None, id="skipped"),
        pytest.param([_result("not reached")], "next: pytest --cc-run", id="stopped"),
        pytest.param(
            [_result("failed", "boil"), _result("blocked", "pour")],
            "next: fix boil, then run pytest --cc-run",
            id="failed",
        ),
        pytest.param(
            [_result("failed", name) for name in "abcd"],
            "next: fix a, b, c, ..., then run pytest --cc-run",
            id="many failed",
        ),
    ],
)
def test_next_command_is_named(results: list[Result], command: str | None) -> None:
    """The next command is shown if something is left to do."""
    assert wording.next_command(results, "pytest --cc-run") == command


@pytest.mark.parametrize(
    ("words", "command"),
    [
        pytest.param(["unchanged", "skipped"], None, id="all done"),
        pytest.param(["failed", "unchanged"], "next: pytest --cc-run", id="failed"),
        pytest.param(["not reached"], "next: pytest --cc-run", id="stopped"),
    ],
)
def test_next_command_may_fix_failures(words: list[Word], command: str | None) -> None:
    """A command that may fix the failures itself is shown without more advice."""
    results = [_result(word) for word in words]

    assert wording.next_command(results, "pytest --cc-run", fixes=True) == command


@pytest.mark.parametrize("word", get_args(Word))
def test_every_word_has_its_place(word: Word) -> None:
    """Each word of a result has its place in the closing line."""
    assert wording.closing_line([_result(word)], 1.0) == f"choochoo: 1 {word} in 1.0 s"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5.0, "0.0 s"),
        (0.0, "0.0 s"),
        (0.31, "0.3 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (180.0, "3 min"),
        (3569.0, "59 min"),
        (3571.0, "1 h"),
        (6720.0, "1 h 52 min"),
        (172_700.0, "47 h 58 min"),
        (172_799.0, "2 d"),
        (86_400.0 * 400, "400 d"),
    ],
)
def test_time_is_written_for_people(seconds: float, words: str) -> None:
    """A time has one or two units, neither of which overflows."""
    assert wording.elapsed(seconds) == words


@given(st.floats(0, 1e9))
def test_time_never_overflows(seconds: float) -> None:
    """A time is never `60 s`, `60 min` or `1 h 60 min`."""
    words = wording.elapsed(seconds).split()

    numbers = dict(zip(words[1::2], map(float, words[::2])))
    assert all(numbers.get(unit, 0) < 60 for unit in ("s", "min"))


def test_pronoun_fits_the_number() -> None:
    """One thing is `it`; several are `them`."""
    assert [wording.it_or_them(number) for number in (1, 2)] == ["it", "them"]
