"""Copy what has landed into the warehouse's PostgreSQL: schema raw, in one transaction, only what changed.

The landing database stays the one memory of the source. Its tables of rows by day are copied by day, the
days that were landed again since the mirror's own last landing. Probes, which only become more, are copied by
key. The other tables are small and copied whole.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.errors import AlmanacError
from flows.failpoints import failpoint
from flows.land_probes import LATE_PROBES
from flows.land_side_tables import LITELLM_LATE
from flows.progress import Progress, SilentProgress
from flows.source_schema import DAY_TABLES, LITELLM_FAILURES

if TYPE_CHECKING:
    import duckdb
    import psycopg

# Rows that are in memory at once, three times: as DuckDB's, as Arrow's and as text.
BATCH_ROWS = 20_000

# Days copied with one statement each way; a first copy takes all days at once.
DAYS_AT_ONCE = 60

# What the build writes into raw itself, from the night that this warehouse has published.
_WRITTEN_BY_BUILD = "published_"

# What landings note for themselves: which files, minutes and keys they have seen. No model reads it.
OF_LANDINGS = frozenset(
    {
        "days_of_jobs",
        "keys_of_several_days",
        "landed_file_days",
        "landed_files",
        "landed_minutes",
        "marked_tables",
        *(f"{table.name}_marks" for table in DAY_TABLES),
    }
)

# Bytewise: ties are broken as on DuckDB, whatever the database's language (macros/cross_db/bytewise.sql).
_TEXT = 'text collate "C"'
_TYPES = {
    "VARCHAR": _TEXT,
    "BIGINT": "bigint",
    "INTEGER": "integer",
    "DECIMAL(28,8)": "numeric(28, 8)",
    "DECIMAL(18,3)": "numeric(18, 3)",
    "BOOLEAN": "boolean",
    "TIMESTAMP": "timestamp",
    "DATE": "date",
}

# Columns that models join on or cut by.
_INDEXED = {
    "jobs": ("created_at", "job_id"),
    "llm_calls": ("created_at", "job_id"),
    "credit_transactions": ("created_at", "team_id", "job_id"),
    "job_cost_summaries": ("job_id",),
    "related_days": ("day", "related_day"),
    "health_probes": ("checked_at", "probe_id"),
    "access_log": ("happened_at", "log_id"),
    LITELLM_FAILURES.name: (LITELLM_FAILURES.created_by,),
}

# Rows are added, under growing keys but for some that are late; the oldest may be deleted.
_GROWING = {"health_probes": ("probe_id", LATE_PROBES), "access_log": ("log_id", 0)}


# Rows of the last days are added; the oldest may be deleted. The clock, and how long before the mirror's last
# reading of the source a row may lie that it has not seen.
_RECENT = {LITELLM_FAILURES.name: (LITELLM_FAILURES.created_by, LITELLM_LATE)}


class MirrorError(AlmanacError):
    """What has landed could not be copied; the mirror is as it was before."""


@dataclass(frozen=True, slots=True)
class MirrorReport:
    """What was copied: `days` is None when everything was."""

    landing_number: int
    days: int | None
    rows: int


@dataclass(frozen=True, slots=True)
class _Days:
    """UTC days, as a condition that both engines answer from an index or from the blocks' bounds."""

    days: Sequence[date]

    def holds(self, clock: str) -> str:
        ranges = " or ".join(
            f"({clock} >= timestamp '{first}' and {clock} < timestamp '{last}' + interval '1 day')"
            for first, last in self._stretches()
        )
        return (
            f"({clock} >= timestamp '{self.days[0]}' and {clock} < timestamp '{self.days[-1]}' "
            f"+ interval '1 day' and ({ranges}))"
        )

    def _stretches(self) -> list[tuple[date, date]]:
        """First and last of the days that follow each other."""
        stretches: list[tuple[date, date]] = []
        for day in self.days:
            if stretches and (day - stretches[-1][1]).days == 1:
                stretches[-1] = (stretches[-1][0], day)
            else:
                stretches.append((day, day))
        return stretches


# The day of a summary is its job's, in the same database; without its job its own.
_SUMMARIES_OF_DAYS: tuple[Callable[[_Days], str], ...] = (
    lambda days: (
        "job_cost_summaries.job_id in "
        f"(select jobs.job_id from raw.jobs where {days.holds('jobs.created_at')})"
    ),
    lambda days: (
        f"{days.holds('job_cost_summaries.calculated_at')} and not exists "
        "(select 1 from raw.jobs where jobs.job_id = job_cost_summaries.job_id)"
    ),
)


def _of_days(table: str) -> tuple[Callable[[_Days], str], ...]:
    return (lambda days: days.holds(f"{table}.created_at"),)


# Each condition of a table finds other rows. Summaries come first, while the jobs are those that they had.
_DAY_TABLES = {
    "job_cost_summaries": _SUMMARIES_OF_DAYS,
    "jobs": _of_days("jobs"),
    "llm_calls": _of_days("llm_calls"),
    "credit_transactions": _of_days("credit_transactions"),
}


def mirror(
    landing_path: Path,
    connection: psycopg.Connection[Any],
    *,
    progress: Progress | None = None,
) -> MirrorReport:
    """Bring schema raw of the connected warehouse up to date with the landing database.

    Raises MirrorError; then nothing has changed. Tables and columns are added, never dropped: what
    people have built on them stays.
    """
    import duckdb
    import psycopg

    if not landing_path.is_file():
        raise MirrorError(f"Nothing has landed at {landing_path} yet. Run `almanac land` first.")
    try:
        with duckdb.connect(str(landing_path), read_only=True) as landing, connection.transaction():
            # the order of rows means nothing, and keeping it costs memory
            landing.execute("set preserve_insertion_order = false")
            # one night follows another: who else writes here waits, and then finds nothing to do
            connection.execute("select pg_advisory_xact_lock(hashtext('almanac mirror'))")
            report = _Mirror(landing, connection, progress or SilentProgress()).run()
            failpoint("mirror.before_commit")
    except (duckdb.Error, psycopg.Error) as error:
        story = " ".join(str(error).split())[:300]
        raise MirrorError(
            f"What has landed in {landing_path} could not be copied into schema raw of the warehouse: "
            f"{type(error).__name__}: {story}. Nothing was changed there. Check that the server "
            "runs and has space, and that its role may create tables in schema raw, then run the night again."
        ) from None
    failpoint("mirror.committed")
    return report


class _Mirror:
    """One copy, inside its transaction."""

    def __init__(
        self,
        landing: duckdb.DuckDBPyConnection,
        connection: psycopg.Connection[Any],
        progress: Progress,
    ) -> None:
        self._landing = landing
        self._connection = connection
        self._progress = progress
        self._were_there: frozenset[str] = frozenset()
        self._grown: frozenset[str] = frozenset()
        # By table of _RECENT, when the mirror's source was last read.
        self._read_until: dict[str, datetime] = {}

    def run(self) -> MirrorReport:
        columns = self._prepare()
        days = self._changed_days(columns)
        number = self._newest_landing()
        rows = 0
        with self._progress.stage("Copying into PostgreSQL", None) as advance:
            for table in _ordered(columns):
                if table in _DAY_TABLES and days is not None:
                    copied = self._copy_days(table, columns[table], days)
                elif table in _GROWING and days is not None and table not in self._grown:
                    copied = self._copy_growth(table, columns[table])
                elif table in self._read_until and days is not None and table not in self._grown:
                    copied = self._copy_recent(table, columns[table])
                else:
                    copied = self._copy_whole(table, columns[table])
                rows += copied
                advance(1, f"{table}: {copied:,} rows")
                failpoint("mirror.table_copied")
            # after the first copy, which would take twice as long with them
            for table, names in _INDEXED.items():
                for name in names if table in columns else ():
                    self._execute(f"create index if not exists {table}_{name} on raw.{table} ({name})")
            # a planner that knows last month's rows only takes hours where it could take seconds
            for table in columns:
                if table not in _DAY_TABLES or days is None or days:
                    self._execute(f"analyze raw.{table}")
        return MirrorReport(number, None if days is None else len(days), rows)

    # --- tables -------------------------------------------------------------------------------------------

    def _prepare(self) -> dict[str, dict[str, str]]:
        """Create what is missing in schema raw; the columns of every table with their types."""
        wanted: dict[str, dict[str, str]] = {}
        for table, column, kind in self._landing.execute(
            "select table_name, column_name, data_type from duckdb_columns() "
            "where schema_name = 'raw' and database_name = current_database() and not internal "
            "order by table_name, column_index"
        ).fetchall():
            if not table.startswith(_WRITTEN_BY_BUILD) and table not in OF_LANDINGS:
                wanted.setdefault(table, {})[column] = _type(table, column, kind)
        if "landings" not in wanted:
            raise MirrorError("Nothing has landed yet. Run `almanac land` first.")
        self._execute("create schema if not exists raw")
        there: dict[str, set[str]] = {}
        for table, column in self._connection.execute(
            "select table_name, column_name from information_schema.columns where table_schema = 'raw'"
        ).fetchall():
            there.setdefault(table, set()).add(column)
        for table, columns in wanted.items():
            described = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            self._execute(f"create table if not exists raw.{table} ({described})")
            for name, kind in columns.items():
                if table in there and name not in there[table]:
                    self._execute(f"alter table raw.{table} add column {name} {kind}")
        self._grown = frozenset(
            table
            for table, columns in wanted.items()
            if table in there and not there[table].issuperset(columns)
        )
        self._were_there = frozenset(there)
        if "security_sources" in there:
            self._read_until = {
                table: read_as_of
                for table, read_as_of in self._connection.execute(
                    "select source_name, read_as_of from raw.security_sources"
                ).fetchall()
                if table in _RECENT and read_as_of is not None
            }
        return wanted

    # --- days ---------------------------------------------------------------------------------------------

    def _changed_days(self, columns: Iterable[str]) -> list[date] | None:
        """The days landed since the mirror's own last landing; None when everything has to be copied."""
        if "landed_days" not in columns or not self._were_there.issuperset(_DAY_TABLES.keys() & set(columns)):
            return None
        if self._grown & _DAY_TABLES.keys():
            return None
        mirrored = self._connection.execute(
            "select landing_number, as_of from raw.landings order by landing_number desc limit 1"
        ).fetchone()
        if mirrored is None:
            return None
        # a landing database that was made anew counts from 1 again, and knows nothing of what is here
        known = self._landing.execute(
            "select as_of from raw.landings where landing_number = ?", [mirrored[0]]
        ).fetchall()
        if known != [(mirrored[1],)]:
            return None
        changed = self._landing.execute(
            "select distinct day from raw.landed_days where landing_number > ? order by day", [mirrored[0]]
        ).fetchall()
        return [day for (day,) in changed]

    def _newest_landing(self) -> int:
        ((number,),) = self._landing.execute("select max(landing_number) from raw.landings").fetchall()
        if number is None:
            raise MirrorError("Nothing has landed yet. Run `almanac land` first.")
        return int(number)

    def _copy_days(self, table: str, columns: Iterable[str], days: Sequence[date]) -> int:
        parts = [_Days(days[first : first + DAYS_AT_ONCE]) for first in range(0, len(days), DAYS_AT_ONCE)]
        conditions = [condition(part) for part in parts for condition in _DAY_TABLES[table]]
        for condition in conditions:
            self._execute(f"delete from raw.{table} where {condition}")
        return sum(self._copy(table, columns, f"where {condition}") for condition in conditions)

    def _copy_growth(self, table: str, columns: Iterable[str]) -> int:
        key, late = _GROWING[table]
        row = self._connection.execute(f"select max({key}) from raw.{table}".encode()).fetchone()
        condition = f"where {key} > {row[0] - late}" if row and row[0] is not None else ""
        self._execute(f"delete from raw.{table} {condition}")
        ((oldest,),) = self._landing.execute(f"select min({key}) from raw.{table}").fetchall()
        self._execute(f"delete from raw.{table}" + (f" where {key} < {oldest}" if oldest is not None else ""))
        return self._copy(table, columns, condition)

    def _copy_recent(self, table: str, columns: Iterable[str]) -> int:
        clock, late = _RECENT[table]
        since = self._read_until[table] - late
        condition = f"where {clock} >= timestamp '{since}'"
        self._execute(f"delete from raw.{table} {condition}")
        ((oldest,),) = self._landing.execute(f"select min({clock}) from raw.{table}").fetchall()
        kept = "" if oldest is None else f" where {clock} < timestamp '{oldest}'"
        self._execute(f"delete from raw.{table}{kept}")
        # an export that was made anew, or a clock that was ahead, brings what is older
        older = f"select count(*) from raw.{table} where {clock} < timestamp '{since}'"
        ((held,),) = self._connection.execute(older.encode()).fetchall()
        ((landed,),) = self._landing.execute(older).fetchall()
        if held != landed:
            return self._copy_whole(table, columns)
        return self._copy(table, columns, condition)

    def _copy_whole(self, table: str, columns: Iterable[str]) -> int:
        # delete and not truncate, which would wait for every reader; an empty table has nothing to delete
        if table in self._were_there:
            self._execute(f"delete from raw.{table}")
        return self._copy(table, columns, "")

    # --- rows ---------------------------------------------------------------------------------------------

    def _copy(self, table: str, columns: Iterable[str], where: str) -> int:
        """Stream rows of the landing database into the table of the same name."""
        # as text, which both engines write alike: Arrow's own text of a timestamp or decimal is another
        texts = ", ".join(f"cast({table}.{name} as varchar) as {name}" for name in columns)
        # lazy: nothing is read before the first batch is asked for, and no more than it
        rows = self._landing.sql(f"select {texts} from raw.{table} {where}")
        names = ", ".join(columns)
        statement = f"copy raw.{table} ({names}) from stdin (format csv)"
        with self._connection.cursor() as cursor:
            with cursor.copy(statement.encode()) as copy:
                for chunk in _csv_chunks(rows):
                    copy.write(chunk)
            return max(cursor.rowcount, 0)

    def _execute(self, statement: str) -> None:
        self._connection.execute(statement.encode())


def _csv_chunks(rows: duckdb.DuckDBPyRelation) -> Iterator[bytes]:
    """CSV without a header; a null is nothing, an empty text is two quotes."""
    from pyarrow import csv

    options = csv.WriteOptions(include_header=False, quoting_style="needed")
    for batch in rows.to_arrow_reader(BATCH_ROWS):
        chunk = io.BytesIO()
        csv.write_csv(batch, chunk, options)
        yield chunk.getvalue()


def _ordered(tables: Iterable[str]) -> list[str]:
    """The tables by day first, in their own order, and last the landings, which tell how far it is."""
    names = set(tables)
    by_day = [table for table in _DAY_TABLES if table in names]
    others = sorted(names.difference(by_day, ("landings",)))
    return [*by_day, *others, "landings"]


def _type(table: str, column: str, kind: str) -> str:
    try:
        return _TYPES[kind]
    except KeyError:
        raise MirrorError(
            f"raw.{table}.{column} is a {kind}, and the mirror in PostgreSQL knows no type for it. "
            "This is a mistake in LLM Almanac (flows/mirror.py); please report it."
        ) from None
