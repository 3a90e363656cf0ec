"""Messages that are none: they end the worker that sent them, and nothing else."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from harness import Project, Run

WAY_OUT = "install the same version of pytest-choochoo on all hosts"
#: The rubbish by name: what is sent, and how it is shown.
RUBBISH: dict[str, tuple[str, str]] = {
    "cut_off": (
        "'{oops'",
        "'{oops' (JSON is malformed: object keys must be strings (byte 1))",
    ),
    "unknown": (
        """'{"type": "Surprise"}'""",
        """'{"type": "Surprise"}' (Invalid value 'Surprise' - at `$.type`)""",
    ),
    "attribute": (
        r"""'{"type": "LedgerQuestion", "question": "[\\"__class__\\", []]"}'""",
        """'["__class__", []]' (unknown question '__class__')""",
    ),
    "close": (
        r"""'{"type": "LedgerQuestion", "question": "[\\"close\\", []]"}'""",
        """'["close", []]' (unknown question 'close')""",
    ),
    "deep": (
        "'[' * 100_000",
        f"'{'[' * 37}...{'[' * 38}' (Expected `object`, got `array`)",
    ),
    "wrong_type": (
        """'{"type": "ProcessId", "pid": -1}'""",
        """'{"type": "ProcessId", "pid": -1}' (Expected `int` >= 1 - at `$.pid`)""",
    ),
    "no_text": ("{b'x': [7]}", "{b'x': [7]} (expected text, got dict)"),
    "long": (
        "'\\x1b[2J' + 'x' * 10_000_000",
        rf"'\x1b[2J{'x' * 30}...{'x' * 38}' (JSON is malformed: invalid character (byte 0))",
    ),
}
#: `send` sends through the channel of a worker, `once` only in the first of all workers that call it.
HELPERS = """
    import time
    from pathlib import Path

    def send(config, rubbish):
        config.workerinput["choochoo"]["channel"].send(rubbish)

    def once(name="once"):
        try:
            Path(name).mkdir()
        except FileExistsError:
            return False
        return True

    def wait_for(name):
        end = time.monotonic() + 60
        while not Path(name).exists():
            assert time.monotonic() < end, name
            time.sleep(0.01)
"""


@pytest.fixture(autouse=True)
def helpers(project: Project) -> None:
    project.workers = 2
    project.write("helpers.py", HELPERS)


def _ended(run: Run, worker: str = r"gw\d+") -> list[str]:
    """Return what the workers that were ended had sent, in the order of the notices."""
    notice = rf"choochoo: worker {worker} was ended, as it sent a message that is not understood, "
    return re.findall(rf"^{notice}(.*); {WAY_OUT}$", run.text, re.MULTILINE)


def test_each_bad_message_fails_its_own_station(project: Project) -> None:
    """While stations are visited: each message ends one worker, and all others go on."""
    sent = ", ".join(f"{name!r}: {rubbish}" for name, (rubbish, _) in RUBBISH.items())
    project.stations(f"""
        import time
        from helpers import send

        RUBBISH = {{{sent}}}

        @station
        @pytest.mark.parametrize("name", RUBBISH)
        def boil(name, pytestconfig):
            send(pytestconfig, RUBBISH[name])
            time.sleep(300)

        @station
        @pytest.mark.parametrize("name", RUBBISH)
        def pour(name, boil): ...

        @station
        @pytest.mark.parametrize("cup", range(20))
        def fill(cup):
            log(cup)
    """)

    run = project.run("--cc-run", "--junitxml=out.xml")

    assert run.exit_code == 1
    assert run.closing == "20 visited, 8 failed, 8 blocked"
    assert sorted(run.log, key=int) == [str(each) for each in range(20)]
    shown = sorted(shown for _, shown in RUBBISH.values())
    assert sorted(_ended(run)) == shown
    for name, (_, shown_rubbish) in RUBBISH.items():
        cause = run.causes[f"boil[{name}]"]
        assert re.match(r"worker gw\d+ was ended, as it sent a message that", cause)
        assert cause.endswith(f"{shown_rubbish}; {WAY_OUT}")
        assert run.errors[f"boil[{name}]"].endswith(cause)
    suite = ET.parse(project.path / "out.xml").getroot()[0]
    assert (suite.get("errors"), suite.get("failures")) == ("8", "0")  # as for any crash


def test_record_of_the_station_names_the_message(project: Project) -> None:
    """In the next run the station is due, and the reason says why its worker was ended."""
    project.stations("""
        import time
        from helpers import once, send

        @station
        def boil(pytestconfig):
            if once():
                send(pytestconfig, "{oops")
                time.sleep(300)
    """)

    first, again = project.run("--cc-run"), project.run("--cc-run")

    assert (first.failed, first.exit_code) == (("boil",), 1)
    assert (again.visited, again.exit_code) == (("boil",), 0)
    [reason] = again.reasons["boil"]
    assert re.match(
        r"last visit failed [\d.]+ s ago: worker gw[01] was ended, as it sent a message that is not "
        r"understood, '\{oops' \(JSON",
        reason,
    )


IDLE = """
    import threading
    import helpers

    def pytest_collection_finish(session):
        def send():
            helpers.wait_for("visited-by")
            path = helpers.Path("visited-by")
            while not (busy := path.read_text()):
                helpers.time.sleep(0.01)
            if busy != config.workerinput["workerid"] and helpers.once():
                helpers.send(config, "{oops")

        config = session.config
        if hasattr(config, "workerinput"):
            threading.Thread(target=send, daemon=True).start()
"""
BUSY = """
    import os, time
    from pathlib import Path
    from helpers import wait_for

    @station
    def boil():
        Path("visited-by").write_text(os.environ["PYTEST_XDIST_WORKER"])
        wait_for("once")
        time.sleep(1)
        log("boil")

    @station
    def pour(boil):
        log("pour")
"""


def test_idle_worker_that_sends_rubbish_is_an_error(project: Project) -> None:
    """A worker that visits nothing fails no station; the run names it, goes on, and ends red."""
    project.write("conftest.py", IDLE)
    project.stations(BUSY)

    run = project.run("--cc-run", "--junitxml=out.xml")

    assert (run.visited, run.log) == (("boil", "pour"), ("boil", "pour"))
    assert (run.exit_code, run.last_line) == (1, "2 passed, 1 error")
    [shown] = _ended(run)
    assert shown.startswith("'{oops' (JSON is malformed")
    [error] = run.collect_errors
    assert re.match(r"worker gw[01] was ended, as it sent .*'\{oops'", error)
    assert ET.parse(project.path / "out.xml").getroot()[0].get("errors") == "1"
    assert project.run("--cc-run").unchanged == ("boil", "pour")


def test_idle_worker_that_sends_rubbish_counts_for_maxfail(project: Project) -> None:
    """With -x nothing starts after it; the visit under way is finished and recorded."""
    project.write("conftest.py", IDLE)
    project.stations(BUSY)

    run = project.run("--cc-run", "-x")

    assert (run.log, run.visited) == (("boil",), ("boil",))
    assert run.not_reached == ("pour",)
    assert run.exit_code in {1, 2}
    assert "stopping after 1 failures" in run.text


def test_busy_worker_that_sends_rubbish_counts_once_for_maxfail(project: Project) -> None:
    """The worker and the station that it visited are one failure, not two."""
    project.stations("""
        import time
        from pathlib import Path
        from helpers import send

        @station
        @pytest.mark.parametrize("cup", range(2))
        def boil(cup, pytestconfig):
            if cup == 1:
                while not Path("0").exists():
                    time.sleep(0.01)
            Path(str(cup)).touch()
            send(pytestconfig, "{oops")
            time.sleep(300)

        @station
        def pour(boil): ...

        @station
        @pytest.mark.parametrize("cup", range(30))
        def fill(cup):
            time.sleep(0.2)
            log(cup)
    """)

    run = project.run("--cc-run", "--maxfail=2")

    assert len(run.failed) == 2
    assert "stopping after 2 failures" in run.text
    assert run.exit_code in {1, 2}
    assert len(run.log) < 30


END = """
    import helpers, pytest

    @pytest.hookimpl
    def pytest_sessionfinish(session):
        config = session.config
        if hasattr(config, "workerinput") and helpers.once():
            {what}
"""


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        ("config.workeroutput['exitstatus'] = '{oops'", "('workerfinished', {'exitstatus': "),
        ("config.workeroutput.clear()", "('workerfinished', {}) (Object missing required field"),
        ("helpers.send(config, '{oops')", "'{oops' (JSON is malformed"),
    ],
    ids=["status", "empty", "message"],
)
def test_rubbish_at_the_end_is_an_error(project: Project, what: str, shown: str) -> None:
    """Rubbish after the last item loses nothing, and the run ends red."""
    project.write("conftest.py", END.format(what=what))
    project.stations("@station\ndef boil(): ...\n\n@station\ndef grind(): ...\n")

    run = project.run("--cc-run")

    assert (sorted(run.visited), run.exit_code) == (["boil", "grind"], 1), run.text
    assert [each.startswith(shown) for each in _ended(run)] == [True]
    assert "INTERNALERROR" not in run.text
    assert project.run("--cc-run").exit_code == 0


def test_bad_event_of_xdist_ends_its_worker(project: Project) -> None:
    """Xdist's own channel as well: what it cannot use ends that worker, and no other."""
    project.stations(
        """
        import time

        EVENTS = {
            "number": ("runtest_protocol_complete", dict(item_index=999, duration=0.0)),
            "type": ("runtest_protocol_complete", dict(item_index="x")),
            "twice": ("unscheduled", dict(indices=[0, 0, 7])),
            "mark": ("logstart", dict(nodeid=7)),
            "report": ("testreport", dict(data={})),
            "name": ("surprise", dict(x=1)),
        }

        @station
        @pytest.mark.parametrize("name", EVENTS)
        def boil(name, pytestconfig):
            [interactor] = [
                each for each in pytestconfig.pluginmanager.get_plugins()
                if type(each).__name__ == "WorkerInteractor"
            ]
            event, arguments = EVENTS[name]
            interactor.sendevent(event, **arguments)
            time.sleep(300)

        @station
        def grind(): log("grind")

        @station
        def sieve(grind): log("sieve")
        """
    )

    run = project.run("--cc-run")

    assert (run.closing, run.exit_code) == ("2 visited, 6 failed", 1)
    assert run.log == ("grind", "sieve")
    assert len(_ended(run)) == 6
    assert all(WAY_OUT in cause for cause in run.causes.values())


def test_only_worker_is_replaced(project: Project) -> None:
    """With -n 1 the replacement does what is left."""
    project.workers = 1
    project.stations("""
        import time
        from helpers import send

        @station
        def boil(pytestconfig):
            send(pytestconfig, "{oops")
            time.sleep(300)

        @station
        def grind(): log("grind")

        @station
        def sieve(grind): log("sieve")
    """)

    run = project.run("--cc-run")

    assert (run.failed, run.visited, run.exit_code) == (("boil",), ("grind", "sieve"), 1)
    assert run.log == ("grind", "sieve")


def test_items_are_left_where_no_worker_is_replaced(project: Project) -> None:
    """Without replacements, the run says what nobody is left to run."""
    project.workers = 1
    project.stations("""
        import time
        from helpers import send

        @station
        def boil(pytestconfig):
            send(pytestconfig, "{oops")
            time.sleep(300)

        @station
        def grind(boil): log("grind")
    """)

    run = project.run("--cc-run", "--max-worker-restart=0")

    assert (run.failed, run.blocked, run.exit_code) == (("boil",), ("grind",), 1)
    assert "choochoo: 1 item was not run: no workers left to run it" in run.text


def test_rerun_does_not_hide_a_bad_message(project: Project) -> None:
    """A station that is rerun may complete in another worker, and still the run ends red."""
    project.use("rerunfailures")
    project.stations("""
        import time
        from helpers import once, send

        @pytest.mark.flaky(reruns=1)
        @station
        def boil(pytestconfig):
            if once():
                send(pytestconfig, "{oops")
                time.sleep(300)
    """)

    run = project.run("--cc-run")

    assert (run.visited, run.exit_code) == (("boil",), 1), run.text
    assert len(_ended(run)) == 1


def test_bad_message_where_nothing_is_visited(project: Project) -> None:
    """Under --cc-check as well: the worker is ended, its item fails, the rest goes on."""
    project.stations("""
        from helpers import once, send, time

        @station
        def boil() -> int: return 100

        @boil.check
        def is_hot(pytestconfig):
            if hasattr(pytestconfig, "workerinput") and once():
                send(pytestconfig, '{"type": "LedgerQuestion", "question": "x"}')
                time.sleep(300)
    """)
    project.write(
        "test_it.py",
        """
        from helpers import once, send, time

        def test_it(boil, pytestconfig):
            if once("test"):
                send(pytestconfig, "{oops")
                time.sleep(300)

        def test_more(boil): ...
        """,
    )
    project.workers = 0
    project.run("--cc-run", "-k", "boil and not test")
    project.workers = 2

    run = project.run("--cc-check")

    assert run.exit_code == 1
    assert run.tests["test_more"] == "passed"
    assert run.errors["test_it"].endswith(f"; {WAY_OUT}")
    assert re.search(r"failed +boil +worker gw\d was ended, as it sent", run.text)
    assert len(_ended(run)) == 2


# --- the plan


PLAN = """
    import pytest
    import pytest_choochoo.parallel.worker as worker

    original = worker.make_plan

    def make_plan(made, items, workers):
        plan = original(made, items, workers)
        {change}
        return plan

    worker.make_plan = make_plan
    to_text = worker.to_text
"""


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ("plan.batches.clear()", "leaves out stations.py::boil, stations.py::pour: nothing"),
        ("del plan.batches[-1:]", "leaves out stations.py::pour: nothing"),
        (
            "plan.batches[0] = type(plan.batches[0])(items=(0,), waits=(1,))",
            "is damaged (batches wait for each other)",
        ),
        ("worker.to_text = lambda plan: to_text(plan)[:-9]", "is damaged (Input data was trunc"),
    ],
)
def test_forged_plan_is_an_error(project: Project, change: str, cause: str) -> None:
    """A plan that leaves out items, or cannot be followed, runs nothing, and the run is red."""
    project.write("conftest.py", PLAN.format(change=change))
    project.stations("@station\ndef boil(): log('x')\n\n@station\ndef pour(boil): log('y')\n")

    run = project.run("--cc-run")

    assert (run.log, run.exit_code) == ((), 4), run.text
    assert f"the plan of the workers {cause}" in run.text
    assert "nothing was run; run again" in run.text


def test_incomplete_input_of_a_worker_is_an_error(project: Project) -> None:
    """A worker that does not receive all that it needs runs nothing, and the run is red."""
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.hookimpl(trylast=True)
        def pytest_configure_node(node):
            del node.workerinput["choochoo"]["began"]
        """,
    )
    project.stations("@station\ndef boil(): log('x')\n")

    run = project.run("--cc-run", "--max-worker-restart=1")

    assert run.log == ()
    assert run.exit_code not in {0, 5}
