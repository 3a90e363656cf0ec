"""Plugins that multiply items or run them in threads: a station is one, and visited once."""

from __future__ import annotations

import pytest
from harness import Project

PLUGINS = {
    "repeat": ("pytest_repeat", "--count=3"),
    "flakefinder": ("pytest_flakefinder", "--flake-finder", "--flake-runs=3"),
    "run-parallel": ("pytest_run_parallel", "--parallel-threads=3"),
}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_multiplied_station_is_visited_once(project: Project, plugin: str, mode: str) -> None:
    """Its record is that of the station alone, and its outcome is used by all tests."""
    module, *options = PLUGINS[plugin]
    pytest.importorskip(module)
    project.use(plugin)
    project.stations(
        """
        @station
        def boil() -> int:
            log("boil")
            return 100

        @boil.check
        def is_hot(boil): assert boil == 100

        @pytest.mark.parametrize("kind", ["green", "black"])
        @station
        def steep(boil, kind) -> str:
            log(kind)
            return kind
        """
    )
    project.write(
        "test_tea.py",
        """
        def test_tea(boil, steep):
            assert (boil, steep) == (100, {"green": "green", "black": "black"})
        """,
    )

    first = project.run("--cc-run", *options)
    second = project.run("--cc-run", *options)
    plain, alone = project.run(*options), project.run("--cc-run")

    assert sorted(first.log) == ["black", "boil", "green"]
    assert first.results == {
        "boil": "visited",
        "steep[green]": "visited",
        "steep[black]": "visited",
    }
    assert (second.closing, second.log, plain.log) == ("3 unchanged", (), ())
    assert set(plain.tests.values()) == {"passed"}
    assert len(plain.tests) == (1 if plugin == "run-parallel" else 3)
    assert alone.closing == "3 unchanged"
