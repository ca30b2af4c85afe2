"""Landing of what alerts alone read of the platform's database, where it has it: sign-ins, refusals.

A source without these tables, or that may not be read, lands like any other. Rows that the platform has
purged are kept: what was usual of an admin is known from them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from flows import landing_sql, security_sources
from flows.land_access_log import KEPT_DAYS
from flows.landing_store import scalar
from flows.source_schema import ADMIN_TABLES, LITELLM_FAILURES, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from duckdb import DuckDBPyConnection

# LiteLLM stores a request when it has ended, and in batches: minutes later than its clock says, and by more
# where its queue was stuck.
LITELLM_LATE = timedelta(days=2)


class Stage(Protocol):
    """Fills `staged` with a table's rows, or those since a moment (naive UTC)."""

    def __call__(self, table: Table, *, since: datetime | None) -> None: ...


def land_side_tables(
    connection: DuckDBPyConnection,
    *,
    as_of: datetime,
    has_table: Callable[[Table], bool],
    is_same: Callable[[Table], bool] = lambda table: False,
    stage: Stage,
) -> None:
    """Add what is new in each table to `raw`.

    `is_same` tells of a table that holds what it held when it landed: nothing is read of it.
    Raises LandError for a table that is there and cannot be read.
    """
    oldest = as_of - timedelta(days=KEPT_DAYS)
    for table, since in (
        *((table, None) for table in ADMIN_TABLES),
        (LITELLM_FAILURES, _since(connection, as_of, oldest)),
    ):
        is_present = has_table(table)
        if is_present and not is_same(table):
            connection.execute(landing_sql.create_staged(table))
            stage(table, since=since)
            _merge(connection, table)
            connection.execute("drop table staged")
        if table is LITELLM_FAILURES:
            # it holds addresses of people
            connection.execute(f"delete from raw.{table.name} where {table.created_by} < ?", [oldest])
        security_sources.note(
            connection, table.name, is_present=is_present, read_as_of=as_of if is_present else None
        )


def _since(connection: DuckDBPyConnection, as_of: datetime, oldest: datetime) -> datetime:
    """From when on failures are read: those that may have come since they were."""
    read_as_of = scalar(
        connection,
        f"select max(read_as_of) from raw.security_sources where source_name = '{LITELLM_FAILURES.name}'",
    )
    return oldest if read_as_of is None else max(oldest, min(read_as_of, as_of) - LITELLM_LATE)


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
