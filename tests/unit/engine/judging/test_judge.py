"""The facts of stations as they are now, and the verdicts on them, over a ledger in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_choochoo import Secret, Station, station
from pytest_choochoo.engine.code.reach import CodeReader
from pytest_choochoo.engine.digest import KeyedDigests, digest_parts
from pytest_choochoo.engine.errors import NoRecord, StationDue, UnusableKey
from pytest_choochoo.engine.judging import fingerprint as fingerprints
from pytest_choochoo.engine.judging.judge import Judge
from pytest_choochoo.engine.judging.verdict import Due, Fresh
from pytest_choochoo.engine.ledger.record import Record
from pytest_choochoo.engine.outcomes.codec import NOTHING, Codec
from pytest_choochoo.engine.outcomes.outcomes import Outcomes
from pytest_choochoo.engine.route import Route, StationInstance
from unit.memory_ledger import MemoryLedger

#: The stations with their upstream: a chain, and an independent one.
UPSTREAM = {"grind": (), "boil": (), "pour": ("boil",), "serve": ("pour",)}


def made(
    name: str,
    *,
    env: str = "",
    checks: int = 0,
    returns: Any = int,
    products: Sequence[str] = (),
) -> Station[Any]:
    def work() -> Any: ...

    work.__name__ = work.__qualname__ = name
    work.__annotations__["return"] = returns
    result: Station[Any] = station(version="1", env=[env] if env else [], products=products)(work)
    for _ in range(checks):
        result.check(lambda: None)
    return result


NO_CODEC = Codec(encode=lambda value: None, decode=lambda kind, plain: None)


class Tea:
    """A route of four stations over a ledger in memory, and a judge."""

    def __init__(self, folder: Path, **changed: Station[Any]) -> None:
        stations = {name: changed.get(name) or made(name) for name in UPSTREAM}
        self.route = Route(
            {
                name: StationInstance(key=name, name=name, station=each)
                for name, each in stations.items()
            },
            UPSTREAM,
        )
        self.ledger = MemoryLedger()
        self.outcomes = Outcomes(self.route, self.ledger, NO_CODEC)
        self.code = CodeReader(folder, {})

    def judge(self, *replayed: str, began: float = 0.0) -> Judge:
        self.outcomes.look_again()
        return Judge(
            route=self.route,
            ledger=self.ledger,
            outcomes=self.outcomes,
            code=self.code,
            ordinary={},
            replayed=frozenset(replayed),
            began=began,
            keyed=KeyedDigests(self.ledger.secret_key),
        )

    def complete(self, *names: str, value: object = 100, began: float = 0.0) -> None:
        """Record visits of *names* as complete, with the outcome *value*."""
        for name in names:
            self.outcomes.look_again()
            outcome = self.outcomes.encoded(name, value)
            record = Record(
                status="complete",
                since=time.time(),
                fingerprint=self.judge().fingerprint(name, values={}),
                outcome=outcome.text,
                outcome_digest=outcome.digest,
                visited=time.time(),
                began=began,
                seconds=1.0,
            )
            self.ledger.finish(name, record)


@pytest.fixture
def tea(tmp_path: Path) -> Tea:
    tea = Tea(tmp_path)
    tea.complete("grind", "boil", "pour", "serve")
    return tea


def test_station_with_recorded_inputs_is_fresh(tea: Tea) -> None:
    """A complete station whose inputs are as recorded is fresh."""
    judge = tea.judge()
    record = tea.ledger.record("pour")

    verdict = judge.verdict("pour", record, judge.fingerprint("pour", values={}))

    assert isinstance(verdict, Fresh)
    assert judge.why_due("pour") == ()


def test_changed_upstream_outcome_makes_the_station_due(tea: Tea) -> None:
    """A station is due when an upstream outcome differs from the one it consumed."""
    tea.complete("boil", value=90)

    assert tea.judge().why_due("pour") == ("outcome of boil changed",)


def test_due_upstream_is_named(tea: Tea) -> None:
    """A consumer is stale if anything upstream is due, and the reason names that station."""
    tea.complete("boil", value=90)
    judge = tea.judge()

    assert judge.why_due("serve") == ()
    assert judge.why_stale("serve") == ("upstream pour: outcome of boil changed",)


def test_station_that_was_never_visited_has_no_record(tmp_path: Path) -> None:
    """Without a complete record there is no outcome, and the error says why."""
    with pytest.raises(NoRecord, match="station 'boil' has no complete record: never visited"):
        Tea(tmp_path).judge().why_due("boil")


def test_forgotten_station_has_no_record(tea: Tea) -> None:
    """Consumers receive no outcome that was forgotten, and the error says when that was."""
    tea.ledger.forget("boil", "forgotten")

    with pytest.raises(NoRecord, match=r"has no complete record: forgotten 0\.0 s ago"):
        tea.judge().fingerprint("pour", values={})


def test_replayed_station_is_due_until_it_was_visited_meanwhile(tea: Tea) -> None:
    """A replay is done once another process has begun the visit after this session began."""
    judge = tea.judge("boil", began=50.0)
    assert judge.why_due("boil") == ("selected by --cc-replay",)

    tea.complete("boil", began=60.0)

    assert tea.judge("boil", began=50.0).why_due("boil") == ()


def test_verification_passes_if_a_check_would_settle_it(tmp_path: Path) -> None:
    """Under --cc-check, the checks of a station decide if its record does not."""
    tea = Tea(tmp_path, boil=made("boil", checks=1, returns=None))

    tea.judge().require_fresh("boil", None)


def test_verification_without_a_record_counts_products_only(tmp_path: Path) -> None:
    """The world decides: a product that is missing is no matter of records."""
    tea = Tea(tmp_path, boil=made("boil", checks=1, returns=None, products=["steam.txt"]))
    assert not tea.judge().has_record("boil")

    tea.judge().require_fresh("grind", None)

    with pytest.raises(StationDue, match=r"station 'boil' is due: .*steam.txt"):
        tea.judge().require_fresh("boil", None)


def test_visit_of_a_dead_process_is_not_under_way(tea: Tea) -> None:
    """A record that says `visiting` counts as under way only while its lock is held."""
    record = Record(status="visiting", since=time.time(), pid=7, host="kettle")
    tea.ledger.begin("boil", record, ())
    assert tea.judge().visit_in_words("boil") == ""

    with tea.ledger.lock("boil", 0):
        words = tea.judge().visit_in_words("boil")

    assert words.startswith("it is being visited right now by process 7 on kettle")


@pytest.mark.parametrize(
    ("returns", "upstream"), [(None, {}), (int | None, {"boil": NOTHING})], ids=["no", "maybe"]
)
def test_station_that_returns_nothing_is_upstream_for_order_only(
    tmp_path: Path, returns: Any, upstream: dict[str, str]
) -> None:
    """A station whose visits return nothing is no input; one that returned None for once is."""
    tea = Tea(tmp_path, boil=made("boil", returns=returns))
    tea.complete("boil", value=None)

    assert tea.judge().fingerprint("pour", values={}).upstream == upstream


@pytest.mark.parametrize(("form", "is_due"), [(0, False), (1, True)])
def test_type_of_an_outcome_upstream_is_an_input(tmp_path: Path, form: int, is_due: bool) -> None:
    """A station is due when it would receive another type, but for a record that has no types."""
    tea = Tea(tmp_path, boil=made("boil", returns=str))
    tea.complete("boil", value="a.txt")
    tea.complete("pour")
    record = tea.ledger.record("pour")
    assert record is not None and record.fingerprint is not None
    tea.ledger.finish("pour", record.with_(fingerprint=replace(record.fingerprint, form=form)))

    tea.route["boil"].station.function.__annotations__["return"] = Path
    tea.outcomes = Outcomes(tea.route, tea.ledger, NO_CODEC)

    assert bool(tea.judge().why_due("pour")) is is_due


@pytest.mark.parametrize("form", [0, 1, 2])
def test_upgrade_to_relative_paths_makes_nothing_due(tmp_path: Path, form: int) -> None:
    """Where a record has the digest of a whole path, that is compared, however it is kept now."""
    tea = Tea(tmp_path, boil=made("boil", returns=Path))
    before = tea.outcomes.encoded("boil", tmp_path / "cup")
    tea.complete("boil", value=tmp_path / "cup")
    tea.complete("pour")
    record = tea.ledger.record("pour")
    assert record is not None and record.fingerprint is not None
    upstream = record.fingerprint.upstream if form else {"boil": before.digest}
    older = replace(record.fingerprint, form=form, upstream=upstream)

    tea.outcomes = Outcomes(tea.route, tea.ledger, replace(NO_CODEC, root=tmp_path))
    if form < 2:
        tea.ledger.finish("pour", record.with_(fingerprint=older))
    else:
        tea.complete("pour")
    assert tea.judge().why_due("pour") == ()

    tea.complete("boil", value=tmp_path / "cup")  # visited again, with an equal outcome
    text = tea.outcomes.record("boil")
    assert text is not None and text.outcome == '"<rootdir>/cup"'
    assert tea.judge().why_due("pour") == ()
    tea.complete("boil", value=tmp_path / "mug")
    assert tea.judge().why_due("pour") == ("outcome of boil changed",)


def test_products_upstream_are_inputs(tea: Tea) -> None:
    """A station is due when a product upstream differs from the one it consumed."""
    record = tea.ledger.record("boil")
    assert record is not None
    tea.ledger.finish("boil", record.with_(products={"steam": "1"}))
    added = tea.judge().why_due("pour")
    tea.complete("pour")
    tea.ledger.finish("boil", record.with_(products={"steam": "2"}))

    assert added == ("product steam of boil added",)
    assert tea.judge().why_due("pour") == ("product steam of boil changed",)
    tea.ledger.finish("boil", record.with_(products={"steam": "1"}))
    assert tea.judge().why_due("pour") == ()


def test_visit_that_renews_reaches_all_downstream(tmp_path: Path) -> None:
    """After a visit that renews, stations at any depth are due, until they were visited."""
    boil = made("boil")
    boil.declaration = replace(boil.declaration, renews=True)
    tea = Tea(tmp_path, boil=boil)
    tea.complete("grind", "boil", "pour", "serve")
    assert tea.judge().why_due("serve") == ()
    record = tea.ledger.record("boil")
    assert record is not None
    tea.ledger.finish("boil", record.with_(renewal="2"))
    due = {name: tea.judge().why_due(name) for name in UPSTREAM}

    tea.complete("pour")

    again = ("boil was made again from nothing",)
    assert due == {"grind": (), "boil": (), "pour": again, "serve": again}
    assert tea.judge().why_due("pour") == ()
    assert tea.judge().why_due("serve") == again


@pytest.mark.parametrize(("form", "is_due"), [(0, False), (1, True)])
def test_record_of_form_0_knows_no_links(tmp_path: Path, form: int, is_due: bool) -> None:
    """A record made before links counted does not make its station due because they do now."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.txt").touch()
    (tmp_path / "link").symlink_to("elsewhere")
    boil = made("boil")
    boil.file = str(tmp_path / "stations.py")
    boil.declaration = replace(boil.declaration, files=("**/*.txt",), products=("link",))
    tea = Tea(tmp_path, boil=boil)
    tea.complete("boil")
    record = tea.ledger.record("boil")
    assert record is not None and record.fingerprint is not None
    files = fingerprints.files(tea.route["boil"], with_links=False)
    older = replace(record.fingerprint, form=form, files=files)
    products = fingerprints.products(tea.route["boil"], with_links=False)

    tea.ledger.finish("boil", record.with_(fingerprint=older, products=products))

    assert bool(tea.judge().why_due("boil")) is is_due


# --- keyed digests


def _with_inputs(name: str, folder: Path) -> Station[Any]:
    """Return a station with env, a file and a product, all of which are there."""
    made_so = made(name, env="HEAT")
    made_so.file = str(folder / "stations.py")
    made_so.declaration = replace(
        made_so.declaration, files=(f"{name}.txt",), products=(f"{name}.out",)
    )
    (folder / f"{name}.txt").write_text("water")
    (folder / f"{name}.out").write_text("steam")
    return made_so


@pytest.fixture
def kitchen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tea:
    """A station with env, a file and a product, and one like it downstream, both complete."""
    monkeypatch.setenv("HEAT", "high")
    stations = {name: _with_inputs(name, tmp_path) for name in ("boil", "pour")}
    tea = Tea(tmp_path, **stations)
    for name in ("boil", "pour"):
        _visit(tea, name)
    return tea


def _visit(tea: Tea, name: str) -> None:
    tea.complete(name)
    _change(tea, name, products=tea.judge().products(name))


def _change(tea: Tea, name: str, **changes: Any) -> None:
    record = tea.ledger.record(name)
    assert record is not None
    tea.ledger.finish(name, record.with_(**changes))


def _in_form_2(tea: Tea, name: str) -> None:
    """Give *name* the record that an earlier version would have made."""
    record = tea.ledger.record(name)
    assert record is not None and record.fingerprint is not None
    instance = tea.route[name]
    upstream = {} if name == "boil" else fingerprints.products(tea.route["boil"])
    older = replace(
        record.fingerprint,
        form=2,
        key="",
        files=fingerprints.files(instance),
        env={"HEAT": digest_parts(b"high")},
        upstream_products={f"{each} of boil": digest for each, digest in upstream.items()},
    )
    _change(tea, name, fingerprint=older, products=fingerprints.products(instance))


def _due(tea: Tea) -> dict[str, tuple[str, ...]]:
    judge = tea.judge()
    return {name: judge.why_due(name) for name in ("boil", "pour")}


NOTHING_DUE: dict[str, tuple[str, ...]] = {"boil": (), "pour": ()}
ONCE_MORE = [("boil",), ("pour",), ("boil", "pour"), ("pour", "boil")]


@pytest.mark.parametrize("visited", ONCE_MORE, ids="-".join)
@pytest.mark.parametrize("older", [("boil",), ("pour",), ("boil", "pour")], ids="-".join)
def test_upgrade_to_keyed_digests_makes_nothing_due(
    kitchen: Tea, older: tuple[str, ...], visited: tuple[str, ...]
) -> None:
    """Records with plain digests are compared, upstream and downstream in whatever form."""
    for name in older:
        _in_form_2(kitchen, name)
    assert _due(kitchen) == NOTHING_DUE

    for name in visited:
        _visit(kitchen, name)
        assert _due(kitchen) == NOTHING_DUE


def test_changes_since_an_earlier_form_are_named(
    kitchen: Tea, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each input is compared with the plain digest of an earlier version by its name."""
    for name in ("boil", "pour"):
        _in_form_2(kitchen, name)
    monkeypatch.setenv("HEAT", "low")
    (tmp_path / "boil.txt").write_text("milk")
    (tmp_path / "boil.out").write_text("cold")

    assert _due(kitchen) == {
        "boil": ("file boil.txt changed", "env HEAT changed", "product boil.out changed"),
        "pour": ("env HEAT changed",),
    }


def test_changed_product_upstream_reaches_a_record_of_an_earlier_form(
    kitchen: Tea, tmp_path: Path
) -> None:
    """A station whose record is older than that of its upstream sees that a product changed."""
    _in_form_2(kitchen, "pour")
    (tmp_path / "boil.out").write_text("cold")
    _change(kitchen, "boil", products=kitchen.judge().products("boil"))

    assert _due(kitchen) == {"boil": (), "pour": ("product boil.out of boil changed",)}


LOST = "its env, files and products cannot be compared: the key of the ledger was lost"


@pytest.mark.parametrize("key", [b"x" * 32, b""], ids=["another", "none"])
def test_lost_key_makes_stations_due(
    kitchen: Tea, key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another key, or none, the stations that need one are due until they are visited."""
    kitchen.complete("grind")
    monkeypatch.setattr(kitchen.ledger, "secret_key", lambda: key)

    assert _due(kitchen) == {"boil": (LOST,), "pour": (LOST,)}
    assert kitchen.judge().why_due("grind") == ()

    for name in ("boil", "pour"):
        _visit(kitchen, name)
    assert _due(kitchen) == NOTHING_DUE


def test_earlier_form_needs_no_key(kitchen: Tea, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no version has made a key yet, records are compared by their plain digests."""
    for name in ("boil", "pour"):
        _in_form_2(kitchen, name)
    monkeypatch.setattr(kitchen.ledger, "secret_key", lambda: b"")

    assert _due(kitchen) == NOTHING_DUE


def test_unusable_key_is_the_reason(kitchen: Tea, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the key is shown as it is, for the stations that need it."""

    def fail() -> bytes:
        raise UnusableKey("secret.key", "it has 1 bytes, not 32")

    kitchen.complete("grind")
    monkeypatch.setattr(kitchen.ledger, "secret_key", fail)

    assert _due(kitchen)["boil"] == (str(UnusableKey("secret.key", "it has 1 bytes, not 32")),)
    assert kitchen.judge().why_due("grind") == ()


# --- what a selection needs


def test_nothing_is_needed_beside_a_whole_selection(tea: Tea) -> None:
    """If all upstream is selected, nothing is added."""
    assert tea.judge().needed(["serve"], frozenset(UPSTREAM)) == ()


def test_due_upstream_is_needed_with_the_stations_between(tea: Tea) -> None:
    """A due station upstream is needed together with all stations between it and the selection."""
    judge = tea.judge("boil")

    assert judge.needed(["serve"], frozenset({"serve"})) == ("boil", "pour")


def test_fresh_upstream_is_not_needed(tea: Tea) -> None:
    """A fresh station is used as recorded, silently."""
    assert tea.judge().needed(["serve"], frozenset({"serve"})) == ()
    assert tea.judge("grind").needed(["serve"], frozenset({"serve"})) == ()


def test_upstream_with_a_check_is_needed(tmp_path: Path) -> None:
    """A fresh station upstream that has a check must be asked, as in a whole run."""
    tea = Tea(tmp_path, boil=made("boil", checks=1))
    tea.complete("boil", "pour", "serve")

    assert tea.judge().needed(["serve"], frozenset({"serve"})) == ("boil", "pour")


def test_selected_station_with_a_check_may_change_its_downstream(tmp_path: Path) -> None:
    """A check may fail, so a fresh station between two selected ones is added."""
    tea = Tea(tmp_path, boil=made("boil", checks=1))
    tea.complete("boil", "pour", "serve")

    assert tea.judge().needed(["boil", "serve"], frozenset({"boil", "serve"})) == ("pour",)


# --- secrets


@pytest.mark.parametrize(
    ("asking", "again"),
    [
        pytest.param(lambda: {"boil": ["test_hot"]}, {"boil": ("test_hot",)}, id="a-test"),
        pytest.param(dict, {}, id="no-consumer"),
    ],
)
def test_lost_secret_is_made_again_for_its_consumers(
    tmp_path: Path,
    asking: Callable[[], dict[str, list[str]]],
    again: dict[str, tuple[str, ...]],
) -> None:
    """The secret of an earlier run is unknown: its station is visited if it is needed."""
    tea = Tea(tmp_path, boil=made("boil", returns=Secret[str]))
    tea.complete("boil", value=Secret("hot"))
    tea.complete("pour", "serve")
    # A later process has the records, but not the secrets.
    tea.outcomes = Outcomes(
        tea.route,
        tea.ledger,
        Codec(encode=lambda value: None, decode=lambda kind, plain: None),
    )
    judge = tea.judge()

    needed = judge.revisits(["serve"], asking)
    judge.visit_for_secrets(needed)

    assert needed == again
    record = tea.ledger.record("boil")
    verdict = judge.verdict("boil", record, judge.fingerprint("boil", values={}))
    assert isinstance(verdict, Due) == bool(again)
