"""Landing of what alerts alone read of the platform's database, where it has it: sign-ins, refusals.

A source without these tables, or that may not be read, lands like any other. Rows that the platform has
purged are kept: what was usual of an admin is known from them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from flows import landing_sql, security_sources
from flows.errors import LandError
from flows.land_access_log import KEPT_DAYS
from flows.landing_store import scalar
from flows.source_schema import ADMIN_TABLES, LITELLM_FAILURES, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from duckdb import DuckDBPyConnection

# LiteLLM stores a request when it has ended, and in batches: minutes later than its clock says, and by more
# where its queue was stuck, which the next night makes up for.
LITELLM_LATE = timedelta(days=2)
LITELLM_LATE_BETWEEN_NIGHTS = timedelta(hours=2)
# Of a database's rows those that are read at first: what a rule looks at, and not years of a log.
LITELLM_FIRST = timedelta(days=3)


class Stage(Protocol):
    """Fills `staged` with a table's rows, or those since a moment (naive UTC)."""

    def __call__(self, table: Table, *, since: datetime | None) -> None: ...


def land_admin_tables(
    connection: DuckDBPyConnection,
    *,
    as_of: datetime,
    has_table: Callable[[Table], bool],
    is_same: Callable[[Table], bool] = lambda table: False,
    stage: Stage,
) -> None:
    """Add to `raw` what is new in each of the platform's admin tables.

    `is_same` tells of a table that holds what it held when it landed: nothing is read of it.
    Raises LandError for a table that is there and cannot be read.
    """
    for table in ADMIN_TABLES:
        is_present = has_table(table)
        if is_present and not is_same(table):
            _take(connection, table, stage, since=None)
        security_sources.note(
            connection, table.name, is_present=is_present, read_as_of=as_of if is_present else None
        )


def land_litellm_of_folder(
    connection: DuckDBPyConnection,
    *,
    as_of: datetime,
    has_table: Callable[[Table], bool],
    is_same: Callable[[Table], bool],
    stage: Stage,
) -> None:
    """Add LiteLLM's failures of an export, all that are kept: it is read as a whole anyway.

    An export that stands still is not read, and grows old. Raises LandError for one that cannot be read.
    """
    table, oldest = LITELLM_FAILURES, as_of - timedelta(days=KEPT_DAYS)
    is_present = has_table(table)
    is_read = is_present and not is_same(table)
    if is_read:
        _take(connection, table, stage, since=oldest)
    _forget(connection, table, oldest)
    security_sources.note(
        connection, table.name, is_present=is_present, read_as_of=as_of if is_read else None
    )


def land_litellm_of_database(
    connection: DuckDBPyConnection,
    *,
    as_of: datetime,
    is_small: bool,
    has_table: Callable[[Table], bool],
    stage: Stage,
) -> str | None:
    """Add LiteLLM's failures since they were read last; why they could not be read, which stops nothing.

    The last that is read of the source: after a failure its connection may be of no use.
    """
    table, oldest = LITELLM_FAILURES, as_of - timedelta(days=KEPT_DAYS)
    is_present, problem = has_table(table), None
    if is_present:
        try:
            _take(connection, table, stage, since=_since(connection, as_of, is_small=is_small))
        except LandError as error:
            connection.execute("drop table if exists staged")
            problem = f"{table.source} could not be read, and the alerts do without it: {error}"
    _forget(connection, table, oldest)
    is_read = is_present and problem is None
    security_sources.note(
        connection,
        table.name,
        is_present=is_present,
        read_as_of=as_of if is_read else None,
        detail=problem.splitlines()[0] if problem else None,
    )
    return problem


def _since(connection: DuckDBPyConnection, as_of: datetime, *, is_small: bool) -> datetime:
    """From when on a database's failures are read: those that may have come since they were."""
    read_as_of = scalar(
        connection,
        f"select max(read_as_of) from raw.security_sources where source_name = '{LITELLM_FAILURES.name}'",
    )
    if read_as_of is None or read_as_of > as_of:
        # never, or by a clock that was ahead
        return as_of - LITELLM_FIRST
    since: datetime = read_as_of - (LITELLM_LATE_BETWEEN_NIGHTS if is_small else LITELLM_LATE)
    return max(as_of - timedelta(days=KEPT_DAYS), since)


def _take(connection: DuckDBPyConnection, table: Table, stage: Stage, *, since: datetime | None) -> None:
    connection.execute(landing_sql.create_staged(table))
    stage(table, since=since)
    _merge(connection, table)
    connection.execute("drop table staged")


def _forget(connection: DuckDBPyConnection, table: Table, oldest: datetime) -> None:
    # it holds addresses of people
    connection.execute(f"delete from raw.{table.name} where {table.created_by} < ?", [oldest])


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
