"""Where the ledger of one profile lies."""

from __future__ import annotations

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
