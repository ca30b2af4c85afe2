"""Landing of the platform's admin tables, where the source has them: who signed in, from where, and did what.

Only alerts read them. So a row that the platform has purged is kept: what was usual of an admin is known from
it; and a source without them, or that may not be read, lands like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows import landing_sql, security_sources
from flows.source_schema import ADMIN_TABLES, Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from duckdb import DuckDBPyConnection


def land_admin_tables(
    connection: DuckDBPyConnection,
    *,
    as_of: datetime,
    has_table: Callable[[Table], bool],
    is_same: Callable[[Table], bool] = lambda table: False,
    stage: Callable[[Table], None],
) -> None:
    """Add what is new in each admin table to `raw`; `stage` fills `staged` with all its rows.

    `is_same` tells of a table that holds what it held when it landed: nothing is read of it.
    Raises LandError for a table that is there and cannot be read.
    """
    for table in ADMIN_TABLES:
        is_present = has_table(table)
        if is_present and not is_same(table):
            connection.execute(landing_sql.create_staged(table))
            stage(table)
            _merge(connection, table)
            connection.execute("drop table staged")
        security_sources.note(
            connection, table.name, is_present=is_present, read_as_of=as_of if is_present else None
        )


def _merge(connection: DuckDBPyConnection, table: Table) -> None:
    connection.execute(landing_sql.create_repeated(table))
    connection.execute(landing_sql.create_kept(table))
    connection.execute(
        f"create or replace temp table fresh as {landing_sql.landed_rows(table)} except from raw.{table.name}"
    )
    connection.execute(
        f"delete from raw.{table.name} where {table.key} in (select {table.key} from fresh); "
        f"insert into raw.{table.name} by name from fresh order by {table.created_by}, {table.key}"
    )
    connection.execute("drop table fresh; drop view kept; drop table repeated")
