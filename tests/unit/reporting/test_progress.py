"""The progress of a run, with a clock of the tests' own."""

from __future__ import annotations

from pytest_choochoo.engine.events import VisitEnded, VisitStarted
from pytest_choochoo.engine.ledger.record import Result, Word
from pytest_choochoo.engine.route import StationInfo
from pytest_choochoo.engine.visit import AwaitsCheck, Progress, Progressed, ProgressReport
from pytest_choochoo.reporting.progress import RunProgress


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def info(name: str, *upstream: str) -> StationInfo:
    return StationInfo(
        key=name, name=name, title=f"The {name}", upstream=upstream, needs=upstream, line=0
    )


def progress(clock: Clock, **seconds: float) -> RunProgress:
    """Return the progress of a run: boil and grind, brew after both, serve after brew."""
    made = RunProgress(clock)
    stations = [info("boil"), info("grind"), info("brew", "boil", "grind"), info("serve", "brew")]
    made.plan(stations, seconds, workers=2)
    return made


def started(key: str, *reasons: str) -> VisitStarted:
    return VisitStarted(key=key, reasons=reasons)


def ended(name: str, word: Word = "visited") -> Result:
    return Result(key=name, name=name, title=name, word=word)


def told(key: str, done: float, total: float | None = None) -> Progressed:
    return Progressed(key=key, done=done, total=total, unit="", description="")


def test_visit_is_under_way_until_it_ends() -> None:
    """It is known since when, in which worker and why; afterwards its result is counted."""
    clock = Clock()
    run = progress(clock, boil=4.0)

    visit = run.take(started("boil", "first visit"), "gw1")
    clock.time += 3

    assert visit is not None
    assert [*run.under_way] == [visit]
    assert (visit.title, visit.worker, visit.reasons) == ("The boil", "gw1", ("first visit",))
    assert (visit.elapsed(clock.time), visit.expected) == (3.0, 4.0)
    run.take(VisitEnded(result=ended("boil")))
    assert [*run.under_way] == []
    assert run.counts == {"visited": 1}


def test_result_is_news_once() -> None:
    """A report and an event may both bring it, in any order; another result is news again."""
    run = progress(Clock())

    assert [run.end(ended("boil")), run.end(ended("boil"))] == [True, False]
    assert run.end(ended("boil", "unchanged")) is False
    assert run.end(ended("boil", "failed")) is True
    assert run.counts == {"failed": 1}


def test_progress_of_a_visit_that_is_not_under_way_counts_for_nothing() -> None:
    """It came too late, or its station is unknown."""
    run = progress(Clock())
    version = run.version

    assert run.take(told("boil", 1)) is None
    assert run.take(started("unknown")) is None
    assert (run.under_way, run.version) == ((), version)


def test_each_change_makes_another_version_and_time_does_not() -> None:
    """So nothing is drawn but the clock where nothing has changed."""
    clock = Clock()
    run = progress(clock)
    versions = [run.version]

    for event in (
        started("boil"),
        told("boil", 1, 10),
        AwaitsCheck(key="boil", check="is_hot", waited=1, within=30),
        VisitEnded(result=ended("boil")),
    ):
        run.take(event)
        versions.append(run.version)
    clock.time += 60

    assert len(set(versions)) == len(versions)
    assert run.version == versions[-1]


def test_report_of_progress_is_looked_at_when_it_is_shown() -> None:
    """A visit in this process leaves its progress in one place, and causes no event after that."""
    run = progress(Clock())
    run.take(started("boil"))
    report = ProgressReport("boil")
    shown = Progress(report, total=10, unit="", description="")
    run.take(report)
    version = run.version

    shown.update(2)

    assert run.under_way[0].progressed == told("boil", 2, 10)
    assert run.version != version


def test_visit_tells_its_last_progress_and_what_it_waits_for() -> None:
    """Both belong to the visit under way, and a visit that starts again has neither."""
    run = progress(Clock())
    run.take(started("boil"))
    run.take(told("boil", 1, 10))
    run.take(told("boil", 2, 10))
    run.take(AwaitsCheck(key="boil", check="is_hot", waited=3, within=30))

    [visit] = run.under_way
    assert visit.progressed == told("boil", 2, 10)
    assert visit.awaits is not None
    assert visit.awaits.check == "is_hot"
    run.take(started("boil"))
    assert run.under_way[0].progressed is None


def test_stations_wait_for_visits_under_way() -> None:
    """Those that need one directly wait for it; what waits for nothing under way is left out."""
    run = progress(Clock())
    run.take(started("boil"))
    assert [*run.waiting()] == [("brew", ("boil",))]

    run.take(started("grind"))
    assert [*run.waiting()] == [("brew", ("boil", "grind"))]

    run.end(ended("boil"))
    run.end(ended("grind"))
    run.take(started("brew"))
    assert [*run.waiting()] == [("serve", ("brew",))]


def test_visit_is_late_when_it_takes_more_than_twice_as_long_as_the_last_one() -> None:
    """Where the last one is unknown, or all is over in a second, it is never late."""
    clock = Clock()
    run = progress(clock, boil=2.0, brew=0.1)
    boil, grind, brew = (run.take(started(key)) for key in ("boil", "grind", "brew"))
    assert boil is not None
    assert grind is not None
    assert brew is not None

    late = {
        seconds: [visit.is_late(clock.time + seconds) for visit in (boil, grind, brew)]
        for seconds in (0.9, 4.0, 4.1)
    }

    assert late == {
        0.9: [False, False, False],
        4.0: [False, False, True],
        4.1: [True, False, True],
    }


def test_time_left_is_that_of_the_longest_path_or_of_all_the_work() -> None:
    """Visits under way count with the rest of their last time, and then all that comes after."""
    clock = Clock()
    run = progress(clock, boil=10.0, grind=4.0, brew=5.0, serve=1.0)
    assert run.left() is None

    run.take(started("boil"))
    assert run.left() == (16.0, True)
    run.take(started("grind"))
    clock.time += 4
    assert run.left() == (12.0, True)
    clock.time += 100
    assert run.left() == (6.0, True)


def test_time_left_is_a_lower_bound_beside_a_visit_of_unknown_length() -> None:
    """It then says so, and is unknown where all of them are."""
    run = progress(Clock(), boil=10.0)
    run.take(started("grind"))
    assert run.left() is None

    run.take(started("boil"))
    assert run.left() == (10.0, False)
