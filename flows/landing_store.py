"""The landing database: opened in one transaction that ends well or not at all, and its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import landed_files, landing_sql, security_sources
from flows.errors import Busy, LandError
from flows.failpoints import failpoint
from flows.machine import engine_memory_mb
from flows.redaction import shown
from flows.source_schema import DAY_TABLES, JOB_COST_SUMMARIES, SIDE_TABLES, TABLES, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


# What is copied from the ops store (flows/land_probes.py). There after every landing: models read it.
OPS_TABLES = {
    "health_probes": "probe_id bigint, component varchar, checked_at timestamp, verdict varchar, "
    "latency_ms decimal(18, 3), reason varchar, is_required boolean, interval_seconds bigint",
    "maintenance_windows": "window_id bigint, component varchar, starts_at timestamp, ends_at timestamp, "
    "owner varchar, reason varchar, created_at timestamp",
    # one row: the last probe that was copied, and what is added to the ids of its store
    "landed_probes": "probe_id bigint, component varchar, checked_at timestamp, added_to_ids bigint",
}

# Of the reverse proxy's access log (flows/land_access_log.py), and which sources of security there are.
SECURITY_TABLES = {
    "access_log": "log_id bigint, happened_at timestamp, client varchar, method varchar, path varchar, "
    "status bigint, team_id varchar, key_id varchar, duration_ms decimal(18, 3), source_file varchar, "
    "line_offset bigint",
    # how far each content was read
    "access_log_files": "head_bytes bigint, head varchar, tail varchar, position bigint, line_count bigint, "
    "is_inside_line boolean, file_id varchar, packed_mark varchar, source_file varchar, read_as_of timestamp",
    # the last id that was given: those of deleted rows are not given again
    "access_log_ids": "highest_id bigint",
    "security_sources": security_sources.TABLE,
}


class LandingBusy(Busy, LandError):
    """Another process or connection has the landing database open."""


@contextmanager
def transaction(
    landing_path: Path, *, memory_limit: str | None = None, most_threads: int = 1
) -> Iterator[DuckDBPyConnection]:
    """The landing database in one transaction that ends with the block, well or not at all."""
    import duckdb

    connection = _open(landing_path)
    try:
        configure(connection, memory_limit=memory_limit, most_threads=most_threads)
        # A file is read once, or written anew under its name.
        connection.execute("set enable_external_file_cache = false")
        connection.execute("begin")
        failpoint("land.begun")
        yield connection
        connection.execute("commit")
        failpoint("land.committed")
    except duckdb.Error as error:
        raise LandError(
            f"The landing database {landing_path} cannot be written: {type(error).__name__}: "
            f"{shown(str(error).splitlines()[0], 200)}. Nothing was landed. "
            "Check the memory, the space left on the disk and the permissions of its folder."
        ) from None
    finally:
        # An open transaction is rolled back; a committed one is moved from the log into the file.
        connection.close()


def configure(connection: DuckDBPyConnection, *, memory_limit: str | None, most_threads: int = 1) -> None:
    """What every connection that lands is set to; under a memory limit (DuckDB's text) threads are few."""
    # A text without an offset is then UTC. Nothing may be fetched to read a file.
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set autoinstall_known_extensions = false")
    # DuckDB's own bar goes to stdout, where the answer is.
    connection.execute("set enable_progress_bar = false")
    if memory_limit is not None:
        connection.execute(f"set memory_limit = '{memory_limit}'")
        # Each thread that inserts holds row groups that it cannot spill.
        threads = int(scalar(connection, "select current_setting('threads')"))
        connection.execute(f"set threads = {min(threads, most_threads)}")


def scalar(connection: DuckDBPyConnection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row else None


def _open(landing_path: Path) -> DuckDBPyConnection:
    import duckdb

    try:
        _create_if_missing(landing_path)
        return duckdb.connect(str(landing_path))
    except OSError as error:
        raise LandError(
            f"The landing database {landing_path} cannot be created: {error.strerror}. "
            "Check the path and the permissions of its folder (ALMANAC_DATA_DIR)."
        ) from None
    except duckdb.Error as error:
        raise _not_opened(landing_path, str(error)) from None


def _not_opened(landing_path: Path, message: str) -> LandError:
    if "Could not set lock" in message or "different configuration" in message:
        return LandingBusy(
            f"The landing database {landing_path} is open in another process. "
            "Wait until the other run has ended, or close the program that has it open."
        )
    if "not a valid DuckDB database" in message:
        return LandError(
            f"The landing database {landing_path} cannot be opened: it is damaged or not a DuckDB database. "
            "Restore it from a backup, or move it away and land again; without a backup the history of "
            "teams and organizations begins anew."
        )
    return LandError(
        f"The landing database {landing_path} cannot be opened: {shown(message.splitlines()[0], 200)}. "
        "Check that it is a file that this DuckDB wrote, and its permissions."
    )


def _create_if_missing(landing_path: Path) -> None:
    """Create the file beside its place: a process killed while creating it leaves no half a database."""
    import duckdb

    if landing_path.exists():
        return
    landing_path.parent.mkdir(parents=True, exist_ok=True)
    new = landing_path.with_name(f"{landing_path.name}.new")
    new.unlink(missing_ok=True)
    duckdb.connect(str(new)).close()
    failpoint("land.before_created")
    new.replace(landing_path)


# --- tables ------------------------------------------------------------------------------------------------


def prepare(connection: DuckDBPyConnection) -> None:
    """Create what is missing of schema `raw`, and bring an older landing up to date."""
    connection.execute("create schema if not exists raw")
    connection.execute(
        "create table if not exists raw.landings "
        "(landing_number bigint, as_of timestamp, source_kind varchar, is_full_comparison boolean)"
    )
    connection.execute("alter table raw.landings add column if not exists is_full_comparison boolean")
    connection.execute(
        "create table if not exists raw.landed_tables (table_name varchar, rows_read bigint, "
        "exact_duplicate_rows bigint, conflicting_duplicate_rows bigint, rows_landed bigint)"
    )
    connection.execute(f"create table if not exists raw.landing_findings ({landing_sql.FINDINGS_COLUMNS})")
    connection.execute("create table if not exists raw.related_days (day date, related_day date)")
    # What the source said of the minutes of recent days (DayFingerprint.minutes).
    connection.execute(
        "create table if not exists raw.landed_minutes (table_name varchar, day date, minutes varchar)"
    )
    for name, columns in landed_files.TABLES.items():
        connection.execute(f"create table if not exists raw.{name} ({columns})")
    for table in TABLES:
        _create(connection, table)
    create_side_tables(connection)


def _create(connection: DuckDBPyConnection, table: Table) -> None:
    columns = landing_sql.raw_columns(table)
    described = ", ".join(f"{name} {sql_type}" for name, sql_type in columns.items())
    connection.execute(f"create table if not exists raw.{table.name} ({described})")
    for name, sql_type in columns.items():
        # One that a later release lands is null until its rows are compared again.
        connection.execute(f"alter table raw.{table.name} add column if not exists {name} {sql_type}")


def create_side_tables(connection: DuckDBPyConnection) -> None:
    """Create what is missing of the tables that models read and that no source need have.

    And of where their landing notes the days that it touches.
    """
    connection.execute("create table if not exists raw.touched_days (landing_number bigint, day date)")
    for name, columns in (OPS_TABLES | SECURITY_TABLES).items():
        connection.execute(f"create table if not exists raw.{name} ({columns})")
    for table in SIDE_TABLES:
        _create(connection, table)


def has_side_tables(landing_path: Path) -> bool:
    """Whether a landing database has what `create_side_tables` creates; an earlier release's has not."""
    import duckdb

    try:
        with duckdb.connect(str(landing_path), read_only=True) as connection:
            found = connection.execute(
                "select table_name from duckdb_tables() where schema_name = 'raw'"
            ).fetchall()
    except duckdb.Error as error:
        raise _not_opened(landing_path, str(error)) from None
    needed = OPS_TABLES.keys() | SECURITY_TABLES.keys() | {table.name for table in SIDE_TABLES}
    return needed <= {name for (name,) in found}


def has_days(connection: DuckDBPyConnection) -> bool:
    """Whether raw.landed_days is there; landings of version 0.1 have none."""
    return bool(
        scalar(
            connection,
            "select count(*) from duckdb_tables() where schema_name = 'raw' and table_name = 'landed_days'",
        )
    )


def create_days(connection: DuckDBPyConnection) -> None:
    """Create raw.landed_days, empty, and put older tables in the order of their clocks."""
    connection.execute(
        "create table raw.landed_days (table_name varchar, day date, row_count bigint, "
        "source_fingerprint varchar, landing_number bigint)"
    )
    # Sorting whole tables, once in their life, is worth the memory that there is.
    limit = scalar(connection, "select current_setting('memory_limit')")
    connection.execute(f"set memory_limit = '{engine_memory_mb(None, is_partial=False)}MB'")
    for table in DAY_TABLES:
        if scalar(connection, f"select exists (from raw.{table.name})"):
            clock = "calculated_at" if table is JOB_COST_SUMMARIES else "created_at"
            connection.execute(
                f"create or replace table raw.{table.name} as "
                f"from raw.{table.name} order by {clock}, {table.key}"
            )
    connection.execute(f"set memory_limit = '{limit}'")
