"""The lock on a profile: shared by runs, exclusive for cleans, and the notes of its holders."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_choochoo.engine.errors import LostLedger, ProfileBusy
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.profile_lock import ProfileLock, hold_profile, holders
from pytest_choochoo.engine.ledger.protocol import LockBusy

ME = rf"process {os.getpid()} on \S+ \(since \d\d:\d\d:\d\d\)"
# Holds the lock until it is killed; with an argument, a forked child outlives it.
CHILD = """
import os, sys, time
from pathlib import Path
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.profile_lock import ProfileLock
lock = ProfileLock(LedgerLocation(Path(sys.argv[1]), "default"), "--cc-run", is_shared=True)
if sys.argv[2:] and not os.fork():
    print(os.getpid(), flush=True)
    os.close(1)
    time.sleep(60)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def location(tmp_path: Path) -> LedgerLocation:
    (tmp_path / "default" / "locks").mkdir(parents=True)
    return LedgerLocation(tmp_path, "default")


def test_runs_hold_the_profile_together(location: LedgerLocation) -> None:
    """A clean finds the profile busy until the last run has ended."""
    first = ProfileLock(location, "--cc-run", is_shared=True)
    second = ProfileLock(location, "--cc-run", is_shared=True)
    for run in (first, second):
        with pytest.raises(LockBusy):
            ProfileLock(location, "--cc-clean", is_shared=False)
        run.release()

    ProfileLock(location, "--cc-clean", is_shared=False).release()

    assert holders(location) == ()


@pytest.mark.parametrize("is_shared", [True, False], ids=["run", "clean"])
def test_clean_holds_the_profile_alone(location: LedgerLocation, is_shared: bool) -> None:
    """Neither a run nor another clean begins while a clean is under way."""
    with ProfileLock(location, "--cc-clean", is_shared=False), pytest.raises(LockBusy):
        ProfileLock(location, "--cc-run", is_shared=is_shared)

    ProfileLock(location, "--cc-run", is_shared=is_shared).release()


def test_expired_wait_names_the_holders(location: LedgerLocation) -> None:
    """After the time-out the error says who holds the profile since when, and the way out."""
    notices: list[str] = []
    with (
        ProfileLock(location, "--cc-run", is_shared=True),
        ProfileLock(location, "--cc-replay", is_shared=True),
        pytest.raises(ProfileBusy) as caught,
    ):
        hold_profile(location, "--cc-clean", is_shared=False, timeout=0.3, notify=notices.append)

    both = f"{ME}, which runs --cc-run and {ME}, which runs --cc-replay"
    (notice,) = notices
    assert re.fullmatch(f"waiting for {both}", notice)
    assert re.fullmatch(
        f"still waiting for {both}, after 0.3 s; let it end first, or raise --cc-lock-timeout",
        str(caught.value),
    )


def test_holders_that_ended_are_not_named(location: LedgerLocation) -> None:
    """Only the processes that still hold the profile are named, and looking changes nothing."""
    ProfileLock(location, "--cc-clean", is_shared=False).release()
    ended = ProfileLock(location, "--cc-replay", is_shared=True)
    with ProfileLock(location, "--cc-run", is_shared=True):
        ended.release()
        before = (location.data_dir / "locks" / "profile.lock").read_bytes()

        found = holders(location)

        assert [(each.pid, each.command) for each in found] == [(os.getpid(), "--cc-run")]
        assert (location.data_dir / "locks" / "profile.lock").read_bytes() == before


@pytest.mark.parametrize("forks", [(), ("forks",)], ids=["alone", "with a forked child"])
def test_dead_process_holds_nothing(location: LedgerLocation, forks: tuple[str, ...]) -> None:
    """A killed run releases the profile, even where a child of it lives on."""
    command = [sys.executable, "-c", CHILD, str(location.folder), *forks]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in ("held", *forks)]
        (holder,) = holders(location)
        process.kill()
        process.wait()

        lock = hold_profile(location, "--cc-clean", is_shared=False, timeout=5, notify=pytest.fail)
        lock.release()

        for line in lines:
            if line.isdecimal():
                os.kill(int(line), signal.SIGKILL)
    assert (holder.pid, holder.command) == (process.pid, "--cc-run")


def test_link_in_the_place_of_the_lock_is_not_followed(location: LedgerLocation) -> None:
    """A link is never opened: what it points to may be another user's."""
    target = location.folder / "theirs"
    (location.data_dir / "locks" / "profile.lock").symlink_to(target)

    with pytest.raises(LostLedger, match=r"profile\.lock"):
        ProfileLock(location, "--cc-run", is_shared=True)

    assert (holders(location), target.exists()) == ((), False)


def test_unreadable_notes_still_lock(location: LedgerLocation) -> None:
    """Without a legible note of who holds the profile, another process is named."""
    with ProfileLock(location, "--cc-run", is_shared=True):
        (location.data_dir / "locks" / "profile.lock").write_bytes(b"\xff\x00")
        with pytest.raises(ProfileBusy, match="still waiting for another process, after 0 s"):
            hold_profile(location, "--cc-clean", is_shared=False, timeout=0, notify=pytest.fail)
