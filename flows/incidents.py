"""Incidents for people: the list of them, and one of them with everything that shows it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, case, func, select

from flows.alert_reader import RuleReader, open_rules
from flows.alert_rules import Key, Severity
from flows.errors import AlmanacError, UsageError
from flows.ops_store import OpsStore, alerting, open_ops_store
from flows.review_scopes import PLATFORM, Scope
from reports.formats import safe_label
from reports.notice_lines import RELATIVE

if TYPE_CHECKING:
    from flows.alert_recap import RuleName
    from flows.settings import Settings


def incidents(settings: Settings, *, also_resolved: bool, limit: int) -> list[Any]:
    """Open incidents, the most severe and newest first; with those that are over, the newest first."""
    return _listed(open_ops_store(settings), select(alerting.incidents), also_resolved, limit)


def incidents_of(
    store: OpsStore,
    scope: Scope,
    rules: Mapping[str, RuleName],
    *,
    also_resolved: bool,
    limit: int,
) -> list[Any]:
    """The same for a scope; a tenant's are its own, by the rules that tenants read of."""
    return _listed(store, _of_scope(scope, rules), also_resolved, limit)


def ended_since(
    store: OpsStore, scope: Scope, rules: Mapping[str, RuleName], since: datetime, *, limit: int
) -> list[Any]:
    """A scope's incidents that ended after a moment of the data, the last to end first."""
    ended_at = alerting.incidents.c.resolved_as_of
    query = _of_scope(scope, rules).where(ended_at > since)
    with store.reading() as connection:
        return list(
            connection.execute(query.order_by(ended_at.desc(), alerting.incidents.c.incident_id).limit(limit))
        )


def _of_scope(scope: Scope, rules: Mapping[str, RuleName]) -> Select[Any]:
    table = alerting.incidents
    query = select(table)
    if scope != PLATFORM:
        query = query.where(table.c.rule.in_([name for name, rule in rules.items() if rule.for_tenants]))
    if scope.kind == "organization":
        query = query.where(
            table.c.organization_id == scope.id, table.c.scope_kind.in_(("organization", "team"))
        )
    elif scope.kind == "team":
        query = query.where(table.c.scope_kind == "team", table.c.scope_id == scope.id)
    return query


# The loudest first.
SEVERITIES = tuple(str(severity) for severity in sorted(Severity, key=lambda one: -one.rank))


def open_by_scope(connection: Connection, rules: Mapping[str, RuleName]) -> dict[Scope, Counter[str]] | None:
    """How many of each severity are open, of the platform and of each tenant that has any.

    Counted are those that `incidents_of` lists of the scope. None when no rule was ever asked.
    """
    table = alerting.incidents
    if connection.scalar(select(alerting.evaluations.c.evaluation_id).limit(1)) is None:
        return None
    rows = connection.execute(
        select(
            table.c.rule,
            table.c.severity,
            table.c.scope_kind,
            table.c.scope_id,
            table.c.organization_id,
            func.count().label("incidents"),
        )
        .where(table.c.resolved_at.is_(None))
        .group_by(
            table.c.rule, table.c.severity, table.c.scope_kind, table.c.scope_id, table.c.organization_id
        )
    )
    found: defaultdict[Scope, Counter[str]] = defaultdict(Counter)
    for row in rows:
        concerned = [PLATFORM]
        if row.rule in rules and rules[row.rule].for_tenants:
            if row.scope_kind in ("organization", "team") and row.organization_id is not None:
                concerned.append(Scope("organization", row.organization_id))
            if row.scope_kind == "team":
                concerned.append(Scope("team", row.scope_id))
        for scope in concerned:
            found[scope][row.severity] += row.incidents
    return dict(found)


def _listed(store: OpsStore, query: Select[Any], also_resolved: bool, limit: int) -> list[Any]:
    table = alerting.incidents
    if not also_resolved:
        # before the limit, which must not hide the worst
        loudness = case({str(severity): severity.rank for severity in Severity}, value=table.c.severity)
        query = query.where(table.c.resolved_at.is_(None)).order_by(loudness.desc())
    query = query.order_by(table.c.opened_at.desc(), table.c.incident_id)
    with store.reading() as connection:
        return list(connection.execute(query.limit(limit)))


def as_table(rows: Sequence[Any]) -> str:
    """One line per incident."""
    if not rows:
        return "No incident."
    lines = []
    for row in rows:
        state = "open" if row.resolved_at is None else f"over {row.resolved_at:%Y-%m-%d %H:%M}"
        state += f", {row.acknowledged_by} looks after it" if row.acknowledged_by else ""
        lines.append(
            f"{row.incident_id}  {row.severity:<8} {row.rule:<28} "
            f"{row.scope_kind} {safe_label(row.scope_id, 40)}, "
            f"since {row.opened_as_of:%Y-%m-%d %H:%M} UTC, {state}"
        )
    return "\n".join(lines)


def explain(settings: Settings, incident_id: str) -> str:
    """What was seen, the rows, the SQL and its parameters, what happened since; and what the SQL says now."""
    table, events = alerting.incidents, alerting.incident_events
    with open_ops_store(settings).transaction() as connection:
        found = connection.execute(
            select(table)
            .where(func.substr(table.c.incident_id, 1, len(incident_id)) == incident_id)
            .order_by(table.c.opened_at.desc())
            .limit(2)
        ).all()
        if len(found) != 1:
            many = "more than one" if found else "no"
            raise UsageError(
                f"There is {many} incident {incident_id!r}. `almanac alerts list --all` shows them."
            )
        row = found[0]
        history = connection.execute(
            select(events).where(events.c.incident_id == row.incident_id).order_by(events.c.event_id)
        ).all()
    kept = json.loads(row.evidence)
    seen, evidence = kept["candidate"], kept["evidence"]
    lines = [
        f"{row.incident_id}: {row.rule} (version {row.rule_version}), {row.severity}",
        f"scope      {row.scope_kind} {row.scope_id}"
        + (f" ({safe_label(row.scope_name, 60)})" if row.scope_name != row.scope_id else "")
        + (f", organization {row.organization_id}" if row.organization_id else ""),
        f"measured   {seen['measure']}: {_exact(seen['observed_value'], seen['unit'])}",
        f"fires      {seen['comparison']} {_exact(seen['threshold'], seen['unit'])}; "
        f"clears {_CLEARED[seen['comparison']]} {_exact(seen['clear_threshold'], seen['unit'])}",
        *_counted(seen),
        f"window     {_from(seen['window_start'])}until {seen['window_end']} UTC, "
        f"data as of {seen['data_as_of']} UTC",
        f"opened     {row.opened_at} UTC, as of {row.opened_as_of} UTC",
        f"ended      {row.resolved_at} UTC: {row.resolution}" if row.resolved_at else "ended      not yet",
        f"again      {_again(settings, row, seen, evidence)}",
        "",
        "rows that contribute most" + (f": {evidence['note']}" if evidence["note"] else ""),
        *(["  " + " | ".join(evidence["columns"])] if evidence["columns"] else []),
        *(
            "  " + " | ".join("null" if cell is None else cell for cell in cells)
            for cells in evidence["rows"]
        ),
        "",
        "what happened",
        *(
            f"  {event.happened_at:%Y-%m-%d %H:%M:%S}  {event.kind}"
            + (f", notice {event.notice_id}" if event.notice_id else "")
            + f"  {event.detail}"
            for event in history
        ),
        "",
        "parameters  " + json.dumps(evidence["parameters"]),
        "query of the rows",
        evidence["evidence_query"],
        "",
        "query of the rule",
        evidence["sql"],
    ]
    return "\n".join(lines)


# How a value stands to the clear threshold when it is clear, by how it stands to the other when it fires.
_CLEARED = {">": "<=", ">=": "<", "<=": ">"}


def _exact(value: str | None, unit: str | None) -> str:
    """A value as it was measured, all its digits, with its unit."""
    if value is None:
        return "not known"
    return f"{Decimal(value).normalize():f} {unit or '(unit not kept)'}"


def _from(moment: str | None) -> str:
    return "" if moment is None else f"from {moment} "


def _counted(seen: Mapping[str, Any]) -> list[str]:
    """What is usual and how much was counted, each where the rule has it."""
    counted_unit = seen.get("counted_unit")
    # an incident from before it was kept has none
    usual_unit = counted_unit if seen["unit"] in RELATIVE else seen["unit"]
    said = [
        *([f"usual      {_exact(seen['baseline_value'], usual_unit)}"] if seen["baseline_value"] else []),
        *([f"itself     {_exact(seen['actual_value'], counted_unit)}"] if seen.get("actual_value") else []),
    ]
    if seen["volume"] is not None:
        said.append(f"counted    {_exact(str(seen['volume']), counted_unit)}")
    return said


def _again(settings: Settings, row: Any, seen: dict[str, Any], evidence: dict[str, Any]) -> str:
    """What the same SQL, asked as of the same moment, says of the data of now."""
    parameters = evidence["parameters"]
    as_of = datetime.fromisoformat(parameters.get("almanac_as_of") or str(row.opened_as_of))
    if not evidence["sql"]:
        return "this rule has no SQL"
    key = Key(row.rule, row.scope_kind, row.scope_id)
    try:
        with open_rules(settings, as_of=as_of) as rules:
            now = rules.again(evidence["sql"], key, as_of)
            rows = _rows_again(rules, row.scope_id, evidence)
    except AlmanacError as error:
        return f"its SQL cannot be asked now: {error}"
    if now is None:
        return "its SQL does not mention the scope any more"
    if now.unknown_reason is not None:
        return f"the same SQL as of {as_of} UTC says that it is not known now: {now.unknown_reason}"
    differing = [
        f"another {name} ({given})"
        for name, given in (
            ("verdict", now.verdict),
            ("threshold", now.threshold),
            ("baseline", now.baseline_value),
        )
        if given != _as_seen(seen["baseline_value" if name == "baseline" else name], given)
    ]
    if str(now.observed_value) != seen["observed_value"]:
        differing.insert(0, "another value")
    found = _exact(None if now.observed_value is None else str(now.observed_value), seen["unit"])
    return ", ".join([f"the same SQL as of {as_of} UTC gives {found}", *differing, rows])


def _as_seen(kept: Any, like: Any) -> Any:
    """A value as it was kept, of the type that it is compared with."""
    return Decimal(kept) if isinstance(like, Decimal) and kept is not None else kept


def _rows_again(rules: RuleReader, scope_id: str, evidence: dict[str, Any]) -> str:
    moments = {
        name: datetime.fromisoformat(text) if (text := evidence["parameters"].get(name)) else None
        for name in ("window_start", "window_end")
    }
    columns, rows = rules.rows_of(evidence["evidence_query"], {"scope_id": scope_id, **moments})
    kept = [tuple(row) for row in evidence["rows"]]
    is_same = (list(columns), list(rows)) == (evidence["columns"], kept)
    return "and the same rows" if is_same else "and other rows"
