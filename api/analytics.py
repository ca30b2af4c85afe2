"""Analytics of a period: the page's usage and performance screens, of the platform or of a tenant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from api import parts, trends
from api.access import SignedIn
from api.answers import CSV_TOO, Format, FromNight, Moment, Number, Table, from_night, origin
from api.nights import Night
from api.parts import ErrorRow, JobTypeRow, ModelRow, TeamRow
from api.periods import AskedPeriod, PeriodText, parse_period, published, require_published
from api.problems import OF_ONE
from api.scopes import OrganizationChoice, TeamChoice, of_scope, scope_of, usage_mart
from flows.review_scopes import Scope

router = APIRouter(tags=["analytics"])

Limit = Annotated[int, Query(ge=1, le=10_000, description="Rows at most.")]


class DayRow(BaseModel):
    """A day of the period that is published; null is not known."""

    date: date
    jobs: int
    failed_jobs: int
    calls: int
    total_tokens: int | None
    cost_usd: Number | None
    is_complete: bool


class UsageAnalytics(FromNight):
    """The page's fields first. Rates are per cent.

    A trend is the change on the period before: in per cent, of a rate in percentage points; null where one of
    the two is not over yet, not published, or not known.
    """

    period: str
    scope: str
    previous_period: str | None
    total_jobs: int
    jobs_trend: Number | None
    success_rate: Number | None
    success_trend: Number | None
    total_cost: Number | None
    cost_trend: Number | None
    avg_latency: Number | None
    latency_trend: Number | None
    total_calls: int
    total_tokens: int | None
    credits_used: int
    job_types: list[JobTypeRow]
    daily_usage: list[DayRow]
    teams: list[TeamRow]


class PerformanceAnalytics(FromNight):
    """The page's fields first; `error_rate` is failed calls of all calls. Rates are per cent."""

    period: str
    scope: str
    previous_period: str | None
    success_rate: Number | None
    success_trend: Number | None
    avg_latency: Number | None
    latency_trend: Number | None
    error_rate: Number | None
    error_trend: Number | None
    requests_per_minute: Number | None
    throughput_trend: Number | None
    latency_p50: Number | None
    latency_p95: Number | None
    latency_p99: Number | None
    latency_max: Number | None
    models: list[ModelRow]
    job_types: list[JobTypeRow]
    errors: list[ErrorRow]


class SlowCall(BaseModel):
    """The page's columns first; null is not known."""

    call_id: str
    job_id: str | None
    model_group_used: str | None
    resolved_model: str | None
    latency_ms: int
    total_tokens: int | None
    created_at: Moment
    team_id: str | None
    model: str | None


class SlowCalls(FromNight):
    """The slowest first, of the days before the night that the list covers."""

    scope: str
    calls: list[SlowCall]


_Tables = dict[str, type[BaseModel]]
_USAGE_TABLES: _Tables = {"job_types": JobTypeRow, "daily_usage": DayRow, "teams": TeamRow}
_PERFORMANCE_TABLES: _Tables = {
    "models": ModelRow,
    "job_types": JobTypeRow,
    "errors": ErrorRow,
}


@router.get("/api/analytics/usage", response_model=UsageAnalytics, responses=OF_ONE | CSV_TOO)
def usage_analytics(
    request: Request,
    caller: SignedIn,
    period: PeriodText,
    organization_id: OrganizationChoice = None,
    team_id: TeamChoice = None,
    output: Format = "json",
    table: Annotated[
        Literal["teams", "job_types", "daily_usage"], Query(description="The list that CSV gives.")
    ] = "teams",
) -> Response:
    """Totals with their trends, job types, days and teams of a period."""
    asked = parse_period(period)

    def make(night: Night) -> Mapping[str, Any]:
        scope = scope_of(night, caller, organization_id, team_id)
        now, before = _two_periods(night, scope, asked)
        return {
            **_header(scope, asked, before),
            "total_jobs": now["job_count"],
            "jobs_trend": trends.relative(now["job_count"], before["job_count"]),
            "success_rate": trends.percent(now["success_rate"]),
            "success_trend": trends.points(now["success_rate"], before["success_rate"]),
            "total_cost": now["client_cost_usd"],
            "cost_trend": trends.relative(now["client_cost_usd"], before["client_cost_usd"]),
            "avg_latency": now["latency_avg_ms"],
            "latency_trend": trends.relative(now["latency_avg_ms"], before["latency_avg_ms"]),
            "total_calls": now["call_count"],
            "total_tokens": now["total_tokens"],
            "credits_used": now["credits_used"],
            "job_types": parts.job_types(night, scope, asked),
            "daily_usage": _days(night, scope, asked),
            "teams": parts.teams(night, scope, asked),
            **origin(night, is_complete=now["is_complete"]),
        }

    return from_night(request, caller, make, table=Table.of(table, _USAGE_TABLES[table]), output=output)


@router.get("/api/analytics/performance", response_model=PerformanceAnalytics, responses=OF_ONE | CSV_TOO)
def performance_analytics(
    request: Request,
    caller: SignedIn,
    period: PeriodText,
    organization_id: OrganizationChoice = None,
    team_id: TeamChoice = None,
    output: Format = "json",
    table: Annotated[
        Literal["models", "job_types", "errors"], Query(description="The list that CSV gives.")
    ] = "models",
) -> Response:
    """How fast and how well it went in a period: latencies of single calls, failures by type and class."""
    asked = parse_period(period)

    def make(night: Night) -> Mapping[str, Any]:
        scope = scope_of(night, caller, organization_id, team_id)
        now, before = _two_periods(night, scope, asked)
        return {
            **_header(scope, asked, before),
            "success_rate": trends.percent(now["success_rate"]),
            "success_trend": trends.points(now["success_rate"], before["success_rate"]),
            "avg_latency": now["latency_avg_ms"],
            "latency_trend": trends.relative(now["latency_avg_ms"], before["latency_avg_ms"]),
            "error_rate": trends.percent(now["call_failure_rate"]),
            "error_trend": trends.points(now["call_failure_rate"], before["call_failure_rate"]),
            "requests_per_minute": now["calls_per_minute"],
            "throughput_trend": trends.relative(now["calls_per_minute"], before["calls_per_minute"]),
            "latency_p50": now["latency_p50_ms"],
            "latency_p95": now["latency_p95_ms"],
            "latency_p99": now["latency_p99_ms"],
            "latency_max": now["latency_max_ms"],
            "models": parts.models(night, scope, asked),
            "job_types": parts.job_types(night, scope, asked),
            "errors": parts.errors(night, scope, asked),
            **origin(night, is_complete=now["is_complete"]),
        }

    return from_night(request, caller, make, table=Table.of(table, _PERFORMANCE_TABLES[table]), output=output)


@router.get("/api/analytics/slow-calls", response_model=SlowCalls, responses=OF_ONE | CSV_TOO)
def slow_calls(
    request: Request,
    caller: SignedIn,
    limit: Limit = 50,
    organization_id: OrganizationChoice = None,
    team_id: TeamChoice = None,
    output: Format = "json",
) -> Response:
    """Calls slower than the limit in the days before the night, the slowest first."""

    def make(night: Night) -> Mapping[str, Any]:
        scope = scope_of(night, caller, organization_id, team_id)
        condition, parameters = of_scope(scope)
        rows = night.rows(
            f"""
            select
                call_id,
                job_id,
                model_group as model_group_used,
                resolved_model,
                latency_ms,
                total_tokens,
                created_at,
                team_id,
                model
            from warehouse.marts.slow_calls
            where {condition}
            order by latency_ms desc, call_id
            limit {limit}
            """,
            parameters,
        )
        return {"scope": str(scope), "calls": rows, **origin(night, is_complete=True)}

    return from_night(request, caller, make, table=Table.of("calls", SlowCall), output=output)


_MEASURES = (
    *("job_count", "success_rate", "client_cost_usd"),
    *("latency_avg_ms", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "latency_max_ms"),
    *("call_count", "call_failure_rate", "calls_per_minute", "total_tokens", "credits_used"),
)
_SUMS = {
    *("job_count", "client_cost_usd", "call_count"),
    *("calls_per_minute", "total_tokens", "credits_used"),
}
_NOTHING: dict[str, Any] = {name: 0 if name in _SUMS else None for name in _MEASURES}
_NOT_COMPARED: dict[str, Any] = dict.fromkeys((*_MEASURES, "label"))


def _two_periods(night: Night, scope: Scope, asked: AskedPeriod) -> tuple[dict[str, Any], dict[str, Any]]:
    """The scope's measures of a period and of the one before; all None where the two cannot be compared."""
    require_published(night, asked)
    now = _measures(night, scope, asked)
    previous = asked.previous
    assert now is not None, "it is published"
    if previous is None or not now["is_complete"]:
        return now, _NOT_COMPARED
    before = _measures(night, scope, previous)
    if before is None or not _is_whole(night, previous):
        return now, _NOT_COMPARED
    return now, before | {"label": previous.label}


def _measures(night: Night, scope: Scope, period: AskedPeriod) -> dict[str, Any] | None:
    """One row; zeros where a published period saw nothing of the scope, None where it is not published."""
    condition, parameters = of_scope(scope)
    platform = published(night, period)
    if platform is None:
        return None
    row = night.row(
        f"select {', '.join(_MEASURES)} from {usage_mart(scope, period.grain)} "
        f"where period_start_date = ? and {condition}",
        [period.start_date, *parameters],
    )
    return (row or _NOTHING) | {"is_complete": platform["is_complete"]}


def _is_whole(night: Night, period: AskedPeriod) -> bool:
    """Whether every day of the period is published: the first week or month seldom is."""
    row = night.row(
        "select count(*) as days from warehouse.marts.platform_usage_daily "
        "where period_start_date >= ? and period_start_date < ? and is_complete",
        [period.start_date, period.end_date],
    )
    return row is not None and row["days"] == (period.end_date - period.start_date) // timedelta(days=1)


def _header(scope: Scope, asked: AskedPeriod, before: Mapping[str, Any]) -> dict[str, Any]:
    return {"period": asked.label, "scope": str(scope), "previous_period": before["label"]}


def _days(night: Night, scope: Scope, asked: AskedPeriod) -> list[dict[str, Any]]:
    condition, parameters = of_scope(scope)
    return night.rows(
        f"""
        select
            days.period_start_date as date,
            coalesce(usage.job_count, 0) as jobs,
            coalesce(usage.failed_job_count, 0) as failed_jobs,
            coalesce(usage.call_count, 0) as calls,
            case when usage.period_start_date is null then 0 else usage.total_tokens end as total_tokens,
            cast(
                case when usage.period_start_date is null then 0 else usage.client_cost_usd end
                as numeric(28, 8)
            ) as cost_usd,
            days.is_complete
        from warehouse.marts.platform_usage_daily as days
        left join (
            select * from {usage_mart(scope, "daily")} where {condition}
        ) as usage on usage.period_start_date = days.period_start_date
        where days.period_start_date >= ? and days.period_start_date < ?
        order by days.period_start_date
        """,
        [*parameters, asked.start_date, asked.end_date],
    )
