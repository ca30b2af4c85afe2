"""What a build remembers of the last published night, so that models can see what changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.coverage import Touched
from flows.settings import Settings

if TYPE_CHECKING:
    import duckdb

PUBLISHED_NIGHTS = "as_of timestamp, complete_until date"

# The measures whose restatement is recorded, of one team on one complete day.
PUBLISHED_USAGE = """
    team_id varchar, period_start_date date, job_count bigint, completed_job_count bigint,
    failed_job_count bigint, call_count bigint, total_tokens bigint, provider_cost_usd decimal(28, 8),
    client_cost_usd decimal(28, 8), credits_used bigint, credits_added bigint
"""
PUBLISHED_RESTATEMENTS = """
    team_id varchar, period_start_date date, measure varchar, old_value decimal(28, 8),
    new_value decimal(28, 8), cause varchar, published_as_of timestamp, restated_as_of timestamp
"""


def remember_published(
    landing: duckdb.DuckDBPyConnection, settings: Settings, touched: Touched | None
) -> None:
    """Copy into schema raw what the published night said of the days that are built anew."""
    import duckdb

    landing.execute(f"create or replace table raw.published_nights ({PUBLISHED_NIGHTS})")
    landing.execute(f"create or replace table raw.published_usage ({PUBLISHED_USAGE})")
    # never emptied: a restatement of a later night must outlive a night that looks back
    landing.execute(f"create table if not exists raw.published_restatements ({PUBLISHED_RESTATEMENTS})")
    if not settings.warehouse_path.is_file():
        return
    path = str(settings.warehouse_path).replace("'", "''")
    try:
        landing.execute(f"attach '{path}' as published (read_only)")
        if _published_in(landing) == settings.reporting_timezone:
            _copy_published(landing, touched)
        landing.execute("detach published")
    except duckdb.Error:
        # damaged, or of another version: there is no night to compare with, and this one replaces it
        landing.execute("delete from raw.published_nights")
        landing.execute("delete from raw.published_usage")


def _published_in(landing: duckdb.DuckDBPyConnection) -> str:
    """The time zone in which the published days are cut; empty when there is no such warehouse."""
    import duckdb

    try:
        row = landing.execute("select min(reporting_timezone) from published.marts.dim_dates").fetchone()
    except duckdb.CatalogException:
        return ""
    return str(row[0]) if row else ""


def _copy_published(landing: duckdb.DuckDBPyConnection, touched: Touched | None) -> None:
    landing.execute(
        "insert into raw.published_nights select (select as_of from published.kept.coverage), "
        "coalesce(max(calendar_date) filter (is_complete) + 1, min(calendar_date)) "
        "from published.marts.dim_dates"
    )
    usage, restatements = column_names(PUBLISHED_USAGE), column_names(PUBLISHED_RESTATEMENTS)
    is_rebuilt = "true"
    if touched is not None:
        is_rebuilt = " or ".join(
            f"(period_start_date >= date '{first}'"
            + (f" and period_start_date < date '{end}')" if end else ")")
            for first, end in touched.days
        )
    landing.execute(
        f"insert into raw.published_usage select {usage} "
        f"from published.marts.team_usage_daily where is_complete and ({is_rebuilt})"
    )
    landing.execute(
        "delete from raw.published_restatements as known using published.marts.restatements as published "
        "where known.team_id = published.team_id and known.period_start_date = published.period_start_date "
        "and known.measure = published.measure and known.restated_as_of = published.restated_as_of"
    )
    landing.execute(
        f"insert into raw.published_restatements select {restatements} from published.marts.restatements"
    )


def column_names(columns: str) -> str:
    """The names alone, of columns as they are written with their types."""
    return ", ".join(column.split()[0] for column in columns.replace("(28, 8)", "").split(","))
