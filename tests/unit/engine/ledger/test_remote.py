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
from pytest_choochoo.engine.ledger.remote import LedgerServer, RemoteLedger

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
        pytest.param(
            '["close",[]]', "LookupError: unknown question 'close'", id="not in the table"
        ),
        pytest.param(
            '["_transaction",[]]', "LookupError: unknown question '_transaction'", id="private"
        ),
        pytest.param(
            '["record",[7]]', "ValidationError: Expected `str`, got `int` - at `$[0]`", id="type"
        ),
        pytest.param(
            '["record",["boil","pour"]]',
            "ValidationError: Expected `array` of length 1, got 2",
            id="number of arguments",
        ),
        pytest.param(
            '["release",["boil"]]', "LookupError: no lock on 'boil' is held", id="lock not held"
        ),
        pytest.param(
            '{"name":"record"}', "ValidationError: Expected `array`, got `object`", id="shape"
        ),
        pytest.param("tea?", "DecodeError: JSON is malformed: invalid character", id="not JSON"),
    ],
)
def test_bad_question_is_answered_with_an_error(
    server: LedgerServer, question: str, error: str
) -> None:
    """The server answers the questions in its table, with the right arguments, and no others."""
    answer = server.answer(question)

    assert answer.startswith(f'[null,"{error}')
