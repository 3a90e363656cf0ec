"""Runs with several processes: everything that uses xdist and execnet."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest

from pytest_choochoo.engine.errors import Conflict, UnusableLedger
from pytest_choochoo.settings import PROCESS, Process, Settings

# Every run of pytest imports this file, and few runs have workers: their imports are local.
if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_choochoo.engine.events import LocalEvent
    from pytest_choochoo.engine.ledger.location import LedgerLocation
    from pytest_choochoo.engine.ledger.protocol import Ledger
    from pytest_choochoo.parallel.messages import ControllerLink
    from pytest_choochoo.parallel.worker_input import WorkerInput
    from pytest_choochoo.session import Session


def process_of(config: pytest.Config) -> Process:
    """Return how this process takes part in the run: alone, as xdist's controller or a worker."""
    is_worker = hasattr(config, "workerinput")
    given = _input_of(config) if is_worker else None
    if given is None:  # on its own, or a worker of plain pytest: nothing is shared
        return Process(began=time.time(), secrets={}, is_worker=is_worker)
    from pytest_choochoo.engine.place import Place
    from pytest_choochoo.parallel.messages import CONTROLLER, ControllerLink
    from pytest_choochoo.parallel.worker_input import is_first_worker

    link = config.stash[CONTROLLER] = ControllerLink(given.channel)
    return Process(
        is_worker=True,
        is_first=is_first_worker(config),
        run=given.run,
        began=given.began,
        notify=link.notify,
        tell=_event_sender(link, is_shown=given.is_shown),
        secrets=link.secrets,
        ledger=partial(_remote_ledger, given.run, link),
        place=Place(*given.place),
        runs_settled=given.runs_settled,
    )


def _event_sender(link: ControllerLink, *, is_shown: bool) -> Callable[[LocalEvent], object]:
    """Return the function that sends the events of visits, where the controller shows them."""
    if not is_shown:
        return lambda event: None
    from pytest_choochoo.parallel.event_sender import EventSender

    return EventSender(link.send)


def _input_of(worker: pytest.Config) -> WorkerInput | None:
    from pytest_choochoo.parallel.worker_input import read_input

    return read_input(worker)


def _remote_ledger(
    run: str | None, link: ControllerLink, location: LedgerLocation
) -> Ledger | None:
    """Return the controller's ledger, None if this worker sees it at *location*."""
    if run is None:
        return None
    from pytest_choochoo.engine.ledger.opening import read_ledger
    from pytest_choochoo.parallel.messages import BEGUN

    with suppress(UnusableLedger), closing(read_ledger(location)) as here:
        if here.result(run, BEGUN) is not None:
            return None
    return link.ledger(location)


def register_controller(config: pytest.Config, settings: Settings) -> None:
    """Register the hooks that xdist's controller needs for the command of *settings*."""
    from pytest_choochoo.reporting.terminal import RUN_FACTS

    if not settings.mode.visits:
        from pytest_choochoo.parallel.controller import Controller

        config.stash[RUN_FACTS] = controller = Controller(config)
        config.pluginmanager.register(controller)
        return
    from pytest_choochoo.parallel.run_controller import RunController
    from pytest_choochoo.running.stopping import StopHooks

    config.stash[RUN_FACTS] = hooks = RunController(config, settings)
    config.pluginmanager.register(hooks)
    config.pluginmanager.register(StopHooks(hooks.finish_first, hooks.interrupt_workers))


def register_worker(config: pytest.Config, made: Session | None) -> None:
    """Register the hooks that a worker needs; *made*: None where there are no stations."""
    if _input_of(config) is None:  # plain pytest
        return
    from pytest_choochoo.parallel.worker import RunWorkerHooks, WorkerHooks

    kind = WorkerHooks if config.stash[PROCESS].run is None else RunWorkerHooks
    config.pluginmanager.register(kind(config, made))


def is_controller(config: pytest.Config) -> bool:
    """Return whether this process is xdist's controller, whose workers run the items."""
    option = config.option
    is_distributing = getattr(option, "dist", "no") != "no" and bool(getattr(option, "tx", None))
    return is_distributing and not option.collectonly and not config.stash[PROCESS].is_worker


def adapt_options(config: pytest.Config, settings: Settings) -> None:
    """Adapt xdist's options to *settings*. Raises `Conflict`."""
    option = config.option
    if settings.mode.visits and getattr(option, "dist", "no") == "each":
        raise Conflict(f"--cc-{settings.mode.name}", "--dist each")
    if settings.mode.collects and settings.process.is_worker:
        option.loadgroup = False  # it would change node ids
    is_serial = settings.mode.is_serial or (settings.mode.collects and settings.is_stepwise)
    if is_serial and getattr(option, "tx", None):
        # Cleans go downstream first, one after the other. And stepwise goes on from the item that
        # failed last, as if all before it had passed.
        option.dist, option.tx, option.numprocesses = "no", [], None
