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


class Progress(AbstractContextManager["Progress"]):
    """The progress of a part of a visit; made by `Visit.progress`."""

    def __init__(self, tell: Callable[[Progressed], object], start: Progressed) -> None:
        self._tell = tell
        self._state = start
        tell(start)

    def update(self, n: float = 1) -> None:
        """Report that *n* more units are done."""
        self._state = msgspec.structs.replace(self._state, done=self._state.done + n)
        self._tell(self._state)

    @property
    def done(self) -> float:
        return self._state.done

    @property
    def total(self) -> float | None:
        return self._state.total

    def __exit__(self, *error: object) -> None: ...


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """The visit under way: the fixture `visit` in stations, checks and cleans.

    *station*: its name. *profile*: the namespace of the record. *reasons*: why
    it is visited. *previous*: the outcome recorded before, or None. *resources*:
    ids of things created; each write is durable at once, even if the visit then
    fails or is killed, and the next visit and the clean see it.
    """

    station: str
    profile: str
    reasons: tuple[str, ...]
    previous: Any
    resources: MutableMapping[str, Any]
    _directory: Callable[[], Path]
    _tell: Callable[[Progressed], object]
    _key: str

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
        start = Progressed(key=self._key, done=0, total=total, unit=unit, description=description)
        return Progress(self._tell, start)

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
