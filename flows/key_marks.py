"""Marks of the keys that are landed: whether a new key is landed already is asked of them, not of the keys.

A mark is 48 bits of the key's hash, so two keys may share one: what may be landed is then looked for among
the keys. Marks of rows that are gone stay, and are made anew when they are many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.landing_store import scalar
from flows.source_schema import DAY_TABLES, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Another release of DuckDB may hash otherwise; short and long texts are hashed by different code.
_HASHING = "xor(hash('key'), hash('00000000-0000-0000-0000-000000000000'))"

# Marks that are grouped at a time: it bounds the memory.
_GROUPED_MARKS = 20_000_000

# Bits that are left of a hash of 64.
_BITS_CUT = 16


def prepare(connection: DuckDBPyConnection) -> None:
    """Make the marks of every table whose marks are missing, were made by another DuckDB, or are too many."""
    connection.execute("create table if not exists raw.marked_tables (table_name varchar, hashing ubigint)")
    marked = {
        name
        for (name,) in connection.execute(
            f"select table_name from raw.marked_tables where hashing = {_HASHING}"
        ).fetchall()
    }
    for table in DAY_TABLES:
        if table.name not in marked or _has_many(connection, table):
            _mark_all(connection, table)


def marks_tables() -> list[str]:
    """The tables of all marks, as SQL names them: a landing with new rows looks through them whole."""
    return [f"raw.{table.name}_marks" for table in DAY_TABLES]


def add(connection: DuckDBPyConnection, table: Table, keys: str) -> None:
    """Mark the keys of a relation, which has them as `row_key`."""
    connection.execute(
        f"insert into raw.{table.name}_marks select {_mark('row_key')} from {keys} order by all"
    )


def may_have(connection: DuckDBPyConnection, table: Table, keys: str) -> bool:
    """Whether one of the keys of a relation may be landed; False when none is."""
    return bool(
        scalar(
            connection,
            f"select exists (from raw.{table.name}_marks "
            f"where mark in (select {_mark('row_key')} from {keys}))",
        )
    )


def repeated(connection: DuckDBPyConnection, table: Table) -> str:
    """A condition: true of every row whose key the table has more than once, and of few others."""
    marks = f"raw.{table.name}_marks"
    parts = int(scalar(connection, f"select count(*) from {marks}")) // _GROUPED_MARKS + 1
    connection.execute("create or replace temp table repeated_marks (mark ubigint)")
    for part in range(parts):
        connection.execute(
            f"insert into repeated_marks select mark from {marks} where mark % {parts} = {part} "
            "group by mark having count(*) > 1"
        )
    return f"{_mark(table.key)} in (from repeated_marks)"


def _mark(key: str) -> str:
    return f"hash({key}) >> {_BITS_CUT}"


def _has_many(connection: DuckDBPyConnection, table: Table) -> bool:
    marks, rows = (
        int(scalar(connection, f"select count(*) from raw.{name}"))
        for name in (f"{table.name}_marks", table.name)
    )
    return marks > 2 * rows


def _mark_all(connection: DuckDBPyConnection, table: Table) -> None:
    connection.execute(
        f"create or replace table raw.{table.name}_marks as "
        f"select {_mark(table.key)} as mark from raw.{table.name}"
    )
    connection.execute("delete from raw.marked_tables where table_name = ?", [table.name])
    connection.execute(f"insert into raw.marked_tables values (?, {_HASHING})", [table.name])
