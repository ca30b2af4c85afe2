"""A weekly review made by hand: small, complete, with a signal, a gap, an unknown cost and names in other
scripts.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from reports import weekly

WEEK = date(2026, 11, 16)


def _d(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _points(values: list[str | None]) -> tuple[weekly.Point, ...]:
    first = 13 - len(values)
    return tuple(
        weekly.Point(first + index + 1, WEEK - timedelta(weeks=12 - first - index), _d(value))
        for index, value in enumerate(values)
    )


def _kpi(
    metric: str,
    label: str,
    group: str,
    unit: str,
    values: list[str | None],
    *,
    mean: str | None,
    lower: str | None,
    upper: str | None,
    change: str | None,
    status: str = "normal",
    tone: str = "none",
    higher_is: str = "neutral",
    signal: int | None = None,
    headline: int | None = None,
) -> weekly.Kpi:
    return weekly.Kpi(
        metric=metric,
        label=label,
        is_plural=label.endswith("s"),
        metric_group=group,
        unit=unit,
        higher_is=higher_is,
        value=_d(values[-1]),
        previous_value=_d(values[-2]) if len(values) > 1 else None,
        change=_d(change),
        change_kind="points" if unit == "rate" else "percent",
        baseline_week_count=len(values) - 1,
        mean_value=_d(mean),
        lower_limit=_d(lower),
        upper_limit=_d(upper),
        status=status,
        tone=tone,
        signal_position=signal,
        headline_position=headline,
        points=_points(values),
    )


_JOBS: list[str | None] = [
    "210",
    "232",
    "205",
    "240",
    "238",
    "219",
    "226",
    "231",
    "215",
    "222",
    "229",
    "240",
    "236",
]
_RATES: list[str | None] = [
    "0.051",
    "0.047",
    None,
    "0.055",
    "0.049",
    "0.052",
    "0.046",
    "0.05",
    "0.053",
    "0.048",
    "0.05",
    "0.051",
    "0.093",
]
_COSTS: list[str | None] = [
    "8.10",
    "7.95",
    "8.41",
    "8.02",
    "8.33",
    "7.81",
    "8.20",
    "8.15",
    "8.5",
    "8.05",
    "7.9",
    "8.12",
    "9.31",
]


def kpis() -> tuple[weekly.Kpi, ...]:
    jobs: dict[str, Any] = {"mean": "225.58", "lower": "194.2", "upper": "256.96"}
    rate: dict[str, Any] = {"mean": "0.050182", "lower": "0.041", "upper": "0.0594"}
    cost: dict[str, Any] = {"mean": "8.13", "lower": "7.3", "upper": "8.96"}
    above: dict[str, Any] = {"status": "above limit", "tone": "bad"}
    none: dict[str, Any] = {
        "mean": None,
        "lower": None,
        "upper": None,
        "change": None,
        "status": "not enough data",
    }
    return (
        _kpi("job_count", "Jobs", "Usage", "count", _JOBS, change="-0.016667", headline=3, **jobs),
        _kpi("call_count", "Model calls", "Usage", "count", _JOBS, change="-0.016667", **jobs),
        _kpi("total_tokens", "Tokens", "Usage", "tokens", ["5200000", "5600000"], **none),
        _kpi("active_team_count", "Active teams", "Usage", "count", ["21", "22"], **none),
        _kpi("active_user_count", "Active users", "Usage", "count", ["80", "71"], **none),
        _kpi(
            "failure_rate",
            "Failure rate",
            "Performance",
            "rate",
            _RATES,
            change="0.042",
            higher_is="worse",
            signal=1,
            headline=1,
            **above,
            **rate,
        ),
        _kpi(
            "call_failure_rate",
            "Call failure rate",
            "Performance",
            "rate",
            [*_RATES[:-1], "0.049"],
            change="-0.002",
            higher_is="worse",
            **rate,
        ),
        _kpi("latency_p50_ms", "Latency p50", "Performance", "milliseconds", ["2408", "2311"], **none),
        _kpi("latency_p95_ms", "Latency p95", "Performance", "milliseconds", ["14774", "873"], **none),
        _kpi("p95_job_seconds", "p95 job time", "Performance", "seconds", ["48.2", None], **none),
        _kpi(
            "client_cost_usd",
            "Client cost",
            "Financial",
            "usd",
            _COSTS,
            change="0.146552",
            status="above limit",
            tone="neutral",
            signal=2,
            headline=2,
            **cost,
        ),
        _kpi(
            "provider_cost_usd",
            "Provider cost",
            "Financial",
            "usd",
            [*_COSTS[:-1], "8.2"],
            change="0.009852",
            higher_is="worse",
            **cost,
        ),
        _kpi("margin_usd", "Margin", "Financial", "usd", ["-1.2", "-0.004"], **none),
        _kpi(
            "avg_cost_per_job_usd",
            "Client cost per job",
            "Financial",
            "usd_unit",
            ["0.0338", "0.0394"],
            **none,
        ),
        _kpi("credits_used", "Credits used", "Financial", "credits", ["200", "212"], **none),
    )


def sample_review(team_name: str = "team-alpha") -> weekly.WeeklyReview:
    """The review of 2026-W47; `team_name` is the first team's, for names that mean harm."""
    d = Decimal
    model = weekly.ModelRow
    team = weekly.TeamRow
    return weekly.WeeklyReview(
        verdict=weekly.Verdict(
            period_start_date=WEEK,
            period_end_date=date(2026, 11, 23),
            previous_period_start_date=date(2026, 11, 9),
            is_complete=True,
            built_at_as_of=datetime(2026, 11, 23, 2),
            reporting_timezone="UTC",
            verdict_sentence="Failure rate and client cost left their normal range; 4 metrics are normal.",
            metric_count=15,
            signal_count=2,
            bad_signal_count=1,
            normal_count=4,
            undecided_count=9,
            low_credit_team_count=1,
            unpriced_call_count=12,
            client_cost_change_usd=d("1.19"),
            baseline_weeks=12,
            minimum_weeks=6,
            limit_factor=d("2.66"),
            low_credit_days=14,
        ),
        kpis=kpis(),
        drivers=tuple(
            weekly.Driver(dimension, position, name, kind, count, d(now), d(before), d(change))
            for dimension, first in (
                ("model", "gpt-5"),
                ("team", team_name),
                ("job_type", "document_analysis"),
            )
            for position, name, kind, count, now, before, change in (
                (1, first, "member", 1, "6.31", "5.00", "1.31"),
                (2, "second", "member", 1, "1.00", "1.22", "-0.22"),
                (6, None, "rest", 3, "2.00", "1.90", "0.10"),
            )
        ),
        models=(
            model(
                1,
                "member",
                1,
                "gpt-5",
                d("6.31"),
                d("5"),
                d("0.262"),
                d("4.2"),
                400,
                380,
                12,
                d("0.03"),
                d("0.015775"),
            ),
            model(
                2,
                "member",
                1,
                "accounts/fireworks/models/llama-v3p1-70b-instruct",
                d("3.00"),
                d("3.12"),
                d("-0.038462"),
                d("4"),
                610,
                622,
                1,
                d("0.001639"),
                d("0.004918"),
            ),
            model(3, "member", 1, "unknown", None, None, None, None, 14, 9, 14, d("1"), None),
            model(21, "rest", 4, None, d("0.0004"), None, None, d("0"), 3, 0, 0, d("0"), d("0.00013333")),
        ),
        teams=(
            team(
                1,
                "member",
                1,
                team_name,
                "Acme",
                d("5.31"),
                d("4.12"),
                d("0.288835"),
                120,
                118,
                14,
                d("0.116667"),
                d("0.04425"),
                106,
            ),
            team(
                2,
                "member",
                1,
                "команда-β",
                "Ünïcode & Söhne",
                d("4"),
                d("4"),
                d("0"),
                116,
                122,
                7,
                d("0.06"),
                d("0.034483"),
                106,
            ),
            team(51, "rest", 3, None, None, d("0"), d("0"), None, 0, 0, 0, None, None, 0),
        ),
        job_types=(
            weekly.JobTypeRow(
                1,
                "member",
                1,
                "document_analysis",
                d("9.31"),
                d("8.12"),
                d("0.146552"),
                236,
                240,
                21,
                d("0.093"),
                d("0.0394"),
                212,
            ),
        ),
        errors=(
            weekly.ErrorRow(1, "rate_limit", 12, 3, 40, 9, d("0.3"), "document_analysis"),
            weekly.ErrorRow(2, "timeout", 9, 8, 10, 12, None, "chat"),
        ),
        credits=(
            weekly.CreditRow(
                1,
                team_name,
                "Acme",
                2000,
                1951,
                49,
                d("0.9755"),
                d("7.2"),
                d("6.8"),
                date(2026, 11, 29),
                "low",
                "bad",
            ),
            weekly.CreditRow(
                2, "new-team", None, 1000, 0, 1000, d("0"), None, None, None, "not known", "none"
            ),
        ),
        latency=(
            weekly.LatencyRow(
                1, "chat-large", 388, d("2408"), d("14774.5"), d("61000"), d("614470"), d("9000")
            ),
            weekly.LatencyRow(2, "chat-small", 609, d("873"), d("1530"), d("2100.25"), d("9000"), None),
        ),
        freshness=weekly.Freshness(
            datetime(2026, 11, 22, 21, 49, 8), datetime(2026, 11, 22, 21, 49, 15), None, 12, 8
        ),
        findings=(weekly.Finding("conflicting_duplicate", "llm_calls", 2, d("0.0123")),),
    )
