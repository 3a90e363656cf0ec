"""Stations under `-n`: each exactly once, as soon as it may, whatever happens to workers."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from railyard import Railyard

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
def two_workers(railyard: Railyard) -> None:
    railyard.workers = 2
    railyard.write(
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


def test_branches_run_at_once(railyard: Railyard) -> None:
    """Two stations that wait for each other inside their visits can only pass side by side."""
    railyard.stations(
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
    ride = railyard.ride("--cc-run")
    assert (ride.exit_code, ride.closing, ride.log) == (0, "3 visited", ("pour",))


def test_station_waits_for_its_own_upstream_only(railyard: Railyard) -> None:
    """There are no layers: the end of a short branch passes before the long one is done."""
    railyard.stations(
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
    assert railyard.ride("--cc-run").closing == "3 visited"


def test_longest_path_goes_first(railyard: Railyard) -> None:
    """By the durations that are recorded, and not in the order of definition."""
    railyard.workers = 1
    railyard.stations(
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
    assert railyard.ride("--cc-run").log[0] == "head"  # two steps ahead are more than one
    railyard.edit("stations.py", "time.sleep(0)", "time.sleep(0.3)")
    railyard.ride("--cc-replay", "all")

    assert railyard.ride("--cc-replay", "all").log[0] == "short"


def test_results_and_values_arrive_in_other_workers(railyard: Railyard) -> None:
    """What one worker's station returned is what stations and tests in others receive."""
    railyard.stations(
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
    railyard.write("test_site.py", "def test_site(both, one, two): assert both == (one, two)")
    ride = railyard.ride("--cc-run")
    assert (ride.closing, ride.last_line) == ("3 visited", "4 passed")


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
def test_dead_worker_fails_its_station_alone(railyard: Railyard, how: str) -> None:
    """A worker that dies costs the station under way and its downstream, and nothing else."""
    railyard.stations(CRASH.format(how=how))
    ride = railyard.ride("--cc-run")
    assert ride.results == {
        "grind": "visited",
        "sieve": "visited",
        "boil": "failed",
        "pour": "blocked",
    }
    assert (ride.exit_code, ride.blamed) == (1, {"pour": ("boil",)})
    assert re.fullmatch(
        r"the worker process \d+ died while it visited the station", ride.causes["boil"]
    )
    assert ride.log == ("grind", "sieve")

    railyard.edit("stations.py", how, "...")
    ride = railyard.ride("--cc-run")
    assert ride.closing == "2 visited, 2 unchanged"
    [reason, *_] = ride.reasons["boil"]
    assert re.match(
        r"last visit failed [\d.]+ s ago: the worker process \d+ died while it visited the station",
        reason,
    )


def test_station_that_is_rerun_after_a_crash_can_still_complete(railyard: Railyard) -> None:
    """Where a plugin has what crashed run again, the last word counts, for downstream as well."""
    railyard.use("rerunfailures")
    railyard.stations(
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
    ride = railyard.ride("--cc-run")
    assert (ride.exit_code, ride.closing) == (0, "2 visited"), ride.text
    assert ride.log[0] == "never visited" and ride.log[2] == "pour"
    assert re.match(r"last visit failed [\d.]+ s ago: the worker process", ride.log[1])


def test_all_that_a_dead_worker_had_before_it_is_run(railyard: Railyard) -> None:
    """Tests go to workers in batches; those that were not begun are run by others."""
    railyard.stations("@station\ndef boil(): ...")
    railyard.write(
        "test_site.py",
        """
        import os
        import pytest
        from railyard import log

        @pytest.mark.parametrize("number", range(8))
        def test_site(number):
            log(number)
            if number == 2:
                os._exit(1)
        """,
    )
    ride = railyard.ride("--cc-run")
    assert sorted(ride.log) == sorted(map(str, range(8)))
    assert (ride.closing, ride.last_line) == ("1 visited", "1 failed, 8 passed")


def test_dead_worker_counts_for_x(railyard: Railyard) -> None:
    """A crash is a failure: with -x nothing else starts, in the other workers neither."""
    railyard.stations(
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
    ride = railyard.ride("--cc-run", "-x")
    assert ride.log == ()
    assert ride.closing == "1 visited, 1 failed, 1 blocked, 2 not reached"
    assert ride.exit_code in {1, 2}


def test_sibling_under_way_finishes_after_x(railyard: Railyard) -> None:
    """What is under way when another station fails is finished, recorded and counted."""
    railyard.stations(
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
    ride = railyard.ride("--cc-run", "-x")
    assert ride.log == ("grind",)
    assert ride.closing == "1 visited, 1 failed, 1 blocked, 1 not reached"
    assert ride.exit_code in {1, 2}
    assert railyard.ride("--cc-check", "-k", "grind").exit_code == 0


def test_group_never_overlaps(railyard: Railyard) -> None:
    """Stations that share a mark `xdist_group` take turns."""
    railyard.stations(
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
        assert railyard.ride(*arguments).closing == "6 visited"


@pytest.mark.parametrize("dist", ["loadscope", "loadfile", "loadgroup", "worksteal"])
def test_other_dist_is_overruled(railyard: Railyard, dist: str) -> None:
    """The route decides who goes when, which is said in one line."""
    railyard.stations('@station\n@pytest.mark.xdist_group("stove")\ndef boil(): ...')
    railyard.ride("--cc-run")
    ride = railyard.ride("--cc-run", "--dist", dist)
    line = f"choochoo: --dist {dist} is overruled, stations go in the order of their route"
    assert ride.outlines.count(line) == 1
    assert ride.closing == "1 unchanged"


def test_scheduler_of_somebody_else_is_overruled(railyard: Railyard) -> None:
    """Whom the project would have schedule its tests: with --cc-run the route decides."""
    railyard.write(
        "conftest.py",
        """
        from xdist.scheduler import LoadScheduling

        def pytest_xdist_make_scheduler(config, log):
            return LoadScheduling(config, log)
        """,
    )
    railyard.stations(
        "import os\n\n@station\ndef boil(): os._exit(1)\n\n@station\ndef pour(boil): ..."
    )
    ride = railyard.ride("--cc-run")
    assert (ride.exit_code, ride.results) == (1, {"boil": "failed", "pour": "blocked"}), ride.text


def test_usual_dist_is_not_mentioned(railyard: Railyard) -> None:
    """What -n implies needs no line, and neither does a run without stations."""
    railyard.stations("@station\ndef boil(): ...")
    assert "--dist" not in railyard.ride("--cc-run").text
    assert "overruled" not in railyard.ride("--dist", "loadfile").text


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
def test_nothing_is_counted_that_is_no_item(railyard: Railyard, arguments: tuple[str, ...]) -> None:
    """The signal that holds workers is in no count, no report and no page."""
    railyard.use("html", "metadata")
    railyard.stations(MIXED)
    railyard.write("test_site.py", "def test_one(pour): ...\n\ndef test_two(): ...")
    railyard.ride("--cc-run")

    ride = railyard.ride(*arguments, "-v", "--junitxml=facts.xml", "--html=page.html")

    assert "2 workers [5 items]" in ride.text and "[100%]" in ride.text
    assert ride.last_line == "4 passed, 1 skipped"
    cases = ElementTree.parse(railyard.path / "facts.xml").getroot().iter("testcase")
    assert sorted(case.get("name", "") for case in cases) == [
        "boil",
        "pour",
        "tea",
        "test_one",
        "test_two",
    ]
    page = (railyard.path / "page.html").read_text()
    assert "signal" not in ride.text + page + (railyard.path / "facts.xml").read_text()


def test_fresh_stations_are_sent_to_no_worker(railyard: Railyard) -> None:
    """The controller reports them by itself."""
    railyard.stations(MIXED)
    railyard.ride("--cc-run", "-k", "not tea")
    railyard.write(
        "conftest.py",
        """
        from railyard import log

        def pytest_runtest_protocol(item): log(item.name)
        """,
    )
    ride = railyard.ride("--cc-run", "-k", "not tea")
    assert (ride.closing, ride.last_line, ride.log) == ("2 unchanged", "2 passed", ())


def test_module_fixtures_are_set_up_once_for_tests_that_wait_for_nothing(
    railyard: Railyard,
) -> None:
    """Such tests stay together in one worker."""
    railyard.stations("@station\ndef boil(): ...")
    railyard.write(
        "test_site.py",
        """
        import pytest
        from railyard import log

        @pytest.fixture(scope="module")
        def browser():
            log("browser")

        @pytest.mark.parametrize("page", range(9))
        def test_page(browser, page): ...
        """,
    )
    ride = railyard.ride("--cc-run")
    assert (ride.last_line, ride.log) == ("10 passed", ("browser",))


def test_session_fixtures_are_torn_down_at_the_end(railyard: Railyard) -> None:
    """A worker tears down what it has set up before it goes home."""
    railyard.workers = 1
    railyard.write(
        "conftest.py",
        """
        import pytest
        from railyard import log

        @pytest.fixture(scope="session")
        def browser():
            log("begins")
            yield
            log("ends")
        """,
    )
    railyard.stations("@station\ndef boil(browser): ...\n\n@station\ndef pour(boil, browser): ...")
    ride = railyard.ride("--cc-run")
    assert (ride.closing, ride.log) == ("2 visited", ("begins", "ends"))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_session_fixture_that_cannot_be_torn_down_is_reported(
    railyard: Railyard, workers: int
) -> None:
    """The error is one of the last item that was run, with what was printed, in JUnit as well."""
    railyard.workers = workers
    railyard.write(
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
    railyard.stations(
        "@station\ndef boil(browser): print('opened')\n\n@station\ndef pour(boil): ..."
    )

    ride = railyard.ride("--cc-run", "--junitxml=out.xml")

    assert (ride.exit_code, ride.last_line) == (1, "2 passed, 1 error")
    assert "ERROR at teardown of " in ride.text and "RuntimeError: hangs" in ride.text
    assert "- Captured stdout teardown -" in ride.text and "\nclosing\n" in ride.text
    assert "signal" not in ride.text and "reports.py" not in ride.text
    assert [report["when"] for report in ride.reports if report["outcome"] == "failed"] == [
        "teardown"
    ]
    suite = ElementTree.parse(railyard.path / "out.xml").find("testsuite")
    assert suite is not None and (suite.get("tests"), suite.get("errors")) == ("2", "1")
    assert {case.get("name") for case in suite} == {"boil", "pour"} and len(suite) == 2
    assert sorted(each.tag for case in suite for each in case) == ["error", *["properties"] * 2]


@pytest.mark.parametrize("workers", [0, 1])
def test_left_behind_fixture_that_fails_is_part_of_the_entry(
    railyard: Railyard, workers: int
) -> None:
    """What cannot be torn down after an item that was not run is no second entry in JUnit."""
    railyard.workers = workers
    railyard.stations(
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

    ride = railyard.ride("--cc-run", "--junitxml=out.xml")

    assert (ride.exit_code, ride.failed, ride.blocked) == (1, ("boil",), ("pour",))
    assert "ERROR at teardown of pour" in ride.text and "\ncooling\n" in ride.text
    suite = ElementTree.parse(railyard.path / "out.xml").find("testsuite")
    assert suite is not None
    assert [case.get("name") for case in suite] == ["boil", "pour"]
    assert [each.tag for each in suite[1]] == ["properties", "skipped", "error"]


def test_workers_that_collect_differently_are_told(railyard: Railyard) -> None:
    """Nothing is run when workers do not agree on what there is."""
    railyard.stations(
        """
        import os

        if os.environ["PYTEST_XDIST_WORKER"] == "gw0":
            @station
            def boil(): log("boil")

        @station
        def pour(): log("pour")
        """
    )
    ride = railyard.ride("--cc-run")
    assert ride.exit_code == 1 and ride.log == ()
    assert "Different tests were collected between gw" in ride.text


def test_tests_without_stations_are_run(railyard: Railyard) -> None:
    """Where there are no stations, --cc-run is as if it were not there."""
    for name in ("one", "two"):
        railyard.write(f"test_{name}.py", "def test_a(): ...\n\ndef test_b(): assert 0")
    ride = railyard.ride("--cc-run")
    assert (ride.exit_code, ride.last_line) == (1, "2 failed, 2 passed")
    assert "choochoo:" not in ride.text


def test_nothing_to_run_ends_as_ever(railyard: Railyard) -> None:
    """An empty selection has pytest's own exit code."""
    railyard.stations("@station\ndef boil(): ...")
    assert railyard.ride("--cc-run", "-k", "nothing").exit_code == 5


@pytest.mark.parametrize("arguments", [("--collect-only",), ("--fixtures",)])
def test_nothing_is_run_where_only_a_look_is_asked_for(
    railyard: Railyard, arguments: tuple[str, ...]
) -> None:
    """With `-n` as well, a session that runs nothing lists, and ends as ever."""
    railyard.stations(DIAMOND)
    railyard.ini("addopts = --cc-run -n 2")

    ride = railyard.ride(*arguments, apart=True)

    assert (ride.exit_code, ride.log, ride.closing) == (0, (), "")
    assert "INTERNALERROR" not in ride.text


def test_workers_that_are_not_distributed_to_are_none(railyard: Railyard) -> None:
    """With `--tx` and no `--dist`, xdist does nothing, and the run is a serial one."""
    railyard.stations(DIAMOND)

    ride = railyard.ride("--cc-run", "--tx", "popen", apart=True)

    assert (ride.exit_code, ride.closing) == (0, "4 visited")


def test_ledger_that_fails_while_workers_agree_is_named(railyard: Railyard) -> None:
    """Where the workers cannot even agree on what is run, the run ends with the sentence."""
    railyard.stations(DIAMOND)
    railyard.write(
        "conftest.py",
        """
        from pytest_choochoo import Place, open_ledger
        from pytest_choochoo.railway.ledger import LostLedger

        class Full:
            def __init__(self, ledger):
                self._ledger = ledger

            def __getattr__(self, name):
                return getattr(self._ledger, name)

            def agreed(self, run, name, value):
                raise LostLedger("default.sqlite", "database or disk is full")

        def pytest_choochoo_make_ledger(config, folder, profile):
            ledger = open_ledger(Place(folder, profile))
            return Full(ledger) if hasattr(config, "workerinput") else ledger
        """,
    )

    ride = railyard.ride("--cc-run", "-n", "2", apart=True)

    assert ride.exit_code == 4
    assert (
        "ERROR: the ledger cannot be used any more, default.sqlite: database or disk is full; "
        "mend that, and the next run resumes"
    ) in ride.text
    assert "INTERNALERROR" not in ride.text


@pytest.mark.parametrize("workers", [0, 1])
def test_left_behind_fixture_that_fails_is_reported_beside_reruns(
    railyard: Railyard, workers: int
) -> None:
    """What cannot be torn down after an item that was not run is an error of that item."""
    railyard.use("rerunfailures")
    railyard.workers = workers
    railyard.stations(
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

    ride = railyard.ride("--cc-run", apart=True)

    assert (ride.exit_code, ride.failed, ride.blocked) == (1, ("boil",), ("pour",))
    assert "ERROR at teardown of pour" in ride.text
    assert "RuntimeError: it is hot" in ride.text and "teardown_exact" not in ride.text


@pytest.mark.parametrize("workers", [0, 1])
def test_interrupt_while_fixtures_are_left_behind_is_no_error(
    railyard: Railyard, workers: int
) -> None:
    """Ctrl-C in a teardown that follows an item which was not run ends the run as any does."""
    railyard.workers = workers
    railyard.stations(
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

    assert railyard.ride("--cc-run", apart=True).exit_code == 2


def test_result_of_a_dead_worker_has_its_facts(railyard: Railyard) -> None:
    """A station whose worker died says what it needs, in its report and in JUnit's properties."""
    railyard.workers = 1
    railyard.stations(
        """
        import os

        @station
        def boil(): ...

        @station
        def pour(boil):
            os._exit(3)
        """
    )

    ride = railyard.ride("--cc-run")

    assert ride.facts["stations.py::pour"]["upstream"] == ["boil"]
    assert ride.properties["pour"]["choochoo.upstream"] == "boil"
    assert ride.properties["pour"]["choochoo.result"] == "failed"


def test_run_whose_workers_are_used_up_is_not_green(railyard: Railyard) -> None:
    """What nobody is left to run makes the run fail, though nothing that was run did."""
    railyard.write(
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
    railyard.stations(
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
    railyard.write("test_it.py", "def test_it(grind, tamp): assert False")

    ride = railyard.ride("--cc-run", "--max-worker-restart", "0")

    left = ride.closing.count("not reached")
    assert ride.exit_code == 1
    assert ride.tests == {} or ride.tests == {"test_it": "failed"}
    assert left == 0 or "items were not run: there was no worker left to run them" in ride.text


@pytest.mark.parametrize("consumer", ["@station\ndef boil", "def test_boil"])
def test_worker_that_dies_while_it_tears_down_is_not_green(
    railyard: Railyard, consumer: str
) -> None:
    """A worker that is killed by a session fixture's teardown makes the run fail."""
    railyard.write(
        "conftest.py",
        """
        import os, pytest

        @pytest.fixture(scope="session")
        def stove():
            yield
            os._exit(3)
        """,
    )
    railyard.stations("@station\ndef fill(): ...")
    file = "stations.py" if "@" in consumer else "test_it.py"
    more = f"from pytest_choochoo import station\n\n{consumer}(stove): ...\n"
    railyard.write(file, more)

    ride = railyard.ride("--cc-run")

    assert ride.exit_code == 1
    died = rf"the worker process died when it was done with {file}::\w+, and tore nothing down"
    assert re.search(died, ride.text)
    assert "1 failed" in ride.last_line


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_stations_that_come_twice_run_once(railyard: Railyard, workers: int) -> None:
    """With --keep-duplicates everything still comes after what it needs, and is counted once."""
    railyard.workers = workers
    railyard.stations(CHAIN)
    files = ("--keep-duplicates", "stations.py", "stations.py", "stations.py")
    first = railyard.ride("--cc-run", *files)

    again = railyard.ride("--cc-replay", "all", *files)

    assert (first.closing, again.closing) == ("3 visited", "3 visited")
    assert railyard.log() == ("boil", "grind", "tamp") * 2


CHAIN = """
@station
def boil(): log("boil")

@station
def grind(boil): log("grind")

@station
def tamp(grind): log("tamp")
"""


def test_failure_stops_what_other_workers_have_got(railyard: Railyard) -> None:
    """With -x the tests of a module that another worker has got are not run to the end."""
    railyard.stations(
        "from meeting import wait_for\n\n@station\ndef boil():\n    wait_for('t')\n    1 / 0\n"
    )
    railyard.write(
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

    ride = railyard.ride("--cc-run", "-x")

    assert ride.exit_code in {1, 2}
    assert len(ride.tests) < 20, ride.text


def test_check_that_its_worker_dies_of_is_failed(railyard: Railyard) -> None:
    """--cc-check counts the station as failed, and says what happened."""
    railyard.stations(
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
    railyard.ride("--cc-run")
    railyard.setenv("DIES", "1")

    ride = railyard.ride("--cc-check")

    assert ride.exit_code == 1
    assert ride.closing == "1 unchanged, 1 failed"
    assert re.search(r"failed +boil +the worker process died\nnext: pytest --cc-run", ride.text)


def test_dead_worker_tells_why_its_station_was_visited(railyard: Railyard) -> None:
    """The reasons stand beside a station whose worker died, as beside any other."""
    railyard.stations("import os\n\n@station\ndef boil(): os._exit(1)\n")

    ride = railyard.ride("--cc-run", "-v")

    assert ride.reasons == {"boil": ("never visited",)}
    assert "FAILED (never visited)" in ride.text


def test_worker_that_dies_after_the_record_is_written(railyard: Railyard) -> None:
    """What is complete stays complete, and the failure of the worker says so."""
    railyard.write(
        "conftest.py",
        """
        import os

        def pytest_choochoo_visit_finished(node_id):
            if node_id.endswith("::boil"):
                os._exit(1)
        """,
    )
    railyard.stations("@station\ndef boil(): ...\n\n@station\ndef pour(boil): ...\n")

    ride = railyard.ride("--cc-run")

    assert (ride.exit_code, ride.closing) == (1, "2 visited")
    assert "the worker process died when boil was recorded already" in ride.text
    assert railyard.ride("--cc-run").closing == "2 unchanged"


@pytest.mark.parametrize("workers", [1, 2])
def test_replacement_that_collects_something_else_is_not_used(
    railyard: Railyard, workers: int
) -> None:
    """Who edits a workflow while it runs has no use of workers that join; the run ends all the same."""
    railyard.workers = workers
    railyard.stations(
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

    ride = railyard.ride("--cc-run")

    assert ride.exit_code == 1
    pour = "not reached" if workers == 1 else "visited"
    assert ride.results.items() >= {"boil": "visited", "burst": "failed", "pour": pour}.items()
    if workers == 1:
        other = "choochoo: gw1 has collected something else than the workers before it"
        left = "choochoo: 1 items were not run: there was no worker left to run them"
        assert other in ride.text and left in ride.text


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_exit_with_a_code_of_its_own_ends_the_run_with_it(railyard: Railyard, workers: int) -> None:
    """`pytest.exit` in a station is no error of a worker."""
    railyard.workers = workers
    railyard.stations(
        """
        @station
        def boil():
            pytest.exit("enough", returncode=7)

        @station
        def pour(boil): ...
        """
    )

    ride = railyard.ride("--cc-run", apart=True)
    again = railyard.ride("--cc-check", "-v", apart=True)

    assert ride.exit_code == 7
    assert "INTERNALERROR" not in ride.text and again.results["boil"] == "failed"


@pytest.mark.parametrize("mode", ["--cc-run", "--cc-check"])
def test_groups_are_no_part_of_node_ids(railyard: Railyard, mode: str) -> None:
    """With `--dist loadgroup` stations are known by their own names."""
    railyard.stations("@station\n@pytest.mark.xdist_group('db')\ndef boil(): ...")
    railyard.ride("--cc-run")

    ride = railyard.ride(mode, "--dist", "loadgroup")

    assert (ride.exit_code, ride.results) == (0, {"boil": "unchanged"})


def test_tests_of_a_large_module_keep_all_workers_busy(railyard: Railyard) -> None:
    """Where tests of one module share nothing, they need not wait for each other."""
    railyard.stations("@station\ndef boil(): ...")
    for stations in (True, False):
        railyard.write(
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
        ride = railyard.ride("--cc-run", *(() if stations else ("test_site.py",)))
        assert ride.exit_code == 0
        (railyard.path / "stations.py").unlink(missing_ok=True)


def test_left_items_are_told_beside_failures(railyard: Railyard) -> None:
    """That no worker was left is said though the run is red anyway."""
    railyard.workers = 1
    railyard.stations(
        "import os\n\n@station\ndef boil(): os._exit(1)\n\n@station\ndef grind(): ..."
    )

    ride = railyard.ride("--cc-run", "--max-worker-restart", "0", "-q")

    assert ride.exit_code == 1
    assert "choochoo: 1 items were not run: there was no worker left to run them" in ride.text


def test_hooks_of_others_may_take_what_comes_next_for_a_function(railyard: Railyard) -> None:
    """What a worker waits with looks like a test to the hooks of a conftest file."""
    railyard.stations(DIAMOND)
    railyard.write(
        "conftest.py",
        """
        def pytest_collection_finish(session):
            assert all(item.function.__name__ for item in session.items)

        def pytest_runtest_teardown(item, nextitem):
            assert nextitem is None or (nextitem.function and nextitem.fixturenames is not None)
        """,
    )

    assert railyard.ride("--cc-run").exit_code == 0


def test_worker_that_dies_with_nothing_to_do_fails_nothing(railyard: Railyard) -> None:
    """It was visiting no station; the others go on, and a replacement joins."""
    railyard.stations(
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

    ride = railyard.ride("--cc-run", "--junitxml=out.xml")

    assert (ride.exit_code, ride.last_line, ride.closing) == (0, "2 passed", "2 visited")


def test_worker_that_dies_after_it_adopted_is_no_internal_error(railyard: Railyard) -> None:
    """Of a station without a visit there is no attempt on record."""
    railyard.workers = 1
    railyard.write(
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
    railyard.stations("@station\ndef boil() -> None: ...\n\n@boil.check\ndef boils(): ...")

    ride = railyard.ride("--cc-run")

    assert (ride.exit_code, ride.closing) == (1, "1 adopted")
    assert "the worker process died when boil was recorded already" in ride.text


def test_tests_outside_of_the_project_are_run(
    railyard: Railyard, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whose node id names no file is a test like any other."""
    file = tmp_path_factory.mktemp("outside") / "test_it.py"
    file.write_text("def test_a(): ...\n\ndef test_b(): assert 0\n")

    ride = railyard.ride("--cc-run", str(file), "--rootdir", str(railyard.path))

    assert (ride.exit_code, ride.last_line) == (1, "1 failed, 1 passed")
