"""Build every model into a side file: readers never meet a half-built night.

Owns the side file's life before publication, and what the build remembers of the last
published night (for restatements).
"""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flows.dbt_runner import DbtFailed, run_dbt
from flows.errors import AlmanacError
from flows.progress import Progress
from flows.settings import Settings

if TYPE_CHECKING:
    import duckdb

# Oldest format that DuckDB 2.0 writes and people's older DuckDBs (1.3.2, 1.4.4, 1.5.6) read.
STORAGE_VERSION = "v1.2.0"

# The measures whose restatement is recorded, of one team on one complete day.
PUBLISHED_USAGE = """
    team_id varchar, period_start_date date, job_count bigint, completed_job_count bigint,
    failed_job_count bigint, call_count bigint, total_tokens bigint, provider_cost_usd decimal(28, 8),
    client_cost_usd decimal(28, 8), credits_used bigint, credits_added bigint, built_at_as_of timestamp
"""
PUBLISHED_RESTATEMENTS = """
    team_id varchar, period_start_date date, measure varchar, old_value decimal(28, 8),
    new_value decimal(28, 8), cause varchar, published_as_of timestamp, restated_as_of timestamp
"""


def build(settings: Settings, *, as_of: datetime, progress: Progress) -> Path:
    """Build all models as of a moment; return the side file, not yet audited.

    Raises AlmanacError when nothing is landed, and DbtFailed naming the models that failed.
    """
    if settings.target != "duckdb":
        raise AlmanacError(f"The target {settings.target} cannot be built yet. Set ALMANAC_TARGET=duckdb.")
    if not settings.landing_path.is_file():
        raise AlmanacError(f"Nothing has landed in {settings.data_dir} yet. Run `almanac land` first.")
    side_file = _new_side_file(settings, as_of)
    remember_published(settings)
    results = run_dbt(
        ["build", "--exclude-resource-type", "test", "unit_test"],
        settings=settings,
        side_file=side_file,
        as_of=as_of,
        progress=progress,
        stage="Building the marts",
    )
    failed = [result for result in results if result.status in ("error", "fail")]
    if failed:
        lines = [f"  {result.name}: {_first_lines(result.message)}" for result in failed]
        raise DbtFailed(
            f"{len(failed)} of {len(results)} models could not be built; nothing is published.\n"
            + "\n".join(lines)
        )
    return side_file


def remember_published(settings: Settings) -> None:
    """Copy into schema raw what the published night said, so that models can see what changed."""
    import duckdb

    with duckdb.connect(str(settings.landing_path)) as connection:
        connection.execute(f"create or replace table raw.published_usage ({PUBLISHED_USAGE})")
        # never emptied: a restatement of a later night must outlive a night that looks back
        connection.execute(
            f"create table if not exists raw.published_restatements ({PUBLISHED_RESTATEMENTS})"
        )
        if settings.warehouse_path.is_file():
            path = str(settings.warehouse_path).replace("'", "''")
            try:
                connection.execute(f"attach '{path}' as published (read_only)")
                if _published_in(connection) == settings.reporting_timezone:
                    _copy_published(connection)
                connection.execute("detach published")
            except duckdb.Error:
                # damaged, or of another version: there is no night to compare with, and this one replaces it
                connection.execute("delete from raw.published_usage")


def _published_in(connection: duckdb.DuckDBPyConnection) -> str:
    """The time zone in which the published days are cut; empty when there is no such warehouse."""
    import duckdb

    try:
        row = connection.execute("select min(reporting_timezone) from published.marts.dim_dates").fetchone()
    except duckdb.CatalogException:
        return ""
    return str(row[0]) if row else ""


def _copy_published(connection: duckdb.DuckDBPyConnection) -> None:
    usage, restatements = _names(PUBLISHED_USAGE), _names(PUBLISHED_RESTATEMENTS)
    connection.execute(
        f"insert into raw.published_usage select {usage} "
        "from published.marts.team_usage_daily where is_complete"
    )
    connection.execute(
        "delete from raw.published_restatements as known using published.marts.restatements as published "
        "where known.team_id = published.team_id and known.period_start_date = published.period_start_date "
        "and known.measure = published.measure and known.restated_as_of = published.restated_as_of"
    )
    connection.execute(
        f"insert into raw.published_restatements select {restatements} from published.marts.restatements"
    )


def _names(columns: str) -> str:
    return ", ".join(column.split()[0] for column in columns.replace("(28, 8)", "").split(","))


def _new_side_file(settings: Settings, as_of: datetime) -> Path:
    """An empty database; what earlier builds left behind is removed (the caller holds the lock)."""
    import duckdb

    shutil.rmtree(settings.build_dir, ignore_errors=True)
    # the stem stays: views remember the name of the database they were made in
    side_file = settings.build_dir / f"{as_of:%Y%m%dT%H%M%S}" / "warehouse.duckdb"
    side_file.parent.mkdir(parents=True)
    path = str(side_file).replace("'", "''")
    with duckdb.connect() as connection:
        connection.execute(f"attach '{path}' as side (storage_version '{STORAGE_VERSION}')")
        connection.execute("detach side")
    return side_file


def _first_lines(message: str) -> str:
    return " ".join(line.strip() for line in message.strip().splitlines()[:4])
