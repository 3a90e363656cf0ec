"""A ledger that several accounts use: a folder with the setgid bit, and one that is forbidden."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can run as other accounts"
)

STATIONS = """
from pytest_choochoo import Secret, Visit, station

@station
def kettle(visit: Visit) -> Secret[str]:
    (visit.dir / "note").write_text("")
    return Secret("s")

@station(place="host")
def stove(visit: Visit) -> None:
    (visit.dir / "note").write_text("")
    visit.resources["gas"] = 1
"""
FIRST, SECOND, GROUP = 31001, 31002, 31000


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A checkout that every account may read, with a folder for the ledger in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "stations.py").write_text(STATIONS)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "state").mkdir()
        os.chown(folder / "state", FIRST, GROUP)
        yield folder


def _run(checkout: Path, account: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    python = _python_for_all()
    return subprocess.run(
        [python, "-m", "pytest", "-p", "no:cacheprovider", "--cc-state=state", *arguments],
        user=account,
        group=account,
        extra_groups=[GROUP],
        umask=0o077,
        cwd=checkout,
        env=_environment(checkout),
        capture_output=True,
        text=True,
        check=False,
    )


def _environment(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "pytest_choochoo.plugin",
    }


@cache
def _python_for_all() -> str:
    """Return a Python that other accounts can run; one in root's home they cannot."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            subprocess.run(
                [python, "-c", "import pytest_choochoo, pytest, filelock, sqlite3"],
                user=FIRST,
                cwd="/",
                env=_environment(Path("/")),
                check=True,
                capture_output=True,
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    pytest.skip("other accounts cannot run this Python")


def test_ledger_follows_the_group_and_mode_of_its_folder(checkout: Path) -> None:
    """A second account of the folder's group uses the ledger, whatever the umask of the first."""
    state = checkout / "state"
    state.chmod(0o2770)
    first = _run(checkout, FIRST, "--cc-run")
    made = [path.stat() for path in state.rglob("*") if path.name != "note"]
    second = _run(checkout, SECOND, "--cc-run", "-v")
    cleaned = _run(checkout, SECOND, "--cc-clean")

    assert first.returncode == 0, first.stdout + first.stderr
    assert {each.st_gid for each in made} == {GROUP}
    assert {stat.S_IMODE(each.st_mode) for each in made} == {0o2770, 0o660}
    assert second.returncode == 0, second.stdout + second.stderr
    assert second.stdout.count("UNCHANGED") == 2
    assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr


@pytest.mark.parametrize("command", ["--cc-run", "--cc-check"])
def test_forbidden_ledger_is_an_error_with_owner_and_mode(checkout: Path, command: str) -> None:
    """It is never taken for one in which nothing was visited."""
    (checkout / "state").chmod(0o700)
    assert _run(checkout, FIRST, "--cc-run").returncode == 0

    done = _run(checkout, SECOND, command)

    state = checkout / "state"
    assert done.returncode == 4
    assert done.stderr.strip() == (
        f"ERROR: this account may not use the ledger {state / 'default.sqlite'}: {state} belongs "
        f"to user {FIRST}, with mode 0700; share a folder with a group (chmod 2770), or name "
        "another with --cc-state"
    )
    shutil.rmtree(state)
