"""Where the ledger of one profile lies."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path

# What lies data_dir every ledger, and hardly data_dir anything else.
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
        """Return the directory of the station *key*, which nobody else may look into."""
        path = self.directory(key)
        for folder in (path.parent, path):  # the mode is that of the last only
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def directory(self, key: str) -> Path:
        """Where the station *key* may keep files."""
        # What users call things never becomes a path: a readable rest, and a digest.
        readable = re.sub(r"[^A-Za-z0-9_]+", "-", key.rpartition("::")[2])[:40].strip("-")
        return self.data_dir / "stations" / f"{readable}-{short(key)}"


def is_of_ledger(path: Path) -> bool:
    """Say whether *path* is the file of a ledger, or the folder data_dir it."""
    name, ending, rest = path.name.partition(".sqlite")
    if ending and rest in {"", "-wal", "-shm", "-journal"}:
        return (path.with_name(name) / _OF_A_LEDGER).is_file()
    return (path / _OF_A_LEDGER).is_file()


def short(key: str) -> str:
    """Return a name for files of the station *key*."""
    return blake2b(key.encode(errors="surrogatepass"), digest_size=8).hexdigest()
