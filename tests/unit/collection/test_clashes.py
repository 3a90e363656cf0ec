"""Modules of one name: imports of station files that get another module than the one beside."""

from __future__ import annotations

import pytest

from pytest_choochoo.engine.errors import ModuleClash
from unit.collection.conftest import Collect


def station_file(name: str, *lines: str) -> str:
    return "\n".join((*lines, f"@station\ndef {name}(): ...\n"))


def found(collect: Collect, files: dict[str, str], *arguments: str) -> list[tuple[str, ...]]:
    """Return the facts of the clashes in *files*: stations, importer, module, beside, other."""
    project = collect(files, *arguments)
    project.files.find_clashes()
    clashes = [each for each in project.registry.faults if isinstance(each, ModuleClash)]
    return [(*each.names, each.file, each.module, each.beside, each.other) for each in clashes]


def side_by_side(imports: str, helper: str = "helper.py") -> dict[str, str]:
    """Return two folders, each with a station file that has *imports*, and with a helper."""
    return {
        f"{place}/{name}": text
        for place in ("back", "front")
        for name, text in {
            helper: f"NAME = '{place}'\n",
            "stations.py": station_file(f"make_{place}", imports),
        }.items()
    }


CLASHING = {
    "from": ("from helper import NAME", "helper.py", "helper"),
    "plain": ("import helper", "helper.py", "helper"),
    "as": ("import helper as h, os", "helper.py", "helper"),
    "package": ("from helper import NAME", "helper/__init__.py", "helper"),
    "part of a package": ("import helper.part", "helper/__init__.py", "helper"),
    "part of a namespace": ("from lib.helper import NAME", "lib/helper.py", "lib.helper"),
    "named in a namespace": ("from lib import helper", "lib/helper.py", "lib.helper"),
    "in a function, of a namespace": (
        "def f():\n    import lib.helper",
        "lib/helper.py",
        "lib.helper",
    ),
    "in a function": ("def f():\n    from helper import NAME", "helper.py", "helper"),
}


@pytest.mark.parametrize(("imports", "helper", "module"), CLASHING.values(), ids=CLASHING)
def test_import_that_gets_another_module_is_a_fault(
    collect: Collect, imports: str, helper: str, module: str
) -> None:
    """Of two station files that import modules of one name, one gets the other's."""
    files = side_by_side(imports, helper)
    for place in ("back", "front"):
        if "helper.part" in imports:
            files[f"{place}/helper/part.py"] = ""

    [(station, importer, name, beside, other)] = found(collect, files)

    # A module that is not imported yet comes from the folder that `sys.path` has first.
    one, another = ("back", "front") if "def" in imports else ("front", "back")
    assert (station, importer, name) == (f"make_{one}", f"{one}/stations.py", module)
    assert (beside, other) == (f"{one}/{helper}", f"{another}/{helper}")


def test_broken_station_file_has_the_fault_as_well(collect: Collect) -> None:
    """A station file that could not be imported because of it has the fault."""
    files = side_by_side("from helper import NAME") | {"back/helper.py": "OTHER = 1\n"}
    files["back/stations.py"] = station_file("make_back", "from helper import OTHER")

    assert found(collect, files) == [
        ("front/stations.py", "helper", "front/helper.py", "back/helper.py")
    ]


def test_other_station_files_are_modules_too(collect: Collect) -> None:
    """A station file that imports from the one beside it may get another one."""
    files = {
        "back/stations.py": station_file("make_back"),
        "front/stations.py": station_file("make_front"),
        "front/station_more.py": station_file("more", "import stations"),
    }

    assert found(collect, files) == [
        ("more", "front/station_more.py", "stations", "front/stations.py", "back/stations.py")
    ]


INNOCENT = {
    "never imported": ("", "helper.py"),
    "for type checkers": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import helper",
        "helper.py",
    ),
    "only mentioned": ("helper = 'helper'", "helper.py"),
    "standard library": ("import json", "json.py"),
    "conftest": ("import conftest", "conftest.py"),
    "relative": ("try:\n    from . import helper\nexcept ImportError: ...", "helper.py"),
    "different parts of a namespace": ("import lib", "lib/part.py"),
}


@pytest.mark.parametrize(("imports", "helper"), INNOCENT.values(), ids=INNOCENT)
def test_import_that_means_no_other_module_is_no_fault(
    collect: Collect, imports: str, helper: str
) -> None:
    """Only imports at run time are looked at, and those of modules that are meant."""
    assert found(collect, side_by_side(imports, helper)) == []


def test_modules_of_packages_have_different_names(collect: Collect) -> None:
    """In packages, each station file imports its own helper."""
    files = side_by_side("from .helper import NAME")

    assert found(collect, {**files, "back/__init__.py": "", "front/__init__.py": ""}) == []


def test_package_gets_the_module_of_that_name_outside(collect: Collect) -> None:
    """An absolute import in a package means the module outside of it."""
    files = side_by_side("from helper import NAME") | {"helper.py": "NAME = 0\n"}

    assert found(collect, {**files, "back/__init__.py": "", "front/__init__.py": ""}) == []


def test_importlib_mode_imports_nothing_from_beside(collect: Collect) -> None:
    """With `--import-mode=importlib`, a module beside a file is never meant."""
    files = side_by_side("from .helper import NAME")

    assert found(collect, files, "--import-mode=importlib") == []


def test_one_module_for_all_is_no_fault(collect: Collect) -> None:
    """Station files in several folders may import one module that lies beside one of them."""
    files = side_by_side("from shared import NAME") | {"conftest.py": "", "shared.py": "NAME = 1\n"}
    files |= {"stations.py": station_file("make", "from shared import NAME")}

    assert found(collect, files) == []


def test_station_in_a_test_module_gets_the_module_beside(collect: Collect) -> None:
    """A test module that has stations is no exception."""
    files = side_by_side("from helper import NAME")
    files["front/test_tea.py"] = files.pop("front/stations.py")

    assert [facts[0] for facts in found(collect, files)] == ["make_front"]
