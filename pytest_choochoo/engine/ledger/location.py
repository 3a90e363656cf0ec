"""The paths of one profile's ledger: its file, its locks, the directories of its stations."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path

# Every ledger has this lock beside it, and hardly anything else has.
_OF_A_LEDGER = Path("locks", "ledger.lock")


class LedgerLocation:
    """The *folder* of the ledgers, and the *profile* whose ledger is meant."""

    __slots__ = ("data_dir", "file", "folder", "profile")

    def __init__(self, folder: Path, profile: str) -> None:
        self.folder = folder
        self.profile = profile
        #: The ledger itself.
        self.file = folder / f"{profile}.sqlite"
        #: The folder of its locks and of the stations' directories.
        self.data_dir = folder / profile

    def make_directory(self, key: str) -> Path:
        """Return the directory of the station *key*, created for this user only."""
        path = self.directory(key)
        for folder in (path.parent, path):  # `parents=True` ignores the mode for all but the last
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def directory(self, key: str) -> Path:
        """Return the path where the station *key* may keep files."""
        # A name that a user chose is never a path as it is: a readable part, and a digest.
        readable = re.sub(r"[^A-Za-z0-9_]+", "-", key.rpartition("::")[2])[:40].strip("-")
        return self.data_dir / "stations" / f"{readable}-{short(key)}"


def is_of_ledger(path: Path) -> bool:
    """Return whether *path* is the file of a ledger, or the folder beside one."""
    name, ending, rest = path.name.partition(".sqlite")
    if ending and rest in {"", "-wal", "-shm", "-journal"}:
        return (path.with_name(name) / _OF_A_LEDGER).is_file()
    return (path / _OF_A_LEDGER).is_file()


def short(key: str) -> str:
    """Return a name for files of the station *key*."""
    # Not the engine's digest: files of earlier runs have names that were made like this.
    return blake2b(key.encode(errors="surrogatepass"), digest_size=8).hexdigest()
