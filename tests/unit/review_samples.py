"""Reviews made by hand, one of each outline: small, complete, with signals, a gap, an unknown cost."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from reports import review as r
from reports.review import Review

AS_OF = datetime(2026, 11, 23, 2, 0)
WEEK, MONTH = date(2026, 11, 16), date(2026, 10, 1)
OUTLINES = tuple(
    (kind, scope) for kind in ("weekly", "monthly") for scope in ("platform", "organization", "team")
)
D = Decimal


class Metric(NamedTuple):
    name: str
    label: str
    group: str
    unit: str
    values: tuple[str | None, ...]
    status: str = "normal"
    tone: str = "none"
    headline: int | None = None
    is_core: bool = True


METRICS = (
    Metric("job_count", "Jobs", "Usage", "count", ("300", "310", None, "305", "320"), headline=2),
    Metric(
        "call_count", "Model calls", "Usage", "count", ("900", "980", "940", "1335", "1432"), is_core=False
    ),
    Metric(
        "total_tokens", "Tokens", "Usage", "tokens", ("3400000", "3500000", "3300000", "3490000", "4130000")
    ),
    Metric("active_team_count", "Active teams", "Usage", "count", ("16", "16", "16", "15", "16")),
    Metric(
        *("failure_rate", "Failure rate", "Performance", "rate"),
        ("0.03", "0.031", "0.028", "0.029", "0.074"),
        *("above limit", "bad", 1),
    ),
    Metric(
        *("call_failure_rate", "Call failure rate", "Performance", "rate"),
        ("0.02", "0.02", "0.03", "0.03", "0.03"),
        is_core=False,
    ),
    Metric(
        "latency_p95_ms",
        "Latency p95",
        "Performance",
        "milliseconds",
        ("800", "900", "850", "14000", "14020"),
    ),
    Metric(
        *("p95_job_seconds", "Job time p95", "Performance", "seconds"),
        (None, None, None, None, None),
        "not enough data",
        is_core=False,
    ),
    Metric(
        *("client_cost_usd", "Client cost", "Financial", "usd"),
        ("5.1", "5.2", "5.0", "5.70", "9.30"),
        *("shift up", "neutral", 3),
    ),
    Metric(
        "provider_cost_usd",
        "Provider cost",
        "Financial",
        "usd",
        ("4", "4", "4", "4.07", "6.33"),
        is_core=False,
    ),
    Metric("margin_usd", "Margin", "Financial", "usd", ("1", "1.1", "1", "1.63", "-2.97"), is_core=False),
    Metric(
        "avg_cost_per_job_usd",
        "Cost per job",
        "Financial",
        "usd_unit",
        ("0.017", "0.017", None, "0.0190", "0.0291"),
    ),
    Metric("credits_used", "Credits used", "Financial", "credits", ("500", "510", "520", "560", "563")),
)
PLATFORM_ALONE = {"provider_cost_usd", "margin_usd"}


def sample(kind: str = "weekly", scope: str = "platform", name: str = "команда-β") -> Review:
    """A review of one outline; `name` is what its people called themselves, their teams, models and jobs."""
    is_platform, is_team = scope == "platform", scope == "team"
    start = WEEK if kind == "weekly" else MONTH
    before = start - timedelta(days=7) if kind == "weekly" else date(2026, 9, 1)
    metrics = [
        metric
        for metric in METRICS
        if (is_platform or metric.name not in PLATFORM_ALONE)
        and not (is_team and metric.name == "active_team_count")
    ]
    signals = [metric for metric in metrics if metric.status not in ("normal", "not enough data")]
    return Review(
        verdict=r.Verdict(
            review_kind=kind,
            scope_kind=scope,
            scope_id="platform" if is_platform else name,
            organization_name=None if is_platform else f"{name} GmbH",
            period_start_date=start,
            period_end_date=date(2026, 11, 23) if kind == "weekly" else date(2026, 11, 1),
            previous_period_start_date=before,
            day_count=7 if kind == "weekly" else 31,
            previous_day_count=7 if kind == "weekly" else 30,
            is_complete=True,
            is_first=False,
            has_activity=True,
            built_at_as_of=AS_OF,
            reporting_timezone="UTC",
            verdict_sentence="Failure rate and client cost left their normal range; 7 metrics are normal.",
            metric_count=len(metrics),
            signal_count=len(signals),
            bad_signal_count=1,
            normal_count=len(metrics) - len(signals) - 1,
            undecided_count=1,
            low_credit_team_count=2,
            unpriced_call_count=28,
            client_cost_change_usd=D("3.60"),
            baseline_periods=12,
            minimum_periods=6,
            limit_factor=D("2.66"),
            run_periods=8,
            minimum_observations=20,
            low_credit_days=14,
        ),
        kpis=tuple(_kpi(metric, kind, signals, place) for place, metric in enumerate(metrics, 1)),
        trends=tuple(
            r.TrendPoint(
                metric.name,
                panel,
                place,
                start - timedelta(days=(7 if panel == "week" else 30) * (count - place)),
                _d(metric.values[place % 5]),
                _d(metric.values[0]) if place > 8 else None,
            )
            for metric in metrics
            if metric.is_core
            for panel, count in (("month", 12), ("week", 6))
            for place in range(1, count + 1)
        ),
        drivers=tuple(
            r.Driver(dimension, place, part, row_kind, members, D(now), D(then), D(change))
            for dimension in (("model",) if is_team else ("model", "team")) + ("job_type",)
            for place, part, row_kind, members, now, then, change in (
                (1, f"{name}-1", "member", 1, "6.10", "3.00", "3.10"),
                (2, "gpt-5", "member", 1, "3.00", "2.60", "0.40"),
                (3, None, "rest", 4, "0.20", "0.10", "0.10"),
            )
        ),
        bridge=tuple(
            r.BridgeStep(place, step, D(amount))
            for place, (step, amount) in enumerate(
                (
                    ("previous", "5.70"),
                    ("volume", "0.37"),
                    ("mix", "2.55"),
                    ("tokens", "1.39"),
                    ("price", "-0.71"),
                    ("current", "9.30"),
                ),
                1,
            )
        ),
        models=(
            r.ModelRow(
                *(
                    1,
                    "member",
                    1,
                    name,
                    D("9.30"),
                    D("5.70"),
                    D("0.631579"),
                    D("6.33") if is_platform else None,
                ),
                *(1400, 1330, 47, D("0.033571"), D("0.0066")),
            ),
            r.ModelRow(2, "rest", 3, None, None, D(0), None, None, 32, 5, 3, D("0.09375"), None),
        ),
        parts=tuple(
            r.PartRow(
                dimension=dimension,
                list_position=1,
                row_kind="member",
                member_count=1,
                part_name=f"{name}-a",
                organization_name=name if dimension == "team" and is_platform else None,
                client_cost_usd=D("9.30"),
                previous_client_cost_usd=D("5.70"),
                cost_change=D("0.631579"),
                job_count=320,
                previous_job_count=299,
                failed_job_count=22,
                failure_rate=D("0.074"),
                avg_cost_per_job_usd=D("0.0291"),
                credits_used=563,
            )
            for dimension in ((() if is_team else ("team",)) + ("job_type",))
        ),
        errors=(
            r.ErrorRow(1, "timeout", 9, 6, 0, 0, D("0.02"), name),
            r.ErrorRow(2, "rate_limit", 0, 1, 2, 5, None, None),
        ),
        failed_jobs=(r.FailedJob(1, "a80c5d7b-7d30-42c8", name, "content", AS_OF, 10, D("0.03")),)
        if is_team
        else (),
        slow_calls=(
            (r.SlowCall(1, "01e34de0-12c6-400c", name, "reason-pro", name, AS_OF, D(109000)),)
            if is_platform and kind == "weekly"
            else ()
        ),
        latency=(
            ()
            if scope == "organization"
            else (r.LatencyRow(1, name, 20, D(40000), D(98800), D(107000), D(109000), D(177000)),)
        ),
        credits=(
            r.CreditRow(
                *(
                    1,
                    f"{name}-a",
                    name,
                    740,
                    705,
                    35,
                    D("0.952703"),
                    D("16.4"),
                    D("2.13"),
                    date(2026, 11, 25),
                ),
                *(date(2026, 11, 25), date(2026, 11, 28), "low", "bad"),
            ),
            *(
                ()
                if is_team
                else (
                    r.CreditRow(
                        *(2, "idle", None, None, None, None, None, None, None, None, None, None),
                        *("not known", "none"),
                    ),
                )
            ),
        ),
        statement=()
        if kind == "weekly"
        else tuple(
            r.StatementLine(place, line, credits)
            for place, (line, credits) in enumerate(
                (
                    ("opening", 3647),
                    ("allocated", 0),
                    ("purchased", 820),
                    ("adjusted", 0),
                    ("used", -1498),
                    ("closing", 2969),
                ),
                1,
            )
        ),
        balances=()
        if kind == "weekly" or is_team
        else (r.BalanceRow(1, "member", 1, f"{name}-a", 3647, 820, 1498, 0, 2969),),
        restatements=(r.Restatement(1, before, "job_count", D(5435), D(5441), D(6), 2, "rows_added", AS_OF),),
        decisions=tuple(
            r.Decision(place, rule, subject, other, count, _d(amount), _d(second), _d(share), on)
            for place, (rule, subject, other, count, amount, second, share, on) in enumerate(
                (
                    ("credits_exhausted", f"{name}-a", None, None, "0", None, None, None),
                    ("credits_low", f"{name}-a", None, None, "35", None, None, date(2026, 11, 25)),
                    ("failures_cost", name, None, 13, "1.45", None, "0.083871", None),
                    ("jobs_stuck", name, None, 1, None, None, None, None),
                    ("calls_unpriced", None, None, 28, None, None, None, None),
                    ("costly_model", name, "gpt-5", None, "2", "1", "0.4", None),
                    *(
                        (
                            ("ledger_breaks", None, None, 11, None, None, None, None),
                            ("margin_negative", name, None, None, "-2.97", None, None, None),
                        )
                        if is_platform
                        else ()
                    ),
                ),
                1,
            )
        ),
        cohorts=(r.CohortRow(1, "new", 2, 3, D("1.5")), r.CohortRow(2, "lost", 0, None, D(0)))
        if kind == "monthly" and is_platform
        else (),
        model_shares=()
        if kind == "weekly"
        else (
            r.ModelShare(date(2026, 9, 1), 1, name, D("5.70"), D(1)),
            r.ModelShare(MONTH, 1, name, D("6.20"), D("0.666667")),
            r.ModelShare(MONTH, 5, None, D("3.10"), D("0.333333")),
        ),
        forecasts=()
        if kind == "weekly"
        else (
            r.Forecast(
                metric="client_cost_usd",
                label="Client cost",
                unit="usd",
                quarter_end_date=date(2026, 12, 31),
                so_far=D("9.30"),
                remaining_days=61,
                week_count=8,
                expected=D("27.60"),
                low=D("20.10"),
                high=D("40.90"),
            ),
        ),
        freshness=r.Freshness(AS_OF, AS_OF, None, 28, 8),
        findings=(r.Finding("unpriced_call", "llm_calls", 28, None),) if is_platform else (),
        provenance=r.Provenance("8f3c1e2a", "0.1.0", "8b7220f1", None),
        part_rows=(
            r.PartTotal("job_type", name, D("9.30"), D("5.70"), 1400, 47, 320, 22, 563),
            r.PartTotal("model", name, None, D(0), 32, 3, None, None, None),
        ),
        alerts=r.Alerts(
            asked_since=None if kind == "weekly" else datetime(2026, 10, 5, 2, 30),
            opened_count=11,
            previous_opened_count=4 if kind == "weekly" else None,
            ended_count=10,
            open_count=2,
            repeated_count=3,
            ended_alone_count=8,
            false_alarm_count=1,
            median_seconds=D(18900),
            families=(("usage", 7), ("system", 4)),
            incidents=(
                r.IncidentRow(
                    "inc-20261118T120000-0a1b2c3d",
                    "No credits remain",
                    "critical",
                    "team",
                    name,
                    datetime(2026, 11, 18, 12, 0),
                    None,
                    True,
                ),
                r.IncidentRow(
                    "inc-20261117T003000-4e5f6a7b",
                    "Jobs or calls fail too often",
                    "warning",
                    "platform" if is_platform else scope,
                    name,
                    datetime(2026, 11, 17, 0, 30),
                    datetime(2026, 11, 17, 6, 0),
                    False,
                ),
            ),
            omitted_count=9,
        ),
        uptime=_uptime(kind) if is_platform else (),
    )


def _uptime(kind: str) -> tuple[r.UptimeRow, ...]:
    known = D(604_800 if kind == "weekly" else 2_678_400)
    return tuple(
        r.UptimeRow(
            place,
            component,
            is_required,
            None if down is None else (known - D(down)) / known,
            None if place == 2 else D("0.99871"),
            D(down or 0),
            D(0) if down is not None else known,
            D(7200) if place == 1 else D(0),
            None if down is None else D("81.4"),
            0 if down is None else 2,
            D("0.995"),
            known * D("0.005"),
            None if down is None else D(down) / (known * D("0.005")),
        )
        for place, (component, is_required, down) in enumerate(
            (("database", True, "5400"), ("litellm_proxy", False, None)), 1
        )
    )


def quiet(kind: str = "weekly", scope: str = "team", name: str = "acme-docs") -> Review:
    """A tenant's review of a period in which nothing ran."""
    full = sample(kind, scope, name)
    return replace(
        full,
        verdict=replace(
            full.verdict,
            has_activity=False,
            verdict_sentence="Nothing ran this week: no job and no model call.",
        ),
    )


# What does not grow with the platform.
_STAYS = {
    *("list_position", "step_position", "member_count"),
    *("cost_change", "call_failure_rate", "avg_cost_per_call_usd", "failure_rate", "avg_cost_per_job_usd"),
    *("used_share", "days_left", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "latency_max_ms"),
    "previous_latency_p95_ms",
}
_GROWS = ("count", "credits", "tokens", "usd")


def large(review: Review, times: int = 123_457) -> Review:
    """The same review of a platform so many times as large: a million dollars and 40 million jobs a week.

    Statements grow a thousandfold: they are printed to the last credit.
    """
    units = {kpi.metric: kpi.unit for kpi in review.kpis}

    def grown(row: Any, names: set[str] | None = None, by: int = times) -> Any:
        wanted = names or {field.name for field in fields(row)} - _STAYS
        numbers = {
            name: getattr(row, name) for name in wanted if isinstance(getattr(row, name), int | Decimal)
        }
        return replace(row, **{name: number * by for name, number in numbers.items()})

    def all_of(rows: tuple[Any, ...], by: int = times) -> tuple[Any, ...]:
        return tuple(grown(row, by=by) for row in rows)

    figures = {"value", "previous_value", "mean_value", "lower_limit", "upper_limit"}
    return replace(
        review,
        verdict=grown(review.verdict, {"client_cost_change_usd", "unpriced_call_count"}),
        kpis=tuple(
            replace(grown(kpi, figures), points=tuple(grown(point, {"value"}) for point in kpi.points))
            if kpi.unit in _GROWS
            else kpi
            for kpi in review.kpis
        ),
        trends=tuple(
            grown(point, {"value", "year_ago_value"}) if units[point.metric] in _GROWS else point
            for point in review.trends
        ),
        drivers=all_of(review.drivers),
        bridge=all_of(review.bridge),
        models=all_of(review.models),
        parts=all_of(review.parts),
        errors=all_of(review.errors),
        latency=all_of(review.latency),
        credits=all_of(review.credits),
        statement=tuple(grown(line, {"credits"}, 1000) for line in review.statement),
        balances=all_of(review.balances, 1000),
        cohorts=all_of(review.cohorts),
        forecasts=tuple(grown(row, {"so_far", "expected", "low", "high"}) for row in review.forecasts),
        freshness=grown(review.freshness),
        findings=all_of(review.findings),
        part_rows=all_of(review.part_rows),
    )


def _kpi(metric: Metric, kind: str, signals: list[Metric], place: int) -> r.Kpi:
    values = [_d(value) for value in metric.values]
    value, previous = values[-1], values[-2]
    is_rate = metric.unit == "rate"
    change = None
    if value is not None and previous is not None:
        change = value - previous if is_rate else ((value - previous) / previous).quantize(D("0.000001"))
    known = [number for number in values[:-1] if number is not None]
    mean = (sum(known, D(0)) / len(known)).quantize(D("0.00000001")) if known else None
    is_judged = metric.status != "not enough data" and mean is not None
    return r.Kpi(
        metric=metric.name,
        label=metric.label,
        is_plural=metric.label.endswith("s"),
        metric_group=metric.group,
        unit=metric.unit,
        higher_is="neutral",
        value=value,
        previous_value=previous,
        change=change,
        change_kind="points" if is_rate else "percent",
        value_per_day=None,
        previous_value_per_day=None,
        change_per_day=D("0.1") if metric.name == "job_count" else None,
        baseline_count=12,
        baseline_start_date=date(2026, 8, 3),
        baseline_state="locked",
        mean_value=mean,
        lower_limit=mean * D("0.5") if is_judged and mean else None,
        upper_limit=mean * D("1.5") if is_judged and mean else None,
        status=metric.status,
        tone=metric.tone,
        signal_position=signals.index(metric) + 1 if metric in signals else None,
        headline_position=metric.headline,
        is_core=metric.is_core,
        observation_count=320 if is_rate else None,
        points=tuple(
            r.Point(9 + index, WEEK - timedelta(weeks=4 - index), value) for index, value in enumerate(values)
        ),
    )


def _d(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
