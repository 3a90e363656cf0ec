"""What this session is about: which stations are run, in which order, and what they need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec
import pytest

from pytest_choochoo.collection.dependencies import Dependencies
from pytest_choochoo.collection.registry import StationRegistry
from pytest_choochoo.engine import wording as words
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.ledger.protocol import Ledger
from pytest_choochoo.engine.ledger.record import to_text
from pytest_choochoo.engine.route import Route, arranged
from pytest_choochoo.settings import Settings

T = TypeVar("T")


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done with which stations.

    Those *selected* are run; the records of those *forgotten* are forgotten. The
    *header* tells the user what his selection came to, in lines.
    """

    selected: frozenset[str] = frozenset()
    header: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()


class Selector:
    """Selects what is run, once the route is known.

    *run*: the name under which xdist's workers take part in one run, or None.
    """

    def __init__(
        self,
        *,
        collected: StationRegistry,
        needs: Dependencies,
        route: Route,
        ledger: Ledger,
        run: str | None,
    ) -> None:
        self._collected = collected
        self._needs = needs
        self._route = route
        self._ledger = ledger
        self._run = run

    def named(self, option: str, expression: str) -> tuple[str, ...]:
        """Return the keys of the stations that *expression* selects. Raises `UnknownSelector`."""
        if not expression:
            return ()
        records = self._ledger.records()
        failed = [
            key
            for key in self._route.stops
            if key in records and records[key].status in {"failed", "interrupted", "visiting"}
        ]
        gone = [key for key in records if key not in self._route]
        also = gone if option == "--cc-forget" else ()
        keys = self._route.select(option, expression, failed=failed, also=also)
        return self._agreed(option, keys, tuple[str, ...])

    def departure(
        self, config: pytest.Config, settings: Settings, judging: Judge, items: list[pytest.Item]
    ) -> Selection:
        """Put into *items* what is to be run, in order, and return what that is."""
        match settings.mode:
            case "run":
                added = self._add_needed(judging, items)
                self._arrange(items)
                selected, names = self._stations(items), self._route.names
                self._ledger.prepare_locks(selected)
                left_out = [key for key in self._route.order if judging.is_replayed(key)]
                left_out = [key for key in left_out if key not in selected]
                header = words.header(names(added), names(left_out))
                return Selection(selected=selected, header=header)
            case "check":
                self._arrange(items)
            case "clean":
                self._keep_to_clean(config, items)
            case "forget":
                chosen = self.named("--cc-forget", settings.forget)
                known = self._collected.items
                items[:] = [known[key] for key in chosen if key in known]
                return Selection(forgotten=chosen)
            case "plain":
                pass
        return Selection(selected=self._stations(items))

    def _stations(self, items: list[pytest.Item]) -> frozenset[str]:
        return frozenset(item.nodeid for item in items if item.nodeid in self._route)

    def _agreed(self, name: str, found: T, kind: type[T]) -> T:
        """Return *found* as the first worker had it: one that joins late sees other records."""
        if self._run is None:
            return found
        agreed = self._ledger.put_if_absent(self._run, name, to_text(found))
        return msgspec.json.decode(agreed, type=kind)

    def _add_needed(self, judging: Judge, items: list[pytest.Item]) -> tuple[str, ...]:
        """Add to *items* the stations that they need and that are due; return their keys."""
        chosen = self._stations(items)
        tests = [item for item in items if item.nodeid not in chosen]
        wanted = [*chosen, *(key for test in tests for key in self._needs.keys_of(test))]
        again = judging.revisits(wanted, asking=lambda: self._asking(items))
        judging.visit_for_secrets(self._agreed("secrets", again, dict[str, tuple[str, ...]]))
        added = self._agreed("added", judging.needed(wanted, chosen), tuple[str, ...])
        items[:0] = [self._collected.items[key] for key in added]
        return added

    def _asking(self, items: Iterable[pytest.Item]) -> Mapping[str, Sequence[str]]:
        """Return the names of those who ask for a station whatever is due: tests and checks."""
        asking: dict[str, list[str]] = {}
        for item in items:
            known = self._collected.items.get(item.nodeid)
            keys = self._needs.keys_of_checks(known) if known else self._needs.keys_of(item)
            for key in keys:
                asking.setdefault(key, []).append(item.name)
        return asking

    def _arrange(self, items: list[pytest.Item]) -> None:
        """Put upstream first; stations keep their definition order, whoever shuffled them."""
        route = self._route
        by_key = {item.nodeid: item for item in items}
        if len(by_key) != len(items):  # --keep-duplicates: who asks for it, orders it himself
            return
        places = [place for place, item in enumerate(items) if item.nodeid in route]
        stations = [key for key in route.stops if key in by_key]
        position: dict[str, int] = {item.nodeid: place for place, item in enumerate(items)}
        position |= dict(zip(stations, places))
        upstream: dict[str, tuple[str, ...]] = {key: route.upstream[key] for key in stations}
        for item in items:
            if item.nodeid not in route:
                upstream[item.nodeid] = self._needs.keys_of(item)
        items[:] = [by_key[key] for key in arranged(tuple(by_key), upstream, position.__getitem__)]

    def _keep_to_clean(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Put the selected stations and their downstream into *items*, downstream first."""
        route = self._route
        chosen = [item.nodeid for item in items if item.nodeid in route]
        below = route.closure(chosen, route.downstream())
        order = [key for key in reversed(route.order) if key in below]
        keep = [self._collected.items[key] for key in order if self._ledger.has_traces(key)]
        kept = {id(item) for item in keep}
        dropped = [item for item in items if id(item) not in kept]
        items[:] = keep
        if dropped:
            config.hook.pytest_deselected(items=dropped)
