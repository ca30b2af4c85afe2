"""What live viewers see, read by one thread for all of them: night, health, headlines, open alerts.

What changes seldom is read when it has changed, not at every look: of a night its headlines, of the ops store
its newest probes and open incidents.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from api.alerts import read_rules
from api.answers import encoded
from flows.alert_recap import RuleName
from flows.component_health import PlatformHealth, health_by
from flows.headlines import Headline, read_headlines_of
from flows.incidents import SEVERITIES, open_by_scope
from flows.night_name import NightName
from flows.ops_store import alerting, probing
from flows.probe_records import latest
from flows.probe_results import Overall, ProbeResult
from flows.redaction import redact
from flows.review_scopes import Scope
from flows.status import STALE_AFTER
from reports.dashboard import freshness
from reports.formats import figure

# Seconds after which the ops store is read again though nothing seems to have changed, as of rows changed by
# hand, or of a clock that was set.
WHOLE_SECONDS = 60.0
# Seconds after which trouble that goes on is told again.
TROUBLE_SECONDS = 60.0

STALE_HOURS = STALE_AFTER // timedelta(hours=1)
_UNKNOWN_HEALTH = PlatformHealth(Overall.unknown, ())


@dataclass(frozen=True, slots=True)
class _Night:
    """What the newest night that could be read says; nothing has a name, and nor has what is not known."""

    name: NightName | None = None
    is_known: bool = True
    headlines: Mapping[Scope, tuple[Headline, ...]] = field(default_factory=dict)
    rules: Mapping[str, RuleName] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Store:
    """What the ops store said, and by which marks that holds."""

    # of the newest probe and the newest event of an incident
    marks: tuple[int | None, int | None]
    # the night whose rules say which incidents tenants see
    night_id: str | None
    probes: list[tuple[datetime, ProbeResult, int]]
    # None when no rule was ever asked
    open_alerts: Mapping[Scope, Counter[str]] | None
    # seconds of the process's own clock
    read_at: float


class LiveFigures:
    """The figures of any scopes. `look` is for one thread at a time, `unknown` for any."""

    def __init__(self, state: Any) -> None:
        self._state = state
        self._night = _Night()
        self._kept: _Store | None = None
        # what every scope's figures are made of, and those made of it
        self._basis: tuple[Any, ...] = ()
        self._payloads: dict[Scope, bytes] = {}
        self._told_at = float("-inf")

    def look(self, scopes: Collection[Scope]) -> dict[Scope, bytes]:
        """The figures of the scopes at this moment; the same bytes as before when nothing has changed.

        What cannot be read is told as not known, and on stderr why; of a night the last that could be read.
        Raises nothing.
        """
        try:
            self._read_night(scopes)
        except Exception as error:  # of whatever engine
            self.tell(error)
            if self._night.name is None:
                self._night = _Night(is_known=False)
        night, now = self._night, self._state.now()
        try:
            store = self._read_store(night)
        except Exception as error:
            self.tell(error)
            store = None
        health = health_by(store.probes, self._state.probes, now=now) if store else _UNKNOWN_HEALTH
        basis = (night.name, night.is_known, _is_stale(night, now), health, store and store.open_alerts)
        kept = self._payloads if basis == self._basis else {}
        open_alerts = store.open_alerts if store else None
        self._payloads = {
            # what could not be read of a scope is asked for again, and not kept as if it were nothing
            scope: (scope in night.headlines and kept.get(scope))
            or _payload(night, scope, now, health, open_alerts)
            for scope in scopes
        }
        self._basis = basis
        return self._payloads

    def unknown(self, scopes: Collection[Scope]) -> dict[Scope, bytes]:
        """The figures while a look takes too long: of the last night, with nothing known of this moment."""
        night, now = self._night, self._state.now()
        return {scope: _payload(night, scope, now, _UNKNOWN_HEALTH, None) for scope in scopes}

    def _read_night(self, scopes: Collection[Scope]) -> None:
        nights, kept = self._state.nights, self._night
        name = nights.current()
        if name is None:
            self._night = _Night()
            return
        if name == kept.name and all(scope in kept.headlines for scope in scopes):
            return
        with nights.reading() as night:
            if kept.name is None or night.id != kept.name.id:
                name = NightName(night.id, night.as_of, night.reporting_timezone)
                kept = _Night(name, rules=read_rules(night))
            # as many as there are scopes that somebody looks at
            known = {scope: kept.headlines[scope] for scope in scopes if scope in kept.headlines}
            missing = [scope for scope in scopes if scope not in known]
            self._night = replace(kept, headlines=known | read_headlines_of(night, missing))

    def _read_store(self, night: _Night) -> _Store:
        store, kept, began = self._state.store(), self._kept, time.monotonic()
        night_id = night.name.id if night.name else None
        probes, events = probing.probes, alerting.incident_events
        with store.reading() as connection:
            newest = select(
                select(func.max(probes.c.probe_id)).scalar_subquery(),
                select(func.max(events.c.event_id)).scalar_subquery(),
            )
            probe, event = connection.execute(newest).one()
            is_old = kept is None or began - kept.read_at > WHOLE_SECONDS
            if kept is None or is_old or (kept.marks[1], kept.night_id) != (event, night_id):
                open_alerts: Mapping[Scope, Counter[str]] | None = open_by_scope(connection, night.rules)
            else:
                open_alerts = kept.open_alerts
        if kept is None or is_old or kept.marks[0] != probe:
            found = latest(store, self._state.now())
        else:
            found = kept.probes
        read_at = began if kept is None or is_old else kept.read_at
        self._kept = _Store((probe, event), night_id, found, open_alerts, read_at)
        return self._kept

    def tell(self, error: Exception) -> None:
        """Say on stderr what went wrong; what goes on is said once a minute."""
        at = time.monotonic()
        if at - self._told_at > TROUBLE_SECONDS:
            self._told_at = at
            print(
                f"almanac serve: live figures: {type(error).__name__}: {redact(str(error))}",
                file=sys.stderr,
                flush=True,
            )


def _is_stale(night: _Night, now: datetime) -> bool:
    return night.name is None or now - night.name.as_of > STALE_AFTER


def _payload(
    night: _Night,
    scope: Scope,
    now: datetime,
    health: PlatformHealth,
    open_alerts: Mapping[Scope, Counter[str]] | None,
) -> bytes:
    """What a viewer sees at once: which night, is it fresh, is it up, today so far, what is open."""
    is_stale = _is_stale(night, now)
    name = night.name
    counts = None if open_alerts is None else open_alerts.get(scope, Counter())
    return encoded(
        {
            "night": name and name.id,
            "as_of": name and name.as_of,
            "is_stale": is_stale,
            "freshness": freshness(name.as_of if name else None, STALE_HOURS if is_stale else None)
            if night.is_known
            else "What is published cannot be read now.",
            "health": {
                "overall": str(health.overall),
                "components": [
                    {
                        "name": one.name,
                        "status": str(one.verdict),
                        "latency_ms": one.latency_ms,
                        "checked_at": one.checked_at,
                    }
                    for one in health.components
                ],
            },
            "headlines": [
                {
                    "key": one.key,
                    "label": one.label,
                    "unit": one.unit,
                    "value": one.value,
                    "text": figure(one.value, one.unit),
                }
                for one in night.headlines.get(scope, ())
            ],
            "open_alerts": counts if counts is None else {one: counts[one] for one in SEVERITIES},
        }
    )
