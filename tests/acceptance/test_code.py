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
