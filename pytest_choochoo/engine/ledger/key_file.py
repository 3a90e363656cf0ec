"""The file with the key of a ledger's digests: read with care, and made whole."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from pytest_choochoo.engine.errors import UnusableKey
from pytest_choochoo.engine.ledger.access import Modes, cause_of, make_file, open_file
from pytest_choochoo.engine.ledger.trust import Trust

_KEY_SIZE = 32


def read_key(path: Path, trust: Trust) -> bytes:
    """Return the key at *path*, b"" if there is none yet. Raises `UnusableKey`."""
    try:
        opened = open_file(path, os.O_RDONLY)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise UnusableKey(str(path), cause_of(error)) from None
    with open(opened, "rb") as file:
        found, content = os.fstat(opened), file.read(_KEY_SIZE + 1)
    problem = trust.problem_with(path)
    if problem is None and found.st_mode & 0o077 and not trust.is_for_all_readers:
        problem = f"others may read it, which has mode {stat.S_IMODE(found.st_mode):04o}"
    # An empty file was left by an earlier version that died while it made the key.
    if problem is None and len(content) not in (0, _KEY_SIZE):
        problem = f"it has {found.st_size} bytes, not {_KEY_SIZE}"
    if problem is not None:
        raise UnusableKey(str(path), problem)
    return content


def make_key(path: Path, modes: Modes) -> bytes:
    """Make a key at *path*, whole or not at all, and return it."""
    key, aside = os.urandom(_KEY_SIZE), f"{path}.{os.getpid()}"
    with suppress(FileNotFoundError):
        os.unlink(aside)
    make_file(aside, modes)
    with open(open_file(aside, os.O_WRONLY), "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    return key
