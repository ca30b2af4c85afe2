"""On which days the rows of jobs lie, so that those of a few jobs are found without looking at all.

`raw.days_of_jobs` has each pair of a job's day and the day of a row that names the job, and null for the day
of a job that is not there. A pair stays when its last row goes: it says where to look, not what is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

from flows.landing_scope import DAY, ranges_of, within
from flows.landing_store import scalar
from flows.source_schema import CREDIT_TRANSACTIONS, JOB_COST_SUMMARIES, LLM_CALLS, NO_DAY, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OF_JOBS = (LLM_CALLS, CREDIT_TRANSACTIONS, JOB_COST_SUMMARIES)


def relate_all(connection: DuckDBPyConnection) -> None:
    """Fill raw.days_of_jobs from all rows."""
    connection.execute(
        "create or replace table raw.days_of_jobs (table_name varchar, job_day date, day date)"
    )
    for table in OF_JOBS:
        connection.execute(
            "insert into raw.days_of_jobs "
            f"select distinct '{table.name}', cast(jobs.created_at as date), {own_day(table, 'facts.')} "
            f"from raw.{table.name} as facts left join raw.jobs as jobs on jobs.job_id = facts.job_id "
            "where facts.job_id is not null order by all"
        )


def has_pairs(connection: DuckDBPyConnection) -> bool:
    """Whether raw.days_of_jobs is there; landings of an earlier release have none."""
    return bool(
        scalar(
            connection,
            "select count(*) from duckdb_tables() where schema_name = 'raw' and table_name = 'days_of_jobs'",
        )
    )


def relate_changed(connection: DuckDBPyConnection) -> None:
    """Find what this landing's changes reach, and add the pairs that are new.

    `named_jobs`: the jobs that changed rows of other tables name, as they are now. `reached_<table>`: the
    rows of those jobs and of the changed ones, with the day of the table's own clock.
    """
    ids = " union ".join(
        f"select unnest([old_job_id, new_job_id]) as job_id from changes_{table.name}" for table in OF_JOBS
    )
    find_jobs(connection, "named_jobs", f"({ids})", _changed_days(connection))
    for table in OF_JOBS:
        _reach(connection, table)
        connection.execute(
            f"""
insert into raw.days_of_jobs
select '{table.name}', job_day, day
from (
  select cast(jobs.created_at as date) as job_day, {_own_day_of("changed.new_at")} as day
  from changes_{table.name} as changed left join named_jobs as jobs on jobs.job_id = changed.new_job_id
  where changed.is_there and changed.new_job_id is not null
  union
  select case when changed.is_there then cast(changed.new_at as date) end, reached.day
  from reached_{table.name} as reached inner join changes_jobs as changed on changed.row_key = reached.job_id
)
except
from raw.days_of_jobs
order by all
"""
        )


def find_jobs(connection: DuckDBPyConnection, target: str, ids: str, days: Iterable[date]) -> None:
    """`target`: which jobs of a relation of ids are there, and since when; likely ones are of these days."""
    connection.execute(
        f"create or replace temp table wanted as select distinct job_id from {ids} where job_id is not null"
    )
    found = "select job_id, created_at from raw.jobs where job_id in (from wanted)"
    connection.execute(
        f"create or replace temp table {target} as {found} and {within('created_at', ranges_of(days))}"
    )
    connection.execute(
        f"delete from wanted where job_id in (select job_id from {target}) or job_id in "
        "(select row_key from changes_jobs group by row_key having not bool_or(is_there))"
    )
    if scalar(connection, "select exists (from wanted)"):
        connection.execute(f"insert into {target} {found}")


def likely_days(connection: DuckDBPyConnection, clocks: str) -> set[date]:
    """Days on which a job may have been created that a row of one of these moments names."""
    rows = connection.execute(
        f"""
with days as (select distinct {_own_day_of("clock")} as day from {clocks})
select day from days
union
select job_day from raw.days_of_jobs where day in (from days) and job_day is not null
"""
    ).fetchall()
    days = {day for (day,) in rows}
    # A row that is new may be the first one of its day that names a job of the day before.
    return days | {day - DAY for day in days if day > date.min}


def days_of(connection: DuckDBPyConnection, table: Table, job_days: str) -> set[date]:
    """Days, by its own clock, on which the table may have rows of jobs of these days (a query)."""
    rows = connection.execute(
        f"select distinct day from raw.days_of_jobs where table_name = '{table.name}' "
        f"and job_day in ({job_days})"
    ).fetchall()
    return {day for (day,) in rows}


def jobless_days(connection: DuckDBPyConnection, table: Table) -> set[date]:
    """Days, by its own clock, on which the table may have rows that name a job that is not there."""
    rows = connection.execute(
        f"select day from raw.days_of_jobs where table_name = '{table.name}' and job_day is null"
    ).fetchall()
    return {day for (day,) in rows}


def on_days(table: Table, days: Iterable[date]) -> str:
    """The condition that the table's own clock says one of the days; blocks of other days are not read."""
    days = set(days)
    condition = within(table.created_by, ranges_of(days))
    return f"({condition} or {table.created_by} is null)" if NO_DAY in days else condition


def own_day(table: Table, prefix: str = "") -> str:
    """The day of the table's own clock."""
    return _own_day_of(f"{prefix}{table.created_by}")


def _own_day_of(clock: str) -> str:
    return f"cast(coalesce({clock}, timestamp '{NO_DAY}') as date)"


def _changed_days(connection: DuckDBPyConnection) -> set[date]:
    clocks = " union ".join(
        f"select unnest([old_at, new_at]) as clock from changes_{table.name}" for table in OF_JOBS
    )
    jobs = connection.execute(
        "select distinct cast(new_at as date) from changes_jobs where is_there"
    ).fetchall()
    return likely_days(connection, f"({clocks})") | {day for (day,) in jobs}


def _reach(connection: DuckDBPyConnection, table: Table) -> None:
    job_days = (
        "select cast(old_at as date) from changes_jobs where was_there "
        "union select cast(created_at as date) from named_jobs"
    )
    days = days_of(connection, table, job_days)
    changed = connection.execute(
        f"select distinct {_own_day_of('new_at')} from changes_{table.name} where is_there"
    ).fetchall()
    days |= {day for (day,) in changed}
    if scalar(connection, "select exists (from changes_jobs where not was_there)"):
        days |= jobless_days(connection, table)
    connection.execute(
        f"create or replace temp table reached_{table.name} as "
        f"select job_id, {table.created_by} as clock, {own_day(table)} as day from raw.{table.name} "
        "where job_id in (select row_key from changes_jobs union all select job_id from named_jobs) "
        f"and {on_days(table, days)}"
    )
