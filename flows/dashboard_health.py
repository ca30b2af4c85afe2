"""The health strip of a dashboard: the components now, and their last whole days in the published marts."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from flows.component_health import read_health
from flows.review_scopes import PLATFORM, Scope
from reports.dashboard_figures import Component, Health

if TYPE_CHECKING:
    from flows.ops_store import OpsStore
    from flows.probe_config import Probes
    from flows.warehouse import Reader

# Whole days that the availability beside a component's status goes back.
UPTIME_DAYS = 30


def read_strip(
    reader: Reader, store: OpsStore, probes: Probes | None, scope: Scope, *, now: datetime
) -> Health | None:
    """The components at `now`, or None. Reasons, which may name hosts, are the platform's to see."""
    found = read_health(store, probes, now=now)
    if not found.components:
        return None
    uptime = _uptime(reader)
    return Health(
        str(found.overall),
        tuple(
            Component(
                name=one.name,
                is_required=one.is_required,
                status=str(one.verdict),
                latency_ms=None if one.latency_ms is None else Decimal(str(one.latency_ms)),
                checked_at=one.checked_at,
                reason=one.reason if scope == PLATFORM else None,
                availability=uptime.get(one.name, (None, None))[0],
                down_seconds=uptime.get(one.name, (None, None))[1],
            )
            for one in found.components
        ),
    )


def _uptime(reader: Reader) -> dict[str, tuple[Decimal | None, Decimal | None]]:
    """Availability and seconds down of the last UPTIME_DAYS whole days, by component."""
    row = reader.execute(
        "select max(period_start_date) from warehouse.marts.component_uptime_daily where is_complete"
    ).fetchone()
    if row is None or row[0] is None:
        return {}
    rows = reader.execute(
        "select component, sum(up_seconds), sum(down_seconds) "
        "from warehouse.marts.component_uptime_daily "
        "where is_complete and period_start_date > ? group by component",
        [row[0] - timedelta(days=UPTIME_DAYS)],
    ).fetchall()
    return {component: (up / (up + down) if up + down else None, down) for component, up, down in rows}
