"""The public hooks, each implemented by a conftest as a user would."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from contextlib import closing
from pathlib import Path

import pytest
from harness import Project

from pytest_choochoo import LedgerLocation, open_ledger

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


def test_encode_and_decode_store_a_user_type(project: Project, mode: str) -> None:
    """`pytest_choochoo_encode` and `_decode` make outcomes of unknown types possible."""
    project.ini("pythonpath = .")
    project.write("temperature.py", TYPE)
    project.write("conftest.py", CODEC)
    project.stations(BOIL)

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert first.log == ("boil", "Temperature 100")
    assert sorted(second.unchanged) == ["boil", "pour"]


def test_type_without_hooks_is_rejected(project: Project) -> None:
    """A type that no hook accepts is rejected, with the names of station and type."""
    project.ini("pythonpath = .")
    project.write("temperature.py", TYPE)
    project.stations(BOIL)

    run = project.run("--cc-run")

    assert run.collect_errors == (
        (
            "stations.py:7: station 'boil' returns temperature.Temperature, which cannot be stored: "
            "Temperature is not a supported type; return plain data that stands for it, "
            "or implement pytest_choochoo_encode"
        ),
    )


def test_user_type_may_be_nested(project: Project) -> None:
    """A type that the hooks know may be nested in lists and dataclasses."""
    project.ini("pythonpath = .")
    project.write("temperature.py", TYPE)
    project.write("conftest.py", CODEC)
    project.stations(
        """
        from dataclasses import dataclass
        from temperature import Temperature

        @dataclass
        class Log:
            source_cache: list[Temperature]

        @station
        def boil() -> Log:
            return Log([Temperature(20), Temperature(100)])

        @station
        def pour(boil):
            log([each.degrees for each in boil.source_cache])
        """
    )

    run = project.run("--cc-run")

    assert run.log == ("[20, 100]",)


def test_judged_gets_every_verdict(project: Project) -> None:
    """`pytest_choochoo_judged` is called with each station's verdict by its record."""
    project.write(
        "conftest.py",
        """
        from effects import log

        def pytest_choochoo_judged(config, node_id, verdict):
            facts = getattr(verdict, "texts", None) or getattr(verdict, "by", "")
            log(f"{node_id} {type(verdict).__name__} {facts}")
        """,
    )
    project.stations(
        "@station\ndef boil(): ...\n\n@station\ndef burn():\n    raise OSError\n\n"
        "@station\ndef eat(burn): ...\n"
    )
    project.run("--cc-run", "-k", "boil")

    run = project.run("--cc-run")

    assert list(dict.fromkeys(run.log)) == [
        "stations.py::boil Fresh ",
        "stations.py::burn Due ('first visit',)",
        "stations.py::eat Blocked ('burn',)",
    ]


def test_visit_started_and_finished_frame_each_visit(project: Project, mode: str) -> None:
    """`pytest_choochoo_visit_started` and `_finished` are called for visits, and only for them."""
    project.write(
        "conftest.py",
        """
        from effects import log

        def pytest_choochoo_visit_started(config, node_id, reasons):
            log(f"started {node_id} {reasons}")

        def pytest_choochoo_visit_finished(config, node_id, result):
            log(f"finished {node_id} {result.word} {result.cause}")
        """,
    )
    project.stations(
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

    run = project.run("--cc-run")
    again = project.run("--cc-run", "-k", "boil")

    assert run.log == (
        "started stations.py::boil ('first visit',)",
        "boil",
        "finished stations.py::boil visited ",
        "started stations.py::burn ('first visit',)",
        "burn",
        "finished stations.py::burn failed RuntimeError: ouch",
    )
    assert again.log == ()


def test_make_ledger_replaces_the_ledger(project: Project) -> None:
    """`pytest_choochoo_make_ledger` decides where records are kept."""
    project.write(
        "conftest.py",
        """
        from pathlib import Path
        from effects import log
        from pytest_choochoo import LedgerLocation, open_ledger

        def pytest_choochoo_make_ledger(config, folder, profile):
            log(f"{folder.name} {profile}")
            place = LedgerLocation(Path(__file__).parent / "elsewhere", profile)
            place.folder.mkdir(exist_ok=True)
            return open_ledger(place, warn=print)
        """,
    )
    project.stations("@station\ndef boil(): ...\n")

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert (first.visited, second.unchanged) == (("boil",), ("boil",))
    assert (project.path / "elsewhere").is_dir()
    assert first.log == ("choochoo default",)
    assert not list((project.path / ".pytest_cache").rglob("*.sqlite"))


def test_public_function_opens_ledgers(tmp_path: Path) -> None:
    """`open_ledger` is public; it moves a damaged ledger aside, with a warning."""
    place = LedgerLocation(tmp_path, "staging")
    place.file.write_bytes(b"no ledger, " * 99)

    with (
        pytest.warns(UserWarning, match=r"^the ledger .*staging\.sqlite could not be read: "),
        closing(open_ledger(place)) as ledger,
    ):
        assert ledger.records() == {}

    with closing(open_ledger(place)) as ledger:
        assert ledger.record("stations.py::boil") is None


def test_reports_carry_a_plain_dict(project: Project, mode: str) -> None:
    """Every report of a station carries a `choochoo` dict: result, reasons, upstream, durations."""
    project.stations("@station\ndef boil(): ...\n\n@station\ndef pour(boil): ...\n")

    run = project.run("--cc-run")

    fact = run.facts["stations.py::pour"]
    assert {name: fact[name] for name in ("key", "name", "title", "result")} == {
        "key": "stations.py::pour",
        "name": "pour",
        "title": "pour",
        "result": "visited",
    }
    assert (fact["reasons"], fact["upstream"]) == (["first visit"], ["boil"])
    assert 0 <= fact["seconds"] < 60


def test_reports_know_only_the_outcomes_of_pytest(project: Project) -> None:
    """`report.outcome` is one of pytest's three, whatever the result of the station."""
    project.stations(
        "@station\ndef boil():\n    raise OSError\n\n@station\ndef pour(boil): ...\n\n"
        "@pytest.mark.skip\n@station\ndef fill(): ...\n\n@station\ndef heat(): ...\n"
    )
    project.run("--cc-run")

    run = project.run("--cc-run")

    assert {report["outcome"] for report in run.reports} == {"passed", "failed", "skipped"}
    assert run.results == {
        "boil": "failed",
        "pour": "blocked",
        "fill": "skipped",
        "heat": "unchanged",
    }


def test_junit_has_the_properties(project: Project, mode: str) -> None:
    """JUnit XML carries result, reasons, upstream and seconds of each station."""
    project.stations(
        "@station\ndef boil(): ...\n\n@station\ndef burn(boil):\n    raise OSError\n\n"
        "@station\ndef eat(burn): ...\n"
    )

    project.run("--cc-run", "--junitxml=junit.xml")

    found = {}
    for case in ElementTree.parse(project.path / "junit.xml").iter("testcase"):
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
        "boil": ("visited", "first visit", "", True, set()),
        "burn": ("failed", "first visit", "boil", True, {"failure"}),
        "eat": ("blocked", "", "burn", True, {"skipped"}),
    }


def test_every_report_has_the_facts(project: Project, mode: str) -> None:
    """Each report of a station has the facts: set-up, call and teardown, and those of reruns."""
    project.use("rerunfailures")
    project.stations(
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

    run = project.run("--cc-run")

    phases = [(r["when"], r["outcome"], r["choochoo"]["result"]) for r in run.reports]
    assert phases == [
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


def test_verification_that_fails_has_its_reasons(project: Project, mode: str) -> None:
    """Under --cc-check the facts say why a station is due, or which check does not pass."""
    project.stations(
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
    project.run("--cc-run")
    project.write("empty", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEA", "green")
        run = project.run("--cc-check")

    assert sorted(run.failed) == ["boil", "pour"]
    assert run.reasons["boil"] == ("env TEA added",)
    [reason] = run.reasons["pour"]
    assert reason.startswith("check is_full does not pass: AssertionError: assert not True")


FAILING = """
def pytest_choochoo_{hook}(config, node_id, **rest):
    if node_id.endswith(config.getini("fails")):
        raise OSError("no gas")

def pytest_addoption(parser):
    parser.addini("fails", "")
"""


@pytest.mark.parametrize("station", ["boil", "sip"])
def test_plugin_that_fails_when_it_is_told_a_verdict_fails_the_station(
    project: Project, mode: str, station: str
) -> None:
    """An error in `pytest_choochoo_judged` fails that station, whatever the verdict."""
    project.ini(f"fails = {station}")
    project.write("conftest.py", FAILING.format(hook="judged").replace("**rest", "verdict"))
    project.stations(
        "@station\ndef boil(): ...\n\n@station\ndef burn():\n    raise OSError\n\n"
        "@station\ndef sip(burn): ...\n"
    )

    run = project.run("--cc-run")
    again = project.run("--cc-run")

    text = (
        "plugin 'conftest.py' failed in pytest_choochoo_judged (conftest.py:3): OSError: no gas; "
        "correct it, or disable it"
    )
    assert run.causes[station] == again.causes[station] == text
    assert run.outlines.count(text) == 1
    assert run.results["boil"] == ("failed" if station == "boil" else "visited")
    assert (run.results["burn"], run.exit_code, again.exit_code) == ("failed", 1, 1)


def test_plugin_that_fails_for_a_fresh_station_fails_it(project: Project, mode: str) -> None:
    """A station that could be settled by its record fails as well, and stays complete."""
    project.ini("fails = nothing")
    project.write("conftest.py", FAILING.format(hook="judged").replace("**rest", "verdict"))
    project.stations("@station\ndef boil(): ...\n")
    project.run("--cc-run")
    project.ini("fails = boil")

    run = project.run("--cc-run")
    project.ini("fails = nothing")

    assert (run.failed, run.exit_code) == (("boil",), 1)
    assert project.run("--cc-run").unchanged == ("boil",)


@pytest.mark.parametrize(
    ("hook", "facts", "result"),
    [("visit_started", "reasons", "failed"), ("visit_finished", "result", "visited")],
)
def test_plugin_that_fails_at_a_visit_makes_the_run_fail(
    project: Project, mode: str, hook: str, facts: str, result: str
) -> None:
    """Before the visit it fails the station; after it, the station is recorded and stays so."""
    project.ini("fails = boil")
    project.write("conftest.py", FAILING.format(hook=hook).replace("**rest", facts))
    project.stations("@station\ndef boil(): ...\n")

    run = project.run("--cc-run")

    assert (run.results, run.exit_code) == ({"boil": result}, 1)
    assert (
        f"plugin 'conftest.py' failed in pytest_choochoo_{hook} (conftest.py:3): OSError: no gas; "
        "correct it, or disable it"
    ) in run.outlines
    assert "INTERNALERROR" not in run.text
