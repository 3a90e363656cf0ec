"""The places in a SQLite ledger: read, and noted at each run that writes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from typing import Any

import msgspec

from pytest_choochoo.engine.place import Place, number_of

#: All places, the one that was noted last at the end.
PLACES = "select number, machine, host, path, inode from places order by noted, number"


def by_number(rows: Iterable[Any]) -> dict[int, Place]:
    """Return the places in *rows* of the query `PLACES`."""
    return {number: Place(*place) for number, *place in rows}


def note(connection: sqlite3.Connection, here: Place) -> int:
    """Write where *here* is now, and return its number."""
    connection.execute("begin immediate")
    try:
        known = by_number(connection.execute(PLACES))  # another process may just have noted it
        number = number_of(here, known) or max(known, default=0) + 1
        row = (number, *msgspec.structs.astuple(here), time.time())
        connection.execute("replace into places values (?, ?, ?, ?, ?, ?)", row)
        connection.execute("commit")
    finally:
        if connection.in_transaction:
            connection.execute("rollback")
    return number
