"""One review as one HTML page, one PDF and its tables, from one template.

Names the filters and chooses the style sheets of each medium; decides no figure. Names that users chose reach
the page through `safe_label` and autoescaping, and never through `Markup`.
"""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports import formats, pdf
from reports.csv_cells import csv_cell
from reports.pictures import charted, draw
from reports.review import Kpi, PartTotal, Review

HERE = Path(__file__).parent
FALLBACK_FONT = HERE / "fonts" / "DejaVuSans.woff2"
Medium = Literal["screen", "print"]

# Characters; longer contributions need wider columns.
_SHORT_CONTRIBUTION = len("+$999.99")

# What each medium is made of, in cascade order.
STYLES: Mapping[Medium, tuple[str, ...]] = {
    "print": ("fonts", "variables", "page", "style"),
    "screen": ("fonts", "variables", "dark", "style", "charts", "screen"),
}


def render_html(review: Review, *, dates: str = "en-GB") -> str:
    """One self-contained page: style and fonts inside, nothing fetched, light and dark."""
    return _render(review, "screen", dates)


def render_pdf(review: Review, *, dates: str = "en-GB") -> bytes:
    """The same review on A4 with its KPI table attached; the same bytes for the same review."""
    return pdf.write_pdf(
        _drawable(_render(review, "print", dates)),
        assets=assets(),
        fallback_font=FALLBACK_FONT,
        as_of=review.verdict.built_at_as_of,
        attachments=_tables(review),
    )


def kpis_csv(review: Review) -> bytes:
    """The KPI rows, unrounded, for a spreadsheet."""
    names = [
        *("metric", "label", "metric_group", "unit", "value", "previous_value", "change", "change_kind"),
        *("value_per_day", "previous_value_per_day", "observation_count", "baseline_state"),
        *("baseline_start_date", "baseline_count", "mean_value", "lower_limit", "upper_limit", "status"),
    ]
    return _csv(review, names, review.kpis)


def parts_csv(review: Review) -> bytes:
    """Every model, team and job type of the period, those that the lists fold included."""
    names = [field.name for field in fields(PartTotal)]
    return _csv(review, names, review.part_rows)


def _tables(review: Review) -> tuple[pdf.AttachedFile, ...]:
    kpis = pdf.AttachedFile("kpis.csv", "Every metric of this review, unrounded", kpis_csv(review))
    if not review.part_rows:
        return (kpis,)
    described = "Every model, team and job type of the period, unrounded"
    return kpis, pdf.AttachedFile("parts.csv", described, parts_csv(review))


def _csv(review: Review, names: Sequence[str], rows: Sequence[Kpi] | Sequence[PartTotal]) -> bytes:
    verdict = review.verdict
    whose = (verdict.review_kind, verdict.scope_kind, verdict.scope_id, verdict.period_start_date)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\r\n")
    writer.writerow(["review_kind", "scope_kind", "scope_id", "period_start_date", *names])
    for row in rows:
        writer.writerow([csv_cell(value) for value in (*whose, *(getattr(row, name) for name in names))])
    return table.getvalue().encode("utf-8")


def inline_plain(text: str) -> str:
    """A figure inside prose, where there is no line to keep it on."""
    return text


def in_order(kpis: Iterable[Kpi], position: Callable[[Kpi], int | None]) -> tuple[Kpi, ...]:
    """The metrics that have a position, in its order."""
    placed = [(place, kpi) for kpi in kpis if (place := position(kpi)) is not None]
    return tuple(kpi for _, kpi in sorted(placed, key=lambda pair: pair[0]))


def in_groups(kpis: Iterable[Kpi]) -> tuple[tuple[str, tuple[Kpi, ...]], ...]:
    """The metrics by the name of their group, in their order."""
    return tuple((name, tuple(rows)) for name, rows in groupby(kpis, lambda kpi: kpi.metric_group))


def _render(review: Review, medium: Medium, dates: str) -> str:
    months = tuple(
        (month, {share.list_position: share for share in shares})
        for month, shares in groupby(review.model_shares, lambda share: share.month_start_date)
    )
    html = (
        environment(dates)
        .get_template("review.html.j2")
        .render(
            review=review,
            medium=medium,
            style=_style(medium),
            kpi={kpi.metric: kpi for kpi in review.kpis},
            groups=in_groups(review.kpis),
            headlines=in_order(review.kpis, lambda kpi: kpi.headline_position),
            shown=charted(review.kpis, review.verdict.scope_kind),
            driver_tables=tuple(
                (name, tuple(rows)) for name, rows in groupby(review.drivers, lambda driver: driver.dimension)
            ),
            whole_dollars_from=formats.WHOLE_DOLLARS_FROM,
            three_figures_from=formats.THREE_FIGURES_FROM,
            has_long_drivers=any(
                len(formats.signed_usd(amount)) > _SHORT_CONTRIBUTION
                for amount in (
                    review.verdict.client_cost_change_usd,
                    *(driver.change_usd for driver in review.drivers),
                )
            ),
            part_tables=tuple(
                (name, tuple(rows)) for name, rows in groupby(review.parts, lambda part: part.dimension)
            ),
            model_months=months,
            mix_models=tuple(
                sorted(
                    {(share.list_position, share.model) for share in review.model_shares}, key=lambda p: p[0]
                )
            ),
            pictures=draw(review),
        )
    )
    return re.sub(r"\n\s*\n+", "\n", html)


@cache
def environment(dates: str) -> Environment:
    """The templates, with filters that print dates in the given locale."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(formats.FILTERS)
    made.filters.update({name: partial(filter_, dates=dates) for name, filter_ in formats.DATED.items()})
    return made


@cache
def assets() -> Mapping[str, bytes]:
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
    return Markup(inline_css(css) if medium == "screen" else css)


def inline_css(css: str) -> str:
    """Style whose fonts are data: a page on its own fetches nothing."""
    for name, content in assets().items():
        css = css.replace(
            f"asset:{name}", "data:font/woff2;base64," + base64.b64encode(content).decode("ascii")
        )
    return css
