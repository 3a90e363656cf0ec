"""The workflow that all tools run, and which steps a correct run executes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.projects import edges

WIDTH = 10  # steps in a layer
PAUSE = 0.05  # seconds that a step sleeps where workers are measured


class Situation(StrEnum):
    """The state in which a run finds the workflow."""

    COLD = "cold"
    NO_OP = "no-op"
    ONE_CHANGED = "one changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """Steps by number: *above* has what each one needs, all sleep for *pause* seconds.

    The one in the *middle* needs a file as well.
    """

    above: tuple[tuple[int, ...], ...]
    pause: float = 0

    @property
    def middle(self) -> int:
        return len(self.above) // 2

    def below(self, number: int) -> frozenset[int]:
        """Return *number* and all that needs it, directly or not."""
        found = {number}
        for step, needed in enumerate(self.above):
            if not found.isdisjoint(needed):
                found.add(step)
        return frozenset(found)

    def bound(self, workers: int) -> float:
        """Return the seconds that *workers* need at least."""
        longest: list[int] = []
        for needed in self.above:
            longest.append(1 + max((longest[number] for number in needed), default=0))
        return self.pause * max(*longest, len(self.above) / workers)

    def fault(self, situation: Situation, ran: Sequence[int]) -> str | None:
        """Return what is wrong with the steps that *ran*, in that order, or None."""
        if len(set(ran)) < len(ran):
            return "a step ran twice"
        place = {number: index for index, number in enumerate(ran)}
        for number, index in place.items():
            if any(place.get(needed, -1) > index for needed in self.above[number]):
                return f"step {number} ran before one that it needs"
        every, none = frozenset(range(len(self.above))), frozenset[int]()
        least, most = {
            Situation.COLD: (every, every),
            Situation.NO_OP: (none, none),
            Situation.ONE_CHANGED: (frozenset({self.middle}), self.below(self.middle)),
        }[situation]
        return None if least <= place.keys() <= most else f"{len(ran)} steps ran: {sorted(ran)}"


def workflow(shape: str, count: int, pause: float = 0) -> Workflow:
    """Return a workflow of *count* steps that stand in *shape*."""
    return Workflow(above=edges(shape, count, WIDTH), pause=pause)
