"""Stations as users declare them, and declarations that are rejected at once."""

from __future__ import annotations

import functools
import os
import pickle
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_choochoo import Station, station
from pytest_choochoo.engine.errors import (
    AttachedTwice,
    BadSetting,
    ChoochooError,
    NotAFunction,
    YieldStation,
)
from pytest_choochoo.engine.station import Check, Declaration


def boil(degrees: int = 100) -> int:
    """Boil the water.

    All of it.
    """
    return degrees


def pour() -> None: ...


def _declared_at(function: Callable[..., Any]) -> str:
    return f"{os.path.relpath(__file__)}:{function.__code__.co_firstlineno}"


def test_station_is_called_like_its_function() -> None:
    """Calling a station calls the plain function."""
    assert station(boil)(degrees=90) == 90


def test_station_is_named_after_its_function() -> None:
    """A station has the name, the file and the line of its function."""
    made = station(boil)

    assert (made.name, made.__name__, made.__wrapped__) == ("boil", "boil", boil)
    assert (made.path, made.location) == (Path(__file__), _declared_at(boil))
    assert repr(made) == "<station boil>"


def test_decorated_function_keeps_its_location() -> None:
    """The location of a station is that of its function, with or without wrappers."""

    @functools.wraps(boil)
    def retried() -> int:
        return boil()

    made = station(retried)

    assert (made.path, made.location) == (Path(__file__), _declared_at(boil))


@pytest.mark.parametrize(
    ("function", "title", "shown"),
    [
        pytest.param(boil, None, "Boil the water.", id="first line of the docstring"),
        pytest.param(pour, None, "pour", id="name"),
        pytest.param(boil, "☕", "☕", id="title given"),
    ],
)
def test_station_has_a_title(
    function: Callable[..., object], title: str | None, shown: str
) -> None:
    """A title is the one given, else the docstring's first line, else the name."""
    assert station(title=title)(function).title == shown


def test_station_without_keywords_has_no_inputs() -> None:
    """Used bare, a station declares nothing but its code."""
    assert station(boil).declaration == Declaration(
        title=None, files=(), env=(), values=(), products=(), max_age=None, version=None
    )


def test_station_keeps_its_keywords() -> None:
    """Each keyword may be any iterable of strings or paths, and becomes a tuple of strings."""
    made = station(
        title="Boil",
        files=(path for path in (Path("water.txt"), "pots/*")),
        env=["HEAT"],
        values={"kettle"},
        products=[Path("steam.txt")],
        max_age=timedelta(minutes=2),
        version="3",
        renews=True,
        in_order=True,
        protect=True,
        was=["heat", "stations.py::warm"],
    )(boil)

    assert made.declaration == Declaration(
        title="Boil",
        files=("water.txt", "pots/*"),
        env=("HEAT",),
        values=("kettle",),
        products=("steam.txt",),
        max_age=120.0,
        version="3",
        renews=True,
        in_order=True,
        protect=True,
        was=("heat", "stations.py::warm"),
    )


def test_one_former_name_needs_no_list() -> None:
    """A string is one name, and not the names that its letters would be."""
    assert station(was="heat")(boil).declaration.was == ("heat",)


def test_unknown_keyword_is_rejected() -> None:
    """A keyword that does not exist is an error of Python's kind."""
    with pytest.raises(TypeError) as caught:
        station(file=["app.zip"])  # type: ignore[call-overload]

    assert str(caught.value) == "station() got an unexpected keyword argument 'file'"


@pytest.mark.parametrize(
    ("keywords", "where", "value", "must"),
    [
        ({"files": "app.zip"}, "@station(files=...)", "app.zip", "a list of strings"),
        ({"products": Path("app.zip")}, "@station(products=...)", "app.zip", "a list of strings"),
        ({"env": 3}, "@station(env=...)", "3", "a list of strings"),
        ({"values": [3]}, "@station(values=...)", "[3]", "a list of strings"),
        ({"files": b"ab"}, "@station(files=...)", "b'ab'", "a list of strings"),
        ({"title": 3}, "@station(title=...)", "3", "a string"),
        ({"version": 3}, "@station(version=...)", "3", "a string"),
        *(
            (
                {"max_age": max_age},
                "@station(max_age=...)",
                str(max_age),
                "a timedelta, or a number of seconds, zero or more",
            )
            for max_age in (-1, float("nan"), True, "1 d", timedelta(days=-1))
        ),
        ({"renews": "no"}, "@station(renews=...)", "no", "True or False"),
        ({"in_order": 1}, "@station(in_order=...)", "1", "True or False"),
        ({"protect": None}, "@station(protect=...)", "None", "True or False"),
        *(
            (
                {"was": was},
                "@station(was=...)",
                str(was),
                "a former name or node id, or a list of them",
            )
            for was in (None, 3, "", [" "], ["heat", 3], b"heat")
        ),
    ],
    ids=str,
)
def test_keyword_of_the_wrong_type_is_rejected(
    keywords: dict[str, Any], where: str, value: str, must: str
) -> None:
    """A keyword of a wrong type is rejected immediately."""
    with pytest.raises(BadSetting) as caught:
        station(**keywords)

    assert caught.value.args == (where, value, must)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("boil", id="text"),
        pytest.param(SimpleNamespace, id="class"),
        pytest.param(print, id="builtin"),
        pytest.param(functools.partial(boil, 90), id="partial"),
        pytest.param(station(boil), id="station"),
    ],
)
def test_station_must_be_a_function(given: Any) -> None:
    """An object without its own source cannot be a station."""
    with pytest.raises(NotAFunction) as caught:
        station(given)

    assert caught.value.args == ("@station", str(given))


def test_checks_are_kept_in_order() -> None:
    """A station may have several checks, each with its own `within`."""
    made = station(boil)

    @made.check
    def is_hot() -> None: ...

    @made.check(within=timedelta(seconds=3))
    def is_steaming() -> None: ...

    assert made.checks == (
        Check(function=is_hot, name="is_hot", within=0.0),
        Check(function=is_steaming, name="is_steaming", within=3.0),
    )


def test_checks_that_only_warn_are_kept_apart() -> None:
    """A check that only warns is none of the checks that decide."""
    made = station(boil)

    @made.check(warn=True)
    def is_quick() -> None: ...

    @made.check
    def is_hot() -> None: ...

    @made.check(within=3, warn=True)
    def is_cheap() -> None: ...

    hot = Check(function=is_hot, name="is_hot", within=0.0)
    quick = Check(function=is_quick, name="is_quick", within=0.0, warns=True)
    cheap = Check(function=is_cheap, name="is_cheap", within=3.0, warns=True)
    assert (made.checks, made.warning_checks) == ((hot,), (quick, cheap))
    assert made.all_checks == (hot, quick, cheap)


def test_attaching_returns_the_function() -> None:
    """A check and a clean remain plain functions, to be called and tested as such."""
    made = station(boil)

    assert made.check(pour) is made.check(within=1)(pour) is made.clean(pour) is pour
    assert made.clean_function is pour


def test_station_has_no_clean_by_default() -> None:
    """The clean of a station that defines none is None."""
    assert station(boil).clean_function is None


@pytest.mark.parametrize(
    ("attach", "error"),
    [
        pytest.param(lambda made: made.check(30), NotAFunction("@boil.check", "30"), id="check"),
        pytest.param(lambda made: made.clean("x"), NotAFunction("@boil.clean", "x"), id="clean"),
        pytest.param(
            lambda made: made.check(within=-1),
            BadSetting(
                "@boil.check(within=...)",
                "-1",
                "a timedelta, or a number of seconds, zero or more",
            ),
            id="within",
        ),
        pytest.param(
            lambda made: made.check(warn="no"),
            BadSetting("@boil.check(warn=...)", "no", "True or False"),
            id="warn",
        ),
    ],
)
def test_attaching_anything_else_is_rejected(
    attach: Callable[[Station[int]], object], error: ChoochooError
) -> None:
    """Only functions can be checks and cleans, `within` is a time, and `warn` true or false."""
    with pytest.raises(type(error)) as caught:
        attach(station(boil))

    assert caught.value.args == error.args


def _yields() -> Iterator[int]:
    yield 1


async def _yields_later() -> Any:
    yield 1


@functools.wraps(_yields)
def _wraps() -> None: ...


@pytest.mark.parametrize(
    "function", [_yields, _yields_later, _wraps], ids=["generator", "asynchronous", "wrapped"]
)
def test_station_that_yields_is_at_fault(function: Callable[..., object]) -> None:
    """A generator cannot be a station, asynchronous or wrapped."""
    made = station(function)

    assert _facts(made.faults()) == [(YieldStation, (made.name, made.location))]


def test_everything_attached_twice_is_at_fault() -> None:
    """All faults of a station are found at once, each of them once."""
    made = station(boil)
    for function in (pour, pour, pour):
        made.check(function)
        made.clean(function)

    place = _declared_at(pour)
    assert _facts(made.faults()) == [
        (AttachedTwice, ("boil", "check", "pour", place)),
        (AttachedTwice, ("boil", "clean", "pour", place)),
        (AttachedTwice, ("boil", "clean", "pour", place)),
    ]


def _facts(faults: tuple[ChoochooError, ...]) -> list[tuple[type[ChoochooError], object]]:
    return [(type(fault), fault.args) for fault in faults]


def test_sound_station_has_no_faults() -> None:
    """A station with a check and a clean of different names is sound."""
    made = station(boil)
    made.check(boil)
    made.clean(pour)

    assert made.faults() == ()


def _module(source: str, file: str = "/kitchen/stations.py") -> dict[str, Any]:
    names: dict[str, Any] = {"station": station}
    exec(compile(source, file, "exec"), names)
    return names


TWICE = "@station\ndef boil(): ...\n\n@station\ndef boil(): ...\n"


def test_second_station_of_a_name_knows_the_first() -> None:
    """A station that replaces another one of its name in a file knows it."""
    second = _module(TWICE, os.path.abspath("kitchen/stations.py"))["boil"]

    assert second.location == os.path.join("kitchen", "stations.py:4")
    assert second.shadowed.location == os.path.join("kitchen", "stations.py:1")


def test_station_loaded_again_shadows_nothing() -> None:
    """A module that is executed again declares the same stations again."""
    names = _module("@station\ndef boil(): ...\n")

    exec(compile("@station\ndef boil(): ...\n", "/kitchen/stations.py", "exec"), names)

    assert names["boil"].shadowed is None


def test_imported_station_may_be_redefined() -> None:
    """A station may take the name of one that was imported from another file."""
    names = _module("@station\ndef boil(): ...\n", "/elsewhere/stations.py")

    exec(compile("\n\n@station\ndef boil(): ...\n", "/kitchen/stations.py", "exec"), names)

    assert names["boil"].shadowed is None


def test_station_imported_under_two_names_is_one() -> None:
    """The same file executed as two modules declares one station."""
    source = "@station\ndef boil(): ...\n"

    one, other = (_module(source)["boil"] for _ in range(2))

    assert one is not other
    assert one.identity == other.identity


def test_stations_of_a_factory_are_several() -> None:
    """Stations made by one function are different, although they share a line."""
    source = "def make():\n    @station\n    def boil(): ...\n    return boil\n"
    make = _module(source)["make"]

    one, other = make(), make()

    assert one.identity != other.identity
    assert other.shadowed is None


def test_marks_stand_on_either_side() -> None:
    """Marks below the decorator come with the function, marks above it later."""

    @pytest.mark.skipif(False, reason="")
    @station
    @pytest.mark.usefixtures("kettle")
    def made() -> None: ...

    assert [mark.name for mark in made.pytestmark] == ["usefixtures", "skipif"]
    assert vars(made) == {}


def test_declared_values_are_frozen() -> None:
    """A declaration cannot be altered."""
    made = station(boil)

    with pytest.raises(AttributeError):
        made.declaration.version = "2"  # type: ignore[misc]


def test_declaration_is_a_plain_value() -> None:
    """Two declarations of the same keywords are equal, across processes too."""
    declaration = station(files=["a"], max_age=1)(boil).declaration

    again = pickle.loads(pickle.dumps(declaration))

    assert again == declaration


BOUND = """
import functools

def bind(f, region):
    @functools.wraps(f)
    def inner(): return f(region)
    return inner

def fetch(region=""): return region
eu = station(bind(fetch, "eu"))
us = also_us = station(bind(fetch, "us"))
"""


def test_stations_of_one_wrapped_function_are_several() -> None:
    """A station is what stands under its name, whatever function it wraps."""
    names, again = _module(BOUND), _module(BOUND)
    eu, us = names["eu"], names["us"]

    assert eu.identity != us.identity
    assert (eu.identity, us.identity) == (again["eu"].identity, again["us"].identity)
    assert (eu.name, us.name, eu(), us()) == ("eu", "us", "eu", "us")
    assert eu.shadowed is us.shadowed is None


def test_station_of_an_imported_function_stands_where_it_is_made() -> None:
    """A station of a function from another file belongs to the file that makes it a station."""
    function = _module("def boil(): ...\n", "/lib/helpers.py")["boil"]
    names: dict[str, Any] = {"station": station, "boil": function}
    source = "\n\ntea = station(files=['leaves'])(boil)\n"
    exec(compile(source, "/kitchen/stations.py", "exec"), names)
    tea = names["tea"]

    assert (tea.home, str(tea.path), tea.line) == ("/kitchen/stations.py",) * 2 + (3,)
    assert tea.identity == ("/kitchen/stations.py", "tea")


def test_stations_of_a_factory_are_the_same_again() -> None:
    """Stations that a function makes are known by their names, also in a second module."""
    source = (
        "def make():\n    @station\n    def boil(): ...\n    return boil\n"
        "green, black = make(), make()\n"
    )

    one, other = _module(source), _module(source)

    assert one["green"].identity == other["green"].identity
    assert one["green"].identity != one["black"].identity
    assert one["green"].name == "boil"


def test_station_without_a_name_is_itself_only() -> None:
    """A station that no name of a module leads to equals no other."""
    one, other = (_module("@station\ndef boil(): ...\nALL = [boil]\ndel boil\n") for _ in range(2))

    assert one["ALL"][0].identity != other["ALL"][0].identity


def test_find_is_attached() -> None:
    """It is one function, and the decorated name stays that function."""
    made = station(boil)

    @made.find
    def find() -> int:
        return 90

    assert made.find_function is find
    assert find() == 90
    assert made.faults() == ()


def test_second_find_and_one_of_itself_are_faults() -> None:
    """Both are told, each with its position."""
    made = station(boil)

    @made.find
    def one() -> int:
        return 90

    @made.find
    def two(boil: int) -> int:
        return boil

    assert [str(fault) for fault in made.faults()] == [
        f"{_declared_at(two)}: station 'boil' has a second find, 'two'; merge them into one function",
        (
            f"{_declared_at(two)}: the find of station 'boil' requests 'boil' itself, whose "
            "outcome it is to find; remove that parameter"
        ),
    ]
