"""The charts of one dashboard: those of the reviews, and its days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from markupsafe import Markup

from reports import charts, formats, pictures
from reports.dashboard_figures import DailyAvailability, Dashboard, Day, PeriodFigures
from reports.formats import component_name, safe_label
from reports.review import Kpi, PartRow, UptimeRow

# Units of a chart that a third of a page is wide: its letters are then of the size of notes.
_WIDE = 330.0


@dataclass(frozen=True, slots=True)
class DashboardPictures:
    """The drawn charts, by metric, by component, or by position in their table."""

    sparklines: Mapping[str, Markup]
    trends: Mapping[str, Markup]
    uptime: Mapping[str, Markup]
    daily: Mapping[str, Markup]
    models: Mapping[int, Markup]
    job_types: Mapping[int, Markup]
    credits: Mapping[int, Markup]
    errors: Mapping[int, Markup]
    latency: Mapping[int, Markup]


def draw(page: Dashboard, *, dates: str) -> DashboardPictures:
    """Every chart of the page."""
    credits = pictures.credit_bullets(page.credits)
    figures = page.figures
    if figures is None:
        return DashboardPictures({}, {}, {}, _daily(page.days, dates), {}, {}, credits, {}, {})
    verdict = figures.verdict
    kind = verdict.review_kind
    this = formats.short_period(verdict.period_start_date, kind)
    before = formats.short_period(verdict.previous_period_start_date, kind)
    return DashboardPictures(
        sparklines={kpi.metric: pictures.spark(kpi, kind) for kpi in figures.kpis},
        trends={kpi.metric: pictures.process(kpi, kind, width=_WIDE) for kpi in charted(figures)},
        uptime=_uptime(figures.uptime, figures.availability),
        daily=_daily(page.days, dates),
        models=pictures.cost_bars(
            "model",
            this,
            before,
            (
                (row.list_position, row.model, row.client_cost_usd, row.previous_client_cost_usd)
                for row in figures.models
            ),
        ),
        job_types=_job_types(figures.job_types, this, before),
        credits=credits,
        errors=pictures.error_bars(figures.errors, this, before),
        latency=pictures.latency_spreads(figures.latency),
    )


def charted(figures: PeriodFigures) -> tuple[Kpi, ...]:
    """The metrics whose charts are shown."""
    return pictures.charted(figures.kpis, figures.verdict.scope_kind)


def _job_types(rows: Sequence[PartRow], this: str, before: str) -> dict[int, Markup]:
    most = max((max(row.job_count, row.previous_job_count) for row in rows), default=0)
    return {
        row.list_position: charts.bar_pair(
            f"job-type-{row.list_position}",
            f"{safe_label(row.part_name, missing='everything else')}: jobs in {this} over {before}",
            f"{formats.count(row.job_count)} in {this}, {formats.count(row.previous_job_count)} in {before}.",
            row.job_count,
            row.previous_job_count,
            maximum=most,
        )
        for row in rows
    }


def _uptime(rows: Sequence[UptimeRow], availability: Sequence[DailyAvailability]) -> dict[str, Markup]:
    days = {one.component: one.days for one in availability}
    return {
        row.component: charts.sparkline(
            f"uptime-{row.component}",
            f"{component_name(row.component)}: availability of the last {len(days[row.component])} days",
            f"{formats.availability(row.availability)} in the period.",
            days[row.component],
            lower=row.objective,
            upper=Decimal(1),
            tone="bad" if missed(row) else "none",
            is_signal=missed(row),
        )
        for row in rows
    }


def missed(row: UptimeRow) -> bool:
    """Whether a component had more downtime than its objective leaves."""
    return row.budget_used is not None and row.budget_used > 1


def _daily(days: Sequence[Day], dates: str) -> dict[str, Markup]:
    if not days:
        return {}
    jobs = [day.job_count for day in days if day.is_shown]
    failed = [day.failed_job_count for day in days if day.is_shown]
    costs, unpriced = _known([day.client_cost_usd for day in days if day.is_shown])
    tokens, uncounted = _known([day.total_tokens for day in days if day.is_shown])
    label = {day.day: formats.day(day.day, dates=dates) for day in days}
    return {
        "jobs": charts.columns(
            "daily-jobs",
            "Jobs each day, and those of them that failed",
            f"{formats.count(sum(jobs))} jobs in the period, {formats.count(sum(failed))} failed.",
            [
                charts.Column(
                    label[day.day], day.job_count, day.failed_job_count, not day.is_shown, not day.is_complete
                )
                for day in days
            ],
            figure=partial(formats.short_figure, unit="count"),
        ),
        "cost": charts.columns(
            "daily-cost",
            "Client cost each day",
            f"{formats.usd(sum(costs, Decimal(0)))} in the period{unpriced}.",
            [
                charts.Column(
                    label[day.day], day.client_cost_usd, None, not day.is_shown, not day.is_complete
                )
                for day in days
            ],
            figure=partial(formats.short_figure, unit="usd"),
        ),
        "tokens": charts.columns(
            "daily-tokens",
            "Tokens each day",
            f"{formats.compact(sum(tokens))} in the period{uncounted}.",
            [
                charts.Column(label[day.day], day.total_tokens, None, not day.is_shown, not day.is_complete)
                for day in days
            ],
            figure=partial(formats.short_figure, unit="tokens"),
        ),
    }


def _known(values: Sequence[Decimal | int | None]) -> tuple[list[Decimal | int], str]:
    """The values that are known, and what to say of the days whose are not."""
    known = [value for value in values if value is not None]
    missing = len(values) - len(known)
    days = "1 day is" if missing == 1 else f"{missing} days are"
    return known, f"; {days} not known" if missing else ""
