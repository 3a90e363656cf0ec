"""Station files: their names, the text that makes them ours, and their tests."""

from __future__ import annotations

from harness import Project

OTHERS = "import nowhere_to_be_found\n\ndef test_other(): assert 0\n"


def test_file_without_our_name_in_it_is_left_alone(project: Project, mode: str) -> None:
    """Files with the name of a station file belong to the project, unless they mention us."""
    project.write("app/weather_stations.py", OTHERS)
    project.write("stations.py", OTHERS)
    project.write("test_it.py", "def test_it(): ...\n")

    runs = [project.run(), project.run("--cc-run"), project.run("--cc-check")]

    assert [run.tests for run in runs] == [{"test_it": "passed"}] * 3
    assert [run.exit_code for run in runs] == [0, 0, 0]
    assert "nowhere_to_be_found" not in "".join(run.text for run in runs)


def test_file_that_the_user_names_is_pytests_own(project: Project) -> None:
    """A file of somebody else is collected if it is an argument, as without the plugin."""
    project.write("stations.py", "def test_other(): ...\n")

    assert project.run("stations.py").tests == {"test_other": "passed"}


def test_file_that_the_settings_name_need_not_mention_us(project: Project) -> None:
    """With `cc_files`, a station file may have its decorator from a helper."""
    project.ini("cc_files = steps.py")
    project.write("helper.py", "from pytest_choochoo import station as step\n")
    project.write("steps.py", "import helper\n\n@helper.step\ndef boil(): ...\n")

    assert project.run("--cc-run").visited == ("boil",)


TESTS = """
    @station
    def boil(): ...

    def test_alone(): ...

    class TestClass:
        def test_in_it(self): ...
"""


def test_station_file_has_no_tests(project: Project) -> None:
    """Functions and classes of a station file are tests only if `python_files` says so."""
    project.stations(TESTS)

    run = project.run("--cc-run")

    assert (run.visited, run.tests) == (("boil",), {})

    project.ini("python_files = test_*.py stations.py")

    run = project.run("--cc-run")

    assert run.tests == {"test_alone": "passed", "test_in_it": "passed"}
    assert project.run("stations.py").tests == run.tests
