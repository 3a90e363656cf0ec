"""Copies of the example project: each town has a world of its own, which its checkouts share."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

from filelock import FileLock, Timeout
from harness import outside

EXAMPLE = Path(__file__).resolve().parents[1] / "example_project"
CACHE = ".pytest_cache"
PATIENCE = 20  # seconds for a killed process to be gone
SERVICES = ("artifact_server", "guestbook", "proxy", "inbox")
FIRST_PORTS = range(20000, 30000, len(SERVICES))


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
    """A checkout of the example, with the folder and the ports of its world."""

    path: Path
    world: Path
    first_port: int
    workers: tuple[str, ...]

    def checkout(self, name: str) -> Town:
        """Make another checkout, without records, whose settings lead to the same world."""
        path = self.path.parent / name
        shutil.copytree(EXAMPLE, path, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
        settings = path / "settings.toml"
        text = re.sub(r'folder = ".*"', f'folder = "{self.world}"', settings.read_text())
        for number, service in enumerate(SERVICES, self.first_port):
            text = re.sub(rf"{service} = \d+", f"{service} = {number}", text)
        settings.write_text(text)
        return replace(self, path=path)

    def run(self, *arguments: str) -> Run:
        facts = self.path / f"facts-{self.path.name}.xml"
        facts.unlink(missing_ok=True)
        options = ("-rf", f"--junitxml={facts}", *self.workers, *arguments)
        # Without all the other plugins that are installed here, which take seconds to start.
        command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "choochoo", *options]
        done = subprocess.run(
            command,
            cwd=self.path,
            env=outside() | {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        text = done.stdout + done.stderr
        closing = re.search(r"^choochoo: (\d.*) in [\d.]+", text, re.MULTILINE)
        results = _by_result(ElementTree.parse(facts)) if facts.exists() else {}
        facts.unlink(missing_ok=True)
        return Run(
            exit_code=done.returncode,
            closing=closing[1] if closing else "",
            results=results,
            failed=tuple(sorted(re.findall(r"^FAILED \S+::(\w+)", text, re.MULTILINE))),
            text=text,
        )

    def edit(self, name: str, old: str, new: str) -> None:
        file = self.path / name
        content = file.read_text()
        assert old in content
        file.write_text(content.replace(old, new))

    def processes(self) -> dict[int, str]:
        """Return the living processes of this world, and the service that each one is."""
        listing = subprocess.run(
            ["ps", "-axww", "-o", "pid=,stat=,command="], capture_output=True, text=True, check=True
        )
        ports = range(self.first_port, self.first_port + len(SERVICES))
        ours = re.compile(rf"serve\.py (\w+) .* http://127\.0\.0\.1:({'|'.join(map(str, ports))})/")
        found = (
            (int(pid), ours.search(command))
            for pid, state, command in (
                line.split(maxsplit=2) for line in listing.stdout.splitlines()
            )
            if not state.startswith("Z")
        )
        return {pid: match[1] for pid, match in found if match}

    def kill(self, *services: str) -> None:
        """Kill *services*, or all of them; return when they are gone."""
        doomed = {
            pid for pid, service in self.processes().items() if not services or service in services
        }
        for pid in doomed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + PATIENCE
        while doomed & self.processes().keys():
            assert time.monotonic() < end, self.processes()
            time.sleep(0.01)

    def files(self) -> set[str]:
        """Return the files of the checkout, without those in its cache."""
        return {
            str(file.relative_to(self.path))
            for file in self.path.rglob("*")
            if file.is_file() and CACHE not in file.parts
        }

    def sign(self, **entry: str) -> None:
        """Write *entry* into the guestbook, through the domain."""
        ask("POST", self.site, urlencode(entry))

    def page(self) -> str:
        """Return the guestbook's page, as served under the domain."""
        return ask("GET", self.site)

    @property
    def site(self) -> str:
        """The address of the site."""
        return f"http://guestbook.localhost:{self.first_port + SERVICES.index('proxy')}/"


@contextmanager
def town_in(folder: Path, workers: tuple[str, ...]) -> Iterator[Town]:
    """Make a town in *folder*, with ports that no other town has; kill its processes at last."""
    with ExitStack() as stack:
        first_port = next(port for port in FIRST_PORTS if _take(port, stack))
        world = Town(
            path=folder / "example", world=folder / "world", first_port=first_port, workers=workers
        )
        stack.callback(world.kill)
        yield world.checkout("example")


def _take(first_port: int, stack: ExitStack) -> bool:
    """Return whether the ports from *first_port* on are free, locked until *stack* is closed."""
    locks = Path(tempfile.gettempdir()) / f"towns-of-{os.getuid()}"
    locks.mkdir(exist_ok=True)
    lock = FileLock(locks / f"{first_port}.lock", timeout=0)
    try:
        stack.enter_context(lock)
    except Timeout:
        return False
    for port in range(first_port, first_port + len(SERVICES)):
        with socket.socket() as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def _by_result(
    report: ElementTree.ElementTree[ElementTree.Element],
) -> dict[str, tuple[str, ...]]:
    """Return the names of the stations by result, sorted."""
    found: dict[str, list[str]] = {}
    for case in report.iter("testcase"):
        for result in case.iterfind("properties/property[@name='choochoo.result']"):
            found.setdefault(result.get("value", ""), []).append(case.get("name", ""))
    return {result: tuple(sorted(names)) for result, names in found.items()}


def ask(method: str, url: str, form: str = "") -> str:
    """Return the body of the answer to a request to *url*, which is sent to this machine."""
    parts = urlsplit(url)
    connection = HTTPConnection("127.0.0.1", parts.port, timeout=5)
    try:
        headers = {"Host": parts.netloc, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, parts.path, form, headers)
        return connection.getresponse().read().decode()
    finally:
        connection.close()
