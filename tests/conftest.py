"""The fixtures of all tests: a project, and the modes in which its runs take place."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from background import BackgroundRuns
from forking import ForkServer
from harness import AMBIENT, MODES, OPTIONAL, Project
from installed import read_once

# For the benchmarks. At the end, so that the installed package is tested.
sys.path.append(str(Path(__file__).resolve().parent.parent))

pytest_plugins = ["pytester"]


@pytest.fixture(scope="session", autouse=True)
def garbage_is_collected_among_what_is_new() -> Iterator[None]:
    """Spare the collector what lives until the end anyway: pytest calls it after inner runs."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def distributions_are_read_once() -> Iterator[None]:
    """No test installs anything, so that all runs in this process find the same plugins."""
    with pytest.MonkeyPatch.context() as patch:
        read_once(patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_ambient_variables() -> Iterator[None]:
    """Runs of the tests print the same on a laptop, in CI and in a shell that forces colours."""
    with pytest.MonkeyPatch.context() as environment:
        for name in AMBIENT:
            environment.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    """The server that forks the processes of runs under xdist; see `forking.py`."""
    server = ForkServer(*(f"-pno:{name}" for name in OPTIONAL.values()))
    yield server
    server.stop()


@pytest.fixture
def project(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, forks: ForkServer
) -> Project:
    """A new, empty project; see `harness.py` for its methods."""
    return Project(pytester, monkeypatch, forks)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest, project: Project) -> str:
    """Run the project's commands in this process, and once more under `-n 2`."""
    MODES[request.param](project)
    return str(request.param)


@pytest.fixture
def background(project: Project, forks: ForkServer) -> Iterator[BackgroundRuns]:
    """Runs in the background, which end with the test; see `background.py`."""
    background = BackgroundRuns(project=project, forks=forks)
    yield background
    background.stop()
