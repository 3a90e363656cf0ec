"""Notes the files and the variables that the project's code reads while a station is visited."""

from __future__ import annotations

import inspect
import os
import sys
import sysconfig
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

import pytest_choochoo

# Where modules lie that only do what the project's code asks for.
_LIBRARIES = tuple(
    f"{os.path.realpath(folder)}{os.sep}"
    for folder in {
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        os.path.dirname(pytest_choochoo.__file__),
    }
)
_INSTALLED = frozenset({"site-packages", "dist-packages"})
# The modules that ask for a variable by the name that they are given, and nothing on their own.
_ASK_BY_NAME = frozenset({"_collections_abc", "collections.abc", "string"})
# Such functions in modules that also ask for variables on their own.
_ASKING = {
    "os": ("getenv", "_Environ."),
    "posixpath": ("expandvars",),
    "ntpath": ("expandvars",),
}
# The clock of files, which is that of the kernel's last tick; `time` has no name for it.
_CLOCK_REALTIME_COARSE = 5


class Reads(msgspec.Struct):
    """Files, by path, and variables that were read, each with the first line that read it."""

    files: dict[Path, str] = msgspec.field(default_factory=dict)
    variables: dict[str, str] = msgspec.field(default_factory=dict)


class ReadWatch:
    """Notes what the code of the project at *root* reads, while it is on.

    *is_project_file* says of a file whether its code is the project's. Files below *ignored* are
    no inputs, and neither are those below a temporary directory that *root* does not lie in.
    Processes that a visit starts are not seen.
    """

    def __init__(
        self, root: Path, is_project_file: Callable[[str], bool], ignored: Iterable[Path]
    ) -> None:
        self._root = Path(os.path.realpath(root))
        self._is_project_file = cache(is_project_file)
        temporary = Path(os.path.realpath(tempfile.gettempdir()))
        also = () if self._root.is_relative_to(temporary) else (temporary,)
        self._ignored = (*(Path(os.path.realpath(each)) for each in ignored), *also)
        self._is_installed = cache(_is_installed)
        #: Where the reads of the moment are noted, the innermost last.
        self._reads: list[Reads] = []
        self._since = 0
        self._written: set[Path] = set()
        self._set: set[str] = set()

    def begin(self) -> None:
        """Begin with a visit: what it, or a fixture of it, writes from now on is no input."""
        self._since = _now()
        self._written.clear()
        self._set.clear()

    @contextmanager
    def noting(self, reads: Reads) -> Iterator[None]:
        """Note in *reads*, and nowhere else, what is read in the block."""
        self._reads.append(reads)
        try:
            with _watching(self):
                yield
        finally:
            self._reads.pop()

    # --- called while code runs

    def opened(self, path: Any, flags: int) -> None:
        """Take into account that the file at *path* is opened, with *flags* of `os.open`."""
        file = _path(path)
        if file is None or not file.is_relative_to(self._root):
            return
        is_written = bool(flags & (os.O_WRONLY | os.O_RDWR))
        if flags & (os.O_TRUNC | os.O_WRONLY) or not file.exists():
            if is_written:
                self._written.add(file)
            return
        if self._is_input(file):
            where = self._where(_caller(), self._is_library)
            if where is not None:
                self._reads[-1].files.setdefault(file, where)

    def made(self, path: Any) -> None:
        """Take into account that a file or folder at *path* is made by the visit."""
        file = _path(path)
        if file is not None:
            self._written.add(file)

    def asked_for(self, name: str) -> None:
        """Take into account that the variable *name* is asked for."""
        if name not in self._set:
            where = self._where(_caller(), _asks_for_others)
            if where is not None:
                self._reads[-1].variables.setdefault(name, where)

    def set(self, name: str) -> None:
        """Take into account that the visit sets the variable *name*."""
        self._set.add(name)

    # --- whether it counts

    def _is_input(self, file: Path) -> bool:
        if any(file.is_relative_to(each) for each in self._ignored):
            return False
        inside = file.relative_to(self._root).parents[:-1]
        above = [self._root / each for each in inside]
        if not self._written.isdisjoint((file, *above)) or any(map(self._is_installed, above)):
            return False
        try:  # another process may have written it for the visit
            return file.is_file() and file.stat().st_ctime_ns < self._since
        except OSError:
            return False

    def _where(
        self, frame: FrameType | None, is_between: Callable[[FrameType], bool]
    ) -> str | None:
        """Return the line of the project that leads to *frame*; None where none does.

        Between them are only frames of which *is_between* is true.
        """
        while frame is not None:
            file = frame.f_code.co_filename
            if self._is_project_file(file):
                return f"{self._label(file)}:{frame.f_lineno}"
            if not is_between(frame):
                return None
            frame = frame.f_back
        return None

    def _is_library(self, frame: FrameType) -> bool:
        """Return whether *frame* is that of a library, and imports nothing."""
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib"):
            return False  # what it reads is code
        is_inside = file.startswith(("<frozen ", *_LIBRARIES)) or _is_below_installed(file)
        return is_inside or os.path.realpath(file).startswith(_LIBRARIES)

    def _label(self, file: str) -> str:
        path = Path(os.path.realpath(file))
        return str(path.relative_to(self._root)) if path.is_relative_to(self._root) else file


def undeclared(
    reads: Sequence[Reads],
    declared: Iterable[Path],
    products: Sequence[Path],
    variables: Iterable[str],
) -> Reads:
    """Return those of *reads* that are neither declared nor code.

    *declared*: the files that are inputs; *products*: files and folders that visits make.
    """
    known = {Path(os.path.realpath(each)) for each in declared}
    made = tuple(Path(os.path.realpath(each)) for each in products)
    files: dict[Path, str] = {}
    asked: dict[str, str] = {}
    for each in reads:
        files = each.files | files
        asked = each.variables | asked
    files = {
        file: where
        for file, where in files.items()
        if file not in known and not any(file.is_relative_to(product) for product in made)
    }
    code = _code() if files else frozenset()  # there are many modules
    return Reads(
        files={file: where for file, where in files.items() if str(file) not in code},
        variables={name: where for name, where in asked.items() if name not in {*variables}},
    )


def _code() -> frozenset[str]:
    """Return the files of all modules that are imported."""
    modules = [*sys.modules.values()]
    files = (getattr(module, "__file__", None) for module in modules)
    return frozenset(os.path.realpath(file) for file in files if file)


def _caller() -> FrameType | None:
    """Return the frame that called what calls the watch's method that calls this."""
    frame = inspect.currentframe()
    for _ in range(3):
        frame = None if frame is None else frame.f_back
    return frame


def _path(path: Any) -> Path | None:
    """Return *path* without links; None for the number of an open file."""
    if isinstance(path, int) or path is None:
        return None
    return Path(os.path.realpath(os.fsdecode(path)))


def _now() -> int:
    """Return the time as files have it."""
    if sys.platform == "linux":
        return time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)
    return time.time_ns()


def _is_installed(folder: Path) -> bool:
    return folder.name in _INSTALLED or (folder / "pyvenv.cfg").exists()


def _is_below_installed(file: str) -> bool:
    return any(f"{os.sep}{name}{os.sep}" in file for name in _INSTALLED)


def _asks_for_others(frame: FrameType) -> bool:
    """Return whether *frame* asks for the variable that its caller names.

    Others ask on their own: `subprocess` for PATH, for example.
    """
    module = frame.f_globals.get("__name__", "")
    name = frame.f_code.co_qualname
    return module in _ASK_BY_NAME or name.startswith(_ASKING.get(module, ("\n",)))


# --- the process as a whole, which one watch looks at

#: The watches that are on, the innermost last; only that one looks.
_watches: list[ReadWatch] = []
_MADE: Mapping[str, int] = {"os.rename": 1, "os.link": 1, "os.symlink": 1, "os.mkdir": 0}


@contextmanager
def _watching(watch: ReadWatch) -> Iterator[None]:
    _install_hook()
    usual = type(os.environ)
    if not _watches:  # all who have the object, under whatever name, ask its class
        os.environ.__class__ = _watched(usual)
    _watches.append(watch)
    try:
        yield
    finally:
        _watches.pop()
        if not _watches:
            os.environ.__class__ = usual
            vars(os.environ).pop(_TAKEN, None)


@cache
def _install_hook() -> None:
    """Add the audit hook of this process: none can be removed."""
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    for watch in _watches[-1:]:
        if event == "open":
            path, _, flags = arguments
            watch.opened(path, flags)
        elif event in _MADE:
            watch.made(arguments[_MADE[event]])


_WATCHED, _TAKEN = "WatchedEnviron", "_names_taken"


@cache
def _watched(usual: Any) -> Any:
    """Return a subclass of the class of `os.environ` that tells the watch who asks for what."""

    def get(self: Any, name: str) -> Any:
        __tracebackhide__ = True
        taken = _taken(self)
        if taken and taken[0] == name:
            taken.popleft()
        else:
            taken.clear()
            for watch in _watches[-1:]:  # another thread may have left the last one
                watch.asked_for(name)
        return usual.__getitem__(self, name)

    def set_variable(self: Any, name: str, value: str) -> None:
        for watch in _watches[-1:]:
            watch.set(name)
        usual.__setitem__(self, name, value)

    def names(self: Any) -> Iterator[str]:
        # One that takes all of them, like a copy for a child process, asks for none.
        taken = _taken(self)
        taken.clear()
        for name in usual.__iter__(self):
            taken.append(name)
            yield name

    methods = {"__getitem__": get, "__setitem__": set_variable, "__iter__": names}
    return type(_WATCHED, (usual,), methods)


def _taken(environ: Any) -> deque[str]:
    """Return the names that were taken from *environ* in a row, and not asked for since."""
    found: deque[str] = vars(environ).setdefault(_TAKEN, deque())
    return found
