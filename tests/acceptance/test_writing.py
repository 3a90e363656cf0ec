"""Stations as users write them: the decorator, its keywords, checks, and plain calls."""

from __future__ import annotations

import pytest
from harness import Project


def test_bare_station_is_visited_once(project: Project, mode: str) -> None:
    """A bare station is visited in the first run and unchanged in the second."""
    project.stations(
        """
        @station
        def boil():
            log("boil")
            return 100
        """
    )
    first = project.run("--cc-run")

    second = project.run("--cc-run")

    assert (first.visited, second.unchanged) == (("boil",), ("boil",))
    assert (first.log, second.log) == (("boil",), ())
    assert (first.exit_code, second.exit_code) == (0, 0)


def test_keywords_are_all_accepted_at_once(project: Project) -> None:
    """A station with every keyword of the decorator is visited like a bare one."""
    project.write("leaves.txt", "assam")
    project.stations(
        """
        from datetime import timedelta
        from pathlib import Path

        @pytest.fixture
        def sugar():
            return 2

        @station(
            title="Tea", files=["leaves.txt"], env=["HOME"], values=["sugar"],
            products=["tea.txt"], max_age=timedelta(days=1), version="1",
        )
        def brew(sugar) -> None:
            Path(__file__).with_name("tea.txt").write_text("tea")
        """
    )

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert (first.visited, second.unchanged) == (("brew",), ("brew",))


@pytest.mark.parametrize(
    ("declaration", "title"),
    [
        pytest.param('@station(title="Hot water")', "Hot water", id="keyword"),
        pytest.param("@station", "Boil the water.", id="docstring"),
        pytest.param("@station()", "Boil the water.", id="called without keywords"),
    ],
)
def test_title_is_the_keyword_else_the_docstring(
    project: Project, declaration: str, title: str
) -> None:
    """A station's title is the keyword, or the first line of the docstring."""
    project.stations(
        f"""
        {declaration}
        def boil():
            '''Boil the water.

            Until it bubbles.
            '''
        """
    )

    run = project.run("--cc-run")

    assert run.facts["stations.py::boil"]["title"] == title


def test_title_defaults_to_the_name(project: Project) -> None:
    """The title of a station without title and docstring is its name."""
    project.stations("@station\ndef boil(): ...\n")

    run = project.run("--cc-run")

    assert run.facts["stations.py::boil"]["title"] == "boil"


def test_station_can_be_called_directly(project: Project) -> None:
    """Calling a station calls its function, so that it can be unit-tested without a run."""
    project.stations("@station\ndef pour(boil, cups=2):\n    return boil * cups\n")
    project.write("test_pour.py", "from stations import pour\n\ndef test_it(): assert pour(3) == 6")

    run = project.run()

    assert (run.exit_code, run.tests) == (0, {"test_it": "passed"})


@pytest.mark.parametrize(
    ("keyword", "message"),
    [
        pytest.param(
            'files="leaves.txt"',
            "@station(files=...) is 'leaves.txt'; it must be a list of strings",
            id="lone text",
        ),
        pytest.param(
            "max_age=-1",
            "@station(max_age=...) is '-1'; it must be a timedelta, or a number of seconds, zero or more",
            id="negative age",
        ),
    ],
)
def test_wrong_keyword_is_a_collection_error(project: Project, keyword: str, message: str) -> None:
    """A keyword of the wrong type is a collection error that says what it must be."""
    project.stations(f"@station({keyword})\ndef boil(): ...\n")

    run = project.run("--cc-run")

    assert run.exit_code == 2
    assert message in run.text


def test_marks_stand_above_or_below(project: Project) -> None:
    """A mark works above `@station` and below it."""
    project.stations(
        """
        @pytest.mark.skip(reason="above")
        @station
        def above(): ...

        @station
        @pytest.mark.skip(reason="below")
        def below(): ...

        @pytest.mark.skipif(True, reason="with keywords")
        @station(title="x")
        def keywords(): ...
        """
    )

    run = project.run("--cc-run")

    assert run.causes == {"above": "above", "below": "below", "keywords": "with keywords"}
    assert run.skipped == ("above", "below", "keywords")


@pytest.mark.parametrize(
    ("expression", "stations", "tests"),
    [
        pytest.param("station", ("boil",), {}, id="only stations"),
        pytest.param("not station", (), {"test_plain": "passed"}, id="no stations"),
    ],
)
def test_mark_station_selects(
    project: Project, expression: str, stations: tuple[str, ...], tests: dict[str, str]
) -> None:
    """Every station has the mark `station`, and nothing else has."""
    project.stations("@station\ndef boil(): ...\n")
    project.write("test_other.py", "def test_plain(): ...")

    run = project.run("--cc-run", "-m", expression)

    assert (run.visited, run.tests) == (stations, tests)


def test_usefixtures_sets_the_fixture_up(project: Project) -> None:
    """`usefixtures` on a station sets up the fixture for its visit."""
    project.stations(
        """
        @pytest.fixture
        def kettle():
            log("kettle")

        @pytest.mark.usefixtures("kettle")
        @station
        def boil():
            log("boil")
        """
    )

    run = project.run("--cc-run")

    assert run.log == ("kettle", "boil")


def test_every_check_must_pass(project: Project) -> None:
    """A station with several checks is in its desired state when all of them pass."""
    project.stations(
        """
        @station
        def boil(): ...

        @boil.check
        def is_hot(): ...

        @boil.check
        def is_full():
            assert "water" in ["tea"]
        """
    )

    run = project.run("--cc-run")

    assert run.failed == ("boil",)
    assert run.causes["boil"].startswith(
        "check is_full does not pass: AssertionError: assert 'water' in ['tea']"
    )
    assert "check 'is_full' of station 'boil' does not pass after the visit" in run.text


def test_asserts_of_stations_are_introspected(project: Project) -> None:
    """An assert in a station file shows its values, in a visit as in a check."""
    project.stations(
        """
        @station
        def boil():
            degrees = 60
            assert degrees == 100
        """
    )

    run = project.run("--cc-run")

    assert "assert 60 == 100" in run.text


def test_check_receives_the_recorded_outcome(project: Project) -> None:
    """A check that names its own station receives the recorded outcome, decoded."""
    project.stations(
        """
        @station
        def boil() -> set[int]:
            return {100}

        @boil.check
        def is_hot(boil):
            log(repr(boil))
        """
    )

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert (first.log, second.log) == (("{100}",), ("{100}",))
    assert (first.visited, second.unchanged) == (("boil",), ("boil",))


def test_check_of_an_outcome_does_not_pass_without_one(project: Project) -> None:
    """A check that names its own station does not pass if no outcome is recorded."""
    project.stations(
        """
        @station
        def boil() -> None:
            log("boil")

        @boil.check
        def is_hot(boil): ...
        """
    )

    run = project.run("--cc-run")

    assert (run.visited, run.log) == (("boil",), ("boil",))


def test_clean_receives_the_outcome_or_none(project: Project) -> None:
    """A clean that names its own station receives its outcome, or None if there is none."""
    project.stations(
        """
        @station
        def boil() -> int:
            return 100

        @boil.clean
        def cool(boil: int | None):
            log(repr(boil))

        @station
        def burn() -> int:
            raise RuntimeError("ouch")

        @burn.clean
        def extinguish(burn: int | None):
            log(repr(burn))
        """
    )
    project.run("--cc-run")

    run = project.run("--cc-clean")

    assert run.log == ("None", "100")


def test_check_and_clean_stay_plain_functions(project: Project) -> None:
    """A decorated check or clean is still the plain function."""
    project.stations(
        """
        @station
        def boil(): ...

        @boil.check
        def is_hot(): return True

        @boil.check(within=3)
        def is_full(): return True

        @boil.clean
        def cool(): return "cool"

        def test_plain():
            assert (is_hot(), is_full(), cool()) == (True, True, "cool")
        """,
        name="test_boil.py",
    )

    run = project.run()

    assert run.tests == {"test_plain": "passed"}


def test_visit_knows_its_facts(project: Project) -> None:
    """The fixture `visit` knows station, profile, reasons, previous outcome and directory."""
    project.stations(
        """
        @station
        def boil(visit: Visit) -> int:
            log((visit.station, visit.profile, visit.reasons, visit.previous))
            (visit.dir / "here").touch()
            return 100
        """
    )
    project.run("--cc-run", "--cc-profile", "staging")

    run = project.run("--cc-replay", "boil", "--cc-profile", "staging")

    assert project.log() == (
        "('boil', 'staging', ('first visit',), None)",
        "('boil', 'staging', ('selected by --cc-replay',), 100)",
    )
    assert run.visited == ("boil",)


def test_directory_of_a_visit_is_its_own(project: Project) -> None:
    """`visit.dir` is kept between runs, belongs to the station, and there is one per profile."""
    project.stations(
        """
        @station
        def boil(visit):
            log(sorted(p.name for p in visit.dir.iterdir()))
            (visit.dir / "boil").touch()

        @station
        def pour(visit):
            log(sorted(p.name for p in visit.dir.iterdir()))
            (visit.dir / "pour").touch()
        """
    )
    project.run("--cc-run")
    project.run("--cc-replay", "all")
    project.run("--cc-run", "--cc-profile", "prod")

    assert project.log() == ("[]", "[]", "['boil']", "['pour']", "[]", "[]")


def test_resources_outlive_a_visit_that_fails(project: Project, mode: str) -> None:
    """The resources of a failed visit are available in the next one."""
    project.stations(
        """
        @station
        def rent(visit):
            log(dict(visit.resources))
            visit.resources["vm"] = visit.resources.get("vm", 0) + 1
            if visit.resources["vm"] == 1:
                raise RuntimeError("out of money")

        @rent.clean
        def give_back(visit):
            log(dict(visit.resources))
        """
    )
    first = project.run("--cc-run")
    second = project.run("--cc-run")
    project.workers = 0
    project.run("--cc-clean")

    assert (first.failed, second.visited) == (("rent",), ("rent",))
    assert project.log() == ("{}", "{'vm': 1}", "{'vm': 2}")


def test_resources_are_a_mutable_mapping(project: Project) -> None:
    """`resources` can be written, read, counted, iterated and deleted from like a dict."""
    project.stations(
        """
        @station
        def rent(visit):
            resources = visit.resources
            resources["a"] = {"ids": [1, 2]}
            resources.update(b="x")
            del resources["b"]
            assert "b" not in resources and len(resources) == 1
            assert dict(resources) == {"a": {"ids": [1, 2]}}
            with pytest.raises(KeyError):
                resources["c"]
        """
    )

    run = project.run("--cc-run")

    assert run.visited == ("rent",)


def test_progress_is_counted(project: Project) -> None:
    """`progress` counts updates, and `track` yields the given items."""
    project.stations(
        """
        @station
        def load(visit):
            with visit.progress(total=3, unit="B") as progress:
                progress.update()
                progress.update(n=2)
            log((progress.done, progress.total))
            log(list(visit.track("abc", description="letters")))
            log(list(visit.track(iter("ab"))))
            visit.progress().update(5)
        """
    )

    run = project.run("--cc-run")

    assert run.log == ("(3, 3)", "['a', 'b', 'c']", "['a', 'b']")


def test_test_cannot_request_visit(project: Project) -> None:
    """A test that requests `visit` ends in an error, with the way out."""
    project.stations("@station\ndef boil(): ...\n")
    project.write("test_it.py", "def test_it(visit): ...")
    message = (
        "requests 'visit', which exists only in stations, checks and cleans; "
        "request the station instead"
    )

    runs = [project.run("--cc-run"), project.run()]

    assert [(run.exit_code, f"test_it {message}" in run.text) for run in runs] == [(1, True)] * 2


def test_visit_goes_through_ordinary_fixtures(project: Project) -> None:
    """An ordinary fixture that a station requests may request `visit`."""
    project.stations(
        """
        @pytest.fixture
        def cloud(visit):
            return visit.resources

        @station
        def rent(cloud):
            cloud["vm"] = 1

        @rent.check
        def is_rented(cloud):
            assert cloud["vm"] == 1
        """
    )

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert (first.visited, second.unchanged) == (("rent",), ("rent",))


def test_parameters_with_defaults_are_not_dependencies(project: Project) -> None:
    """A parameter with a default is not a request, even if a station has its name."""
    project.stations(
        """
        @station
        def boil():
            return 1

        @station
        def pour(boil=7, *, cups=2):
            log(boil * cups)
        """
    )

    run = project.run("--cc-run", "-k", "pour")

    assert (run.visited, run.log) == (("pour",), ("14",))


def test_stations_of_a_factory_are_different(project: Project) -> None:
    """Each call of a function that makes stations makes another station."""
    project.stations(
        """
        def make(cup):
            def pour():
                log(cup)
            pour.__name__ = f"pour_{cup}"
            return station(pour)

        pour_tea = make("tea")
        pour_milk = make("milk")
        """
    )

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert first.visited == second.unchanged == ("pour_tea", "pour_milk")
    assert project.log() == ("tea", "milk")
