"""A small platform whose rows change from night to night, written as files that land.

Owns the rows and the ways in which a real platform changes them; what is drawn comes from outside, so that a
property test can make a failure small.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow
import pyarrow.parquet

from tests.oracle.tape import BOOLEAN, DECIMAL, RAW_COLUMNS, TEXT, TIME, WHOLE

Row = dict[str, Any]

TEAMS = ("acme", "beta", "gone", "loose")
ORGANIZATIONS = ("org_a", "org_b", None)
STATUSES = ("completed", "failed", "PENDING", "in_progress", "cancelled", "ARCHIVED")
JOB_TYPES = ("chat", "analysis")
ALIASES = ("fast", "smart", "dated-model")
MODELS = ("gpt-4o-mini", "claude-x")
# what a call is: error text, provider cost, client cost, legacy cost
CALLS: dict[str, tuple[str | None, str | None, str | None, str | None]] = {
    "stored": (None, "0.5", "0.75", None),
    "marked_up": (None, "0.25", None, None),
    "legacy": (None, None, None, "0.125"),
    "unpriced": (None, None, None, None),
    "impossible": (None, "-150", "0.5", None),
    "timeout": ("Timeout: read timed out", None, None, None),
    "rate_limit": ("429: rate limit exceeded", None, None, None),
    "empty_choices": ("500: list index out of range", None, None, None),
}
MOVES = (
    "deduction",
    "refund",
    "allocation",
    "adjustment",
    "subscription_payment",
    "one_time_payment",
    "chargeback",
)
REASONS = ("Credit replenishment ($149.00 USD)", "Manual top-up", None)
KEYS = {
    "jobs": "job_id",
    "llm_calls": "call_id",
    "job_cost_summaries": "job_id",
    "credit_transactions": "transaction_id",
    "team_credits": "team_id",
    "organizations": "organization_id",
    "model_aliases": "model_alias",
    "team_usage_summaries": "id",
}
FACTS = ("jobs", "llm_calls", "credit_transactions")

_ARROW = {
    TEXT: pyarrow.string(),
    WHOLE: pyarrow.int64(),
    DECIMAL: pyarrow.decimal128(28, 8),
    BOOLEAN: pyarrow.bool_(),
    TIME: pyarrow.timestamp("us"),
}
# the source's own columns; the landing adds which numbers were unusable
_COLUMNS = {
    table: {name: kind for name, kind in columns.items() if name != "unusable_columns"}
    for table, columns in RAW_COLUMNS.items()
}


class LivingPlatform:
    """The rows of the source by table and key, and a clock."""

    def __init__(self, as_of: datetime, reporting_timezone: str) -> None:
        self.as_of = as_of
        self.zone = ZoneInfo(reporting_timezone)
        self.rows: dict[str, dict[str, Row]] = {table: {} for table in KEYS}
        self.copies: dict[str, list[str]] = {table: [] for table in KEYS}
        self._numbers = dict.fromkeys(KEYS, 0)
        created = as_of - timedelta(days=400)
        for name in ("org_a", "org_b"):
            self.rows["organizations"][name] = {
                "organization_id": name,
                "name": name,
                "status": "active",
                "created_at": created,
            }
        for team in TEAMS[:2]:
            self.set_team(team, organization_id="org_a", cost_markup_percentage=Decimal(20))
        self.set_team("loose", organization_id=None, cost_markup_percentage=Decimal(0))
        self.set_alias("fast", "openai", "gpt-4o-mini")

    def moment(self, days: int, microseconds: int) -> datetime:
        """The naive UTC instant so long after the start of as_of's local day, `days` later."""
        day = self.as_of.replace(tzinfo=UTC).astimezone(self.zone).date() + timedelta(days=days)
        start = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        return start.astimezone(UTC).replace(tzinfo=None) + timedelta(microseconds=microseconds)

    # --- new rows --------------------------------------------------------------------------------------

    def add_job(self, at: datetime, team: str, status: str, job_type: str, organization: str | None) -> str:
        key = self._new_key("jobs", "job")
        is_open = status.lower() in ("pending", "in_progress")
        self.rows["jobs"][key] = {
            "job_id": key,
            "team_id": team,
            "user_id": "u1",
            "job_type": job_type,
            "status": status,
            "created_at": at,
            "started_at": at + timedelta(seconds=2),
            "completed_at": None if is_open else at + timedelta(minutes=3),
            "error_message": None,
            "organization_id": organization,
            "credit_applied": status == "completed",
        }
        return key

    def add_call(self, at: datetime, job: str | None, kind: str, model: str) -> str:
        key = self._new_key("llm_calls", "call")
        self.rows["llm_calls"][key] = {
            "call_id": key,
            "job_id": job,
            "prompt_tokens": 100,
            "completion_tokens": 7,
            "total_tokens": 107,
            "latency_ms": 6000 if kind == "stored" else 250,
            "created_at": at,
            "model_group_used": model,
            "resolved_model": model if kind == "legacy" else "dated-model",
        }
        self.recost_call(key, kind)
        return key

    def add_ledger_row(
        self,
        at: datetime,
        team: str,
        job: str | None,
        kind: str,
        amount: int,
        organization: str | None,
        gap: int,
    ) -> str:
        """A row that goes on from the team's latest before it, `gap` credits off."""
        key = self._new_key("credit_transactions", "tx")
        earlier = [
            row
            for row in self.rows["credit_transactions"].values()
            if row["team_id"] == team and row["created_at"] <= at
        ]
        last = max(earlier, key=lambda row: row["created_at"], default=None)
        before = (last["credits_after"] if last else 100) + gap
        signed = -abs(amount) if kind == "deduction" else amount
        self.rows["credit_transactions"][key] = {
            "transaction_id": key,
            "team_id": team,
            "organization_id": organization,
            "job_id": job,
            "transaction_type": kind,
            "credits_amount": amount,
            "credits_before": before,
            "credits_after": before + signed,
            "reason": REASONS[abs(amount) % len(REASONS)],
            "created_at": at,
        }
        return key

    def _new_key(self, table: str, prefix: str) -> str:
        self._numbers[table] += 1
        number = self._numbers[table]
        # ids say nothing about the order
        return f"{prefix}-{number * 7 % 10}{number:02d}"

    # --- changes ---------------------------------------------------------------------------------------

    def pick(self, table: str, number: int) -> str | None:
        """One of the keys, newest first; none of an empty table."""
        keys = [*self.rows[table]]
        return keys[-1 - number % len(keys)] if keys else None

    def finish_job(self, job: str, status: str) -> None:
        row = self.rows["jobs"][job]
        row.update(status=status, completed_at=self.as_of)
        if status == "failed":
            row["error_message"] = "worker died" if job.endswith(("1", "3")) else None

    def recost_call(self, call: str, kind: str) -> None:
        error, provider, client, legacy = CALLS[kind]
        self.rows["llm_calls"][call].update(
            error=error,
            provider_cost_usd=provider and Decimal(provider),
            client_cost_usd=client and Decimal(client),
            cost_usd=legacy and Decimal(legacy),
        )

    def delete(self, table: str, key: str) -> None:
        """The row; of a job also, as the platform cascades, its calls and its summary."""
        self.rows[table].pop(key, None)
        if table == "jobs":
            self.rows["job_cost_summaries"].pop(key, None)
            calls = self.rows["llm_calls"]
            for call in [name for name, row in calls.items() if row["job_id"] == key]:
                del calls[call]

    def delete_edge_day(self, last: bool) -> None:
        """Every fact of the first or the last UTC day that has one."""
        days = {row["created_at"].date() for table in FACTS for row in self.rows[table].values()}
        if days:
            day = max(days) if last else min(days)
            for table in FACTS:
                for key in [k for k, row in self.rows[table].items() if row["created_at"].date() == day]:
                    self.delete(table, key)

    def set_team(self, team: str, **values: Any) -> None:
        row = self.rows["team_credits"].setdefault(
            team,
            {
                "team_id": team,
                "created_at": self.as_of - timedelta(days=300),
                "credits_allocated": 1000,
                "credits_used": 10,
                "credits_remaining": 990,
                "budget_mode": "job_based",
                "credits_per_dollar": Decimal(10),
            },
        )
        row.update(values)

    def set_alias(self, alias: str, provider: str, model: str) -> None:
        self.rows["model_aliases"][alias] = {
            "model_alias": alias,
            "provider": provider,
            "actual_model": model,
            "status": "active",
        }

    def summarise(self, job: str, cost: str) -> None:
        self.rows["job_cost_summaries"][job] = {
            "job_id": job,
            "total_calls": 1,
            "failed_calls": 0,
            "total_tokens": 107,
            "total_cost_usd": Decimal(cost),
            "calculated_at": self.as_of,
        }

    def copy(self, table: str, key: str) -> None:
        """From now on the source holds the row twice."""
        self.copies[table].append(key)

    def fill(self, seed: int) -> None:
        """A history of some weeks; none for seed 0."""
        dice = random.Random(seed)
        for _ in range(12 if seed else 0):
            job = self.add_job(
                self.moment(-dice.randrange(45), dice.randrange(86_400) * 1_000_003),
                dice.choice(TEAMS),
                dice.choice(STATUSES),
                dice.choice(JOB_TYPES),
                None,
            )
            at: datetime = self.rows["jobs"][job]["created_at"]
            for _ in range(dice.randrange(3)):
                self.add_call(
                    at + timedelta(seconds=dice.choice((1, 60, 90_000, 400_000))),
                    job,
                    dice.choice([*CALLS]),
                    dice.choice(ALIASES),
                )
            self.add_ledger_row(
                at + timedelta(seconds=dice.choice((0, 30, 100_000))),
                self.rows["jobs"][job]["team_id"],
                dice.choice((job, None)),
                dice.choice(MOVES),
                dice.choice((1, 5, 40)),
                dice.choice(ORGANIZATIONS),
                dice.choice((0, 0, 0, 3)),
            )

    # --- files -----------------------------------------------------------------------------------------

    def write(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        for table, columns in _COLUMNS.items():
            held = self.rows[table]
            rows = [*held.values(), *(held[key] for key in self.copies[table] if key in held)]
            arrays = {
                name: pyarrow.array([row.get(name) for row in rows], _ARROW[kind])
                for name, kind in columns.items()
            }
            pyarrow.parquet.write_table(pyarrow.table(arrays), folder / f"{table}.parquet")

    def __str__(self) -> str:
        lines = [f"as_of={self.as_of!r} zone={self.zone.key}"]
        for table, rows in self.rows.items():
            for row in rows.values():
                shown = (f"{k}={v!s}" for k, v in row.items() if v is not None)
                lines.append(f"  {table}: {', '.join(shown)}")
        return "\n".join(lines)
