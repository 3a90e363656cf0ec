"""Reads while a visit goes on: which of them count, and that the process is left as it was."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_choochoo.running.reads import Reads, ReadWatch, undeclared

USUAL = type(os.environ)
KITCHEN = """
import json
import os
import shutil
import subprocess
from pathlib import Path


def by_open(path):
    with open(path) as file: return file.read()  # line 10


def by_method(path):
    return Path(path).read_text()  # line 14


def by_lambda(read, path):
    return read(path)  # line 18


def item(name):
    return os.environ[name]  # line 22


def copies():
    return os.environ.copy(), dict(os.environ), {**os.environ}, [*os.environ.values()]


def while_looping(name):
    for each in os.environ:
        if each == name:
            return os.environ[each]  # line 32


def on_their_own():
    shutil.which("sh")
    Path.home()
    subprocess.run(["true"], check=True)
"""


class Kitchen:
    """A watch over a project that has one module, whose functions it calls while it is on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.watch = ReadWatch(root, self.is_project_file, [root / "cache"])
        self.module = self.run("kitchen.py", KITCHEN)

    def is_project_file(self, file: str) -> bool:
        return Path(file).parent == self.root

    def run(self, name: str, text: str) -> SimpleNamespace:
        """Return the names that *text* defines, as the code of the file *name* below the root."""
        found: dict[str, Any] = {"__name__": "kitchen"}
        exec(compile(text, str(self.root / name), "exec"), found)
        return SimpleNamespace(**found)

    def file(self, name: str, text: str = "water") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1, 1))
        return path

    def reads(self, function: Callable[..., object], *arguments: object) -> Reads:
        """Return what *function* reads in a visit that begins now."""
        time.sleep(0.02)  # the clock of files is that of the kernel's last tick
        self.watch.begin()
        reads = Reads()
        with self.watch.noting(reads):
            function(*arguments)
        return reads


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    return Kitchen(Path(os.path.realpath(tmp_path)))


@pytest.fixture(autouse=True)
def environ_is_as_before() -> Iterator[None]:
    """After each test, the class of `os.environ` is the one that it was."""
    yield
    assert type(os.environ) is USUAL


# --- which frames count


@pytest.mark.parametrize(("name", "line"), [("by_open", 10), ("by_method", 14)])
def test_file_that_the_project_reads(kitchen: Kitchen, name: str, line: int) -> None:
    """A file counts, with the line of the project that reads it, through the standard library."""
    file = kitchen.file("water.txt")

    reads = kitchen.reads(getattr(kitchen.module, name), file)

    assert reads.files == {file: f"kitchen.py:{line}"}


def test_file_that_others_read(kitchen: Kitchen) -> None:
    """A read by code that is neither the project's nor a library's does not count."""
    file = kitchen.file("water.txt")

    def read(path: Path) -> str:
        return path.read_text()

    assert kitchen.reads(read, file).files == {}
    assert kitchen.reads(kitchen.module.by_lambda, read, file).files == {}


def test_file_that_a_library_reads(kitchen: Kitchen) -> None:
    """A read by an installed package counts where the project called it."""
    file = kitchen.file("water.txt")
    path = "lib/site-packages/boiler.py"
    boiler = kitchen.run(
        path, "def read(path):\n    with open(path) as file:\n        return file.read()"
    )

    reads = kitchen.reads(kitchen.module.by_lambda, boiler.read, file)

    assert reads.files == {file: "kitchen.py:18"}
    assert kitchen.reads(boiler.read, file).files == {}


def test_file_that_an_import_reads(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is imported is code, and no input."""
    kitchen.file("kettle_of_a_test.py", "size = 2\n")
    monkeypatch.syspath_prepend(str(kitchen.root))
    code = "def load():\n    import kettle_of_a_test\n    return kettle_of_a_test.size"

    reads = kitchen.reads(kitchen.run("tea.py", code).load)

    assert sys.modules.pop("kettle_of_a_test").size == 2
    assert reads.files == {}


# --- which files count


@pytest.mark.parametrize("name", ["cache/a", ".venv/lib/site-packages/a", "site-packages/b/a"])
def test_files_that_are_no_inputs(kitchen: Kitchen, name: str) -> None:
    """Folders of the cache and of installed packages have no inputs."""
    file = kitchen.file(name)

    assert kitchen.reads(kitchen.module.by_open, file).files == {}


def test_virtual_environment(kitchen: Kitchen) -> None:
    """A folder with a `pyvenv.cfg` is an environment, whatever its name is."""
    kitchen.file("env/pyvenv.cfg")
    file = kitchen.file("env/data/a.txt")

    assert kitchen.reads(kitchen.module.by_open, file).files == {}


def test_files_outside(kitchen: Kitchen) -> None:
    """Files outside of the project are no inputs, and neither are numbers of open files."""
    outside = kitchen.root.parent / "outside.txt"
    outside.write_text("water")
    descriptor = os.open(kitchen.file("water.txt"), os.O_RDONLY)

    assert kitchen.reads(kitchen.module.by_open, outside).files == {}
    assert kitchen.reads(kitchen.module.by_open, descriptor).files == {}


def test_temporary_directory(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary directory below the root has no inputs; one above it says nothing."""
    file = kitchen.file("tmp/a.txt")
    assert kitchen.reads(kitchen.module.by_open, file).files == {file: "kitchen.py:10"}
    monkeypatch.setattr(tempfile, "tempdir", str(kitchen.root / "tmp"))

    again = Kitchen(kitchen.root)

    assert again.reads(again.module.by_open, file).files == {}


def test_link(kitchen: Kitchen) -> None:
    """A file that is read through a link counts as itself."""
    file = kitchen.file("water.txt")
    (kitchen.root / "link.txt").symlink_to(file)

    reads = kitchen.reads(kitchen.module.by_open, kitchen.root / "link.txt")

    assert reads.files == {file: "kitchen.py:10"}


WRITES = {
    "written": "open(path, 'w').close()",
    "appended": "open(path, 'a').close()",
    "replaced": "open(f'{path}.new', 'w').close(); os.replace(f'{path}.new', path)",
    "linked": "os.remove(path); open(f'{path}.1', 'w').close(); os.symlink(f'{path}.1', path)",
    "hard-linked": "os.remove(path); open(f'{path}.1', 'w').close(); os.link(f'{path}.1', path)",
    "made": "os.remove(path); os.close(os.open(path, os.O_RDWR | os.O_CREAT))",
}


@pytest.mark.parametrize("way", WRITES)
def test_file_that_the_visit_wrote(kitchen: Kitchen, way: str) -> None:
    """A file that was written in the same visit is no input; in the next one it is."""
    file = kitchen.file("water.txt")
    code = f"import os\ndef work(path):\n    {WRITES[way]}\n    open(path).close()"
    work = kitchen.run("tea.py", code).work

    assert kitchen.reads(work, file).files == {}
    assert list(kitchen.reads(kitchen.module.by_open, file).files.values()) == ["kitchen.py:10"]


def test_file_in_a_folder_that_the_visit_made(kitchen: Kitchen) -> None:
    """Files below a folder that was made in the same visit are no inputs."""
    code = (
        "import os, subprocess\n"
        "def work(path):\n"
        "    os.mkdir(path)\n"
        "    subprocess.run(['touch', f'{path}/a'], check=True)\n"
        "    open(f'{path}/a').close()"
    )

    assert kitchen.reads(kitchen.run("tea.py", code).work, kitchen.root / "new").files == {}


def test_file_that_a_process_wrote_meanwhile(kitchen: Kitchen) -> None:
    """A file that changed since the visit began is taken for its own."""
    file = kitchen.file("water.txt")
    kitchen.watch.begin()
    os.utime(file)
    reads = Reads()

    with kitchen.watch.noting(reads):
        kitchen.module.by_open(file)

    assert reads.files == {}


# --- variables


def test_variables(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable counts where the project asks for it, also while it loops over all names."""
    monkeypatch.setenv("KETTLE", "steel")

    assert kitchen.reads(kitchen.module.item, "KETTLE").variables == {"KETTLE": "kitchen.py:22"}
    found = kitchen.reads(kitchen.module.while_looping, "KETTLE")
    assert found.variables == {"KETTLE": "kitchen.py:32"}


def test_copies_ask_for_nothing(kitchen: Kitchen) -> None:
    """A copy of the whole environment asks for no variable."""
    assert kitchen.reads(kitchen.module.copies).variables == {}


def test_variable_after_a_copy(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is asked for after a copy counts."""
    monkeypatch.setenv("KETTLE", "steel")

    def work() -> None:
        kitchen.module.copies()
        kitchen.module.item("KETTLE")

    assert kitchen.reads(work).variables == {"KETTLE": "kitchen.py:22"}


def test_libraries_ask_on_their_own(kitchen: Kitchen) -> None:
    """Variables that only the standard library asks for, like PATH and HOME, are no inputs."""
    assert kitchen.reads(kitchen.module.on_their_own).variables == {}


def test_variable_that_the_visit_set(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that was set in the same visit is no input; in the next one it is."""
    monkeypatch.setenv("KETTLE", "steel")

    def work() -> None:
        os.environ["KETTLE"] = "iron"
        kitchen.module.item("KETTLE")

    assert kitchen.reads(work).variables == {}
    assert kitchen.reads(kitchen.module.item, "KETTLE").variables == {"KETTLE": "kitchen.py:22"}


def test_missing_variable(kitchen: Kitchen) -> None:
    """A variable that is not set counts as well, and is missing as always."""
    reads = Reads()
    kitchen.watch.begin()

    with kitchen.watch.noting(reads), pytest.raises(KeyError, match="NO_KETTLE"):
        kitchen.module.item("NO_KETTLE")

    assert reads.variables == {"NO_KETTLE": "kitchen.py:22"}


def test_environment_works_as_always(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names can be set, listed and removed while they are watched."""
    monkeypatch.setenv("KETTLE", "steel")
    with kitchen.watch.noting(Reads()):
        before = os.environ.copy()
        assert before == dict(os.environ.items()) == {**os.environ}
        assert "KETTLE" in os.environ and len(os.environ) == len(before)
        os.environ["POT"] = "1"
        assert os.getenv("POT") == "1" and os.environ.pop("POT") == "1"
        assert "POT" not in os.environ and os.environb[b"KETTLE"] == b"steel"
        assert isinstance(os.environ, USUAL)


# --- the process is left as it was


def test_class_is_restored_after_an_error(kitchen: Kitchen) -> None:
    """An error in a block, at any depth, leaves `os.environ` as it was, and nothing is noted."""

    def fail() -> None:
        with kitchen.watch.noting(Reads()):
            assert type(os.environ) is not USUAL
            raise RuntimeError

    with kitchen.watch.noting(Reads()), pytest.raises(RuntimeError):
        fail()
    with pytest.raises(RuntimeError):
        kitchen.reads(fail)
    assert type(os.environ) is USUAL
    assert vars(os.environ).keys() == {
        "encodekey",
        "decodekey",
        "encodevalue",
        "decodevalue",
        "_data",
    }


def test_innermost_block_has_what_is_read(kitchen: Kitchen) -> None:
    """A read is noted once, in the innermost block: that of a fixture in a visit, for example."""
    files = [kitchen.file(name) for name in ("a", "b", "c")]
    outer, inner = Reads(), Reads()
    time.sleep(0.02)
    kitchen.watch.begin()

    with kitchen.watch.noting(outer):
        kitchen.module.by_open(files[0])
        with kitchen.watch.noting(inner):
            kitchen.module.by_open(files[1])
        kitchen.module.by_open(files[2])

    assert ([*outer.files], [*inner.files]) == ([files[0], files[2]], [files[1]])


def test_first_line_is_kept(kitchen: Kitchen) -> None:
    """Where a file is read twice, the first line is that which is told."""
    file = kitchen.file("water.txt")

    def work() -> None:
        kitchen.module.by_method(file)
        kitchen.module.by_open(file)

    assert kitchen.reads(work).files == {file: "kitchen.py:14"}


def test_threads(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read by another thread of the visit counts; once the visit is over, it does not."""
    monkeypatch.setenv("KETTLE", "steel")
    file = kitchen.file("water.txt")
    begins, goes_on = threading.Event(), threading.Event()
    late: list[str] = []

    def work() -> None:
        kitchen.module.by_open(file)
        kitchen.module.item("KETTLE")
        begins.set()
        goes_on.wait(10)
        late.append(kitchen.module.by_method(kitchen.root / "late.txt"))
        late.append(kitchen.module.item("KETTLE"))

    kitchen.file("late.txt")
    thread = threading.Thread(target=work)

    def visit() -> None:
        thread.start()
        begins.wait(10)

    reads = kitchen.reads(visit)
    goes_on.set()
    thread.join()

    assert late == ["water", "steel"]
    assert reads == Reads(files={file: "kitchen.py:10"}, variables={"KETTLE": "kitchen.py:22"})


# --- what is declared


def test_undeclared(tmp_path: Path) -> None:
    """Declared files, products, what lies below them, and modules are left out; so are names."""
    root = Path(os.path.realpath(tmp_path))
    names = ("declared", "product", "folder/inside", "code", "other")
    declared, product, inside, code, other = (root / name for name in names)
    (root / "link").symlink_to(declared)
    reads = Reads(
        dict.fromkeys((declared, product, inside, other), "a:1"), {"A": "a:2", "B": "a:3"}
    )
    more = Reads({other: "b:1", Path(os.path.realpath(__file__)): "b:2"}, {"B": "b:3", "C": "b:4"})

    found = undeclared([reads, more], [root / "link"], [product, root / "folder"], ["A"])

    assert found == Reads({other: "a:1"}, {"B": "a:3", "C": "b:4"})
    assert undeclared([], [code], [], []) == Reads()
