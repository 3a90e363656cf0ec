"""The limits of the long texts of reports."""

from __future__ import annotations

from types import SimpleNamespace

from pytest_choochoo.running.long_texts import LINE_LIMIT, TEXT_LIMIT, bounded


def test_ordinary_text_stays() -> None:
    """A text within the limits is shown whole."""
    assert bounded("E   boom\nE   note") == "E   boom\nE   note"


def test_long_line_loses_its_end() -> None:
    """A line says how much of it is left out; the other lines stay."""
    text = bounded(f"first\n{'x' * 1_000_000}\nlast")

    assert text == f"first\n{'x' * LINE_LIMIT}… (998,000 more characters)\nlast"


def test_long_reason_of_a_skip_loses_its_end() -> None:
    """The reason of a skip is shortened as in the summary; its place stays."""
    skip = ("a.py", 3, f"Skipped: {'x' * 3_000}")

    assert bounded(skip) == ("a.py", 3, f"Skipped: {'x' * 500}… (2,500 more characters)")
    assert bounded(("a.py", 3, "Skipped: no")) == ("a.py", 3, "Skipped: no")


def test_long_text_loses_its_middle() -> None:
    """The beginning of a text and its last lines stay; the notes of an error are there."""
    lines = bounded("\n".join(f"{number:063}" for number in range(5_000))).split("\n")

    assert len("\n".join(lines)) < TEXT_LIMIT * 1.05
    assert lines[1040:] == [
        "… (3,955 more lines)",
        *(f"{number:063}" for number in range(4_995, 5_000)),
    ]


def test_tracebacks_are_bounded_in_place() -> None:
    """All entries of a traceback are bounded, and its message."""
    entry = SimpleNamespace(lines=["x" * 3_000])
    crash = SimpleNamespace(message="y" * 3_000)
    shown = SimpleNamespace(chain=[(SimpleNamespace(reprentries=[entry]), crash, None)])
    both = SimpleNamespace(parts=["text", shown])

    assert bounded(both) is both
    assert entry.lines == [f"{'x' * LINE_LIMIT}… (1,000 more characters)"]
    assert crash.message == f"{'y' * LINE_LIMIT}… (1,000 more characters)"


def test_control_characters_are_spelt_out() -> None:
    """An error's text commands no terminal, in a text, in a skip or in lines."""
    assert bounded("E   a\x1b[2J\nE   b\u202e") == "E   a\\x1b[2J\nE   b\\u202e"
    assert bounded(("a.py", 3, "Skipped: a\rb")) == ("a.py", 3, "Skipped: a\\rb")
