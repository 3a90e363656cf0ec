"""Whom a run has to visit again for a secret that was never written down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from pytest_choochoo.railway.errors import NoRecord
from pytest_choochoo.railway.judging import Judging
from pytest_choochoo.railway.route import Route


def revisits(
    route: Route,
    judging: Judging,
    wanted: Iterable[str],
    asking: Callable[[], Mapping[str, Sequence[str]]],
) -> dict[str, tuple[str, ...]]:
    """Return the stations whose lost secrets a run of *wanted* needs, and by name for whom.

    Needed they are by stations that are due, or that a change may reach, and
    by whoever asks for them whatever is due, of whom *asking* returns the names.
    """
    above = route.closure(wanted, route.upstream)
    lost = judging.lost_secrets(above)
    if not lost:
        return {}
    asks, below = asking(), route.downstream()
    due = {key for key in above if _is_due(judging, key)}
    needed: dict[str, tuple[str, ...]] = {}
    while True:  # a visit for its secret may make others due, who need those of others
        found = {}
        for key in lost:
            # What only a change of *key* itself would reach, is reached by its visit.
            moving = route.closure(due.union(needed) - {key}, {**below, key: ()})
            names = (route[each].name for each in below[key] if each in moving and each in above)
            if users := tuple(dict.fromkeys((*asks.get(key, ()), *names))):
                found[key] = users
        if found == needed:
            return needed
        needed = found


def _is_due(judging: Judging, key: str) -> bool:
    try:
        return judging.is_replayed(key) or bool(judging.why_due(key))
    except NoRecord:
        return True
