"""The hooks of section 8, each implemented by a conftest as a user would."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from contextlib import closing
from pathlib import Path

import pytest
from railyard import Railyard

from pytest_choochoo import Place, open_ledger

TYPE = """
class Temperature:
    def __init__(self, degrees): self.degrees = degrees
    def __eq__(self, other): return self.degrees == other.degrees
"""
CODEC = """
from temperature import Temperature

def pytest_choochoo_encode(config, value):
    if isinstance(value, Temperature):
        return {"degrees": value.degrees}

def pytest_choochoo_decode(config, type, plain):
    if type is Temperature:
        return Temperature(plain["degrees"])
"""
BOIL = """
from temperature import Temperature

@station
def boil() -> Temperature:
    log("boil")
    return Temperature(100)

@station
def pour(boil):
    log(f"{type(boil).__name__} {boil.degrees}")
"""


def test_encode_and_decode_keep_a_type_of_ones_own(railyard: Railyard, mode: str) -> None:
    """`pytest_choochoo_encode` and `_decode` let outcomes be of a type that is not known."""
    railyard.ini("pythonpath = .")
    railyard.write("temperature.py", TYPE)
    railyard.write("conftest.py", CODEC)
    railyard.stations(BOIL)

    first, second = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert first.log == ("boil", "Temperature 100")
    assert sorted(second.unchanged) == ["boil", "pour"]


def test_without_the_hooks_the_type_is_refused(railyard: Railyard) -> None:
    """A type that no hook takes is refused, naming station and type."""
    railyard.ini("pythonpath = .")
    railyard.write("temperature.py", TYPE)
    railyard.stations(BOIL)

    ride = railyard.ride("--cc-run")

    assert "the outcome of station 'boil' cannot be kept (Temperature)" in ride.causes["boil"]


def test_type_of_ones_own_nests(railyard: Railyard) -> None:
    """A type that hooks know may stand in lists and dataclasses."""
    railyard.ini("pythonpath = .")
    railyard.write("temperature.py", TYPE)
    railyard.write("conftest.py", CODEC)
    railyard.stations(
        """
        from dataclasses import dataclass
        from temperature import Temperature

        @dataclass
        class Log:
            readings: list[Temperature]

        @station
        def boil() -> Log:
            return Log([Temperature(20), Temperature(100)])

        @station
        def pour(boil):
            log([each.degrees for each in boil.readings])
        """
    )

    ride = railyard.ride("--cc-run")

    assert ride.log == ("[20, 100]",)


def test_judged_gets_every_verdict(railyard: Railyard) -> None:
    """`pytest_choochoo_judged` is told of each station's verdict by its record."""
    railyard.write(
        "conftest.py",
        """
        from railyard import log

        def pytest_choochoo_judged(config, node_id, verdict):
            facts = getattr(verdict, "texts", None) or getattr(verdict, "by", "")
            log(f"{node_id} {type(verdict).__name__} {facts}")
        """,
    )
    railyard.stations(
        "@station\ndef boil(): ...\n\n@station\ndef burn():\n    raise OSError\n\n"
        "@station\ndef eat(burn): ...\n"
    )
    railyard.ride("--cc-run", "-k", "boil")

    ride = railyard.ride("--cc-run")

    assert list(dict.fromkeys(ride.log)) == [
        "stations.py::boil Fresh ",
        "stations.py::burn Due ('never visited',)",
        "stations.py::eat Blocked ('burn',)",
    ]


def test_visit_started_and_finished_frame_each_visit(railyard: Railyard, mode: str) -> None:
    """`pytest_choochoo_visit_started` and `_finished` are called for visits, and only for them."""
    railyard.write(
        "conftest.py",
        """
        from railyard import log

        def pytest_choochoo_visit_started(config, node_id, reasons):
            log(f"started {node_id} {reasons}")

        def pytest_choochoo_visit_finished(config, node_id, result):
            log(f"finished {node_id} {result.word} {result.cause}")
        """,
    )
    railyard.stations(
        """
        @station
        def boil():
            log("boil")

        @station
        def burn(boil):
            log("burn")
            raise RuntimeError("ouch")
        """
    )

    ride = railyard.ride("--cc-run")
    again = railyard.ride("--cc-run", "-k", "boil")

    assert ride.log == (
        "started stations.py::boil ('never visited',)",
        "boil",
        "finished stations.py::boil visited ",
        "started stations.py::burn ('never visited',)",
        "burn",
        "finished stations.py::burn failed RuntimeError: ouch",
    )
    assert again.log == ()


def test_make_ledger_replaces_the_ledger(railyard: Railyard) -> None:
    """`pytest_choochoo_make_ledger` decides where records are kept."""
    railyard.write(
        "conftest.py",
        """
        from pathlib import Path
        from railyard import log
        from pytest_choochoo import Place, open_ledger

        def pytest_choochoo_make_ledger(config, folder, profile):
            log(f"{folder.name} {profile}")
            place = Place(Path(__file__).parent / "elsewhere", profile)
            place.folder.mkdir(exist_ok=True)
            return open_ledger(place, warn=print)
        """,
    )
    railyard.stations("@station\ndef boil(): ...\n")

    first, second = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (first.visited, second.unchanged) == (("boil",), ("boil",))
    assert (railyard.path / "elsewhere").is_dir()
    assert first.log == ("choochoo default",)
    assert not list((railyard.path / ".pytest_cache").rglob("*.sqlite"))


def test_front_door_opens_ledgers(tmp_path: Path) -> None:
    """Who makes a ledger opens one by a public name; one that is damaged is set aside, and warned of."""
    place = Place(tmp_path, "staging")
    place.file.write_bytes(b"no ledger, " * 99)

    with (
        pytest.warns(UserWarning, match=r"^the ledger .*staging\.sqlite could not be read: "),
        closing(open_ledger(place)) as ledger,
    ):
        assert ledger.records() == {}

    with closing(open_ledger(place)) as ledger:
        assert ledger.record("stations.py::boil") is None


def test_reports_carry_a_plain_dict(railyard: Railyard, mode: str) -> None:
    """Every report of a station carries a `choochoo` dict: result, reasons, upstream, durations."""
    railyard.stations("@station\ndef boil(): ...\n\n@station\ndef pour(boil): ...\n")

    ride = railyard.ride("--cc-run")

    fact = ride.facts["stations.py::pour"]
    assert {name: fact[name] for name in ("key", "name", "title", "result")} == {
        "key": "stations.py::pour",
        "name": "pour",
        "title": "pour",
        "result": "visited",
    }
    assert (fact["reasons"], fact["upstream"]) == (["never visited"], ["boil"])
    assert 0 <= fact["seconds"] < 60


def test_reports_know_only_the_outcomes_of_pytest(railyard: Railyard) -> None:
    """`report.outcome` is one of pytest's three, whatever the result of the station."""
    railyard.stations(
        "@station\ndef boil():\n    raise OSError\n\n@station\ndef pour(boil): ...\n\n"
        "@pytest.mark.skip\n@station\ndef fill(): ...\n\n@station\ndef heat(): ...\n"
    )
    railyard.ride("--cc-run")

    ride = railyard.ride("--cc-run")

    assert {report["outcome"] for report in ride.reports} == {"passed", "failed", "skipped"}
    assert ride.results == {
        "boil": "failed",
        "pour": "blocked",
        "fill": "skipped",
        "heat": "unchanged",
    }


def test_junit_has_the_properties(railyard: Railyard, mode: str) -> None:
    """JUnit XML carries result, reasons, upstream and seconds of each station."""
    railyard.stations(
        "@station\ndef boil(): ...\n\n@station\ndef burn(boil):\n    raise OSError\n\n"
        "@station\ndef eat(burn): ...\n"
    )

    railyard.ride("--cc-run", "--junitxml=junit.xml")

    found = {}
    for case in ElementTree.parse(railyard.path / "junit.xml").iter("testcase"):
        pairs = {each.get("name"): each.get("value") for each in case.iter("property")}
        children = {child.tag for child in case} - {"properties"}
        found[case.get("name")] = (
            pairs["choochoo.result"],
            pairs["choochoo.reasons"],
            pairs["choochoo.upstream"],
            float(pairs["choochoo.seconds"] or -1) >= 0,
            children,
        )
    assert found == {
        "boil": ("visited", "never visited", "", True, set()),
        "burn": ("failed", "never visited", "boil", True, {"failure"}),
        "eat": ("blocked", "", "burn", True, {"skipped"}),
    }


def test_every_report_has_the_facts(railyard: Railyard, mode: str) -> None:
    """Set-up, call and teardown, and what is tried again: each report of a station has them."""
    railyard.use("rerunfailures")
    railyard.stations(
        """
        TRIES = []

        @pytest.mark.flaky(reruns=1)
        @station
        def boil():
            TRIES.append(1)
            assert len(TRIES) > 1

        @station
        def pour(boil): ...
        """
    )

    ride = railyard.ride("--cc-run")

    told = [(r["when"], r["outcome"], r["choochoo"]["result"]) for r in ride.reports]
    assert told == [
        ("setup", "passed", "visited"),
        ("call", "rerun", "failed"),
        ("teardown", "passed", "failed"),
        ("setup", "passed", "visited"),
        ("call", "passed", "visited"),
        ("teardown", "passed", "visited"),
        ("setup", "passed", "visited"),
        ("call", "passed", "visited"),
        ("teardown", "passed", "visited"),
    ]


def test_verification_that_fails_has_its_reasons(railyard: Railyard, mode: str) -> None:
    """In --cc-check the facts say why a station is due, or which check does not pass."""
    railyard.stations(
        """
        from pathlib import Path

        @station(env=["TEA"])
        def boil(): ...

        @station
        def pour(): ...

        @pour.check
        def is_full():
            assert not Path("empty").exists()
        """
    )
    railyard.ride("--cc-run")
    railyard.write("empty", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEA", "green")
        ride = railyard.ride("--cc-check")

    assert sorted(ride.failed) == ["boil", "pour"]
    assert ride.reasons["boil"] == ("env TEA added",)
    [reason] = ride.reasons["pour"]
    assert reason.startswith("check is_full does not pass: AssertionError: assert not True")
