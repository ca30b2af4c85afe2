"""The alerts: incidents that are open, and what was before."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from api.access import SignedIn
from api.answers import CSV_TOO, Format, Moment, Number, Table, answered, encoded
from api.nights import Night
from api.problems import OF_ONE
from api.scopes import OrganizationChoice, TeamChoice, scope_of
from flows.alert_recap import RuleName, rule_names
from flows.incidents import incidents_of

router = APIRouter(tags=["alerts"])


class Alert(BaseModel):
    """The page's fields first. Values are in `unit` (shares are fractions); null is not known."""

    type: str
    message: str
    severity: Literal["info", "warning", "error", "critical"]
    timestamp: Moment
    incident_id: str
    family: str
    state: Literal["open", "resolved"]
    scope_kind: str
    scope_id: str
    scope_name: str
    organization_id: str | None
    measure: str | None
    observed_value: Number | None
    threshold: Number | None
    unit: str | None
    data_as_of: Moment
    resolved_at: Moment | None
    acknowledged_at: Moment | None


class Alerts(BaseModel):
    """Open ones, the most severe first; with `state=all` those that are over, too, the newest first."""

    scope: str
    alerts: list[Alert]


@router.get("/api/alerts", response_model=Alerts, responses=OF_ONE | CSV_TOO)
def alerts(
    request: Request,
    caller: SignedIn,
    state: Annotated[Literal["open", "all"], Query(description="`all`: those that are over, too.")] = "open",
    limit: Annotated[int, Query(ge=1, le=1_000, description="Incidents at most.")] = 100,
    organization_id: OrganizationChoice = None,
    team_id: TeamChoice = None,
    output: Format = "json",
) -> Response:
    """Incidents of the platform, or of a tenant by the rules that tenants read of."""
    with request.app.state.nights.reading() as night:
        scope = scope_of(night, caller, organization_id, team_id)
        rules = read_rules(night)
    found = incidents_of(request.app.state.store(), scope, rules, also_resolved=state == "all", limit=limit)
    answer = {"scope": str(scope), "alerts": [as_alert(row, rules) for row in found]}
    table = Table.of("alerts", Alert)
    return answered(request, encoded(answer, table=table, output=output), output=output, table=table)


def read_rules(night: Night) -> dict[str, RuleName]:
    """The rules' names, and whether tenants read of them."""
    rows = night.rows("select rule, title, for_tenants from warehouse.alerts.alert_rules")
    return rule_names([(row["rule"], row["title"], row["for_tenants"]) for row in rows])


def as_alert(row: Any, rules: dict[str, RuleName]) -> dict[str, Any]:
    """An incident of the ops store in the page's shape."""
    seen = json.loads(row.evidence)["candidate"]
    rule = rules.get(row.rule)
    return {
        "type": row.rule,
        "message": f"{rule.title if rule else row.rule}: {row.scope_name}",
        "severity": row.severity,
        "timestamp": row.opened_at,
        "incident_id": row.incident_id,
        "family": row.family,
        "state": "open" if row.resolved_at is None else "resolved",
        "scope_kind": row.scope_kind,
        "scope_id": row.scope_id,
        "scope_name": row.scope_name,
        "organization_id": row.organization_id,
        "measure": seen.get("measure"),
        "observed_value": _decimal(seen.get("observed_value")),
        "threshold": _decimal(seen.get("threshold")),
        "unit": seen.get("unit"),
        "data_as_of": row.opened_as_of,
        "resolved_at": row.resolved_at,
        "acknowledged_at": row.acknowledged_at,
    }


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None or text == "None" else Decimal(text)
