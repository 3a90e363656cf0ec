"""The ledger's tables, and how those of earlier formats become them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from hashlib import blake2b

# A format is never altered, only followed by another; a change of tables is one.
_FIRST = """
create table records (key text primary key, record text not null) without rowid;
create table attempts (
    key text not null, began real not null, ended real,
    status text not null, error text not null, reasons text not null,
    primary key (key, began)
) without rowid;
create table resources (
    key text not null, id text not null, value text not null, primary key (key, id)
) without rowid;
create table results (
    run text not null, key text not null, result text not null, primary key (run, key)
) without rowid;
create table runs (run text primary key, began real not null) without rowid;
create table readings (key text primary key, reading text not null) without rowid;
"""


def checksum(*texts: object) -> str:
    """Return the digest that is kept beside *texts*, and tells when one of them was altered."""
    return blake2b(repr(texts).encode(), digest_size=8).hexdigest()


def make_first(connection: sqlite3.Connection) -> None:
    """Make the tables of format 1 in an empty ledger."""
    for statement in _FIRST.split(";")[:-1]:
        connection.execute(statement)


def _add_checksums(connection: sqlite3.Connection) -> None:
    """Give a seal to what must not be believed when a byte of it has changed."""
    for table in ("records", "resources"):
        connection.execute(f"alter table {table} add column seal text not null default ''")
    for key, record in connection.execute("select key, record from records").fetchall():
        values = (checksum(key, record), key)
        connection.execute("update records set seal = ? where key = ?", values)
    for key, name, value in connection.execute("select key, id, value from resources").fetchall():
        from_token = (checksum(key, name, value), key, name)
        connection.execute("update resources set seal = ? where key = ? and id = ?", from_token)


#: What makes each format of the one before; the first of them makes 1 of nothing.
MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (make_first, _add_checksums)
FORMAT = len(MIGRATIONS)


def is_up_to_date(connection: sqlite3.Connection) -> bool:
    return _format_of(connection) == FORMAT


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Make *connection*'s tables those of `FORMAT`, all or nothing."""
    if is_up_to_date(connection):
        return
    connection.execute("begin immediate")
    try:
        for step in MIGRATIONS[_format_of(connection) :]:
            step(connection)
        connection.execute(f"pragma user_version = {FORMAT}")
        connection.execute("commit")
    finally:
        if connection.in_transaction:
            connection.execute("rollback")


def problem_with(connection: sqlite3.Connection) -> str | None:
    """Return why *connection* leads to no ledger that can be brought up to date, or None."""
    try:
        found = _format_of(connection)
        if found > FORMAT:
            return f"it has format {found}, and this version reads {FORMAT}"
        if connection.execute("pragma quick_check(1)").fetchone()[0] != "ok":
            return "it is damaged"
        # One without tables was just being made when its process died.
        if found < 0 or _tables(connection) != _tables_of(found):
            return f"it is damaged (it has not the tables of format {found})"
    except sqlite3.OperationalError as error:
        if "malformed" not in str(error):
            raise  # it cannot be opened: that is not its own fault
        return f"it is damaged ({error})"
    except sqlite3.DatabaseError as error:
        return f"it is damaged ({error})"
    return None


def _format_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("pragma user_version").fetchone()[0])


def _tables(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    query = (
        "select t.name, c.name, c.type, c.pk from sqlite_master t, pragma_table_info(t.name) c"
        " order by t.name, c.cid"
    )
    return connection.execute(query).fetchall()


def _tables_of(number: int) -> list[tuple[object, ...]]:
    pattern = sqlite3.connect(":memory:")
    try:
        for step in MIGRATIONS[:number]:
            step(pattern)
        return _tables(pattern)
    finally:
        pattern.close()
