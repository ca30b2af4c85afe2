"""The same numbers with polars: lazy scans of Parquet, the streaming engine, Parquet as the result."""

from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from benchmarks.outputs import KEYS, tables
from benchmarks.peers import answers
from benchmarks.peers.order import Order

EVERY = {"day": "1d", "week": "1w", "month": "1mo"}


def build(order: Order) -> None:
    """Facts first, as files of their own; then every table from them."""
    facts, made = order.out / "facts", order.out / "tables"
    for folder in (facts, made):
        folder.mkdir(parents=True)
    jobs = _jobs(order.source)
    jobs.sink_parquet(facts / "jobs.parquet", engine="streaming")
    kept_jobs = pl.scan_parquet(facts / "jobs.parquet")
    _calls(order.source, kept_jobs).sink_parquet(facts / "calls.parquet", engine="streaming")
    calls = pl.scan_parquet(facts / "calls.parquet")
    credits = _credits(order.source)
    for table, kind, period in tables():
        keys = list(KEYS[kind])
        if kind.startswith("model"):
            rows = _call_measures(calls, keys, period)
        else:
            rows = _usage(kept_jobs, calls, credits, keys, period)
        rows.sink_parquet(made / f"{table}.parquet", engine="streaming")


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


def _scan(source: Path, table: str) -> pl.LazyFrame:
    return pl.scan_parquet(source / table / "*.parquet")


def _jobs(source: Path) -> pl.LazyFrame:
    teams = _scan(source, "team_credits").select(
        "team_id", pl.col("organization_id").alias("team_organization_id"), "cost_markup_percentage"
    )
    completed, created = (pl.col(name).dt.epoch("us") for name in ("completed_at", "created_at"))
    return (
        _scan(source, "jobs")
        .join(teams, on="team_id", how="left")
        .select(
            "job_id",
            "team_id",
            pl.coalesce("organization_id", "team_organization_id", pl.lit("unassigned")).alias(
                "organization_id"
            ),
            "user_id",
            pl.col("status").str.to_lowercase(),
            (completed - created).alias("duration_us"),
            pl.col("cost_markup_percentage").cast(pl.Float64),
            "created_at",
        )
    )


def _calls(source: Path, jobs: pl.LazyFrame) -> pl.LazyFrame:
    aliases = _scan(source, "model_aliases").select(
        pl.col("model_alias").alias("resolved_model"), "actual_model"
    )
    provider = pl.coalesce("provider_cost_usd", "cost_usd", 0.0)
    return (
        _scan(source, "llm_calls")
        .with_columns(pl.col("provider_cost_usd", "client_cost_usd", "cost_usd").cast(pl.Float64))
        .join(
            jobs.select("job_id", "team_id", "organization_id", "cost_markup_percentage"),
            on="job_id",
            how="left",
        )
        .join(aliases, on="resolved_model", how="left")
        .select(
            "team_id",
            "organization_id",
            pl.coalesce("model_group_used", pl.lit("unknown")).alias("model_group"),
            pl.coalesce("actual_model", "resolved_model", pl.lit("unknown")).alias("model"),
            pl.col("error").is_not_null().alias("is_failed"),
            "prompt_tokens",
            "completion_tokens",
            "total_tokens",
            provider.alias("provider_cost_usd"),
            pl.coalesce("client_cost_usd", provider * (1 + pl.col("cost_markup_percentage") / 100)).alias(
                "client_cost_usd"
            ),
            "latency_ms",
            "created_at",
        )
    )


def _credits(source: Path) -> pl.LazyFrame:
    is_used = pl.col("transaction_type") == "deduction"
    return _scan(source, "credit_transactions").select(
        "team_id",
        pl.col("organization_id").fill_null("unassigned"),
        pl.when(is_used).then("credits_amount").otherwise(0).cast(pl.Int64).alias("credits_used"),
        pl.when(is_used).then(0).otherwise("credits_amount").cast(pl.Int64).alias("credits_added"),
        "created_at",
    )


# --- tables ------------------------------------------------------------------------------------------------


def _start(period: str) -> pl.Expr:
    return pl.col("created_at").dt.truncate(EVERY[period]).alias("period_start_date")


def _call_measures(calls: pl.LazyFrame, keys: list[str], period: str) -> pl.LazyFrame:
    waited = pl.col("latency_ms")
    return (
        calls.with_columns(_start(period))
        .group_by("period_start_date", *keys)
        .agg(
            pl.len().alias("call_count"),
            pl.col("is_failed").sum().alias("failed_call_count"),
            pl.col("prompt_tokens", "completion_tokens", "total_tokens").cast(pl.Int64).sum(),
            pl.col("provider_cost_usd", "client_cost_usd").sum(),
            waited.mean().alias("latency_avg_ms"),
            waited.quantile(0.5, "linear").alias("latency_p50_ms"),
            waited.quantile(0.95, "linear").alias("latency_p95_ms"),
            waited.quantile(0.99, "linear").alias("latency_p99_ms"),
            waited.max().alias("latency_max_ms"),
        )
    )


def _usage(
    jobs: pl.LazyFrame, calls: pl.LazyFrame, credits: pl.LazyFrame, keys: list[str], period: str
) -> pl.LazyFrame:
    status, duration = pl.col("status"), pl.col("duration_us")
    by = ["period_start_date", *keys]
    # a key is no struct's field in its own group
    jobs = jobs.with_columns(_start(period), pl.col("team_id").alias("job_team_id"))
    users = pl.struct("job_team_id", "user_id").filter(pl.col("user_id").is_not_null()).n_unique()
    counted = jobs.group_by(by).agg(
        pl.len().alias("job_count"),
        (status == "completed").sum().alias("completed_job_count"),
        (status == "failed").sum().alias("failed_job_count"),
        users.alias("active_user_count"),
        (duration.mean() / 1e6).alias("avg_job_seconds"),
        (duration.quantile(0.95, "linear") / 1e6).alias("p95_job_seconds"),
    )
    charged = (
        credits.with_columns(_start(period)).group_by(by).agg(pl.col("credits_used", "credits_added").sum())
    )
    return counted.join(_call_measures(calls, keys, period), on=by, how="full", coalesce=True).join(
        charged, on=by, how="full", coalesce=True
    )
