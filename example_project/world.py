"""The plumbing below the stations: HTTP on loopback, archives, and services that outlive pytest.

All that the stations make lies where `settings.toml` says, so every checkout finds it there.
"""

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
SERVICES = HERE / "services"
SETTINGS = tomllib.loads((HERE / "settings.toml").read_text("utf-8"))
WORLD = HERE / Path(SETTINGS["world"]["folder"]).expanduser()
PORTS = SETTINGS["world"]["ports"]
PATIENCE = 20  # seconds for a service to come up or to go away
TIMEOUT = 5  # seconds for it to answer
PIECE = 1024  # bytes that are sent or received at once
RATE = 64 * 1024  # bytes a second at most, as on a slow line, so that there is something to watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class RequestRefusedError(Exception):
    def __init__(self, method: str, url: str, status: int, body: str) -> None:
        super().__init__(method, url, status, body)
        self.method, self.url, self.status, self.body = method, url, status, body

    def __str__(self) -> str:
        return f"{self.method} {self.url} returned {self.status}: {self.body}"


class DidNotStartError(Exception):
    def __init__(self, name: str, log: str) -> None:
        super().__init__(name, log)
        self.name, self.log = name, log

    def __str__(self) -> str:
        lines = self.log.splitlines() or ["its log is empty"]
        whole = f"\nIts log ends with\n{self.log}" if len(lines) > 1 else ""
        return f"{self.name} did not start: {lines[-1]}{whole}"


class DidNotStopError(Exception):
    def __init__(self, name: str, pid: int) -> None:
        super().__init__(name, pid)
        self.name, self.pid = name, pid

    def __str__(self) -> str:
        return f"{self.name} did not stop; its process is {self.pid}"


def request(
    method: str,
    url: str,
    body: str | bytes | Iterable[bytes] = b"",
    headers: Mapping[str, str] | None = None,
    received: Callable[[int], object] | None = None,
) -> Response:
    """Return the response to a request to *url*, which is sent to this machine whatever its host.

    *received* is called with the size of each piece of its body, which then comes as on a slow line.
    """
    parts = urlsplit(url)
    # Browsers know that *.localhost is loopback, but a resolver may not; and no proxy is used.
    connection = HTTPConnection("127.0.0.1", parts.port, timeout=TIMEOUT)
    try:
        connection.request(method, parts.path, body, {"Host": parts.netloc, **(headers or {})})
        answer = connection.getresponse()
        pieces = []
        while piece := answer.read(PIECE):
            pieces.append(piece)
            if received is not None:
                time.sleep(len(piece) / RATE)
                received(len(piece))
        response = Response(
            status=answer.status, headers=dict(answer.getheaders()), body=b"".join(pieces)
        )
    except TimeoutError:
        raise TimeoutError(
            f"{method} {url} was not answered within {TIMEOUT} s: "
            "the service hangs, or another program has its port"
        ) from None
    finally:
        connection.close()
    if response.status >= 400:
        raise RequestRefusedError(method, url, response.status, response.text)
    return response


def upload(url: str, content: bytes, sent: Callable[[int], object]) -> None:
    """PUT *content* piece by piece; call *sent* with the size of each piece."""

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(content), PIECE):
            piece = content[start : start + PIECE]
            yield piece
            time.sleep(len(piece) / RATE)
            sent(len(piece))

    request("PUT", url, pieces(), {"Content-Length": str(len(content))})


def zipped(directory: Path, patterns: Iterable[str]) -> bytes:
    """Return an archive of the files that match, always the same bytes for the same files."""
    paths = sorted({path for pattern in patterns for path in directory.glob(pattern)})
    if not paths:
        raise FileNotFoundError(f"no {' or '.join(patterns)} in {directory}")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as unfinished:
        for path in paths:
            # Neither times nor compression: both would make equal files differ.
            unfinished.writestr(
                zipfile.ZipInfo(path.relative_to(directory).as_posix()), path.read_bytes()
            )
    return archive.getvalue()


def remove(*paths: Path) -> None:
    """Remove the files and folders *paths*, and the folder of the world if it is empty then."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    with suppress(OSError):  # it is not empty, or gone
        WORLD.rmdir()


def address(name: str) -> str:
    """Return the URL of the service *name*, whether or not it is running.

    Its path stands for the folder of the world: a service of another one does not answer there.
    """
    return f"http://127.0.0.1:{PORTS[name]}/{sha256(os.fsencode(WORLD)).hexdigest()[:16]}"


def running(name: str) -> str:
    """Return the URL of the service *name*; start the service unless it answers."""
    with suppress(TimeoutError):  # another program may have the port: starting says so
        if _pid(name) is not None:
            return address(name)
    return start(name)


def start(name: str, root: Path = SERVICES, **environment: str) -> str:
    """Start the service *name* from *root*, detached from pytest; return its URL."""
    WORLD.mkdir(parents=True, exist_ok=True)
    announcement, log = WORLD / f"{name}.pid", WORLD / f"{name}.log"
    announcement.unlink(missing_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-B", SERVICES / "serve.py", name, root, address(name)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=WORLD,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    try:
        _wait_until(lambda: announcement.exists() or process.poll() is not None)
        if not announcement.exists():
            raise DidNotStartError(name, _end_of(log))
    except BaseException:
        process.kill()
        process.wait()
        raise
    # A process that dies before pytest does stays a zombie unless pytest waits for it.
    threading.Thread(target=process.wait, daemon=True).start()
    return address(name)


def stop(name: str) -> None:
    """Stop the service *name* if it is running; return when it is gone, and its files as well."""
    pid = _pid(name)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        if not _wait_until(lambda: _pid(name) is None):
            raise DidNotStopError(name, pid)
    remove(WORLD / f"{name}.pid", WORLD / f"{name}.log")


def _pid(name: str) -> int | None:
    try:
        return int(request("GET", f"{address(name)}/-/pid").body)
    except (ConnectionError, HTTPException, RequestRefusedError):
        return None  # no service, or another one; a service that hangs raises its timeout


def _wait_until(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return met


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-8:])
