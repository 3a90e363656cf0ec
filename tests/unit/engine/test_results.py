"""Results shared between the processes of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_choochoo.engine import results
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.opening import open_ledger
from pytest_choochoo.engine.ledger.protocol import LostLedger
from pytest_choochoo.engine.results import Results


def test_nobody_is_awaited_where_nobody_could_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a result finds out by himself that the ledger takes none any more."""
    monkeypatch.setattr(results, "_PATIENCE", 0.0)
    place = LedgerLocation(tmp_path, "default")
    ledger = open_ledger(place)
    ledger.start_run("run")
    place.file.rename(tmp_path / "moved.sqlite")

    with pytest.raises(LostLedger):
        Results(ledger, "run").awaited("stations.py::boil")

    ledger.close()
