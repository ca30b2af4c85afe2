"""What the monitoring dashboard is given: one frozen object, every figure decided in SQL.

A dashboard is of a scope (the platform, an organization, a team), a period, and a moment. `None` means that a
figure does not exist, is not known, or is not this scope's to see; it is never a zero. Moments are naive UTC,
money is USD, rates are fractions, latency is in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from reports.review import (
    CreditRow,
    ErrorRow,
    Kpi,
    LatencyRow,
    ModelRow,
    PartRow,
    UptimeRow,
    Verdict,
)

Number = Decimal | int


@dataclass(frozen=True, slots=True)
class Component:
    """One thing that is probed: how it is now, and how it was in the last 30 whole days."""

    name: str
    is_required: bool
    # up, degraded, down, or unknown: nobody has looked lately, or the prober itself failed
    status: str
    latency_ms: Number | None
    checked_at: datetime | None
    # why it is not up, in a few words; the platform's to see
    reason: str | None
    # a share of the known time of the 30 days
    availability: Decimal | None
    down_seconds: Decimal | None


@dataclass(frozen=True, slots=True)
class Health:
    """All components in one word (healthy, degraded, unhealthy, unknown), and each of them."""

    overall: str
    components: tuple[Component, ...]


@dataclass(frozen=True, slots=True)
class Today:
    """One figure of today so far, beside the same hours of yesterday and of a week ago."""

    key: str
    label: str
    unit: str
    value: Number | None
    yesterday: Number | None
    last_week: Number | None


@dataclass(frozen=True, slots=True)
class DailyAvailability:
    """A component's days of one period, in their order; None: nothing is known of the day."""

    component: str
    days: tuple[Decimal | None, ...]


@dataclass(frozen=True, slots=True)
class PeriodFigures:
    """What the reviews say of the scope's period."""

    verdict: Verdict
    kpis: tuple[Kpi, ...]
    models: tuple[ModelRow, ...]
    job_types: tuple[PartRow, ...]
    errors: tuple[ErrorRow, ...]
    latency: tuple[LatencyRow, ...]
    # of the platform alone
    uptime: tuple[UptimeRow, ...]
    availability: tuple[DailyAvailability, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """One local day; without activity it has zeros, and tokens and costs that are not known are None."""

    day: date
    is_complete: bool
    # whether it lies in the period that is shown, or before it
    is_shown: bool
    job_count: int
    failed_job_count: int
    call_count: int
    total_tokens: int | None
    client_cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Incident:
    """One alert that is open, or was lately."""

    incident_id: str
    title: str
    severity: str
    scope_kind: str
    scope_id: str
    scope_name: str
    began_at: datetime
    ended_at: datetime | None
    is_acknowledged: bool


@dataclass(frozen=True, slots=True)
class Alerts:
    """What there is to tell of the scope's alerts."""

    # by severity: critical, error, warning, info
    open_counts: tuple[tuple[str, int], ...]
    # the most severe first, then the newest
    open: tuple[Incident, ...]
    # ended in the last days, the newest first
    recent: tuple[Incident, ...]
    recent_days: int
    # open ones that are not listed, and recent ones
    omitted_open_count: int
    omitted_recent_count: int


@dataclass(frozen=True, slots=True)
class TeamRow:
    """One team's period and its credits now."""

    team_id: str
    organization_id: str
    organization_name: str | None
    job_count: int
    failed_job_count: int
    failure_rate: Decimal | None
    call_count: int
    total_tokens: int | None
    client_cost_usd: Decimal | None
    credits_used: int
    credits_remaining: int | None
    latency_p95_ms: Decimal | None


# Columns of the table by which it can be sorted, each with its name for people.
TEAM_COLUMNS: dict[str, str] = {
    "team_id": "Team",
    "organization_name": "Organization",
    "job_count": "Jobs",
    "failure_rate": "Failure rate",
    "call_count": "Model calls",
    "total_tokens": "Tokens",
    "client_cost_usd": "Client cost",
    "latency_p95_ms": "Latency p95",
    "credits_used": "Credits used",
    "credits_remaining": "Credits left",
}


@dataclass(frozen=True, slots=True)
class TeamTable:
    """One page of the scope's teams, as it was asked for."""

    rows: tuple[TeamRow, ...]
    # of all pages
    row_count: int
    search: str
    sort: str
    is_descending: bool
    # 1, 2, ...
    page: int
    page_count: int
    page_size: int


@dataclass(frozen=True, slots=True)
class PeriodChoice:
    """A period that can be shown: `2026-W47` or `2026-10`, of kind weekly or monthly."""

    label: str
    kind: str
    start_date: date
    end_date: date


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Everything that the page is given."""

    scope_kind: str
    scope_id: str
    # of an organization and of a team, where it is known
    organization_id: str | None
    organization_name: str | None
    night_id: str
    as_of: datetime
    read_at: datetime
    is_stale: bool
    # hours after which the published night is too old
    stale_hours: int
    reporting_timezone: str
    # None: no period is complete yet
    period: PeriodChoice | None
    # the newest first
    periods: tuple[PeriodChoice, ...]
    # None: nothing is probed
    health: Health | None
    today: tuple[Today, ...]
    # the local day that `today` is of, and whether it still was that day at `read_at`
    today_date: date | None
    is_today: bool
    # None: there is no review of the scope in the period
    figures: PeriodFigures | None
    days: tuple[Day, ...]
    credits: tuple[CreditRow, ...]
    # None: the rules were never asked
    alerts: Alerts | None
    # None on a team's page
    teams: TeamTable | None
