"""Records of stations whose names, or those of what they consumed, have changed."""

from __future__ import annotations

from pytest_choochoo.engine.ledger.names import NewCode, NewNames, renamed
from pytest_choochoo.engine.ledger.record import Fingerprint, Record

RECORD = Record(
    status="complete",
    since=1.0,
    outcome="1",
    products={"old.txt": "p"},
    fingerprint=Fingerprint(
        upstream={"boil": "u1", "shop": "u2"},
        upstream_products={"pot.txt of boil": "u3"},
        renewals={"boil": "r"},
        files={"a/in.txt": "f"},
        parameters={"boil": "untouched"},
        code={"a.py::boil": "c1 c2", "a.py::helper": "c3"},
        form=3,
    ),
)


def _taken(record: Record) -> Fingerprint:
    assert record.fingerprint is not None
    return record.fingerprint


def test_each_kind_of_name_is_replaced() -> None:
    """Digests stay, under the names of now; parameters have their own names."""
    names = NewNames(
        upstream={"boil": "heat"},
        upstream_products={"pot.txt of boil": "pot.txt of heat"},
        renewals={"boil": "heat"},
        files={"a/in.txt": "in.txt"},
        products={"old.txt": "../old.txt"},
    )

    record = renamed(RECORD, names)

    assert record.products == {"../old.txt": "p"}
    assert _taken(record) == Fingerprint(
        upstream={"heat": "u1", "shop": "u2"},
        upstream_products={"pot.txt of heat": "u3"},
        renewals={"heat": "r"},
        files={"in.txt": "f"},
        parameters={"boil": "untouched"},
        code={"a.py::boil": "c1 c2", "a.py::helper": "c3"},
        form=3,
    )


def test_name_in_use_is_not_taken() -> None:
    """An outcome consumed under the new name already is never replaced."""
    record = renamed(RECORD, NewNames(upstream={"boil": "shop"}))

    assert _taken(record).upstream == {"boil": "u1", "shop": "u2"}


def test_same_code_has_its_digest_of_now() -> None:
    """A digest that is among the equal ones becomes that of now, under the name of now."""
    names = NewNames(code={"a.py::boil": NewCode("b.py::heat", "n1 n2", ("n1", "n2", "c2"))})

    assert _taken(renamed(RECORD, names)).code == {"a.py::helper": "c3", "b.py::heat": "n1 n2"}


def test_other_code_keeps_its_digest() -> None:
    """Code that has changed as well is found to have changed, under the name of now."""
    names = NewNames(code={"a.py::boil": NewCode("a.py::heat", "n1", ("n1", "n2"))})

    assert _taken(renamed(RECORD, names)).code == {"a.py::heat": "c1 c2", "a.py::helper": "c3"}


def test_record_of_now_stays_as_it_is() -> None:
    """To rename a second time changes nothing, so that a repeated move does no harm."""
    names = NewNames(
        upstream={"boil": "heat"},
        code={"a.py::boil": NewCode("a.py::heat", "n1", ("n1", "c1"))},
    )
    once = renamed(RECORD, names)

    assert renamed(once, names) == once


def test_record_without_a_fingerprint_stays() -> None:
    """A first visit that failed has consumed nothing."""
    record = Record(status="failed", since=1.0)

    assert renamed(record, NewNames(upstream={"boil": "heat"})) == record
