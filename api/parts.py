"""What the figures of a period are made of: teams, job types, models, classes of errors.

The platform's and a team's parts come from their marts. An organization's are counted from the facts by the
organization that each row belongs to, since a team may have been another one's before.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api import trends
from api.access import team_filter
from api.answers import Number
from api.nights import Night
from api.periods import AskedPeriod
from api.scopes import of_scope
from flows.review_scopes import PLATFORM, Scope


class TeamRow(BaseModel):
    """A team's part; costs are the client's, null where none is known."""

    team_id: str
    organization_id: str | None
    jobs: int
    completed_jobs: int
    failed_jobs: int
    failure_rate: Number | None
    calls: int
    failed_calls: int
    total_tokens: int | None
    cost_usd: Number | None
    credits_used: int


class JobTypeRow(BaseModel):
    """A job type's part; `count` is jobs, as on the page."""

    job_type: str
    count: int
    completed_jobs: int
    failed_jobs: int
    failure_rate: Number | None
    calls: int
    cost_usd: Number | None


class ModelRow(BaseModel):
    """A model's part with latencies of single calls in milliseconds; `team_id` is null of all teams."""

    team_id: str | None
    model_group: str
    model: str
    calls: int
    failed_calls: int
    failure_rate: Number | None
    total_tokens: int | None
    cost_usd: Number | None
    latency_avg_ms: Number | None
    latency_p50_ms: Number | None
    latency_p95_ms: Number | None
    latency_p99_ms: Number | None
    latency_max_ms: Number | None


class ErrorRow(BaseModel):
    """A class of errors; `wasted_cost_usd` is the client cost of the calls of jobs that failed so."""

    error_class: str
    failed_jobs: int
    failed_calls: int
    wasted_cost_usd: Number | None


# Jobs, calls and credits of an organization by one column that all three facts have.
_PARTS = """
with
jobs as (
    select
        {part} as part,
        count(*) as jobs,
        count(case when outcome = 'completed' then 1 end) as completed_jobs,
        count(case when outcome = 'failed' then 1 end) as failed_jobs,
        count(case when outcome = 'cancelled' then 1 end) as cancelled_jobs
    from warehouse.marts.fct_jobs
    where organization_id = ? and job_date >= ? and job_date < ?
    group by 1
),

calls as (
    select
        {part} as part,
        count(*) as calls,
        count(case when is_failed then 1 end) as failed_calls,
        sum(total_tokens) as total_tokens,
        sum(client_cost_usd) as cost_usd
    from warehouse.marts.fct_llm_calls
    where organization_id = ? and call_date >= ? and call_date < ?
    group by 1
),

credits as (
    select
        {part} as part,
        sum(case when movement in ('deduction', 'refund') then -credits_signed else 0 end) as credits_used
    from warehouse.marts.fct_credit_transactions
    where organization_id = ? and transaction_date >= ? and transaction_date < ?
    group by 1
),

parts as (
    select part from jobs
    union
    select part from calls
    union
    select part from credits
)

select
    parts.part as {part},
    coalesce(jobs.jobs, 0) as jobs,
    coalesce(jobs.completed_jobs, 0) as completed_jobs,
    coalesce(jobs.failed_jobs, 0) as failed_jobs,
    coalesce(jobs.cancelled_jobs, 0) as cancelled_jobs,
    coalesce(calls.calls, 0) as calls,
    coalesce(calls.failed_calls, 0) as failed_calls,
    cast(case when calls.part is null then 0 else calls.total_tokens end as bigint) as total_tokens,
    cast(case when calls.part is null then 0 else calls.cost_usd end as numeric(28, 8)) as cost_usd,
    cast(coalesce(credits.credits_used, 0) as bigint) as credits_used
from parts
left join jobs on jobs.part = parts.part
left join calls on calls.part = parts.part
left join credits on credits.part = parts.part
order by jobs desc, calls desc, parts.part
"""


def teams(night: Night, scope: Scope, asked: AskedPeriod) -> list[dict[str, Any]]:
    """The scope's teams with any activity in the period, the busiest first."""
    if scope.kind == "organization":
        return [
            {"team_id": row["team_id"], "organization_id": scope.id}
            | _named(row, "jobs", "completed_jobs", "failed_jobs")
            | {"failure_rate": _failure_rate(row)}
            | _named(row, "calls", "failed_calls", "total_tokens", "cost_usd", "credits_used")
            for row in _organization_parts(night, scope, asked, "team_id")
        ]
    condition, parameters = team_filter(night, scope, "usage.team_id")
    return night.rows(
        f"""
        select
            usage.team_id,
            teams.organization_id,
            usage.job_count as jobs,
            usage.completed_job_count as completed_jobs,
            usage.failed_job_count as failed_jobs,
            usage.failure_rate,
            usage.call_count as calls,
            usage.failed_call_count as failed_calls,
            usage.total_tokens,
            usage.client_cost_usd as cost_usd,
            usage.credits_used
        from warehouse.marts.team_usage_{asked.grain} as usage
        left join warehouse.marts.dim_teams as teams on teams.team_id = usage.team_id
        where usage.period_start_date = ? and {condition}
        order by usage.job_count desc, usage.call_count desc, usage.team_id
        """,
        [asked.start_date, *parameters],
    )


def job_types(night: Night, scope: Scope, asked: AskedPeriod) -> list[dict[str, Any]]:
    """The scope's job types in the period, the commonest first."""
    if scope.kind == "organization":
        rows = [
            row for row in _organization_parts(night, scope, asked, "job_type") if row["jobs"] or row["calls"]
        ]
    else:
        condition, parameters = team_filter(night, scope)
        rows = night.rows(
            f"""
            select
                job_type,
                cast(sum(job_count) as bigint) as jobs,
                cast(sum(completed_job_count) as bigint) as completed_jobs,
                cast(sum(failed_job_count) as bigint) as failed_jobs,
                cast(sum(cancelled_job_count) as bigint) as cancelled_jobs,
                cast(sum(call_count) as bigint) as calls,
                -- the 0 of a row without calls is nothing known of the calls of the others
                cast(
                    case
                        when sum(call_count) = 0 then 0
                        else sum(case when call_count > 0 then client_cost_usd end)
                    end as numeric(28, 8)
                ) as cost_usd
            from warehouse.marts.job_type_usage_{asked.grain}
            where period_start_date = ? and {condition}
            group by job_type
            having sum(job_count) > 0 or sum(call_count) > 0
            order by jobs desc, calls desc, job_type
            """,
            [asked.start_date, *parameters],
        )
    return [
        {
            "job_type": row["job_type"],
            "count": row["jobs"],
            "completed_jobs": row["completed_jobs"],
            "failed_jobs": row["failed_jobs"],
            "failure_rate": _failure_rate(row),
            "calls": row["calls"],
            "cost_usd": row["cost_usd"],
        }
        for row in rows
    ]


def models(night: Night, scope: Scope, asked: AskedPeriod) -> list[dict[str, Any]]:
    """The scope's models in the period, the most called first: of the platform, else of each team."""
    mart, team = ("model_performance", "null") if scope == PLATFORM else ("model_usage", "team_id")
    condition, parameters = ("true", list[Any]()) if scope == PLATFORM else team_filter(night, scope)
    return night.rows(
        f"""
        select
            {team} as team_id,
            model_group,
            model,
            call_count as calls,
            failed_call_count as failed_calls,
            call_failure_rate as failure_rate,
            total_tokens,
            client_cost_usd as cost_usd,
            latency_avg_ms,
            latency_p50_ms,
            latency_p95_ms,
            latency_p99_ms,
            latency_max_ms
        from warehouse.marts.{mart}_{asked.grain}
        where period_start_date = ? and {condition}
        order by call_count desc, model_group, model, 1
        """,
        [asked.start_date, *parameters],
    )


# As the marts count them: failed jobs by the job's clock, failed calls by the call's; wasted is the cost of
# the calls of failed jobs, by the call's clock and the job's class.
_ERRORS = """
with
jobs as (
    select job_id, error_class, job_date
    from warehouse.marts.fct_jobs
    where {condition} and outcome = 'failed'
),

calls as (
    select job_id, error_class, is_failed, is_of_failed_job, client_cost_usd
    from warehouse.marts.fct_llm_calls
    where {condition} and call_date >= ? and call_date < ?
),

failures as (
    select
        error_class,
        1 as failed_jobs,
        0 as failed_calls,
        0 as wasted_calls,
        cast(null as numeric(28, 8)) as cost_usd
    from jobs
    where job_date >= ? and job_date < ?

    union all

    select
        error_class,
        0 as failed_jobs,
        1 as failed_calls,
        0 as wasted_calls,
        cast(null as numeric(28, 8)) as cost_usd
    from calls
    where is_failed

    union all

    select
        jobs.error_class,
        0 as failed_jobs,
        0 as failed_calls,
        1 as wasted_calls,
        calls.client_cost_usd as cost_usd
    from calls
    inner join jobs on jobs.job_id = calls.job_id
    where calls.is_of_failed_job
)

select
    error_class,
    cast(sum(failed_jobs) as bigint) as failed_jobs,
    cast(sum(failed_calls) as bigint) as failed_calls,
    cast(case when sum(wasted_calls) = 0 then 0 else sum(cost_usd) end as numeric(28, 8)) as wasted_cost_usd
from failures
group by error_class
order by failed_jobs desc, failed_calls desc, error_class
"""


def errors(night: Night, scope: Scope, asked: AskedPeriod) -> list[dict[str, Any]]:
    """The scope's failures by class in the period, the commonest first."""
    if scope.kind == "organization":
        return _errors_of_facts(night, scope, asked)
    condition, parameters = team_filter(night, scope)
    rows = night.rows(
        f"""
        select
            error_class,
            cast(sum(failed_job_count) as bigint) as failed_jobs,
            cast(sum(failed_call_count) as bigint) as failed_calls,
            cast(sum(wasted_cost_usd) as numeric(28, 8)) as wasted_cost_usd,
            count(*) > count(wasted_cost_usd) as has_unknown
        from warehouse.marts.error_breakdown_{asked.grain}
        where period_start_date = ? and {condition}
        group by error_class
        order by failed_jobs desc, failed_calls desc, error_class
        """,
        [asked.start_date, *parameters],
    )
    # whether the 0 of a part is a cost, or stands for no calls, the facts alone know
    if any(row.pop("has_unknown") and row["wasted_cost_usd"] == 0 for row in rows):
        return _errors_of_facts(night, scope, asked)
    return rows


def _errors_of_facts(night: Night, scope: Scope, asked: AskedPeriod) -> list[dict[str, Any]]:
    condition, parameters = of_scope(scope)
    days = [asked.start_date, asked.end_date]
    return night.rows(_ERRORS.format(condition=condition), [*parameters, *parameters, *days, *days])


def _organization_parts(night: Night, scope: Scope, asked: AskedPeriod, part: str) -> list[dict[str, Any]]:
    days = [scope.id, asked.start_date, asked.end_date]
    return night.rows(_PARTS.format(part=part), [*days, *days, *days])


def _failure_rate(row: dict[str, Any]) -> Any:
    """Failed of finished jobs."""
    finished = row["completed_jobs"] + row["failed_jobs"] + row["cancelled_jobs"]
    return trends.share(row["failed_jobs"], finished)


def _named(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}
