"""From what was collected to what is run: the route, the ledger, and the items in order."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest

from pytest_choochoo.collection.dependencies import Dependencies
from pytest_choochoo.collection.registry import StationRegistry
from pytest_choochoo.engine.code.reach import CodeReader
from pytest_choochoo.engine.errors import ChoochooError, LockTimeout
from pytest_choochoo.engine.journey import Journey, RunOptions
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.ledger.protocol import Ledger
from pytest_choochoo.engine.outcomes.codec import Codec
from pytest_choochoo.engine.outcomes.outcomes import Outcomes
from pytest_choochoo.engine.route import Route
from pytest_choochoo.engine.secrets import SecretStore
from pytest_choochoo.parallel.messages import texts_of
from pytest_choochoo.reporting.notices import notify
from pytest_choochoo.running.injection import Injection
from pytest_choochoo.running.protocol import Runner
from pytest_choochoo.selection import Selector
from pytest_choochoo.settings import Settings
from pytest_choochoo.storage import ledger_of, run_of, source_cache_of


def depart(
    session: pytest.Session,
    collected: StationRegistry,
    settings: Settings,
    items: list[pytest.Item],
) -> Runner | None:
    """Put into *items* what is to be run, in order; return the line to run it on, if any.

    Structural faults are reported as collection errors, all at once. Raises
    `ChoochooError` for what was asked for and cannot be.
    """
    collected.gather(session)
    needs = Dependencies(collected)
    route = needs.route()
    if settings.mode != "plain" and collected.faults:
        _report(session, collected.faults)
        items.clear()
        return None
    if not route.stops and not (settings.replay or settings.forget):
        if settings.mode == "clean":
            items.clear()
        if not collected.has_stations:
            return None
    ledger = ledger_of(session.config, settings)
    try:
        return _line(session.config, ledger, collected, needs, settings, route, items)
    except BaseException:
        ledger.close()  # what closes it otherwise is the line, at the end of the session
        raise


def _line(
    config: pytest.Config,
    ledger: Ledger,
    collected: StationRegistry,
    needs: Dependencies,
    settings: Settings,
    route: Route,
    items: list[pytest.Item],
) -> Runner:
    """Return the line to run *items* on, which are selected and put in order."""
    run = run_of(config)
    outcomes = Outcomes(route, ledger, _codec(config, ledger))
    selecting = Selector(collected=collected, needs=needs, route=route, ledger=ledger, run=run)
    judging = Judge(
        route=route,
        ledger=ledger,
        outcomes=outcomes,
        code=CodeReader(config.rootpath, source_cache_of(ledger, settings)),
        ordinary=needs.ordinary_fixtures(),
        replayed=frozenset(selecting.named("--cc-replay", settings.replay)),
        # Workers begin later than the session does, and not all at once.
        began=getattr(config, "workerinput", {}).get("choochoo_began", time.time()),
    )
    departure = selecting.departure(config, settings, judging, items)
    journey = Journey(
        route=route,
        orders=RunOptions(
            profile=settings.profile,
            selected=departure.selected,
            run=run,
            lock_timeout=settings.lock_timeout,
        ),
        ledger=ledger,
        outcomes=outcomes,
        judging=judging,
        tell=lambda progressed: None,
        notify=lambda text: notify(config, text),
        judged=lambda key, verdict: config.hook.pytest_choochoo_judged(
            config=config, node_id=key, verdict=verdict
        ),
    )
    return Runner(
        journey=journey,
        handing=Injection(journey=journey, collected=collected, needs=needs, mode=settings.mode),
        needs=needs,
        return_value=collected.return_value,
        mode=settings.mode,
        departure=departure,
    )


def _report(session: pytest.Session, faults: Iterable[ChoochooError]) -> None:
    for fault in faults:
        report = pytest.CollectReport(
            nodeid="stations", outcome="failed", longrepr=str(fault), result=[]
        )
        session.config.hook.pytest_collectreport(report=report)


def _codec(config: pytest.Config, ledger: Ledger) -> Codec:
    hook = config.hook
    return Codec(
        encode=lambda value: hook.pytest_choochoo_encode(config=config, value=value),
        decode=lambda kind, plain: hook.pytest_choochoo_decode(
            config=config, type=kind, plain=plain
        ),
        safe=SecretStore(ledger.secret_key, texts_of(config)),
    )


def forget(session: pytest.Session, line: Runner) -> None:
    """Forget the records that --cc-forget selects, and say so; fail where one stays locked."""
    journey, forgotten, is_refused = line.journey, [], False
    for key in line.departure.forgotten:
        if journey.ledger.record(key) is None:
            continue
        try:
            lock = journey.lock(key)  # nobody forgets what is being visited
        except LockTimeout as error:
            notify(session.config, str(error))
            is_refused = True
            continue
        try:
            journey.ledger.forget(key, resources=False)
        finally:
            lock.release()
        forgotten.append(key)
    if forgotten:
        notify(session.config, f"forgot {', '.join(journey.route.names(forgotten))}")
    elif not is_refused:
        notify(session.config, "there was nothing to forget")
    if is_refused:
        raise session.Failed
