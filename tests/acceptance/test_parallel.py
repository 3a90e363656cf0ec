"""Stations under `-n`: each exactly once, as soon as it may start, even if workers die."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from harness import Project

DIAMOND = """
@station
def boil(): ...

@station
def grind(boil): ...

@station
def foam(boil): ...

@station
def pour(grind, foam): ...
"""

NO_MORE_THAN = 10  # seconds that a station waits for another one before it gives up

pytestmark = pytest.mark.usefixtures("two_workers")


@pytest.fixture
def two_workers(project: Project) -> None:
    project.workers = 2
    project.write(
        "meeting.py",
        f"""
        import time
        from pathlib import Path

        def arrive(name):
            Path(f"{{name}}.here").touch()

        def wait_for(name):
            end = time.monotonic() + {NO_MORE_THAN}
            while not Path(f"{{name}}.here").exists():
                assert time.monotonic() < end, f"{{name}} did not come"
                time.sleep(0.01)
        """,
    )


def test_branches_run_at_once(project: Project) -> None:
    """Two stations that wait for each other inside their visits can only pass in parallel."""
    project.stations(
        """
        from meeting import arrive, wait_for

        @station
        def boil():
            arrive("boil")
            wait_for("grind")

        @station
        def grind():
            arrive("grind")
            wait_for("boil")

        @station
        def pour(boil, grind): log("pour")
        """
    )
    run = project.run("--cc-run")
    assert (run.exit_code, run.closing, run.log) == (0, "3 visited", ("pour",))


def test_station_waits_for_its_own_upstream_only(project: Project) -> None:
    """There are no layers: the end of a short branch runs before the long branch is done."""
    project.stations(
        """
        from meeting import arrive, wait_for

        @station
        def slow(): wait_for("quick_end")

        @station
        def quick(): ...

        @station
        def quick_end(quick): arrive("quick_end")
        """
    )
    assert project.run("--cc-run").closing == "3 visited"


def test_longest_path_goes_first(project: Project) -> None:
    """Recorded durations decide the order, and not the order of definition."""
    project.workers = 1
    project.stations(
        """
        import time

        @station
        def short():
            log("short")
            time.sleep(0)

        @station
        def head(): log("head")

        @station
        def next(head): log("next")
        """
    )
    assert project.run("--cc-run").log[0] == "head"  # two steps ahead are more than one
    project.edit("stations.py", "time.sleep(0)", "time.sleep(0.3)")
    project.run("--cc-replay", "all")

    assert project.run("--cc-replay", "all").log[0] == "short"


def test_results_and_values_arrive_in_other_workers(project: Project) -> None:
    """Stations and tests receive outcomes of stations that ran in other workers."""
    project.stations(
        """
        import os

        @station
        def one() -> int: return os.getpid()

        @station
        def two(one: int) -> int: return os.getpid()

        @station
        def both(one: int, two: int) -> tuple[int, int]: return one, two
        """
    )
    project.write("test_site.py", "def test_site(both, one, two): assert both == (one, two)")
    run = project.run("--cc-run")
    assert (run.closing, run.last_line) == ("3 visited", "4 passed")


CRASH = """
    import os, signal
    from meeting import arrive, wait_for

    @station
    def boil():
        arrive("boil")
        {how}

    @station
    def pour(boil): log("pour")

    @station
    def grind():
        wait_for("boil")
        log("grind")

    @station
    def sieve(grind): log("sieve")
    """


@pytest.mark.parametrize(
    "how", ["os._exit(3)", "os.kill(os.getpid(), signal.SIGKILL)"], ids=["exit", "killed"]
)
def test_dead_worker_fails_its_station_alone(project: Project, how: str) -> None:
    """When a worker dies, the station under way fails, its downstream is blocked, and nothing else."""
    project.stations(CRASH.format(how=how))
    run = project.run("--cc-run")
    assert run.results == {
        "grind": "visited",
        "sieve": "visited",
        "boil": "failed",
        "pour": "blocked",
    }
    assert (run.exit_code, run.blamed) == (1, {"pour": ("boil",)})
    assert re.fullmatch(
        r"the worker process \d+ died while it visited the station", run.causes["boil"]
    )
    assert run.log == ("grind", "sieve")

    project.edit("stations.py", how, "...")
    run = project.run("--cc-run")
    assert run.closing == "2 visited, 2 unchanged"
    [reason, *_] = run.reasons["boil"]
    assert re.match(
        r"last visit failed [\d.]+ s ago: the worker process \d+ died while it visited the station",
        reason,
    )


def test_station_that_is_rerun_after_a_crash_can_still_complete(project: Project) -> None:
    """If a plugin reruns crashed items, the last run counts, for downstream as well."""
    project.use("rerunfailures")
    project.stations(
        """
        import os
        from pathlib import Path

        @pytest.mark.flaky(reruns=1)
        @station
        def boil(visit):
            log(visit.reasons[0].partition(" died")[0].rstrip("0123456789 "))
            if not Path("tried").exists():
                Path("tried").touch()
                os._exit(1)

        @station
        def pour(boil): log("pour")
        """
    )
    run = project.run("--cc-run")
    assert (run.exit_code, run.closing) == (0, "2 visited"), run.text
    assert run.log[0] == "first visit" and run.log[2] == "pour"
    assert re.match(r"last visit failed [\d.]+ s ago: the worker process", run.log[1])


def test_pending_tests_of_a_dead_worker_are_run_by_others(project: Project) -> None:
    """Tests go to workers in batches; tests that the dead worker had not started run in others."""
    project.stations("@station\ndef boil(): ...")
    project.write(
        "test_site.py",
        """
        import os
        import pytest
        from effects import log

        @pytest.mark.parametrize("number", range(8))
        def test_site(number):
            log(number)
            if number == 2:
                os._exit(1)
        """,
    )
    run = project.run("--cc-run")
    assert sorted(run.log) == sorted(map(str, range(8)))
    assert (run.closing, run.last_line) == ("1 visited", "1 failed, 8 passed")


def test_dead_worker_counts_for_exitfirst(project: Project) -> None:
    """A crash is a failure: with -x no worker starts anything else."""
    project.stations(
        """
        import os, time
        from meeting import arrive, wait_for

        @station
        def boil():
            wait_for("grind")
            os._exit(1)

        @station
        def grind():
            arrive("grind")
            time.sleep(1)

        @station
        def tamp(grind): log("tamp")

        @station
        def weigh(): log("weigh")

        @station
        def pour(boil): log("pour")
        """
    )
    run = project.run("--cc-run", "-x")
    assert run.log == ()
    assert run.closing == "1 visited, 1 failed, 1 blocked, 2 not reached"
    assert run.exit_code in {1, 2}


def test_sibling_under_way_finishes_after_exitfirst(project: Project) -> None:
    """A visit under way when another station fails is finished, recorded and counted."""
    project.stations(
        """
        import time
        from meeting import arrive, wait_for

        @station
        def boil():
            wait_for("grind")
            raise RuntimeError("cold")

        @station
        def grind():
            arrive("grind")
            time.sleep(1)
            log("grind")

        @station
        def pour(boil): ...

        @station
        def sieve(grind): ...
        """
    )
    run = project.run("--cc-run", "-x")
    assert run.log == ("grind",)
    assert run.closing == "1 visited, 1 failed, 1 blocked, 1 not reached"
    assert run.exit_code in {1, 2}
    assert project.run("--cc-check", "-k", "grind").exit_code == 0


def test_group_never_overlaps(project: Project) -> None:
    """Stations that share an `xdist_group` mark never run at the same time."""
    project.stations(
        """
        import time
        from pathlib import Path

        @station
        @pytest.mark.parametrize("cup", range(6))
        @pytest.mark.xdist_group("kettle")
        def boil(cup):
            Path("kettle").mkdir()  # fails where it is in use
            time.sleep(0.05)
            Path("kettle").rmdir()
        """
    )
    for arguments in (("--cc-run",), ("--cc-replay", "all")):
        assert project.run(*arguments).closing == "6 visited"


@pytest.mark.parametrize("dist", ["loadscope", "loadfile", "loadgroup", "worksteal"])
def test_other_dist_is_ignored(project: Project, dist: str) -> None:
    """The route decides the order, and a line says that --dist is ignored."""
    project.stations('@station\n@pytest.mark.xdist_group("stove")\ndef boil(): ...')
    project.run("--cc-run")
    run = project.run("--cc-run", "--dist", dist)
    line = f"choochoo: ignoring --dist {dist}: stations are scheduled by their route"
    assert run.outlines.count(line) == 1
    assert run.closing == "1 unchanged"


def test_custom_scheduler_is_ignored(project: Project) -> None:
    """Under --cc-run the route decides, even if the project provides a scheduler."""
    project.write(
        "conftest.py",
        """
        from xdist.scheduler import LoadScheduling

        def pytest_xdist_make_scheduler(config, log):
            return LoadScheduling(config, log)
        """,
    )
    project.stations(
        "import os\n\n@station\ndef boil(): os._exit(1)\n\n@station\ndef pour(boil): ..."
    )
    run = project.run("--cc-run")
    assert (run.exit_code, run.results) == (1, {"boil": "failed", "pour": "blocked"}), run.text


def test_usual_dist_is_not_mentioned(project: Project) -> None:
    """The `--dist` that -n implies is not mentioned, and neither is any in a run without stations."""
    project.stations("@station\ndef boil(): ...")
    assert "--dist" not in project.run("--cc-run").text
    assert "ignoring" not in project.run("--dist", "loadfile").text


MIXED = """
    @station
    def boil(): return 100

    @station
    def pour(boil): ...

    @station
    @pytest.mark.skip(reason="no tea")
    def tea(): ...
    """


@pytest.mark.parametrize("arguments", [("--cc-run",), ("--cc-run", "--cc-replay", "boil")])
def test_placeholder_is_never_counted(project: Project, arguments: tuple[str, ...]) -> None:
    """The placeholder item of the workers is in no count, no report and no summary."""
    project.use("html", "metadata")
    project.stations(MIXED)
    project.write("test_site.py", "def test_one(pour): ...\n\ndef test_two(): ...")
    project.run("--cc-run")

    run = project.run(*arguments, "-v", "--junitxml=facts.xml", "--html=page.html")

    assert "2 workers [5 items]" in run.text and "[100%]" in run.text
    assert run.last_line == "4 passed, 1 skipped"
    cases = ElementTree.parse(project.path / "facts.xml").getroot().iter("testcase")
    assert sorted(case.get("name", "") for case in cases) == [
        "boil",
        "pour",
        "tea",
        "test_one",
        "test_two",
    ]
    page = (project.path / "page.html").read_text()
    assert "signal" not in run.text + page + (project.path / "facts.xml").read_text()


def test_fresh_stations_are_sent_to_no_worker(project: Project) -> None:
    """The controller itself reports fresh stations."""
    project.stations(MIXED)
    project.run("--cc-run", "-k", "not tea")
    project.write(
        "conftest.py",
        """
        from effects import log

        class Listener:
            def pytest_runtest_logstart(self, nodeid): log(nodeid)

        def pytest_configure(config):
            if hasattr(config, "workerinput"):
                config.pluginmanager.register(Listener())
        """,
    )
    run = project.run("--cc-run", "-k", "not tea")
    assert (run.closing, run.last_line, run.log) == ("2 unchanged", "2 passed", ())


def test_module_fixtures_are_set_up_once_for_tests_that_wait_for_nothing(
    project: Project,
) -> None:
    """Tests that share a module fixture and wait for no station stay in one worker."""
    project.stations("@station\ndef boil(): ...")
    project.write(
        "test_site.py",
        """
        import pytest
        from effects import log

        @pytest.fixture(scope="module")
        def browser():
            log("browser")

        @pytest.mark.parametrize("page", range(9))
        def test_page(browser, page): ...
        """,
    )
    run = project.run("--cc-run")
    assert (run.last_line, run.log) == ("10 passed", ("browser",))


def test_session_fixtures_are_torn_down_at_the_end(project: Project) -> None:
    """A worker tears down its session fixtures before it shuts down."""
    project.workers = 1
    project.write(
        "conftest.py",
        """
        import pytest
        from effects import log

        @pytest.fixture(scope="session")
        def browser():
            log("begins")
            yield
            log("ends")
        """,
    )
    project.stations("@station\ndef boil(browser): ...\n\n@station\ndef pour(boil, browser): ...")
    run = project.run("--cc-run")
    assert (run.closing, run.log) == ("2 visited", ("begins", "ends"))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_session_fixture_that_cannot_be_torn_down_is_reported(
    project: Project, workers: int
) -> None:
    """The last item of the worker has the error, with the captured output, in JUnit as well."""
    project.workers = workers
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture(scope="session")
        def browser():
            yield
            print("closing")
            raise RuntimeError("hangs")
        """,
    )
    project.stations(
        "@station\ndef boil(browser): print('opened')\n\n@station\ndef pour(boil): ..."
    )

    run = project.run("--cc-run", "--junitxml=out.xml")

    assert (run.exit_code, run.last_line) == (1, "2 passed, 1 error")
    assert "ERROR at teardown of " in run.text and "RuntimeError: hangs" in run.text
    assert "- Captured stdout teardown -" in run.text and "\nclosing\n" in run.text
    assert "signal" not in run.text and "reports.py" not in run.text
    assert [report["when"] for report in run.reports if report["outcome"] == "failed"] == [
        "teardown"
    ]
    suite = ElementTree.parse(project.path / "out.xml").find("testsuite")
    assert suite is not None and (suite.get("tests"), suite.get("errors")) == ("2", "1")
    assert {case.get("name") for case in suite} == {"boil", "pour"} and len(suite) == 2
    assert sorted(each.tag for case in suite for each in case) == ["error", *["properties"] * 2]


@pytest.mark.parametrize("workers", [0, 1])
def test_left_behind_fixture_that_fails_is_part_of_the_entry(
    project: Project, workers: int
) -> None:
    """A fixture that fails in teardown after an item that was not run adds no entry to JUnit."""
    project.workers = workers
    project.stations(
        """
        @pytest.fixture(scope="session")
        def stove():
            yield
            print("cooling")
            raise RuntimeError("it is hot")

        @station
        def boil(stove):
            raise OSError("no gas")

        @station
        def pour(boil): ...
        """
    )

    run = project.run("--cc-run", "--junitxml=out.xml")

    assert (run.exit_code, run.failed, run.blocked) == (1, ("boil",), ("pour",))
    assert "ERROR at teardown of pour" in run.text and "\ncooling\n" in run.text
    suite = ElementTree.parse(project.path / "out.xml").find("testsuite")
    assert suite is not None
    assert [case.get("name") for case in suite] == ["boil", "pour"]
    assert [each.tag for each in suite[1]] == ["properties", "skipped", "error"]


def test_workers_that_collect_differently_are_reported(project: Project) -> None:
    """Nothing runs if the workers collected different items."""
    project.stations(
        """
        import os

        if os.environ["PYTEST_XDIST_WORKER"] == "gw0":
            @station
            def boil(): log("boil")

        @station
        def pour(): log("pour")
        """
    )
    run = project.run("--cc-run")
    assert run.exit_code == 1 and run.log == ()
    assert "Different tests were collected between gw" in run.text


def test_tests_without_stations_are_run(project: Project) -> None:
    """In a project without stations, --cc-run has no effect."""
    for name in ("one", "two"):
        project.write(f"test_{name}.py", "def test_a(): ...\n\ndef test_b(): assert 0")
    run = project.run("--cc-run")
    assert (run.exit_code, run.last_line) == (1, "2 failed, 2 passed")
    assert "choochoo:" not in run.text


def test_empty_selection_ends_as_usual(project: Project) -> None:
    """An empty selection has pytest's own exit code."""
    project.stations("@station\ndef boil(): ...")
    assert project.run("--cc-run", "-k", "nothing").exit_code == 5


@pytest.mark.parametrize("arguments", [("--collect-only",), ("--fixtures",)])
def test_collect_only_with_workers_runs_nothing(
    project: Project, arguments: tuple[str, ...]
) -> None:
    """With `-n` too, `--collect-only` lists the items and ends as usual."""
    project.stations(DIAMOND)
    project.ini("addopts = --cc-run -n 2")

    run = project.run(*arguments, apart=True)

    assert (run.exit_code, run.log, run.closing) == (0, (), "")
    assert "INTERNALERROR" not in run.text


def test_tx_without_dist_is_a_serial_run(project: Project) -> None:
    """With `--tx` and without `--dist`, xdist does nothing, and the run is serial."""
    project.stations(DIAMOND)

    run = project.run("--cc-run", "--tx", "popen", apart=True)

    assert (run.exit_code, run.closing) == (0, "4 visited")


def test_ledger_that_fails_while_workers_agree_is_named(project: Project) -> None:
    """If the workers cannot agree on a plan because the ledger fails, the run ends with its error."""
    project.stations(DIAMOND)
    project.write(
        "conftest.py",
        """
        from pytest_choochoo import LedgerLocation, open_ledger
        from pytest_choochoo.engine.errors import LostLedger

        class Full:
            def __init__(self, ledger):
                self._ledger = ledger

            def __getattr__(self, name):
                return getattr(self._ledger, name)

            def put_if_absent(self, run, name, value):
                raise LostLedger("default.sqlite", "database or disk is full")

        def pytest_choochoo_make_ledger(config, folder, profile):
            ledger = open_ledger(LedgerLocation(folder, profile))
            return Full(ledger) if hasattr(config, "workerinput") else ledger
        """,
    )

    run = project.run("--cc-run", "-n", "2", apart=True)

    assert run.exit_code == 4
    assert (
        "ERROR: the ledger cannot be used any more, default.sqlite: database or disk is full; "
        "fix this and run again to resume"
    ) in run.text
    assert "INTERNALERROR" not in run.text


@pytest.mark.parametrize("workers", [0, 1])
def test_left_behind_fixture_that_fails_is_reported_beside_reruns(
    project: Project, workers: int
) -> None:
    """A fixture that fails in teardown after an item that was not run is an error of that item."""
    project.use("rerunfailures")
    project.workers = workers
    project.stations(
        """
        @pytest.fixture(scope="session")
        def stove():
            yield
            raise RuntimeError("it is hot")

        @station
        def boil(stove):
            raise OSError("no gas")

        @station
        def pour(boil): ...
        """
    )

    run = project.run("--cc-run", apart=True)

    assert (run.exit_code, run.failed, run.blocked) == (1, ("boil",), ("pour",))
    assert "ERROR at teardown of pour" in run.text
    assert "RuntimeError: it is hot" in run.text and "teardown_exact" not in run.text


@pytest.mark.parametrize("workers", [0, 1])
def test_interrupt_in_a_late_teardown_ends_the_run(project: Project, workers: int) -> None:
    """Ctrl-C in a teardown that follows an item which was not run ends the run as usual."""
    project.workers = workers
    project.stations(
        """
        @pytest.fixture(scope="session")
        def stove():
            yield
            raise KeyboardInterrupt

        @station
        def boil(stove):
            raise OSError("no gas")

        @station
        def pour(boil): ...
        """
    )

    assert project.run("--cc-run", apart=True).exit_code == 2


def test_result_of_a_dead_worker_has_its_facts(project: Project) -> None:
    """A station whose worker died has its upstream in its report and in JUnit's properties."""
    project.workers = 1
    project.stations(
        """
        import os

        @station
        def boil(): ...

        @station
        def pour(boil):
            os._exit(3)
        """
    )

    run = project.run("--cc-run")

    assert run.facts["stations.py::pour"]["upstream"] == ["boil"]
    assert run.properties["pour"]["choochoo.upstream"] == "boil"
    assert run.properties["pour"]["choochoo.result"] == "failed"


def test_run_without_workers_left_fails(project: Project) -> None:
    """A run fails if no worker is left to run all items, even if all that ran passed."""
    project.write(
        "conftest.py",
        """
        import os, threading, time
        from pathlib import Path

        def dies_when_told():
            while not Path("boil.here").exists():
                time.sleep(0.01)
            os._exit(9)

        def pytest_configure(config):
            if getattr(config, "workerinput", {}).get("workerid") == "gw1":
                threading.Thread(target=dies_when_told, daemon=True).start()
        """,
    )
    project.stations(
        """
        import time
        from meeting import arrive

        @station
        def boil():
            arrive("boil")
            time.sleep(1)

        @station
        def grind(boil): ...

        @station
        def tamp(boil): ...
        """
    )
    project.write("test_it.py", "def test_it(grind, tamp): assert False")

    run = project.run("--cc-run", "--max-worker-restart", "0")

    left = run.closing.count("not reached")
    assert run.exit_code == 1
    assert run.tests == {} or run.tests == {"test_it": "failed"}
    assert left == 0 or " not run: no workers left to run " in run.text


@pytest.mark.parametrize("consumer", ["@station\ndef boil", "def test_boil"])
def test_worker_that_dies_in_teardown_fails_the_run(project: Project, consumer: str) -> None:
    """A worker that a session fixture's teardown kills makes the run fail."""
    project.write(
        "conftest.py",
        """
        import os, pytest

        @pytest.fixture(scope="session")
        def stove():
            yield
            os._exit(3)
        """,
    )
    project.stations("@station\ndef fill(): ...")
    file = "stations.py" if "@" in consumer else "test_it.py"
    more = f"from pytest_choochoo import station\n\n{consumer}(stove): ...\n"
    project.write(file, more)

    run = project.run("--cc-run")

    assert run.exit_code == 1
    died = rf"the worker process died after finishing {file}::\w+, before teardown"
    assert re.search(died, run.text)
    assert "1 failed" in run.last_line


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_duplicated_stations_run_once(project: Project, workers: int) -> None:
    """With --keep-duplicates all items still run after their upstream, and are counted once."""
    project.workers = workers
    project.stations(CHAIN)
    files = ("--keep-duplicates", "stations.py", "stations.py", "stations.py")
    first = project.run("--cc-run", *files)

    again = project.run("--cc-replay", "all", *files)

    assert (first.closing, again.closing) == ("3 visited", "3 visited")
    assert project.log() == ("boil", "grind", "tamp") * 2


CHAIN = """
@station
def boil(): log("boil")

@station
def grind(boil): log("grind")

@station
def tamp(grind): log("tamp")
"""


def test_failure_stops_the_pending_items_of_other_workers(project: Project) -> None:
    """With -x the remaining tests of a module in another worker are not run."""
    project.stations(
        "from meeting import wait_for\n\n@station\ndef boil():\n    wait_for('t')\n    1 / 0\n"
    )
    project.write(
        "test_it.py",
        """
        import time
        import pytest
        from meeting import arrive

        @pytest.mark.parametrize("number", range(40))
        def test_it(number):
            if number == 1:
                arrive("t")
            time.sleep(0.2)
        """,
    )

    run = project.run("--cc-run", "-x")

    assert run.exit_code in {1, 2}
    assert len(run.tests) < 20, run.text


def test_check_that_kills_its_worker_fails(project: Project) -> None:
    """--cc-check counts the station as failed, and says that its worker died."""
    project.stations(
        """
        import os

        @station
        def boil() -> None: ...

        @boil.check
        def is_hot():
            if os.environ.get("DIES"):
                os._exit(1)

        @station
        def pour(boil) -> None: ...
        """
    )
    project.run("--cc-run")
    project.setenv("DIES", "1")

    run = project.run("--cc-check")

    assert run.exit_code == 1
    assert run.closing == "1 verified, 1 failed"
    assert re.search(r"failed +boil +the worker process died\nnext: pytest --cc-run", run.text)


def test_reasons_are_shown_for_the_station_of_a_dead_worker(project: Project) -> None:
    """The reasons are shown beside a station whose worker died, as beside any other."""
    project.stations("import os\n\n@station\ndef boil(): os._exit(1)\n")

    run = project.run("--cc-run", "-v")

    assert run.reasons == {"boil": ("first visit",)}
    assert "FAILED (first visit)" in run.text


def test_worker_that_dies_after_the_record_is_written(project: Project) -> None:
    """A station that was recorded stays complete, and the failure of the worker says so."""
    project.write(
        "conftest.py",
        """
        import os

        def pytest_choochoo_visit_finished(node_id):
            if node_id.endswith("::boil"):
                os._exit(1)
        """,
    )
    project.stations("@station\ndef boil(): ...\n\n@station\ndef pour(boil): ...\n")

    run = project.run("--cc-run")

    assert (run.exit_code, run.closing) == (1, "2 visited")
    assert "the worker process died after boil was recorded" in run.text
    assert project.run("--cc-run").closing == "2 unchanged"


@pytest.mark.parametrize("workers", [1, 2])
def test_replacement_that_collects_other_items_is_not_used(project: Project, workers: int) -> None:
    """After an edit during the run, workers that join are not used, and the run still ends."""
    project.workers = workers
    project.stations(
        """
        import os
        from pathlib import Path

        @station
        def boil():
            with open(__file__, "a") as file:
                file.write("\\n@station\\ndef added(): ...\\n")

        @station
        def burst(boil):
            os._exit(1)

        @station
        def pour(boil): ...
        """
    )

    run = project.run("--cc-run")

    assert run.exit_code == 1
    pour = "not reached" if workers == 1 else "visited"
    assert run.results.items() >= {"boil": "visited", "burst": "failed", "pour": pour}.items()
    if workers == 1:
        other = "choochoo: worker gw1 collected different items than the other workers"
        left = "choochoo: 1 item was not run: no workers left to run it"
        assert other in run.text and left in run.text


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_exit_with_a_return_code_ends_the_run_with_it(project: Project, workers: int) -> None:
    """`pytest.exit` with a return code in a station is not an error of the worker."""
    project.workers = workers
    project.stations(
        """
        @station
        def boil():
            pytest.exit("enough", returncode=7)

        @station
        def pour(boil): ...
        """
    )

    run = project.run("--cc-run", apart=True)
    again = project.run("--cc-check", "-v", apart=True)

    assert run.exit_code == 7
    assert "INTERNALERROR" not in run.text and again.results["boil"] == "failed"


@pytest.mark.parametrize(
    ("option", "word"), [("--cc-run", "unchanged"), ("--cc-check", "verified")]
)
def test_groups_are_not_part_of_node_ids(project: Project, option: str, word: str) -> None:
    """With `--dist loadgroup` stations keep their own node ids."""
    project.stations("@station\n@pytest.mark.xdist_group('db')\ndef boil(): ...")
    project.run("--cc-run")

    run = project.run(option, "--dist", "loadgroup")

    assert (run.exit_code, run.results) == (0, {"boil": word})


def test_tests_of_a_large_module_keep_all_workers_busy(project: Project) -> None:
    """Tests of one module that share no fixtures need not wait for each other."""
    project.stations("@station\ndef boil(): ...")
    for stations in (True, False):
        project.write(
            "test_site.py",
            f"""
            from meeting import arrive, wait_for
            import pytest

            def test_here(): arrive("here {stations}"); wait_for("there {stations}")
            def test_one(): ...
            def test_two(): ...
            def test_there(): arrive("there {stations}"); wait_for("here {stations}")
            """,
        )
        run = project.run("--cc-run", *(() if stations else ("test_site.py",)))
        assert run.exit_code == 0
        (project.path / "stations.py").unlink(missing_ok=True)


def test_left_items_are_reported_beside_failures(project: Project) -> None:
    """A red run also says that no worker was left for some items."""
    project.workers = 1
    project.stations("import os\n\n@station\ndef boil(): os._exit(1)\n\n@station\ndef grind(): ...")

    run = project.run("--cc-run", "--max-worker-restart", "0", "-q")

    assert run.exit_code == 1
    assert "choochoo: 1 item was not run: no workers left to run it" in run.text


def test_placeholder_looks_like_a_function_to_hooks(project: Project) -> None:
    """The hooks of a conftest file may treat the placeholder like a test."""
    project.stations(DIAMOND)
    project.write(
        "conftest.py",
        """
        def pytest_collection_finish(session):
            assert all(item.function.__name__ for item in session.items)

        def pytest_runtest_teardown(item, nextitem):
            assert nextitem is None or (nextitem.function and nextitem.fixturenames is not None)
        """,
    )

    assert project.run("--cc-run").exit_code == 0


def test_worker_that_dies_with_nothing_to_do_fails_nothing(project: Project) -> None:
    """When an idle worker dies, the others go on, and a replacement joins."""
    project.stations(
        """
        import os, signal, time
        from pathlib import Path

        @station
        def quick() -> int:
            return os.getpid()

        @station
        def slow():
            while not Path("quick.pid").exists():
                time.sleep(0.01)
            time.sleep(0.5)
            os.kill(int(Path("quick.pid").read_text()), signal.SIGKILL)
            time.sleep(0.5)

        @quick.check
        def is_told(quick):
            Path("quick.pid").write_text(str(quick))
        """
    )

    run = project.run("--cc-run", "--junitxml=out.xml")

    assert (run.exit_code, run.last_line, run.closing) == (0, "2 passed", "2 visited")


def test_worker_that_dies_after_an_adoption_fails_the_station(project: Project) -> None:
    """A crash is reported although an adopted station has no attempt on record."""
    project.workers = 1
    project.write(
        "conftest.py",
        """
        import os, pytest

        class Killer:
            @pytest.hookimpl(wrapper=True, tryfirst=True)
            def pytest_runtest_protocol(self, item):
                yield
                os._exit(3)

        def pytest_collection_finish(session):
            if hasattr(session.config, "workerinput"):
                session.config.pluginmanager.register(Killer())
        """,
    )
    project.stations("@station\ndef boil() -> None: ...\n\n@boil.check\ndef boils(): ...")

    run = project.run("--cc-run")

    assert (run.exit_code, run.closing) == (1, "1 adopted")
    assert "the worker process died after boil was recorded" in run.text


def test_tests_outside_the_project_are_run(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A test whose node id has no file runs like any other test."""
    file = tmp_path_factory.mktemp("outside") / "test_it.py"
    file.write_text("def test_a(): ...\n\ndef test_b(): assert 0\n")

    run = project.run("--cc-run", str(file), "--rootdir", str(project.path))

    assert (run.exit_code, run.last_line) == (1, "1 failed, 1 passed")
