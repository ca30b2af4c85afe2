"""The weekly review as one HTML page and one PDF, from one template.

Draws the pictures, names the filters, and chooses the style sheets of each medium; decides no figure.
Names that users chose reach the page through `safe_label` and autoescaping, and never through `Markup`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports import charts, formats, pdf
from reports.formats import safe_label
from reports.weekly import Kpi, WeeklyReview

__all__ = ["Pictures", "render_weekly_html", "render_weekly_pdf", "safe_label"]

HERE = Path(__file__).parent
FALLBACK_FONT = HERE / "fonts" / "DejaVuSans.woff2"
Medium = Literal["screen", "print"]

# What each medium is made of, in cascade order.
STYLES: Mapping[Medium, tuple[str, ...]] = {
    "print": ("fonts", "variables", "page", "style"),
    "screen": ("fonts", "variables", "style", "screen"),
}


@dataclass(frozen=True, slots=True)
class Pictures:
    """The drawn charts of a review, by metric or by position in their table."""

    sparklines: Mapping[str, Markup]
    processes: Mapping[str, Markup]
    drivers: Mapping[tuple[str, int], Markup]
    models: Mapping[int, Markup]
    teams: Mapping[int, Markup]
    job_types: Mapping[int, Markup]
    credits: Mapping[int, Markup]
    latency: Mapping[int, Markup]
    errors: Mapping[int, Markup]


def render_weekly_html(review: WeeklyReview) -> str:
    """One self-contained page: style and fonts inside, nothing fetched, light and dark."""
    return _render(review, "screen")


def render_weekly_pdf(review: WeeklyReview) -> bytes:
    """The same review on A4; the same bytes for the same review."""
    return pdf.write_pdf(
        _drawable(_render(review, "print")),
        assets=_assets(),
        fallback_font=FALLBACK_FONT,
        as_of=review.verdict.built_at_as_of,
    )


def _render(review: WeeklyReview, medium: Medium) -> str:
    kpis = {kpi.metric: kpi for kpi in review.kpis}
    html = (
        _environment()
        .get_template("weekly.html.j2")
        .render(
            review=review,
            medium=medium,
            style=_style(medium),
            kpi=kpis,
            groups=tuple(
                (name, tuple(rows)) for name, rows in groupby(review.kpis, lambda kpi: kpi.metric_group)
            ),
            headlines=_in_order(review.kpis, lambda kpi: kpi.headline_position),
            driver_tables=tuple(
                (name, tuple(rows)) for name, rows in groupby(review.drivers, lambda driver: driver.dimension)
            ),
            pictures=_pictures(review),
        )
    )
    return re.sub(r"\n\s*\n+", "\n", html)


def _in_order(kpis: Iterable[Kpi], position: Callable[[Kpi], int | None]) -> tuple[Kpi, ...]:
    """The metrics that have a position, in its order."""
    placed = [(place, kpi) for kpi in kpis if (place := position(kpi)) is not None]
    return tuple(kpi for _, kpi in sorted(placed, key=lambda pair: pair[0]))


def _pictures(review: WeeklyReview) -> Pictures:
    cost = "client cost this week over the week before"
    drivers_extent = max((abs(driver.change_usd) for driver in review.drivers), default=Decimal(0))
    most_failed = max(
        (max(row.failed_job_count, row.previous_failed_job_count) for row in review.errors), default=0
    )
    fastest = min((row.latency_p50_ms for row in review.latency), default=Decimal(0))
    slowest = max((row.latency_p99_ms for row in review.latency), default=Decimal(0))

    def cost_bars(
        section: str, rows: Iterable[tuple[int, str | None, Decimal | None, Decimal | None]]
    ) -> dict[int, Markup]:
        drawn = [(place, safe_label(name), now, before) for place, name, now, before in rows]
        top = max(
            (figure for _, _, *pair in drawn for figure in pair if figure is not None), default=Decimal(0)
        )
        return {
            place: charts.bar_pair(
                f"{section}-{place}",
                f"{name}: {cost}",
                f"{formats.usd(now)} this week, {formats.usd(before)} the week before.",
                now,
                before,
                maximum=top,
            )
            for place, name, now, before in drawn
        }

    return Pictures(
        sparklines={kpi.metric: _sparkline(kpi) for kpi in review.kpis},
        processes={kpi.metric: _process(kpi) for kpi in review.kpis},
        drivers={
            (driver.dimension, driver.list_position): charts.contribution(
                f"driver-{driver.dimension}-{driver.list_position}",
                f"{safe_label(driver.part_name, missing='everything else')}: contribution to the change",
                f"{formats.signed_usd(driver.change_usd)} of the change in client cost.",
                driver.change_usd,
                extent=drivers_extent,
            )
            for driver in review.drivers
        },
        models=cost_bars(
            "model",
            (
                (r.list_position, r.model, r.client_cost_usd, r.previous_client_cost_usd)
                for r in review.models
            ),
        ),
        teams=cost_bars(
            "team",
            (
                (r.list_position, r.team_id, r.client_cost_usd, r.previous_client_cost_usd)
                for r in review.teams
            ),
        ),
        job_types=cost_bars(
            "job-type",
            (
                (r.list_position, r.job_type, r.client_cost_usd, r.previous_client_cost_usd)
                for r in review.job_types
            ),
        ),
        credits={
            row.list_position: charts.bullet(
                f"credits-{row.list_position}",
                f"{safe_label(row.team_id)}: share of its credits used",
                f"{formats.percent(row.used_share)} used.",
                row.used_share,
                tone="bad" if row.tone == "bad" else "none",
            )
            for row in review.credits
        },
        errors={
            row.list_position: charts.bar_pair(
                f"error-{row.list_position}",
                f"{formats.words(row.error_class)}: failed jobs this week over the week before",
                f"{row.failed_job_count} failed this week, {row.previous_failed_job_count} the week before.",
                row.failed_job_count,
                row.previous_failed_job_count,
                maximum=most_failed,
            )
            for row in review.errors
        },
        latency={
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
            for row in review.latency
        },
    )


def _finding(kpi: Kpi) -> str:
    return (
        f"{formats.figure(kpi.value, kpi.unit)}; mean {formats.mean_figure(kpi.mean_value, kpi.unit)}, "
        f"natural limits {formats.limits(kpi.lower_limit, kpi.upper_limit, kpi.unit)}: {kpi.status}."
    )


def _sparkline(kpi: Kpi) -> Markup:
    return charts.sparkline(
        f"spark-{kpi.metric}",
        f"{kpi.label}: this week and the weeks before",
        _finding(kpi),
        [point.value for point in kpi.points],
        lower=kpi.lower_limit,
        upper=kpi.upper_limit,
        mean=kpi.mean_value,
        tone=kpi.tone,
        is_signal=kpi.signal_position is not None,
    )


def _process(kpi: Kpi) -> Markup:
    return charts.process_chart(
        f"process-{kpi.metric}",
        f"{kpi.label}: process behaviour chart",
        _finding(kpi),
        [point.value for point in kpi.points],
        [formats.short_week(point.point_start_date) for point in kpi.points],
        lower=kpi.lower_limit,
        upper=kpi.upper_limit,
        mean=kpi.mean_value,
        tone=kpi.tone,
        is_signal=kpi.signal_position is not None,
        figure=partial(formats.mean_figure, unit=kpi.unit),
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(formats.FILTERS)
    return environment


@cache
def _assets() -> Mapping[str, bytes]:
    """What a document may name as `asset:<file>`: the bundled fonts."""
    return {path.name: path.read_bytes() for path in sorted((HERE / "fonts").glob("Inter-*.woff2"))}


def _drawable(html: str) -> str:
    """The page with U+FFFD for what no bundled font can draw: a name must not stop a review."""
    drawn = _drawn_characters()
    return "".join(
        character if character < "\x80" or ord(character) in drawn else "\N{REPLACEMENT CHARACTER}"
        for character in html
    )


@cache
def _drawn_characters() -> frozenset[int]:
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

    return frozenset().union(*(TTFont(path).getBestCmap() for path in (HERE / "fonts").glob("*.woff2")))


@cache
def _style(medium: Medium) -> Markup:
    """The style sheets of a medium; a page on its own carries its fonts as data."""
    css = "\n".join((HERE / "styles" / f"{name}.css").read_text(encoding="utf-8") for name in STYLES[medium])
    if medium == "screen":
        for name, content in _assets().items():
            css = css.replace(
                f"asset:{name}", "data:font/woff2;base64," + base64.b64encode(content).decode("ascii")
            )
    return Markup(css)
