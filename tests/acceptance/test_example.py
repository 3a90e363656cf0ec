"""The example project, run from beginning to end: its README's promises, with real processes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

import pytest
from harness import outside

EXAMPLE = Path(__file__).resolve().parents[2] / "example_project"
CACHE = ".pytest_cache"
PATIENCE = 20  # seconds for a killed process to be gone
PRODUCTS = r".*\.(pid|url|log|zip|html)|config\.json|guestbook\.(py|sqlite3)"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="looks for processes with ps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The result of one pytest command on the example."""

    exit_code: int
    closing: str
    results: dict[str, tuple[str, ...]]
    failed: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A copy of the example, and the processes that it started."""

    path: Path
    workers: tuple[str, ...]

    def run(self, *arguments: str) -> Run:
        facts = self.path.parent / "facts.xml"
        facts.unlink(missing_ok=True)
        options = ("-rf", f"--junitxml={facts}", *self.workers, *arguments)
        command = [sys.executable, "-m", "pytest", *options]
        done = subprocess.run(
            command,
            cwd=self.path,
            env=outside() | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        text = done.stdout + done.stderr
        closing = re.search(r"^choochoo: (\d.*) in [\d.]+", text, re.MULTILINE)
        return Run(
            exit_code=done.returncode,
            closing=closing[1] if closing else "",
            results=_by_result(ElementTree.parse(facts)) if facts.exists() else {},
            failed=tuple(sorted(re.findall(r"^FAILED \S+::(\w+)", text, re.MULTILINE))),
            text=text,
        )

    def edit(self, name: str, old: str, new: str) -> None:
        file = self.path / name
        content = file.read_text()
        assert old in content
        file.write_text(content.replace(old, new))

    def processes(self) -> dict[int, str]:
        """Return the living processes of this copy, and the service that each one is."""
        listing = subprocess.run(
            ["ps", "-axww", "-o", "pid=,stat=,command="], capture_output=True, text=True, check=True
        )
        return {
            int(pid): command.split("serve.py ")[1].split()[0]
            for pid, state, command in (
                line.split(maxsplit=2) for line in listing.stdout.splitlines()
            )
            if f"{self.path}/services/serve.py " in command and not state.startswith("Z")
        }

    def kill(self, *services: str) -> None:
        """Kill *services*, or all of them; return when they are gone."""
        doomed = {
            pid for pid, service in self.processes().items() if not services or service in services
        }
        for pid in doomed:
            os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + PATIENCE
        while doomed & self.processes().keys():
            assert time.monotonic() < end, self.processes()

    def files(self) -> set[str]:
        """Return the files of the project, without those in its cache that no station makes."""
        return {
            str(file.relative_to(self.path))
            for file in self.path.rglob("*")
            if file.is_file() and (CACHE not in file.parts or re.fullmatch(PRODUCTS, file.name))
        }

    def sign(self, **entry: str) -> None:
        """Write *entry* into the guestbook, through the domain."""
        _ask("POST", self.site, urlencode(entry))

    def page(self) -> str:
        """Return the guestbook's page, as served under the domain."""
        return _ask("GET", self.site)

    @property
    def site(self) -> str:
        """The address in the first notification."""
        inbox = next(self.path.rglob("inbox.url")).read_text()
        return _ask("GET", f"{inbox}/messages/1").split()[0]


def _by_result(
    report: ElementTree.ElementTree[ElementTree.Element],
) -> dict[str, tuple[str, ...]]:
    """Return the names of the stations by result, sorted."""
    found: dict[str, list[str]] = {}
    for case in report.iter("testcase"):
        for result in case.iterfind("properties/property[@name='choochoo.result']"):
            found.setdefault(result.get("value", ""), []).append(case.get("name", ""))
    return {result: tuple(sorted(names)) for result, names in found.items()}


def _ask(method: str, url: str, form: str = "") -> str:
    parts = urlsplit(url)
    connection = HTTPConnection("127.0.0.1", parts.port, timeout=5)
    try:
        headers = {"Host": parts.netloc, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, parts.path, form, headers)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@pytest.fixture(params=[(), ("-n", "2")], ids=["serial", "two-workers"])
def town(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Town]:
    ignored = shutil.ignore_patterns(CACHE, "__pycache__", ".*_cache")
    copy = shutil.copytree(EXAMPLE, tmp_path / "example", ignore=ignored)
    town = Town(path=copy, workers=request.param)
    yield town
    town.kill()


@pytest.fixture
def live(town: Town) -> Town:
    """The town after its first run."""
    run = town.run("--cc-run")
    assert (run.exit_code, run.closing) == (0, "8 visited"), run.text
    return town


def test_second_run_changes_nothing(live: Town) -> None:
    """The workflow is done once; afterwards its tests pass without another run."""
    processes = live.processes()

    run = live.run("--cc-run")
    tests = live.run()

    assert (run.exit_code, run.closing) == (0, "8 unchanged"), run.text
    assert (tests.exit_code, tests.failed) == (0, ()), tests.text
    assert live.processes() == processes
    assert sorted(processes.values()) == ["artifact_server", "guestbook", "inbox", "proxy"]


def test_edited_source_is_propagated(live: Town) -> None:
    """A new version of the app reaches the domain; the database and the domain are left alone."""
    live.sign(name="Ann", message="was here before")
    live.edit("app/page.html", "<button>Sign<", "<button>Sign here<")

    run = live.run("--cc-run")

    assert (run.exit_code, run.closing) == (0, "6 visited, 2 unchanged"), run.text
    assert run.results["unchanged"] == ("allocate_domain", "create_db")
    assert "<button>Sign here<" in live.page()
    assert "<b>Ann</b><br>was here before" in live.page()
    assert len(live.processes()) == 4


def test_killed_app_is_drift(live: Town) -> None:
    """Checks pass, and fail once the app is killed; the next run starts the app and nothing else."""
    green = live.run("--cc-check", "-m", "station")
    live.kill("guestbook")

    red = live.run("--cc-check", "-m", "station")
    run = live.run("--cc-run")

    assert (green.exit_code, green.failed) == (0, ()), green.text
    assert (red.exit_code, red.failed) == (1, ("attach_domain", "run_app")), red.text
    assert (run.exit_code, run.closing) == (0, "1 visited, 7 unchanged"), run.text
    assert run.results["visited"] == ("run_app",)
    assert len(live.processes()) == 4


def test_last_two_are_replayed(live: Town) -> None:
    """The last two stations are visited again on demand; their running services are used."""
    processes = live.processes()

    run = live.run("--cc-replay", "last:2")

    assert (run.exit_code, run.closing) == (0, "2 visited, 6 unchanged"), run.text
    assert run.results["visited"] == ("attach_domain", "notify_completion")
    assert live.processes() == processes


def test_failure_at_step_five_resumes_there(town: Town) -> None:
    """Steps before the failure stay, later ones are blocked, and the fix resumes there."""
    town.edit("settings.toml", "newest = 20", "newest = many")

    broken = town.run("--cc-run", "-m", "station")
    left = sorted(town.processes().values())
    town.edit("settings.toml", "newest = many", "newest = 20")
    fixed = town.run("--cc-run", "-m", "station")

    assert (broken.exit_code, broken.closing) == (1, "5 visited, 1 failed, 2 blocked"), broken.text
    assert broken.results["failed"] == ("run_app",)
    assert broken.results["blocked"] == ("attach_domain", "notify_completion")
    assert "guestbook did not start; its log ends with" in broken.text
    assert "TOMLDecodeError: Invalid value" in broken.text
    assert left == ["artifact_server", "proxy"]
    assert (fixed.exit_code, fixed.closing) == (0, "3 visited, 5 unchanged"), fixed.text
    assert fixed.results["visited"] == ("attach_domain", "notify_completion", "run_app")


def test_app_that_does_not_compile_is_repaired(live: Town) -> None:
    """A broken version of the app fails its station cleanly, and the repaired version runs."""
    live.edit("app/guestbook.py", "def page()", "def page(")

    broken = live.run("--cc-run", "-m", "station")
    left = sorted(live.processes().values())
    live.edit("app/guestbook.py", "def page(", "def page()")
    fixed = live.run("--cc-run")

    assert broken.exit_code == 1, broken.text
    assert broken.results["visited"] == ("download_app", "link_app_to_db", "upload_app")
    assert broken.results["failed"] == ("run_app",)
    assert "SyntaxError" in broken.text
    assert left == ["artifact_server", "inbox", "proxy"]
    assert fixed.exit_code == 0, fixed.text
    assert sorted(live.processes().values()) == ["artifact_server", "guestbook", "inbox", "proxy"]


@pytest.mark.parametrize("before", [(), ("--cache-clear",)], ids=["cache-kept", "cache-cleared"])
def test_clean_leaves_nothing(town: Town, before: tuple[str, ...]) -> None:
    """Cleaning leaves no process, and no file but the ledger, even after the cache was cleared."""
    files = town.files()
    town.run("--cc-run", "-m", "station")

    run = town.run("--cc-clean", *before)

    assert run.exit_code == 0, run.text
    assert town.processes() == {}
    assert town.files() == files
