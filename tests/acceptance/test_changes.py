"""The tables in `docs/what-counts-as-a-change.md`: each row is tried."""

from __future__ import annotations

import os

import pytest
from changes import PAGE, Change, all_changes, with_tables
from harness import Project

HEADER = "from pathlib import Path\nimport pytest\nfrom pytest_choochoo import station\n"


def _write(project: Project, folder: str, change: Change) -> None:
    project.write(f"{folder}/stations.py", HEADER + change.station)
    for name, text in change.files.items():
        project.write(f"{folder}/{name}", text)


def _make(project: Project, folder: str, change: Change) -> None:
    file = project.path / folder / change.file
    if change.file.startswith("$"):
        project.setenv(change.file[1:], change.new)
    elif not file.exists():
        project.write(f"{folder}/{change.file}", change.new)
    else:
        project.edit(f"{folder}/{change.file}", change.old, change.new)
        os.utime(file, (1, 1)) if change.old == change.new else None


def test_every_row_of_the_tables_is_true(project: Project, mode: str) -> None:
    """A change of the first two tables visits its station; of the other two it does not."""
    changes = dict(all_changes())
    for folder, change in changes.items():
        _write(project, folder, change)
    first = project.run("--cc-run", apart=True)
    assert (first.failed, first.blocked) == ((), ())
    again = project.run("--cc-run", apart=True)
    assert set(again.keys.values()) == {"unchanged"}
    for folder, change in changes.items():
        _make(project, folder, change)

    run = project.run("--cc-run", apart=True)

    results = {folder: run.keys[f"{folder}/stations.py::go"] for folder in changes}
    expected = {
        folder: "visited" if folder.startswith(("inputs", "code")) else "unchanged"
        for folder in changes
    }
    assert results == expected


def test_page_has_the_tables() -> None:
    """The page shows these rows, as `python tests/changes.py` writes them."""
    page = PAGE.read_text(encoding="utf-8")

    assert with_tables(page) == page


@pytest.mark.parametrize("folder", [folder for folder, _ in all_changes()])
def test_every_unnoticed_change_has_a_remedy(folder: str) -> None:
    """The reader learns what to do about each change that goes unnoticed."""
    change = dict(all_changes())[folder]

    assert bool(change.remedy) is folder.startswith("unseen")


def test_station_without_its_product_is_not_adopted(project: Project) -> None:
    """Where a declared product is missing, a first visit makes it, although the check passes."""
    project.stations(
        """
        from pathlib import Path

        @station(products=["kettle"])
        def boil() -> None:
            Path(__file__).with_name("kettle").touch()

        @boil.check
        def is_hot(): ...
        """
    )

    run = project.run("--cc-run")

    assert run.visited == ("boil",)
    assert run.reasons["boil"] == ("first visit", "product kettle is missing")


def test_renewal_outlives_forgetting(project: Project) -> None:
    """A visit that renews and was forgotten still makes due all that has not consumed it."""
    project.stations(
        """
        from pathlib import Path
        BROKEN = Path(__file__).with_name("broken")

        @station(renews=True)
        def database() -> None: ...

        @database.check
        def is_there(): assert not BROKEN.exists()

        @station
        def tables(database) -> None: ...
        """
    )
    project.run("--cc-run")
    project.write("broken", "")
    assert project.run("--cc-run").failed == ("database",)
    project.run("--cc-forget", "database")
    project.remove("broken")

    run = project.run("--cc-run")

    assert (run.adopted, run.visited) == (("database",), ("tables",))
    assert run.reasons["tables"] == ("database was made again from nothing",)
