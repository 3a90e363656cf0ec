"""Lines as a terminal shows them: their colours, and their breaks between words."""

from __future__ import annotations

import pytest

from pytest_choochoo.reporting.painting import painted, wrapped
from pytest_choochoo.reporting.reports import COLOURS

BOLD = {"bold": True}


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (
            "choochoo: 12 visited, 1 not reached in 2.1 s, 3 min spared",
            [
                ("choochoo: ", {}),
                ("12 visited", COLOURS["visited"]),
                (", ", {}),
                ("1 not reached", COLOURS["not reached"]),
                (" in 2.1 s, 3 min spared", {}),
            ],
        ),
        ("choochoo: no station in 0.1 s", [("choochoo: no station in 0.1 s", {})]),
        (
            "  blocked  sip  by failed",
            [("  ", {}), ("blocked", COLOURS["blocked"]), ("  sip  by failed", {})],
        ),
        (
            "  left in place (no clean defined): boil",
            [
                ("  ", {}),
                ("left in place", COLOURS["left in place"]),
                (" (no clean defined): boil", {}),
            ],
        ),
        ("next: fix failed, then run", [("next: fix failed, then run", BOLD)]),
    ],
)
def test_results_have_colours(line: str, parts: list[tuple[str, object]]) -> None:
    """Results are coloured where a line begins with them or counts them; `next:` is bold."""
    assert painted(line) == parts


def test_main_results_differ_in_colour() -> None:
    """The results that a user looks for differ at a glance."""
    colours = [COLOURS[each] for each in ("visited", "unchanged", "failed", "blocked", "skipped")]

    assert all(colours.count(each) == 1 for each in colours)


@pytest.mark.parametrize(
    ("line", "columns", "used", "shown"),
    [
        ("a line that fits", 16, 0, "a line that fits"),
        ("next: fix boil and pour", 16, 0, "next: fix boil\n    and pour"),
        (
            "  failed   boil  Error: no gas left",
            25,
            0,
            "  failed   boil  Error:\n    no gas left",
        ),
        (
            "  failed   boil  Error: no gas and no water",
            36,
            0,
            "  failed   boil  Error: no gas and\n                 no water",
        ),
        (
            "  failed   cup     Error: no gas and no water",
            38,
            0,
            "  failed   cup     Error: no gas and\n                   no water",
        ),
        ("VISITED (never visited)", 30, 20, "VISITED\n    (never visited)"),
        ("next: fix " + "x" * 30, 20, 0, "next: fix\n    " + "x" * 30),
        ("well-known twice  spaced", 20, 0, "well-known twice\n    spaced"),
    ],
)
def test_long_lines_are_wrapped_at_words(line: str, columns: int, used: int, shown: str) -> None:
    """A line breaks between words, continues below its reason, and loses nothing."""
    assert wrapped(line, columns, used=used) == shown
