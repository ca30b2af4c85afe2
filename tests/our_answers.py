"""Our answers to the requests whose answers of the platform are recorded, in the shape of its JSON.

One function for each endpoint, reading the published marts; `api_paths` has those that our API answers too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import quote

from tests.published import Published

Json = dict[str, Any]


def records(published: Published, sql: str, parameters: list[Any]) -> list[Json]:
    cursor = published.connection.execute(sql, parameters)
    names = [str(column[0]) for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def first(rows: list[Json], nothing: Json) -> Json:
    """The one row; where a period saw nothing of a team or organization there is none."""
    return rows[0] if rows else nothing


def grain_and_start(period: str) -> tuple[str, date]:
    is_day = len(period) > len("2026-10")
    return (
        ("daily", date.fromisoformat(period)) if is_day else ("monthly", date.fromisoformat(f"{period}-01"))
    )


def team_usage(published: Published, team_id: str, period: str) -> Json:
    """GET /api/teams/{team_id}/usage?period="""
    grain, start = grain_and_start(period)
    nothing = dict.fromkeys(
        ("total_jobs", "successful_jobs", "failed_jobs", "total_cost_usd", "total_tokens"), 0
    ) | {"avg_cost_per_job": None}
    summary = records(
        published,
        "select job_count as total_jobs, completed_job_count as successful_jobs, "
        "failed_job_count as failed_jobs, client_cost_usd as total_cost_usd, total_tokens, "
        f"avg_cost_per_job_usd as avg_cost_per_job from team_usage_{grain} "
        "where team_id = ? and period_start_date = ?",
        [team_id, start],
    )
    job_types = records(
        published,
        f"select job_type, job_count, client_cost_usd from job_type_usage_{grain} "
        "where team_id = ? and period_start_date = ?",
        [team_id, start],
    )
    return {
        "summary": first(summary, nothing),
        "job_types": {
            row["job_type"]: {"count": row["job_count"], "cost_usd": row["client_cost_usd"]}
            for row in job_types
        },
    }


def of_period(column: str, period: str) -> tuple[str, list[Any]]:
    """A condition on a monthly mart; 'all' is every month."""
    if period == "all":
        return "true", []
    return f"{column} = ?", [grain_and_start(period)[1]]


def organization_totals(published: Published, organization_id: str, period: str) -> Json:
    condition, parameters = of_period("period_start_date", period)
    return records(
        published,
        "select cast(sum(job_count) as bigint) as jobs, "
        "cast(sum(completed_job_count) as bigint) as completed, "
        "cast(sum(failed_job_count) as bigint) as failed, cast(sum(open_job_count) as bigint) as open, "
        "cast(sum(call_count) as bigint) as calls, cast(sum(failed_call_count) as bigint) as failed_calls, "
        "cast(sum(total_tokens) as bigint) as tokens, sum(client_cost_usd) as cost, "
        "cast(sum(credits_used) as bigint) as credits "
        f"from organization_usage_monthly where organization_id = ? and {condition}",
        [organization_id, *parameters],
    )[0]


def organization_team_totals(published: Published, organization_id: str, period: str) -> list[Json]:
    condition, parameters = of_period("period_start_date", period)
    return records(
        published,
        "select team_id, cast(sum(job_count) as bigint) as jobs, "
        "cast(sum(credits_used) as bigint) as credits, "
        "sum(client_cost_usd) as cost, cast(sum(call_count - failed_call_count) as bigint) as successful, "
        "cast(sum(failed_call_count) as bigint) as failed, cast(sum(total_tokens) as bigint) as tokens "
        "from team_usage_monthly join dim_teams using (team_id) "
        f"where organization_id = ? and {condition} group by team_id having sum(job_count) > 0",
        [organization_id, *parameters],
    )


def organization_usage(published: Published, organization_id: str, period: str) -> Json:
    """GET /api/organizations/{id}/usage?period="""
    row = organization_totals(published, organization_id, period)
    return {
        "summary": {
            "total_jobs": row["jobs"],
            "completed_jobs": row["completed"],
            "failed_jobs": row["failed"],
            "credits_used": row["credits"],
            "total_cost_usd": row["cost"],
            "total_tokens": row["tokens"],
        },
        "teams": {
            team["team_id"]: {"jobs": team["jobs"], "credits_used": team["credits"]}
            for team in organization_team_totals(published, organization_id, period)
        },
    }


def organization_stats(published: Published, organization_id: str, period: str) -> Json:
    """GET /api/jobs/organizations/{org}/stats, from the marts of its months."""
    row = organization_totals(published, organization_id, period)
    ((team_count,),) = published.rows(
        "select count(*) from dim_teams where organization_id = ?", [organization_id]
    )
    return {
        "total_jobs": row["jobs"],
        "completed_jobs": row["completed"],
        "failed_jobs": row["failed"],
        "in_progress_jobs": row["open"],
        "total_teams": team_count,
        "total_llm_calls": row["calls"],
        "successful_calls": row["calls"] - row["failed_calls"],
        "failed_calls": row["failed_calls"],
        "total_tokens": row["tokens"],
        "total_cost_usd": row["cost"],
        "total_credits_used": row["credits"],
        "top_teams": [
            {"team_id": team["team_id"], "job_count": team["jobs"], "credits_used": team["credits"]}
            for team in organization_team_totals(published, organization_id, period)
        ],
    }


def organization_analytics(published: Published, organization_id: str, period: str) -> Json:
    """GET /api/jobs/organizations/{org}/analytics. Models are compared by alias, as the platform has them."""
    row = organization_totals(published, organization_id, period)
    condition, parameters = of_period("date_trunc('month', period_start_date)", period)
    days = records(
        published,
        "select cast(period_start_date as varchar) as date, client_cost_usd as spend "
        f"from organization_usage_daily where organization_id = ? and {condition} and call_count > 0",
        [organization_id, *parameters],
    )
    condition, parameters = of_period("period_start_date", period)
    models = records(
        published,
        "select model_group as model, sum(client_cost_usd) as spend, "
        "cast(sum(call_count) as bigint) as count "
        "from model_usage_monthly join dim_teams using (team_id) "
        f"where organization_id = ? and {condition} group by model_group",
        [organization_id, *parameters],
    )
    condition, parameters = of_period("date_trunc('month', call_date)", period)
    providers = records(
        published,
        "select provider, sum(client_cost_usd) as spend, count(*) filter (not is_failed) as successful, "
        "count(*) filter (is_failed) as failed, cast(sum(total_tokens) as bigint) as tokens "
        f"from fct_llm_calls where organization_id = ? and {condition} group by provider",
        [organization_id, *parameters],
    )
    return {
        "total_spend": row["cost"],
        "total_requests": row["calls"],
        "successful_requests": row["calls"] - row["failed_calls"],
        "failed_requests": row["failed_calls"],
        "total_tokens": row["tokens"],
        "daily_spend": days,
        "spend_per_team": [
            {
                "team_id": team["team_id"],
                "spend": team["cost"],
                **{name: team[name] for name in ("successful", "failed", "tokens")},
            }
            for team in organization_team_totals(published, organization_id, period)
        ],
        "top_models": models,
        "provider_usage": providers,
    }


BALANCE = """
    select
        teams.team_id, teams.organization_id, credits_allocated, credits_used, credits_remaining,
        teams.credit_limit, stored.auto_refill, stored.refill_amount, stored.refill_period,
        stored.last_refill_at, teams.budget_mode, teams.credits_per_dollar, teams.tokens_per_credit,
        teams.status, stored.created_at, stored.updated_at
    from dim_teams as teams
    join credit_balances as balances using (team_id)
    join (
        select team_id, auto_refill, refill_amount, refill_period, last_refill_at, created_at, updated_at
        from warehouse.compat.team_credits
    ) as stored using (team_id)
"""


def organization_teams(published: Published, organization_id: str) -> Json:
    """GET /api/organizations/{id}/teams"""
    ((team_count,),) = published.rows(
        "select count(*) from dim_teams where organization_id = ?", [organization_id]
    )
    rows = records(published, f"{BALANCE} where teams.organization_id = ?", [organization_id])
    names = ("team_id", "credits_allocated", "credits_remaining")
    return {"team_count": team_count, "teams": [{name: row[name] for name in names} for row in rows]}


def balance(published: Published, team_id: str) -> Json:
    """GET /api/credits/teams/{id}/balance"""
    (row,) = records(published, f"{BALANCE} where teams.team_id = ?", [team_id])
    return row


def transactions(published: Published, team_id: str) -> Json:
    """GET /api/credits/teams/{id}/transactions, all pages."""
    rows = records(
        published,
        "select transaction_id, team_id, organization_id, job_id, transaction_type, "
        "credits_signed as credits_amount, credits_before, credits_after, reason, created_at "
        "from fct_credit_transactions where team_id = ? order by created_at desc",
        [team_id],
    )
    return {"team_id": team_id, "total": len(rows), "transactions": rows}


JOBS = """
    select
        job_id, team_id, user_id, job_type, status, created_at, completed_at, call_count as total_calls,
        call_count - failed_call_count as successful_calls, failed_call_count as failed_calls, total_tokens,
        client_cost_usd as total_cost_usd, latency_avg_ms as avg_latency_ms,
        is_credit_applied as credit_applied
    from fct_jobs
"""


def job_list(published: Published, team_id: str, status: str, page_size: str) -> Json:
    """GET /api/jobs/teams/{team}: the newest jobs, with and without calls."""
    condition, parameters = ("and status = lower(?)", [status]) if status else ("", [])
    jobs = records(
        published, f"{JOBS} where team_id = ? {condition} order by created_at desc", [team_id, *parameters]
    )
    page = jobs[: int(page_size)]
    return {"jobs": page, "listed": len(page), "total": len(jobs)}


def job(published: Published, job_id: str) -> Json:
    """GET /api/jobs/{id}"""
    (row,) = records(
        published,
        "select job_id, team_id, user_id, job_type, status, created_at, started_at, completed_at, "
        "is_credit_applied as credit_applied from fct_jobs where job_id = ?",
        [job_id],
    )
    return row


def calls(published: Published, job_id: str) -> list[Json]:
    return records(
        published,
        "select call_id, model_group as model_group_used, prompt_tokens, completion_tokens, total_tokens, "
        "client_cost_usd as cost_usd, latency_ms, created_at from fct_llm_calls where job_id = ?",
        [job_id],
    )


def job_costs(published: Published, job_id: str) -> Json:
    """GET /api/jobs/{id}/costs"""
    (row,) = records(
        published,
        "select job_id, team_id, job_type, status, client_cost_usd as cost from fct_jobs where job_id = ?",
        [job_id],
    )
    names = ("call_id", "prompt_tokens", "completion_tokens", "cost_usd", "created_at")
    breakdown = [{name: call[name] for name in names} for call in calls(published, job_id)]
    return row | {"costs": {"total_cost_usd": row.pop("cost"), "breakdown": breakdown}}


def job_detail(published: Published, job_id: str) -> Json:
    """GET /api/jobs/teams/{team}/{job}"""
    (row,) = records(published, f"{JOBS} where job_id = ?", [job_id])
    return {"job": row, "calls": calls(published, job_id)}


def dashboard(published: Published) -> Json:
    """GET /api/stats/dashboard"""
    (row,) = records(
        published,
        "select (select count(*) from dim_organizations where organization_id <> 'unassigned') "
        "as organizations, "
        'count(*) as teams, sum(credits_allocated) as "totalCredits", '
        'sum(credits_remaining) as "creditsRemaining", sum(credits_used) as "creditsUsed" '
        "from credit_balances",
        [],
    )
    return {name: int(value) for name, value in row.items()}


def teams(published: Published) -> list[Json]:
    """GET /api/teams"""
    names = (
        *("team_id", "organization_id", "credits_allocated", "credits_remaining", "credits_used"),
        *("budget_mode", "credits_per_dollar", "status", "created_at"),
    )
    return [{name: row[name] for name in names} for row in records(published, BALANCE, [])]


READERS: dict[str, Callable[..., Any]] = {
    "team usage": team_usage,
    "organization usage": organization_usage,
    "organization stats": organization_stats,
    "organization analytics": organization_analytics,
    "organization teams": organization_teams,
    "balance": balance,
    "transactions": transactions,
    "job list": job_list,
    "job": job,
    "job costs": job_costs,
    "job detail": job_detail,
    "dashboard": dashboard,
    "teams": teams,
}


def api_paths(endpoint: str, arguments: tuple[str, ...]) -> str | None:
    """What to ask our own API; None where only the platform has such an endpoint."""
    ident = quote(arguments[0], safe="") if arguments else ""
    match endpoint, arguments:
        case "team usage", (_, period):
            return f"/api/teams/{ident}/usage?period={period}"
        case "organization usage", (_, period):
            return f"/api/organizations/{ident}/usage?period={period}"
        case "balance", _:
            return f"/api/credits/teams/{ident}/balance"
        case "transactions", _:
            return f"/api/credits/teams/{ident}/transactions?limit=10000"
    return None
