"""The stages of one station in one session, and the records made of them."""

from __future__ import annotations

import os

import pytest

from pytest_choochoo.engine.attempt import (
    Attempt,
    Begun,
    Ending,
    Passed,
    RecheckFailed,
    Rechecking,
    Returned,
    Settled,
    Stage,
    ToVisit,
    advance,
    record_of_check,
    record_of_start,
    record_of_visit,
)
from pytest_choochoo.engine.ledger.record import Fingerprint, Record, Result
from pytest_choochoo.engine.outcomes.codec import Outcome

OUTCOME = Outcome(text="100", digest="d100", secrets=(("a",),))
TAKEN = Fingerprint(env={"HEAT": "hot"})
BEFORE = Record(
    status="failed",
    since=1.0,
    error="cold",
    fingerprint=Fingerprint(),
    outcome="90",
    outcome_digest="d90",
    visited=0.5,
    seconds=7.0,
)

DUE = ToVisit(before=BEFORE, fingerprint=TAKEN, reasons=("env HEAT changed",))
VISITING: Begun = advance(Begun, DUE, began=10.0, started=10.0)
RETURNED: Returned = advance(Returned, VISITING, outcome=OUTCOME)
ASKED: Rechecking = advance(Rechecking, RETURNED, products={"tea": "t"})
REFUSED: RecheckFailed = advance(
    RecheckFailed, ASKED, refusal="check hot does not pass: RuntimeError: boom"
)
PASSED: Passed = advance(Passed, ASKED, ended=12.5)

FAILURE = Ending(error="RuntimeError: boom")
SKIP = Ending(skipped="no water", error="no water")
INTERRUPT = Ending(error="interrupted", is_interrupted=True)


def test_stage_has_the_facts_of_the_stage_before() -> None:
    """Each stage adds its facts to those of the stage before."""
    assert (PASSED.before, PASSED.reasons, PASSED.began) == (BEFORE, ("env HEAT changed",), 10.0)
    assert (PASSED.outcome, PASSED.products, PASSED.ended) == (OUTCOME, {"tea": "t"}, 12.5)


def test_stage_can_go_back() -> None:
    """A visit that is made again knows nothing of what the one before returned."""
    again = advance(Begun, REFUSED)

    assert again == VISITING
    assert type(again) is Begun


def test_attempt_begins_with_nothing() -> None:
    """A new attempt knows nothing, and holds no lock."""
    attempt = Attempt("stations.py::boil")

    assert (attempt.stage, attempt.lock, attempt.has_begun) == (Stage(), None, False)
    assert (attempt.stage.reasons, attempt.stage.seconds) == ((), 0.0)


def test_seconds_end_with_the_checks() -> None:
    """The seconds of a visit include those of its checks, and nothing more."""
    assert PASSED.seconds == 2.5


def test_record_of_start_says_who_has_begun() -> None:
    """The record of a visit that has begun names the process, and keeps the last outcome."""
    record = record_of_start(VISITING)

    assert (record.status, record.since, record.pid) == ("visiting", 10.0, os.getpid())
    assert (record.outcome, record.fingerprint, record.error) == ("90", Fingerprint(), "")


@pytest.mark.parametrize("ending", [Ending(), FAILURE, INTERRUPT], ids=["", "failed", "stopped"])
def test_renewal_is_recorded_however_far_the_visit_came(ending: Ending) -> None:
    """A visit that renews is known by its name from its start on; another keeps the name before."""
    before = BEFORE.with_(renewal="first")
    visiting = advance(Begun, DUE, before=before, began=1.0, started=1.0)
    renewing = advance(Begun, visiting, renewal="second")

    for stage, name in ((visiting, "first"), (renewing, "second")):
        records = record_of_start(stage), record_of_visit(stage, ending)
        assert [record.renewal for record in records] == [name, name]


@pytest.mark.parametrize(
    ("stage", "ending", "status", "is_sound"),
    [
        pytest.param(PASSED, Ending(), "complete", True, id="passed"),
        pytest.param(PASSED, FAILURE, "failed", False, id="soft-assertion-after-checks"),
        pytest.param(REFUSED, FAILURE, "failed", True, id="only-a-check-failed"),
        pytest.param(
            REFUSED, Ending(error="x", and_more=True), "failed", False, id="a-check-and-more-failed"
        ),
        pytest.param(ASKED, SKIP, "failed", True, id="check-skipped"),
        pytest.param(PASSED, SKIP, "failed", False, id="skipped-after-checks"),
        pytest.param(RETURNED, FAILURE, "failed", False, id="product-missing"),
        pytest.param(RETURNED, INTERRUPT, "interrupted", False, id="interrupted"),
        pytest.param(ASKED, INTERRUPT, "interrupted", True, id="check-interrupted"),
    ],
)
def test_record_of_a_visit_that_returned(
    stage: Returned, ending: Ending, status: str, is_sound: bool
) -> None:
    """A visit that returned is recorded with its outcome, however it ended."""
    record = record_of_visit(stage, ending)

    assert (record.status, record.is_sound) == (status, is_sound)
    assert (record.outcome, record.outcome_digest) == ("100", "d100")
    assert record.secrets == OUTCOME.secrets
    products = stage.products if isinstance(stage, Rechecking) else {}
    assert (record.fingerprint, record.products, record.began) == (TAKEN, products, 10.0)


def test_record_of_a_visit_that_raised() -> None:
    """The record of a visit that raised keeps the last outcome."""
    record = record_of_visit(VISITING, FAILURE)

    assert (record.status, record.error) == ("failed", "RuntimeError: boom")
    assert (record.outcome, record.fingerprint, record.seconds) == ("90", Fingerprint(), 7.0)


def test_cause_names_the_check() -> None:
    """If a check refused, the cause names it."""
    assert REFUSED.cause(FAILURE) == "check hot does not pass: RuntimeError: boom"
    assert REFUSED.cause(Ending()) == PASSED.cause(Ending()) == ""


@pytest.mark.parametrize(
    ("before", "visited"),
    [
        pytest.param(BEFORE, 0.5, id="visited-before"),
        pytest.param(None, None, id="never-visited"),
    ],
)
def test_record_of_check_keeps_the_time_of_the_visit(
    before: Record | None, visited: float | None
) -> None:
    """A station that its check confirms keeps the time of its visit; without one it is now."""
    result = Result(key="k", name="boil", title="boil", word="adopted")
    stage = Settled(before=before, fingerprint=TAKEN, result=result, is_news=True)

    record = record_of_check(stage, {"tea": "t"}, OUTCOME)

    assert (record.status, record.error, record.is_sound) == ("complete", "", True)
    assert (record.fingerprint, record.outcome) == (TAKEN, "100")
    assert record.secrets == OUTCOME.secrets
    assert record.visited == (record.since if visited is None else visited)
