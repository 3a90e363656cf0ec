"""The early end of a parallel run: the visits under way are finished, and nothing else starts."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

import pytest

from pytest_choochoo.engine.errors import UnusableLedger
from pytest_choochoo.parallel.run import ParallelRun
from pytest_choochoo.parallel.scheduler import RouteScheduling
from pytest_choochoo.parallel.xdist_internals import stop_session, wake_controller


class RunStopper:
    """Ends a run early, for a signal or for a failure under -x."""

    def __init__(self, config: pytest.Config, run: ParallelRun, scheduler: RouteScheduling) -> None:
        self._config = config
        self._run = run
        self._scheduler = scheduler

    def finish_visits(self) -> list[str]:
        """Start nothing more; return the names of the stations that are being visited.

        Where there are none, the caller ends the run at once. A signal handler calls this.
        """
        self._tell_workers()
        busy = self._scheduler.under_way()
        names = [
            station.name
            for station in self._run.stations
            if station.key in busy and self._run.is_visited_now(station.key)
        ]
        if names:
            self._scheduler.stop(self._end_session)
        return names

    def stop_for_failures(self) -> None:
        """Start nothing more; xdist itself waits for the items that the workers have."""
        self._scheduler.stop(lambda: None)
        self._scheduler.take_back()
        self._tell_workers()

    def interrupt_workers(self) -> None:
        """Interrupt the visits under way, for workers that the user's signal did not reach."""
        visiting = set[int]()
        with suppress(UnusableLedger):  # the session may be over by now
            records = self._run.ledger.records().values()
            visiting = {record.pid for record in records if record.is_visiting}
        for worker in self._run.workers:
            if worker.is_local and not worker.is_gone and worker.pid in visiting:
                with suppress(ProcessLookupError):
                    # A worker's first signal lets its visit finish, the second one does not.
                    os.kill(worker.pid, signal.SIGTERM)
                    os.kill(worker.pid, signal.SIGINT)

    def _end_session(self) -> None:
        stop_session(self._config, "stopped after the visits under way")

    def _tell_workers(self) -> None:
        # A signal interrupts this thread anywhere, perhaps in a transaction of the ledger.
        threading.Thread(target=self._tell_all).start()

    def _tell_all(self) -> None:
        for node in self._scheduler.nodes[:1]:
            wake_controller(node)  # to take back what the workers have not started
        with suppress(UnusableLedger):  # a worker that visits something will notice, and stop
            self._run.results.stop()
