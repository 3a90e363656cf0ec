"""The long texts of reports on checks that do not pass, without the frames of libraries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from pytest_choochoo.engine.errors import ChoochooError, check_line
from pytest_choochoo.engine.shown import shown
from pytest_choochoo.engine.station import Check
from pytest_choochoo.engine.wording import full_message
from pytest_choochoo.running.tracebacks import frames_of, is_below, own_code, traceback_from
from pytest_choochoo.settings import pytest_option


def checks_text(
    item: pytest.Function,
    checks: Sequence[Check],
    failures: Mapping[str, BaseException],
    command: str,
) -> Any:
    """Return the long text of a report on *failures* of *checks*, by the name of the check."""
    parts = [_part(item, each, failures[each.name], command) for each in checks]
    if len(parts) == 1:
        return parts[0]
    names = ", ".join(check.name for check in checks)
    header = f"{len(checks)} checks of station {item.name!r} do not pass: {names}"
    return _AllChecks(shown(header), parts)


def _part(item: pytest.Function, check: Check, error: BaseException, command: str) -> Any:
    """Return what pytest shows of *error*, or the sentence of an error of ours."""
    if isinstance(error, ChoochooError):
        return full_message(error, command)
    style, is_full = (pytest_option(item.config, name) for name in ("tbstyle", "fulltrace"))
    is_cut = style == "auto" and not is_full
    root = item.config.rootpath
    whole = error.__traceback__
    error.__traceback__ = traceback_from(check.function, error)
    try:
        with _without_libraries(error, check, root) if is_cut else _as_it_is():
            found = item.repr_failure(pytest.ExceptionInfo.from_exception(error))
    finally:
        error.__traceback__ = whole
    crash = getattr(found, "reprcrash", None)
    if crash is not None:
        crash.message = shown(check_line(check.name, error))
    return found


class _AllChecks:
    """Several errors as pytest shows each, one below the other."""

    def __init__(self, header: str, parts: Sequence[Any]) -> None:
        self.header = header
        self.parts = parts
        crashes = (getattr(part, "reprcrash", None) for part in parts)
        self.reprcrash = next(filter(None, crashes), None)
        if self.reprcrash is not None:
            self.reprcrash.message = header

    def toterminal(self, writer: Any) -> None:
        writer.line(self.header)
        for part in self.parts:
            writer.line("")
            if isinstance(part, str):
                writer.line(part, red=True)
            else:
                part.toterminal(writer)

    def __str__(self) -> str:
        # As a string, what pytest shows loses the indentation of its first line.
        parts = (part if isinstance(part, str) else f"    {part}" for part in self.parts)
        return "\n\n".join((self.header, *parts))


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


@contextmanager
def _without_libraries(error: BaseException, check: Check, root: Path) -> Iterator[None]:
    """Leave out the frames of libraries from *error*, and from those that led to it."""
    code = own_code(check.function)
    own_file = code.co_filename if code is not None else ""
    before = {id(each): (each, each.__traceback__) for each in _chain(error)}
    try:
        for each, traceback in before.values():
            found: TracebackType | None = None
            for frame in reversed([*frames_of(each)]):
                file = frame.tb_frame.f_code.co_filename
                if file == own_file or is_below(file, root):
                    found = TracebackType(found, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
            # The error itself must have a frame; those that led to it are then shown by a line.
            each.__traceback__ = found or (traceback if each is error else None)
        yield
    finally:
        for each, traceback in before.values():
            each.__traceback__ = traceback


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield *error*, and the errors that pytest shows as leading to it."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        hidden = each.__suppress_context__
        each = each.__cause__ or (None if hidden else each.__context__)
