"""Results put into words: lines of text from values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

from pytest_choochoo.engine.errors import CheckFailed, ChoochooError
from pytest_choochoo.engine.judging.verdict import Reason, elapsed, secret_needed
from pytest_choochoo.engine.ledger.record import Result, Word
from pytest_choochoo.engine.secrets import SecretNotKept

#: The cause of what failed because the user stopped it: there is nothing to be mended.
INTERRUPTED = "interrupted"


def failed_check(station: str, check: str, error: BaseException, drift: str) -> Reason:
    """Return why *station* is visited one of whose checks does not pass."""
    if isinstance(error, SecretNotKept) and error.name == station:
        return secret_needed((f"check {check}",))
    return Reason("drift", f"{drift}check {check} does not pass: {error_line(error)}")


def why(result: Result) -> str:
    """Return why a station ended as it did, in one line; empty when there is nothing to say."""
    if result.word == "blocked":
        return f"blocked by {', '.join(result.by)}"
    if result.word in {"failed", "skipped"}:
        return result.cause
    return "; ".join(result.reasons)


def header(added: Sequence[str], left_out: Sequence[str]) -> tuple[str, ...]:
    """Return what is to be said of a selection before the run, in names of stations.

    Those *added* are needed by what is selected; those *left out* were to be
    replayed, and are not selected.
    """
    told = {
        "needed {} added": added,
        "{} selected by --cc-replay and then deselected": left_out,
    }
    return tuple(
        f"choochoo: {len(names)} {what.format('station' if len(names) == 1 else 'stations')}: "
        f"{', '.join(names)}"
        for what, names in told.items()
        if names
    )


def closing_line(results: Sequence[Result], seconds: float) -> str:
    """Return what happened in one line, zeros left out."""
    counts = Counter(result.word for result in results)
    words = ", ".join(f"{counts[word]} {word}" for word in get_args(Word) if counts[word])
    spared = sum(result.spared for result in results)
    tail = f", {elapsed(spared)} spared" if spared >= 0.05 else ""
    return f"choochoo: {words or 'no station'} in {elapsed(seconds)}{tail}"


def problem_lines(results: Iterable[Result]) -> list[str]:
    """Return a line for each station that failed or was blocked, with its cause."""
    wanted = [result for result in results if result.word in {"failed", "blocked"}]
    width = max((len(result.name) for result in wanted), default=0)
    return [
        f"  {result.word:<8} {result.name:<{width}}  {why(result).removeprefix('blocked ')}"
        for result in wanted
    ]


def left_in_place(results: Iterable[Result]) -> list[str]:
    """Return a line for each station that has no clean."""
    names = [result.name for result in results if result.word == "left in place"]
    return [f"  left in place, for want of a clean: {', '.join(names)}"] if names else []


def next_command(results: Sequence[Result], command: str, *, mends: bool = False) -> str | None:
    """Return the command to type next, or None when nothing is left to do.

    *mends*: the command itself may mend what failed.
    """
    failed = [result for result in results if result.word == "failed"]
    wrong = [result.name for result in failed if result.cause != INTERRUPTED]
    if wrong and not mends:
        return f"next: mend {', '.join(wrong[:3])}{', ...' if wrong[3:] else ''}, then {command}"
    is_left = failed or any(result.word == "not reached" for result in results)
    return f"next: {command}" if is_left else None


def not_found(name: str, broken: Mapping[str, BaseException]) -> str:
    """Return why the fixture *name* may be missing: by file, the errors of *broken* ones."""
    files = (
        f"of {file}, which could not be collected: {error_line(error)}"
        for file, error in broken.items()
    )
    return f"fixture {name!r} not found; it may be a station {'; or '.join(files)}"


def full_message(error: ChoochooError | Warning) -> str:
    """Return all that there is to say of *error*: its sentence, and what was added to it since."""
    return "; ".join((str(error), *getattr(error, "__notes__", ())))


def error_line(error: BaseException) -> str:
    """Return *error* in one line: its type, and the first line of what it says."""
    try:
        first = (str(error).strip().splitlines() or [""])[0]
    except Exception:  # noqa: BLE001 - what the user's error says of itself is his own code
        first = "<it cannot be shown>"
    if isinstance(error, CheckFailed):
        return error.cause
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
