"""One station through a session, without pytest: judged, checked, locked, visited, recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_choochoo import station
from pytest_choochoo.engine.attempt import (
    Attempt,
    Begun,
    Ending,
    NotReached,
    Passed,
    RecheckFailed,
    Settled,
)
from pytest_choochoo.engine.code.reach import CodeReader
from pytest_choochoo.engine.digest import KeyedDigests
from pytest_choochoo.engine.errors import LockTimeout, MissingProduct, UnusableLedger
from pytest_choochoo.engine.journey import Journey, RunOptions
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.outcomes.codec import Codec
from pytest_choochoo.engine.outcomes.outcomes import Outcomes
from pytest_choochoo.engine.results import Results
from pytest_choochoo.engine.route import Route, StationInstance
from pytest_choochoo.engine.station import Check, Station
from unit.memory_ledger import MemoryLedger

BOIL, POUR = "stations.py::boil", "stations.py::pour"


def boiled() -> Station[int]:
    @station(version="1")
    def boil() -> int:
        return 100

    return boil


def poured(**declared: Any) -> Station[None]:
    @station(version="1", **declared)
    def pour(boil: int) -> None: ...

    return pour


class Line:
    """A route of two stations, `boil` and `pour`, and all parts of a journey."""

    def __init__(
        self,
        folder: Path,
        *,
        boil: Station[Any] | None = None,
        pour: Station[Any] | None = None,
        ledger: MemoryLedger | None = None,
        run: str | None = None,
        lock_timeout: float = -1,
        replayed: frozenset[str] = frozenset(),
    ) -> None:
        boil, pour = boil or boiled(), pour or poured()
        stops = {
            BOIL: StationInstance(key=BOIL, name="boil", station=boil),
            POUR: StationInstance(key=POUR, name="pour", station=pour),
        }
        route = Route(stops, {BOIL: (), POUR: (BOIL,)})
        self.ledger = ledger or MemoryLedger()
        codec = Codec(encode=lambda value: None, decode=lambda kind, plain: None)
        outcomes = Outcomes(route, self.ledger, codec)
        self.notices: list[str] = []
        self.verdicts: list[str] = []
        self.asked: list[str] = []
        self.failing: set[str] = set()
        self.journey = Journey(
            route=route,
            options=RunOptions(
                profile="default", selected=frozenset(stops), lock_timeout=lock_timeout
            ),
            ledger=self.ledger,
            outcomes=outcomes,
            judge=Judge(
                route=route,
                ledger=self.ledger,
                outcomes=outcomes,
                code=CodeReader(folder, {}),
                ordinary={},
                replayed=replayed,
                began=0.0,
                keyed=KeyedDigests(self.ledger.secret_key),
            ),
            results=Results(self.ledger, run),
            tell=lambda progressed: None,
            notify=self.notices.append,
            judged=lambda key, verdict: self.verdicts.append(type(verdict).__name__),
        )

    def ask(self, checks: Sequence[Check]) -> Mapping[str, BaseException]:
        """Ask *checks*; those whose name is in `failing` do not pass."""
        self.asked += [check.name for check in checks]
        failing = (check.name for check in checks if check.name in self.failing)
        return {name: AssertionError(f"{name} is not so") for name in failing}

    def begin(self, key: str) -> Attempt:
        attempt = Attempt(key)
        self.journey.begin(attempt, {}, self.ask)
        return attempt

    def visit(self, key: str, value: object = None, ending: Ending | None = None) -> Result:
        """Take *key* through the session with a visit that returns *value*."""
        attempt = self.begin(key)
        if attempt.has_begun:
            self.journey.complete(attempt, value, self.ask)
        return self.journey.finish(attempt, ending or Ending())


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


def checked(*names: str, within: float = 0, warn: bool = False, **declared: Any) -> Station[None]:
    """Return the station `pour`, with checks called *names*."""
    pour = poured(**declared)
    for name in names:

        def check() -> None: ...

        check.__name__ = name
        pour.check(within=within, warn=warn)(check)
    return pour


# --- found


def found() -> Station[int]:
    """Return the station `boil`, with a find and a check."""
    boil = boiled()

    @boil.find
    def find() -> int:
        raise AssertionError("the journey asks it through what it is given")

    @boil.check
    def hot() -> None: ...

    return boil


def test_found_outcome_is_recorded(tmp_path: Path) -> None:
    """The checks are asked with it; consumers receive it, and the next session knows it."""
    line = Line(tmp_path, boil=found())
    attempt = Attempt(BOIL)

    line.journey.begin(attempt, {}, line.ask, lambda: 90)
    asked_with = line.journey.outcomes.copy(BOIL)
    result = line.journey.finish(attempt, Ending())

    assert (result.word, result.reasons, asked_with) == ("adopted", ("first visit",), 90)
    record = line.ledger.record(BOIL)
    assert record is not None
    assert (record.status, record.outcome) == ("complete", "90")


def test_visit_has_what_was_found_but_does_not_stand(tmp_path: Path) -> None:
    """A check does not pass with it: it is no outcome, and forgotten with the attempt."""
    line = Line(tmp_path, boil=found())
    line.failing.add("hot")
    attempt = Attempt(BOIL)

    line.journey.begin(attempt, {}, line.ask, lambda: 90)

    assert attempt.has_begun
    assert line.journey.visit(BOIL).found == 90
    assert line.journey.outcomes.find(BOIL) is None
    line.failing.clear()
    line.journey.complete(attempt, 100, line.ask)
    line.journey.finish(attempt, Ending())
    assert line.journey.visit(BOIL).found is None
    assert line.journey.outcomes.copy(BOIL) == 100


def test_nothing_found_is_visited_without_asking_checks(tmp_path: Path) -> None:
    """They could not be asked with an outcome."""
    line = Line(tmp_path, boil=found())

    attempt = line.begin(BOIL)

    assert (attempt.has_begun, line.asked, line.journey.visit(BOIL).found) == (True, [], None)


# --- settled by the record alone


def test_fresh_station_is_settled(line: Line) -> None:
    """A station without a check whose inputs are as recorded is unchanged, without an attempt."""
    line.visit(BOIL, 100)

    result = line.journey.settle(BOIL)

    assert result is not None
    assert (result.word, result.name, result.title) == ("unchanged", "boil", "boil")


def test_station_without_a_record_is_not_settled(line: Line) -> None:
    """A station that was never visited needs an attempt."""
    assert line.journey.settle(BOIL) is None


def test_station_with_a_check_is_not_settled_by_its_record(tmp_path: Path) -> None:
    """The record alone does not settle a station that has a check."""
    line = Line(tmp_path, pour=checked("hot"))
    line.visit(BOIL, 100)
    line.visit(POUR)

    assert line.journey.settle(POUR) is None


def test_failure_upstream_blocks(line: Line) -> None:
    """A station whose upstream failed is blocked, and the failure is named."""
    line.visit(BOIL, 100, Ending(error="cold"))

    result = line.journey.settle(POUR)

    assert result is not None
    assert (result.word, result.by) == ("blocked", ("boil",))


def test_stopped_run_reaches_nothing_more(tmp_path: Path) -> None:
    """A station that waits for a process that stopped is not reached."""
    line = Line(tmp_path, run="run")
    line.journey.results.stop()

    result = line.journey.settle(POUR)

    assert result is not None
    assert result.word == "not reached"


# --- begin


def test_visit_begins_under_its_lock(line: Line) -> None:
    """A station that is due is locked, and its record says `visiting`, before it is visited."""
    attempt = line.begin(BOIL)

    record = line.ledger.record(BOIL)
    assert record is not None
    assert (record.status, attempt.stage.reasons) == ("visiting", ("first visit",))
    assert line.ledger.is_locked(BOIL)
    assert [each.status for each in line.ledger.attempts(BOIL)] == ["visiting"]


def test_fresh_station_takes_no_lock(tmp_path: Path) -> None:
    """A station whose record is fresh and whose checks pass is settled without a lock."""
    line = Line(tmp_path, pour=checked("hot"))
    line.visit(BOIL, 100)
    line.visit(POUR)

    attempt = line.begin(POUR)

    assert isinstance(attempt.stage, Settled)
    assert (attempt.stage.result.word, attempt.lock) == ("unchanged", None)


def test_drift_is_a_reason(tmp_path: Path) -> None:
    """A fresh station whose check does not pass is visited, and the reason is drift."""
    line = Line(tmp_path, pour=checked("hot", "full"))
    line.visit(BOIL, 100)
    line.visit(POUR)
    line.failing = {"full"}

    attempt = line.begin(POUR)

    [reason] = attempt.stage.reasons
    assert reason == "drift: check full does not pass: AssertionError: full is not so"


def test_check_adopts_a_station_without_a_record(tmp_path: Path) -> None:
    """A station that returns nothing, and whose check passes, is adopted and recorded."""
    line = Line(tmp_path, pour=checked("hot"))
    line.visit(BOIL, 100)

    result = line.visit(POUR)

    record = line.ledger.record(POUR)
    assert record is not None
    assert (result.word, record.status, record.outcome) == ("adopted", "complete", "null")
    assert not line.ledger.is_locked(POUR)


def test_changed_input_is_not_left_to_the_check(tmp_path: Path) -> None:
    """If an input changed, the station is visited, and its check runs only afterwards."""
    line = Line(tmp_path, pour=checked("hot"))
    line.visit(BOIL, 100)
    line.visit(POUR)
    line.ledger.forget(BOIL, "forgotten")
    line.visit(BOIL, 90)
    line.asked.clear()

    attempt = line.begin(POUR)

    assert (attempt.stage.reasons, line.asked) == (("outcome of boil changed",), [])


def test_forgotten_outcome_is_not_adopted(tmp_path: Path) -> None:
    """Checks cannot restore the outcome of a forgotten station, and its visit has no previous one."""
    boil = boiled()

    @boil.check
    def hot() -> None: ...

    line = Line(tmp_path, boil=boil)
    line.visit(BOIL, 100)
    line.ledger.forget(BOIL, "forgotten")
    line.asked.clear()

    attempt = line.begin(BOIL)

    assert attempt.stage.reasons == (
        "forgotten 0.0 s ago",
        "its outcome is unknown: checks cannot restore it",
    )
    assert (line.asked, line.journey.visit(BOIL).previous) == ([], None)


def test_forgotten_outcome_is_kept_for_cleans_until_a_visit_returns(tmp_path: Path) -> None:
    """A visit that fails leaves what was made before; one that returns makes something new."""
    line = Line(tmp_path)
    line.visit(BOIL, 100)
    line.ledger.forget(BOIL, "forgotten")

    line.journey.finish(line.begin(BOIL), Ending(error="cold"))
    failed = line.ledger.record(BOIL)
    line.visit(BOIL, 90)
    complete = line.ledger.record(BOIL)

    assert failed is not None and complete is not None
    assert (failed.status, failed.outcome, failed.for_cleans) == ("failed", None, "100")
    assert (complete.outcome, complete.for_cleans) == ("90", None)


def test_visit_of_another_process_is_not_repeated(tmp_path: Path) -> None:
    """A process that waited for the lock judges again, and finds the work done."""
    other = Line(tmp_path)

    class Slow(MemoryLedger):
        """A journey that waits for a lock while another process visits the station."""

        def lock(self, key: str, timeout: float) -> Any:
            held = super().lock(key, timeout)
            if other.ledger.record(key) is None:
                other.visit(key, 100)
                record = other.ledger.record(key)
                assert record is not None
                self.finish(key, record)
            return held

    line = Line(tmp_path, ledger=Slow())

    attempt = line.begin(BOIL)

    assert isinstance(attempt.stage, Settled)
    assert attempt.stage.result.word == "unchanged"


def test_time_out_of_a_lock_names_its_holder(tmp_path: Path) -> None:
    """A lock that stays held causes an error that names the visiting process."""
    line = Line(tmp_path, lock_timeout=0)
    Line(tmp_path, ledger=line.ledger).begin(BOIL)
    record = line.ledger.record(BOIL)
    assert record is not None

    with pytest.raises(LockTimeout, match="station 'boil' is still being visited by process"):
        line.begin(BOIL)

    assert line.notices == [f"boil: waiting for {record.visitor}, which is visiting it"]


def test_lock_is_not_awaited_in_a_run_that_stops(tmp_path: Path) -> None:
    """A station whose lock another run holds is not reached once this run stops."""
    line = Line(tmp_path, run="run")
    Line(tmp_path, ledger=line.ledger).begin(BOIL)
    line.journey.results.stop()

    attempt = line.begin(BOIL)

    assert isinstance(attempt.stage, NotReached)
    assert line.journey.finish(attempt, Ending()).word == "not reached"


def test_rerun_keeps_its_lock_and_begins_again(line: Line) -> None:
    """A visit that a plugin reruns stays the same attempt, without the first outcome."""
    attempt = line.begin(BOIL)
    lock = attempt.lock
    line.journey.complete(attempt, 100, line.ask)

    line.journey.begin(attempt, {}, line.ask)

    assert (type(attempt.stage), attempt.lock is lock) == (Begun, True)
    assert len(line.ledger.attempts(BOIL)) == 1


# --- complete


def test_checks_are_asked_after_the_visit(tmp_path: Path) -> None:
    """After a visit all checks are asked; they pass, and the station is complete."""
    line = Line(tmp_path, pour=checked("hot", "full"), replayed=frozenset({POUR}))
    line.visit(BOIL, 100)
    attempt = line.begin(POUR)

    line.journey.complete(attempt, None, line.ask)

    assert (line.asked, type(attempt.stage)) == (["hot", "full"], Passed)


def test_check_that_refuses_the_visit_is_explained(tmp_path: Path) -> None:
    """A check that does not pass after the visit raises, with an explanation as a note."""
    line = Line(tmp_path, pour=checked("hot"), replayed=frozenset({POUR}))
    line.visit(BOIL, 100)
    attempt = line.begin(POUR)
    line.failing = {"hot"}

    with pytest.raises(AssertionError) as raised:
        line.journey.complete(attempt, None, line.ask)

    assert isinstance(attempt.stage, RecheckFailed)
    [note] = raised.value.__notes__
    assert note == (
        "check 'hot' of station 'pour' does not pass after the visit: "
        "either the visit or the check is wrong"
    )


def test_check_is_asked_again_within_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `within`, a check that does not pass yet is asked again, and only that one."""
    line = Line(tmp_path, pour=checked("hot", "full", within=9), replayed=frozenset({POUR}))
    line.visit(BOIL, 100)
    attempt = line.begin(POUR)
    line.failing = {"hot"}
    monkeypatch.setattr("time.sleep", lambda seconds: line.failing.clear())

    line.journey.complete(attempt, None, line.ask)

    assert line.asked == ["hot", "full", "hot"]


def with_a_warning(within: float = 0) -> Station[None]:
    """Return the station `pour` with the check `hot`, and `cheap`, which only warns."""
    pour = checked("hot", within=within)

    @pour.check(warn=True)
    def cheap() -> None: ...

    return pour


def test_check_that_only_warns_is_asked_after_the_visit(tmp_path: Path) -> None:
    """Where it does not pass, its error is returned, and the station is complete."""
    line = Line(tmp_path, pour=with_a_warning(), replayed=frozenset({POUR}))
    line.visit(BOIL, 100)
    attempt = line.begin(POUR)
    line.failing = {"cheap"}

    failures = line.journey.complete(attempt, None, line.ask)
    result = line.journey.finish(attempt, Ending())

    assert (line.asked, type(attempt.stage)) == (["hot", "cheap"], Passed)
    assert {name: str(error) for name, error in failures.items()} == {"cheap": "cheap is not so"}
    assert result.word == "visited"
    assert result.checks == {"hot": "passed", "cheap": "AssertionError: cheap is not so"}


def test_check_that_only_warns_settles_nothing(tmp_path: Path) -> None:
    """Before a visit it is not asked, so that it neither adopts a station nor makes it due."""
    line = Line(tmp_path, pour=checked("cheap", warn=True))
    line.visit(BOIL, 100)
    line.failing = {"cheap"}

    words = [line.visit(POUR).word]
    settled = line.journey.settle(POUR)

    assert (words, line.asked) == (["visited"], ["cheap"])
    assert settled is not None and settled.word == "unchanged"


def test_check_that_only_warns_is_no_cause(tmp_path: Path) -> None:
    """Where another check refuses the visit, the record says nothing of one that only warns."""
    line = Line(tmp_path, pour=with_a_warning(), replayed=frozenset({POUR}))
    line.visit(BOIL, 100)
    attempt = line.begin(POUR)
    line.failing = {"hot", "cheap"}

    with pytest.raises(AssertionError, match="hot is not so"):
        line.journey.complete(attempt, None, line.ask)

    assert isinstance(attempt.stage, RecheckFailed)
    assert attempt.stage.refusal == "check hot does not pass: AssertionError: hot is not so"


def test_warning_waits_for_nothing_but_its_own_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another check has time left, one that only warns is not asked again after its own."""
    line = Line(tmp_path, pour=with_a_warning(within=9), replayed=frozenset({POUR}))
    line.visit(BOIL, 100)
    attempt = line.begin(POUR)
    line.failing = {"hot", "cheap"}
    monkeypatch.setattr("time.sleep", lambda seconds: line.failing.clear())

    failures = line.journey.complete(attempt, None, line.ask)

    assert (line.asked, list(failures)) == (["hot", "cheap", "hot"], ["cheap"])


def test_station_is_settled_by_what_upstream_is_now(line: Line) -> None:
    """A record upstream that was read before another process visited it does not count."""
    line.visit(BOIL, 100)
    line.visit(POUR)
    assert line.journey.settle(POUR) is not None
    before = line.ledger.record(BOIL)
    assert before is not None

    line.ledger.finish(BOIL, before.with_(outcome="90", outcome_digest="other"))

    assert line.journey.settle(POUR) is None


def test_renewal_outlives_a_visit_that_was_cut_off(tmp_path: Path) -> None:
    """After an interrupted visit that renews, downstream is visited, though the check passes now."""
    boil = boiled()
    boil.declaration = replace(boil.declaration, renews=True)
    boil.check(lambda: None)
    line = Line(tmp_path, boil=boil)
    line.visit(BOIL, 100)
    line.visit(POUR)
    line.failing = {"<lambda>"}
    line.begin(BOIL)  # and the process dies
    line.ledger.locks.clear()

    later = Line(tmp_path, boil=boil, ledger=line.ledger)

    assert later.visit(BOIL).word == "adopted"
    result = later.visit(POUR)
    assert (result.word, result.reasons) == ("visited", ("boil was made again from nothing",))
    assert later.visit(POUR).word == "unchanged"


def test_clock_that_stands_still_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a library stops the clock, `within` and the duration of a visit go by the real one."""
    line = Line(tmp_path, boil=boiled(), pour=checked("hot", within=0.1))
    line.visit(BOIL, 100)
    line.failing = {"hot"}
    for name in ("time", "monotonic", "perf_counter"):
        monkeypatch.setattr(f"time.{name}", lambda: 1e9)
    attempt = line.begin(POUR)

    with pytest.raises(AssertionError, match="hot is not so"):
        line.journey.complete(attempt, None, line.ask)

    assert attempt.stage.seconds >= 0.1


def test_missing_product_fails_and_the_rest_stays_known(tmp_path: Path) -> None:
    """A missing product after the visit is an error; the outcome and other products are kept."""
    here = Path(__file__).name
    line = Line(tmp_path, pour=poured(products=[here, "no-such-tea"]))
    line.visit(BOIL, 100)
    attempt = line.begin(POUR)

    with pytest.raises(MissingProduct, match="its product no-such-tea"):
        line.journey.complete(attempt, None, line.ask)
    line.journey.finish(attempt, Ending(error="MissingProduct"))

    record = line.ledger.record(POUR)
    assert record is not None
    assert (record.status, record.outcome, record.is_sound) == ("failed", "null", False)
    assert (bool(record.products[here]), record.products["no-such-tea"]) == (True, "")


# --- finish


@pytest.mark.parametrize(
    ("ending", "word", "status"),
    [
        pytest.param(Ending(), "visited", "complete", id="passed"),
        pytest.param(Ending(error="cold"), "failed", "failed", id="failed"),
        pytest.param(
            Ending(error="interrupted", is_interrupted=True), "failed", "interrupted", id="stopped"
        ),
        pytest.param(Ending(skipped="no tea"), "skipped", "failed", id="skipped-after-the-visit"),
    ],
)
def test_ending_of_a_visit_is_recorded(line: Line, ending: Ending, word: str, status: str) -> None:
    """The record shows how pytest's protocol ended, and the lock is free again."""
    result = line.visit(BOIL, 100, ending)

    record = line.ledger.record(BOIL)
    assert record is not None
    assert (result.word, record.status) == (word, status)
    assert not line.ledger.is_locked(BOIL)


def test_visit_that_skips_itself_was_never_begun(line: Line) -> None:
    """A visit that skips leaves neither a record nor an attempt."""
    attempt = line.begin(BOIL)

    result = line.journey.finish(attempt, Ending(skipped="no water"))

    assert (result.word, result.cause) == ("skipped", "no water")
    assert (line.ledger.record(BOIL), line.ledger.attempts(BOIL)) == (None, ())


def test_interrupt_before_the_visit_reaches_nothing(line: Line) -> None:
    """A station that is interrupted while it is judged is not reached."""
    attempt = Attempt(BOIL)

    result = line.journey.finish(attempt, Ending(error="interrupted", is_interrupted=True))

    assert (result.word, line.ledger.record(BOIL)) == ("not reached", None)


def test_noted_failure_is_not_final(line: Line) -> None:
    """A failure that was noted before a time-out is replaced if the visit still completes."""
    attempt = line.begin(BOIL)
    line.journey.note_failure(attempt, "Timeout")
    noted = line.ledger.record(BOIL)
    line.journey.complete(attempt, 100, line.ask)

    result = line.journey.finish(attempt, Ending())

    record = line.ledger.record(BOIL)
    assert noted is not None
    assert record is not None
    assert (noted.status, noted.error) == ("failed", "Timeout")
    assert (result.word, record.status) == ("visited", "complete")


def test_lost_ledger_fails_the_station(tmp_path: Path) -> None:
    """A station that cannot be recorded has failed, and its lock is released."""

    class Lost(MemoryLedger):
        def finish(self, *facts: Any, **more: Any) -> None:
            raise UnusableLedger("ledger", "the disk is full")

    line = Line(tmp_path, ledger=Lost())
    attempt = line.begin(BOIL)
    line.journey.complete(attempt, 100, line.ask)

    with pytest.raises(UnusableLedger, match="the disk is full"):
        line.journey.finish(attempt, Ending())

    assert line.journey.results[BOIL].word == "failed"
    assert not line.ledger.is_locked(BOIL)


def test_consumer_receives_what_was_recorded(line: Line) -> None:
    """After its visit, a station's outcome is the one in the ledger."""
    line.visit(BOIL, 100)

    visit = line.journey.visit(BOIL, ("because",))

    assert (visit.station, visit.previous, visit.reasons) == ("boil", 100, ("because",))


def test_result_of_every_ending_is_one_of_the_words(line: Line) -> None:
    """`so_far` and `finish` agree: the reports before the end show the recorded result."""
    endings: dict[str, Callable[[], Ending]] = {
        "visited": Ending,
        "failed": lambda: Ending(error="cold"),
        "skipped": lambda: Ending(skipped="no tea"),
    }
    for word, ending in endings.items():
        attempt = line.begin(BOIL)
        line.journey.complete(attempt, 100, line.ask)
        expected = line.journey.so_far(attempt, ending())

        assert (expected.word, line.journey.finish(attempt, ending())) == (word, expected)
        line.ledger.forget(BOIL, "cleaned")
