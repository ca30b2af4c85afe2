"""The figures of one dashboard, out of the published marts and the ops store; decides nothing about them.

Every query of a tenant's page is filtered by the tenant; what the platform pays and earns is its own to see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flows.coverage import local_day
from flows.dashboard_alerts import read_alerts
from flows.dashboard_health import UPTIME_DAYS, read_strip
from flows.dashboard_teams import TeamQuery, read_teams
from flows.errors import AlmanacError, UsageError
from flows.headlines import read_headlines
from flows.review_reader import complete_periods, read_credits, read_lists
from flows.review_scopes import PLATFORM, Kind, Period, Scope
from flows.status import STALE_AFTER
from reports import dashboard_figures as figures

if TYPE_CHECKING:
    from flows.ops_store import OpsStore
    from flows.probe_config import Probes
    from flows.warehouse import Reader
    from reports.review import PartRow

# Periods that can be chosen; older ones are in the reviews.
OFFERED = {Kind.WEEKLY: 26, Kind.MONTHLY: 13}
# Days of the daily charts beside a week.
DAYS_BESIDE_A_WEEK = 28
# Metrics that are the platform's own to see.
_INTERNAL = ("provider_cost_usd", "provider_cost_per_credit_usd", "margin_usd", "margin_rate")
_LISTS = ("verdict", "kpis", "models", "parts", "errors", "latency", "uptime")


class NotThere(AlmanacError):
    """There is no such period, organization or team in the published data."""


def read_dashboard(
    reader: Reader,
    scope: Scope,
    *,
    night_id: str,
    as_of: datetime,
    zone: str,
    now: datetime,
    store: OpsStore | None = None,
    probes: Probes | None = None,
    period: str | None = None,
    teams: TeamQuery | None = None,
) -> figures.Dashboard:
    """What a scope's page shows of one published night at `now`; `period` is `2026-W47` or `2026-10`.

    Without a store there are neither probes nor alerts. Raises NotThere for what is not published.
    """
    organization_id, organization_name = _organization(reader, scope)
    offered = _offered(reader)
    chosen = _choose(offered, period)
    kind, shown = chosen or (None, None)
    today = _today(reader)
    return figures.Dashboard(
        scope_kind=scope.kind,
        scope_id=scope.id,
        organization_id=organization_id,
        organization_name=organization_name,
        night_id=night_id,
        as_of=as_of,
        read_at=now,
        is_stale=now - as_of > STALE_AFTER,
        stale_hours=STALE_AFTER // timedelta(hours=1),
        reporting_timezone=zone,
        period=_choice(kind, shown) if kind and shown else None,
        periods=tuple(_choice(*one) for one in offered),
        health=read_strip(reader, store, probes, scope, now=now) if store else None,
        today=tuple(
            figures.Today(one.key, one.label, one.unit, one.value, one.yesterday, one.last_week)
            for one in read_headlines(reader, scope)
        ),
        today_date=today,
        is_today=today == local_day(now, zone),
        figures=_figures(reader, scope, kind, shown) if kind and shown else None,
        days=_days(reader, scope, kind, shown, offered, local_day(as_of, zone)) if kind and shown else (),
        credits=read_credits(reader, scope),
        alerts=read_alerts(reader, store, scope, now=now) if store else None,
        teams=(
            read_teams(reader, scope, kind, shown, teams or TeamQuery())
            if kind and shown and scope.kind != "team"
            else None
        ),
    )


def _organization(reader: Reader, scope: Scope) -> tuple[str | None, str | None]:
    """The scope's organization and its name; NotThere for a tenant that is not published."""
    if scope == PLATFORM:
        return None, None
    if scope.kind == "organization":
        sql = (
            "select organization_id, organization_name from warehouse.marts.dim_organizations "
            "where organization_id = ?"
        )
    else:
        sql = (
            "select teams.organization_id, organizations.organization_name "
            "from warehouse.marts.dim_teams as teams "
            "left join warehouse.marts.dim_organizations as organizations "
            "on teams.organization_id = organizations.organization_id where teams.team_id = ?"
        )
    row = reader.execute(sql, [scope.id]).fetchone()
    if row is None:
        raise NotThere(f"There is no such {scope.kind}.")
    return row[0], row[1]


def _today(reader: Reader) -> date | None:
    """The local day that the night lies in, or that ends with it; None when nothing is published of it."""
    row = reader.execute("select calendar_date from warehouse.marts.monitoring_dashboard").fetchone()
    return None if row is None else row[0]


def _offered(reader: Reader) -> list[tuple[Kind, Period]]:
    return [
        (kind, period) for kind, count in OFFERED.items() for period in complete_periods(reader, kind)[:count]
    ]


def _choose(offered: Sequence[tuple[Kind, Period]], text: str | None) -> tuple[Kind, Period] | None:
    """The period that was asked for, or the latest complete week, or month; None when none is complete."""
    if not text:
        return offered[0] if offered else None
    for kind in Kind:
        try:
            wanted = (kind, kind.parse(text))
        except UsageError:
            continue
        if wanted in offered:
            return wanted
    raise NotThere("There are no figures of such a period. Choose one of those that are offered.")


def _choice(kind: Kind, period: Period) -> figures.PeriodChoice:
    return figures.PeriodChoice(period.label, kind.value, period.start_date, period.end_date)


def _figures(reader: Reader, scope: Scope, kind: Kind, period: Period) -> figures.PeriodFigures | None:
    lists = read_lists(reader, kind, period, scope, _LISTS)
    if not lists["verdict"]:
        return None
    kpis, models = lists["kpis"], lists["models"]
    if scope != PLATFORM:
        kpis = tuple(kpi for kpi in kpis if kpi.metric not in _INTERNAL)
        models = tuple(replace(row, provider_cost_usd=None) for row in models)
    return figures.PeriodFigures(
        verdict=lists["verdict"][0],
        kpis=kpis,
        models=models,
        job_types=_by_jobs([row for row in lists["parts"] if row.dimension == "job_type"]),
        errors=lists["errors"],
        latency=lists["latency"],
        uptime=lists["uptime"],
        availability=_availability(reader, period, [row.component for row in lists["uptime"]]),
    )


def _by_jobs(rows: Sequence[PartRow]) -> tuple[PartRow, ...]:
    """The most jobs first; what the list of the review has folded stays last."""
    return tuple(sorted(rows, key=lambda row: (row.row_kind != "member", -row.job_count, row.list_position)))


def _availability(
    reader: Reader, period: Period, components: Sequence[str]
) -> tuple[figures.DailyAvailability, ...]:
    """Each component's last UPTIME_DAYS days up to the end of the period."""
    if not components:
        return ()
    first = period.end_date - timedelta(days=UPTIME_DAYS)
    known = {
        (component, day): availability
        for component, day, availability in reader.execute(
            "select component, period_start_date, availability "
            "from warehouse.marts.component_uptime_daily "
            "where period_start_date >= ? and period_start_date < ?",
            [first, period.end_date],
        ).fetchall()
    }
    days = [first + timedelta(days=number) for number in range(UPTIME_DAYS)]
    return tuple(
        figures.DailyAvailability(component, tuple(known.get((component, day)) for day in days))
        for component in components
    )


def _days(
    reader: Reader,
    scope: Scope,
    kind: Kind,
    period: Period,
    offered: Sequence[tuple[Kind, Period]],
    today: date,
) -> tuple[figures.Day, ...]:
    """The days around a period: up to today when it is the latest one, else up to its end."""
    is_latest = next((one for one_kind, one in offered if one_kind is kind), None) == period
    end = max(today + timedelta(days=1), period.end_date) if is_latest else period.end_date
    start = end - timedelta(days=DAYS_BESIDE_A_WEEK) if kind is Kind.WEEKLY else period.start_date
    key, parameters = "true", list[Any]()
    if scope != PLATFORM:
        key, parameters = f"usage.{scope.kind}_id = ?", [scope.id]
    rows = reader.execute(
        f"""
        select
            days.calendar_date, days.is_complete, usage.period_start_date is null as is_silent,
            usage.job_count, usage.failed_job_count, usage.call_count, usage.total_tokens,
            usage.client_cost_usd
        from warehouse.marts.dim_dates as days
        left join warehouse.marts.{scope.kind}_usage_daily as usage
            on days.calendar_date = usage.period_start_date and {key}
        where days.calendar_date >= ? and days.calendar_date < ?
        order by days.calendar_date
        """,
        [*parameters, start, end],
    ).fetchall()
    return tuple(
        figures.Day(
            day,
            is_complete,
            period.start_date <= day < period.end_date,
            *([0, 0, 0, 0, 0] if is_silent else measures),
        )
        for day, is_complete, is_silent, *measures in rows
    )
