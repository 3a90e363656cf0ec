"""Records and results, and their form as JSON text."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_choochoo.engine.ledger.record import (
    Fingerprint,
    Forgotten,
    Record,
    Result,
    Status,
    Word,
    from_text,
    to_text,
)

texts = st.text(st.characters(codec="utf-8"))
times = st.floats(allow_nan=False, allow_infinity=False)
digests = st.dictionaries(texts, texts, max_size=2)
fingerprints = st.builds(
    Fingerprint,
    upstream=digests,
    files=digests,
    values=st.none() | digests,
    code=digests,
    hints=digests,
)
records = st.builds(
    Record,
    status=st.sampled_from(get_args(Status)),
    since=times,
    error=texts,
    pid=st.integers(0, 2**31),
    host=texts,
    fingerprint=fingerprints,
    outcome=texts,
    products=digests,
    visited=times,
    secrets=st.none() | st.lists(st.lists(texts | st.integers(0, 9)).map(tuple)).map(tuple),
)


@given(records)
def test_record_comes_back_from_its_text(record: Record) -> None:
    """A record written and read is the same record."""
    assert from_text(to_text(record)) == record


def test_paths_of_secrets_cost_nothing_where_there_are_none() -> None:
    """The record of an outcome without anything like a token does not mention secrets."""
    record = Record(status="complete", since=1.0, fingerprint=Fingerprint(), outcome="1")

    assert "secrets" not in to_text(record)
    assert '"secrets":[]' in to_text(record.with_(secrets=()))


@pytest.mark.parametrize(
    ("status", "secrets"),
    [("forgotten", (("a",),)), ("left in place", (("a",),)), ("cleaned", None)],
)
def test_paths_of_secrets_stay_with_the_outcome(status: Forgotten, secrets: object) -> None:
    """A record that was forgotten keeps the paths as long as it keeps the outcome."""
    record = Record(status="complete", since=1.0, outcome='{"a":"x"}', secrets=(("a",),))

    left = record.forgotten(status)

    assert left.secrets == secrets
    assert (left.for_cleans is None) is (secrets is None)


def test_failed_record_needs_no_outcome() -> None:
    """A station that never returned has a record without fingerprint and outcome."""
    record = Record(status="failed", since=1.0, error="RuntimeError: boom")

    assert from_text(to_text(record)) == record


@given(st.binary() | st.text())
def test_any_text_is_a_record(text: str | bytes) -> None:
    """Anything in the place of a record is read as an unreadable record, never an error."""
    assert from_text(text).status == "unreadable"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param("", "Input data was truncated", id="empty"),
        pytest.param("[]", "Expected `object`, got `array`", id="of another shape"),
        pytest.param(
            '{"status":"complete"}', "Object missing required field `since`", id="incomplete"
        ),
        pytest.param(
            '{"status":"complete","since":1.5}',
            "its fingerprint or outcome is missing",
            id="hollow",
        ),
        pytest.param(
            '{"status":"paused","since":1.5}',
            "Invalid enum value 'paused' - at `$.status`",
            id="of a later version",
        ),
        pytest.param(
            '{"status":"failed","since":1,"x":' + "[" * 2000 + "]" * 2000 + "}",
            "maximum recursion depth exceeded while deserializing an object",
            id="nested too deeply",
        ),
        pytest.param(7, "a bytes-like object is required, not 'int'", id="not a string"),
    ],
)
def test_unreadable_record_says_why(text: Any, error: str) -> None:
    """An unreadable record has the reason as its error."""
    record = from_text(text)

    assert (record.status, record.error) == ("unreadable", error)


def test_unknown_key_is_ignored() -> None:
    """An older reader survives a newer writer."""
    text = '{"status":"failed","since":1.5,"mood":"good"}'

    assert from_text(text) == Record(status="failed", since=1.5)


def test_lone_surrogates_are_escaped() -> None:
    """A record is written even if a file name or a message cannot be encoded."""
    record = Record(
        status="failed",
        since=1.0,
        error="no caf\udce9",
        fingerprint=Fingerprint(files={"caf\udce9": "1"}),
    )

    assert from_text(to_text(record)) == Record(
        status="failed",
        since=1.0,
        error="no caf\\udce9",
        fingerprint=Fingerprint(files={"caf\\udce9": "1"}),
    )


def test_copy_of_a_record_has_the_changes() -> None:
    """`with_` leaves the record as it is, and returns a changed copy."""
    record = Record(status="visiting", since=1.0, pid=7)

    assert record.with_(status="failed", pid=0) == Record(status="failed", since=1.0)
    assert record == Record(status="visiting", since=1.0, pid=7)


@pytest.mark.parametrize("status", get_args(Status))
def test_only_complete_is_complete(status: Status) -> None:
    """A record is complete in exactly one status."""
    assert Record(status=status, since=1.0).is_complete is (status == "complete")


@pytest.mark.parametrize("word", get_args(Word))
def test_result_is_complete_by_its_word(word: Word) -> None:
    """A station is complete as `visited`, `unchanged`, `verified` or `adopted`, and in no other case."""
    result = Result(key="stations.py::boil", name="boil", title="Boil", word=word)

    assert result.is_complete is (word in {"visited", "unchanged", "verified", "adopted"})


def test_result_crosses_processes_as_plain_data() -> None:
    """A result becomes a plain dict, with its word as `result`, and a result again."""
    result = Result(
        key="stations.py::boil",
        name="boil",
        title="Boil",
        word="blocked",
        by=("grind",),
        upstream=("grind",),
    )

    plain = msgspec.to_builtins(result)

    assert plain["result"] == "blocked"
    assert msgspec.convert(plain, Result) == result
