"""The same platform one day later: `python -m benchmarks.new_day --before DIR --out DIR`.

The new folder shares (as hard links) the files that did not change. Its `changes/<table>/` hold what came,
changed and went, in full rows, so that a PostgreSQL that holds the day before can be brought to the same
state (`benchmarks.load_postgres`).
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import platform_sql as sql
from benchmarks.platform import (
    CALLS_PER_DAY,
    Part,
    Platform,
    make_part,
    opened,
    part_path,
    quoted,
    read_platform,
    write_manifest,
    write_small_tables,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LATE_CHANGES = 2_000
CHANGED_DAYS = 7

# Of the late changes; the rest, a twentieth, are jobs that are deleted with all they had.
LATE_COMPLETIONS = 0.25
CORRECTED_COSTS = 0.40
FLIPPED_CREDITS = 0.25
DELETED_CALLS = 0.05
DELETED_JOBS = 0.05

# Each with its key; `jobs` first, so that rows of the others find their job.
CHANGING_TABLES = {
    "jobs": "job_id",
    "llm_calls": "call_id",
    "job_cost_summaries": "job_id",
    "credit_transactions": "transaction_id",
}
KINDS = ("added", "changed", "removed")


def add_day(
    before: Platform, folder: Path, *, calls: int = CALLS_PER_DAY, changes: int = LATE_CHANGES
) -> Platform:
    """Write the platform one day later into a folder that must not exist yet.

    `changes` rows of the last seven days change late; fewer where the platform has not so many.
    """
    folder.mkdir(parents=True)
    last = before.parts[-1]
    part = Part(last.number + 1, last.end_call, last.end_call + calls, last.end_day, 1)
    after = replace(before, folder=folder, parts=(*before.parts, part))
    with opened(before.plan) as connection:
        _read_before(connection, before)
        _make_changes(connection, before, after, changes)
        for table in CHANGING_TABLES:
            _write_changes(connection, folder, table)
            _write_table(connection, before, after, table)
        write_small_tables(connection, after)
        _write_changed_teams(connection, before, folder)
    write_manifest(after)
    return after


def changes_path(folder: Path, table: str, kind: str) -> Path:
    return folder / "changes" / table / f"{kind}.parquet"


# --- what changes ------------------------------------------------------------------------------------------


def _read_before(connection: "DuckDBPyConnection", before: Platform) -> None:
    """Views of the parts that can still change, and the balances."""
    for table in CHANGING_TABLES:
        paths = [part_path(before.folder, table, part.number) for part in _open_parts(before)]
        files = ", ".join(f"'{quoted(path)}'" for path in paths)
        connection.execute(f"create temp view before_{table} as from read_parquet([{files}])")
    teams = quoted(part_path(before.folder, "team_credits", 0))
    connection.execute(
        "create temp table balances as select team_id, credits_allocated, credits_used, updated_at, "
        f"last_refill_at from '{teams}'"
    )
    connection.execute(sql.NOTHING_PENDING)


def _open_parts(platform: Platform) -> list[Part]:
    first = (platform.known_until - timedelta(days=CHANGED_DAYS)).date()
    return [part for part in platform.parts if part.end_day > first]


def _make_changes(connection: "DuckDBPyConnection", before: Platform, after: Platform, changes: int) -> None:
    """The tables added_<table>, changed_<table> and removed_<table>, in the source's columns."""
    since, until = before.known_until, after.known_until
    for table in CHANGING_TABLES:
        for kind in KINDS:
            connection.execute(
                f"create temp table {kind}_{table} as {sql.as_source(table, f'before_{table}')} limit 0"
            )
    make_part(connection, before.parts[-1])
    # What ran over the end of the day before goes on.
    _insert(
        connection,
        "changed_jobs",
        f"({sql.jobs_known(until, since)})",
    )
    _insert_new_rows(connection, f">= timestamp '{since}'")
    connection.execute(
        f"insert into pending select {sql.LEDGER_COLUMNS} from part_charges where created_at >= '{since}'"
    )
    connection.execute(_late_changes(before, changes))

    part = after.parts[-1]
    make_part(connection, part)
    _insert(connection, "added_jobs", f"({sql.jobs_known(until)})")
    _insert_new_rows(connection, f"< timestamp '{until}'")
    connection.execute(sql.window_of_ledger(part.first_day.isoformat(), part.days))
    connection.execute(f"create temp table chained as {sql.chained('ledger_window', str(until))}")
    connection.execute(sql.MOVE_BALANCES)
    _insert(connection, "added_credit_transactions", "chained")


def _insert_new_rows(connection: "DuckDBPyConnection", when: str) -> None:
    _insert(connection, "added_llm_calls", f"(from part_calls where created_at {when})")
    _insert(connection, "added_job_cost_summaries", f"(from part_summaries where calculated_at {when})")


def _insert(connection: "DuckDBPyConnection", target: str, relation: str) -> None:
    table = target.partition("_")[2]
    connection.execute(f"insert into {target} {sql.as_source(table, relation)}")


def _late_changes(before: Platform, changes: int) -> str:
    """Completions, corrections, flips and deletions of rows that were settled when the day before ended."""
    until = before.known_until
    settled = (
        f"created_at >= timestamp '{until}' - interval {CHANGED_DAYS} day "
        f"and created_at < timestamp '{until}' - interval 6 hour"
    )

    def some(share: float, key: str) -> str:
        return f"order by hash({key}, {before.plan.seed}) limit {round(changes * share)}"

    return f"""
create temp table late_jobs as
select
  jobs.* exclude (completed_at),
  timestamp '{until}' + to_microseconds(cast(hash(job_id) % 80000000000 as bigint)) as completed_at,
  teams.budget_mode, teams.credits_per_dollar, teams.tokens_per_credit,
  teams.organization_id as team_organization_id
from (
  from before_jobs
  where {settled} and status = 'IN_PROGRESS'
  {some(LATE_COMPLETIONS, "job_id")}
) as jobs
inner join teams using (team_id);

create temp table late_summaries as
select
  late_jobs.job_id,
  count(calls.call_id) as total_calls,
  count(calls.call_id) - count(calls.error) as successful_calls,
  count(calls.error) as failed_calls,
  coalesce(sum(calls.total_tokens), 0) as total_tokens,
  coalesce(sum(calls.client_cost_usd), 0) as total_cost_usd,
  cast(floor(coalesce(avg(calls.latency_ms), 0)) as integer) as avg_latency_ms,
  cast(epoch(late_jobs.completed_at - late_jobs.created_at) as integer) as total_duration_seconds,
  late_jobs.completed_at + interval 2 millisecond as calculated_at
from late_jobs
left join before_llm_calls as calls using (job_id)
group by all;

insert into changed_jobs by name
select
  job_id, team_id, user_id, job_type, 'COMPLETED' as status, created_at, started_at, completed_at,
  error_message, organization_id, true as credit_applied
from late_jobs;

insert into added_job_cost_summaries by name
from late_summaries;

insert into pending by name
select
  id_of(cast(hash(job_id) >> 1 as bigint), 'late_id') as transaction_id, team_id,
  team_organization_id as organization_id, job_id, 'deduction' as transaction_type,
  {sql.CREDITS} as credits_amount,
  'Job ' || job_type || ' completed (' || budget_mode || ' mode: ' || {sql.CREDITS} || ' credits)' as reason,
  completed_at + interval 1 millisecond as created_at
from late_jobs
inner join late_summaries using (job_id);

-- a second completion clears the mark and writes no time
insert into changed_jobs
select * replace (false as credit_applied)
from before_jobs
where {settled} and status = 'COMPLETED' and credit_applied
{some(FLIPPED_CREDITS, "job_id")};

insert into changed_llm_calls
select * replace (
  input_cost_usd * 0.9 as input_cost_usd,
  output_cost_usd * 0.9 as output_cost_usd,
  provider_cost_usd * 0.9 as provider_cost_usd,
  client_cost_usd * 0.9 as client_cost_usd,
  cost_usd * 0.9 as cost_usd
)
from before_llm_calls
where {settled} and provider_cost_usd > 0
{some(CORRECTED_COSTS, "call_id")};

insert into removed_jobs
from before_jobs
where {settled} and status = 'FAILED'
  and job_id not in (select job_id from before_credit_transactions where job_id is not null)
{some(DELETED_JOBS, "job_id")};

insert into removed_llm_calls
from before_llm_calls where job_id in (select job_id from removed_jobs)
union all
(
  from before_llm_calls
  where {settled} and error is not null and job_id not in (select job_id from removed_jobs)
  {some(DELETED_CALLS, "call_id")}
);

delete from changed_llm_calls where call_id in (select call_id from removed_llm_calls);

insert into removed_job_cost_summaries
from before_job_cost_summaries where job_id in (select job_id from removed_jobs)
"""


# --- writing -----------------------------------------------------------------------------------------------


def _write_changes(connection: "DuckDBPyConnection", folder: Path, table: str) -> None:
    for kind in KINDS:
        path = changes_path(folder, table, kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        connection.execute(f"copy (from {kind}_{table}) to '{quoted(path)}' (format parquet)")


def _write_table(connection: "DuckDBPyConnection", before: Platform, after: Platform, table: str) -> None:
    """A file for what came, new files for the parts that changed, links to the others."""
    key = CHANGING_TABLES[table]
    open_parts = _open_parts(before) if table != "credit_transactions" else []
    (after.folder / table).mkdir()
    for part in before.parts:
        old, new = (part_path(platform.folder, table, part.number) for platform in (before, after))
        if part in open_parts:
            kept = f"select * from '{quoted(old)}' where {key} not in (select {key} from removed_{table})"
            changed = f"select {key} from changed_{table}"
            query = f"""
{kept} and {key} not in ({changed})
union all
from changed_{table} where {key} in (select {key} from '{quoted(old)}')
"""
            connection.execute(f"copy ({query}) to '{quoted(new)}' (format parquet)")
        else:
            os.link(old, new)
    new = part_path(after.folder, table, after.parts[-1].number)
    connection.execute(f"copy (from added_{table}) to '{quoted(new)}' (format parquet)")


def _write_changed_teams(connection: "DuckDBPyConnection", before: Platform, folder: Path) -> None:
    """The rows of team_credits that differ: the only small table that a day changes."""
    old, new = (quoted(part_path(place, "team_credits", 0)) for place in (before.folder, folder))
    path = changes_path(folder, "team_credits", "changed")
    path.parent.mkdir(parents=True)
    connection.execute(f"copy (from '{new}' except from '{old}') to '{quoted(path)}' (format parquet)")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.new_day", description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="a folder that benchmarks.platform wrote")
    parser.add_argument("--out", type=Path, required=True, help="a folder that does not exist yet")
    parser.add_argument("--calls", type=int, default=CALLS_PER_DAY)
    parser.add_argument("--changes", type=int, default=LATE_CHANGES)
    given = parser.parse_args(arguments)
    after = add_day(read_platform(given.before), given.out, calls=given.calls, changes=given.changes)
    print(f"{given.out}: known until {after.known_until} UTC")


if __name__ == "__main__":
    main()
