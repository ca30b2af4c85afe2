"""Dashboards made by hand: of each scope, with every kind of row, and with nothing at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from reports import dashboard_figures as f
from tests.unit.review_samples import sample

AS_OF = datetime(2026, 11, 23, 2, 0)
NOW = datetime(2026, 11, 23, 8, 30)
SCOPES = ("platform", "organization", "team")
D = Decimal


def dashboard(scope: str = "platform", kind: str = "weekly", name: str = "команда-β") -> f.Dashboard:
    """A page of one scope; `name` is what its people called themselves, their teams, models and jobs."""
    review = sample(kind, scope, name)
    start, end = review.verdict.period_start_date, review.verdict.period_end_date
    label = "2026-W47" if kind == "weekly" else "2026-10"
    period = f.PeriodChoice(label, kind, start, end)
    return f.Dashboard(
        scope_kind=scope,
        scope_id="platform" if scope == "platform" else name,
        organization_id=None if scope == "platform" else f"org-{name}",
        organization_name=None if scope == "platform" else f"{name} GmbH",
        night_id="20261123T020000Z-1a2b3c4d",
        as_of=AS_OF,
        read_at=NOW,
        is_stale=False,
        stale_hours=26,
        reporting_timezone="UTC",
        period=period,
        periods=(
            f.PeriodChoice("2026-W47", "weekly", date(2026, 11, 16), date(2026, 11, 23)),
            f.PeriodChoice("2026-W46", "weekly", date(2026, 11, 9), date(2026, 11, 16)),
            f.PeriodChoice("2026-10", "monthly", date(2026, 10, 1), date(2026, 11, 1)),
        ),
        health=health(name),
        today=(
            f.Today("job_count", "Jobs", "count", 28, 40, 30),
            f.Today("total_tokens", "Tokens", "tokens", 8_134_914, 10_134_914, 12_345_678),
            f.Today("client_cost_usd", "Client cost", "usd", None, D("0.33"), None),
            f.Today("failure_rate", "Failure rate", "rate", D("0.0357"), D("0.1"), D("0.0667")),
            f.Today("latency_p95_ms", "Latency p95", "milliseconds", D(6014), D(5610), D(7863)),
        ),
        today_date=date(2026, 11, 23),
        is_today=True,
        figures=f.PeriodFigures(
            verdict=review.verdict,
            kpis=review.kpis,
            models=review.models,
            job_types=tuple(row for row in review.parts if row.dimension == "job_type"),
            errors=review.errors,
            latency=review.latency,
            uptime=review.uptime,
            availability=tuple(
                f.DailyAvailability(row.component, (*[D(1)] * 20, None, D("0.98"), *[D(1)] * 8))
                for row in review.uptime
            ),
        ),
        days=tuple(
            f.Day(
                start + timedelta(days=number),
                number < 6,
                number >= 0,
                40 + number,
                max(number, 0),
                200,
                None if number == 4 else 300_000,
                None if number == 3 else D("1.25"),
            )
            for number in range(-14, 7)
        ),
        credits=review.credits,
        alerts=alerts(name),
        teams=None if scope == "team" else teams(name),
    )


def health(name: str) -> f.Health:
    return f.Health(
        "degraded",
        (
            f.Component("saas_api", True, "up", D(43), NOW, None, D("0.99931"), D(1800)),
            f.Component("litellm_proxy", True, "degraded", D(1412), NOW, name, D("0.9712"), D(74000)),
            f.Component("database", True, "unknown", None, None, "no fresh probe", None, None),
            f.Component("mail", False, "down", D(5000), NOW, "no whole answer within 5 s", D(1), D(0)),
        ),
    )


def alerts(name: str) -> f.Alerts:
    def incident(number: int, severity: str, scope_kind: str, ended_at: datetime | None) -> f.Incident:
        return f.Incident(
            f"inc-20261118T120000-0000000{number}",
            "No credits remain",
            severity,
            scope_kind,
            name,
            name,
            datetime(2026, 11, 18, 12, 0),
            ended_at,
            number % 2 == 0,
        )

    return f.Alerts(
        open_counts=(("critical", 1), ("error", 0), ("warning", 1), ("info", 1)),
        open=(
            incident(1, "critical", "team", None),
            incident(2, "warning", "organization", None),
            incident(3, "info", "model", None),
        ),
        recent=(incident(4, "error", "team", AS_OF),),
        recent_days=14,
        omitted_open_count=2,
        omitted_recent_count=3,
    )


def teams(name: str, count: int = 3) -> f.TeamTable:
    return f.TeamTable(
        rows=(
            f.TeamRow(name, name, name, 320, 22, D("0.074"), 1432, 4_134_914, D("9.30"), 563, 35, D("14020")),
            f.TeamRow("no price", "o", None, 3, 0, D(0), 3, None, None, 3, None, None),
            *(
                f.TeamRow(f"idle-{number}", "o", "O", 0, 0, None, 0, 0, D(0), 0, 20, None)
                for number in range(count - 2)
            ),
        ),
        row_count=count + 120,
        search="",
        sort="client_cost_usd",
        is_descending=True,
        page=2,
        page_count=3,
        page_size=50,
    )


def empty(scope: str = "platform") -> f.Dashboard:
    """A platform on its first day: nothing is probed, asked, complete, or known."""
    return replace(
        dashboard(scope, name="first"),
        period=None,
        periods=(),
        health=None,
        today=(),
        today_date=None,
        figures=None,
        days=(),
        credits=(),
        alerts=None,
        teams=None,
    )


def without_review(scope: str = "team") -> f.Dashboard:
    """A tenant that did nothing in the period."""
    return replace(dashboard(scope, name="quiet"), figures=None)
