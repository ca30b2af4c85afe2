"""What the alerts did in the period of a review: incidents out of the ops store, as they were when it ended.

Everything goes by the moments of the data, never by when a computer looked at them, so that a period tells
the same whenever it is asked for.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select

from flows.alert_rules import Severity
from flows.coverage import start_of_day
from flows.ops_store import OpsStore, alerting
from flows.review_scopes import PLATFORM, Kind, Period, Scope
from reports.review import Alerts, IncidentRow

if TYPE_CHECKING:
    from collections.abc import Mapping

LISTED = 8
FALSE_ALARM = "false alarm"
# A day's rules are asked by the night after it, this much later at most for the day to be called asked.
LATEST_NIGHT = timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class RuleName:
    """What a rule is called, and whether tenants read of it."""

    title: str
    for_tenants: bool


@dataclass(frozen=True, slots=True)
class _Incident:
    row: Any
    # the end of the window that showed it
    began_at: datetime
    ended_at: datetime | None

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.row.rule, self.row.scope_kind, self.row.scope_id)


class Recap:
    """The alerts of one period, for any scope."""

    def __init__(
        self, store: OpsStore, kind: Kind, period: Period, zone: str, rules: Mapping[str, RuleName]
    ) -> None:
        self._rules = rules
        self._start, self._end = (start_of_day(day, zone) for day in (period.start_date, period.end_date))
        before: date = kind.containing(period.start_date - timedelta(days=1)).start_date
        self._before = start_of_day(before, zone)
        with store.transaction() as connection:
            evaluations, table = alerting.evaluations, alerting.incidents
            self._first_asked: datetime | None = connection.scalar(select(func.min(evaluations.c.as_of)))
            self._last_asked: datetime | None = connection.scalar(
                select(func.max(evaluations.c.as_of)).where(evaluations.c.as_of <= self._end + LATEST_NIGHT)
            )
            rows = connection.execute(
                select(table).where(
                    table.c.opened_as_of > self._before,
                    table.c.opened_as_of <= self._end + LATEST_NIGHT,
                )
            ).all()
            older = connection.execute(
                select(table).where(
                    table.c.opened_as_of <= self._before,
                    or_(table.c.resolved_as_of.is_(None), table.c.resolved_as_of > self._start),
                )
            ).all()
        self._incidents = [self._read(row) for row in (*older, *rows)]

    def of(self, scope: Scope) -> Alerts | None:
        """What there was to tell a scope; None when the rules were not asked in the period."""
        if self._first_asked is None or self._last_asked is None or self._last_asked <= self._start:
            return None
        mine = [one for one in self._incidents if self._concerns(one, scope)]
        opened = [one for one in mine if self._start < one.began_at <= self._end]
        before = [one for one in mine if self._before < one.began_at <= self._start]
        going_on = [one for one in mine if one.began_at <= self._end]
        ended = [one for one in going_on if one.ended_at is not None and one.ended_at > self._start]
        still_open = [one for one in going_on if one.ended_at is None]
        shown = sorted(
            [*opened, *[one for one in ended + still_open if one.began_at <= self._start]],
            key=lambda one: (-Severity(one.row.severity).rank, -one.began_at.timestamp(), one.key),
        )
        times = Counter(one.key for one in [*opened, *before])
        lasted = [(one.ended_at - one.began_at).total_seconds() for one in ended if one.ended_at]
        families = Counter(one.row.family for one in opened)
        return Alerts(
            asked_since=self._first_asked if self._first_asked > self._start + LATEST_NIGHT else None,
            opened_count=len(opened),
            previous_opened_count=len(before) if self._first_asked <= self._before + LATEST_NIGHT else None,
            ended_count=len(ended),
            open_count=len(still_open),
            repeated_count=sum(times[one.key] > 1 for one in opened),
            ended_alone_count=sum(not self._is_acknowledged(one) for one in ended),
            false_alarm_count=sum(_is_false_alarm(one.row) for one in ended),
            median_seconds=Decimal(round(median(lasted))) if lasted else None,
            families=tuple(sorted(families.items(), key=lambda item: (-item[1], item[0]))),
            incidents=tuple(self._shown(one) for one in shown[:LISTED]),
            omitted_count=len(shown) - len(shown[:LISTED]),
        )

    def _concerns(self, one: _Incident, scope: Scope) -> bool:
        if scope == PLATFORM:
            return True
        rule = self._rules.get(one.row.rule)
        if rule is None or not rule.for_tenants:
            return False
        if scope.kind == "organization":
            return bool(
                one.row.organization_id == scope.id and one.row.scope_kind in ("organization", "team")
            )
        return (one.row.scope_kind, one.row.scope_id) == (scope.kind, scope.id)

    def _read(self, row: Any) -> _Incident:
        window_end = json.loads(row.evidence)["candidate"].get("window_end")
        began_at = (
            min(datetime.fromisoformat(window_end), row.opened_as_of) if window_end else row.opened_as_of
        )
        ended_at = row.resolved_as_of
        if ended_at is not None:
            # what ended later was open when the period ended
            ended_at = max(ended_at, began_at) if ended_at <= self._end else None
        return _Incident(row, began_at, ended_at)

    def _is_acknowledged(self, one: _Incident) -> bool:
        return one.row.acknowledged_at is not None and one.row.acknowledged_at <= self._end

    def _shown(self, one: _Incident) -> IncidentRow:
        rule = self._rules.get(one.row.rule)
        return IncidentRow(
            incident_id=one.row.incident_id,
            title=rule.title if rule else one.row.rule,
            severity=one.row.severity,
            scope_kind=one.row.scope_kind,
            scope_name=one.row.scope_name,
            began_at=one.began_at,
            ended_at=one.ended_at,
            is_acknowledged=self._is_acknowledged(one),
        )


def _is_false_alarm(row: Any) -> bool:
    """`closed by ann: false alarm, a load test`."""
    said = str(row.resolution or "").partition(": ")[2]
    return said.lower().startswith(FALSE_ALARM)


def rule_names(rows: Sequence[tuple[str, str, bool]]) -> dict[str, RuleName]:
    """From rows of seed alert_rules: rule, title, for_tenants."""
    return {rule: RuleName(title, bool(for_tenants)) for rule, title, for_tenants in rows}
