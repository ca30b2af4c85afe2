"""What a built warehouse covers, and so what the next build of it must touch.

Nothing here asks the clock: missed nights, late rows and killed runs are all found by comparing
what is landed with what the warehouse says it was built from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import yaml

from flows import PROJECT_DIR
from flows.days_of_jobs import has_pairs
from flows.errors import AlmanacError
from flows.source_schema import JOB_COST_SUMMARIES

if TYPE_CHECKING:
    import duckdb

DAY = timedelta(days=1)

# A pair of rows within a second may lie on both sides of midnight.
PAIR_SECONDS = timedelta(seconds=1)

_FACT_TABLES = ("jobs", "llm_calls", "credit_transactions")

# Days that rows which waited for their own reach: those of their jobs, and of the other rows of these.
_DAYS_OF_WAITING_ROWS = """
select related_day from raw.related_days where day >= cast($waiting_from as date)
union
select unnest([day, related_day]) from raw.related_days
where day in (select day from raw.related_days where related_day >= cast($waiting_from as date))
"""

# Teams of such rows whose jobs belong to the organization that the ledger names.
_TEAMS_OF_WAITING_ROWS = """
select team_id from raw.credit_transactions
where created_at >= $waiting_from and organization_id is not null
except
select team_id from raw.team_versions group by team_id having count(*) = count(organization_id)
"""
_DAYS_OF_TEAMS = """
select distinct cast(created_at as date)
from (
  select created_at, team_id from raw.jobs
  union all
  select created_at, team_id from raw.credit_transactions
  union all
  select calls.created_at, jobs.team_id
  from raw.llm_calls as calls inner join raw.jobs as jobs on calls.job_id = jobs.job_id
)
where team_id in (select unnest($teams))
"""

# Half-open; without an end everything later is meant.
Range = tuple[date, date | None]
Window = tuple[datetime, datetime | None]

# Calls that a full build groups and sorts at a time, a longer month aside: it bounds memory and disk.
PORTION_CALLS = 10_000_000

# A whole number of weeks by which the turns of older weeks grow: an odd one, see week_in_turn.
WEEKS_PER_TURN = 13


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a warehouse was built from. Instants are naive UTC, days local."""

    landing_number: int
    landing_as_of: datetime
    as_of: datetime
    reporting_timezone: str
    models_fingerprint: str
    first_day: date | None

    COLUMNS = (
        "landing_number bigint, landing_as_of timestamp, as_of timestamp, reporting_timezone varchar, "
        "models_fingerprint varchar, first_day date"
    )

    @property
    def values(self) -> tuple[Any, ...]:
        return (
            self.landing_number,
            self.landing_as_of,
            self.as_of,
            self.reporting_timezone,
            self.models_fingerprint,
            self.first_day,
        )

    @property
    def covered_until(self) -> datetime:
        return min(self.landing_as_of, self.as_of)


@dataclass(frozen=True, slots=True)
class Touched:
    """What a partial build rebuilds. `days` are local; the last range has no end."""

    days: tuple[Range, ...]
    # UTC instants of the rows that something is computed from, by its kind: see _reads
    read: Mapping[str, tuple[Window, ...]]
    # of the ledger rows that are walked again: UTC instants, and local days
    ledger: tuple[Window, ...]
    ledger_days: tuple[Range, ...]

    @property
    def variables(self) -> dict[str, list[list[str | None]]]:
        """The dbt var `touched` (see macros/incremental/touched.sql)."""
        ranges = {kind: _texts(windows) for kind, windows in self.read.items()}
        ranges["ledger"] = _texts(self.ledger)
        for period in _PERIODS:
            for name, days in ((period[0], self.days), (f"ledger_{period[0]}", self.ledger_days)):
                ranges[name] = _texts(_whole_periods(days, period))
        return ranges

    def and_also(self, other: Touched) -> Touched:
        """What either of two partial builds rebuilds."""
        return Touched(
            days=merged([*self.days, *other.days]),
            read={kind: merged([*windows, *other.read[kind]]) for kind, windows in self.read.items()},
            ledger=merged([*self.ledger, *other.ledger]),
            ledger_days=merged([*self.ledger_days, *other.ledger_days]),
        )

    def closed_days(self, until: date) -> list[date]:
        """Every touched local day before `until`."""
        return [
            first + n * DAY
            for first, end in self.days
            for n in range(max(0, ((min(end, until) if end else until) - first).days))
        ]


def landed_coverage(
    landing: duckdb.DuckDBPyConnection, *, as_of: datetime, reporting_timezone: str
) -> Coverage:
    """What a build of everything that is landed covers (`landing`: landing.duckdb)."""
    newest = landing.execute(
        "select landing_number, as_of from raw.landings order by landing_number desc limit 1"
    ).fetchone()
    if newest is None:
        raise AlmanacError("Nothing has landed yet. Run `almanac land` first.")
    # as in dim_dates: a minimum would look at all rows there are
    first_rows = " union all ".join(
        f"(select created_at as row_at from raw.{table} "
        "where created_at >= timestamp '1970-01-01' and created_at < $as_of order by created_at limit 1)"
        for table in _FACT_TABLES
    )
    first = landing.execute(f"select min(row_at) from ({first_rows})", {"as_of": as_of}).fetchone()
    first_at = first[0] if first else None
    return Coverage(
        landing_number=int(newest[0]),
        landing_as_of=newest[1],
        as_of=as_of,
        reporting_timezone=reporting_timezone,
        models_fingerprint=models_fingerprint(),
        first_day=local_day(first_at, reporting_timezone) if first_at else None,
    )


def touched_since(
    landing: duckdb.DuckDBPyConnection, built: Coverage, wanted: Coverage, *, also: Iterable[date] = ()
) -> Touched | None:
    """What has to be rebuilt to bring a warehouse from `built` to `wanted`; None: all of it.

    The local days `also` are rebuilt whether anything changed or not.
    """
    if not _can_go_on(landing, built, wanted):
        return None
    zone = wanted.reporting_timezone
    stuck_from = built.as_of - timedelta(hours=project_variable("stuck_job_hours"))
    # a landing as of an earlier moment opens days again that were complete
    open_from = local_day(min(built.covered_until, wanted.covered_until, stuck_from), zone)
    waiting_from = min(built.as_of, built.landing_as_of)
    rows = landing.execute(
        f"select day from raw.touched_days where landing_number > $built union {_DAYS_OF_WAITING_ROWS}",
        {"built": built.landing_number, "waiting_from": waiting_from},
    ).fetchall()
    teams = landing.execute(_TEAMS_OF_WAITING_ROWS, {"waiting_from": waiting_from}).fetchall()
    if teams:
        rows += landing.execute(_DAYS_OF_TEAMS, {"teams": [team for (team,) in teams]}).fetchall()
    local_days = {day for (utc_day,) in rows for day in local_days_of(utc_day, zone)}
    local_days.update(also)
    # the spine of days may have become longer or shorter at its beginning
    bounds = [day for day in (built.first_day, wanted.first_day) if day is not None]
    if built.first_day != wanted.first_day:
        local_days.update(days_between(min(bounds), max([*bounds, min(bounds) + DAY])))
    days = merged([*((day, day + DAY) for day in local_days), (open_from, None)])
    return _touched(landing, days, ((days[0][0], None),), zone)


def portions_of(landing: duckdb.DuckDBPyConnection) -> list[list[list[str]]]:
    """The dbt var `portions` of a full build: months that follow one another, with some calls in each.

    Each is [kind, first day, first day after it] of its days, ISO weeks and months; all of them together are
    all of time.
    """
    months = landing.execute(
        "select cast(date_trunc('month', day) as date), cast(sum(row_count) as bigint) from raw.landed_days "
        "where table_name = 'llm_calls' group by 1 order by 1"
    ).fetchall()
    starts, calls = [date.min], 0
    for month, count in months:
        if calls and calls + count > PORTION_CALLS:
            starts.append(month)
            calls = 0
        calls += count
    ends = [*starts[1:], date.max]
    return [
        [
            # the first and the last day of the calendar lie in no whole week
            [
                kind,
                str(first if first == date.min else start_of(first)),
                str(end if end == date.max else start_of(end)),
            ]
            for kind, start_of, _ in _PERIODS
        ]
        for first, end in zip(starts, ends, strict=True)
    ]


def audited_with(touched: Touched, landing: duckdb.DuckDBPyConnection, covered: Coverage) -> Touched:
    """What the audit of a partial build looks at: what the build rebuilt, and one older week in turn."""
    week = week_in_turn(covered)
    if week is None:
        return touched
    return touched.and_also(_touched(landing, (week,), (week,), covered.reporting_timezone))


def week_in_turn(covered: Coverage) -> tuple[date, date] | None:
    """The ISO week whose turn it is on the day of as_of, half-open; None when none has its turn on that day.

    Day by day the weeks of the history follow one another. How many turns there are changes rarely, so that
    a history that grows makes none wait for long; it is odd, so that of two warehouse files that take turns
    each meets every week.
    """
    if covered.first_day is None:
        return None
    first_week = _week_start(covered.first_day)
    today = local_day(covered.as_of, covered.reporting_timezone)
    weeks = (today - first_week).days // 7 + 1
    turns = WEEKS_PER_TURN * -(-weeks // WEEKS_PER_TURN)
    if turns % 2 == 0:
        turns += WEEKS_PER_TURN
    number = today.toordinal() % turns
    if number >= weeks:
        return None
    first = first_week + number * 7 * DAY
    return first, first + 7 * DAY


def _can_go_on(landing: duckdb.DuckDBPyConnection, built: Coverage, wanted: Coverage) -> bool:
    if (
        built.reporting_timezone != wanted.reporting_timezone
        or built.models_fingerprint != wanted.models_fingerprint
        or built.as_of > wanted.as_of
        # landed rows that the build did not look at are not told from new ones
        or built.as_of < built.landing_as_of
        or built.first_day is None
        or wanted.first_day is None
    ):
        return False
    # another landing database in its place knows nothing of what this warehouse lacks
    row = landing.execute(
        "select as_of from raw.landings where landing_number = ?", [built.landing_number]
    ).fetchone()
    return row is not None and row[0] == built.landing_as_of


def _touched(
    landing: duckdb.DuckDBPyConnection, days: tuple[Range, ...], ledger_days: tuple[Range, ...], zone: str
) -> Touched:
    return Touched(
        days=days,
        read=_reads(landing, days, ledger_days, zone),
        ledger=_windows(ledger_days, zone),
        ledger_days=ledger_days,
    )


def _reads(
    landing: duckdb.DuckDBPyConnection, days: Sequence[Range], ledger_days: Sequence[Range], zone: str
) -> dict[str, tuple[Window, ...]]:
    """Of what touched periods are computed, so that a build need not look at all rows.

    read, read_week, read_month: the rows of touched days, weeks or months, and all that their jobs have;
    read_summaries: summaries of jobs of touched days, by their own clock; read_ledger_jobs: the jobs that
    touched ledger rows name; read_ledger_charges: the other ledger rows of these jobs.
    """
    related = _RelatedDays(landing)
    reads = {}
    for kind, period in zip(("read", "read_week", "read_month"), _PERIODS, strict=True):
        windows = _windows(_whole_periods(days, period), zone)
        near = related.of_jobs(windows) + related.of_facts(windows)
        reads[kind] = merged((first - PAIR_SECONDS, end) for first, end in (*windows, *near))
    reads["read_summaries"] = related.of_summaries(_windows(days, zone))
    walked = _windows(ledger_days, zone)
    jobs = merged([*walked, *related.of_facts(walked)])
    reads["read_ledger_jobs"] = jobs
    reads["read_ledger_charges"] = merged([*jobs, *related.of_jobs(jobs)])
    return reads


class _RelatedDays:
    """Whole UTC days on which rows lie that belong together, as windows (`landing`: landing.duckdb)."""

    def __init__(self, landing: duckdb.DuckDBPyConnection) -> None:
        self._landing = landing

    def of_jobs(self, windows: Iterable[Window]) -> list[Window]:
        """Of calls and ledger rows whose jobs are of some windows."""
        return self._days("select distinct related_day from raw.related_days where ", "day", windows)

    def of_facts(self, windows: Iterable[Window]) -> list[Window]:
        """Of jobs whose calls or ledger rows are of some windows."""
        return self._days("select distinct day from raw.related_days where ", "related_day", windows)

    def of_summaries(self, windows: Iterable[Window]) -> tuple[Window, ...]:
        """Of summaries whose jobs are of some windows; all of time where no pairs are kept."""
        if not has_pairs(self._landing):
            return ((datetime.min, None),)
        name = JOB_COST_SUMMARIES.name
        query = f"select distinct day from raw.days_of_jobs where table_name = '{name}' and "
        return merged(self._days(query, "job_day", windows))

    def _days(self, query: str, column: str, windows: Iterable[Window]) -> list[Window]:
        conditions = " or ".join(
            f"({column} >= date '{first.date()}'" + (f" and {column} <= date '{end.date()}')" if end else ")")
            for first, end in windows
        )
        rows = self._landing.execute(f"{query}({conditions or 'false'})").fetchall()
        midnights = [datetime.combine(day, time()) for (day,) in rows]
        return [(midnight, midnight + DAY) for midnight in midnights]


# --- days ---------------------------------------------------------------------------------------------------


def local_day(instant: datetime, zone: str) -> date:
    """The local day of a naive UTC instant."""
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()


def start_of_day(day: date, zone: str) -> datetime:
    """The first naive UTC instant of a local day."""
    last_of_eve = datetime.combine(day - DAY, time.max, ZoneInfo(zone))
    # the later of two: an hour that is repeated belongs to the eve both times
    return last_of_eve.replace(fold=1).astimezone(UTC).replace(tzinfo=None) + timedelta.resolution


def local_days_of(utc_day: date, zone: str) -> list[date]:
    """The local days, two or three, that a UTC day overlaps."""
    first = datetime.combine(utc_day, time())
    return days_between(local_day(first, zone), local_day(first + DAY - timedelta.resolution, zone) + DAY)


def _windows(days: Iterable[Range], zone: str) -> tuple[Window, ...]:
    """The UTC instants of local days."""
    return tuple((start_of_day(first, zone), start_of_day(end, zone) if end else None) for first, end in days)


def days_between(first: date, end: date) -> list[date]:
    return [first + n * DAY for n in range((end - first).days)]


def _week_start(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _month_start(day: date) -> date:
    return day.replace(day=1)


# period: its first day, and the first day after it
_Period = tuple[str, Callable[[date], date], Callable[[date], date]]
_PERIODS: tuple[_Period, ...] = (
    ("day", lambda day: day, lambda day: day + DAY),
    ("week", _week_start, lambda day: _week_start(day) + 7 * DAY),
    ("month", _month_start, lambda day: _month_start(_month_start(day) + 31 * DAY)),
)


def _whole_periods(days: Iterable[Range], period: _Period) -> tuple[Range, ...]:
    """The periods that some days lie in, in as few ranges as possible."""
    _, start_of, end_of = period
    return merged((start_of(first), end_of(end - DAY) if end else None) for first, end in days)


def merged(ranges: Iterable[tuple[Any, Any]]) -> tuple[tuple[Any, Any], ...]:
    """The same days or instants in as few half-open ranges as possible, in order."""
    result: list[tuple[Any, Any]] = []
    for first, end in sorted(ranges, key=lambda window: window[0]):
        if result and (result[-1][1] is None or first <= result[-1][1]):
            last_first, last_end = result[-1]
            result[-1] = (last_first, None if last_end is None or end is None else max(last_end, end))
        else:
            result.append((first, end))
    return tuple(result)


def _texts(ranges: Iterable[tuple[date, date | None]]) -> list[list[str | None]]:
    return [[str(first), None if end is None else str(end)] for first, end in ranges]


# --- the project --------------------------------------------------------------------------------------------


@cache
def project_variable(name: str) -> int:
    """A number among the vars of dbt_project.yml, their one home."""
    project = yaml.safe_load((PROJECT_DIR / "dbt_project.yml").read_text(encoding="utf-8"))
    return int(project["vars"][name])


@cache
def models_fingerprint() -> str:
    """Changes when anything does that decides numbers, types or descriptions: models, macros, seeds, vars."""
    digest = hashlib.sha256()
    files = [PROJECT_DIR / "dbt_project.yml"]
    for folder in ("models", "macros"):
        paths = (PROJECT_DIR / folder).rglob("*")
        files += sorted(path for path in paths if path.suffix in (".sql", ".csv", ".yml"))
    for path in files:
        digest.update(f"{path.relative_to(PROJECT_DIR)}\0".encode())
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
