"""Which days of the platform's PostgreSQL differ from what is landed, and copying just those."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flows import landing_changes, landing_sql
from flows.errors import LandError
from flows.landing_scope import DAY, DayRange, Scope, contains, merged, ranges_of, within
from flows.landing_store import configure, scalar
from flows.progress import Advance
from flows.source_postgres import OPEN_JOBS_CHECKSUM, DayFingerprint, PostgresSource, minutes_of
from flows.source_schema import OPEN_STATUSES, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Rows that are staged at a time, a longer day aside: it bounds the memory and the space of a landing.
STAGED_ROWS = 250_000

# What was said of the minutes of a day is kept so long.
KEPT_MINUTES_DAYS = 31

# DuckDB's shares of the memory; beyond them it spills to disk. Landing a million calls, whatever lies on a
# day, passes with 140 and 60 MB and fails with 140 and 40, or 100 and 80 (2026-11-24).
LANDING_MEMORY = "180MB"
STAGING_MEMORY = "80MB"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the source says of one table's days, beside what is landed."""

    # Every compared day that either side knows; None: the source has no row on it.
    fingerprints: dict[date, str | None]
    # What to copy, and how many rows the source has there.
    copied: dict[date, int]
    # Of these days only some minutes differ (their numbers in the day), and are copied.
    minutes: dict[date, list[int]]
    # What the source says of the minutes of days, where it was asked.
    said: dict[date, str]


class Staging:
    """Where rows wait between the source and the landing's transaction: one Parquet file at a time.

    A temporary table would do, but one that a transaction has dropped keeps its space until the end.
    """

    def __init__(self, folder: Path) -> None:
        import duckdb

        self._folder = folder
        # Every file has a name of its own: DuckDB remembers what it has read under one.
        self._numbers = itertools.count()
        self._connection = duckdb.connect()
        configure(self._connection, memory_limit=STAGING_MEMORY)
        self._connection.execute(f"set temp_directory = {_quoted(folder / 'spilled')}")

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def rows(
        self,
        connection: DuckDBPyConnection,
        table: Table,
        fill: Callable[[DuckDBPyConnection], None],
    ) -> Iterator[int]:
        """Let `fill` fill `staged`, and show it to the landing as a view of that name; its row count."""
        self._connection.execute(landing_sql.create_staged(table))
        fill(self._connection)
        count = int(scalar(self._connection, "select count(*) from staged"))
        file = self._folder / f"{table.name}-{next(self._numbers)}.parquet"
        self._connection.execute(f"copy staged to {_quoted(file)} (format parquet)")
        self._connection.execute("drop table staged")
        connection.execute(f"create temp view staged as from read_parquet({_quoted(file)})")
        yield count
        connection.execute("drop view staged")
        file.unlink()


@contextmanager
def staging(landing_path: Path) -> Iterator[Staging]:
    """A staging beside the landing database; its folder goes with it, and with the next one after a kill."""
    folder = landing_path.with_name(f"{landing_path.name}.staging")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    stage = Staging(folder)
    try:
        yield stage
    finally:
        stage.close()
        shutil.rmtree(folder, ignore_errors=True)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def compared_ranges(
    connection: DuckDBPyConnection, source: PostgresSource, scope: Scope
) -> tuple[DayRange, ...]:
    """The days to compare: those of the scope, and older ones whose open jobs are not the same any more."""
    if scope.since is None:
        return (DayRange(None, None),)
    ranges = [DayRange(scope.since, None)]
    if scope.horizon < scope.since:
        days = _days_of_other_open_jobs(connection, source, DayRange(scope.horizon, scope.since))
        ranges += ranges_of(days)
    if scope.forced is not None:
        ranges.append(scope.forced)
    return merged(ranges)


def _days_of_other_open_jobs(
    connection: DuckDBPyConnection, source: PostgresSource, days: DayRange
) -> set[date]:
    assert days.end is not None
    held = connection.execute(
        f"select cast(created_at as date), count(*), {OPEN_JOBS_CHECKSUM} from raw.jobs "
        f"where lower(status) in {OPEN_STATUSES} and {within('created_at', [days])} group by 1"
    ).fetchall()
    landed = {(day, count, int(checksum)) for day, count, checksum in held}
    there = {(jobs.day, jobs.job_count, jobs.checksum) for jobs in source.open_jobs(days.end, days.first)}
    return {day for day, *_ in landed ^ there}


def compare(
    connection: DuckDBPyConnection,
    source: PostgresSource,
    table: Table,
    scope: Scope,
    ranges: Sequence[DayRange],
    *,
    whatever_is_known: bool = False,
) -> Comparison:
    """Ask the source for the fingerprints of the ranges, and find the days whose rows must be copied."""
    there: dict[date, DayFingerprint] = {}
    for days in ranges:
        # Of days that are copied anyway, and of old ones, nobody asks which minutes differ.
        older, recent = ([days], []) if whatever_is_known else _split(days, scope.recent)
        for part in older:
            there |= {found.day: found for found in source.fingerprints(table, part.first, part.end)}
        for part in recent:
            there |= {f.day: f for f in source.fingerprints_of_minutes(table, part.first, part.end)}
    rows = connection.execute(
        "select day, row_count, source_fingerprint from raw.landed_days where table_name = ?", [table.name]
    ).fetchall()
    landed = {day: (count, text) for day, count, text in rows if contains(ranges, day)}
    known = dict(
        connection.execute(
            "select day, minutes from raw.landed_minutes where table_name = ?", [table.name]
        ).fetchall()
    )
    copied: dict[date, int] = {}
    minutes: dict[date, list[int]] = {}
    for day, found in there.items():
        print_before = landed.get(day, (0, None))[1]
        if whatever_is_known or scope.is_forced(day):
            copied[day] = found.row_count
        elif print_before != found.fingerprint:
            differing = _differing_minutes(found, known.get(day), print_before)
            copied[day] = found.row_count if differing is None else sum(differing.values())
            if differing is not None:
                minutes[day] = list(differing)
    for day, (count, _) in landed.items():
        # Before the horizon the source has purged it: nothing to copy, and nothing to take away.
        if day not in there and count and day >= scope.horizon:
            copied[day] = 0
    fingerprints = {day: found.fingerprint for day, found in there.items()}
    said = {day: found.minutes for day, found in there.items() if found.minutes is not None}
    return Comparison(dict.fromkeys(landed) | fingerprints, copied, minutes, said)


def _split(days: DayRange, first_recent: date) -> tuple[list[DayRange], list[DayRange]]:
    """The part of a range before a day, and the part from there on; a part without days is left out."""
    if days.first is not None and days.first >= first_recent:
        return [], [days]
    if days.end is not None and days.end <= first_recent:
        return [days], []
    return [DayRange(days.first, first_recent)], [DayRange(first_recent, days.end)]


def _differing_minutes(
    found: DayFingerprint, known: str | None, print_before: str | None
) -> dict[int, int] | None:
    """The minutes that are not as they were, and how many rows the source has there.

    None when that is not known: what is landed of the day is not, row by row, what was said of its minutes.
    """
    if found.minutes is None or known is None or print_before is None:
        return None
    before, now = minutes_of(known), minutes_of(found.minutes)
    prefix = found.fingerprint.partition(":")[0]
    if print_before != f"{prefix}:{sum(int(total) for _, total in before.values())}":
        return None
    return {
        minute: now.get(minute, (0, ""))[0]
        for minute in sorted(before.keys() | now.keys())
        if before.get(minute) != now.get(minute)
    }


def copy_what_differs(
    connection: DuckDBPyConnection,
    source: PostgresSource,
    table: Table,
    scope: Scope,
    ranges: Sequence[DayRange],
    stage: Staging,
    advance: Advance,
) -> Comparison:
    """Copy the days of the ranges that differ, and those to which rows have moved from there."""
    compared = Comparison({}, {}, {}, {})
    found = compare(connection, source, table, scope, ranges)
    while found.fingerprints:
        whole = {day: rows for day, rows in found.copied.items() if day not in found.minutes}
        copy(connection, source, table, scope, whole, {}, stage, advance)
        in_part = {day: rows for day, rows in found.copied.items() if day in found.minutes}
        copy(connection, source, table, scope, in_part, found.minutes, stage, advance)
        compared.fingerprints.update(found.fingerprints)
        compared.said.update(found.said)
        compared.copied.update(found.copied)
        seen = [*ranges, *ranges_of(compared.fingerprints)]
        days = source.days_of_keys(table, _vanished_keys(connection, table))
        moved = ranges_of(day for day in days if not contains(seen, day))
        found = compare(connection, source, table, scope, moved, whatever_is_known=True)
    _note_minutes(connection, table, scope, compared)
    return compared


def _note_minutes(connection: DuckDBPyConnection, table: Table, scope: Scope, compared: Comparison) -> None:
    oldest = scope.as_of.date() - KEPT_MINUTES_DAYS * DAY
    connection.execute(
        "delete from raw.landed_minutes where table_name = ? "
        "and (day < ? or day in (select unnest(?::date[])))",
        [table.name, oldest, list(compared.fingerprints)],
    )
    if compared.said:
        said = [(table.name, day, minutes) for day, minutes in compared.said.items()]
        connection.executemany("insert into raw.landed_minutes values (?, ?, ?)", said)


def _vanished_keys(connection: DuckDBPyConnection, table: Table) -> list[str]:
    """Of the rows that this landing took away and, so far, did not put anywhere else."""
    rows = connection.execute(
        f"select row_key from changes_{table.name} group by row_key having not bool_or(is_there) order by 1"
    ).fetchall()
    return [key for (key,) in rows]


def copy(
    connection: DuckDBPyConnection,
    source: PostgresSource,
    table: Table,
    scope: Scope,
    copied: dict[date, int],
    minutes: dict[date, list[int]],
    stage: Staging,
    advance: Advance,
) -> None:
    """Bring the days, or some minutes of all of them, in `raw` to what the source holds.

    A bounded number of rows at a time.
    """
    for days in _portions(copied):
        expected = sum(copied[day] for day in days)
        moments = _moments(days, minutes) if minutes else None
        fill = partial(
            source.copy_days, table=table, days=days if expected else (), advance=advance, minutes=moments
        )
        with stage.rows(connection, table, fill) as count:
            if count != expected:
                raise LandError(
                    f"{table.name}: the source counted {expected} rows between {days[0]} and {days[-1]} and "
                    f"sent {count}, in one transaction. Nothing was landed. Check the platform's indexes "
                    "(amcheck), and land again."
                )
            landing_changes.take_days(connection, table, scope, ranges_of(days), minutes=moments)


def _moments(days: Iterable[date], minutes: dict[date, list[int]]) -> list[datetime]:
    return [
        datetime.combine(day, time()) + minute * timedelta(minutes=1)
        for day in days
        for minute in minutes[day]
    ]


def _portions(copied: dict[date, int]) -> Iterator[list[date]]:
    portion: list[date] = []
    rows = 0
    for day in sorted(copied):
        if portion and rows + copied[day] > STAGED_ROWS:
            yield portion
            portion, rows = [], 0
        portion.append(day)
        rows += copied[day]
    if portion:
        yield portion


def copy_whole(
    connection: DuckDBPyConnection, source: PostgresSource, table: Table, stage: Staging, advance: Advance
) -> tuple[int, int]:
    """Bring a small table to what the source holds; rows held before, and of them gone."""
    with stage.rows(connection, table, partial(source.copy_whole, table=table, advance=advance)):
        return landing_changes.take_whole(connection, table)
