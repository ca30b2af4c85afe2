"""What people say to alerts: be quiet for a while, I have seen it, this one is closed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from flows import alert_states
from flows.errors import UsageError
from flows.given_text import said
from flows.ops_store import EVALUATOR, OpsStore, alerting, writers

# A silence that nobody remembers hides the next incident.
LONGEST_SILENCE = timedelta(days=90)

silences, incidents, events, states = (
    alerting.silences,
    alerting.incidents,
    alerting.incident_events,
    alerting.states,
)


def silence(
    store: OpsStore,
    *,
    rule: str | None,
    scope_kind: str | None,
    scope_id: str | None,
    owner: str,
    reason: str,
    hours: float,
    now: datetime,
) -> int:
    """Keep people from being told, from now on for so many hours; its number.

    None stands for any rule, kind of scope, scope. Incidents are recorded all the same, and what still fires
    when the silence ends is told then.
    """
    if rule is None and scope_kind is None and scope_id is None:
        raise UsageError("A silence of everything hides everything. Name a rule or a scope.")
    if scope_id is not None and scope_kind is None:
        raise UsageError("Name the kind of the scope too, such as --scope team:acme-docs.")
    if not 0 < hours <= LONGEST_SILENCE / timedelta(hours=1):
        raise UsageError(f"A silence lasts more than 0 hours and at most {LONGEST_SILENCE.days} days.")
    values = {
        "rule": rule,
        "scope_kind": scope_kind,
        "scope_id": scope_id,
        "owner": said(owner, "who silences it"),
        "reason": said(reason, "why it is silenced"),
        "created_at": now,
        "starts_at": now,
        "ends_at": now + timedelta(hours=hours),
    }
    with store.transaction() as connection:
        made = connection.execute(insert(silences).values(values).returning(silences.c.silence_id))
        return int(made.scalar_one())


def active_silences(store: OpsStore, now: datetime) -> list[Any]:
    """The silences that have not ended, the first to end first."""
    with store.transaction() as connection:
        query = select(silences).where(silences.c.ends_at > now).order_by(silences.c.ends_at)
        return list(connection.execute(query))


def end_silence(store: OpsStore, silence_id: int, now: datetime) -> None:
    """End a silence now. Raises UsageError when there is none of that number at work."""
    with store.transaction() as connection:
        ended = connection.execute(
            update(silences)
            .where(silences.c.silence_id == silence_id, silences.c.ends_at > now)
            .values(ends_at=now)
        )
    if ended.rowcount != 1:
        raise UsageError(f"There is no silence {silence_id} at work. `almanac alerts silences` lists them.")


def acknowledge(store: OpsStore, incident_id: str, who: str, now: datetime) -> None:
    """Note that somebody looks after an open incident: reminders end, its resolution is still told."""
    with store.transaction() as connection:
        row = _open(connection, incident_id)
        connection.execute(
            update(incidents)
            .where(incidents.c.incident_id == row.incident_id)
            .values(acknowledged_by=said(who, "who acknowledges it"), acknowledged_at=now)
        )
        _note(connection, row.incident_id, "acknowledged", now, {"by": who})


def close(store: OpsStore, incident_id: str, who: str, why: str, now: datetime) -> None:
    """Close an incident by hand, as one of a scope that is gone. It opens again when the rule still fires."""
    with store.transaction() as connection:
        # as an evaluation does: nothing moves a state beside another
        connection.execute(
            update(writers).where(writers.c.name == EVALUATOR).values(token=writers.c.token + 1)
        )
        row = _open(connection, incident_id)
        reason = f"closed by {said(who, 'who closes it')}: {said(why, 'why it is closed')}"
        connection.execute(
            update(incidents)
            .where(incidents.c.incident_id == row.incident_id)
            .values(resolved_at=now, resolved_as_of=now, resolution=reason)
        )
        for state in connection.execute(select(states).where(states.c.incident_id == row.incident_id)).all():
            memory = replace(
                alert_states.close(alert_states.from_json(state.memory)), told="nothing", untold_changes=0
            )
            connection.execute(
                update(states)
                .where(
                    states.c.rule == state.rule,
                    states.c.scope_kind == state.scope_kind,
                    states.c.scope_id == state.scope_id,
                )
                .values(state=str(memory.state), memory=alert_states.to_json(memory), incident_id=None)
            )
        _note(connection, row.incident_id, "closed", now, {"by": who, "why": why})


def _open(connection: Connection, incident_id: str) -> Any:
    """The open incident of that id, or whose id begins so."""
    query = select(incidents).where(
        func.substr(incidents.c.incident_id, 1, len(incident_id)) == incident_id,
        incidents.c.resolved_at.is_(None),
    )
    found = connection.execute(query.limit(2)).all()
    if len(found) != 1:
        many = "more than one" if found else "no"
        raise UsageError(f"There is {many} open incident {incident_id!r}. `almanac alerts list` shows them.")
    return found[0]


def _note(connection: Connection, incident_id: str, kind: str, now: datetime, detail: dict[str, str]) -> None:
    connection.execute(
        insert(events).values(
            incident_id=incident_id, kind=kind, happened_at=now, notice_id=None, detail=json.dumps(detail)
        )
    )
