"""Notices for tests, with whatever names people may type."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from reports.notice import Member, Notice

NOON = datetime(2026, 11, 23, 12, 0)


def member(**changes: Any) -> Member:
    """One incident: credits of a team run low."""
    values: dict[str, Any] = {
        "event": "opened",
        "incident_id": "inc-20261123T120000-0123abcd",
        "rule": "credit_low",
        "title": "Credits run low",
        "owner": "operations",
        "severity": "warning",
        "scope_kind": "team",
        "scope_id": "acme-docs",
        "scope_name": "Acme Docs",
        "organization_id": "acme",
        "organization_name": "Acme",
        "measure": "credits remaining",
        "observed_value": Decimal("0.08125"),
        "previous_value": None,
        "unit": "share of allocated credits",
        "comparison": "<=",
        "threshold": Decimal("0.10000000"),
        "clear_threshold": Decimal("0.12"),
        "baseline_value": None,
        "volume": None,
        "window_start": None,
        "window_end": NOON,
        "opened_at": NOON,
        "shown_at": NOON,
        "happened_at": NOON,
        "evidence_columns": ("team_id", "credits"),
        "evidence_rows": (("acme-docs", "81.25"),),
        "evidence_query": "select team_id, credits from marts.x where team_id = $scope_id",
        "sql": "select 1",
        "parameters": {"scope_id": "acme-docs"},
    }
    return Member(**{**values, **changes})


def notice(*members: Member, **changes: Any) -> Notice:
    """A notice of these members, or of one."""
    values: dict[str, Any] = {
        "notice_id": "notice-1",
        "family": "usage",
        "organization_id": "acme",
        "organization_name": "Acme",
        "made_at": NOON,
        "as_of": NOON,
        "members": members or (member(),),
    }
    return Notice(**{**values, **changes})
