"""Places: the checkout and the machine where a record was made, and where it is believed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, get_args

import msgspec

#: Where the effect of a station lives, and where its record is therefore believed: in the
#: checkout that made it, in every checkout on that machine, or everywhere.
Scope = Literal["here", "host", "anywhere"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

#: The number of a ledger's first place.
FIRST = 1

_MACHINE_IDS = ("/etc/machine-id", "/var/lib/dbus/machine-id")


class Place(msgspec.Struct, frozen=True):
    """A checkout on a machine.

    *machine* identifies the machine, *host* is its name for people. *path* and *inode* are
    those of rootdir; a checkout that is moved keeps its inode, one that is made again its path.
    """

    machine: str
    host: str
    path: str
    inode: str


#: The place of records in a ledger that knew no places: they are taken as made here.
UNKNOWN = Place("", "", "", "")


class Elsewhere(msgspec.Struct, frozen=True):
    """A visit that does not count here: in which checkout, on which host, and when."""

    path: str
    host: str
    when: float


def place_of(root: Path, host: str = "") -> Place:
    """Return the place of the checkout at *root*; *host* names the machine, if it is given."""
    inode = ""
    with suppress(OSError):
        inode = str(os.stat(root).st_ino or "")
    # A path may hold bytes that are not UTF-8; a ledger may not.
    path = os.fsencode(root).decode(errors="backslashreplace")
    return Place(host or f"{host_name()} {_machine_id()}", host or host_name(), path, inode)


@cache
def host_name() -> str:
    """Return the name of this machine in its network."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    import socket  # only Windows needs it

    return socket.gethostname()


@cache
def _machine_id() -> str:
    for file in _MACHINE_IDS:
        with suppress(OSError, UnicodeError):
            return Path(file).read_bytes().decode().strip()
    return ""


def number_of(here: Place, known: Mapping[int, Place]) -> int | None:
    """Return the number of *here* among the *known* places, None if it is not among them.

    *known*: the places by number, the one that was noted last at the end.
    """
    same = {number: each for number, each in known.items() if each.machine == here.machine}
    # The inode first: a checkout may have been moved to where another one was.
    for number, each in reversed(same.items()):
        if here.inode and each.inode == here.inode:
            return number
    for number, each in reversed(same.items()):
        if each.path == here.path:
            return number
    return next((number for number, each in known.items() if each == UNKNOWN), None)


class Believed:
    """The places whose records, attempts and resources each station believes, by number.

    *here*: the place of this process, None to believe all. *number*: its number, 0 if no
    record was made here. *known*: returns the places by number, those of other processes too.
    """

    def __init__(
        self, here: Place | None, number: int, known: Callable[[], Mapping[int, Place]]
    ) -> None:
        self._here = here
        self._known = known
        self._scopes: dict[str, Scope] = {}
        self._own = (number,)
        self.number = number
        #: Whether every station believes the records of one place, that of `number`.
        self.is_only_here = here is not None

    def declare(self, places: Mapping[str, Scope]) -> None:
        """Note the `place` of stations, by key; that of all others is "here"."""
        self._scopes |= {key: place for key, place in places.items() if place != "here"}
        self.is_only_here = self._here is not None and not self._scopes

    def _scope(self, key: str) -> Scope:
        return "anywhere" if self._here is None else self._scopes.get(key, "here")

    def numbers(self, key: str) -> tuple[int, ...]:
        """Return the places whose records the station *key* believes, that of here first."""
        if self.is_only_here or (scope := self._scope(key)) == "here":
            return self._own
        others = self._on_this_machine() if scope == "host" else tuple(self._known())
        return tuple(dict.fromkeys((self.number, *others)))

    @cached_property
    def _first(self) -> int:
        """The first place on this machine, which stands for it."""
        return min(self._on_this_machine(), default=self.number)

    def _on_this_machine(self) -> tuple[int, ...]:
        assert self._here is not None
        machines = self._here.machine, UNKNOWN.machine
        return tuple(number for number, each in self._known().items() if each.machine in machines)

    def number_of_lock(self, key: str) -> int:
        """Return the place that is locked while the station *key* is visited."""
        if "::" not in key:  # not a station
            return FIRST
        scope = self._scope(key)
        if scope == "here":
            return self.number
        return self._first if scope == "host" else FIRST
