"""The facts of a station as they are now, and the verdict on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, cached_property
from itertools import chain
from types import CodeType
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_choochoo.engine.code.reach import CodeReader
from pytest_choochoo.engine.digest import KeyedDigests
from pytest_choochoo.engine.errors import ChoochooError, NoRecord, StationDue
from pytest_choochoo.engine.judging import fingerprint as fingerprints
from pytest_choochoo.engine.judging.verdict import (
    Due,
    Facts,
    Fresh,
    judge,
    visited_elsewhere,
    why_incomplete,
)
from pytest_choochoo.engine.ledger.protocol import Ledger
from pytest_choochoo.engine.ledger.record import FORM, Fingerprint, Record
from pytest_choochoo.engine.outcomes.outcomes import Outcomes
from pytest_choochoo.engine.route import Route

if TYPE_CHECKING:
    from pytest_choochoo.engine.code.entered import EnteredCode


class Judge:
    """Judges stations by their records, for runs and for sessions that only read.

    *ordinary*: the functions of the ordinary fixtures that each station
    requests. *replayed*: the stations to visit although they are fresh. *began*: when
    the session began, in seconds since the epoch. *keyed*: makes the digests that are recorded.
    """

    def __init__(
        self,
        *,
        route: Route,
        ledger: Ledger,
        outcomes: Outcomes,
        code: CodeReader,
        ordinary: Mapping[str, Sequence[Callable[..., Any]]],
        replayed: frozenset[str],
        began: float,
        keyed: KeyedDigests,
    ) -> None:
        self._route = route
        self._ledger = ledger
        self._outcomes = outcomes
        self._code = code
        self._ordinary = ordinary
        self._replayed = replayed
        self._began = began
        self._keyed = keyed
        self._why_due_once = cache(self.why_due)
        self._secret_for: Mapping[str, tuple[str, ...]] = {}
        #: The stations that are due in any case, each with the reason.
        self._required: dict[str, str] = {}
        visits = (stop.station.function for stop in route.stops.values())
        # Most stations request the same fixtures.
        functions = {id(each): each for each in chain(visits, *ordinary.values())}
        code.hold(functions.values())

    @cached_property
    def _entered(self) -> EnteredCode:
        from pytest_choochoo.engine.code.entered import EnteredCode  # most runs need none

        return EnteredCode(self._code)

    def is_project_file(self, file: str) -> bool:
        """Return whether the code in *file* is the project's."""
        return self._entered.is_ours(file)

    def is_replayed(self, key: str) -> bool:
        return key in self._replayed

    def read_ahead(self) -> None:
        """Read the source of all stations now, so that other processes find it in the cache."""
        self._code.read_ahead({stop.station.path for stop in self._route.stops.values()})

    def is_complete(self, key: str) -> bool:
        record = self._ledger.record(key)
        return record is not None and record.is_complete

    def visit_for_secrets(self, needed: Mapping[str, tuple[str, ...]]) -> None:
        """Mark stations due until their secrets are known; *needed* maps each to its consumers."""
        self._secret_for = needed

    def require_visit(self, key: str, reason: str) -> None:
        """Mark *key* due for *reason*, whatever its record and its checks say."""
        self._required[key] = reason

    def fingerprint(
        self,
        key: str,
        values: Mapping[str, object] | None,
        before: Record | None = None,
        moving: Collection[str] = (),
    ) -> Fingerprint:
        """Return the inputs of *key* as they are now; *values* is None if they are unknown.

        *before*: the record of the last visit, which knows what code that entered. *moving*: the
        stations upstream whose outcomes are about to change, and are left out. Raises
        `NoRecord` for an upstream without an outcome, and the errors of taking a fingerprint.
        """
        stop = self._route[key]
        code: dict[str, str] = {}
        entered: tuple[str, ...] = ()
        if stop.station.declaration.version is None:
            code = self._code.reach(self._values_with_code(key))
            if before is not None and before.fingerprint is not None:
                entered = before.fingerprint.entered
            if entered:
                code = self._entered.digests(entered) | code
        upstream, products = self._upstream(key, moving=moving)
        return fingerprints.take(
            stop,
            upstream=upstream,
            upstream_products=products,
            renewals=self._renewals(key),
            code=code,
            entered=entered,
            values=values,
            keyed=self._keyed,
        )

    def products(self, key: str) -> dict[str, str]:
        """Return the digest of each product of *key* as it is now, "" for a missing one."""
        return self._keyed.of(fingerprints.products(self._route[key]))

    def with_entered(
        self, key: str, taken: Fingerprint, entered: Iterable[CodeType]
    ) -> Fingerprint:
        """Return *taken*, the inputs of *key*, with the code that its visit *entered*."""
        if self._route[key].station.declaration.version is not None:
            return taken
        known, code = taken.entered, taken.code
        if known:
            code = self._code.reach(self._values_with_code(key))
        names = self._entered.unknown(entered, code)
        if names == known:
            return taken
        code = self._entered.digests(names) | code
        return msgspec.structs.replace(taken, code=code, entered=names)

    def _values_with_code(self, key: str) -> tuple[Any, ...]:
        """Return the functions of *key*, and its parameters: a class has code as well."""
        stop = self._route[key]
        return (stop.station.function, *self._ordinary.get(key, ()), *stop.parameters.values())

    def code_under(self, former: Mapping[str, str]) -> Callable[[str], dict[str, str]]:
        """Return a function for the code of stations under the *former* names of some."""
        code = self._code.under(former) if former else self._code
        return lambda key: code.reach(self._values_with_code(key))

    def unseen_code(self, key: str) -> tuple[str, ...]:
        """Return the names of what *key* calls, and of which a change is not noticed."""
        if self._route[key].station.declaration.version is not None:
            return ()
        return self._code.unseen(self._values_with_code(key))

    def _upstream(
        self, key: str, form: int = FORM, moving: Collection[str] = ()
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Return the digests of the outcomes upstream, and of the products there, by name.

        Those of the stations that are *moving* are left out.
        """
        outcomes: dict[str, str] = {}
        products: dict[str, str] = {}
        for upstream, name in self._route.labels_of_inputs(self._route.inputs(key)).items():
            if upstream in moving:
                continue
            found = self._outcomes.find(upstream)
            if found is None:
                raise NoRecord(self._route[upstream].name, self.why_incomplete(upstream))
            # Without either, it is upstream for its order only.
            if not self._outcomes.is_nothing(upstream, found):
                outcomes[name] = self._outcomes.digest_received(upstream, found, form)
            # As they were when it was completed: where they have changed since, it is due itself.
            record = self._outcomes.record(upstream)
            if record is not None and record.products:
                found_products = self._in_this_form(record).products
                products |= {f"{each} of {name}": was for each, was in found_products.items()}
        return outcomes, products

    def _renewals(self, key: str) -> dict[str, str]:
        """Return the last visit of each station upstream that renews, by name."""
        renewing = self._route.renewing.get(key, ())
        found: dict[str, str] = {}
        for upstream, name in self._route.labels_of_inputs(renewing).items():
            record = self._outcomes.record(upstream)
            if record is not None and record.renewal:
                found[name] = record.renewal
        return found

    def foresee(
        self, key: str, moving: Collection[str], *, is_reached: bool, is_certain: bool
    ) -> Fresh | Due:
        """Return the verdict on *key* before a run that may visit stations upstream.

        Those that are *moving* are taken to return what they returned last. *is_certain*: so are
        files and products, where visits further up, if the station *is_reached* by any, may
        alter them. Raises what `fingerprint` raises.
        """
        record, products = self._ledger.record(key), None
        taken = self.fingerprint(key, None, record, moving)
        if is_reached and record is not None and record.fingerprint is not None:
            known = self._in_this_form(record)
            old = known.fingerprint or Fingerprint()
            labels = self._route.labels_of_inputs(self._route.inputs(key)).items()
            names = {name for upstream, name in labels if upstream in moving}
            outcomes = {name: old.upstream[name] for name in names & old.upstream.keys()}
            made = {
                product: digest
                for product, digest in old.upstream_products.items()
                if product.rpartition(" of ")[2] in names
            }
            taken = msgspec.structs.replace(
                taken,
                upstream=taken.upstream | outcomes,
                upstream_products=taken.upstream_products | made,
                files=old.files if is_certain else taken.files,
            )
            products = known.products if is_certain else None
        is_locked = self._is_locked(key, record)
        return self.verdict(key, record, taken, is_locked=is_locked, products=products)

    def verdict(
        self,
        key: str,
        record: Record | None,
        taken: Fingerprint,
        *,
        is_locked: bool = False,
        products: dict[str, str] | None = None,
    ) -> Fresh | Due:
        """Return the verdict on *key*, whose upstream is complete.

        *is_locked*: another process is visiting it right now. *products*: their digests, None to
        take them now.
        """
        station = self._route[key].station
        has_check, has_find = bool(station.checks), station.find_function is not None
        if products is None:
            products = self.products(key) if station.declaration.products else {}
        if record is not None and record.fingerprint is not None:
            if record.fingerprint.form < FORM:
                record = self._in_this_form(record)
                taken, products = self._in_its_form(key, record, taken, products)
        return judge(
            Facts(
                record=record,
                fingerprint=taken,
                products=products,
                max_age=station.declaration.max_age,
                has_check=has_check,
                has_find=has_find,
                returns_outcome=(has_check or has_find) and self._outcomes.is_expected(station),
                is_replayed=key in self._replayed and not self._was_visited_meanwhile(record),
                required=self._required.get(key, ""),
                is_locked=is_locked,
                now=time.time(),
                secret_for=self._consumers_of_its_secret(key),
                decode_error=self._outcomes.decode_error(key, record),
                elsewhere=self._elsewhere(key, record),
            )
        )

    def _elsewhere(self, key: str, record: Record | None) -> str:
        """Return in words where *key* was visited if it has no *record* here; "" if nowhere."""
        found = self._ledger.elsewhere(key) if record is None else None
        place = self._route[key].station.declaration.place
        return "" if found is None else visited_elsewhere(place, found, time.time())

    def _in_this_form(self, record: Record) -> Record:
        """Return *record* with keyed digests: an earlier form has what they are made of."""
        old, keyed = record.fingerprint, self._keyed
        if old is None or old.form > 2:
            return record
        products, files, env = (keyed.of(each) for each in (record.products, old.files, old.env))
        upstream_products = keyed.of(old.upstream_products)
        has_keyed = bool(products or files or env or upstream_products)
        new = msgspec.structs.replace(
            old,
            files=files,
            env=env,
            upstream_products=upstream_products,
            key=keyed.name if has_keyed else "",
        )
        return record.with_(fingerprint=new, products=products)

    def _in_its_form(
        self, key: str, record: Record, taken: Fingerprint, products: dict[str, str]
    ) -> tuple[Fingerprint, dict[str, str]]:
        """Return the inputs and the products of *key* as *record*, of an earlier form, has them.

        All digests that are keyed now are so in *record* as well.
        """
        instance, old = self._route[key], record.fingerprint
        if old is None:
            return taken, products
        if old.form < 2 and old.upstream != taken.upstream:
            taken = msgspec.structs.replace(taken, upstream=self._upstream(key, old.form)[0])
        if not old.form and old.files != taken.files:
            files = fingerprints.files(instance, with_links=False)
            taken = msgspec.structs.replace(taken, files=self._keyed.of(files))
        if not old.form and record.products != products:
            products = self._keyed.of(fingerprints.products(instance, with_links=False))
        return taken, products

    def _consumers_of_its_secret(self, key: str) -> tuple[str, ...]:
        needed = self._secret_for.get(key, ())
        return needed if needed and self._outcomes.has_lost_secret(key) else ()

    def _was_visited_meanwhile(self, record: Record | None) -> bool:
        # A visit that another process began after this session did counts for it.
        return record is not None and record.is_complete and record.began >= self._began

    def why_due(self, key: str) -> tuple[str, ...]:
        """Return why the recorded outcome of *key* is due; empty if it is not.

        Raises `NoRecord` when there is no complete record of it.
        """
        record = self._ledger.record(key)
        if record is None or not record.is_complete:
            raise NoRecord(self._route[key].name, self.why_incomplete(key))
        try:
            verdict = self.verdict(key, record, self.fingerprint(key, None, record))
        except (ChoochooError, OSError) as error:
            return (str(error),)
        return verdict.texts if isinstance(verdict, Due) else ()

    def why_stale(self, key: str, *, may_change: bool = False) -> tuple[str, ...]:
        """Return why *key*, or anything upstream of it, is due; empty if all are fresh.

        In sessions that visit nothing, each station is judged once; elsewhere it *may change*.
        Raises `NoRecord` when there is no complete record of *key*.
        """
        why_due = self.why_due if may_change else self._why_due_once
        reasons = why_due(key)
        for upstream in self._route.closure(self._route.upstream[key], self._route.upstream):
            try:
                above = why_due(upstream)
            except NoRecord as missing:
                above = (missing.cause,)
            name = self._route[upstream].name
            reasons += tuple(f"upstream {name}: {reason}" for reason in above)
        return reasons

    def why_incomplete(self, key: str) -> str:
        """Return why *key* has no complete record, in words."""
        record = self._ledger.record(key)
        if record is None:
            return self._elsewhere(key, record) or "never visited"
        is_locked = self._is_locked(key, record)
        reason = why_incomplete(record, is_locked=is_locked, now=time.time())
        return "its visit just finished" if reason is None else reason.text

    def _is_locked(self, key: str, record: Record | None) -> bool:
        """Return whether a live process is visiting *key* right now."""
        return record is not None and record.is_visiting and self._ledger.is_locked(key)

    def visit_in_words(self, key: str) -> str:
        """Return in words that a process is visiting *key* right now; empty where none is."""
        record = self._ledger.record(key)
        return self.why_incomplete(key) if self._is_locked(key, record) else ""

    def has_record(self, key: str) -> bool:
        """Return whether *key* was visited or attempted here, and not forgotten since."""
        record = self._ledger.record(key)
        return record is not None and not record.is_forgotten

    def require_fresh(self, key: str, values: Mapping[str, object] | None) -> None:
        """Raise `StationDue` if a run would visit *key* although all its checks pass.

        Without a record only the world counts: then a product that is missing is the only reason.
        """
        record, has_record = self._ledger.record(key), self.has_record(key)
        # Without a record nothing is compared, so upstream needs no record either.
        taken = self.fingerprint(key, values, record) if has_record else Fingerprint()
        verdict = self.verdict(key, record, taken, is_locked=self._is_locked(key, record))
        if isinstance(verdict, Due) and not verdict.check_settles:
            counting = {each.kind for each in verdict.reasons} if has_record else {"product"}
            texts = tuple(each.text for each in verdict.reasons if each.kind in counting)
            if texts:
                raise StationDue(self._route[key].name, texts)

    def needed(self, wanted: Iterable[str], selected: frozenset[str]) -> tuple[str, ...]:
        """Return the stations to run beside *selected*, so that *wanted* consumes nothing stale.

        They are due by their records, or can be judged only in a run, by their checks or by the
        values of fixtures; or they are downstream of such a station.
        """
        above = self._route.closure(wanted, self._route.upstream)
        if selected.issuperset(above):
            return ()
        moving: set[str] = set()
        for key in self._route.order:
            if key in above:
                upstream = self._route.upstream[key]
                if not moving.isdisjoint(upstream) or self._may_move(key):
                    moving.add(key)
        return tuple(key for key in self._route.order if key in moving and key not in selected)

    def _may_move(self, key: str) -> bool:
        """Return whether the outcome of *key* may change in this run, if upstream does not."""
        station = self._route[key].station
        if station.declaration.values or station.checks:
            return True
        return self._is_due(key)

    def _is_due(self, key: str) -> bool:
        try:
            return key in self._replayed or bool(self.why_due(key))
        except NoRecord:
            return True

    def revisits(
        self, wanted: Iterable[str], asking: Callable[[], Mapping[str, Sequence[str]]]
    ) -> dict[str, tuple[str, ...]]:
        """Return the stations whose lost secrets a run of *wanted* needs, with their consumers.

        The consumers are stations that are due, or that a change may reach, and tests and
        checks that always use an outcome: *asking* returns their names by station.
        """
        route = self._route
        above = route.closure(wanted, route.upstream)
        lost = self._outcomes.lost(above)
        if not lost:
            return {}
        asks, below = asking(), route.downstream()
        due = {key for key in above if self._is_due(key)}
        needed: dict[str, tuple[str, ...]] = {}
        while True:  # a visit for a secret may make others due, and they need more secrets
            found = {}
            for key in lost:
                # Leave out stations that only a change of *key* reaches: it is then visited anyway.
                moving = route.closure(due.union(needed) - {key}, {**below, key: ()})
                names = (
                    route.name(each) for each in below[key] if each in moving and each in above
                )
                if users := tuple(dict.fromkeys((*asks.get(key, ()), *names))):
                    found[key] = users
            if found == needed:
                return needed
            needed = found
