"""The visit as the station sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pytest_choochoo import Visit
from pytest_choochoo.engine.visit import Progressed


def _visit(
    *, reported: list[Progressed] | None = None, directory: Callable[[], Path] = Path
) -> Visit:
    reported = [] if reported is None else reported
    return Visit(
        station="boil",
        profile="default",
        reasons=("never visited",),
        previous=None,
        resources={},
        _directory=directory,
        _tell=reported.append,
        _key="stations.py::boil",
    )


def _progressed(done: float, total: float | None = None, unit: str = "") -> Progressed:
    return Progressed(key="stations.py::boil", done=done, total=total, unit=unit, description="")


def test_progress_is_reported_from_its_start() -> None:
    """A progress is reported when it begins and with each update."""
    reported: list[Progressed] = []

    with _visit(reported=reported).progress(total=3, unit="B") as progress:
        progress.update()
        progress.update(1.5)

    assert reported == [_progressed(0, 3, "B"), _progressed(1, 3, "B"), _progressed(2.5, 3, "B")]
    assert (progress.done, progress.total) == (2.5, 3)


def test_progress_works_without_with() -> None:
    """A progress of unknown length may be used without a `with` statement."""
    reported: list[Progressed] = []

    _visit(reported=reported).progress().update(2)

    assert reported == [_progressed(0), _progressed(2)]


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
    reported: list[Progressed] = []

    tracked = [
        (each, reported[-1].done) for each in _visit(reported=reported).track(iterable, total)
    ]

    assert tracked == [("a", 0), ("b", 1)]
    assert reported == [_progressed(done, shown) for done in (0, 1, 2)]


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
        "previous=None, resources={})"
    )
