"""What an organization's figures of some days are made of: teams, job types, models.

Counted from the facts by the organization that each row belongs to: the marts of teams and job types have
none, and a team that moved has rows of two organizations in them.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Literal


def ratio(numerator: str, denominator: str, places: int = 6) -> str:
    """Two whole numbers divided in SQL as the marts divide: half away from zero, null of nothing.

    Through whole numbers: neither engine divides decimals exactly.
    """
    scaled, divisor = f"({2 * 10**places} * {numerator} + {denominator})", f"nullif(2 * {denominator}, 0)"
    quotient = f"cast(({scaled} - {scaled} % {divisor}) / {divisor} as numeric(18, 0))"
    unit = f"cast({10**-places:.{places}f} as numeric({places + 1}, {places}))"
    return f"cast({quotient} * {unit} as numeric(18, {places}))"


def latency(fraction: float) -> str:
    """A percentile of the latencies of successful calls in SQL, in milliseconds, as the marts have it.

    By way of text: cast to a decimal, a double of PostgreSQL keeps 15 digits (macro `percentile`).
    """
    found = f"percentile_cont({fraction}) within group (order by case when not is_failed then latency_ms end)"
    return f"cast(cast({found} as varchar) as numeric(18, 3))"


_PARTS = """
select
    parts.part as {part},
    coalesce(jobs.job_count, 0) as job_count,
    coalesce(jobs.completed_job_count, 0) as completed_job_count,
    coalesce(jobs.failed_job_count, 0) as failed_job_count,
    {failure_rate} as failure_rate,
    coalesce(calls.call_count, 0) as call_count,
    coalesce(calls.failed_call_count, 0) as failed_call_count,
    cast(case when calls.part is null then 0 else calls.total_tokens end as bigint) as total_tokens,
    cast(
        case when calls.part is null then 0 else calls.client_cost_usd end as numeric(28, 8)
    ) as client_cost_usd,
    calls.latency_p95_ms,
    cast(coalesce(credits.credits_used, 0) as bigint) as credits_used
from (
    select {part} as part from warehouse.marts.fct_jobs
    where organization_id = ? and job_date >= ? and job_date < ?

    union

    select {part} as part from warehouse.marts.fct_llm_calls
    where organization_id = ? and call_date >= ? and call_date < ?

    union

    select {part} as part from warehouse.marts.fct_credit_transactions
    where organization_id = ? and transaction_date >= ? and transaction_date < ?
) as parts
left join (
    select
        {part} as part,
        count(*) as job_count,
        count(case when outcome = 'completed' then 1 end) as completed_job_count,
        count(case when outcome = 'failed' then 1 end) as failed_job_count,
        count(case when outcome in ('completed', 'failed', 'cancelled') then 1 end) as finished_job_count
    from warehouse.marts.fct_jobs
    where organization_id = ? and job_date >= ? and job_date < ?
    group by 1
) as jobs
    on parts.part = jobs.part
left join (
    select
        {part} as part,
        count(*) as call_count,
        count(case when is_failed then 1 end) as failed_call_count,
        sum(total_tokens) as total_tokens,
        sum(client_cost_usd) as client_cost_usd,
        {latency_p95} as latency_p95_ms
    from warehouse.marts.fct_llm_calls
    where organization_id = ? and call_date >= ? and call_date < ?
    group by 1
) as calls
    on parts.part = calls.part
left join (
    select
        {part} as part,
        sum(case when movement in ('deduction', 'refund') then -credits_signed else 0 end) as credits_used
    from warehouse.marts.fct_credit_transactions
    where organization_id = ? and transaction_date >= ? and transaction_date < ?
    group by 1
) as credits
    on parts.part = credits.part
"""


def organization_parts(
    part: Literal["team_id", "job_type"], organization_id: str, start_date: date, end_date: date
) -> tuple[str, list[Any]]:
    """A query with one row per part with any row in these local days (half-open), and its parameters.

    Columns are named as in the usage marts; what is not known is null, of nothing a sum is 0.
    """
    sql = _PARTS.format(
        part=part,
        failure_rate=ratio("jobs.failed_job_count", "jobs.finished_job_count"),
        latency_p95=latency(0.95),
    )
    return sql, 6 * [organization_id, start_date, end_date]


_MODELS = f"""
select
    model_group,
    model,
    count(*) as calls,
    count(case when is_failed then 1 end) as failed_calls,
    {ratio("count(case when is_failed then 1 end)", "count(*)")} as failure_rate,
    cast(sum(total_tokens) as bigint) as total_tokens,
    cast(sum(client_cost_usd) as numeric(28, 8)) as cost_usd,
    {
    ratio(
        "sum(case when not is_failed then latency_ms end)",
        "count(case when not is_failed then latency_ms end)",
        3,
    )
} as latency_avg_ms,
    {latency(0.5)} as latency_p50_ms,
    {latency(0.95)} as latency_p95_ms,
    {latency(0.99)} as latency_p99_ms,
    cast(max(case when not is_failed then latency_ms end) as numeric(18, 3)) as latency_max_ms
from warehouse.marts.fct_llm_calls
where organization_id = ? and call_date >= ? and call_date < ?
group by model_group, model
"""


def organization_models(organization_id: str, start_date: date, end_date: date) -> tuple[str, list[Any]]:
    """A query with one row per model group and model that the organization called, and its parameters."""
    return _MODELS, [organization_id, start_date, end_date]
