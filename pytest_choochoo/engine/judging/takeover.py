"""Takes over the records of stations that were renamed, before anything is judged."""

from __future__ import annotations

import os.path
import posixpath
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

from pytest_choochoo.engine.former_names import station_key, takeovers
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.ledger.names import NewCode, NewNames
from pytest_choochoo.engine.ledger.protocol import HeldLock, Ledger
from pytest_choochoo.engine.route import Route

# The stations whose locks are held at once, each under two names: the number of files that a
# process may open is limited. A run that is killed in between leaves the rest to the next one.
_AT_ONCE = 50


def take_over(
    route: Route, ledger: Ledger, judge: Judge, lock: Callable[[str], HeldLock] | None
) -> dict[str, str]:
    """Give the stations of *route* what is recorded under their former names.

    Return the former keys of those that got something. *lock* returns the lock on a key, held;
    None if *ledger* is only to look like that in this session, and nothing is to be written.
    """
    moves = takeovers(route, ledger)
    keys, moved = sorted(moves), set[str]()
    at_once = len(keys) if lock is None else _AT_ONCE
    for start in range(0, len(keys), at_once or 1):
        batch = {key: moves[key] for key in keys[start : start + at_once]}
        with ExitStack() as held:
            if lock is not None:
                # In one order, so that no two processes wait for each other.
                for key in sorted({*batch, *batch.values()}):
                    held.enter_context(lock(key))
            names = _NewNames(route, ledger, judge, moves).all()
            moved.update(ledger.move(batch, names, lock is not None))
    return {key: moves[key] for key in route.stops if key in moved}


class _NewNames:
    """The names in the records of a route that change with *moves*, former keys by key."""

    def __init__(
        self, route: Route, ledger: Ledger, judge: Judge, moves: Mapping[str, str]
    ) -> None:
        self._route = route
        self._moves = moves
        stations = {station_key(key): station_key(former) for key, former in moves.items()}
        former = {_name(now): _name(then) for now, then in stations.items()}
        #: The names of definitions in the project's code, `file::name`, and of whole files.
        self._spots = stations
        self._files: dict[str, dict[str, None]] = {}
        for now, then in stations.items():
            self._files.setdefault(_file(now), {})[_file(then)] = None
        self._code_now = judge.code_under({})
        self._code_then = judge.code_under(former)
        self._records = {
            key: ledger.record(former) or ledger.record(key) for key, former in moves.items()
        }

    def all(self) -> dict[str, NewNames]:
        """Return the new names in the record of each station where there are any."""
        found = {key: self._of(key) for key in self._route.stops}
        return {key: names for key, names in found.items() if names != NewNames()}

    def _of(self, key: str) -> NewNames:
        route = self._route
        labels = route.labels_of_inputs(route.inputs(key))
        return NewNames(
            upstream=self._labels(labels),
            upstream_products=dict(self._products_of(labels)),
            renewals=self._labels(route.labels_of_inputs(route.renewing.get(key, ()))),
            files=self._paths(key, "files"),
            products=self._paths(key, "products"),
            code=dict(self._code(key)),
        )

    # --- upstream

    def _labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Return the *labels* of stations by the labels that they may have had."""
        if self._moves.keys().isdisjoint(labels):
            return {}
        pairs = [(then, now) for key, now in labels.items() for then in self._labels_then(key)]
        uses = Counter(then for then, _ in pairs)
        return {
            then: now
            for then, now in pairs
            if then != now and uses[then] == 1 and then not in labels.values()
        }

    def _labels_then(self, key: str) -> tuple[str, str]:
        former = self._moves.get(key, key)
        return former, former.partition("::")[2]

    def _products_of(self, labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield the names of products upstream as they were, each with that of now."""
        known = {*self._labels(labels), *labels.values()}
        for key, now in labels.items():
            record = self._records.get(key)
            paths = self._paths(key, "products")
            for then in (each for each in self._labels_then(key) if each in known):
                for product in record.products if record is not None else ():
                    yield f"{product} of {then}", f"{paths.get(product, product)} of {now}"

    # --- paths, which are relative to the file that declares the station

    def _paths(self, key: str, kind: str) -> dict[str, str]:
        """Return the files or products of *key*, which moved, by the paths that they had."""
        record, then = self._records.get(key), posixpath.dirname(_file(self._moves.get(key, key)))
        now = posixpath.dirname(_file(key))
        if record is None or record.fingerprint is None or then == now:
            return {}
        paths = record.fingerprint.files if kind == "files" else record.products
        base = self._route[key].station.path.parent
        up = posixpath.relpath(then or ".", now or ".")
        return {
            path: posixpath.normpath(posixpath.join(up, path))
            for path in paths
            if not os.path.exists(base / path)  # what moved along has the same path
        }

    # --- code

    def _code(self, key: str) -> Iterator[tuple[str, NewCode]]:
        """Yield the code of *key* by the names that it may have had."""
        if self._route[key].station.declaration.version is not None:
            return
        then = self._code_then(key)
        for name, digest in self._code_now(key).items():
            equal = tuple(dict.fromkeys((*digest.split(), *then.get(name, "").split())))
            for former in self._spots_then(name):
                if former != name or len(equal) > len(digest.split()):
                    yield former, NewCode(name, digest, equal)

    def _spots_then(self, name: str) -> Sequence[str]:
        """Return the names that the definition *name* may have had: `file::name`."""
        held, separator, spot = name.rpartition(" in ")
        if spot in self._spots:
            return (f"{held}{separator}{self._spots[spot]}",)
        file, _, rest = spot.partition("::")
        files = {file: None, **self._files.get(file, {})}
        return tuple(f"{held}{separator}{each}::{rest}" for each in files)


def _file(key: str) -> str:
    return key.partition("::")[0]


def _name(key: str) -> str:
    return key.partition("::")[2]
