"""Stations as they are written: the decorator, its keywords, checks, and calling one plainly."""

from __future__ import annotations

import pytest
from railyard import Railyard


def test_bare_station_is_visited_once(railyard: Railyard, mode: str) -> None:
    """A bare station is visited in the first ride and unchanged in the second."""
    railyard.stations(
        """
        @station
        def boil():
            log("boil")
            return 100
        """
    )
    first = railyard.ride("--cc-run")

    second = railyard.ride("--cc-run")

    assert (first.visited, second.unchanged) == (("boil",), ("boil",))
    assert (first.log, second.log) == (("boil",), ())
    assert (first.exit_code, second.exit_code) == (0, 0)


def test_keywords_are_all_accepted_at_once(railyard: Railyard) -> None:
    """A station with every keyword of the decorator is visited like a bare one."""
    railyard.write("leaves.txt", "assam")
    railyard.stations(
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

    first, second = railyard.ride("--cc-run"), railyard.ride("--cc-run")

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
    railyard: Railyard, declaration: str, title: str
) -> None:
    """A station's title is the keyword, else the first line of the docstring."""
    railyard.stations(
        f"""
        {declaration}
        def boil():
            '''Boil the water.

            Until it bubbles.
            '''
        """
    )

    ride = railyard.ride("--cc-run")

    assert ride.facts["stations.py::boil"]["title"] == title


def test_title_is_the_name_where_nothing_else_is_said(railyard: Railyard) -> None:
    """A station without title and docstring is titled by its name."""
    railyard.stations("@station\ndef boil(): ...\n")

    ride = railyard.ride("--cc-run")

    assert ride.facts["stations.py::boil"]["title"] == "boil"


def test_station_is_called_plainly(railyard: Railyard) -> None:
    """Calling a station calls its function, so that it can be unit-tested without a run."""
    railyard.stations("@station\ndef pour(boil, cups=2):\n    return boil * cups\n")
    railyard.write(
        "test_pour.py", "from stations import pour\n\ndef test_it(): assert pour(3) == 6"
    )

    ride = railyard.ride()

    assert (ride.exit_code, ride.tests) == (0, {"test_it": "passed"})


@pytest.mark.parametrize(
    ("keyword", "message"),
    [
        pytest.param(
            'files="leaves.txt"',
            "@station(files=...) is 'leaves.txt'; it must be a list of texts",
            id="lone text",
        ),
        pytest.param(
            "max_age=-1",
            "@station(max_age=...) is '-1'; it must be a timedelta, or seconds, zero or more",
            id="negative age",
        ),
    ],
)
def test_wrong_keyword_is_a_collection_error(
    railyard: Railyard, keyword: str, message: str
) -> None:
    """A keyword of the wrong kind is a collection error that says what it must be."""
    railyard.stations(f"@station({keyword})\ndef boil(): ...\n")

    ride = railyard.ride("--cc-run")

    assert ride.exit_code == 2
    assert message in ride.text


def test_marks_stand_above_or_below(railyard: Railyard) -> None:
    """A mark works above `@station` as it does below."""
    railyard.stations(
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

    ride = railyard.ride("--cc-run")

    assert ride.causes == {"above": "above", "below": "below", "keywords": "with keywords"}
    assert ride.skipped == ("above", "below", "keywords")


@pytest.mark.parametrize(
    ("expression", "stations", "tests"),
    [
        pytest.param("station", ("boil",), {}, id="only stations"),
        pytest.param("not station", (), {"test_plain": "passed"}, id="no stations"),
    ],
)
def test_mark_station_selects(
    railyard: Railyard, expression: str, stations: tuple[str, ...], tests: dict[str, str]
) -> None:
    """Every station carries the mark `station`, and nothing else does."""
    railyard.stations("@station\ndef boil(): ...\n")
    railyard.write("test_other.py", "def test_plain(): ...")

    ride = railyard.ride("--cc-run", "-m", expression)

    assert (ride.visited, ride.tests) == (stations, tests)


def test_usefixtures_sets_the_fixture_up(railyard: Railyard) -> None:
    """`usefixtures` on a station sets the fixture up for its visit."""
    railyard.stations(
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

    ride = railyard.ride("--cc-run")

    assert ride.log == ("kettle", "boil")


def test_every_check_must_pass(railyard: Railyard) -> None:
    """With several checks a station is in its desired state when all of them pass."""
    railyard.stations(
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

    ride = railyard.ride("--cc-run")

    assert ride.failed == ("boil",)
    assert ride.causes["boil"].startswith(
        "check is_full does not pass: AssertionError: assert 'water' in ['tea']"
    )
    assert "check 'is_full' of station 'boil' does not pass after the visit" in ride.text


def test_asserts_of_stations_are_introspected(railyard: Railyard) -> None:
    """An assert in a station file is shown with its values, in a visit as in a check."""
    railyard.stations(
        """
        @station
        def boil():
            degrees = 60
            assert degrees == 100
        """
    )

    ride = railyard.ride("--cc-run")

    assert "assert 60 == 100" in ride.text


def test_check_receives_the_recorded_outcome(railyard: Railyard) -> None:
    """A check that names its own station receives the recorded outcome, decoded."""
    railyard.stations(
        """
        @station
        def boil() -> set[int]:
            return {100}

        @boil.check
        def is_hot(boil):
            log(repr(boil))
        """
    )

    first, second = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (first.log, second.log) == (("{100}",), ("{100}",))
    assert (first.visited, second.unchanged) == (("boil",), ("boil",))


def test_check_of_an_outcome_does_not_pass_without_one(railyard: Railyard) -> None:
    """A check that names its own station does not pass where no outcome is recorded."""
    railyard.stations(
        """
        @station
        def boil() -> None:
            log("boil")

        @boil.check
        def is_hot(boil): ...
        """
    )

    ride = railyard.ride("--cc-run")

    assert (ride.visited, ride.log) == (("boil",), ("boil",))


def test_clean_receives_the_outcome_or_none(railyard: Railyard) -> None:
    """A clean that names its own station receives its outcome, and None where there is none."""
    railyard.stations(
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
    railyard.ride("--cc-run")

    ride = railyard.ride("--cc-clean")

    assert ride.log == ("None", "100")


def test_check_and_clean_are_given_back_plain(railyard: Railyard) -> None:
    """A decorated check or clean is still the plain function."""
    railyard.stations(
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

    ride = railyard.ride()

    assert ride.tests == {"test_plain": "passed"}


def test_visit_tells_of_itself(railyard: Railyard) -> None:
    """The fixture `visit` knows station, profile, reasons, previous outcome and directory."""
    railyard.stations(
        """
        @station
        def boil(visit: Visit) -> int:
            log((visit.station, visit.profile, visit.reasons, visit.previous))
            (visit.dir / "here").touch()
            return 100
        """
    )
    railyard.ride("--cc-run", "--cc-profile", "staging")

    ride = railyard.ride("--cc-replay", "boil", "--cc-profile", "staging")

    assert railyard.log() == (
        "('boil', 'staging', ('never visited',), None)",
        "('boil', 'staging', ('selected by --cc-replay',), 100)",
    )
    assert ride.visited == ("boil",)


def test_directory_of_a_visit_is_its_own(railyard: Railyard) -> None:
    """`visit.dir` is kept between runs, is the station's own, and one per profile."""
    railyard.stations(
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
    railyard.ride("--cc-run")
    railyard.ride("--cc-replay", "all")
    railyard.ride("--cc-run", "--cc-profile", "prod")

    assert railyard.log() == ("[]", "[]", "['boil']", "['pour']", "[]", "[]")


def test_resources_outlive_a_visit_that_fails(railyard: Railyard, mode: str) -> None:
    """What a visit writes to `resources` is there in the next visit though it failed."""
    railyard.stations(
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
    first = railyard.ride("--cc-run")
    second = railyard.ride("--cc-run")
    railyard.workers = 0
    railyard.ride("--cc-clean")

    assert (first.failed, second.visited) == (("rent",), ("rent",))
    assert railyard.log() == ("{}", "{'vm': 1}", "{'vm': 2}")


def test_resources_are_a_mutable_mapping(railyard: Railyard) -> None:
    """`resources` can be written, read, counted, iterated and deleted from like a dict."""
    railyard.stations(
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

    ride = railyard.ride("--cc-run")

    assert ride.visited == ("rent",)


def test_progress_is_counted(railyard: Railyard) -> None:
    """`progress` counts what is updated, and `track` yields what it is given."""
    railyard.stations(
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

    ride = railyard.ride("--cc-run")

    assert ride.log == ("(3, 3)", "['a', 'b', 'c']", "['a', 'b']")


def test_visit_is_refused_to_tests(railyard: Railyard) -> None:
    """A test that asks for `visit` errors, with the way out."""
    railyard.stations("@station\ndef boil(): ...\n")
    railyard.write("test_it.py", "def test_it(visit): ...")
    message = (
        "asks for 'visit', which exists only in stations, checks and cleans; "
        "ask for the station instead"
    )

    rides = [railyard.ride("--cc-run"), railyard.ride()]

    assert [(ride.exit_code, f"test_it {message}" in ride.text) for ride in rides] == [
        (1, True)
    ] * 2


def test_visit_goes_through_ordinary_fixtures(railyard: Railyard) -> None:
    """An ordinary fixture that a station requests may request `visit`."""
    railyard.stations(
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

    first, second = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert (first.visited, second.unchanged) == (("rent",), ("rent",))


def test_parameters_with_defaults_are_no_dependencies(railyard: Railyard) -> None:
    """A parameter with a default is the author's own, though a station has its name."""
    railyard.stations(
        """
        @station
        def boil():
            return 1

        @station
        def pour(boil=7, *, cups=2):
            log(boil * cups)
        """
    )

    ride = railyard.ride("--cc-run", "-k", "pour")

    assert (ride.visited, ride.log) == (("pour",), ("14",))


def test_station_made_in_a_factory_is_one_of_several(railyard: Railyard) -> None:
    """Stations that a function makes are each a station of their own."""
    railyard.stations(
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

    first, second = railyard.ride("--cc-run"), railyard.ride("--cc-run")

    assert first.visited == second.unchanged == ("pour_tea", "pour_milk")
    assert railyard.log() == ("tea", "milk")
