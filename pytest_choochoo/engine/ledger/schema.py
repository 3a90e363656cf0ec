"""The tables of a SQLite ledger, and the migrations from earlier formats to them.

A stored name never changes: the column `seal` holds checksums, the table `readings` the cache of
what was read from source files.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b

import msgspec

from pytest_choochoo.engine.place import FIRST, UNKNOWN

# A released format never changes: every change of the tables is a new format with its migration.
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


def checksum(*values: object) -> str:
    """Return the digest stored beside *values*, which reveals a change to any of them."""
    texts = (str(each).encode(errors="surrogatepass") for each in values)
    sized = b"".join([len(each).to_bytes(8, "big") + each for each in texts])
    return blake2b(sized, digest_size=8).hexdigest()


def _first_checksums(*values: object) -> Iterator[str]:
    """Yield the checksums as format 2 has them, for rows that knew no place.

    The first one is that of this version of Python, on which they depended.
    """
    from pytest_choochoo.engine.text import reprs  # here, since few ledgers have such rows

    return (blake2b(each.encode(), digest_size=8).hexdigest() for each in reprs(values))


def with_checksum(*values: object) -> tuple[object, ...]:
    """Return a row of a table with checksums: *values*, and their checksum."""
    return *values, checksum(*values)


def is_intact(row: Sequence[object]) -> bool:
    """Return whether the checksum at the end of *row* matches the values before it."""
    *values, found = row
    if found == checksum(*values):
        return True
    key, _, *rest = values
    return any(found == each for each in _first_checksums(key, *rest))


def make_first(connection: sqlite3.Connection) -> None:
    """Make the tables of format 1 in an empty ledger."""
    for statement in _FIRST.split(";")[:-1]:
        connection.execute(statement)


def _add_checksums(connection: sqlite3.Connection) -> None:
    """Add a checksum to the rows that must not be used once a byte has changed."""
    for table in ("records", "resources"):
        connection.execute(f"alter table {table} add column seal text not null default ''")
    for key, record in connection.execute("select key, record from records").fetchall():
        digest = next(_first_checksums(key, record))
        connection.execute("update records set seal = ? where key = ?", (digest, key))
    for key, name, value in connection.execute("select key, id, value from resources").fetchall():
        digest = next(_first_checksums(key, name, value))
        connection.execute(
            "update resources set seal = ? where key = ? and id = ?", (digest, key, name)
        )


_WITH_PLACES = """
create table places (
    number integer primary key, machine text not null, host text not null,
    path text not null, inode text not null, noted real not null
);
create table placed_records (
    key text not null, place integer not null, record text not null, seal text not null,
    primary key (key, place)
) without rowid;
create table placed_attempts (
    key text not null, place integer not null, began real not null, ended real,
    status text not null, error text not null, reasons text not null,
    primary key (key, place, began)
) without rowid;
create table placed_resources (
    key text not null, place integer not null, id text not null, value text not null,
    seal text not null, primary key (key, place, id)
) without rowid;
"""


def _add_places(connection: sqlite3.Connection) -> None:
    """Add the place to what was made there; until now, that is the place of the upgrade."""
    for statement in _WITH_PLACES.split(";")[:-1]:
        connection.execute(statement)
    connection.execute(
        "insert into places values (?, ?, ?, ?, ?, 0)", (FIRST, *msgspec.structs.astuple(UNKNOWN))
    )
    for table, columns in {
        "records": "record, seal",
        "attempts": "began, ended, status, error, reasons",
        "resources": "id, value, seal",
    }.items():
        connection.execute(
            f"insert into placed_{table} select key, {FIRST}, {columns} from {table}"
        )
        connection.execute(f"drop table {table}")
        connection.execute(f"alter table placed_{table} rename to {table}")


_WITH_HISTORY = """
create table outputs (
    key text not null, place integer not null, began real not null, output text not null,
    primary key (key, place)
) without rowid;
create table history (began real primary key, place integer not null, run text not null);
"""


def _add_history(connection: sqlite3.Connection) -> None:
    """Add what visits printed, and the runs that there were."""
    for statement in _WITH_HISTORY.split(";")[:-1]:
        connection.execute(statement)


_WITH_DIRECTORIES = """
create table directories (
    key text not null, place integer not null, home text not null, primary key (key, place)
) without rowid;
"""


def _add_directories(connection: sqlite3.Connection) -> None:
    """Add the directories that are not called after their stations, which were renamed."""
    for statement in _WITH_DIRECTORIES.split(";")[:-1]:
        connection.execute(statement)


#: Each function turns one format into the next; the first makes format 1 in an empty file.
MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    make_first,
    _add_checksums,
    _add_places,
    _add_history,
    _add_directories,
)
FORMAT = len(MIGRATIONS)
#: The digest of the tables of `FORMAT`: a sound ledger is known without making them again.
TABLES = "2bcdd016be15aaa7"


def is_up_to_date(connection: sqlite3.Connection) -> bool:
    return _format_of(connection) == FORMAT


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Migrate *connection*'s tables to `FORMAT`, all or nothing."""
    if is_up_to_date(connection):
        return
    connection.execute("begin immediate")
    try:
        for migrate in MIGRATIONS[_format_of(connection) :]:
            migrate(connection)
        connection.execute(f"pragma user_version = {FORMAT}")
        connection.execute("commit")
    finally:
        if connection.in_transaction:
            connection.execute("rollback")


def problem_with(connection: sqlite3.Connection) -> str | None:
    """Return why *connection* cannot be brought up to date, or None if it can."""
    try:
        found = _format_of(connection)
        if found > FORMAT:
            return f"it has format {found}, but this version reads format {FORMAT}"
        if connection.execute("pragma quick_check(1)").fetchone()[0] != "ok":
            return "it is damaged"
        # A file without tables is left by a process that died while it made the ledger.
        if found < 0 or not _has_tables_of(found, _tables(connection)):
            return f"it is damaged (its tables do not match format {found})"
    except sqlite3.OperationalError as error:
        if not any(each in str(error) for each in ("malformed", "unsupported file format")):
            raise  # the file cannot be opened, which says nothing about its content
        return f"it is damaged ({error})"
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        # The message about a damaged table contains its name, which need not be text.
        return f"it is damaged ({error})"
    return None


def _format_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("pragma user_version").fetchone()[0])


# SQLite's own tables, which the user's `ANALYZE` or `PRAGMA optimize` makes, as it defines them.
# They help to plan queries, and alter no answer.
_STATISTICS = {
    ("table", name, name, f"CREATE TABLE {name}({columns})")
    for name, columns in (
        ("sqlite_stat1", "tbl,idx,stat"),
        ("sqlite_stat4", "tbl,idx,neq,nlt,ndlt,sample"),
    )
}


def _tables(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Return all that *connection* defines: a trigger or a constraint alters what it reads.

    All but SQLite's statistics.
    """
    query = "select type, name, tbl_name, coalesce(sql, '') from sqlite_master order by type, name"
    found = [row for row in connection.execute(query) if row not in _STATISTICS]
    return [
        (kind, name, table, " ".join(sql.replace('"', "").split()))
        for kind, name, table, sql in found
    ]


def _has_tables_of(number: int, tables: Sequence[tuple[object, ...]]) -> bool:
    """Return whether *tables* are those of format *number*."""
    if number == FORMAT and checksum(*tables) == TABLES:
        return True
    return tables == tables_of(number)


def tables_of(number: int) -> list[tuple[object, ...]]:
    model = sqlite3.connect(":memory:")
    try:
        for migrate in MIGRATIONS[:number]:
            migrate(model)
        return _tables(model)
    finally:
        model.close()
