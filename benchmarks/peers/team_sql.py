"""A team's numbers of one period, asked of the platform's own tables as its indexes serve them best."""

from datetime import date
from typing import Any

import psycopg

_PROVIDER = "coalesce(calls.provider_cost_usd, calls.cost_usd, 0)"

# In the order of CALL_MEASURES.
CALLS = f"""
    count(*) as call_count,
    count(calls.error) as failed_call_count,
    sum(calls.prompt_tokens) as prompt_tokens,
    sum(calls.completion_tokens) as completion_tokens,
    sum(calls.total_tokens) as total_tokens,
    sum({_PROVIDER}) as provider_cost_usd,
    sum(coalesce(calls.client_cost_usd, {_PROVIDER} * (1 + teams.cost_markup_percentage / 100)))
        as client_cost_usd,
    avg(calls.latency_ms) as latency_avg_ms,
    percentile_cont(0.50) within group (order by calls.latency_ms) as latency_p50_ms,
    percentile_cont(0.95) within group (order by calls.latency_ms) as latency_p95_ms,
    percentile_cont(0.99) within group (order by calls.latency_ms) as latency_p99_ms,
    max(calls.latency_ms) as latency_max_ms"""

_OF_PERIOD = "created_at >= %(start)s::date and {0}created_at < %(start)s::date + %(length)s::interval"

_JOBS = f"""
select
    count(*),
    count(*) filter (where status = 'COMPLETED'),
    count(*) filter (where status = 'FAILED'),
    count(distinct user_id),
    avg(extract(epoch from completed_at - created_at)),
    percentile_cont(0.95) within group (order by extract(epoch from completed_at - created_at))
from jobs
where team_id = %(team)s and {_OF_PERIOD.format("")}
"""

# A call is made within hours of its job, so the index on a team's jobs by time narrows both.
_CALLS = f"""
select {CALLS}
from jobs
inner join llm_calls as calls using (job_id)
left join team_credits as teams on jobs.team_id = teams.team_id
where jobs.team_id = %(team)s
    and calls.{_OF_PERIOD.format("calls.")}
    and jobs.created_at >= %(start)s::date - interval '2 days'
    and jobs.created_at < %(start)s::date + %(length)s::interval
"""

_CREDITS = f"""
select
    sum(credits_amount) filter (where transaction_type = 'deduction'),
    sum(credits_amount) filter (where transaction_type <> 'deduction')
from credit_transactions
where team_id = %(team)s and {_OF_PERIOD.format("")}
"""


def team_period(connection: psycopg.Connection[Any], team: str, start: date, period: str) -> tuple[Any, ...]:
    """The numbers of a team's day, week or month, in the order of USAGE_MEASURES."""
    given = {"team": team, "start": start, "length": f"1 {period}"}
    jobs, calls, charged = (
        connection.execute(query.encode(), given).fetchone() or () for query in (_JOBS, _CALLS, _CREDITS)
    )
    return (*jobs, *calls, *charged)
