"""What one performance review is given: one frozen object, every figure decided in SQL.

A review is of a kind (`weekly`, `monthly`), a scope (the platform, an organization, a team) and a period.
Field names are the column names of the models in schema `reviews`. `None` means that the figure does not
exist, is not known, or is not this scope's to see (provider cost and margin are the platform's alone); it
is never a zero. Money is USD, rates are fractions, latency is in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Verdict:
    """The period and whose it is, its headline sentence, and the rules that made it."""

    review_kind: str
    scope_kind: str
    scope_id: str
    # of a team and its organization; the organization's own; None for the platform
    organization_name: str | None
    period_start_date: date
    period_end_date: date
    previous_period_start_date: date
    day_count: int
    previous_day_count: int
    is_complete: bool
    # the scope began inside the period, so that it is no whole one
    is_first: bool
    has_activity: bool
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
    baseline_periods: int
    minimum_periods: int
    limit_factor: Decimal
    run_periods: int
    minimum_observations: int
    low_credit_days: int


@dataclass(frozen=True, slots=True)
class Point:
    """One of the thirteen periods of a metric; the thirteenth is the review's own."""

    position: int
    point_start_date: date
    value: Decimal | None


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One of the six weeks or twelve months of a metric, beside its value a year earlier."""

    metric: str
    # week or month
    panel: str
    position: int
    point_start_date: date
    value: Decimal | None
    year_ago_value: Decimal | None


@dataclass(frozen=True, slots=True)
class Kpi:
    """One metric of the period against the period before and its natural limits."""

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
    # of metrics that add up over days, in monthly reviews: months have 28 to 31 of them
    value_per_day: Decimal | None
    previous_value_per_day: Decimal | None
    change_per_day: Decimal | None
    # the periods that set the limits, and since when; trial limits still move, locked ones do not
    baseline_count: int
    baseline_start_date: date | None
    baseline_state: str
    mean_value: Decimal | None
    lower_limit: Decimal | None
    upper_limit: Decimal | None
    # normal, above limit, below limit, shift up, shift down, drift up, drift down, not enough data
    status: str
    tone: str
    signal_position: int | None
    headline_position: int | None
    # is one of the metrics whose charts every review shows
    is_core: bool
    # jobs or calls behind a rate, a percentile or a unit cost; None where the value is a count itself
    observation_count: int | None = None
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
class BridgeStep:
    """One step from the previous period's client cost to this one's, in whole cents.

    In order: previous, volume, mix, tokens, price, current; the steps between the two totals add up to
    their difference.
    """

    step_position: int
    step: str
    amount_usd: Decimal


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
class PartRow:
    """One team's or job type's period; or everything below the list."""

    dimension: str
    list_position: int
    row_kind: str
    member_count: int
    part_name: str | None
    # of a team in the platform's review
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
class PartTotal:
    """One model, team or job type, listed or folded: a row of the table that goes with the lists."""

    dimension: str
    part_name: str
    client_cost_usd: Decimal | None
    previous_client_cost_usd: Decimal | None
    call_count: int
    failed_call_count: int
    job_count: int | None
    failed_job_count: int | None
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
class FailedJob:
    """One of the latest jobs of a team that failed, by its id."""

    list_position: int
    job_id: str
    job_type: str | None
    error_class: str
    created_at: datetime
    call_count: int
    client_cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class SlowCall:
    """One of the platform's slowest calls of the period, by its id."""

    list_position: int
    call_id: str
    team_id: str | None
    model_group: str
    model: str
    created_at: datetime
    latency_ms: Decimal


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """Latency of the successful calls of one model group (in a tenant's review: of one model)."""

    list_position: int
    model_group: str
    latency_call_count: int
    latency_p50_ms: Decimal
    latency_p95_ms: Decimal
    latency_p99_ms: Decimal
    latency_max_ms: Decimal
    previous_latency_p95_ms: Decimal | None


@dataclass(frozen=True, slots=True)
class CreditRow:
    """One of the scope's teams closest to running out of credits, as of the build (not of the period)."""

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
    # at the fastest and the slowest burn of the last 7, 14 and 28 days
    earliest_run_out_date: date | None
    latest_run_out_date: date | None
    status: str
    tone: str


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line of a credit statement: opening + movements = closing, as in the ledger.

    Lines: opening, allocated, purchased, adjusted, used (negative), unexplained (absent when 0), closing.
    """

    line_position: int
    line: str
    credits: int


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """One team's line in the statement of its organization: opening + added - used + other = closing."""

    list_position: int
    row_kind: str
    member_count: int
    team_id: str | None
    opening_balance: int
    credits_added: int
    credits_used: int
    # adjusted and unexplained
    other_credits: int
    closing_balance: int


@dataclass(frozen=True, slots=True)
class Restatement:
    """A figure of an earlier period that was published, and is another one now."""

    list_position: int
    restated_start_date: date
    measure: str
    old_value: Decimal
    new_value: Decimal
    difference: Decimal
    day_count: int
    # of the latest of its nights
    cause: str
    restated_as_of: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """Something that asks for a person: a rule, its subject, and the figures that made it fire.

    Rules: credits_exhausted, credits_low (subject: team; amount: credits left; on_date: runs out),
    failures_cost (subject: job type; amount: USD of failed jobs; share: its failure rate; count: jobs),
    calls_unpriced (count: calls), jobs_stuck (count: jobs; subject: the job type, when all are of one),
    costly_model (subject: model; other: cheaper model of the same group that the scope uses; amount: USD per
    1,000 tokens; other_amount: the other's; share: of the client cost),
    ledger_breaks (count: rows; platform only), margin_negative (subject: team or model; amount: USD; platform
    only). Unused fields are None.
    """

    list_position: int
    rule: str
    subject: str | None
    other: str | None
    count: int | None
    amount: Decimal | None
    other_amount: Decimal | None
    share: Decimal | None
    on_date: date | None


@dataclass(frozen=True, slots=True)
class CohortRow:
    """Teams of the platform by what they did: new, continuing, returned, dormant, lost."""

    list_position: int
    cohort: str
    team_count: int
    previous_team_count: int | None
    client_cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class ModelShare:
    """A model's share of one month's client cost; models below the first four are one (model None)."""

    month_start_date: date
    list_position: int
    model: str | None
    client_cost_usd: Decimal
    cost_share: Decimal | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """A total at the end of the quarter: what has been, and the rest at the pace of the last weeks.

    The interval is the rest at the slowest and at the fastest of the last whole weeks.
    """

    metric: str
    label: str
    unit: str
    quarter_end_date: date
    so_far: Decimal
    remaining_days: int
    week_count: int
    expected: Decimal
    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class Freshness:
    """The scope's newest row of each source, and what was left out of this period's figures."""

    newest_job_at: datetime | None
    newest_call_at: datetime | None
    newest_ledger_row_at: datetime | None
    unpriced_call_count: int | None
    open_job_count: int | None


@dataclass(frozen=True, slots=True)
class Finding:
    """Rows of the period that broke a rule and left the measure that they would have poisoned."""

    rule: str
    table_name: str
    affected_row_count: int
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident of the period, as it was when the period ended."""

    incident_id: str
    title: str
    severity: str
    scope_kind: str
    scope_name: str
    # moments of the data, naive UTC; ended_at None: still open when the period ended
    began_at: datetime
    ended_at: datetime | None
    is_acknowledged: bool


@dataclass(frozen=True, slots=True)
class Alerts:
    """What the alerts did in the period, as it was when the period ended."""

    # naive UTC; None: the rules were asked all through the period
    asked_since: datetime | None
    opened_count: int
    # of the period before; None where the rules were not asked all through it
    previous_opened_count: int | None
    ended_count: int
    open_count: int
    # opened by a rule and scope that had another one in this period or the one before
    repeated_count: int
    # ended without anybody having acknowledged them
    ended_alone_count: int
    # closed by hand with a reason that begins with "false alarm"
    false_alarm_count: int
    median_seconds: Decimal | None
    # (system, usage or security, how many opened), the most first
    families: tuple[tuple[str, int], ...]
    # the most severe first, then the newest
    incidents: tuple[IncidentRow, ...]
    # incidents that are not listed
    omitted_count: int


@dataclass(frozen=True, slots=True)
class UptimeRow:
    """A component's period, from its probes."""

    list_position: int
    component: str
    is_required: bool
    availability: Decimal | None
    previous_availability: Decimal | None
    down_seconds: Decimal
    # not watched: neither up nor down
    unknown_seconds: Decimal
    maintenance_seconds: Decimal
    latency_p95_ms: Decimal | None
    incident_count: int
    # the objective, as a share of the known time, and the seconds of downtime that it leaves
    objective: Decimal
    budget_seconds: Decimal
    # the share of them that is gone; more than 1: the objective was missed
    budget_used: Decimal | None


@dataclass(frozen=True, slots=True)
class Edition:
    """Which issue of the review this is; a later one says what it replaces and why."""

    number: int
    # of the edition before; None for the first
    supersedes_made_at: datetime | None
    reason: str | None
    # figures that the edition before printed otherwise: (label, unit, old, new)
    changes: tuple[tuple[str, str, Decimal | None, Decimal | None], ...] = ()


FIRST_EDITION = Edition(number=1, supersedes_made_at=None, reason=None)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the figures come from: the run that published them, the code, its checks."""

    run_id: str
    program_version: str
    # sha256 over the models' compiled SQL, short
    models_hash: str
    check_count: int | None


@dataclass(frozen=True, slots=True)
class Review:
    """Everything that the templates of a review are given. A section that a scope does not have is empty."""

    verdict: Verdict
    kpis: tuple[Kpi, ...]
    trends: tuple[TrendPoint, ...]
    drivers: tuple[Driver, ...]
    bridge: tuple[BridgeStep, ...]
    models: tuple[ModelRow, ...]
    parts: tuple[PartRow, ...]
    errors: tuple[ErrorRow, ...]
    failed_jobs: tuple[FailedJob, ...]
    slow_calls: tuple[SlowCall, ...]
    latency: tuple[LatencyRow, ...]
    credits: tuple[CreditRow, ...]
    statement: tuple[StatementLine, ...]
    balances: tuple[BalanceRow, ...]
    restatements: tuple[Restatement, ...]
    decisions: tuple[Decision, ...]
    cohorts: tuple[CohortRow, ...]
    model_shares: tuple[ModelShare, ...]
    forecasts: tuple[Forecast, ...]
    freshness: Freshness
    findings: tuple[Finding, ...]
    provenance: Provenance
    edition: Edition = FIRST_EDITION
    part_rows: tuple[PartTotal, ...] = ()
    # None: the rules were never asked in the period
    alerts: Alerts | None = None
    uptime: tuple[UptimeRow, ...] = ()
