"""The monitoring page's own queries on the platform's PostgreSQL, and the three questions to its tables."""

from pathlib import Path
from typing import Any

import psycopg

from benchmarks.peers.answers import TREND_MONTHS
from benchmarks.peers.order import Order
from benchmarks.peers.team_sql import CALLS, team_period

PAGE_QUERIES = Path(__file__).parents[2] / "docs" / "page-queries.sql"

# Two of the page's queries need it, and PostgreSQL does not have it.
ROUND = """
create function round(value double precision, digits integer) returns numeric
language sql immutable as 'select round(value::numeric, digits)'
"""

LATENCY = f"""
select model_group, model, latency_p50_ms, latency_p95_ms, latency_p99_ms
from (
    select
        coalesce(calls.model_group_used, 'unknown') as model_group,
        coalesce(aliases.actual_model, calls.resolved_model, 'unknown') as model,
        {CALLS}
    from llm_calls as calls
    left join jobs using (job_id)
    left join team_credits as teams on jobs.team_id = teams.team_id
    left join model_aliases as aliases on calls.resolved_model = aliases.model_alias
    where calls.created_at >= %(week)s::date and calls.created_at < %(week)s::date + 7
    group by 1, 2
) as models
order by model_group, model
"""

MODELS = f"""
select *
from (
    select
        coalesce(calls.model_group_used, 'unknown') as model_group,
        coalesce(aliases.actual_model, calls.resolved_model, 'unknown') as model,
        {CALLS}
    from jobs
    inner join llm_calls as calls using (job_id)
    left join team_credits as teams on jobs.team_id = teams.team_id
    left join model_aliases as aliases on calls.resolved_model = aliases.model_alias
    where jobs.team_id = %(team)s
        and calls.created_at >= %(month)s::date
        and calls.created_at < %(month)s::date + interval '1 month'
        and jobs.created_at >= %(month)s::date - interval '2 days'
        and jobs.created_at < %(month)s::date + interval '1 month'
    group by 1, 2
) as models
order by model_group, model
"""


def night(order: Order) -> None:
    """All the page's queries, once each; today is the day after the last."""
    text = PAGE_QUERIES.read_text(encoding="utf-8")
    today = f"date '{order.known_until:%Y-%m-%d}'"
    # An installed platform holds upper-case labels, for which the page's own text is an error.
    text = text.replace("CURRENT_DATE", today).replace("'failed'", "'FAILED'")
    text = text.replace("'completed'", "'COMPLETED'")
    with psycopg.connect(order.url) as connection:
        connection.execute(ROUND)
        for query in filter(str.strip, text.split(";")):
            cursor = connection.execute(query.encode())
            if cursor.description:
                cursor.fetchall()
        connection.execute("select * from monitoring_dashboard").fetchall()
        connection.rollback()


def summary(order: Order) -> list[tuple[Any, ...]]:
    """The row of a team's month, from its jobs, calls and ledger rows."""
    with psycopg.connect(order.url) as connection:
        return [team_period(connection, order.team, order.month, "month")]


def latency(order: Order) -> list[tuple[Any, ...]]:
    """Percentiles by model group and model of a week over all teams."""
    with psycopg.connect(order.url) as connection:
        return connection.execute(LATENCY.encode(), {"week": order.week}).fetchall()


def review(order: Order) -> list[tuple[Any, ...]]:
    """Months with activity, newest first, at most twelve; then the models of the month."""
    with psycopg.connect(order.url) as connection:
        months = connection.execute(
            "select distinct date_trunc('month', created_at)::date from jobs where team_id = %s "
            "and created_at < %s::date + interval '1 month' order by 1 desc limit %s",
            [order.team, order.month, TREND_MONTHS],
        ).fetchall()
        trend = [(month, *team_period(connection, order.team, month, "month")) for (month,) in months]
        models = connection.execute(MODELS.encode(), {"team": order.team, "month": order.month}).fetchall()
    return trend + models
