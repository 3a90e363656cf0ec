"""Everything that is kept is private, and no name from a user leads outside of the ledger."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from harness import Project

STATIONS = """
from pytest_choochoo import Secret

@station
def boil(visit: Visit) -> Secret[str]:
    (visit.dir / "note.txt").touch(mode=0o600)
    visit.resources["kettle"] = 1
    return Secret("open sesame")

@station
def pour(boil): ...
"""
LONG = "x" * 4000
NAMES = {
    "parent": "../../../outside",
    "absolute": "/tmp/outside",
    "home": "~/outside",
    "drive": "C:\\\\outside",
    "long": LONG,
    "emoji": "🚂🫖",
    "zero": "a\0b",
    "newline": "a\nb",
    "dots": "..",
    "empty": "",
    "brackets": "a]b[c",
    "colons": "a::b",
    "lone surrogate": "\udce9",
}


def _modes(folder: Path) -> dict[str, str]:
    """Return the modes of files and folders that others could access, by name."""
    found = {str(path): stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}
    return {name: oct(mode) for name, mode in found.items() if mode & 0o077}


@pytest.mark.parametrize("where", [(), ("--cc-state", "deep/down")], ids=["cache", "elsewhere"])
def test_kept_files_are_private(project: Project, mode: str, where: tuple[str, ...]) -> None:
    """All files are kept with mode 0600 in directories with mode 0700, whatever the umask is."""
    project.stations(STATIONS)

    project.run("--cc-run", *where)
    project.run("--cc-run", "--cc-profile", "staging", *where)

    folder = project.path / (where[1] if where else ".pytest_cache/d/choochoo")
    assert {path.name for path in folder.iterdir()} >= {"default", "staging", "default.sqlite"}
    assert _modes(folder) == {}


def test_ledger_set_aside_is_private(project: Project) -> None:
    """A ledger that was moved aside is as private under its other name, and so is the new one."""
    project.ini("filterwarnings = default")
    project.stations(STATIONS)
    project.run("--cc-run")
    folder = project.path / ".pytest_cache/d/choochoo"
    (folder / "default.sqlite").write_bytes(b"no ledger" * 1000)

    project.run("--cc-run")

    assert len(list(folder.glob("default-set-aside-*.sqlite"))) == 1
    assert _modes(folder) == {}


def test_existing_folder_keeps_its_mode(project: Project) -> None:
    """A folder that the user made for the ledger keeps its mode."""
    project.stations(STATIONS)
    folder = project.path / "ours"
    folder.mkdir(mode=0o750)

    project.run("--cc-run", "--cc-state", "ours")

    assert _modes(folder) == {str(folder): "0o750"}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_parameter_never_becomes_a_path(project: Project, name: str) -> None:
    """The files of a station stay in the ledger's folder, whatever its parameters are."""
    project.stations(
        f"""
        @station
        @pytest.mark.parametrize("kind", [{name!r}], ids=[{name!r}.encode("ascii", "backslashreplace").decode() or None])
        def boil(kind, visit: Visit) -> str:
            (visit.dir / "note.txt").touch(mode=0o600)
            return "done"
        """
    )

    first, again = project.run("--cc-run"), project.run("--cc-run")

    assert (first.closing, again.closing) == ("1 visited", "1 unchanged")
    [note] = project.path.rglob("note.txt")
    assert note.parents[2] == project.path / ".pytest_cache/d/choochoo/default"
    assert len(note.parent.name) < 80


@pytest.mark.parametrize(
    "name", ["../prod", "/tmp/x", LONG, "🚂", "a b", "..", "prod.sqlite", "Prod"], ids=range(8)
)
def test_profile_never_becomes_a_path(project: Project, name: str) -> None:
    """A profile whose name could lead elsewhere is rejected before anything is written."""
    project.stations(STATIONS)
    before = set(project.path.rglob("*"))

    run = project.run("--cc-run", "--cc-profile", name)

    assert run.exit_code == pytest.ExitCode.USAGE_ERROR
    assert "; it must be lowercase letters, digits and '_'" in run.text
    assert set(project.path.rglob("*")) == before


@pytest.mark.parametrize("name", ["🚂", "x" * 200, "a b", "a\\tb", "C:x"], ids=range(5))
def test_names_of_files_and_products_may_be_odd(project: Project, name: str) -> None:
    """Files and products with odd names are digested in place, and never copied."""
    project.write(
        "in/" + name.encode().decode("unicode_escape" if "\\" in name else "utf-8"), "tea"
    )
    project.stations(
        f"""
        from pathlib import Path
        HERE = Path(__file__).parent

        @station(files=["in/{name}"], products=["out/{name}"])
        def boil() -> None:
            (HERE / "out").mkdir(exist_ok=True)
            (HERE / "out" / "{name}").write_text("tea")
        """
    )

    first, again = project.run("--cc-run"), project.run("--cc-run")

    assert (first.closing, again.closing) == ("1 visited", "1 unchanged")
    kept = project.path / ".pytest_cache/d/choochoo"
    assert {path.suffix for path in kept.rglob("*") if path.is_file()} <= {
        ".sqlite",
        ".lock",
        ".key",
    }


@pytest.mark.parametrize("keyword", ["files", "products"])
@pytest.mark.parametrize("name", ["a\\0b", "x" * 4000], ids=["zero", "long"])
def test_name_that_no_file_can_have_fails_its_station(
    project: Project, keyword: str, name: str
) -> None:
    """A file or product with an impossible name fails its station, and nothing else."""
    project.stations(
        f"@station({keyword}=['{name}'])\ndef boil() -> None: ...\n\n@station\ndef pour(): ...\n"
    )

    run = project.run("--cc-run")

    assert (run.failed, run.visited) == (("boil",), ("pour",))
    assert "Traceback" not in run.text
