"""The example project, run from beginning to end: its README's promises, with real processes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from town import Town, town_in

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="looks for processes with ps")


@pytest.fixture(params=[(), ("-n", "2")], ids=["serial", "two-workers"])
def town(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Town]:
    with town_in(tmp_path, request.param) as town:
        yield town


@pytest.fixture
def live(town: Town) -> Town:
    """The town after its first run."""
    run = town.run("--cc-run")
    assert (run.exit_code, run.closing) == (0, "8 visited"), run.text
    return town


def test_second_run_changes_nothing(live: Town) -> None:
    """The workflow is done once; afterwards its tests pass without another run."""
    processes = live.processes()

    run = live.run("--cc-run")
    tests = live.run()

    assert (run.exit_code, run.closing) == (0, "8 unchanged"), run.text
    assert (tests.exit_code, tests.failed) == (0, ()), tests.text
    assert live.processes() == processes
    assert sorted(processes.values()) == ["artifact_server", "guestbook", "inbox", "proxy"]


def test_edited_source_is_propagated(live: Town) -> None:
    """A new version of the app reaches the domain; the database and the domain are left alone."""
    live.sign(name="Ann", message="was here before")
    live.edit("app/page.html", "<button>Sign<", "<button>Sign here<")

    run = live.run("--cc-run")

    assert (run.exit_code, run.closing) == (0, "6 visited, 2 unchanged"), run.text
    assert run.results["unchanged"] == ("allocate_domain", "create_db")
    assert "<button>Sign here<" in live.page()
    assert "<b>Ann</b><br>was here before" in live.page()
    assert len(live.processes()) == 4


def test_killed_app_is_drift(live: Town) -> None:
    """Checks pass, and fail once the app is killed; the next run starts the app and nothing else."""
    green = live.run("--cc-check", "-m", "station")
    live.kill("guestbook")

    red = live.run("--cc-check", "-m", "station")
    run = live.run("--cc-run")

    assert (green.exit_code, green.failed) == (0, ()), green.text
    assert (red.exit_code, red.failed) == (1, ("attach_domain", "run_app")), red.text
    assert (run.exit_code, run.closing) == (0, "1 visited, 7 unchanged"), run.text
    assert run.results["visited"] == ("run_app",)
    assert len(live.processes()) == 4


def test_last_two_are_replayed(live: Town) -> None:
    """The last two stations are visited again on demand; their running services are used."""
    processes = live.processes()

    run = live.run("--cc-replay", "last:2")

    assert (run.exit_code, run.closing) == (0, "2 visited, 6 unchanged"), run.text
    assert run.results["visited"] == ("attach_domain", "notify_completion")
    assert live.processes() == processes


def test_failure_at_step_five_resumes_there(town: Town) -> None:
    """Steps before the failure stay, later ones are blocked, and the fix resumes there."""
    town.edit("settings.toml", "newest = 20", 'newest = "many"')

    broken = town.run("--cc-run", "-m", "station")
    left = sorted(town.processes().values())
    town.edit("settings.toml", 'newest = "many"', "newest = 20")
    fixed = town.run("--cc-run", "-m", "station")

    assert (broken.exit_code, broken.closing) == (1, "5 visited, 1 failed, 2 blocked"), broken.text
    assert broken.results["failed"] == ("run_app",)
    assert broken.results["blocked"] == ("attach_domain", "notify_completion")
    error = "ValueError: invalid literal for int() with base 10: 'many'"
    assert f"DidNotStartError: guestbook did not start: {error}\n" in broken.text
    assert left == ["artifact_server", "proxy"]
    assert (fixed.exit_code, fixed.closing) == (0, "3 visited, 5 unchanged"), fixed.text
    assert fixed.results["visited"] == ("attach_domain", "notify_completion", "run_app")


def test_app_that_does_not_compile_is_repaired(live: Town) -> None:
    """A broken version of the app fails its station cleanly, and the repaired version runs."""
    live.edit("app/guestbook.py", "def page()", "def page(")

    broken = live.run("--cc-run", "-m", "station")
    left = sorted(live.processes().values())
    live.edit("app/guestbook.py", "def page(", "def page()")
    fixed = live.run("--cc-run")

    assert broken.exit_code == 1, broken.text
    assert broken.results["visited"] == ("download_app", "link_app_to_db", "upload_app")
    assert broken.results["failed"] == ("run_app",)
    assert "SyntaxError" in broken.text
    assert left == ["artifact_server", "inbox", "proxy"]
    assert fixed.exit_code == 0, fixed.text
    assert sorted(live.processes().values()) == ["artifact_server", "guestbook", "inbox", "proxy"]


@pytest.mark.parametrize("before", [(), ("--cache-clear",)], ids=["cache-kept", "cache-cleared"])
def test_clean_leaves_nothing(town: Town, before: tuple[str, ...]) -> None:
    """Cleaning leaves no process, no world and no file, even after the cache was cleared."""
    files = town.files()
    town.run("--cc-run", "-m", "station")

    run = town.run("--cc-clean", *before)

    assert run.exit_code == 0, run.text
    assert town.processes() == {}
    assert not town.world.exists()
    assert town.files() == files
