"""The facts of a session: what is read from records, and in which form texts leave the machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import UNSET

from pytest_choochoo.engine.ledger.record import OUTPUT_LIMIT, PastRun, Record, Result
from pytest_choochoo.engine.route import StationInfo
from pytest_choochoo.engine.secrets import TOKEN_PREFIX
from pytest_choochoo.reporting.document import (
    RunFacts,
    facts_of_past,
    facts_of_result,
    outcome_of,
)
from pytest_choochoo.reporting.facts import tail, write_whole

TOKEN = TOKEN_PREFIX + "0" * 32


def _record(outcome: str | None, secrets: tuple[tuple[str, ...], ...] | None = None) -> Record:
    return Record(status="complete", since=0.0, outcome=outcome, secrets=secrets)


@pytest.mark.parametrize(
    ("record", "outcome"),
    [
        (None, UNSET),
        (_record(None), UNSET),
        (_record("null"), None),
        (_record('{"port": 1}'), {"port": 1}),
        (_record('{"a": "' + TOKEN + '"}', (("a",),)), {"a": "***"}),
        (_record("{damaged"), UNSET),
    ],
)
def test_outcome_is_plain_data_without_secrets(record: Record | None, outcome: object) -> None:
    assert outcome_of(record) == outcome


def test_station_that_was_not_selected_has_names_upstream_only() -> None:
    result = Result(key="a.py::pour", name="pour", title="", word="visited", upstream=("boil",))
    info = StationInfo(
        key="a.py::pour",
        name="pour",
        title="",
        upstream=("b.py::boil",),
        needs=("boil",),
        line=0,
        place="host",
    )

    found, unknown = facts_of_result(result, info), facts_of_result(result, None)

    assert (found.upstream, found.upstream_ids, found.place) == (("boil",), ("b.py::boil",), "host")
    assert (unknown.upstream, unknown.upstream_ids, unknown.place) == (("boil",), (), UNSET)


def test_past_run_is_told_in_utc() -> None:
    past = PastRun(began=0.5, seconds=2.0, command="clean", counts={"cleaned": 1}, exit_code=3)

    assert facts_of_past(past) == RunFacts(
        started="1970-01-01T00:00:00.500+00:00",
        command="clean",
        counts={"cleaned": 1},
        seconds=2.0,
        exit_code=3,
    )


def test_end_of_a_long_text_is_kept_and_spelt_out() -> None:
    assert tail("one\n\x1b[31mtwo") == "one\n\\x1b[31mtwo"
    assert tail("x" * OUTPUT_LIMIT + "end").startswith("(3 characters before)\nxxx")
    assert tail("x" * OUTPUT_LIMIT + "end").endswith("xend")


def test_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "new" / "facts.json"

    write_whole(file, "one")
    with pytest.raises(UnicodeEncodeError):
        write_whole(file, "two \ud800")

    assert file.read_text() == "one\n"
    assert [each.name for each in file.parent.iterdir()] == ["facts.json"]
