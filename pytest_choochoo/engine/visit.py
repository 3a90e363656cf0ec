"""The visit as the station sees it: its directory, resources and progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sized
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class Progressed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The progress of a visit at one moment: *done* of *total* (None: unknown), in *unit*."""

    key: str
    done: float
    total: float | None
    unit: str
    description: str


class AwaitsCheck(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A visit that waits for a *check* to pass: for *waited* of *within* seconds so far."""

    key: str
    check: str
    waited: float
    within: float


class ProgressReport:
    """The place where the visit of the station *key* leaves its progress.

    A visit may report millions of times; the display looks here a few times a second.
    """

    __slots__ = ("key", "last")

    def __init__(self, key: str) -> None:
        self.key = key
        #: The progress that was reported last, of several that one visit may have.
        self.last: Progress | None = None

    @property
    def state(self) -> Progressed | None:
        """The progress at this moment, None before the first report."""
        last = self.last
        if last is None:
            return None
        return Progressed(
            key=self.key,
            done=last.done,
            total=last.total,
            unit=last.unit,
            description=last.description,
        )


class Progress(AbstractContextManager["Progress"]):
    """The progress of a part of a visit; made by `Visit.progress`.

    *done* of *total* (None: unknown), in *unit*.
    """

    __slots__ = ("_report", "description", "done", "total", "unit")

    def __init__(
        self,
        report: ProgressReport,
        *,
        total: float | None,
        unit: str,
        description: str,
    ) -> None:
        self.done: float = 0
        self.total = total
        self.unit = unit
        self.description = description
        self._report = report
        report.last = self

    def update(self, n: float = 1) -> None:
        """Report that *n* more units are done."""
        self.done += n
        self._report.last = self

    def __exit__(self, *error: object) -> None: ...


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """The visit under way: the fixture `visit` in stations, checks and cleans.

    *station*: its name. *profile*: the namespace of the record. *reasons*: why
    it is visited. *previous*: the outcome recorded before, or None. *found*: what its find
    returned, where a check did not pass with it, or None. *resources*: ids of things created;
    each write is durable at once, even if the visit then fails or is killed, and the next visit
    and the clean see it.
    """

    station: str
    profile: str
    reasons: tuple[str, ...]
    previous: Any
    found: Any
    resources: MutableMapping[str, Any]
    _directory: Callable[[], Path]
    _tell: Callable[[ProgressReport], object]
    _report: ProgressReport

    def __repr__(self) -> str:
        public = (name for name in self.__struct_fields__ if not name.startswith("_"))
        return f"Visit({', '.join(f'{name}={getattr(self, name)!r}' for name in public)})"

    @property
    def dir(self) -> Path:
        """A directory of the station's own, kept between runs, one per profile."""
        return self._directory()

    def progress(
        self, total: float | None = None, unit: str = "", description: str = ""
    ) -> Progress:
        """Return a progress, for `with` or by itself; *total* None means unknown."""
        progress = Progress(self._report, total=total, unit=unit, description=description)
        self._tell(self._report)
        return progress

    def track(
        self,
        iterable: Iterable[T],
        total: float | None = None,
        unit: str = "",
        description: str = "",
    ) -> Iterator[T]:
        """Yield from *iterable*, one unit of progress each; *total* defaults to its length."""
        if total is None and isinstance(iterable, Sized):
            total = len(iterable)
        with self.progress(total, unit, description) as progress:
            for each in iterable:
                yield each
                progress.update()
