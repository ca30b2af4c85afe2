"""Whether the monitor itself is alive: its last probe and its last check of the alerts, by the ops store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from flows.alert_rules import Occasion
from flows.component_health import health_by
from flows.ops_store import OpsStore, alerting, open_ops_store
from flows.probe_records import CLOCK_SLACK, latest
from flows.probe_results import Overall, ProbeVerdict

if TYPE_CHECKING:
    from flows.probe_config import Probes
    from flows.settings import Settings

# Between two checks of the alerts, where they are made between nights at all: some are made hourly.
CHECK_STALE_AFTER = timedelta(hours=2)
# So many within a day are a habit.
HABIT = 4


@dataclass(frozen=True, slots=True)
class Liveness:
    """Moments are naive UTC; what is not in use is None."""

    newest_check_at: datetime | None
    newest_probe_at: datetime | None
    health: Overall | None
    # components that are not up, each with its verdict
    not_up: tuple[str, ...]
    # what is wrong with the monitor, and what to do
    problems: tuple[str, ...]


def read_liveness(settings: Settings, probes: Probes | None, *, now: datetime) -> Liveness:
    """What the ops store says at `now` of the probes that are configured, and of checks between nights."""
    if settings.target == "duckdb" and not settings.ops_path.exists():
        newest_check, newest_probes = None, []
    else:
        store = open_ops_store(settings)
        newest_check = _newest_check(store, now)
        newest_probes = latest(store, now)
    problems = []
    if newest_check is not None and now - newest_check > CHECK_STALE_AFTER:
        problems.append(
            f"the alerts were last checked {newest_check} UTC, more than "
            f"{CHECK_STALE_AFTER // timedelta(hours=1)} h ago; look at what runs `almanac alerts check`"
        )
    if probes is None:
        return Liveness(newest_check, None, None, (), tuple(problems))
    health = health_by(newest_probes, probes, now=now)
    old = [one.name for one in health.components if not one.is_fresh]
    if old:
        problems.append(f"no fresh probe of {', '.join(old)}; look at what runs `almanac probe`")
    return Liveness(
        newest_check,
        health.checked_at,
        health.overall,
        tuple(
            f"{one.name} {one.verdict}"
            for one in health.components
            if one.is_fresh and one.verdict is not ProbeVerdict.up
        ),
        tuple(problems),
    )


def _newest_check(store: OpsStore, now: datetime) -> datetime | None:
    """When the alerts were last checked between nights; None where that is no habit.

    Checks that somebody made by hand, and those of probes, which land nothing of the source, are none.
    """
    table = alerting.evaluations
    checks = (table.c.occasion == str(Occasion.check), table.c.evaluated_at <= now + CLOCK_SLACK)
    with store.transaction() as connection:
        newest: datetime | None = connection.scalar(select(func.max(table.c.evaluated_at)).where(*checks))
        if newest is None:
            return None
        a_day_before = newest - timedelta(days=1)
        count = connection.scalar(select(func.count()).where(*checks, table.c.evaluated_at > a_day_before))
    return newest if count is not None and count >= HABIT else None
