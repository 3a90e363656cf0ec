"""A run of several workers, as their controller knows it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from pytest_choochoo.engine.ledger.protocol import Ledger
from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.engine.results import Results
from pytest_choochoo.engine.route import StationInfo
from pytest_choochoo.engine.wording import INTERRUPTED
from pytest_choochoo.parallel.messages import BEGUN
from pytest_choochoo.parallel.run_plan import PLAN, RunPlan, read_plan
from pytest_choochoo.parallel.workers import Workers


class ParallelRun:
    """A run that has begun: its ledger, its shared results, and its workers.

    Raises `UnusableLedger` if the ledger cannot be written. *began*: in seconds since the epoch.
    """

    def __init__(self, ledger: Ledger, workers: Workers, began: float) -> None:
        #: The name under which the processes of the run share their results.
        self.name = uuid4().hex
        self.ledger = ledger
        self.results = Results(ledger, self.name)
        self.workers = workers
        self.began = began
        #: The selected stations; none until the workers have agreed on a plan.
        self.stations: Sequence[StationInfo] = ()
        ledger.start_run(self.name)
        ledger.write_result(self.name, BEGUN, "")

    def plan(self) -> RunPlan | None:
        """Return the plan that the workers agreed on, None if there are no stations.

        Raises `DamagedPlan`.
        """
        text = self.ledger.result(self.name, PLAN)
        if text is None:
            return None
        plan = read_plan(text)
        self.stations = plan.stations
        self.ledger.declare_places({each.key: each.place for each in plan.stations})
        return plan

    def station(self, key: str) -> StationInfo | None:
        return next((each for each in self.stations if each.key == key), None)

    def is_visited_now(self, key: str) -> bool:
        """Return whether a worker of this run is visiting the station *key*."""
        record = self.ledger.record(key)
        if record is None or not record.is_visiting:
            return False
        return record.pid in self.workers.pids  # else another run visits it

    def unreported(self, station: StationInfo) -> Result | None:
        """Return the result of a station that was never reported, None if it was not reached."""
        shared = self.results.shared(station.key)
        if shared is None and self.is_visited_now(station.key):  # its worker was killed
            return station.result("failed", cause=INTERRUPTED)
        return shared
