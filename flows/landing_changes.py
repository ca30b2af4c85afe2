"""From rows staged of a table to rows of `raw`: only what differs is written.

What changed is remembered in a temporary table `changes_<table>` for the closure: the key, whether the
row is there and was there, and the clocks, jobs, teams and organizations that it has and had.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from flows import days_of_jobs, key_marks, landing_sql
from flows.landing_scope import DayRange, Scope, contains, within
from flows.landing_store import scalar
from flows.source_schema import DAY_TABLES, JOB_COST_SUMMARIES, NO_DAY, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# What places a summary without its job.
_CALCULATED_AT = f"coalesce(calculated_at, timestamp '{NO_DAY}')"

_NEW_KEYS = "select row_key from differences where row_id is null"

# What a table's rows say about other tables.
_REFERENCES = ("job_id", "team_id", "organization_id")

_CHANGES = """
    row_key varchar, is_there boolean, was_there boolean,
    old_at timestamp, new_at timestamp, old_job_id varchar, new_job_id varchar,
    old_team_id varchar, new_team_id varchar,
    old_organization_id varchar, new_organization_id varchar, old_day date
"""


def create_changes(connection: DuckDBPyConnection) -> None:
    """Empty tables of changes for all tables that are compared by day."""
    for table in DAY_TABLES:
        connection.execute(f"create or replace temp table changes_{table.name} ({_CHANGES})")


def take_days(
    connection: DuckDBPyConnection,
    table: Table,
    scope: Scope,
    ranges: Sequence[DayRange],
    *,
    of_folder: bool = False,
    minutes: Sequence[datetime] | None = None,
) -> None:
    """Bring the rows of some days, or of those minutes of them that begin at moments, to what `staged` holds.

    A summary is of the day of its job; of a folder's files it is of the day on which it was calculated, and
    keys that have rows on other days too are put off (into `postponed`) until all of these are staged.
    """
    if of_folder:
        _put_off(connection, table)
    _create_kept(connection, table)
    # A first landing's portions are of days that nobody has landed: nothing to compare them with.
    if not scope.is_first and scalar(connection, f"select exists (from raw.{table.name})"):
        if minutes is not None:
            connection.execute(
                "create or replace temp table taken_minutes as select unnest(?::timestamp[])", [minutes]
            )
        held = _held(connection, table, ranges, by_own_clock=of_folder, of_minutes=minutes is not None)
        _compare(connection, table, held)
        if of_folder:
            _postpone_moved(connection, table, ranges)
        else:
            _find_elsewhere(connection, table)
        _take_differences(connection, table, scope)
    else:
        _insert_all(connection, table, with_changes=not scope.is_first)
        _add_findings(connection, table)
    if of_folder:
        _note_keys_of_several_days(connection, table)
    _drop_kept(connection)


def _take_differences(connection: DuckDBPyConnection, table: Table, scope: Scope) -> None:
    _keep_what_was_purged(connection, table, scope)
    _replace_findings(connection, table)
    _apply(connection, table)
    connection.execute("drop table differences")


def take_whole(connection: DuckDBPyConnection, table: Table) -> tuple[int, int]:
    """Bring a small table to what `staged` holds; rows held before, and of them gone."""
    _create_kept(connection, table)
    connection.execute("create or replace temp table fresh as " + landing_sql.landed_rows(table))
    held = int(scalar(connection, f"select count(*) from raw.{table.name}"))
    gone = scalar(
        connection,
        f"select count(*) from raw.{table.name} where {table.key} not in (select {table.key} from fresh)",
    )
    differs = scalar(
        connection,
        f"select exists (from raw.{table.name} except from fresh) "
        f"or exists (from fresh except from raw.{table.name})",
    )
    if differs:
        connection.execute(f"delete from raw.{table.name}")
        connection.execute(f"insert into raw.{table.name} by name from fresh order by {table.key}")
    connection.execute(f"delete from raw.landing_findings where table_name = '{table.name}'")
    _add_findings(connection, table)
    connection.execute("drop table fresh")
    _drop_kept(connection)
    return held, int(gone)


def _create_kept(connection: DuckDBPyConnection, table: Table) -> None:
    connection.execute(landing_sql.create_repeated(table))
    connection.execute(landing_sql.create_kept(table))


def _drop_kept(connection: DuckDBPyConnection) -> None:
    connection.execute("drop view kept")
    connection.execute("drop table repeated")


# --- rows --------------------------------------------------------------------------------------------------


def _insert_all(connection: DuckDBPyConnection, table: Table, *, with_changes: bool) -> None:
    connection.execute(_insert(table, "true"))
    key_marks.add(connection, table, f"(select {table.key} as row_key from kept)")
    if with_changes:
        references = ", ".join(f"null, {_reference(table, name)}" for name in _REFERENCES)
        connection.execute(
            f"insert into changes_{table.name} "
            f"select {table.key}, true, false, null, {table.created_by}, {references}, null "
            f"from raw.{table.name}"
        )


def _insert(table: Table, condition: str) -> str:
    # By the clock, so that the rows of a day lie together and the other blocks are skipped.
    return (
        f"insert into raw.{table.name} by name {landing_sql.landed_rows(table)} where {condition} "
        f"order by {table.created_by}, {table.key}"
    )


def _reference(table: Table, name: str) -> str:
    return name if name in landing_sql.raw_columns(table) else "cast(null as varchar)"


def _compare(connection: DuckDBPyConnection, table: Table, held: str) -> None:
    """`differences`: the rows of `held` that the source has otherwise, no longer, or newly."""
    key = table.key
    columns = landing_sql.raw_columns(table)
    differs = " or ".join(f"held.{name} is distinct from fresh.{name}" for name in columns)
    references = "".join(
        f", held.{name} as old_{name}, fresh.{name} as new_{name}"
        if name in columns
        else f", cast(null as varchar) as old_{name}, cast(null as varchar) as new_{name}"
        for name in _REFERENCES
    )
    connection.execute(
        f"""
create or replace temp table differences as
select
  coalesce(held.{key}, fresh.{key}) as row_key,
  held.row_id,
  fresh.{key} is not null as is_there,
  held.{table.created_by} as old_at,
  fresh.{table.created_by} as new_at
  {references}
from ({held}) as held
full outer join ({landing_sql.landed_rows(table)}) as fresh on held.{key} = fresh.{key}
where held.{key} is null or fresh.{key} is null or {differs}
"""
    )


def _held(
    connection: DuckDBPyConnection,
    table: Table,
    ranges: Sequence[DayRange],
    *,
    by_own_clock: bool,
    of_minutes: bool,
) -> str:
    """The rows of `raw` that belong to the days, or to the taken minutes of them, with their row ids."""

    def taken(clock: str) -> str:
        minute = f" and date_trunc('minute', {clock}) in (from taken_minutes)" if of_minutes else ""
        return within(clock, ranges) + minute

    rows = f"select rowid as row_id, * from raw.{table.name}"
    if table is not JOB_COST_SUMMARIES or by_own_clock:
        clock = table.created_by
        timeless = f" or {clock} is null" if contains(ranges, NO_DAY) else ""
        return f"{rows} where {taken(clock)}{timeless}"
    # As of before this landing too: a job that is gone took its summary with it.
    jobs = (
        f"select job_id from raw.jobs where {taken('created_at')} "
        f"union select row_key from changes_jobs where {taken('old_at')}"
    )
    job_days = (
        "select job_day from raw.days_of_jobs "
        f"where {within('cast(job_day as timestamp)', ranges)} "
        "union select cast(old_at as date) from changes_jobs where was_there"
    )
    jobless = days_of_jobs.jobless_days(connection, table)
    of_jobs = days_of_jobs.days_of(connection, table, job_days) | jobless
    # Anti joins, not conditions: the engine then looks the few rows up among the many, not the other way.
    return f"""
{rows} where job_id in ({jobs}) and {days_of_jobs.on_days(table, of_jobs)}
union all
select held.*
from ({rows} where {taken(_CALCULATED_AT)} and {days_of_jobs.on_days(table, jobless)}) as held
anti join raw.jobs on raw.jobs.job_id = held.job_id
anti join (select row_key from changes_jobs where was_there) as known on known.row_key = held.job_id
"""


# --- keys of several days ----------------------------------------------------------------------------------


def postpone_keys_of_several_days(
    connection: DuckDBPyConnection, table: Table, ranges: Sequence[DayRange]
) -> None:
    """`postponed`: the keys of several days that have a row on one of these."""
    of_table = f"from raw.keys_of_several_days where table_name = '{table.name}'"
    connection.execute(
        f"create or replace temp table postponed as select distinct row_key {of_table} "
        f"and {within('cast(day as timestamp)', ranges)}"
    )
    if _is_everything(ranges):
        # All that there are is found out anew.
        connection.execute(f"delete {of_table}")
        connection.execute("delete from postponed")


def postpone_repeated(connection: DuckDBPyConnection, table: Table) -> None:
    """Put off the keys that a first landing's portions have brought more than once."""
    repeated = key_marks.repeated(connection, table)
    connection.execute(
        f"insert into postponed select {table.key} from raw.{table.name} "
        f"where {repeated} group by {table.key} having count(*) > 1"
    )


def days_of_postponed(connection: DuckDBPyConnection, table: Table) -> set[date]:
    """Days, by the table's own clock, on which the keys that were put off had a row before."""
    rows = connection.execute(
        "select day from raw.keys_of_several_days "
        f"where table_name = '{table.name}' and row_key in (from postponed) "
        f"union select cast(coalesce({table.created_by}, timestamp '{NO_DAY}') as date) "
        f"from raw.{table.name} where {table.key} in (from postponed)"
    ).fetchall()
    return {day for (day,) in rows}


def take_postponed(connection: DuckDBPyConnection, table: Table, scope: Scope) -> None:
    """Bring the keys that were put off to what `staged` holds: all their rows, whatever their days."""
    postponed = f"raw.{table.name} where {table.key} in (from postponed)"
    if scope.is_first:
        connection.execute(f"delete from {postponed}")
    connection.execute(
        f"delete from raw.keys_of_several_days where table_name = '{table.name}' "
        "and row_key in (from postponed)"
    )
    _create_kept(connection, table)
    _compare(connection, table, f"select rowid as row_id, * from {postponed}")
    _take_differences(connection, table, scope)
    _note_keys_of_several_days(connection, table)
    _drop_kept(connection)


def _put_off(connection: DuckDBPyConnection, table: Table) -> None:
    if scalar(connection, "select exists (from postponed)"):
        connection.execute(f"delete from staged where {table.key} in (from postponed)")


def _postpone_moved(connection: DuckDBPyConnection, table: Table, ranges: Sequence[DayRange]) -> None:
    """A new row whose key is landed on a day that is not compared: which of them counts is known of all."""
    if not _is_everything(ranges) and key_marks.may_have(connection, table, f"({_NEW_KEYS})"):
        # The key alone: this looks at every row there is, and mostly finds none.
        connection.execute(
            f"insert into postponed select {table.key} from raw.{table.name} "
            f"where {table.key} in ({_NEW_KEYS})"
        )
    if scalar(connection, "select exists (from postponed)"):
        _put_off(connection, table)
        for name in ("repeated", "differences"):
            connection.execute(f"delete from {name} where row_key in (from postponed)")


def _note_keys_of_several_days(connection: DuckDBPyConnection, table: Table) -> None:
    if not scalar(connection, "select exists (from repeated)"):
        return
    connection.execute(
        f"insert into raw.keys_of_several_days select '{table.name}', row_key, unnest(days) from ("
        f"select {table.key} as row_key, "
        f"list(distinct cast(coalesce({table.created_by}, timestamp '{NO_DAY}') as date)) as days "
        f"from staged where {table.key} in (select row_key from repeated) group by {table.key}"
        ") where len(days) > 1 order by all"
    )


def _is_everything(ranges: Sequence[DayRange]) -> bool:
    return DayRange(None, None) in ranges


# --- differences -------------------------------------------------------------------------------------------


def _find_elsewhere(connection: DuckDBPyConnection, table: Table) -> None:
    """A new row whose key lies on a day that is not compared has moved: the old one goes."""
    if not key_marks.may_have(connection, table, f"({_NEW_KEYS})"):
        return
    # The key alone first: this looks at every row there is, and mostly finds none.
    connection.execute(
        f"create or replace temp table elsewhere as select rowid as row_id from raw.{table.name} "
        f"where {table.key} in ({_NEW_KEYS})"
    )
    if not scalar(connection, "select exists (from elsewhere)"):
        return
    old = ", ".join(f"{_reference(table, name)} as {name}" for name in _REFERENCES)
    references = ", ".join(f"old_{name} = held.{name}" for name in _REFERENCES)
    connection.execute(
        f"""
update differences
set row_id = held.row_id, old_at = held.clock, {references}
from (
  select rowid as row_id, {table.key} as row_key, {table.created_by} as clock, {old}
  from raw.{table.name} where rowid in (select row_id from elsewhere)
) as held
where differences.row_id is null and differences.row_key = held.row_key
"""
    )


def _keep_what_was_purged(connection: DuckDBPyConnection, table: Table, scope: Scope) -> None:
    """A row that the source no longer has stays when it is older than what the source keeps."""
    if table is JOB_COST_SUMMARIES:
        old_day = f"coalesce(job_before.created_at, differences.old_at, timestamp '{NO_DAY}')"
        days_of_jobs.find_jobs(
            connection,
            "jobs_of_old_rows",
            "(select row_key as job_id from differences where row_id is not null)",
            days_of_jobs.likely_days(
                connection, "(select old_at as clock from differences where row_id is not null)"
            ),
        )
        jobs = jobs_before("jobs_of_old_rows")
        found = f"differences left join {jobs} as job_before on job_before.job_id = differences.row_key"
    else:
        old_day, found = "old_at", "differences"
    connection.execute(
        f"create or replace temp table differences as select differences.*, "
        f"case when row_id is not null then cast({old_day} as date) end as old_day from {found}"
    )
    deleted = f"old_day >= date '{scope.horizon}'"
    if scope.forced is not None:
        # Asked for by name, an old day is brought to what the source has, unless it has nothing.
        midnight = "cast(old_day as timestamp)"
        deleted += f" or ({within(midnight, [scope.forced])} and old_day in ({_staged_days(table)}))"
    connection.execute(f"delete from differences where not is_there and not ({deleted})")


def jobs_before(jobs: str) -> str:
    """The jobs of a relation of present ones, and those that are gone, with their clocks as they were."""
    return f"""(
  select job_id, created_at from {jobs} where job_id not in (select row_key from changes_jobs)
  union all
  select row_key, old_at from changes_jobs where was_there
)"""


def _staged_days(table: Table) -> str:
    if table is not JOB_COST_SUMMARIES:
        return "select cast(created_at as date) from kept"
    return (
        f"select cast(coalesce(jobs.created_at, kept.calculated_at, timestamp '{NO_DAY}') as date) "
        "from kept left join raw.jobs as jobs on jobs.job_id = kept.job_id"
    )


def _apply(connection: DuckDBPyConnection, table: Table) -> None:
    key = table.key
    if not scalar(connection, "select exists (from differences)"):
        return
    connection.execute(
        f"delete from raw.{table.name} where rowid in "
        "(select row_id from differences where row_id is not null)"
    )
    connection.execute(_insert(table, f"{key} in (select row_key from differences where is_there)"))
    key_marks.add(connection, table, f"({_NEW_KEYS})")
    references = ", ".join(f"old_{name}, new_{name}" for name in _REFERENCES)
    connection.execute(
        f"insert into changes_{table.name} "
        f"select row_key, is_there, row_id is not null, old_at, new_at, {references}, old_day "
        "from differences"
    )


# --- findings ----------------------------------------------------------------------------------------------


def _replace_findings(connection: DuckDBPyConnection, table: Table) -> None:
    """Those of rows that are compared anew or gone make place; those of all other rows stay."""
    if scalar(connection, f"select exists (from raw.landing_findings where table_name = '{table.name}')"):
        _forget_findings(connection, table)
    _add_findings(connection, table)


def _forget_findings(connection: DuckDBPyConnection, table: Table) -> None:
    connection.execute(
        f"delete from raw.landing_findings where table_name = '{table.name}' and ("
        f"row_key in (select {table.key} from kept) or row_key in (select row_key from differences))"
    )


def _add_findings(connection: DuckDBPyConnection, table: Table) -> None:
    if scalar(connection, "select exists (from repeated)"):
        connection.execute(landing_sql.insert_duplicates(table))
    if scalar(connection, landing_sql.any_unusable(table)):
        connection.execute(landing_sql.insert_unusable(table))


# --- counts ------------------------------------------------------------------------------------------------


def count_tables(connection: DuckDBPyConnection, names: Sequence[str]) -> None:
    """Fill raw.landed_tables: of the whole of `raw`, whatever part of it this landing compared."""
    connection.execute("delete from raw.landed_tables")
    for name in names:
        connection.execute(
            f"""
insert into raw.landed_tables
select '{name}', landed + exact + conflicting, exact, conflicting, landed
from (
  select
    (select count(*) from raw.{name}) as landed,
    coalesce(sum(affected_rows) filter (where rule = 'exact_duplicate'), 0) as exact,
    coalesce(sum(affected_rows) filter (where rule = 'conflicting_duplicate'), 0) as conflicting
  from raw.landing_findings where table_name = '{name}'
)
"""
        )


def count_changes(connection: DuckDBPyConnection, table: Table) -> tuple[int, int, int]:
    """Rows that this landing added, changed and deleted; one that moved to another day is changed."""
    row = connection.execute(
        f"""
select
  count(*) filter (where not was_there),
  count(*) filter (where was_there and is_there),
  count(*) filter (where not is_there)
from (
  select row_key, bool_or(was_there) as was_there, bool_or(is_there) as is_there
  from changes_{table.name} group by row_key
)
"""
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1]), int(row[2])


def deleted_rows(connection: DuckDBPyConnection, table: Table) -> int:
    """Rows that this landing took away and did not put anywhere else."""
    return count_changes(connection, table)[2]


# --- days --------------------------------------------------------------------------------------------------


def count_days(
    connection: DuckDBPyConnection,
    number: int,
    *,
    is_first: bool,
    fingerprints: dict[str, dict[date, str | None]],
) -> None:
    """Bring raw.landed_days up to the rows of `raw` and to what the source said of them."""
    connection.execute(
        "create or replace temp table said (table_name varchar, day date, source_fingerprint varchar)"
    )
    said = [(name, day, text) for name, days in fingerprints.items() for day, text in days.items()]
    if said:
        connection.executemany("insert into said values (?, ?, ?)", said)
    for table in DAY_TABLES:
        if not is_first:
            connection.execute(_affected_days(table))
            days = [row[0] for row in connection.execute("select distinct day from affected").fetchall()]
            if not days:
                connection.execute(_say(table))
                continue
            ranges = [DayRange(day, date.fromordinal(day.toordinal() + 1)) for day in days]
        connection.execute(
            "create or replace temp table counted as select day, cast(sum(row_count) as bigint) as row_count "
            f"from ({_counts(connection, table, None if is_first else ranges)}) group by day"
        )
        if is_first:
            connection.execute(
                "create or replace temp table affected as select day, true as is_changed from counted"
            )
        connection.execute(_update_days(table), {"number": number})
        connection.execute(_say(table))


def _affected_days(table: Table) -> str:
    """Days whose rows changed, and of summaries also those whose jobs came, went or moved."""
    if table is not JOB_COST_SUMMARIES:
        return f"""
create or replace temp table affected as
select distinct cast(clock as date) as day, true as is_changed
from (select unnest([old_at, new_at]) as clock from changes_{table.name})
where clock is not null
"""
    return f"""
create or replace temp table affected as
with moved as (
  select row_key, old_at, new_at from changes_jobs
  where cast(old_at as date) is distinct from cast(new_at as date)
)
select day, bool_or(is_changed) as is_changed
from (
  select old_day as day, true as is_changed from changes_job_cost_summaries where was_there
  union all
  select cast(coalesce(jobs.created_at, changed.new_at, timestamp '{NO_DAY}') as date), true
  from changes_job_cost_summaries as changed left join named_jobs as jobs on jobs.job_id = changed.row_key
  where changed.is_there
  union all
  select cast(clock as date), false
  from (
    select unnest([moved.old_at, moved.new_at, coalesce(held.clock, timestamp '{NO_DAY}')]) as clock
    from moved inner join reached_job_cost_summaries as held on held.job_id = moved.row_key
  )
)
where day is not null
group by day
"""


def _counts(connection: DuckDBPyConnection, table: Table, ranges: Sequence[DayRange] | None) -> str:
    if table is not JOB_COST_SUMMARIES:
        condition = "true" if ranges is None else within("created_at", ranges)
        return (
            f"select cast(created_at as date) as day, count(*) as row_count from raw.{table.name} "
            f"where {condition} group by 1"
        )
    if ranges is None:
        own_day = days_of_jobs.own_day(table, "held.")
        return (
            f"select coalesce(cast(jobs.created_at as date), {own_day}) as day, count(*) as row_count "
            "from raw.job_cost_summaries as held left join raw.jobs as jobs on jobs.job_id = held.job_id "
            "group by 1"
        )
    jobs = f"(select * from raw.jobs where {within('created_at', ranges)})"
    of_jobs = days_of_jobs.days_of(connection, table, "select day from affected")
    held = f"(select * from raw.job_cost_summaries where {days_of_jobs.on_days(table, of_jobs)})"
    jobless = {day for day in days_of_jobs.jobless_days(connection, table) if contains(ranges, day)}
    alone = f"(select * from raw.job_cost_summaries where {days_of_jobs.on_days(table, jobless)})"
    return (
        "select cast(jobs.created_at as date) as day, count(*) as row_count "
        f"from {held} as held "
        f"inner join {jobs} as jobs on jobs.job_id = held.job_id group by 1 "
        f"union all select {days_of_jobs.own_day(table)}, count(*) from {alone} as held "
        "where held.job_id not in (select job_id from raw.jobs where job_id in "
        f"(select job_id from {alone})) group by 1"
    )


def _update_days(table: Table) -> str:
    """A day that only lost its last row keeps its line, with no rows."""
    return f"""
merge into raw.landed_days as known
using (
  select affected.day, affected.is_changed, coalesce(counted.row_count, 0) as row_count
  from affected left join counted on counted.day = affected.day
) as now
on known.table_name = '{table.name}' and known.day = now.day
when matched and (now.is_changed or known.row_count <> now.row_count) then update set
  row_count = now.row_count, landing_number = $number, source_fingerprint = null
when not matched and (now.is_changed or now.row_count > 0) then
  insert values ('{table.name}', now.day, now.row_count, null, $number)
"""


def _say(table: Table) -> str:
    return f"""
update raw.landed_days as known
set source_fingerprint = said.source_fingerprint
from said
where said.table_name = '{table.name}' and known.table_name = '{table.name}' and known.day = said.day
  and known.source_fingerprint is distinct from said.source_fingerprint
"""
