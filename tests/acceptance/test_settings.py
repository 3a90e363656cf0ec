"""Profiles, the ledger's folder and other settings: their precedence, and wrong values."""

from __future__ import annotations

import pytest
from harness import Project

ONE = "@station\ndef boil(visit):\n    log(visit.profile)\n"


@pytest.fixture
def one(project: Project) -> Project:
    """A station that logs its profile."""
    project.stations(ONE)
    return project


def test_profile_is_a_namespace_of_records(one: Project, mode: str) -> None:
    """Each profile has its own records."""
    one.run("--cc-run", "--cc-profile", "staging")

    default, staging = one.run("--cc-run"), one.run("--cc-run", "--cc-profile", "staging")

    assert (default.visited, default.log) == (("boil",), ("default",))
    assert (staging.unchanged, staging.log) == (("boil",), ())


@pytest.mark.parametrize(
    ("option", "environment", "ini", "profile"),
    [
        pytest.param("one", "two", "three", "one", id="option"),
        pytest.param(None, "two", "three", "two", id="environment"),
        pytest.param(None, None, "three", "three", id="ini"),
        pytest.param(None, "", "three", "three", id="empty-environment"),
        pytest.param(None, None, None, "default", id="none"),
    ],
)
def test_command_line_before_environment_before_ini(
    one: Project,
    monkeypatch: pytest.MonkeyPatch,
    option: str | None,
    environment: str | None,
    ini: str | None,
    profile: str,
) -> None:
    """The profile comes from the command line, or the environment, or the ini file, in this order."""
    if ini is not None:
        one.ini(f"cc_profile = {ini}")
    if environment is not None:
        monkeypatch.setenv("CC_PROFILE", environment)
    arguments = [] if option is None else ["--cc-profile", option]

    run = one.run("--cc-run", *arguments)

    assert run.log == (profile,)
    assert (one.path / f".pytest_cache/d/choochoo/{profile}.sqlite").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ("--cc-run", "--cc-profile", "Prod"),
            "--cc-profile is 'Prod'; it must be lowercase letters, digits and '_'",
            id="upper-case",
        ),
        pytest.param(
            ("--cc-run", "--cc-profile", "../prod"),
            "--cc-profile is '../prod'; it must be lowercase letters, digits and '_'",
            id="path",
        ),
        pytest.param(
            ("--cc-run", "--cc-profile", ""),
            "--cc-profile is ''; it must be lowercase letters, digits and '_'",
            id="empty-profile",
        ),
        pytest.param(
            ("--cc-run", "--cc-lock-timeout", "soon"),
            "--cc-lock-timeout is 'soon'; it must be a number of seconds, zero or more",
            id="no-number",
        ),
        pytest.param(
            ("--cc-run", "--cc-lock-timeout", "nan"),
            "--cc-lock-timeout is 'nan'; it must be a number of seconds, zero or more",
            id="nan",
        ),
        pytest.param(
            ("--cc-run", "--cc-lock-timeout=-1"),
            "--cc-lock-timeout is '-1'; it must be a number of seconds, zero or more",
            id="negative",
        ),
        pytest.param(
            ("--cc-run", "--cc-state", "pytest.ini"),
            "--cc-state is 'pytest.ini'; it must be a folder",
            id="state-is-a-file",
        ),
        pytest.param(
            ("--cc-run", "--cc-state", "ftp://x"),
            "--cc-state is 'ftp://x'; it must be a folder",
            id="state-is-a-url",
        ),
        pytest.param(
            ("--cc-run", "-p", "no:cacheprovider"),
            "there is no place to remember stations: the cache provider is disabled; "
            "remove '-p no:cacheprovider', or name a folder with --cc-state",
            id="no-cache-provider",
        ),
        pytest.param(
            ("--cc-run", "-n", "2", "--dist", "each"),
            "--cc-run and --dist each cannot be combined; choose one of them",
            id="dist-each",
        ),
    ],
)
def test_wrong_setting_is_usage_error(
    one: Project, arguments: tuple[str, ...], message: str
) -> None:
    """A wrong setting is a usage error before anything runs."""
    run = one.run(*arguments)

    assert (run.exit_code, run.log) == (4, ())
    assert f"ERROR: {message}" in run.outlines


@pytest.mark.parametrize(
    ("addopts", "arguments", "results"),
    [
        pytest.param("--cc-run", ("--cc-check",), {"boil": "verified"}, id="check-after-run"),
        pytest.param("--cc-run", ("--cc-clean",), {"boil": "left in place"}, id="clean-after-run"),
        pytest.param("--cc-check", ("--cc-replay", "all"), {"boil": "visited"}, id="replay-last"),
        pytest.param("--cc-replay=all", ("--cc-run",), {"boil": "visited"}, id="one-mode-twice"),
        pytest.param("", ("--cc-clean", "--cc-run"), {"boil": "unchanged"}, id="on-one-line"),
        pytest.param("--cc-run --cc-forget=all", ("--cc-run",), {"boil": "unchanged"}, id="three"),
    ],
)
def test_last_mode_option_counts(
    one: Project, mode: str, addopts: str, arguments: tuple[str, ...], results: dict[str, str]
) -> None:
    """Options that choose a mode overrule each other: the command line those in `addopts`."""
    one.run("--cc-run")
    one.ini(f"addopts = {addopts}")

    run = one.run(*arguments)

    assert (run.exit_code, run.results) == (0, results), run.text


def test_wrong_profile_in_environment_is_usage_error(
    one: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says where the wrong value comes from."""
    monkeypatch.setenv("CC_PROFILE", "Prod")

    run = one.run("--cc-run")

    assert run.exit_code == 4
    assert (
        "ERROR: CC_PROFILE is 'Prod'; it must be lowercase letters, digits and '_'" in run.outlines
    )


def test_state_on_command_line_is_relative_to_the_working_directory(
    one: Project, mode: str
) -> None:
    """A relative --cc-state is relative to the working directory."""
    (one.path / "sub").mkdir()

    run = one.run("--cc-run", "--cc-state", "ledger", "..", cwd="sub")

    assert run.visited == ("boil",)
    assert (one.path / "sub/ledger/default.sqlite").exists()
    assert not (one.path / ".pytest_cache/d/choochoo").exists()


def test_state_in_ini_is_relative_to_rootdir(one: Project) -> None:
    """A relative cc_state is relative to rootdir."""
    one.ini("cc_state = ledger")
    (one.path / "sub").mkdir()

    run = one.run("--cc-run", "..", cwd="sub")

    assert run.visited == ("boil",)
    assert (one.path / "ledger/default.sqlite").exists()


def test_state_on_command_line_wins_over_ini(one: Project) -> None:
    """The command line overrides the ini file."""
    one.ini("cc_state = ledger")

    one.run("--cc-run", "--cc-state", "other")

    assert (one.path / "other/default.sqlite").exists()
    assert not (one.path / "ledger").exists()


def test_state_replaces_cache_provider(one: Project) -> None:
    """With --cc-state no cache provider is needed, not even its part for `--lf`."""
    arguments = ("--cc-run", "-p", "no:cacheprovider", "--cc-state", "ledger")

    first, second = one.run(*arguments), one.run(*arguments)

    assert (first.visited, second.unchanged) == (("boil",), ("boil",))
    assert not (one.path / ".pytest_cache").exists()


def test_plain_pytest_needs_no_cache_provider(one: Project) -> None:
    """Without a cache provider, plain pytest works as usual."""
    one.write("test_tea.py", "def test_tea(): pass\n")

    run = one.run("-p", "no:cacheprovider")

    assert (run.tests, run.exit_code) == ({"test_tea": "passed"}, 0)


@pytest.mark.parametrize("place", [".pytest_cache", ".pytest_cache/d", ".pytest_cache/d/choochoo"])
def test_unwritable_cache_is_usage_error(one: Project, place: str) -> None:
    """A cache that cannot be written is reported before any visit."""
    one.write(place, "a file where a folder should be")

    run = one.run("--cc-run")

    assert (run.exit_code, run.log) == (4, ())
    assert (
        f"ERROR: the ledger {one.path}/.pytest_cache/d/choochoo/default.sqlite cannot be written: "
        in run.text
    )
    assert run.text.rstrip().endswith("; make the folder writable, or name another with --cc-state")
    assert "Traceback" not in run.text


def test_sub_directory_uses_the_same_ledger(project: Project, mode: str) -> None:
    """A run from a sub-directory, or with a path, uses the same records, and none are lost."""
    project.stations("@station\ndef boil(): log('boil')\n")
    project.stations("@station\ndef pour(boil): log('pour')\n", "sub/stations.py")
    project.run("--cc-run")

    below = project.run("--cc-run", cwd="sub")
    by_path = project.run("--cc-run", "sub/stations.py")
    whole = project.run("--cc-run")

    assert (below.results, below.log) == ({"pour": "unchanged"}, ())
    assert (by_path.results, by_path.log) == ({"pour": "unchanged"}, ())
    assert (whole.closing, whole.log) == ("2 unchanged", ())


def test_station_files_are_named_in_ini(project: Project) -> None:
    """The ini file sets the names of station files."""
    project.ini("cc_files = steps.py *.rail.py")
    project.stations("@station\ndef boil(): pass\n", "steps.py")
    project.stations("@station\ndef pour(boil): pass\n", "stations.py")

    run = project.run("--cc-run")

    assert run.visited == ("boil",)


def test_options_work_in_addopts(one: Project) -> None:
    """Options may be in `addopts`."""
    one.ini("addopts = --cc-run --cc-profile staging")

    assert one.run().log == ("staging",)


def test_state_in_two_words_that_changes_rootdir_is_rejected(project: Project) -> None:
    """A folder that pytest treats as an argument must not change the node ids of all stations."""
    project.stations("@station\ndef boil(): ...")
    folder = project.path.with_name(f"{project.path.name}-elsewhere")
    first = project.run("--cc-run", "--cc-state", str(folder), apart=True)

    second = project.run("--cc-run", "--cc-state", str(folder), apart=True)
    third = project.run("--cc-run", f"--cc-state={folder}", apart=True)

    assert (first.visited, second.exit_code, third.unchanged) == (("boil",), 4, ("boil",))
    assert (
        f"ERROR: --cc-state is '{folder}'; it must be given in one word here, --cc-state={folder}"
    ) in second.outlines


def test_state_in_two_words_is_accepted_for_an_old_folder(project: Project) -> None:
    """A folder that existed before the first run means the same in each run."""
    project.stations("@station\ndef boil(): ...")
    folder = project.path.with_name(f"{project.path.name}-elsewhere")
    folder.mkdir()

    runs = [project.run("--cc-run", "--cc-state", str(folder), apart=True) for _ in range(2)]

    assert [run.closing for run in runs] == ["1 visited", "1 unchanged"]


def test_user_folder_with_the_name_of_the_cache_is_left_alone(project: Project) -> None:
    """A folder of the user is left as it is, whatever its name is."""
    project.stations("@station\ndef boil(): ...")

    run = project.run("--cc-run", "--cc-state=x/d/choochoo", "-p", "no:cacheprovider")

    assert (run.exit_code, run.visited) == (0, ("boil",))
    assert (project.path / "x/d/choochoo/default.sqlite").exists()
