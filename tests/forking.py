"""Processes with pytest that are forked from one which has imported it, instead of new interpreters.

A run under `-n 2` consists of three processes, each of which would import pytest, xdist and the
plugin: three quarters of the time. `ForkServer` starts one process that has imported them. It forks
a process for each command, and for each worker that xdist starts in such a process. Everything
else is as in a new interpreter: the working directory, the environment, `sys.path`, the files.
Modules of the package are imported already, as they are in runs in the process of the tests; a
test about imports needs a new interpreter.
"""

from __future__ import annotations

import gc
import io
import json
import os
import pkgutil
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO

import pytest
from execnet import gateway_io
from execnet.gateway_base import ExecModel, Popen2IO
from execnet.gateway_io import Popen2IOMaster, popen_bootstrapline
from execnet.xspec import XSpec
from installed import read_once

HERE = Path(__file__).resolve().parent
PACKAGES = ("_pytest", "xdist", "execnet", "pytest_choochoo")
MODULES = ("effects", "filelock", "jinja2", "rich.console")
LENGTH = 8  # bytes before a message, which say how long it is


class ForkedProcess:
    """A process that the server forked, with those methods of `subprocess.Popen` that are used."""

    def __init__(self, connection: socket.socket, number: int) -> None:
        self.pid = number
        self.returncode: int | None = None
        self._connection = connection
        self._waiting = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None as long as the process runs."""
        with self._waiting:
            if self.returncode is None and self._has_ended(0):
                self._read_exit_code()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, and return the exit code; raise `TimeoutError` after *timeout*."""
        with self._waiting:
            if self.returncode is None:
                if not self._has_ended(timeout):
                    raise TimeoutError(f"process {self.pid} still runs after {timeout} s")
                return self._read_exit_code()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _has_ended(self, timeout: float | None) -> bool:
        return bool(select.select([self._connection], [], [], timeout)[0])

    def _read_exit_code(self) -> int:
        with self._connection:
            self.returncode = code = int(json.loads(_received(self._connection)))
        return code


def fork(
    server: str,
    command: Sequence[str],
    files: Sequence[int],
    *,
    folder: str | Path,
    environment: Mapping[str, str],
    group: int,
) -> ForkedProcess:
    """Let the *server* fork `python COMMAND`, with *files* for its input, output and errors.

    It joins the process group *group*; 0: it leads a group of its own.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(server)
    socket.send_fds(connection, [b"!"], files)
    _send(connection, [command, str(folder), dict(environment), group])
    return ForkedProcess(connection, json.loads(_received(connection)))


def _send(connection: socket.socket, message: object) -> None:
    text = json.dumps(message).encode()
    connection.sendall(len(text).to_bytes(LENGTH, "big") + text)


def _received(connection: socket.socket) -> bytes:
    size = int.from_bytes(_exactly(connection, LENGTH), "big")
    return _exactly(connection, size)


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionError("the fork server ended")
        parts += part
    return bytes(parts)


class ForkServer:
    """The process that forks others; it is started when it is needed."""

    def __init__(self, *options: str) -> None:
        """*options*: those of most runs, which decide what is imported."""
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="fork-")
        self._address = str(Path(self._folder.name) / "server")

    def start(
        self,
        *command: str,
        files: Sequence[int],
        folder: str | Path,
        environment: Mapping[str, str],
        group: int = 0,
    ) -> ForkedProcess:
        """Start `python COMMAND`; see `fork`."""
        if self._process is None:
            self._process = self._started()
        return fork(
            self._address, command, files, folder=folder, environment=environment, group=group
        )

    def run(self, *command: str, output: IO[bytes], errors: IO[bytes]) -> int:
        """Run `python COMMAND` as a part of this process' group; return its exit code."""
        with open(os.devnull, "rb") as nothing:
            process = self.start(
                *command,
                files=[file.fileno() for file in (nothing, output, errors)],
                folder=os.getcwd(),
                environment=os.environ,
                group=os.getpgrp(),
            )
        try:
            return process.wait()
        finally:
            process.kill()

    def stop(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()  # the server notices the end of its input
            self._process.wait()
        self._folder.cleanup()

    def _started(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, __file__, self._address, *self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._folder.name,
            # Without the variables of the test that happens to be the first.
            env={
                k: v
                for k, v in os.environ.items()
                if not k.startswith(("CC_", "PYTEST", "PYTHONP"))
            },
        )
        assert process.stdout is not None
        with process.stdout as output:
            assert output.read(1) == b"!", "the fork server did not start"
        return process


class Server:
    """The loop of the server: it forks on request, and reports the ends of its children."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._path = [entry for entry in sys.path if entry != str(HERE)]
        self._children: dict[int, socket.socket] = {}
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(address)
        self._listening.listen(64)
        self._selector = selectors.DefaultSelector()
        self._bell, self._ringing = socket.socketpair()
        self._bell.setblocking(False)
        self._ringing.setblocking(False)
        signal.set_wakeup_fd(self._ringing.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Ctrl-C ends the tests, and with them the server.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def serve(self) -> Callable[[], None] | None:
        """Return None when the input ends and, in each child, the function that it must call."""
        for file in (sys.stdin, self._listening, self._bell):
            self._selector.register(file, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in self._selector.select()}
            if self._bell in ready:
                self._bell.recv(4096)
                self._report_ends()
            if self._listening in ready:
                command = self._fork()
                if command is not None:
                    return command
            if sys.stdin in ready:
                return None

    def _report_ends(self) -> None:
        for number in tuple(self._children):
            ended, status = os.waitpid(number, os.WNOHANG)
            if ended:
                with self._children.pop(number) as connection:
                    _reply(connection, os.waitstatus_to_exitcode(status))

    def _fork(self) -> Callable[[], None] | None:
        connection, _ = self._listening.accept()
        _, files, _, _ = socket.recv_fds(connection, 1, 3)
        command, folder, environment, group = json.loads(_received(connection))
        number = os.fork()
        if number:
            for file in files:
                os.close(file)
            self._children[number] = connection
            return None
        os.setpgid(0, group)
        _reply(connection, os.getpid())
        connection.close()
        self._close()
        _become(files, folder, environment)
        return lambda: self._execute(command)

    def _close(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Also where the tests run in the background of a shell, which ignores it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._selector.close()
        for each in (self._listening, self._bell, self._ringing, *self._children.values()):
            each.close()

    def _execute(self, command: Sequence[str]) -> None:
        more = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        gateway_io.create_io = forked_io(self.address)  # type: ignore[assignment]
        option, what, *arguments = command
        if option == "-m":
            sys.path[:] = [os.getcwd(), *more, *self._path]
            sys.argv[1:] = arguments
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:  # -c
            sys.path[:] = ["", *more, *self._path]
            sys.argv[:] = [option]
            main = sys.modules["__main__"] = ModuleType("__main__")
            exec(what, vars(main))


def _become(files: Sequence[int], folder: str, environment: Mapping[str, str]) -> None:
    """Turn this process into one as the operating system would have started it."""
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(line_buffering=os.isatty(1))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))


def _reply(connection: socket.socket, message: object) -> None:
    with suppress(BrokenPipeError):  # the process that asked has ended, and reads no answer
        _send(connection, message)


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    readable, writable = os.pipe()
    return open(readable, "rb"), open(writable, "wb")


def forked_io(server: str) -> Callable[..., Popen2IO]:
    """Return execnet's function that starts a worker, which forks it from the *server*."""

    class ForkedIO(Popen2IOMaster):
        def __init__(self, execmodel: ExecModel) -> None:
            their_input, our_output = _pipe()
            our_input, their_output = _pipe()
            with their_input, their_output:
                assert sys.__stderr__ is not None
                files = their_input, their_output, sys.__stderr__
                self.popen = fork(
                    server,
                    ["-c", popen_bootstrapline],
                    [file.fileno() for file in files],
                    folder=os.getcwd(),
                    environment=os.environ,
                    group=os.getpgrp(),
                )
            Popen2IO.__init__(self, our_output, our_input, execmodel=execmodel)

    def create_io(spec: XSpec, execmodel: ExecModel) -> Popen2IO:
        # xdist copies pytest to the directory of a worker that has its own, to be imported there.
        is_plain = spec.popen and not spec.chdir and not spec.python
        return ForkedIO(execmodel) if is_plain else start(spec, execmodel)

    start = gateway_io.create_io
    return create_io


class Imports:
    """A plugin that imports all that runs import, while pytest's import hook rewrites asserts."""

    def pytest_configure(self) -> None:
        for name in PACKAGES:
            package = import_module(name)
            for room in pkgutil.walk_packages(package.__path__, f"{name}."):
                if (
                    not room.name.endswith(("__main__", "looponfail"))
                    and ".script" not in room.name
                ):
                    import_module(room.name)
        for name in MODULES:
            import_module(name)


def _warm_up(folder: str, options: Sequence[str]) -> None:
    """Run pytest without a test, so that nothing is imported or read for the first time later."""
    read_once(pytest.MonkeyPatch())
    nothing = ["-s", "--collect-only", "-p", "no:cacheprovider", f"--rootdir={folder}", folder]
    with redirect_stdout(io.StringIO()) as output:
        code = pytest.main([*options, *nothing], plugins=[Imports()])
    assert code == pytest.ExitCode.NO_TESTS_COLLECTED, output.getvalue()
    gc.collect()
    gc.freeze()


def main(address: str, *options: str) -> None:
    server = Server(address)
    _warm_up(str(Path(address).parent), options)
    os.write(1, b"!")
    os.dup2(2, 1)
    command = server.serve()
    if command is not None:
        command()


if __name__ == "__main__":
    main(*sys.argv[1:])
