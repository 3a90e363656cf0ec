"""The code that a visit entered although no name leads to it."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from types import CodeType, FunctionType
from typing import Any

import pytest

from pytest_choochoo.engine.code.entered import EnteredCode
from pytest_choochoo.engine.code.reach import CodeReader


class Plugins:
    """A project with one module, which the tests import and edit."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._file = root / "plugins.py"

    def write(self, text: str) -> None:
        self._file.write_text(dedent(text), encoding="utf-8")

    def edit(self, old: str, new: str) -> None:
        text = self._file.read_text(encoding="utf-8")
        assert old in text
        self.write(text.replace(old, new))

    def code_of(self, name: str) -> CodeType:
        """Return the code of a function of the module, which is imported for that."""
        value: Any = import_module("plugins")
        for each in name.split("."):
            value = value[each] if isinstance(value, dict) else getattr(value, each)
        assert isinstance(value, FunctionType)
        return value.__code__

    def entered(self) -> EnteredCode:
        """Return what a new run would begin with."""
        return EnteredCode(CodeReader(self._root, {}))


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "plugins", raising=False)
    return Plugins(tmp_path)


PLUGINS = """
DEGREES = 100
OTHER = 1
def boil(): return DEGREES + warm()
def warm(): return 1
def make():
    def made(): return 1
    return made
made = make()
class Kettle:
    def pour(self): return OTHER
later = lambda: 7
TABLE = {"wash": lambda: 8}
if OTHER:
    def conditional(): ...
"""


@pytest.mark.parametrize(
    ("entered", "name"),
    [
        ("boil", "boil"),
        ("Kettle.pour", "Kettle"),
        ("made", "make"),
        ("later", "later"),
        ("TABLE.wash", "TABLE"),
        ("conditional", "conditional"),
    ],
)
def test_code_has_the_name_of_its_definition(plugins: Plugins, entered: str, name: str) -> None:
    """Code goes by the top-level name whose statement contains it."""
    plugins.write(PLUGINS)

    assert plugins.entered().unknown([plugins.code_of(entered)], ()) == (f"plugins.py::{name}",)


@pytest.mark.parametrize("known", ["boil", "later"])
def test_code_that_is_known_is_left_out(plugins: Plugins, known: str) -> None:
    """Code to which the names in the station's function lead is not named again."""
    plugins.write(PLUGINS)

    assert plugins.entered().unknown([plugins.code_of(known)], {f"plugins.py::{known}"}) == ()


def test_code_of_packages_and_of_this_plugin_is_left_out(plugins: Plugins) -> None:
    """Only files of the project have names."""
    codes = [pytest.fixture.__code__, CodeReader.reach.__code__]

    assert plugins.entered().unknown(codes, ()) == ()
    assert not plugins.entered().is_ours(str(Path(pytest.__file__)))


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("warm()", "warm() + 1", True),
        ("DEGREES = 100", "DEGREES = 95", True),
        ("def warm(): return 1", "def warm(): return 2", True),
        ("OTHER = 1", "OTHER = 2", False),
        ("lambda: 7", "lambda: 8", False),
        ("def boil(): ", "def boil(): # hot\n    ", False),
    ],
)
def test_digests_cover_what_is_loaded_in_the_file(
    plugins: Plugins, old: str, new: str, changes: bool
) -> None:
    """A definition counts with what it loads in its own file, and with nothing else."""
    plugins.write(PLUGINS)
    before = plugins.entered().digests(["plugins.py::boil"])

    plugins.edit(old, new)

    assert (plugins.entered().digests(["plugins.py::boil"]) != before) is changes
    assert set(before) == {f"plugins.py::{name}" for name in ("boil", "DEGREES", "warm")}


def test_digests_are_the_same_before_and_after_the_import(plugins: Plugins) -> None:
    """A file that is imported during the visit only is not due in the next run for that."""
    plugins.write(
        """
        import pytest
        slow = pytest.mark.xfail
        def marked(mark): return mark
        @slow
        @marked
        def boil(): ...
        """
    )
    before = plugins.entered().digests(["plugins.py::boil"])
    import_module("plugins")

    assert plugins.entered().digests(["plugins.py::boil"]) == before


def test_definition_that_is_gone_has_no_digest(plugins: Plugins) -> None:
    """A function that was renamed, or whose file was removed, is simply not there."""
    plugins.write(PLUGINS)

    assert plugins.entered().digests(["plugins.py::gone", "gone.py::boil"]) == {}


REGISTERED = """
from warmers import BAGS, bag

bag("green", lambda: 1)
BAGS["black"] = lambda: 2
if True:
    bag("white", lambda: 3)

@bag("red", lambda: 4)
def red(): return 5
"""
WARMERS = """
BAGS = {}
def bag(name, make):
    BAGS[name] = make
    return lambda function: function
"""


@pytest.mark.parametrize(
    ("bag", "name", "digit"),
    [("green", "bag()", "1"), ("black", "BAGS", "2"), ("white", "bag()", "3"), ("red", "red", "4")],
)
def test_lambda_is_named_by_the_statement_it_stands_in(
    plugins: Plugins,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bag: str,
    name: str,
    digit: str,
) -> None:
    """A lambda that a call or an assignment puts into a table of another file is entered code."""
    monkeypatch.delitem(sys.modules, "warmers", raising=False)
    (tmp_path / "warmers.py").write_text(WARMERS, encoding="utf-8")
    plugins.write(REGISTERED)
    code = plugins.code_of(f"BAGS.{bag}")
    names = plugins.entered().unknown([code], known=())
    before = plugins.entered().digests(names)

    plugins.edit(digit, "9")

    assert f"plugins.py::{name}" in names
    assert plugins.entered().digests(names) != before
