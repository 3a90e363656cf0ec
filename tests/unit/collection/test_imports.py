"""The sources of what is imported: kept as they were, and run as they are."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_choochoo.collection.imports import ImportRecorder

OLD, NEW = b"X = 1\n", b"X = 2\n"


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ImportRecorder]:
    """A recorder for the project in `tmp_path`, in front of all finders; byte code is written."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    recorder = ImportRecorder(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [recorder, *sys.meta_path])
    before = {*sys.modules}
    yield recorder
    for name in sys.modules.keys() - before:
        del sys.modules[name]


Value = Callable[[str], object]


@pytest.fixture
def value(recorder: ImportRecorder) -> Value:
    """Import a module afresh, and return its `X`."""

    def value(name: str) -> object:
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        found: object = importlib.import_module(name).X
        return found

    return value


def _swap(file: Path, content: bytes) -> None:
    """Write *content* to *file*, which keeps the time when it was modified."""
    before = file.stat()
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _cache(file: Path) -> Path:
    return Path(importlib.util.cache_from_source(str(file)))


def test_source_is_kept_as_it_was_imported(
    recorder: ImportRecorder, value: Value, tmp_path: Path
) -> None:
    """The source of a module of the project is known although its file has been edited since."""
    file = tmp_path / "kettle.py"
    file.write_bytes(OLD)
    value("kettle")
    file.write_bytes(NEW)

    assert recorder.sources == {str(file): OLD}


def test_module_of_a_package_is_kept(
    recorder: ImportRecorder, value: Value, tmp_path: Path
) -> None:
    """A package and its modules are kept, each by its file."""
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_bytes(b"")
    (tmp_path / "pkg" / "deep.py").write_bytes(OLD)

    value("pkg.deep")

    assert {Path(file).name for file in recorder.sources} == {"__init__.py", "deep.py"}


def test_library_is_not_kept(
    recorder: ImportRecorder, value: Value, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed file, even below the project, is none of its sources."""
    installed = tmp_path / "venv" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "lib_of_others.py").write_bytes(OLD)
    monkeypatch.syspath_prepend(installed)

    value("lib_of_others")

    assert recorder.sources == {}


def test_file_that_was_imported_twice_and_differs_is_uncertain(
    recorder: ImportRecorder, value: Value, tmp_path: Path
) -> None:
    """Of two sources of one file nobody can say which one is run."""
    file = tmp_path / "kettle.py"
    file.write_bytes(OLD)
    value("kettle")
    file.write_bytes(NEW)
    value("kettle")

    assert recorder.sources == {str(file): None}


def test_what_was_imported_before_is_kept(value: Value, tmp_path: Path) -> None:
    """Modules that were imported before the recorder began are read as it begins."""
    (tmp_path / "kettle.py").write_bytes(OLD)
    value("kettle")
    recorder = ImportRecorder(tmp_path)

    recorder.keep_imported()

    assert recorder.sources == {str(tmp_path / "kettle.py"): OLD}


def test_stale_byte_code_is_not_run(value: Value, tmp_path: Path) -> None:
    """A source of the same size and time as the one that was compiled is compiled again."""
    file = tmp_path / "kettle.py"
    file.write_bytes(OLD)
    assert value("kettle") == 1
    assert _cache(file).exists()
    _swap(file, NEW)

    assert value("kettle") == 2


def test_byte_code_that_is_newer_than_its_source_is_kept(value: Value, tmp_path: Path) -> None:
    """Byte code that was written long after the last change of its source is run."""
    file = tmp_path / "kettle.py"
    file.write_bytes(OLD)
    value("kettle")
    later = file.stat().st_ctime_ns + 10_000_000_000
    os.utime(_cache(file), ns=(later, later))
    before = _cache(file).stat()

    value("kettle")

    assert _cache(file).stat().st_mtime_ns == before.st_mtime_ns


def test_byte_code_that_cannot_be_removed_makes_the_source_uncertain(
    recorder: ImportRecorder, value: Value, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where stale byte code stays, nobody can say which source is run."""
    file = tmp_path / "kettle.py"
    file.write_bytes(OLD)
    value("kettle")
    os.utime(_cache(file), ns=(0, 0))

    def refuse(path: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "unlink", refuse)
    value("kettle")

    assert recorder.sources == {str(file): None}


def test_byte_code_that_is_compared_by_content_is_kept(value: Value, tmp_path: Path) -> None:
    """Byte code with a checked hash of its source cannot be stale."""
    file = tmp_path / "kettle.py"
    file.write_bytes(OLD)
    value("kettle")
    content = _cache(file).read_bytes()
    hashed = b"\x03\x00\x00\x00" + importlib.util.source_hash(OLD)
    _cache(file).write_bytes(content[:4] + hashed + content[16:])

    value("kettle")

    assert _cache(file).read_bytes()[4:16] == hashed


def test_module_that_does_not_exist_is_not_found(recorder: ImportRecorder) -> None:
    """A name that no finder knows is none that this one knows."""
    assert recorder.find_spec("no_such_kettle", None) is None
