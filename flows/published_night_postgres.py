"""What a build of the postgres target remembers of the last published night (flows/published_night.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.coverage import Touched
from flows.published_night import (
    PUBLISHED_NIGHTS,
    PUBLISHED_RESTATEMENTS,
    PUBLISHED_USAGE,
    column_names,
)
from flows.settings import Settings
from flows.warehouse_postgres import published_generation, store_errors

if TYPE_CHECKING:
    import psycopg


def remember_published_in_postgres(
    connection: psycopg.Connection[Any], settings: Settings, touched: Touched | None
) -> None:
    """Copy into schema raw what the published night said of the days that are built anew (None: all)."""
    with store_errors("read"), connection.transaction():
        connection.execute("create schema if not exists raw")
        for name, columns in (
            ("published_nights", PUBLISHED_NIGHTS),
            ("published_usage", PUBLISHED_USAGE),
            ("published_restatements", PUBLISHED_RESTATEMENTS),
        ):
            described = columns.replace("varchar", 'text collate "C"')
            connection.execute(f"create table if not exists raw.{name} ({described})".encode())
        connection.execute("delete from raw.published_nights")
        connection.execute("delete from raw.published_usage")
        published = published_generation(connection)
        if (
            published is not None
            and published.coverage is not None
            and published.coverage.reporting_timezone == settings.reporting_timezone
        ):
            _copy(connection, touched)
        connection.execute("analyze raw.published_usage")


def _copy(connection: psycopg.Connection[Any], touched: Touched | None) -> None:
    connection.execute(
        "insert into raw.published_nights select (select as_of from ops.generations where is_published), "
        "coalesce(max(calendar_date) filter (where is_complete) + 1, min(calendar_date)) from marts.dim_dates"
    )
    ranges = ((None, None),) if touched is None else touched.days
    for first, end in ranges:
        connection.execute(
            f"insert into raw.published_usage select {column_names(PUBLISHED_USAGE)} "
            "from marts.team_usage_daily where is_complete "
            "and period_start_date >= coalesce(%(first)s::date, '-infinity') "
            "and period_start_date < coalesce(%(end)s::date, 'infinity')".encode(),
            {"first": first, "end": end},
        )
    # never emptied: a restatement of a later night must outlive a night that looks back
    connection.execute(
        "delete from raw.published_restatements as known using marts.restatements as published "
        "where known.team_id = published.team_id and known.period_start_date = published.period_start_date "
        "and known.measure = published.measure and known.restated_as_of = published.restated_as_of"
    )
    connection.execute(
        f"insert into raw.published_restatements select {column_names(PUBLISHED_RESTATEMENTS)} "
        "from marts.restatements".encode()
    )
