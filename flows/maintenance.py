"""Maintenance: when a component is planned to be down, so that it counts as neither up nor down."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, insert, or_, select, update

from flows.errors import UsageError
from flows.given_text import said
from flows.ops_store import OpsStore, probing
from flows.redaction import shown

windows = probing.maintenance_windows

LONGEST = timedelta(days=14)
# An outage is not made a plan long after it: what is announced later than this is refused.
LONGEST_BACK = timedelta(hours=24)


def plan(
    store: OpsStore,
    *,
    component: str | None,
    starts_at: datetime,
    hours: float,
    owner: str,
    reason: str,
    now: datetime,
    components: frozenset[str],
) -> int:
    """Announce maintenance of a component, or of every one (None); the number of the window.

    `components` are those that there are. Raises UsageError for one that there is not, and for times that are
    no plan.
    """
    if component is not None and component not in components:
        raise UsageError(
            f"No component is called {shown(component)}. There are: {', '.join(sorted(components))}."
        )
    if not 0 < hours <= LONGEST / timedelta(hours=1):
        raise UsageError(f"Maintenance lasts more than 0 hours and at most {LONGEST.days} days.")
    if starts_at < now - LONGEST_BACK:
        raise UsageError(
            f"Maintenance that began more than {LONGEST_BACK // timedelta(hours=1)} hours ago cannot be "
            "announced any more: its downtime has been reported."
        )
    values = {
        "component": component,
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(hours=hours),
        "owner": said(owner, "who answers for it"),
        "reason": said(reason, "why it is planned"),
        "created_at": now,
    }
    with store.transaction() as connection:
        made = connection.execute(insert(windows).values(values).returning(windows.c.window_id))
        return int(made.scalar_one())


def planned(store: OpsStore, now: datetime) -> list[Any]:
    """The windows that have not ended, the first to begin first."""
    with store.transaction() as connection:
        query = select(windows).where(_is_to_come(now)).order_by(windows.c.starts_at)
        return list(connection.execute(query))


def end(store: OpsStore, window_id: int, now: datetime) -> None:
    """End a window now; one that has not begun never will. Raises UsageError when there is none to end."""
    with store.transaction() as connection:
        row = connection.execute(
            select(windows).where(windows.c.window_id == window_id, _is_to_come(now))
        ).first()
        if row is None:
            raise UsageError(
                f"No maintenance {window_id} is planned or going on: `almanac maintenance list`."
            )
        connection.execute(
            update(windows).where(windows.c.window_id == window_id).values(ends_at=max(row.starts_at, now))
        )


def _is_to_come(now: datetime) -> ColumnElement[bool]:
    """Going on or planned, and not called off."""
    return and_(windows.c.ends_at > now, windows.c.ends_at > windows.c.starts_at)


def in_maintenance(store: OpsStore, now: datetime, components: frozenset[str]) -> frozenset[str]:
    """Which of these components are in maintenance at a moment."""
    with store.transaction() as connection:
        found = set(
            connection.scalars(
                select(windows.c.component).where(
                    windows.c.starts_at <= now,
                    windows.c.ends_at > now,
                    or_(windows.c.component.is_(None), windows.c.component.in_(components)),
                )
            )
        )
    return components if None in found else frozenset(found)
