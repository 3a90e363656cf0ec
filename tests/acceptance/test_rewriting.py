"""Asserts: pytest rewrites those of the user, and no modules of the package."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from harness import Project

import pytest_choochoo

# Each process writes the number of plain modules of the package, and the rewritten ones.
LOADERS = """
import sys
from pathlib import Path

def pytest_unconfigure(config):
    loaders = {
        name: type(module.__loader__).__name__
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "pytest_choochoo"
    }
    rewritten = [name for name, loader in loaders.items() if loader == "AssertionRewritingHook"]
    worker = getattr(config, "workerinput", {}).get("workerid", "main")
    file = Path(__file__).with_name(f"rewritten-by-{worker}.txt")
    file.write_text(f"{len(loaders) - len(rewritten)} {' '.join(sorted(rewritten))}")
"""
FAILING = """
@station
def boil():
    assert len("water") == 100
"""


def test_no_module_of_the_package_is_rewritten(project: Project, mode: str) -> None:
    """In each process, pytest rewrites only the modules that are imported before our finder is set."""
    project.write("conftest.py", LOADERS)
    project.stations("@station\ndef boil(): ...\n")

    run = project.run("--cc-run", new_interpreter=True)

    assert run.visited == ("boil",)
    seen = {
        file.name[len("rewritten-by-") : -len(".txt")]: file.read_text().split()
        for file in project.path.glob("rewritten-by-*.txt")
    }
    assert seen.keys() == ({"main"} if mode == "serial" else {"main", "gw0", "gw1"})
    assert all(int(plain) > 20 for plain, *_ in seen.values())
    unavoidable = {"pytest_choochoo", "pytest_choochoo.rewriting"}
    assert [name for _, *names in seen.values() for name in names if name not in unavoidable] == []


def test_asserts_of_station_files_are_rewritten(project: Project, mode: str) -> None:
    """An assert that fails in a station shows its values."""
    project.stations(FAILING)

    run = project.run("--cc-run", new_interpreter=True)

    assert run.failed == ("boil",)
    assert "where 5 = len('water')" in run.text


def test_asserts_of_conftest_files_are_rewritten(project: Project, mode: str) -> None:
    """An assert that fails in a fixture of a conftest file shows its values."""
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture
        def water():
            assert len("water") == 100
        """,
    )
    project.stations("@station\ndef boil(water): ...\n")

    run = project.run("--cc-run", new_interpreter=True)

    assert run.failed == ("boil",)
    assert "where 5 = len('water')" in run.text


def test_package_in_an_archive_works(project: Project, tmp_path: Path) -> None:
    """A run works with the package imported from a zip archive."""
    package = Path(pytest_choochoo.__file__).parent
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        for file in package.rglob("*.py"):
            archive.write(file, file.relative_to(package.parent))
    project.setenv("PYTHONPATH", f"{tmp_path / 'package.zip'}:{Path(__file__).parent.parent}")
    project.stations(
        """
        import pytest_choochoo.rewriting

        @station
        def boil():
            log(type(pytest_choochoo.rewriting.__loader__).__name__)
        """
    )

    run = project.run("--cc-run", new_interpreter=True)

    assert run.log == ("zipimporter",)


def test_run_within_a_run_may_name_the_plugin(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pytest does not warn that it cannot rewrite the plugin, although it is imported already."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("def test_tea(): ...")

    run = pytester.runpytest_inprocess("-p", "pytest_choochoo.plugin", "-W", "error")

    run.assert_outcomes(passed=1)


def test_package_may_be_imported_before_pytest_starts(pytester: pytest.Pytester) -> None:
    """A script may import the package and then run pytest, without a warning."""
    pytester.makepyfile("def test_tea(): ...")
    script = pytester.path / "script.py"
    script.write_text(
        "import pytest, pytest_choochoo\npytest.main(['-p', 'no:asyncio', '-p', 'no:anyio'])\n"
    )

    run = pytester.runpython(script)

    run.assert_outcomes(passed=1, warnings=0)
