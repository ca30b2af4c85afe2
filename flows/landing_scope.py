"""Which UTC days a landing compares with the source, and where a missing row is a deleted one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SourceKind = Literal["folder", "postgresql"]

DAY = timedelta(days=1)

# After so many days without one, every day inside the retention horizon is compared.
FULL_COMPARISON_DAYS = 7


@dataclass(frozen=True, slots=True)
class DayRange:
    """UTC days from `first` up to, not including, `end`; None is without end."""

    first: date | None
    end: date | None


@dataclass(frozen=True, slots=True)
class Scope:
    """What one landing compares."""

    as_of: datetime
    is_first: bool
    is_full: bool
    # What the source no longer has from here on was deleted; before, it was purged and is kept.
    horizon: date
    # Days from here on are compared; None is all of them.
    since: date | None
    # Days that are copied whatever their fingerprints say.
    forced: DayRange | None
    # Days from here on mostly change in a few rows.
    recent: date

    def is_forced(self, day: date) -> bool:
        return self.forced is not None and contains([self.forced], day)


def scope_of(
    connection: DuckDBPyConnection,
    *,
    kind: SourceKind,
    as_of: datetime,
    retention_days: int,
    lookback_days: int,
    forced: DayRange | None,
    has_days: bool,
    is_small: bool = False,
) -> Scope:
    """What to compare, decided from the landings so far and `as_of` alone; `has_days`: with raw.landed_days.

    A small landing never compares everything, however long ago that was done.
    """
    recent = as_of.date() - lookback_days * DAY
    landings = connection.execute(
        "select as_of, source_kind, is_full_comparison from raw.landings order by landing_number"
    ).fetchall()
    if not landings:
        horizon = _first_kept_by_source(as_of, retention_days)
        return Scope(as_of, True, True, horizon, None, forced, recent)
    last_as_of, last_kind, _ = landings[-1]
    clock = max(as_of, _source_clock(connection, max(row[0] for row in landings), has_days=has_days))
    horizon = _first_kept_by_source(clock, retention_days)
    if kind == "folder" and not is_small:
        return Scope(as_of, False, True, horizon, None, forced, recent)
    # The last landing's day was not over when it was landed, and the days before it still changed.
    since = min(as_of, last_as_of).date() - lookback_days * DAY
    last_full = max((row[0] for row in landings if row[2]), default=datetime.min)
    is_full = not is_small and (
        last_kind != kind or as_of < last_as_of or as_of - last_full >= timedelta(days=FULL_COMPARISON_DAYS)
    )
    since = min(since, horizon) if is_full else since
    return Scope(as_of, False, is_full, horizon, since, forced, recent)


def _first_kept_by_source(clock: datetime, retention_days: int) -> date:
    """The day on which `clock` − retention falls may be half purged, so it is kept like those before it."""
    return clock.date() - (retention_days - 1) * DAY


def _source_clock(connection: DuckDBPyConnection, latest_as_of: datetime, *, has_days: bool) -> datetime:
    """How far the source's own clock had come: an earlier --as-of does not bring back what was purged.

    Not later than the newest row: an --as-of in the far future must not move the horizon for ever.
    """
    # of the newest day that has any: blocks of other days are not read
    of_newest_day = (
        "where created_at >= (select max(day) from raw.landed_days where table_name = '{}' and row_count > 0)"
        if has_days
        else ""
    )
    newest_rows = " union all ".join(
        f"select max(created_at) as newest from raw.{table} {of_newest_day.format(table)}"
        for table in ("jobs", "llm_calls")
    )
    row = connection.execute(f"select max(newest) from ({newest_rows})").fetchone()
    newest = row[0] if row else None
    return latest_as_of if newest is None else min(latest_as_of, newest)


# --- ranges ------------------------------------------------------------------------------------------------


def ranges_of(days: Iterable[date]) -> list[DayRange]:
    """The days as few ranges."""
    found: list[DayRange] = []
    for day in sorted(set(days)):
        if found and found[-1].end == day:
            found[-1] = DayRange(found[-1].first, day + DAY)
        else:
            found.append(DayRange(day, day + DAY))
    return found


def contains(ranges: Sequence[DayRange], day: date) -> bool:
    return any((r.first is None or r.first <= day) and (r.end is None or day < r.end) for r in ranges)


def merged(ranges: Iterable[DayRange]) -> tuple[DayRange, ...]:
    """The same days in ranges that do not overlap."""
    result: list[DayRange] = []
    for days in sorted(ranges, key=lambda one: one.first or date.min):
        last = result[-1] if result else None
        if last is not None and (last.end is None or (days.first or date.min) <= last.end):
            end = None if last.end is None or days.end is None else max(last.end, days.end)
            result[-1] = DayRange(last.first, end)
        else:
            result.append(days)
    return tuple(result)


def portions(
    ranges: Iterable[DayRange], row_counts: Mapping[date, int], most_rows: int
) -> Iterator[tuple[DayRange, ...]]:
    """The ranges, cut between days so that each portion has at most so many rows, or is of one day."""
    portion: list[DayRange] = []
    rows = 0
    for days in ranges:
        first = days.first
        for day in sorted(day for day in row_counts if contains([days], day)):
            if rows and rows + row_counts[day] > most_rows:
                if first is None or first < day:
                    portion.append(DayRange(first, day))
                    first = day
                yield tuple(portion)
                portion, rows = [], 0
            rows += row_counts[day]
        portion.append(DayRange(first, days.end))
    if portion:
        yield tuple(portion)


def within(clock: str, ranges: Sequence[DayRange]) -> str:
    """The DuckDB condition that a timestamp column lies in one of the ranges; blocks outside are skipped."""
    either = []
    for days in ranges:
        bounds = []
        if days.first is not None:
            bounds.append(f"{clock} >= timestamp '{datetime.combine(days.first, time())}'")
        if days.end is not None:
            bounds.append(f"{clock} < timestamp '{datetime.combine(days.end, time())}'")
        either.append(f"({' and '.join(bounds) or 'true'})")
    return f"({' or '.join(either) or 'false'})"
