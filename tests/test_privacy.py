"""What is kept is private, and no name that a user gives leads out of where it is kept."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from railyard import Railyard

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
    """Return what may be looked at by others than its owner, by name."""
    found = {str(path): stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}
    return {name: oct(mode) for name, mode in found.items() if mode & 0o077}


@pytest.mark.parametrize("where", [(), ("--cc-state", "deep/down")], ids=["cache", "elsewhere"])
def test_what_is_kept_is_private(railyard: Railyard, mode: str, where: tuple[str, ...]) -> None:
    """Every file that is kept is 0600 in directories that are 0700, whatever the umask says."""
    railyard.stations(STATIONS)

    railyard.ride("--cc-run", *where)
    railyard.ride("--cc-run", "--cc-profile", "staging", *where)

    folder = railyard.path / (where[1] if where else ".pytest_cache/d/choochoo")
    assert {path.name for path in folder.iterdir()} >= {"default", "staging", "default.sqlite"}
    assert _modes(folder) == {}


def test_ledger_set_aside_is_private(railyard: Railyard) -> None:
    """A ledger that cannot be read is as private under its other name, and so is the new one."""
    railyard.ini("filterwarnings = default")
    railyard.stations(STATIONS)
    railyard.ride("--cc-run")
    folder = railyard.path / ".pytest_cache/d/choochoo"
    (folder / "default.sqlite").write_bytes(b"no ledger" * 1000)

    railyard.ride("--cc-run")

    assert len(list(folder.glob("default-set-aside-*.sqlite"))) == 1
    assert _modes(folder) == {}


def test_folder_that_is_there_keeps_its_mode(railyard: Railyard) -> None:
    """The mode of a folder that somebody made for the ledger is his to choose."""
    railyard.stations(STATIONS)
    folder = railyard.path / "ours"
    folder.mkdir(mode=0o750)

    railyard.ride("--cc-run", "--cc-state", "ours")

    assert _modes(folder) == {str(folder): "0o750"}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_parameter_never_becomes_a_path(railyard: Railyard, name: str) -> None:
    """Whatever a parameter is called, what is kept of its station lies where the ledger is."""
    railyard.stations(
        f"""
        @station
        @pytest.mark.parametrize("kind", [{name!r}], ids=[{name!r}.encode("ascii", "backslashreplace").decode() or None])
        def boil(kind, visit: Visit) -> str:
            (visit.dir / "note.txt").touch(mode=0o600)
            return "done"
        """
    )

    first, again = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (first.closing, again.closing) == ("1 visited", "1 unchanged")
    [note] = railyard.path.rglob("note.txt")
    assert note.parents[2] == railyard.path / ".pytest_cache/d/choochoo/default"
    assert len(note.parent.name) < 80


@pytest.mark.parametrize(
    "name", ["../prod", "/tmp/x", LONG, "🚂", "a b", "..", "prod.sqlite", "Prod"], ids=range(8)
)
def test_profile_never_becomes_a_path(railyard: Railyard, name: str) -> None:
    """A profile whose name could lead elsewhere is refused before anything is written."""
    railyard.stations(STATIONS)
    before = set(railyard.path.rglob("*"))

    ride = railyard.ride("--cc-run", "--cc-profile", name)

    assert ride.exit_code == pytest.ExitCode.USAGE_ERROR
    assert "; it must be lowercase letters, digits and '_'" in ride.text
    assert set(railyard.path.rglob("*")) == before


@pytest.mark.parametrize("name", ["🚂", "x" * 200, "a b", "a\\tb", "C:x"], ids=range(5))
def test_names_of_files_and_products_may_be_odd(railyard: Railyard, name: str) -> None:
    """Files and products with odd names are digested where they lie, and copied nowhere."""
    railyard.write(
        "in/" + name.encode().decode("unicode_escape" if "\\" in name else "utf-8"), "tea"
    )
    railyard.stations(
        f"""
        from pathlib import Path
        HERE = Path(__file__).parent

        @station(files=["in/{name}"], products=["out/{name}"])
        def boil() -> None:
            (HERE / "out").mkdir(exist_ok=True)
            (HERE / "out" / "{name}").write_text("tea")
        """
    )

    first, again = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (first.closing, again.closing) == ("1 visited", "1 unchanged")
    kept = railyard.path / ".pytest_cache/d/choochoo"
    assert {path.suffix for path in kept.rglob("*") if path.is_file()} <= {".sqlite", ".lock"}


@pytest.mark.parametrize("keyword", ["files", "products"])
@pytest.mark.parametrize("name", ["a\\0b", "x" * 4000], ids=["zero", "long"])
def test_name_that_no_file_can_have_fails_its_station(
    railyard: Railyard, keyword: str, name: str
) -> None:
    """A file or product whose name no file can have fails its station, and nothing else."""
    railyard.stations(
        f"@station({keyword}=['{name}'])\ndef boil() -> None: ...\n\n@station\ndef pour(): ...\n"
    )

    ride = railyard.ride("--cc-run")

    assert (ride.failed, ride.visited) == (("boil",), ("pour",))
    assert "Traceback" not in ride.text
