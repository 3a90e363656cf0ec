"""The facts that the controller puts among xdist's `workerinput`, with writer and reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

# Every worker imports this file, those of runs without stations too: it stays light.
if TYPE_CHECKING:
    import pytest

    from pytest_choochoo.parallel.messages import Channel

_KEY = "choochoo"


class WorkerInput(NamedTuple):
    """The facts that a worker needs when it starts.

    *channel*: its end of the channel to its controller. *began*: when the run began, in
    seconds since the epoch. *run*: the name of the run, None where no results are shared.
    *place*: where the run makes its records. *is_shown*: the run is shown while it goes on.
    *runs_settled*: items that need not be run pass through all phases.
    """

    channel: Channel
    began: float
    run: str | None
    place: tuple[str, str, str, str]
    is_shown: bool = False
    runs_settled: bool = False


def write_input(workerinput: dict[str, Any], given: WorkerInput) -> None:
    """Put *given* into the *workerinput* of a worker that is about to start."""
    # Execnet sends no named tuples.
    workerinput[_KEY] = dict(zip(given.__annotations__, given))


def read_input(config: pytest.Config) -> WorkerInput | None:
    """Return what the controller put into this worker's input; None: it has no stations."""
    given = getattr(config, "workerinput", {}).get(_KEY)
    return None if given is None else WorkerInput(**given)


def worker_count(config: pytest.Config) -> int:
    """Return the number of workers in the run of this worker."""
    return int(getattr(config, "workerinput", {})["workercount"])


def is_first_worker(config: pytest.Config) -> bool:
    """Return whether this worker is the first one of its run."""
    return bool(getattr(config, "workerinput", {})["workerid"] == "gw0")
