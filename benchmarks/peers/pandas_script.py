"""The same numbers as a pandas script: read everything, merge, group, write Parquet."""

from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from benchmarks.outputs import KEYS, tables
from benchmarks.peers import answers
from benchmarks.peers.order import Order

JOBS = ["job_id", "team_id", "organization_id", "user_id", "status", "created_at", "completed_at"]
CALLS = [
    "job_id",
    "model_group_used",
    "resolved_model",
    "error",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "provider_cost_usd",
    "client_cost_usd",
    "cost_usd",
    "latency_ms",
    "created_at",
]
CREDITS = ["team_id", "organization_id", "transaction_type", "credits_amount", "created_at"]
FREQUENCIES = {"day": "D", "week": "W", "month": "M"}


def build(order: Order) -> None:
    """Everything in memory, then every table."""
    made = order.out / "tables"
    made.mkdir(parents=True)
    jobs = _jobs(order.source)
    calls = _calls(order.source, jobs)
    credits = _credits(order.source)
    for table, kind, period in tables():
        keys = list(KEYS[kind])
        if kind.startswith("model"):
            rows = _call_measures(calls, keys, period)
        else:
            parts = (
                _job_measures(jobs, keys, period),
                _call_measures(calls, keys, period),
                _credit_measures(credits, keys, period),
            )
            rows = parts[0].join(parts[1], how="outer").join(parts[2], how="outer")
        rows.reset_index().to_parquet(made / f"{table}.parquet")


def night(order: Order) -> None:
    """Everything again."""
    build(order)


def summary(order: Order) -> list[tuple[Any, ...]]:
    with closing(duckdb.connect()) as connection:
        return answers.summary(connection, answers.in_folder(order.out / "tables"), order.team, order.month)


def latency(order: Order) -> list[tuple[Any, ...]]:
    with closing(duckdb.connect()) as connection:
        return answers.latency(connection, answers.in_folder(order.out / "tables"), order.week)


def review(order: Order) -> list[tuple[Any, ...]]:
    with closing(duckdb.connect()) as connection:
        return answers.review(connection, answers.in_folder(order.out / "tables"), order.team, order.month)


# --- facts -------------------------------------------------------------------------------------------------


def _read(source: Path, table: str, columns: list[str]) -> pd.DataFrame:
    """A table; decimals as floats, or every number would be a Python object."""
    held = ds.dataset(source / table, format="parquet").to_table(columns=columns)
    fields = [
        field.with_type(pa.float64()) if pa.types.is_decimal(field.type) else field for field in held.schema
    ]
    frame: pd.DataFrame = held.cast(pa.schema(fields)).to_pandas()
    return frame


def _jobs(source: Path) -> pd.DataFrame:
    teams = _read(source, "team_credits", ["team_id", "organization_id", "cost_markup_percentage"])
    jobs = _read(source, "jobs", JOBS).merge(
        teams.rename(columns={"organization_id": "team_organization_id"}), on="team_id", how="left"
    )
    jobs["organization_id"] = (
        jobs["organization_id"].fillna(jobs["team_organization_id"]).fillna("unassigned")
    )
    jobs["status"] = jobs["status"].str.lower()
    jobs["seconds"] = (jobs["completed_at"] - jobs["created_at"]).dt.total_seconds()
    # a user is one of a team
    jobs["team_user"] = jobs["team_id"] + "/" + jobs["user_id"]
    return jobs.drop(columns=["team_organization_id", "completed_at", "user_id"])


def _calls(source: Path, jobs: pd.DataFrame) -> pd.DataFrame:
    aliases = _read(source, "model_aliases", ["model_alias", "actual_model"]).rename(
        columns={"model_alias": "resolved_model"}
    )
    calls = _read(source, "llm_calls", CALLS)
    calls["is_failed"] = calls.pop("error").notna()
    tenants = jobs[["job_id", "team_id", "organization_id", "cost_markup_percentage"]]
    calls = calls.merge(tenants, on="job_id", how="left").drop(columns="job_id")
    calls = calls.merge(aliases, on="resolved_model", how="left")
    calls["model"] = calls.pop("actual_model").fillna(calls.pop("resolved_model")).fillna("unknown")
    calls["model_group"] = calls.pop("model_group_used").fillna("unknown")
    calls["provider_cost_usd"] = calls["provider_cost_usd"].fillna(calls.pop("cost_usd")).fillna(0)
    marked_up = calls["provider_cost_usd"] * (1 + calls.pop("cost_markup_percentage") / 100)
    calls["client_cost_usd"] = calls["client_cost_usd"].fillna(marked_up)
    return calls


def _credits(source: Path) -> pd.DataFrame:
    credits = _read(source, "credit_transactions", CREDITS)
    credits["organization_id"] = credits["organization_id"].fillna("unassigned")
    is_used = credits["transaction_type"] == "deduction"
    credits["credits_used"] = credits["credits_amount"].where(is_used, 0)
    credits["credits_added"] = credits["credits_amount"].where(~is_used, 0)
    return credits


# --- tables ------------------------------------------------------------------------------------------------


def _grouped(frame: pd.DataFrame, keys: list[str], period: str) -> Any:
    start = frame["created_at"].dt.to_period(FREQUENCIES[period]).dt.start_time.rename("period_start_date")
    return frame.groupby([start, *keys], observed=True)


def _job_measures(jobs: pd.DataFrame, keys: list[str], period: str) -> pd.DataFrame:
    status = jobs["status"]
    counted = jobs.assign(is_completed=status == "completed", is_failed=status == "failed")
    found: pd.DataFrame = _grouped(counted, keys, period).agg(
        job_count=("job_id", "size"),
        completed_job_count=("is_completed", "sum"),
        failed_job_count=("is_failed", "sum"),
        active_user_count=("team_user", "nunique"),
        avg_job_seconds=("seconds", "mean"),
    )
    found["p95_job_seconds"] = _grouped(jobs, keys, period)["seconds"].quantile(0.95)
    return found


def _call_measures(calls: pd.DataFrame, keys: list[str], period: str) -> pd.DataFrame:
    grouped = _grouped(calls, keys, period)
    found: pd.DataFrame = grouped.agg(
        call_count=("is_failed", "size"),
        failed_call_count=("is_failed", "sum"),
        prompt_tokens=("prompt_tokens", "sum"),
        completion_tokens=("completion_tokens", "sum"),
        total_tokens=("total_tokens", "sum"),
        provider_cost_usd=("provider_cost_usd", "sum"),
        client_cost_usd=("client_cost_usd", "sum"),
        latency_avg_ms=("latency_ms", "mean"),
        latency_max_ms=("latency_ms", "max"),
    )
    percentiles = grouped["latency_ms"].quantile([0.5, 0.95, 0.99]).unstack()
    for share, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99")):
        found[f"latency_{name}_ms"] = percentiles[share]
    return found


def _credit_measures(credits: pd.DataFrame, keys: list[str], period: str) -> pd.DataFrame:
    found: pd.DataFrame = _grouped(credits, keys, period)[["credits_used", "credits_added"]].sum()
    return found
