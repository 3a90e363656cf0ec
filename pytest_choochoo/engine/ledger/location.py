"""The paths of one profile's ledger: its file, its locks, the directories of its stations."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

# Every run of pytest imports this file, and few runs need a place.
if TYPE_CHECKING:
    from pytest_choochoo.engine.place import Place

# Every ledger has this lock beside it, and hardly anything else has.
_OF_A_LEDGER = Path("locks", "ledger.lock")


class LedgerLocation:
    """The *folder* of the ledgers, and the *profile* whose ledger is meant.

    *place*: where this process makes records; None to believe those of all places.
    *is_given*: the user named the folder. *is_trusted*: it counts although others may write there.
    """

    __slots__ = ("data_dir", "file", "folder", "is_given", "is_trusted", "place", "profile")

    def __init__(
        self,
        folder: Path,
        profile: str,
        place: Place | None = None,
        *,
        is_given: bool = True,
        is_trusted: bool = False,
    ) -> None:
        self.folder = folder
        self.is_given = is_given
        self.is_trusted = is_trusted
        self.profile = profile
        self.place = place
        #: The ledger itself.
        self.file = folder / f"{profile}.sqlite"
        #: The folder of its locks and of the stations' directories.
        self.data_dir = folder / profile

    def directory(self, key: str, place: int = 1) -> Path:
        """Return the path where the station *key* may keep files at *place*, by its number."""
        # A name that a user chose is never a path as it is: a readable part, and a digest.
        readable = re.sub(r"[^A-Za-z0-9_]+", "-", key.rpartition("::")[2])[:40].strip("-")
        return self.data_dir / "stations" / f"{readable}-{short(key, place)}"


def is_lock_name(name: str) -> bool:
    """Return whether a file in `locks` may be called *name*."""
    return re.fullmatch(r"[0-9a-f]{16}\.lock|ledger\.lock|profile\.lock", name) is not None


def is_directory_name(name: str) -> bool:
    """Return whether the directory of a station may be called *name*."""
    return re.fullmatch(r"[A-Za-z0-9_-]*-[0-9a-f]{16}", name) is not None


def is_of_ledger(path: Path) -> bool:
    """Return whether *path* is the file of a ledger, or the folder beside one."""
    name, ending, rest = path.name.partition(".sqlite")
    if ending and rest in {"", "-wal", "-shm", "-journal"}:
        return (path.with_name(name) / _OF_A_LEDGER).is_file()
    return (path / _OF_A_LEDGER).is_file()


def short(key: str, place: int = 1) -> str:
    """Return a name for files of the station *key* at *place*, by its number."""
    if place != 1:
        key = f"{key}@{place}"
    # Not the engine's digest: files of earlier runs have names that were made like this.
    return blake2b(key.encode(errors="surrogatepass"), digest_size=8).hexdigest()
