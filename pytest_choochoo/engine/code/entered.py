"""The code that visits entered although no name leads to it, by `file::name`."""

from __future__ import annotations

import ast
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from types import CodeType

import pytest_choochoo
from pytest_choochoo.engine.code.definitions import Definition, Source
from pytest_choochoo.engine.code.reach import CodeReader
from pytest_choochoo.engine.code.tables import statement_names
from pytest_choochoo.engine.graph import reachable

_OWN = str(Path(pytest_choochoo.__file__).parent)


class EnteredCode:
    """Names the code that was entered, and digests it again in later runs.

    It counts with what it loads in its own file only: that is the same whether or not the
    file has been imported yet, and what it calls elsewhere is entered too.
    """

    def __init__(self, code: CodeReader) -> None:
        self._code = code
        self._label = cache(self._label_of)
        self._source = cache(self._read)
        self._tree = cache(self._parse)

    def is_ours(self, file: str) -> bool:
        """Return whether *file* is the project's, and not one of this package."""
        return self._label(file) is not None

    def _label_of(self, file: str) -> str | None:
        return None if file.startswith(_OWN) else self._code.label(Path(file))

    def unknown(self, entered: Iterable[CodeType], known: Container[str]) -> tuple[str, ...]:
        """Return the names of the definitions that were *entered* and are not *known*."""
        return tuple(sorted({name for code in entered for name in self._unknown(code, known)}))

    def _unknown(self, code: CodeType, known: Container[str]) -> Iterator[str]:
        label, name = self._label(code.co_filename), code.co_qualname.partition(".")[0]
        if label is None or name == "<module>" or f"{label}::{name}" in known:
            return
        definitions = self._source(label).definitions
        found = [name] if name in definitions else self._names_at(label, code.co_firstlineno)
        names = (f"{label}::{name}" for name in found if name in definitions)
        yield from (name for name in names if name not in known)

    def _names_at(self, label: str, line: int) -> list[str]:
        """Return the names of the statement at *line* of a file, in which a lambda stands."""
        for statement in self._tree(label).body:
            decorators = getattr(statement, "decorator_list", ())
            first = min(each.lineno for each in (statement, *decorators))
            if first <= line <= (statement.end_lineno or 0):
                return list(statement_names(statement))
        return []

    def _parse(self, label: str) -> ast.Module:
        return ast.parse(self._code.content(self._code.path_of(label)) or b"")

    def digests(self, names: Iterable[str]) -> dict[str, str]:
        """Return the digests of the definitions *names*, and of what they load in their files."""
        found: dict[str, str] = {}
        for each in names:
            label, _, start = each.partition("::")
            definitions = self._source(label).definitions
            for name in reachable([start], partial(_loaded, definitions)):
                if name in definitions:
                    found[f"{label}::{name}"] = definitions[name].digest
        return found

    def _read(self, label: str) -> Source:
        return self._code.unbound_source(self._code.path_of(label))


def _loaded(definitions: Mapping[str, Definition], name: str) -> list[str]:
    """Return the names that the definition of *name* loads."""
    definition = definitions.get(name)
    return [each.partition(".")[0] for each in definition.loads] if definition else []
