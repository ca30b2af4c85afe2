"""Today so far: the figures that a dashboard shows first, beside the same hours of days to compare with."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from flows.review_scopes import PLATFORM, Scope

if TYPE_CHECKING:
    from flows.warehouse import Reader

# key, label, unit; the keys are columns of monitoring_dashboard and of the usage marts.
_HEADLINES = (
    ("job_count", "Jobs", "count"),
    ("active_team_count", "Active teams", "count"),
    ("call_count", "Model calls", "count"),
    ("total_tokens", "Tokens", "tokens"),
    ("client_cost_usd", "Client cost", "usd"),
    ("failure_rate", "Failure rate", "rate"),
    ("latency_avg_ms", "Average latency", "milliseconds"),
    ("latency_p95_ms", "Latency p95", "milliseconds"),
)
_OF_A_TEAM = tuple(one for one in _HEADLINES if one[0] != "active_team_count")
# What a day without any activity comes to; rates and latencies of nothing are not known.
_SUMS = ("job_count", "active_team_count", "call_count", "total_tokens", "client_cost_usd")

Number = Decimal | int


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure of today so far; None is not known. `unit` is one of reports.formats."""

    key: str
    label: str
    unit: str
    value: Number | None
    # the same hours of the day before, and of the same day a week ago; of the platform only
    yesterday: Number | None = None
    last_week: Number | None = None


def read_headlines(reader: Reader, scope: Scope) -> tuple[Headline, ...]:
    """The headlines of a scope as of the published night; empty when nothing is published of today."""
    if scope == PLATFORM:
        return _of_platform(reader)
    return _of_tenant(reader, scope)


def _of_platform(reader: Reader) -> tuple[Headline, ...]:
    columns = [name for key, *_ in _HEADLINES for name in (key, f"{key}_yesterday", f"{key}_last_week")]
    row = reader.execute(f"select {', '.join(columns)} from warehouse.marts.monitoring_dashboard").fetchone()
    if row is None:
        return ()
    values = dict(zip(columns, row, strict=True))
    return tuple(
        Headline(key, label, unit, values[key], values[f"{key}_yesterday"], values[f"{key}_last_week"])
        for key, label, unit in _HEADLINES
    )


def _of_tenant(reader: Reader, scope: Scope) -> tuple[Headline, ...]:
    wanted = _OF_A_TEAM if scope.kind == "team" else _HEADLINES
    columns = ", ".join(f"usage.{key}" for key, *_ in wanted)
    row = reader.execute(
        f"""
        select usage.{scope.kind}_id, {columns}
        from warehouse.marts.monitoring_dashboard as today
        left join warehouse.marts.{scope.kind}_usage_daily as usage
            on usage.period_start_date = today.calendar_date and usage.{scope.kind}_id = ?
        """,
        [scope.id],
    ).fetchone()
    if row is None:
        return ()
    is_silent, values = row[0] is None, row[1:]
    return tuple(
        Headline(key, label, unit, 0 if is_silent and key in _SUMS else value)
        for (key, label, unit), value in zip(wanted, values, strict=True)
    )
