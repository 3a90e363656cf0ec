"""Places: a record is believed where it was made, as the station's `place` says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from harness import Project, Run

PLACES = """
    @station
    def kettle():
        log("kettle")

    @station(place="host")
    def stove():
        log("stove")

    @station(place="anywhere")
    def well():
        log("well")
"""
COPIED = """
    from pathlib import Path

    @station
    def config(visit: Visit) -> Path:
        log("config")
        path = visit.dir / "config.ini"
        path.write_text("")
        return path

    @config.check
    def is_there(config: Path):
        assert config.exists()

    @config.clean
    def remove(config: Path | None):
        config.unlink()

    @station
    def use(config: Path) -> str:
        return str(config)
"""


def _copied(project: Project) -> Path:
    """Copy the project to a folder beside it, and return that."""
    copy = project.path.parent / f"{project.path.name}-copy"
    shutil.copytree(project.path, copy)
    return copy


def _run(project: Project, folder: Path, *arguments: str) -> Run:
    """Run pytest in the checkout in *folder*."""
    return project.run(*arguments, apart=True, cwd=str(folder))


def test_copied_checkout_acts_on_itself(project: Project) -> None:
    """A copy has no record of its own: it is visited there, and a clean leaves the original."""
    project.stations(COPIED)
    project.run("--cc-run")
    original = next(project.path.rglob("config.ini"))
    copy = _copied(project)

    checked = _run(project, copy, "--cc-check")
    cleaned = _run(project, copy, "--cc-clean")
    run = _run(project, copy, "--cc-run")
    again = _run(project, copy, "--cc-clean")

    assert (checked.exit_code, checked.failed) == (1, ("config",))
    assert f"unknown: never visited in this checkout; in {project.path}" in checked.causes["config"]
    assert "choochoo: there was nothing to clean" in cleaned.outlines
    assert run.visited == ("config", "use")
    (reason,) = run.reasons["use"]
    assert reason.startswith(f"never visited in this checkout; in {project.path} on ")
    assert again.exit_code == 0
    assert original.exists()
    assert project.run("--cc-run").unchanged == ("config", "use")


def test_place_says_where_a_record_is_believed(project: Project) -> None:
    """In a copy on the same machine only `here` is visited; on another one `host` as well."""
    project.stations(PLACES)
    project.run("--cc-run")
    copy = _copied(project)

    here = _run(project, copy, "--cc-run")
    project.setenv("CC_HOST", "ci-7")
    there = _run(project, copy, "--cc-run")

    assert (here.visited, here.unchanged) == (("kettle",), ("stove", "well"))
    assert (there.visited, there.unchanged) == (("kettle", "stove"), ("well",))
    assert there.reasons["stove"][0].startswith(f"never visited on this machine; in {project.path}")
    assert there.reasons["kettle"][0].startswith(f"never visited in this checkout; in {copy} on ")


def test_ini_names_the_machine(project: Project) -> None:
    """`cc_host` stands for the host name and the machine id, and is shown."""
    project.stations(PLACES)
    project.ini("cc_host = ci-1")
    project.run("--cc-run")
    project.ini("cc_host = ci-2")

    run = project.run("--cc-run")

    assert run.visited == ("kettle", "stove")
    assert run.reasons["kettle"][0].startswith(
        f"never visited in this checkout; in {project.path} on ci-1 "
    )


def test_moved_checkout_keeps_its_records(project: Project, tmp_path: Path) -> None:
    """A checkout that is renamed is the same, and so is one made again at the same path."""
    project.stations(PLACES)
    state = f"--cc-state={tmp_path / 'state'}"
    copy = _copied(project)
    _run(project, copy, "--cc-run", state)
    moved = copy.rename(copy.with_name(f"{copy.name}-moved"))

    renamed = _run(project, moved, "--cc-run", state)
    shutil.rmtree(moved)
    shutil.copytree(project.path, moved)
    again = _run(project, moved, "--cc-run", state)

    assert renamed.unchanged == again.unchanged == ("kettle", "stove", "well")


def test_path_in_an_outcome_moves_with_the_checkout(project: Project) -> None:
    """A path below rootdir is found in the checkout that was moved, and nothing is due."""
    project.stations(COPIED)
    copy = _copied(project)
    _run(project, copy, "--cc-run")
    moved = copy.rename(copy.with_name(f"{copy.name}-moved"))

    run = _run(project, moved, "--cc-run")

    assert run.unchanged == ("config", "use")


@pytest.mark.parametrize("workers", [0, 2])
def test_checkouts_share_a_ledger(project: Project, tmp_path: Path, workers: int) -> None:
    """Each has a record, and what one does makes nothing due in the other."""
    project.stations(PLACES)
    project.workers = workers
    state = f"--cc-state={tmp_path / 'state'}"
    copy = _copied(project)

    first, second = project.run("--cc-run", state), _run(project, copy, "--cc-run", state)
    cleaned = _run(project, copy, "--cc-clean", "-k", "kettle", state)
    third = project.run("--cc-run", state)

    assert len(first.visited) == 3
    assert second.visited == ("kettle",)
    assert cleaned.exit_code == 0
    assert len(third.unchanged) == 3


def test_cleared_cache_leaves_each_place_what_it_made(project: Project) -> None:
    """`--cache-clear` forgets for every place, and each place can still clean what it made."""
    project.stations(
        """
        @station(place="host")
        def stove():
            log("stove")

        @stove.clean
        def put_out():
            log("put out")
        """
    )
    for host in ("ci-1", "ci-2"):
        project.setenv("CC_HOST", host)
        project.run("--cc-run")
    project.run("--cache-clear")

    second = project.run("--cc-clean")
    project.setenv("CC_HOST", "ci-1")
    first = project.run("--cc-clean")

    assert first.results == second.results == {"stove": "cleaned"}
    assert first.log == second.log == ("put out",)


def test_changed_place_keeps_the_record_made_here(project: Project) -> None:
    """A record made in this checkout is one wherever the effect of the station lives."""
    project.stations(PLACES)
    project.run("--cc-run")
    for place in ('(place="host")', '(place="anywhere")', ""):
        file = project.path / "stations.py"
        file.write_text(file.read_text().replace("@station\n", f"@station{place}\n"))
        assert len(project.run("--cc-run").unchanged) == 3


def test_plain_pytest_does_not_use_the_outcome_of_another_checkout(project: Project) -> None:
    """A test that requests a station visited elsewhere errors, and says where."""
    project.stations(PLACES)
    project.write("test_tea.py", "def test_tea(kettle): pass")
    project.run("--cc-run")
    copy = _copied(project)

    run = _run(project, copy)

    assert run.exit_code == 1
    assert (
        "station 'kettle' has no complete record: never visited in this checkout; "
        f"in {project.path} on "
    ) in run.text


def test_unknown_place_is_an_error(project: Project) -> None:
    """The error says which ones there are."""
    project.stations('@station(place="moon")\ndef kettle(): pass')

    run = project.run("--cc-run")

    assert "@station(place=...) is 'moon'; it must be 'here', 'host' or 'anywhere'" in run.text
