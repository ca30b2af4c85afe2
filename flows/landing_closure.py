"""Which UTC days' facts a landing touches: the days of what changed, and of all that refers to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.landing_changes import jobs_before
from flows.landing_scope import ranges_of, within
from flows.landing_store import scalar
from flows.source_schema import CREDIT_TRANSACTIONS, JOBS, LLM_CALLS

if TYPE_CHECKING:
    from datetime import date

    from duckdb import DuckDBPyConnection

_FACTS = (JOBS, LLM_CALLS, CREDIT_TRANSACTIONS)
# What refers to a job, and lies on a day of its own.
_OF_JOBS = (LLM_CALLS, CREDIT_TRANSACTIONS)

# What decides how a call of an alias is counted.
_ALIAS = "model_alias, provider, actual_model"
_VERSION = (
    "team_id, organization_id, budget_mode, cost_markup_percentage, credits_per_dollar, tokens_per_credit, "
    "credit_limit, status, valid_from"
)


def remember_before(connection: DuckDBPyConnection) -> None:
    """Keep aside, before anything is replaced, what the closure compares with."""
    connection.execute(
        f"create or replace temp table aliases_before as select {_ALIAS} from raw.model_aliases"
    )
    has_versions = scalar(
        connection,
        "select count(*) from duckdb_tables() where schema_name = 'raw' and table_name = 'team_versions'",
    )
    connection.execute(
        f"create or replace temp table versions_before as select {_VERSION} from raw."
        + (
            "team_versions"
            if has_versions
            else "team_credits, (select null::timestamp as valid_from) limit 0"
        )
    )


def relate_all(connection: DuckDBPyConnection) -> None:
    """Fill raw.related_days from all rows."""
    pairs = " union ".join(_pairs(table.name, "true") for table in _OF_JOBS)
    connection.execute("delete from raw.related_days")
    connection.execute(f"insert into raw.related_days select distinct * from ({pairs}) order by all")


def touch_all(connection: DuckDBPyConnection, number: int) -> None:
    """Every day that has a fact."""
    days = " union ".join(f"select cast(created_at as date) as day from raw.{table.name}" for table in _FACTS)
    connection.execute(f"insert into raw.touched_days select ?, day from ({days}) order by day", [number])


def touch_changed(connection: DuckDBPyConnection, number: int) -> None:
    """Relate and touch the days that this landing's changes reach."""
    _relate_changed(connection)
    connection.execute("create or replace temp table touched (day date)")
    for table in _FACTS:
        _touch(
            connection,
            "select cast(clock as date) as day "
            f"from (select unnest([old_at, new_at]) as clock from changes_{table.name})",
        )
    # The models pair a call with one up to a second later.
    _touch(
        connection,
        "select cast(clock + interval 1 second as date) as day "
        "from (select unnest([old_at, new_at]) as clock from changes_llm_calls)",
    )
    _touch_what_refers(connection)
    _touch_teams(connection)
    _touch_aliases(connection)
    connection.execute(
        "insert into raw.touched_days select distinct ?, day from touched where day is not null order by day",
        [number],
    )


def touched_days(connection: DuckDBPyConnection, number: int) -> tuple[date, ...]:
    rows = connection.execute(
        "select distinct day from raw.touched_days where landing_number = ? order by day", [number]
    ).fetchall()
    return tuple(day for (day,) in rows)


def _touch(connection: DuckDBPyConnection, days: str) -> None:
    connection.execute(f"insert into touched select distinct day from ({days})")


def _touch_what_refers(connection: DuckDBPyConnection) -> None:
    # Of jobs that other changed rows name, the rest of their rows too: a failed job's class, which is that of
    # its last failed call, is what its calls are wasted for; its deductions are told apart by their order.
    for table in _OF_JOBS:
        _touch(connection, f"select day from reached_{table.name}")
    _touch(connection, "select cast(created_at as date) as day from named_jobs")


def _touch_teams(connection: DuckDBPyConnection) -> None:
    """The days of teams whose history changed, from there on; all those that the ledger may reassign."""
    connection.execute(
        f"""
create or replace temp table changed_teams as
select team_id, min(valid_from) as changed_from
from (
  (select {_VERSION} from raw.team_versions except select {_VERSION} from versions_before)
  union all
  (select {_VERSION} from versions_before except select {_VERSION} from raw.team_versions)
)
group by team_id
"""
    )
    # A team whose every version, before and now, names an organization needs no ledger row to say it.
    connection.execute(
        """
create or replace temp table unsaid as
select * from (
  select
    unnest([old_team_id, new_team_id]) as team_id,
    coalesce(old_organization_id, new_organization_id) is not null as names_one
  from changes_credit_transactions
)
where team_id is not null and team_id not in (
  select team_id
  from (
    select team_id, organization_id from raw.team_versions
    union all
    select team_id, organization_id from versions_before
  )
  group by team_id
  having count(*) = count(organization_id)
)
"""
    )
    # Of the others, a row that names one counts; another row only where it can change the order of two rows
    # of one instant, which follows the balance, and these name different ones.
    connection.execute(
        """
insert into changed_teams
select team_id, timestamp '0001-01-01'
from (
  select team_id from unsaid where names_one
  union
  select team_id
  from raw.credit_transactions
  where team_id in (select team_id from unsaid)
  group by team_id, created_at
  having count(distinct organization_id) > 1
)
"""
    )
    if not scalar(connection, "select exists (from changed_teams)"):
        return
    connection.execute(
        "create or replace temp table changed_teams as "
        "select team_id, min(changed_from) as changed_from from changed_teams group by team_id"
    )
    start = "date_trunc('day', changed_teams.changed_from)"
    for table in (JOBS, CREDIT_TRANSACTIONS):
        _touch(
            connection,
            f"select cast(facts.created_at as date) as day from raw.{table.name} as facts "
            f"inner join changed_teams on changed_teams.team_id = facts.team_id "
            f"where facts.created_at >= {start}",
        )
    _touch(
        connection,
        "select cast(calls.created_at as date) as day from raw.llm_calls as calls "
        "inner join raw.jobs as jobs on jobs.job_id = calls.job_id "
        "inner join changed_teams on changed_teams.team_id = jobs.team_id "
        f"where greatest(calls.created_at, jobs.created_at) >= {start}",
    )


def _touch_aliases(connection: DuckDBPyConnection) -> None:
    connection.execute(
        f"""
create or replace temp table changed_aliases as
select distinct model_alias
from (
  (select {_ALIAS} from raw.model_aliases except select {_ALIAS} from aliases_before)
  union all
  (select {_ALIAS} from aliases_before except select {_ALIAS} from raw.model_aliases)
)
"""
    )
    if scalar(connection, "select exists (from changed_aliases)"):
        _touch(
            connection,
            "select cast(created_at as date) as day from raw.llm_calls "
            "where resolved_model in (from changed_aliases) or model_group_used in (from changed_aliases)",
        )


# --- related days ------------------------------------------------------------------------------------------


def _pairs(name: str, condition: str) -> str:
    return (
        "select cast(jobs.created_at as date) as day, cast(facts.created_at as date) as related_day "
        f"from raw.{name} as facts inner join raw.jobs as jobs on jobs.job_id = facts.job_id "
        f"where {condition}"
    )


def _relate_changed(connection: DuckDBPyConnection) -> None:
    """Add the pairs of rows that are new, and take away those that no row makes any more."""
    new, old = [], []
    moved = "(not {0}.is_there or cast({0}.old_at as date) <> cast({0}.new_at as date))"
    for table in _OF_JOBS:
        new.append(
            "select cast(changed.new_at as date) as day, reached.day as related_day "
            f"from reached_{table.name} as reached inner join changes_jobs as changed "
            "on changed.row_key = reached.job_id where changed.is_there"
        )
        new.append(
            "select cast(jobs.created_at as date) as day, cast(changed.new_at as date) as related_day "
            f"from changes_{table.name} as changed "
            "inner join named_jobs as jobs on jobs.job_id = changed.new_job_id where changed.is_there"
        )
        old.append(
            "select cast(jobs.created_at as date) as day, cast(changed.old_at as date) as related_day "
            f"from changes_{table.name} as changed "
            f"inner join {jobs_before('named_jobs')} as jobs on jobs.job_id = changed.old_job_id "
            f"where changed.was_there and ({moved.format('changed')} "
            "or changed.old_job_id is distinct from changed.new_job_id)"
        )
        old.append(
            "select cast(gone.old_at as date) as day, reached.day as related_day "
            f"from reached_{table.name} as reached inner join changes_jobs as gone "
            f"on gone.row_key = reached.job_id where gone.was_there and {moved.format('gone')}"
        )
    connection.execute(
        "insert into raw.related_days select day, related_day from "
        f"({' union '.join(new)}) except from raw.related_days order by all"
    )
    connection.execute(f"create or replace temp table doubtful as {' union '.join(old)}")
    if not scalar(connection, "select exists (from doubtful)"):
        return
    days, related = (
        ranges_of(row[0] for row in connection.execute(f"select {name} from doubtful").fetchall())
        for name in ("day", "related_day")
    )
    still = " union ".join(
        _pairs(table.name, f"{within('jobs.created_at', days)} and {within('facts.created_at', related)}")
        for table in _OF_JOBS
    )
    connection.execute(
        f"delete from raw.related_days where (day, related_day) in (from doubtful except ({still}))"
    )
