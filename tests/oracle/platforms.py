"""Hypothesis strategies for small adversarial platforms: owns the inputs that oracle and SQL are compared on.

Values are drawn from short lists of edges, not from wide ranges: two builders differ at a midnight, at 2^31
or at an exact -1 second, not at an arbitrary number. Everything drawn can be stored in the raw types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pandas
from hypothesis import strategies as st

from tests.oracle.tape import RAW_COLUMNS, frame

T = TypeVar("T")
Draw = st.DrawFn
Row = dict[str, Any]

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana")

# local days that a calendar may get wrong: ISO week 53 of 2026, year end, leap day, an ordinary month end
CALENDAR_EDGES = tuple(
    date.fromisoformat(text)
    for text in [
        "2026-12-27",
        "2026-12-28",
        "2026-12-31",
        "2027-01-01",
        "2027-01-03",
        "2027-01-04",
        "2028-02-28",
        "2028-02-29",
        "2028-03-01",
        "2026-11-30",
    ]
)
# local days of a clock change: Lord Howe moves by half an hour, Havana at midnight itself
CLOCK_CHANGES = {
    "UTC": (),
    "Europe/Berlin": (date(2026, 10, 25), date(2027, 3, 28)),
    "America/New_York": (date(2026, 11, 1), date(2027, 3, 14)),
    "Australia/Lord_Howe": (date(2026, 10, 4), date(2027, 4, 4)),
    "America/Havana": (date(2026, 11, 1), date(2027, 3, 14)),
}

TEAM_IDS = ("acme", "acme-1", "acme-10", "ACME", "acme/ops", 'it\'s "q"', "café—団队", "a%_b", "<b>x</b>")
ORGANIZATION_IDS = ("org_a", "org_ab", "org_日本", "o'org")
GONE_ORGANIZATION = "org_gone"
JOB_TYPES = ("chat", "chat_session", "résumé/analysis")
STATUSES = [
    "COMPLETED",
    "COMPLETED",
    "completed",
    "completed",
    "FAILED",
    "failed",
    "CANCELLED",
    "cancelled",
    "PENDING",
    "pending",
    "IN_PROGRESS",
    "in_progress",
    "ARCHIVED",
    "timed_out",
]
ALIASES = {"chat-fast": "gpt-4o-mini", "self": "self", "chain": "chat-fast", "empty": None}

INT4_MAX = 2**31 - 1
TOKENS = (None, 0, 0, 1, 7, 100, 1234, 1234, INT4_MAX, -1, 2**31, 2**40)
LATENCIES = (None, 0, 1, 5, 100, 101, 2500, 2501, 614470, INT4_MAX, -1, 2**31)
PROVIDER_COSTS = [
    "0",
    "0.00000001",
    "0.00000003",
    "0.00120870",
    "0.01234567",
    "1.5",
    "99.99999999",
    "100",
    "-0.5",
    "-150",
    "123456.78",
]
LEGACY_COSTS = [
    "0",
    "0",
    "0.000001",
    "0.00000005",
    "0.001209",
    "2.5",
    "9999.999999",
    "9999.9999995",
    "10000",
    "-1",
]
CLIENT_COSTS = ["0", "0", "0.00000001", "0.00145044", "1.75", "99.99999999", "100", "-0.00000001", "-3"]
DECIMAL_COLUMNS = tuple(name for name, kind in RAW_COLUMNS["llm_calls"].items() if kind == "decimal")
# one column's name ends in another's: cost_usd, provider_cost_usd
UNUSABLE = (
    *((None,),) * 16,
    *((name,) for name in DECIMAL_COLUMNS),
    ("cost_usd", "provider_cost_usd"),
    ("provider_cost_usd", "client_cost_usd"),
)
MARKUPS = ("0", "0.00", "12.50", "33.33", "50", "100.00", "999.99", "-10", "-100", "-150.25")

QUEUES_US = (
    None,
    None,
    -2_000_000,
    -1_000_001,
    -1_000_000,
    -999_999,
    -700,
    0,
    499,
    500,
    1_500,
    2_500,
    61_000_001,
)
DURATIONS_US = (
    None,
    -5_000_000,
    -1,
    0,
    500,
    1_500,
    4_711_234_500,
    90_000_000_000,
    3_661_000_499,
    3_661_000_501,
)

MOVES = [
    "deduction",
    "deduction",
    "deduction",
    "deduction",
    "refund",
    "allocation",
    "allocation",
    "adjustment",
    "subscription_payment",
    "one_time_payment",
    "subscription_payment",
    "chargeback",
    "expiry",
]
AMOUNTS = (1, 1, 1, 2, 5, 40, 100, 0, -1, -3, -40, 2**31)
FAULTS = ("", "", "", "", "", "", "fork", "fork", "gap", "after", "arbitrary")
REASONS = (
    "Credit replenishment from subscription payment ($149.00 USD)",
    "Invoice 7 ($1,299.00 USD)",
    "(paid $0.05 USD by card)",
    "One ($45 USD)",
    "Manual top-up",
    "Paid $49.00 USD",
    "Paid (49.00 EUR)",
    "($ USD)",
    "",
    None,
)


@dataclass(frozen=True)
class Platform:
    """One drawn platform. `tables` may hold `team_versions` beside the raw tables."""

    tables: dict[str, pandas.DataFrame] = field(repr=False)
    as_of: datetime
    reporting_timezone: str

    def __str__(self) -> str:
        lines = [f"as_of={self.as_of!r} reporting_timezone={self.reporting_timezone!r}"]
        for name, table in self.tables.items():
            for row in table.to_dict("records"):
                lines.append(f"  {name}: " + ", ".join(f"{k}={v!s}" for k, v in row.items() if v is not None))
        return "\n".join(lines)


class Moments:
    """Draws instants near the edges that matter: local midnights near one anchor, clock changes, `as_of`."""

    def __init__(self, draw: Draw, zone: str) -> None:
        self._draw = draw
        self._zone = ZoneInfo(zone)
        self._anchor = draw(st.sampled_from(CALENDAR_EDGES + CLOCK_CHANGES[zone] * 3))
        begin = self._midnight(draw(st.sampled_from((1, 2, 0, 3, 8, 15, 16, 20))))
        self.as_of = begin + draw(
            st.sampled_from((0, 0, 0, -1, 1, 43_200_000_000, 3_600_000_000)).map(_microseconds)
        )

    def _midnight(self, days: int) -> datetime:
        day = self._anchor + timedelta(days=days)
        local = datetime(day.year, day.month, day.day, tzinfo=self._zone)
        return local.astimezone(UTC).replace(tzinfo=None)

    def draw(self) -> datetime:
        base = self._draw(
            st.sampled_from(["day", "day", "day", "month", "night", "as_of", "stuck", "week", "burn"])
        )
        nudge = self._draw(st.sampled_from((0, 0, -1, 1, -1_000_000, 7_654_321)))
        if base == "as_of":
            return self.as_of + _microseconds(nudge)
        if base == "stuck":
            return self.as_of - timedelta(hours=24) + _microseconds(nudge)
        if base == "burn":  # the window of 14 complete days, and its 7 days of history
            days_ago = self._draw(st.sampled_from((1, 2, 6, 7, 8, 13, 14, 15)))
            return self.as_of - timedelta(days=days_ago) + _microseconds(nudge)
        if base == "night":  # half-hour steps over the hours in which clocks change
            return (
                self._midnight(0)
                + timedelta(minutes=30 * self._draw(st.integers(-2, 8)))
                + _microseconds(nudge)
            )
        days = {"day": (0, 0, 1, 1, -1, 2), "week": (-7, -3, 3, 7, 14), "month": (-40, -14, -10, 5)}[base]
        begin = self._midnight(self._draw(st.sampled_from(days)))
        within = self._draw(
            st.one_of(st.just(0), st.integers(0, 86_399).map(lambda second: second * 1_000_003))
        )
        return begin + _microseconds(nudge + within)


def _microseconds(count: int) -> timedelta:
    return timedelta(microseconds=count)


def _one(draw: Draw, values: Sequence[T]) -> T:
    return draw(st.sampled_from(values))


def _decimal(draw: Draw, values: Sequence[str], *, null_share: int) -> Decimal | None:
    """One of the values, or null in `null_share` of as many more draws."""
    text = _one(draw, (*([None] * null_share), *values))
    return None if text is None else Decimal(text)


def _jobs(draw: Draw, moments: Moments, teams: Sequence[str], organizations: Sequence[str]) -> list[Row]:
    rows = []
    for number in range(draw(st.integers(0, 15))):
        created = moments.draw()
        queue, duration = _one(draw, QUEUES_US), _one(draw, DURATIONS_US)
        rows.append(
            {
                "job_id": f"job-{number:02d}",
                "team_id": _one(draw, teams),
                "user_id": _one(draw, (None, "u1", "u1", "u2", "U1")),
                "job_type": _one(draw, JOB_TYPES),
                "status": _one(draw, STATUSES),
                "created_at": created,
                "started_at": None if queue is None else created + _microseconds(queue),
                "completed_at": None if duration is None else created + _microseconds(duration),
                "error_message": _one(draw, (None, None, "boom")),
                "organization_id": _one(draw, (None,) * 5 + (*organizations, GONE_ORGANIZATION)),
                "credit_applied": _one(draw, (None, True, False)),
            }
        )
    return rows


def _calls(draw: Draw, moments: Moments, jobs: Sequence[Row]) -> list[Row]:
    job_ids = [*(job["job_id"] for job in jobs)] * 3 + ["job-gone", None]
    tokens = _one(draw, (TOKENS, TOKENS[:8]))  # half of the platforms have no poison in their tokens
    rows = []
    for number in range(draw(st.integers(0, 30))):
        unusable = {name for name in _one(draw, UNUSABLE) if name}
        row: Row = {
            "call_id": f"call-{number:02d}",
            "job_id": _one(draw, job_ids),
            "model_used": _one(draw, (None, "chat-fast")),
            "prompt_tokens": _one(draw, tokens),
            "completion_tokens": _one(draw, tokens),
            "total_tokens": _one(draw, (None, *tokens)),
            "cost_usd": _decimal(draw, LEGACY_COSTS, null_share=3),
            "latency_ms": _one(draw, LATENCIES),
            "created_at": moments.draw(),
            "error": _one(draw, (None,) * 6 + ("", "500: Failed to call provider API: ")),
            "model_group_used": _one(draw, (None, "chat-fast", "chat-smart")),
            "resolved_model": _one(draw, (None, "gpt-4o-mini", "claude-x", *ALIASES)),
            "provider_cost_usd": _decimal(draw, PROVIDER_COSTS, null_share=8),
            "client_cost_usd": _decimal(draw, CLIENT_COSTS, null_share=12),
            "input_cost_usd": _decimal(draw, ("0", "0.5"), null_share=1),
            "unusable_columns": ",".join(name for name in DECIMAL_COLUMNS if name in unusable) or None,
        }
        row.update(dict.fromkeys(unusable))
        rows.append(row)
    return rows


def _ledger(
    draw: Draw, moments: Moments, teams: Sequence[str], organizations: Sequence[str], jobs: Sequence[Row]
) -> list[Row]:
    """Chains of before and after per team, with faults, and with ids that say nothing about the order."""
    count = draw(st.integers(0, 20))
    numbers = draw(st.permutations(range(count)))
    instants = [moments.draw() for _ in range(draw(st.integers(1, 8)))]  # few, so that rows tie
    planned = [(_one(draw, teams), _one(draw, instants), number) for number in numbers]
    rows = []
    for team_id in dict.fromkeys(team for team, _, _ in planned):
        balance = draw(st.sampled_from((0, 10, 100, 1000)))
        allocated, last_before = balance, balance
        for _, instant, number in sorted(
            (row for row in planned if row[0] == team_id), key=lambda row: row[1]
        ):
            kind, amount, fault = _one(draw, MOVES), _one(draw, AMOUNTS), _one(draw, FAULTS)
            if kind.endswith("_payment"):
                before, after = allocated, allocated + abs(amount)
                balance, allocated = balance + abs(amount), after
            else:
                signs: dict[str, int] = {"deduction": -abs(amount), "refund": abs(amount)}
                signed = signs.get(kind, amount)
                before = last_before if fault == "fork" else balance + (7 if fault == "gap" else 0)
                after = before + signed + (3 if fault == "after" else 0)
                if fault == "arbitrary":
                    before, after = draw(st.integers(-5, 5)), draw(st.integers(-5, 5))
                last_before, balance = before, after
            rows.append(
                {
                    "transaction_id": f"tx-{number:02d}",
                    "team_id": team_id,
                    "organization_id": _one(draw, (None, None, *organizations, GONE_ORGANIZATION)),
                    "job_id": _one(draw, (None, "job-gone", *(job["job_id"] for job in jobs))),
                    "transaction_type": kind,
                    "credits_amount": amount,
                    "credits_before": before,
                    "credits_after": after,
                    "reason": _one(draw, REASONS),
                    "created_at": instant,
                }
            )
    return rows


def _team_credits(
    draw: Draw, moments: Moments, teams: Sequence[str], organizations: Sequence[str]
) -> list[Row]:
    rows = []
    for team_id in teams:
        if _one(draw, (False, False, False, True)):
            continue  # deleted: its jobs, calls and ledger stay
        allocated, used = _one(draw, (0, 10, 3, 1000, 2**31)), _one(draw, (0, 1, 7, 1200))
        created = moments.as_of - timedelta(days=200)
        rows.append(
            {
                "team_id": team_id,
                "organization_id": _one(draw, (None, *organizations, *organizations, GONE_ORGANIZATION)),
                "credits_allocated": allocated,
                "credits_used": used,
                "credits_remaining": allocated - used,
                "created_at": created,
                "updated_at": created,
                "credit_limit": _one(draw, (None, 500)),
                "auto_refill": _one(draw, (None, True, False)),
                "budget_mode": _one(draw, (None, "job_based", "consumption_usd")),
                "credits_per_dollar": _decimal(draw, ("10.00", "0"), null_share=1),
                "cost_markup_percentage": _decimal(draw, MARKUPS, null_share=2),
                "status": _one(draw, (None, "active", "suspended")),
                "tokens_per_credit": _one(draw, (None, 10000)),
            }
        )
    return rows


VERSIONED = [
    "organization_id",
    "budget_mode",
    "cost_markup_percentage",
    "credits_per_dollar",
    "tokens_per_credit",
    "credit_limit",
    "status",
]


def _team_versions(
    draw: Draw, moments: Moments, teams: Sequence[str], present: Sequence[Row], organizations: Sequence[str]
) -> pandas.DataFrame:
    """One to three versions of a team, the last as in team_credits; some deleted teams were never seen."""
    now = {row["team_id"]: row for row in present}
    rows = []
    for team_id in teams:
        if team_id not in now and draw(st.booleans()):
            continue  # gone before the first landing: nothing is known about it
        instants = sorted({moments.draw() for _ in range(draw(st.integers(1, 3)))})
        for valid_from in instants:
            version = dict.fromkeys(VERSIONED) | {
                "organization_id": _one(draw, (None, *organizations)),
                "cost_markup_percentage": _decimal(draw, MARKUPS, null_share=2),
            }
            if valid_from == instants[-1] and team_id in now:
                version = {name: now[team_id][name] for name in VERSIONED}
            gone = team_id not in now and valid_from == instants[-1]
            missing_since = valid_from + timedelta(hours=12) if gone else None
            validity = {"valid_from": valid_from, "missing_since": missing_since}
            rows.append({"team_id": team_id, **version, **validity})
    return pandas.DataFrame(
        rows, columns=["team_id", *VERSIONED, "valid_from", "missing_since"], dtype=object
    )


@st.composite
def platforms(draw: Draw, reporting_timezone: str | None = None, *, with_history: bool = False) -> Platform:
    """A small adversarial platform; `with_history` adds `team_versions`, else teams are as they are now."""
    zone = reporting_timezone or _one(draw, ZONES)
    moments = Moments(draw, zone)
    organizations = draw(st.lists(st.sampled_from(ORGANIZATION_IDS), max_size=3, unique=True))
    teams = draw(st.lists(st.sampled_from(TEAM_IDS), min_size=1, max_size=4, unique=True))
    jobs = _jobs(draw, moments, teams, organizations)
    team_credits = _team_credits(draw, moments, teams, organizations)
    created = moments.as_of - timedelta(days=300)
    rows: dict[str, list[Row]] = {
        "jobs": jobs,
        "llm_calls": _calls(draw, moments, jobs),
        "job_cost_summaries": [
            {"job_id": job["job_id"], "total_cost_usd": Decimal("0.5"), "calculated_at": job["created_at"]}
            for job in jobs[: draw(st.integers(0, 3))]
        ],
        "credit_transactions": _ledger(draw, moments, teams, organizations, jobs),
        "team_credits": team_credits,
        "organizations": [
            {"organization_id": name, "name": f"Org {name}", "status": "active", "created_at": created}
            for name in organizations
        ],
        "model_aliases": [
            {"model_alias": alias, "provider": "openai", "actual_model": model, "created_at": created}
            for alias, model in ALIASES.items()
            if draw(st.booleans())
        ],
        "team_usage_summaries": [],
    }
    tables = {name: frame(name, table) for name, table in rows.items()}
    if with_history:
        tables["team_versions"] = _team_versions(draw, moments, teams, team_credits, organizations)
    return Platform(tables, moments.as_of, zone)
