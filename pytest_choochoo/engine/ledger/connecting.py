"""Connections to SQLite, to files and to copies in memory, all with the same settings."""

from __future__ import annotations

import sqlite3


def connect(target: str) -> sqlite3.Connection:
    """Return a connection to *target*, a path, a URI or `:memory:`, which commits by itself."""
    # A visit may write resources from a thread of its own; `SqliteLedger` serialises.
    connection = sqlite3.connect(
        target, timeout=60, isolation_level=None, check_same_thread=False, uri=target[:5] == "file:"
    )
    connection.execute("pragma trusted_schema = off")
    # A damaged string must not prevent reading the others; its checksum gives it away.
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    return connection


def copied(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Return a connection to a copy, in memory, of what *connection* has open."""
    copy = connect(":memory:")
    connection.backup(copy)
    return copy
