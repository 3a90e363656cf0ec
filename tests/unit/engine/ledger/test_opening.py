"""Opening SQLite ledgers that are damaged, of another format, or in the wrong place."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_choochoo.engine.errors import ChoochooError, LostLedger, UnusableLedger
from pytest_choochoo.engine.ledger import schema
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.opening import forget_complete, open_ledger, read_ledger
from pytest_choochoo.engine.ledger.record import Fingerprint, Record, to_text
from pytest_choochoo.engine.ledger.sqlite import SqliteLedger
from pytest_choochoo.engine.place import Place

KEYS = tuple(f"stations.py::s{n}" for n in range(4))
#: `tox run -e faults` sets more.
EXAMPLES = int(os.environ.get("FAULTS_EXAMPLES", "60"))
BYTES = st.integers(min_value=0, max_value=2**20)


def _record(number: int, outcome: str = "100") -> Record:
    return Record(
        status="complete",
        since=1.0 + number,
        fingerprint=Fingerprint(code={"f": "d1"}),
        outcome=outcome,
        outcome_digest="d",
        visited=1.0,
    )


RECORDS = {key: _record(number, f'"outcome {number}"') for number, key in enumerate(KEYS)}


def _begun(record: Record, since: float = 5.0) -> Record:
    return record.with_(status="visiting", since=since, pid=7, host="kettle")


def _fill(ledger: SqliteLedger) -> None:
    for key, record in RECORDS.items():
        ledger.begin(key, Record(status="visiting", since=record.since), ("never visited",))
        ledger.resources(key)["pot"] = {"id": f"of {key}"}
        ledger.finish(key, record)


def _raise(text: str) -> None:
    raise AssertionError(text)


@contextmanager
def _opened(
    location: LedgerLocation, warn: Callable[[str], object] = _raise
) -> Iterator[SqliteLedger]:
    ledger = open_ledger(location, warn=warn)
    try:
        yield ledger
    finally:
        ledger.close()


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger that was closed, so that it is a single file."""
    folder = tmp_path_factory.mktemp("closed")
    with _opened(LedgerLocation(folder, "default")) as ledger:
        _fill(ledger)
    return folder


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger as a killed process leaves it, with its journal."""
    folder, copy = tmp_path_factory.mktemp("open"), tmp_path_factory.mktemp("killed") / "copy"
    with _opened(LedgerLocation(folder, "default")) as ledger:
        _fill(ledger)
        for key in KEYS[:2]:  # what follows is all in the journal
            ledger.begin(key, _begun(RECORDS[key]), ("replayed",))
        ledger.finish(KEYS[0], RECORDS[KEYS[0]].with_(status="failed", error="boom"))
        shutil.copytree(folder, copy)
    assert (copy / "default.sqlite-wal").stat().st_size > 0
    return copy


@contextmanager
def _copy(folder: Path) -> Iterator[LedgerLocation]:
    with tempfile.TemporaryDirectory() as other:
        shutil.copytree(folder, other, dirs_exist_ok=True)
        yield LedgerLocation(Path(other), "default")


def _truncate(raw: bytes, where: int, seed: int) -> bytes:
    return raw[: where % (len(raw) + 1)]


def _zero(raw: bytes, where: int, seed: int) -> bytes:
    begin = where % len(raw)
    size = 1 + seed % (len(raw) - begin)
    return raw[:begin] + bytes(size) + raw[begin + size :]


def _flip(raw: bytes, where: int, seed: int) -> bytes:
    at = where % len(raw)
    return raw[:at] + bytes([raw[at] ^ (1 << seed % 8)]) + raw[at + 1 :]


def _scramble(raw: bytes, where: int, seed: int) -> bytes:
    begin = where % len(raw)
    size = min(1 + seed % 600, len(raw) - begin)
    return raw[:begin] + random.Random(seed).randbytes(size) + raw[begin + size :]


HOW = st.sampled_from([_truncate, _zero, _flip, _scramble])


def _is_sound(ledger: SqliteLedger) -> bool:
    """Return whether *ledger* contains only what was written; some of it may be lost."""
    for key, record in ledger.records().items():
        if record.is_complete and record != RECORDS.get(key):
            return False
    for key in KEYS:
        ledger.attempts(key)
        resources = ledger.resources(key)
        if dict(resources) not in ({}, {"pot": {"id": f"of {key}"}}):
            return False
    return True


@settings(max_examples=EXAMPLES)
@given(how=HOW, where=BYTES, seed=BYTES)
def test_damaged_record_is_never_used(
    closed: Path, how: Callable[[bytes, int, int], bytes], where: int, seed: int
) -> None:
    """Whatever byte is damaged, a record is as written or missing, and the ledger can be opened."""
    with _copy(closed) as location:
        location.file.write_bytes(how(location.file.read_bytes(), where, seed))
        damaged, warnings = location.file.read_bytes(), list[str]()

        reading = read_ledger(location, warn=warnings.append)
        try:
            assert _is_sound(reading)
        except LostLedger:
            pass
        finally:
            reading.close()
        with _opened(location, warnings.append) as ledger:
            assert _is_sound(ledger)
            ledger.begin(KEYS[0], _begun(_record(9)), ())
            ledger.finish(KEYS[0], _record(9))
            assert ledger.record(KEYS[0]) == _record(9)

        for aside in location.folder.glob("*-set-aside-*.sqlite"):
            assert aside.read_bytes() == damaged
            assert any(aside.name in text for text in warnings)


@settings(max_examples=EXAMPLES)
@given(suffix=st.sampled_from(["-wal", "-shm"]), how=HOW, where=BYTES, seed=BYTES)
def test_damaged_journal_makes_nothing_complete(
    killed: Path, suffix: str, how: Callable[[bytes, int, int], bytes], where: int, seed: int
) -> None:
    """No damage to a journal makes a station complete whose visit had begun."""
    with _copy(killed) as location:
        journal = Path(f"{location.file}{suffix}")
        journal.write_bytes(how(journal.read_bytes(), where, seed))

        reading = read_ledger(location, warn=_raise)
        assert _is_sound(reading)
        reading.close()
        with _opened(location, lambda text: None) as ledger:
            assert _is_sound(ledger)
            records = ledger.records()

    assert {key for key, record in records.items() if record.is_complete} <= set(KEYS[2:])


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_directory_in_place_of_a_file_is_moved_aside(killed: Path, suffix: str) -> None:
    """A directory where a file should be is moved aside with a warning."""
    warnings: list[str] = []
    with _copy(killed) as location:
        path = Path(f"{location.file}{suffix}")
        path.unlink()
        (path / "inside").mkdir(parents=True)

        with _opened(location, warnings.append) as ledger:
            assert _is_sound(ledger)
            assert not any(ledger.record(key) == RECORDS[key] for key in KEYS[:2])
        [aside] = location.folder.glob("*-set-aside-*/")

        assert (aside / "inside").is_dir()
        assert warnings[0] == (f"{path} should be a file; moved it to {aside.name}")


@pytest.mark.parametrize("name", ["default", "default/locks", "default/stations"])
def test_file_in_place_of_a_folder_is_moved_aside(tmp_path: Path, name: str) -> None:
    """A file where a folder should be is moved aside with a warning."""
    path, warnings = tmp_path / name, list[str]()
    path.parent.mkdir(exist_ok=True)
    path.write_text("precious")

    with _opened(LedgerLocation(tmp_path, "default"), warnings.append) as ledger:
        assert ledger.directory(KEYS[0]).is_dir()
        ledger.lock(KEYS[0], 0).release()

    [aside] = path.parent.glob("*-set-aside-*")
    assert aside.read_text() == "precious"
    assert warnings == [f"{path} should be a folder; moved it to {aside.name}"]


def test_lock_and_directory_of_a_station_are_made_again(closed: Path) -> None:
    """A lock that is a folder and a station directory that is a file are moved aside."""
    warnings: list[str] = []
    with _copy(closed) as location:
        with _opened(location) as ledger:
            ledger.lock(KEYS[0], 0).release()
            own = ledger.directory(KEYS[0])
        [lock] = (location.data_dir / "locks").glob("[!l]*")
        lock.unlink()
        own.rmdir()
        lock.mkdir()
        own.write_text("precious")
        (location.data_dir / "locks/ledger.lock").unlink()
        (location.data_dir / "locks/ledger.lock").mkdir()

        with _opened(location, warnings.append) as ledger:
            ledger.lock(KEYS[0], 0).release()
            assert ledger.directory(KEYS[0]).is_dir()
            assert ledger.records() == RECORDS
        with _opened(location):
            pass  # files that were moved aside cause no other warning

    assert [text.partition(" should be ")[0] for text in warnings] == [
        str(location.data_dir / "locks/ledger.lock"),
        str(lock),
        str(own),
    ]


def test_obstacle_in_an_open_ledger_is_named(closed: Path) -> None:
    """Damage to an open ledger is an error that names the path."""
    with _copy(closed) as location, _opened(location) as ledger:
        own = ledger.directory(KEYS[0])
        own.rmdir()
        own.write_text("")
        with pytest.raises(LostLedger) as directory:
            ledger.directory(KEYS[0])
        shutil.rmtree(location.data_dir / "locks")
        (location.data_dir / "locks").touch()
        with pytest.raises(LostLedger) as lock:
            ledger.lock(KEYS[0], 0)

    assert str(directory.value) == (
        f"the ledger cannot be used any more, {own}: file exists; fix this and run again to resume"
    )
    assert str(lock.value).startswith(
        f"the ledger cannot be used any more, {location.data_dir}/locks/"
    )


def test_emptied_ledger_is_not_taken_for_a_new_one(closed: Path) -> None:
    """An empty file beside locks of stations was a ledger: a warning says that it is empty."""
    warnings: list[str] = []
    with _copy(closed) as location:
        with _opened(location) as ledger:
            ledger.lock(KEYS[0], 0).release()
        location.file.write_bytes(b"")

        read_ledger(location, warn=warnings.append).close()
        with _opened(location, warnings.append) as ledger:
            assert ledger.records() == {}

    assert warnings[0] == (
        f"the ledger {location.file} could not be read: it is empty, although stations were "
        "visited; treating it as empty; 'pytest --cc-run' will deal with it"
    )
    assert re.fullmatch(
        rf"the ledger {location.file} could not be read: it is empty, although stations were "
        r"visited; moved it to default-set-aside-\d{8}-\d{6}-\d+\.sqlite; "
        "every station will be judged again",
        warnings[1],
    )


@pytest.mark.parametrize("tables", [0, 1], ids=["no-byte", "no-table"])
def test_half_made_ledger_is_completed(tmp_path: Path, tables: int) -> None:
    """A ledger that a dead process left half made is completed without a warning."""
    location = LedgerLocation(tmp_path, "default")
    location.file.touch()
    if tables:
        connection = sqlite3.connect(location.file)
        connection.execute("pragma journal_mode = wal")
        connection.close()

    read_ledger(location, warn=_raise).close()
    with _opened(location) as ledger:
        _fill(ledger)
        assert ledger.records() == RECORDS


# --- formats


def _set_format(location: LedgerLocation, number: int) -> None:
    connection = sqlite3.connect(location.file)
    connection.execute(f"pragma user_version = {number}")
    connection.close()


def test_newer_format_is_moved_aside_and_its_resources_copied(closed: Path) -> None:
    """A ledger of a later version is moved aside unchanged, its resources are copied."""
    warnings: list[str] = []
    with _copy(closed) as location:
        _set_format(location, 99)
        written = location.file.read_bytes()

        reading = read_ledger(location, warn=warnings.append)
        assert reading.records() == {}
        reading.close()
        with _opened(location, warnings.append) as ledger:
            assert ledger.records() == {}
            assert [dict(ledger.resources(key)) for key in KEYS] == [
                {"pot": {"id": f"of {key}"}} for key in KEYS
            ]
        [aside] = location.folder.glob("*-set-aside-*")

        assert aside.read_bytes() == written
        assert warnings[1] == (
            f"the ledger {location.file} could not be read: it has format 99, but this version "
            f"reads format {schema.FORMAT}; moved it to {aside.name}; every station will be "
            "judged again; resource ids saved from it: 4"
        )


def test_unsupported_file_format_is_damage(closed: Path) -> None:
    """A file whose header names another format of SQLite is moved aside, like any damage."""
    warnings: list[str] = []
    with _copy(closed) as location:
        content = bytearray(location.file.read_bytes())
        content[44:48] = b"\x00\x00\x00\x09"
        location.file.write_bytes(content)

        with _opened(location, warnings.append) as ledger:
            assert ledger.records() == {}
        assert "could not be read: it is damaged (unsupported file format)" in warnings[0]


def test_damaged_place_is_not_copied(closed: Path) -> None:
    """A place without a machine, in a ledger that is moved aside, is left in there."""
    with _copy(closed) as location:
        with sqlite3.connect(location.file) as connection:
            connection.execute("pragma writable_schema = on")
            connection.execute(
                "update sqlite_master set sql = replace(sql, 'machine text not null', 'machine text')"
            )
        with sqlite3.connect(location.file) as connection:
            connection.execute("insert into places values (7, null, 'h', '/p', '1', 1.0)")
            connection.execute("pragma user_version = 99")

        with _opened(location, lambda text: None) as ledger:
            assert 7 not in ledger._places()
            assert dict(ledger.resources(KEYS[0])) == {"pot": {"id": f"of {KEYS[0]}"}}


@pytest.mark.parametrize("number", [-1, 0, 1])
def test_format_that_does_not_match_its_tables_is_damage(closed: Path, number: int) -> None:
    """The tables must match the format whose number the file has."""
    warnings: list[str] = []
    with _copy(closed) as location:
        _set_format(location, number)

        with _opened(location, warnings.append) as ledger:
            assert ledger.records() == {}

    assert f"it is damaged (its tables do not match format {number})" in warnings[0]


@pytest.fixture
def first_format(tmp_path: Path) -> LedgerLocation:
    """A ledger in the first format."""
    location = LedgerLocation(tmp_path, "default")
    connection = sqlite3.connect(location.file)
    schema.make_first(connection)
    for key, record in RECORDS.items():
        connection.execute("insert into records values (?, ?)", (key, to_text(record)))
        connection.execute(
            "insert into attempts values (?, 1.0, 2.0, 'complete', '', '[\"never visited\"]')",
            (key,),
        )
        value = f'{{"id":"of {key}"}}'
        connection.execute("insert into resources values (?, 'pot', ?)", (key, value))
    connection.execute("pragma user_version = 1")
    connection.commit()
    connection.close()
    return location


def test_records_survive_an_upgrade(first_format: LedgerLocation) -> None:
    """A ledger of the first format is migrated, and everything in it is still there."""
    with _opened(first_format) as ledger:
        pass
    with _opened(first_format) as ledger:
        assert ledger.records() == RECORDS
        assert _is_sound(ledger)
        assert dict(ledger.resources(KEYS[0])) == {"pot": {"id": f"of {KEYS[0]}"}}
        assert [attempt.reasons for attempt in ledger.attempts(KEYS[0])] == [("never visited",)]
        ledger.forget(KEYS[0], "cleaned")
        assert [each.status for each in ledger.records().values()].count("cleaned") == 1


def test_reading_an_earlier_format_changes_nothing(first_format: LedgerLocation) -> None:
    """A read-only process migrates a copy in memory, not the file."""
    before = first_format.file.read_bytes()

    ledger = read_ledger(first_format, warn=_raise)
    records = ledger.records()
    ledger.close()

    assert records == RECORDS
    assert (first_format.file.read_bytes(), os.listdir(first_format.folder)) == (
        before,
        ["default.sqlite"],
    )


def test_key_is_read_by_those_who_only_read(tmp_path: Path) -> None:
    """A read-only ledger makes no key and takes no lock for it, but knows one that there is."""
    location = LedgerLocation(tmp_path, "default")
    with _opened(location):
        pass

    def read() -> tuple[bytes, list[str]]:
        ledger = read_ledger(location, warn=_raise)
        found = ledger.secret_key()
        ledger.close()
        return found, sorted(str(each) for each in tmp_path.rglob("*"))

    before = sorted(str(each) for each in tmp_path.rglob("*"))
    assert read() == (b"", before)
    with _opened(location) as ledger:
        key = ledger.secret_key()

    assert (read()[0], len(key)) == (key, 32)


def test_failed_migration_changes_nothing(
    first_format: LedgerLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration happens completely or not at all."""

    def fails(connection: sqlite3.Connection) -> None:
        connection.execute("drop table records")
        raise sqlite3.OperationalError("database or disk is full")

    before = first_format.file.read_bytes()
    with monkeypatch.context() as context:
        context.setattr(schema, "MIGRATIONS", (schema.make_first, fails))
        with pytest.raises(UnusableLedger) as error:
            open_ledger(first_format, warn=_raise)

    assert str(error.value) == (
        f"the ledger {first_format.file} cannot be written: database or disk is full; "
        "free space on its disk"
    )
    reading = read_ledger(first_format, warn=_raise)
    assert (reading.records(), len(before)) == (RECORDS, len(first_format.file.read_bytes()))
    reading.close()


@pytest.mark.parametrize("shown", ["\U0001fae8", r"\U0001fae8"], ids=["later", "Python 3.11"])
def test_checksums_of_every_python_are_accepted(tmp_path: Path, shown: str) -> None:
    """The checksums of format 2 depended on the version of Python that wrote them."""
    location, key = LedgerLocation(tmp_path, "default"), KEYS[0]
    record = _record(1, '"\U0001fae8"')
    written = repr((key, to_text(record))).replace("\U0001fae8", shown)
    written = written.replace(r"\U0001fae8", shown)
    seal = blake2b(written.encode(), digest_size=8).hexdigest()
    connection = sqlite3.connect(location.file)
    for migrate in schema.MIGRATIONS[:2]:
        migrate(connection)
    connection.execute("insert into records values (?, ?, ?)", (key, to_text(record), seal))
    connection.execute("pragma user_version = 2")
    connection.commit()
    connection.close()

    with _opened(location) as ledger:
        assert ledger.record(key) == record
        ledger.finish(key, record)
    connection = sqlite3.connect(location.file)
    [(place, text, seal)] = connection.execute("select place, record, seal from records")
    connection.close()
    assert seal == schema.checksum(key, place, text)


def test_checksum_depends_on_no_version_of_python() -> None:
    """It is taken from the characters themselves."""
    assert schema.checksum("stations.py::boil", 1, "\U0001fae8") == "9ea76b33ff81bcc2"


# --- single rows


@pytest.mark.parametrize(
    "tampering",
    [
        "update records set record = replace(record, 'outcome 1', 'outcome 7')",
        "update records set key = 'stations.py::s7' where key = 'stations.py::s1'",
        "update records set record = cast(x'ff' || record as text)",
        "update records set seal = ''",
    ],
)
def test_damaged_record_is_unreadable(closed: Path, tampering: str) -> None:
    """A record with a changed byte is unreadable, even if it is still valid JSON."""
    with _copy(closed) as location:
        connection = sqlite3.connect(location.file)
        connection.execute(tampering)
        connection.commit()
        connection.close()

        with _opened(location) as ledger:
            assert _is_sound(ledger)
            record = ledger.record(KEYS[1]) or ledger.record("stations.py::s7")

    assert record == Record(status="unreadable", since=0.0, error="checksum mismatch")


def test_damaged_resource_is_ignored_with_a_warning(closed: Path) -> None:
    """A resource that does not match its checksum is left out, and a warning names it."""
    warnings: list[str] = []
    with _copy(closed) as location:
        connection = sqlite3.connect(location.file)
        connection.execute("update resources set value = '7' where key = ?", (KEYS[1],))
        connection.commit()
        connection.close()

        with _opened(location, warnings.append) as ledger:
            assert dict(ledger.resources(KEYS[1])) == {}
            ledger.resources(KEYS[1])["pot"] = 8
        with _opened(location) as ledger:
            assert dict(ledger.resources(KEYS[1])) == {"pot": 8}

    assert warnings == [
        (
            f"the ledger {location.file} is damaged: ignoring resource 'pot' of {KEYS[1]} "
            "(checksum mismatch); check by hand what it refers to"
        )
    ]


def test_damaged_attempt_is_unreadable(closed: Path) -> None:
    """An attempt that cannot be read does not hide the others."""
    with _copy(closed) as location:
        connection = sqlite3.connect(location.file)
        connection.execute("update attempts set reasons = '{' where key = ?", (KEYS[1],))
        connection.commit()
        connection.close()

        with _opened(location) as ledger:
            statuses = [attempt.status for key in KEYS for attempt in ledger.attempts(key)]

    assert statuses == ["complete", "unreadable", "complete", "complete"]


def test_complete_records_of_a_damaged_ledger_cannot_be_forgotten(tmp_path: Path) -> None:
    """`forget_complete` leaves an unreadable ledger alone; the next run moves it aside."""
    location = LedgerLocation(tmp_path, "default")
    location.file.write_bytes(b"not a ledger" * 1000)

    forget_complete(location, warn=_raise)

    assert location.file.read_bytes() == b"not a ledger" * 1000


def test_complete_records_of_all_places_are_forgotten(tmp_path: Path) -> None:
    """`forget_complete` leaves a record in each place, for its cleans."""
    places = [Place("m1", "kettle", "/srv/a", "1"), Place("m1", "kettle", "/srv/b", "2")]
    locations = [LedgerLocation(tmp_path, "default", place) for place in places]
    for number, location in enumerate(locations):
        with _opened(location) as ledger:
            ledger.finish(KEYS[0], _record(number, outcome=str(number)))

    forget_complete(LedgerLocation(tmp_path, "default"), warn=_raise)

    for number, location in enumerate(locations):
        with _opened(location) as ledger:
            record = ledger.record(KEYS[0])
        assert record is not None
        assert record == Record(status="forgotten", since=record.since, for_cleans=str(number))


def test_process_that_only_reads_imports_no_locks(closed: Path) -> None:
    """Filelock is imported by a process that takes a lock, and by no other."""
    code = f"""
import sys
from pathlib import Path
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.opening import read_ledger

ledger = read_ledger(LedgerLocation(Path({str(closed)!r}), "default"))
print(len(ledger.records()), "filelock" in sys.modules, "asyncio" in sys.modules)
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stderr, done.stdout) == ("", f"{len(KEYS)} False False\n")


def test_closed_ledger_raises_an_error_of_ours(closed: Path) -> None:
    """Using a closed ledger raises a `ChoochooError`."""
    with _copy(closed) as location:
        ledger = open_ledger(location, warn=_raise)
        ledger.close()

        with pytest.raises(ChoochooError):
            ledger.records()
        with pytest.raises(ChoochooError):
            ledger.cancel(KEYS[0], None)


def test_reader_sees_the_ledger_as_it_was_when_opened(closed: Path) -> None:
    """A ledger opened read-only stays as it was, while another process writes to the file."""
    with _copy(closed) as location:
        reader = read_ledger(location, warn=_raise)
        with _opened(location) as writer:
            for number in range(300):
                writer.finish(f"stations.py::more_{number}", _record(9, "x" * 5000))

        assert reader.records() == RECORDS
        reader.close()


def test_folder_without_permission_is_read_as_empty(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the folder may not be entered, the ledger is treated as empty, with a warning."""
    warnings: list[str] = []
    with _copy(closed) as location:
        lstat = os.lstat

        def may_not_look(path: str | Path) -> os.stat_result:
            if Path(path) == location.file:
                raise PermissionError(13, "Permission denied")
            return lstat(path)

        monkeypatch.setattr(os, "lstat", may_not_look)
        ledger = read_ledger(location, warn=warnings.append)
        assert ledger.records() == {}
        ledger.close()
        monkeypatch.undo()

    [warning] = warnings
    assert warning == (
        f"the ledger {location.file} could not be read: permission denied; "
        "treating it as empty; 'pytest --cc-run' will deal with it"
    )


def test_pipe_in_place_of_the_ledger_is_moved_aside(tmp_path: Path) -> None:
    """A named pipe is moved aside, like a directory."""
    location = LedgerLocation(tmp_path, "default")
    os.mkfifo(location.file)
    warnings: list[str] = []

    with _opened(location, warnings.append) as ledger:
        _fill(ledger)

    assert location.file.is_file()
    [warning] = warnings
    assert warning.startswith(f"{location.file} should be a file; moved it to ")


def test_tables_of_the_newest_format_are_known() -> None:
    """The digest by which a sound ledger is recognized is that of the migrations' tables."""
    assert schema.checksum(*schema.tables_of(schema.FORMAT)) == schema.TABLES


_TAMPERED = {
    "trigger": "create trigger t after insert on attempts begin delete from resources; end",
    "view": "create view v as select * from resources",
    "index": "create index i on resources (value)",
    "table": "create table other (key text)",
}


@pytest.mark.parametrize("statement", _TAMPERED.values(), ids=_TAMPERED)
def test_ledger_that_defines_more_is_set_aside(closed: Path, statement: str) -> None:
    """A trigger could empty the resources that a clean needs; they are copied to a new ledger."""
    warnings: list[str] = []
    with _copy(closed) as location:
        with sqlite3.connect(location.file) as connection:
            connection.execute(statement)
        connection.close()

        with _opened(location, warnings.append) as ledger:
            assert ledger.records() == {}
            assert dict(ledger.resources(KEYS[0])) == {"pot": {"id": f"of {KEYS[0]}"}}

    assert f"(its tables do not match format {schema.FORMAT})" in warnings[0]


#: Statements that somebody may run with SQLite's shell, and which change nothing that a ledger says.
_HARMLESS = {
    "analyze": "analyze",
    "optimize": "pragma optimize(0xfffe)",
    "vacuum": "vacuum",
    "reindex": "reindex",
    "wal": "pragma journal_mode = wal",
    "delete": "pragma journal_mode = delete",
    "truncate": "pragma journal_mode = truncate",
    "page size": "pragma journal_mode = delete; pragma page_size = 512; vacuum",
    "auto vacuum": "pragma auto_vacuum = full; vacuum",
    "all": "analyze; vacuum; reindex; pragma optimize; pragma journal_mode = delete; analyze",
}


def _execute(file: Path, statements: str) -> None:
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        for statement in statements.split(";"):
            connection.execute(statement).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize("statements", _HARMLESS.values(), ids=_HARMLESS)
def test_maintenance_with_tools_of_sqlite_is_harmless(closed: Path, statements: str) -> None:
    """A ledger that somebody analyzed or compacted is read, written and maintained as before."""
    with _copy(closed) as location:
        for _ in range(2):
            _execute(location.file, statements)
            read = read_ledger(location, warn=_raise)
            assert read.records() == RECORDS
            read.close()
            with _opened(location) as ledger:
                assert ledger.records() == RECORDS
                assert dict(ledger.resources(KEYS[1])) == {"pot": {"id": f"of {KEYS[1]}"}}
                ledger.finish(KEYS[0], RECORDS[KEYS[0]])


@pytest.mark.parametrize("statements", _HARMLESS.values(), ids=_HARMLESS)
def test_maintenance_while_the_ledger_is_open(closed: Path, statements: str) -> None:
    """Where SQLite allows it, somebody may do so beside a run: nothing that is written is lost."""
    with _copy(closed) as location, _opened(location) as ledger:
        ledger.finish(KEYS[0], RECORDS[KEYS[0]].with_(outcome='"before"'))
        with suppress(sqlite3.OperationalError):  # as the database is locked
            _execute(location.file, statements)
        ledger.finish(KEYS[1], RECORDS[KEYS[1]].with_(outcome='"after"'))

        again = read_ledger(location, warn=_raise)
        assert [again.record(key).outcome for key in KEYS[:2]] == ['"before"', '"after"']  # type: ignore[union-attr]
        again.close()


@pytest.mark.parametrize("number", range(1, schema.FORMAT))
def test_analyzed_ledger_of_an_earlier_format_is_upgraded(tmp_path: Path, number: int) -> None:
    """The statistics of an earlier format are no obstacle to its migration."""
    location = LedgerLocation(tmp_path, "default")
    with sqlite3.connect(location.file) as connection:
        for migrate in schema.MIGRATIONS[:number]:
            migrate(connection)
        connection.execute(f"pragma user_version = {number}")
        connection.execute("insert into readings values ('a', 'b')")
    connection.close()
    _execute(location.file, "analyze")

    with _opened(location) as ledger:
        assert dict(ledger.source_cache()) == {"a": "b"}


@pytest.mark.parametrize(
    ("name", "definition"),
    [
        ("sqlite_stat1", "CREATE TABLE sqlite_stat1(tbl,idx,stat,more)"),
        ("sqlite_stat1", "CREATE TABLE sqlite_stat1(tbl,idx,stat UNIQUE ON CONFLICT REPLACE)"),
        ("sqlite_stat9", "CREATE TABLE sqlite_stat9(tbl,idx,stat)"),
    ],
)
def test_statistics_of_another_definition_are_not_accepted(
    closed: Path, name: str, definition: str
) -> None:
    """Only SQLite's own definition is harmless: the name alone proves nothing."""
    warnings: list[str] = []
    with _copy(closed) as location:
        _execute(
            location.file,
            f"analyze; pragma writable_schema = on; update sqlite_master set name = '{name}', "
            f"tbl_name = '{name}', sql = '{definition}' where name = 'sqlite_stat1'",
        )

        with _opened(location, warnings.append) as ledger:
            assert ledger.records() == {}

    assert "it is damaged (" in warnings[0]


def test_ledger_with_another_constraint_is_set_aside(closed: Path) -> None:
    """A constraint that replaces rows would lose what was written; the columns are the same."""
    warnings: list[str] = []
    with _copy(closed) as location:
        with sqlite3.connect(location.file) as connection:
            connection.execute("alter table resources rename to old")
            connection.execute(
                "create table resources (key text not null, place integer not null,"
                " id text not null, value text not null, seal text not null,"
                " primary key (key, place, id), unique (key) on conflict replace) without rowid"
            )
            connection.execute("insert into resources select * from old")
            connection.execute("drop table old")
        connection.close()

        with _opened(location, warnings.append) as ledger:
            assert ledger.records() == {}

    assert f"(its tables do not match format {schema.FORMAT})" in warnings[0]


@pytest.mark.parametrize("number", range(schema.FORMAT + 1))
def test_ledger_of_every_format_opens(tmp_path: Path, number: int) -> None:
    """A ledger that the migrations made, up to any format, is sound, and is then of the newest."""
    location = LedgerLocation(tmp_path, "default")
    with sqlite3.connect(location.file) as connection:
        for migrate in schema.MIGRATIONS[:number]:
            migrate(connection)
        connection.execute(f"pragma user_version = {number}")
    connection.close()

    with _opened(location):
        pass
    with sqlite3.connect(location.file) as connection:
        assert schema.checksum(*schema._tables(connection)) == schema.TABLES
    connection.close()
