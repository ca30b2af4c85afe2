"""A data folder beside the real one, on which a recalculation is tried and from which nothing comes back.

The copies are built with DuckDB whatever the target is: both engines give the same rows. Of a warehouse in
PostgreSQL only what a build remembers of the recalculated days is copied, so all of it is built anew there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flows.build import published_coverage
from flows.coverage import Coverage
from flows.periods import Days
from flows.published_night import PUBLISHED_RESTATEMENTS, PUBLISHED_USAGE, column_names
from flows.settings import Settings
from flows.warehouse import open_warehouse

if TYPE_CHECKING:
    import duckdb

    from flows.warehouse import Reader

# Rows that are on their way at once; the client holds those of the days besides.
BATCH_ROWS = 20_000

_DATES = "calendar_date date, is_complete boolean, reporting_timezone varchar"


@contextmanager
def copies(settings: Settings, days: Days) -> Iterator[Settings]:
    """Settings of a folder with copies of what a night reads and writes, which goes with the block.

    What is published in PostgreSQL is copied of the local `days` only.
    """
    folder = settings.build_dir / f"dry-run-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        tried = settings.model_copy(update={"data_dir": folder, "target": "duckdb"})
        if settings.landing_path.is_file():
            shutil.copyfile(settings.landing_path, tried.landing_path)
        if settings.target == "postgres":
            _copy_published(settings, tried.warehouse_path, days)
        elif settings.warehouse_path.is_file():
            shutil.copyfile(settings.warehouse_path, tried.warehouse_path)
        yield tried
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_published(settings: Settings, path: Path, days: Days) -> None:
    """What a build remembers of the night published in PostgreSQL, as a warehouse of DuckDB."""
    import duckdb

    covered = published_coverage(settings)
    if covered is None:
        return
    with closing(duckdb.connect(str(path))) as copy, closing(open_warehouse(settings)) as published:
        copy.execute(f"create schema kept; create table kept.coverage ({Coverage.COLUMNS})")
        # of no models: too little is here for a build to go on from
        values = replace(covered, models_fingerprint="").values
        copy.execute("insert into kept.coverage values (?, ?, ?, ?, ?, ?)", list(values))
        copy.execute("create schema marts")
        of_days = f"where period_start_date >= date '{days.first}' and period_start_date < date '{days.end}'"
        _copy_rows(published, copy, "dim_dates", _DATES)
        _copy_rows(published, copy, "team_usage_daily", f"{PUBLISHED_USAGE}, is_complete boolean", of_days)
        _copy_rows(published, copy, "restatements", PUBLISHED_RESTATEMENTS, of_days)


def _copy_rows(
    published: Reader, copy: duckdb.DuckDBPyConnection, mart: str, columns: str, condition: str = ""
) -> None:
    import pyarrow

    names = column_names(columns)
    copy.execute(f"create table marts.{mart} ({columns})")
    rows = published.execute(f"select {names} from warehouse.marts.{mart} {condition}")
    while batch := rows.fetchmany(BATCH_ROWS):
        columns_of_batch = zip(*batch, strict=True)
        copy.register("batch", pyarrow.table(dict(zip(names.split(", "), columns_of_batch, strict=True))))
        copy.execute(f"insert into marts.{mart} from batch")
        copy.unregister("batch")
