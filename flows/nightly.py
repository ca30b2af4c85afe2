"""The main job, step by step: land, build, audit, publish, ask the alerts, issue due reviews, send all.

The steps are written down once, in `STEPS`: the plain command calls them one after the other, the Prefect
flow makes a task of each. A step reads what it needs from the `Night` and leaves there what it did.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from flows.alert_check import CheckReport, evaluate_night
from flows.audit import AuditReport, audit
from flows.build import build, published_coverage
from flows.built import Built
from flows.coverage import days_between, local_day
from flows.dbt_runner import start_dbt
from flows.errors import AlmanacError, Busy, Fenced, UsageError
from flows.heartbeat import beat
from flows.land import LandReport, land
from flows.landing_scope import DayRange
from flows.preflight import require_room
from flows.progress import Progress
from flows.publish import publish
from flows.redaction import redact
from flows.review_issue import require_all
from flows.review_run import ReviewReport, hold_due, issue_due, send_outbox
from flows.run_ledger import ClaimedRun
from flows.settings import Settings
from flows.source_location import SourceLocation, parse_source
from flows.static_dashboard import Copies, write_copies
from flows.warehouse import open_warehouse


@dataclass(slots=True)
class Night:
    """What one night is asked for, and what its steps have done so far (None: not yet, or nothing due)."""

    run: ClaimedRun
    settings: Settings
    as_of: datetime
    source: SourceLocation
    progress: Progress
    full_refresh: bool = False
    accept_deletes: bool = False
    # local days that are built whether anything changed or not
    also: tuple[date, ...] = ()
    landed: LandReport | None = None
    built: Built | None = None
    # local days that ended since the published night
    new_days: tuple[date, ...] = ()
    audited: AuditReport | None = None
    published: str | None = None
    findings: tuple[tuple[str, int], ...] = ()
    reviews: ReviewReport = field(default_factory=ReviewReport)
    alerts: CheckReport | None = None
    dashboard: Copies = field(default_factory=Copies)
    # why the alerts could not be looked at, if they could not
    alert_trouble: AlmanacError | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the night, by the name that people see."""

    name: str
    run: Callable[[Night], None]


@dataclass(frozen=True, slots=True)
class NightlyReport:
    """What one night did."""

    landed: LandReport
    audited: AuditReport
    findings: tuple[tuple[str, int], ...]
    published: str
    reviews: ReviewReport
    alerts: CheckReport
    new_days: tuple[date, ...] = ()
    dashboard: Copies = field(default_factory=Copies)

    def __str__(self) -> str:
        rows = sum(table.rows_landed for table in self.landed.tables)
        lines = [f"landed     {rows:,} rows, as of {self.landed.as_of} UTC"]
        lines += [f"notice     {note}" for note in self.landed.notes]
        if len(self.new_days) > 1:
            # nights were missed
            days = ", ".join(str(day) for day in self.new_days)
            lines.append(f"recovered  {len(self.new_days)} days: {days}")
        lines += [
            f"audited    {self.audited.check_count} checks hold",
            f"published  {self.published}",
        ]
        lines += [f"warning    {name}" for name in self.audited.warnings]
        lines += [f"finding    {rule}: {rows:,} rows (audit_findings)" for rule, rows in self.findings]
        lines += self.reviews.lines()
        lines += self.alerts.lines()
        lines += self.dashboard.lines()
        return "\n".join(lines)


def land_step(night: Night, *, recalculate: DayRange | None = None) -> None:
    """Land; the days of `recalculate` whatever is known of them."""
    night.landed = land(
        night.source,
        night.settings.landing_path,
        as_of=night.as_of,
        progress=night.progress,
        accept_deletes=night.accept_deletes,
        retention_days=night.settings.source_retention_days,
        lookback_days=night.settings.lookback_days,
        recalculate=recalculate,
        before_commit=night.run.require_current,
        ops_store=night.run.store,
        access_log=night.settings.access_log,
        memory_mb=night.settings.build_memory_mb,
    )


def build_step(night: Night) -> None:
    published = published_coverage(night.settings)
    if published and night.landed:
        zone = night.settings.reporting_timezone
        covered_until = min(night.as_of, night.landed.as_of)
        night.new_days = tuple(
            days_between(local_day(published.covered_until, zone), local_day(covered_until, zone))
        )
    night.built = build(
        night.settings,
        as_of=night.as_of,
        progress=night.progress,
        full_refresh=night.full_refresh,
        also=night.also,
        run=night.run,
    )


def audit_step(night: Night) -> None:
    assert night.built, "audit comes after build"
    night.audited = audit(
        night.built,
        night.settings,
        night.as_of,
        progress=night.progress,
        run_id=night.run.run_id,
    )


def publish_step(night: Night) -> None:
    assert night.built, "publish comes after audit"
    night.published = publish(night.built, night.settings, run=night.run)


def review_step(night: Night) -> None:
    """Issue the reviews that are due; note the audit's findings."""
    with closing(open_warehouse(night.settings)) as connection:
        night.findings = tuple(
            connection.execute(
                "select rule, cast(sum(actual) as bigint) from audit_findings "
                "group by rule order by 2 desc, 1"
            ).fetchall()
        )
    night.reviews = issue_due(night.settings, night.as_of, night.progress)


def alert_step(night: Night) -> None:
    """Ask the rules of what is published now; what goes wrong here holds up no review."""
    try:
        night.alerts = evaluate_night(night.settings, night.as_of, night.new_days)
    except (Busy, Fenced):
        raise
    except AlmanacError as error:
        night.alert_trouble = error


def dashboard_step(night: Night) -> None:
    """Write the copy of the dashboard; what goes wrong here is told, and holds up nothing."""
    night.dashboard = write_copies(night.settings)


def deliver_step(night: Night) -> None:
    """Send what waits in the outbox; what cannot be sent now stays there."""
    night.reviews.delivered = send_outbox(night.settings)


BUILD = Step("build", build_step)
AUDIT = Step("audit", audit_step)
PUBLISH = Step("publish", publish_step)
STEPS = (
    Step("land", land_step),
    BUILD,
    AUDIT,
    PUBLISH,
    # before the reviews, which tell what the alerts of their period were
    Step("alert", alert_step),
    Step("review", review_step),
    # after the alerts, which it shows; before the mails, whose readers may look at it
    Step("dashboard", dashboard_step),
    Step("deliver", deliver_step),
)


def _directly(step: Step, night: Night) -> None:
    step.run(night)


def run_night(night: Night, perform: Callable[[Step, Night], None] = _directly) -> NightlyReport:
    """Take the night through its steps; any failure before publication leaves the last good night in place.

    `perform` runs one step, and raises what the step raised. Raises Fenced when a newer run took over.
    """
    require_room(night.settings, night.source if isinstance(night.source, Path) else None)
    for step in STEPS:
        night.run.phase(step.name)
        try:
            perform(step, night)
        except (Busy, Fenced):
            raise  # another run does the night
        except Exception as error:
            if night.published is None:
                hold_due(night.settings, night.as_of, f"{step.name}: {_first_line(error)}")
            raise
    require_all(night.reviews.issued)
    if night.alert_trouble is not None:
        raise night.alert_trouble
    assert night.landed is not None
    assert night.audited is not None
    assert night.published is not None
    assert night.alerts is not None
    night.alerts.heartbeat = beat(night.settings)
    return NightlyReport(
        night.landed,
        night.audited,
        night.findings,
        night.published,
        night.reviews,
        night.alerts,
        night.new_days,
        night.dashboard,
    )


def _first_line(error: Exception) -> str:
    """What failed, for people who cannot look into the log: no secret, no traceback."""
    if not isinstance(error, AlmanacError):
        return f"{type(error).__name__}; the log has the rest"
    return redact(str(error).strip().splitlines()[0])[:300]


def source_of(settings: Settings, option: str | None = None) -> SourceLocation:
    """What is landed from, an option before the setting; UsageError when neither names a source."""
    chosen = option or settings.source
    if chosen is None:
        raise UsageError("No source is given. Give --source URL or --source DIR, or set ALMANAC_SOURCE.")
    return parse_source(chosen)


def nightly(
    run: ClaimedRun,
    settings: Settings,
    *,
    as_of: datetime,
    source: SourceLocation,
    progress: Progress,
    full_refresh: bool = False,
    accept_deletes: bool = False,
) -> NightlyReport:
    """Run the night as of a moment, without Prefect."""
    # a child belongs to its thread, and here all steps have the same
    start_dbt()
    return run_night(Night(run, settings, as_of, source, progress, full_refresh, accept_deletes))
