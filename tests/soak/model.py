"""The correct result of any command after any history: the rules again, as briefly as possible.

Nothing here is taken from the package. `test_model.py` compares the two.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from typing import NamedTuple

GOOD = {"visited", "unchanged", "verified", "adopted"}


@dataclass
class Step:
    """A station: how it is declared, its inputs, and what its visit and its clean would do."""

    name: str
    place: str = "here"
    above: tuple[str, ...] = ()
    has_check: bool = False
    has_clean: bool = False
    has_product: bool = False
    has_outcome: bool = False
    renews: bool = False
    code: int = 0
    file: int = 0
    fails: bool = False
    is_idle: bool = False  # its visit does not reach the state that its check wants
    returns: int = 0
    makes: int = 1  # the content of its product; 0: its visit makes none
    clean_fails: bool = False
    is_stuck: bool = False  # its clean does not undo what its check sees


class Here(NamedTuple):
    """The place of a command: a checkout on a machine."""

    checkout: int
    machine: str


class Inputs(NamedTuple):
    """The inputs that a visit consumes; upstream stations without an outcome and a product leave no trace."""

    file: int
    outcomes: dict[str, int | None]
    products: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Record:
    """The memory of a station in one place.

    *inputs*: those of the last visit that returned, or with which a check was believed since;
    None if there is none. *renewal*: the last visit that began, where the station renews.
    *for_cleans*: the last outcome, which only cleans may know.
    """

    status: str = ""
    outcome: int | None = None
    inputs: Inputs | None = None
    code: int = 0
    product: int = 0
    renewal: int = 0
    consumed_renewals: frozenset[int] = frozenset()
    for_cleans: int | None = None


Records = dict[tuple[object, ...], Record]


@dataclass
class Model:
    """All stations, what is remembered of them, and the state of the world.

    *ledgers*: by checkout; one that is shared is the same for both. *done*: what exists of the
    work of stations, where that lives. *products*: their content by station and checkout.
    """

    steps: dict[str, Step]
    ledgers: dict[int, Records]
    done: set[tuple[object, ...]] = field(default_factory=set)
    products: dict[tuple[str, int], int] = field(default_factory=dict)
    visits: int = 0
    log: list[str] = field(default_factory=list)

    def copied(self, old: int, new: int, *, with_ledger: bool) -> None:
        """Copy a checkout: its files, and its ledger where that lies in it."""
        self.ledgers[new] = copy(self.ledgers[old]) if with_ledger else self.ledgers[old]
        for step in self.steps.values():
            if step.place == "here" and (step.name, old) in self.done:
                self.done.add((step.name, new))
            if (step.name, old) in self.products:
                self.products[step.name, new] = self.products[step.name, old]

    def above(self, names: Collection[str]) -> set[str]:
        """Return *names*, and all stations upstream of them."""
        found = set(names)
        for step in reversed(self.steps.values()):
            if step.name in found:
                found.update(step.above)
        return found

    def below(self, names: Collection[str]) -> set[str]:
        """Return *names*, and all stations downstream of them."""
        found = set(names)
        for step in self.steps.values():
            if not found.isdisjoint(step.above):
                found.add(step.name)
        return found

    def _upstream(self, step: Step) -> Iterator[Step]:
        return (self.steps[name] for name in self.steps if name in step.above)

    def key(self, step: Step, here: Here) -> tuple[object, ...]:
        """Return under what the record is kept that counts for *step* in the place *here*."""
        places = {"here": here, "host": (here.machine,), "anywhere": ()}
        return (step.name, *places[step.place])

    def effect(self, step: Step, here: Here) -> tuple[object, ...]:
        """Return what is in `done` where the work of *step* is done."""
        places = {"here": (here.checkout,), "host": (here.machine,), "anywhere": ()}
        return (step.name, *places[step.place])

    def record(self, step: Step, here: Here) -> Record:
        return self.ledgers[here.checkout].get(self.key(step, here), Record())

    def _put(self, step: Step, here: Here, record: Record) -> None:
        self.ledgers[here.checkout][self.key(step, here)] = record

    # --- runs

    def run(
        self, here: Here, selected: Collection[str], replayed: Collection[str] = ()
    ) -> dict[str, str]:
        """Return the result of each of the *selected* stations and of all that they need."""
        results: dict[str, str] = {}
        needed = self.above(selected)
        for step in self.steps.values():
            if step.name in needed:
                is_blocked = any(results[name] not in GOOD for name in step.above)
                is_replayed = step.name in replayed
                results[step.name] = "blocked" if is_blocked else self._go(step, here, is_replayed)
        return results

    def _go(self, step: Step, here: Here, is_replayed: bool) -> str:
        record, inputs = self.record(step, here), self._inputs(step, here)
        renewals = self._renewals(step, here)
        is_complete, was_visited = record.status == "complete", record.inputs is not None
        must_visit = is_replayed or self._is_changed(step, here)
        is_known = was_visited or not step.has_outcome
        if step.has_check and not must_visit and is_known:
            if self.effect(step, here) in self.done:
                known = replace(record, status="complete", for_cleans=None, code=step.code)
                known = replace(known, inputs=inputs, consumed_renewals=renewals)
                self._put(step, here, replace(known, product=self._product(step, here)))
                return "unchanged" if is_complete else "adopted"
        elif not must_visit and is_complete and record.code == step.code:
            return "unchanged"
        return self._visit(step, here, inputs, renewals)

    def _is_changed(self, step: Step, here: Here) -> bool:
        """Return whether something changed that no check can see."""
        record, product = self.record(step, here), self._product(step, here)
        if step.has_product and not product:
            return True
        return record.inputs is not None and (
            self._inputs(step, here) != record.inputs
            or product != record.product
            or not self._renewals(step, here) <= record.consumed_renewals
        )

    def _product(self, step: Step, here: Here) -> int:
        return self.products.get((step.name, here.checkout), 0)

    def _visit(self, step: Step, here: Here, inputs: Inputs, renewals: frozenset[int]) -> str:
        self.log.append(f"visit {step.name}")
        self.visits += 1
        record = replace(self.record(step, here), renewal=self.visits if step.renews else 0)
        if step.fails:
            self._put(step, here, replace(record, status="failed"))
            return "failed"
        if not step.is_idle:
            self.done.add(self.effect(step, here))
        if step.has_product:
            self.products[step.name, here.checkout] = step.makes
        is_right = not step.has_check or self.effect(step, here) in self.done
        is_right = is_right and (not step.has_product or bool(step.makes))
        record = Record(
            status="complete" if is_right else "failed",
            outcome=step.returns if step.has_outcome else None,
            inputs=inputs,
            code=step.code,
            product=step.makes if step.has_product else 0,
            renewal=record.renewal,
            consumed_renewals=renewals,
        )
        self._put(step, here, record)
        return "visited" if is_right else "failed"

    def _inputs(self, step: Step, here: Here) -> Inputs:
        above = [(each, self.record(each, here)) for each in self._upstream(step)]
        return Inputs(
            step.file,
            {each.name: record.outcome for each, record in above if each.has_outcome},
            {each.name: record.product for each, record in above if each.has_product},
        )

    def _renewals(self, step: Step, here: Here) -> frozenset[int]:
        """Return the last visit of each station upstream that renews, at any depth."""
        names = self.above([step.name]) - {step.name}
        visits = (self.record(self.steps[name], here).renewal for name in names)
        return frozenset(visits) - {0}

    def verified(self, here: Here) -> dict[str, str]:
        """Return the results of a verification, for complete stations below complete ones."""
        results: dict[str, str] = {}
        for step in self.steps.values():
            needed = [self.steps[name] for name in self.above([step.name])]
            if any(self.record(each, here).status != "complete" for each in needed):
                continue
            # A product of theirs may be an input file, which is no longer as it was consumed.
            others = (each for each in needed if each is not step)
            if any(self._product(each, here) != self.record(each, here).product for each in others):
                continue
            is_there = self.effect(step, here) in self.done
            is_right = is_there if step.has_check else self.record(step, here).code == step.code
            is_right = is_right and not self._is_changed(step, here)
            results[step.name] = "verified" if is_right else "failed"
        return results

    def tests(self, here: Here, results: dict[str, str]) -> list[str]:
        """Return what tests see of stations with these *results*: their recorded outcomes."""
        good = (self.steps[name] for name, result in results.items() if result in GOOD)
        return [f"test {step.name} {self.record(step, here).outcome}" for step in good]

    def plain(self, here: Here) -> dict[str, str]:
        """Return which stations are complete, as tests see them without a run."""
        steps = self.steps.values()
        complete = [step for step in steps if self.record(step, here).status == "complete"]
        return {step.name: "unchanged" for step in complete}

    # --- cleans, and forgetting

    def clean(self, here: Here, selected: Collection[str], by_id: bool) -> dict[str, str]:
        """Return the result of each station that a clean of the *selected* ones takes.

        *by_id*: they are named by node ids, so that checks count for those not made here.
        """
        results: dict[str, str] = {}
        kept: set[str] = set()
        for step in reversed(self.steps.values()):
            if step.name not in self.below(selected):
                continue
            is_unmade = not self._is_made(step, here)
            if is_unmade and not (by_id and step.has_check and step.name in selected):
                continue
            if step.name in kept:
                results[step.name] = "blocked"
            elif is_unmade and self.effect(step, here) not in self.done:
                results[step.name] = "skipped"
            elif not step.has_clean:
                results[step.name] = "left in place"
            else:
                results[step.name] = self._clean(step, here)
            if results[step.name] == "failed":
                kept |= self.above([step.name])
        for name, result in results.items():
            if result == "left in place":
                results[name] = self._leave(self.steps[name], here, results)
        return results

    def _is_made(self, step: Step, here: Here) -> bool:
        status = self.record(step, here).status
        return step.has_clean if status == "left in place" else status not in {"", "cleaned"}

    def _clean(self, step: Step, here: Here) -> str:
        record = self.record(step, here)
        known = record.for_cleans if record.outcome is None else record.outcome
        self.log.append(f"clean {step.name} {known}")
        if step.clean_fails:
            return "failed"
        self.products.pop((step.name, here.checkout), None)
        if not step.is_stuck:
            self.done.discard(self.effect(step, here))
        if step.has_check and self.effect(step, here) in self.done:
            return "failed"
        self._put(step, here, Record(status="cleaned", renewal=record.renewal))
        return "cleaned"

    def _leave(self, step: Step, here: Here, results: dict[str, str]) -> str:
        """Forget a station that has no clean; if its check says so, it went with its upstream."""
        above = self.above([step.name])
        with_clean = (name for name in above if self.steps[name].has_clean)
        has_gone = step.has_check and self.effect(step, here) not in self.done
        if has_gone and any(results.get(name) == "cleaned" for name in with_clean):
            renewal = self.record(step, here).renewal
            self._put(step, here, Record(status="cleaned", renewal=renewal))
            return "cleaned"
        self._forget(self.key(step, here), here, "left in place")
        return "left in place"

    def forget(self, here: Here, names: Collection[str]) -> None:
        for name in names:
            self._forget(self.key(self.steps[name], here), here)

    def clear(self, here: Here) -> None:
        """Forget all in the ledger of a checkout, of whatever place."""
        for key in self.ledgers[here.checkout]:
            self._forget(key, here)

    def _forget(self, key: tuple[object, ...], here: Here, status: str = "forgotten") -> None:
        """Let a record serve cleans only: what was made is still there."""
        record = self.ledgers[here.checkout].get(key)
        if record is None or record.status in {"cleaned", "left in place"}:
            return
        known = record.for_cleans if record.outcome is None else record.outcome
        left = Record(status=status, renewal=record.renewal, for_cleans=known)
        self.ledgers[here.checkout][key] = left
