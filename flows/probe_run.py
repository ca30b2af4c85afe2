"""One round of probes, whole: ask every component, keep the findings, look at the alerts when it is news."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from flows.alert_rules import Occasion
from flows.errors import AlmanacError, Busy
from flows.health import Round, configured, probe_all
from flows.probe_records import Recorded, record
from flows.progress import Progress

if TYPE_CHECKING:
    from flows.alert_check import CheckReport
    from flows.settings import Settings


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What one round did; it is kept, whatever became of the alerts."""

    round: Round
    recorded: Recorded
    # of the alerts, when they were asked
    checked: CheckReport | None = None
    # why they could not be
    trouble: AlmanacError | None = None

    @property
    def is_good(self) -> bool:
        """Whether the alerts could be asked, if they were to be; another run at work is no failure."""
        if self.trouble is not None:
            return isinstance(self.trouble, Busy)
        return self.checked is None or self.checked.is_good

    def lines(self) -> list[str]:
        """For people, one thing a line."""
        lines = self.round.lines()
        if self.trouble is not None:
            lines.append(f"alerts     they could not be asked: {self.trouble}")
        return [*lines, *(self.checked.lines() if self.checked else [])]


def probe_once(settings: Settings, *, now: datetime, ask_alerts: bool, progress: Progress) -> ProbeReport:
    """Probe every component as of `now` (naive UTC) and keep what was found.

    With `ask_alerts` the rules are asked at once when a component has just ceased to be up or has just come
    back, without waiting for the next check; nothing of the platform is landed for it. Raises AlmanacError
    when the store cannot be used; the round is kept in a file until it can.
    """
    one = probe_all(settings, configured(settings), checked_at=now)
    recorded = record(settings, one)
    if not (ask_alerts and recorded.has_news and settings.landing_path.is_file()):
        return ProbeReport(one, recorded)
    from flows.alert_check import check

    # rules look at what was before their moment
    just_after = one.checked_at + timedelta(microseconds=1)
    try:
        checked = check(settings, None, as_of=just_after, progress=progress, occasion=Occasion.probe)
    except AlmanacError as trouble:
        return ProbeReport(one, recorded, trouble=trouble)
    return ProbeReport(one, recorded, checked)
