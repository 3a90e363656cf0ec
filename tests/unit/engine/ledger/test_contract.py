"""The contract of `Ledger`, which every implementation fulfils."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pytest_choochoo.engine.errors import UnkeptResource
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.names import NewNames
from pytest_choochoo.engine.ledger.opening import open_ledger
from pytest_choochoo.engine.ledger.protocol import Ledger, LockBusy
from pytest_choochoo.engine.ledger.record import (
    OUTPUT_LIMIT,
    AttemptRecord,
    Fingerprint,
    PastRun,
    Record,
)
from pytest_choochoo.engine.ledger.remote import LedgerServer, RemoteLedger
from pytest_choochoo.engine.place import Elsewhere, Place, Scope
from unit.memory_ledger import MemoryLedger

KEY = "stations.py::boil[süd-1]"
OTHER = "stations.py::pour"
RUN = "run-1"
VISITING = Record(status="visiting", since=1.0, pid=7, host="kettle")
COMPLETE = Record(
    status="complete",
    since=2.0,
    fingerprint=Fingerprint(code={"boil": "d1"}, files={"water.txt": "d2"}),
    outcome="100",
    outcome_digest="d3",
    products={"steam.txt": "d4"},
    visited=2.0,
    began=1.0,
    seconds=1.0,
)
FAILED = Record(status="failed", since=3.0, error="RuntimeError: cold")

A = Place("m1", "kettle", "/srv/a", "1")
B = Place("m1", "kettle", "/srv/b", "2")
FAR = Place("m2", "stove", "/srv/a", "1")


class Connect(Protocol):
    """Connects to the same ledger, each time as another process, which may be at a place."""

    def __call__(self, place: Place | None = None) -> Ledger: ...


@contextmanager
def _sqlite(folder: Path) -> Iterator[Connect]:
    with ExitStack() as stack:

        def connect(place: Place | None = None) -> Ledger:
            location = LedgerLocation(folder, "default", place)
            return stack.enter_context(closing(open_ledger(location, warn=pytest.fail)))

        yield connect


@contextmanager
def _memory(folder: Path) -> Iterator[Connect]:
    yield MemoryLedger(folder).at


@contextmanager
def _remote(folder: Path) -> Iterator[Connect]:
    with _sqlite(folder) as near:

        @cache
        def server_at(place: Place | None) -> LedgerServer:
            return LedgerServer(near(place))

        def connect(place: Place | None = None) -> Ledger:
            location = LedgerLocation(folder, "default", place)
            return RemoteLedger(server_at(place).answer, location)

        yield connect


@pytest.fixture(
    params=[
        pytest.param(_sqlite, id="sqlite"),
        pytest.param(_memory, id="memory"),
        pytest.param(_remote, id="remote"),
    ]
)
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connect]:
    with request.param(tmp_path) as connect:
        yield connect


@pytest.fixture
def ledger(connect: Connect) -> Ledger:
    return connect()


@pytest.fixture
def other(connect: Connect) -> Ledger:
    """The same ledger as another process sees it."""
    return connect()


def _facts(attempts: tuple[AttemptRecord, ...]) -> list[tuple[float, str, str, tuple[str, ...]]]:
    return [(each.began, each.status, each.error, each.reasons) for each in attempts]


# --- records and attempts


def test_new_ledger_is_empty(ledger: Ledger) -> None:
    """A station that was never visited has left nothing."""
    assert (ledger.record(KEY), ledger.records()) == (None, {})
    assert (ledger.attempts(KEY), dict(ledger.resources(KEY))) == ((), {})
    assert not ledger.has_traces(KEY)


def test_visit_that_begins_is_on_record(ledger: Ledger, other: Ledger) -> None:
    """`begin` writes the record and an attempt with its reasons."""
    ledger.begin(KEY, VISITING, ("never visited", "süd"))

    assert other.record(KEY) == VISITING
    assert other.attempts(KEY) == (
        AttemptRecord(
            began=1.0, ended=None, status="visiting", error="", reasons=("never visited", "süd")
        ),
    )


def test_visit_that_ends_is_on_record(ledger: Ledger, other: Ledger) -> None:
    """`finish` writes the record, and ends the attempt under way with its status and error."""
    ledger.begin(KEY, VISITING, ())
    ledger.finish(KEY, FAILED)
    ledger.begin(KEY, VISITING.with_(since=4.0), ("last visit failed",))
    ledger.finish(KEY, COMPLETE)

    assert other.records() == {KEY: COMPLETE}
    assert _facts(other.attempts(KEY)) == [
        (1.0, "failed", "RuntimeError: cold", ()),
        (4.0, "complete", "", ("last visit failed",)),
    ]
    assert all(attempt.ended for attempt in other.attempts(KEY))


def test_visit_of_another_process_can_be_finished(ledger: Ledger, other: Ledger) -> None:
    """A process may record the failure of another one, which died."""
    other.begin(KEY, VISITING, ())

    ledger.finish(KEY, FAILED)

    assert _facts(ledger.attempts(KEY)) == [(1.0, "failed", "RuntimeError: cold", ())]


def test_new_visit_interrupts_the_attempt_before(ledger: Ledger) -> None:
    """An attempt that has not ended when the next begins was interrupted."""
    ledger.begin(KEY, VISITING, ())
    ledger.begin(KEY, VISITING.with_(since=2.0), ())

    assert [attempt.status for attempt in ledger.attempts(KEY)] == ["interrupted", "visiting"]
    assert ledger.attempts(KEY)[0].ended is None


def test_adopted_station_has_a_record_without_attempt(ledger: Ledger) -> None:
    """`finish` without `begin` writes the record of a station that its checks settled."""
    ledger.finish(KEY, COMPLETE)

    assert (ledger.record(KEY), ledger.attempts(KEY)) == (COMPLETE, ())


def test_result_is_shared_with_the_record(ledger: Ledger, other: Ledger) -> None:
    """`finish` shares a result of a run in the same transaction."""
    ledger.start_run(RUN)
    ledger.begin(KEY, VISITING, ())

    ledger.finish(KEY, COMPLETE, (RUN, "visited"))

    assert (other.record(KEY), other.result(RUN, KEY)) == (COMPLETE, "visited")


def test_cancelled_visit_leaves_what_was_before(ledger: Ledger) -> None:
    """`cancel` restores the record and removes the attempt, but no earlier one."""
    ledger.begin(KEY, VISITING, ("never visited",))
    ledger.finish(KEY, COMPLETE)
    attempts = ledger.attempts(KEY)
    ledger.begin(KEY, VISITING.with_(since=5.0), ("selected by --cc-replay",))

    ledger.cancel(KEY, COMPLETE)

    assert (ledger.record(KEY), ledger.attempts(KEY)) == (COMPLETE, attempts)


def test_cancelled_first_visit_leaves_nothing(ledger: Ledger) -> None:
    """`cancel` removes the record where there was none before."""
    ledger.begin(KEY, VISITING, ())

    ledger.cancel(KEY, None)

    assert (ledger.record(KEY), ledger.attempts(KEY)) == (None, ())
    assert not ledger.has_traces(KEY)


def test_records_are_selected_by_their_text(ledger: Ledger) -> None:
    """`records(having=...)` returns those whose JSON text contains a string."""
    tagged = COMPLETE.with_(outcome='{"secret":"choochoo-%_1"}')
    ledger.finish(KEY, tagged)
    ledger.finish(OTHER, COMPLETE)

    assert ledger.records(having="choochoo-%_") == {KEY: tagged}
    assert ledger.records(having="choochoo-__") == {}
    assert ledger.records() == {KEY: tagged, OTHER: COMPLETE}


def test_snapshot_keeps_what_was_there(ledger: Ledger, other: Ledger) -> None:
    """In a snapshot `record` ignores later writes, of other processes too; afterwards it does not."""
    ledger.finish(KEY, COMPLETE)

    with ledger.snapshot():
        other.finish(KEY, FAILED)
        other.finish(OTHER, FAILED)
        seen = ledger.record(KEY), ledger.record(OTHER)

    assert seen == (COMPLETE, None)
    assert (ledger.record(KEY), ledger.record(OTHER)) == (FAILED, FAILED)


def test_snapshot_ends_with_an_error(ledger: Ledger) -> None:
    """An error within a snapshot ends it as well."""
    with suppress(LookupError), ledger.snapshot():
        ledger.finish(KEY, COMPLETE)
        raise LookupError

    assert ledger.record(KEY) == COMPLETE


# --- what a station leaves


def test_resources_are_durable_at_once(ledger: Ledger, other: Ledger) -> None:
    """Each write to the resources of a station can be read by other processes."""
    resources = ledger.resources(KEY)
    seen = other.resources(KEY)

    resources["server"] = {"id": [1, None, "é"]}
    resources["port"] = 80
    assert dict(seen) == {"server": {"id": [1, None, "é"]}, "port": 80}

    resources["port"] = 81
    del resources["server"]
    assert (dict(seen), len(seen), "server" in seen) == ({"port": 81}, 1, False)
    assert repr(seen) == "{'port': 81}"
    assert dict(other.resources(OTHER)) == {}


def test_missing_resource_is_a_key_error(ledger: Ledger) -> None:
    """Reading or deleting a resource that does not exist raises `KeyError`, as for a dict."""
    resources = ledger.resources(KEY)

    with pytest.raises(KeyError, match="cup"):
        resources["cup"]
    with pytest.raises(KeyError, match="cup"):
        del resources["cup"]


def test_change_of_a_resource_is_written(ledger: Ledger) -> None:
    """A list or a dict that was read is written when it changes."""
    resources = ledger.resources(KEY)
    resources["ids"] = [1]

    resources["ids"].append(2)

    assert ledger.resources(KEY)["ids"] == [1, 2]


@pytest.mark.parametrize(
    ("name", "value", "type_"),
    [
        pytest.param("ids", {1}, "set", id="no JSON value"),
        pytest.param("ids", (1, 2), "tuple", id="tuple would become a list"),
        pytest.param("ids", {1: 2}, "dict", id="key would become a string"),
        pytest.param("ids", float("nan"), "float", id="not a number"),
        pytest.param(1, "x", "str", id="id is not a string"),
    ],
)
def test_resource_that_is_not_json_is_refused(
    ledger: Ledger, name: Any, value: Any, type_: str
) -> None:
    """A resource that would not survive a JSON round trip is refused, and nothing is written."""
    with pytest.raises(UnkeptResource) as caught:
        ledger.resources(KEY)[name] = value

    assert str(caught.value) == (
        f"resource {name!r} of {KEY} cannot be stored ({type_}); use a string id and a JSON value"
    )
    assert dict(ledger.resources(KEY)) == {}


def test_directory_is_kept(ledger: Ledger) -> None:
    """A station has a directory of its own, which is the same each time and only the user's."""
    directory = ledger.directory(KEY)
    (directory / "kept").touch()

    assert (ledger.directory(KEY) / "kept").exists()
    assert ledger.directory(OTHER) != directory
    assert directory.stat().st_mode & 0o777 == 0o700


def _leave_all(ledger: Ledger) -> Path:
    ledger.begin(KEY, VISITING, ())
    ledger.resources(KEY)["pot"] = 1
    ledger.finish(KEY, COMPLETE)
    ledger.finish(OTHER, COMPLETE)
    return ledger.directory(KEY)


def test_forgotten_station_is_still_to_be_cleaned(ledger: Ledger) -> None:
    """`forget` keeps all that a clean needs: the outcome, the resources, the directory."""
    directory = _leave_all(ledger)
    began = time.time()

    ledger.forget(KEY, "forgotten")

    record = ledger.record(KEY)
    assert record is not None and began <= record.since <= time.time()
    assert record == Record(status="forgotten", since=record.since, for_cleans=COMPLETE.outcome)
    assert (ledger.record(OTHER), len(ledger.attempts(KEY))) == (COMPLETE, 1)
    assert dict(ledger.resources(KEY)) == {"pot": 1}
    assert directory.is_dir()
    assert ledger.has_traces(KEY)


def test_cleaned_station_leaves_nothing(ledger: Ledger) -> None:
    """Only the moment of a clean is known afterwards, and other stations are not affected."""
    directory = _leave_all(ledger)

    ledger.forget(KEY, "cleaned")

    record = ledger.record(KEY)
    assert record is not None
    assert record == Record(status="cleaned", since=record.since)
    assert (ledger.record(OTHER), ledger.attempts(KEY)) == (COMPLETE, ())
    assert dict(ledger.resources(KEY)) == {}
    assert not directory.exists()
    assert not ledger.has_traces(KEY)


def test_last_outcome_outlives_visits_that_do_not_return(ledger: Ledger) -> None:
    """A forgotten outcome is known to cleans until a visit returns another one."""
    _leave_all(ledger)
    ledger.forget(KEY, "forgotten")
    ledger.finish(KEY, FAILED.with_(for_cleans="null"))

    ledger.forget(KEY, "left in place")

    record = ledger.record(KEY)
    assert record is not None
    assert record == Record(status="left in place", since=record.since, for_cleans="null")


def test_station_without_a_trace_cannot_be_forgotten(ledger: Ledger) -> None:
    """`forget` makes no record of a station that was never attempted; a clean does."""
    ledger.forget(KEY, "forgotten")
    ledger.forget(OTHER, "cleaned")

    assert ledger.record(KEY) is None
    assert [each.status for each in ledger.records().values()] == ["cleaned"]


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(lambda ledger: ledger.finish(KEY, FAILED), id="record"),
        pytest.param(
            lambda ledger: (ledger.finish(KEY, FAILED), ledger.forget(KEY, "forgotten")),
            id="forgotten record",
        ),
        pytest.param(lambda ledger: ledger.resources(KEY).update(pot=1), id="resource"),
        pytest.param(lambda ledger: ledger.directory(KEY), id="directory"),
    ],
)
def test_each_trace_makes_a_clean_necessary(
    ledger: Ledger, leave: Callable[[Ledger], object]
) -> None:
    """A record, a resource and a directory are traces, each by itself."""
    leave(ledger)

    assert ledger.has_traces(KEY)
    assert not ledger.has_traces(OTHER)


# --- locks


def test_lock_is_exclusive(ledger: Ledger, other: Ledger) -> None:
    """A lock that is held can be taken by no process, not even the one that holds it."""
    ledger.prepare_locks([KEY, OTHER])
    lock = ledger.lock(KEY, -1)

    for each in (ledger, other):
        with pytest.raises(LockBusy):
            each.lock(KEY, 0)
        with pytest.raises(LockBusy):
            each.lock(KEY, 0.01)
    assert (ledger.is_locked(KEY), other.is_locked(KEY)) == (True, True)

    other.lock(OTHER, 0).release()
    lock.release()
    assert (ledger.is_locked(KEY), other.is_locked(KEY)) == (False, False)
    other.lock(KEY, 0).release()


def test_lock_is_released_with_its_block(ledger: Ledger, other: Ledger) -> None:
    """A held lock in a `with` statement is released at its end, after an error too."""
    with suppress(LookupError), ledger.lock(KEY, 0):
        assert other.is_locked(KEY)
        raise LookupError

    assert not other.is_locked(KEY)


def test_lock_is_taken_once_it_is_released(ledger: Ledger, other: Ledger) -> None:
    """A process that waits for a lock gets it when the holder releases it."""
    lock = ledger.lock(KEY, 0)
    thread = threading.Thread(target=lock.release)

    with pytest.raises(LockBusy):
        other.lock(KEY, 0)
    thread.start()
    other.lock(KEY, 60).release()

    thread.join()


def test_is_locked_makes_no_lock(ledger: Ledger, other: Ledger) -> None:
    """`is_locked` neither takes the lock nor needs it to be prepared."""
    assert not ledger.is_locked(KEY)

    other.lock(KEY, 0).release()


# --- runs


def test_results_of_runs_are_apart(ledger: Ledger, other: Ledger) -> None:
    """The processes of one run share results, which no other run sees."""
    for run in (RUN, "run-2"):
        ledger.start_run(run)
    other.start_run(RUN)  # a second start changes nothing
    ledger.write_result(RUN, KEY, '"visited"')

    assert other.result(RUN, KEY) == '"visited"'
    assert other.result("run-2", KEY) is None
    assert other.result(RUN, OTHER) is None

    other.write_result(RUN, KEY, '"failed"')
    assert ledger.result(RUN, KEY) == '"failed"'


def test_first_value_is_agreed_on(ledger: Ledger, other: Ledger) -> None:
    """`put_if_absent` returns the first value to all processes of the run."""
    ledger.start_run(RUN)

    assert ledger.put_if_absent(RUN, "order", "a") == "a"
    assert other.put_if_absent(RUN, "order", "b") == "a"
    assert other.result(RUN, "order") == "a"
    assert other.put_if_absent("run-2", "order", "b") == "b"


# --- the rest


# --- what visits printed, and past runs


def _visit(ledger: Ledger, began: float, output: str) -> None:
    ledger.begin(KEY, VISITING.with_(since=began), ())
    if output:
        ledger.keep_output(KEY, output)
    ledger.finish(KEY, COMPLETE)


def test_output_of_the_last_visit_is_kept(ledger: Ledger, other: Ledger) -> None:
    """A record without a visit leaves it; a visit that prints nothing has none."""
    _visit(ledger, 1.0, "hot\n")
    ledger.finish(KEY, COMPLETE)
    assert other.output(KEY) == "hot\n"

    _visit(ledger, 2.0, "")

    assert other.output(KEY) == ""


def test_end_of_a_long_output_is_kept(ledger: Ledger) -> None:
    """The beginning of what exceeds the limit is dropped."""
    _visit(ledger, 1.0, "a" * OUTPUT_LIMIT + "end")

    assert len(ledger.output(KEY)) == OUTPUT_LIMIT
    assert ledger.output(KEY).endswith("aend")


def test_output_goes_with_a_clean(ledger: Ledger) -> None:
    """A forgotten station keeps its output for people, a cleaned one does not."""
    _visit(ledger, 1.0, "hot\n")

    ledger.forget(KEY, "forgotten")
    assert ledger.output(KEY) == "hot\n"
    ledger.forget(KEY, "cleaned")
    assert ledger.output(KEY) == ""


def test_last_hundred_runs_are_kept(ledger: Ledger, other: Ledger) -> None:
    """The last run comes first."""
    runs = [
        PastRun(began=float(number), seconds=1.5, command="run", counts={"visited": 2}, exit_code=0)
        for number in range(102)
    ]
    for run in runs:
        ledger.add_run(run)

    assert list(other.history()) == runs[:1:-1]


def test_secret_key_is_constant(ledger: Ledger, other: Ledger) -> None:
    """All processes get the same 32 bytes."""
    assert ledger.secret_key() == other.secret_key() == ledger.secret_key()
    assert len(ledger.secret_key()) == 32


def test_source_cache_is_a_mapping(ledger: Ledger) -> None:
    """Parsed sources are found by their keys, replaced and deleted."""
    cache = ledger.source_cache()
    cache["a"], cache["b"] = "1", "2"
    cache["a"] = "3"
    del cache["b"]

    assert dict(ledger.source_cache()) == {"a": "3"}
    assert ledger.source_cache().get("b") is None
    with pytest.raises(KeyError):
        ledger.source_cache()["b"]


# --- places


def test_record_counts_in_the_checkout_that_made_it(connect: Connect) -> None:
    """In another checkout, and on another machine, a station has no record; it is seen there."""
    connect(A).finish(KEY, COMPLETE)

    for place in (B, FAR):
        ledger = connect(place)
        assert (ledger.record(KEY), ledger.records(), ledger.attempts(KEY)) == (None, {}, ())
        assert not ledger.has_traces(KEY)
        assert ledger.elsewhere(KEY) == Elsewhere("/srv/a", "kettle", 2.0)
    assert (connect(A).record(KEY), connect(A).elsewhere(KEY)) == (COMPLETE, None)
    assert connect().records() == {KEY: COMPLETE}


def test_each_place_has_a_record_attempts_resources_and_a_directory(connect: Connect) -> None:
    """A visit in one checkout, and a clean in it, leave those of another one alone."""
    for place, ident, record in ((A, "i-1", COMPLETE), (B, "i-2", FAILED)):
        ledger = connect(place)
        ledger.begin(KEY, VISITING, (ident,))
        ledger.resources(KEY)["server"] = ident
        (ledger.directory(KEY) / ident).touch()
        ledger.finish(KEY, record)
    connect(B).forget(KEY, "cleaned")

    here, there = connect(A), connect(B)
    assert (here.record(KEY), dict(here.resources(KEY))) == (COMPLETE, {"server": "i-1"})
    assert _facts(here.attempts(KEY)) == [(1.0, "complete", "", ("i-1",))]
    cleaned = there.record(KEY)
    assert cleaned is not None
    assert (cleaned.status, there.attempts(KEY), dict(there.resources(KEY))) == ("cleaned", (), {})
    assert here.has_traces(KEY)


def test_two_checkouts_may_visit_a_station_at_once(connect: Connect) -> None:
    """Its effect is another one in each, and so is its lock; other locks are for all."""
    with connect(A).lock(KEY, 0):
        connect(B).lock(KEY, 0).release()
        with pytest.raises(LockBusy):
            connect(A).lock(KEY, 0)
    with connect(A).lock("plan", 0), pytest.raises(LockBusy):
        connect(B).lock("plan", 0)


@pytest.mark.parametrize(
    ("scope", "other", "stranger"),
    [pytest.param("host", B, FAR, id="host"), pytest.param("anywhere", FAR, None, id="anywhere")],
)
def test_one_record_for_several_places(
    connect: Connect, scope: Scope, other: Place, stranger: Place | None
) -> None:
    """A station whose effect is shared by several places has one record, lock and resources."""
    first, second = connect(A), connect(other)
    for ledger in (first, second):
        ledger.declare_places({KEY: scope, OTHER: "here"})
    first.begin(KEY, VISITING, ("first",))
    first.resources(KEY)["server"] = "i-1"
    with first.lock(KEY, 0), pytest.raises(LockBusy):
        second.lock(KEY, 0)

    first.finish(KEY, COMPLETE)
    second.resources(KEY)["server"] = "i-2"

    assert (second.record(KEY), second.records()) == (COMPLETE, {KEY: COMPLETE})
    assert _facts(second.attempts(KEY)) == [(1.0, "complete", "", ("first",))]
    assert dict(first.resources(KEY)) == {"server": "i-2"}
    assert first.elsewhere(KEY) is second.elsewhere(KEY) is None
    if stranger is not None:
        far = connect(stranger)
        far.declare_places({KEY: scope})
        assert (far.record(KEY), far.elsewhere(KEY)) == (None, Elsewhere("/srv/a", "kettle", 2.0))
    second.forget(KEY, "cleaned")
    assert not first.has_traces(KEY)


def test_directory_of_several_places(tmp_path: Path) -> None:
    """A station whose effect is shared by several places has one directory."""
    for connected in (_sqlite, _memory):
        with connected(tmp_path / connected.__name__) as connect:
            first, second = connect(A), connect(B)
            for ledger in (first, second):
                ledger.declare_places({KEY: "host"})
            (second.directory(KEY) / "note").touch()

            assert first.directory(KEY) == second.directory(KEY)
            assert first.directory(OTHER) != second.directory(OTHER)


def test_record_made_here_stays_when_its_place_changes(connect: Connect) -> None:
    """A record is of the checkout that made it, whatever the station says about its effect."""
    one = connect(A)
    one.finish(KEY, COMPLETE)
    connect(B).finish(KEY, FAILED)
    one.declare_places({KEY: "host"})

    assert one.record(KEY) == COMPLETE
    one.finish(KEY, COMPLETE.with_(since=5.0))
    assert connect(A).record(KEY) == COMPLETE.with_(since=5.0)
    assert connect(B).record(KEY) is None


@pytest.mark.parametrize(
    "here",
    [
        pytest.param(replace(A, path="/srv/moved"), id="moved"),
        pytest.param(replace(A, inode="9"), id="made again at the same path"),
        pytest.param(replace(A, host="teapot"), id="another name for people"),
    ],
)
def test_checkout_is_known_by_its_path_or_its_inode(connect: Connect, here: Place) -> None:
    """A checkout that was moved, or made again at the same path, keeps its records."""
    connect(A).finish(KEY, COMPLETE)

    assert connect(here).record(KEY) == COMPLETE
    both = replace(here, path=here.path, inode="10")
    assert connect(both).record(KEY) == COMPLETE


def test_checkout_moved_to_where_another_was_brings_its_records(connect: Connect) -> None:
    """The inode tells, as the path belonged to another checkout; later the path tells too."""
    connect(A).finish(KEY, FAILED)
    connect(B).finish(KEY, COMPLETE)

    assert connect(replace(B, path=A.path)).record(KEY) == COMPLETE
    assert connect(replace(B, path=A.path, inode="9")).record(KEY) == COMPLETE


# --- stations that were renamed

NEW = "stations.py::heat[süd-1]"


def _observed(ledger: Ledger, key: str) -> dict[str, object]:
    """Return all that *ledger* knows of *key*, the path of its directory included."""
    return {
        "record": ledger.record(key),
        "attempts": ledger.attempts(key),
        "resources": dict(ledger.resources(key)),
        "output": ledger.output(key),
        "directory": ledger.directory(key),
    }


def test_move_takes_everything_along(ledger: Ledger, other: Ledger) -> None:
    """The record, the attempts, what was printed, the resources and the directory are the new key's."""
    directory = _leave_all(ledger)
    ledger.begin(KEY, VISITING.with_(since=9.0), ("again",))
    ledger.keep_output(KEY, "boiling")
    before = _observed(ledger, KEY)

    assert ledger.move({NEW: KEY}, {}) == (NEW,)

    assert _observed(other, NEW) == before
    assert other.directory(NEW) == directory
    assert (other.record(KEY), other.attempts(KEY), dict(other.resources(KEY))) == (None, (), {})
    assert not other.has_traces(KEY)
    assert other.move({NEW: KEY}, {}) == ()
    assert _observed(ledger, NEW) == before


def test_nothing_moves_where_there_is_nothing(ledger: Ledger) -> None:
    """A former name without a record is of no account."""
    assert ledger.move({NEW: KEY}, {NEW: NewNames(upstream={"a": "b"})}) == ()
    assert ledger.records() == {}


def test_own_record_counts(ledger: Ledger) -> None:
    """A station that has a record or resources of its own takes nothing over."""
    ledger.finish(KEY, COMPLETE)
    ledger.finish(NEW, FAILED)
    ledger.finish("stations.py::a", COMPLETE)
    ledger.resources("stations.py::b")["id"] = 1

    assert ledger.move({NEW: KEY, "stations.py::b": "stations.py::a"}, {}) == ()
    assert (ledger.record(KEY), ledger.record(NEW)) == (COMPLETE, FAILED)


def test_station_that_was_cleaned_takes_over(ledger: Ledger) -> None:
    """That it was cleaned under its own name once says nothing about what was made since."""
    ledger.forget(NEW, "cleaned")
    ledger.finish(KEY, COMPLETE)

    assert ledger.move({NEW: KEY}, {}) == (NEW,)
    assert ledger.record(NEW) == COMPLETE


def test_forgotten_record_counts(ledger: Ledger) -> None:
    """A thing made under its own name, and forgotten, is still there to be cleaned."""
    ledger.finish(NEW, COMPLETE)
    ledger.forget(NEW, "forgotten")
    ledger.finish(KEY, FAILED)

    assert ledger.move({NEW: KEY}, {}) == ()
    assert ledger.record(KEY) == FAILED


@pytest.mark.parametrize("status", ["forgotten", "left in place"])
def test_what_was_forgotten_moves_for_cleans(ledger: Ledger, status: Any) -> None:
    """A record that only cleans use is taken over as well."""
    _leave_all(ledger)
    ledger.forget(KEY, status)
    before = _observed(ledger, KEY)

    assert ledger.move({NEW: KEY}, {}) == (NEW,)
    assert _observed(ledger, NEW) == before


def test_consumers_know_the_new_name(ledger: Ledger, other: Ledger) -> None:
    """The records of other stations get their new names in the same transaction."""
    consumed = Fingerprint(upstream={"boil": "d1", "shop": "d2"})
    ledger.finish(KEY, COMPLETE)
    ledger.finish(OTHER, COMPLETE.with_(fingerprint=consumed))

    ledger.move({NEW: KEY}, {OTHER: NewNames(upstream={"boil": "heat"}), "x": NewNames()})

    record = other.record(OTHER)
    assert record == COMPLETE.with_(
        fingerprint=replace(consumed, upstream={"heat": "d1", "shop": "d2"})
    )


def test_only_what_was_made_here_moves(connect: Connect) -> None:
    """The records of other places stay: other checkouts may not know the new name yet."""
    connect(A).finish(KEY, COMPLETE)
    connect(B).finish(KEY, FAILED)

    assert connect(A).move({NEW: KEY}, {}) == (NEW,)

    assert (connect(A).record(NEW), connect(A).record(KEY)) == (COMPLETE, None)
    assert (connect(B).record(NEW), connect(B).record(KEY)) == (None, FAILED)
    assert connect(B).move({NEW: KEY}, {}) == (NEW,)
    assert (connect(A).record(NEW), connect(B).record(NEW)) == (COMPLETE, FAILED)


def test_record_of_several_places_moves(connect: Connect) -> None:
    """A record that counts on the whole machine moves wherever on it the station was visited."""
    first, second = connect(A), connect(B)
    for ledger in (first, second):
        ledger.declare_places({KEY: "host", NEW: "host"})
    first.finish(KEY, COMPLETE)
    first.resources(KEY)["id"] = 1

    assert second.move({NEW: KEY}, {}) == (NEW,)
    assert (first.record(NEW), dict(first.resources(NEW))) == (COMPLETE, {"id": 1})


def test_move_for_one_session_writes_nothing(ledger: Ledger, other: Ledger) -> None:
    """A session that only reads sees what the next run will, and others see what there is."""
    _leave_all(ledger)
    before = _observed(other, KEY)

    assert ledger.move({NEW: KEY}, {}, False) == (NEW,)

    assert ledger.record(NEW) == before["record"]
    assert dict(ledger.resources(NEW)) == before["resources"]
    assert ledger.directory_key(NEW) == KEY


@pytest.mark.parametrize("cleans", [False, True])
def test_new_station_of_a_former_name_has_its_own_directory(ledger: Ledger, cleans: bool) -> None:
    """It never gets that of the station that was called so, and keeps the one that it got."""
    _leave_all(ledger)
    ledger.move({NEW: KEY}, {})

    own = ledger.directory(KEY)
    (own / "own").touch()

    assert own != ledger.directory(NEW)
    if cleans:
        ledger.forget(NEW, "cleaned")
    assert ledger.directory(KEY) == own
    assert (own / "own").exists()


def test_directory_stays_after_several_renames(ledger: Ledger) -> None:
    """A station that is renamed again, and back, has the same directory all the time."""
    directory = _leave_all(ledger)

    ledger.move({NEW: KEY}, {})
    ledger.move({"stations.py::warm": NEW}, {})
    assert ledger.directory("stations.py::warm") == directory
    ledger.move({KEY: "stations.py::warm"}, {})

    assert ledger.directory(KEY) == directory


OPERATIONS: dict[str, Callable[[Ledger], object]] = {
    "begin": lambda ledger: ledger.begin(KEY, VISITING, ("why",)),
    "complete": lambda ledger: ledger.finish(KEY, COMPLETE),
    "fail": lambda ledger: ledger.finish(KEY, FAILED),
    "resource": lambda ledger: ledger.resources(KEY).update(a=1, b=[2]),
    "directory": lambda ledger: (ledger.directory(KEY) / "file").touch(),
    "forget": lambda ledger: ledger.forget(KEY, "forgotten"),
    "clean": lambda ledger: ledger.forget(KEY, "cleaned"),
}


@given(operations=st.lists(st.sampled_from(list(OPERATIONS)), max_size=6))
@settings(max_examples=40)
@pytest.mark.parametrize("kind", [_sqlite, _memory, _remote], ids=["sqlite", "memory", "remote"])
def test_whatever_was_there_moves(kind: Any, operations: list[str]) -> None:
    """After any history, all of it is known under the new key, or it was cleaned."""
    with tempfile.TemporaryDirectory() as folder, kind(Path(folder)) as connect:
        ledger = connect()
        for each in operations:
            OPERATIONS[each](ledger)
        has_traces = ledger.has_traces(KEY)
        before = _observed(ledger, KEY) if has_traces else None

        moved = ledger.move({NEW: KEY}, {})

        assert moved == ((NEW,) if has_traces else ())
        assert not ledger.has_traces(KEY)
        assert before in (None, _observed(connect(), NEW))
