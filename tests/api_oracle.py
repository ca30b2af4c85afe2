"""What the API must answer, counted from the facts' single rows in plain Python: no SQL of the API, no mart.

Ratios are exact fractions rounded half away from zero at the end, as docs/metrics.md says.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import duckdb

from flows.review_scopes import PLATFORM, Scope

Row = dict[str, Any]
Slice = tuple[list[Row], list[Row], list[Row]]


def rounded(value: Fraction, places: int) -> Decimal:
    """Half away from zero."""
    scaled = abs(value) * 10**places
    whole = (scaled.numerator * 2 + scaled.denominator) // (scaled.denominator * 2)
    return Decimal(whole if value >= 0 else -whole).scaleb(-places)


def ratio(part: Any, whole: Any, places: int = 6) -> Decimal | None:
    """None of nothing."""
    return None if part is None or not whole else rounded(Fraction(part) / Fraction(whole), places)


def added(rows: Sequence[Row], column: str) -> Any:
    """The sum of what is known; 0 of no rows, None of rows of which none is known."""
    known = [row[column] for row in rows if row[column] is not None]
    return sum(known) if known or not rows else None


def percentile(values: Sequence[int], fraction: Fraction) -> Decimal | None:
    """Continuous, as numeric(18, 3)."""
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * fraction
    low = place.numerator // place.denominator
    high = min(low + 1, len(ordered) - 1)
    return rounded(ordered[low] + (place - low) * (ordered[high] - ordered[low]), 3)


@dataclass(frozen=True)
class Span:
    """A period as people write it, and its days; half-open."""

    label: str
    first: date
    end: date

    @classmethod
    def of(cls, label: str) -> Span:
        """Of 2026-10, 2026-W44 or 2026-10-05."""
        if "W" in label:
            year, week = label.split("-W")
            first = date.fromisocalendar(int(year), int(week), 1)
            return cls(label, first, first + timedelta(days=7))
        if len(label) == len("2026-10-05"):
            first = date.fromisoformat(label)
            return cls(label, first, first + timedelta(days=1))
        year, month = label.split("-")
        first = date(int(year), int(month), 1)
        return cls(label, first, (first + timedelta(days=31)).replace(day=1))

    @property
    def before(self) -> Span:
        """The one of the same kind before."""
        last = self.first - timedelta(days=1)
        if "W" in self.label:
            year, week, _ = last.isocalendar()
            return Span.of(f"{year}-W{week:02d}")
        return Span.of(last.isoformat()[: len(self.label)])

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=number) for number in range((self.end - self.first).days)]


class Facts:
    """Jobs, calls and ledger rows of a published warehouse; UTC days."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, as_of: datetime) -> None:
        self.as_of = as_of
        self.jobs = _by_day(connection, "fct_jobs", "job_date")
        self.calls = _by_day(connection, "fct_llm_calls", "call_date")
        self.ledger = _by_day(connection, "fct_credit_transactions", "transaction_date")
        self.failed_class = {
            row["job_id"]: row["error_class"] for row in self.jobs.rows if row["outcome"] == "failed"
        }
        days = [day for table in (self.jobs, self.calls, self.ledger) for day in table.days[:1]]
        # the days that are published; without a row there is none
        last = (as_of - timedelta(microseconds=1)).date()
        self.published = (
            Span("all", min(days), last + timedelta(days=1)) if days else Span("none", last, last)
        )

    def of(self, scope: Scope, span: Span) -> Slice:
        """The scope's rows of a period."""
        jobs, calls, ledger = (
            [row for row in table.between(span) if scope == PLATFORM or row[f"{scope.kind}_id"] == scope.id]
            for table in (self.jobs, self.calls, self.ledger)
        )
        return jobs, calls, ledger

    def is_complete(self, span: Span) -> bool:
        return datetime.combine(span.end, datetime.min.time()) <= self.as_of

    def is_whole(self, span: Span) -> bool:
        """Over, and published from its first day."""
        return self.is_complete(span) and span.first >= self.published.first

    def minutes(self, span: Span) -> Fraction:
        """Of the period, up to as_of."""
        ends = min(self.as_of, datetime.combine(span.end, datetime.min.time()))
        elapsed = ends - datetime.combine(span.first, datetime.min.time())
        return Fraction(elapsed // timedelta(microseconds=1), 60_000_000)


@dataclass(frozen=True)
class _Table:
    rows: list[Row]
    days: list[date]

    def between(self, span: Span) -> list[Row]:
        return self.rows[bisect_left(self.days, span.first) : bisect_left(self.days, span.end)]


def _by_day(connection: duckdb.DuckDBPyConnection, table: str, day: str) -> _Table:
    cursor = connection.execute(f"select * from warehouse.marts.{table} order by {day}")
    names = [column[0] for column in cursor.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return _Table(rows, [row[day] for row in rows])


def measures(facts: Facts, scope: Scope, span: Span) -> Row:
    """Every figure of a scope and period that an endpoint shows, by the names of the marts."""
    jobs, calls, ledger = facts.of(scope, span)
    outcomes = {
        name: sum(job["outcome"] == name for job in jobs)
        for name in ("completed", "failed", "cancelled", "open", "other")
    }
    finished = outcomes["completed"] + outcomes["failed"] + outcomes["cancelled"]
    cost = added(calls, "client_cost_usd")
    latencies = [
        call["latency_ms"] for call in calls if not call["is_failed"] and call["latency_ms"] is not None
    ]
    failed_calls = sum(call["is_failed"] for call in calls)
    return {
        "job_count": len(jobs),
        **{f"{name}_job_count": count for name, count in outcomes.items()},
        "failure_rate": ratio(outcomes["failed"], finished),
        "success_rate": ratio(outcomes["completed"], finished),
        "call_count": len(calls),
        "failed_call_count": failed_calls,
        "call_failure_rate": ratio(failed_calls, len(calls)),
        "unpriced_call_count": sum(call["is_unpriced"] for call in calls),
        "total_tokens": added(calls, "total_tokens"),
        "client_cost_usd": cost,
        "avg_cost_per_job_usd": ratio(cost, len(jobs), 8),
        "credits_used": credits_used(ledger),
        "calls_per_minute": ratio(len(calls), facts.minutes(span)),
        **latency(latencies),
    }


def latency(values: Sequence[int]) -> Row:
    return {
        "latency_avg_ms": ratio(sum(values), len(values), 3),
        "latency_p50_ms": percentile(values, Fraction(50, 100)),
        "latency_p95_ms": percentile(values, Fraction(95, 100)),
        "latency_p99_ms": percentile(values, Fraction(99, 100)),
        "latency_max_ms": max(values, default=None),
    }


def credits_used(ledger: Iterable[Row]) -> int:
    """Deductions less refunds."""
    return -sum(row["credits_signed"] or 0 for row in ledger if row["movement"] in ("deduction", "refund"))


def grouped(rows: Iterable[Row], *columns: str) -> dict[Any, list[Row]]:
    """Rows by one column, or by several as a tuple."""
    found: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[columns[0]] if len(columns) == 1 else tuple(row[name] for name in columns)].append(row)
    return found


# --- answers ------------------------------------------------------------------------------------------------


def team_usage(facts: Facts, team_id: str, span: Span) -> Row:
    scope = Scope("team", team_id)
    of = measures(facts, scope, span)
    jobs, calls, ledger = facts.of(scope, span)
    by_jobs, by_calls, by_ledger = (grouped(rows, "job_type") for rows in (jobs, calls, ledger))
    return {
        "team_id": team_id,
        "period": span.label,
        "summary": {
            "total_jobs": of["job_count"],
            "successful_jobs": of["completed_job_count"],
            "failed_jobs": of["failed_job_count"],
            "total_cost_usd": of["client_cost_usd"],
            "total_tokens": of["total_tokens"],
            "avg_cost_per_job": of["avg_cost_per_job_usd"],
            **_counts(of),
            "credits_used": of["credits_used"],
        },
        "job_types": {
            name: {"count": len(by_jobs[name]), "cost_usd": added(by_calls[name], "client_cost_usd")}
            for name in {*by_jobs, *by_calls, *by_ledger}
        },
    }


def organization_usage(facts: Facts, organization_id: str, span: Span) -> Row:
    scope = Scope("organization", organization_id)
    of = measures(facts, scope, span)
    by_jobs, by_calls, by_ledger = (grouped(rows, "team_id") for rows in facts.of(scope, span))
    return {
        "organization_id": organization_id,
        "period": span.label,
        "summary": {
            "total_jobs": of["job_count"],
            "completed_jobs": of["completed_job_count"],
            "failed_jobs": of["failed_job_count"],
            "credits_used": of["credits_used"],
            "total_cost_usd": of["client_cost_usd"],
            "total_tokens": of["total_tokens"],
            **_counts(of),
        },
        "teams": {
            team: {"jobs": len(by_jobs[team]), "credits_used": credits_used(by_ledger[team])}
            for team in {*by_jobs, *by_calls, *by_ledger}
        },
    }


def _counts(of: Row) -> Row:
    return {
        "cancelled_jobs": of["cancelled_job_count"],
        "open_jobs": of["open_job_count"],
        "other_jobs": of["other_job_count"],
        "failure_rate": of["failure_rate"],
        "total_calls": of["call_count"],
        "failed_calls": of["failed_call_count"],
        "unpriced_calls": of["unpriced_call_count"],
    }


def usage_analytics(facts: Facts, scope: Scope, span: Span) -> Row:
    now, before = measures(facts, scope, span), _before(facts, scope, span)
    return {
        **_header(facts, scope, span),
        "total_jobs": now["job_count"],
        "jobs_trend": relative(now, before, "job_count"),
        "success_rate": percent(now["success_rate"]),
        "success_trend": points(now, before, "success_rate"),
        "total_cost": now["client_cost_usd"],
        "cost_trend": relative(now, before, "client_cost_usd"),
        "avg_latency": now["latency_avg_ms"],
        "latency_trend": relative(now, before, "latency_avg_ms"),
        "total_calls": now["call_count"],
        "total_tokens": now["total_tokens"],
        "credits_used": now["credits_used"],
        "job_types": job_types(facts, scope, span),
        "daily_usage": days(facts, scope, span),
        "teams": teams(facts, scope, span),
    }


def performance_analytics(facts: Facts, scope: Scope, span: Span) -> Row:
    now, before = measures(facts, scope, span), _before(facts, scope, span)
    return {
        **_header(facts, scope, span),
        "success_rate": percent(now["success_rate"]),
        "success_trend": points(now, before, "success_rate"),
        "avg_latency": now["latency_avg_ms"],
        "latency_trend": relative(now, before, "latency_avg_ms"),
        "error_rate": percent(now["call_failure_rate"]),
        "error_trend": points(now, before, "call_failure_rate"),
        "requests_per_minute": now["calls_per_minute"],
        "throughput_trend": relative(now, before, "calls_per_minute"),
        "latency_p50": now["latency_p50_ms"],
        "latency_p95": now["latency_p95_ms"],
        "latency_p99": now["latency_p99_ms"],
        "latency_max": now["latency_max_ms"],
        "job_types": job_types(facts, scope, span),
        "errors": errors(facts, scope, span),
    }


def _header(facts: Facts, scope: Scope, span: Span) -> Row:
    is_compared = facts.is_complete(span) and facts.is_whole(span.before)
    return {
        "period": span.label,
        "scope": str(scope),
        "previous_period": span.before.label if is_compared else None,
    }


def _before(facts: Facts, scope: Scope, span: Span) -> Row:
    if facts.is_complete(span) and facts.is_whole(span.before):
        return measures(facts, scope, span.before)
    return defaultdict(lambda: None)


def percent(fraction: Decimal | None) -> Decimal | None:
    return None if fraction is None else fraction * 100


def points(now: Row, before: Row, name: str) -> Decimal | None:
    if now[name] is None or before[name] is None:
        return None
    difference: Decimal = (now[name] - before[name]) * 100
    return difference


def relative(now: Row, before: Row, name: str) -> Decimal | None:
    """Per cent of what was before, four places."""
    if now[name] is None or not before[name]:
        return None
    return rounded((Fraction(now[name]) - Fraction(before[name])) * 100 / Fraction(before[name]), 4)


def job_types(facts: Facts, scope: Scope, span: Span) -> list[Row]:
    jobs, calls, _ = facts.of(scope, span)
    by_jobs, by_calls = grouped(jobs, "job_type"), grouped(calls, "job_type")
    rows = [
        {
            "job_type": name,
            "count": len(by_jobs[name]),
            **_outcomes(by_jobs[name]),
            "calls": len(by_calls[name]),
            "cost_usd": added(by_calls[name], "client_cost_usd"),
        }
        for name in {*by_jobs, *by_calls}
    ]
    return sorted(rows, key=lambda row: (-row["count"], -row["calls"], row["job_type"].encode()))


def _outcomes(jobs: Sequence[Row]) -> Row:
    counts = {
        name: sum(job["outcome"] == name for job in jobs) for name in ("completed", "failed", "cancelled")
    }
    return {
        "completed_jobs": counts["completed"],
        "failed_jobs": counts["failed"],
        "failure_rate": ratio(counts["failed"], sum(counts.values())),
    }


def days(facts: Facts, scope: Scope, span: Span) -> list[Row]:
    rows = []
    for day in span.days:
        if facts.published.first <= day < facts.published.end:
            of = measures(facts, scope, Span.of(day.isoformat()))
            rows.append(
                {
                    "date": day.isoformat(),
                    "jobs": of["job_count"],
                    "failed_jobs": of["failed_job_count"],
                    "calls": of["call_count"],
                    "total_tokens": of["total_tokens"],
                    "cost_usd": of["client_cost_usd"],
                    "is_complete": facts.is_complete(Span.of(day.isoformat())),
                }
            )
    return rows


def teams(facts: Facts, scope: Scope, span: Span) -> list[Row]:
    """Without the teams' organizations, which no fact of the period need name."""
    by_jobs, by_calls, by_ledger = (grouped(rows, "team_id") for rows in facts.of(scope, span))
    rows = [
        {
            "team_id": team,
            "jobs": len(by_jobs[team]),
            **_outcomes(by_jobs[team]),
            "calls": len(by_calls[team]),
            "failed_calls": sum(call["is_failed"] for call in by_calls[team]),
            "total_tokens": added(by_calls[team], "total_tokens"),
            "cost_usd": added(by_calls[team], "client_cost_usd"),
            "credits_used": credits_used(by_ledger[team]),
        }
        for team in {*by_jobs, *by_calls, *by_ledger}
    ]
    return sorted(rows, key=lambda row: (-row["jobs"], -row["calls"], row["team_id"].encode()))


def models(facts: Facts, scope: Scope, span: Span) -> list[Row]:
    """Of all teams of the scope together."""
    _, calls, _ = facts.of(scope, span)
    groups = grouped(calls, "model_group", "model")
    rows = []
    for (group, model), of in groups.items():
        failed = sum(call["is_failed"] for call in of)
        rows.append(
            {
                **{"model_group": group, "model": model},
                **{"calls": len(of), "failed_calls": failed, "failure_rate": ratio(failed, len(of))},
                "total_tokens": added(of, "total_tokens"),
                "cost_usd": added(of, "client_cost_usd"),
                **latency(
                    [
                        call["latency_ms"]
                        for call in of
                        if not call["is_failed"] and call["latency_ms"] is not None
                    ]
                ),
            }
        )
    return sorted(
        rows,
        key=lambda row: (
            -row["calls"],
            *(str(row[name]).encode() for name in ("model_group", "model")),
        ),
    )


def errors(facts: Facts, scope: Scope, span: Span) -> list[Row]:
    jobs, calls, _ = facts.of(scope, span)
    failed_jobs = grouped([job for job in jobs if job["outcome"] == "failed"], "error_class")
    failed_calls = grouped([call for call in calls if call["is_failed"]], "error_class")
    wasted: dict[Any, list[Row]] = defaultdict(list)
    for call in calls:
        if call["is_of_failed_job"]:
            wasted[facts.failed_class[call["job_id"]]].append(call)
    rows = [
        {
            "error_class": name,
            "failed_jobs": len(failed_jobs[name]),
            "failed_calls": len(failed_calls[name]),
            "wasted_cost_usd": added(wasted[name], "client_cost_usd"),
        }
        for name in {*failed_jobs, *failed_calls, *wasted}
    ]
    return sorted(
        rows, key=lambda row: (-row["failed_jobs"], -row["failed_calls"], row["error_class"].encode())
    )
