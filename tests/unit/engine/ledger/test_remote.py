"""The specifics of a ledger in another process: its questions, locks and errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pytest_choochoo.engine.errors import UnusableLedger
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.opening import open_ledger
from pytest_choochoo.engine.ledger.protocol import Ledger, LockBusy
from pytest_choochoo.engine.ledger.remote import (
    LedgerServer,
    RemoteLedger,
    UnknownQuestion,
)

KEY = "stations.py::boil"


@pytest.fixture
def near(tmp_path: Path) -> Iterator[Ledger]:
    """The ledger that the server opened."""
    with closing(open_ledger(LedgerLocation(tmp_path / "near", "default"), warn=pytest.fail)) as it:
        yield it


@pytest.fixture
def server(near: Ledger) -> LedgerServer:
    return LedgerServer(near)


@pytest.fixture
def far(server: LedgerServer, tmp_path: Path) -> RemoteLedger:
    """The same ledger as a process elsewhere sees it."""
    return RemoteLedger(server.answer, LedgerLocation(tmp_path / "far", "default"))


def test_server_holds_the_locks(near: Ledger, far: RemoteLedger) -> None:
    """The server holds a lock that the other process takes, and the client counts it."""
    with far.lock(KEY, 0):
        held = far.held
        with pytest.raises(LockBusy):
            near.lock(KEY, 0)

    near.lock(KEY, 0).release()
    assert (held, far.held) == (1, 0)


def test_closed_server_releases_its_locks(
    near: Ledger, far: RemoteLedger, server: LedgerServer
) -> None:
    """When the other process is gone, the stations that it had locked can be visited."""
    far.lock(KEY, 0)

    server.close()

    near.lock(KEY, 0).release()


def test_directories_stay_in_the_process_that_visits(far: RemoteLedger, tmp_path: Path) -> None:
    """The directory of a station is in the process that visits it."""
    directory = far.directory(KEY)

    assert directory.is_dir()
    assert directory.is_relative_to(tmp_path / "far")


def test_failing_ledger_is_an_error_of_the_other_process(near: Ledger, far: RemoteLedger) -> None:
    """An error in the process of the server is raised in the one that asked."""
    near.close()

    with pytest.raises(UnusableLedger) as caught:
        far.record(KEY)

    assert str(caught.value) == (
        "the ledger of the controller cannot be written: cannot operate on a"
        " closed database.; make the folder writable, or name another with --cc-state"
    )


@pytest.mark.parametrize(
    ("question", "error"),
    [
        pytest.param('["close",[]]', "unknown question 'close'", id="not in the table"),
        pytest.param('["__class__",[]]', "unknown question '__class__'", id="attribute"),
        pytest.param('["_transaction",[]]', "unknown question '_transaction'", id="private"),
        pytest.param('["record",[7]]', "Expected `str`, got `int` - at `$[0]`", id="type"),
        pytest.param(
            '["record",["boil","pour"]]',
            "Expected `array` of length 1, got 2",
            id="number of arguments",
        ),
        pytest.param('["release",["boil"]]', "no lock on 'boil' is held", id="lock not held"),
        pytest.param('{"name":"record"}', "Expected `array`, got `object`", id="shape"),
        pytest.param("tea?", "JSON is malformed: invalid character (byte 4)", id="not JSON"),
        pytest.param(
            '["set_resource",["boil","x",' + "[" * 100_000,
            "maximum recursion depth exceeded while deserializing an object",
            id="depth",
        ),
    ],
)
def test_question_that_nobody_asks_is_an_error(
    server: LedgerServer, question: str, error: str
) -> None:
    """The server answers the questions in its table, with the right arguments, and no others."""
    with pytest.raises(UnknownQuestion) as caught:
        server.answer(question)

    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ("[null", "Input data was truncated"),
        ('{"value":1}', "Expected `array`, got `object`"),
        ("[7]", "Expected `object | null`, got `int`"),
        ("[" * 100_000, "maximum recursion depth exceeded while deserializing an object"),
    ],
)
def test_answer_that_is_damaged_is_an_error(tmp_path: Path, answer: str, cause: str) -> None:
    """An answer that is none is an error of the ledger, which names the question."""
    ledger = RemoteLedger(lambda question: answer, LedgerLocation(tmp_path, "default"))

    with pytest.raises(UnusableLedger) as caught:
        ledger.record(KEY)

    assert caught.value.cause == f"its answer to 'record' is not understood ({cause})"
