"""The example project, set up from one checkout and verified from others, which have no records."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from socket import create_server

import pytest
from town import Town, town_in

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="looks for processes with ps")

MODES = pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "two-workers"])
ALL = (
    "allocate_domain",
    "attach_domain",
    "create_db",
    "download_app",
    "link_app_to_db",
    "notify_completion",
    "run_app",
    "upload_app",
)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town that was set up from one checkout."""
    with town_in(tmp_path_factory.mktemp("town"), ()) as town:
        run = town.run("--cc-run")
        assert (run.exit_code, run.closing) == (0, "8 visited"), run.text
        yield town


@pytest.fixture
def second(live: Town) -> Iterator[Town]:
    """A fresh checkout of that town; what a test breaks is repaired from the first one."""
    second = live.checkout("second")
    yield second
    shutil.rmtree(second.path)
    repaired = live.run("--cc-run", "-m", "station")
    assert repaired.exit_code == 0, repaired.text


@MODES
def test_fresh_checkout_verifies_everything(second: Town, workers: tuple[str, ...]) -> None:
    """Without records, every station is verified and every test passes; nothing is written."""
    processes = second.processes()

    run = second.run("--cc-check", *workers)

    assert (run.exit_code, run.closing) == (0, "8 verified"), run.text
    assert run.results == {"verified": ALL}
    assert "13 passed" in run.text
    assert second.processes() == processes
    assert not (second.path / ".pytest_cache/d").exists()


@MODES
def test_tests_alone_run_on_what_is_found(second: Town, workers: tuple[str, ...]) -> None:
    """A selection of tests gets the outcomes that the finds return."""
    run = second.run("--cc-check", "-k", "test", *workers)

    assert (run.exit_code, run.results) == (0, {}), run.text
    assert "5 passed" in run.text


@MODES
def test_fresh_checkout_adopts_everything(second: Town, workers: tuple[str, ...]) -> None:
    """The first run visits nothing; a change then is propagated, and nothing else is visited."""
    processes = second.processes()

    first = second.run("--cc-run", *workers)
    second.edit("app/page.html", "<button>Sign<", "<button>Sign here<")
    edited = second.run("--cc-run", *workers)

    assert (first.exit_code, first.closing) == (0, "8 adopted"), first.text
    assert (edited.exit_code, edited.closing) == (0, "6 visited, 2 unchanged"), edited.text
    assert edited.results["unchanged"] == ("allocate_domain", "create_db")
    assert "<button>Sign here<" in second.page()
    stayed = {pid for pid, service in processes.items() if service != "guestbook"}
    assert stayed < second.processes().keys()


def test_other_source_is_not_adopted(second: Town) -> None:
    """A checkout with another app or other settings is red, and brings its own version online."""
    second.edit("app/page.html", "<button>Sign<", "<button>Subscribe<")

    red = second.run("--cc-check", "-m", "station")
    run = second.run("--cc-run")

    assert red.failed == ("upload_app",), red.text
    assert (run.exit_code, run.closing) == (0, "5 visited, 3 adopted"), run.text
    assert "<button>Subscribe<" in second.page()


def test_other_settings_are_not_adopted(second: Town) -> None:
    """A checkout with other settings is red where the app runs, and restarts the app alone."""
    second.edit("settings.toml", '"Guestbook"', '"Visitors"')

    red = second.run("--cc-check", "-m", "station")
    run = second.run("--cc-run")

    assert red.failed == ("run_app",), red.text
    assert (run.exit_code, run.closing) == (0, "1 visited, 7 adopted"), run.text
    assert "<h1>Visitors</h1>" in second.page()


def stop(service: str, town: Town) -> None:
    """End *service* by the process id that it wrote down."""
    pid = int((town.world / f"{service}.pid").read_text())
    assert town.processes()[pid] == service
    town.kill(service)


def alter(name: str, old: str, new: str, town: Town) -> None:
    """Edit the file *name* of the world."""
    file = town.world / name
    content = file.read_bytes()
    assert old.encode() in content
    file.write_bytes(content.replace(old.encode(), new.encode()))


def drop_database(town: Town) -> None:
    (town.world / "guestbook.sqlite3").unlink()


def detach(town: Town) -> None:
    """Detach the domain at the proxy."""
    code = "import stations; stations.detach_domain()"
    subprocess.run([sys.executable, "-B", "-c", code], cwd=town.path, check=True)


REFUSED = r"ConnectionRefusedError: \[Errno \d+\] Connection refused"
# How the station is broken, the fact that is then told of it, and all stations that are red.
BROKEN: dict[str, tuple[Callable[[Town], None], str, tuple[str, ...]]] = {
    "upload_app": (
        partial(stop, "artifact_server"),
        rf"check artifact_is_made_of_the_source does not pass: {REFUSED}",
        ("download_app", "upload_app"),
    ),
    "create_db": (
        drop_database,
        r"check database_has_the_schema does not pass: OperationalError: unable to open database",
        ("attach_domain", "create_db", "link_app_to_db", "notify_completion", "run_app"),
    ),
    "download_app": (
        partial(alter, "app/page.html", "Sign", "Sing"),
        r"check app_is_what_was_uploaded does not pass: AssertionError: assert '\w+\.\.\.\w+' == ",
        ("download_app", "link_app_to_db"),
    ),
    "link_app_to_db": (
        partial(alter, "config.json", "guestbook.sqlite3", "other.sqlite3"),
        r"check config_names_app_and_database does not pass: AssertionError: .*other\.sqlite3",
        ("link_app_to_db", "run_app"),
    ),
    "run_app": (
        partial(stop, "guestbook"),
        rf"check app_is_healthy does not pass: {REFUSED}",
        ("attach_domain", "notify_completion", "run_app"),
    ),
    "allocate_domain": (
        partial(stop, "proxy"),
        rf"check proxy_knows_the_domain does not pass: {REFUSED}",
        ("allocate_domain", "attach_domain", "notify_completion"),
    ),
    "attach_domain": (
        detach,
        r"check domain_leads_to_the_app does not pass: .* nothing is attached to this domain",
        ("attach_domain", "notify_completion"),
    ),
    "notify_completion": (
        partial(stop, "inbox"),
        rf"check notification_has_arrived does not pass: {REFUSED}",
        ("notify_completion",),
    ),
}


@pytest.mark.parametrize("station", BROKEN)
def test_broken_station_is_red_with_the_fact(second: Town, station: str) -> None:
    """Whatever is stopped or altered, its station says so; stations that do not need it pass."""
    break_it, fact, red = BROKEN[station]
    break_it(second)

    runs = [second.run("--cc-check", "-m", "station", *workers) for workers in ((), ("-n", "2"))]

    verified = tuple(each for each in ALL if each not in red)
    for run in runs:
        assert run.exit_code == 1, run.text
        assert run.results == {"failed": red, "verified": verified}, run.text
        [told] = re.findall(rf"^  failed   {station} .*", run.text, re.MULTILINE)
        assert re.search(fact, told), told


@pytest.mark.parametrize("way", ["by node id", "adopted"])
def test_second_checkout_takes_everything_down(tmp_path: Path, way: str) -> None:
    """A clean leaves no process and no world; what was not made here it only lists."""
    with town_in(tmp_path, ()) as first:
        first.run("--cc-run", "-m", "station")
        second = first.checkout("second")

        listing = second.run("--cc-clean")
        left = second.processes()
        if way == "adopted":
            second.run("--cc-run", "-m", "station")
        named = [f"stations.py::{name}" for name in ALL if way == "by node id"]
        clean = second.run("--cc-clean", *named)

        [told] = re.findall("there, but not made here: (.+?);", listing.text)
        assert sorted(told.split(", ")) == list(ALL)
        assert len(left) == 4
        assert (clean.exit_code, clean.closing) == (0, "8 cleaned"), clean.text
        assert (second.processes(), second.world.exists()) == ({}, False)


def test_stations_pass_their_audit(tmp_path: Path) -> None:
    """Each station can be visited twice, is found again, and is undone by its clean."""
    with town_in(tmp_path, ()) as town:
        run = town.run("--cc-audit")

        assert (run.exit_code, run.closing) == (0, "8 audited"), run.text
        assert (town.processes(), town.world.exists()) == ({}, False)


def test_port_that_is_taken_is_said(tmp_path: Path) -> None:
    """Where another program has a port, the station says which, and the way out."""
    with town_in(tmp_path, ()) as town, create_server(("127.0.0.1", town.first_port)):
        run = town.run("--cc-run", "-m", "station", "-k", "upload_app")

    assert re.search(
        rf"DidNotStartError: artifact_server did not start: port {town.first_port} is taken by "
        r"another program: \[Errno \d+\] Address already in use; stop that, or give "
        r"artifact_server another port in settings\.toml$",
        run.text,
        re.MULTILINE,
    ), run.text


def test_moved_world_is_set_up_again(tmp_path: Path) -> None:
    """Settings that lead to another folder and other ports make all stations due."""
    with town_in(tmp_path / "old", ()) as town, town_in(tmp_path / "new", ()) as elsewhere:
        town.run("--cc-run", "-m", "station")
        shutil.copy(elsewhere.path / "settings.toml", town.path)

        run = town.run("--cc-run", "-m", "station")

        assert (run.exit_code, run.closing) == (0, "8 visited"), run.text
        assert len(town.processes()) == len(elsewhere.processes()) == 4
