"""The plumbing below the stations: HTTP on loopback, archives, and services that outlive pytest."""

import io
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from pytest_choochoo import Visit

SERVICES = Path(__file__).resolve().parent / "services"
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
        return f"{self.name} did not start; its log ends with\n{self.log}"


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
    received: Callable[[int], object] = lambda size: None,
) -> Response:
    """Return the response to a request to *url*, which is sent to this machine whatever its host.

    *received* is called with the size of each piece of its body.
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
            time.sleep(len(piece) / RATE)
            received(len(piece))
        response = Response(
            status=answer.status, headers=dict(answer.getheaders()), body=b"".join(pieces)
        )
    except TimeoutError:
        raise TimeoutError(f"{method} {url} was not answered within {TIMEOUT} s") from None
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
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as unfinished:
        for path in paths:
            # Neither times nor compression: both would make equal files differ.
            unfinished.writestr(
                zipfile.ZipInfo(path.relative_to(directory).as_posix()), path.read_bytes()
            )
    return archive.getvalue()


def running(name: str, visit: Visit) -> str:
    """Return the URL of the station's service *name*; start the service unless it answers."""
    return next((url for url in _known(name, visit) if _pid(url)), None) or start(name, visit)


def start(name: str, visit: Visit, root: Path = SERVICES, **environment: str) -> str:
    """Start *name* from *root*, detached, in the station's directory; return its URL.

    It keeps its last URL if the port is still free: a mere restart changes no outcome.
    """
    last = urlsplit(next(iter(_known(name, visit)), f"http://127.0.0.1:0/{secrets.token_hex(8)}"))
    port, token = str(last.port), last.path.removeprefix("/")
    address, log = visit.dir / f"{name}.url", visit.dir / f"{name}.log"
    address.unlink(missing_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-B", SERVICES / "serve.py", name, root, visit.dir, port, token],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=visit.dir,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    try:
        _wait_until(lambda: address.exists() or process.poll() is not None)
        if not address.exists():
            raise DidNotStartError(name, _end_of(log))
    except BaseException:
        process.kill()
        process.wait()
        raise
    # A process that dies before pytest does stays a zombie unless pytest waits for it.
    threading.Thread(target=process.wait, daemon=True).start()
    visit.resources[name] = address.read_text()
    return address.read_text()


def stop(name: str, visit: Visit) -> None:
    """Stop the station's service *name* wherever it is running; return when it is gone."""
    for url in _known(name, visit):
        pid = _pid(url)
        if pid is None:
            continue
        os.kill(pid, signal.SIGTERM)
        if not _wait_until(partial(_is_gone, url)):
            raise DidNotStopError(name, pid)


def _known(name: str, visit: Visit) -> list[str]:
    """Return the last known URLs of *name*: from its own file, and from the visit's resources."""
    address = visit.dir / f"{name}.url"
    written = [address.read_text()] if address.exists() else []
    noted = [str(visit.resources[name])] if name in visit.resources else []
    # Both: the file outlives a visit killed before its note, the note outlives the directory.
    return written + noted


def _pid(url: str) -> int | None:
    try:
        return int(request("GET", f"{url}/-/pid").body)
    except (ConnectionError, HTTPException, RequestRefusedError):
        return None  # no service, or another one; a service that hangs raises its timeout


def _is_gone(url: str) -> bool:
    return _pid(url) is None


def _wait_until(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return met


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-8:])
