"""The code of a station: what counts as a change of it, and what was run is what is recorded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from harness import Project


def test_decorator_called_check_is_code(project: Project) -> None:
    """A decorator of the project is code, although it is called as checks are."""
    project.write("guard.py", "def check(limit): return lambda f: lambda: min(f(), limit)\n")
    project.stations(
        """
        import guard

        @guard.check(limit=7)
        def a(): return 100

        @station
        def use() -> int: return a()
        """
    )
    project.run("--cc-run")
    project.edit("stations.py", "limit=7", "limit=8")

    run = project.run("--cc-run")

    assert run.reasons["use"] == ("code of stations.py::a changed",)


def test_imported_mark_is_no_code(project: Project) -> None:
    """A parameter that is added to a mark in another file visits nothing but the new station."""
    marks = 'import pytest\n\nregions = pytest.mark.parametrize("region", ["eu", "us"])\n'
    project.write("marks.py", marks)
    project.stations(
        """
        from marks import regions

        @regions
        @station
        def rent(region) -> str: return region
        """
    )
    project.run("--cc-run")
    project.edit("marks.py", '"us"', '"us", "asia"')

    run = project.run("--cc-run")

    assert (run.visited, run.unchanged) == (("rent[asia]",), ("rent[eu]", "rent[us]"))


def test_function_in_a_registry_is_code(project: Project) -> None:
    """A function that a decorator with arguments puts into a table is code of its reader."""
    project.stations(
        """
        STEPS = {}

        def step(name):
            def put(f):
                STEPS[name] = f
                return f
            return put

        @step("wash")
        def wash(): return 7

        @station
        def go() -> int: return STEPS["wash"]()
        """
    )
    project.run("--cc-run")
    project.edit("stations.py", "return 7", "return 8")

    run = project.run("--cc-run")

    assert run.reasons["go"] == (
        "code of stations.py::STEPS changed",
        "code of stations.py::wash changed",
    )


def test_class_that_is_a_parameter_is_code(project: Project) -> None:
    """A method of a class that parametrizes a station is code of it."""
    project.stations(
        """
        class Kettle:
            def boil(self): return 95

        @station
        @pytest.mark.parametrize("kind", [Kettle])
        def boil(kind) -> int: return kind().boil()
        """
    )
    project.run("--cc-run")
    project.edit("stations.py", "95", "100")

    run = project.run("--cc-run")

    assert run.reasons["boil[Kettle]"] == ("code of stations.py::Kettle changed",)


def test_object_that_raises_when_asked_fails_no_station(project: Project) -> None:
    """A station may import an object that raises whatever it is asked for."""
    project.write(
        "lazy.py",
        """
        import sys

        class Lazy:
            def __getattr__(self, name): raise RuntimeError(name)

        settings = Lazy()
        sys.modules[__name__] = settings
        sys.modules["other"] = settings
        """,
    )
    project.stations(
        """
        import lazy
        import other

        kept = lazy

        @station
        def boil() -> bool: return lazy is kept is other
        """
    )

    assert project.run("--cc-run").visited == ("boil",)
    assert project.run("--cc-run").unchanged == ("boil",)


def test_code_that_cannot_be_seen_is_said_when_the_station_is_visited(
    project: Project, mode: str
) -> None:
    """An instance that a made station calls is named when it is visited, and then no more."""
    project.stations(
        """
        class Kettle:
            def __init__(self, degrees): self.degrees = degrees
            def __call__(self): return self.degrees

        def make(kettle):
            def visit() -> int: return kettle()
            return station(visit)

        boil = make(Kettle(95))
        """
    )

    first, second = project.run("--cc-run"), project.run("--cc-run")

    said = (
        "choochoo: boil: a change of kettle in stations.py::make.<locals>.visit is not noticed; "
        "declare version=..."
    )
    assert first.text.count(said) == 1
    assert said not in second.text


def test_unused_parameter_is_no_code(project: Project) -> None:
    """The order in which a station comes may change by a parameter that its body does not use."""
    project.stations(
        """
        @station
        def boil() -> int: return 1
        """
    )
    project.run("--cc-run")
    project.edit("stations.py", "def boil()", "def boil(visit)")

    assert project.run("--cc-run").unchanged == ("boil",)


# A station during whose visit another file is edited, and one that uses what was imported.
EDITED = """
    import rates
    from pathlib import Path

    HERE = Path(__file__).parent

    @station(files=["edit.txt"])
    def download() -> int:
        name, old, new = (HERE / "edit.txt").read_text().split("|")
        (HERE / name).write_text((HERE / name).read_text().replace(old, new))
        return 1

    @pytest.mark.parametrize("hour", range(3))
    @station
    def bill(download, price, hour) -> None:
        log(f"{price()} {rates.TAX} {hour * 0}")
    """


@pytest.mark.parametrize(
    ("edit", "reason", "shown"),
    [
        ("rates.py|10|2000", "rates.py::price", "2000 1 0"),
        ("rates.py|TAX = 1|TAX = 2", "rates.py::TAX", "10 2 0"),
        ("conftest.py|rates.price|lambda: 0", "conftest.py::price", "0 1 0"),
        ("stations.py|hour * 0|7", "stations.py::bill", "10 1 7"),
    ],
    ids=["helper", "constant", "conftest", "station file"],
)
def test_code_that_is_edited_during_a_run_is_not_recorded_as_run(
    project: Project, mode: str, edit: str, reason: str, shown: str
) -> None:
    """The code that was imported is recorded; what was edited meanwhile is due in the next run."""
    project.write("rates.py", "TAX = 1\ndef price(): return 10\n")
    project.write(
        "conftest.py",
        "import pytest, rates\n\n@pytest.fixture\ndef price(): return rates.price\n",
    )
    project.stations(EDITED)
    project.write("edit.txt", edit)
    first = project.run("--cc-run", apart=True)

    second = project.run("--cc-run", apart=True)

    assert first.log == ("10 1 0",) * 3
    changed = {reason for hour in range(3) for reason in second.reasons[f"bill[{hour}]"]}
    assert f"code of {reason} changed" in changed
    assert second.log == (shown,) * 3


def _edit_unnoticed(file: Path, old: str, new: str) -> None:
    """Edit *file* so that it keeps its size and the time when it was modified."""
    before = file.stat()
    text = file.read_text()
    assert old in text
    assert len(old) == len(new)
    file.write_text(text.replace(old, new))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("name", ["rates.py", "conftest.py", "stations.py"])
def test_stale_byte_code_is_not_run(
    project: Project, mode: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A file that was edited with the same size in the same second is run as it is now."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    project.write("rates.py", "def price(): return 10\n")
    project.write("conftest.py", "import pytest\n\n@pytest.fixture\ndef tax(): return 10\n")
    project.stations(
        """
        import rates

        @station
        def bill(tax) -> None: log(f"{rates.price()} {tax} {10}")
        """
    )
    first = project.run("--cc-run", apart=True)
    _edit_unnoticed(project.path / name, "10", "20")
    assert list(project.path.glob("__pycache__/*.pyc"))

    run = project.run("--cc-run", apart=True)

    assert first.log == ("10 10 10",)
    assert run.visited == ("bill",)
    assert run.log[0].split().count("20") == 1


def test_stations_of_one_wrapped_function_are_several(project: Project, mode: str) -> None:
    """Consumers receive the outcome of the station that they name, though both wrap one function."""
    project.write("regions.py", "def fetch(region='') -> str: return region\n")
    project.stations(
        """
        import functools
        from regions import fetch

        def bind(f, region):
            @functools.wraps(f)
            def inner(): return f(region)
            return inner

        eu = station(bind(fetch, "eu"))
        us = station(bind(fetch, "us"))

        @us.check
        def is_there(us): assert us == "us"

        @station
        def total(eu, us) -> list[str]:
            log(f"{eu} {us}")
            return [eu, us]
        """
    )
    project.write("test_it.py", "from stations import us\ndef test_it(us): assert us == 'us'\n")

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert (set(first.visited), first.log) == ({"eu", "us", "total"}, ("eu us",))
    assert (set(second.unchanged), second.tests) == ({"eu", "us", "total"}, {"test_it": "passed"})


# Code that no name in the station leads to, each with an edit of it.
FOUND_AT_RUN_TIME = {
    "by importlib": ("return import_module('plugins').wash()", "return 7", "wash"),
    "by a name in a variable": ("return getattr(import_module('plugins'), way)()", "7", "wash"),
    "as a method of what is received": ("return kettle.boil()", "return 8", "Kettle"),
    "as a fixture": ("return request.getfixturevalue('water')", "return 9", "water"),
    "as a lambda in a table": ("return import_module('plugins').TABLE['rinse']()", "10", "TABLE"),
}


@pytest.mark.parametrize(
    ("body", "old", "name"), FOUND_AT_RUN_TIME.values(), ids=FOUND_AT_RUN_TIME.keys()
)
def test_code_that_a_visit_entered_counts(
    project: Project, mode: str, body: str, old: str, name: str
) -> None:
    """A change of code that only a visit can find is noticed after that visit."""
    project.write(
        "plugins.py",
        """
        def wash(): return 7
        class Kettle:
            def boil(self): return 8
        TABLE = {"rinse": lambda: 10}
        """,
    )
    project.write(
        "conftest.py",
        """
        import pytest, plugins

        @pytest.fixture
        def kettle(): return vars(plugins)["Kettle"]()
        @pytest.fixture
        def water(): return 9
        """,
    )
    file = "conftest.py" if name == "water" else "plugins.py"
    project.stations(
        f"""
        from importlib import import_module

        way = "wash"

        @station
        def clean(request, kettle) -> int: {body}
        @station
        def other() -> int: return 1
        """
    )
    project.run("--cc-run", apart=True)
    assert project.run("--cc-run", apart=True).unchanged == ("clean", "other")
    project.edit(file, old, old.replace(old.rsplit(maxsplit=1)[-1], "20"))

    run = project.run("--cc-run", apart=True)

    assert run.reasons["clean"] == (f"code of {file}::{name} changed",)
    assert run.unchanged == ("other",)
    assert project.run("--cc-run", apart=True).unchanged == ("clean", "other")


UNSEEN = """
    from importlib import import_module

    @station
    def clean() -> int: return import_module("plugins").wash()
    """


def test_code_that_is_entered_no_more_is_forgotten(project: Project) -> None:
    """A visit that takes another way replaces what the one before it had entered."""
    project.write("plugins.py", "def wash(): return 7\ndef rinse(): return 8\n")
    project.stations(UNSEEN)
    project.run("--cc-run", apart=True)
    project.edit("stations.py", "wash()", "rinse()")
    project.run("--cc-run", apart=True)
    project.edit("plugins.py", "return 7", "return 70")

    assert project.run("--cc-run", apart=True).unchanged == ("clean",)


def test_code_that_is_gone_is_a_change(project: Project) -> None:
    """A module that is removed after a visit entered it makes the station due."""
    project.write("plugins.py", "def wash(): return 7\n")
    project.stations(UNSEEN)
    project.run("--cc-run", apart=True)
    (project.path / "plugins.py").rename(project.path / "old_plugins.py")

    run = project.run("--cc-run", apart=True)

    assert run.reasons["clean"] == ("code of plugins.py::wash removed",)


@pytest.mark.parametrize(("option", "is_noticed"), [("false", False), ("true", True)])
def test_ini_setting_turns_the_watch_off(project: Project, option: str, is_noticed: bool) -> None:
    """With `cc_trace = false` only code that names lead to counts."""
    project.write("plugins.py", "def wash(): return 7\n")
    project.stations(UNSEEN)
    project.run("--cc-run", "-o", f"cc_trace={option}", apart=True)
    project.edit("plugins.py", "return 7", "return 70")

    run = project.run("--cc-run", "-o", f"cc_trace={option}", apart=True)

    assert (run.visited == ("clean",)) is is_noticed


def test_code_that_is_known_stays_known_without_the_watch(project: Project) -> None:
    """A visit that is not watched keeps what an earlier one had entered."""
    project.write("plugins.py", "def wash(): return 7\n")
    project.stations(UNSEEN)
    project.run("--cc-run", apart=True)
    project.run("--cc-replay", "clean", "-o", "cc_trace=false", apart=True)
    project.edit("plugins.py", "return 7", "return 70")

    assert project.run("--cc-run", apart=True).visited == ("clean",)


def test_code_of_an_async_visit_counts(project: Project) -> None:
    """Code that an async visit enters after it has waited counts as well."""
    project.write("plugins.py", "async def wash(): return 7\n")
    project.stations(
        """
        import asyncio
        from importlib import import_module

        @station
        async def clean() -> int:
            await asyncio.sleep(0)
            return await import_module("plugins").wash()
        """
    )
    project.run("--cc-run", apart=True)
    project.edit("plugins.py", "return 7", "return 70")

    run = project.run("--cc-run", apart=True)

    assert run.reasons["clean"] == ("code of plugins.py::wash changed",)


def test_version_stands_for_code_that_is_entered_too(project: Project) -> None:
    """A station with a version is due when that changes, whatever it calls."""
    project.write("plugins.py", "def wash(): return 7\n")
    project.stations(UNSEEN.replace("@station", '@station(version="1")'))
    project.run("--cc-run", apart=True)
    project.edit("plugins.py", "return 7", "return 70")

    assert project.run("--cc-run", apart=True).unchanged == ("clean",)


def test_visit_that_is_entered_is_hidden_from_tracebacks(project: Project) -> None:
    """A traceback shows the station, and none of the frames that watch it."""
    project.stations("@station\ndef clean() -> int: raise OSError('no water')")

    output = "\n".join(project.run("--cc-run").outlines)

    assert "no water" in output
    assert "functions.py" not in output
