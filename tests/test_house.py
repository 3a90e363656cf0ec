"""The rules of the house that no other tool holds: public names, words, distributions."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from email.message import Message
from email.parser import Parser
from functools import cache
from pathlib import Path

import pytest
from harness import outside

import pytest_choochoo

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pytest_choochoo"
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted(
    file for part in ("acceptance", "soak") for file in (ROOT / "tests" / part).glob("test_*.py")
)
FUNCTION_LINES = 50

STATIONS = """
from pytest_choochoo import station

@station
def boil() -> int:
    return 100

@station
def pour(boil: int) -> None: ...
"""


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


each_module = pytest.mark.parametrize("module", MODULES, ids=_named)


def _functions(module: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _python(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=folder, env=outside(), capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the source distribution, built as for PyPI."""
    folder = tmp_path_factory.mktemp("dist")
    built = _python("-m", "hatchling", "build", "-d", str(folder), folder=ROOT)
    assert built.returncode == 0, built.stdout + built.stderr
    [wheel], [source] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


@pytest.fixture(scope="module")
def metadata(shipped: tuple[Path, Path]) -> Message:
    with zipfile.ZipFile(shipped[0]) as wheel:
        [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(wheel.read(name).decode())


@each_module
def test_functions_fit_on_a_page(module: Path) -> None:
    """No function is longer than 50 lines."""
    lengths = {
        f"{f.name}:{f.lineno}": (f.end_lineno or 0) - f.lineno + 1 for f in _functions(module)
    }

    assert {name: length for name, length in lengths.items() if length > FUNCTION_LINES} == {}


@each_module
def test_module_says_what_it_is(module: Path) -> None:
    """Each module has a docstring, whose first line is in the table of rooms."""
    assert ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))


@each_module
def test_nothing_is_imported_from_below_pytest(module: Path) -> None:
    """Nothing is imported from `_pytest`, not even inside a function."""
    imported = {
        name.name if isinstance(node, ast.Import) else node.module or ""
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }

    assert {name for name in imported if name.split(".")[0] == "_pytest"} == set()


@each_module
def test_only_parallel_mentions_the_internals_of_xdist(module: Path) -> None:
    """The names of xdist's internals occur in `parallel/` alone."""
    if module.parent.name == "parallel":
        return
    words = re.findall(
        r"\b(?:workerinput|workeroutput|dsession|gateway|execnet|numprocesses|loadgroup)\b",
        module.read_text("utf-8"),
    )

    assert words == []


@each_module
def test_our_plugins_are_not_looked_up_by_name(module: Path) -> None:
    """Objects that last as long as a session are stored under typed stash keys."""
    assert re.findall(r"""get_plugin\(["']choochoo""", module.read_text("utf-8")) == []


@cache
def _own_private_names() -> set[str]:
    """Return every name with a leading underscore that the package itself defines."""
    own: set[str] = set()
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            match node:
                case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                    own.add(name)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    own.add(name)
                case ast.AnnAssign(target=ast.Name(id=name)) | ast.Name(id=name, ctx=ast.Store()):
                    own.add(name)
                case _:
                    pass
    return {name for name in own if name.startswith("_")}


@each_module
def test_private_attributes_of_others_are_used_in_one_file(module: Path) -> None:
    """Private attributes of pytest and xdist are used only in one file each."""
    if module.stem.endswith("_internals"):
        return
    own = _own_private_names() | {"_exit"}  # documented, in `os`
    used = {
        node.attr
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and node.attr not in own
    }

    assert used == set()


#: Words and beginnings of sentences that read as translated.
STILTED = re.compile(
    r'"""Have |Say whether|[Ww]hoever|\banew\b|\bmend(?:s|ed)?\b|for want of|in the midst'
    r"|\bwhom\b|\bas ever\b|\ball the same\b|parametris"
    r"|\bis no (?:text|number|folder|file)\b|^ *# (?:What|Which|Who|In which|Whose) "
    r'|"{3}(?:What|Which|Who|Whose)\b|#: (?:What|Which|Who)\b',
    re.MULTILINE,
)
WRITTEN = [
    file
    for pattern in ("pytest_choochoo/**/*.py", "tests/**/*.py", "benchmarks/**/*.py", "**/*.md")
    for file in sorted(ROOT.glob(pattern))
    if file.name != "test_house.py" and not any(p.startswith(".") for p in file.parts)
]


@pytest.mark.parametrize("file", WRITTEN, ids=_named)
def test_english_is_plain(file: Path) -> None:
    """Code, tests and docs avoid the phrases that read worst."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)  # a title may begin with "What"

    assert STILTED.findall(text) == []


def test_suppressions_are_few_and_have_a_reason() -> None:
    """At most ten lines of the package silence a tool, each of them with a reason."""
    lines = [
        line.strip()
        for module in MODULES
        for line in module.read_text(encoding="utf-8").splitlines()
        if re.search(r"# (?:type: ignore|noqa|pragma)", line)
    ]
    reasoned = [line for line in lines if re.search(r"(?:\]|\d) (?:#|-) \w", line)]

    assert (len(lines) <= 10, lines) == (True, reasoned)


@pytest.mark.parametrize("file", TESTS, ids=_named)
def test_every_test_is_a_sentence(file: Path) -> None:
    """Each test has a docstring, a sentence that states a fact about the product."""
    docstrings = {
        function.name: ast.get_docstring(function) or ""
        for function in _functions(file)
        if function.name.startswith("test_")
    }

    assert [name for name, text in docstrings.items() if not text.endswith(".")] == []


def test_public_names_can_be_imported() -> None:
    """A star import gives the public names, each with a docstring, and no others."""
    found: dict[str, object] = {}
    exec("from pytest_choochoo import *", found)
    del found["__builtins__"]

    assert sorted(found) == sorted(pytest_choochoo.__all__)
    assert [name for name, thing in found.items() if not thing.__doc__] == []


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        pytest.param("pytest_choochoo", {"pytest", "pluggy", "xdist", "execnet"}, id="front-door"),
        pytest.param("pytest_choochoo.plugin", {"xdist", "execnet"}, id="plugin"),
    ],
)
def test_imports_are_minimal(module: str, unwanted: set[str], tmp_path: Path) -> None:
    """`pytest_choochoo` does not import pytest, and the plugin starts without xdist."""
    code = f"import sys, {module}; print(*sys.modules)"

    done = _python("-c", code, folder=tmp_path)

    assert done.stderr == ""
    assert unwanted & set(done.stdout.split()) == set()


def test_plugin_works_without_xdist(tmp_path: Path) -> None:
    """Stations are visited and remembered if xdist is disabled."""
    (tmp_path / "stations.py").write_text(STATIONS)
    command = ("-m", "pytest", "-p", "no:xdist", "-W", "error", "--cc-run")
    others = ("-p", "no:asyncio", "-p", "no:randomly")  # they have warnings of their own

    first = _python(*command, *others, folder=tmp_path)
    second = _python(*command, *others, folder=tmp_path)

    assert (first.returncode, second.returncode) == (0, 0), first.stdout + second.stdout
    assert "choochoo: 2 visited" in first.stdout
    assert "choochoo: 2 unchanged" in second.stdout


def test_wheel_contains_only_the_package(shipped: tuple[Path, Path]) -> None:
    """The wheel has all modules and the marker `py.typed`, and nothing else."""
    with zipfile.ZipFile(shipped[0]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert {_named(module) for module in MODULES} <= names
    assert "pytest_choochoo/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"pytest_choochoo"}


def test_wheel_registers_the_plugin(shipped: tuple[Path, Path]) -> None:
    """Pytest finds the plugin by its entry point, under the name `choochoo`."""
    with zipfile.ZipFile(shipped[0]) as wheel:
        [name] = [name for name in wheel.namelist() if name.endswith("/entry_points.txt")]
        entry_points = ConfigParser()
        entry_points.read_string(wheel.read(name).decode())

    assert {section: dict(entry_points[section]) for section in entry_points.sections()} == {
        "pytest11": {"choochoo": "pytest_choochoo.plugin"}
    }


def test_source_distribution_can_be_tested(shipped: tuple[Path, Path]) -> None:
    """The source distribution has all files that `tox run` needs."""
    with tarfile.open(shipped[1]) as source:
        names = {name.partition("/")[2] for name in source.getnames()}

    wanted = {"LICENSE", "README.md", "pyproject.toml", "tox.ini", "pytest_choochoo/py.typed"}
    folders = (ROOT / name for name in ("tests", "example_project", "benchmarks"))
    wanted |= {_named(file) for folder in folders for file in folder.rglob("*.py")}
    assert wanted - names == set()


def test_metadata_has_the_requirements(metadata: Message) -> None:
    """The package requires Python 3.11, pytest 9.1 and xdist 3.8, and shows its README."""
    needed = {need.split(";")[0] for need in metadata.get_all("Requires-Dist") or ()}

    assert (metadata["Name"], metadata["Requires-Python"]) == ("pytest-choochoo", ">=3.11")
    assert {"pytest>=9.1", "pytest-xdist>=3.8"} <= needed
    assert "Framework :: Pytest" in (metadata.get_all("Classifier") or ())
    assert metadata["Description-Content-Type"] == "text/markdown"
