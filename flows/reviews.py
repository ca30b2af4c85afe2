"""Rendered reviews: reads schema `reviews` of the published warehouse, and only that, and writes the
documents.

Moves figures from rows into the report's own objects; decides nothing about them.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from flows.errors import AlmanacError
from flows.failpoints import failpoint
from flows.periods import Week
from flows.warehouse import Reader, open_warehouse

if TYPE_CHECKING:
    from flows.settings import Settings
    from reports.weekly import WeeklyReview

Row = TypeVar("Row")

# Weeks that an error names; it says how many more there are.
_SHOWN_WEEKS = 5


@dataclass(frozen=True, slots=True)
class RenderedReview:
    """Where the documents of one review are."""

    html_path: Path
    pdf_path: Path


def render_weekly(settings: Settings, week: Week) -> RenderedReview:
    """Render the platform's review of `week` as HTML and PDF; same published figures, same bytes."""
    from reports import ReportError, render  # Jinja, and WeasyPrint's 0.6 s: only those who render pay

    with contextlib.closing(open_warehouse(settings)) as connection:
        review = read_weekly(connection, week)
    try:
        html, pdf = render.render_weekly_html(review), render.render_weekly_pdf(review)
    except ReportError as error:
        raise AlmanacError(f"The review of {week.label} could not be rendered: {error}") from error
    rendered = weekly_paths(settings, week)
    failpoint("review.before_html")
    _write(rendered.html_path, html.encode("utf-8"))
    failpoint("review.before_pdf")
    _write(rendered.pdf_path, pdf)
    failpoint("review.done")
    return rendered


def weekly_paths(settings: Settings, week: Week) -> RenderedReview:
    """Where the documents of a week's review are written."""
    folder = settings.reviews_dir / "weekly" / week.label
    return RenderedReview(html_path=folder / "platform.html", pdf_path=folder / "platform.pdf")


def complete_weeks(connection: Reader) -> list[Week]:
    """The weeks that can be reviewed, newest first."""
    rows = _query(
        connection,
        "select period_start_date from warehouse.reviews.review_weekly_verdict "
        "where is_complete order by period_start_date desc",
    )
    return [Week.containing(start_date) for (start_date,) in rows]


def read_weekly(connection: Reader, week: Week) -> WeeklyReview:
    """The figures of one week's review; an error that says which weeks there are when it has none."""
    from reports import weekly

    def rows(
        table: str, row: type[Row], order_by: str, *, of_week: bool = True, without: str = ""
    ) -> tuple[Row, ...]:
        names = [field.name for field in fields(row) if field.name != without]  # type: ignore[arg-type]
        found = _query(
            connection,
            f"select {', '.join(names)} from warehouse.reviews.{table} "
            f"{'where period_start_date = ?' if of_week else ''} order by {order_by}",
            [week.start_date] if of_week else [],
        )
        return tuple(row(**dict(zip(names, values, strict=True))) for values in found)

    verdicts = rows("review_weekly_verdict", weekly.Verdict, "period_start_date")
    if not verdicts or not verdicts[0].is_complete:
        raise AlmanacError(_no_review(connection, week, is_open=bool(verdicts)))
    points: dict[str, list[weekly.Point]] = {}
    for metric, *values in _query(
        connection,
        "select metric, week_position, point_start_date, value "
        "from warehouse.reviews.review_weekly_kpi_points "
        "where period_start_date = ? order by metric, week_position",
        [week.start_date],
    ):
        points.setdefault(metric, []).append(weekly.Point(*values))
    return weekly.WeeklyReview(
        verdict=verdicts[0],
        kpis=tuple(
            replace(kpi, points=tuple(points[kpi.metric]))
            for kpi in rows("review_weekly_kpis", weekly.Kpi, "metric_position", without="points")
        ),
        drivers=rows(
            "review_weekly_drivers",
            weekly.Driver,
            "case dimension when 'model' then 1 when 'team' then 2 else 3 end, list_position",
        ),
        models=rows("review_weekly_models", weekly.ModelRow, "list_position"),
        teams=rows("review_weekly_teams", weekly.TeamRow, "list_position"),
        job_types=rows("review_weekly_job_types", weekly.JobTypeRow, "list_position"),
        errors=rows("review_weekly_errors", weekly.ErrorRow, "list_position"),
        credits=rows("review_weekly_credits", weekly.CreditRow, "list_position", of_week=False),
        latency=rows("review_weekly_latency", weekly.LatencyRow, "list_position"),
        freshness=rows("review_weekly_freshness", weekly.Freshness, "period_start_date")[0],
        findings=rows("review_weekly_findings", weekly.Finding, "affected_row_count desc, rule, table_name"),
    )


def _no_review(connection: Reader, week: Week, *, is_open: bool) -> str:
    weeks = complete_weeks(connection)
    reason = "is not over yet in the published data" if is_open else "is not in the published data"
    if not weeks:
        return f"Week {week.label} {reason}; no week is complete. Run `almanac nightly` when one has ended."
    listed = ", ".join(there.label for there in weeks[:_SHOWN_WEEKS])
    more = f" and {len(weeks) - _SHOWN_WEEKS} earlier ones" if len(weeks) > _SHOWN_WEEKS else ""
    return (
        f"Week {week.label} {reason}. Complete weeks are {listed}{more}; "
        "name one of them, or run `almanac nightly`."
    )


def _query(connection: Reader, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
    import duckdb  # 0.1 s to import; only readers pay

    try:
        return connection.execute(sql, parameters or []).fetchall()
    except duckdb.Error as error:
        raise AlmanacError(
            f"The published warehouse has no usable schema `reviews` ({str(error).splitlines()[0]}). "
            "Run `almanac nightly` again; it replaces the warehouse."
        ) from error


def _write(path: Path, content: bytes) -> None:
    """Put a file in place whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        # mkstemp makes it the owner's alone; a review is as readable as its folder
        os.chmod(temporary, 0o644)
        failpoint("review.before_replace")
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
