"""Landing: the platform's tables into schema `raw` of landing.duckdb, changed days only, all or nothing.

One transaction: a landing that fails leaves the one before it as it was. What a landing holds depends
on the source and `as_of` alone, so the same files land as the same rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flows import (
    days_of_jobs,
    key_marks,
    land_probes,
    land_side_tables,
    landed_files,
    landing_changes,
    landing_closure,
    landing_sql,
    landing_store,
    version_history,
)
from flows.errors import LandError
from flows.failpoints import failpoint
from flows.land_access_log import AccessLogReport, land_access_log
from flows.landing_folder import LANDING_MEMORY, LANDING_THREADS, FolderSource
from flows.landing_scope import DayRange, Scope, SourceKind, scope_of
from flows.landing_store import LandingBusy, scalar
from flows.machine import engine_memory_mb
from flows.progress import Advance, Progress
from flows.read_ahead import read_ahead
from flows.source_location import PostgresUrl, SourceLocation
from flows.source_schema import ACTIVITY_TABLES, DAY_TABLES, JOBS, TABLES, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from flows.landing_postgres import Staging
    from flows.ops_store import OpsStore
    from flows.source_postgres import PostgresSource

__all__ = ["DayRange", "LandError", "LandReport", "LandingBusy", "TableCount", "land", "land_folder"]

# Of the rows that were landed in the compared days of a table; more must be confirmed.
ACCEPTED_DELETES_PERCENT = 30

# A small table may lose so many rows: one of two teams is no accident.
ACCEPTED_DELETES_OF_WHOLE_TABLES = 9


@dataclass(frozen=True, slots=True)
class TableCount:
    """What `raw` holds of one table, and what this landing changed in it.

    read = landed + both kinds of duplicates, of the whole table, also of the days that were not compared.
    """

    table_name: str
    rows_read: int
    exact_duplicate_rows: int
    conflicting_duplicate_rows: int
    rows_landed: int
    # Of the tables that are compared by day.
    rows_added: int = 0
    rows_changed: int = 0
    rows_deleted: int = 0

    def __str__(self) -> str:
        changes = {
            "added": self.rows_added,
            "changed": self.rows_changed,
            "deleted": self.rows_deleted,
            "duplicates dropped": self.exact_duplicate_rows + self.conflicting_duplicate_rows,
        }
        told = ", ".join(f"{count:,} {what}" for what, count in changes.items() if count)
        return f"{self.table_name:<22} {self.rows_landed:>12,} rows" + (f" ({told})" if told else "")


@dataclass(frozen=True, slots=True)
class LandReport:
    """One landing that was done."""

    landing_number: int
    as_of: datetime
    tables: tuple[TableCount, ...]
    unusable_numbers: int
    source_kind: SourceKind
    is_full_comparison: bool
    # Days that were compared, and of them those whose rows were read: of a folder, where files changed.
    days_compared: int
    days_copied: int
    # UTC days whose facts must be rebuilt.
    touched_days: tuple[date, ...]
    # What is new at the source and is not landed.
    notes: tuple[str, ...]
    # Bytes of the files, or of text that the database sent.
    bytes_read: int
    # Health probes that are new.
    probes_landed: int = 0
    # None without an access log.
    access_log: AccessLogReport | None = None

    def __str__(self) -> str:
        compared = "every day inside the retention" if self.is_full_comparison else "recent days"
        lines = [
            f"landing {self.landing_number}, as of {self.as_of} UTC",
            f"  compared {compared}: {self.days_compared:,} days, {self.days_copied:,} of them copied, "
            f"{self.bytes_read:,} bytes read; {len(self.touched_days):,} days are to be rebuilt",
        ]
        lines += [f"  {table}" for table in self.tables]
        if self.probes_landed:
            lines.append(f"  {self.probes_landed:,} new health probes")
        if self.access_log:
            lines.append(f"  {self.access_log}")
        lines += [f"  note: {note}" for note in self.notes]
        if self.unusable_numbers:
            lines.append(
                f"  {self.unusable_numbers:,} unusable numbers; the next build lists them in audit_findings"
            )
        return "\n".join(lines)

    @property
    def rows_read(self) -> int:
        return sum(table.rows_read for table in self.tables)

    @property
    def exact_duplicate_rows(self) -> int:
        return sum(table.exact_duplicate_rows for table in self.tables)

    @property
    def conflicting_duplicate_rows(self) -> int:
        return sum(table.conflicting_duplicate_rows for table in self.tables)

    @property
    def rows_landed(self) -> int:
        return sum(table.rows_landed for table in self.tables)

    @property
    def rows_deleted(self) -> int:
        return sum(table.rows_deleted for table in self.tables)


@dataclass(frozen=True, slots=True)
class _Compared:
    """What the comparison of all tables came to."""

    days: set[date]
    copied: set[date]
    fingerprints: dict[str, dict[date, str | None]]
    # By table: rows held before in what was compared, and how many of them are gone.
    losses: dict[str, tuple[int, int]]


def land_folder(source: Path, landing_path: Path, *, as_of: datetime, progress: Progress) -> LandReport:
    """Land every table of the folder, or raise LandError and land nothing. `as_of` is naive UTC."""
    return land(source, landing_path, as_of=as_of, progress=progress)


def land(
    source: SourceLocation,
    landing_path: Path,
    *,
    as_of: datetime,
    progress: Progress,
    accept_deletes: bool = False,
    retention_days: int = 90,
    lookback_days: int = 7,
    recalculate: DayRange | None = None,
    is_small: bool = False,
    before_commit: Callable[[], None] = lambda: None,
    ops_store: "OpsStore | None" = None,
    access_log: str | None = None,
    memory_mb: int | None = None,
) -> LandReport:
    """Bring schema `raw` to what the source holds, or raise LandError and land nothing.

    `as_of` is naive UTC; one before the last landing's compares every day inside the retention horizon.
    `retention_days` is how long the source keeps its rows, `lookback_days` how far back a database is
    compared every time; `recalculate` are days that are copied whatever their fingerprints say. A small
    landing compares no more than those days, of a folder too, also when everything is due to be compared.
    The new probes of `ops_store` and its maintenance windows are copied with it, and the new lines of
    `access_log`, a file or a pattern of files. The first landing of a folder takes as much memory as a full
    build, or `memory_mb`; every other one takes little.
    What `before_commit` raises undoes the landing.
    """
    if as_of.tzinfo is not None:
        raise ValueError("as_of must be naive UTC")
    request = _Request(
        landing_path,
        as_of,
        accept_deletes,
        retention_days,
        lookback_days,
        recalculate,
        is_small,
        progress,
        before_commit,
        ops_store,
        access_log,
        memory_mb,
    )
    failpoint("land.before_opening")
    if isinstance(source, PostgresUrl):
        report = _land_postgres(source, request)
    else:
        report = _land_files(source, request)
    failpoint("land.done")
    return report


@dataclass(frozen=True, slots=True)
class _Request:
    landing_path: Path
    as_of: datetime
    accept_deletes: bool
    retention_days: int
    lookback_days: int
    recalculate: DayRange | None
    is_small: bool
    progress: Progress
    before_commit: Callable[[], None]
    ops_store: "OpsStore | None"
    access_log: str | None
    memory_mb: int | None

    def begin(self, connection: "DuckDBPyConnection", kind: SourceKind) -> Scope:
        landing_store.prepare(connection)
        scope = scope_of(
            connection,
            kind=kind,
            as_of=self.as_of,
            retention_days=self.retention_days,
            lookback_days=self.lookback_days,
            forced=self.recalculate,
            has_days=landing_store.has_days(connection),
            is_small=self.is_small,
        )
        _create_days(connection, is_first=scope.is_first)
        key_marks.prepare(connection)
        landing_changes.create_changes(connection)
        landing_closure.remember_before(connection)
        return scope


def _create_days(connection: "DuckDBPyConnection", *, is_first: bool) -> None:
    if not days_of_jobs.has_pairs(connection):
        days_of_jobs.relate_all(connection)
    if landing_store.has_days(connection):
        return
    landing_store.create_days(connection)
    if not is_first:
        # Landed by version 0.1, which kept no days: what is there is what its last landing brought.
        number = _last_number(connection)
        landing_changes.count_days(connection, number, is_first=True, fingerprints={})
        landing_closure.relate_all(connection)


# --- from files --------------------------------------------------------------------------------------------


def _land_files(folder: Path, request: _Request) -> LandReport:
    source = FolderSource(folder)
    with landing_store.transaction(
        request.landing_path, memory_limit=LANDING_MEMORY, most_threads=LANDING_THREADS
    ) as connection:
        scope = request.begin(connection, "folder")
        if scope.is_first:
            memory = engine_memory_mb(request.memory_mb, is_partial=False)
            connection.execute(f"set memory_limit = '{memory}MB'")
        source.find_changes(connection, scope)
        if source.work:
            read_ahead(connection, request.landing_path, key_marks.marks_tables())
        with request.progress.stage("land", source.work) as advance:
            compared = _take_what_changed(connection, source, scope, request, advance)
        return _finish(connection, request, scope, "folder", compared, (), source.bytes_read)


def _take_what_changed(
    connection: "DuckDBPyConnection", source: FolderSource, scope: Scope, request: _Request, advance: Advance
) -> _Compared:
    losses = {table.name: _held_inside(connection, table, scope) for table in DAY_TABLES}
    had_jobs = scalar(connection, "select count(*) from raw.jobs")
    gone: dict[str, tuple[int, int]] = {}
    for table in TABLES:
        if table in DAY_TABLES:
            source.land_days(connection, table, scope, advance)
        elif not source.is_same(table):
            connection.execute(landing_sql.create_staged(table))
            source.stage_whole(connection, table, advance)
            gone[table.name] = landing_changes.take_whole(connection, table)
            connection.execute("drop table staged")
        failpoint("land.table")

    def stage(table: Table, *, since: datetime | None) -> None:
        source.stage_whole(connection, table, advance, since=since)

    land_side_tables.land_admin_tables(
        connection,
        as_of=scope.as_of,
        has_table=source.has_table,
        is_same=source.is_same,
        stage=stage,
    )
    land_side_tables.land_litellm_of_folder(
        connection, as_of=scope.as_of, has_table=source.has_table, is_same=source.is_same, stage=stage
    )
    # A few days may have nothing; too much of them gone is refused as of every landing.
    if scope.since is None:
        rows = {table.name: source.row_count(table) for table in DAY_TABLES}
        _require_activity(rows, str(source.folder))
        if had_jobs and not rows[JOBS.name] and not request.accept_deletes:
            raise LandError(
                f"jobs in {source.folder} has no rows, the last landing had {had_jobs}. Nothing was landed. "
                "Check the export; a platform that was really emptied is landed with --accept-deletes."
            )
    for table in DAY_TABLES:
        gone[table.name] = (losses[table.name], landing_changes.deleted_rows(connection, table))
    return _Compared(set(), source.days, {}, gone)


def _held_inside(connection: "DuckDBPyConnection", table: Table, scope: Scope) -> int:
    """Rows of the table that are landed and that the source should still have."""
    rows = connection.execute(
        "select day, row_count from raw.landed_days where table_name = ?", [table.name]
    ).fetchall()
    first = max(scope.horizon, scope.since or scope.horizon)
    return sum(count for day, count in rows if day >= first or scope.is_forced(day))


def _require_activity(rows: dict[str, int], source: str) -> None:
    """Refuse what is empty although it cannot be: an export that went wrong, not a quiet platform."""
    if not any(rows[name] for name in ACTIVITY_TABLES):
        raise LandError(
            f"The source is empty: {', '.join(ACTIVITY_TABLES)} in {source} have no rows. "
            "Nothing was landed. Check that the export read the right database, with the right to read it."
        )


# --- from PostgreSQL ---------------------------------------------------------------------------------------


def _land_postgres(location: PostgresUrl, request: _Request) -> LandReport:
    # Landing from files needs no driver.
    from flows import landing_postgres
    from flows.source_postgres import open_postgres_source

    with (
        open_postgres_source(location.url) as source,
        request.progress.stage("land", None) as advance,
        landing_store.transaction(
            request.landing_path, memory_limit=landing_postgres.LANDING_MEMORY
        ) as connection,
        landing_postgres.staging(request.landing_path) as stage,
    ):
        scope = request.begin(connection, "postgresql")
        read_ahead(connection, request.landing_path, key_marks.marks_tables())
        landed_files.forget_files(connection)
        compared = _copy_what_differs(connection, source, scope, stage, advance)

        def copy(table: Table, *, since: datetime | None) -> None:
            source.copy_whole(connection, table, advance, since)

        land_side_tables.land_admin_tables(
            connection, as_of=scope.as_of, has_table=source.has_table, stage=copy
        )
        unread = land_side_tables.land_litellm_of_database(
            connection,
            as_of=scope.as_of,
            is_small=request.is_small,
            has_table=source.has_table,
            stage=copy,
        )
        _require_activity(
            {name: scalar(connection, f"select count(*) from raw.{name}") for name in ACTIVITY_TABLES},
            source.label,
        )
        notes = (*source.notes, *([unread] if unread else []))
        return _finish(connection, request, scope, "postgresql", compared, notes, source.bytes_read)


def _copy_what_differs(
    connection: "DuckDBPyConnection",
    source: "PostgresSource",
    scope: Scope,
    stage: "Staging",
    advance: Advance,
) -> _Compared:
    from flows import landing_postgres

    ranges = landing_postgres.compared_ranges(connection, source, scope)
    found = _Compared(set(), set(), {}, {})
    for table in TABLES:
        if table not in DAY_TABLES:
            found.losses[table.name] = landing_postgres.copy_whole(connection, source, table, stage, advance)
            continue
        comparison = landing_postgres.copy_what_differs(
            connection, source, table, scope, ranges, stage, advance
        )
        held = _held_in(connection, table, comparison.fingerprints, scope)
        found.losses[table.name] = (held, landing_changes.deleted_rows(connection, table))
        found.fingerprints[table.name] = comparison.fingerprints
        found.days.update(comparison.fingerprints)
        found.copied.update(comparison.copied)
        failpoint("land.table")
    return found


def _held_in(
    connection: "DuckDBPyConnection", table: Table, days: dict[date, str | None], scope: Scope
) -> int:
    rows = connection.execute(
        "select day, row_count from raw.landed_days where table_name = ?", [table.name]
    ).fetchall()
    return sum(count for day, count in rows if day in days and (day >= scope.horizon or scope.is_forced(day)))


# --- the whole ---------------------------------------------------------------------------------------------


def _finish(
    connection: "DuckDBPyConnection",
    request: _Request,
    scope: Scope,
    kind: SourceKind,
    compared: _Compared,
    notes: Sequence[str],
    bytes_read: int,
) -> LandReport:
    """Refuse what was lost unless it is accepted; write down what was landed, and what that touches."""
    if not request.accept_deletes:
        _refuse_losses(connection, compared.losses)
    number = _last_number(connection) + 1
    previous = connection.execute(
        "select as_of from raw.landings order by landing_number desc limit 1"
    ).fetchone()
    version_history.remember(connection, as_of=scope.as_of, previous_as_of=previous[0] if previous else None)
    landing_changes.count_tables(connection, [table.name for table in TABLES])
    if not scope.is_first:
        days_of_jobs.relate_changed(connection)
    landing_changes.count_days(
        connection, number, is_first=scope.is_first, fingerprints=compared.fingerprints
    )
    if scope.is_first:
        landing_closure.relate_all(connection)
        days_of_jobs.relate_all(connection)
        landing_closure.touch_all(connection, number)
    else:
        landing_closure.touch_changed(connection, number)
    probes_landed = 0
    if request.ops_store is not None:
        probes_landed = land_probes.copy(connection, request.ops_store)
        land_probes.touch(
            connection, number, as_of=scope.as_of, previous_as_of=previous[0] if previous else None
        )
    access_log = land_access_log(connection, request.access_log, as_of=scope.as_of)
    connection.execute(
        "insert into raw.landings values (?, ?, ?, ?)", [number, scope.as_of, kind, scope.is_full]
    )
    failpoint("land.before_commit")
    request.before_commit()
    days = len(compared.days)
    if kind == "folder":
        days = scalar(
            connection,
            "select count(distinct day) from raw.landed_days"
            + (f" where day >= date '{scope.since}'" if scope.since else ""),
        )
    return LandReport(
        landing_number=number,
        as_of=scope.as_of,
        tables=_table_counts(connection, is_first=scope.is_first),
        unusable_numbers=scalar(
            connection, "select count(*) from raw.landing_findings where rule = 'unusable_number'"
        ),
        source_kind=kind,
        is_full_comparison=scope.is_full,
        days_compared=days,
        days_copied=len(compared.copied),
        touched_days=landing_closure.touched_days(connection, number),
        notes=tuple(notes),
        bytes_read=bytes_read,
        probes_landed=probes_landed,
        access_log=access_log,
    )


def _last_number(connection: "DuckDBPyConnection") -> int:
    return int(scalar(connection, "select coalesce(max(landing_number), 0) from raw.landings"))


def _refuse_losses(connection: "DuckDBPyConnection", losses: dict[str, tuple[int, int]]) -> None:
    by_day = {table.name for table in DAY_TABLES}
    lines = []
    for name, (held, gone) in losses.items():
        is_emptied = bool(held) and not scalar(connection, f"select exists (from raw.{name})")
        too_many = 100 * gone > ACCEPTED_DELETES_PERCENT * held
        if too_many and (name in by_day or is_emptied or gone > ACCEPTED_DELETES_OF_WHOLE_TABLES):
            lines.append(f"  {name}: {gone:,} of {held:,} rows")
    if lines:
        raise LandError(
            f"More than {ACCEPTED_DELETES_PERCENT} % of what was landed in the compared days is gone from "
            "the source:\n"
            + "\n".join(lines)
            + "\nNothing was landed. Check that the source is the right one and whole; if the rows were "
            "really deleted there, run again with --accept-deletes."
        )


def _table_counts(connection: "DuckDBPyConnection", *, is_first: bool) -> tuple[TableCount, ...]:
    by_day = {table.name: table for table in DAY_TABLES}
    counts = []
    for name, read, exact, conflicting, landed in connection.execute("from raw.landed_tables").fetchall():
        changes = (landed, 0, 0) if is_first else (0, 0, 0)
        if name in by_day and not is_first:
            changes = landing_changes.count_changes(connection, by_day[name])
        counts.append(TableCount(name, read, exact, conflicting, landed, *changes))
    return tuple(counts)
