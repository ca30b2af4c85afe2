"""The three questions as SQL on tables that were built: a team's month, a week's latencies, a review.

A relation turns a table's name into what SQL finds it by. The same text asks our published warehouse, so that
two answers differ by their tables alone.
"""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.outputs import CALL_MEASURES, USAGE_MEASURES

LATENCIES = ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms")
TREND_MONTHS = 12
Relation = Callable[[str], str]


def in_database(name: str) -> str:
    """Tables by their bare names."""
    return name


def in_folder(folder: Path) -> Relation:
    """Tables as Parquet files of a folder."""
    text = str(folder).replace("'", "''")
    return lambda name: f"'{text}/{name}.parquet'"


def summary(connection: Any, relation: Relation, team: str, month: date) -> list[tuple[Any, ...]]:
    """The row of a team's month, in the order of USAGE_MEASURES."""
    rows: list[tuple[Any, ...]] = connection.execute(
        f"select {', '.join(USAGE_MEASURES)} from {relation('team_usage_monthly')} "
        "where team_id = ? and period_start_date = ?",
        [team, month],
    ).fetchall()
    return rows


def latency(connection: Any, relation: Relation, week: date) -> list[tuple[Any, ...]]:
    """Percentiles by model group and model of a week over all teams."""
    rows: list[tuple[Any, ...]] = connection.execute(
        f"select model_group, model, {', '.join(LATENCIES)} from {relation('model_performance_weekly')} "
        "where period_start_date = ? order by model_group, model",
        [week],
    ).fetchall()
    return rows


def review(connection: Any, relation: Relation, team: str, month: date) -> list[tuple[Any, ...]]:
    """The trend of a team's last twelve months (the last two are the KPIs and what they are compared with),
    then its models in the month."""
    trend: list[tuple[Any, ...]] = connection.execute(
        f"select period_start_date, {', '.join(USAGE_MEASURES)} from {relation('team_usage_monthly')} "
        "where team_id = ? and period_start_date <= ? order by period_start_date desc "
        f"limit {TREND_MONTHS}",
        [team, month],
    ).fetchall()
    models: list[tuple[Any, ...]] = connection.execute(
        f"select model_group, model, {', '.join(CALL_MEASURES)} from {relation('model_usage_monthly')} "
        "where team_id = ? and period_start_date = ? order by model_group, model",
        [team, month],
    ).fetchall()
    return trend + models
