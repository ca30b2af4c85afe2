"""The alerts that a dashboard shows: what is open now, and what ended lately, each to whom it concerns."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from flows.alert_recap import rule_names
from flows.alert_rules import Severity
from flows.incidents import ended_since, incidents_of
from flows.ops_store import alerting
from flows.review_reader import query
from flows.review_scopes import Scope
from reports.dashboard_figures import Alerts, Incident

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flows.alert_recap import RuleName
    from flows.ops_store import OpsStore
    from flows.warehouse import Reader

RECENT_DAYS = 14
LISTED_OPEN = 20
LISTED_RECENT = 10
# So many are counted; more than that nobody reads anyway.
_MOST = 10_000


def read_alerts(reader: Reader, store: OpsStore, scope: Scope, *, now: datetime) -> Alerts | None:
    """The scope's incidents at `now`; None when no rule was ever asked."""
    with store.reading() as connection:
        if connection.execute(select(alerting.evaluations.c.evaluation_id).limit(1)).first() is None:
            return None
    rules = rule_names(query(reader, "select rule, title, for_tenants from warehouse.alerts.alert_rules"))
    is_open = incidents_of(store, scope, rules, also_resolved=False, limit=_MOST)
    ended = ended_since(store, scope, rules, now - timedelta(days=RECENT_DAYS), limit=_MOST)
    counts = Counter(row.severity for row in is_open)
    return Alerts(
        open_counts=tuple((str(severity), counts[severity]) for severity in reversed(Severity)),
        open=tuple(_incident(row, rules) for row in is_open[:LISTED_OPEN]),
        recent=tuple(_incident(row, rules) for row in ended[:LISTED_RECENT]),
        recent_days=RECENT_DAYS,
        omitted_open_count=max(len(is_open) - LISTED_OPEN, 0),
        omitted_recent_count=max(len(ended) - LISTED_RECENT, 0),
    )


def _incident(row: Any, rules: Mapping[str, RuleName]) -> Incident:
    rule = rules.get(row.rule)
    return Incident(
        incident_id=row.incident_id,
        title=rule.title if rule else row.rule,
        severity=row.severity,
        scope_kind=row.scope_kind,
        scope_id=row.scope_id,
        scope_name=row.scope_name,
        began_at=row.opened_as_of,
        ended_at=row.resolved_as_of,
        is_acknowledged=row.acknowledged_at is not None,
    )
