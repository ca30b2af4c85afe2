"""One evaluation of the alerts, whole: land what is new, ask the rules, move incidents, send notices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from flows.alert_delivery import notice_enqueuer
from flows.alert_evaluator import EvaluationReport, apply
from flows.alert_reader import open_rules
from flows.alert_rules import Cadence, Evaluation, Occasion
from flows.coverage import start_of_day
from flows.errors import UsageError
from flows.heartbeat import beat
from flows.maintenance import in_maintenance
from flows.ops_store import OpsStore, open_ops_store
from flows.outbox import DeliveryReport
from flows.probe_config import load_probes
from flows.progress import Progress
from flows.review_run import send_outbox
from flows.small_landing import SmallLanding, land_small_window
from flows.source_location import SourceLocation

if TYPE_CHECKING:
    from flows.settings import Settings

# Days that a night after an outage evaluates one by one; older ones would wake nobody.
MOST_DAYS = 14


@dataclass(slots=True)
class CheckReport:
    """What one check did."""

    landed: SmallLanding | None = None
    evaluations: list[EvaluationReport] = field(default_factory=list)
    delivered: DeliveryReport | None = None
    # why the sign of life did not arrive
    heartbeat: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether every rule could be asked, and every notice left."""
        return not any(one.unknown_rules for one in self.evaluations) and (
            self.delivered is None or self.delivered.is_good
        )

    def lines(self) -> list[str]:
        """For people, one thing a line."""
        lines = [] if self.landed is None else [f"landing    {self.landed.story}"]
        for evaluation in self.evaluations:
            lines += [f"alerts     {line}" for line in str(evaluation).splitlines()]
        if self.delivered is not None and (self.delivered.sent or not self.delivered.is_good):
            lines += [f"mail       {line}" for line in str(self.delivered).splitlines()]
        if self.heartbeat is not None:
            lines.append(f"heartbeat  it did not arrive: {self.heartbeat}")
        return lines


def check(
    settings: Settings,
    source: SourceLocation | None,
    *,
    as_of: datetime,
    progress: Progress,
    occasion: Occasion = Occasion.check,
) -> CheckReport:
    """Check between two nights as of a moment (naive UTC); without a source, on what has landed of it."""
    report = CheckReport(landed=land_small_window(settings, source, as_of=as_of, progress=progress))
    with progress.stage("alerts", None) as advance:
        report.evaluations.append(evaluate(settings, as_of, (Cadence.check,), occasion=occasion))
        advance(1)
    report.delivered = send_outbox(settings)
    is_applied = not any(one.is_overtaken for one in report.evaluations)
    if (
        report.is_good
        and is_applied
        and (source is None or (report.landed is not None and report.landed.is_landed))
    ):
        report.heartbeat = beat(settings)
    return report


def evaluate_night(settings: Settings, as_of: datetime, new_days: Sequence[date]) -> CheckReport:
    """Evaluate the rules after a night: those on a day for each of the days that it brought, in order."""
    report = CheckReport()
    earlier_days = new_days[-MOST_DAYS:-1]
    if earlier_days:
        # what is told of them is not explained by numbers that were old until now
        report.evaluations.append(evaluate(settings, as_of, (Cadence.check,), occasion=Occasion.night))
    for day in earlier_days:
        ended = start_of_day(day + timedelta(days=1), settings.reporting_timezone)
        report.evaluations.append(
            evaluate(settings, ended, (Cadence.night,), occasion=Occasion.night, news_as_of=as_of)
        )
    report.evaluations.append(
        evaluate(settings, as_of, (Cadence.night, Cadence.check), occasion=Occasion.night)
    )
    return report


def evaluate(
    settings: Settings,
    as_of: datetime,
    cadences: Iterable[Cadence],
    *,
    occasion: Occasion = Occasion.check,
    news_as_of: datetime | None = None,
) -> EvaluationReport:
    """Ask the rules of some cadences as of a moment, and apply what they say.

    `news_as_of`: the moment that what is found must be recent at, to be told; the same by default.
    """
    store = open_ops_store(settings)
    with open_rules(settings, as_of=as_of) as rules:
        evaluation = rules.evaluate(cadences)
        return apply(
            store,
            evaluation,
            enqueue=notice_enqueuer(settings, store.now),
            evidence_of=rules.evidence_of,
            in_maintenance=_in_maintenance(store, evaluation),
            source_databases=source_databases(settings),
            occasion=occasion,
            news_as_of=news_as_of,
        )


def _in_maintenance(store: OpsStore, evaluation: Evaluation) -> frozenset[str]:
    """The components of an evaluation that are in maintenance at its moment."""
    components = frozenset(
        found.key.scope_id for found in evaluation.candidates if found.key.scope_kind == "component"
    )
    return in_maintenance(store, evaluation.as_of, components) if components else frozenset()


def source_databases(settings: Settings) -> frozenset[str]:
    """The components that probe the database which is landed from; none if the probes file has mistakes."""
    if settings.probes is None:
        return frozenset()
    try:
        components = load_probes(settings.probes).components
    except UsageError:
        return frozenset()  # whoever probes says what they are
    return frozenset(component.name for component in components if component.database == "source")
