"""`@x.find`: the outcome of what is already there, where no record has it."""

from __future__ import annotations

import pytest
from harness import Project

WORLD = """
    import json
    from pathlib import Path

    WORLD = Path(__file__).with_name("world.json")

    def world() -> dict:
        return json.loads(WORLD.read_text())

    @station
    def rent(visit: Visit) -> int:
        log(f"rent, found {visit.found}")
        WORLD.write_text(json.dumps({"port": 80}))
        return 80

    @rent.find
    def rented():
        return world()["port"]

    @rent.check
    def is_rented(rent: int):
        assert rent == 80

    @station
    def configure(rent: int) -> str:
        log("configure")
        return f"port {rent}"

    @configure.find
    def configured(rent: int):
        return f"port {rent}" if world() else None

    @station
    def announce(configure: str) -> None:
        log("announce")
"""
USES = "def test_it(rent, configure): assert (rent, configure) == (80, 'port 80')"


@pytest.fixture
def there(project: Project) -> Project:
    """A world that another checkout has made."""
    project.stations(WORLD)
    project.write("world.json", '{"port": 80}')
    return project


def test_what_is_there_is_adopted_with_its_outcome(there: Project, mode: str) -> None:
    """Consumers receive what was found, and the next run knows it by its record."""
    there.write("test_it.py", USES)

    run = there.run("--cc-run")
    again = there.run("--cc-run")

    assert run.results == {"rent": "adopted", "configure": "adopted", "announce": "visited"}
    assert (run.log, run.tests) == (("announce",), {"test_it": "passed"})
    assert (again.closing, again.log) == ("3 unchanged", ())


@pytest.mark.parametrize("made", ["nothing", "something else"])
def test_what_is_not_there_is_visited(project: Project, mode: str, made: str) -> None:
    """The visit has what was found where a check does not pass with it."""
    project.stations(WORLD)
    if made == "something else":
        project.write("world.json", '{"port": 81}')

    run = project.run("--cc-run")

    assert run.results["rent"] == "visited"
    assert run.log[0] == f"rent, found {81 if made == 'something else' else None}"
    assert project.run("--cc-run").closing == "3 unchanged"


def test_find_is_not_asked_while_the_record_is_fresh(there: Project) -> None:
    """The record knows more: what it was made of."""
    there.run("--cc-run")
    there.write("world.json", "broken")

    assert there.run("--cc-run").closing == "3 unchanged"


def test_find_is_asked_after_a_failure_that_left_no_outcome(project: Project) -> None:
    """Otherwise the last visit that returned knows it."""
    project.stations(WORLD)
    project.edit("stations.py", "return 80", "raise OSError('lost the line')")
    failed = project.run("--cc-run")

    run = project.run("--cc-run")

    assert (failed.results["rent"], run.results["rent"]) == ("failed", "adopted")


def test_changed_input_is_visited_although_something_is_found(project: Project) -> None:
    """A find cannot see that an input changed; the visit has what it found."""
    project.stations(
        WORLD.replace("@station\n    def rent", "@station(env=['PLAN'])\n    def rent")
    )
    project.setenv("PLAN", "small")
    project.run("--cc-run")
    project.setenv("PLAN", "large")

    run = project.run("--cc-run")

    assert run.results["rent"] == "visited"
    assert run.log == ("rent, found 80",)


def test_plan_leaves_it_to_the_find(there: Project) -> None:
    """A plan asks neither finds nor checks."""
    run = there.run("--cc-plan")

    assert [line.split()[:2] for line in run.outlines if line.startswith("  ")][:3] == [
        ["maybe", "rent"],
        ["maybe", "configure"],
        ["visit", "announce"],
    ]
    assert any(line.endswith("its find and its check decide") for line in run.outlines)


@pytest.mark.parametrize("selected", [(), ("test_it.py",), ("-k", "configure or test_it")])
def test_world_is_verified_without_any_record(
    there: Project, mode: str, selected: tuple[str, ...]
) -> None:
    """In a fresh checkout: tests and checks receive what was found, and nothing is written."""
    there.write("test_it.py", USES)

    run = there.run("--cc-check", *selected)

    expected = {"rent": "verified", "configure": "verified", "announce": "skipped"}
    if selected:
        expected = {key: word for key, word in expected.items() if key in " ".join(selected)}
    assert run.results == expected
    assert (run.tests, run.exit_code, run.log) == ({"test_it": "passed"}, 0, ())
    assert not list(there.path.rglob("*.sqlite"))


def test_verifying_fails_where_nothing_is_found(project: Project, mode: str) -> None:
    """So does a test that needs the outcome."""
    project.stations(WORLD)
    project.write("test_it.py", USES)

    run = project.run("--cc-check")

    assert run.causes["configure"] == "its find finds nothing"
    assert run.causes["rent"].startswith("its find finds nothing; check is_rented does not pass")
    assert (run.closing, run.tests) == ("2 failed, 1 skipped", {"test_it": "failed"})


def test_verifying_nothing_is_no_success(project: Project, mode: str) -> None:
    """Exit code 5 as where no test ran; a test that ran is enough."""
    project.stations("@station\ndef boil() -> None: ...")
    alone = project.run("--cc-check")
    project.write("test_it.py", "def test_it(): ...")

    assert (alone.closing, alone.exit_code) == ("1 skipped", 5)
    assert project.run("--cc-check").exit_code == 0


def test_lost_secret_is_found_again(project: Project, mode: str) -> None:
    """A find knows it as well as a visit."""
    project.stations("""
        from pytest_choochoo import Secret

        @station
        def login() -> Secret[str]:
            log("login")
            return Secret("hunter2")

        @login.find
        def logged_in():
            return Secret("hunter2")

        @station
        def enter(login: Secret[str]) -> None:
            log(login.reveal())
    """)
    project.run("--cc-run")

    run = project.run("--cc-replay", "enter")

    assert run.log == ("hunter2",)
    assert run.results == {"login": "adopted", "enter": "visited"}


def test_async_and_parametrized_finds(project: Project, mode: str) -> None:
    """Each instance is found by itself, and fan-in receives all."""
    project.stations("""
        @pytest.mark.parametrize("region", ["eu", "us"])
        @station
        def fetch(region) -> str:
            raise AssertionError("it is there")

        @fetch.find
        async def fetched(region):
            return region.upper()

        @station
        def merge(fetch) -> list[str]:
            return sorted(fetch.values())
    """)

    run = project.run("--cc-run")

    assert run.closing == "1 visited, 2 adopted"
    project.write("test_it.py", "def test_it(merge): assert merge == ['EU', 'US']")
    assert project.run().tests == {"test_it": "passed"}


@pytest.mark.parametrize(
    ("declared", "fault"),
    [
        pytest.param(
            "@boil.find\ndef one(): ...\n@boil.find\ndef two(): ...",
            "stations.py:10: station 'boil' has a second find, 'two'; merge them into one function",
            id="two",
        ),
        pytest.param(
            "@boil.find\ndef itself(boil): ...",
            "stations.py:8: the find of station 'boil' requests 'boil' itself, whose outcome it is "
            "to find; remove that parameter",
            id="itself",
        ),
    ],
)
def test_faults_are_known_beforehand(project: Project, declared: str, fault: str) -> None:
    """Nothing is run."""
    project.stations(f"@station\ndef boil() -> int:\n    return 1\n{declared}")

    run = project.run("--cc-run")

    assert fault in run.text
    assert run.exit_code == 2


def test_station_that_returns_nothing_has_nothing_to_find(project: Project) -> None:
    """A check says whether it is there."""
    project.stations("@station\ndef boil() -> None: ...\n@boil.find\ndef it(): ...")

    run = project.run("--cc-run")

    assert (
        "stations.py:7: station 'boil' returns nothing, so that its find has nothing to find; "
        "use a check" in run.text
    )


def test_found_outcome_must_fit(project: Project, mode: str) -> None:
    """The station fails as if its visit had returned it, and nothing is recorded."""
    project.stations(
        "@station\ndef boil() -> int:\n    return 1\n@boil.find\ndef it():\n    return 'x'"
    )

    run = project.run("--cc-run")

    assert run.failed == ("boil",)
    assert "the outcome of station 'boil' cannot be stored" in run.causes["boil"]


def test_mistake_in_a_find_visits_nothing(project: Project, mode: str) -> None:
    """It says nothing about what is there."""
    project.stations(
        "@station\ndef boil() -> int:\n    log('boil')\n    return 1\n@boil.find\ndef it():\n    return nmae"
    )

    run = project.run("--cc-run")

    assert run.log == ()
    assert run.causes["boil"] == (
        "station 'boil': its find could not be asked: NameError: name 'nmae' is not defined "
        "(stations.py:11); correct it"
    )


LOOKING = WORLD.replace("assert rent == 80", 'assert world() == {"port": rent}')
CLEANED = f"""{LOOKING}
    @rent.clean
    def give_back(rent: int):
        log(f"give back {{rent}}")
        WORLD.unlink()

    @configure.clean
    def unconfigure(configure: str):
        log(f"unconfigure {{configure}}")
"""


def test_clean_lists_what_finds_see(project: Project) -> None:
    """Stations not made here are listed if their checks pass with what is found, or they are found."""
    project.stations(CLEANED)
    nothing = project.run("--cc-clean")
    project.write("world.json", '{"port": 80}')

    run = project.run("--cc-clean")

    assert "not made here" not in nothing.text
    assert "choochoo: there, but not made here: rent, configure; to clean it: " in run.text
    assert (run.log, run.exit_code) == ((), 0)


def test_clean_by_node_id_receives_what_is_found(project: Project) -> None:
    """A station named by its node id is cleaned where it is found, upstream outcomes included."""
    project.stations(CLEANED)
    project.write("world.json", '{"port": 80}')

    below = project.run("--cc-clean", "stations.py::configure")
    both = project.run("--cc-clean", "stations.py::rent", "stations.py::configure")
    again = project.run("--cc-clean", "stations.py::rent", "stations.py::configure")

    assert (below.results, below.log) == ({"configure": "cleaned"}, ("unconfigure port 80",))
    assert both.results == {"rent": "cleaned", "configure": "cleaned"}
    assert both.log == ("unconfigure port 80", "give back 80")
    assert again.closing == "2 skipped"
    assert again.causes == {
        "rent": "not made here, and its checks do not pass",
        "configure": "not made here, and its find finds nothing",
    }
