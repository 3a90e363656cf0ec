"""A ledger's folder that others have prepared: links, owners, modes, keys, removed locks."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import stat
from contextlib import closing
from hashlib import blake2b, md5, sha256
from pathlib import Path

import pytest
from harness import Project, change_records
from msgspec.structs import replace

from pytest_choochoo.engine.digest import digest_bytes, digest_parts, digest_value
from pytest_choochoo.engine.ledger.record import Record
from pytest_choochoo.engine.ledger.trust import owner_name

LEDGER = ".pytest_cache/d/choochoo"
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
as_root = pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
STATIONS = """
    @station
    def boil(visit: Visit) -> int:
        log("boil")
        (visit.dir / "steam").touch()
        return 100

    @station
    def pour(boil) -> int:
        log("pour")
        return boil + 1
"""
SECRET = """
    from pytest_choochoo import Secret

    @station
    def log_in() -> Secret[str]:
        return Secret("swordfish")
"""
NOBODY = 65534


@pytest.fixture
def tea(project: Project) -> Project:
    """Two stations that are complete, the ledger in pytest's cache."""
    project.stations(STATIONS)
    project.run("--cc-run")
    return project


@pytest.fixture
def treasure(tmp_path: Path) -> Path:
    """A folder of somebody else, with a folder and a file in it."""
    folder = tmp_path / "treasure"
    (folder / "chest").mkdir(parents=True)
    (folder / "map.txt").write_text("x")
    return folder


def _content(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*"))


# --- links


@pytest.mark.parametrize("name", ["default", "default/stations", "default/locks"])
def test_link_in_place_of_a_folder_is_set_aside(
    project: Project, treasure: Path, name: str
) -> None:
    """A link in the place of one of our folders is moved aside; what it leads to stays as it is."""
    project.stations(STATIONS)
    link = project.path / LEDGER / name
    link.parent.mkdir(parents=True)
    link.symlink_to(treasure)
    before = _content(treasure)

    run = project.run("--cc-run")

    assert (run.visited, run.exit_code) == (("boil", "pour"), 0)
    assert f"{link} should be a folder; moved it to {link.name}-set-aside-" in run.text
    assert _content(treasure) == before
    assert link.is_dir()
    assert not link.is_symlink()
    assert [each.is_symlink() for each in link.parent.glob(f"{link.name}-set-aside-*")] == [True]


@pytest.mark.parametrize("exists", [True, False], ids=["file", "dangling"])
def test_link_in_place_of_the_ledger_is_set_aside(
    project: Project, tmp_path: Path, exists: bool
) -> None:
    """A link in the place of the ledger is moved aside; its target is neither made nor changed."""
    project.stations(STATIONS)
    target, link = tmp_path / "target", project.path / LEDGER / "default.sqlite"
    if exists:
        target.write_text("precious")
    link.parent.mkdir(parents=True)
    link.symlink_to(target)

    read, run = project.run(), project.run("--cc-run")

    assert (read.exit_code, run.visited) == (5, ("boil", "pour"))
    assert f"{link} should be a file; moved it to " in run.text
    assert (target.read_text() if target.exists() else None) == ("precious" if exists else None)
    assert not link.is_symlink()


def test_link_in_place_of_a_station_directory_is_set_aside(tea: Project, treasure: Path) -> None:
    """A directory of a station that became a link is made again; nothing is written through it."""
    directory = next((tea.path / LEDGER / "default/stations").iterdir())
    (directory / "steam").unlink()
    directory.rmdir()
    directory.symlink_to(treasure)

    run = tea.run("--cc-replay", "boil")

    assert run.visited == ("boil",)
    assert f"{directory} should be a folder; moved it to " in run.text
    assert (directory / "steam").exists()
    assert _content(treasure) == ["chest", "map.txt"]


def test_foreign_names_in_our_folders_are_left_alone(tea: Project) -> None:
    """A file or folder without a name of our form is neither moved nor removed."""
    stations, locks = (tea.path / LEDGER / "default" / name for name in ("stations", "locks"))
    (stations / "notes.txt").write_text("x")
    (locks / "folder").mkdir()

    run = tea.run("--cc-run")

    assert run.unchanged == ("boil", "pour")
    assert (stations / "notes.txt").exists()
    assert (locks / "folder").is_dir()


# --- owners and modes


@pytest.mark.parametrize("command", ["--cc-run", "--cc-check", "--cc-clean"])
def test_folder_that_others_may_write_is_not_believed(
    project: Project, tmp_path: Path, command: str
) -> None:
    """In a folder that everybody may write, anybody may have written the records."""
    project.stations(STATIONS)
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)

    run = project.run(command, f"--cc-state={folder}")

    assert run.exit_code == 4
    assert run.log == ()
    assert (
        f"the ledger {folder}/default.sqlite is not used, as others may have written it: "
        f"others may write {folder}, which has mode 0777; remove that or take it over "
        "(chown, chmod go-w), name another folder with --cc-state, or set cc_trust = true if "
        "you trust them" in run.text
    )


def test_trusted_folder_is_used(project: Project, tmp_path: Path) -> None:
    """With `cc_trust = true`, a folder is used although others may write it."""
    project.stations(STATIONS)
    project.ini("cc_trust = true")
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)

    first = project.run("--cc-run", f"--cc-state={folder}")
    again = project.run("--cc-run", f"--cc-state={folder}")

    assert (first.closing, again.closing) == ("2 visited", "2 unchanged")


def test_trusted_cache_can_be_cleared(tea: Project) -> None:
    """`--cache-clear` obeys `cc_trust` as well; without it the ledger is named, and left alone."""
    (tea.path / LEDGER).chmod(0o777)

    refused = tea.run("--cc-run", "--cache-clear")
    cleared = tea.run("--cc-run", "--cache-clear", "-o", "cc_trust=true")

    assert refused.exit_code == 4
    assert f"others may write {tea.path / LEDGER}, which has mode 0777" in refused.text
    assert cleared.visited == ("boil", "pour")


@as_root
@pytest.mark.parametrize("name", ["", "default.sqlite", "default", "default/stations"])
def test_ledger_of_another_user_is_not_believed(tea: Project, name: str) -> None:
    """A file or folder of another user is named, with its owner."""
    path = tea.path / LEDGER / name
    os.chown(path, NOBODY, NOBODY)

    run = tea.run("--cc-run")

    owner = owner_name(NOBODY)
    assert (run.exit_code, run.log) == (4, ())
    assert f"as others may have written it: {path} belongs to {owner}; remove that" in run.text


def test_ledger_with_two_names_is_not_believed(tea: Project, tmp_path: Path) -> None:
    """A hard link may be somebody else's file."""
    os.link(tea.path / LEDGER / "default.sqlite", tmp_path / "other")

    run = tea.run("--cc-run")

    assert run.exit_code == 4
    assert "default.sqlite has 2 names, as hard links; remove that" in run.text


def test_directory_that_others_may_write_is_not_used(project: Project) -> None:
    """A ready-made `visit.dir` for everybody fails the station."""
    project.stations(STATIONS)
    project.run("--cc-run")
    directory = next((project.path / LEDGER / "default/stations").iterdir())
    directory.chmod(0o777)

    run = project.run("--cc-replay", "boil")

    assert run.failed == ("boil",)
    assert f"others may write {directory}, which has mode 0777" in run.causes["boil"]


@as_root
def test_root_leaves_files_to_the_owner_of_the_project(project: Project) -> None:
    """After `sudo pytest`, the owner of the folder can go on with the ledger."""
    project.stations(STATIONS)
    folder = project.path / LEDGER
    folder.mkdir(parents=True, mode=0o700)
    for each in (project.path, folder):
        os.chown(each, NOBODY, NOBODY)

    run = project.run("--cc-run")

    assert run.closing == "2 visited"
    made = [each for each in folder.rglob("*") if each.name != "steam"]
    assert len(made) > 6
    assert {each.stat().st_uid for each in made} == {NOBODY}


# --- the key


@pytest.mark.parametrize("how", ["short", "link", "pipe", "public"])
def test_key_that_is_not_ours_is_refused(project: Project, tmp_path: Path, how: str) -> None:
    """A key that others prepared or may read seals no secret; nothing waits for its pipe."""
    project.stations(SECRET)
    project.run("--cc-run")
    key = project.path / LEDGER / "default/secret.key"
    content = key.read_bytes()
    key.unlink()
    match how:
        case "short":
            key.write_bytes(b"x")
            key.chmod(0o600)
        case "link":
            (tmp_path / "key").write_bytes(content)
            key.symlink_to(tmp_path / "key")
        case "pipe":
            os.mkfifo(key, 0o600)
        case _:
            key.write_bytes(content)
            key.chmod(0o644)

    run = project.run("--cc-replay", "log_in")

    cause = {
        "short": "it has 1 bytes, not 32",
        "link": "too many levels of symbolic links",
        "pipe": "it is not a regular file",
        "public": "others may read it, which has mode 0644",
    }[how]
    assert f"the key {key} is not used: {cause}; remove it" in run.text
    assert run.exit_code != 0


def test_key_is_made_whole_and_for_one_account(project: Project) -> None:
    """The key has 32 bytes and mode 0600, and nothing else is left of its making."""
    project.stations(SECRET)

    project.run("--cc-run")

    folder = project.path / LEDGER / "default"
    [key] = folder.glob("secret.key*")
    assert (len(key.read_bytes()), stat.S_IMODE(key.stat().st_mode)) == (32, 0o600)


# --- digests that can be tried out

INPUTS = """
    from pathlib import Path

    OUT = Path(__file__).parent / "pin.out"

    @station(env=["PIN"], files=["pin.txt"], products=["pin.out"])
    def unlock() -> None:
        log("unlock")
        OUT.write_text("7777")

    @station
    def enter(unlock) -> None:
        log("enter")
"""
PINS = {"env": "1234", "file": "4321", "product": "7777"}
LOST = "its env, files and products cannot be compared: the key of the ledger was lost"


@pytest.fixture
def pins(project: Project) -> Project:
    """A station with a PIN in env, one in a file and one in a product, before its visit."""
    project.stations(INPUTS)
    project.write("pin.txt", PINS["file"])
    project.setenv("PIN", PINS["env"])
    return project


def _hex_in(folder: Path) -> set[bytes]:
    """Return all that may be a digest in what is below *folder*, but for the key."""
    files = [each for each in folder.rglob("*") if each.is_file() and each.name != "secret.key"]
    windows = (rb"(?=([0-9a-f]{32}))", rb"(?=([0-9a-f]{64}))", rb"(?=([0-9a-f]{128}))")
    return {
        found
        for each in files
        for window in windows
        for found in re.findall(window, each.read_bytes())
    }


def _guessed(project: Project) -> set[str]:
    """Return the PINs that are found by trying out all with plain digests."""
    found = _hex_in(project.path / LEDGER)
    guessed = set()
    for pin in (f"{number:04}" for number in range(10_000)):
        raw = pin.encode()
        plain = {digest_parts(raw), digest_bytes(raw), digest_value(pin), digest_value(raw)}
        plain |= {blake2b(raw).hexdigest(), sha256(raw).hexdigest(), md5(raw).hexdigest()}
        if not found.isdisjoint(each.encode() for each in plain):
            guessed.add(pin)
    return guessed


def _in_form_2(record: Record) -> Record:
    """Return *record*, of `INPUTS`, as versions wrote it that had no keyed digests."""
    assert record.fingerprint is not None
    taken = record.fingerprint
    plain = {name: digest_bytes(pin.encode()) for name, pin in PINS.items()}
    fingerprint = replace(
        taken,
        files=dict.fromkeys(taken.files, plain["file"]),
        env=dict.fromkeys(taken.env, digest_parts(PINS["env"].encode())),
        upstream_products=dict.fromkeys(taken.upstream_products, plain["product"]),
        form=2,
        key="",
    )
    products = dict.fromkeys(record.products, plain["product"])
    return record.with_(fingerprint=fingerprint, products=products)


def test_inputs_cannot_be_tried_out(pins: Project, mode: str) -> None:
    """A PIN in env, a file or a product is not found by trying out all that there are."""
    first = pins.run("--cc-run")
    second = pins.run("--cc-run")

    assert (first.closing, second.closing) == ("2 visited", "2 unchanged")
    assert _guessed(pins) == set()


def test_changed_inputs_are_told_by_their_names(pins: Project) -> None:
    """Keyed digests tell what changed, and nothing else of it."""
    pins.run("--cc-run")
    pins.setenv("PIN", "1235")
    pins.write("pin.txt", "4322")
    pins.write("pin.out", "7778")

    check = pins.run("--cc-check")
    run = pins.run("--cc-run")

    reasons = ("file pin.txt changed", "env PIN changed", "product pin.out changed")
    assert run.reasons["unlock"] == reasons
    assert "; ".join(reasons) in check.text
    assert run.log == ("unlock",)


def test_equal_inputs_of_two_projects_have_different_digests(pins: Project, tmp_path: Path) -> None:
    """No digest of an input in one project is found in the ledger of another."""
    records: list[Record] = []

    def keep(record: Record) -> Record:
        records.append(record)
        return record

    for _ in range(2):
        pins.run("--cc-run")
        change_records(pins.path, keep)
        shutil.rmtree(pins.path / ".pytest_cache")

    digests = [
        {*each.fingerprint.files.values(), *each.fingerprint.env.values(), *each.products.values()}
        for each in records
        if each.fingerprint is not None and each.products
    ]
    assert [len(each) for each in digests] == [3, 3]
    assert digests[0].isdisjoint(digests[1])


def test_ledger_with_plain_digests_is_believed(pins: Project, mode: str) -> None:
    """An upgrade makes nothing due; what is visited from then on has keyed digests."""
    pins.run("--cc-run")
    change_records(pins.path, _in_form_2)
    assert _guessed(pins) == set(PINS.values())

    run = pins.run("--cc-run")
    above = pins.run("--cc-replay", "unlock")
    below = pins.run("--cc-replay", "enter")

    assert (run.closing, run.log) == ("2 unchanged", ())
    assert [(each.visited, each.unchanged) for each in (above, below)] == [
        (("unlock",), ("enter",)),
        (("enter",), ("unlock",)),
    ]
    assert _guessed(pins) == set()


def test_ledger_with_plain_digests_needs_no_key(pins: Project) -> None:
    """A ledger from before there was a key is verified without one; a run makes it."""
    pins.run("--cc-run")
    change_records(pins.path, _in_form_2)
    key = pins.path / LEDGER / "default/secret.key"
    key.unlink()

    check = pins.run("--cc-check")
    assert (check.closing, key.exists()) == ("2 verified", False)
    run = pins.run("--cc-run")

    assert (run.closing, key.exists()) == ("2 unchanged", True)


def test_lost_key_makes_its_stations_due(pins: Project, mode: str) -> None:
    """Without the key of its digests, a station is due with that reason, once."""
    pins.run("--cc-run")
    (pins.path / LEDGER / "default/secret.key").unlink()

    check = pins.run("--cc-check")
    run = pins.run("--cc-run")
    again = pins.run("--cc-run")

    assert set(check.failed) == {"unlock", "enter"}
    assert f"station 'unlock' is due: {LOST}" in check.text
    assert run.reasons == {"unlock": (LOST,), "enter": (LOST,)}
    assert again.closing == "2 unchanged"


def test_reading_makes_no_key(project: Project) -> None:
    """Commands that only read leave a ledger without a key as it is."""
    project.stations(INPUTS)
    project.write("pin.txt", PINS["file"])
    project.write("test_pin.py", "def test_pin(enter): ...\n")

    for command in ((), ("--cc-check",)):
        project.run(*command)

    assert not list(project.path.rglob("secret.key"))


# --- locks


def test_lock_that_is_removed_during_the_visit_is_told(project: Project, mode: str) -> None:
    """Without its lock, a visit may have been one of two: it is not recorded, and the run says so."""
    project.stations(
        """
        import shutil
        from pathlib import Path

        @station
        def boil() -> int:
            log("boil")
            for lock in Path(".pytest_cache/d/choochoo/default/locks").glob("????????????????.lock"):
                lock.unlink()
            return 100
        """
    )

    run, again = project.run("--cc-run"), project.run("--cc-run")

    told = "the lock was removed, so that another process may have visited as well"
    assert run.exit_code != 0
    assert told in run.text
    assert again.log == ("boil",)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_file_system_without_locks_is_an_error(
    project: Project, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Where locks do not work, a run says so before any visit, and waits for nothing."""
    import fcntl

    def flock(file: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    project.stations(STATIONS)
    monkeypatch.setattr(fcntl, "flock", flock)

    run = project.run("--cc-run")

    assert (run.exit_code, run.log) == (4, ())
    assert (
        f"cannot be written: locks do not work here ({os.strerror(number).lower()}); "
        "name a folder on a local disk with --cc-state" in run.text
    )


# --- the folder that is asked for


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ("x" * 300, "file name too long"),
        ("~nosuchuser/x", "could not determine home directory."),
        ("a\0b", "embedded null byte"),
    ],
    ids=["long", "no such user", "nul"],
)
def test_impossible_folder_is_a_usage_error(project: Project, given: str, cause: str) -> None:
    """A folder that cannot exist is named, with the reason."""
    project.stations(STATIONS)
    project.ini(f"cc_state = {given}")

    run = project.run("--cc-run")

    assert run.exit_code == 4
    assert f"it must be a folder ({cause})" in run.text


def test_parents_of_a_given_folder_are_for_one_account(project: Project, tmp_path: Path) -> None:
    """The folders that are made above a ledger are closed to others, whatever the umask."""
    project.stations(STATIONS)
    before = os.umask(0)
    try:
        project.run("--cc-run", f"--cc-state={tmp_path}/a/b")
    finally:
        os.umask(before)

    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")]
    assert modes == [0o700, 0o700]


# --- tools of SQLite


def test_ledger_that_somebody_maintains_is_used(tea: Project, mode: str) -> None:
    """SQLite's shell may be used on a ledger: statistics, order of pages, another journal."""
    ledger = tea.path / LEDGER / "default.sqlite"
    with closing(sqlite3.connect(ledger, isolation_level=None)) as shell:
        for statement in ("analyze", "vacuum", "reindex", "pragma optimize"):
            shell.execute(statement)
        assert [*shell.execute("pragma journal_mode = delete")] == [("delete",)]
    after_maintenance = tea.run("--cc-run")
    with closing(sqlite3.connect(ledger, isolation_level=None)) as shell:
        shell.execute("pragma journal_mode = wal")
    replayed = tea.run("--cc-replay", "boil")

    assert after_maintenance.unchanged == ("boil", "pour"), after_maintenance.text
    assert (replayed.visited, replayed.exit_code) == (("boil",), 0)
    assert tea.run("--cc-check").exit_code == 0
    assert "set-aside" not in str(_content(tea.path / LEDGER))
