"""The recorded platform (the tape) as raw tables: owns the reader, and the raw columns with their kinds.

Deliberately not the project's own landing: the standard library's CSV reader and a table of kinds.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas

TEXT, WHOLE, DECIMAL, BOOLEAN, TIME = "text", "whole", "decimal", "boolean", "time"

# kind: columns, for every raw table that the marts are made of; the order is that of the contract
RAW_COLUMNS: dict[str, dict[str, str]] = {
    "jobs": {
        **dict.fromkeys(("job_id", "team_id", "user_id", "job_type", "status"), TEXT),
        **dict.fromkeys(("created_at", "started_at", "completed_at"), TIME),
        **dict.fromkeys(("error_message", "organization_id"), TEXT),
        "credit_applied": BOOLEAN,
    },
    "llm_calls": {
        **dict.fromkeys(("call_id", "job_id", "model_used"), TEXT),
        **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), WHOLE),
        "cost_usd": DECIMAL,
        "latency_ms": WHOLE,
        "created_at": TIME,
        **dict.fromkeys(("error", "model_group_used", "resolved_model"), TEXT),
        **dict.fromkeys(
            (
                "input_cost_usd",
                "output_cost_usd",
                "provider_cost_usd",
                "client_cost_usd",
                "model_pricing_input",
                "model_pricing_output",
            ),
            DECIMAL,
        ),
        "unusable_columns": TEXT,
    },
    "job_cost_summaries": {
        "job_id": TEXT,
        **dict.fromkeys(("total_calls", "successful_calls", "failed_calls", "total_tokens"), WHOLE),
        "total_cost_usd": DECIMAL,
        **dict.fromkeys(("avg_latency_ms", "total_duration_seconds"), WHOLE),
        "calculated_at": TIME,
    },
    "credit_transactions": {
        **dict.fromkeys(("transaction_id", "team_id", "organization_id", "job_id", "transaction_type"), TEXT),
        **dict.fromkeys(("credits_amount", "credits_before", "credits_after"), WHOLE),
        "reason": TEXT,
        "created_at": TIME,
    },
    "team_credits": {
        **dict.fromkeys(("team_id", "organization_id"), TEXT),
        **dict.fromkeys(("credits_allocated", "credits_used", "credits_remaining"), WHOLE),
        **dict.fromkeys(("created_at", "updated_at"), TIME),
        "credit_limit": WHOLE,
        "auto_refill": BOOLEAN,
        "refill_amount": WHOLE,
        "refill_period": TEXT,
        "last_refill_at": TIME,
        "budget_mode": TEXT,
        **dict.fromkeys(("credits_per_dollar", "cost_markup_percentage"), DECIMAL),
        "status": TEXT,
        "tokens_per_credit": WHOLE,
    },
    "organizations": {
        **dict.fromkeys(("organization_id", "name", "status"), TEXT),
        **dict.fromkeys(("created_at", "updated_at"), TIME),
    },
    "model_aliases": {
        **dict.fromkeys(("model_alias", "display_name", "provider", "actual_model"), TEXT),
        **dict.fromkeys(("pricing_input", "pricing_output"), DECIMAL),
        "status": TEXT,
        **dict.fromkeys(("created_at", "updated_at"), TIME),
    },
    "team_usage_summaries": {
        **dict.fromkeys(("id", "team_id", "period", "period_type"), TEXT),
        **dict.fromkeys(("total_jobs", "successful_jobs", "failed_jobs", "cancelled_jobs"), WHOLE),
        "total_cost_usd": DECIMAL,
        "total_tokens": WHOLE,
        "calculated_at": TIME,
    },
}

FROM_TEXT: dict[str, Callable[[str], Any]] = {
    TEXT: str,
    WHOLE: int,
    DECIMAL: Decimal,
    BOOLEAN: {"true": True, "false": False}.__getitem__,
    TIME: datetime.fromisoformat,
}


def frame(table: str, rows: list[dict[str, Any]]) -> pandas.DataFrame:
    """Rows as a frame of that raw table: all its columns, Python objects, absent values None."""
    columns = list(RAW_COLUMNS[table])
    cells = [[row.get(column) for column in columns] for row in rows]
    return pandas.DataFrame(cells, columns=columns, dtype=object)


def find_tape() -> Path:
    """The tape inside the project, or where it lies beside it."""
    root = Path(__file__).resolve().parents[2]
    inside = [
        path.parent
        for top in sorted(root.iterdir())
        if top.is_dir() and not top.name.startswith((".", "target"))
        for path in sorted(top.rglob("llm_calls.csv.gz"))
    ]
    for folder in (*inside, root.parent / "shared" / "data" / "platform-tape"):
        if (folder / "llm_calls.csv.gz").exists():
            return folder
    raise FileNotFoundError(f"no llm_calls.csv.gz under {root} or in ../shared/data/platform-tape beside it")


def read_tape(folder: Path) -> dict[str, pandas.DataFrame]:
    """The raw tables of the tape. An empty field is null: the tape holds no quoted empty text."""
    tables: dict[str, pandas.DataFrame] = {}
    for table, kinds in RAW_COLUMNS.items():
        with gzip.open(folder / f"{table}.csv.gz", "rt", encoding="utf-8", newline="") as lines:
            rows = [
                {
                    name: FROM_TEXT[kinds[name]](text)
                    for name, text in row.items()
                    if name in kinds and text != ""
                }
                for row in csv.DictReader(lines)
            ]
        tables[table] = frame(table, rows)
    return tables
