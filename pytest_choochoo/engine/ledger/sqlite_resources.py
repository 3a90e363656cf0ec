"""The resources of a station in a SQLite ledger."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from pytest_choochoo.engine.ledger.durable import DurableMapping, as_text
from pytest_choochoo.engine.ledger.schema import is_intact, with_checksum
from pytest_choochoo.engine.ledger.sqlite import SqliteLedger


class SqliteResources(DurableMapping):
    """The resources of one station; their values are JSON."""

    def __init__(self, ledger: SqliteLedger, key: str) -> None:
        self._ledger = ledger
        self._key = key

    def _all(self) -> dict[str, Any]:
        here, of = self._ledger.believed.number, self._ledger.of(self._key)
        # Where several places have an id, that of here, the last one, counts.
        query = f"select * from resources where {of} order by place = {here}, id"
        rows = self._ledger.rows(query, self._key)
        # The user was warned of damaged rows when the ledger was opened.
        intact = {row[2]: row[3] for row in rows if is_intact(row)}
        return {name: msgspec.json.decode(intact[name]) for name in sorted(intact)}

    def _set(self, name: str, value: Any) -> None:
        here, text = self._ledger.believed.number, as_text(self._key, name, value)
        with self._ledger.transaction() as connection:
            self._delete(connection, name)
            row = with_checksum(self._key, here, name, text)
            connection.execute("insert into resources values (?, ?, ?, ?, ?)", row)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        with self._ledger.transaction() as connection:
            self._delete(connection, name)

    def _delete(self, connection: sqlite3.Connection, name: str) -> None:
        of = self._ledger.of(self._key)
        connection.execute(f"delete from resources where {of} and id = ?", (self._key, name))
