"""Async stations, checks and cleans: awaited by pytest-asyncio, by anyio, or by the plugin."""

from __future__ import annotations

import pytest
from harness import Project

BOIL = """
import asyncio

MARKS
@station
async def boil():
    await asyncio.sleep(0)
    log("boil")
    return 100

@boil.check
async def is_hot(boil):
    await asyncio.sleep(0)
    log(f"check {boil}")

@boil.clean
async def cool(boil):
    await asyncio.sleep(0)
    log(f"clean {boil}")
    raise RuntimeError("enough seen")

@station
def pour(boil):
    log(f"pour {boil}")
"""

AWAITED_BY = {
    "no plugin": ((), (), ""),
    "asyncio strict": (("asyncio",), ("asyncio_mode = strict",), "@pytest.mark.asyncio"),
    "asyncio strict, no mark": (("asyncio",), ("asyncio_mode = strict",), ""),
    "asyncio auto": (("asyncio",), ("asyncio_mode = auto",), ""),
    "anyio": (("anyio",), (), "@pytest.mark.anyio"),
    "anyio auto": (("anyio",), ("anyio_mode = auto",), ""),
    "anyio, no mark": (("anyio",), (), ""),
    "both": (("anyio", "asyncio"), ("asyncio_mode = auto",), ""),
}
SCOPE = "asyncio_default_fixture_loop_scope = function"


def arrange(project: Project, awaited_by: str) -> str:
    """Set *project* up for *plugin*, which awaits; return the mark that it needs."""
    plugins, lines, marks = AWAITED_BY[awaited_by]
    project.use(*plugins)
    project.ini(*lines, *([SCOPE] if "asyncio" in plugins else []))
    return marks


@pytest.mark.parametrize("awaited_by", AWAITED_BY)
def test_async_station_is_awaited(project: Project, awaited_by: str) -> None:
    """An async station, its check and its clean are awaited, with any plugin and without."""
    marks = arrange(project, awaited_by)
    project.stations(BOIL.replace("MARKS", marks))

    first = project.run("--cc-run", "-W", "error")
    second = project.run("--cc-run", "-W", "error")
    clean = project.run("--cc-clean", "-W", "error")

    assert first.log == ("boil", "check 100", "pour 100")
    assert (second.log, second.unchanged) == (("check 100",), first.visited)
    assert (clean.log, clean.failed) == (("clean 100",), first.visited[:1])
    # Like a test, a station that anyio awaits is called boil[asyncio].
    assert [name.partition("[")[0] for name in first.visited] == ["boil", "pour"]


@pytest.mark.parametrize("awaited_by", AWAITED_BY)
def test_async_check_of_plain_station_is_awaited(project: Project, awaited_by: str) -> None:
    """The async check of a station that is not async is awaited, before and after the visit."""
    marks = arrange(project, awaited_by)
    project.stations(
        f"""
import asyncio
from effects import logged

{marks}
@station
def boil() -> None:
    log("boil")

@boil.check
async def is_hot():
    await asyncio.sleep(0)
    log("check")
    assert "boil" in logged()
"""
    )

    run = project.run("--cc-run", "-W", "error")

    assert run.log == ("check", "boil", "check")
    assert len(run.visited) == 1


@pytest.mark.parametrize("awaited_by", AWAITED_BY)
def test_plain_function_beside_async_ones_runs_outside_of_any_loop(
    project: Project, awaited_by: str
) -> None:
    """A visit, a check and a clean that are not async may run an event loop of their own."""
    marks = arrange(project, awaited_by)
    project.stations(
        f"""
import asyncio

async def note(what):
    await asyncio.sleep(0)
    log(what)

{marks}
@station
def boil():
    asyncio.run(note("boil"))

@boil.check
def is_hot(boil):
    asyncio.run(note("plain check"))

@boil.check
async def is_full(boil):
    await note("async check")

@boil.clean
def cool():
    asyncio.run(note("clean"))
    raise RuntimeError("enough seen")

{marks}
@station
async def pour() -> None:
    await note("pour")

@pour.check
def is_poured():
    asyncio.run(note("check of pour"))
"""
    )

    first = project.run("--cc-run", "-W", "error", "-k", "boil")
    second = project.run("--cc-run", "-W", "error", "-k", "pour")
    clean = project.run("--cc-clean", "-W", "error", "-k", "boil")

    assert first.log == ("boil", "plain check", "async check")
    assert second.log[:1] == ("check of pour",)
    assert (len(first.visited), len(second.adopted)) == (1, 1)
    assert clean.log == ("clean",)


@pytest.mark.parametrize("awaited_by", ["asyncio strict", "asyncio auto", "anyio", "anyio auto"])
def test_async_fixtures_can_be_requested(project: Project, awaited_by: str) -> None:
    """A station, a check and a test may request async fixtures of the plugin that awaits them."""
    marks = arrange(project, awaited_by)
    fixture = "pytest_asyncio.fixture" if awaited_by.startswith("asyncio") else "pytest.fixture"
    module = "pytest_asyncio" if awaited_by.startswith("asyncio") else "pytest"
    project.stations(
        f"""
import asyncio
import {module}
from effects import logged

@{fixture}
async def kettle(boil_first):
    await asyncio.sleep(0)
    yield f"kettle {{boil_first}}"
    log("put away")

@station
def boil_first():
    return 1

{marks}
@station
async def boil(kettle):
    log(kettle)

@boil.check
async def is_hot(kettle):
    log(f"check {{kettle}}")
    assert "kettle 1" in logged()
"""
    )

    run = project.run("--cc-run", "-W", "error")

    assert run.log == (
        "check kettle 1",
        "put away",
        "kettle 1",
        "put away",
        "check kettle 1",
        "put away",
    )
    assert len(run.visited) == 2


def test_async_fixture_in_an_async_check_of_a_plain_station(project: Project) -> None:
    """A plain station's async check may request an async fixture."""
    project.use("asyncio")
    project.ini("asyncio_mode = auto", SCOPE)
    project.stations(
        """
        @pytest.fixture
        async def kettle():
            return "kettle"

        @station
        def boil() -> None: ...

        @boil.check
        async def is_hot(kettle):
            assert kettle == "kettle"
        """
    )

    run = project.run("--cc-run", "-W", "error")

    assert run.adopted == ("boil",)


@pytest.mark.parametrize("backends", ["asyncio", "trio", "asyncio, trio"])
def test_anyio_backends_do_not_multiply_a_station(project: Project, backends: str) -> None:
    """A station is visited once, although anyio would run a test once per backend."""
    project.use("anyio")
    params = ", ".join(f'"{name}"' for name in backends.split(", "))
    project.write(
        "conftest.py",
        f"""
        import pytest

        @pytest.fixture(params=[{params}])
        def anyio_backend(request):
            return request.param
        """,
    )
    project.stations(
        """
        import anyio

        @pytest.mark.anyio
        @station
        async def boil():
            await anyio.sleep(0)
            log("boil")
            return 100
        """
    )
    project.write("test_it.py", "def test_it(boil): assert boil == 100")

    first, second = project.run("--cc-run"), project.run("--cc-run")

    assert (len(first.visited), len(second.unchanged), project.log()) == (1, 1, ("boil",))
    assert (first.tests, second.tests) == ({"test_it": "passed"}, {"test_it": "passed"})


def test_async_test_receives_the_outcome(project: Project) -> None:
    """An async test receives the outcome of a station like any other test."""
    project.use("asyncio")
    project.ini("asyncio_mode = auto", SCOPE)
    project.stations("@station\ndef boil():\n    return 100\n")
    project.write("test_it.py", "async def test_it(boil): assert boil == 100")

    run = project.run("--cc-run")

    assert (run.visited, run.tests) == (("boil",), {"test_it": "passed"})


def test_failed_async_visit_is_shown_with_its_values(project: Project) -> None:
    """An async station that fails is reported as failed, with pytest's detail."""
    project.stations("@station\nasync def boil():\n    degrees = 60\n    assert degrees == 100\n")

    run = project.run("--cc-run")

    assert run.causes == {"boil": "AssertionError: assert 60 == 100"}


def test_parametrized_async_station_keeps_its_instances(project: Project) -> None:
    """A parametrized async station has one instance per value, under anyio too."""
    project.use("anyio")
    project.stations(
        """
        @pytest.mark.anyio
        @pytest.mark.parametrize("kind", ["green", "black"])
        @station
        async def boil(kind):
            return kind

        @pytest.mark.parametrize("kind", ["green", "black"])
        @station
        def pour(boil, kind):
            log((boil, kind))
        """
    )

    run = project.run("--cc-run")

    assert run.log == ("('green', 'green')", "('black', 'black')")
    assert run.closing == "4 visited"


@pytest.mark.parametrize("option", ["--cc-check", "--cc-clean", "--cc-run"])
def test_unchanged_async_station_starts_no_loop(project: Project, option: str) -> None:
    """Anyio is not used for a station that has nothing to await."""
    project.use("anyio")
    project.stations(
        """
        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @station
        @pytest.mark.anyio
        @pytest.mark.skipif("False")
        async def boil() -> None: ...
        """
    )
    project.run("--cc-run")

    run = project.run(option)

    assert (run.exit_code, run.failed) == (0, ())


@pytest.mark.parametrize(
    ("lines", "mark"),
    [((), "@pytest.mark.trio"), (("trio_mode = true",), "")],
    ids=["mark", "mode"],
)
def test_station_left_to_pytest_trio_is_a_fault(
    project: Project, mode: str, lines: tuple[str, ...], mark: str
) -> None:
    """Pytest-trio awaits tests, and a station would silently run on asyncio instead."""
    project.use("trio")
    project.ini(*lines)
    project.stations(f"""
        {mark}
        @station
        async def boil() -> int:
            return 100
    """)

    run = project.run("--cc-run")

    assert (
        "stations.py:5: async station 'boil' is left to pytest-trio, which awaits tests only; use "
        "anyio instead: @pytest.mark.anyio, and a fixture anyio_backend that returns 'trio'"
    ) in run.text
    assert (run.log, run.exit_code) == ((), 2 if mode == "serial" else 1)


def test_station_beside_pytest_trio(project: Project, mode: str) -> None:
    """Where pytest-trio is installed, and is to await no station, stations are as always."""
    project.use("trio")
    project.stations(BOIL.replace("MARKS", ""))
    project.write(
        "test_it.py",
        """
        import pytest, trio

        @pytest.mark.trio
        async def test_hot(boil):
            await trio.sleep(0)
            assert boil == 100
        """,
    )

    run = project.run("--cc-run")

    assert (run.visited, run.tests) == (("boil", "pour"), {"test_hot": "passed"})
