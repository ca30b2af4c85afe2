"""What the figures of a period are made of: teams, job types, models, classes of errors.

The platform's and a team's parts come from their marts. An organization's are counted from the facts by the
organization that each row belongs to, since a team may have been another one's before.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from api.access import team_filter
from api.answers import Number
from api.nights import Night
from api.periods import AskedPeriod
from api.scopes import of_scope
from flows.organization_parts import organization_models, organization_parts, ratio
from flows.review_scopes import PLATFORM, Scope

_FINISHED = "sum(completed_job_count + failed_job_count + cancelled_job_count)"


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
    """A model's part, with latencies of single successful calls in milliseconds."""

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


def teams(night: Night, scope: Scope, asked: AskedPeriod) -> list[dict[str, Any]]:
    """The scope's teams with any activity in the period, the busiest first."""
    if scope.kind == "organization":
        return [
            {
                "team_id": row["team_id"],
                "organization_id": scope.id,
                "jobs": row["job_count"],
                "completed_jobs": row["completed_job_count"],
                "failed_jobs": row["failed_job_count"],
                "failure_rate": row["failure_rate"],
                "calls": row["call_count"],
                "failed_calls": row["failed_call_count"],
                "total_tokens": row["total_tokens"],
                "cost_usd": row["client_cost_usd"],
                "credits_used": row["credits_used"],
            }
            for row in parts_of_organization(night, scope, asked, "team_id")
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
        found = parts_of_organization(night, scope, asked, "job_type")
        rows = [row for row in found if row["job_count"] or row["call_count"]]
    else:
        condition, parameters = team_filter(night, scope)
        rows = night.rows(
            f"""
            select
                job_type,
                cast(sum(job_count) as bigint) as job_count,
                cast(sum(completed_job_count) as bigint) as completed_job_count,
                cast(sum(failed_job_count) as bigint) as failed_job_count,
                {ratio("sum(failed_job_count)", _FINISHED)} as failure_rate,
                cast(sum(call_count) as bigint) as call_count,
                -- the 0 of a row without calls is nothing known of the calls of the others
                cast(
                    case
                        when sum(call_count) = 0 then 0
                        else sum(case when call_count > 0 then client_cost_usd end)
                    end as numeric(28, 8)
                ) as client_cost_usd
            from warehouse.marts.job_type_usage_{asked.grain}
            where period_start_date = ? and {condition}
            group by job_type
            having sum(job_count) > 0 or sum(call_count) > 0
            order by job_count desc, call_count desc, job_type
            """,
            [asked.start_date, *parameters],
        )
    return [
        {
            "job_type": row["job_type"],
            "count": row["job_count"],
            "completed_jobs": row["completed_job_count"],
            "failed_jobs": row["failed_job_count"],
            "failure_rate": row["failure_rate"],
            "calls": row["call_count"],
            "cost_usd": row["client_cost_usd"],
        }
        for row in rows
    ]


def models(night: Night, scope: Scope, asked: AskedPeriod) -> list[dict[str, Any]]:
    """The scope's models in the period, the most called first."""
    if scope.kind == "organization":
        sql, parameters = organization_models(scope.id, asked.start_date, asked.end_date)
        return night.rows(
            f"select * from ({sql}) as models order by calls desc, model_group, model", parameters
        )
    mart = "model_performance" if scope == PLATFORM else "model_usage"
    condition, parameters = team_filter(night, scope)
    return night.rows(
        f"""
        select
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
        order by call_count desc, model_group, model
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


def parts_of_organization(
    night: Night, scope: Scope, asked: AskedPeriod, part: Literal["team_id", "job_type"]
) -> list[dict[str, Any]]:
    """An organization's teams or job types with any row in the period, the busiest first."""
    sql, parameters = organization_parts(part, scope.id, asked.start_date, asked.end_date)
    return night.rows(
        f"select * from ({sql}) as parts order by job_count desc, call_count desc, {part}", parameters
    )
