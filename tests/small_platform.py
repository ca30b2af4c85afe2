"""A platform of four jobs, as a database of a test's own, and its rows as landing stages them."""

from __future__ import annotations

from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import duckdb

from flows import landing_sql
from flows.source_postgres import DayFingerprint, PostgresSource, open_postgres_source
from flows.source_schema import DAY_TABLES, Table
from tests.platform_ddl import MIGRATED, Lineage
from tests.postgres_server import PostgresServer

DAY = date(2026, 11, 1)
NOON = datetime(2026, 11, 1, 12)

Row = dict[str, Any]


def nowhere(n: int = 1, detail: str = "") -> None:
    """Progress that nobody watches."""


class Platform:
    """One database of the test's own on the tests' server."""

    def __init__(self, server: PostgresServer, name: str) -> None:
        self.server = server
        self.name = name
        self.url = server.url(name)

    def run(self, query: str) -> list[tuple[Any, ...]]:
        return self.server.execute(query, self.name)

    def fingerprints(self, table: Table) -> dict[date, DayFingerprint]:
        with open_postgres_source(self.url) as source:
            return {found.day: found for found in source.fingerprints(table)}


def id_of(kind: int, number: int) -> UUID:
    return UUID(int=(kind << 64) + number)


def small_rows(lineage: Lineage) -> dict[str, list[Row]]:
    """Four jobs on three days, two of them open, with a call, a summary and a charge each."""
    statuses = ("completed", "failed", "pending", "in_progress")
    days = (0, 1, 1, 2)
    stamps = {"created_at": NOON, "updated_at": NOON}
    rows: dict[str, list[Row]] = {
        "organizations": [{"organization_id": "org-a", "name": "Acme", "status": "active", **stamps}],
        "team_credits": [
            {
                **{"team_id": "team-a", "organization_id": "org-a", "status": "active", **stamps},
                **{"credits_allocated": 60, "credits_used": 2, "credit_limit": 7, "auto_refill": False},
                **{"refill_amount": 5, "refill_period": "monthly", "last_refill_at": NOON},
                **{"budget_mode": "job_based", "credits_per_dollar": Decimal("10.00")},
                **{"cost_markup_percentage": Decimal("25.50"), "tokens_per_credit": 10000},
            }
        ],
        "model_aliases": [
            {
                **{"model_alias": "chat-fast", "display_name": "Chat", "provider": "openai", **stamps},
                **{"actual_model": "gpt-4o-mini", "status": "active"},
                **{"pricing_input": Decimal("0.15"), "pricing_output": Decimal("0.6")},
            }
        ],
        "jobs": [],
        "llm_calls": [],
        "job_cost_summaries": [],
        "credit_transactions": [],
    }
    for number, (status, day) in enumerate(zip(statuses, days, strict=True), start=1):
        at = NOON + timedelta(days=day, minutes=number)
        rows["jobs"].append(
            {
                **{"job_id": id_of(1, number), "team_id": "team-a", "user_id": "u1", "job_type": "chat"},
                **{"status": status if lineage is MIGRATED else status.upper(), "created_at": at},
                **{"started_at": at + timedelta(seconds=1), "completed_at": at + timedelta(seconds=9)},
                **{"error_message": None, "organization_id": None, "credit_applied": number == 1},
            }
        )
        rows["llm_calls"].append(
            call(number, job_id=id_of(1, number), created_at=at + timedelta(seconds=5, microseconds=711576))
        )
        rows["job_cost_summaries"].append(
            {
                **{"job_id": id_of(1, number), "total_calls": 1, "successful_calls": 1, "failed_calls": 0},
                **{"total_prompt_tokens": 0, "total_completion_tokens": 0, "total_tokens": 1930},
                **{"total_cost_usd": Decimal("0.000717"), "avg_latency_ms": 5344},
                # Long after the job: a summary belongs to its job's day all the same.
                **{"total_duration_seconds": 9, "calculated_at": at + timedelta(days=5)},
            }
        )
        rows["credit_transactions"].append(
            {
                **{"transaction_id": id_of(3, number), "team_id": "team-a", "organization_id": "org-a"},
                **{"job_id": id_of(1, number), "transaction_type": "deduction", "credits_amount": 1},
                **{"credits_before": 60 - number, "credits_after": 59 - number, "reason": "Job completed"},
                "created_at": at + timedelta(seconds=9),
            }
        )
    return rows


def call(number: int, **changed: Any) -> Row:
    cost = Decimal("0.00071712")
    row = {
        **{"call_id": id_of(2, number), "job_id": id_of(1, 1), "model_used": "chat-fast"},
        **{"prompt_tokens": 979, "completion_tokens": 951, "total_tokens": 1930, "latency_ms": 5344},
        **{"cost_usd": Decimal("0.000717"), "created_at": NOON, "error": None},
        **{"model_group_used": "chat-fast", "resolved_model": "gpt-4o-mini"},
        **{"input_cost_usd": cost, "output_cost_usd": None, "provider_cost_usd": cost},
        **{"client_cost_usd": None, "model_pricing_input": Decimal("0.15"), "model_pricing_output": None},
    }
    return row | changed


def staged(
    source: PostgresSource,
    table: Table,
    days: list[date] | None = None,
    *,
    connection: duckdb.DuckDBPyConnection | None = None,
) -> list[Row]:
    """The rows as they arrive in `staged`, by key; of every day unless `days` are given."""
    with closing(connection or duckdb.connect()) as opened:
        opened.execute("set TimeZone = 'UTC'")
        opened.execute("begin")
        opened.execute(landing_sql.create_staged(table))
        if table in DAY_TABLES:
            wanted = [found.day for found in source.fingerprints(table)] if days is None else days
            source.copy_days(opened, table, wanted, nowhere)
        else:
            source.copy_whole(opened, table, nowhere)
        cursor = opened.execute(f"select * from staged order by {table.key}")
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
