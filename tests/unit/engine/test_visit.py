"""The visit as the station sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pytest_choochoo import Visit
from pytest_choochoo.engine.visit import Progressed, ProgressReport


def _visit(
    *, reports: list[ProgressReport] | None = None, directory: Callable[[], Path] = Path
) -> Visit:
    reports = [] if reports is None else reports
    return Visit(
        station="boil",
        profile="default",
        reasons=("never visited",),
        previous=None,
        found=None,
        resources={},
        _directory=directory,
        _tell=reports.append,
        _report=ProgressReport("stations.py::boil"),
    )


def _progressed(done: float, total: float | None = None, unit: str = "") -> Progressed:
    return Progressed(key="stations.py::boil", done=done, total=total, unit=unit, description="")


def test_progress_is_reported_from_its_start() -> None:
    """The place where a visit leaves its progress is known from the start, and kept up to date."""
    reports: list[ProgressReport] = []

    with _visit(reports=reports).progress(total=3, unit="B") as progress:
        [report] = reports
        states = [report.state]
        for n in (1, 1.5):
            progress.update(n)
            states.append(report.state)

    assert states == [_progressed(0, 3, "B"), _progressed(1, 3, "B"), _progressed(2.5, 3, "B")]
    assert (progress.done, progress.total) == (2.5, 3)
    assert reports == [report]


def test_progress_updated_last_is_reported() -> None:
    """Of two that go on at once, each is seen when it has gone on."""
    reports: list[ProgressReport] = []
    visit = _visit(reports=reports)
    files, bytes_ = visit.progress(total=2), visit.progress(total=100, unit="B")

    bytes_.update(10)
    assert reports[-1].state == _progressed(10, 100, "B")
    files.update()
    assert reports[-1].state == _progressed(1, 2)
    assert reports[0] is reports[1]


def test_report_says_nothing_before_any_progress() -> None:
    """A visit may have none."""
    assert ProgressReport("stations.py::boil").state is None


def test_progress_works_without_with() -> None:
    """A progress of unknown length may be used without a `with` statement."""
    reports: list[ProgressReport] = []

    _visit(reports=reports).progress().update(2)

    assert [report.state for report in reports] == [_progressed(2)]


def test_progress_swallows_no_error() -> None:
    """An error inside a progress reaches the visit."""
    with pytest.raises(ZeroDivisionError), _visit().progress():
        1 / 0  # noqa: B018


@pytest.mark.parametrize(
    ("iterable", "total", "shown"),
    [
        pytest.param("ab", None, 2, id="its length"),
        pytest.param(iter("ab"), None, None, id="unknown"),
        pytest.param("ab", 5, 5, id="as given"),
    ],
)
def test_tracking_counts_finished_items(
    iterable: Iterable[str], total: float | None, shown: float | None
) -> None:
    """Tracking yields each item, and counts it once the work on it is over."""
    reports: list[ProgressReport] = []

    tracked = [(each, reports[-1].state) for each in _visit(reports=reports).track(iterable, total)]

    assert tracked == [("a", _progressed(0, shown)), ("b", _progressed(1, shown))]
    assert reports[-1].state == _progressed(2, shown)


def test_directory_is_made_when_asked_for() -> None:
    """A visit that does not ask for its directory makes none."""
    made: list[Path] = []

    def directory() -> Path:
        made.append(Path("boil"))
        return made[-1]

    visit = _visit(directory=directory)

    assert made == []
    assert visit.dir == Path("boil")


def test_visit_shows_no_inner_parts() -> None:
    """A failing assertion shows only the public parts of a visit."""
    assert repr(_visit()) == (
        "Visit(station='boil', profile='default', reasons=('never visited',), "
        "previous=None, found=None, resources={})"
    )
