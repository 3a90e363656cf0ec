"""The code of a station: everything that it reaches by name, and nothing else."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any
from unittest.mock import MagicMock

import msgspec
import pytest

from pytest_choochoo.engine.code.definitions import same_code
from pytest_choochoo.engine.code.reach import CodeReader

Read = Callable[..., dict[str, str]]


def _function(file: Path, name: str = "boil", package: str = "") -> Callable[..., Any]:
    """Return a function of that name as it would be imported from *file*, without importing it."""
    names: dict[str, Any] = {"__package__": package}
    exec(compile(f"def {name}(): ...", str(file), "exec"), names)
    function: Callable[..., Any] = names[name]
    return function


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Write the files given, and return what `boil` in `stations.py` reaches with a new reader."""
    monkeypatch.syspath_prepend(tmp_path)

    def read(
        files: Mapping[str, str], file: str = "stations.py", package: str = ""
    ) -> dict[str, str]:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text), encoding="utf-8")
        return CodeReader(tmp_path, {}).reach([_function(tmp_path / file, package=package)])

    return read


# --- within one file

PLAIN = """
import msgspec
import pytest
from pytest_choochoo import station

@station
def boil(water):
    \"\"\"Boil the water.\"\"\"
    return {"a": water, 'b': [1, 2]}

def neighbour():
    return 1
"""
# Edits of the file above that do not change the code.
COSMETIC = {
    "comment": ("    return", "    # at last\n    return"),
    "docstring": ("Boil the water.", "Heat it."),
    "no docstring": ('    """Boil the water."""\n', ""),
    "text that does nothing": ("    return", '    "at last"\n    return'),
    "pass": ("    return", "    pass\n    return"),
    "quotes": ("'b'", '"b"'),
    "trailing comma": ("[1, 2]", "[\n    1,\n    2,\n]"),
    "brackets": ("{\"a\": water, 'b': [1, 2]}", '({"a": (water), "b": [0x1, 0b10]})'),
    "neighbour": ("return 1", "return 2"),
    "another neighbour": ("def neighbour", "def other(): ...\n\ndef neighbour"),
    "import": ("import pytest\n", "import json\nimport pytest\n"),
    "keyword of the station": ("@station\n", "@station(files=['x'], version='1')\n"),
    "mark": ("@station\n", "@pytest.mark.slow\n@station\n@pytest.mark.skipif(bool('x'))\n"),
    "check": ("def neighbour", "@boil.check(within=2)\ndef is_hot(): ...\n\ndef neighbour"),
    "call of a neighbour": ("    return 1\n", "    return 1\n\nneighbour()\n"),
    "use elsewhere": (
        "    return 1\n",
        "    return boil\n\nALL = [boil, neighbour]\nprint(boil)\n",
    ),
    "use as a script": ("    return 1\n", "    return 1\n\nif __name__ == 'x':\n    boil()\n"),
}


@pytest.mark.parametrize(("old", "new"), COSMETIC.values(), ids=list(COSMETIC))
def test_cosmetics_are_not_a_change(read: Read, old: str, new: str) -> None:
    """Comments, formatting, declarations and neighbours are not code of the station."""
    before = read({"stations.py": PLAIN})

    after = read({"stations.py": PLAIN.replace(old, new)})

    assert list(before) == ["stations.py::boil"]
    assert PLAIN.replace(old, new) != PLAIN
    assert after == before


# A file, and an edit of it that changes the code of `boil`.
CHANGES = {
    "body": ("def boil(): return 1", "return 1", "return 2"),
    "number's type": ("def boil(): return 1", "return 1", "return 1.0"),
    "truth": ("def boil(): return 1", "return 1", "return True"),
    "sign": ("def boil(): return 0.0", "0.0", "-0.0"),
    "text's type": ("def boil(): return 'a'", "'a'", "b'a'"),
    "text": ("def boil(): return 'a  b'", "a  b", "a b"),
    "long number": (f"def boil(): return 0x{'f' * 5000}e", "fe", "ff"),
    "argument": ("def boil(a): ...", "(a)", "(a, b)"),
    "default": ("X = 1\nY = 2\ndef boil(a=X): ...", "a=X", "a=Y"),
    "default's value": ("X = 1\ndef boil(a=X): ...", "X = 1", "X = 2"),
    "annotation": ("def boil() -> int: ...", "int", "str"),
    "announced class": (
        "class Cup:\n    size: int\ndef boil() -> Cup: ...",
        "size: int",
        "size: str",
    ),
    "asynchronous": ("def boil(): return 1", "def", "async def"),
    "order": ("def boil():\n    a()\n    b()", "a()\n    b()", "b()\n    a()"),
    "indentation": ("def boil():\n    if a:\n        b()\n        c()", "        c()", "    c()"),
    "decorator": (
        "import functools\n@functools.cache\ndef boil(): ...",
        "@functools.cache",
        "@functools.lru_cache(3)",
    ),
    "helper": ("def boil(): help()\ndef help(): return 1", "return 1", "return 2"),
    "helper's helper": (
        "def boil(): one()\ndef one(): two()\ndef two(): return 1",
        "return 1",
        "return 2",
    ),
    "recursion": (
        "def boil(): one()\ndef one(): two()\ndef two(): one(); return 1",
        "return 1",
        "return 2",
    ),
    "recursion on itself": ("def boil(): boil(); help()\ndef help(): return 1", "1", "2"),
    "helper's decorator": (
        "def loud(f): return 1\n@loud\ndef help(): ...\ndef boil(): help()",
        "return 1",
        "return 2",
    ),
    "helper's default": ("X = 1\ndef help(a=X): ...\ndef boil(): help()", "X = 1", "X = 2"),
    "constant": ("X = 1\ndef boil(): return X", "X = 1", "X = 2"),
    "annotated constant": ("X: int = 1\ndef boil(): return X", "= 1", "= 2"),
    "unpacked constant": ("X, (Y, *Z) = 1, (2, 3)\ndef boil(): return Z", "3", "4"),
    "walrus": ("print(X := 1)\ndef boil(): return X", ":= 1", ":= 2"),
    "constant of a constant": ("X = 1\nY = [X]\ndef boil(): return Y", "X = 1", "X = 2"),
    "lambda": ("f = lambda: 1\ndef boil(): return f()", "lambda: 1", "lambda: 2"),
    "class": ("class A:\n    x = 1\ndef boil(): return A", "x = 1", "x = 2"),
    "method": (
        "class A:\n    def m(self): return 1\ndef boil(): return A().m()",
        "return 1",
        "return 2",
    ),
    "base class": ("class B: x = 1\nclass A(B): ...\ndef boil(): return A", "1", "2"),
    "method's helper": (
        "class A:\n    def m(self): return help()\ndef help(): return 1\ndef boil(): return A()",
        "return 1",
        "return 2",
    ),
    "instance": ("class A: x = 1\na = A()\ndef boil(): return a.x", "x = 1", "x = 2"),
    "nested function": ("def boil():\n    def inner(): return X\n    inner()\nX = 1", "= 1", "= 2"),
    "nested lambda": ("def boil(): return lambda: X\nX = 1", "= 1", "= 2"),
    "comprehension": ("def boil(): return [X for a in b if Y]\nX = 1\nY = 2", "Y = 2", "Y = 3"),
    "generator": ("def boil(): return (a for a in X)\nX = 1", "= 1", "= 2"),
    "f-string": ("def boil(): return f'{a:{X}}'\nX = 1", "= 1", "= 2"),
    "pattern": ("def boil():\n    match a:\n        case K.x: ...\nclass K: x = 1", "1", "2"),
    "except": ("def boil():\n    try: a()\n    except E: ...\nclass E(OSError): x = 1", "1", "2"),
    "global": ("X = 1\ndef boil():\n    global X\n    X += 1", "X = 1", "X = 2"),
    "global set elsewhere": (
        "X = 1\ndef warm():\n    global X\n    X = 2\nwarm()\ndef boil(): return X",
        "X = 2",
        "X = 3",
    ),
    "global set by a call": (
        "X = 1\ndef warm(by):\n    global X\n    X = by\nwarm(2)\ndef boil(): return X",
        "warm(2)",
        "warm(3)",
    ),
    "item set": ("T = {}\nT['x'] = 1\ndef boil(): return T", "= 1", "= 2"),
    "item deleted": ("T = {}\ndel T['x']\ndef boil(): return T", "'x'", "'y'"),
    "item set deeper": ("T = {}\nT['x'].y['z'] = 1\ndef boil(): return T", "= 1", "= 2"),
    "attribute set": ("def boil(): return f()\ndef f(): ...\nf.x = 1", "= 1", "= 2"),
    "append": ("L = []\nL.append(1)\ndef boil(): return L", "append(1)", "append(2)"),
    "chained call": ("L = {}\nL.get('x').add(1)\ndef boil(): return L", "add(1)", "add(2)"),
    "append in a loop": (
        "L = []\nfor i in range(3):\n    L.append(i)\ndef boil(): return L",
        "range(3)",
        "range(4)",
    ),
    "append in a condition": ("L = []\nif a:\n    L.append(1)\ndef boil(): return L", "(1)", "(2)"),
    "handed over": ("L = []\nfill(L, 1)\ndef boil(): return L", "1)", "2)"),
    "handed over by name": ("L = []\nfill(into=L, by=1)\ndef boil(): return L", "by=1", "by=2"),
    "registered": (
        "ALL = R()\n@ALL.register\ndef one(): return 1\ndef boil(): return ALL",
        "return 1",
        "return 2",
    ),
    "registered by a decorator with arguments": (
        (
            "T = {}\ndef step(n):\n    def put(f):\n        T[n] = f\n        return f\n    return put\n"
            "@step('a')\ndef one(): return 1\ndef boil(): return T['a']()"
        ),
        "return 1",
        "return 2",
    ),
    "registered by a function of another": (
        (
            "T = {}\ndef keep(n, f): T.setdefault(n, f)\ndef step(f):\n    keep(f.__name__, f)\n"
            "@step\ndef one(): return 1\ndef boil(): return T['one']()"
        ),
        "return 1",
        "return 2",
    ),
    "registered by a class": (
        (
            "T = {}\nclass step:\n    def __init__(self, n): self.n = n\n"
            "    def __call__(self, f): T[self.n] = f\n"
            "@step('a')\ndef one(): return 1\ndef boil(): return T['a']()"
        ),
        "return 1",
        "return 2",
    ),
    "registered by inheriting": (
        (
            "T = []\nclass Step:\n    def __init_subclass__(cls): T.append(cls)\n"
            "class One(Step):\n    x = 1\ndef boil(): return T[0].x"
        ),
        "x = 1",
        "x = 2",
    ),
    "added by a call": (
        (
            "T = {}\ndef add(n, f): T[n] = f\ndef one(): return 1\nadd('a', one)\n"
            "def boil(): return T['a']()"
        ),
        "return 1",
        "return 2",
    ),
    "added by a call with a value": (
        "T = {}\ndef add(n, x): T[n] = x\nadd('a', 1)\ndef boil(): return T['a']",
        "'a', 1",
        "'a', 2",
    ),
    "added by a call whose value is kept": (
        (
            "T = {}\ndef add(n, f):\n    T[n] = f\n    return f\n"
            "x = add('a', lambda: 1)\ndef boil(): return T['a']()"
        ),
        "lambda: 1",
        "lambda: 2",
    ),
    "set by default, and kept": (
        "T = {}\nx = T.setdefault('a', 1)\ndef boil(): return T['a']",
        "'a', 1",
        "'a', 2",
    ),
    "taken out": ("T = [1, 2]\nx = T.pop(0)\ndef boil(): return T", "pop(0)", "pop(1)"),
    "global set by a call whose value is kept": (
        "X = 1\ndef warm(by):\n    global X\n    X = by\nx = warm(2)\ndef boil(): return X",
        "warm(2)",
        "warm(3)",
    ),
    "quoted annotation": (
        "def boil(cup: 'Cup'): return cup.size\nclass Cup:\n    size = 1",
        "size = 1",
        "size = 2",
    ),
    "annotation quoted in part": (
        "def boil() -> 'list[Cup] | None': ...\nclass Cup:\n    size = 1",
        "size = 1",
        "size = 2",
    ),
    "annotation of an attribute, quoted": (
        "def boil(): return Shelf\nclass Shelf:\n    cup: list['Cup']\nclass Cup:\n    size = 1",
        "size = 1",
        "size = 2",
    ),
    "augmented": ("X = 1\nX += 1\ndef boil(): return X", "+= 1", "+= 2"),
    "deleted": ("X = 1\ndel X\ndef boil(): return X", "del X", "pass"),
    "bound again": ("X = 1\nX = 2\ndef boil(): return X", "X = 2", "X = 3"),
    "defined again": ("def f(): return 1\nf = g(f)\ndef boil(): f()\ndef g(f): return 2", "2", "3"),
    "if": ("if a:\n    def f(): return 1\nelse:\n    f = None\ndef boil(): f()", "None", "0"),
    "condition": ("if a:\n    def f(): return 1\nelse:\n    f = None\ndef boil(): f()", "a:", "b:"),
    "try": ("try:\n    X = 1\nexcept OSError:\n    X = 2\ndef boil(): return X", "2", "3"),
    "with": ("with a as X: ...\ndef boil(): return X", "with a", "with b"),
    "loop": ("for X in [1]: ...\ndef boil(): return X", "[1]", "[2]"),
    "match": ("match 1:\n    case X: ...\ndef boil(): return X", "match 1", "match 2"),
    "library": ("from json import loads as f\ndef boil(): f()", "json", "pickle"),
    "library's function": ("from json import loads as f\ndef boil(): f()", "loads", "dumps"),
    "library's alias": ("import json as j\ndef boil(): j.loads()", "json", "pickle"),
    "library that may be missing": (
        "try: import tomllib as t\nexcept ImportError: import tomli as t\ndef boil(): t.loads()",
        "tomli as",
        "toml as",
    ),
}


@pytest.mark.parametrize(("text", "old", "new"), CHANGES.values(), ids=list(CHANGES))
def test_change_of_reached_code_is_noticed(read: Read, text: str, old: str, new: str) -> None:
    """A change of anything that a station reaches by name is a change of its code."""
    assert old in text
    before = read({"stations.py": text})
    head, _, tail = text.rpartition(old)

    after = read({"stations.py": head + new + tail})

    assert after != before


# A file, and an edit of it that does not affect `boil`.
NO_CHANGES = {
    "attribute of the same name": ("def boil(a): return a.help\ndef help(): return 1", "1", "2"),
    "keyword of the same name": ("def boil(a): a(help=2)\ndef help(): return 1", "1", "2"),
    "argument of the same name": ("def boil(help): help()\ndef help(): return 1", "1", "2"),
    "variable of the same name": ("def boil():\n    x = 0\n    x\ndef x(): return 1", "1", "2"),
    "item of the same name": ("def boil(a): a['help']\ndef help(): return 1", "1", "2"),
    "comprehension's variable": ("def boil(): [X for X in a]\nX = 1", "= 1", "= 2"),
    "method of the same name": (
        "class A:\n    def help(self): ...\ndef boil(): A()\ndef help(): return 1",
        "return 1",
        "return 2",
    ),
    "another comprehension": ("X = 1\nY = [X for X in a]\ndef boil(): X", "in a", "in b"),
    "another constant": ("X = 1\nY = 2\ndef boil(): return X", "Y = 2", "Y = 3"),
    "a user of it": ("def f(): ...\ndef g(): return f() or 1\ndef boil(): f()", "1", "2"),
    "a statement that prints it": ("def f(): ...\nprint(f, 1)\ndef boil(): f()", "1", "2"),
    "a use of it as decorator": (
        "from functools import cache\n@cache\ndef g(): return 1\n@cache\ndef boil(): ...",
        "return 1",
        "return 2",
    ),
    "kept mark": ("import pytest\nslow = pytest.mark.x(1)\n@slow\ndef boil(): ...", "(1)", "(2)"),
    "kept mark put on": ("from pytest import mark\nx = mark.x\n@x\ndef boil(): ...", "@x\n", ""),
    "name in a literal type": (
        "from typing import Literal\ndef boil(a: Literal['X']): ...\nX = 1",
        "X = 1",
        "X = 2",
    ),
    "words in an annotation": (
        "from typing import Annotated\ndef boil(a: Annotated[int, 'X']): ...\nX = 1",
        "X = 1",
        "X = 2",
    ),
    "a table filled by another function": (
        "T = {}\ndef add(x): T[x] = x\ndef show(x): return T\nshow(1)\ndef boil(): return T",
        "show(1)",
        "show(2)",
    ),
    "a call in a script": (
        (
            "T = {}\ndef add(x): T[x] = x\nif __name__ == '__main__':\n    add(1)\n"
            "def boil(): return T"
        ),
        "add(1)",
        "add(2)",
    ),
    "a local table of the same name": (
        "T = {}\ndef add(x):\n    T = {}\n    T[x] = x\nadd(1)\ndef boil(): return T",
        "add(1)",
        "add(2)",
    ),
    "helper's docstring": ("def boil(): f()\ndef f():\n    'doc'\n    return 1", "'doc'", "'d'"),
    "class's docstring": ("def boil(): A()\nclass A:\n    'doc'\n    x = 1", "'doc'", "'d'"),
    "attribute's docstring": ("def boil(): A()\nclass A:\n    x = 1\n    'doc'", "'doc'", "'d'"),
    "order of definitions": (
        "def f(): ...\nX = 1\ndef boil(): f()",
        "def f(): ...\nX = 1",
        "X = 1\ndef f(): ...",
    ),
    "imported twice": ("import json\ndef boil(): json", "import json", "import os, json"),
}


@pytest.mark.parametrize(("text", "old", "new"), NO_CHANGES.values(), ids=list(NO_CHANGES))
def test_change_of_other_code_is_ignored(read: Read, text: str, old: str, new: str) -> None:
    """Code that merely shares a file or a name with a station is not part of its code."""
    assert old in text
    before = read({"stations.py": text})
    head, _, tail = text.rpartition(old)

    after = read({"stations.py": head + new + tail})

    assert after == before


# --- in other files

HELPERS = "def run(): return 1\ndef other(): return 2\nX = 3\n"
ACROSS = {
    "module": {"stations.py": "import helpers\ndef boil(): helpers.run()"},
    "module by another name": {"stations.py": "import helpers as h\ndef boil(): h.run()"},
    "name": {"stations.py": "from helpers import run\ndef boil(): run()"},
    "name by another name": {"stations.py": "from helpers import run as r\ndef boil(): r()"},
    "star": {"stations.py": "from helpers import *\ndef boil(): run()"},
    "inside a function": {"stations.py": "def boil():\n    import helpers\n    helpers.run()"},
    "name inside a function": {
        "stations.py": "def boil():\n    from helpers import run as r\n    r()"
    },
    "module as a value": {"stations.py": "import helpers\ndef boil(): call(helpers, 'run')"},
    "module under a variable": {
        "stations.py": "import helpers\ndef boil():\n    h = helpers\n    h.run()"
    },
    "module that may be missing": {
        "stations.py": "try:\n    import helpers\nexcept ImportError:\n    helpers = None\n"
        "def boil(): helpers.run()"
    },
    "one of two modules": {
        "stations.py": "try:\n    from helpers import run\nexcept ImportError:\n"
        "    from nowhere import run\ndef boil(): run()"
    },
    "the other of two modules": {
        "stations.py": "try:\n    from nowhere import run\nexcept ImportError:\n"
        "    from helpers import run\ndef boil(): run()"
    },
    "table filled here": {
        "stations.py": "from helpers import *\nX['a'] = run\ndef boil(): return X"
    },
    "helper that shadows an import": {
        "stations.py": "import helpers\nclass A:\n    def a(self): import json as helpers\n"
        "    def b(self): helpers.run()\ndef boil(): A()"
    },
    "passed on": {
        "stations.py": "import middle\ndef boil(): middle.go()",
        "middle.py": "from helpers import run as go",
    },
    "passed on by a star": {
        "stations.py": "from middle import run\ndef boil(): run()",
        "middle.py": "from helpers import *",
    },
    "passed on as a module": {
        "stations.py": "import middle\ndef boil(): middle.helpers.run()",
        "middle.py": "import helpers",
    },
    "registered in another file": {
        "stations.py": "from table import STEPS, step\nfrom helpers import run\n"
        "@step('a')\ndef go(): run()\ndef boil(): STEPS['a']()",
        "table.py": "STEPS = {}\ndef step(n):\n    def put(f): STEPS[n] = f\n    return put\n",
    },
    "added to a table in another file": {
        "stations.py": "import table\nfrom helpers import run\n"
        "table.step('a', run)\ndef boil(): table.STEPS['a']()",
        "table.py": "STEPS = {}\ndef step(n, f): STEPS[n] = f\n",
    },
    "imported for types": {
        "stations.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
        "    from helpers import run\ndef boil(a: 'run'): ...",
    },
    "made by another module": {
        "stations.py": "import middle\ndef boil(): middle.go()",
        "middle.py": "from helpers import run\ndef __getattr__(name): return run",
    },
    "imported from what a module makes": {
        "stations.py": "from middle import go\ndef boil(): go()",
        "middle.py": "from helpers import run\ndef __getattr__(name): return run",
    },
    "imported in a circle": {
        "stations.py": "import middle\ndef boil(): middle.go()",
        "middle.py": "import stations, helpers\ndef go(): stations.boil(); helpers.run()",
    },
    "stars in a circle": {
        "stations.py": "from a import *\ndef boil(): run()",
        "a.py": "from b import *\nfrom c import *\n",
        "b.py": "from a import *\nfrom c import *\n",
        "c.py": "from b import *\nfrom a import *\nfrom helpers import *\n",
    },
}


@pytest.mark.parametrize("files", ACROSS.values(), ids=list(ACROSS))
def test_helper_in_another_file_is_reached(read: Read, files: dict[str, str]) -> None:
    """A helper of the project counts, however it is imported."""
    before = read({"helpers.py": HELPERS, **files})

    after = read({"helpers.py": HELPERS.replace("return 1", "return 9"), **files})

    assert after != before
    assert after.keys() == before.keys()


@pytest.mark.parametrize(
    "files",
    [pytest.param(files, id=name) for name, files in ACROSS.items() if "module " not in name],
)
def test_neighbour_of_a_helper_is_not_reached(read: Read, files: dict[str, str]) -> None:
    """Other code in the file of a helper is not part of the station's code."""
    before = read({"helpers.py": HELPERS, **files})

    after = read({"helpers.py": HELPERS.replace("return 2", "return 9"), **files})

    assert after == before


PACKAGES = {
    "submodule": {"stations.py": "import pkg.sub.deep\ndef boil(): pkg.sub.deep.run()"},
    "submodule by name": {"stations.py": "from pkg.sub import deep\ndef boil(): deep.run()"},
    "submodule of a package": {"stations.py": "from pkg import sub\ndef boil(): sub.deep.run()"},
    "function of a submodule": {"stations.py": "from pkg.sub.deep import run\ndef boil(): run()"},
    "submodule by another name": {"stations.py": "import pkg.sub.deep as d\ndef boil(): d.run()"},
    "submodule inside a function": {
        "stations.py": "def boil():\n    import pkg.sub.deep\n    pkg.sub.deep.run()"
    },
    "package's own choice": {
        "stations.py": "import pkg\ndef boil(): pkg.go()",
        "pkg/__init__.py": "from .sub.deep import run as go",
    },
    "package's own choice of a module": {
        "stations.py": "from pkg import d\ndef boil(): d.run()",
        "pkg/__init__.py": "from .sub import deep as d",
    },
    "relative": {
        "stations.py": "from pkg.near import go\ndef boil(): go()",
        "pkg/near.py": "from .sub.deep import run\ndef go(): run()",
    },
    "relative module": {
        "stations.py": "from pkg.near import go\ndef boil(): go()",
        "pkg/near.py": "from . import sub\nfrom .sub import deep\ndef go(): sub.deep.run()",
    },
    "relative upwards": {
        "stations.py": "from pkg.other.far import go\ndef boil(): go()",
        "pkg/other/far.py": "from ..sub.deep import run\ndef go(): run()",
        "pkg/other/__init__.py": "",
    },
    "relative star": {
        "stations.py": "from pkg.near import run\ndef boil(): run()",
        "pkg/near.py": "from .sub.deep import *",
    },
}


@pytest.mark.parametrize("has_init", [True, False], ids=["with init", "without init"])
@pytest.mark.parametrize("files", PACKAGES.values(), ids=list(PACKAGES))
def test_helper_in_a_package_is_reached(read: Read, files: dict[str, str], has_init: bool) -> None:
    """A helper in a package counts, whether or not its folders have an `__init__.py`."""
    if has_init:
        files = {"pkg/__init__.py": "", "pkg/sub/__init__.py": "", **files}
    before = read({"pkg/sub/deep.py": HELPERS, **files})

    after = read({"pkg/sub/deep.py": HELPERS.replace("return 1", "return 9"), **files})

    assert after != before
    assert "pkg/sub/deep.py::run" in after
    assert "pkg/sub/deep.py::other" not in after


def test_station_in_a_package_reaches_its_siblings(read: Read) -> None:
    """A station file that is part of a package may import relatively."""
    files = {
        "pkg/__init__.py": "",
        "pkg/stations.py": "from .sub import deep\ndef boil(): deep.run()",
        "pkg/sub/deep.py": HELPERS,
    }

    found = read(files, file="pkg/stations.py", package="pkg")

    assert list(found) == ["pkg/stations.py::boil", "pkg/sub/deep.py::run"]


def test_reading_imports_nothing(read: Read) -> None:
    """A module that a function imports at run time is read, and never executed."""
    read(
        {
            "stations.py": "def boil():\n    from pkg.sub import deep\n    deep.run()",
            "pkg/__init__.py": "raise SystemExit",
            "pkg/sub/deep.py": HELPERS,
        }
    )

    assert not {"pkg", "pkg.sub", "pkg.sub.deep"} & sys.modules.keys()


def test_library_is_not_part_of_the_project(read: Read) -> None:
    """Installed packages are not part of the project, even below its folder."""
    files = {
        "stations.py": "import json, lib\ndef boil(): json.loads(lib.run())",
        "venv/lib/python3/site-packages/lib.py": HELPERS,
    }

    assert list(read(files)) == ["stations.py::boil"]


def test_project_may_lie_below_the_interpreter(
    read: Read, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A project in a folder of Python itself, as in containers, is still a project."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path.parent))

    assert list(read({"stations.py": PLAIN})) == ["stations.py::boil"]


def test_project_may_be_reached_by_a_link(tmp_path: Path) -> None:
    """Files of the project have the same name if they are reached through a link."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "stations.py").write_text(PLAIN)
    (tmp_path / "link").symlink_to("real")
    folders = (tmp_path / "real", tmp_path / "link")

    found = [
        CodeReader(root, {}).reach([_function(folder / "stations.py")])
        for root in folders
        for folder in folders
    ]

    assert found == [found[0]] * 4
    assert list(found[0]) == ["stations.py::boil"]


def test_file_outside_the_project_has_no_code(tmp_path: Path) -> None:
    """A function from outside of the project, or without source, has no code."""
    reader = CodeReader(tmp_path, {})

    assert reader.reach([functools.wraps, len, functools.partial(len)]) == {}


@pytest.mark.parametrize("text", ["def boil(:", "\0", None], ids=["syntax", "zero", "gone"])
def test_file_that_cannot_be_read_has_no_code(read: Read, tmp_path: Path, text: str | None) -> None:
    """A file that became broken or disappeared after its import is not an error here."""
    files = {} if text is None else {"stations.py": text}

    assert read(files) == {}


# --- functions in functions


def _factory(tmp_path: Path) -> Callable[..., Any]:
    path = tmp_path / "stations.py"
    path.write_text(
        dedent(
            """
            def help(): return 1
            def make(f):
                def inner(): return f()
                return inner
            def boil(): return help()
            """
        )
    )
    names: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    made: Callable[..., Any] = names["make"](names["boil"])
    return made


def test_wrapped_function_is_reached(tmp_path: Path) -> None:
    """A function that another one closes over counts, although no name leads to it."""
    made = _factory(tmp_path)

    found = CodeReader(tmp_path, {}).reach([made])

    assert list(found) == ["stations.py::boil", "stations.py::help", "stations.py::make"]


MAKER = """
def make(degrees, lock):
    def boil(times=degrees + 1):
        return degrees, lock
    return boil
"""


def _held(tmp_path: Path, *arguments: object) -> dict[str, str]:
    path = tmp_path / "stations.py"
    path.write_text(MAKER)
    names: dict[str, Any] = {}
    exec(compile(MAKER, str(path), "exec"), names)
    return CodeReader(tmp_path, {}).reach([names["make"](*arguments)])


def test_values_that_a_made_function_holds_are_part_of_it(tmp_path: Path) -> None:
    """A value that a function got from the function that made it counts, if it has a digest."""
    first, same, other = (_held(tmp_path, degrees, object()) for degrees in (90, 90, 80))

    assert list(first) == [
        "degrees in stations.py::make.<locals>.boil",
        "stations.py::make",
        "times in stations.py::make.<locals>.boil",
    ]
    assert first == same
    assert {name for name in first if first[name] != other[name]} == set(first) - {
        "stations.py::make"
    }


def test_several_functions_made_in_one_place_all_count(tmp_path: Path) -> None:
    """Two functions that one function made both count, each with the values that it holds."""
    path = tmp_path / "stations.py"
    path.write_text(MAKER)
    names: dict[str, Any] = {}
    exec(compile(MAKER, str(path), "exec"), names)
    a, b, c = (names["make"](degrees, None) for degrees in (1, 2, 3))

    def found(*functions: Callable[..., Any]) -> dict[str, str]:
        return CodeReader(tmp_path, {}).reach(functions)

    assert found(a, b) == found(a, b)
    assert len({str(found(*each)) for each in ((a, b), (a, c), (b, c), (a,), (b,))}) == 5


def test_several_functions_are_reached_together(tmp_path: Path) -> None:
    """The code of several functions is everything that any of them reaches."""
    (tmp_path / "stations.py").write_text("def a(): ...\ndef b(): ...\ndef c(): ...")
    functions = [_function(tmp_path / "stations.py", name) for name in "ab"]

    found = CodeReader(tmp_path, {}).reach(functions)

    assert list(found) == ["stations.py::a", "stations.py::b"]


# --- the source cache


def test_cached_source_equals_a_new_one(tmp_path: Path) -> None:
    """A source in the cache, of this process or another, equals the one of a new reader."""
    (tmp_path / "stations.py").write_text(PLAIN + "\n".join(t for t, _, _ in CHANGES.values()))
    function = _function(tmp_path / "stations.py")
    source_cache: dict[str, str] = {}
    fresh = CodeReader(tmp_path, source_cache).reach([function])
    kept = dict(source_cache)

    again = CodeReader(tmp_path, kept).reach([function])

    assert again == fresh
    assert kept == source_cache
    assert len(source_cache) == 1


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"definitions":3}'])
def test_damaged_source_is_read_again(tmp_path: Path, damage: str) -> None:
    """A damaged entry of the cache is ignored, and replaced."""
    (tmp_path / "stations.py").write_text(PLAIN)
    function = _function(tmp_path / "stations.py")
    source_cache: dict[str, str] = {}
    fresh = CodeReader(tmp_path, source_cache).reach([function])
    damaged = dict.fromkeys(source_cache, damage)

    again = CodeReader(tmp_path, damaged).reach([function])

    assert again == fresh
    assert damaged == source_cache


def test_reader_reads_a_file_once(tmp_path: Path) -> None:
    """A file that is edited during a session is not read again: it was imported earlier."""
    path = tmp_path / "stations.py"
    path.write_text("def boil(): return 1")
    reader = CodeReader(tmp_path, {})
    before = reader.reach([_function(path)])
    path.write_text("def boil(): return 2")

    assert reader.reach([_function(path)]) == before


# --- what was imported


def test_source_counts_as_it_was_imported(tmp_path: Path) -> None:
    """A file that was edited since it was imported counts as it was."""
    path = tmp_path / "stations.py"
    path.write_text("def boil(): return 1")
    before = CodeReader(tmp_path, {}).reach([_function(path)])
    content = path.read_bytes()
    path.write_text("def boil(): return 2")

    assert CodeReader(tmp_path, {}, {str(path): content}).reach([_function(path)]) == before


def test_source_that_is_not_certain_equals_no_other(tmp_path: Path) -> None:
    """A file of which nobody knows what was imported is never the same again, and not cached."""
    path = tmp_path / "stations.py"
    path.write_text("def boil(): return 1")
    cache: dict[str, str] = {}
    known = CodeReader(tmp_path, cache).reach([_function(path)])
    readers = [CodeReader(tmp_path, cache, {str(path): None}) for _ in range(2)]

    one, other = (reader.reach([_function(path)]) for reader in readers)

    assert known.keys() == one.keys() == other.keys()
    assert len({*known.values(), *one.values(), *other.values()}) == 3
    assert readers[0].reach([_function(path)]) == one
    assert CodeReader(tmp_path, cache).reach([_function(path)]) == known


# --- hard cases


def test_warnings_of_the_parser_hide_nothing(read: Read) -> None:
    """A file whose import warns is read silently, even if warnings are errors."""
    text = 'def boil(): return "\\d" is 1\n'
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        found = read({"stations.py": text})

    assert list(found) == ["stations.py::boil"]


def test_long_expressions_are_read(read: Read) -> None:
    """An expression of many terms, or a condition of many cases, is read like any other."""
    terms = " + ".join(f"a{number}" for number in range(400))
    cases = "".join(f"    elif x == {number}: y = {number}\n" for number in range(400))
    text = f"def boil(x):\n    if x: {terms}\n{cases}    return help()\ndef help(): return 1\n"
    before = read({"stations.py": text})

    after = read({"stations.py": text.replace("== 399", "== -1")})

    assert list(before) == ["stations.py::boil", "stations.py::help"]
    assert after != before


def test_long_chain_of_helpers_is_reached(read: Read) -> None:
    """Two thousand helpers, each calling the next, are all reached quickly."""
    text = "def boil(): f0()\n" + "".join(f"def f{n}(): f{n + 1}()\n" for n in range(2000))
    began = time.process_time()

    found = read({"stations.py": text})

    assert len(found) == 2001
    assert time.process_time() - began < 3


EVERYTHING = """
from json import loads
X = [1, 2.5, "a", b"b", None, ..., True, 3j, -0.0, "\\ud800"]

@decorator(X, key=lambda a, /, b=1, *c, d, **e: a)
async def boil(a: int = 1, *, b: "text" = None) -> dict[str, X]:
    'Boil.'
    async with a as (b, *c), d:
        for i in range(3):
            await f(f"{loads(a)!r:>{i}} {b=}" "{}" '')
        else:
            del b[1:2, ...]
    try:
        x = [y async for y in a if y if not y] or {**a, "k": {*b}}
    except OSError as error:
        raise error from None
    finally:
        return (z := a @ b) if a < b <= c else not -a
    match a:
        case {"a": [1, *_]} | A(b=None) as c if c:
            global GLOBAL
        case {**rest} | [*rest]:
            assert a, "message"
    class Inner(A, metaclass=B):
        x: int = 1
        y: str
    while True:
        pass
"""


def test_digest_of_a_string_is_equal_in_all_versions(read: Read) -> None:
    """Newer versions of Python show characters that older ones escape."""
    found = read({"stations.py": "def boil(): return 'süß 📤 \U0001fae8'"})

    assert found == {"stations.py::boil": "69578139fd7f031e"}


def test_source_is_the_same_for_every_python(read: Read) -> None:
    """The digest depends on the source only, and not on the version of Python."""
    assert read({"stations.py": EVERYTHING}) == {
        "stations.py::X": "fd27de9eceb2bead",
        "stations.py::boil": "99da74c16602d7bc",
    }


def test_one_source_per_file_is_cached(tmp_path: Path) -> None:
    """The cache has the last source of a file, however often the file was edited."""
    source_cache: dict[str, str] = {}
    for number in range(3):
        (tmp_path / "kettle.py").write_text(f"def boil(): return {number}\n")
        reader = CodeReader(tmp_path, source_cache)
        assert reader._source(tmp_path / "kettle.py").definitions.keys() == {"boil"}

    assert len(source_cache) == 1


def _made(tmp_path: Path, text: str, name: str = "boil") -> Any:
    path = tmp_path / "stations.py"
    path.write_text(dedent(text))
    names: dict[str, Any] = {"__name__": "stations"}
    exec(compile(path.read_text(), str(path), "exec"), names)
    return names[name]


def test_values_that_a_function_holds_count_as_they_were_before_it_ran(tmp_path: Path) -> None:
    """A function may alter the values that it holds: that is not a change of its code."""
    boil = _made(
        tmp_path,
        """
        def make():
            cache = {}
            def boil(): cache["kettle"] = 1
            return boil
        boil = make()
        """,
    )
    reader = CodeReader(tmp_path, {})
    reader.hold([boil])
    boil()

    assert reader.reach([boil]) == CodeReader(tmp_path, {}).reach([_again(tmp_path)])


def _again(tmp_path: Path) -> Any:
    return _made(tmp_path, (tmp_path / "stations.py").read_text())


class Lazy:
    """An object that is set up on first use, and has not been used."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        raise RuntimeError("not set up")


class Unread(list[int]):
    """A list that cannot be read."""

    def __iter__(self) -> Any:
        raise RuntimeError("not loaded")


def _nested(depth: int) -> list[Any]:
    part: list[Any] = []
    for _ in range(depth):
        part = [part, part]
    return part


ODD: dict[str, Callable[[], object]] = {
    "a lazy object": Lazy,
    "a list that cannot be read": lambda: Unread([1]),
    "a mock that claims to be a path": lambda: MagicMock(spec=Path),
    "a very long list": lambda: list(range(20_000)),
    "a list that has a part very often": lambda: _nested(40),
}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_value_without_digest_is_not_part_of_the_code(
    tmp_path: Path, make: Callable[[], object]
) -> None:
    """The digest of a function is stable and fast, whatever values it holds."""
    assert list(_held(tmp_path, 90, make())) == [
        "degrees in stations.py::make.<locals>.boil",
        "stations.py::make",
        "times in stations.py::make.<locals>.boil",
    ]


WRAPPING = """
import functools
import importlib
import inspect

def times(n):
    def wrap(function):
        @functools.wraps(function)
        def inner(): return function() * n
        return inner
    return wrap

def _boil(): return 1

boil = times({n})(_boil)
"""


def test_arguments_of_a_decorator_count(tmp_path: Path) -> None:
    """The arguments of a decorator are code, even if it was called as a function."""
    two, three = (
        CodeReader(tmp_path, {}).reach([_made(tmp_path, WRAPPING.format(n=n))]) for n in (2, 3)
    )

    assert {name for name in two if two[name] != three[name]} == {
        "n in stations.py::times.<locals>.wrap.<locals>.inner"
    }
    assert "stations.py::_boil" in two and "stations.py::times" in two


# --- what only declares

IMPORTED = {
    "guard.py": """
        def check(limit): return lambda f: lambda: min(f(), limit)
        clean = find = check
        """,
    "marks.py": """
        import pytest
        REGIONS = ["eu", "us"]
        regions = pytest.mark.parametrize("region", REGIONS)
        """,
    "others.py": """
        from pytest_choochoo import station
        @station
        def water(): ...
        """,
    "tools.py": "from pytest_choochoo import station as step",
}


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Read]:
    """Write the files in `IMPORTED` and `stations.py`; return what its `boil` reaches."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    names = ["stations", *(name.removesuffix(".py") for name in IMPORTED)]

    def imported(text: str, **edited: tuple[str, str]) -> dict[str, str]:
        for name in names:
            sys.modules.pop(name, None)
        for name, content in {**IMPORTED, "stations.py": text}.items():
            old, new = edited.get(name.removesuffix(".py"), ("", ""))
            assert old in content
            (tmp_path / name).write_text(
                dedent(content).replace(old, new) if old else dedent(content)
            )
        importlib.invalidate_caches()
        module = importlib.import_module("stations")
        return CodeReader(tmp_path, {}).reach([inspect.unwrap(module.boil)])

    yield imported
    for name in names:
        sys.modules.pop(name, None)


# A decorator of `boil` or of what it calls, and another with which it does not do the same.
ALTERING = {
    "called check": ("import guard\n@guard.check(limit=7)\ndef boil(): ...", "7", "8"),
    "called clean": ("import guard\n@guard.clean(limit=7)\ndef boil(): ...", "7", "8"),
    "called find": ("import guard\n@guard.find(limit=7)\ndef boil(): ...", "7", "8"),
    "imported as check": ("from guard import check\n@check(limit=7)\ndef boil(): ...", "7", "8"),
    "kept": ("import guard\nlow = guard.check(7)\n@low\ndef boil(): ...", "7", "8"),
    "of a helper": (
        "import guard\n@guard.check(limit=7)\ndef help(): ...\ndef boil(): help()",
        "7",
        "8",
    ),
    "in the file": (
        "class guard:\n    def check(limit): return lambda f: f\n@guard.check(7)\ndef boil(): ...",
        "7",
        "8",
    ),
    "of an object": (
        (
            "class Guard:\n    def check(self, limit): return lambda f: f\n"
            "guard = Guard()\n@guard.check(7)\ndef boil(): ..."
        ),
        "7",
        "8",
    ),
    "of a module that pytest imports": (
        (
            "import pytest\njson = pytest.importorskip('json')\n"
            "def ignore(f): ...\n@json.codecs.lookup('utf-8').encode\ndef boil(): ..."
        ),
        "utf-8",
        "latin-1",
    ),
}


@pytest.mark.parametrize(("text", "old", "new"), ALTERING.values(), ids=list(ALTERING))
def test_decorator_that_only_looks_like_a_declaration_is_code(
    read: Read, text: str, old: str, new: str
) -> None:
    """A decorator that is no check, find, clean, mark or fixture counts, whatever its name."""
    files = {"guard.py": IMPORTED["guard.py"]}
    assert text.count(old) == 1

    before = read({"stations.py": text, **files})

    assert read({"stations.py": text.replace(old, new), **files}) != before


DECLARING = {
    "imported mark": ("from marks import regions\n{}def boil(region): ...", "@regions\n"),
    "mark of a module": ("import marks\n{}def boil(region): ...", "@marks.regions\n"),
    "kept mark": ("import marks\nslow = marks.regions\n{}def boil(): ...", "@slow\n"),
    "check of an imported station": (
        "from others import water\ndef boil(): hot()\n{}def hot(): ...",
        "@water.check\n",
    ),
    "check of a station in a module": (
        "import others\ndef boil(): hot()\n{}def hot(): ...",
        "@others.water.check(within=2)\n",
    ),
    "clean of a made station": (
        (
            "from pytest_choochoo import station\n"
            "def make():\n    @station\n    def inner(): ...\n    return inner\n"
            "made = make()\ndef boil(): cold()\n{}def cold(): ..."
        ),
        "@made.clean\n",
    ),
    "clean of a station by a call": (
        (
            "from pytest_choochoo import station\ndef plain(): ...\n"
            "made = station(title='x')(plain)\ndef boil(): cold()\n{}def cold(): ..."
        ),
        "@made.clean\n",
    ),
    "station by another name": ("from tools import step\n{}def boil(): ...", "@step\n"),
    "station with arguments": (
        "from tools import step\nlong = step(max_age=3)\n{}def boil(): ...",
        "@long\n",
    ),
}


@pytest.mark.parametrize(("text", "line"), DECLARING.values(), ids=list(DECLARING))
def test_what_declares_is_no_code_wherever_it_comes_from(
    imported: Read, text: str, line: str
) -> None:
    """Marks, stations and their checks and cleans declare, also where they are imported."""
    assert imported(text.format(line)) == imported(text.format(""))


def test_arguments_of_an_imported_mark_are_no_code(imported: Read) -> None:
    """A parameter that is added to a mark in another file leaves the others alone."""
    text = "from marks import regions\n@regions\ndef boil(region): ..."
    before = imported(text)

    assert imported(text, marks=('"us"', '"us", "asia"')) == before
    assert list(before) == ["stations.py::boil"]


def test_cached_source_is_read_again_when_a_name_becomes_a_mark(
    imported: Read, tmp_path: Path
) -> None:
    """A decorator may become code by a change of another file."""
    text = "from marks import regions\n@regions\ndef boil(region=1): ..."
    cache: dict[str, str] = {}
    imported(text)
    is_mark = CodeReader(tmp_path, cache).reach([sys.modules["stations"].boil])
    imported(text, marks=("regions = pytest", "def regions(f): return f\nother = pytest"))

    is_code = CodeReader(tmp_path, cache).reach([sys.modules["stations"].boil])

    assert "marks.py::regions" not in is_mark
    assert "marks.py::regions" in is_code


# --- values that lead to code

THINGS = """
import functools

class Heater:
    def heat(self): return 1

class Kettle:
    def __init__(self, heater=None): self.heater = heater
    def boil(self): return 1
    def __call__(self): return 1

def help(x=0): return 1
def times(n, f=None): return n
def make(held):
    def boil(): return held()
    return boil
def boil(): ...
"""


@pytest.fixture
def things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module `things`, imported from the project."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "things.py").write_text(THINGS)
    importlib.invalidate_caches()
    yield importlib.import_module("things")
    del sys.modules["things"]


def _set_apart(things: Any) -> dict[str, Any]:
    class Shelf(msgspec.Struct):
        kettle: Any

    return {
        "a class": things.Kettle,
        "an instance": things.Kettle(),
        "a list": [{"a": (things.Kettle,)}],
        "a key": {things.Kettle: 1},
        "a method": things.Kettle().boil,
        "a partial": functools.partial(things.Kettle, 1),
        "an argument of a partial": functools.partial(print, things.Kettle),
        "a field": Shelf(things.Kettle),
    }


@pytest.mark.parametrize(
    "name",
    [
        "a class",
        "an instance",
        "a list",
        "a key",
        "a method",
        "a partial",
        "an argument of a partial",
        "a field",
    ],
)
def test_class_in_a_value_is_reached(tmp_path: Path, things: Any, name: str) -> None:
    """A class of the project counts wherever a value, a parameter for instance, leads to it."""
    value = _set_apart(things)[name]

    found = CodeReader(tmp_path, {}).reach([things.boil, value])
    held = CodeReader(tmp_path, {}).reach([things.make(value)])

    assert list(found) == ["things.py::Kettle", "things.py::boil"]
    assert {"things.py::Kettle", "things.py::make"} <= held.keys()


def test_values_without_code_of_the_project_add_nothing(tmp_path: Path, things: Any) -> None:
    """Plain data, modules and what is installed have no code of the project."""
    values = [1, "a", None, [2], sys, Path(), len, functools.partial(print, 3), Path("a").exists]

    assert list(CodeReader(tmp_path, {}).reach([things.boil, *values])) == ["things.py::boil"]


def test_partial_counts_with_its_arguments(tmp_path: Path, things: Any) -> None:
    """A partial that a function holds counts with what it is given, and what it calls."""
    one, other, third = (
        CodeReader(tmp_path, {}).reach([things.make(functools.partial(things.times, *given))])
        for given in [(1,), (2,), (1, things.help)]
    )

    assert one.keys() == other.keys()
    assert "things.py::times" in one
    assert {name for name in one if one[name] != other[name]} == {
        "held in things.py::make.<locals>.boil"
    }
    assert "things.py::help" in third


UNSEEN: dict[str, Callable[[Any], Any]] = {
    "an instance that is called": lambda things: things.Kettle(),
    "a bound method": lambda things: things.Kettle().boil,
    "a partial": lambda things: functools.partial(things.times, object()),
}
SEEN: dict[str, Callable[[Any], Any]] = {
    "a function": lambda things: things.help,
    "a class": lambda things: things.Kettle,
    "a partial": lambda things: functools.partial(things.times, 1),
    "data": lambda things: [1, 2],
    "an instance that is not called": lambda things: things.Heater(),
    "what is built in": lambda things: len,
}


@pytest.mark.parametrize("make", UNSEEN.values(), ids=UNSEEN)
def test_what_is_called_and_cannot_be_seen_is_named(
    tmp_path: Path, things: Any, make: Callable[[Any], Any]
) -> None:
    """A value that a function holds and calls is named where what it holds has no digest."""
    made = things.make(make(things))

    assert CodeReader(tmp_path, {}).unseen([made]) == ("held in things.py::make.<locals>.boil",)


@pytest.mark.parametrize("make", SEEN.values(), ids=SEEN)
def test_what_can_be_seen_is_not_named(
    tmp_path: Path, things: Any, make: Callable[[Any], Any]
) -> None:
    """Functions, classes and data count as they are, and what is never called holds no code."""
    assert CodeReader(tmp_path, {}).unseen([things.make(make(things)), things.boil]) == ()


class Raising:
    """An object that cannot be asked for anything."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_module_that_raises_when_asked_is_passed_over(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object that stands for a module may raise whatever it is asked for."""
    monkeypatch.setitem(sys.modules, "lazy", Raising())

    found = read({"stations.py": "import lazy\nfrom lazy import settings\n"
                  "@settings.x\ndef boil(): lazy.go(settings.y)"})  # fmt: skip

    assert list(found) == ["stations.py::boil"]


def test_held_value_that_raises_when_asked_is_passed_over(tmp_path: Path, things: Any) -> None:
    """A value that a function holds may raise whatever it is asked for."""
    made = things.make(Raising())

    assert list(CodeReader(tmp_path, {}).reach([made, Raising()])) == ["things.py::make"]
    assert CodeReader(tmp_path, {}).unseen([made]) == ()


# --- parameters that only make an order

ORDER = "from pytest_choochoo import station\n@station\n"
# Two forms of one station that differ in parameters that nothing uses.
ORDER_ONLY = {
    "renamed": ("def boil(a): return 1", "def boil(b): return 1"),
    "added": ("def boil(): return 1", "def boil(a): return 1"),
    "one of two": ("def boil(a, b): return b", "def boil(c, b): return b"),
    "before a default": ("def boil(a, b=1): return b", "def boil(c, d, b=1): return b"),
    "by keyword": ("def boil(*, a, b=1, c): return c", "def boil(*, d, b=1, c): return c"),
    "annotated": ("def boil(a: None): return 1", "def boil(b: 'None'): return 1"),
    "asynchronous": ("async def boil(a): return 1", "async def boil(b): return 1"),
    "of several definitions": (
        "def boil(a): return 1\nboil.x = 1",
        "def boil(b): return 1\nboil.x = 1",
    ),
    "below a mark": ("@pytest.mark.slow\ndef boil(a): ...", "@pytest.mark.slow\ndef boil(b): ..."),
}
USED = {
    "by name": ("def boil(a): return a", "def boil(b): return b"),
    "in a nested function": (
        "def boil(a): return lambda: a",
        "def boil(b): return lambda: b",
    ),
    "by all names": ("def boil(a): return locals()", "def boil(b): return locals()"),
    "with a default": ("def boil(a=1): ...", "def boil(b=1): ..."),
    "by a decorator": (
        "def d(f): return f\n@d\ndef boil(a): ...",
        "def d(f): return f\n@d\ndef boil(b): ...",
    ),
    "as soon as it is used": ("def boil(a): return 1", "def boil(a): return a and 1"),
}


def _differs(one: dict[str, str], other: dict[str, str]) -> bool:
    return any(not same_code(one.get(name), other.get(name)) for name in one.keys() | other.keys())


@pytest.mark.parametrize(("before", "after"), ORDER_ONLY.values(), ids=ORDER_ONLY)
def test_parameter_that_a_station_does_not_use_is_no_code(
    read: Read, before: str, after: str
) -> None:
    """An upstream station that only makes an order may be renamed, added or removed."""
    one, other = (
        read({"stations.py": f"import pytest\n{ORDER}{text}\n"}) for text in (before, after)
    )

    assert one != {}
    assert not _differs(one, other)


@pytest.mark.parametrize("decorator", ["pytest.fixture", "pytest.fixture(scope='session')"])
def test_parameter_that_a_fixture_does_not_use_is_no_code(read: Read, decorator: str) -> None:
    """An upstream station that a fixture requests for the order only may be renamed."""
    station = f"{ORDER}def boil(): return help\n"
    one, other, used = (
        read({"stations.py": f"import pytest\n{station}@{decorator}\ndef help{text}\n"})
        for text in ("(a): yield 1", "(b): yield 1", "(b): yield b")
    )

    assert "stations.py::help" in one
    assert not _differs(one, other)
    assert _differs(other, used)


@pytest.mark.parametrize(("before", "after"), USED.values(), ids=USED)
def test_parameter_that_a_station_may_use_is_code(read: Read, before: str, after: str) -> None:
    """A parameter that the body of a station uses is code of it."""
    one, other = (read({"stations.py": ORDER + text}) for text in (before, after))

    assert _differs(one, other)


def test_parameters_of_other_functions_are_code(read: Read) -> None:
    """A helper may be called by position: its parameters count all."""
    one, other = (
        read({"stations.py": f"{ORDER}def boil(): help(1)\ndef help({name}): ..."}) for name in "ab"
    )

    assert _differs(one, other)


def test_digest_without_unused_parameters_comes_second(read: Read) -> None:
    """The digest that records have had so far comes first: what is complete stays so."""
    plain = read({"stations.py": "def boil(a): return 1"})["stations.py::boil"]

    assert read({"stations.py": ORDER + "def boil(a): return 1"})["stations.py::boil"].split() == [
        plain,
        read({"stations.py": "def boil(): return 1"})["stations.py::boil"],
    ]


# --- under former names

NAMED = """
from pytest_choochoo import station
from rooms import kettle

LIMIT = 3

@station
def boil(kettle):
    return helper(kettle, LIMIT)

@station
def pour(boil, cup):
    def inner(boil):
        return boil
    return [boil for boil in inner(boil)], boil.cup, helper(boil=boil)

def helper(boil, limit=LIMIT):
    return boil
"""


@pytest.mark.parametrize(
    "names",
    [{"heat": "boil"}, {"heat": "boil", "fill": "pour"}, {"pot": "kettle"}, {"elsewhere": "x"}],
    ids=str,
)
def test_code_under_former_names(tmp_path: Path, names: Mapping[str, str]) -> None:
    """Code that was renamed has, under the former names, the digests that it had."""
    file, now = tmp_path / "stations.py", NAMED
    file.write_text(NAMED)
    before = CodeReader(tmp_path, {}).reach([_function(file, "pour"), _function(file)])
    for name, former in names.items():
        now = re.sub(rf"\b{former}\b(?!=)(?<!\.{former})", name, now)
    file.write_text(now)
    values = [_function(file, name) for name in ("pour", "fill", "boil", "heat")]
    reader = CodeReader(tmp_path, {})

    renamed = reader.under(names).reach(values)

    spelt = {f"stations.py::{names.get(key[13:], key[13:])}": each for key, each in renamed.items()}
    assert spelt == before
    assert (reader.reach(values) == before) is (now == NAMED)
