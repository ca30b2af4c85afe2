"""The charts of one review, drawn from its figures; names that people chose pass through `safe_label`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from markupsafe import Markup

from reports import charts, formats
from reports.formats import safe_label
from reports.review import CreditRow, ErrorRow, Kpi, LatencyRow, Review

STEPS = {"volume": "volume", "mix": "model mix", "tokens": "tokens per call", "price": "price"}


@dataclass(frozen=True, slots=True)
class Pictures:
    """The drawn charts of a review, by metric or by position in their table."""

    sparklines: Mapping[str, Markup]
    processes: Mapping[str, Markup]
    trends: Mapping[str, Markup]
    drivers: Mapping[tuple[str, int], Markup]
    bridge: Markup | None
    models: Mapping[int, Markup]
    parts: Mapping[tuple[str, int], Markup]
    credits: Mapping[int, Markup]
    latency: Mapping[int, Markup]
    errors: Mapping[int, Markup]


def draw(review: Review) -> Pictures:
    """Every chart that the review's page shows."""
    kind = review.verdict.review_kind
    this = formats.short_period(review.verdict.period_start_date, kind)
    before = formats.short_period(review.verdict.previous_period_start_date, kind)
    extent = max((abs(driver.change_usd) for driver in review.drivers), default=Decimal(0))
    dimensions = sorted({row.dimension for row in review.parts})
    shown = charted(review.kpis, review.verdict.scope_kind)
    return Pictures(
        sparklines={kpi.metric: spark(kpi, kind) for kpi in review.kpis},
        processes={kpi.metric: process(kpi, kind) for kpi in shown} if kind == "weekly" else {},
        trends={kpi.metric: _trend(review, kpi) for kpi in shown if kpi.is_core} if kind == "monthly" else {},
        drivers={
            (driver.dimension, driver.list_position): charts.contribution(
                f"driver-{driver.dimension}-{driver.list_position}",
                f"{safe_label(driver.part_name, missing='everything else')}: contribution to the change",
                f"{formats.signed_usd(driver.change_usd)} of the change in client cost.",
                driver.change_usd,
                extent=extent,
            )
            for driver in review.drivers
        },
        bridge=_bridge(review, this, before),
        models=cost_bars(
            "model",
            this,
            before,
            (
                (r.list_position, r.model, r.client_cost_usd, r.previous_client_cost_usd)
                for r in review.models
            ),
        ),
        parts={
            (dimension, place): picture
            for dimension in dimensions
            for place, picture in cost_bars(
                dimension,
                this,
                before,
                (
                    (r.list_position, r.part_name, r.client_cost_usd, r.previous_client_cost_usd)
                    for r in review.parts
                    if r.dimension == dimension
                ),
            ).items()
        },
        credits=credit_bullets(review.credits),
        errors=error_bars(review.errors, this, before),
        latency=latency_spreads(review.latency),
    )


def charted(kpis: Iterable[Kpi], scope_kind: str) -> tuple[Kpi, ...]:
    """The metrics whose charts are shown: those with a signal, and a fixed set, shorter for a team."""
    is_team = scope_kind == "team"
    return tuple(
        kpi
        for kpi in kpis
        if kpi.signal_position is not None or (kpi.headline_position is not None if is_team else kpi.is_core)
    )


def process(kpi: Kpi, review_kind: str, *, width: float = 240.0) -> Markup:
    """The process behaviour chart of one metric."""
    return charts.process_chart(
        f"process-{kpi.metric}",
        f"{kpi.label}: process behaviour chart",
        finding(kpi),
        [point.value for point in kpi.points],
        [formats.short_period(point.point_start_date, review_kind) for point in kpi.points],
        lower=kpi.lower_limit,
        upper=kpi.upper_limit,
        mean=kpi.mean_value,
        tone=kpi.tone,
        is_signal=kpi.signal_position is not None,
        figure=partial(formats.short_figure, unit=kpi.unit),
        width=width,
    )


def finding(kpi: Kpi) -> str:
    """What the chart of a metric shows, in words."""
    return (
        f"{formats.figure(kpi.value, kpi.unit)}; mean {formats.mean_figure(kpi.mean_value, kpi.unit)}, "
        f"natural limits {formats.limits(kpi.lower_limit, kpi.upper_limit, kpi.unit)}: {kpi.status}."
    )


def spark(kpi: Kpi, review_kind: str) -> Markup:
    """The word-sized line of one metric."""
    noun = "week" if review_kind == "weekly" else "month"
    return charts.sparkline(
        f"spark-{kpi.metric}",
        f"{kpi.label}: this {noun} and the {noun}s before",
        finding(kpi),
        [point.value for point in kpi.points],
        lower=kpi.lower_limit,
        upper=kpi.upper_limit,
        mean=kpi.mean_value,
        tone=kpi.tone,
        is_signal=kpi.signal_position is not None,
    )


def _trend(review: Review, kpi: Kpi) -> Markup:
    points = [point for point in review.trends if point.metric == kpi.metric]
    weeks = [
        (formats.short_week(point.point_start_date), point.value, point.year_ago_value)
        for point in points
        if point.panel == "week"
    ]
    months = [
        (formats.short_month(point.point_start_date), point.value, point.year_ago_value)
        for point in points
        if point.panel == "month"
    ]
    return charts.six_twelve(
        f"trend-{kpi.metric}",
        f"{kpi.label}: the last weeks, and the last months",
        f"{formats.figure(kpi.value, kpi.unit)} in the month, "
        f"{formats.figure(kpi.previous_value, kpi.unit)} in the month before.",
        weeks,
        months,
        figure=partial(formats.short_figure, unit=kpi.unit),
    )


def _bridge(review: Review, this: str, before: str) -> Markup | None:
    if not review.bridge:
        return None
    names = {"previous": before, "current": this, **STEPS}
    told = ", ".join(
        f"{STEPS[step.step]} {formats.signed_usd(step.amount_usd)}"
        for step in review.bridge
        if step.step in STEPS
    )
    return charts.bridge(
        "bridge",
        f"Client cost from {before} to {this}",
        f"{told}.",
        [(names[step.step], step.amount_usd) for step in review.bridge],
        figure=formats.usd,
        signed=formats.signed_usd,
    )


def cost_bars(
    section: str,
    this: str,
    before: str,
    rows: Iterable[tuple[int, str | None, Decimal | None, Decimal | None]],
) -> dict[int, Markup]:
    """This period's client cost over the previous one's, on one scale; rows of place, name, now and then."""
    drawn = [
        (place, safe_label(name, missing="everything else"), now, then) for place, name, now, then in rows
    ]
    top = max((figure for _, _, *pair in drawn for figure in pair if figure is not None), default=Decimal(0))
    return {
        place: charts.bar_pair(
            f"{section}-{place}",
            f"{name}: client cost in {this} over {before}",
            f"{formats.usd(now)} in {this}, {formats.usd(then)} in {before}.",
            now,
            then,
            maximum=top,
        )
        for place, name, now, then in drawn
    }


def credit_bullets(rows: Sequence[CreditRow]) -> dict[int, Markup]:
    """The share of each team's credits that is used, by place."""
    return {
        row.list_position: charts.bullet(
            f"credits-{row.list_position}",
            f"{safe_label(row.team_id)}: share of its credits used",
            f"{formats.percent(row.used_share)} used.",
            row.used_share,
            tone="bad" if row.tone == "bad" else "none",
        )
        for row in rows
    }


def error_bars(rows: Sequence[ErrorRow], this: str, before: str) -> dict[int, Markup]:
    """Failed jobs of each class over the previous period's, on one scale, by place."""
    most = max((max(row.failed_job_count, row.previous_failed_job_count) for row in rows), default=0)
    return {
        row.list_position: charts.bar_pair(
            f"error-{row.list_position}",
            f"{formats.words(row.error_class)}: failed jobs in {this} over {before}",
            f"{row.failed_job_count} failed in {this}, {row.previous_failed_job_count} in {before}.",
            row.failed_job_count,
            row.previous_failed_job_count,
            maximum=most,
        )
        for row in rows
    }


def latency_spreads(rows: Sequence[LatencyRow]) -> dict[int, Markup]:
    """Three percentiles of each model group, on one logarithmic scale, by place."""
    fastest = min((row.latency_p50_ms for row in rows), default=Decimal(0))
    slowest = max((row.latency_p99_ms for row in rows), default=Decimal(0))
    return {
        row.list_position: charts.spread(
            f"latency-{row.list_position}",
            f"{safe_label(row.model_group)}: median, 95th and 99th percentile",
            f"p50 {formats.milliseconds(row.latency_p50_ms)}, "
            f"p95 {formats.milliseconds(row.latency_p95_ms)}, "
            f"p99 {formats.milliseconds(row.latency_p99_ms)}; logarithmic scale.",
            row.latency_p50_ms,
            row.latency_p95_ms,
            row.latency_p99_ms,
            minimum=fastest,
            maximum=slowest,
        )
        for row in rows
    }
