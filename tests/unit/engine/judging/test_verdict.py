"""The verdict on a station: a table, and the reasons."""

from __future__ import annotations

from collections.abc import Mapping
from time import localtime, strftime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pytest_choochoo.engine.judging.verdict import (
    Due,
    Facts,
    Fresh,
    Reason,
    changes,
    judge,
)
from pytest_choochoo.engine.ledger.record import FORM, Fingerprint, Record
from pytest_choochoo.engine.outcomes.codec import NOTHING

NOW = 1_000_000.0
BEFORE = Fingerprint(
    upstream={"grind": "1"},
    upstream_products={"flour of grind": "1"},
    files={"water.txt": "1"},
    env={"HEAT": "1"},
    values={"kettle": "1"},
    parameters={"degrees": "1"},
    code={"stations.py::boil": "1"},
    hints={"parameter degrees": "90", "value kettle": "'blue'"},
    form=FORM,
)


def _now(**changed: Mapping[str, str] | int | None) -> Fingerprint:
    facts = {name: getattr(BEFORE, name) for name in Fingerprint.__struct_fields__}
    return Fingerprint(**{**facts, **changed})


def _complete(**facts: Any) -> Record:
    complete = Record(
        status="complete",
        since=NOW - 60,
        fingerprint=BEFORE,
        outcome="null",
        products={"steam": "1"},
        visited=NOW - 60,
    )
    return complete.with_(**facts)


def _facts(**facts: Any) -> Facts:
    known = {
        "record": _complete(),
        "fingerprint": BEFORE,
        "products": {"steam": "1"},
        "max_age": None,
        "has_check": False,
        "returns_outcome": False,
        "is_replayed": False,
        "is_locked": False,
        "now": NOW,
    }
    return Facts(**{**known, **facts})


NEVER_RETURNED: dict[str, Any] = {
    "fingerprint": None,
    "outcome": None,
    "products": {},
    "visited": 0.0,
}
# The situation, and its verdict if there is a check: the second column of the
# table in the design, in which "settles" stands for "check passes → not visited".
TABLE: dict[str, tuple[dict[str, Any], str]] = {
    "selected by --cc-replay": ({"is_replayed": True}, "visit"),
    "no record": ({"record": None}, "settles"),
    "last visit failed": ({"record": _complete(status="failed", error="boom")}, "settles"),
    "last visit failed, the first": (
        {"record": _complete(status="failed", **NEVER_RETURNED)},
        "settles",
    ),
    "last visit interrupted": ({"record": _complete(status="interrupted")}, "settles"),
    "last visit killed": ({"record": _complete(status="visiting", pid=7)}, "settles"),
    "record unreadable": (
        {"record": Record(status="unreadable", since=0.0, error="x")},
        "settles",
    ),
    "upstream outcome changed": ({"fingerprint": _now(upstream={"grind": "2"})}, "visit"),
    "upstream added": ({"fingerprint": _now(upstream={"grind": "1", "fill": "1"})}, "visit"),
    "upstream removed": ({"fingerprint": _now(upstream={})}, "visit"),
    "upstream product changed": (
        {"fingerprint": _now(upstream_products={"flour of grind": "2"})},
        "visit",
    ),
    "upstream renewed": ({"fingerprint": _now(renewals={"plough": "1"})}, "visit"),
    "upstream renewed again": (
        {
            "record": _complete(fingerprint=_now(renewals={"plough": "1"})),
            "fingerprint": _now(renewals={"plough": "2"}),
        },
        "visit",
    ),
    "upstream renewed, and a record of form 0": (
        {
            "record": _complete(fingerprint=_now(form=0)),
            "fingerprint": _now(renewals={"plough": "1"}),
        },
        "visit",
    ),
    "upstream not renewed again": (
        {"record": _complete(fingerprint=_now(renewals={"plough": "1"}))},
        "fresh",
    ),
    "upstream product removed": ({"fingerprint": _now(upstream_products={})}, "visit"),
    "upstream product, and a record of form 0": (
        {"record": _complete(fingerprint=_now(upstream_products={}, form=0))},
        "fresh",
    ),
    "file changed": ({"fingerprint": _now(files={"water.txt": "2"})}, "visit"),
    "env changed": ({"fingerprint": _now(env={"HEAT": ""})}, "visit"),
    "value changed": ({"fingerprint": _now(values={"kettle": "2"})}, "visit"),
    "parameter changed": ({"fingerprint": _now(parameters={"degrees": "2"})}, "visit"),
    "product missing": ({"products": {"steam": ""}}, "visit"),
    "product changed": ({"products": {"steam": "2"}}, "visit"),
    "max_age over": ({"max_age": 59.0}, "visit"),
    "visited in the future": ({"record": _complete(visited=NOW + 301), "max_age": 1e9}, "visit"),
    "secret needed": ({"secret_for": ("pour",)}, "visit"),
    "outcome does not fit": ({"decode_error": "Expected `int`"}, "visit"),
    "secret needed after a failure": (
        {"record": _complete(status="failed"), "secret_for": ("pour",)},
        "visit",
    ),
    "only the code changed": ({"fingerprint": _now(code={})}, "settles"),
    "code changed after a failure": (
        {"record": _complete(status="failed"), "fingerprint": _now(code={})},
        "settles",
    ),
    "file changed after a failure": (
        {"record": _complete(status="failed"), "fingerprint": _now(files={})},
        "visit",
    ),
    "nothing changed": ({}, "fresh"),
    "max_age not over": ({"max_age": 60.0}, "fresh"),
    "visited a moment in the future": (
        {"record": _complete(visited=NOW + 299), "max_age": 0.0},
        "fresh",
    ),
    "visited in the future, without an age": ({"record": _complete(visited=NOW + 1e9)}, "fresh"),
    "values not looked at": ({"fingerprint": _now(values=None)}, "fresh"),
    "product no longer declared": ({"products": {}}, "fresh"),
}
every_situation = pytest.mark.parametrize(("facts", "answer"), TABLE.values(), ids=list(TABLE))


@every_situation
def test_check_may_settle(facts: dict[str, Any], answer: str) -> None:
    """With a check, a station is visited only for reasons that the check cannot see."""
    verdict = judge(_facts(has_check=True, **facts))

    assert (isinstance(verdict, Fresh), isinstance(verdict, Due) and verdict.check_settles) == (
        answer == "fresh",
        answer == "settles",
    )


@every_situation
def test_without_check_any_change_is_a_visit(facts: dict[str, Any], answer: str) -> None:
    """Without a check, a station is visited unless nothing changed."""
    verdict = judge(_facts(has_check=False, **facts))

    assert (isinstance(verdict, Fresh), isinstance(verdict, Due) and verdict.check_settles) == (
        answer == "fresh",
        False,
    )


@pytest.mark.parametrize(
    ("record", "settles"),
    [
        pytest.param(None, False, id="no record"),
        pytest.param(Record(status="failed", since=0.0), False, id="never returned"),
        pytest.param(Record(status="unreadable", since=0.0), False, id="unreadable"),
        pytest.param(_complete(status="failed"), True, id="returned once"),
    ],
)
def test_unknown_outcome_is_not_adopted(record: Record | None, settles: bool) -> None:
    """A station that returns something is adopted only if its outcome is known."""
    verdict = judge(_facts(record=record, has_check=True, returns_outcome=True))

    assert isinstance(verdict, Due)
    assert verdict.check_settles is settles
    unknown = "its outcome is unknown: checks cannot restore it"
    assert (unknown in verdict.texts) is (not settles and record is not None)


@pytest.mark.parametrize("status", ["failed", "interrupted"])
@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"is_replayed": True}, id="replayed"),
        pytest.param({"fingerprint": _now(env={"HEAT": "2"})}, id="input-changed"),
        pytest.param({"products": {"steam": ""}}, id="product-missing"),
        pytest.param({"max_age": 1.0}, id="too-old"),
    ],
)
def test_visit_wins_where_several_rows_apply(status: str, more: dict[str, Any]) -> None:
    """A check settles a visit that failed only if nothing else calls for a visit."""
    facts = {"record": _complete(status=status), "has_check": True, "returns_outcome": True}
    alone, together = judge(_facts(**facts)), judge(_facts(**facts | more))

    assert isinstance(alone, Due) and alone.check_settles
    assert isinstance(together, Due) and not together.check_settles
    assert len(together.reasons) == 2


@pytest.mark.parametrize(
    "record", [None, Record(status="failed", since=NOW)], ids=["none", "failed"]
)
def test_check_does_not_hide_a_missing_product(record: Record | None) -> None:
    """A station that no visit has completed is visited where its product is missing."""
    verdict = judge(_facts(record=record, has_check=True, products={"steam": "1", "foam": ""}))

    assert isinstance(verdict, Due)
    assert not verdict.check_settles
    assert verdict.texts[1:] == ("product foam is missing",)


def test_reasons_accumulate() -> None:
    """Every reason is given, with the old and the new value if they may be shown."""
    verdict = judge(
        _facts(
            is_replayed=True,
            record=_complete(status="failed", error="RuntimeError: boom", since=NOW - 180),
            fingerprint=Fingerprint(
                upstream={"grind": "2"},
                upstream_products={"flour of grind": "2"},
                files={"sugar.txt": "1"},
                env={"HEAT": "2"},
                values={"kettle": "2"},
                parameters={"degrees": "2"},
                code={"stations.py::boil": "2", "stations.py::help": "1"},
                hints={"parameter degrees": "100", "value kettle": "'red'"},
            ),
            products={"steam": "2", "foam": "", "cup": "1"},
            max_age=30.0,
        )
    )

    assert isinstance(verdict, Due)
    assert verdict.reasons == (
        Reason("replay", "selected by --cc-replay"),
        Reason("last visit", "last visit failed 3 min ago: RuntimeError: boom"),
        Reason("input", "outcome of grind changed"),
        Reason("input", "product flour of grind changed"),
        Reason("input", "file sugar.txt added"),
        Reason("input", "file water.txt removed"),
        Reason("input", "env HEAT changed"),
        Reason("input", "parameter degrees changed: 90 -> 100"),
        Reason("input", "value kettle changed: 'blue' -> 'red'"),
        Reason("code", "code of stations.py::boil changed"),
        Reason("code", "code of stations.py::help added"),
        Reason("product", "product steam changed"),
        Reason("product", "product foam is missing"),
        Reason("product", "product cup added"),
        Reason("age", "visited 1 min ago, max_age is 30 s"),
    )


@pytest.mark.parametrize(
    ("record", "text"),
    [
        pytest.param(None, "first visit", id="none"),
        pytest.param(
            Record(status="forgotten", since=NOW - 180), "forgotten 3 min ago", id="forgotten"
        ),
        pytest.param(
            Record(status="left in place", since=NOW - 180), "forgotten 3 min ago", id="left"
        ),
        pytest.param(Record(status="cleaned", since=NOW - 180), "cleaned 3 min ago", id="cleaned"),
        pytest.param(
            Record(status="unreadable", since=0.0, error="JSON is malformed"),
            "record unreadable: JSON is malformed",
            id="unreadable",
        ),
        pytest.param(
            Record(status="visiting", since=NOW - 12, pid=7, host="kitchen"),
            "last visit was interrupted, begun 12 s ago by process 7 on kitchen",
            id="killed",
        ),
        pytest.param(
            Record(status="interrupted", since=NOW - 7200, pid=7, host="kitchen"),
            "last visit was interrupted 2 h ago, in process 7 on kitchen",
            id="interrupted",
        ),
    ],
)
def test_reason_is_taken_from_the_record(record: Record | None, text: str) -> None:
    """The last attempt in the record is the reason, in words."""
    verdict = judge(_facts(record=record))

    assert isinstance(verdict, Due)
    assert verdict.texts == (text,)


def test_reason_shows_a_visit_in_the_future() -> None:
    """A visit from the future, made while the clock was wrong, is over its age and says so."""
    verdict = judge(_facts(record=_complete(visited=NOW + 86400 * 400), max_age=60.0))

    assert isinstance(verdict, Due)
    assert verdict.texts == ("visited 400 d in the future, max_age is 1 min",)


@pytest.mark.parametrize(
    ("pid", "visitor"),
    [
        pytest.param(7, f"process 7 on kitchen (since {strftime('%H:%M:%S', localtime(NOW))})"),
        pytest.param(0, "another process"),
    ],
    ids=["known", "unknown"],
)
def test_reason_names_the_visiting_process(pid: int, visitor: str) -> None:
    """A visit whose process holds the lock was not interrupted: it is under way."""
    record = Record(status="visiting", since=NOW, pid=pid, host="kitchen")

    verdict = judge(_facts(record=record, is_locked=True))

    assert isinstance(verdict, Due)
    assert verdict.texts == (f"it is being visited right now by {visitor}",)


@pytest.mark.parametrize(
    ("old", "new", "texts"),
    [
        pytest.param({"A": ""}, {"A": "1"}, ["env A added"], id="set"),
        pytest.param({"A": "1"}, {"A": ""}, ["env A removed"], id="unset"),
        pytest.param({}, {"A": ""}, ["env A added"], id="declared while not set"),
        pytest.param({"A": ""}, {}, ["env A removed"], id="no longer declared"),
        pytest.param({"A": "1"}, {"B": "1"}, ["env A removed", "env B added"], id="another"),
        pytest.param({"A": "", "B": "1"}, {"B": "1", "A": ""}, [], id="another order"),
    ],
)
def test_change_is_named(old: dict[str, str], new: dict[str, str], texts: list[str]) -> None:
    """An input is added, changed or removed, and its value is not shown."""
    found = changes(Fingerprint(env=old), Fingerprint(env=new))

    assert [reason.text for reason in found] == texts


@pytest.mark.parametrize(
    ("old", "new", "texts"),
    [
        pytest.param({"version": "1"}, {"version": "2"}, ["version changed: 1 -> 2"], id="another"),
        pytest.param({"x.py::a": "1"}, {"version": "1"}, ["version added"], id="instead of code"),
        pytest.param({"version": "1"}, {"x.py::a": "1"}, ["version removed"], id="code again"),
        pytest.param({"version": "1"}, {"version": "1"}, [], id="same"),
    ],
)
def test_version_stands_for_code(
    old: dict[str, str], new: dict[str, str], texts: list[str]
) -> None:
    """A version, if declared, is named instead of the code."""
    found = changes(Fingerprint(code=old), Fingerprint(code=new))

    assert [(reason.kind, reason.text) for reason in found] == [("code", text) for text in texts]


@pytest.mark.parametrize(
    ("old", "new", "texts"),
    [
        pytest.param({"a": NOTHING}, {}, [], id="order only"),
        pytest.param({"a": NOTHING, "b": "1"}, {"b": "1"}, [], id="beside another"),
        pytest.param({"a": NOTHING}, {"a": NOTHING}, [], id="returned nothing, again"),
        pytest.param({"a": NOTHING}, {"a": "1"}, ["outcome of a changed"], id="returns something"),
        pytest.param({"a": "1"}, {}, ["outcome of a removed"], id="returned something"),
    ],
)
def test_form_0_has_stations_that_return_nothing(
    old: dict[str, str], new: dict[str, str], texts: list[str]
) -> None:
    """The digest that older versions recorded of an upstream station for order only is no change."""
    found = changes(Fingerprint(upstream=old), Fingerprint(upstream=new, form=FORM))

    assert [reason.text for reason in found] == texts


def test_outcome_none_that_is_removed_is_a_change() -> None:
    """A station that could return something, and returned None, was an input."""
    old = Fingerprint(upstream={"a": NOTHING}, form=FORM)

    texts = [reason.text for reason in changes(old, Fingerprint(form=FORM))]

    assert texts == ["outcome of a removed"]


KEY_LOST = "its env, files and products cannot be compared: the key of the ledger was lost"


@pytest.mark.parametrize(
    ("new", "texts"),
    [
        pytest.param({}, [], id="same key"),
        pytest.param({"key": "other", "env": {"HEAT": "2"}}, [KEY_LOST], id="another"),
        pytest.param({"key": "none", "files": {"water.txt": "2"}}, [KEY_LOST], id="none"),
        pytest.param(
            {"key": "other", "files": {"tea.txt": "2"}, "env": {"HEAT": ""}},
            [KEY_LOST, "file tea.txt added", "file water.txt removed", "env HEAT removed"],
            id="added and removed",
        ),
        pytest.param(
            {"key": "other", "upstream": {"grind": "2"}},
            [KEY_LOST, "outcome of grind changed"],
            id="without a key",
        ),
        pytest.param(
            {"key": "", "files": {}, "env": {}, "upstream_products": {}},
            ["product flour of grind removed", "file water.txt removed", "env HEAT removed"],
            id="nothing keyed now",
        ),
    ],
)
def test_digests_of_two_keys_are_not_compared(new: dict[str, Any], texts: list[str]) -> None:
    """If the key was lost, that is the reason, and only what came or went is named beside it."""
    old = replace(BEFORE, key="key")

    found = list(changes(old, replace(old, **new)))

    assert [reason.text for reason in found] == texts
    assert {reason.kind for reason in found} <= {"input"}


def test_products_of_two_keys_are_not_compared() -> None:
    """If the key was lost, a product that is missing is still named."""
    record = _complete(
        fingerprint=Fingerprint(key="key", form=FORM), products={"steam": "1", "tea": "1"}
    )
    new = Fingerprint(key="other", form=FORM)

    verdict = judge(_facts(record=record, fingerprint=new, products={"steam": "2", "tea": ""}))

    assert isinstance(verdict, Due)
    assert verdict.texts == (KEY_LOST, "product tea is missing")


def test_inputs_that_were_not_there_before_need_no_key() -> None:
    """A record without anything that is keyed is compared, whatever the key is now."""
    old, new = Fingerprint(form=FORM), Fingerprint(env={"HEAT": "1"}, key="key", form=FORM)

    assert [reason.text for reason in changes(old, new)] == ["env HEAT added"]


def test_equal_hints_are_not_shown() -> None:
    """If the old and the new value look the same, nothing is shown."""
    old = Fingerprint(parameters={"a": "1"}, hints={"parameter a": "long..."})
    new = Fingerprint(parameters={"a": "2"}, hints={"parameter a": "long..."})

    assert [reason.text for reason in changes(old, new)] == ["parameter a changed"]


digests = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["", "1", "2"]))
fingerprints = st.builds(
    Fingerprint,
    upstream=digests,
    upstream_products=digests,
    files=digests,
    env=digests,
    values=st.none() | digests,
    parameters=digests,
    code=digests,
    form=st.just(FORM),
)


@given(fingerprints, fingerprints)
def test_any_difference_is_a_reason(old: Fingerprint, new: Fingerprint) -> None:
    """There is a reason if and only if an input differs."""
    found = list(changes(old, new))

    looked_at = [name for name in Fingerprint.__struct_fields__ if name not in {"hints", "form"}]
    if new.values is None:
        looked_at.remove("values")
    pairs = [(getattr(old, name) or {}, getattr(new, name) or {}) for name in looked_at]
    assert bool(found) is any(was != is_now for was, is_now in pairs)


@pytest.mark.parametrize(
    ("names", "subject"),
    [
        (("pour",), "pour needs"),
        (("pour", "serve"), "pour and serve need"),
        (("pour", "serve", "drink"), "pour, serve and drink need"),
        (("pour", "serve", "drink", "test_tea"), "pour, serve and 2 others need"),
    ],
    ids=range(1, 5),
)
def test_reason_names_the_consumers_of_a_secret(names: tuple[str, ...], subject: str) -> None:
    """The reason of a visit for a secret names the first few of its consumers."""
    assert judge(_facts(has_check=True, secret_for=names)) == Due(
        reasons=(Reason("secret", f"its outcome has a secret, which {subject}"),),
        check_settles=False,
    )


@pytest.mark.parametrize(
    ("facts", "asks", "settles"),
    [
        pytest.param({"record": None, "products": {}}, True, True, id="no record"),
        pytest.param(
            {"record": Record(status="failed", since=NOW), "products": {}}, True, True, id="failed"
        ),
        pytest.param({"record": _complete(status="failed")}, False, False, id="returned once"),
        pytest.param({"fingerprint": _now(env={"HEAT": "2"})}, True, False, id="input changed"),
        pytest.param({"record": None, "products": {"steam": ""}}, True, False, id="no product"),
        pytest.param({"secret_for": ("station pour",)}, True, True, id="secret lost"),
        pytest.param({"decode_error": "it does not fit"}, True, True, id="unreadable"),
        pytest.param({"is_replayed": True}, False, False, id="replayed"),
        pytest.param(
            {"record": None, "products": {}, "is_replayed": True}, True, False, id="replayed first"
        ),
    ],
)
def test_find_is_asked_where_the_outcome_is_unknown(
    facts: dict[str, Any], asks: bool, settles: bool
) -> None:
    """It settles what a check would, and restores outcomes; a visit wins over it."""
    verdict = judge(_facts(has_find=True, returns_outcome=True, **facts))

    assert isinstance(verdict, Due)
    assert (verdict.asks_find, verdict.check_settles) == (asks, settles)
    assert "its outcome is unknown: checks cannot restore it" not in verdict.texts


def test_find_is_not_asked_of_what_is_fresh() -> None:
    """The record knows the outcome."""
    assert judge(_facts(has_find=True, returns_outcome=True)) == Fresh()
