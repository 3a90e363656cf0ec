"""The session of one process, made once, part by part, when pytest has collected."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest

from pytest_choochoo import commands, storage
from pytest_choochoo.collection.dependencies import Dependencies
from pytest_choochoo.collection.files import StationFiles
from pytest_choochoo.collection.imports import IMPORTS
from pytest_choochoo.collection.multiplied import calling_their_own
from pytest_choochoo.collection.pytest_internals import correct_counts, debug, take_tracer
from pytest_choochoo.collection.registry import StationRegistry
from pytest_choochoo.commands import Command
from pytest_choochoo.engine import wording
from pytest_choochoo.engine.code.reach import CodeReader
from pytest_choochoo.engine.digest import KeyedDigests
from pytest_choochoo.engine.errors import FindsNothing
from pytest_choochoo.engine.journey import Journey, RunOptions
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.judging.verdict import Verdict
from pytest_choochoo.engine.ledger.protocol import HeldLock, History, Ledger
from pytest_choochoo.engine.ledger.record import Result, durations_of
from pytest_choochoo.engine.ledger.waiting import lock_station
from pytest_choochoo.engine.outcomes.annotations import annotation_of, unkept_outcome
from pytest_choochoo.engine.outcomes.codec import Codec
from pytest_choochoo.engine.outcomes.outcomes import Outcomes, returns_outcome
from pytest_choochoo.engine.results import Results
from pytest_choochoo.engine.route import Route, StationInfo, station_infos
from pytest_choochoo.engine.secrets import SecretStore
from pytest_choochoo.reporting.displays import event_taker
from pytest_choochoo.reporting.notices import notify
from pytest_choochoo.reporting.reports import (
    RUNS_SETTLED,
    MissingStationHint,
    report_collection_error,
)
from pytest_choochoo.reporting.terminal import RUN_FACTS
from pytest_choochoo.running.hook_calls import call_hook
from pytest_choochoo.running.injection import Injection
from pytest_choochoo.running.protocol import ItemHooks, Runner, SettleHooks
from pytest_choochoo.running.stopping import (
    Deadline,
    StopHooks,
    TimeoutHooks,
    stopping_without_ledger,
)
from pytest_choochoo.running.visit_events import VisitEvents
from pytest_choochoo.selection import Selection, Workflow, arrange_items
from pytest_choochoo.settings import Settings

if TYPE_CHECKING:
    from pytest_choochoo.engine.code.watch import Watch


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """All that this process needs for the stations of one session.

    *held*: the lock on the profile, where the command needs it.
    """

    workflow: Workflow
    command: Command
    selection: Selection
    judge: Judge
    journey: Journey
    runner: Runner
    deadline: Deadline
    held: HeldLock | None = None

    # --- the facts about a run for the terminal

    @property
    def header(self) -> tuple[str, ...]:
        return self.selection.header

    @property
    def stations(self) -> list[StationInfo]:
        return station_infos(self.workflow.route, self.selection.selected)

    @property
    def ledger(self) -> History | None:
        return self.workflow.ledger if self.workflow.settings.writes else None

    @property
    def open_ledger(self) -> Ledger:
        return self.workflow.ledger

    @property
    def durations(self) -> dict[str, float]:
        return durations_of(self.journey.ledger.records())

    @property
    def workers(self) -> int:
        return 1

    def unreported(self, station: StationInfo) -> Result | None:
        return self.journey.results.get(station.key)


SESSION = pytest.StashKey[Session]()


def start(
    session: pytest.Session,
    files: StationFiles,
    settings: Settings,
    items: list[pytest.Item],
) -> Session | None:
    """Make the session, if the collected *items* need one, and register its hooks.

    Raises `ChoochooError` for a request that cannot be met.
    """
    config, registry = session.config, files.registry
    files.collect_missing(session)
    files.find_clashes()
    if files.broken or registry.faults:
        config.pluginmanager.register(MissingStationHint(files.broken, registry.faults))
    made = build(session, registry, settings, items)
    if settings.mode.collects:
        correct_counts(config, items)
    if made is not None:
        config.stash[SESSION] = config.stash[RUN_FACTS] = made
        config.pluginmanager.register(SessionHooks(made))
        _register_hooks(config, made)
    return made


def arrange_first(files: StationFiles, session: pytest.Session, items: list[pytest.Item]) -> None:
    """Put *items* in their order before other plugins look at it; not where anything is wrong."""
    files.collect_missing(session)
    dependencies = Dependencies(files.registry)
    route = dependencies.route()
    if not files.registry.faults and not dependencies.faults:
        arrange_items(route, dependencies, items)


def build(
    session: pytest.Session,
    registry: StationRegistry,
    settings: Settings,
    items: list[pytest.Item],
) -> Session | None:
    """Replace *items* by the items to run, in order; return the session, if one is needed.

    Structural faults are reported as collection errors, all at once. Raises
    `ChoochooError` for a request that cannot be met.
    """
    dependencies = Dependencies(registry)
    route = dependencies.route()
    if settings.mode.collects and _report_faults(session, registry, dependencies, route):
        items.clear()
        return None
    if not route.stops and not (settings.replay or settings.named or settings.unprotect):
        if settings.mode.is_serial:
            items.clear()
        if not registry.has_stations:
            return None
    ledger = storage.ledger_of(session.config, settings)
    held = None
    try:
        held = storage.hold_profile(settings, partial(notify, session.config))
        made = _assemble(session.config, settings, registry, dependencies, route, ledger, items)
        return msgspec.structs.replace(made, held=held)
    except BaseException:
        if held is not None:
            held.release()
        ledger.close()  # `SessionHooks` does so at the end of the session, once there is one
        raise


def _report_faults(
    session: pytest.Session, registry: StationRegistry, dependencies: Dependencies, route: Route
) -> bool:
    """Report all structural faults as collection errors; return whether there are any."""
    config = session.config
    is_encoded = config.hook.pytest_choochoo_encode.get_hookimpls()
    stations = dict.fromkeys(stop.station for stop in route.stops.values())
    for station in () if is_encoded else stations:  # else only a visit can tell
        fault = unkept_outcome(station)
        if fault is not None:
            registry.add_fault(fault)
    for station in stations:
        find = station.find_function
        if find is not None and not returns_outcome(station, annotation_of(station)):
            registry.add_fault(FindsNothing(station.name, station.location_of(find)))
    faults = registry.faults + dependencies.faults
    for each in faults:
        report_collection_error(config, str(each), session=session)
    return bool(faults)


def _assemble(
    config: pytest.Config,
    settings: Settings,
    registry: StationRegistry,
    dependencies: Dependencies,
    route: Route,
    ledger: Ledger,
    items: list[pytest.Item],
) -> Session:
    _declare_places(route, ledger)
    keyed = KeyedDigests(ledger.secret_key)
    workflow = Workflow(
        settings=settings,
        registry=registry,
        dependencies=dependencies,
        route=route,
        ledger=ledger,
        outcomes=Outcomes(route, ledger, _codec(config, keyed, settings)),
        run=settings.process.run,
    )
    judge = _judge(config, workflow, keyed)
    taken_over = _take_over(config, workflow, judge)
    workflow = msgspec.structs.replace(workflow, taken_over=taken_over)
    if settings.traces:
        registry.call.make_watch = partial(_watch, judge)
    command = commands.find(settings.mode)(workflow, judge)
    selection = command.select(config, items)
    journey = _journey(config, workflow, judge, selection)
    deadline = Deadline()
    runner = Runner(
        command=command,
        journey=journey,
        injection=_injection(workflow, command),
        dependencies=dependencies,
        deadline=deadline,
        runs_settled=RUNS_SETTLED in config.stash,
    )
    registry.fixture_value = runner.fixture_value
    return Session(
        workflow=workflow,
        command=command,
        selection=selection,
        judge=judge,
        journey=journey,
        runner=runner,
        deadline=deadline,
    )


def _declare_places(route: Route, ledger: Ledger) -> None:
    """Note in *ledger* where the effects of the stations live, under their former names too."""
    places = {key: each.station.declaration.place for key, each in route.stops.items()}
    if any(place != "here" for place in places.values()):
        if route.has_former_names:
            from pytest_choochoo.engine.former_names import all_former_keys  # few were renamed

            for key, former in all_former_keys(route).items():
                places = dict.fromkeys(former, places[key]) | places
        ledger.declare_places(places)


def _take_over(config: pytest.Config, workflow: Workflow, judge: Judge) -> Mapping[str, str]:
    """Let stations that were renamed take over what is recorded, and say so, once.

    Return their former names by key. Sessions that only read take over for themselves.
    """
    settings, route, ledger = workflow.settings, workflow.route, workflow.ledger
    if workflow.dependencies.faults or not route.has_former_names:
        return {}
    # Few stations were renamed.
    from pytest_choochoo.engine.former_names import former_keys
    from pytest_choochoo.engine.judging.takeover import take_over

    lock = partial(
        lock_station,
        ledger,
        timeout=settings.lock_timeout,
        notify=partial(notify, config),
    )
    moved = take_over(
        route, ledger, judge, (lambda key: lock(key, name=key)) if settings.writes else None
    )
    former = {key: former_keys(route[key])[was] for key, was in moved.items()}
    if former and (settings.writes or settings.process.is_first):
        stations = {route[key].station.name: was for key, was in former.items()}
        notify(config, wording.taken_over(stations, is_done=settings.writes))
    return former


def _watch(judge: Judge) -> Watch:
    from pytest_choochoo.engine.code.watch import Watch  # here, since most runs visit nothing

    return Watch(judge.is_project_file)


def _judge(config: pytest.Config, workflow: Workflow, keyed: KeyedDigests) -> Judge:
    settings, ledger = workflow.settings, workflow.ledger
    code = CodeReader(
        config.rootpath,
        storage.source_cache_of(ledger, settings),
        config.stash[IMPORTS].sources if IMPORTS in config.stash else {},
    )
    return Judge(
        route=workflow.route,
        ledger=ledger,
        outcomes=workflow.outcomes,
        code=code,
        ordinary=workflow.dependencies.ordinary_fixtures(),
        replayed=frozenset(workflow.named("--cc-replay", settings.replay)),
        began=settings.process.began,
        keyed=keyed,
    )


def _journey(
    config: pytest.Config, workflow: Workflow, judge: Judge, selection: Selection
) -> Journey:
    settings = workflow.settings
    return Journey(
        route=workflow.route,
        options=RunOptions(
            profile=settings.profile,
            selected=selection.selected,
            lock_timeout=settings.lock_timeout,
        ),
        ledger=workflow.ledger,
        outcomes=workflow.outcomes,
        judge=judge,
        results=Results(workflow.ledger, workflow.run),
        tell=event_taker(config),
        notify=lambda text: notify(config, text),
        judged=lambda key, verdict: _judged(config, key, verdict),
    )


def _judged(config: pytest.Config, key: str, verdict: Verdict) -> None:
    call_hook(config, "pytest_choochoo_judged", node_id=key, verdict=verdict)


def _injection(workflow: Workflow, command: Command) -> Injection:
    return Injection(
        route=workflow.route,
        outcomes=workflow.outcomes,
        dependencies=workflow.dependencies,
        providers=workflow.registry.providers,
        rule=command,
    )


class SessionHooks:
    """The hooks around the run of all items."""

    def __init__(self, made: Session) -> None:
        self._made = made

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_finish(self) -> Generator[None, object, object]:
        with calling_their_own(self._made.workflow.registry.items.values()):
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.config.option.collectonly:
            return None
        made = self._made
        return made.command.perform(session, made.journey, made.selection)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if session.shouldfail or session.shouldstop or exitstatus == pytest.ExitCode.INTERRUPTED:
            with stopping_without_ledger(session):
                self._made.journey.results.stop()
        is_empty = session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED
        if is_empty and self._made.command.succeeds_without_items:
            session.exitstatus = pytest.ExitCode.OK

    def pytest_unconfigure(self) -> None:
        self._made.journey.ledger.close()
        if self._made.held is not None:
            storage.release_profile(self._made.workflow.settings, self._made.held)


def _register_hooks(config: pytest.Config, made: Session) -> None:
    """Register the hooks that run items."""
    settings, runner, manager = made.workflow.settings, made.runner, config.pluginmanager
    visits, is_worker = settings.mode.visits, settings.process.is_worker
    # The controller reports what its workers find settled.
    manager.register(
        SettleHooks(runner, settles_early=made.command.settles_early and not is_worker)
    )
    manager.register(ItemHooks(runner, settings.command("run")))
    tracer = take_tracer(config)
    if tracer is not None:
        from pytest_choochoo.running.tracing import TraceHooks  # few sessions are traced

        manager.register(TraceHooks(tracer, runner.is_station))
        made.workflow.registry.call.debug = debug
    if manager.has_plugin("timeout"):
        manager.register(TimeoutHooks(made.deadline, runner.note_failure))
    for hooks in made.command.hooks(runner):
        manager.register(hooks)
    if made.selection.listed:
        manager.register(_look_hooks(config, made))
    if made.command.finds:
        manager.register(_find_hooks(made))
    if visits:
        manager.register(VisitEvents(event_taker(config)))
        manager.register(StopHooks(partial(runner.finish_first, is_worker=is_worker)))


def _look_hooks(config: pytest.Config, made: Session) -> object:
    """Return the hooks that list what is there, but was not made here, after a clean."""
    from pytest_choochoo.running.looking import LookHooks  # few sessions need it

    workflow = made.workflow
    items = [workflow.registry.items[key] for key in made.selection.listed]
    command = workflow.settings.command("clean")
    return LookHooks(
        made.runner,
        items,
        made.journey.find_outcome,
        lambda found: notify(
            config,
            wording.not_made_here(workflow.route.labels(found), command, shlex.quote(found[0])),
        ),
    )


def _find_hooks(made: Session) -> object:
    """Return the hooks that find what items need, and what no record has."""
    from pytest_choochoo.running.looking import FindHooks  # few sessions need it

    command = made.command
    return FindHooks(
        made.runner, command.to_find, lambda key, find: command.find(key, made.journey, find)
    )


def _codec(config: pytest.Config, keyed: KeyedDigests, settings: Settings) -> Codec:
    hook = config.hook
    return Codec(
        encode=lambda value: hook.pytest_choochoo_encode(config=config, value=value),
        decode=lambda kind, plain: hook.pytest_choochoo_decode(
            config=config, type=kind, plain=plain
        ),
        secrets=SecretStore(lambda: keyed.key, settings.process.secrets),
        root=config.rootpath,
    )
