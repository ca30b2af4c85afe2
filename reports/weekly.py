"""What the weekly performance review of the platform is given: one frozen object, every figure decided in
SQL.

Field names are the column names of the models in schema `reviews`. `None` means that the figure does not
exist or is not known; it is never a zero. Money is USD, rates are fractions, latency is in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Verdict:
    """The week, its headline sentence, and the rules that made it."""

    period_start_date: date
    period_end_date: date
    previous_period_start_date: date
    is_complete: bool
    built_at_as_of: datetime
    reporting_timezone: str
    verdict_sentence: str
    metric_count: int
    signal_count: int
    bad_signal_count: int
    normal_count: int
    undecided_count: int
    low_credit_team_count: int
    unpriced_call_count: int | None
    client_cost_change_usd: Decimal | None
    baseline_weeks: int
    minimum_weeks: int
    limit_factor: Decimal
    low_credit_days: int


@dataclass(frozen=True, slots=True)
class Point:
    """One of the thirteen weeks of a metric; the thirteenth is the week of the review."""

    week_position: int
    point_start_date: date
    value: Decimal | None


@dataclass(frozen=True, slots=True)
class Kpi:
    """One metric of the week against the week before and its natural limits."""

    metric: str
    label: str
    is_plural: bool
    metric_group: str
    unit: str
    higher_is: str
    value: Decimal | None
    previous_value: Decimal | None
    change: Decimal | None
    change_kind: str
    baseline_week_count: int
    mean_value: Decimal | None
    lower_limit: Decimal | None
    upper_limit: Decimal | None
    status: str
    tone: str
    signal_position: int | None
    headline_position: int | None
    points: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class Driver:
    """What one model, team or job type contributed to the change of the client cost, in whole cents."""

    dimension: str
    list_position: int
    part_name: str | None
    row_kind: str
    member_count: int
    client_cost_usd: Decimal
    previous_client_cost_usd: Decimal
    change_usd: Decimal


@dataclass(frozen=True, slots=True)
class ModelRow:
    """Calls answered by one model; or everything below the list."""

    list_position: int
    row_kind: str
    member_count: int
    model: str | None
    client_cost_usd: Decimal | None
    previous_client_cost_usd: Decimal | None
    cost_change: Decimal | None
    provider_cost_usd: Decimal | None
    call_count: int
    previous_call_count: int
    failed_call_count: int
    call_failure_rate: Decimal | None
    avg_cost_per_call_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class TeamRow:
    """One team's week; or everything below the list."""

    list_position: int
    row_kind: str
    member_count: int
    team_id: str | None
    organization_name: str | None
    client_cost_usd: Decimal | None
    previous_client_cost_usd: Decimal | None
    cost_change: Decimal | None
    job_count: int
    previous_job_count: int
    failed_job_count: int
    failure_rate: Decimal | None
    avg_cost_per_job_usd: Decimal | None
    credits_used: int | None


@dataclass(frozen=True, slots=True)
class JobTypeRow:
    """One job type's week over all teams; or everything below the list."""

    list_position: int
    row_kind: str
    member_count: int
    job_type: str | None
    client_cost_usd: Decimal | None
    previous_client_cost_usd: Decimal | None
    cost_change: Decimal | None
    job_count: int
    previous_job_count: int
    failed_job_count: int
    failure_rate: Decimal | None
    avg_cost_per_job_usd: Decimal | None
    credits_used: int | None


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """Failures of one class."""

    list_position: int
    error_class: str
    failed_job_count: int
    previous_failed_job_count: int
    failed_call_count: int
    previous_failed_call_count: int
    wasted_cost_usd: Decimal | None
    top_job_type: str | None


@dataclass(frozen=True, slots=True)
class CreditRow:
    """One of the teams closest to running out of credits, as of the build (not of the week)."""

    list_position: int
    team_id: str
    organization_name: str | None
    credits_allocated: int | None
    credits_used: int | None
    credits_remaining: int | None
    used_share: Decimal | None
    burn_per_day: Decimal | None
    days_left: Decimal | None
    run_out_date: date | None
    status: str
    tone: str


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """Latency of the successful calls of one model group."""

    list_position: int
    model_group: str
    latency_call_count: int
    latency_p50_ms: Decimal
    latency_p95_ms: Decimal
    latency_p99_ms: Decimal
    latency_max_ms: Decimal
    previous_latency_p95_ms: Decimal | None


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh each source is, and what was left out of this week's figures."""

    newest_job_at: datetime | None
    newest_call_at: datetime | None
    newest_ledger_row_at: datetime | None
    unpriced_call_count: int | None
    open_job_count: int | None


@dataclass(frozen=True, slots=True)
class Finding:
    """Rows of the week that broke a rule and left the measure that they would have poisoned."""

    rule: str
    table_name: str
    affected_row_count: int
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class WeeklyReview:
    """Everything that the template of the platform's weekly review is given."""

    verdict: Verdict
    kpis: tuple[Kpi, ...]
    drivers: tuple[Driver, ...]
    models: tuple[ModelRow, ...]
    teams: tuple[TeamRow, ...]
    job_types: tuple[JobTypeRow, ...]
    errors: tuple[ErrorRow, ...]
    credits: tuple[CreditRow, ...]
    latency: tuple[LatencyRow, ...]
    freshness: Freshness
    findings: tuple[Finding, ...]
