"""Ledgers that are damaged, of another format, or not what they should be: never believed."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_choochoo.engine.errors import ChoochooError, UnusableLedger
from pytest_choochoo.engine.judging.fingerprint import Fingerprint
from pytest_choochoo.engine.ledger import schema as formats
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.opening import forget_complete, open_ledger, read_ledger
from pytest_choochoo.engine.ledger.protocol import LostLedger
from pytest_choochoo.engine.ledger.record import Record, to_text
from pytest_choochoo.engine.ledger.sqlite import SqliteLedger

KEYS = tuple(f"stations.py::s{n}" for n in range(4))
#: `tox run -e faults` asks for more.
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
    place: LedgerLocation, warn: Callable[[str], object] = _raise
) -> Iterator[SqliteLedger]:
    ledger = open_ledger(place, warn=warn)
    try:
        yield ledger
    finally:
        ledger.close()


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger that was closed, and so is one file."""
    folder = tmp_path_factory.mktemp("closed")
    with _opened(LedgerLocation(folder, "default")) as ledger:
        _fill(ledger)
    return folder


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger as a killed process leaves it: with its journal."""
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
    """Say whether *ledger* says nothing but what was written; it may say that it lost it."""
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
def test_damaged_ledger_is_never_believed(
    closed: Path, how: Callable[[bytes, int, int], bytes], where: int, seed: int
) -> None:
    """Whatever byte is damaged, a record is what was written, or none; and a ledger opens again."""
    with _copy(closed) as place:
        place.file.write_bytes(how(place.file.read_bytes(), where, seed))
        damaged, warnings = place.file.read_bytes(), list[str]()

        reading = read_ledger(place, warn=warnings.append)
        try:
            assert _is_sound(reading)
        except LostLedger:
            pass
        finally:
            reading.close()
        with _opened(place, warnings.append) as ledger:
            assert _is_sound(ledger)
            ledger.begin(KEYS[0], _begun(_record(9)), ())
            ledger.finish(KEYS[0], _record(9))
            assert ledger.record(KEYS[0]) == _record(9)

        for aside in place.folder.glob("*-set-aside-*.sqlite"):
            assert aside.read_bytes() == damaged
            assert any(aside.name in text for text in warnings)


@settings(max_examples=EXAMPLES)
@given(suffix=st.sampled_from(["-wal", "-shm"]), how=HOW, where=BYTES, seed=BYTES)
def test_damaged_journal_makes_nothing_complete(
    killed: Path, suffix: str, how: Callable[[bytes, int, int], bytes], where: int, seed: int
) -> None:
    """A journal that is lost, wholly or in part, never has a visit under way forgotten."""
    with _copy(killed) as place:
        journal = Path(f"{place.file}{suffix}")
        journal.write_bytes(how(journal.read_bytes(), where, seed))

        reading = read_ledger(place, warn=_raise)
        assert _is_sound(reading)
        reading.close()
        with _opened(place, lambda text: None) as ledger:
            assert _is_sound(ledger)
            records = ledger.records()

    assert {key for key, record in records.items() if record.is_complete} <= set(KEYS[2:])


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_directory_in_place_of_a_file_is_set_aside(killed: Path, suffix: str) -> None:
    """What is no file where one should be is set aside, and said to be."""
    warnings: list[str] = []
    with _copy(killed) as place:
        path = Path(f"{place.file}{suffix}")
        path.unlink()
        (path / "inside").mkdir(parents=True)

        with _opened(place, warnings.append) as ledger:
            assert _is_sound(ledger)
            assert not any(ledger.record(key) == RECORDS[key] for key in KEYS[:2])
        [aside] = place.folder.glob("*-set-aside-*/")

        assert (aside / "inside").is_dir()
        assert warnings[0] == (
            f"{path} is no file, as it should be; it was set aside as {aside.name}"
        )


@pytest.mark.parametrize("name", ["default", "default/locks", "default/stations"])
def test_file_in_place_of_a_folder_is_set_aside(tmp_path: Path, name: str) -> None:
    """What is no folder where one should be is set aside, and said to be."""
    path, warnings = tmp_path / name, list[str]()
    path.parent.mkdir(exist_ok=True)
    path.write_text("precious")

    with _opened(LedgerLocation(tmp_path, "default"), warnings.append) as ledger:
        assert ledger.directory(KEYS[0]).is_dir()
        ledger.lock(KEYS[0], 0).release()

    [aside] = path.parent.glob("*-set-aside-*")
    assert aside.read_text() == "precious"
    assert warnings == [f"{path} is no folder, as it should be; it was set aside as {aside.name}"]


def test_lock_and_directory_of_a_station_are_made_anew(closed: Path) -> None:
    """A lock that is a folder, and a station's directory that is a file, are set aside."""
    warnings: list[str] = []
    with _copy(closed) as place:
        with _opened(place) as ledger:
            ledger.lock(KEYS[0], 0).release()
            own = ledger.directory(KEYS[0])
        [lock] = (place.data_dir / "locks").glob("[!l]*")
        lock.unlink()
        own.rmdir()
        lock.mkdir()
        own.write_text("precious")
        (place.data_dir / "locks/ledger.lock").unlink()
        (place.data_dir / "locks/ledger.lock").mkdir()

        with _opened(place, warnings.append) as ledger:
            ledger.lock(KEYS[0], 0).release()
            assert ledger.directory(KEYS[0]).is_dir()
            assert ledger.records() == RECORDS
        with _opened(place):
            pass  # what was set aside is not looked at again

    assert [text.partition(" is no ")[0] for text in warnings] == [
        str(place.data_dir / "locks/ledger.lock"),
        str(lock),
        str(own),
    ]


def test_what_gets_in_the_way_later_is_named(closed: Path) -> None:
    """What is damaged while the ledger is in use is an error that names it."""
    with _copy(closed) as place, _opened(place) as ledger:
        own = ledger.directory(KEYS[0])
        own.rmdir()
        own.write_text("")
        with pytest.raises(LostLedger) as directory:
            ledger.directory(KEYS[0])
        shutil.rmtree(place.data_dir / "locks")
        (place.data_dir / "locks").touch()
        with pytest.raises(LostLedger) as lock:
            ledger.lock(KEYS[0], 0)

    assert str(directory.value) == (
        f"the ledger cannot be used any more, {own}: file exists; "
        "mend that, and the next run resumes"
    )
    assert str(lock.value).startswith(
        f"the ledger cannot be used any more, {place.data_dir}/locks/"
    )


def test_emptied_ledger_is_not_taken_for_a_new_one(closed: Path) -> None:
    """A ledger of no bytes, beside the locks of stations, has lost something, which is said."""
    warnings: list[str] = []
    with _copy(closed) as place:
        with _opened(place) as ledger:
            ledger.lock(KEYS[0], 0).release()
        place.file.write_bytes(b"")

        read_ledger(place, warn=warnings.append).close()
        with _opened(place, warnings.append) as ledger:
            assert ledger.records() == {}

    assert warnings[0] == (
        f"the ledger {place.file} could not be read: it is empty, and stations were visited; "
        "it is taken for empty here, and 'pytest --cc-run' says what becomes of it"
    )
    assert re.fullmatch(
        rf"the ledger {place.file} could not be read: it is empty, and stations were visited; "
        r"it was set aside as default-set-aside-\d{8}-\d{6}-\d+\.sqlite, "
        "and every station is judged anew",
        warnings[1],
    )


@pytest.mark.parametrize("tables", [0, 1], ids=["no-byte", "no-table"])
def test_ledger_that_was_just_being_made_is_made(tmp_path: Path, tables: int) -> None:
    """A process that died while it made the ledger leaves nothing to complain of."""
    place = LedgerLocation(tmp_path, "default")
    place.file.touch()
    if tables:
        connection = sqlite3.connect(place.file)
        connection.execute("pragma journal_mode = wal")
        connection.close()

    read_ledger(place, warn=_raise).close()
    with _opened(place) as ledger:
        _fill(ledger)
        assert ledger.records() == RECORDS


# --- formats


def _set_format(place: LedgerLocation, number: int) -> None:
    connection = sqlite3.connect(place.file)
    connection.execute(f"pragma user_version = {number}")
    connection.close()


def test_newer_format_is_set_aside_and_its_resources_taken_over(closed: Path) -> None:
    """What a later version wrote is set aside as it is; ids of things that exist go on."""
    warnings: list[str] = []
    with _copy(closed) as place:
        _set_format(place, 99)
        written = place.file.read_bytes()

        reading = read_ledger(place, warn=warnings.append)
        assert reading.records() == {}
        reading.close()
        with _opened(place, warnings.append) as ledger:
            assert ledger.records() == {}
            assert [dict(ledger.resources(key)) for key in KEYS] == [
                {"pot": {"id": f"of {key}"}} for key in KEYS
            ]
        [aside] = place.folder.glob("*-set-aside-*")

        assert aside.read_bytes() == written
        assert warnings[1] == (
            f"the ledger {place.file} could not be read: it has format 99, and this version "
            f"reads {formats.FORMAT}; it was set aside as {aside.name}, and every station is "
            "judged anew; ids of resources that were saved from it: 4"
        )


@pytest.mark.parametrize("number", [-1, 0, 1])
def test_format_that_its_tables_belie_is_damage(closed: Path, number: int) -> None:
    """The number alone is not believed: the tables must be those of the format."""
    warnings: list[str] = []
    with _copy(closed) as place:
        _set_format(place, number)

        with _opened(place, warnings.append) as ledger:
            assert ledger.records() == {}

    assert f"it is damaged (it has not the tables of format {number})" in warnings[0]


@pytest.fixture
def first_format(tmp_path: Path) -> LedgerLocation:
    """A ledger as the first version wrote it."""
    place = LedgerLocation(tmp_path, "default")
    connection = sqlite3.connect(place.file)
    formats.make_first(connection)
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
    return place


def test_records_survive_an_upgrade(first_format: LedgerLocation) -> None:
    """A ledger of the first format is brought up to date, and everything in it is there."""
    with _opened(first_format) as ledger:
        pass
    with _opened(first_format) as ledger:
        assert ledger.records() == RECORDS
        assert _is_sound(ledger)
        assert dict(ledger.resources(KEYS[0])) == {"pot": {"id": f"of {KEYS[0]}"}}
        assert [attempt.reasons for attempt in ledger.attempts(KEYS[0])] == [("never visited",)]
        ledger.forget(KEYS[0], resources=True)
        assert ledger.records().keys() == set(KEYS[1:])


def test_earlier_format_is_read_without_being_altered(first_format: LedgerLocation) -> None:
    """Who only reads brings nothing up to date but a copy of his own."""
    before = first_format.file.read_bytes()

    ledger = read_ledger(first_format, warn=_raise)
    records = ledger.records()
    ledger.close()

    assert records == RECORDS
    assert (first_format.file.read_bytes(), os.listdir(first_format.folder)) == (
        before,
        ["default.sqlite"],
    )


def test_upgrade_that_fails_leaves_all_as_it_was(
    first_format: LedgerLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step to the next format is made wholly or not at all."""

    def fails(connection: sqlite3.Connection) -> None:
        connection.execute("drop table records")
        raise sqlite3.OperationalError("database or disk is full")

    before = first_format.file.read_bytes()
    with monkeypatch.context() as context:
        context.setattr(formats, "MIGRATIONS", (formats.make_first, fails))
        with pytest.raises(UnusableLedger) as error:
            open_ledger(first_format, warn=_raise)

    assert str(error.value) == (
        f"the ledger {first_format.file} cannot be written: database or disk is full; "
        "make the folder writable, or name another with --cc-state"
    )
    reading = read_ledger(first_format, warn=_raise)
    assert (reading.records(), len(before)) == (RECORDS, len(first_format.file.read_bytes()))
    reading.close()


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
def test_altered_record_is_not_believed(closed: Path, tampering: str) -> None:
    """A record of which a byte was changed is unreadable, though it still is good JSON."""
    with _copy(closed) as place:
        connection = sqlite3.connect(place.file)
        connection.execute(tampering)
        connection.commit()
        connection.close()

        with _opened(place) as ledger:
            assert _is_sound(ledger)
            record = ledger.record(KEYS[1]) or ledger.record("stations.py::s7")

    assert record == Record(status="unreadable", since=0.0, error="it was altered")


def test_altered_resource_is_told_and_left_out(closed: Path) -> None:
    """An id that is not what was written is never handed out, and the user is told of it."""
    warnings: list[str] = []
    with _copy(closed) as place:
        connection = sqlite3.connect(place.file)
        connection.execute("update resources set value = '7' where key = ?", (KEYS[1],))
        connection.commit()
        connection.close()

        with _opened(place, warnings.append) as ledger:
            assert dict(ledger.resources(KEYS[1])) == {}
            ledger.resources(KEYS[1])["pot"] = 8
        with _opened(place) as ledger:
            assert dict(ledger.resources(KEYS[1])) == {"pot": 8}

    assert warnings == [
        (
            f"the ledger {place.file} is damaged: resource 'pot' of {KEYS[1]}; it is left out, "
            "so see by hand to the thing that it stands for"
        )
    ]


def test_altered_attempt_is_unreadable(closed: Path) -> None:
    """History that cannot be read keeps nobody from the rest of it."""
    with _copy(closed) as place:
        connection = sqlite3.connect(place.file)
        connection.execute("update attempts set reasons = '{' where key = ?", (KEYS[1],))
        connection.commit()
        connection.close()

        with _opened(place) as ledger:
            statuses = [attempt.status for key in KEYS for attempt in ledger.attempts(key)]

    assert statuses == ["complete", "unreadable", "complete", "complete"]


def test_complete_records_of_a_damaged_ledger_cannot_be_forgotten(tmp_path: Path) -> None:
    """`forget_complete` leaves alone what it cannot read, for the next run to set aside."""
    place = LedgerLocation(tmp_path, "default")
    place.file.write_bytes(b"not a ledger" * 1000)

    forget_complete(place, warn=_raise)

    assert place.file.read_bytes() == b"not a ledger" * 1000


def test_no_error_but_ours_leaves_the_ledger(closed: Path) -> None:
    """A ledger that was closed under our feet is an error of ours as well."""
    with _copy(closed) as place:
        ledger = open_ledger(place, warn=_raise)
        ledger.close()

        with pytest.raises(ChoochooError):
            ledger.records()
        with pytest.raises(ChoochooError):
            ledger.cancel(KEYS[0], None)


def test_reader_is_not_troubled_by_who_writes_meanwhile(closed: Path) -> None:
    """A ledger that was opened to be read says what it said then, whatever becomes of the file."""
    with _copy(closed) as place:
        reader = read_ledger(place, warn=_raise)
        with _opened(place) as writer:
            for number in range(300):
                writer.finish(f"stations.py::more_{number}", _record(9, "x" * 5000))

        assert reader.records() == RECORDS
        reader.close()


def test_folder_that_may_not_be_entered_is_told(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not even the file can be looked for, the ledger is taken for empty, with a warning."""
    warnings: list[str] = []
    with _copy(closed) as place:
        exists = Path.exists

        def may_not_look(path: Path) -> bool:
            if path == place.file:
                raise PermissionError(13, "Permission denied")
            return exists(path)

        monkeypatch.setattr(Path, "exists", may_not_look)
        ledger = read_ledger(place, warn=warnings.append)
        assert ledger.records() == {}
        ledger.close()
        monkeypatch.undo()

    [warning] = warnings
    assert warning == (
        f"the ledger {place.file} could not be read: permission denied; "
        "it is taken for empty here, and 'pytest --cc-run' says what becomes of it"
    )


def test_pipe_in_place_of_the_ledger_is_set_aside(tmp_path: Path) -> None:
    """What is no file is set aside under another name, as a directory would be."""
    place = LedgerLocation(tmp_path, "default")
    os.mkfifo(place.file)
    warnings: list[str] = []

    with _opened(place, warnings.append) as ledger:
        _fill(ledger)

    assert place.file.is_file()
    [warning] = warnings
    assert warning.startswith(f"{place.file} is no file, as it should be; it was set aside as ")


def test_visit_that_did_nothing_leaves_no_trace(tmp_path: Path) -> None:
    """A visit that is taken back leaves the record and the attempts of earlier ones."""
    place, key = LedgerLocation(tmp_path, "default"), KEYS[0]
    with _opened(place) as ledger:
        _fill(ledger)
        before, attempts = ledger.record(key), ledger.attempts(key)
        assert before is not None

        ledger.begin(key, _begun(before), ("selected by --cc-replay",))
        ledger.cancel(key, before)

        assert (ledger.record(key), ledger.attempts(key)) == (before, attempts)
