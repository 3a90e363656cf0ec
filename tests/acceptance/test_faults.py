"""Structural faults: reported in full, all at once, and only where they matter."""

from __future__ import annotations

import os
import re

import pytest
from harness import Project

# Stations begin in the fifth line: see `Project.stations`.
FAULTS = {
    "cycle": (
        "@station\ndef boil(pour): ...\n\n@station\ndef pour(boil): ...\n",
        (
            "stations wait for each other: boil (stations.py:5) -> pour (stations.py:8) -> boil; "
            "remove one of these parameters, or move what they share into a station of its own"
        ),
    ),
    "itself": (
        "@station\ndef boil(boil): ...\n",
        (
            "stations wait for each other: boil (stations.py:5) -> boil; "
            "remove one of these parameters, or move what they share into a station of its own"
        ),
    ),
    "cycle through an ordinary fixture": (
        (
            "@pytest.fixture\ndef cup(pour): ...\n\n"
            "@station\ndef boil(cup): ...\n\n@station\ndef pour(boil): ...\n"
        ),
        (
            "stations wait for each other: boil (stations.py:8) -> fixture cup -> "
            "pour (stations.py:11) -> boil; "
            "remove one of these parameters, or move what they share into a station of its own"
        ),
    ),
    "cycle through a check": (
        (
            "@station\ndef boil(): ...\n\n@boil.check\ndef is_hot(pour): ...\n\n"
            "@station\ndef pour(boil): ...\n"
        ),
        (
            "stations wait for each other: boil (stations.py:5) -> pour (stations.py:11) -> boil; "
            "remove one of these parameters, or move what they share into a station of its own"
        ),
    ),
    "cycle of three": (
        "@station\ndef a(c): ...\n\n@station\ndef b(a): ...\n\n@station\ndef c(b): ...\n",
        (
            "stations wait for each other: a (stations.py:5) -> c (stations.py:11) -> b (stations.py:8) -> a; "
            "remove one of these parameters, or move what they share into a station of its own"
        ),
    ),
    "own name as the former one": (
        '@station(was="boil")\ndef boil(): ...\n',
        (
            "station 'boil' (stations.py:5) has was='boil', which is its own name; "
            "name what it was called before, or remove it"
        ),
    ),
    "former name of a station that exists": (
        '@station\ndef boil(): ...\n\n@station(was="stations.py::boil")\ndef heat(): ...\n',
        (
            "station 'heat' (stations.py:8) has was='stations.py::boil', a station that still "
            "exists (stations.py:5): only one of them can have its record; "
            "remove was=, or that station"
        ),
    ),
    "one former name of two stations": (
        (
            '@station(was="warm")\ndef boil(): ...\n\n'
            '@station(was=["stations.py::warm"])\ndef heat(): ...\n'
        ),
        (
            "stations boil (stations.py:5) and heat (stations.py:8) have the same former name, "
            "was='warm': only one of them can have its record; remove was= from the others"
        ),
    ),
    "cycle of former names": (
        '@station(was="heat")\ndef boil(): ...\n\n@station(was="boil")\ndef heat(): ...\n',
        (
            "the former names of stations form a cycle: boil (stations.py:5) was heat "
            "(stations.py:8) was boil; remove was= from them, "
            "or give them names that no station had before"
        ),
    ),
    "yield": (
        "@station\ndef boil():\n    yield 100\n",
        (
            "stations.py:5: station 'boil' uses yield; "
            "return the outcome, and undo the work in @boil.clean"
        ),
    ),
    "async yield": (
        "@station\nasync def boil():\n    yield 100\n",
        (
            "stations.py:5: station 'boil' uses yield; "
            "return the outcome, and undo the work in @boil.clean"
        ),
    ),
    "two checks of one name": (
        (
            "@station\ndef boil(): ...\n\n"
            "@boil.check\ndef is_hot(): ...\n\n@boil.check\ndef is_hot(): ...\n"
        ),
        "stations.py:11: station 'boil' has two checks called 'is_hot'; rename one of them",
    ),
    "two cleans": (
        "@station\ndef boil(): ...\n\n@boil.clean\ndef cool(): ...\n\n@boil.clean\ndef chill(): ...\n",
        "stations.py:11: station 'boil' has a second clean, 'chill'; merge them into one function",
    ),
    "class": (
        "class TestTea:\n    @station\n    def boil(self): ...\n",
        (
            "stations.py:6: station 'boil' is defined in a class; "
            "move it to the top level of its file"
        ),
    ),
    "reserved name": (
        "@station\ndef visit(): ...\n",
        (
            "stations.py:5: a station cannot be called 'visit', "
            "which is the name of a fixture of pytest or of this plugin; rename it"
        ),
    ),
    "parametrized fixture of a check": (
        (
            "@pytest.fixture(params=['blue'])\ndef kettle(request): ...\n\n"
            "@station\ndef boil(): ...\n\n@boil.check\ndef is_hot(kettle): ...\n"
        ),
        (
            "stations.py:8: a check or clean of station 'boil' requests the parametrized fixture "
            "'kettle'; request it in the station itself, which is then parametrized as well"
        ),
    ),
    "unknown placeholder": (
        "@station(products=['{samlpe}.bam'])\n@pytest.mark.parametrize('sample', 'ab')\ndef align(sample): ...\n",
        (
            "stations.py:5: station 'align' declares '{samlpe}.bam' in products, but it has no "
            "parameter 'samlpe'; name one of its parameters, or write {{ and }} for braces"
        ),
    ),
    "unknown instance": (
        (
            "@pytest.mark.parametrize('n', [1])\n@station\ndef boil(n): ...\n\n"
            "@pytest.mark.parametrize('n', [2])\n@station\ndef pour(boil, n): ...\n"
        ),
        (
            "stations.py::pour[2] requests 'boil' with n=2, "
            "but the station is not parametrized with that; give both the same values"
        ),
    ),
}
BY_NAME = pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)


@BY_NAME
def test_fault_is_reported_in_full(project: Project, text: str, message: str) -> None:
    """A structural fault is one collection error, with its location and the way out."""
    project.stations(text)

    run = project.run("--cc-run")

    assert run.collect_errors == (message,)
    assert (run.exit_code, run.results) == (2, {})
    assert message in run.text


@pytest.mark.parametrize("command", ["--cc-run", "--cc-check", "--cc-clean", "--cc-replay=all"])
def test_fault_stops_every_command(project: Project, command: str) -> None:
    """A fault stops each `--cc-*` command before anything runs, tests included."""
    project.stations("@station\ndef good():\n    log('good')\n" + FAULTS["cycle"][0])
    project.write("test_it.py", "from effects import log\ndef test_it(): log('test')")

    run = project.run(command)

    assert (run.exit_code, run.log, run.tests) == (2, (), {})


def test_fault_stops_parallel_runs(project: Project) -> None:
    """A fault also stops a run under xdist, and is reported."""
    project.stations("@station\ndef good():\n    log('good')\n" + FAULTS["cycle"][0])
    project.workers = 2

    run = project.run("--cc-run")

    assert (
        "stations wait for each other: boil (stations.py:8) -> pour (stations.py:11) -> boil"
        in run.text
    )
    assert (run.exit_code != 0, run.log) == (True, ())


@pytest.mark.parametrize("name", ["reserved name", "class", "yield", "cycle"])
def test_plain_pytest_ignores_a_fault(project: Project, name: str) -> None:
    """Plain pytest runs tests that need no faulty station as if there were no fault."""
    project.stations(FAULTS[name][0])
    project.write("test_it.py", "def test_it(): ...")

    run = project.run()

    assert (run.exit_code, run.tests) == (0, {"test_it": "passed"})


@pytest.mark.parametrize(
    "name",
    ["cycle", "yield", "two checks of one name", "two cleans", "cycle through an ordinary fixture"],
)
def test_plain_pytest_fails_a_test_that_needs_a_faulty_station(project: Project, name: str) -> None:
    """In plain pytest, exactly the tests that request a faulty station end in an error, with the fault."""
    text, message = FAULTS[name]
    project.stations(text)
    project.write("test_it.py", "def test_bad(boil): ...\ndef test_good(): ...")

    run = project.run()

    assert run.tests == {"test_bad": "failed", "test_good": "passed"}
    assert message in run.text


def test_all_faults_are_reported_at_once(project: Project) -> None:
    """Several faults in several files are all reported in one run."""
    project.stations(FAULTS["yield"][0], name="one/stations.py")
    project.stations(FAULTS["cycle"][0], name="two/stations.py")
    project.stations(FAULTS["two cleans"][0].replace("boil", "brew"), name="one/station_b.py")
    project.write(
        "conftest.py", "from pytest_choochoo import station\n\n@station\ndef fill(): ...\n"
    )

    run = project.run("--cc-run")

    assert sorted(run.collect_errors) == sorted(
        (
            (
                "conftest.py:3: station 'fill' is defined in a conftest.py; "
                "move it to stations.py beside it, which is visible to the same directories"
            ),
            FAULTS["yield"][1].replace("stations.py", "one/stations.py"),
            FAULTS["two cleans"][1]
            .replace("boil", "brew")
            .replace("stations.py", "one/station_b.py"),
            FAULTS["cycle"][1].replace("(stations.py", "(two/stations.py"),
        )
    )
    assert "4 errors" in run.last_line


def test_each_cycle_is_reported(project: Project) -> None:
    """Two independent cycles are two messages."""
    project.stations(
        FAULTS["cycle"][0] + FAULTS["cycle"][0].replace("boil", "mix").replace("pour", "bake")
    )

    run = project.run("--cc-run")

    assert run.collect_errors == (
        FAULTS["cycle"][1],
        FAULTS["cycle"][1]
        .replace("boil (stations.py:5)", "mix (stations.py:10)")
        .replace("pour (stations.py:8)", "bake (stations.py:13)")
        .replace("boil", "mix"),
    )


def test_same_name_in_two_station_files_of_one_directory(project: Project) -> None:
    """Two stations of one name in one directory are an error that gives both locations."""
    for name in ("station_a.py", "station_b.py"):
        project.stations("@station\ndef boil(): ...\n", name=name)

    run = project.run("--cc-run")

    assert run.collect_errors == (
        ("two stations are called 'boil': station_a.py:5 and station_b.py:5; rename one of them"),
    )


def test_station_may_have_the_name_of_an_unused_fixture(project: Project) -> None:
    """A station may have the name of one of pytest's own fixtures that no item here requests."""
    project.stations("@station\ndef monkeypatch(): ...\n")

    run = project.run("--cc-run")

    assert run.exit_code in {0, 2}
    assert "INTERNALERROR" not in run.text


def test_conftest_may_hold_helpers_that_use_stations(project: Project) -> None:
    """A conftest may import a station."""
    project.write("depot/__init__.py", "")
    project.stations("@station\ndef boil():\n    return 1\n", name="depot/stations.py")
    project.ini("pythonpath = .")
    project.write("conftest.py", "from depot.stations import boil\n")
    project.write("test_it.py", "def test_it(boil): assert boil == 1\n")

    run = project.run("--cc-run")

    assert (run.exit_code, run.visited, run.tests) == (0, ("boil",), {"test_it": "passed"})


KNOWN_BEFOREHAND = """
    import subprocess

    @station
    def build() -> int:
        log("build")

    @build.check
    def is_built(buildt): ...

    @station
    def deploy(bulid): ...

    @station
    def serve() -> list[subprocess.Popen]: ...
"""
TOLD = (
    (
        "stations.py:17: station 'serve' returns list[subprocess.Popen], which cannot be stored: "
        "Popen is not a supported type; return plain data that stands for it, "
        "or implement pytest_choochoo_encode"
    ),
    (
        "stations.py:11: check 'is_built' of station 'build' could not be asked: it requests 'buildt', "
        "which is neither a fixture nor a station; did you mean 'build'?"
    ),
    (
        "stations.py:14: station 'deploy' requests 'bulid', which is neither a fixture nor a station; "
        "did you mean 'build'?"
    ),
)


@pytest.mark.parametrize("command", ["--cc-run", "--cc-check", "--cc-clean", "--cc-forget=all"])
def test_signatures_are_examined_before_anything_runs(
    project: Project, mode: str, command: str
) -> None:
    """Unknown parameters and outcomes that nobody can store are told, all at once and once."""
    project.stations(KNOWN_BEFOREHAND)

    run = project.run(command)

    assert run.collect_errors == TOLD
    assert [run.text.count(f"\n{text}\n") for text in TOLD] == [1, 1, 1]
    assert run.log == ()
    is_parallel = project.workers and command in {"--cc-run", "--cc-check"}
    assert run.exit_code == (1 if is_parallel else 2)


def test_plain_pytest_examines_signatures_that_a_test_requests(project: Project) -> None:
    """A test that requests a station with such a fault errors with it; others do not care."""
    project.stations(KNOWN_BEFOREHAND)
    project.write("test_it.py", "def test_it(): ...\ndef test_serve(serve): ...\n")
    project.write("test_more.py", "def test_deploy(deploy): ...\n")

    run = project.run()

    assert run.tests == {"test_it": "passed", "test_serve": "failed", "test_deploy": "failed"}
    assert (run.errors["test_serve"], run.errors["test_deploy"]) == (TOLD[0], TOLD[2])


@pytest.mark.parametrize("command", ["--cc-run", ""])
def test_station_file_that_gets_the_module_of_another_is_an_error(
    project: Project, mode: str, command: str
) -> None:
    """Two helpers of one name are an error, in plain pytest for the tests that request a station."""
    for place in ("back", "front"):
        project.write(f"{place}/helper.py", f"NAME = '{place}'\n")
        imports = "from helper import NAME\n\n"
        project.stations(
            f"{imports}@station\ndef make_{place}() -> str: ...\n", f"{place}/stations.py"
        )
    project.write("front/test_it.py", "def test_make(make_front): ...\ndef test_it(): ...\n")

    run = project.run(*filter(None, [command]))

    text = (
        "front/stations.py imports 'helper' and gets back/helper.py, although front/helper.py "
        "lies beside it: Python has one module of a name; rename one of the two, or import it by "
        "'from .helper import ...', with an __init__.py in both folders "
        "or with --import-mode=importlib"
    )
    assert run.outlines.count(text) == 1
    assert run.tests == ({} if command else {"test_make": "failed", "test_it": "passed"})
    assert run.exit_code == (2 if command and not project.workers else 1)


def test_outcome_that_a_plugin_may_encode_is_not_refused(project: Project) -> None:
    """Where a plugin implements `pytest_choochoo_encode`, only a visit can tell."""
    project.stations("import subprocess\n\n@station\ndef serve() -> subprocess.Popen: ...\n")
    project.write("conftest.py", "def pytest_choochoo_encode(value): ...\n")

    run = project.run("--cc-run")

    assert (run.collect_errors, run.failed) == ((), ("serve",))


BROKEN = {
    "syntax": (
        "def boil(: pass  # pytest_choochoo",
        "SyntaxError: invalid syntax (stations.py, line 1)",
    ),
    "import": ("import zebra  # pytest_choochoo", "ModuleNotFoundError: No module named 'zebra'"),
    "raising": ("raise RuntimeError('no gas')  # pytest_choochoo", "RuntimeError: no gas"),
    "a keyword": (
        "from pytest_choochoo import station\n@station(max_age='1 d')\ndef boil(): ...",
        "@station(max_age=...) is '1 d'; it must be a timedelta, or a number of seconds, zero or more",
    ),
    "skipping": (
        "import pytest\npytest.skip('no kettle', allow_module_level=True)  # pytest_choochoo",
        "Skipped: no kettle",
    ),
}


@pytest.mark.parametrize(("text", "error"), BROKEN.values(), ids=BROKEN)
def test_plain_pytest_explains_a_station_missing_from_a_broken_file(
    project: Project, mode: str, text: str, error: str
) -> None:
    """A test that requests a station from a station file above that cannot be imported gets the reason."""
    project.write("stations.py", text)
    project.write("unit/test_it.py", "def test_bad(boil): ...\ndef test_good(): ...")

    run = project.run("unit")

    assert run.tests == {"test_bad": "failed", "test_good": "passed"}
    assert (
        "fixture 'boil' not found; "
        f"it may be a station of stations.py, which could not be collected: {error}"
    ) in run.outlines
    assert re.fullmatch("1 passed(, . warnings?)?, 1 error", run.last_line)
    assert run.exit_code == 1


def test_every_broken_file_above_is_named(project: Project) -> None:
    """All broken station files that a test could see are named, and no others."""
    project.write("stations.py", "raise RuntimeError  # pytest_choochoo")
    project.write("unit/station_a.py", "raise ValueError(1)  # pytest_choochoo")
    project.write("other/station_b.py", "raise RuntimeError  # pytest_choochoo")
    project.write("unit/test_it.py", "def test_bad(boil): ...")

    run = project.run("unit/test_it.py")

    assert run.errors["test_bad"] == (
        "fixture 'boil' not found; it may be a station "
        "of stations.py, which could not be collected: RuntimeError; "
        "or of unit/station_a.py, which could not be collected: ValueError: 1"
    )


def test_missing_fixture_beside_good_files_is_reported_by_pytest(project: Project) -> None:
    """If all station files above can be imported, pytest's own message is shown."""
    project.stations("@station\ndef boil(): ...\n")
    project.write("other/stations.py", "raise RuntimeError  # pytest_choochoo")
    project.write("unit/test_it.py", "def test_bad(zebra): ...")

    run = project.run("unit")

    assert "E       fixture 'zebra' not found" in run.outlines
    assert "could not be collected" not in run.text


@pytest.mark.parametrize("where", ["conftest", "class"])
def test_plain_pytest_explains_a_station_in_a_wrong_place(project: Project, where: str) -> None:
    """A test that requests a station of a conftest or a class gets its fault as the error."""
    station = "from pytest_choochoo import station\n\n"
    if where == "conftest":
        project.write("conftest.py", station + "@station\ndef boil(): ...\n")
        test = "def test_it(boil): ...\n"
    else:
        test = station + "class TestTea:\n    @station\n    def boil(): ...\n\n"
        test += "    def test_it(self, boil): ...\n"
    project.write("test_it.py", test)

    run = project.run()

    assert run.exit_code == 1
    place = (
        "conftest.py:3: station 'boil' is defined in a " if where == "conftest" else "test_it.py:4"
    )
    assert place in run.errors["test_it"]


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        ("@pytest.fixture\n@station", "Failed: Marks cannot be applied to fixtures."),
        ("@station\n@pytest.fixture", "@station must decorate a function, not "),
    ],
    ids=["above", "below"],
)
def test_station_that_is_also_a_fixture_is_a_fault(
    project: Project, marks: str, message: str
) -> None:
    """A station with @pytest.fixture stops a run, and causes a warning in plain pytest."""
    project.stations(f"{marks}\ndef boil(): ...\n")
    project.write("test_it.py", "def test_it(): ...\n")

    run, plain = project.run("--cc-run", apart=True), project.run(apart=True)

    assert (run.exit_code, plain.exit_code) == (2, 0)
    assert message.removeprefix("Failed: ") in run.text
    assert message in plain.text
    assert "INTERNALERROR" not in run.text + plain.text


@pytest.mark.parametrize("how", ["autouse", "ini"])
def test_cycle_through_an_autouse_fixture_names_the_fixture(project: Project, how: str) -> None:
    """An autouse fixture is named if it is part of a cycle."""
    auto = "(autouse=True)" if how == "autouse" else ""
    project.write("conftest.py", f"import pytest\n@pytest.fixture{auto}\ndef kettle(boil): ...\n")
    if how == "ini":
        project.ini("usefixtures = kettle")
    project.stations("@station\ndef fill(): ...\n\n@station\ndef boil(fill): ...\n")

    run = project.run("--cc-run")

    assert "fill (stations.py:5) -> fixture kettle -> boil (stations.py:8) -> fill;" in run.text


def test_cycle_names_the_fixture_that_is_to_blame(project: Project) -> None:
    """Of several autouse fixtures, a cycle names the one that requests the station."""
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture(autouse=True)
        def aaa(): ...

        @pytest.fixture(autouse=True)
        def zzz(boil): ...
        """,
    )
    project.stations("@station\ndef boil(): ...")

    [error] = project.run("--cc-run").collect_errors

    assert error.startswith(
        "stations wait for each other: boil (stations.py:5) -> fixture zzz -> boil; "
    )


def test_station_file_argument_outside_the_project_is_a_fault(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Pytest gives such a file a short node id, which might match the record of another station."""
    outside = tmp_path_factory.mktemp("outside")
    file = outside / "stations.py"
    file.write_text("from pytest_choochoo import station\n\n@station\ndef boil(): ...\n")

    run = project.run("--cc-run", str(file), "--rootdir", str(project.path))

    place = os.path.relpath(file, project.path)
    assert run.exit_code == 2
    [error] = run.collect_errors
    assert error == (
        f"{place}:3: station 'boil' is defined outside the rootdir {project.path}, where two "
        "stations may share a node id; set another --rootdir, or import it from a file inside"
    )
