"""Moves all that a SQLite ledger keeps of renamed stations to their new keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from pytest_choochoo.engine.ledger.names import NewNames, renamed
from pytest_choochoo.engine.ledger.record import to_text
from pytest_choochoo.engine.ledger.schema import is_intact, with_checksum
from pytest_choochoo.engine.ledger.sqlite import SqliteLedger, verified


def move(
    ledger: SqliteLedger, moves: Mapping[str, str], names: Mapping[str, NewNames]
) -> tuple[str, ...]:
    """Do what `Records.move` says in *ledger*."""
    with ledger.transaction() as connection:
        moved = tuple(
            key
            for key, former in moves.items()
            if ledger.has_traces(former) and not _has_own(ledger, key)
        )
        for key in moved:
            _move(ledger, connection, moves[key], key)
        for key in names if moved else ():
            _rename_in_records(ledger, connection, key, names[key])
    if moved:
        ledger.checkpoint()
    return moved


def _has_own(ledger: SqliteLedger, key: str) -> bool:
    """Return whether *key* has a record or resources that no clean has forgotten."""
    records = map(verified, ledger.rows(f"select * from records where {ledger.of(key)}", key))
    if any(record.status != "cleaned" for record in records):
        return True
    return bool(ledger.rows(f"select 1 from resources where {ledger.of(key)}", key))


def _move(ledger: SqliteLedger, connection: sqlite3.Connection, former: str, key: str) -> None:
    homes = {place: ledger.home(former, place) for place in ledger.believed.numbers(former)}
    connection.execute(f"delete from records where {ledger.of(key)}", (key,))
    for table in ("records", "resources"):
        query = f"select * from {table} where {ledger.of(former)}"
        for row in connection.execute(query, (former,)).fetchall():
            _, *values, found = row
            # A damaged row stays one.
            new = with_checksum(key, *values) if is_intact(row) else (key, *values, found)
            marks = ", ".join("?" * len(new))
            connection.execute(f"replace into {table} values ({marks})", new)
        connection.execute(f"delete from {table} where {ledger.of(former)}", (former,))
    for table in ("attempts", "outputs"):
        query = f"update or replace {table} set key = ? where {ledger.of(former)}"
        connection.execute(query, (key, former))
    connection.execute(f"delete from directories where {ledger.of(former)}", (former,))
    rows = ((key, place, home) for place, home in homes.items())
    connection.executemany("replace into directories values (?, ?, ?)", rows)


def _rename_in_records(
    ledger: SqliteLedger, connection: sqlite3.Connection, key: str, names: NewNames
) -> None:
    for row in ledger.rows(f"select * from records where {ledger.of(key)}", key):
        before = verified(row)
        record = renamed(before, names)
        if record != before:
            new = with_checksum(key, row[1], to_text(record))
            connection.execute("replace into records values (?, ?, ?, ?)", new)
