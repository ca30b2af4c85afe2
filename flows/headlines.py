"""Today so far: the figures that a dashboard shows first, beside the same hours of days to compare with."""

from __future__ import annotations

from collections.abc import Collection
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
    return read_headlines_of(reader, [scope])[scope]


def read_headlines_of(reader: Reader, scopes: Collection[Scope]) -> dict[Scope, tuple[Headline, ...]]:
    """The same of many scopes: one query for each kind of them."""
    found = {PLATFORM: _of_platform(reader)} if PLATFORM in scopes else {}
    for kind in ("organization", "team"):
        idents = [scope.id for scope in scopes if scope.kind == kind]
        if idents:
            found |= _of_tenants(reader, kind, idents)
    return found


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


def _of_tenants(reader: Reader, kind: str, idents: list[str]) -> dict[Scope, tuple[Headline, ...]]:
    wanted = _OF_A_TEAM if kind == "team" else _HEADLINES
    columns = ", ".join(f"usage.{key}" for key, *_ in wanted)
    rows = reader.execute(
        f"""
        select usage.{kind}_id, {columns}
        from warehouse.marts.monitoring_dashboard as today
        left join warehouse.marts.{kind}_usage_daily as usage
            on usage.period_start_date = today.calendar_date and usage.{kind}_id = any(?)
        """,
        [idents],
    ).fetchall()
    if not rows:
        return {Scope(kind, ident): () for ident in idents}
    # without activity today there is the day alone
    by_ident = {row[0]: row[1:] for row in rows if row[0] is not None}
    silent = tuple(0 if key in _SUMS else None for key, *_ in wanted)
    return {
        Scope(kind, ident): tuple(
            Headline(key, label, unit, value)
            for (key, label, unit), value in zip(wanted, by_ident.get(ident, silent), strict=True)
        )
        for ident in idents
    }
