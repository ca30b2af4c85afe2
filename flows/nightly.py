"""The main job, step by step: land, build, audit, publish, render what is due."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flows.audit import AuditReport, audit
from flows.build import build
from flows.land import LandReport, land_folder
from flows.periods import Week
from flows.progress import Progress
from flows.publish import publish
from flows.reviews import RenderedReview, complete_weeks, render_weekly, weekly_paths
from flows.settings import Settings
from flows.warehouse import open_published


@dataclass(frozen=True, slots=True)
class NightlyReport:
    """What one night did; `review` is None when no week has closed since the last one rendered."""

    landed: LandReport
    audited: AuditReport
    findings: tuple[tuple[str, int], ...]
    warehouse_path: Path
    review: RenderedReview | None

    def __str__(self) -> str:
        rows = sum(table.rows_landed for table in self.landed.tables)
        lines = [
            f"landed     {rows:,} rows, as of {self.landed.as_of} UTC",
            f"audited    {self.audited.check_count} checks hold",
            f"published  {self.warehouse_path}",
        ]
        lines += [f"warning    {name}" for name in self.audited.warnings]
        lines += [f"finding    {rule}: {rows:,} rows (audit_findings)" for rule, rows in self.findings]
        if self.review:
            lines += [f"review     {self.review.html_path}", f"review     {self.review.pdf_path}"]
        return "\n".join(lines)


def nightly(settings: Settings, *, as_of: datetime, source: Path, progress: Progress) -> NightlyReport:
    """Run the night as of a moment; any failure before publication leaves the last good night in place."""
    landed = land_folder(source, settings.landing_path, as_of=as_of, progress=progress)
    side_file = build(settings, as_of=as_of, progress=progress)
    audited = audit(side_file, settings, as_of, progress=progress)
    warehouse_path = publish(side_file, settings)
    with closing(open_published(settings.warehouse_path)) as connection:
        weeks = complete_weeks(connection)
        findings = connection.execute(
            "select rule, cast(sum(actual) as bigint) from audit_findings group by rule order by 2 desc, 1"
        ).fetchall()
    review = _render_due_review(settings, weeks)
    return NightlyReport(landed, audited, tuple(findings), warehouse_path, review)


def _render_due_review(settings: Settings, weeks: Sequence[Week]) -> RenderedReview | None:
    if not weeks or weekly_paths(settings, weeks[0]).pdf_path.exists():
        return None
    return render_weekly(settings, weeks[0])
