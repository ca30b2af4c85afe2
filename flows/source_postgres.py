"""Reading the platform's own PostgreSQL as of one moment: one read-only transaction, nothing created there.

Rows are streamed in pieces of bounded size through memory alone: what is not redacted yet touches no disk.
"""

import os
import socket
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import conninfo, sql

from flows import landing_sql, source_postgres_sql
from flows.errors import LandError
from flows.progress import Advance
from flows.redaction import shown
from flows.source_files import SourceColumn
from flows.source_postgres_layout import FoundTable, PlatformLayout, read_layout
from flows.source_schema import Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["OPEN_JOBS_CHECKSUM", "DayFingerprint", "OpenJobs", "PostgresSource", "SourceUnavailable"]

# The checksum of OpenJobs as DuckDB computes it, over the rows of raw.jobs of one day.
OPEN_JOBS_CHECKSUM = "sum(cast('0x' || left(md5(job_id), 15) as bigint))"

# Bytes of text that are typed at a time. A process that lands a million calls peaks at 444 MB of memory; with
# twice as much at a time at 471 MB, no sooner (2026-11-24).
BATCH_BYTES = 4 << 20

# Seconds that a statement may take beyond its timeout before the connection is cut.
GRACE_SECONDS = 30.0

# Bad values that an error shows; it says how many more there are.
SHOWN_BAD_VALUES = 5
SHOWN_VALUE_CHARACTERS = 40

# Keys that one query looks up.
KEYS_AT_A_TIME = 10_000

_BATCH = "source_batch"


class SourceUnavailable(LandError):
    """The platform's database did not answer, or stopped answering: worth another try."""


@dataclass(frozen=True, slots=True)
class DayFingerprint:
    """What the source holds of one table for one UTC day."""

    day: date
    row_count: int
    # Changes with every change of a landed column, and with which columns are landed. Only for equality.
    fingerprint: str
    # The same of each of its minutes, for minutes_of; None when they were not asked for.
    minutes: str | None = None


@dataclass(frozen=True, slots=True)
class OpenJobs:
    """The pending and in-progress jobs created on one UTC day."""

    day: date
    job_count: int
    # Order-free over the job ids; OPEN_JOBS_CHECKSUM is the same in DuckDB.
    checksum: int


class PostgresSource:
    """The platform's database as of the moment it was opened."""

    def __init__(
        self, connection: "psycopg.Connection[Any]", label: str, layout: PlatformLayout, timeout: int
    ) -> None:
        self.label = label
        self.layout = layout
        # Bytes of text that the platform has sent.
        self.bytes_read = 0
        self._connection = connection
        self._timeout = timeout

    @property
    def notes(self) -> tuple[str, ...]:
        """What is new in the platform's tables and is not landed."""
        return self.layout.notes

    def has_table(self, table: Table) -> bool:
        """False for an optional table that this platform lacks: it reads as empty."""
        return table.name in self.layout.tables

    def fingerprints(
        self, table: Table, since: date | None = None, until: date | None = None
    ) -> list[DayFingerprint]:
        """Every day of [since, until) that has rows, oldest first; only for the tables of DAY_TABLES."""
        found = self.layout.tables[table.name]
        prefix = source_postgres_sql.fingerprint_prefix(found)
        query = source_postgres_sql.fingerprints(self.layout, found, (since, until))
        with self._reading(table.name):
            rows = self._connection.execute(query).fetchall()
        return [DayFingerprint(_day(table, day), count, f"{prefix}:{total}") for day, count, total in rows]

    def fingerprints_of_minutes(
        self, table: Table, since: date | None = None, until: date | None = None
    ) -> list[DayFingerprint]:
        """What `fingerprints` says, and of each minute beside."""
        found = self.layout.tables[table.name]
        prefix = source_postgres_sql.fingerprint_prefix(found)
        query = source_postgres_sql.fingerprints_of_minutes(self.layout, found, (since, until))
        with self._reading(table.name):
            rows = self._connection.execute(query).fetchall()
        return [
            DayFingerprint(_day(table, day), *_day_of_minutes(prefix, minutes), minutes)
            for day, minutes in rows
        ]

    def open_jobs(self, before: date, since: date | None = None) -> list[OpenJobs]:
        """The open jobs created in [since, before), by day; a day without one is absent."""
        found = self.layout.tables["jobs"]
        with self._reading("jobs"):
            rows = self._connection.execute(source_postgres_sql.open_jobs(found, (since, before))).fetchall()
        return [OpenJobs(_day(found.table, day), count, int(total)) for day, count, total in rows]

    def days_of_keys(self, table: Table, keys: Sequence[str]) -> set[date]:
        """The UTC days on which the rows of these keys lie; a key that is not there has none."""
        found = self.layout.tables[table.name]
        days: set[date] = set()
        for first in range(0, len(keys), KEYS_AT_A_TIME):
            query = source_postgres_sql.days_of_keys(self.layout, found, keys[first : first + KEYS_AT_A_TIME])
            with self._reading(table.name):
                days.update(_day(table, day) for (day,) in self._connection.execute(query).fetchall())
        return days

    def copy_days(
        self,
        connection: "DuckDBPyConnection",
        table: Table,
        days: Iterable[date],
        advance: Advance,
        minutes: Sequence[datetime] | None = None,
    ) -> None:
        """Add the rows of these days, typed and redacted, to `staged` (landing_sql.create_staged).

        With `minutes` those of the days' minutes that begin at these moments (UTC). `advance` counts bytes.
        Raises LandError for a value that cannot be read.
        """
        if wanted := source_postgres_sql.ranges(days):
            found = self.layout.tables[table.name]
            query = source_postgres_sql.copy_days(self.layout, found, wanted, minutes)
            self._copy(connection, found, query, advance)

    def copy_whole(
        self,
        connection: "DuckDBPyConnection",
        table: Table,
        advance: Advance,
        since: datetime | None = None,
    ) -> None:
        """Add every row of the table to `staged`; none for a table that the platform lacks.

        `since` (naive UTC): of a table that is landed by its clock only those rows.
        """
        if self.has_table(table):
            found = self.layout.tables[table.name]
            self._copy(connection, found, source_postgres_sql.copy_whole(found, since), advance)

    # --- rows ----------------------------------------------------------------------------------------------

    def _copy(
        self, connection: "DuckDBPyConnection", found: FoundTable, query: sql.Composed, advance: Advance
    ) -> None:
        names = [column.name for column in found.landed]
        columns = {
            column.name: SourceColumn(f'"{column.name}"', "VARCHAR", found.prints(column))
            for column in found.landed
        }
        rows = landing_sql.typed_rows(found.table, columns, _BATCH)
        insert = landing_sql.insert_staged(found.table, rows)
        advance(0, found.table.name)
        batch = _Batch(names)
        # Once: a transaction keeps everything that was ever registered in it.
        connection.register(_BATCH, batch)
        with closing(self._batches(found.table.name, query)) as batches:
            for text in batches:
                batch.rows = _parsed(found.table, names, text)
                # Fetched: DuckDB lets nobody touch the connection while a result is open.
                connection.execute(insert).fetchall()
                _require_readable_values(connection, found.table, rows)
                advance(len(text), found.table.name)
        batch.clear()
        connection.unregister(_BATCH)

    def _batches(self, table_name: str, query: sql.Composed) -> Generator[bytearray]:
        """The text in pieces of whole rows: the server sends every row as a message of its own."""
        text = bytearray()
        with self._reading(table_name), self._connection.cursor().copy(query) as copy:
            for row in copy:
                text += row
                if len(text) >= BATCH_BYTES:
                    self.bytes_read += len(text)
                    yield text
                    text = bytearray()
        if text:
            self.bytes_read += len(text)
            yield text

    @contextmanager
    def _reading(self, table_name: str) -> Iterator[None]:
        with _explained(self.label, f"reading {table_name}"), _deadline(self._connection, self._timeout):
            yield


class _Batch:
    """What DuckDB reads under one name: the rows of the moment."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self.clear()

    def clear(self) -> None:
        """Let go of the rows; the columns stay."""
        import pyarrow as pa

        schema = pa.schema([(name, pa.string()) for name in self._names])
        self.rows: Any = schema.empty_table()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.rows.__arrow_c_stream__(requested_schema)


def _parsed(table: Table, names: list[str], text: bytearray) -> Any:
    """The rows as an Arrow table of text, where `""` is empty text and nothing is null."""
    import pyarrow as pa
    from pyarrow import csv

    try:
        return csv.read_csv(
            pa.py_buffer(text),
            read_options=csv.ReadOptions(column_names=names, block_size=len(text) + 1, use_threads=False),
            parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        # Arrow's words quote the row.
        raise LandError(
            f"{table.name} holds text that is not UTF-8: the platform's database has no encoding "
            "(SQL_ASCII) or is damaged. Nothing was landed. Correct the rows on the platform."
        ) from None


def _require_readable_values(connection: "DuckDBPyConnection", table: Table, rows: str) -> None:
    if not connection.execute("select 1 from staged where is_bad limit 1").fetchall():
        return
    query = landing_sql.bad_values(table, rows, SHOWN_BAD_VALUES, named_by="row_key")
    found = connection.execute(query).fetchall()
    lines = [f"{table.name} holds {'a value' if len(found) == 1 else 'values'} that cannot be read:"]
    for key, column, problem, value, _ in found:
        named = "the field" if value is None else shown(value, SHOWN_VALUE_CHARACTERS)
        lines.append(f"  {table.key} {shown(str(key))}, column {column}: {named} {problem}")
    if (more := found[0][4] - len(found)) > 0:
        lines.append(f"  and at least {more} more")
    lines.append("Nothing was landed. Correct these on the platform, and land once more.")
    raise LandError("\n".join(lines))


def minutes_of(text: str) -> dict[int, tuple[int, str]]:
    """What DayFingerprint.minutes says: by the minute's number in the day, row count and hash."""
    parts = (part.split(" ") for part in text.split(","))
    return {int(minute): (int(count), total) for minute, count, total in parts}


def _day_of_minutes(prefix: str, text: str | None) -> tuple[int, str]:
    minutes = minutes_of(text or "").values() if text else ()
    return sum(count for count, _ in minutes), f"{prefix}:{sum(int(total) for _, total in minutes)}"


def _day(table: Table, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise LandError(
            f"{table.name}.created_at holds {shown(text)}, which lies outside the years 1 to 9999. "
            "Nothing was landed. Correct the row on the platform."
        ) from None


# --- the connection ----------------------------------------------------------------------------------------


@contextmanager
def open_postgres_source(
    url: str,
    *,
    connect_timeout: int = 10,
    statement_timeout: int = 3600,
    lock_timeout: int = 10,
) -> Iterator[PostgresSource]:
    """Begin one REPEATABLE READ READ ONLY transaction and check the layout. Timeouts are seconds.

    A replica serves as well. Raises SourceUnavailable when the platform does not answer, LandError for
    a layout that cannot be read or a missing grant; neither ever holds a password.
    """
    label, connection = _connect(url, connect_timeout)
    try:
        with _explained(label, "opening"), _deadline(connection, statement_timeout):
            connection.execute(_session(statement_timeout, lock_timeout))
            layout = read_layout(connection)
            connection.execute(
                source_postgres_sql.touch(found.table.source for found in layout.tables.values())
            )
        yield PostgresSource(connection, label, layout, statement_timeout)
    finally:
        connection.close()


def _session(statement_timeout: int, lock_timeout: int) -> sql.Composed:
    """For this transaction only, so that a pooler's next client meets none of it."""
    settings = {
        "TimeZone": "UTC",
        "DateStyle": "ISO, YMD",
        "IntervalStyle": "postgres",
        "extra_float_digits": "1",
        # No function of another schema answers to a name of ours.
        "search_path": "pg_catalog",
        # A policy that hides rows from us is an error, not a shorter table.
        "row_security": "off",
        "statement_timeout": f"{statement_timeout}s",
        "lock_timeout": f"{lock_timeout}s",
        # Between two statements lies our own work on the rows.
        "idle_in_transaction_session_timeout": f"{statement_timeout}s",
    }
    return sql.SQL("select {}").format(
        sql.SQL(", ").join(
            sql.SQL("set_config({}, {}, true)").format(sql.Literal(name), sql.Literal(value))
            for name, value in settings.items()
        )
    )


def _connect(url: str, timeout: int) -> tuple[str, "psycopg.Connection[Any]"]:
    try:
        parameters = conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        raise _not_a_url() from None
    host, database = str(parameters.get("host", "")), str(parameters.get("dbname", ""))
    # An unescaped sign in a password moves the rest of it into the host or the database name.
    if any(sign in part for part in (host, database) for sign in "@?#") or "/" in database:
        raise _not_a_url()
    label = f"{host or 'localhost'}:{parameters.get('port', 5432)}/{database}"
    try:
        connection = psycopg.connect(
            url,
            application_name="almanac land",
            client_encoding="UTF8",
            connect_timeout=timeout,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            # A pooler hands the next statement to another connection's prepared ones.
            prepare_threshold=None,
        )
    except psycopg.Error as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if password := str(parameters.get("password") or ""):
            said = said.replace(password, "…")
        raise SourceUnavailable(
            f"The platform's database {label} cannot be reached: {shown(said, 300)}. Nothing was landed. "
            "Check that it runs, the address and the role in ALMANAC_SOURCE, and pg_hba.conf."
        ) from None
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    return label, connection


def _not_a_url() -> LandError:
    return LandError(
        "ALMANAC_SOURCE is not a PostgreSQL URL that can be read. Write "
        "postgresql://role:password@host:5432/database, with signs such as @ : / ? # % in the password "
        "percent-encoded (%40 for @)."
    )


@contextmanager
def _deadline(connection: "psycopg.Connection[Any]", seconds: int) -> Iterator[None]:
    """Cut the connection when the server does not keep its own timeout: it is stopped, or out of reach."""
    timer = threading.Timer(seconds + GRACE_SECONDS, _cut, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cut(connection: "psycopg.Connection[Any]") -> None:
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg.Error):
        # Closed already: there is nothing to wait for.
        return


@contextmanager
def _explained(label: str, doing: str) -> Iterator[None]:
    """Say in our words what the platform's database answered."""
    try:
        yield
    except psycopg.Error as error:
        raise _explanation(error, label, doing) from None


_REMEDIES = {
    # query_canceled
    "57014": "took longer than allowed (statement_timeout). Land when the platform is less busy",
    # lock_not_available
    "55P03": "waited too long for a lock: a migration is running. Land when it has ended",
    # serialization_failure
    "40001": "was cancelled by the replica's recovery. Raise its max_standby_streaming_delay, or land again",
    # admin_shutdown, crash_shutdown, cannot_connect_now
    "57P01": "was ended by the platform's server. Land when it is back",
    "57P02": "was ended by the platform's server. Land when it is back",
    "57P03": "was refused: the platform's server is starting or stopping. Land when it is back",
    # idle_in_transaction_session_timeout
    "25P03": "was ended: the transaction was idle too long. Land again",
}


def _explanation(error: psycopg.Error, label: str, doing: str) -> LandError:
    if error.sqlstate is None:
        return SourceUnavailable(
            f"The connection to the platform's database {label} was lost while {doing}. "
            "Nothing was landed. Check the server and the network, and land again."
        )
    if remedy := _REMEDIES.get(error.sqlstate):
        return SourceUnavailable(f"{doing[0].upper()}{doing[1:]} on {label} {remedy}. Nothing was landed.")
    said = shown(error.diag.message_primary or type(error).__name__, 200)
    return LandError(
        f"The platform's database {label} refused {doing}: {said} (SQLSTATE {error.sqlstate}). Nothing was "
        "landed. Check the role's grants and policies, and whether a migration ran; then land again."
    )
