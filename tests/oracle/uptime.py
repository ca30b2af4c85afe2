"""Uptime and alerts of components, from rows of probes and windows by stepping through time, without SQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise, takewhile
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracle.marts import continuous_percentile, ratio

MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1)
VERDICTS = ("up", "degraded", "down")


@dataclass(frozen=True)
class Probe:
    """A row of raw.health_probes."""

    probe_id: int
    component: str
    checked_at: datetime
    verdict: str
    latency_ms: Decimal | None
    reason: str | None
    is_required: bool
    interval_seconds: int

    @property
    def order(self) -> tuple[datetime, int]:
        return self.checked_at, self.probe_id

    @property
    def holds_until(self) -> datetime:
        """2.5 intervals, at most 12 hours."""
        return self.checked_at + min(self.interval_seconds * timedelta(seconds=2.5), timedelta(hours=12))


@dataclass(frozen=True)
class Window:
    """A row of raw.maintenance_windows."""

    window_id: int
    component: str | None
    starts_at: datetime
    ends_at: datetime
    owner: str
    reason: str
    created_at: datetime

    def holds(self, component: str, moment: datetime) -> bool:
        return self.component in (None, component) and self.starts_at <= moment < self.ends_at


def expected_uptime(
    probes: Iterable[Probe],
    windows: Iterable[Window],
    *,
    as_of: datetime,
    covered_until: datetime,
    reporting_timezone: str,
) -> dict[str, list[dict[str, Any]]]:
    """The rows of component_uptime_daily, _weekly and _monthly, in no order."""
    known = [window for window in windows if EPOCH <= window.created_at < as_of]
    by_component: dict[str, list[Probe]] = {}
    for probe in probes:
        if EPOCH <= probe.checked_at < as_of:
            by_component.setdefault(probe.component, []).append(probe)
    rows: dict[str, list[dict[str, Any]]] = {}
    for grain in ("daily", "weekly", "monthly"):
        rows[f"component_uptime_{grain}"] = [
            row
            for component, its in by_component.items()
            for row in _rows(component, its, known, grain, as_of, covered_until, reporting_timezone)
        ]
    return rows


def _rows(
    component: str,
    probes: list[Probe],
    windows: list[Window],
    grain: str,
    as_of: datetime,
    covered_until: datetime,
    zone: str,
) -> Iterator[dict[str, Any]]:
    probes = sorted(probes, key=lambda probe: probe.order)
    periods: dict[date, dict[str, Any]] = {}

    def period_of(moment: datetime) -> dict[str, Any]:
        first = _first_day(local_day(moment, zone), grain)
        empty = dict.fromkeys(("elapsed", "unknown", "maintenance", *VERDICTS, "probes", "incidents"), 0)
        return periods.setdefault(first, {**empty, "latencies": []})

    for first, end in pairwise(_cuts(probes, windows, as_of, zone)):
        period = period_of(first)
        length = (end - first) // MICROSECOND
        period["elapsed"] += length
        period[_status(component, probes, windows, first)] += length

    failed_at: datetime | None = None
    for probe in probes:
        period = period_of(probe.checked_at)
        period["probes"] += 1
        if probe.verdict not in VERDICTS or _is_maintained(component, windows, probe.checked_at):
            continue
        if probe.verdict != "down":
            failed_at = None
            if probe.latency_ms is not None:
                period["latencies"].append(int(probe.latency_ms * 1000))
            continue
        if failed_at is None or failed_at <= probe.checked_at - DAY:
            period["incidents"] += 1
        failed_at = probe.checked_at

    for first_day, period in periods.items():
        last_day = _end_day(first_day, grain)
        up = period["up"] + period["degraded"]
        yield {
            "component": component,
            "period_start_date": first_day,
            "period_end_date": last_day,
            "is_complete": start_of_day(last_day, zone) <= covered_until,
            "probe_count": period["probes"],
            "elapsed_seconds": _seconds(period["elapsed"]),
            "up_seconds": _seconds(up),
            "degraded_seconds": _seconds(period["degraded"]),
            "down_seconds": _seconds(period["down"]),
            "unknown_seconds": _seconds(period["unknown"]),
            "maintenance_seconds": _seconds(period["maintenance"]),
            "availability": ratio(up, up + period["down"], 6),
            "latency_p50_ms": continuous_percentile(period["latencies"], 50, 1000, 3),
            "latency_p95_ms": continuous_percentile(period["latencies"], 95, 1000, 3),
            "incident_count": period["incidents"],
        }


def _cuts(probes: list[Probe], windows: list[Window], as_of: datetime, zone: str) -> list[datetime]:
    """Every moment from the first probe to as_of at which anything may change."""
    first = probes[0].checked_at
    days = (local_day(first, zone) + n * DAY for n in range((as_of - first).days + 3))
    moments = {first, as_of, *(start_of_day(day, zone) for day in days)}
    for probe in probes:
        moments |= {probe.checked_at, probe.holds_until}
    for window in windows:
        moments |= {window.starts_at, window.ends_at}
    return sorted(moment for moment in moments if first <= moment <= as_of)


def _status(component: str, probes: list[Probe], windows: list[Window], moment: datetime) -> str:
    if _is_maintained(component, windows, moment):
        return "maintenance"
    newest = max((probe for probe in probes if probe.checked_at <= moment), key=lambda probe: probe.order)
    is_known = moment < newest.holds_until and newest.verdict in VERDICTS
    return newest.verdict if is_known else "unknown"


def _is_maintained(component: str, windows: list[Window], moment: datetime) -> bool:
    return any(window.holds(component, moment) for window in windows)


def _seconds(microseconds: int) -> Decimal:
    return Decimal(microseconds).scaleb(-6)


# --- alerts -------------------------------------------------------------------------------------------------


def expected_verdicts(
    probes: Iterable[Probe], windows: Iterable[Window], *, as_of: datetime
) -> dict[tuple[str, str], tuple[str, int | None]]:
    """What the rules component_down and component_degraded say: verdict and value by rule and component."""
    known = [window for window in windows if window.created_at < as_of]
    by_component: dict[str, list[Probe]] = {}
    for probe in sorted(probes, key=lambda probe: probe.order):
        if as_of - 7 * DAY <= probe.checked_at < as_of:
            by_component.setdefault(probe.component, []).append(probe)
    verdicts: dict[tuple[str, str], tuple[str, int | None]] = {}
    for component, its in by_component.items():
        counted = [
            probe
            for probe in its
            if probe.verdict in VERDICTS and not _is_maintained(component, known, probe.checked_at)
        ]
        age = as_of - its[-1].checked_at
        is_unknown = its[-1] not in counted or age > 3 * timedelta(seconds=max(its[-1].interval_seconds, 1))
        failed = len(list(takewhile(lambda probe: probe.verdict == "down", reversed(counted))))
        slow = sum(probe.verdict == "degraded" for probe in counted[-5:])
        changes = sum(
            (before.verdict == "down") != (after.verdict == "down")
            and after.checked_at >= as_of - timedelta(hours=1)
            for before, after in pairwise(counted)
        )
        is_flapping = (slow <= 2 and changes > 3) or (slow <= 1 and changes > 1)
        value, fires, clears = (changes, 3, 1) if is_flapping else (slow, 2, 1)
        degraded = "breach" if value > fires else "clear" if value <= clears else "holding"
        down = "breach" if failed >= 3 else "holding" if failed else "clear"
        for rule, verdict, observed in (
            ("component_down", down, failed),
            ("component_degraded", degraded, value),
        ):
            verdicts[rule, component] = "unknown" if is_unknown else verdict, observed if counted else None
    return verdicts


# --- days ---------------------------------------------------------------------------------------------------


def local_day(moment: datetime, zone: str) -> date:
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()


@cache
def start_of_day(day: date, zone: str) -> datetime:
    """The first UTC instant whose local day is not before `day`, by halving the hours around it."""
    low = datetime.combine(day, datetime.min.time()) - timedelta(hours=36)
    high = low + timedelta(hours=72)
    while high - low > MICROSECOND:
        middle = low + (high - low) // 2
        if local_day(middle, zone) < day:
            low = middle
        else:
            high = middle
    return high


def _first_day(day: date, grain: str) -> date:
    return {
        "daily": day,
        "weekly": day - timedelta(days=day.weekday()),
        "monthly": day.replace(day=1),
    }[grain]


def _end_day(first: date, grain: str) -> date:
    if grain == "monthly":
        return (first + timedelta(days=31)).replace(day=1)
    return first + timedelta(days=1 if grain == "daily" else 7)
