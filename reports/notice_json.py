"""A notice of alerts as JSON: what the webhook posts and the file channel keeps. docs/alerts.md describes it.

Numbers that were measured are texts of exact decimals, moments UTC with a Z. What people typed is as they
typed it, shortened: whoever prints it escapes it.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from decimal import Decimal
from typing import Any

from reports.notice import TEST, Member, Notice
from reports.notice_lines import IN_FULL

LONGEST_TEXT = 500  # characters of a name or a cell
LONGEST_NAME = 80  # of what is only named
LONGEST_QUERY = 5_000
LARGEST_DOCUMENT = 250_000  # bytes; beyond, critical incidents are only named and others only counted


def notice_json(notice: Notice, *, runbooks: str) -> bytes:
    """The document, ASCII. `runbooks` is where a rule's runbook is found, followed by #rule."""
    omitted = Counter(notice.omitted)
    incidents: list[dict[str, Any]] = []
    named: list[dict[str, Any]] = []
    names = [_name(member) if member.severity == "critical" else None for member in notice.members]
    # every critical incident has a place, if only by its name
    reserved = sum(_size(name) for name in names if name is not None)
    room = LARGEST_DOCUMENT
    is_full = False
    for number, (member, name) in enumerate(zip(notice.members, names, strict=True)):
        reserved -= _size(name) if name is not None else 0
        if not is_full:
            incident = _incident(member, runbooks)
            is_full = number > 0 and _size(incident) > room - reserved
        if not is_full:
            incidents.append(incident)
            room -= _size(incident)
        elif name is not None:
            named.append(name)
        else:
            omitted[member.severity] += 1
    _add_sql(incidents, notice.members, room)
    state = "test" if notice.family == TEST else "resolved" if notice.is_resolved else "firing"
    document = {
        "type": f"alerts.{state}",
        "timestamp": _moment(notice.made_at),
        "data": {
            "notice_id": notice.notice_id,
            "follows_notice_id": notice.replies_to,
            "severity": notice.severity,
            "family": notice.family,
            "organization_id": _text(notice.organization_id),
            "organization_name": _text(notice.organization_name),
            "as_of": _moment(notice.as_of),
            "incidents": incidents,
            "incidents_in_short": named,
            "omitted": {severity: str(count) for severity, count in sorted(omitted.items())},
        },
    }
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def _add_sql(incidents: list[dict[str, Any]], members: tuple[Member, ...], room: int) -> None:
    """The whole SQL of the rules, as far as it fits: of the first incidents each, then once for all with it.

    What has none says whose it is (`sql_incident_id`), or that it was left out (`left_out`).
    """
    holders: dict[str, str] = {}
    for number, (incident, member) in enumerate(zip(incidents, members, strict=False)):
        evidence, sql = incident["evidence"], member.sql
        if not sql:
            continue
        size = len(json.dumps(sql))
        if size <= room and (number < IN_FULL or sql not in holders):
            room -= size
            evidence["sql"] = sql
            holders.setdefault(sql, member.incident_id)
        elif sql in holders:
            evidence["sql_incident_id"] = holders[sql]
        else:
            evidence["left_out"].append("sql")


def _incident(member: Member, runbooks: str) -> dict[str, Any]:
    """One member, without the SQL of its rule."""
    query = member.evidence_query
    return {
        "incident_id": member.incident_id,
        "event": member.event,
        "rule": member.rule,
        "title": member.title,
        "owner": member.owner,
        "severity": member.severity,
        "scope": _scope(member),
        "measure": member.measure,
        "unit": member.unit,
        "observed_value": _number(member.observed_value),
        "previous_value": _number(member.previous_value),
        "comparison": member.comparison,
        "threshold": _number(member.threshold),
        "clear_threshold": _number(member.clear_threshold),
        "baseline_value": _number(member.baseline_value),
        "actual_value": _number(member.actual_value),
        "volume": None if member.volume is None else str(member.volume),
        "counted_unit": member.counted_unit,
        "window_start": _moment(member.window_start),
        "window_end": _moment(member.window_end),
        "shown_at": _moment(member.shown_at),
        "opened_at": _moment(member.opened_at),
        "happened_at": _moment(member.happened_at),
        "reminder_number": str(member.reminder_number),
        "untold_changes": str(member.untold_changes),
        "runbook": f"{runbooks}#{member.rule}",
        "note": _text(member.note),
        "evidence": {
            "columns": list(member.evidence_columns),
            "rows": [[_text(cell) for cell in row] for row in member.evidence_rows[:5]],
            "query": query if len(query) <= LONGEST_QUERY else None,
            "sql": None,
            "sql_incident_id": None,
            "parameters": {name: _text(value) for name, value in member.parameters.items()},
            "left_out": [] if len(query) <= LONGEST_QUERY else ["query"],
        },
    }


def _name(member: Member) -> dict[str, Any]:
    """What is said of a critical incident for which there is no room."""
    return {
        "incident_id": member.incident_id,
        "event": member.event,
        "rule": member.rule,
        "severity": member.severity,
        "scope": _scope(member, LONGEST_NAME),
    }


def _scope(member: Member, longest: int = LONGEST_TEXT) -> dict[str, str | None]:
    return {
        "kind": member.scope_kind,
        "id": _text(member.scope_id, longest),
        "name": _text(member.scope_name, longest),
        "organization_id": _text(member.organization_id, longest),
        "organization_name": _text(member.organization_name, longest),
    }


def _size(part: dict[str, Any]) -> int:
    return len(json.dumps(part))


def _text(value: str | None, longest: int = LONGEST_TEXT) -> str | None:
    if value is None:
        return None
    # half a pair is no character: many readers of JSON refuse it
    whole = value.encode("utf-8", "replace").decode("utf-8")
    return whole if len(whole) <= longest else f"{whole[: longest - 1]}…"


def _number(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.isoformat(timespec='seconds')}Z"
