"""From what was collected to what is run: the route, the ledger, and the items in order."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest

from pytest_choochoo.collecting import Collected
from pytest_choochoo.handing import Handing
from pytest_choochoo.items import Line
from pytest_choochoo.ledgers import ledger_of, readings_of, run_of
from pytest_choochoo.needs import Needs
from pytest_choochoo.railway.code import CodeReader
from pytest_choochoo.railway.errors import ChoochooError, LockTimeout
from pytest_choochoo.railway.journey import Journey, Orders
from pytest_choochoo.railway.judging import Judging
from pytest_choochoo.railway.ledger import Ledger
from pytest_choochoo.railway.outcome import Codec
from pytest_choochoo.railway.outcomes import Outcomes
from pytest_choochoo.railway.route import Route
from pytest_choochoo.railway.secret import Safe
from pytest_choochoo.safekeeping import texts_of
from pytest_choochoo.selecting import Selecting
from pytest_choochoo.settings import Settings
from pytest_choochoo.speaking import say


def depart(
    session: pytest.Session,
    collected: Collected,
    settings: Settings,
    items: list[pytest.Item],
) -> Line | None:
    """Put into *items* what is to be run, in order; return the line to run it on, if any.

    Structural faults are reported as collection errors, all at once. Raises
    `ChoochooError` for what was asked for and cannot be.
    """
    collected.gather(session)
    needs = Needs(collected)
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
    collected: Collected,
    needs: Needs,
    settings: Settings,
    route: Route,
    items: list[pytest.Item],
) -> Line:
    """Return the line to run *items* on, which are selected and put in order."""
    run = run_of(config)
    outcomes = Outcomes(route, ledger, _codec(config, ledger))
    selecting = Selecting(collected=collected, needs=needs, route=route, ledger=ledger, run=run)
    judging = Judging(
        route=route,
        ledger=ledger,
        outcomes=outcomes,
        code=CodeReader(config.rootpath, readings_of(ledger, settings)),
        ordinary=needs.ordinary_fixtures(),
        replayed=frozenset(selecting.named("--cc-replay", settings.replay)),
        # Workers begin later than the session does, and not all at once.
        began=getattr(config, "workerinput", {}).get("choochoo_began", time.time()),
    )
    departure = selecting.departure(config, settings, judging, items)
    journey = Journey(
        route=route,
        orders=Orders(
            profile=settings.profile,
            selected=departure.selected,
            run=run,
            lock_timeout=settings.lock_timeout,
        ),
        ledger=ledger,
        outcomes=outcomes,
        judging=judging,
        tell=lambda progressed: None,
        say=lambda text: say(config, text),
        judged=lambda key, verdict: config.hook.pytest_choochoo_judged(
            config=config, node_id=key, verdict=verdict
        ),
    )
    return Line(
        journey=journey,
        handing=Handing(journey=journey, collected=collected, needs=needs, mode=settings.mode),
        needs=needs,
        parcel=collected.parcel,
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
        safe=Safe(ledger.key, texts_of(config)),
    )


def forget(session: pytest.Session, line: Line) -> None:
    """Forget the records that --cc-forget selects, and say so; fail where one stays locked."""
    journey, forgotten, is_refused = line.journey, [], False
    for key in line.departure.forgotten:
        if journey.ledger.record(key) is None:
            continue
        try:
            lock = journey.lock(key)  # nobody forgets what is being visited
        except LockTimeout as error:
            say(session.config, str(error))
            is_refused = True
            continue
        try:
            journey.ledger.forget(key, resources=False)
        finally:
            lock.release()
        forgotten.append(key)
    if forgotten:
        say(session.config, f"forgot {', '.join(journey.route.names(forgotten))}")
    elif not is_refused:
        say(session.config, "there was nothing to forget")
    if is_refused:
        raise session.Failed
