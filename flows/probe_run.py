"""One round of probes, whole: ask every component, keep the findings, look at the alerts when it is news."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from flows.health import Round, configured, probe_all
from flows.probe_records import Recorded, record
from flows.progress import Progress

if TYPE_CHECKING:
    from flows.alert_check import CheckReport
    from flows.settings import Settings


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What one round did."""

    round: Round
    recorded: Recorded
    # of the alerts, when they were asked
    checked: CheckReport | None = None

    def lines(self) -> list[str]:
        """For people, one thing a line."""
        return [*self.round.lines(), *(self.checked.lines() if self.checked else [])]


def probe_once(settings: Settings, *, now: datetime, ask_alerts: bool, progress: Progress) -> ProbeReport:
    """Probe every component as of `now` (naive UTC) and keep what was found.

    With `ask_alerts` the rules are asked at once while something is not up or has just come back, without
    waiting for the next check; nothing of the platform is landed for it. Raises AlmanacError when the store
    cannot be used; the round is kept in a file until it can.
    """
    one = probe_all(settings, configured(settings), checked_at=now)
    recorded = record(settings, one)
    if not (ask_alerts and recorded.has_news and settings.landing_path.is_file()):
        return ProbeReport(one, recorded)
    from flows.alert_check import check

    # rules look at what was before their moment
    just_after = one.checked_at + timedelta(microseconds=1)
    return ProbeReport(one, recorded, check(settings, None, as_of=just_after, progress=progress))
