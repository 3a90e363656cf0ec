"""The import finder that keeps the project's sources as they are when they are imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TypeGuard

import pytest

from pytest_choochoo.collection.pytest_internals import rewritten_cache
from pytest_choochoo.engine.code.namespaces import namespace_of
from pytest_choochoo.rewriting import REWRITER

_INSTALLED = frozenset({"site-packages", "dist-packages"})
# Byte code is written a moment after its source is read, and time stamps may be coarse.
_MARGIN = 2_000_000_000  # nanoseconds
# The flags of byte code that is compared with the content of its source.
_BY_CONTENT = b"\x03\x00\x00\x00"


class ImportRecorder:
    """Keeps the source of each module of the project as it was when it was imported.

    It comes before all other finders, and returns what they find. Byte code that may be
    older than its source is removed: Python compares size and time in whole seconds only.
    Modules of this package are left to the others, unless the project is this package.
    """

    def __init__(self, root: Path) -> None:
        self._roots = tuple(f"{each}{os.sep}" for each in {root, root.resolve()})
        self._sources: dict[str, bytes | None] = {}
        self._leaves = () if self._is_ours(__file__) else ("pytest_choochoo.",)

    @property
    def sources(self) -> Mapping[str, bytes | None]:
        """The sources by file, as they grow; None for one that may not be what was imported."""
        return self._sources

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.startswith(self._leaves):
            return None
        position = sys.meta_path.index(self)
        for finder in sys.meta_path[position + 1 :]:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find is None else find(name, path, target)
            if spec is not None:
                if self._is_ours(spec.origin):
                    self._keep(spec, spec.origin)
                return spec
        return None

    def keep_imported(self) -> None:
        """Keep the sources of what was imported before, a moment ago."""
        for file in [namespace_of(each).get("__file__") for each in [*sys.modules.values()]]:
            if self._is_ours(file):
                with suppress(OSError):
                    self._sources[file] = Path(file).read_bytes()

    def _is_ours(self, origin: object) -> TypeGuard[str]:
        if not isinstance(origin, str) or not origin.startswith(self._roots):
            return False
        return origin.endswith(".py") and _INSTALLED.isdisjoint(origin.split(os.sep))

    def _keep(self, spec: ModuleSpec, file: str) -> None:
        is_rewritten = type(spec.loader).__name__ == REWRITER
        cache = str(rewritten_cache(Path(file))) if is_rewritten else spec.cached
        try:
            with open(file, "rb") as source:
                content = source.read()
            is_certain = _remove_if_stale(cache or "", os.stat(file))
        except OSError:
            return  # its import will raise
        is_same = self._sources.get(file, content) == content
        self._sources[file] = content if is_certain and is_same else None


def _remove_if_stale(cache: str, source: os.stat_result) -> bool:
    """Remove byte code that may be older than *source*; return whether none of it is used."""
    try:
        written = os.stat(cache).st_mtime_ns
        # The time of modification may be set to anything; that of the last change may not.
        if written > max(source.st_mtime_ns, source.st_ctime_ns) + _MARGIN:
            return True
        with open(cache, "rb") as file:
            if file.read(8)[4:] == _BY_CONTENT:
                return True
    except OSError:  # there is none
        return True
    try:
        os.unlink(cache)
    except FileNotFoundError:  # another process has removed it
        return True
    except OSError:  # in a folder that cannot be written
        return written > source.st_mtime_ns
    return True


IMPORTS = pytest.StashKey[ImportRecorder]()


def record_imports(config: pytest.Config) -> None:
    """Keep the sources of what is imported from now on, until the end of the session."""
    recorder = config.stash[IMPORTS] = ImportRecorder(config.rootpath)
    recorder.keep_imported()
    sys.meta_path.insert(0, recorder)
    config.add_cleanup(lambda: _forget(recorder))


def _forget(recorder: ImportRecorder) -> None:
    with suppress(ValueError):  # something else has put back the finders that it knew
        sys.meta_path.remove(recorder)
