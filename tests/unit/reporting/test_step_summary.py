"""The closing table as Markdown."""

from __future__ import annotations

from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.reporting.step_summary import markdown


def test_table_has_a_row_for_each_station() -> None:
    """Above it are the closing line and the profile."""
    results = [
        Result(
            key="boil",
            name="boil",
            title="Boil the water",
            word="visited",
            reasons=("first visit",),
            seconds=2.0,
        ),
        Result(key="pour", name="pour", title="pour", word="blocked", by=("boil",)),
    ]

    assert markdown(results, 3.0, "default") == (
        "\n**choochoo: 1 visited, 1 blocked in 3.0 s**\n"
        "\nProfile default\n\n"
        "| result | station | time | reason |\n"
        "| --- | --- | ---: | --- |\n"
        "| visited | boil: Boil the water | 2.0 s | first visit |\n"
        "| blocked | pour |  | blocked by boil |\n"
    )


def test_texts_of_the_project_stay_in_their_cell() -> None:
    """Pipes, line breaks, HTML, links and what a terminal obeys are shown as they are."""
    cause = "a|b\nc\x1b[2J<script>[x](y)\u202e`"
    result = Result(key="pour", name="p|r", title="p|r", word="failed", cause=cause)

    row = markdown([result], 1.0, "default").splitlines()[-1]

    assert row == (r"| failed | p\|r |  | a\|b\\nc\\x1b\[2J\<script\>\[x\]\(y\)\\u202e\` |")
