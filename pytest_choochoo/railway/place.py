"""Where the ledger of one profile lies."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path


class Place:
    """The *folder* of the ledgers, and the *profile* whose ledger is meant."""

    __slots__ = ("folder", "profile")

    def __init__(self, folder: Path, profile: str) -> None:
        self.folder = folder
        self.profile = profile

    @property
    def file(self) -> Path:
        """The ledger itself."""
        return self.folder / f"{self.profile}.sqlite"

    @property
    def beside(self) -> Path:
        """The folder of its locks and of the stations' directories."""
        return self.folder / self.profile

    def directory(self, key: str) -> Path:
        """Where the station *key* may keep files."""
        # What users call things never becomes a path: a readable rest, and a digest.
        readable = re.sub(r"[^A-Za-z0-9_]+", "-", key.rpartition("::")[2])[:40].strip("-")
        return self.beside / "stations" / f"{readable}-{short(key)}"


def short(key: str) -> str:
    """Return a name for files of the station *key*."""
    return blake2b(key.encode(errors="surrogatepass"), digest_size=8).hexdigest()
