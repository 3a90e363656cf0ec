"""The region at the bottom of a terminal that is drawn again and again, and its lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

from rich.cells import cell_len, set_cell_size

from pytest_choochoo.engine import wording
from pytest_choochoo.engine.ledger.record import Word
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.reporting.progress import RunProgress, UnderWay
from pytest_choochoo.reporting.reports import Markup
from pytest_choochoo.reporting.tables import Line

_BAR = 16  # columns of a bar, where there is room
_NAMES = 30  # columns of a title, at most
_DIM: Markup = {"light": True}
_MORE = "…"
_TOLD = "choochoo: "
# Seconds below which an expected time says nothing.
_NOTICEABLE = 0.1


def region(
    progress: RunProgress, columns: int, rows: int, tests: Sequence[tuple[str, int]] = ()
) -> list[Line]:
    """Return at most *rows* lines of at most *columns* that show *progress*.

    *tests*: the number of tests of each outcome.
    """
    last = [_last_line(progress, tests, columns)]
    room = max(rows - 1, 0)
    visits = [*progress.under_way]
    shown_visits = visits if len(visits) <= room else visits[: max(room - 1, 0)]
    width = max((min(cell_len(_title(each)), _NAMES) for each in shown_visits), default=0)
    now = progress.now()
    lines = [_visit_line(each, now, width, columns, progress.workers) for each in shown_visits]
    hidden = len(visits) - len(shown_visits)
    if hidden and room:
        lines.append([(f"  {_MORE} and {hidden} more under way", _DIM)])
    lines += _waiting_lines(progress, room - len(lines))
    return [fitted(line, columns) for line in lines + last]


def fitted(line: Line, columns: int) -> Line:
    """Return *line* without what is beyond the column *columns*."""
    fit: Line = []
    for text, markup in line:
        size = cell_len(text)
        if size > columns:
            cut = set_cell_size(text, columns - 1) + _MORE if columns > 0 else ""
            return [*fit, (cut, markup)]
        fit.append((text, markup))
        columns -= size
    return fit


def cells(line: Line) -> int:
    """Return the number of columns that *line* takes."""
    return sum(cell_len(text) for text, _ in line)


def padded(text: str, columns: int) -> str:
    """Return *text* in exactly *columns*."""
    size = cell_len(text)
    if size > columns:
        return set_cell_size(text, columns - 1) + _MORE
    return text + " " * (columns - size)


def _title(visit: UnderWay) -> str:
    return shown((visit.title or visit.name)[:200])


def _visit_line(visit: UnderWay, now: float, width: int, columns: int, workers: int) -> Line:
    elapsed = wording.elapsed(visit.elapsed(now))
    line: Line = [("  ", {}), (padded(_title(visit), width), {"bold": True}), ("  ", {})]
    told, awaits = visit.progressed, visit.awaits
    if awaits is not None:
        line.append((wording.waits_for_check(awaits.check, awaits.waited, awaits.within), _DIM))
        line.append(("  ", {}))
    elif told is not None:
        if told.total is not None and columns >= 60:
            line += [*_bar(told.done / told.total if told.total > 0 else 1.0), ("  ", {})]
        amount = wording.amount(told.done, told.total, told.unit)
        text = " ".join(filter(None, (amount, told.description)))
        line.append((f"{text}  ", {}))
    line.append((elapsed, {}))
    if visit.expected >= _NOTICEABLE:
        line.append((f" of about {wording.elapsed(visit.expected)}", _DIM))
    if visit.is_late(now):
        line.append(("  longer than ever", {"yellow": True, "bold": True}))
    if workers > 1 and visit.worker:
        line.append((f"  {shown(visit.worker)}", _DIM))
    return line


def _bar(share: float) -> Iterator[tuple[str, Markup]]:
    full = round(min(max(share, 0.0), 1.0) * _BAR)
    yield "━" * full, {"green": True}
    yield "─" * (_BAR - full), _DIM


def _waiting_lines(progress: RunProgress, room: int) -> Iterator[Line]:
    waiting = [*progress.waiting()] if room > 0 else []
    fits = len(waiting) <= room
    for name, needed in waiting if fits else waiting[: room - 1]:
        names = ", ".join(needed[:5]) + (f", {_MORE}" if needed[5:] else "")
        yield [(f"  {shown(name[:200])} waits for {shown(names[:400])}", _DIM)]
    if not fits:
        yield [(f"  {_MORE} and {len(waiting) - room + 1} more wait", _DIM)]


def _last_line(progress: RunProgress, tests: Sequence[tuple[str, int]], columns: int) -> Line:
    """Return the line with counts and times, without the details for which there is no room."""
    counts, under_way = progress.counts, progress.under_way
    head = f"{sum(counts.values())}/{progress.total} stations"
    details = [f"{counts[word]} {word}" for word in get_args(Word) if counts[word]]
    if any(number for _, number in tests):
        details.append(f"tests: {' '.join(f'{n} {word}' for word, n in tests if n)}")
    if progress.workers > 1:
        busy = len({visit.worker for visit in under_way})
        details.append(f"{busy} of {progress.workers} workers busy")
    times = [wording.elapsed(progress.elapsed)]
    left = progress.left()
    if left is not None:
        seconds, is_known = left
        times.append(f"{'about' if is_known else 'at least'} {wording.elapsed(seconds)} left")
    while details and len(_TOLD) + len(", ".join([head, *details, *times])) > columns:
        details.pop()
    return [(_TOLD, {}), (", ".join([head, *details, *times]), {"bold": True})]
