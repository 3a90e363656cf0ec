"""Lines of text about results, for people."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import get_args

from pytest_choochoo.engine.errors import AuditFinds, ChoochooError, ProtectedStation, error_line
from pytest_choochoo.engine.ledger.record import Result, Word
from pytest_choochoo.engine.shown import shown, shown_lines

#: The cause of a failure if the user stopped the run: there is nothing to fix.
INTERRUPTED = "interrupted"


def why(result: Result) -> str:
    """Return why a station ended as it did, in one line; "" if there is nothing to say."""
    if result.word == "blocked":
        return f"blocked by {', '.join(result.by)}"
    if result.word in {"failed", "skipped"}:
        return result.cause
    if result.word == "cleaned" and result.by:
        return f"cleaned with {', '.join(result.by)}"
    return "; ".join(result.reasons)


def header(added: Sequence[str], left_out: Sequence[str]) -> tuple[str, ...]:
    """Return the lines about a selection that are shown before a run.

    *added*: the names of stations that the selection needs; *left_out*: those that
    --cc-replay selected, and that were then deselected.
    """
    return (
        *_counted("needed {} added", added),
        *_counted("{} selected by --cc-replay and then deselected", left_out),
    )


def header_of_clean(below: Sequence[str]) -> tuple[str, ...]:
    """Return the line shown before a clean that takes the stations *below* along, if any."""
    return _counted("{} downstream taken along", below)


def header_of_audit(added: Sequence[str]) -> tuple[str, ...]:
    """Return the line shown before an audit that only makes and cleans the stations *added*."""
    return _counted("needed {}, made and cleaned without being audited", added)


def taken_over(former: Mapping[str, str], *, is_done: bool) -> str:
    """Return the line about stations that take over what is recorded under *former* names."""
    pairs = ", ".join(f"{name} from {was}" for name, was in former.items())
    return f"taken over: {pairs}" if is_done else f"the next run takes over: {pairs}"


def taken_over_from(former: str | None) -> tuple[str, ...]:
    """Return in words from which *former* name a record was taken over, () without one."""
    return () if former is None else (f"taken over from {former}",)


def _counted(line: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return *line* with the number of *names* in it, and the names; nothing without names."""
    if not names:
        return ()
    stations = "station" if len(names) == 1 else "stations"
    return (f"choochoo: {len(names)} {line.format(stations)}: {', '.join(names)}",)


def failed_with_upstream(result: Result, by: Sequence[str]) -> str:
    """Return in one line why a station failed whose upstream stations *by* failed as well."""
    line = f"station {result.name!r}: {result.cause}; upstream {', '.join(by)} failed as well"
    return shown(line)


#: The beginning of why a station is skipped that nothing can verify.
NOTHING_TO_VERIFY_BY = "nothing to verify it by: "


def counted(counts: Mapping[str, int]) -> str:
    """Return the number of stations of each result in the order of `Word`, zeros left out."""
    return ", ".join(f"{counts[word]} {word}" for word in get_args(Word) if counts.get(word))


def closing_line(results: Sequence[Result], seconds: float) -> str:
    """Return the number of stations of each result in one line, zeros left out."""
    words = counted(Counter(result.word for result in results))
    spared = sum(result.spared for result in results)
    tail = f", {elapsed(spared)} spared" if spared >= 0.05 else ""
    return f"choochoo: {words or 'no station'} in {elapsed(seconds)}{tail}"


def problem_lines(results: Iterable[Result], *, tells_skips: bool = False) -> list[str]:
    """Return a line for each station that failed or was blocked, with its cause.

    *tells_skips*: so has each that was skipped.
    """
    words: tuple[Word, ...] = ("failed", "blocked", *(("skipped",) if tells_skips else ()))
    problems = [*_labelled(results, *words)]
    width = max((len(label) for _, label in problems), default=0)
    return [
        f"  {result.word:<8} {label:<{width}}  {why(result).removeprefix('blocked ')}"
        for result, label in problems
    ]


def left_in_place(results: Iterable[Result]) -> list[str]:
    """Return one line with all stations that have no clean, or no line if there are none."""
    names = [label for _, label in _labelled(results, "left in place")]
    return [f"  left in place (no clean defined): {', '.join(names)}"] if names else []


def _labelled(results: Iterable[Result], *words: Word) -> Iterator[tuple[Result, str]]:
    """Yield each result that is one of *words*, with its name for a list.

    Where several results have that name, whatever they are, it is the key.
    """
    results = tuple(results)
    chosen = [result for result in results if result.word in words]
    names = Counter(result.name for result in results) if chosen else {}
    for result in chosen:
        yield result, result.key if names[result.name] > 1 else result.name


def cleaned_with(results: Iterable[Result]) -> list[str]:
    """Return a line for each station that others, which have no clean, were cleaned with."""
    names: dict[str, list[str]] = {}
    for result, label in _labelled(results, "cleaned"):
        if result.by:
            names.setdefault(why(result), []).append(label)
    return [f"  {with_it}: {', '.join(gone)}" for with_it, gone in names.items()]


def not_made_here(names: Sequence[str], command: str, key: str) -> str:
    """Return the line about stations that a clean found, but leaves alone.

    *command* cleans *key*, one of them, if it is named.
    """
    return f"there, but not made here: {', '.join(names)}; to clean it: {command} {key}"


def next_command(
    results: Sequence[Result], command: str, *, fixes: bool = False, has_stopped: bool = False
) -> str | None:
    """Return the line with the command to type next, or None when nothing is left to do.

    *fixes*: the command itself may fix the failures. *has_stopped*: the session was stopped, and
    has left something, whatever the results are.
    """
    failed = [
        (result, label)
        for result, label in _labelled(results, "failed")
        # The way out of a protection is part of the cause.
        if not ProtectedStation.is_cause(result.cause, result.name)
    ]
    broken = [label for result, label in failed if result.cause != INTERRUPTED]
    if broken and not fixes:
        names = [*broken[:3], *(["..."] if broken[3:] else [])]
        return f"next: fix {', '.join(names)}, then run {command}"
    is_left = failed or any(result.word == "not reached" for result in results) or has_stopped
    return f"next: {command}" if is_left else None


def not_found(name: str, broken: Mapping[str, BaseException]) -> str:
    """Return why the fixture *name* may be missing; *broken*: by file, why it is not collected."""
    files = (
        f"of {file}, which could not be collected: {error_line(error)}"
        for file, error in broken.items()
    )
    return shown(f"fixture {name!r} not found; it may be a station {'; or '.join(files)}")


def full_message(error: ChoochooError | Warning, command: str) -> str:
    """Return the sentence of *error*, with *command* in it, and the notes that were added."""
    sentence = error.sentence(command) if isinstance(error, ChoochooError) else str(error)
    text = "; ".join((sentence, *getattr(error, "__notes__", ())))
    if isinstance(error, AuditFinds):
        return shown_lines(text)
    # The sentences of other errors may be in it; `command` continues the plain one.
    return shown(text.replace("'pytest --cc-run'", f"'{command}'"))


def it_or_them(number: int) -> str:
    """Return the pronoun for *number* things."""
    return "it" if number == 1 else "them"


def visit_starts(name: str, reasons: Sequence[str]) -> str:
    """Return the line about a visit that starts; *name* is "" where it stands there already."""
    visiting = f"visiting {name}" if name else "visiting"
    return visiting + (f" ({'; '.join(reasons)})" if reasons else "")


def visit_goes_on(name: str, seconds: float, how_far: str) -> str:
    """Return the line about a visit that has gone on for *seconds*."""
    return f"still visiting {name} after {elapsed(seconds)}" + (f": {how_far}" if how_far else "")


def visit_ended(name: str, word: str, seconds: float, cause: str) -> str:
    """Return the line about a visit that ended with the result *word*."""
    return f"{word} {name} in {elapsed(seconds)}" + (f": {cause}" if cause else "")


def waits_for_check(check: str, waited: float, within: float) -> str:
    """Return that a visit waits until a *check* passes."""
    return f"waiting for check {check}, {elapsed(waited)} of {elapsed(within)}"


def amount(done: float, total: float | None, unit: str) -> str:
    """Return how much is *done* in *unit*: `3/10 files`, `26.0/26.0 KiB`."""
    if unit in {"B", "bytes"}:
        largest = max(abs(done), abs(total or 0.0))
        powers = ("B", "KiB", "MiB", "GiB", "TiB")
        power = min(int(math.log(largest, 1024)) if largest >= 1024 else 0, len(powers) - 1)
        digits, unit = (1, powers[power]) if power else (0, "B")
        done, total = done / 1024**power, None if total is None else total / 1024**power
        texts = (f"{number:.{digits}f}" for number in (done, total) if number is not None)
    else:
        texts = (f"{number:.7g}" for number in (done, total) if number is not None)
    return f"{'/'.join(texts)} {unit}".rstrip()


def elapsed(seconds: float) -> str:
    """Return *seconds* as people write them: `0.3 s`, `12 s`, `3 min`, `1 h 52 min`, `4 d`."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d"
