"""The code of a station: what counts as a change of it, and what was run is what is recorded."""

from __future__ import annotations

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
    """What a decorator with arguments puts into a table is code of the station that reads it."""
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

    assert run.reasons["go"] == ("code of stations.py::STEPS changed",)


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
