"""Stations that were renamed, and take over what is recorded, over a ledger in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from pytest_choochoo import Station
from pytest_choochoo.engine.code.reach import CodeReader
from pytest_choochoo.engine.digest import KeyedDigests
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.judging.takeover import take_over
from pytest_choochoo.engine.judging.verdict import Due
from pytest_choochoo.engine.ledger.protocol import HeldLock
from pytest_choochoo.engine.ledger.record import Record
from pytest_choochoo.engine.outcomes.codec import Codec
from pytest_choochoo.engine.outcomes.outcomes import Outcomes
from pytest_choochoo.engine.route import Route, StationInstance
from unit.memory_ledger import MemoryLedger

NO_CODEC = Codec(encode=lambda value: None, decode=lambda kind, plain: None)


class Checkout:
    """A project in *folder* as it is at one time, over a ledger that lasts.

    *files*: the text of each; the stations in them need those that their parameters name, in
    the same file first.
    """

    def __init__(self, folder: Path, ledger: MemoryLedger, files: Mapping[str, str]) -> None:
        self.ledger = ledger
        stops: dict[str, StationInstance] = {}
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("from pytest_choochoo import station\n" + dedent(text))
            namespace: dict[str, Any] = {}
            exec(compile(path.read_text(), str(path), "exec"), namespace)
            for value in namespace.values():
                if isinstance(value, Station):
                    key = f"{name}::{value.name}"
                    stops[key] = StationInstance(key=key, name=value.name, station=value)
        upstream = {
            key: tuple(
                each
                for name in stop.station.function.__code__.co_varnames
                for each in sorted(stops, key=lambda each: each.partition("::")[0] not in key)
                if each.endswith(f"::{name}")
            )
            for key, stop in stops.items()
        }
        self.route = Route(stops, upstream)
        self.outcomes = Outcomes(self.route, ledger, NO_CODEC)
        self.judge = Judge(
            route=self.route,
            ledger=ledger,
            outcomes=self.outcomes,
            code=CodeReader(folder, {}),
            ordinary={},
            replayed=frozenset(),
            began=0.0,
            keyed=KeyedDigests(ledger.secret_key),
        )

    def complete(self) -> None:
        """Record a visit of each station, in running order."""
        for key in self.route.order:
            self.outcomes.look_again()
            outcome = self.outcomes.encoded(key, key.rpartition("::")[0] and 1)
            renews = self.route[key].station.declaration.renews
            self.ledger.finish(
                key,
                Record(
                    status="complete",
                    since=1.0,
                    visited=1.0,
                    fingerprint=self.judge.fingerprint(key, {}),
                    outcome=outcome.text,
                    outcome_digest=outcome.digest,
                    products=self.judge.products(key),
                    renewal="r1" if renews else "",
                ),
            )

    def take_over(self) -> dict[str, str]:
        return take_over(self.route, self.ledger, self.judge, lambda key: self.ledger.lock(key, 0))

    def reasons(self) -> dict[str, tuple[str, ...]]:
        """Return by name why stations are due."""
        found = {}
        for key, stop in self.route.stops.items():
            self.outcomes.look_again()
            record = self.ledger.record(key)
            verdict = self.judge.verdict(key, record, self.judge.fingerprint(key, {}, record))
            if isinstance(verdict, Due):
                found[stop.name] = verdict.texts
        return found


BEFORE = """
    def helper(number):
        return number + 1

    @station(renews=True)
    def boil() -> int:
        return helper(1)

    @station
    def pour(boil) -> int:
        return boil + boil

    @station
    def serve(pour) -> int:
        return pour
"""
AFTER = BEFORE.replace("boil", "heat").replace("renews=True", 'renews=True, was="boil"')


def test_nothing_is_due_after_a_rename(tmp_path: Path) -> None:
    """Neither the station nor its consumer, whose code has the name, nor what comes after that."""
    ledger = MemoryLedger()
    Checkout(tmp_path, ledger, {"a.py": BEFORE}).complete()
    after = Checkout(tmp_path, ledger, {"a.py": AFTER})

    assert after.take_over() == {"a.py::heat": "a.py::boil"}

    assert after.reasons() == {}
    assert after.take_over() == {}
    assert not ledger.locks


def test_what_else_has_changed_is_due(tmp_path: Path) -> None:
    """A real change is found, and told by the names of now."""
    ledger = MemoryLedger()
    Checkout(tmp_path, ledger, {"a.py": BEFORE}).complete()
    after = Checkout(
        tmp_path,
        ledger,
        {"a.py": AFTER.replace("number + 1", "number + 2").replace("heat + heat", "heat + 1")},
    )
    after.take_over()

    assert after.reasons() == {
        "heat": ("code of a.py::helper changed",),
        "pour": ("code of a.py::pour changed",),
    }


def test_rename_in_two_steps(tmp_path: Path) -> None:
    """An earlier rename does not hide a second one, though its `was` is still there."""
    ledger = MemoryLedger()
    Checkout(tmp_path, ledger, {"a.py": BEFORE}).complete()
    Checkout(tmp_path, ledger, {"a.py": AFTER}).take_over()
    again = AFTER.replace("pour", "fill").replace(
        "@station\n    def fill", "@station(was='pour')\n    def fill"
    )
    after = Checkout(tmp_path, ledger, {"a.py": again})

    assert after.take_over() == {"a.py::fill": "a.py::pour"}
    assert after.reasons() == {}


def test_station_moves_with_its_helpers(tmp_path: Path) -> None:
    """Another file is no change, for what moved along neither."""
    ledger = MemoryLedger()
    Checkout(tmp_path, ledger, {"a.py": BEFORE}).complete()
    head, mark, tail = AFTER.partition("    @station\n")
    after = Checkout(
        tmp_path,
        ledger,
        {"b/c.py": head.replace('"boil"', '"a.py::boil"'), "a.py": mark + tail},
    )

    assert after.take_over() == {"b/c.py::heat": "a.py::boil"}
    assert after.reasons() == {}


def test_products_and_files_of_a_moved_station(tmp_path: Path) -> None:
    """They are where they were, although their paths begin elsewhere now."""
    ledger = MemoryLedger()
    (tmp_path / "a").mkdir()
    for name in ("in.txt", "out.txt"):
        (tmp_path / "a" / name).touch()
    text = """
        @station(files=["in.txt"], products=["out.txt"])
        def make(): ...
    """
    use = "@station\ndef use(make) -> int:\n    return make\n"
    Checkout(tmp_path, ledger, {"a/s.py": text, "use.py": use}).complete()
    text = text.replace('["', '["../a/').replace("(files", '(was="a/s.py::make", files')
    after = Checkout(tmp_path, ledger, {"b/s.py": text, "use.py": use})

    assert after.take_over() == {"b/s.py::make": "a/s.py::make"}
    assert after.reasons() == {}


def test_names_that_two_files_have(tmp_path: Path) -> None:
    """A consumer of two stations of one name knows them by file; then by name, if one is renamed."""
    ledger = MemoryLedger()
    db = "@station\ndef db() -> int:\n    return 1\n"
    use = "@station\ndef use({}) -> int:\n    return db\n"
    Checkout(tmp_path, ledger, {"a.py": db, "b.py": db, "c.py": use.format("db")}).complete()
    renamed = db.replace("def db", "def store").replace("@station", "@station(was='db')")
    files = {"a.py": renamed, "b.py": db, "c.py": use.format("db, store")}
    after = Checkout(tmp_path, ledger, files)

    assert after.take_over() == {"a.py::store": "a.py::db"}
    assert after.reasons() == {}


def test_reading_takes_no_lock_and_writes_nothing(tmp_path: Path) -> None:
    """A session that only reads looks at a ledger of its own."""
    ledger = MemoryLedger()
    Checkout(tmp_path, ledger, {"a.py": BEFORE}).complete()
    after = Checkout(tmp_path, ledger.at(), {"a.py": AFTER})

    assert take_over(after.route, after.ledger, after.judge, None) == {"a.py::heat": "a.py::boil"}

    assert after.reasons() == {}
    assert "a.py::boil" in ledger.records()


def test_few_locks_are_held_at_once(tmp_path: Path) -> None:
    """However many stations were renamed, a process may open only so many files."""
    ledger, held = MemoryLedger(), []
    station = "@station{}\ndef {}{}() -> int:\n    return 1\n"
    before = "".join(station.format("", "a", number) for number in range(120))
    use = "@station\ndef use({}) -> int:\n    return max({})\n"
    names = [f"a{number}" for number in range(120)]
    text = before + use.format(", ".join(names), ", ".join(names))
    Checkout(tmp_path, ledger, {"a.py": text}).complete()
    after = "".join(station.format(f"(was='a{number}')", "b", number) for number in range(120))
    names = [f"b{number}" for number in range(120)]
    text = after + use.format(", ".join(names), ", ".join(names))
    checkout = Checkout(tmp_path, ledger, {"a.py": text})

    def lock(key: str) -> HeldLock:
        held.append(len(ledger.locks))
        return ledger.lock(key, 0)

    moved = take_over(checkout.route, ledger, checkout.judge, lock)

    assert (len(moved), len(held), max(held)) == (120, 240, 99)
    assert checkout.reasons() == {}


def test_locks_are_taken_in_one_order(tmp_path: Path) -> None:
    """Two processes that take over the same stations never wait for each other."""
    ledger, taken = MemoryLedger(), []
    stations = "@station\ndef {}(): ...\n\n@station\ndef {}(): ...\n"
    Checkout(tmp_path, ledger, {"a.py": stations.format("z", "b")}).complete()
    text = stations.format("a", "y").replace("@station\ndef a", "@station(was='z')\ndef a")
    after = Checkout(tmp_path, ledger, {"a.py": text.replace("@station\n", "@station(was='b')\n")})

    def lock(key: str) -> HeldLock:
        taken.append(key)
        return ledger.lock(key, 0)

    take_over(after.route, ledger, after.judge, lock)

    assert taken == ["a.py::a", "a.py::b", "a.py::y", "a.py::z"]
    assert not ledger.locks
