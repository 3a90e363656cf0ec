"""The fixtures of all tests: a railyard, and the modes in which it is ridden."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from railyard import MODES, Railyard
from trains import Trains

# For the benchmarks. At the end: the package that is tested is the one that is installed.
sys.path.append(str(Path(__file__).resolve().parent.parent))

pytest_plugins = ["pytester"]


@pytest.fixture
def railyard(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Railyard:
    """A project of its own, empty as yet; see `railyard.py` for what can be done with it."""
    return Railyard(pytester, monkeypatch)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest, railyard: Railyard) -> str:
    """Every ride once in this process and once under `-n 2`: for what crosses processes."""
    MODES[request.param](railyard)
    return str(request.param)


@pytest.fixture
def trains(railyard: Railyard) -> Iterator[Trains]:
    """Runs in the background, ended with the test; see `trains.py`."""
    trains = Trains(railyard=railyard)
    yield trains
    trains.stop()
