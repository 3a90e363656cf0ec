"""The import finder that keeps pytest from rewriting the asserts of this package."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

# Pytest's finder, which rewrites the asserts of all files that belong to a plugin. It is known by
# its name, since its module is private.
REWRITER = "AssertionRewritingHook"


class PlainModules:
    """Finds the modules of this package as Python itself would find them.

    None of them profits from rewritten asserts, and a process that cannot write byte code would
    parse and compile each of them in every run.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.startswith("pytest_choochoo."):
            return PathFinder.find_spec(name, path, target)
        return None


def keep_modules_plain() -> None:
    """Put a finder of our own in front of pytest's, if there is one and nothing is there yet.

    Finders before pytest's stay before ours: a type checker or a measurement of coverage that
    has asked for these modules still receives them.
    """
    names = [type(finder).__name__ for finder in sys.meta_path]
    if REWRITER in names:
        place = names.index(REWRITER)
        if PlainModules.__name__ not in names[:place]:
            sys.meta_path.insert(place, PlainModules())
