"""The fixtures of all tests: a project, and the modes in which it is ridden."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from background import BackgroundRuns
from harness import MODES, Project

# For the benchmarks. At the end: the package that is tested is the one that is installed.
sys.path.append(str(Path(__file__).resolve().parent.parent))

pytest_plugins = ["pytester"]


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of its own, empty as yet; see `harness.py` for what can be done with it."""
    return Project(pytester, monkeypatch)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest, project: Project) -> str:
    """Every run once in this process and once under `-n 2`: for what crosses processes."""
    MODES[request.param](project)
    return str(request.param)


@pytest.fixture
def background(project: Project) -> Iterator[BackgroundRuns]:
    """Runs in the background, ended with the test; see `background.py`."""
    background = BackgroundRuns(project=project)
    yield background
    background.stop()
