"""The collection hooks: their costs in a project without stations."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness import outside

REPORT = """
import sys

def pytest_sessionfinish():
    rooms = [name for name in sys.modules if name.startswith("pytest_choochoo.")]
    print("\\nrooms:", *rooms)
"""
STATION = "from pytest_choochoo import station\n\n@station\ndef boil(): ...\n"


def _rooms(folder: Path) -> set[str]:
    """Return the modules of this package that a plain run of pytest in *folder* imports."""
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:xdist"]
    done = subprocess.run(
        command, cwd=folder, env=outside(), capture_output=True, text=True, check=False
    )
    [line] = [line for line in done.stdout.splitlines() if line.startswith("rooms:")]
    return {name.removeprefix("pytest_choochoo.") for name in line.split()[1:]}


@pytest.mark.parametrize("has_station", [False, True])
def test_rooms_of_stations_are_imported_when_one_is_met(tmp_path: Path, has_station: bool) -> None:
    """A project without stations imports only the hooks of this folder."""
    (tmp_path / "conftest.py").write_text(REPORT)
    (tmp_path / "test_tea.py").write_text("def test_tea(): ...\n")
    if has_station:
        (tmp_path / "stations.py").write_text(STATION)

    rooms = _rooms(tmp_path)

    needed = {"collection.registry", "collection.files", "collection.dependencies"}
    assert needed & rooms == (needed if has_station else set())
    assert "collection.hooks" in rooms
