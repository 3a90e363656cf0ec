"""The import finder of the package: its position, and the modules that it finds."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder, SourceFileLoader

import pytest

import pytest_choochoo
from pytest_choochoo.rewriting import PlainModules, keep_modules_plain


class AssertionRewritingHook:
    """A finder with the name of pytest's finder."""


class Coverage:
    """A finder of another tool."""


def _placed(monkeypatch: pytest.MonkeyPatch, *finders: object) -> list[object]:
    """Return the finders after ours was placed among *finders*, twice."""
    placed = list(finders)
    with monkeypatch.context() as context:
        context.setattr(sys, "meta_path", placed)
        keep_modules_plain()
        keep_modules_plain()
    return placed


def test_finder_is_directly_before_that_of_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finders before pytest's stay before ours, which is there once."""
    before, pytests = Coverage(), AssertionRewritingHook()

    placed = _placed(monkeypatch, before, pytests, PathFinder)

    assert [type(finder) for finder in placed] == [
        *(Coverage, PlainModules, AssertionRewritingHook, type),
    ]


def test_finder_is_not_needed_without_that_of_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of pytest, and with `--assert=plain`, no finder is placed."""
    assert _placed(monkeypatch, PathFinder) == [PathFinder]


def test_finder_is_placed_for_each_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session within a session has its own rewriter, and our finder is placed again."""
    inner, outer = AssertionRewritingHook(), AssertionRewritingHook()

    placed = _placed(monkeypatch, inner, PlainModules(), outer)

    assert [type(finder) for finder in placed] == [PlainModules, AssertionRewritingHook] * 2


def test_module_of_the_package_is_found_as_python_finds_it() -> None:
    """A module of the package has Python's own loader."""
    spec = PlainModules().find_spec("pytest_choochoo.plugin", pytest_choochoo.__path__)

    assert spec is not None
    assert isinstance(spec.loader, SourceFileLoader)
    assert spec.loader.name == "pytest_choochoo.plugin"


@pytest.mark.parametrize("name", ["pytest_choochoo.nowhere", "pytest_choochoo_more.plugin", "json"])
def test_other_modules_are_left_to_other_finders(name: str) -> None:
    """Our finder returns nothing for modules outside of the package."""
    assert PlainModules().find_spec(name, pytest_choochoo.__path__) is None
